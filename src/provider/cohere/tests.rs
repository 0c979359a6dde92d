//! What is sent for a request, and what becomes of the answer.

use serde_json::{Value, json};

use super::*;
use crate::provider::vectors::{self, back, call, fields};
use crate::types::Dialect;

fn target(defaults: &Value, extra_body: &Value) -> Target {
    Target {
        defaults: fields(defaults),
        extra_body: fields(extra_body),
        ..vectors::target("cohere", Dialect::Cohere, "m")
    }
}

fn sent(adapter: &Cohere, call: &Call) -> Result<Value, AdaptError> {
    let request = adapter.outbound(call, Authority::default())?;
    Ok(serde_json::from_slice(&request.payload.to_bytes()).expect("JSON"))
}

fn cohere(target: Target) -> Cohere {
    Cohere::new(Arc::new(target)).expect("a target")
}

fn adapter() -> Cohere {
    cohere(target(&json!(null), &json!(null)))
}

fn chat(more: Value) -> Call {
    let mut body = json!({"model": "g", "messages": [{"role": "user", "content": "hi"}]});
    let (Some(members), Value::Object(more)) = (body.as_object_mut(), more) else {
        panic!("objects")
    };
    members.extend(more);
    call(Operation::Chat, &body.to_string())
}

#[test]
fn what_is_asked_for_has_its_place() {
    let tools = json!([{"type": "function", "function": {"name": "f", "parameters": {}}}]);
    let cases = [
        (json!({"top_p": 0.5, "k": 3}), json!({"p": 0.5, "k": 3})),
        (json!({"top_p": 0}), json!({"p": 0.01})),
        (
            json!({"stop": ["a", "b"]}),
            json!({"stop_sequences": ["a", "b"]}),
        ),
        (json!({"tool_choice": "required"}), json!({})),
        (
            json!({"tools": tools, "tool_choice": "none"}),
            json!({"tools": tools, "tool_choice": "NONE"}),
        ),
        (json!({"tools": []}), json!({})),
        (json!({"response_format": {"type": "text"}}), json!({})),
        (
            json!({"response_format": {"type": "json_object"}}),
            json!({"response_format": {"type": "json_object"}}),
        ),
        (
            json!({"reasoning_effort": "none"}),
            json!({"thinking": {"type": "disabled"}}),
        ),
        (
            json!({"reasoning_effort": "high", "thinking": {"type": "disabled"}}),
            json!({"thinking": {"type": "enabled"}}),
        ),
        (json!({"priority": 5}), json!({"priority": 5})),
        (
            json!({"n": 1, "logit_bias": {}, "modalities": ["text"], "parallel_tool_calls": true,
                "top_logprobs": 0, "store": false, "verbosity": "medium"}),
            json!({}),
        ),
    ];
    for (asked, mut expected) in cases {
        expected["model"] = "m".into();
        expected["messages"] = json!([{"role": "user", "content": "hi"}]);
        let got = sent(&adapter(), &chat(asked.clone()));
        assert_eq!(got, Ok(expected), "{asked}");
    }
}

/// OpenAI's names and Cohere's mean the same; the request goes before the file, whichever of them it uses.
#[test]
fn the_request_stands_above_the_file() {
    let ours = json!({"top_p": 0.5, "top_k": 3, "stop": "a", "reasoning_effort": "low"});
    let theirs =
        json!({"p": 0.7, "k": 5, "stop_sequences": ["b"], "thinking": {"type": "disabled"}});
    let ours_there = json!({"p": 0.5, "k": 3, "stop_sequences": ["a"],
        "thinking": {"type": "enabled", "token_budget": 1024}});
    for (file, request, expected) in [
        (&ours, &theirs, &theirs),
        (&theirs, &ours, &ours_there),
        (&ours, &json!({}), &ours_there),
    ] {
        let adapter = cohere(target(file, &json!(null)));
        let mut got = sent(&adapter, &chat(request.clone())).expect("it can be said");
        let members = got.as_object_mut().expect("an object");
        members.retain(|name, _| !["model", "messages"].contains(&name.as_str()));
        assert_eq!(got, *expected, "{file} {request}");
    }
}

#[test]
fn what_cannot_be_said_is_refused_by_name() {
    let part = |part: Value| json!({"messages": [{"role": "user", "content": [part]}]});
    let cases = [
        (json!({"n": 2}), "n"),
        (json!({"logit_bias": {"1": 2}}), "logit_bias"),
        (json!({"top_logprobs": 2}), "top_logprobs"),
        (json!({"parallel_tool_calls": false}), "parallel_tool_calls"),
        (json!({"stop": ["1", "2", "3", "4", "5", "6"]}), "stop"),
        (json!({"web_search_options": {}}), "web_search_options"),
        (json!({"unheard_of": 1}), "unheard_of"),
        (json!({"reasoning_effort": "much"}), "reasoning_effort"),
        (
            json!({"tools": [{"type": "custom", "custom": {}}]}),
            "tools",
        ),
        (
            json!({"tool_choice": {"type": "function", "function": {"name": "f"}}}),
            "tool_choice",
        ),
        (
            part(json!({"type": "input_audio", "input_audio": {"data": "", "format": "wav"}})),
            "messages",
        ),
        (
            part(json!({"type": "file", "file": {"file_id": "file-1"}})),
            "messages",
        ),
    ];
    for (asked, expected) in cases {
        match sent(&adapter(), &chat(asked.clone())) {
            Err(AdaptError::Unsupported { param, message }) => {
                assert_eq!(param, expected, "{asked}: {message}");
            }
            other => panic!("{asked}: {other:?}"),
        }
    }
    let completion = call(Operation::Completions, r#"{"model":"g","prompt":"x"}"#);
    assert!(sent(&adapter(), &completion).is_err());
}

#[test]
fn what_is_left_out_is_named() {
    let mut target = target(&json!({"verbosity": "low"}), &json!(null));
    target.dropping.all = true;
    let adapter = cohere(target);
    let asked = chat(json!({"user": "u", "n": 2, "seed": 1}));
    let request = adapter
        .outbound(&asked, Authority::default())
        .expect("it can be said");
    assert_eq!(request.dropped, ["n", "user", "verbosity"]);
}

#[test]
fn the_request_stands_above_the_file_and_extra_body_above_both() {
    let file = json!({"input_type": "clustering", "temperature": 0.1, "max_tokens": 5, "top_k": 2, "safety_mode": "OFF"});
    let adapter = cohere(target(&file, &json!({"k": 9, "raw": true})));
    let got = sent(&adapter, &chat(json!({"max_completion_tokens": 6}))).expect("it can be said");
    assert_eq!(
        got,
        json!({"model": "m", "messages": [{"role": "user", "content": "hi"}], "temperature": 0.1, "max_tokens": 6,
            "k": 9, "safety_mode": "OFF", "raw": true})
    );
    let asked = |more: &str| {
        let body = format!(r#"{{"model":"g","input":"x"{more}}}"#);
        let mut got = sent(&adapter, &call(Operation::Embeddings, &body)).expect("it can be said");
        got["input_type"].take()
    };
    assert_eq!(asked(""), "clustering");
    assert_eq!(asked(r#","input_type":"search_query""#), "search_query");
}

#[test]
fn requests_go_to_the_second_version() {
    for (operation, body, line, accept) in [
        (
            Operation::Chat,
            r#"{"model":"g","messages":[],"stream":true}"#,
            "POST /v2/chat ",
            "accept: text/event-stream\r\n",
        ),
        (
            Operation::Embeddings,
            r#"{"model":"g","input":"x"}"#,
            "POST /v2/embed ",
            "accept: application/json\r\n",
        ),
    ] {
        let request = adapter().outbound(&call(operation, body), Authority::default());
        let head = request.expect("it can be said").head;
        let head = String::from_utf8_lossy(&head);
        assert!(head.starts_with(line), "{head}");
        assert!(head.contains(accept) && head.contains("authorization: Bearer k\r\n"));
    }
    assert_eq!(adapter().most_inputs(), Some(96));
}

#[test]
fn errors_mean_what_they_say() {
    let refusal = |status: u16, body: &str| {
        let status = StatusCode::from_u16(status).expect("a status");
        adapter().refusal(status, &Fields::default(), body.as_bytes())
    };
    let invalid = refusal(498, r#"{"message":"invalid token"}"#);
    assert_eq!(invalid.status, 401);
    assert_eq!(
        invalid.facts.and_then(|facts| facts.kind).as_deref(),
        Some("authentication_error")
    );
    let gateway = refusal(503, "<html>");
    assert_eq!((gateway.facts, gateway.body), (None, None));
}

#[test]
fn malformed_answers_are_errors() {
    let embed = call(Operation::Embeddings, r#"{"model":"g","input":"x"}"#);
    for (call, answer) in [
        (chat(json!({})), "{}"),
        (chat(json!({})), "<html>"),
        (chat(json!({"stream": true})), "data: nope\n\n"),
        (chat(json!({"stream": true})), "data: {}\n\n"),
        (embed, r#"{"embeddings":{"int8":[[1]]}}"#),
    ] {
        let got = back(&adapter(), &call, [answer.as_bytes()]);
        assert!(
            matches!(got, Err(AdaptError::Malformed(_))),
            "{answer}: {got:?}"
        );
    }
}
