//! What an explanation says is what a request then gets, and asking for it changes nothing.

use proptest::strategy::Strategy as _;

use super::super::explain::{By, Chosen, Considered, Decision, Reason};
use super::super::strategy::Number;
use super::*;
use crate::types::{AffinityKey, CostReading, UsageReading};

const KINDS: [StrategyKind; 5] = [
    StrategyKind::SimpleShuffle,
    StrategyKind::LeastBusy,
    StrategyKind::Latency,
    StrategyKind::Cost,
    StrategyKind::Usage,
];

/// All that an explanation might change.
fn state(r: &Router) -> (String, Dice) {
    let desk = r.desk.lock().expect("not poisoned");
    let numbers = format!("{:?} {:?}", r.deployments, desk.conversations);
    (numbers, desk.dice.clone())
}

fn dropped(decision: &Decision) -> Vec<Option<(Reason, Option<f64>)>> {
    let reason = |d: &Considered| {
        d.dropped
            .as_ref()
            .map(|d| (d.reason.clone(), d.back_in_seconds))
    };
    decision.deployments.iter().map(reason).collect()
}

#[test]
fn every_reason_is_told() {
    let mut rpm = deployment("rpm");
    rpm.rpm = Some(0);
    let mut tpm = deployment("tpm");
    tpm.tpm = Some(0);
    let mut full = deployment("full");
    full.max_parallel_requests = Some(0);
    let mut first = deployment("first");
    first.order = Some(1);
    let mut tried = deployment("tried");
    tried.order = Some(1);
    let r = router(
        StrategyKind::LeastBusy,
        vec![
            deployment("cooling"),
            deployment("probing"),
            rpm,
            tpm,
            full,
            deployment("unfit"),
            tried,
            deployment("later"),
            first,
        ],
    );
    let now = Instant::now();
    let only = |index: usize| {
        let others = (0..9).filter(|i| *i != index);
        others.map(|i| (i, Why::Unfit)).collect::<Vec<_>>()
    };
    let unfit = only(1);
    let one = |now| Ask {
        unfit: &unfit,
        ..ask(&[], now)
    };
    fail(r.begin(&one(now)).expect("it"), Fault::Connect, now);
    let later = now + 5 * S;
    let probe = r.begin(&one(later)).expect("a probe");
    let unfit = only(0);
    let other = Ask {
        unfit: &unfit,
        ..ask(&[], later)
    };
    fail(r.begin(&other).expect("it"), Fault::RateLimit, later);
    let asked = Ask {
        unfit: &[(5, Why::Unfit)],
        ..ask(&[6], later + S)
    };
    let decision = r.explain(&asked);
    let cooling = Reason::Cooling {
        cause: "rate_limit",
    };
    assert_eq!(
        dropped(&decision),
        [
            Some((cooling, Some(4.0))),
            Some((Reason::Probing, Some(0.1))),
            Some((Reason::OverRpm { limit: 0, used: 0 }, Some(30.0))),
            Some((
                Reason::OverTpm {
                    limit: 0,
                    used: 0,
                    needed: 10
                },
                Some(30.0)
            )),
            Some((Reason::OverMaxParallelRequests { limit: 0 }, None)),
            Some((Reason::Unfit, None)),
            Some((Reason::Tried, None)),
            Some((Reason::Order { lowest: 1 }, None)),
            None,
        ]
    );
    let chosen = |name: &str, by, again, index| Chosen {
        deployment: name.into(),
        by,
        again,
        index,
    };
    assert_eq!(
        decision.chosen,
        Some(chosen("first", By::OnlyOne, false, 8))
    );
    let mut rehearsal = r.rehearse();
    for (tried, expected) in [
        (&[6][..], chosen("first", By::OnlyOne, false, 8)),
        (&[6, 8], chosen("later", By::OnlyOne, false, 7)),
        (&[6, 7], chosen("first", By::OnlyOne, false, 8)),
        // Of those that are left to try again, the lowest order.
        (&[7, 8], chosen("tried", By::OnlyOne, false, 6)),
    ] {
        assert_eq!(rehearsal.choose(&Ask { tried, ..asked }), Some(expected));
    }
    let all = Ask {
        tried: &[6, 7, 8],
        ..asked
    };
    let again = rehearsal.choose(&all).expect("one of them");
    assert!(again.again && again.by == By::Strategy && again.index != 7);
    drop(probe);
}

#[test]
fn the_one_that_goes_first_after_a_cooldown_is_marked() {
    let r = router(StrategyKind::LeastBusy, vec![deployment("a")]);
    let now = Instant::now();
    fail(r.begin(&ask(&[], now)).expect("a"), Fault::Connect, now);
    let probes = |at, even_cooling| {
        let asked = Ask {
            even_cooling,
            ..ask(&[], at)
        };
        let decision = r.explain(&asked);
        (
            decision.deployments[0].probe,
            decision.chosen.map(|chosen| chosen.by),
        )
    };
    assert_eq!(probes(now, false), (false, None));
    assert_eq!(probes(now, true), (false, Some(By::LeastBad)));
    assert_eq!(probes(now + 5 * S, false), (true, Some(By::OnlyOne)));
}

#[test]
fn the_names_of_what_was_compared_are_those_of_the_numbers() {
    let readings = [
        Args::default(),
        Args {
            cost_reading: CostReading::Total,
            usage_reading: UsageReading::Total,
            ..Args::default()
        },
    ];
    for (kind, args) in KINDS.into_iter().flat_map(|k| readings.map(|a| (k, a))) {
        let strategy = build(kind, args);
        assert_eq!(strategy.kind(), kind);
        let r = Router::new(
            "g".into(),
            vec![Arc::new(deployment("a"))],
            strategy,
            StdRng::seed_from_u64(1),
        );
        let decision = r.explain(&ask(&[], Instant::now()));
        assert!(!decision.compares.is_empty());
        let json = serde_json::to_value(&decision).expect("JSON");
        let numbers = json["deployments"][0]["numbers"].as_object();
        for name in json["compares"].as_array().expect("names") {
            let name = name.as_str().expect("a name");
            assert!(numbers.expect("numbers").contains_key(name), "{name}");
        }
    }
}

#[test]
fn as_json() {
    let mut a = deployment("a");
    a.weight = Some(1.5);
    a.price = Some(Price::of_tokens(Cost(Cost::PER_DOLLAR / 1000), Cost(0)).into());
    let mut b = deployment("b");
    b.rpm = Some(0);
    b.order = Some(1);
    let r = router(StrategyKind::SimpleShuffle, vec![a, b]);
    let json = serde_json::to_value(r.explain(&ask(&[], Instant::now()))).expect("JSON");
    let numbers = |weight: Option<f64>, rpm: Option<u64>, cost: Option<f64>| {
        serde_json::json!({"weight": weight, "rpm": rpm, "tpm": null, "max_parallel_requests": null, "in_flight": 0,
            "latency_seconds": null, "minute_requests": 0, "minute_tokens": 0, "total_tokens": 0, "spent_dollars": 0.0,
            "cost_dollars": cost})
    };
    assert_eq!(
        json,
        serde_json::json!({
            "group": "g", "strategy": "simple-shuffle", "compares": ["weight", "rpm", "tpm"],
            "deployments": [
                {"deployment": "a", "kept": true, "reason": null, "order": null, "probe": false,
                 "numbers": numbers(Some(1.5), None, Some(0.01))},
                {"deployment": "b", "kept": false, "order": 1, "probe": false,
                 "reason": {"kind": "over_rpm", "limit": 0, "used": 0, "back_in_seconds": 30.0},
                 "numbers": numbers(None, Some(0), None)},
            ],
            "chosen": {"deployment": "a", "by": "only_one", "again": false},
        })
    );
    assert_eq!(
        serde_json::to_value(Number::Latency).expect("JSON"),
        "latency_seconds"
    );
}

fn limited() -> impl proptest::prelude::Strategy<Value = Deployment> {
    let some = prop::option::of(0u32..4);
    (
        some.clone(),
        some.clone(),
        some.clone(),
        some.clone(),
        prop::option::of(1u32..3),
        some,
    )
        .prop_map(|(weight, rpm, tpm, parallel, order, price)| {
            let mut d = deployment("d");
            d.weight = weight.map(f64::from);
            d.rpm = rpm.map(|n| u64::from(n) * 3);
            d.tpm = tpm.map(|n| u64::from(n) * 40);
            d.max_parallel_requests = parallel.map(|n| n + 1);
            d.order = order;
            d.price = price.map(|n| Price::of_tokens(Cost(n.into()), Cost(0)).into());
            d
        })
}

proptest! {
    /// Whatever happened before, under every strategy: nothing changes, the choice is what the next request gets, and
    /// the choices after it are what it gets as the ones before fail.
    #[test]
    fn foretells_and_changes_nothing(
        kind in prop::sample::select(&KINDS[..]),
        seed in any::<u64>(),
        deployments in prop::collection::vec(limited(), 1..6),
        steps in prop::collection::vec((0u8..7, any::<prop::sample::Index>()), 0..40),
        tried in prop::collection::vec(0usize..5, 0..3),
        unfit in prop::collection::vec(0usize..5, 0..2),
        (streaming, even_cooling) in any::<(bool, bool)>(),
        conversation in prop::option::of(0u64..3),
    ) {
        let deployments = deployments.into_iter().map(Arc::new).collect();
        let rng = StdRng::seed_from_u64(seed);
        // Most steps are of conversations, the last request may be of one of them.
        let affinity = Affinity { keys: vec![AffinityKey::User], ttl: 30 * S, max_entries: 2 };
        let r = Router::new("g".into(), deployments, build(kind, Args::default()), rng)
            .with_affinity(Some(&affinity));
        let mut now = Instant::now();
        let mut open: Vec<Attempt> = Vec::new();
        for (step, which) in steps {
            match step {
                0..3 => open.extend(r.begin(&Ask { conversation: Some(step.into()), ..ask(&[], now) })),
                3 => now += S,
                _ if open.is_empty() => {}
                4 => { open.swap_remove(which.index(open.len())).settle(Outcome::Success, now); }
                5 => fail(open.swap_remove(which.index(open.len())), Fault::Connect, now),
                _ => fail(open.swap_remove(which.index(open.len())), Fault::Server, now),
            }
        }
        let unfit: Vec<_> = unfit.iter().map(|i| (*i, Why::Unfit)).collect();
        let asked = Ask { unfit: &unfit, streaming, even_cooling, conversation, ..ask(&tried, now) };
        let before = state(&r);
        let decision = r.explain(&asked);
        prop_assert!(before == state(&r), "it changed something");
        prop_assert_eq!(&decision, &r.explain(&asked));

        let kept = decision.deployments.iter().filter(|d| d.kept).count();
        let by = decision.chosen.as_ref().map(|chosen| chosen.by);
        prop_assert_eq!(by, match kept {
            0 => by.filter(|by| even_cooling && *by == By::LeastBad),
            1 => Some(By::OnlyOne),
            _ => by.filter(|by| *by == By::Affinity && conversation.is_some()).or(Some(By::Strategy)),
        });
        prop_assert!(decision.deployments.iter().all(|d| d.kept == d.dropped.is_none()));
        prop_assert!(!dropped(&decision).iter().flatten().any(|(reason, _)| *reason == Reason::JustBack));

        // What comes after it is foretold as if each one failed.
        let mut rehearsal = r.rehearse();
        let mut foretold = Vec::new();
        let mut tried = tried.clone();
        while let Some(chosen) = rehearsal.choose(&Ask { tried: &tried, ..asked }).filter(|chosen| !chosen.again) {
            tried.push(chosen.index);
            foretold.push(chosen);
        }
        tried.truncate(tried.len() - foretold.len());
        prop_assert!(before == state(&r), "it changed something");
        let (other, first): (Vec<_>, Vec<_>) = decision.chosen.iter().partition(|chosen| chosen.again);
        prop_assert_eq!(foretold.first(), first.first().copied());
        for chosen in foretold.iter().chain(other) {
            let attempt = r.begin(&Ask { tried: &tried, ..asked }).expect("what was foretold");
            prop_assert_eq!(attempt.index(), chosen.index);
            tried.push(chosen.index);
            fail(attempt, Fault::Server, now);
        }
        if decision.chosen.is_none() {
            prop_assert!(r.begin(&asked).is_err());
        }
    }
}
