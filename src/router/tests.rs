use proptest::prelude::*;
use rand::SeedableRng;

use super::strategy::{Args, build};
use super::*;
use crate::router::cooldown::Rule;
use crate::router::scores::{Scores, minute_of};
use crate::types::{
    Abilities, Auth, Clocks, Cost, Dialect, Dropping, ErrorClass, Fault, Policy, Price, Provenance,
    Quirks, Rates, StrategyKind, Target, TlsOptions,
};

mod explain;
mod fit;
mod preferences;
mod queue;
mod threads;

const S: Duration = Duration::from_secs(1);

fn deployment(id: &str) -> Deployment {
    let target = Target {
        id: id.into(),
        provider: "openai".into(),
        dialect: Dialect::OpenAi {
            completions_only: false,
        },
        base_url: "http://127.0.0.1:1/v1".to_owned(),
        model: id.into(),
        price_model: id.into(),
        auth: Auth::None,
        defaults: vec![],
        extra_body: vec![],
        extra_headers: vec![],
        renames: &[],
        stream_options: true,
        encoding_format: true,
        quirks: &Quirks::OPENAI,
        dropping: Dropping::default(),
        tls: TlsOptions::default(),
        organization: None,
    };
    Deployment {
        target: Arc::new(target),
        weight: None,
        rpm: None,
        tpm: None,
        max_parallel_requests: None,
        order: None,
        price: None,
        tags: Arc::default(),
        region: None,
        max_input_tokens: None,
        abilities: Abilities::default(),
        rule: Rule {
            cooldown_time: 5 * S,
            allowed_fails: None,
            allowed_fails_policy: Policy::default(),
        },
        num_retries: None,
        clocks: Clocks::default(),
        scores: Arc::new(Scores::default()),
    }
}

fn router(kind: StrategyKind, deployments: Vec<Deployment>) -> Router {
    let deployments = deployments.into_iter().map(Arc::new).collect();
    Router::new(
        "g".into(),
        deployments,
        build(kind, Args::default()),
        StdRng::seed_from_u64(1),
    )
}

fn ask(tried: &[usize], now: Instant) -> Ask<'_> {
    let tokens = TokenUsage {
        input: 10,
        ..TokenUsage::default()
    };
    Ask {
        tried,
        unfit: &[],
        now,
        unix: 90 * S,
        tokens,
        streaming: false,
        even_cooling: false,
        conversation: None,
        ticket: None,
    }
}

fn fail(attempt: Attempt, fault: Fault, now: Instant) {
    attempt.settle(
        Outcome::Failed {
            fault,
            class: ErrorClass::InternalServer,
            retry_after: None,
        },
        now,
    );
}

#[test]
fn thirty_at_once_are_fifteen_each() {
    let r = router(
        StrategyKind::LeastBusy,
        vec![deployment("a"), deployment("b")],
    );
    let now = Instant::now();
    let held: Vec<_> = (0..30)
        .map(|_| r.begin(&ask(&[], now)).expect("one"))
        .collect();
    assert!(r.deployments().iter().all(|d| d.scores.in_flight() == 15));
    drop(held);
    assert!(r.deployments().iter().all(|d| d.scores.in_flight() == 0));
}

#[test]
fn a_tried_one_is_used_again_only_alone() {
    let r = router(
        StrategyKind::SimpleShuffle,
        vec![deployment("a"), deployment("b")],
    );
    let now = Instant::now();
    for _ in 0..20 {
        assert_eq!(r.begin(&ask(&[0], now)).expect("b").index(), 1);
    }
    assert_eq!(r.availability(&ask(&[0], now)), Availability::Fresh);
    assert_eq!(r.availability(&ask(&[0, 1], now)), Availability::OnlyTried);
    fail(r.begin(&ask(&[0], now)).expect("b"), Fault::Connect, now);
    assert_eq!(r.availability(&ask(&[0], now)), Availability::OnlyTried);
    assert_eq!(r.begin(&ask(&[0], now)).expect("a").index(), 0);
}

#[test]
fn refusals_say_why_and_until_when() {
    let mut rpm = deployment("rpm");
    rpm.rpm = Some(1);
    let mut tpm = deployment("tpm");
    tpm.tpm = Some(15);
    let mut full = deployment("full");
    full.max_parallel_requests = Some(1);
    let r = router(
        StrategyKind::LeastBusy,
        vec![deployment("cooling"), rpm, tpm, full],
    );
    let now = Instant::now();
    fail(
        r.begin(&ask(&[1, 2, 3], now)).expect("cooling"),
        Fault::Credential,
        now,
    );
    drop(r.begin(&ask(&[2, 3], now)).expect("rpm"));
    let held: Vec<_> = (0..2)
        .map(|_| r.begin(&ask(&[], now)).expect("tpm, full"))
        .collect();
    let refusal = r.begin(&ask(&[], now)).expect_err("none");
    let whys: Vec<_> = refusal
        .deployments
        .iter()
        .map(|d| (&*d.deployment, d.why, d.back_in))
        .collect();
    assert_eq!(
        whys,
        [
            ("cooling", Why::Cooling(Fault::Credential), Some(5 * S)),
            ("rpm", Why::OverRpm { limit: 1, used: 1 }, Some(30 * S)),
            (
                "tpm",
                Why::OverTpm {
                    limit: 15,
                    used: 10
                },
                Some(30 * S)
            ),
            ("full", Why::Full { limit: 1 }, None),
        ]
    );
    assert_eq!(
        refusal.first_back_in(),
        Some(30 * S),
        "a wrong key is not worth waiting for"
    );
    drop(held);
    assert!(r.begin(&ask(&[], now)).is_ok());
}

#[test]
fn whoever_looked_at_the_clock_before_the_minute_turned_does_not_turn_it_back() {
    let mut limited = deployment("limited");
    limited.rpm = Some(3);
    let r = router(StrategyKind::SimpleShuffle, vec![limited]);
    let begins = |unix: Duration| {
        let ask = Ask {
            unix,
            ..ask(&[], Instant::now())
        };
        r.begin(&ask).is_ok()
    };
    let late = 60 * S - Duration::from_millis(1);
    let begun = [60 * S, 60 * S, 60 * S, 60 * S, late, 60 * S].map(begins);
    assert_eq!(begun, [true, true, true, false, false, false]);
}

#[test]
fn a_request_larger_than_the_limit_gets_a_minute_to_itself() {
    let mut small = deployment("small");
    small.tpm = Some(5);
    let r = router(StrategyKind::SimpleShuffle, vec![small]);
    let held = r.begin(&ask(&[], Instant::now())).expect("the first");
    assert!(r.begin(&ask(&[], Instant::now())).is_err());
    drop(held);
}

#[test]
fn the_lowest_order_first_and_none_is_last() {
    let mut first = deployment("first");
    first.order = Some(1);
    let mut second = deployment("second");
    second.order = Some(2);
    let r = router(
        StrategyKind::LeastBusy,
        vec![deployment("last"), second, first],
    );
    let now = Instant::now();
    for expected in ["first", "second", "last"] {
        let attempt = r.begin(&ask(&[], now)).expect("one");
        assert_eq!(&*attempt.deployment().target.id, expected);
        fail(attempt, Fault::NotFound, now);
    }
}

#[test]
fn a_probe_has_told_with_its_first_content() {
    let r = router(StrategyKind::LeastBusy, vec![deployment("a")]);
    let now = Instant::now();
    fail(r.begin(&ask(&[], now)).expect("a"), Fault::RateLimit, now);
    let later = now + 5 * S;
    let streaming = Ask {
        streaming: true,
        ..ask(&[], later)
    };
    let mut probe = r.begin(&streaming).expect("the probe");
    assert!(r.begin(&ask(&[], later)).is_err(), "alone");
    probe.note_first_content(later);
    drop(
        r.begin(&ask(&[], later))
            .expect("no need to wait for the end of a stream"),
    );
    fail(probe, Fault::Broken, later);
    drop(
        r.begin(&ask(&[], later))
            .expect("an ordinary failure by now"),
    );
    assert_eq!(r.deployments()[0].scores.in_flight(), 0);
}

#[test]
fn one_probe_after_a_cooldown() {
    let r = router(StrategyKind::SimpleShuffle, vec![deployment("a")]);
    let now = Instant::now();
    fail(r.begin(&ask(&[], now)).expect("a"), Fault::RateLimit, now);
    assert!(r.begin(&ask(&[], now)).is_err());
    let later = now + 5 * S;
    let probe = r.begin(&ask(&[], later)).expect("the probe");
    let refusal = r.begin(&ask(&[], later)).expect_err("one at a time");
    assert_eq!(refusal.deployments[0].why, Why::Probing);
    drop(probe);
    let probe = r
        .begin(&ask(&[], later))
        .expect("a cancelled probe is no verdict");
    probe.settle(Outcome::Success, later);
    let held = (r.begin(&ask(&[], later)), r.begin(&ask(&[], later)));
    assert!(held.0.is_ok() && held.1.is_ok());
}

#[test]
fn by_latency_one_that_cooled_is_probed_first_and_judged_by_that() {
    for streaming in [false, true] {
        let r = router(
            StrategyKind::Latency,
            vec![deployment("a"), deployment("b")],
        );
        let now = Instant::now();
        let of = |tried: &'static [usize], now| Ask {
            streaming,
            ..ask(tried, now)
        };
        let answered = |mut attempt: Attempt, now: Instant| {
            attempt.note_first_content(now + S);
            attempt.settle(Outcome::Success, now + S);
        };
        answered(r.begin(&of(&[1], now)).expect("a"), now);
        answered(r.begin(&of(&[0], now)).expect("b"), now);
        // Together, so that each counts as slower than the one before.
        let failing: Vec<Attempt> = (0..5)
            .map(|_| r.begin(&of(&[1], now)).expect("a"))
            .collect();
        for attempt in failing {
            fail(attempt, Fault::Connect, now);
        }
        assert_eq!(r.begin(&of(&[], now)).expect("b").index(), 1, "cooling");
        let later = now + 5 * S;
        let probe = r.begin(&of(&[], later)).expect("a");
        assert_eq!(probe.index(), 0, "half open");
        assert_eq!(r.begin(&of(&[], later)).expect("b").index(), 1, "alone");
        answered(probe, later);
        let scores = &r.deployments()[0].scores;
        assert_eq!(scores.latency(streaming, later + S), Some(S));
        assert_eq!(scores.latency(!streaming, later + S), None);
    }
}

#[test]
fn even_cooling_takes_the_one_that_is_back_first() {
    let r = router(
        StrategyKind::SimpleShuffle,
        vec![deployment("a"), deployment("b")],
    );
    let now = Instant::now();
    fail(
        r.begin(&ask(&[1], now)).expect("a"),
        Fault::Connect,
        now + S,
    );
    fail(r.begin(&ask(&[0], now)).expect("b"), Fault::Connect, now);
    let attempt = r
        .begin(&Ask {
            even_cooling: true,
            ..ask(&[], now + S)
        })
        .expect("b");
    assert_eq!(attempt.index(), 1);
}

#[test]
fn usage_and_cost_are_counted_once_however_it_ends() {
    let mut d = deployment("a");
    d.price = Some(
        Price {
            rates: Rates {
                input: Cost(2),
                output: Cost(3),
                cached_input: Some(Cost(1)),
                ..Rates::default()
            },
            ..Price::default()
        }
        .into(),
    );
    d.tpm = Some(1000);
    let r = router(StrategyKind::SimpleShuffle, vec![d]);
    let now = Instant::now();
    let usage = TokenUsage {
        input: 100,
        output: 10,
        cached_input: 40,
        provenance: Provenance::Reported,
        ..TokenUsage::default()
    };
    let mut attempt = r.begin(&ask(&[], now)).expect("a");
    attempt.note_usage(usage);
    attempt.settle(Outcome::Success, now);
    let mut attempt = r.begin(&ask(&[], now)).expect("a");
    attempt.note_usage(usage);
    drop(attempt);
    let scores = &r.deployments()[0].scores;
    assert_eq!(scores.spent(), Cost(2 * (60 * 2 + 40 + 10 * 3)));
    assert_eq!(scores.total_tokens(), 220);
    assert_eq!(scores.minute(minute_of(90 * S)).tokens, 220);
}

proptest! {
    /// Whatever happens to attempts, in whatever order, nothing is in flight at rest, and a cooling deployment is
    /// never picked while another is free.
    #[test]
    fn in_flight_is_zero_at_rest(steps in prop::collection::vec((0u8..6, any::<prop::sample::Index>()), 0..80)) {
        let kinds = [StrategyKind::SimpleShuffle, StrategyKind::LeastBusy, StrategyKind::Latency, StrategyKind::Cost, StrategyKind::Usage];
        let r = router(kinds[steps.len() % 5], vec![deployment("a"), deployment("b"), deployment("c")]);
        let mut now = Instant::now();
        let mut open: Vec<Attempt> = Vec::new();
        for (step, which) in steps {
            match step {
                0 | 1 => if let Ok(attempt) = r.begin(&ask(&[], now)) {
                    open.push(attempt);
                },
                _ if open.is_empty() => now += S,
                step => {
                    let attempt = open.swap_remove(which.index(open.len()));
                    match step {
                        2 => drop(attempt),
                        3 => { attempt.settle(Outcome::Success, now); }
                        4 => { attempt.settle(Outcome::Refused(ErrorClass::BadRequest), now); }
                        _ => fail(attempt, Fault::Server, now),
                    }
                }
            }
            let flying: u32 = r.deployments().iter().map(|d| d.scores.in_flight()).sum();
            prop_assert_eq!(flying as usize, open.len());
        }
        let panicking = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _held = std::mem::take(&mut open);
            std::panic::resume_unwind(Box::new("a task died"));
        }));
        prop_assert!(panicking.is_err());
        prop_assert!(r.deployments().iter().all(|d| d.scores.in_flight() == 0));
    }
}

proptest! {
    /// Whatever the requests reserve and then use, nothing is begun beyond the limit; so that it is exceeded only by what
    /// those under way at the last begin use beyond their reservations, and by nothing if none does.
    #[test]
    fn tokens_exceed_the_limit_only_by_what_nobody_could_know(
        steps in prop::collection::vec((0u8..8, 1u64..60, 0u64..90, any::<prop::sample::Index>()), 1..120),
    ) {
        const TPM: u64 = 100;
        let mut limited = deployment("a");
        limited.tpm = Some(TPM);
        let r = router(StrategyKind::SimpleShuffle, vec![limited]);
        let now = Instant::now();
        let (mut unix, mut unknown) = (90 * S, 0);
        let mut open: Vec<(Attempt, u64, u64)> = Vec::new();
        for (step, reserve, use_, which) in steps {
            let minute = minute_of(unix);
            if step == 0 {
                unix += 25 * S;
                if minute_of(unix) != minute {
                    unknown = 0;
                }
            } else if step < 5 || open.is_empty() {
                let input = |input| TokenUsage { input, ..TokenUsage::default() };
                let ask = Ask { unix, tokens: input(reserve), ..ask(&[], now) };
                let before = r.deployments()[0].scores.minute(minute).tokens;
                let begun = r.begin(&ask);
                prop_assert_eq!(begun.is_ok(), before + reserve <= TPM);
                if let Ok(attempt) = begun {
                    open.push((attempt, minute, reserve));
                    unknown = 0;
                }
            } else {
                let (mut attempt, begun, reserved) = open.swap_remove(which.index(open.len()));
                attempt.note_usage(TokenUsage { output: use_, ..TokenUsage::default() });
                attempt.settle(Outcome::Success, now);
                if begun == minute {
                    unknown += use_.saturating_sub(reserved);
                }
            }
            let used = r.deployments()[0].scores.minute(minute_of(unix)).tokens;
            prop_assert!(used <= TPM + unknown, "{} used, {} unknown", used, unknown);
        }
    }
}
