use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::*;
use crate::types::Fault;

const S: Duration = Duration::from_secs(1);
const FAILED: Event = Event::Failed(ErrorClass::InternalServer);

fn limits(attempts: u32, all_cooling: AllCooling, now: Instant) -> Limits {
    Limits {
        attempts,
        policy: Policy::default(),
        most: u32::MAX,
        fallback: false,
        retry_after: Duration::ZERO,
        max_wait: 10 * S,
        max_queue_wait: 2 * S,
        all_cooling,
        deadline: now + 60 * S,
    }
}

fn none(fault: Fault, back_in: Duration) -> Availability {
    let deployments = vec![Ineligible {
        deployment: "a".into(),
        why: Why::Cooling(fault),
        back_in: Some(back_in),
    }];
    Availability::None(NoneEligible {
        group: "g".into(),
        deployments,
    })
}

fn full(others: &[(Why, Option<Duration>)]) -> Availability {
    let full = (Why::Full { limit: 1 }, None);
    let whys = std::iter::once(&full).chain(others);
    let deployments = whys.map(|(why, back_in)| Ineligible {
        deployment: "a".into(),
        why: *why,
        back_in: *back_in,
    });
    Availability::None(NoneEligible {
        group: "g".into(),
        deployments: deployments.collect(),
    })
}

fn next(plan: &mut Plan, event: Event, offer: &Availability, now: Instant) -> Step {
    plan.next(event, offer, now, &mut StdRng::seed_from_u64(3))
}

#[test]
fn another_deployment_is_tried_at_once() {
    let now = Instant::now();
    let mut plan = Plan::new(limits(2, AllCooling::Fail, now));
    plan.begin();
    assert_eq!(
        next(&mut plan, FAILED, &Availability::Fresh, now),
        Step::Try {
            even_cooling: false
        }
    );
    plan.begin();
    assert_eq!(
        next(&mut plan, FAILED, &Availability::Fresh, now),
        Step::Stop(Stop::Exhausted)
    );
}

#[test]
fn the_same_deployment_only_after_a_wait_that_grows() {
    let now = Instant::now();
    let mut plan = Plan::new(limits(9, AllCooling::Fail, now));
    let mut last = Duration::ZERO;
    for _ in 0..3 {
        plan.begin();
        let Step::Wait(wait) = next(&mut plan, FAILED, &Availability::OnlyTried, now) else {
            panic!("waits")
        };
        assert!(wait > last, "{wait:?} after {last:?}");
        last = wait;
        assert_eq!(
            next(&mut plan, Event::Waited, &Availability::OnlyTried, now),
            Step::Try {
                even_cooling: false
            }
        );
    }
}

#[test]
fn nothing_is_waited_for_after_the_last_attempt() {
    let now = Instant::now();
    let mut plan = Plan::new(limits(1, AllCooling::Wait, now));
    plan.begin();
    assert_eq!(
        next(&mut plan, FAILED, &Availability::OnlyTried, now),
        Step::Stop(Stop::Exhausted)
    );
}

#[test]
fn a_pause_before_trying_again_is_no_waiting_for_a_deployment() {
    let now = Instant::now();
    let mut plan = Plan::new(Limits {
        max_wait: Duration::ZERO,
        ..limits(3, AllCooling::Fail, now)
    });
    plan.begin();
    assert!(matches!(
        next(&mut plan, FAILED, &Availability::OnlyTried, now),
        Step::Wait(_)
    ));
}

#[test]
fn a_probe_under_way_is_waited_for() {
    let now = Instant::now();
    let why = Why::Probing;
    let deployments = vec![Ineligible {
        deployment: "a".into(),
        why,
        back_in: Some(S / 10),
    }];
    let offer = Availability::None(NoneEligible {
        group: "g".into(),
        deployments,
    });
    let mut plan = Plan::new(limits(3, AllCooling::Fail, now));
    assert!(
        matches!(next(&mut plan, Event::NoneEligible, &offer, now), Step::Wait(w) if w < S / 5)
    );
}

#[test]
fn all_cooling_at_the_start() {
    let now = Instant::now();
    let soon = none(Fault::RateLimit, 3 * S);
    let start = |how| {
        next(
            &mut Plan::new(limits(3, how, now)),
            Event::NoneEligible,
            &soon,
            now,
        )
    };
    assert!(matches!(
        start(AllCooling::Fail),
        Step::Stop(Stop::NoneEligible(_))
    ));
    assert!(matches!(start(AllCooling::Wait), Step::Wait(w) if w > 3 * S && w < 4 * S));
    assert_eq!(start(AllCooling::Try), Step::Try { even_cooling: true });
    let mut plan = Plan::new(limits(3, AllCooling::Try, now));
    plan.begin();
    assert!(
        matches!(next(&mut plan, FAILED, &soon, now), Step::Wait(w) if w < S),
        "a pause after a failure"
    );
    assert_eq!(
        next(&mut plan, Event::Waited, &soon, now),
        Step::Try { even_cooling: true }
    );
}

#[test]
fn a_begun_request_waits_if_it_is_worth_it() {
    let now = Instant::now();
    let after_one = |offer: &Availability| {
        let mut plan = Plan::new(limits(3, AllCooling::Fail, now));
        plan.begin();
        next(&mut plan, FAILED, offer, now)
    };
    assert!(matches!(
        after_one(&none(Fault::RateLimit, 3 * S)),
        Step::Wait(_)
    ));
    assert!(
        matches!(
            after_one(&none(Fault::RateLimit, 11 * S)),
            Step::Stop(Stop::NoneEligible(_))
        ),
        "too long"
    );
    assert!(
        matches!(
            after_one(&none(Fault::Credential, S)),
            Step::Stop(Stop::NoneEligible(_))
        ),
        "stays wrong"
    );
}

#[test]
fn the_deadline_covers_everything() {
    let now = Instant::now();
    let mut plan = Plan::new(limits(9, AllCooling::Wait, now));
    plan.begin();
    assert_eq!(
        next(&mut plan, FAILED, &Availability::Fresh, now + 60 * S),
        Step::Stop(Stop::Deadline)
    );
    assert_eq!(
        next(
            &mut plan,
            FAILED,
            &Availability::OnlyTried,
            now + 60 * S - S / 5
        ),
        Step::Stop(Stop::Exhausted)
    );
}

proptest! {
    /// Whatever happens, a plan ends, and never makes more attempts than its budget.
    #[test]
    fn a_plan_ends_within_its_budget(
        attempts in 0u32..6,
        how in prop::sample::select(vec![AllCooling::Fail, AllCooling::Wait, AllCooling::Try]),
        offers in prop::collection::vec((0u8..5, 0u64..20), 400),
        seed in any::<u64>(),
    ) {
        let mut now = Instant::now();
        let mut rng = StdRng::seed_from_u64(seed);
        let mut plan = Plan::new(limits(attempts, how, now));
        let end = now + 60 * S;
        let mut step = Step::Try { even_cooling: false };
        let mut ended = false;
        for (kind, seconds) in offers {
            let offer = match kind {
                0 => Availability::Fresh,
                1 => Availability::OnlyTried,
                2 => none(Fault::RateLimit, S * u32::try_from(seconds).expect("small")),
                3 => none(Fault::Quota, S),
                _ => full(&[(Why::Probing, Some(S / 10))][..usize::from(seconds % 2 == 0)]),
            };
            let event = match step {
                Step::Try { .. } if kind >= 3 => Event::NoneEligible,
                Step::Try { .. } => { plan.begin(); now += S; FAILED }
                Step::Wait(wait) => { now += wait; prop_assert!(now < end); Event::Waited }
                Step::Queue(wait) => { now += wait; prop_assert!(now <= end); Event::Waited }
                Step::Stop(_) => { ended = true; break }
            };
            step = plan.next(event, &offer, now, &mut rng);
        }
        prop_assert!(plan.made() <= attempts.max(1));
        // `Try` that finds nothing again and again is the one loop the plan itself cannot bound.
        prop_assert!(ended || matches!(step, Step::Stop(_)) || how == AllCooling::Try);
    }
}

#[test]
fn a_place_is_waited_for_in_line_and_not_for_ever() {
    let now = Instant::now();
    let stops = |step: Step| matches!(step, Step::Stop(Stop::NoneEligible(_)));
    for how in [AllCooling::Fail, AllCooling::Wait, AllCooling::Try] {
        let mut plan = Plan::new(limits(3, how, now));
        let at = |plan: &mut Plan, event, after| next(plan, event, &full(&[]), now + after);
        let none = Event::NoneEligible;
        assert_eq!(at(&mut plan, none, Duration::ZERO), Step::Queue(2 * S));
        // It was called, and another was faster: what is left is less.
        assert_eq!(at(&mut plan, Event::Waited, S), Step::Queue(S));
        assert!(stops(at(&mut plan, Event::Waited, 2 * S)), "{how:?}");
        // The next attempt has a wait of its own.
        plan.begin();
        assert_eq!(at(&mut plan, FAILED, 3 * S), Step::Queue(2 * S));
        assert!(stops(at(&mut plan, Event::Crowded, 3 * S)), "{how:?}");
        let late = 59 * S;
        plan.begin();
        assert_eq!(at(&mut plan, FAILED, late), Step::Queue(S), "the deadline");
        for limits in [
            Limits {
                max_queue_wait: Duration::ZERO,
                ..limits(3, how, now)
            },
            Limits {
                fallback: true,
                ..limits(3, how, now)
            },
        ] {
            assert!(stops(at(&mut Plan::new(limits), none, S)), "{how:?}");
        }
    }
}

#[test]
fn whoever_waits_in_line_sees_who_is_back() {
    let now = Instant::now();
    let cooling = |fault, after| (Why::Cooling(fault), Some(after));
    let start = |how, others: &[_]| {
        let mut plan = Plan::new(limits(3, how, now));
        next(&mut plan, Event::NoneEligible, &full(others), now)
    };
    for how in [AllCooling::Fail, AllCooling::Wait] {
        let soon = start(how, &[cooling(Fault::Server, S)]);
        assert!(
            matches!(soon, Step::Queue(wait) if wait > S && wait < S + S / 10),
            "{soon:?}"
        );
        for far in [cooling(Fault::Server, 9 * S), cooling(Fault::Credential, S)] {
            assert_eq!(start(how, &[far]), Step::Queue(2 * S));
        }
    }
    let cooling = cooling(Fault::Server, S);
    assert_eq!(
        start(AllCooling::Try, &[cooling]),
        Step::Try { even_cooling: true }
    );
    // When it is over, the others are waited for as if nobody had been full.
    let mut plan = Plan::new(limits(3, AllCooling::Wait, now));
    let offer = full(&[(cooling.0, Some(5 * S))]);
    next(&mut plan, Event::NoneEligible, &offer, now);
    let then = next(&mut plan, Event::Waited, &offer, now + 2 * S);
    assert!(matches!(then, Step::Wait(wait) if wait > 5 * S), "{then:?}");
}

#[test]
fn with_another_group_behind_nothing_is_waited_for() {
    let now = Instant::now();
    for how in [AllCooling::Fail, AllCooling::Wait, AllCooling::Try] {
        for offer in [
            Availability::OnlyTried,
            none(Fault::Server, S),
            none(Fault::RateLimit, S),
        ] {
            let limits = Limits {
                fallback: true,
                ..limits(9, how, now)
            };
            let mut plan = Plan::new(limits);
            plan.begin();
            let step = next(&mut plan, FAILED, &offer, now);
            assert!(matches!(step, Step::Stop(_)), "{how:?} {offer:?}: {step:?}");
        }
    }
}

#[test]
fn each_failure_is_counted_by_its_own_class() {
    let now = Instant::now();
    let mut policy = Policy::default();
    policy.set(ErrorClass::Authentication, 0);
    policy.set(ErrorClass::RateLimit, 3);
    policy.set(ErrorClass::BadRequest, 1);
    let made = |classes: &[ErrorClass], most| {
        let mut plan = Plan::new(Limits {
            policy,
            most,
            ..limits(3, AllCooling::Fail, now)
        });
        for class in classes.iter().cycle() {
            plan.begin();
            let step = next(&mut plan, Event::Failed(*class), &Availability::Fresh, now);
            if matches!(step, Step::Stop(_)) {
                return plan.made();
            }
        }
        0
    };
    use ErrorClass::{Authentication, InternalServer, RateLimit};
    for (classes, most, expected) in [
        (&[InternalServer][..], 99, 3),
        (&[Authentication], 99, 1),
        (&[RateLimit], 99, 4),
        (&[RateLimit], 2, 2),
        (&[InternalServer, Authentication], 99, 2),
        (&[InternalServer, RateLimit], 99, 3),
        (&[RateLimit, RateLimit, RateLimit, InternalServer], 99, 4),
    ] {
        assert_eq!(made(classes, most), expected, "{classes:?} {most}");
    }
    let mut plan = Plan::new(Limits {
        policy,
        ..limits(3, AllCooling::Fail, now)
    });
    plan.begin();
    assert!(plan.retries_refusal(ErrorClass::BadRequest));
    assert!(
        !plan.retries_refusal(ErrorClass::ContentPolicy),
        "nobody said so"
    );
    plan.begin();
    assert!(!plan.retries_refusal(ErrorClass::BadRequest));
}
