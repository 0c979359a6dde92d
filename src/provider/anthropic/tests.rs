//! What the vectors of `tests/vectors/anthropic` do not show: refusals, heads, and rules with many cases.

use serde_json::{Value, json};

use super::blocks::call_id;
use super::*;
use crate::provider::vectors::{back, call, fields, target};
use crate::types::{Auth, Dialect, Secret};

fn of(model: &str, how: impl FnOnce(&mut Target)) -> Anthropic {
    let version = "2023-06-01".to_owned();
    let dialect = Dialect::Anthropic {
        version: version.clone(),
    };
    let mut target = target("anthropic", dialect, model);
    target.auth = Auth::Header("x-api-key", Secret::new("secret"));
    how(&mut target);
    Anthropic::new(Arc::new(target), Host::Api { version }).expect("a target")
}

fn chat(more: &Value) -> Call {
    let mut body = json!({"model": "g", "messages": [{"role": "user", "content": "hi"}]});
    for (name, value) in fields(more) {
        body[name] = value;
    }
    call(Operation::Chat, &body.to_string())
}

/// The body sent to a model, and what is not in it.
fn sent(model: &str, more: &Value) -> Result<(Value, Vec<Cow<'static, str>>), AdaptError> {
    let (body, dropped) = of(model, |_| {}).body(&chat(more))?;
    Ok((serde_json::from_slice(&body).expect("json"), dropped))
}

#[test]
fn heads() {
    let head = |adapter: &Anthropic, more: &Value| {
        let sent = adapter.outbound(&chat(more), Authority::default());
        let sent = sent.expect("it can be said");
        assert!(!format!("{adapter:?} {sent:?}").contains("secret"));
        String::from_utf8(sent.head.to_vec()).expect("text")
    };
    let plain = of("claude-opus-4-6", |_| {});
    let text = head(&plain, &json!({}));
    for line in [
        "POST /v1/messages HTTP/1.1\r\n",
        "\r\nx-api-key: secret\r\n",
        "\r\nanthropic-version: 2023-06-01\r\n",
        "\r\naccept: application/json\r\n",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    assert!(!text.contains("authorization"));
    assert!(head(&plain, &json!({"stream": true})).contains("\r\naccept: text/event-stream\r\n"));

    let set = of("claude-opus-4-6", |target| {
        let header = |name: &str, value: &str| (name.to_owned(), Secret::new(value));
        target.extra_headers = vec![
            header("anthropic-version", "2026-10-21"),
            header("anthropic-beta", "a,b"),
        ];
    });
    let text = head(&set, &json!({}));
    assert!(text.contains("\r\nanthropic-version: 2026-10-21\r\n"));
    assert!(text.contains("\r\nanthropic-beta: a,b\r\n"));
    assert_eq!(text.matches("anthropic-version").count(), 1);
    let (_, dropped) = set
        .body(&chat(&json!({"temperature": 0.5})))
        .expect("a body");
    assert_eq!(dropped, ["temperature"], "this version has no sampling");
}

#[test]
fn vertex_has_the_model_in_its_url() {
    let uri = |text: &'static str| Uri::from_static(text);
    let host = Host::Vertex {
        plain: uri("https://host/v1/m:rawPredict"),
        stream: uri("https://host/v1/m:streamRawPredict"),
    };
    let dialect = Dialect::Ollama; // another adapter's
    let target = Arc::new(target("vertex_ai", dialect, "claude-opus-4-6@20260205"));
    let adapter = Anthropic::new(target, host).expect("a target");
    let (body, _) = adapter.body(&chat(&json!({}))).expect("a body");
    let body: Value = serde_json::from_slice(&body).expect("json");
    assert_eq!(body["anthropic_version"], "vertex-2023-10-16");
    assert_eq!(
        (body.get("model"), &body["max_tokens"]),
        (None, &json!(128_000))
    );
    for (stream, path) in [
        (false, "/v1/m:rawPredict"),
        (true, "/v1/m:streamRawPredict"),
    ] {
        let call = chat(&json!({"stream": stream}));
        let sent = adapter
            .outbound(&call, Authority::default())
            .expect("a request");
        let head = String::from_utf8(sent.head.to_vec()).expect("text");
        assert!(head.starts_with(&format!("POST {path} ")), "{head}");
        assert!(!head.contains("anthropic-version"));
    }
}

#[test]
fn what_can_not_be_said_is_refused_by_name() {
    let user = |part: Value| json!({"messages": [{"role": "user", "content": [part]}]});
    let cases = [
        (json!({"n": 2}), "n"),
        (json!({"seed": 1}), "seed"),
        (json!({"logprobs": true}), "logprobs"),
        (json!({"temperature": "hot"}), "temperature"),
        (json!({"max_tokens": "many"}), "max_tokens"),
        (json!({"reasoning_effort": "some"}), "reasoning_effort"),
        (json!({"output_config": 3}), "output_config"),
        (json!({"tools": [{"type": "web_search"}]}), "tools"),
        (json!({"tool_choice": "whatever"}), "tool_choice"),
        (
            json!({"response_format": {"type": "xml"}}),
            "response_format",
        ),
        (
            user(json!({"type": "input_audio", "input_audio": {"data": "", "format": "mp3"}})),
            "messages",
        ),
        (
            user(
                json!({"type": "file", "file": {"file_data": "data:application/zip;base64,eA=="}}),
            ),
            "messages",
        ),
        (
            json!({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}),
            "messages",
        ),
    ];
    for (more, name) in cases {
        match sent("claude-opus-4-6", &more) {
            Err(AdaptError::Unsupported { param, .. }) => assert_eq!(param, name, "{more}"),
            got => panic!("{more}: {got:?}"),
        }
    }
    for (operation, body) in [
        (Operation::Embeddings, r#"{"model":"g","input":"x"}"#),
        (Operation::Completions, r#"{"model":"g","prompt":"x"}"#),
    ] {
        let got = of("claude-opus-4-6", |_| {}).body(&call(operation, body));
        let Err(AdaptError::Unsupported { message, .. }) = got else {
            panic!("{got:?}")
        };
        assert!(message.contains(operation.path()), "{message}");
    }
}

#[test]
fn parameters_by_model() {
    let tools = json!([{"type": "function", "function": {"name": "f"}}]);
    // What is asked of which model, one member of what is sent, and what is left out.
    let cases: &[(&str, Value, &str, Value, &[&str])] = &[
        (
            "claude-opus-4-6",
            json!({"temperature": 0.5}),
            "temperature",
            json!(0.5),
            &[],
        ),
        (
            "claude-opus-4-6",
            json!({"temperature": 2}),
            "temperature",
            json!(1),
            &[],
        ),
        (
            "claude-opus-4-7",
            json!({"temperature": 1}),
            "temperature",
            Value::Null,
            &["temperature"],
        ),
        (
            "claude-3-haiku",
            json!({"temperature": 0.5, "top_p": 0.9}),
            "top_p",
            json!(0.9),
            &[],
        ),
        (
            "claude-opus-4-6",
            json!({"temperature": 0.5, "top_p": 0.9}),
            "top_p",
            Value::Null,
            &["top_p"],
        ),
        (
            "claude-opus-4-6",
            json!({"reasoning_effort": "low", "top_p": 0.97}),
            "top_p",
            json!(0.97),
            &[],
        ),
        (
            "claude-opus-4-6",
            json!({"reasoning_effort": "low", "top_p": 0.9}),
            "top_p",
            Value::Null,
            &["top_p"],
        ),
        (
            "claude-opus-4-6",
            json!({"reasoning_effort": "low", "top_k": 9}),
            "top_k",
            Value::Null,
            &["top_k"],
        ),
        (
            "claude-3-haiku",
            json!({"reasoning_effort": "low"}),
            "thinking",
            Value::Null,
            &["reasoning_effort"],
        ),
        (
            "claude-opus-4-6",
            json!({}),
            "max_tokens",
            json!(128_000),
            &[],
        ),
        ("kimi-k2", json!({}), "max_tokens", json!(4_096), &[]),
        (
            "kimi-k2",
            json!({"max_tokens": 7}),
            "max_tokens",
            json!(7),
            &[],
        ),
        (
            "claude-opus-4-6",
            json!({"reasoning_effort": "low", "tools": tools, "tool_choice": "required"}),
            "thinking",
            json!({"type": "disabled"}),
            &["reasoning_effort"],
        ),
        (
            "claude-opus-4-6",
            json!({"thinking": {"type": "adaptive"}, "tools": tools, "tool_choice": "required"}),
            "tool_choice",
            json!({"type": "auto"}),
            &["tool_choice"],
        ),
        (
            "claude-opus-4-6",
            json!({"tools": tools, "tool_choice": "none", "parallel_tool_calls": false}),
            "tool_choice",
            json!({"type": "none"}),
            &[],
        ),
        (
            "claude-opus-4-6",
            json!({"tools": tools, "parallel_tool_calls": false}),
            "tool_choice",
            json!({"type": "auto", "disable_parallel_tool_use": true}),
            &[],
        ),
        (
            "claude-opus-4-6",
            json!({"tool_choice": "auto"}),
            "tool_choice",
            Value::Null,
            &[],
        ),
        (
            "claude-opus-4-6",
            json!({"reasoning_effort": "low", "output_config": {"effort": "max", "x": 1}}),
            "output_config",
            json!({"effort": "max", "x": 1}),
            &[],
        ),
        (
            "claude-opus-4-6",
            json!({"service_tier": "fast"}),
            "speed",
            json!("fast"),
            &[],
        ),
        (
            "claude-opus-4-6",
            json!({"service_tier": "flex"}),
            "service_tier",
            Value::Null,
            &["service_tier"],
        ),
        (
            "claude-opus-4-6",
            json!({"service_tier": "auto"}),
            "service_tier",
            json!("auto"),
            &[],
        ),
        (
            "claude-opus-4-6",
            json!({"user": "u", "safety_identifier": "s", "metadata": {"k": "v"}}),
            "metadata",
            json!({"user_id": "s"}),
            &["metadata"],
        ),
        (
            "claude-opus-4-6",
            json!({"user": "a@b.c"}),
            "metadata",
            Value::Null,
            &["user"],
        ),
    ];
    for (model, more, name, expected, dropped) in cases {
        let (body, left) = sent(model, more).unwrap_or_else(|e| panic!("{model} {more}: {e}"));
        assert_eq!(&body[*name], expected, "{model} {more}");
        assert_eq!(left, *dropped, "{model} {more}");
    }
}

#[test]
fn a_schema_keeps_its_order() {
    let more = r#"{"model":"g","messages":[{"role":"user","content":"hi"}],"response_format":{"type":"json_schema","json_schema":
        {"name":"x","schema":{"type":"object","properties":{"z":{"type":"string"},"a":{"type":"string"}}}}}}"#;
    let (body, _) = of("claude-opus-4-6", |_| {})
        .body(&call(Operation::Chat, more))
        .expect("a body");
    let body = String::from_utf8(body.to_vec()).expect("text");
    let z = body.find("\"z\":").expect("z");
    assert!(z < body.find("\"a\":").expect("a"), "{body}");
}

/// The request goes before the file, also where they use different names for it.
#[test]
fn thinking_of_the_request_goes_before_the_files() {
    let budget = |tokens: u64| json!({"type": "enabled", "budget_tokens": tokens});
    let effort = || json!({"reasoning_effort": "low"});
    let cases = [
        (json!({"thinking": budget(3000)}), json!({}), budget(3000)),
        (json!({"thinking": budget(3000)}), effort(), budget(1024)),
        (effort(), json!({"thinking": budget(3000)}), budget(3000)),
    ];
    for (file, request, expected) in cases {
        let adapter = of("claude-sonnet-4-5", |target| {
            target.defaults = fields(&file)
        });
        let (body, _) = adapter.body(&chat(&request)).expect("it can be said");
        let body: Value = serde_json::from_slice(&body).expect("json");
        assert_eq!(body["thinking"], expected, "{file} {request}");
    }
}

#[test]
fn ids_of_others_fit() {
    assert_eq!(call_id("toolu_01-A"), "toolu_01-A");
    let long = "x".repeat(65);
    for id in ["", "a.b", "call|1", "é", &long] {
        let made = call_id(id);
        assert!(
            made.starts_with("call_") && made.len() == 29,
            "{id}: {made}"
        );
        assert_eq!(made, call_id(id));
    }
    assert_ne!(call_id("a.b"), call_id("a|b"));
}

#[test]
fn answers_by_tool_fall_back_to_text() {
    let format = json!({"type": "json_schema", "json_schema": {"schema": {"type": "object"}}});
    let adapter = of("claude-sonnet-4-20250514", |_| {});
    let call = chat(&json!({"response_format": format}));
    let answer = json!({"content": [{"type": "text", "text": "No."}], "stop_reason": "refusal"});
    let got = back(&adapter, &call, [answer.to_string().as_bytes()]).expect("an answer");
    let got: Value = serde_json::from_str(&got).expect("json");
    let choice = &got["choices"][0];
    assert_eq!(choice["message"]["content"], "No.");
    assert_eq!(choice["finish_reason"], "content_filter");
}

#[test]
fn malformed_answers_are_errors() {
    let adapter = of("claude-opus-4-6", |_| {});
    for (stream, answer) in [
        (false, "{}"),
        (false, "<html>"),
        (true, "data: nope\n\n"),
        (true, "data: {\"type\":\"content_block_delta\"}\n\n"),
        (true, "data: {\"type\":\"message_start\",\"message\":3}\n\n"),
    ] {
        let got = back(
            &adapter,
            &chat(&json!({"stream": stream})),
            [answer.as_bytes()],
        );
        assert!(
            matches!(got, Err(AdaptError::Malformed(_))),
            "{answer}: {got:?}"
        );
    }
}

#[test]
fn errors_of_others_are_read_too() {
    let read = |status: u16, body: &str| {
        refused::read(
            StatusCode::from_u16(status).expect("a status"),
            body.as_bytes(),
        )
    };
    let openai = r#"{"error":{"message":"m","type":"t","code":"c"}}"#;
    let refusal = read(400, openai);
    assert_eq!(refusal.body, None, "it is OpenAI's already");
    assert_eq!(
        refusal.facts.and_then(|facts| facts.code).as_deref(),
        Some("c")
    );
    assert_eq!(read(502, "<html>").facts, None);
}
