//! What is sent for a request.

mod answers;

use serde_json::{Value, json};

use super::*;
use crate::provider::vectors::{self, call, fields};

fn target(defaults: &Value, extra_body: &Value) -> Target {
    Target {
        base_url: "http://host:11434".to_owned(),
        defaults: fields(defaults),
        extra_body: fields(extra_body),
        renames: &[("max_completion_tokens", "max_tokens")],
        ..vectors::target("ollama", Dialect::Ollama, "m")
    }
}

fn adapter() -> Ollama {
    Ollama::new(Arc::new(target(&json!({"num_ctx": 8192}), &json!(null)))).expect("a target")
}

fn sent(
    adapter: &Ollama,
    operation: Operation,
    body: &Value,
) -> Result<(String, Value), AdaptError> {
    let request = adapter.outbound(&call(operation, &body.to_string()), Authority::default())?;
    let json = serde_json::from_slice(&request.payload.to_bytes()).expect("json");
    Ok((line(&request.head), json))
}

/// Method and path.
fn line(head: &[u8]) -> String {
    let text = String::from_utf8_lossy(head);
    let (line, _) = text.split_once(" HTTP/1.1\r\n").expect("a request line");
    line.to_owned()
}

fn chat(more: Value) -> Value {
    let mut body = json!({"model": "g", "messages": [{"role": "user", "content": "hi"}]});
    let (Some(body_map), Value::Object(more)) = (body.as_object_mut(), more) else {
        panic!("objects")
    };
    body_map.extend(more);
    body
}

#[test]
fn what_is_asked_for_has_its_place() {
    let schema = json!({"type": "object", "properties": {"b": {}, "a": {}}});
    let tools = json!([{"type": "function", "function": {"name": "f", "parameters": {}}}]);
    let cases = [
        (json!({}), json!({"options": {"num_ctx": 8192}})),
        (
            json!({"num_ctx": 1, "options": {"num_ctx": 2, "x": 3}}),
            json!({"options": {"num_ctx": 1, "x": 3}}),
        ),
        (
            json!({"max_tokens": 5}),
            json!({"options": {"num_ctx": 8192, "num_predict": 5}}),
        ),
        (
            json!({"max_tokens": 5, "max_completion_tokens": 6, "num_predict": 7}),
            json!({"options": {"num_ctx": 8192, "num_predict": 6}}),
        ),
        (
            json!({"temperature": 0.5, "top_p": null, "seed": 3, "stop": "x", "frequency_penalty": 1}),
            json!({"options": {"num_ctx": 8192, "temperature": 0.5, "seed": 3, "stop": ["x"], "frequency_penalty": 1}}),
        ),
        (
            json!({"stop": ["x", "y"]}),
            json!({"options": {"num_ctx": 8192, "stop": ["x", "y"]}}),
        ),
        (
            json!({"response_format": {"type": "json_object"}}),
            json!({"format": "json", "options": {"num_ctx": 8192}}),
        ),
        (
            json!({"response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": schema}}}),
            json!({"format": schema, "options": {"num_ctx": 8192}}),
        ),
        (
            json!({"response_format": {"type": "text"}}),
            json!({"options": {"num_ctx": 8192}}),
        ),
        (
            json!({"reasoning_effort": "none"}),
            json!({"think": false, "options": {"num_ctx": 8192}}),
        ),
        (
            json!({"reasoning_effort": "minimal"}),
            json!({"think": "low", "options": {"num_ctx": 8192}}),
        ),
        (
            json!({"reasoning_effort": "high"}),
            json!({"think": "high", "options": {"num_ctx": 8192}}),
        ),
        (
            json!({"tools": tools, "tool_choice": "required"}),
            json!({"tools": tools, "options": {"num_ctx": 8192}}),
        ),
        (
            json!({"tools": tools, "tool_choice": "none"}),
            json!({"options": {"num_ctx": 8192}}),
        ),
        (json!({"tools": []}), json!({"options": {"num_ctx": 8192}})),
        (
            json!({"n": 1, "logit_bias": {}, "modalities": ["text"], "functions": [], "user": "u", "stream_options": {}, "store": true,
                   "cache": {"no-cache": true}, "logprobs": true, "top_logprobs": 2}),
            json!({"logprobs": true, "top_logprobs": 2, "options": {"num_ctx": 8192}}),
        ),
    ];
    for (asked, mut expected) in cases {
        expected["model"] = "m".into();
        expected["stream"] = false.into();
        expected["messages"] = json!([{"role": "user", "content": "hi"}]);
        let (url, got) =
            sent(&adapter(), Operation::Chat, &chat(asked.clone())).expect("it can be said");
        assert_eq!(
            (url.as_str(), &got),
            ("POST /api/chat", &expected),
            "{asked}"
        );
    }
}

#[test]
fn the_request_stands_above_the_file_and_extra_body_above_both() {
    let file = json!({"num_ctx": 1, "top_k": 1, "max_tokens": 1, "keep_alive": "5m", "think": true, "temperature": 0.1});
    let extra = json!({"top_k": 3, "options": {"min_p": 0.1}});
    let adapter = Ollama::new(Arc::new(target(&file, &extra))).expect("a target");
    let asked = json!({"num_predict": 2, "top_k": 2, "keep_alive": -1, "reasoning_effort": "none", "stream": true});
    let (_, got) = sent(&adapter, Operation::Chat, &chat(asked)).expect("it can be said");
    assert_eq!(
        got["options"],
        json!({"num_ctx": 1, "top_k": 3, "num_predict": 2, "min_p": 0.1, "temperature": 0.1})
    );
    assert_eq!(
        (&got["keep_alive"], &got["think"], &got["stream"]),
        (&json!(-1), &json!(false), &json!(true))
    );
}

#[test]
fn messages_are_translated() {
    let body = json!({"model": "g", "messages": [
        {"role": "developer", "content": "be kind"},
        {"role": "user", "content": [
            {"type": "text", "text": "what"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}},
            {"type": "text", "text": "is it?"}, {"type": "image_url", "image_url": "DATA:;BASE64,REVG"}]},
        {"role": "assistant", "content": null, "reasoning": "hm", "reasoning_content": "hmm", "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"z\": 1, \"a\": 2}"}},
            {"id": "c2", "type": "function", "function": {"name": "g", "arguments": ""}}]},
        {"role": "tool", "tool_call_id": "c2", "content": "out"},
        {"role": "tool", "tool_call_id": "nobody", "content": [{"type": "text", "text": "x"}]},
    ]});
    let (_, got) = sent(&adapter(), Operation::Chat, &body).expect("it can be said");
    assert_eq!(
        got["messages"],
        json!([
            {"role": "system", "content": "be kind"},
            {"role": "user", "content": "what\n\nis it?", "images": ["QUJD", "REVG"]},
            {"role": "assistant", "content": "", "thinking": "hmm", "tool_calls": [
                {"id": "c1", "function": {"name": "f", "arguments": {"z": 1, "a": 2}}},
                {"id": "c2", "function": {"name": "g", "arguments": {}}}]},
            {"role": "tool", "content": "out", "tool_name": "g", "tool_call_id": "c2"},
            {"role": "tool", "content": "x", "tool_call_id": "nobody"},
        ])
    );
}

#[test]
fn order_is_kept_where_the_model_sees_it() {
    let body = r#"{"model":"g","messages":[{"role":"assistant","tool_calls":[{"id":"c","function":{"name":"f","arguments":"{\"z\":1,\"a\":2}"}}]}],
        "tools":[{"type":"function","function":{"name":"f","parameters":{"properties":{"z":{},"a":{}}}}}],
        "response_format":{"type":"json_schema","json_schema":{"schema":{"properties":{"y":{},"b":{}}}}}}"#;
    let request = adapter()
        .outbound(&call(Operation::Chat, body), Authority::default())
        .expect("it can be said");
    let text = String::from_utf8(request.payload.to_bytes().to_vec()).expect("text");
    for part in [
        r#""arguments":{"z":1,"a":2}"#,
        r#""properties":{"z":{},"a":{}}"#,
        r#""format":{"properties":{"y":{},"b":{}}}"#,
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}

#[test]
fn what_cannot_be_said_is_refused_by_name() {
    let part = |part: Value| json!({"messages": [{"role": "user", "content": [part]}]});
    let arguments = |text: &str| json!({"messages": [{"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": text}}]}]});
    let cases = [
        (
            part(json!({"type": "image_url", "image_url": {"url": "https://example.org/a.png"}})),
            "messages",
        ),
        (
            part(json!({"type": "image_url", "image_url": {"url": "data:image/svg+xml,<svg/>"}})),
            "messages",
        ),
        (
            part(json!({"type": "input_audio", "input_audio": {}})),
            "messages",
        ),
        (arguments("{"), "messages"),
        (arguments("[1]"), "messages"),
        (json!({"messages": "hi"}), "messages"),
        (json!({"messages": null}), "messages"),
        (
            json!({"messages": [{"role": "critic", "content": "x"}]}),
            "messages",
        ),
        (json!({"n": 2}), "n"),
        (json!({"logit_bias": {"1": 2}}), "logit_bias"),
        (json!({"functions": [{}]}), "functions"),
        (json!({"modalities": ["text", "audio"]}), "modalities"),
        (
            json!({"web_search_options": {"x": 1}}),
            "web_search_options",
        ),
        (
            json!({"tools": [{"type": "custom", "custom": {}}]}),
            "tools",
        ),
        (json!({"tools": {}}), "tools"),
        (json!({"options": 5}), "options"),
        (
            json!({"response_format": {"type": "xml"}}),
            "response_format",
        ),
        (
            json!({"response_format": {"type": "json_schema"}}),
            "response_format",
        ),
        (json!({"response_format": "json"}), "response_format"),
    ];
    for (asked, expected) in cases {
        match sent(&adapter(), Operation::Chat, &chat(asked.clone())) {
            Err(AdaptError::Unsupported { param, .. }) => assert_eq!(param, expected, "{asked}"),
            other => panic!("{asked}: {other:?}"),
        }
    }
}

#[test]
fn embeddings_and_completions_have_their_own_ways() {
    let file =
        json!({"num_ctx": 1, "top_k": 2, "keep_alive": 0, "temperature": 1, "truncate": false});
    let adapter = Ollama::new(Arc::new(target(&file, &json!(null)))).expect("a target");
    let asked = json!({"model": "g", "input": ["a", "b"], "dimensions": 3, "encoding_format": "base64", "n": 5});
    let expected = json!({"model": "m", "input": ["a", "b"], "dimensions": 3, "truncate": false, "keep_alive": 0, "options": {"num_ctx": 1}});
    let got = sent(&adapter, Operation::Embeddings, &asked).expect("it can be said");
    assert_eq!(got, ("POST /api/embed".to_owned(), expected));
    let tokens = sent(
        &adapter,
        Operation::Embeddings,
        &json!({"model": "g", "input": [1, 2]}),
    );
    assert!(
        matches!(&tokens, Err(AdaptError::Unsupported { param, .. }) if param == "input"),
        "{tokens:?}"
    );

    let asked = json!({"model": "g", "prompt": "x"});
    let (url, got) = sent(&adapter, Operation::Completions, &asked).expect("it can be said");
    assert_eq!(
        (url.as_str(), &got["prompt"]),
        ("POST /v1/completions", &json!("x"))
    );
    assert!(matches!(
        adapter.inbound(
            &call(Operation::Completions, &asked.to_string()),
            &Fields::default()
        ),
        Inbound::Passthrough
    ));
}

#[test]
fn headers_say_what_is_wanted() {
    for (stream, accept) in [(true, "application/x-ndjson"), (false, "application/json")] {
        let call = call(
            Operation::Chat,
            &chat(json!({"stream": stream})).to_string(),
        );
        let request = adapter()
            .outbound(&call, Authority::default())
            .expect("it can be said");
        let head = String::from_utf8_lossy(&request.head);
        for line in [
            format!("accept: {accept}\r\n"),
            "authorization: Bearer k\r\n".to_owned(),
        ] {
            assert!(head.contains(&line), "{head}");
        }
        assert_eq!(adapter().adds_usage(&call), stream);
    }
}

#[test]
fn what_is_left_out_is_named() {
    let asked = json!({"user": "u", "unheard_of": 1, "tool_choice": "required", "n": 2});
    let body = chat(asked).to_string();
    assert!(
        adapter()
            .outbound(&call(Operation::Chat, &body), Authority::default())
            .is_err(),
        "`n` is not left out by itself"
    );
    let mut target = target(&json!({}), &json!(null));
    target.dropping.all = true;
    let adapter = Ollama::new(Arc::new(target)).expect("a target");
    let request = adapter
        .outbound(&call(Operation::Chat, &body), Authority::default())
        .expect("it can be said");
    assert_eq!(request.dropped, ["n", "unheard_of", "user", "tool_choice"]);
}
