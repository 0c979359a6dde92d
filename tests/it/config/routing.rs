//! Routing between groups: which name leads to which group, and what stands in for a list that is not given.

use std::time::Duration;

use waypost::config::{Config, Finding, Severity};
use waypost::types::{Affinity, AffinityKey, ErrorClass, Hedging, TagFilter};

use super::{loaded, text};

/// Groups `a`, `b`, `c`, an embeddings group `e`, and patterns, with this section `waypost`.
fn groups(waypost: &str) -> Result<(Config, Vec<Finding>), Vec<Finding>> {
    let group = |id: &str, model: &str| {
        format!("- {{id: {id:?}, models: [{{provider: ollama, model: {model:?}}}]}}\n")
    };
    let groups = [
        group("a", "m"),
        group("b", "m"),
        group("c", "m"),
        group("e", "nomic-embed-text"),
        group("many/*", "*"),
        group("many/small-*", "*"),
        group("one/*", "fixed"),
    ];
    text(&format!(
        "model_groups:\n{}waypost: {{{waypost}}}\n",
        groups.concat()
    ))
}

#[track_caller]
fn config(waypost: &str) -> Config {
    match groups(waypost) {
        Ok((config, _)) => config,
        Err(findings) => panic!("{waypost}: {findings:#?}"),
    }
}

/// The three lists of a group, as text.
fn lists(config: &Config, id: &str) -> [String; 3] {
    let group = config.groups.iter().find(|group| *group.id == *id);
    let lists = &group.expect("a group").fallbacks;
    [&lists.general, &lists.context_window, &lists.content_policy].map(|list| list.join(" "))
}

#[test]
fn lists_that_are_not_given_are_stood_in_for() {
    for (waypost, expected) in [
        ("", ["", "", ""]),
        ("groups: {a: {fallbacks: [b, c]}}", ["b c", "b c", "b c"]),
        ("groups: {a: {fallbacks: b}}", ["b", "b", "b"]),
        ("groups: {a: {fallbacks: [b, b]}}", ["b", "b", "b"]),
        (
            "groups: {a: {fallbacks: [b], context_window_fallbacks: [c]}}",
            ["b", "c", "b"],
        ),
        (
            "groups: {a: {content_policy_fallbacks: [c]}}",
            ["", "", "c"],
        ),
        (
            "groups: {a: {fallbacks: [b], context_window_fallbacks: []}}",
            ["b", "", "b"],
        ),
        ("default_fallbacks: [b, a]", ["b", "b", "b"]),
        ("default_fallbacks: b", ["b", "b", "b"]),
        (
            "default_fallbacks: [b], groups: {a: {fallbacks: []}}",
            ["", "", ""],
        ),
        (
            "default_fallbacks: [b], groups: {a: {fallbacks: [c]}}",
            ["c", "c", "c"],
        ),
        (
            "default_fallbacks: [b], groups: {a: {context_window_fallbacks: [c]}}",
            ["b", "c", "b"],
        ),
        (
            "aliases: {x: y, y: b}, groups: {a: {fallbacks: [x, b, c]}}",
            ["b c", "b c", "b c"],
        ),
        (
            "aliases: {x: many/large}, groups: {a: {fallbacks: [x, many/small-1, one/*]}}",
            ["many/large many/small-1 one/*"; 3],
        ),
    ] {
        assert_eq!(lists(&config(waypost), "a"), expected, "{waypost}");
    }
}

#[test]
fn defaults_are_for_groups_of_their_kind() {
    let config = config("default_fallbacks: [a, e, many/x]");
    for (id, expected) in [
        ("a", "many/x"),
        ("b", "a many/x"),
        ("e", ""),
        ("many/*", "a many/x"),
    ] {
        assert_eq!(lists(&config, id)[0], expected, "{id}");
    }
}

#[test]
fn aliases_end_at_a_group_or_a_name_of_a_pattern() {
    let config = config(
        "aliases: {x: a, y: {group: x, hidden: true}, z: many/large, w: {group: e, hidden: false}}, \
         keys: [{name: k, key: \"${KEY_NORTH}\", groups: [y, z, many/*, b]}]",
    );
    let aliases: Vec<(&str, &str, bool)> = config
        .aliases
        .iter()
        .map(|alias| (&*alias.name, &*alias.group, alias.hidden))
        .collect();
    assert_eq!(
        aliases,
        [
            ("x", "a", false),
            ("y", "a", true),
            ("z", "many/large", false),
            ("w", "e", false)
        ]
    );
    let groups = config.settings.keys[0].groups.as_deref().expect("given");
    assert_eq!(groups.join(" "), "a many/large many/* b");
}

/// What is an error, where, and with which words.
#[test]
fn references_that_cannot_be_are_refused() {
    for (waypost, key, part) in [
        (
            "groups: {a: {fallbacks: [b]}, b: {fallbacks: [c]}, c: {fallbacks: [a]}}",
            "waypost.groups.c.fallbacks",
            "a cycle: a → b → c → a",
        ),
        (
            "aliases: {x: a}, groups: {a: {context_window_fallbacks: [b]}, b: {context_window_fallbacks: [x]}}",
            "waypost.groups.b.context_window_fallbacks",
            "a cycle: a → b → a",
        ),
        (
            "groups: {a: {content_policy_fallbacks: [many/x]}, many/*: {content_policy_fallbacks: [a]}}",
            "waypost.groups.many/*.content_policy_fallbacks",
            "a cycle: a → many/* → a",
        ),
        (
            "groups: {a: {fallbacks: [e]}, e: {fallbacks: [e]}}",
            "waypost.groups.e.fallbacks",
            "\"e\" is the group itself",
        ),
        (
            "aliases: {x: a}, groups: {a: {fallbacks: [x]}}",
            "waypost.groups.a.fallbacks",
            "\"a\" is the group itself",
        ),
        (
            "groups: {a: {fallbacks: [many/*]}}",
            "waypost.groups.a.fallbacks",
            "such as \"many/NAME\"",
        ),
        (
            "aliases: {x: many/*}",
            "waypost.aliases.x",
            "such as \"many/NAME\"",
        ),
        (
            "aliases: {fast: a}, default_fallbacks: [fasst]",
            "waypost.default_fallbacks",
            "did you mean \"fast\"?",
        ),
        (
            "groups: {a: {fallbacks: [many/small-*x]}}",
            "waypost.groups.a.fallbacks",
            "no model group has this name",
        ),
        ("aliases: {\" x\": a}", "waypost.aliases. x", "blanks"),
        ("aliases: {x: [a]}", "waypost.aliases.x", "not a mapping"),
        ("aliases: {x: true}", "waypost.aliases.x", "not a text"),
        ("aliases: [a]", "waypost.aliases", "not a mapping"),
        (
            "groups: {a: {hedging: {max_share: 0}}}",
            "waypost.groups.a.hedging.max_share",
            "above 0 and at most 1",
        ),
        (
            "groups: {a: {affinity: {max_entries: 0}}}",
            "waypost.groups.a.affinity.max_entries",
            "from 1 to 10000000",
        ),
    ] {
        let Err(findings) = groups(waypost) else {
            panic!("{waypost} loads")
        };
        let errors: Vec<&Finding> = findings
            .iter()
            .filter(|finding| finding.severity == Severity::Error)
            .collect();
        assert_eq!(errors.len(), 1, "{waypost}: {findings:#?}");
        assert_eq!(errors[0].key, key, "{waypost}");
        assert!(errors[0].message.contains(part), "{waypost}: {}", errors[0]);
    }
}

/// What looks like a circle or a wrong kind, and is none.
#[test]
fn what_only_looks_wrong_loads() {
    for waypost in [
        // The longer context window is no reason against the way back for other failures.
        "groups: {a: {context_window_fallbacks: [b]}, b: {fallbacks: [a]}}",
        "groups: {a: {fallbacks: [b, c]}, b: {fallbacks: [c]}}",
        "default_fallbacks: [a, b], groups: {a: {fallbacks: [c]}}",
        "groups: {many/*: {fallbacks: [many/large]}}",
    ] {
        let (_, findings) = groups(waypost).unwrap_or_else(|f| panic!("{waypost}: {f:#?}"));
        assert_eq!(findings, [], "{waypost}");
    }
}

#[test]
fn what_may_be_a_mistake_is_pointed_out() {
    let group = |model: &str, router: &str| {
        format!(
            "model_groups: [{{id: g, models: [{{provider: ollama, model: m, {model}}}], router: {{{router}}}}}]\n"
        )
    };
    let own = |waypost: &str| {
        format!(
            "{}waypost: {{{waypost}}}\n",
            group("seed: 1", "retry_after: 0")
        )
    };
    for (yaml, key, part) in [
        (
            group("tags: [x]", "retry_after: 0"),
            "model_groups[0].models[0].tags",
            "enable_tag_filtering is not true",
        ),
        (
            group("seed: 1", "tag_filtering_match_any: true"),
            "model_groups[0].router.tag_filtering_match_any",
            "enable_tag_filtering is not true",
        ),
        (
            own("groups: {g: {affinity: true}}"),
            "waypost.groups.g.affinity",
            "the group has one deployment",
        ),
        (
            own("groups: {g: {hedging: {}}}"),
            "waypost.groups.g.hedging",
            "the group has one deployment",
        ),
        (
            group("seed: 1", "max_fallbacks: 2"),
            "model_groups[0].router.max_fallbacks",
            "write waypost.max_fallbacks",
        ),
        (
            group("seed: 1", "default_fallbacks: [g]"),
            "model_groups[0].router.default_fallbacks",
            "write waypost.default_fallbacks",
        ),
        (
            group("seed: 1", "model_group_alias: {a: g}"),
            "model_groups[0].router.model_group_alias",
            "write waypost.aliases",
        ),
        (
            group("seed: 1", "model_group_retry_policy: {g: {}}"),
            "model_groups[0].router.model_group_retry_policy",
            "write its retry_policy",
        ),
        (
            group("seed: 1", "context_window_fallbacks: [{g: [h]}]"),
            "model_groups[0].router.context_window_fallbacks",
            "write waypost.groups.<id>.context_window_fallbacks",
        ),
        (
            group("seed: 1", "content_policy_fallbacks: [{g: [h]}]"),
            "model_groups[0].router.content_policy_fallbacks",
            "write waypost.groups.<id>.content_policy_fallbacks",
        ),
    ] {
        let (_, findings) = text(&yaml).unwrap_or_else(|f| panic!("{yaml}: {f:#?}"));
        assert_eq!(findings.len(), 1, "{yaml}: {findings:#?}");
        assert_eq!(findings[0].key, key, "{yaml}");
        assert!(
            findings[0].message.contains(part),
            "{yaml}: {}",
            findings[0]
        );
    }
    let (_, findings) = groups("groups: {a: {fallbacks: [e]}}").expect("loads");
    assert_eq!(findings.len(), 1, "{findings:#?}");
    assert!(findings[0].message.contains("say so with model_info.mode"));
}

#[test]
fn every_key_arrives_where_it_is_used() {
    let config = loaded("all-keys.yml");
    let settings = &config.settings;
    assert_eq!((settings.max_fallbacks, settings.max_attempts), (3, 7));
    assert_eq!((settings.mock_testing, settings.decisions), (false, 5));
    assert!(settings.litellm_headers);
    let aliases: Vec<String> = config
        .aliases
        .iter()
        .map(|alias| format!("{} {} {}", alias.name, alias.group, alias.hidden))
        .collect();
    assert_eq!(
        aliases,
        [
            "short other false",
            "shorter other true",
            "tiny many/tiny false"
        ]
    );
    assert_eq!(
        lists(&config, "everything"),
        ["many/large other", "many/tiny", ""]
    );
    assert_eq!(lists(&config, "other"), ["", "", ""]);
    assert_eq!(lists(&config, "many/*"), ["other", "other", "other"]);

    let router = &config.groups[0].router;
    assert_eq!(router.retry_policy.of(ErrorClass::RateLimit), Some(3));
    assert_eq!(router.retry_policy.of(ErrorClass::Timeout), Some(1));
    let fails = &router.allowed_fails_policy;
    assert_eq!(fails.of(ErrorClass::RateLimit), Some(5));
    assert_eq!(fails.of(ErrorClass::Timeout), None);
    assert!(router.pre_call_checks);
    assert_eq!(router.tags, Some(TagFilter { match_any: false }));
    assert_eq!(
        router.affinity,
        Some(Affinity {
            keys: vec![AffinityKey::User, AffinityKey::Prefix],
            ttl: Duration::from_secs(300),
            max_entries: 9,
        })
    );
    assert_eq!(
        router.hedging,
        Some(Hedging {
            quantile: 0.9,
            min_delay: Duration::from_secs(1),
            max_share: 0.1,
        })
    );

    let [first, second] = config.groups[0].deployments.as_slice() else {
        panic!("not two")
    };
    assert_eq!(first.allowed_fails, Some(4));
    assert_eq!(first.allowed_fails_policy.of(ErrorClass::Timeout), Some(0));
    assert_eq!(&*first.tags, ["fast"]);
    assert_eq!(first.region.as_deref(), Some("eu"));
    assert_eq!(first.mock_response.as_deref(), Some("canned"));
    assert_eq!(
        (first.max_input_tokens, second.max_input_tokens),
        (Some(8000), Some(4000))
    );
    let able = first.abilities;
    assert_eq!(
        (able.tools, able.images, able.json_schema),
        (Some(true), Some(false), Some(true))
    );
    // Of the second the file says nothing, and the model is a known one.
    assert_eq!(second.abilities.tools, Some(true));
}

#[test]
fn what_counts_failures_may_stand_in_model_info() {
    let yaml = "model_groups: [{id: g, models: [{provider: ollama, model: m, model_info: {\
                allowed_fails: 2, allowed_fails_policy: {NotFoundErrorAllowedFails: 0}}}]}]\n";
    let (config, findings) = text(yaml).expect("loads");
    assert_eq!(findings, []);
    let deployment = &config.groups[0].deployments[0];
    assert_eq!(deployment.allowed_fails, Some(2));
    assert_eq!(
        deployment.allowed_fails_policy.of(ErrorClass::NotFound),
        Some(0)
    );
}

#[test]
fn a_file_that_says_nothing_has_the_defaults() {
    let config = config("");
    let settings = &config.settings;
    assert_eq!((settings.max_fallbacks, settings.max_attempts), (10, 12));
    assert_eq!((settings.mock_testing, settings.decisions), (true, 100));
    assert!(!settings.litellm_headers && config.aliases.is_empty());
    let router = &config.groups[0].router;
    assert!(router.retry_policy.is_empty() && router.allowed_fails_policy.is_empty());
    assert!(!router.pre_call_checks && router.tags.is_none());
    assert!(router.affinity.is_none() && router.hedging.is_none());
    let deployment = &config.groups[0].deployments[0];
    assert!(deployment.tags.is_empty() && deployment.region.is_none());
    assert!(deployment.max_input_tokens.is_none() && deployment.mock_response.is_none());
}
