//! Situations in which gateways are known to go wrong, each as its users met it.

use futures_util::future::join;
use serde_json::json;
use waypost::lab::{Behaviour, Fault, Hold};

use crate::support::{Gateway, Yaml, chat_body, held, lab, received, together};

const LEAST_BUSY: &str = "routing_strategy: least-busy";

#[tokio::test]
async fn streams_that_clients_leave_are_not_in_flight_for_ever() {
    let lab = lab(["a", "b"]);
    lab.deployments()
        .iter()
        .for_each(|d| d.set(Behaviour::hold(Hold::After(2))));
    let gateway = Gateway::start(&Yaml::over(&lab).router(LEAST_BUSY)).await;
    let mut streams = Vec::new();
    for _ in 0..10 {
        let mut stream = gateway.stream("g").await;
        stream
            .chunk()
            .await
            .expect("a first chunk")
            .expect("in order");
        streams.push(stream);
    }
    assert_eq!(gateway.in_flight("g"), [5, 5]);
    drop(streams);
    for deployment in lab.deployments() {
        deployment
            .wait_for(|stats| stats.cancelled == 5 && stats.in_flight == 0)
            .await;
    }
    let app = gateway.stop().await;
    let group = app.gateway().snapshot().group("g").expect("the group");
    assert!(
        group
            .router
            .deployments()
            .iter()
            .all(|d| d.scores.in_flight() == 0)
    );
}

#[tokio::test]
async fn answers_from_the_cache_do_not_touch_a_deployment() {
    let lab = lab(["a", "b"]);
    let yaml = Yaml::over(&lab)
        .router(LEAST_BUSY)
        .router("cache_responses: true");
    let gateway = Gateway::start(&yaml).await;
    gateway.chat("g").await.ok();
    lab.deployments()
        .iter()
        .for_each(|d| d.set(Behaviour::hold(Hold::BeforeHead)));
    let mut other = chat_body("g");
    other["temperature"] = json!(0);
    let hits = async {
        held(lab.deployments(), 1).await;
        for _ in 0..3 {
            assert_eq!(
                gateway.chat("g").await.ok().header("x-waypost-cache"),
                Some("hit")
            );
        }
        let in_flight: u32 = gateway.in_flight("g").iter().sum();
        lab.deployments()
            .iter()
            .for_each(waypost::lab::Handle::release);
        in_flight
    };
    let (answer, in_flight) = join(gateway.chat_with(&other).send(), hits).await;
    assert_eq!(answer.ok().header("x-waypost-cache"), Some("miss"));
    assert_eq!(in_flight, 1);
    assert_eq!(received(&lab).iter().sum::<u64>(), 2);
}

#[tokio::test]
async fn a_dead_one_of_two_fails_no_request() {
    let lab = lab(["a", "b"]);
    lab.deployment("a").refuse(true).await;
    let (gateway, _clock) = Gateway::with_manual_clock(&Yaml::over(&lab)).await;
    let mut attempts = 0;
    for _ in 0..20 {
        attempts += gateway.chat("g").await.ok().attempts();
    }
    assert!(
        attempts <= 21,
        "the dead one was asked {} times",
        attempts - 20
    );
}

#[tokio::test]
async fn a_dead_azure_region_cools() {
    let lab = lab(["a", "b"]);
    lab.deployment("a").refuse(true).await;
    let azure = |name| crate::support::Model::azure(lab.deployment(name), "2024-10-21");
    let models = [azure("a").with("order: 1"), azure("b").with("order: 2")];
    let (gateway, _clock) = Gateway::with_manual_clock(&Yaml::default().group("g", models)).await;
    let mut attempts = Vec::new();
    for _ in 0..4 {
        attempts.push(gateway.chat("g").await.ok().attempts());
    }
    assert_eq!(attempts, [2, 1, 1, 1]);
}

#[tokio::test]
async fn equal_requests_at_once_are_one_call_whatever_the_order_of_their_fields() {
    let lab = lab(["a", "b"]);
    lab.deployments()
        .iter()
        .for_each(|d| d.set(Behaviour::hold(Hold::BeforeHead)));
    let gateway = Gateway::start(&Yaml::over(&lab).router("cache_responses: true")).await;
    let bodies = [
        r#"{"model":"g","messages":[],"seed":1}"#,
        r#"{ "seed": 1, "messages": [], "model": "g" }"#,
    ];
    let requests = (0..10).map(|i| gateway.post("/chat/completions").body(bodies[i % 2]));
    let release = async {
        held(lab.deployments(), 1).await;
        lab.deployments()
            .iter()
            .for_each(waypost::lab::Handle::release);
    };
    let (answers, ()) = join(together(requests), release).await;
    assert!(
        answers
            .iter()
            .all(|answer| answer.status == 200 && answer.body == answers[0].body)
    );
    assert_eq!(received(&lab).iter().sum::<u64>(), 1);
}

#[tokio::test]
async fn the_cache_answers_while_all_are_cooling() {
    let lab = lab(["a"]);
    let yaml = Yaml::over(&lab)
        .router("cache_responses: true")
        .router("num_retries: 0");
    let (gateway, _clock) = Gateway::with_manual_clock(&yaml).await;
    let kept = gateway.chat("g").await.ok();
    lab.deployment("a").set(Fault::rate_limit());
    let mut other = chat_body("g");
    other["seed"] = json!(2);
    assert_eq!(gateway.chat_with(&other).send().await.status, 429);
    assert_eq!(gateway.chat("g").await.ok().body, kept.body);
    assert_eq!(lab.deployment("a").stats().requests, 2);
}

#[tokio::test]
async fn words_in_a_message_do_not_decide() {
    let lab = lab(["a"]);
    let (gateway, _clock) =
        Gateway::with_manual_clock(&Yaml::over(&lab).router("num_retries: 0")).await;
    let says = |status: u16| {
        let message = "rate limit reached, quota exceeded, maximum context length, invalid api key";
        Fault::status(
            status,
            json!({"error": {"message": message, "type": "server_error", "param": null, "code": null}}),
        )
    };
    lab.deployment("a").behave_next(2, says(500));
    for _ in 0..2 {
        let answer = gateway.chat("g").await;
        assert_eq!((answer.status, answer.code().as_str()), (500, ""));
        assert_eq!(answer.json()["error"]["type"], "server_error");
    }
    gateway.chat("g").await.ok();
    assert_eq!(
        lab.deployment("a").stats().requests,
        3,
        "two failures are no reason to sit out"
    );
}
