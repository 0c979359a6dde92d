//! What the vectors of `tests/vectors/gemini` and `tests/vectors/vertex` do not show: rules with many cases.

use http::HeaderValue;
use serde_json::{Value, json};

use super::*;
use crate::provider::vectors::{self, call};
use crate::types::{Auth, Dropping, Secret, Token};

fn target(host: GoogleHost, model: &str) -> Target {
    Target {
        base_url: "http://host/v1beta/models".to_owned(),
        auth: Auth::Header("x-goog-api-key", Secret::new("k")),
        ..vectors::target("gemini", Dialect::Gemini(host), model)
    }
}

fn adapter(host: GoogleHost, model: &str) -> Gemini {
    Gemini::new(Arc::new(target(host, model))).expect("a target")
}

fn chat(more: &Value) -> String {
    let mut body = json!({"model": "g", "messages": [{"role": "user", "content": "hi"}]});
    let (Some(members), Some(more)) = (body.as_object_mut(), more.as_object()) else {
        panic!("objects")
    };
    members.extend(more.clone());
    body.to_string()
}

/// What is sent, and what is left out.
fn sent(adapter: &Gemini, more: &Value) -> Result<(Value, Vec<String>), AdaptError> {
    let call = call(Operation::Chat, &chat(more));
    let request = adapter.outbound(&call, Authority::default())?;
    let body = serde_json::from_slice(&request.payload.to_bytes()).expect("json");
    let dropped = request.dropped.iter().map(ToString::to_string).collect();
    Ok((body, dropped))
}

#[test]
fn a_turn_with_nothing_but_a_thought_is_left_out() {
    let pro = adapter(GoogleHost::Studio, "gemini-2.5-pro");
    let messages = json!([
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "", "thinking_blocks": [{"type": "thinking", "thinking": "t", "signature": "s"}]},
        {"role": "user", "content": "b"},
    ]);
    let (body, _) = sent(&pro, &json!({"messages": messages})).expect("it can be said");
    let said = |text: &str| json!({"role": "user", "parts": [{"text": text}]});
    assert_eq!(body["contents"], json!([said("a"), said("b")]));
}

#[test]
fn what_is_asked_for_has_its_place() {
    let pro = adapter(GoogleHost::Studio, "gemini-2.5-pro");
    let cases = [
        (json!({}), json!(null)),
        (
            json!({"max_tokens": 5, "temperature": 1, "top_p": 0.5, "n": 2, "seed": 3, "presence_penalty": 0.1, "frequency_penalty": 0.2, "top_k": 4}),
            json!({"maxOutputTokens": 5, "temperature": 1, "topP": 0.5, "candidateCount": 2, "seed": 3, "presencePenalty": 0.1, "frequencyPenalty": 0.2, "topK": 4}),
        ),
        (
            json!({"max_tokens": 5, "max_completion_tokens": 6, "stop": ["a", "b"]}),
            json!({"maxOutputTokens": 6, "stopSequences": ["a", "b"]}),
        ),
        (
            json!({"logprobs": true, "top_logprobs": 3}),
            json!({"responseLogprobs": true, "logprobs": 3}),
        ),
        (
            json!({"response_format": {"type": "json_object"}}),
            json!({"responseMimeType": "application/json"}),
        ),
        (json!({"response_format": {"type": "text"}}), json!(null)),
        (
            json!({"reasoning_effort": "none"}),
            json!({"thinkingConfig": {"thinkingBudget": 128}}),
        ),
        (
            json!({"reasoning_effort": "high"}),
            json!({"thinkingConfig": {"thinkingBudget": 24576, "includeThoughts": true}}),
        ),
        (
            json!({"thinking": {"type": "enabled", "budget_tokens": 77}}),
            json!({"thinkingConfig": {"thinkingBudget": 77, "includeThoughts": true}}),
        ),
        (
            json!({"thinking": {"type": "disabled"}}),
            json!({"thinkingConfig": {"thinkingBudget": 0}}),
        ),
        (
            json!({"thinkingConfig": {"thinkingBudget": -1}, "generationConfig": {"topK": 5, "temperature": 0}, "temperature": 1}),
            json!({"thinkingConfig": {"thinkingBudget": -1}, "topK": 5, "temperature": 1}),
        ),
        (
            json!({"modalities": ["text", "audio"], "audio": {"voice": "Kore", "format": "pcm16"}}),
            json!({"responseModalities": ["AUDIO"], "speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Kore"}}}}),
        ),
        (
            json!({"modalities": ["text", "image"]}),
            json!({"responseModalities": ["TEXT", "IMAGE"]}),
        ),
        (json!({"modalities": ["text"]}), json!(null)),
    ];
    for (asked, expected) in cases {
        let (got, dropped) = sent(&pro, &asked).expect("it can be said");
        assert_eq!(got["generationConfig"], expected, "{asked}");
        assert!(dropped.is_empty(), "{asked}: {dropped:?}");
    }
}

#[test]
fn what_stands_beside_the_contents() {
    let tools = json!([{"type": "function", "function": {"name": "f"}}]);
    let functions = json!([{"functionDeclarations": [{"name": "f"}]}]);
    let mode = |config: Value| json!({"functionCallingConfig": config});
    let cases = [
        (
            json!({"tools": tools, "tool_choice": "auto"}),
            json!({"tools": functions, "toolConfig": mode(json!({"mode": "AUTO"}))}),
        ),
        (
            json!({"tools": tools, "tool_choice": "none"}),
            json!({"tools": functions, "toolConfig": mode(json!({"mode": "NONE"}))}),
        ),
        (
            json!({"tools": tools, "tool_choice": "required"}),
            json!({"tools": functions, "toolConfig": mode(json!({"mode": "ANY"}))}),
        ),
        (
            json!({"tools": tools, "tool_choice": {"type": "function", "function": {"name": "f"}}}),
            json!({"tools": functions, "toolConfig": mode(json!({"mode": "ANY", "allowedFunctionNames": ["f"]}))}),
        ),
        (json!({"tools": [], "tool_choice": "auto"}), json!({})),
        (
            json!({"web_search_options": {"x": 1}}),
            json!({"tools": [{"googleSearch": {}}]}),
        ),
        (
            json!({"service_tier": "fast"}),
            json!({"serviceTier": "priority"}),
        ),
        (json!({"service_tier": "auto"}), json!({})),
        (
            json!({"safety_settings": [1], "cached_content": "c", "labels": {"a": "b"}}),
            json!({"safetySettings": [1], "cachedContent": "c", "labels": {"a": "b"}}),
        ),
    ];
    for (asked, mut expected) in cases {
        expected["contents"] = json!([{"role": "user", "parts": [{"text": "hi"}]}]);
        let flash = adapter(GoogleHost::Studio, "gemini-2.5-flash");
        let (got, _) = sent(&flash, &asked).expect("it can be said");
        assert_eq!(got, expected, "{asked}");
    }
}

#[test]
fn what_cannot_be_said_is_refused_by_name_or_left_out() {
    let one = |part: Value| json!({"messages": [{"role": "user", "content": [part]}]});
    let refused = [
        (json!({"stop": ["1", "2", "3", "4", "5", "6"]}), "stop"),
        (json!({"logit_bias": {"1": 2}}), "logit_bias"),
        (json!({"functions": [{"name": "f"}]}), "functions"),
        (json!({"reasoning_effort": "low"}), "reasoning_effort"),
        (
            json!({"modalities": ["audio"], "audio": {"format": "mp3"}}),
            "audio",
        ),
        (json!({"service_tier": "scale"}), "service_tier"),
        (json!({"min_p": 0.1}), "min_p"),
        (
            json!({"tools": [{"type": "custom", "custom": {}}]}),
            "tools",
        ),
        (
            one(json!({"type": "image_url", "image_url": {"url": "cat"}})),
            "messages",
        ),
        (
            json!({"messages": [{"role": "tool", "tool_call_id": "x", "content": "y"}]}),
            "messages",
        ),
        (json!({"parallel_tool_calls": false}), "parallel_tool_calls"),
        (
            json!({"messages": [{"role": "system", "content": [{"type": "image_url", "image_url": {"url": "https://x/y.png"}}]}]}),
            "messages",
        ),
    ];
    let old = target(GoogleHost::Studio, "gemini-2.0-flash");
    for (asked, expected) in refused {
        let adapter = Gemini::new(Arc::new(old.clone())).expect("a target");
        match sent(&adapter, &asked) {
            Err(AdaptError::Unsupported { param, .. }) => assert_eq!(param, expected, "{asked}"),
            other => panic!("{asked}: {other:?}"),
        }
    }
    let dropping = Dropping {
        all: true,
        ..Dropping::default()
    };
    let adapter = Gemini::new(Arc::new(Target { dropping, ..old })).expect("a target");
    for (asked, expected) in [
        (json!({"logit_bias": {"1": 2}}), "logit_bias"),
        (json!({"reasoning_effort": "low"}), "reasoning_effort"),
        (json!({"parallel_tool_calls": false}), "parallel_tool_calls"),
        (json!({"user": "u"}), "user"),
        (json!({"metadata": {"a": "b"}}), "metadata"),
    ] {
        let (got, dropped) = sent(&adapter, &asked).expect("it can be said");
        assert_eq!(
            got,
            json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]})
        );
        assert_eq!(dropped, [expected]);
    }
}

#[test]
fn addresses_and_authentication() {
    let bearer = Token::Bearer(HeaderValue::from_static("Bearer t"));
    let authority = Authority {
        token: Some(&bearer),
        ..Authority::default()
    };
    let cases = [
        (
            GoogleHost::Studio,
            Operation::Chat,
            "gemini-3-pro",
            false,
            "gemini-3-pro:generateContent",
        ),
        (
            GoogleHost::Studio,
            Operation::Chat,
            "gemini-3-pro",
            true,
            "gemini-3-pro:streamGenerateContent?alt=sse",
        ),
        (
            GoogleHost::Studio,
            Operation::Embeddings,
            "gemini-embedding-001",
            false,
            "gemini-embedding-001:batchEmbedContents",
        ),
        (
            GoogleHost::Vertex,
            Operation::Embeddings,
            "gemini-embedding-001",
            false,
            "gemini-embedding-001:predict",
        ),
        (
            GoogleHost::Vertex,
            Operation::Embeddings,
            "gemini-embedding-2",
            false,
            "gemini-embedding-2:embedContent",
        ),
    ];
    for (host, operation, model, stream, path) in cases {
        let adapter = adapter(host, model);
        let call = call(operation, &chat(&json!({"stream": stream, "input": "x"})));
        let request = adapter.outbound(&call, authority).expect("it can be said");
        let head = String::from_utf8_lossy(&request.head);
        assert!(
            head.starts_with(&format!("POST /v1beta/models/{path} HTTP/1.1\r\n")),
            "{head}"
        );
        assert!(
            head.contains("x-goog-api-key: k\r\n") && head.contains("authorization: Bearer t\r\n")
        );
    }
    let most = |host, model| adapter(host, model).most_inputs();
    assert_eq!(most(GoogleHost::Studio, "gemini-embedding-001"), Some(100));
    assert_eq!(most(GoogleHost::Vertex, "gemini-embedding-001"), Some(1));
    assert_eq!(most(GoogleHost::Vertex, "gemini-embedding-2"), Some(1));
    assert_eq!(most(GoogleHost::Vertex, "text-embedding-005"), Some(100));
    let refused = adapter(GoogleHost::Studio, "m").outbound(
        &call(Operation::Completions, r#"{"model":"g","prompt":"x"}"#),
        authority,
    );
    assert!(
        matches!(refused, Err(AdaptError::Unsupported { .. })),
        "{refused:?}"
    );
}

/// The answer to a call, fed in two pieces.
fn back(adapter: &Gemini, call: &Call, answer: &str) -> Result<String, AdaptError> {
    let (one, two) = answer.as_bytes().split_at(1);
    vectors::back(adapter, call, [one, two])
}

#[test]
fn reasons() {
    let adapter = adapter(GoogleHost::Studio, "m");
    let call = call(Operation::Chat, &chat(&json!({})));
    let reply = |reason: &str, text: &str| {
        let answer = json!({"candidates": [{"content": {"parts": [{"text": text}]}, "finishReason": reason}]});
        back(&adapter, &call, &answer.to_string())
            .map(|text| serde_json::from_str::<Value>(&text).expect("json"))
    };
    for (reason, expected) in [
        ("STOP", "stop"),
        ("FINISH_REASON_UNSPECIFIED", "stop"),
        ("NEW_REASON", "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("MODEL_ARMOR", "content_filter"),
        ("MALFORMED_FUNCTION_CALL", "stop"),
    ] {
        let got = reply(reason, "x").expect("an answer");
        assert_eq!(got["choices"][0]["finish_reason"], expected, "{reason}");
    }
    for reason in [
        "MALFORMED_FUNCTION_CALL",
        "OTHER",
        "MISSING_THOUGHT_SIGNATURE",
    ] {
        let got = reply(reason, "");
        assert!(
            matches!(got, Err(AdaptError::Malformed(_))),
            "{reason}: {got:?}"
        );
    }
    for reason in ["SAFETY", "MAX_TOKENS", "STOP"] {
        assert!(reply(reason, "").is_ok(), "{reason}");
    }
}

#[test]
fn malformed_answers_are_errors() {
    let adapter = adapter(GoogleHost::Studio, "m");
    for (operation, stream, answer) in [
        (Operation::Chat, false, "{}"),
        (Operation::Chat, false, "<html>"),
        (
            Operation::Chat,
            false,
            r#"{"candidates":[{"content":{"parts":[{"text":"x"}]}}]}"#,
        ),
        (
            Operation::Chat,
            false,
            r#"{"candidates":[{"index":99999999,"finishReason":"STOP"}]}"#,
        ),
        (
            Operation::Chat,
            false,
            r#"{"error":{"code":500,"message":"m"}}"#,
        ),
        (Operation::Chat, true, "data: nope\n\n"),
        (Operation::Embeddings, false, "{}"),
    ] {
        let call = call(operation, &chat(&json!({"stream": stream})));
        let got = back(&adapter, &call, answer);
        assert!(
            matches!(got, Err(AdaptError::Malformed(_))),
            "{answer}: {got:?}"
        );
    }
}
