//! A group whose deployments speak different dialects: one that can't do what a request asks is passed over.

use serde_json::{Value, json};

use crate::support::{Gateway, Model, Reply, Scripted, Yaml, chat_body};

/// Ollama's own API, which has no `logit_bias`, before a deployment that has everything.
async fn gateway(ollama: &Scripted, other: &Scripted) -> Gateway {
    let first = Model::lines([
        "provider: ollama",
        "model: llama3.1",
        &format!("api_base: {}", ollama.url()),
        "model_info: {id: ollama}",
        "num_ctx: 8192",
        "order: 1",
    ]);
    let second = Model::lines([
        "provider: self-hosted",
        "model: m",
        &format!("api_base: {}/v1", other.url()),
        "model_info: {id: other}",
        "order: 2",
    ]);
    let yaml = Yaml::default()
        .group(
            "narrow",
            [first.clone().with("model_info: {id: ollama-alone}")],
        )
        .group("g", [first, second])
        .router("routing_strategy: simple-shuffle")
        .router("num_retries: 1")
        .router("cooldown_time: 0");
    Gateway::start(&yaml).await
}

fn biased(group: &str) -> Value {
    let mut body = chat_body(group);
    body["logit_bias"] = json!({"7": -100});
    body
}

#[tokio::test]
async fn the_request_goes_to_one_that_can_do_it() {
    let ollama = Scripted::start(|_| Reply::hang_up()).await;
    let other = Scripted::start(|_| Reply::chat()).await;
    let gateway = gateway(&ollama, &other).await;
    let answer = gateway.chat_with(&biased("g")).send().await.ok();
    assert_eq!((answer.deployment(), answer.attempts()), ("other", 1));
    assert!(ollama.seen().is_empty());
}

#[tokio::test]
async fn where_none_can_the_parameter_is_named() {
    let ollama = Scripted::start(|_| Reply::hang_up()).await;
    let other = Scripted::start(|_| Reply::chat()).await;
    let gateway = gateway(&ollama, &other).await;
    let answer = gateway.chat_with(&biased("narrow")).send().await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (400, "unsupported_parameter")
    );
    assert_eq!(answer.json()["error"]["param"], "logit_bias");
    assert!(ollama.seen().is_empty() && other.seen().is_empty());
}

#[tokio::test]
async fn a_retry_does_not_go_where_it_cannot_be_done() {
    let ollama = Scripted::start(|_| Reply::chat()).await;
    let other =
        Scripted::start(|_| Reply::json(&json!({"error": {"message": "no"}})).status(500)).await;
    let gateway = gateway(&ollama, &other).await;
    let answer = gateway.chat_with(&biased("g")).send().await;
    assert_eq!((answer.status, answer.attempts()), (500, 2));
    assert_eq!((ollama.seen().len(), other.seen().len()), (0, 2));
}
