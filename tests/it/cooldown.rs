//! Sitting out: for how long, for what, and how a deployment comes back.

mod policies;

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, join, select};
use waypost::lab::{Behaviour, Fault, Handle, Hold};

use crate::support::{
    Gateway, Yaml, chat_body, cools, first_then_second, held, lab, received, s, together,
};

const ONCE: &str = "num_retries: 0";
const NO_WAIT: &str = "max_wait: 0s";

/// Fails so once it is released.
fn later(fault: Fault) -> Behaviour {
    Behaviour {
        hold: Some(Hold::BeforeHead),
        ..fault.into()
    }
}

#[tokio::test]
async fn a_429_cools_exactly_as_long_as_it_asks() {
    for (fault, lasts) in [
        (Fault::rate_limit_for(s(7)), s(7)),
        (
            Fault::RateLimit {
                retry_after: None,
                retry_after_ms: Some(2500),
            },
            Duration::from_millis(2500),
        ),
        (Fault::rate_limit(), s(9)),
        (Fault::rate_limit_for(s(0)), s(1)),
        (Fault::rate_limit_for(s(86_400)), s(300)),
        (
            Fault::Status {
                status: 429,
                body: serde_json::json!({"error": {"message": "Rate limit reached."}}),
                headers: [
                    ("x-ratelimit-remaining-tokens", "0"),
                    ("x-ratelimit-reset-tokens", "1m6s"),
                ]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            },
            s(66),
        ),
        (Fault::InsufficientQuota, s(9)),
    ] {
        let lab = lab(["a"]);
        let (gateway, clock) =
            Gateway::with_manual_clock(&Yaml::over(&lab).router(ONCE).router("cooldown_time: 9"))
                .await;
        lab.deployment("a").behave_next(1, fault.clone());
        gateway.chat("g").await;
        let instant = Duration::from_millis(1);
        clock.advance(lasts - instant);
        assert!(cools(&gateway, 0), "{fault:?}");
        assert_ne!(gateway.chat("g").await.status, 200);
        assert_eq!(received(&lab), [1], "{fault:?}");
        clock.advance(instant);
        gateway.chat("g").await.ok();
        assert_eq!(received(&lab), [2], "{fault:?}");
    }
}

#[tokio::test]
async fn of_two_deadlines_the_later_one_holds() {
    let lab = lab(["a"]);
    let a = lab.deployment("a");
    for seconds in [60, 5] {
        a.behave_next(1, later(Fault::rate_limit_for(s(seconds))));
    }
    let (gateway, clock) = Gateway::with_manual_clock(&Yaml::over(&lab).router(ONCE)).await;
    let release = async {
        held(lab.deployments(), 2).await;
        a.release();
    };
    let requests = vec![gateway.chat_with(&chat_body("g")); 2];
    join(together(requests), release).await;
    clock.advance(s(59));
    assert!(cools(&gateway, 0));
    clock.advance(s(1));
    gateway.chat("g").await.ok();
}

#[tokio::test]
async fn allowed_fails_are_allowed_and_one_more_is_not() {
    let lab = lab(["a"]);
    lab.deployment("a").set(Fault::ServerError);
    let yaml = Yaml::over(&lab)
        .router(ONCE)
        .router("allowed_fails: 2")
        .router("cooldown_time: 30");
    let (gateway, clock) = Gateway::with_manual_clock(&yaml).await;
    for n in 1..=3 {
        assert_eq!(gateway.chat("g").await.status, 500);
        assert_eq!(cools(&gateway, 0), n == 3);
    }
    assert_eq!(gateway.chat("g").await.status, 503);
    assert_eq!(received(&lab), [3]);
    clock.advance(s(30));
    assert_eq!(gateway.chat("g").await.status, 500);
    assert!(
        cools(&gateway, 0),
        "the one that goes first decides, whatever is allowed"
    );
}

#[tokio::test]
async fn three_failures_in_a_row_cool_unless_something_else_is_said() {
    let lab = lab(["a"]);
    let (gateway, _clock) = Gateway::with_manual_clock(&Yaml::over(&lab).router(ONCE)).await;
    let a = lab.deployment("a");
    a.behave_next(2, Fault::ServerError);
    a.behave_next(1, Behaviour::default());
    a.behave_next(1, Fault::ServerError);
    for expected in [500, 500, 200, 500] {
        assert_eq!(gateway.chat("g").await.status, expected);
        assert!(!cools(&gateway, 0));
    }
    // More than half of at least five have failed now.
    a.behave_next(1, Fault::ServerError);
    assert_eq!(gateway.chat("g").await.status, 500);
    assert!(cools(&gateway, 0));
}

#[tokio::test]
async fn a_refused_connection_cools_at_once_and_zero_cooldown_never() {
    for (line, cooled) in [
        ("cooldown_time: 5", true),
        ("cooldown_time: 0", false),
        ("disable_cooldowns: true", false),
    ] {
        let lab = lab(["a", "b"]);
        lab.deployment("a").refuse(true).await;
        let (gateway, _clock) =
            Gateway::with_manual_clock(&first_then_second(&lab).router(line)).await;
        assert_eq!(gateway.chat("g").await.ok().attempts(), 2);
        assert_eq!(cools(&gateway, 0), cooled, "{line}");
        assert_eq!(
            gateway.chat("g").await.ok().attempts(),
            if cooled { 1 } else { 2 }
        );
    }
}

#[tokio::test]
async fn when_all_are_cooling_the_answer_says_why_and_until_when() {
    let lab = lab(["a", "b"]);
    lab.deployment("a").set(Fault::rate_limit_for(s(20)));
    lab.deployment("b").set(Fault::rate_limit_for(s(12)));
    let (gateway, clock) = Gateway::with_manual_clock(&Yaml::over(&lab)).await;
    assert_eq!(gateway.chat("g").await.status, 429);
    clock.advance(s(2));
    let answer = gateway.chat("g").await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (429, "no_deployment_available")
    );
    assert_eq!(answer.header("retry-after"), Some("10"));
    assert_eq!(answer.header("retry-after-ms"), Some("10000"));
    assert_eq!(answer.attempts(), 0);
    let message = answer.message();
    for part in [
        "`g`",
        "a is cooling down (rate_limit, back in 18.0 s)",
        "b is cooling down (rate_limit, back in 10.0 s)",
    ] {
        assert!(message.contains(part), "{message}");
    }
    assert_eq!(received(&lab), [1, 1]);
}

#[tokio::test]
async fn when_all_are_cooling_for_other_reasons_it_is_a_503() {
    let lab = lab(["a", "b"]);
    lab.deployment("a").set(Fault::rate_limit_for(s(20)));
    lab.deployment("b").refuse(true).await;
    let (gateway, _clock) =
        Gateway::with_manual_clock(&Yaml::over(&lab).router("num_retries: 1")).await;
    gateway.chat("g").await;
    let answer = gateway.chat("g").await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (503, "no_deployment_available")
    );
    assert_eq!(answer.header("retry-after"), Some("5"));
    assert!(
        answer.message().contains("b is cooling down (connect"),
        "{}",
        answer.message()
    );
}

#[tokio::test]
async fn a_request_may_wait_for_the_first_to_be_back() {
    let lab = lab(["a"]);
    lab.deployment("a").behave_next(1, Fault::rate_limit());
    let yaml = Yaml::over(&lab)
        .router(ONCE)
        .router("cooldown_time: 0.05")
        .waypost("all_cooling: wait");
    let gateway = Gateway::start(&yaml).await;
    assert_eq!(gateway.chat("g").await.status, 429);
    assert_eq!(gateway.chat("g").await.ok().attempts(), 1);
}

#[tokio::test]
async fn a_wait_that_would_be_too_long_is_not_begun() {
    let lab = lab(["a"]);
    lab.deployment("a").set(Fault::rate_limit_for(s(100)));
    let yaml = Yaml::over(&lab)
        .router(ONCE)
        .waypost("all_cooling: wait")
        .waypost("max_wait: 50s");
    let (gateway, _clock) = Gateway::with_manual_clock(&yaml).await;
    assert_eq!(gateway.chat("g").await.status, 429);
    let answer = gateway.chat("g").await;
    assert_eq!(
        (answer.status, answer.header("retry-after")),
        (429, Some("100"))
    );
    assert_eq!(received(&lab), [1]);
}

#[tokio::test]
async fn a_request_may_try_the_one_that_is_back_first() {
    let lab = lab(["a", "b"]);
    lab.deployment("a")
        .behave_next(1, Fault::rate_limit_for(s(50)));
    lab.deployment("b")
        .behave_next(1, Fault::rate_limit_for(s(40)));
    let yaml = Yaml::over(&lab)
        .router("num_retries: 1")
        .waypost("groups: {g: {all_cooling: try}}");
    let (gateway, _clock) = Gateway::with_manual_clock(&yaml).await;
    assert_eq!(gateway.chat("g").await.status, 429);
    let answer = gateway.chat("g").await.ok();
    assert_eq!((answer.deployment(), answer.attempts()), ("b", 1));
}

#[tokio::test]
async fn one_request_goes_first_and_its_success_lets_the_others_follow() {
    let lab = lab(["a"]);
    let a = lab.deployment("a");
    let (gateway, clock) =
        Gateway::with_manual_clock(&Yaml::over(&lab).router(ONCE).waypost(NO_WAIT)).await;
    a.behave_next(1, Fault::rate_limit_for(s(5)));
    gateway.chat("g").await;
    clock.advance(s(5));
    a.set(Behaviour::hold(Hold::BeforeHead));
    let others = async {
        held(lab.deployments(), 1).await;
        let refused = together(vec![gateway.chat_with(&chat_body("g")); 5]).await;
        a.set(Behaviour::default());
        a.release();
        refused
    };
    let (first, refused) = join(gateway.chat("g"), others).await;
    first.ok();
    for answer in refused {
        assert_eq!(answer.status, 503);
        assert!(
            answer.message().contains("a is being probed"),
            "{}",
            answer.message()
        );
        assert!(answer.header("retry-after").is_some());
    }
    assert_eq!(received(&lab), [2]);
    let answers = together(vec![gateway.chat_with(&chat_body("g")); 5]).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
}

#[tokio::test]
async fn the_others_wait_a_moment_for_it() {
    let lab = lab(["a"]);
    let a = lab.deployment("a");
    let (gateway, clock) = Gateway::with_manual_clock(&Yaml::over(&lab).router(ONCE)).await;
    a.behave_next(1, Fault::rate_limit_for(s(5)));
    gateway.chat("g").await;
    clock.advance(s(5));
    a.behave_next(1, Behaviour::hold(Hold::BeforeHead));
    let release = async {
        held(lab.deployments(), 1).await;
        a.release();
    };
    let (answers, ()) = join(
        together(vec![gateway.chat_with(&chat_body("g")); 5]),
        release,
    )
    .await;
    assert!(
        answers.iter().all(|answer| answer.status == 200),
        "{answers:?}"
    );
    assert_eq!(received(&lab), [6]);
}

#[tokio::test]
async fn the_others_do_not_wait_for_it_where_there_is_another_deployment() {
    let lab = lab(["a", "b"]);
    let (a, b) = (lab.deployment("a"), lab.deployment("b"));
    let (gateway, clock) = Gateway::with_manual_clock(&first_then_second(&lab)).await;
    a.behave_next(1, Fault::rate_limit_for(s(5)));
    gateway.chat("g").await.ok();
    clock.advance(s(5));
    a.set(Behaviour::hold(Hold::BeforeHead));
    let others = async {
        held(lab.deployments(), 1).await;
        let answers = together(vec![gateway.chat_with(&chat_body("g")); 5]).await;
        a.release();
        answers
    };
    let (first, others) = join(gateway.chat("g"), others).await;
    assert_eq!(first.ok().deployment(), "a");
    assert!(
        others
            .iter()
            .all(|answer| answer.status == 200 && answer.deployment() == "b")
    );
    assert_eq!((a.stats().requests, b.stats().requests), (2, 6));
}

#[tokio::test]
async fn one_that_goes_first_and_leaves_makes_room_for_the_next() {
    let lab = lab(["a"]);
    let a = lab.deployment("a");
    let (gateway, clock) =
        Gateway::with_manual_clock(&Yaml::over(&lab).router(ONCE).waypost(NO_WAIT)).await;
    a.behave_next(1, Fault::rate_limit_for(s(5)));
    gateway.chat("g").await;
    clock.advance(s(5));
    a.behave_next(1, Behaviour::hold(Hold::BeforeHead));
    {
        let first = pin!(gateway.chat("g"));
        let observed = pin!(async {
            held(lab.deployments(), 1).await;
            assert_eq!(gateway.chat("g").await.status, 503);
        });
        assert!(
            matches!(select(first, observed).await, Either::Right(_)),
            "held"
        );
    }
    a.wait_for(|stats| stats.in_flight == 0).await;
    gateway.chat("g").await.ok();
}

#[tokio::test]
async fn a_stream_that_goes_first_has_done_so_when_it_speaks() {
    let lab = lab(["a"]);
    let a = lab.deployment("a");
    let (gateway, clock) = Gateway::with_manual_clock(&Yaml::over(&lab).router(ONCE)).await;
    a.behave_next(1, Fault::rate_limit_for(s(5)));
    gateway.chat("g").await;
    clock.advance(s(5));
    a.behave_next(1, Behaviour::hold(Hold::After(1)));
    let mut long = gateway.stream("g").await;
    long.chunk().await.expect("begun").expect("in order");
    // It may go on for minutes; the others need not wait for its end.
    let answers = together(vec![gateway.chat_with(&chat_body("g")); 3]).await;
    assert!(
        answers.iter().all(|answer| answer.status == 200),
        "{answers:?}"
    );
    a.release();
    long.finish().await.ok();
}

#[tokio::test]
async fn what_will_not_pass_is_not_waited_for() {
    let lab = lab(["a", "b"]);
    lab.deployment("a").set(Fault::Unauthorized);
    lab.deployment("b").set(Fault::rate_limit_for(s(40)));
    let (gateway, _clock) =
        Gateway::with_manual_clock(&Yaml::over(&lab).router("num_retries: 1")).await;
    gateway.chat("g").await;
    let answer = gateway.chat("g").await;
    assert_eq!(answer.code(), "no_deployment_available");
    assert_eq!(
        answer.header("retry-after"),
        Some("40"),
        "a refused key is as wrong in five seconds"
    );
}

#[tokio::test]
async fn one_that_goes_first_and_fails_cools_again() {
    let lab = lab(["a"]);
    let a = lab.deployment("a");
    let yaml = Yaml::over(&lab).router(ONCE).router("cooldown_time: 5");
    let (gateway, clock) = Gateway::with_manual_clock(&yaml).await;
    a.behave_next(1, Fault::rate_limit());
    a.behave_next(1, Fault::ServerError);
    gateway.chat("g").await;
    clock.advance(s(5));
    assert_eq!(gateway.chat("g").await.status, 500);
    clock.advance(s(4));
    assert_eq!(gateway.chat("g").await.status, 503);
    assert_eq!(received(&lab), [2]);
    clock.advance(s(1));
    gateway.chat("g").await.ok();
}

#[tokio::test]
async fn loading_weights_is_no_fault() {
    let lab = lab(["a", "b"]);
    lab.deployment("a").set(Fault::Loading);
    let (gateway, _clock) =
        Gateway::with_manual_clock(&first_then_second(&lab).router("allowed_fails: 0")).await;
    for _ in 0..5 {
        assert_eq!(gateway.chat("g").await.ok().deployment(), "b");
        assert!(!cools(&gateway, 0));
    }
    lab.deployment("a").reset();
    assert_eq!(gateway.chat("g").await.ok().deployment(), "a");
}

#[tokio::test]
async fn metrics_and_models_answer_while_all_are_cooling() {
    let lab = lab(["a"]);
    lab.deployment("a").set(Fault::rate_limit());
    let (gateway, _clock) = Gateway::with_manual_clock(&Yaml::over(&lab).router(ONCE)).await;
    gateway.chat("g").await;
    for path in [
        "/readyz",
        "/livez",
        "/v1/models",
        "/v1/models/g",
        "/metrics",
    ] {
        gateway.get(path).await.ok();
    }
    let seen: Vec<u64> = lab
        .deployments()
        .iter()
        .map(Handle::stats)
        .map(|stats| stats.requests)
        .collect();
    assert_eq!(seen, [1], "none of them asks a deployment");
}
