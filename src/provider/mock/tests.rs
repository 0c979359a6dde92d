use std::sync::Arc;

use super::*;
use crate::request::RequestHead;

use crate::types::Provenance;

const USAGE: TokenUsage = TokenUsage {
    input: 7,
    output: 2,
    cached_input: 0,
    reasoning: 0,
    provenance: Provenance::Counted,
    cache_write: 0,
    audio_input: 0,
    audio_output: 0,
    image_input: 0,
};

fn made(operation: Operation, body: &str, text: &str) -> Result<Bytes, Box<Refusal>> {
    let head = Arc::new(RequestHead::read(body.as_bytes(), Some("g")).expect("a request"));
    let call = Call {
        operation,
        head,
        body: Bytes::from(body.to_owned()),
        beta: None,
        id: "r".into(),
        created: 9,
    };
    answer(&call, "m", text, USAGE)
}

fn whole(operation: Operation, body: &str, text: &str) -> Value {
    serde_json::from_slice(&made(operation, body, text).expect("an answer")).expect("JSON")
}

/// The data of a stream's events.
fn events(operation: Operation, body: &str, text: &str) -> Vec<Value> {
    let bytes = made(operation, body, text).expect("an answer");
    let text = std::str::from_utf8(&bytes).expect("text");
    let mut events: Vec<&str> = text
        .split_terminator("\n\n")
        .map(|event| event.strip_prefix("data: ").expect("data"))
        .collect();
    assert_eq!(events.pop(), Some("[DONE]"));
    let read = |event| serde_json::from_str(event).expect("JSON");
    events.into_iter().map(read).collect()
}

#[test]
fn whole_answers() {
    let usage = json!({"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9});
    let choice = |index| {
        json!({"index": index, "message": {"role": "assistant", "content": "hi \"you\""}, "logprobs": null,
        "finish_reason": "stop"})
    };
    assert_eq!(
        whole(Operation::Chat, r#"{"messages":[],"n":2}"#, "hi \"you\""),
        json!({"id": "chatcmpl-r", "object": "chat.completion", "created": 9, "model": "m", "choices": [choice(0), choice(1)],
            "usage": usage})
    );
    let choice =
        |index| json!({"index": index, "text": "hi", "logprobs": null, "finish_reason": "stop"});
    for (prompt, choices) in [
        (r#""a""#, 1),
        ("[1,2]", 1),
        (r#"["a","b"]"#, 2),
        ("[[1],[2],[3]]", 3),
    ] {
        let choices: Vec<_> = (0..choices).map(choice).collect();
        assert_eq!(
            whole(
                Operation::Completions,
                &format!(r#"{{"prompt":{prompt}}}"#),
                "hi"
            ),
            json!({"id": "cmpl-r", "object": "text_completion", "created": 9, "model": "m", "choices": choices, "usage": usage}),
            "{prompt}"
        );
    }
}

#[test]
fn streams_say_the_text_word_by_word() {
    for (operation, at, object) in [
        (
            Operation::Chat,
            "/choices/0/delta/content",
            "chat.completion.chunk",
        ),
        (Operation::Completions, "/choices/0/text", "text_completion"),
    ] {
        let events = events(operation, r#"{"stream":true}"#, "one two  three");
        let said: Vec<&str> = events
            .iter()
            .filter_map(|event| event.pointer(at)?.as_str())
            .filter(|text| !text.is_empty())
            .collect();
        assert_eq!(said, ["one ", "two ", " ", "three"]);
        assert!(
            events
                .iter()
                .all(|event| event["object"] == object && event["model"] == "m")
        );
        let [.., end, usage] = &events[..] else {
            panic!("{events:?}")
        };
        assert_eq!(end["choices"][0]["finish_reason"], "stop");
        assert_eq!(
            (&usage["choices"], &usage["usage"]["total_tokens"]),
            (&json!([]), &json!(9))
        );
    }
}

#[test]
fn embeddings_are_the_text_or_the_same_for_the_same_input() {
    let vectors = |body: &str, text: &str| -> Vec<Vec<f32>> {
        let answer = whole(Operation::Embeddings, body, text);
        assert_eq!(
            answer["usage"],
            json!({"prompt_tokens": 7, "total_tokens": 7})
        );
        let data = answer["data"].as_array().expect("data");
        data.iter()
            .map(|item| serde_json::from_value(item["embedding"].clone()).expect("numbers"))
            .collect()
    };
    assert_eq!(
        vectors(r#"{"input":["a","b"]}"#, "[0.5, -1]"),
        [[0.5, -1.0], [0.5, -1.0]]
    );
    let two = vectors(r#"{"input":["a","b"]}"#, "hi");
    assert_eq!(
        two.iter().map(Vec::len).collect::<Vec<_>>(),
        [DIMENSIONS; 2]
    );
    assert_ne!(two[0], two[1]);
    assert_eq!(vectors(r#"{"input":"a"}"#, "hi")[0], two[0]);
    let short = vectors(r#"{"input":[1,2],"dimensions":5}"#, "hi");
    assert_eq!((short.len(), short[0].len()), (1, 5));
    let length: f32 = short[0].iter().map(|n| n * n).sum();
    assert!((length - 1.0).abs() < 1e-5, "{length}");
}

#[test]
fn what_names_an_error_is_one() {
    for (text, status, code) in [
        ("litellm.RateLimitError", 429, Some("rate_limit_exceeded")),
        (
            "litellm.ContextWindowExceededError",
            400,
            Some("context_length_exceeded"),
        ),
        ("litellm.InternalServerError", 500, None),
        (
            "Exception: content_filter_policy",
            400,
            Some("content_filter"),
        ),
    ] {
        for operation in Operation::ALL {
            let refusal = made(operation, "{}", text).expect_err("an error");
            assert_eq!(refusal.status, status, "{text}");
            let facts = refusal.facts.expect("facts");
            assert_eq!(facts.code.as_deref(), code, "{text}");
            assert!(refusal.body.is_some());
        }
    }
    assert!(made(Operation::Chat, "{}", "litellm.Timeout").is_ok());
}

#[test]
fn no_request_makes_a_flood() {
    let words = "a ".repeat(1 << 19);
    for (operation, body, text) in [
        (Operation::Chat, r#"{"n":1000000}"#, "hi"),
        (Operation::Chat, r#"{"n":18446744073709551615}"#, ""),
        (Operation::Chat, "{}", &*words),
        (
            Operation::Completions,
            r#"{"prompt":["","",""],"n":18446744073709551615}"#,
            "",
        ),
        (
            Operation::Embeddings,
            r#"{"input":"a","dimensions":18446744073709551615}"#,
            "",
        ),
    ] {
        let refusal = made(operation, body, text).expect_err("too much");
        assert_eq!(refusal.status, 400, "{body}");
    }
}
