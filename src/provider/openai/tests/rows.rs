//! Rows of the catalog at work, and the vectors of those in `tests/vectors`.

use std::path::Path;

use bytes::BytesMut;
use http::StatusCode;
use serde_json::{Value, json};

use super::*;
use crate::catalog;
use crate::provider::adapter;
use crate::types::WatsonxScope;

/// A deployment of this provider.
fn of(name: &str) -> Target {
    let row = catalog::find(name).expect("a provider");
    let dialect = match name {
        "watsonx" => Dialect::Watsonx {
            api_version: "2024-10-08".to_owned(),
            scope: Some(WatsonxScope::Project("p1".to_owned())),
        },
        _ => Dialect::OpenAi {
            completions_only: row.completions_only,
        },
    };
    Target {
        provider: name.into(),
        dialect,
        renames: row.renames,
        stream_options: row.stream_options,
        encoding_format: row.encoding_format,
        quirks: row.quirks,
        ..target()
    }
}

fn outbound(target: Target, operation: Operation, body: &Value) -> Result<Outbound, AdaptError> {
    let adapter = adapter(&Arc::new(target)).expect("a target");
    adapter.outbound(&call(operation, &body.to_string()), Authority::default())
}

fn json(outbound: &Outbound) -> Value {
    serde_json::from_slice(&outbound.payload.to_bytes()).expect("JSON")
}

/// The answer to a call, fed in two pieces.
fn back(adapter: &dyn Adapter, call: &Call, answer: &[u8], cut: usize) -> String {
    let mut out = BytesMut::new();
    match adapter.inbound(call, &Fields::default()) {
        Inbound::Passthrough => out.extend_from_slice(answer),
        Inbound::Translate(mut translator) => {
            for part in [&answer[..cut], &answer[cut..]] {
                translator.push(part, &mut out).expect("an answer");
            }
            translator.finish(&mut out).expect("the end");
        }
    }
    String::from_utf8(out.to_vec()).expect("text")
}

/// Each folder: a request, what is sent for it, what comes back, and what the client gets of that, wherever it is cut.
#[test]
fn vectors() {
    for name in ["databricks", "mistral", "perplexity", "watsonx"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/vectors")
            .join(name);
        let mut cases: Vec<_> = folder
            .read_dir()
            .expect("the folder")
            .map(|entry| entry.expect("an entry").path())
            .collect();
        cases.sort();
        assert!(cases.len() >= 9, "{cases:?}");
        let adapter = adapter(&Arc::new(of(name))).expect("a target");
        for case in cases {
            vector(&*adapter, &case);
        }
    }
}

fn vector(adapter: &dyn Adapter, case: &Path) {
    let shown = case.display();
    let read = |name: &str| std::fs::read_to_string(case.join(name)).ok();
    let must = |name: &str| read(name).unwrap_or_else(|| panic!("{shown}/{name}"));
    let parse = |text: &str| serde_json::from_str::<Value>(text).expect("json");
    let request = must("request.json");
    let operation = if request.contains("\"input\"") {
        Operation::Embeddings
    } else {
        Operation::Chat
    };
    let call = call(operation, &request);
    let sent = adapter.outbound(&call, Authority::default());
    if let Some(refused) = read("refused.json") {
        let Err(AdaptError::Unsupported { param, .. }) = sent else {
            panic!("{shown}: {sent:?}")
        };
        assert_eq!(json!({"param": param}), parse(&refused), "{shown}");
        return;
    }
    let sent = sent.expect("it can be said");
    assert_eq!(parse(&must("outbound.json")), json(&sent), "{shown}");
    if let Some(status) = read("status") {
        let status: StatusCode = status.trim().parse().expect("a status");
        let body = Bytes::from(must("upstream.json"));
        let refusal = adapter.refusal(status, &Fields::default(), &body);
        let body = refusal.body.unwrap_or(body);
        let got = serde_json::from_slice::<Value>(&body).expect("json");
        let expected = parse(&must("response.json"));
        assert_eq!((got, refusal.status), (expected, status), "{shown}");
        return;
    }
    let (upstream, expected) = match read("upstream.json") {
        Some(upstream) => (upstream, "response.json"),
        None => (must("upstream.sse"), "response.sse"),
    };
    let expected = must(expected);
    for cut in 0..=upstream.len() {
        let got = back(adapter, &call, upstream.as_bytes(), cut);
        assert_eq!(got.trim_end(), expected.trim_end(), "{shown} cut at {cut}");
    }
}

#[test]
fn parameters_are_sent_left_out_or_refused() {
    /// Provider, the file's words on dropping, what is asked, and what of it is sent and dropped, or what is refused.
    type Case = (
        &'static str,
        fn(&mut Dropping),
        &'static str,
        Result<(&'static str, &'static str), &'static str>,
    );
    let nothing: fn(&mut Dropping) = |_| {};
    let all: fn(&mut Dropping) = |dropping| dropping.all = true;
    let cases: [Case; 20] = [
        (
            "openai",
            nothing,
            r#"{"n":2,"user":"u","logprobs":true}"#,
            Ok((r#"{"n":2,"user":"u","logprobs":true}"#, "")),
        ),
        (
            "openai",
            |d| d.also = vec!["user".into(), "messages".into()],
            r#"{"n":2,"user":"u"}"#,
            Ok((r#"{"n":2}"#, "user")),
        ),
        (
            "self-hosted",
            |d| d.also = vec!["seed".into()],
            r#"{"top_k":2,"seed":1}"#,
            Ok((r#"{"top_k":2}"#, "seed")),
        ),
        (
            "mistral",
            nothing,
            r#"{"user":"u","store":null,"seed":3}"#,
            Ok((r#"{"random_seed":3}"#, "user")),
        ),
        (
            "mistral",
            |d| d.allowed = vec!["user".into()],
            r#"{"user":"u"}"#,
            Ok((r#"{"user":"u"}"#, "")),
        ),
        (
            "mistral",
            nothing,
            r#"{"tool_choice":"required"}"#,
            Ok((r#"{"tool_choice":"any"}"#, "")),
        ),
        ("mistral", nothing, r#"{"logit_bias":{}}"#, Ok(("{}", ""))),
        (
            "mistral",
            nothing,
            r#"{"logit_bias":{"1":1}}"#,
            Err("logit_bias"),
        ),
        ("groq", nothing, r#"{"n":2}"#, Err("n")),
        (
            "groq",
            nothing,
            r#"{"n":1,"logprobs":false,"top_logprobs":0,"frequency_penalty":0.0,"logit_bias":null}"#,
            Ok(("{}", "")),
        ),
        (
            "groq",
            all,
            r#"{"n":2,"logprobs":true,"store":true}"#,
            Ok(("{}", "store,n,logprobs")),
        ),
        (
            "groq",
            |d| d.also = vec!["logprobs".into()],
            r#"{"logprobs":true}"#,
            Ok(("{}", "logprobs")),
        ),
        (
            "groq",
            |d| d.allowed = vec!["logprobs".into()],
            r#"{"logprobs":true}"#,
            Ok((r#"{"logprobs":true}"#, "")),
        ),
        (
            "groq",
            nothing,
            r#"{"service_tier":"default","reasoning_effort":"max"}"#,
            Ok((
                r#"{"service_tier":"on_demand","reasoning_effort":"high"}"#,
                "",
            )),
        ),
        (
            "deepseek",
            nothing,
            r#"{"parallel_tool_calls":true,"max_completion_tokens":3}"#,
            Ok((r#"{"max_tokens":3}"#, "parallel_tool_calls")),
        ),
        (
            "together_ai",
            nothing,
            r#"{"logprobs":true}"#,
            Ok((r#"{"logprobs":1}"#, "")),
        ),
        (
            "fireworks_ai",
            nothing,
            r#"{"tool_choice":"required"}"#,
            Ok((r#"{"tool_choice":"any"}"#, "")),
        ),
        (
            "openrouter",
            nothing,
            r#"{"reasoning_effort":"max"}"#,
            Ok((r#"{"reasoning_effort":"xhigh"}"#, "")),
        ),
        (
            "perplexity",
            nothing,
            r#"{"tools":[],"tool_choice":"none","web_search_options":{}}"#,
            Ok((r#"{"web_search_options":{}}"#, "")),
        ),
        (
            "xai",
            nothing,
            r#"{"tools":[{"type":"function","function":{"strict":true,"name":"f"}}]}"#,
            Ok((
                r#"{"tools":[{"type":"function","function":{"name":"f"}}]}"#,
                "",
            )),
        ),
    ];
    for (name, words, asked, expected) in cases {
        let mut deployment = of(name);
        words(&mut deployment.dropping);
        let full = |more: &str, model: &str| {
            let mut body: Value = serde_json::from_str(more).expect("JSON");
            body["model"] = model.into();
            body["messages"] = json!([]);
            body
        };
        match (
            outbound(deployment, Operation::Chat, &full(asked, "g")),
            expected,
        ) {
            (Ok(got), Ok((sent, dropped))) => {
                assert_eq!(json(&got), full(sent, "m"), "{name} {asked}");
                assert_eq!(got.dropped.join(","), dropped, "{name} {asked}");
            }
            (Err(AdaptError::Unsupported { param, message }), Err(expected)) => {
                assert_eq!(param, expected, "{name} {asked}");
                assert!(message.contains("drop_params"), "{message}");
            }
            (got, expected) => panic!("{name} {asked}: {got:?} instead of {expected:?}"),
        }
    }
}

#[test]
fn defaults_of_the_file_are_as_the_provider_wants_them() {
    let deployment = Target {
        defaults: vec![
            ("tool_choice".to_owned(), json!("required")),
            ("user".to_owned(), json!("u")),
            ("max_completion_tokens".to_owned(), json!(5)),
        ],
        ..of("mistral")
    };
    let body = json!({"model": "g", "messages": []});
    let got = outbound(deployment, Operation::Chat, &body).expect("a request");
    let expected = json!({"model": "m", "messages": [], "tool_choice": "any", "max_tokens": 5});
    assert_eq!(json(&got), expected);
    assert_eq!(got.dropped, ["user"]);
}

#[test]
fn embeddings_have_names_and_defaults_of_their_own() {
    let asked = json!({"model": "g", "input": "x", "dimensions": 8, "encoding_format": "base64", "user": "u"});
    for (name, expected) in [
        (
            "mistral",
            json!({"model": "m", "input": "x", "output_dimension": 8, "encoding_format": "base64"}),
        ),
        (
            "voyage",
            json!({"model": "m", "input": "x", "output_dimension": 8}),
        ),
        (
            "jina_ai",
            json!({"model": "m", "input": "x", "dimensions": 8}),
        ),
        (
            "nvidia_nim",
            json!({"model": "m", "input": "x", "dimensions": 8, "encoding_format": "base64", "user": "u", "input_type": "query"}),
        ),
    ] {
        let got = outbound(of(name), Operation::Embeddings, &asked).expect("a request");
        assert_eq!(json(&got), expected, "{name}");
    }
    let chat = outbound(
        of("voyage"),
        Operation::Chat,
        &json!({"model": "g", "messages": []}),
    );
    assert!(
        matches!(chat, Err(AdaptError::Unsupported { .. })),
        "{chat:?}"
    );
}

/// A conversation that went through several dialects.
fn history() -> Value {
    let long = "x".repeat(46);
    json!([
        {"role": "user", "name": "ann", "content": "é?"},
        {"role": "assistant", "content": null, "function_call": null, "reasoning_content": "r",
         "thinking_blocks": [{"type": "thinking", "from": "anthropic"}, {"type": "thinking"}],
         "tool_calls": [
            {"id": "call_1__thought__c2ln", "type": "function", "function": {"name": "f", "arguments": "{}"}, "extra_content": {}},
            {"id": long, "type": "function", "function": {"name": "g", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "call_1__thought__c2ln", "name": "f", "content": "1"},
        {"role": "tool", "tool_call_id": long, "content": "2"},
    ])
}

#[test]
fn histories_hold_what_the_provider_takes() {
    let sent = |name: &str| {
        let body = json!({"model": "g", "messages": history()});
        let got = outbound(of(name), Operation::Chat, &body).expect("a request");
        json(&got)["messages"].clone()
    };
    let keys = |message: &Value| {
        let keys = message.as_object().expect("an object").keys();
        keys.cloned().collect::<Vec<_>>().join(" ")
    };
    let all = "content function_call reasoning_content role thinking_blocks tool_calls";
    for (name, names, members, ids) in [
        (
            "openai",
            true,
            "content function_call role tool_calls",
            Some(29),
        ),
        ("groq", true, "role tool_calls", None),
        (
            "mistral",
            false,
            "content function_call role tool_calls",
            Some(9),
        ),
        ("xai", true, "content function_call role tool_calls", None),
        ("self-hosted", true, all, None),
        ("deepseek", true, all, None),
        ("litellm_proxy", true, all, None),
    ] {
        let got = sent(name);
        assert_eq!(got[0].get("name").is_some(), names, "{name}");
        assert_eq!(keys(&got[1]), members, "{name}");
        assert_eq!(
            got[1]
                .get("thinking_blocks")
                .unwrap_or(&json!([{"type": "thinking"}])),
            &json!([{"type": "thinking"}]),
            "{name}"
        );
        let calls = &got[1]["tool_calls"];
        let lenient = members == all;
        assert_eq!(calls[0].get("extra_content").is_some(), lenient, "{name}");
        assert_eq!(
            (&calls[0]["id"], &calls[1]["id"]),
            (&got[2]["tool_call_id"], &got[3]["tool_call_id"]),
            "{name}"
        );
        let length = |id: &Value| id.as_str().expect("an id").len();
        assert_eq!(length(&calls[1]["id"]), ids.unwrap_or(46), "{name}");
        match name {
            "mistral" => assert_eq!(length(&calls[0]["id"]), 9),
            _ => assert_eq!(calls[0]["id"], "call_1", "{name}"),
        }
        assert_eq!(got[2]["name"], "f");
    }
}

#[test]
fn ordinary_histories_pass_byte_for_byte() {
    let body = r#"{"model":"g", "messages": [ {"role":"user", "content":"the assistant\u0020said \"reasoning_content\""},
        {"role": "assistant","content" : null, "tool_calls":[{"id":"c1","function":{"name":"f","arguments":"{}"}}]},
        {"role":"tool","tool_call_id" : "c1","content":"1"}]}"#;
    for name in ["openai", "self-hosted", "xai", "deepseek", "cerebras"] {
        let adapter = adapter(&Arc::new(of(name))).expect("a target");
        let sent = adapter
            .outbound(&call(Operation::Chat, body), Authority::default())
            .expect("a request");
        let expected = body.replacen("\"g\"", "\"m\"", 1);
        assert_eq!(sent.payload.to_bytes(), expected, "{name}");
    }
    // Ids that mistral takes stay.
    let body = json!({"model": "g", "messages": [{"role": "assistant", "tool_calls": [{"id": "D681PevKs"}]}]});
    let got = outbound(of("mistral"), Operation::Chat, &body).expect("a request");
    assert_eq!(json(&got)["messages"], body["messages"]);
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
