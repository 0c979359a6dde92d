//! Chat over deployments that only complete a prompt (`use_chat_completions_endpoint: false`).

use serde_json::{Value, json};
use waypost::lab::{Behaviour, Fault, Lab};

use crate::support::{Gateway, Yaml, chat_body, lab, received};

const COMPLETIONS: &str = "use_chat_completions_endpoint: false";

async fn gateway(lab: &Lab) -> Gateway {
    for deployment in lab.deployments() {
        deployment.set(Behaviour {
            completions_only: true,
            ..Behaviour::text("Hé, you.")
        });
    }
    Gateway::start(&Yaml::over(lab).router(COMPLETIONS)).await
}

#[tokio::test]
async fn messages_become_a_prompt_and_the_text_a_message() {
    let lab = lab(["a"]);
    let gateway = gateway(&lab).await;
    let mut body = chat_body("g");
    body["messages"] =
        json!([{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi!"}]);
    body["max_completion_tokens"] = json!(20);
    let answer = gateway.chat_with(&body).send().await.ok().json();
    assert_eq!(answer["object"], "chat.completion");
    assert_eq!(
        answer["choices"][0]["message"],
        json!({"role": "assistant", "content": "Hé, you."})
    );
    assert!(answer["usage"]["total_tokens"].is_u64());
    let sent = lab.deployment("a").last_request().expect("a request");
    assert_eq!(sent.path, "/v1/completions");
    assert_eq!(
        sent.json(),
        json!({"model": "a", "prompt": "Be kind.\n\nHi!", "max_tokens": 20})
    );
}

#[tokio::test]
async fn streams_become_chat_streams() {
    let lab = lab(["a"]);
    let gateway = gateway(&lab).await;
    let answer = gateway.stream("g").await.finish().await.ok();
    let events: Vec<&str> = answer
        .text()
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .collect();
    let (done, chunks) = events.split_last().expect("events");
    assert_eq!(*done, "[DONE]");
    let chunks: Vec<Value> = chunks
        .iter()
        .map(|chunk| serde_json::from_str(chunk).expect("JSON"))
        .collect();
    assert!(
        chunks
            .iter()
            .all(|chunk| chunk["object"] == "chat.completion.chunk")
    );
    assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
    let text: String = chunks
        .iter()
        .filter_map(|c| c["choices"][0]["delta"]["content"].as_str())
        .collect();
    assert_eq!(text, "Hé, you.");
    assert!(
        chunks
            .iter()
            .all(|chunk| chunk.get("usage").is_none_or(Value::is_null)),
        "nobody asked for it"
    );
    assert_eq!(gateway.in_flight("g"), [0]);
}

#[tokio::test]
async fn what_a_prompt_cannot_say_is_refused_before_anyone_is_asked() {
    let lab = lab(["a", "b"]);
    let gateway = gateway(&lab).await;
    let image = json!([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}]);
    for (member, value) in [
        (
            "tools",
            json!([{"type": "function", "function": {"name": "f"}}]),
        ),
        ("response_format", json!({"type": "json_object"})),
        ("messages", image),
    ] {
        let mut body = chat_body("g");
        body[member] = value;
        let answer = gateway.chat_with(&body).send().await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "unsupported_parameter")
        );
        assert_eq!(answer.json()["error"]["param"], member);
        assert_eq!(answer.attempts(), 0, "nobody was asked");
    }
    assert_eq!(received(&lab), [0, 0]);
    assert_eq!(gateway.in_flight("g"), [0, 0]);
}

#[tokio::test]
async fn failures_are_those_of_every_deployment() {
    let lab = lab(["a"]);
    let gateway = gateway(&lab).await;
    for (fault, status, code) in [
        (Fault::ContextLength, 400, "context_length_exceeded"),
        (Fault::rate_limit(), 429, "rate_limit_exceeded"),
    ] {
        for stream in [false, true] {
            lab.deployment("a").set(fault.clone());
            let yaml = Yaml::over(&lab)
                .router(COMPLETIONS)
                .router("num_retries: 0");
            let fresh = Gateway::start(&yaml).await;
            let answer = if stream {
                fresh.stream("g").await.finish().await
            } else {
                fresh.chat("g").await
            };
            assert_eq!((answer.status, answer.code().as_str()), (status, code));
        }
    }
    lab.deployment("a").reset();
    let body = json!({"model": "g", "prompt": "plain"});
    let answer = gateway
        .post("/v1/completions")
        .json(&body)
        .send()
        .await
        .ok()
        .json();
    assert_eq!(
        answer["object"], "text_completion",
        "completions pass as they are"
    );
}
