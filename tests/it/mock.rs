//! Deployments that are not called: `mock_response` is their answer.

use serde_json::{Value, json};

use crate::support::{Answer, Gateway, Model, Yaml, chat_body, cools, lab, received};

/// The chunks of a stream that ends as it should.
fn chunks(answer: &Answer) -> Vec<Value> {
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    let mut events = answer.events();
    assert_eq!(events.pop(), Some("[DONE]".into()));
    assert!(events.iter().all(Value::is_object), "{events:?}");
    events
}

#[tokio::test]
async fn a_mock_answers_every_operation_and_is_never_called() {
    let lab = lab(["a"]);
    let gateway = Gateway::start(&Yaml::over(&lab).each("mock_response: hi there")).await;
    let chat = gateway.chat("g").await.ok();
    assert_eq!((chat.deployment(), chat.attempts()), ("a", 1));
    assert_eq!(chat.header("content-type"), Some("application/json"));
    let json = chat.json();
    assert_eq!(
        (&json["object"], &json["model"]),
        (&json!("chat.completion"), &json!("a"))
    );
    assert_eq!(json["choices"][0]["message"]["content"], "hi there");
    let (usage, tokens) = (&json["usage"], |usage: &Value, name: &str| {
        usage[name].as_u64()
    });
    assert_eq!(tokens(usage, "completion_tokens"), Some(2));
    assert!(tokens(usage, "prompt_tokens") > Some(0), "{usage}");

    let body = json!({"model": "g", "prompt": ["x", "y"]});
    let completions = gateway
        .post("/v1/completions")
        .json(&body)
        .send()
        .await
        .ok()
        .json();
    assert_eq!(completions["choices"][1]["text"], "hi there");

    let body =
        json!({"model": "g", "input": ["x", "y"], "encoding_format": "base64", "dimensions": 2});
    let embeddings = gateway
        .post("/v1/embeddings")
        .json(&body)
        .send()
        .await
        .ok()
        .json();
    let vector = &embeddings["data"][1]["embedding"];
    assert_eq!(
        vector.as_str().map(str::len),
        Some(12),
        "8 bytes in base64: {vector}"
    );
    assert_eq!(received(&lab), [0]);
    let metrics = gateway.get("/metrics").await.ok();
    let line = r#"waypost_attempts_total{group="g",deployment="a",outcome="success"} 3"#;
    assert!(metrics.text().contains(line), "{}", metrics.text());
    gateway.stop().await;
}

#[tokio::test]
async fn a_mocks_stream_ends_as_it_should_and_tells_usage_if_asked() {
    let lab = lab(["a"]);
    let gateway = Gateway::start(&Yaml::over(&lab).each("mock_response: one two")).await;
    for (path, prompt, at) in [
        (
            "/v1/chat/completions",
            "messages",
            "/choices/0/delta/content",
        ),
        ("/v1/completions", "prompt", "/choices/0/text"),
    ] {
        for asked in [false, true] {
            let mut body =
                json!({"model": "g", "stream": true, "stream_options": {"include_usage": asked}});
            body[prompt] = if prompt == "prompt" {
                json!("x")
            } else {
                chat_body("g")["messages"].clone()
            };
            let events = chunks(&gateway.post(path).json(&body).send().await.ok());
            let said: String = events
                .iter()
                .filter_map(|event| event.pointer(at)?.as_str())
                .collect();
            assert_eq!(said, "one two", "{path}");
            let finished = |event: &&Value| event["choices"][0]["finish_reason"] == "stop";
            assert_eq!(events.iter().filter(finished).count(), 1, "{path}");
            let told: Vec<u64> = events
                .iter()
                .filter_map(|event| event["usage"]["completion_tokens"].as_u64())
                .collect();
            assert_eq!(told, if asked { vec![2] } else { vec![] }, "{path}");
        }
    }
    assert_eq!(received(&lab), [0]);
    // Told or not, it is counted.
    assert_eq!(gateway.deployments("g")[0].scores.in_flight(), 0);
    let metrics = gateway.get("/metrics").await.ok();
    let line = r#"waypost_tokens_total{group="g",deployment="a",kind="output"} 8"#;
    assert!(metrics.text().contains(line), "{}", metrics.text());
    gateway.stop().await;
}

#[tokio::test]
async fn limits_hold_for_mocks() {
    let lab = lab(["a"]);
    let yaml = Yaml::over(&lab).each("rpm: 2").each("mock_response: hi");
    let gateway = Gateway::start(&yaml).await;
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(gateway.chat("g").await.status);
    }
    assert_eq!(statuses, [200, 200, 429]);
    gateway.stop().await;
}

#[tokio::test]
async fn texts_that_name_errors_are_those() {
    for (text, status, code, cooled) in [
        ("litellm.RateLimitError", 429, "rate_limit_exceeded", true),
        (
            "litellm.ContextWindowExceededError",
            400,
            "context_length_exceeded",
            false,
        ),
        ("litellm.InternalServerError", 500, "", true),
        (
            "Exception: content_filter_policy",
            400,
            "content_filter",
            false,
        ),
    ] {
        let lab = lab(["a"]);
        let yaml = Yaml::over(&lab)
            .router("num_retries: 0")
            .router("allowed_fails: 0")
            .each(&format!("mock_response: {text:?}"));
        let gateway = Gateway::start(&yaml).await;
        for stream in [false, true] {
            if stream && cooled {
                break;
            }
            let mut body = chat_body("g");
            body["stream"] = stream.into();
            let answer = gateway.chat_with(&body).send().await;
            assert_eq!((answer.status, &*answer.code()), (status, code), "{text}");
            assert!(answer.message().contains("mock"), "{}", answer.message());
            assert_eq!(cools(&gateway, 0), cooled, "{text}");
        }
        assert_eq!(received(&lab), [0]);
        gateway.stop().await;
    }
}

#[tokio::test]
async fn a_mocked_failure_leads_to_the_next_deployment() {
    let lab = lab(["a", "b"]);
    let [a, b] = lab.deployments() else { panic!() };
    let a = Model::of(a).with("mock_response: litellm.RateLimitError");
    let models = [a.with("order: 1"), Model::of(b).with("order: 2")];
    let gateway = Gateway::start(&Yaml::default().group("g", models)).await;
    let answer = gateway.chat("g").await.ok();
    assert_eq!((answer.deployment(), answer.attempts()), ("b", 2));
    assert_eq!(received(&lab), [0, 1]);
    gateway.stop().await;
}
