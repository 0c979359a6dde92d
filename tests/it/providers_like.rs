//! Providers that nearly speak OpenAI, behind the gateway.

use serde_json::{Value, json};

use crate::support::{Gateway, Model, Reply, Scripted, Yaml, chat_body};

/// A deployment of this provider.
fn model(provider: &str, base: &str) -> Model {
    Model::lines([
        &format!("provider: {provider}")[..],
        "model: m",
        &format!("api_base: {base}"),
        &format!("model_info: {{id: {provider}}}"),
        "api_key: k",
    ])
}

async fn gateway(provider: &str, server: &Scripted, lines: &[&str]) -> Gateway {
    let model = lines
        .iter()
        .fold(model(provider, &server.url()), |model, line| {
            model.with(line)
        });
    Gateway::start(&Yaml::default().group("g", [model])).await
}

fn with(more: Value) -> Value {
    let mut body = chat_body("g");
    let (Some(all), Value::Object(more)) = (body.as_object_mut(), more) else {
        panic!("objects")
    };
    all.extend(more);
    body
}

fn events(events: &[Value]) -> Reply {
    let chunks = events.iter().map(|event| format!("data: {event}\n\n"));
    Reply::chunks("text/event-stream", chunks)
}

fn chunk(delta: &Value, finish: &Value) -> Value {
    json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
}

const DROPPED: &str = "x-waypost-dropped-params";

#[tokio::test]
async fn what_is_left_out_is_named() {
    let server = Scripted::start(|_| Reply::chat()).await;
    let gateway = gateway("mistral", &server, &["additional_drop_params: [seed]"]).await;
    let asked = with(json!({"user": "u", "seed": 1, "temperature": 0}));
    let answer = gateway.chat_with(&asked).send().await.ok();
    assert_eq!(answer.header(DROPPED), Some("seed,user"));
    let sent = server.seen()[0].json();
    assert_eq!(
        sent,
        json!({"model": "m", "messages": sent["messages"], "temperature": 0})
    );
    let answer = gateway.chat("g").await.ok();
    assert_eq!(answer.header(DROPPED), None);
    gateway.stop().await;
}

#[tokio::test]
async fn what_cannot_be_done_is_refused_unless_it_may_be_dropped() {
    let server = Scripted::start(|_| Reply::chat()).await;
    let asked = with(json!({"logprobs": true}));
    let strict = gateway("groq", &server, &[]).await;
    let answer = strict.chat_with(&asked).send().await;
    assert_eq!(
        (answer.status, answer.code().as_str(), answer.attempts()),
        (400, "unsupported_parameter", 0)
    );
    assert_eq!(answer.json()["error"]["param"], "logprobs");
    assert!(
        answer.message().contains("drop_params"),
        "{}",
        answer.message()
    );
    assert_eq!(server.seen().len(), 0, "nothing was sent");
    assert_eq!(strict.in_flight("g"), [0]);
    strict.stop().await;

    let dropping = gateway("groq", &server, &["drop_params: true"]).await;
    let answer = dropping.chat_with(&asked).send().await.ok();
    assert_eq!(answer.header(DROPPED), Some("logprobs"));
    assert_eq!(server.seen()[0].json().get("logprobs"), None);
    dropping.stop().await;

    let allowed = gateway("groq", &server, &["allowed_openai_params: [logprobs]"]).await;
    allowed.chat_with(&asked).send().await.ok();
    assert_eq!(server.seen()[1].json()["logprobs"], true);
    allowed.stop().await;
}

#[tokio::test]
async fn ids_are_the_same_in_calls_and_results() {
    let server = Scripted::start(|_| Reply::chat()).await;
    let gateway = gateway("mistral", &server, &[]).await;
    let turn = json!({"messages": [
        {"role": "user", "content": "?", "name": "ann"},
        {"role": "assistant", "content": null, "reasoning_content": "r",
         "tool_calls": [{"id": "call_a__thought__eA", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "call_a__thought__eA", "content": "1"}]});
    for _ in 0..2 {
        gateway.chat_with(&with(turn.clone())).send().await.ok();
    }
    let sent: Vec<Value> = server.seen().iter().map(|seen| seen.json()).collect();
    assert_eq!(sent[0], sent[1], "it is the same every time");
    let messages = &sent[0]["messages"];
    let id = messages[2]["tool_call_id"].as_str().expect("an id");
    assert!(
        id.len() == 9 && id.bytes().all(|b| b.is_ascii_alphanumeric()),
        "{id}"
    );
    assert_eq!(messages[1]["tool_calls"][0]["id"], id);
    assert_eq!(
        (
            messages[0].get("name"),
            messages[1].get("reasoning_content")
        ),
        (None, None)
    );
    gateway.stop().await;
}

#[tokio::test]
async fn histories_of_other_dialects_go_to_whoever_takes_them() {
    let server = Scripted::start(|_| Reply::chat()).await;
    let turn = with(json!({"messages": [
        {"role": "user", "content": "?"},
        {"role": "assistant", "content": "!", "reasoning_content": "r", "thinking_blocks": [{"from": "anthropic"}]},
        {"role": "user", "content": "?"}]}));
    for (provider, members) in [
        ("openai", json!({"role": "assistant", "content": "!"})),
        (
            "self-hosted",
            json!({"role": "assistant", "content": "!", "reasoning_content": "r"}),
        ),
    ] {
        let gateway = gateway(provider, &server, &[]).await;
        gateway.chat_with(&turn).send().await.ok();
        let sent = server.seen().pop().expect("a request").json();
        assert_eq!(sent["messages"][1], members, "{provider}");
        gateway.stop().await;
    }
}

#[tokio::test]
async fn lists_become_texts_and_streams_lose_what_they_repeat() {
    let thinking = json!([{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]);
    let lists = [
        chunk(&json!({"role": "assistant", "content": ""}), &json!(null)),
        chunk(&json!({"content": thinking}), &json!(null)),
        chunk(&json!({"content": "hé"}), &json!("model_length")),
    ];
    let mut whole = chunk(&json!({"content": "hé"}), &json!("stop"));
    whole["choices"][0]["message"] = json!({"role": "assistant", "content": "hé"});
    for (provider, sent, reasoning, reason) in [
        ("mistral", lists.to_vec(), "hm", "length"),
        ("perplexity", vec![whole], "", "stop"),
    ] {
        let server = Scripted::start(move |_| events(&sent)).await;
        let gateway = gateway(provider, &server, &[]).await;
        let answer = gateway.stream("g").await.finish().await.ok();
        let (chunks, done) = answer.text().rsplit_once("data: ").expect("events");
        assert_eq!(done, "[DONE]\n\n", "{provider}");
        let chunks: Vec<Value> = chunks
            .split_terminator("\n\n")
            .map(|event| serde_json::from_str(&event["data: ".len()..]).expect("JSON"))
            .collect();
        let said = |name: &str| {
            let deltas = chunks
                .iter()
                .map(|chunk| &chunk["choices"][0]["delta"][name]);
            deltas.filter_map(Value::as_str).collect::<String>()
        };
        assert_eq!(
            (said("content").as_str(), said("reasoning_content").as_str()),
            ("hé", reasoning)
        );
        let last = &chunks.last().expect("chunks")["choices"][0];
        assert_eq!(last["finish_reason"], reason, "{provider}");
        assert!(
            chunks
                .iter()
                .all(|chunk| chunk["choices"][0].get("message").is_none())
        );
        gateway.stop().await;
    }
}

#[tokio::test]
async fn a_provider_that_gives_up_is_tried_elsewhere() {
    let reason = "insufficient_system_resource";
    let plain = json!({"choices": [{"index": 0, "message": {"role": "assistant", "content": ""}, "finish_reason": reason}]});
    let stream = [chunk(
        &json!({"role": "assistant", "content": ""}),
        &json!(reason),
    )];
    for streams in [false, true] {
        let (plain, stream) = (plain.clone(), stream.clone());
        let full = Scripted::start(move |_| {
            if streams {
                events(&stream)
            } else {
                Reply::json(&plain)
            }
        })
        .await;
        let sound = Scripted::start(move |_| {
            if streams {
                events(&[chunk(&json!({"content": "hi"}), &json!("stop"))])
            } else {
                Reply::chat()
            }
        })
        .await;
        let body = with(json!({"stream": streams}));
        let models = [
            model("deepseek", &full.url()).with("order: 1"),
            model("self-hosted", &sound.url()).with("order: 2"),
        ];
        let both = Gateway::start(&Yaml::default().group("g", models)).await;
        let answer = both.chat_with(&body).send().await.ok();
        assert_eq!((answer.deployment(), answer.attempts()), ("self-hosted", 2));
        both.stop().await;
        let alone = Yaml::default().group("g", [model("deepseek", &full.url())]);
        let alone = Gateway::start(&alone.router("num_retries: 0")).await;
        let answer = alone.chat_with(&body).send().await;
        assert_eq!(answer.status, 503, "{}", answer.text());
        alone.stop().await;
    }
}

#[tokio::test]
async fn watsonx_behind_the_gateway() {
    let server = Scripted::start(|seen| {
        if seen.uri.contains("embeddings") {
            return Reply::json(&json!({"model_id": "m", "results": [{"embedding": [1.5, -2.0]}], "input_token_count": 2}));
        }
        let mut answer = chunk(&json!({"role": "assistant", "content": "hi"}), &json!("stop"));
        answer.as_object_mut().expect("an object").remove("object");
        if seen.uri.contains("chat_stream") {
            return events(&[answer]);
        }
        Reply::json(&json!({"errors": [{"code": "invalid_request_entity", "message": "no"}], "trace": "t"})).status(400)
    })
    .await;
    let model = Model::lines([
        "provider: watsonx",
        "model: m",
        &format!("api_base: {}", server.url()),
        "token: the-token-of-watsonx",
        "project_id: p1",
    ]);
    let gateway = Gateway::start(&Yaml::default().group("g", [model])).await;
    let answer = gateway.stream("g").await.finish().await.ok();
    assert!(
        answer
            .text()
            .contains("\"object\":\"chat.completion.chunk\""),
        "{}",
        answer.text()
    );
    assert!(answer.text().ends_with("data: [DONE]\n\n"));
    let seen = &server.seen()[0];
    assert_eq!(seen.uri, "/ml/v1/text/chat_stream?version=2024-10-08");
    let authorization = seen.header("authorization");
    assert_eq!(authorization, Some("Bearer the-token-of-watsonx"));
    assert_eq!(
        seen.json(),
        json!({"model_id": "m", "project_id": "p1", "messages": [{"role": "user", "content": "hello"}]})
    );
    let answer = gateway.chat("g").await;
    assert_eq!((answer.status, answer.message().as_str()), (400, "no"));
    let asked = json!({"model": "g", "input": "x", "encoding_format": "base64"});
    let answer = gateway
        .post("/v1/embeddings")
        .json(&asked)
        .send()
        .await
        .ok()
        .json();
    assert_eq!(answer["data"][0]["embedding"], "AADAPwAAAMA=");
    assert_eq!(answer["usage"]["prompt_tokens"], 2);
    gateway.stop().await;
}

#[tokio::test]
async fn usage_that_comes_unasked_is_counted_and_not_told() {
    let mut end = chunk(&json!({"content": "hi"}), &json!("stop"));
    end["usage"] = json!({"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12});
    let server = Scripted::start(move |_| events(&[end.clone()])).await;
    let gateway = gateway("mistral", &server, &[]).await;
    let answer = gateway.stream("g").await.finish().await.ok();
    assert!(!answer.text().contains("usage"), "{}", answer.text());
    assert!(answer.text().contains(r#""finish_reason":"stop""#));
    let asked = with(json!({"stream": true, "stream_options": {"include_usage": true}}));
    let answer = gateway.chat_with(&asked).send().await.ok();
    assert_eq!(answer.text().matches("completion_tokens").count(), 1);
    gateway.stop().await;
}

#[tokio::test]
async fn errors_of_other_shapes_are_openais() {
    let server = Scripted::start(|_| {
        let message = "This model's maximum context length is 9 tokens";
        Reply::json(&json!({"error_code": "BAD_REQUEST", "message": message})).status(400)
    })
    .await;
    let gateway = gateway("databricks", &server, &[]).await;
    let answer = gateway.chat("g").await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (400, "context_length_exceeded")
    );
    assert_eq!(answer.json()["error"]["type"], "invalid_request_error");
    assert!(answer.message().contains("maximum context length"));
    gateway.stop().await;
}
