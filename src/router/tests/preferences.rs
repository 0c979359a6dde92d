//! Choosing and counting in two steps comes to the same as in one.

use proptest::strategy::Strategy as _;

use super::super::explain::By;
use super::*;
use crate::types::Totals;

const KINDS: [StrategyKind; 5] = [
    StrategyKind::SimpleShuffle,
    StrategyKind::LeastBusy,
    StrategyKind::Latency,
    StrategyKind::Cost,
    StrategyKind::Usage,
];

/// Two that are alike.
fn twins(kind: StrategyKind, specs: &[(Option<u32>, Option<u64>)]) -> [Router; 2] {
    [0, 1].map(|_| {
        let all = specs.iter().enumerate().map(|(i, (order, rpm))| {
            let mut deployment = deployment(&format!("d{i}"));
            (deployment.order, deployment.rpm) = (*order, *rpm);
            deployment
        });
        router(kind, all.collect())
    })
}

proptest! {
    #[test]
    fn the_first_is_what_begin_picks(
        kind in prop::sample::select(&KINDS[..]),
        specs in prop::collection::vec((prop::option::of(0u32..3), prop::option::of(1u64..4)), 1..12),
        tried in prop::collection::vec(0usize..12, 0..4),
        rounds in prop::collection::vec((0u64..3).prop_map(Duration::from_secs), 1..20),
    ) {
        let [one, two] = twins(kind, &specs);
        let mut now = Instant::now();
        for pause in rounds {
            now += pause;
            let ask = ask(&tried, now);
            let preferences = two.preferences(&ask);
            let mut places: Vec<_> = preferences.iter().map(|p| p.index).collect();
            match one.begin(&ask) {
                Ok(attempt) => {
                    let first = preferences[0];
                    prop_assert_eq!((first.index, first.by), (attempt.index(), attempt.by()));
                    two.begin_at(&ask, first).expect("it is free");
                    // The others need not be thrown for.
                    two.desk.lock().expect("not poisoned").dice = one.desk.lock().expect("not poisoned").dice.clone();
                }
                Err(_) => prop_assert!(preferences.is_empty()),
            }
            let fresh = |place: &usize| !tried.contains(place);
            prop_assert!(places.is_sorted_by_key(|place| !fresh(place)), "{:?}", places);
            let untried: Vec<_> = places.iter().filter(|place| fresh(place)).collect();
            prop_assert!(untried.is_sorted_by_key(|place| specs[**place].0.unwrap_or(u32::MAX)));
            prop_assert!(places.len() <= 8);
            places.sort_unstable();
            places.dedup();
            prop_assert_eq!(places.len(), preferences.len());
        }
    }
}

/// One with a limit that is reserved elsewhere, and one place.
fn reserved_elsewhere() -> Router {
    let mut a = deployment("a");
    a.rpm = Some(1);
    a.max_parallel_requests = Some(1);
    a.scores = Arc::new(Scores::default().with_reservations());
    router(StrategyKind::SimpleShuffle, vec![a])
}

#[test]
fn a_reservation_that_is_not_used_is_counted() {
    let r = reserved_elsewhere();
    let now = Instant::now();
    let ask = ask(&[], now);
    let [preference] = r.preferences(&ask)[..] else {
        panic!("one");
    };
    assert_eq!(
        preference,
        Preference {
            index: 0,
            by: By::OnlyOne
        }
    );
    let scores = &r.deployments()[0].scores;
    let counts = || {
        (
            scores.minute(1).requests,
            scores.reserved(1).expect("counted").requests,
        )
    };
    let attempt = r.begin_at(&ask, preference).expect("a place");
    assert_eq!(counts(), (1, 1));
    assert!(
        r.begin_at(&ask, preference).is_none(),
        "its one place is taken"
    );
    assert_eq!(counts(), (1, 2));
    drop(attempt);
    // The limit of the minute is kept where the place was reserved.
    let attempt = r.begin_at(&ask, preference).expect("a place");
    assert_eq!(counts(), (2, 3));
    fail(attempt, Fault::RateLimit, now);
    assert!(r.begin_at(&ask, preference).is_none(), "it is cooling");
    assert_eq!(counts(), (2, 4));
    assert_eq!(scores.reserved(1).expect("counted").tokens, 40);
    assert_eq!(scores.reserved(2).expect("counted"), Totals::default());
}

#[test]
fn who_is_full_by_another_count_is_back_with_the_next_minute() {
    let r = reserved_elsewhere();
    let why = Why::OverRpm { limit: 1, used: 1 };
    let unfit = [(0, why)];
    let ask = Ask {
        unfit: &unfit,
        ..ask(&[], Instant::now())
    };
    assert!(r.preferences(&ask).is_empty());
    let none = r.begin(&ask).expect_err("full");
    assert_eq!(none.unfit(), None);
    assert_eq!(none.deployments[0].why, why);
    assert_eq!(none.first_back_in(), Some(30 * S));
    let unfit = [(0, Why::Uncounted)];
    let none = r
        .begin(&Ask {
            unfit: &unfit,
            ..ask
        })
        .expect_err("unknown");
    assert!(none.may_pass() && none.unfit().is_none());
    assert_eq!(none.first_back_in(), None);
}
