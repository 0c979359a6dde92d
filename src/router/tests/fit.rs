//! Tables of [`Router::unfit`] over deployments, and what a router makes of its answer.

use super::*;
use crate::router::fit::{Needs, Prompt};
use crate::types::TagFilter;

/// The first deployment takes everything, as far as anybody knows; the others differ in one thing.
fn various() -> Router {
    let mut all = vec![deployment("any")];
    all.push(Deployment {
        region: Some("eu".into()),
        ..deployment("eu")
    });
    all.push(Deployment {
        max_input_tokens: Some(1000),
        ..deployment("short")
    });
    let known = |tools, images, json_schema| Abilities {
        tools,
        images,
        json_schema,
    };
    for (id, abilities) in [
        ("text", known(Some(false), Some(false), None)),
        ("all", known(Some(true), Some(true), Some(true))),
        ("free-form", known(None, None, Some(false))),
    ] {
        all.push(Deployment {
            abilities,
            ..deployment(id)
        });
    }
    router(StrategyKind::SimpleShuffle, all)
}

#[test]
fn regions_and_abilities() {
    let none = Needs::default();
    let elsewhere = |place| (place, Why::Region { known: place == 1 });
    let cases = [
        (none, vec![]),
        (
            Needs {
                region: Some("eu"),
                ..none
            },
            [0, 2, 3, 4, 5]
                .map(|place| (place, Why::Region { known: false }))
                .into(),
        ),
        (
            Needs {
                region: Some("us"),
                ..none
            },
            (0..6).map(elsewhere).collect(),
        ),
        (
            Needs {
                tools: true,
                ..none
            },
            vec![(3, Why::Lacks("tools"))],
        ),
        (
            Needs {
                images: true,
                json_schema: true,
                ..none
            },
            vec![(3, Why::Lacks("images")), (5, Why::Lacks("json_schema"))],
        ),
        // The first reason is told, and those that many have come first.
        (
            Needs {
                region: Some("us"),
                tools: true,
                ..none
            },
            (0..6).map(elsewhere).collect(),
        ),
    ];
    for (needs, expected) in cases {
        assert_eq!(various().unfit(&needs, None), expected, "{needs:?}");
    }
}

#[test]
fn a_window_is_held_against_the_estimate_and_in_doubt_against_the_count() {
    // (estimate, count, whether a window of 1000 is too small)
    for (estimate, exact, out) in [
        (1, None, None),
        (800, Some(5000), None), // not asked: it can't be so far off
        (801, Some(1000), None),
        (801, Some(1001), Some(1001)),
        (1000, None, None),
        (1333, None, None), // in doubt and nobody counts: the deployment itself will tell
        (1333, Some(999), None),
        (1335, Some(999), Some(1335)), // not asked either
        (u64::MAX, None, Some(u64::MAX)),
    ] {
        let count = |deployment: &Deployment| {
            assert_eq!(&*deployment.target.id, "short");
            exact
        };
        let needs = Needs {
            prompt: Some(Prompt {
                estimate,
                exact: &count,
            }),
            ..Needs::default()
        };
        let out = out.map(|needed| {
            let limit = 1000;
            (2, Why::Context { limit, needed })
        });
        assert_eq!(
            various().unfit(&needs, None),
            Vec::from_iter(out),
            "{estimate} {exact:?}"
        );
    }
}

#[test]
fn tags_count_where_they_are_filtered() {
    let tagged = |id, tags: &[&str]| Deployment {
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        ..deployment(id)
    };
    let group = || {
        router(
            StrategyKind::SimpleShuffle,
            vec![tagged("a", &["paid"]), tagged("b", &["default"])],
        )
    };
    let filter = Some(TagFilter { match_any: true });
    let unfit = |tags: &[String], filter| {
        let needs = Needs {
            tags,
            ..Needs::default()
        };
        group().unfit(&needs, filter)
    };
    let paid = ["paid".to_owned()];
    assert_eq!(unfit(&paid, None), []);
    assert_eq!(unfit(&paid, filter), [(1, Why::Tag)]);
    assert_eq!(unfit(&[], filter), [(0, Why::Tag)]);
}

#[test]
fn the_unfit_are_never_asked_and_say_why() {
    let group = various();
    let now = Instant::now();
    let window = |place| {
        let (limit, needed) = (1000, 2000);
        (place, Why::Context { limit, needed })
    };
    let all_but_one: Vec<_> = (1..6).map(window).collect();
    let ask_with = |unfit| Ask {
        unfit,
        even_cooling: true,
        ..ask(&[], now)
    };
    for _ in 0..20 {
        let attempt = group.begin(&ask_with(&all_but_one)).expect("the first");
        assert_eq!(attempt.index(), 0);
    }
    let mut all = all_but_one.clone();
    all.push((0, Why::Tag));
    let none = group.begin(&ask_with(&all)).expect_err("all are unfit");
    assert_eq!(none.deployments[0].why, Why::Tag);
    assert_eq!(none.deployments[1].why, window(1).1);
    assert_eq!((none.may_pass(), none.first_back_in()), (false, None));
    assert_eq!(none.too_long(), Some((1000, 2000)));
    assert_eq!(
        group.availability(&ask_with(&all)),
        Availability::None(none)
    );
}

/// No deployment is eligible, for these reasons.
fn none(whys: impl IntoIterator<Item = Why>) -> NoneEligible {
    let deployments = whys.into_iter().map(|why| Ineligible {
        deployment: "d".into(),
        why,
        back_in: None,
    });
    NoneEligible {
        group: "g".into(),
        deployments: deployments.collect(),
    }
}

#[test]
fn a_prompt_is_too_long_only_where_nothing_else_is_in_the_way() {
    let window = |limit| Why::Context { limit, needed: 9 };
    for (whys, expected) in [
        (vec![window(3), window(5)], Some((5, 9))),
        (vec![window(3), Why::Lacks("tools")], Some((3, 9))),
        (vec![window(3), Why::Cooling(Fault::Credential)], None),
        (vec![window(3), Why::Full { limit: 1 }], None),
        (vec![Why::Tag, Why::Unfit], None),
    ] {
        assert_eq!(none(whys.clone()).too_long(), expected, "{whys:?}");
    }
}

#[test]
fn the_deployment_that_came_nearest_says_what_is_missing() {
    let window = Why::Context {
        limit: 3,
        needed: 9,
    };
    let (known, unknown) = (Why::Region { known: true }, Why::Region { known: false });
    let lacks = Why::Lacks("images");
    for (whys, expected) in [
        (vec![], None),
        (vec![Why::Tag], Some(Why::Tag)),
        (vec![unknown, Why::Tag], Some(unknown)),
        (vec![known, unknown], Some(known)),
        (vec![lacks, known], Some(lacks)),
        (vec![Why::Unfit, Why::Tag], Some(Why::Unfit)),
        (vec![Why::Tag, window, lacks], Some(window)),
        (vec![Why::Tag, Why::Probing], None),
        (vec![Why::Tag, Why::OverRpm { limit: 1, used: 1 }], None),
    ] {
        assert_eq!(none(whys.clone()).unfit(), expected, "{whys:?}");
    }
}
