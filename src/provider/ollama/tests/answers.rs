//! What becomes of an answer.

use serde_json::{Value, json};

use super::*;
use crate::provider::vectors::back;

#[test]
fn reasons_and_ids() {
    let reply = |more: &str| {
        let answer = format!(
            r#"{{"model":"m","message":{{"role":"assistant","content":"x"{more},"done":true}}"#
        );
        let call = call(Operation::Chat, &chat(json!({})).to_string());
        let text = back(&adapter(), &call, [answer.as_bytes()]).expect("an answer");
        serde_json::from_str::<Value>(&text).expect("json")
    };
    for (theirs, ours) in [
        ("stop", "stop"),
        ("length", "length"),
        ("load", "stop"),
        ("unload", "stop"),
        ("new", "stop"),
    ] {
        assert_eq!(
            reply(&format!(r#"}},"done_reason":"{theirs}""#))["choices"][0]["finish_reason"],
            ours
        );
    }
    let calls = r#","tool_calls":[{"function":{"name":"f","arguments":{"z":1,"a":2}}},{"id":"own","function":{"name":"g","arguments":"{}"}},{"function":{"name":"h"}}]}"#;
    let got = reply(&format!(r#"{calls},"done_reason":"stop""#));
    let choice = &got["choices"][0];
    assert_eq!(choice["finish_reason"], "tool_calls");
    let calls = choice["message"]["tool_calls"].as_array().expect("calls");
    let arguments: Vec<&Value> = calls
        .iter()
        .map(|call| &call["function"]["arguments"])
        .collect();
    assert_eq!(arguments, [r#"{"z":1,"a":2}"#, "{}", "{}"]);
    let ids: Vec<&str> = calls
        .iter()
        .filter_map(|call| call["id"].as_str())
        .collect();
    assert_eq!(ids[1], "own");
    assert!(
        ids[0].starts_with("call_") && ids[0].len() == 29 && ids[0] != ids[2],
        "{ids:?}"
    );
    assert_eq!(
        (&got["id"], &got["created"], got.get("usage")),
        (&json!("chatcmpl-req_1"), &json!(7), None)
    );
    assert_eq!(
        reply(r#"},"prompt_eval_count":null,"eval_count":4"#)["usage"]["total_tokens"],
        4
    );
}

#[test]
fn malformed_answers_are_errors() {
    let cases = [
        (Operation::Chat, json!({}), "{}"),
        (Operation::Chat, json!({}), "<html>"),
        (Operation::Chat, json!({"stream": true}), "{}\nnope\n"),
        (Operation::Embeddings, json!({"input": "x"}), "{}"),
    ];
    for (operation, more, answer) in cases {
        let call = call(operation, &chat(more).to_string());
        let got = back(&adapter(), &call, [answer.as_bytes()]);
        assert!(
            matches!(got, Err(AdaptError::Malformed(_))),
            "{answer}: {got:?}"
        );
    }
}
