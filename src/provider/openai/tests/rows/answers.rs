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
