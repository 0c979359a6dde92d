//! `allowed_fails_policy`, and what deployments say of their own.

use std::sync::Arc;

use serde_json::json;
use waypost::clock::ManualClock;
use waypost::config::Config;
use waypost::lab::{Fault, Lab};
use waypost::types::{ErrorClass, Policy};

use super::{NO_WAIT, ONCE};
use crate::support::{Gateway, Yaml, cools, lab, load, received, s};

const UNAVAILABLE: Fault = Fault::Unavailable { retry_after: None };

fn policy(class: ErrorClass, allowed: u32) -> Policy {
    let mut policy = Policy::default();
    policy.set(class, allowed);
    policy
}

async fn gateway(lab: &Lab, change: impl FnOnce(&mut Config)) -> (Gateway, Arc<ManualClock>) {
    let yaml = Yaml::over(lab)
        .router(ONCE)
        .router("cooldown_time: 30")
        .waypost(NO_WAIT);
    let mut config = load(&yaml.to_string());
    change(&mut config);
    let clock = Arc::new(ManualClock::new());
    let gateway = Gateway::of(&config, Arc::<ManualClock>::clone(&clock)).await;
    (gateway, clock)
}

fn status(status: u16) -> Fault {
    Fault::Status {
        status,
        body: json!({"error": {"message": "no", "type": "error", "code": null, "param": null}}),
        headers: Default::default(),
    }
}

#[tokio::test]
async fn each_class_has_its_own_allowance() {
    use ErrorClass as C;
    for (fault, class) in [
        (Fault::rate_limit_for(s(60)), C::RateLimit),
        (Fault::InsufficientQuota, C::RateLimit),
        (Fault::Unauthorized, C::Authentication),
        (Fault::DeploymentNotFound, C::NotFound),
        (Fault::Timeout, C::Timeout),
        (Fault::ServerError, C::InternalServer),
        (Fault::Reset, C::InternalServer),
        (UNAVAILABLE, C::ServiceUnavailable),
        (status(502), C::BadGateway),
        (status(504), C::Timeout),
        (Fault::ContentFilter, C::ContentPolicy),
        (
            Fault::BadRequest {
                param: "temperature".to_owned(),
            },
            C::BadRequest,
        ),
        (Fault::ContextLength, C::BadRequest),
    ] {
        let lab = lab(["a"]);
        lab.deployment("a").set(fault.clone());
        let change = |config: &mut Config| {
            config.groups[0].router.allowed_fails_policy = policy(class, 3);
        };
        let (gateway, _clock) = gateway(&lab, change).await;
        for n in 1..=4 {
            assert_ne!(gateway.chat("g").await.status, 200);
            assert_eq!(cools(&gateway, 0), n == 4, "{fault:?}: {n}");
        }
        let answer = gateway.chat("g").await;
        assert_eq!(answer.attempts(), 0, "{fault:?}: {}", answer.text());
        assert_eq!(received(&lab), [4], "{fault:?}");
    }
}

#[tokio::test]
async fn a_class_without_a_number_goes_by_the_general_rule() {
    let lab = lab(["a"]);
    let change = |config: &mut Config| {
        let router = &mut config.groups[0].router;
        router.allowed_fails = Some(1);
        router.allowed_fails_policy = policy(ErrorClass::ServiceUnavailable, 9);
    };
    let (gateway, _clock) = gateway(&lab, change).await;
    let a = lab.deployment("a");
    a.behave_next(5, UNAVAILABLE);
    for _ in 0..5 {
        assert_eq!(gateway.chat("g").await.status, 503);
    }
    a.behave_next(2, Fault::ServerError);
    for cooled in [false, true] {
        assert_eq!(gateway.chat("g").await.status, 500);
        assert_eq!(cools(&gateway, 0), cooled, "only two of them count");
    }
}

#[tokio::test]
async fn the_callers_own_fault_cools_where_it_is_named_and_the_answer_says_so() {
    let lab = lab(["a"]);
    let a = lab.deployment("a");
    let change = |config: &mut Config| {
        config.groups[0].router.allowed_fails_policy = policy(ErrorClass::ContentPolicy, 0);
    };
    let (gateway, clock) = gateway(&lab, change).await;
    a.behave_next(20, Fault::ContextLength);
    for _ in 0..20 {
        assert_eq!(gateway.chat("g").await.status, 400);
        assert!(!cools(&gateway, 0), "not named");
    }
    a.behave_next(1, Fault::ContentFilter);
    assert_eq!(gateway.chat("g").await.status, 400);
    let answer = gateway.chat("g").await;
    assert_eq!(
        (answer.status, answer.header("retry-after")),
        (503, Some("30"))
    );
    assert!(
        answer
            .message()
            .contains("a is cooling down (refused, back in 30.0 s)"),
        "{}",
        answer.message()
    );
    let metrics = gateway.get("/metrics").await.ok();
    let metrics = metrics.text();
    let series = r#"waypost_cooldowns_total{group="g",deployment="a",cause="refused"} 1"#;
    assert!(metrics.contains(series), "{metrics}");
    clock.advance(s(30));
    gateway.chat("g").await.ok();
}

#[tokio::test]
async fn failures_of_streams_have_classes_too() {
    let lab = lab(["a"]);
    let a = lab.deployment("a");
    let change = |config: &mut Config| {
        config.groups[0].router.allowed_fails_policy = policy(ErrorClass::InternalServer, 1);
    };
    let (gateway, _clock) = gateway(&lab, change).await;
    a.behave_next(2, Fault::Cut { after: 1 });
    for cooled in [false, true] {
        gateway.stream("g").await.finish().await;
        assert_eq!(cools(&gateway, 0), cooled);
    }
}

#[tokio::test]
async fn a_deployments_own_settings_stand_over_the_routers() {
    use ErrorClass as C;
    let lab = lab(["a", "b"]);
    for name in ["a", "b"] {
        lab.deployment(name).set(Fault::rate_limit());
    }
    let change = |config: &mut Config| {
        let group = &mut config.groups[0];
        group.router.num_retries = 1;
        group.router.allowed_fails = Some(0);
        group.router.allowed_fails_policy = policy(C::RateLimit, 0);
        let a = &mut group.deployments[0];
        a.allowed_fails = Some(1);
        a.allowed_fails_policy = policy(C::RateLimit, 1);
        a.cooldown_time = Some(s(7));
    };
    let (gateway, clock) = gateway(&lab, change).await;
    let cool = || [0, 1].map(|index| cools(&gateway, index));
    assert_eq!(gateway.chat("g").await.status, 429);
    assert_eq!(cool(), [false, true], "each was asked once");
    assert_eq!(gateway.chat("g").await.status, 429);
    assert_eq!(cool(), [true, true]);
    clock.advance(s(7));
    assert_eq!(cool(), [false, true], "and its own time to cool");

    let lab = crate::support::lab(["a"]);
    lab.deployment("a").set(Fault::ServerError);
    let change = |config: &mut Config| {
        config.groups[0].router.allowed_fails = Some(0);
        config.groups[0].deployments[0].allowed_fails = Some(2);
    };
    let (gateway, _clock) = self::gateway(&lab, change).await;
    for n in 1..=3 {
        assert_eq!(gateway.chat("g").await.status, 500);
        assert_eq!(cools(&gateway, 0), n == 3);
    }
}
