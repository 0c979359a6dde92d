//! LiteLLM's headers beside our own, for clients that look for them.

use waypost::lab::Fault;

use crate::support::{Gateway, Model, Yaml, lab};

#[tokio::test]
async fn they_come_where_they_are_wanted() {
    let lab = lab(["a", "b"]);
    lab.deployment("a").set(Fault::ServerError);
    let priced = Model::of(lab.deployment("b"))
        .with("input_cost_per_token: 0.5")
        .with("output_cost_per_token: 0");
    let yaml = Yaml::default()
        .group("g", [lab.deployment("a")])
        .router("num_retries: 2")
        .group("h", [priced])
        .waypost("groups: {g: {fallbacks: [h]}}");
    let names = [
        "x-litellm-call-id",
        "x-litellm-model-group",
        "x-litellm-model-id",
        "x-litellm-attempted-retries",
        "x-litellm-attempted-fallbacks",
        "x-litellm-response-cost",
        "x-litellm-response-duration-ms",
    ];
    let gateway = Gateway::start(&yaml).await;
    let answer = gateway.chat("g").await.ok();
    assert!(names.iter().all(|name| answer.header(name).is_none()));

    let gateway = Gateway::start(&yaml.waypost("litellm_headers: true")).await;
    let answer = gateway.chat("g").await.ok();
    let said = |name: &str| answer.header(name).expect("the header").to_owned();
    assert_eq!(said("x-litellm-call-id"), said("x-request-id"));
    assert_eq!(said("x-litellm-model-group"), "h");
    assert_eq!(said("x-litellm-model-id"), "b");
    assert_eq!(said("x-litellm-attempted-retries"), "0");
    assert_eq!(said("x-litellm-attempted-fallbacks"), "1");
    let input = answer.json()["usage"]["prompt_tokens"].as_f64();
    let cost: f64 = said("x-litellm-response-cost").parse().expect("dollars");
    assert_eq!(Some(cost), input.map(|tokens| tokens / 2.0));
    let took: f64 = said("x-litellm-response-duration-ms").parse().expect("ms");
    assert!(took > 0.0);
    // Of what went wrong, too; of a stream the cost is not known with its head.
    lab.deployment("b").set(Fault::ServerError);
    let failed = gateway.chat("h").await;
    assert_eq!(failed.header("x-litellm-attempted-retries"), Some("2"));
    assert_eq!(failed.header("x-litellm-response-cost"), None);
}
