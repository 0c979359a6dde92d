//! Attempts: who gets them, how many there are, and what is not counted as one.

use std::time::Duration;

use serde_json::json;
use waypost::lab::{Behaviour, Fault};

use crate::support::{
    Gateway, Model, STRATEGIES, Yaml, chat_body, cools, first_then_second, lab, received, s,
};

const NEVER_COOL: &str = "disable_cooldowns: true";

#[tokio::test]
async fn a_retry_goes_to_another_deployment() {
    let lab = lab(["a", "b"]);
    let gateway = Gateway::start(&first_then_second(&lab)).await;
    lab.deployment("a").behave_next(1, Fault::ServerError);
    let answer = gateway.chat("g").await.ok();
    assert_eq!((answer.deployment(), answer.attempts()), ("b", 2));
    let answer = gateway.chat("g").await.ok();
    assert_eq!((answer.deployment(), answer.attempts()), ("a", 1));
}

#[tokio::test]
async fn none_is_asked_twice_while_another_is_free() {
    for strategy in STRATEGIES {
        let lab = lab(["a", "b", "c", "d"]);
        lab.deployments()
            .iter()
            .for_each(|d| d.set(Fault::ServerError));
        let yaml = Yaml::over(&lab).router(&format!("routing_strategy: {strategy}"));
        let gateway = Gateway::start(&yaml.router("num_retries: 3").router(NEVER_COOL)).await;
        let answer = gateway.chat("g").await;
        assert_eq!((answer.status, answer.attempts()), (500, 4));
        assert_eq!(received(&lab), [1, 1, 1, 1], "{strategy}");
    }
}

#[tokio::test]
async fn the_budget_covers_everything_and_the_end_is_final() {
    for (retries, expected) in [(0, 1), (1, 2), (2, 3)] {
        let lab = lab(["a", "b", "c", "d"]);
        lab.deployments()
            .iter()
            .for_each(|d| d.set(Fault::Unavailable { retry_after: None }));
        let gateway =
            Gateway::start(&Yaml::over(&lab).router(&format!("num_retries: {retries}"))).await;
        let answer = gateway.chat("g").await;
        assert_eq!(answer.status, 503);
        assert_eq!(answer.attempts(), expected);
        assert_eq!(received(&lab).iter().sum::<u64>(), u64::from(expected));
        assert_eq!(answer.header("x-should-retry"), Some("false"));
        assert_eq!(
            answer.json()["error"]["type"],
            "overloaded_error",
            "the upstream's own words"
        );
    }
}

#[tokio::test]
async fn retries_an_sdk_has_made_are_taken_off_the_budget() {
    for own in ["", "num_retries: 2"] {
        for (made, expected) in [("0", 3), ("1", 2), ("2", 1), ("9", 1), ("no number", 3)] {
            let lab = lab(["a", "b", "c", "d"]);
            lab.deployments()
                .iter()
                .for_each(|d| d.set(Fault::ServerError));
            let mut yaml = Yaml::over(&lab).router("num_retries: 2");
            if !own.is_empty() {
                yaml = yaml.each(own);
            }
            let gateway = Gateway::start(&yaml).await;
            let request = gateway
                .chat_with(&chat_body("g"))
                .header("x-stainless-retry-count", made);
            let answer = request.send().await;
            assert_eq!(
                answer.attempts(),
                expected,
                "{made} made, {own:?} at the models"
            );
            assert_eq!(received(&lab).iter().sum::<u64>(), u64::from(expected));
        }
    }
}

#[tokio::test]
async fn a_deployment_may_allow_its_own_number_of_retries() {
    let lab = lab(["a", "b", "c"]);
    lab.deployments()
        .iter()
        .for_each(|d| d.set(Fault::ServerError));
    let gateway = Gateway::start(
        &Yaml::over(&lab)
            .router("num_retries: 2")
            .each("num_retries: 0"),
    )
    .await;
    assert_eq!(gateway.chat("g").await.attempts(), 1);
}

#[tokio::test]
async fn attempts_before_a_refused_request_are_counted() {
    let lab = lab(["a", "b"]);
    lab.deployment("a").set(Fault::ServerError);
    lab.deployment("b").set(Fault::BadRequest {
        param: "temperature".into(),
    });
    let gateway = Gateway::start(&first_then_second(&lab)).await;
    let answer = gateway.chat("g").await;
    assert_eq!(
        (answer.status, answer.attempts(), answer.deployment()),
        (400, 2, "b")
    );
}

#[tokio::test]
async fn a_single_deployment_is_asked_again_after_a_pause() {
    let lab = lab(["a"]);
    lab.deployment("a").behave_next(1, Fault::ServerError);
    let gateway = Gateway::start(&Yaml::over(&lab)).await;
    let answer = gateway.chat("g").await.ok();
    assert_eq!((answer.deployment(), answer.attempts()), ("a", 2));
    let times: Vec<_> = lab
        .deployment("a")
        .requests()
        .iter()
        .map(|r| r.received)
        .collect();
    assert!(
        times[1] - times[0] >= Duration::from_millis(250),
        "half of the first back-off at least"
    );
}

#[tokio::test]
async fn a_pause_beyond_the_deadline_ends_with_the_failure_itself() {
    let lab = lab(["a"]);
    lab.deployment("a").set(Fault::ServerError);
    let yaml = Yaml::over(&lab)
        .router("retry_after: 5")
        .waypost("groups: {g: {deadline: 3s}}");
    let gateway = Gateway::start(&yaml).await;
    let answer = gateway.chat("g").await;
    assert_eq!(
        (answer.status, answer.attempts()),
        (500, 1),
        "{}",
        answer.text()
    );
    assert_eq!(answer.json()["error"]["type"], "server_error");
}

#[tokio::test]
async fn the_deadline_covers_all_attempts_and_blames_nobody() {
    let lab = lab(["a", "b"]);
    lab.deployments()
        .iter()
        .for_each(|d| d.set(Fault::HangBeforeHead));
    let yaml = Yaml::over(&lab)
        .router("allowed_fails: 0")
        .waypost("groups: {g: {deadline: 100ms}}");
    let (gateway, _clock) = Gateway::with_manual_clock(&yaml).await;
    let answer = gateway.chat("g").await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (504, "request_timeout")
    );
    assert!(
        answer.message().contains("within 0.1 s"),
        "{}",
        answer.message()
    );
    assert_eq!(answer.attempts(), 1);
    assert!(!cools(&gateway, 0) && !cools(&gateway, 1));
    for deployment in lab.deployments() {
        deployment.wait_for(|stats| stats.in_flight == 0).await;
    }
}

#[tokio::test]
async fn a_pooled_connection_that_died_costs_no_attempt() {
    let lab = lab(["a"]);
    let a = lab.deployment("a");
    let gateway = Gateway::start(&Yaml::over(&lab).router("num_retries: 0")).await;
    gateway.chat("g").await.ok();
    a.set(Fault::ResetReused);
    let answer = gateway.chat("g").await.ok();
    assert_eq!(answer.attempts(), 1);
    assert_eq!(a.stats().connections, 2);
    a.set(Behaviour::default());
    a.close_connections().await;
    assert_eq!(gateway.chat("g").await.ok().attempts(), 1);
    assert_eq!(gateway.in_flight("g"), [0]);
}

#[tokio::test]
async fn a_fresh_connection_that_breaks_is_a_failed_attempt() {
    let lab = lab(["a", "b"]);
    lab.deployment("a").set(Fault::Reset);
    let gateway = Gateway::start(&first_then_second(&lab)).await;
    let answer = gateway.chat("g").await.ok();
    assert_eq!((answer.deployment(), answer.attempts()), ("b", 2));
    assert_eq!(received(&lab), [1, 1]);
}

#[tokio::test]
async fn trying_the_cooling_is_no_hammering() {
    let lab = lab(["a"]);
    lab.deployment("a").set(Fault::rate_limit_for(s(9)));
    let yaml = Yaml::over(&lab)
        .router("num_retries: 1")
        .waypost("all_cooling: try");
    let gateway = Gateway::start(&yaml).await;
    assert_eq!(gateway.chat("g").await.status, 429);
    let times: Vec<_> = lab
        .deployment("a")
        .requests()
        .iter()
        .map(|r| r.received)
        .collect();
    if let [first, second] = times[..] {
        assert!(
            second - first >= Duration::from_millis(250),
            "asked again after {:?}",
            second - first
        );
    }
}

#[tokio::test]
async fn embeddings_and_completions_are_tried_again_too() {
    for (path, body) in [
        ("/v1/embeddings", json!({"model": "g", "input": "hello"})),
        ("/v1/completions", json!({"model": "g", "prompt": "hello"})),
        (
            "/openai/deployments/g/chat/completions?api-version=2024-10-21",
            chat_body("ignored"),
        ),
    ] {
        let lab = lab(["a", "b"]);
        lab.deployment("a").set(Fault::ServerError);
        let models = [
            Model::of(lab.deployment("a")).with("order: 1"),
            Model::of(lab.deployment("b")),
        ];
        let gateway = Gateway::start(&Yaml::default().group("g", models)).await;
        let answer = gateway.post(path).json(&body).send().await.ok();
        assert_eq!((answer.deployment(), answer.attempts()), ("b", 2), "{path}");
    }
}
