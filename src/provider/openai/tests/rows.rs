//! Rows of the catalog at work: what is sent.

mod answers;

use serde_json::{Value, json};

use super::*;
use crate::provider::adapter;
use crate::provider::vectors::row as of;

fn outbound(target: Target, operation: Operation, body: &Value) -> Result<Outbound, AdaptError> {
    let adapter = adapter(&Arc::new(target)).expect("a target");
    adapter.outbound(&call(operation, &body.to_string()), Authority::default())
}

fn json(outbound: &Outbound) -> Value {
    serde_json::from_slice(&outbound.payload.to_bytes()).expect("JSON")
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
    let cases: [Case; 23] = [
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
            r#"{"parallel_tool_calls":false,"max_completion_tokens":3}"#,
            Ok((r#"{"max_tokens":3}"#, "parallel_tool_calls")),
        ),
        (
            "deepseek",
            nothing,
            r#"{"parallel_tool_calls":true}"#,
            Ok(("{}", "")),
        ),
        (
            "perplexity",
            nothing,
            r#"{"parallel_tool_calls":false}"#,
            Ok(("{}", "parallel_tool_calls")),
        ),
        (
            "mistral",
            nothing,
            r#"{"parallel_tool_calls":false}"#,
            Ok((r#"{"parallel_tool_calls":false}"#, "")),
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
fn roles_and_reasoning_go_by_the_providers_names() {
    let body = r#"{"model":"m","messages":[{"role" : "developer","content":"the developer"},{"role":"user","content":"\"developer\""},
        {"role":"assistant","reasoning_content":"r","content":"x"}]}"#;
    let role = (r#""role" : "developer""#, r#""role":"system""#);
    let named = (r#""reasoning_content":"#, r#""reasoning":"#);
    for (name, changes, reasoning) in [
        ("mistral", vec![role], false),
        ("openrouter", vec![named], true),
        ("ollama_chat", vec![named], true),
        ("groq", vec![], false),
        ("self-hosted", vec![], true),
    ] {
        let adapter = adapter(&Arc::new(of(name))).expect("a target");
        let sent = adapter
            .outbound(&call(Operation::Chat, body), Authority::default())
            .expect("a request");
        let expected = changes
            .iter()
            .fold(body.to_owned(), |body, (ours, theirs)| {
                body.replacen(ours, theirs, 1)
            });
        let mut expected: Value = serde_json::from_str(&expected).expect("JSON");
        if !reasoning {
            let message = expected["messages"][2].as_object_mut().expect("an object");
            message.remove("reasoning_content");
        }
        assert_eq!(json(&sent), expected, "{name}");
    }
}

#[test]
fn watsonx_takes_stops_in_a_list_and_calls_of_tools_as_they_come() {
    let asked = |more: Value| {
        let mut body = json!({"model": "g", "messages": []});
        let all = body.as_object_mut().expect("an object");
        all.extend(more.as_object().expect("an object").clone());
        let target = Target {
            defaults: vec![("stop".to_owned(), json!("z"))],
            ..of("watsonx")
        };
        outbound(target, Operation::Chat, &body)
    };
    for (stop, expected) in [
        (json!({"stop": "x"}), json!(["x"])),
        (json!({"stop": ["x", "y"]}), json!(["x", "y"])),
        (json!({}), json!(["z"])),
    ] {
        let got = asked(stop).expect("a request");
        assert_eq!(json(&got)["stop"], expected);
    }
    let got = asked(json!({"parallel_tool_calls": true})).expect("a request");
    assert_eq!(json(&got).get("parallel_tool_calls"), None);
    assert!(got.dropped.is_empty(), "it asks for nothing");
    let got = asked(json!({"parallel_tool_calls": false}));
    assert!(
        matches!(&got, Err(AdaptError::Unsupported { param, .. }) if param == "parallel_tool_calls"),
        "{got:?}"
    );
}
