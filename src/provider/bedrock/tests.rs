//! What is sent, where to, and how it is signed. Bodies and answers are in `tests/vectors/bedrock`.

use std::time::Duration;

use bytes::BytesMut;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::provider::vectors::{back, call, fields, target};
use crate::types::{Auth, AwsKeys, Dialect, Dropping, Secret, Token};

const CLAUDE: &str = "anthropic.claude-sonnet-4-5-20250929-v1:0";

fn deployment(model: &str) -> Target {
    let region = "us-east-1".to_owned();
    target("bedrock", Dialect::Bedrock { region }, model)
}

fn adapter(model: &str) -> Bedrock {
    Bedrock::new(Arc::new(deployment(model)), "us-east-1").expect("a target")
}

fn chat(more: Value) -> Call {
    let mut body = json!({"model": "g", "messages": [{"role": "user", "content": "hi"}]});
    let (Some(members), Value::Object(more)) = (body.as_object_mut(), more) else {
        panic!("objects")
    };
    members.extend(more);
    call(Operation::Chat, &body.to_string())
}

fn sent(model: &str, more: Value) -> Result<Value, AdaptError> {
    let request = adapter(model).outbound(&chat(more), Authority::default())?;
    Ok(serde_json::from_slice(&request.payload.to_bytes()).expect("json"))
}

#[test]
fn models_are_one_segment_of_the_path() {
    let arn = "arn:aws:bedrock:us-east-1:1:application-inference-profile/x";
    let cases = [
        (
            CLAUDE,
            json!({}),
            "/model/anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse",
        ),
        (
            arn,
            json!({"stream": true}),
            "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Aapplication-inference-profile%2Fx/converse-stream",
        ),
    ];
    for (model, more, path) in cases {
        let request = adapter(model).outbound(&chat(more), Authority::default());
        assert_eq!(request.expect("it can be said").path(), path);
    }
    let embed = call(Operation::Embeddings, r#"{"model":"g","input":"x"}"#);
    let adapter = adapter("amazon.titan-embed-text-v1");
    let request = adapter.outbound(&embed, Authority::default());
    assert_eq!(
        request.expect("it can be said").path(),
        "/model/amazon.titan-embed-text-v1/invoke"
    );
    assert_eq!(adapter.most_inputs(), Some(1));
}

/// The signature is what botocore 1.44.5's `SigV4Auth` gives for the same request at the same second.
#[test]
fn requests_are_signed_as_they_are_sent() {
    let target = Target {
        auth: Auth::None,
        base_url: "https://bedrock-runtime.us-east-1.amazonaws.com".to_owned(),
        ..deployment(CLAUDE)
    };
    let keys = AwsKeys {
        access_key_id: Secret::new("AKIDEXAMPLE"),
        secret_access_key: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
        session_token: Some(Secret::new("session")),
    };
    let token = Token::Aws(Arc::new(keys));
    let authority = Authority {
        token: Some(&token),
        unix: Duration::from_secs(1_440_938_160),
    };
    let adapter = Bedrock::new(Arc::new(target), "us-east-1").expect("a target");
    let request = adapter
        .outbound(&chat(json!({})), authority)
        .expect("signed");
    assert_eq!(
        request.payload.to_bytes(),
        r#"{"messages":[{"role":"user","content":[{"text":"hi"}]}]}"#
    );
    let value = |wanted: &str| {
        let mut found = request.fields().filter(|(name, _)| *name == wanted);
        let value = found.next().map(|(_, value)| value);
        assert!(found.next().is_none(), "{wanted} twice");
        value
    };
    assert_eq!(value("x-amz-date"), Some("20150830T123600Z"));
    assert_eq!(value("x-amz-security-token"), Some("session"));
    assert_eq!(
        value("authorization"),
        Some(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/bedrock/aws4_request, \
             SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, \
             Signature=a946a780421a76ef82200b8b552e884162417d6bd90661187d9c8a7e05582555"
        )
    );
}

#[test]
fn what_is_asked_for_has_its_place() {
    let tools =
        json!([{"type": "function", "function": {"name": "f", "parameters": {"properties": {}}}}]);
    let specs = json!([{"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object", "properties": {}}}}}]);
    let cases = [
        (
            CLAUDE,
            json!({"max_tokens": 5, "max_completion_tokens": 6}),
            json!({"inferenceConfig": {"maxTokens": 6}}),
        ),
        (
            CLAUDE,
            json!({"stop": "x", "top_k": 4}),
            json!({"inferenceConfig": {"stopSequences": ["x"]}, "additionalModelRequestFields": {"top_k": 4}}),
        ),
        (
            CLAUDE,
            json!({"tools": tools, "tool_choice": "auto"}),
            json!({"toolConfig": {"tools": specs, "toolChoice": {"auto": {}}}}),
        ),
        (
            CLAUDE,
            json!({"tools": tools, "tool_choice": "none"}),
            json!({}),
        ),
        (
            CLAUDE,
            json!({"tools": tools, "parallel_tool_calls": true}),
            json!({"toolConfig": {"tools": specs}}),
        ),
        (
            CLAUDE,
            json!({"tools": tools, "parallel_tool_calls": false}),
            json!({"toolConfig": {"tools": specs},
            "additionalModelRequestFields": {"tool_choice": {"type": "auto", "disable_parallel_tool_use": true}}}),
        ),
        (
            CLAUDE,
            json!({"tools": tools, "tool_choice": "required", "reasoning_effort": "low"}),
            json!({"toolConfig": {"tools": specs, "toolChoice": {"any": {}}},
                "additionalModelRequestFields": {"thinking": {"type": "disabled"}}}),
        ),
        (
            CLAUDE,
            json!({"thinking": {"type": "enabled", "budget_tokens": 2000}, "reasoning_effort": "max", "temperature": 0}),
            json!({"additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 2000}}}),
        ),
        (
            CLAUDE,
            json!({"service_tier": "auto", "performanceConfig": {"latency": "optimized"}}),
            json!({"performanceConfig": {"latency": "optimized"}}),
        ),
        (
            CLAUDE,
            json!({"additionalModelRequestFields": {"anthropic_beta": ["x"]}, "user": "u", "n": 1, "logprobs": false}),
            json!({"additionalModelRequestFields": {"anthropic_beta": ["x"]}}),
        ),
        (
            "anthropic.claude-3-haiku-20240307-v1:0",
            json!({"reasoning_effort": "low"}),
            json!({}),
        ),
        (
            "anthropic.claude-opus-4-7",
            json!({"temperature": 0.5, "top_p": 1, "top_k": 3}),
            json!({}),
        ),
        (
            "amazon.nova-lite-v1:0",
            json!({"top_k": 4, "reasoning_effort": "none"}),
            json!({"additionalModelRequestFields": {"inferenceConfig": {"topK": 4}}}),
        ),
        (
            "openai.gpt-oss-20b-1:0",
            json!({"reasoning_effort": "xhigh"}),
            json!({"additionalModelRequestFields": {"reasoning_effort": "high"}}),
        ),
        (
            CLAUDE,
            json!({"guardrailConfig": {"guardrailIdentifier": "g", "guardrailVersion": "1", "streamProcessingMode": "sync"}}),
            json!({"guardrailConfig": {"guardrailIdentifier": "g", "guardrailVersion": "1"}}),
        ),
    ];
    for (model, asked, more) in cases {
        let mut expected = json!({"messages": [{"role": "user", "content": [{"text": "hi"}]}]});
        for (name, value) in fields(&more) {
            expected[name] = value;
        }
        let got = sent(model, asked.clone());
        assert_eq!(got, Ok(expected), "{model} {asked}");
    }
}

#[test]
fn sides_alternate() {
    let say = |role: &str, text: &str| json!({"role": role, "content": text});
    let messages = json!([
        say("user", "a"),
        say("assistant", " "),
        say("user", "b"),
        say("assistant", ""),
        say("user", "c"),
    ]);
    let got = sent(CLAUDE, json!({"messages": messages})).expect("it can be said");
    let expected =
        json!([{"role": "user", "content": [{"text": "a"}, {"text": "b"}, {"text": "c"}]}]);
    assert_eq!(got["messages"], expected);
}

#[test]
fn a_tool_that_cannot_be_forced_is_the_only_one() {
    let tool = |name: &str| json!({"type": "function", "function": {"name": name}});
    let asked = json!({
        "tools": [tool("f"), tool("g")],
        "tool_choice": {"type": "function", "function": {"name": "g"}},
        "thinking": {"type": "enabled", "budget_tokens": 2000},
    });
    let got = sent(CLAUDE, asked).expect("it can be said");
    let config = &got["toolConfig"];
    assert_eq!(config["toolChoice"], json!({"auto": {}}));
    assert_eq!(config["tools"][0]["toolSpec"]["name"], "g");
    assert_eq!(config["tools"].as_array().map(Vec::len), Some(1));
}

#[test]
fn what_cannot_be_said_is_refused_by_name() {
    let part = |part: Value| json!({"messages": [{"role": "user", "content": [part]}]});
    let cases = [
        (
            CLAUDE,
            part(json!({"type": "image_url", "image_url": {"url": "https://example.org/a.png"}})),
            "messages",
        ),
        (
            CLAUDE,
            part(json!({"type": "file", "file": {"file_id": "file-1"}})),
            "messages",
        ),
        (
            CLAUDE,
            part(
                json!({"type": "file", "file": {"filename": "a.exe", "file_data": "data:application/octet-stream;base64,AA=="}}),
            ),
            "messages",
        ),
        (
            CLAUDE,
            json!({"messages": [{"role": "system", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]}]}),
            "messages",
        ),
        (CLAUDE, json!({"n": 2}), "n"),
        (CLAUDE, json!({"seed": 7}), "seed"),
        (CLAUDE, json!({"logprobs": true}), "logprobs"),
        (CLAUDE, json!({"functions": [{}]}), "functions"),
        (CLAUDE, json!({"service_tier": "scale"}), "service_tier"),
        (CLAUDE, json!({"guardrailConfig": "x"}), "guardrailConfig"),
        (
            CLAUDE,
            json!({"tools": [{"type": "function", "function": {"name": "f", "parameters": [1]}}]}),
            "tools",
        ),
        (CLAUDE, json!({"unheard_of": 1}), "unheard_of"),
        (
            "amazon.nova-2-lite-v1:0",
            json!({"reasoning_effort": "low"}),
            "reasoning_effort",
        ),
        (
            "amazon.nova-lite-v1:0",
            json!({"parallel_tool_calls": false, "tools": [{"type": "function", "function": {"name": "f"}}]}),
            "parallel_tool_calls",
        ),
    ];
    for (model, asked, expected) in cases {
        match sent(model, asked.clone()) {
            Err(AdaptError::Unsupported { param, message }) => {
                assert_eq!(param, expected, "{asked}: {message}");
            }
            other => panic!("{asked}: {other:?}"),
        }
    }
    let embed = |model: &str, more: Value| {
        let mut body = json!({"model": "g", "input": "x"});
        for (name, value) in fields(&more) {
            body[name] = value;
        }
        let call = call(Operation::Embeddings, &body.to_string());
        adapter(model).outbound(&call, Authority::default())
    };
    for (model, more, expected) in [
        (CLAUDE, json!({}), "model"),
        (
            "cohere.embed-english-v3",
            json!({"dimensions": 5}),
            "dimensions",
        ),
        (
            "amazon.titan-embed-text-v1",
            json!({"dimensions": 5}),
            "dimensions",
        ),
        (
            "amazon.titan-embed-text-v2:0",
            json!({"input": ["a", "b"]}),
            "input",
        ),
        (
            "amazon.titan-embed-text-v2:0",
            json!({"input": [1, 2]}),
            "input",
        ),
        ("cohere.embed-v4:0", json!({"input": ["a", ""]}), "input"),
        (
            "cohere.embed-v4:0",
            json!({"temperature": 1}),
            "temperature",
        ),
    ] {
        match embed(model, more.clone()) {
            Err(AdaptError::Unsupported { param, .. }) => assert_eq!(param, expected, "{more}"),
            other => panic!("{more}: {other:?}"),
        }
    }
    let completion = call(Operation::Completions, r#"{"model":"g","prompt":"x"}"#);
    assert!(
        adapter(CLAUDE)
            .outbound(&completion, Authority::default())
            .is_err()
    );
}

#[test]
fn what_is_left_out_is_named() {
    let all = Target {
        dropping: Dropping {
            all: true,
            ..Dropping::default()
        },
        ..deployment("anthropic.claude-opus-4-7")
    };
    let adapter = Bedrock::new(Arc::new(all), "us-east-1").expect("a target");
    let asked = chat(json!({"n": 2, "user": "u", "temperature": 1, "store": true}));
    let request = adapter
        .outbound(&asked, Authority::default())
        .expect("sent");
    let mut dropped = request.dropped;
    dropped.sort();
    assert_eq!(dropped, ["n", "store", "temperature", "user"]);
}

#[test]
fn counts_of_cohere_stand_in_a_header() {
    let embed = call(Operation::Embeddings, r#"{"model":"g","input":["a"]}"#);
    let mut header = Fields::default();
    header.add("x-amzn-bedrock-input-token-count", "7");
    let adapter = adapter("cohere.embed-english-v3");
    let Inbound::Translate(mut translator) = adapter.inbound(&embed, &header) else {
        panic!("it translates")
    };
    let mut out = BytesMut::new();
    let answer = br#"{"embeddings":[[1.0]],"id":"x"}"#;
    translator.push(answer, &mut out).expect("taken");
    translator.finish(&mut out).expect("an answer");
    let got: Value = serde_json::from_slice(&out).expect("json");
    assert_eq!(
        (&got["usage"]["prompt_tokens"], &got["data"][0]["embedding"]),
        (&json!(7), &json!([1.0]))
    );
}

#[test]
fn malformed_answers_are_errors() {
    let embed = call(Operation::Embeddings, r#"{"model":"g","input":"x"}"#);
    let titan = adapter("amazon.titan-embed-text-v2:0");
    let event = |kind: &str, payload: &[u8]| {
        event_stream::frame(
            &[(":message-type", "event"), (":event-type", kind)],
            payload,
        )
    };
    let stream = chat(json!({"stream": true}));
    let orphan = br#"{"contentBlockIndex":0,"delta":{"toolUse":{"input":"{"}}}"#;
    let cases: [(&Bedrock, &Call, Vec<u8>); 6] = [
        (&adapter(CLAUDE), &chat(json!({})), b"{}".to_vec()),
        (&adapter(CLAUDE), &chat(json!({})), b"<html>".to_vec()),
        (&titan, &embed, b"{\"message\":\"too long\"}".to_vec()),
        (&adapter(CLAUDE), &stream, b"{\"output\":{}}}}}}".to_vec()),
        (
            &adapter(CLAUDE),
            &stream,
            event("contentBlockDelta", orphan),
        ),
        (&adapter(CLAUDE), &stream, event("metadata", b"nope")),
    ];
    for (adapter, call, answer) in cases {
        let got = back(adapter, call, [&answer[..]]);
        assert!(matches!(got, Err(AdaptError::Malformed(_))), "{got:?}");
    }
    let unknown = back(&adapter(CLAUDE), &stream, [&event("news", b"nope")[..]]);
    assert_eq!(unknown.as_deref(), Ok(""));
}

proptest! {
    #[test]
    fn payloads_of_any_kind_never_panic(kind in 0_usize..6, payload in "[{}\\[\\]\":,a-zA-Z0-9]{0,60}") {
        let kinds = ["messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata"];
        let headers = [(":message-type", "event"), (":event-type", kinds[kind])];
        let bytes = event_stream::frame(&headers, payload.as_bytes());
        let _ = back(&adapter(CLAUDE), &chat(json!({"stream": true})), [&bytes[..]]);
        let _ = back(&adapter(CLAUDE), &chat(json!({})), [payload.as_bytes()]);
    }
}
