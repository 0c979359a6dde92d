//! What becomes of answers, beside the vectors of `tests/vectors`.

use bytes::BytesMut;
use http::StatusCode;

use super::*;
use crate::provider::vectors;

/// The answer to a call, fed in two pieces.
fn back(adapter: &dyn Adapter, call: &Call, answer: &[u8], cut: usize) -> String {
    vectors::back(adapter, call, [&answer[..cut], &answer[cut..]]).expect("an answer")
}

#[test]
fn answers_are_mended() {
    let plain = |name: &str, answer: Value| {
        let adapter = adapter(&Arc::new(of(name))).expect("a target");
        let call = call(Operation::Chat, r#"{"model":"g","messages":[]}"#);
        let answer = answer.to_string();
        let got = back(&*adapter, &call, answer.as_bytes(), answer.len() / 2);
        (
            serde_json::from_str::<Value>(&got).expect("JSON"),
            got == answer,
        )
    };
    let finish = |reason: &str, calls: Value| json!({"choices": [{"index": 0, "message": {"content": "x", "tool_calls": calls}, "finish_reason": reason}]});
    for (name, theirs, calls, ours) in [
        ("together_ai", "eos", json!(null), "stop"),
        ("huggingface", "eos_token", json!([]), "stop"),
        ("xai", "", json!(null), "stop"),
        ("xai", "", json!([{"id": "c"}]), "tool_calls"),
        ("mistral", "model_length", json!(null), "length"),
        ("mistral", "tool_calls", json!([{"id": "c"}]), "tool_calls"),
        ("deepseek", "stop", json!(null), "stop"),
        ("openai", "eos", json!(null), "eos"),
    ] {
        let (got, same) = plain(name, finish(theirs, calls));
        assert_eq!(got["choices"][0]["finish_reason"], ours, "{name}");
        assert_eq!(
            same,
            theirs == ours,
            "{name}: byte for byte if nothing is to mend"
        );
    }
    let (got, _) = plain(
        "deepseek",
        finish("insufficient_system_resource", json!(null)),
    );
    assert_eq!(got["error"]["type"], "overloaded_error");
    for (name, theirs, ours) in [
        (
            "deepseek",
            json!({"prompt_tokens": 9, "prompt_cache_hit_tokens": 4}),
            json!({"prompt_tokens": 9, "prompt_cache_hit_tokens": 4, "prompt_tokens_details": {"cached_tokens": 4}}),
        ),
        (
            "deepseek",
            json!({"prompt_cache_hit_tokens": 4, "prompt_tokens_details": {"cached_tokens": 3}}),
            json!({"prompt_cache_hit_tokens": 4, "prompt_tokens_details": {"cached_tokens": 3}}),
        ),
        (
            "xai",
            json!({"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 31}),
            json!({"prompt_tokens": 9, "completion_tokens": 22, "total_tokens": 31}),
        ),
        ("xai", json!(null), json!(null)),
    ] {
        let (got, same) = plain(name, json!({"choices": [], "usage": theirs}));
        assert_eq!(got["usage"], ours, "{name}");
        assert_eq!(same, theirs == ours, "{name}");
    }
}

#[test]
fn streams_are_mended_and_what_is_whole_passes() {
    let call = call(
        Operation::Chat,
        r#"{"model":"g","messages":[],"stream":true}"#,
    );
    let adapter = adapter(&Arc::new(of("xai"))).expect("a target");
    let calls = "data: {\"choices\": [{\"index\":1,\"delta\":{\"tool_calls\":[{\"index\":0}]},\"finish_reason\":null}]}\r\n\r\n: ping\n\n";
    let end = "data: {\"choices\":[{\"index\":1,\"delta\":{},\"finish_reason\":\"\"}]}\r\n\r\n";
    let mended =
        "data: {\"choices\":[{\"index\":1,\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\n";
    for (stream, expected) in [
        (
            format!("{calls}{end}data: [DONE]\n\n"),
            format!("{calls}{mended}data: [DONE]\n\n"),
        ),
        (
            format!("{calls}{end}"),
            format!("{calls}{mended}data: [DONE]\n\n"),
        ),
        (
            format!("{calls}{}", end.trim_end()),
            format!("{calls}{mended}\n\ndata: [DONE]\n\n"),
        ),
        (calls.to_owned(), calls.to_owned()),
        (
            " \n{\"error\": 1}".to_owned(),
            " \n{\"error\": 1}".to_owned(),
        ),
    ] {
        for cut in 0..=stream.len() {
            assert_eq!(
                back(&*adapter, &call, stream.as_bytes(), cut),
                expected,
                "cut at {cut}"
            );
        }
        let Inbound::Translate(mut translator) = adapter.inbound(&call, &Fields::default()) else {
            panic!("it mends")
        };
        let mut out = BytesMut::new();
        for byte in stream.as_bytes() {
            translator.push(&[*byte], &mut out).expect("an answer");
        }
        translator.finish(&mut out).expect("the end");
        assert_eq!(out, expected.as_bytes());
    }
}

#[test]
fn watsonx_has_paths_for_streams_and_for_deployed_models() {
    let line = |model: &str, operation, body: Value| {
        let target = Target {
            model: model.into(),
            base_url: "https://host".to_owned(),
            ..of("watsonx")
        };
        let got = outbound(target, operation, &body)?;
        let head = String::from_utf8_lossy(&got.head).into_owned();
        let (line, _) = head.split_once(" HTTP").expect("a line");
        Ok::<_, AdaptError>((line.to_owned(), json(&got)))
    };
    let chat = json!({"model": "g", "messages": [], "tool_choice": "auto"});
    let mut stream = chat.clone();
    stream["stream"] = true.into();
    let version = "?version=2024-10-08";
    let (path, body) = line("m", Operation::Chat, stream).expect("a request");
    assert_eq!(path, format!("POST /ml/v1/text/chat_stream{version}"));
    assert_eq!(
        body,
        json!({"model_id": "m", "project_id": "p1", "messages": [], "tool_choice_option": "auto"})
    );
    let (path, body) = line("deployment/d1", Operation::Chat, chat).expect("a request");
    assert_eq!(
        path,
        format!("POST /ml/v1/deployments/d1/text/chat{version}")
    );
    assert_eq!(body, json!({"messages": [], "tool_choice_option": "auto"}));
    let (path, body) = line(
        "m",
        Operation::Embeddings,
        json!({"model": "g", "input": "x"}),
    )
    .expect("a request");
    assert_eq!(path, format!("POST /ml/v1/text/embeddings{version}"));
    assert_eq!(
        body,
        json!({"model_id": "m", "project_id": "p1", "inputs": ["x"]})
    );
    let completion = line(
        "m",
        Operation::Completions,
        json!({"model": "g", "prompt": "x"}),
    );
    assert!(matches!(completion, Err(AdaptError::Unsupported { .. })));
    let adapter = adapter(&Arc::new(of("watsonx"))).expect("a target");
    let quota = br#"{"errors":[{"code":"token_quota_reached","message":"used up"}]}"#;
    let refusal = adapter.refusal(StatusCode::FORBIDDEN, &Fields::default(), quota);
    assert_eq!(refusal.status, StatusCode::PAYMENT_REQUIRED);
    assert_eq!(
        adapter
            .refusal(StatusCode::BAD_GATEWAY, &Fields::default(), b"<html>")
            .body,
        None
    );
}

#[test]
fn reasoning_goes_by_openais_name() {
    let whole = r#"{ "choices": [{"index":0,"message":{"role":"assistant","reasoning":"h\u00e9","content":"x"}}]}"#;
    let stream = "data: {\"choices\":[{\"index\":0,\"delta\":{\"reasoning\":\"h\"}}]}\r\n\r\n";
    let none = "data: {\"choices\": [{\"index\":0,\"delta\":{\"content\":\"\\\"reasoning\\\"\",\"reasoning\":null}}]}\r\n\r\n";
    let both = r#"{"choices": [{"message":{"reasoning":"a","reasoning_content":"b"}}]}"#;
    let done = "data: [DONE]\n\n";
    for name in ["groq", "openrouter", "ollama"] {
        let adapter = adapter(&Arc::new(of(name))).expect("a target");
        let plain = call(Operation::Chat, r#"{"model":"g","messages":[]}"#);
        let got = back(&*adapter, &plain, whole.as_bytes(), 9);
        let expected = whole.replace("\"reasoning\"", "\"reasoning_content\"");
        assert_eq!(
            serde_json::from_str::<Value>(&got).expect("JSON"),
            serde_json::from_str::<Value>(&expected).expect("JSON"),
        );
        assert!(got.contains(r#""reasoning_content":"h\u00e9""#), "{got}");
        assert_eq!(back(&*adapter, &plain, both.as_bytes(), 9), both);
        let streams = call(Operation::Chat, r#"{"model":"g","stream":true}"#);
        let got = back(
            &*adapter,
            &streams,
            format!("{stream}{none}{done}").as_bytes(),
            9,
        );
        let expected =
            "data: {\"choices\":[{\"index\":0,\"delta\":{\"reasoning_content\":\"h\"}}]}\n\n";
        assert_eq!(got, format!("{expected}{none}{done}"), "{name}");
    }
}

#[test]
fn usage_that_nobody_asked_for_is_an_event_of_its_own() {
    let adapter = adapter(&Arc::new(of("mistral"))).expect("a target");
    let text = "data: {\"id\": \"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"}}],\"usage\":null}\n\n";
    let end = "data: {\"id\":\"c\",\"model\":\"m\",\"usage\":{\"prompt_tokens\":1},\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    let done = "data: [DONE]\n\n";
    let stream = format!("{text}{end}{done}");
    let unasked = call(Operation::Chat, r#"{"model":"g","stream":true}"#);
    assert!(adapter.adds_usage(&unasked), "the gateway hides it");
    let sent = adapter.outbound(&unasked, Authority::default());
    assert_eq!(
        sent.expect("a request").payload.to_bytes(),
        r#"{"model":"m","stream":true}"#
    );
    let split = "data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n\
        data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\n";
    for cut in 0..=stream.len() {
        let got = back(&*adapter, &unasked, stream.as_bytes(), cut);
        assert_eq!(got, format!("{text}{split}{done}"), "cut at {cut}");
    }
    let asked = r#"{"model":"g","stream":true,"stream_options":{"include_usage":true}}"#;
    let asked = call(Operation::Chat, asked);
    assert!(!adapter.adds_usage(&asked));
    assert_eq!(back(&*adapter, &asked, stream.as_bytes(), 7), stream);
}

#[test]
fn errors_have_openais_types() {
    let long = "Prompt is too large for a model with 9 maximum context length";
    for (name, status, body, kind, code, message) in [
        (
            "mistral",
            429,
            json!({"object": "error", "message": "slow", "type": "rate_limited", "param": null, "code": "1300"}),
            "rate_limit_error",
            json!("rate_limited"),
            "slow",
        ),
        (
            "mistral",
            400,
            json!({"object": "error", "message": long, "type": "invalid_request_error", "code": "3051"}),
            "invalid_request_error",
            json!("context_length_exceeded"),
            long,
        ),
        (
            "databricks",
            400,
            json!({"error_code": "BAD_REQUEST", "message": "no"}),
            "invalid_request_error",
            json!("BAD_REQUEST"),
            "no",
        ),
        (
            "databricks",
            403,
            json!({"error_code": "PERMISSION_DENIED", "message": long}),
            "permission_error",
            json!("PERMISSION_DENIED"),
            long,
        ),
        (
            "watsonx",
            400,
            json!({"errors": [{"code": "invalid_request_entity", "message": long}], "trace": "t"}),
            "invalid_request_error",
            json!("context_length_exceeded"),
            long,
        ),
        (
            "watsonx",
            429,
            json!({"errors": [{"code": "rate_limit_reached", "message": "slow"}]}),
            "rate_limit_error",
            json!("rate_limit_reached"),
            "slow",
        ),
    ] {
        let adapter = adapter(&Arc::new(of(name))).expect("a target");
        let status = StatusCode::from_u16(status).expect("a status");
        let refusal = adapter.refusal(status, &Fields::default(), body.to_string().as_bytes());
        assert_eq!(refusal.status, status);
        let error: Value = serde_json::from_slice(&refusal.body.expect("a body")).expect("JSON");
        let expected = json!({"message": message, "type": kind, "param": null, "code": code});
        assert_eq!(error["error"], expected, "{name}");
        let facts = refusal.facts.expect("facts");
        assert_eq!(
            (facts.kind.as_deref(), json!(facts.code)),
            (Some(kind), code)
        );
    }
    // Where the types are OpenAI's, nothing is written anew.
    let adapter = adapter(&Arc::new(of("groq"))).expect("a target");
    let body = br#"{"error":{"message":"m","type":"tokens"}}"#;
    let refusal = adapter.refusal(StatusCode::TOO_MANY_REQUESTS, &Fields::default(), body);
    assert_eq!(refusal.body, None);
}
