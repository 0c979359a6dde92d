//! Chat answers as content, before they travel.

use super::*;
use crate::lab::route::Style;
use crate::types::Operation;

fn ask(body: Value) -> Asked {
    Asked {
        operation: Operation::Chat,
        style: Style::OpenAi,
        body,
        number: 7,
        created: 1,
    }
}

fn plain(body: Value, behaviour: &Behaviour) -> Value {
    match answer(&ask(body), behaviour) {
        Answer::Whole { body, .. } => body,
        Answer::Stream(events) => panic!("a stream: {events:?}"),
    }
}

fn chunks(mut body: Value, behaviour: &Behaviour) -> Vec<Value> {
    body["stream"] = true.into();
    match answer(&ask(body), behaviour) {
        Answer::Whole { body, .. } => panic!("not a stream: {body}"),
        Answer::Stream(mut events) => {
            assert_eq!(events.pop(), Some(Event::done()));
            let parse = |event: Event| serde_json::from_str(&event.data).expect("an event is JSON");
            events.into_iter().map(parse).collect()
        }
    }
}

/// Joins the deltas of choice 0 to a message, as clients do.
fn joined(chunks: &[Value]) -> Value {
    let mut message = json!({"content": "", "reasoning_content": "", "tool_calls": []});
    for choice in chunks
        .iter()
        .flat_map(|chunk| chunk["choices"].as_array().into_iter().flatten())
    {
        if choice["index"] != 0 {
            continue;
        }
        for field in ["content", "reasoning_content"] {
            if let Some(piece) = choice["delta"][field].as_str() {
                message[field] =
                    (message[field].as_str().unwrap_or_default().to_owned() + piece).into();
            }
        }
        for delta in choice["delta"]["tool_calls"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let calls = message["tool_calls"].as_array_mut().expect("an array");
            let index = usize::try_from(delta["index"].as_u64().expect("an index")).expect("small");
            if index == calls.len() {
                calls.push(delta.clone());
            } else {
                let arguments = &mut calls[index]["function"]["arguments"];
                let piece = delta["function"]["arguments"].as_str().expect("arguments");
                *arguments = (arguments.as_str().unwrap_or_default().to_owned() + piece).into();
            }
        }
    }
    message
}

fn tools() -> Value {
    let parameters = json!({"type": "object", "properties": {"city": {"enum": ["Zürich"]}}});
    json!([{"type": "function", "function": {"name": "weather", "parameters": parameters}}])
}

#[test]
fn a_stream_put_together_is_the_plain_answer() {
    let behaviour = Behaviour {
        reasoning: Some("let me think".into()),
        text_before_tools: Some("I look it up.".into()),
        tool_calls: 2,
        ..Behaviour::default()
    };
    for body in [
        json!({}),
        json!({"tools": tools()}),
        json!({"n": 2}),
        json!({"max_tokens": 3}),
    ] {
        let plain = &plain(body.clone(), &behaviour)["choices"][0]["message"];
        let joined = joined(&chunks(body.clone(), &behaviour));
        assert_eq!(joined["content"], plain["content"], "{body}");
        assert_eq!(
            joined["reasoning_content"], plain["reasoning_content"],
            "{body}"
        );
        let calls = joined["tool_calls"].as_array().expect("an array");
        for (call, expected) in calls
            .iter()
            .zip(plain["tool_calls"].as_array().into_iter().flatten())
        {
            assert_eq!(call["function"], expected["function"]);
            assert_eq!(call["id"], expected["id"]);
        }
        assert_eq!(
            calls.len(),
            plain["tool_calls"].as_array().map_or(0, Vec::len)
        );
    }
}

#[test]
fn usage_is_null_in_every_chunk_but_one_last_without_choices() {
    let chunks = chunks(
        json!({"stream_options": {"include_usage": true}}),
        &Behaviour::default(),
    );
    let (last, others) = chunks.split_last().expect("chunks");
    assert_eq!(last["choices"], json!([]));
    assert_eq!(last["usage"]["completion_tokens"], 8);
    assert!(
        others
            .iter()
            .all(|chunk| chunk.get("usage") == Some(&Value::Null))
    );
    assert_eq!(others[0]["choices"][0]["delta"]["role"], "assistant");
}

#[test]
fn without_the_option_or_the_ability_no_chunk_has_usage() {
    let asks = json!({"stream_options": {"include_usage": true}});
    let silent = Behaviour {
        usage: false,
        ..Behaviour::default()
    };
    for chunks in [
        chunks(json!({}), &Behaviour::default()),
        chunks(asks, &silent),
    ] {
        assert!(chunks.iter().all(|chunk| chunk.get("usage").is_none()));
    }
}

#[test]
fn structured_output_satisfies_the_schema() {
    let schema = json!({"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"}}});
    let format =
        json!({"type": "json_schema", "json_schema": {"name": "person", "schema": schema}});
    let answer = plain(json!({"response_format": format}), &Behaviour::default());
    let text = answer["choices"][0]["message"]["content"]
        .as_str()
        .expect("text");
    let value: Value = serde_json::from_str(text).expect("JSON");
    assert!(
        value["name"].is_string() && value["age"].is_i64(),
        "{value}"
    );
}

#[test]
fn choices_and_logprobs_come_when_asked_for() {
    let answer = plain(
        json!({"n": 2, "logprobs": true, "top_logprobs": 1}),
        &Behaviour::text("hi there"),
    );
    let choices = answer["choices"].as_array().expect("choices");
    assert_eq!(choices.len(), 2);
    assert_eq!(choices[1]["logprobs"]["content"][1]["token"], " there");
    assert_eq!(
        choices[1]["logprobs"]["content"][1]["top_logprobs"][0]["token"],
        " there"
    );
    assert_eq!(answer["usage"]["completion_tokens"], 4);
}

#[test]
fn the_received_request_comes_back_when_the_behaviour_says_so() {
    let behaviour = Behaviour {
        echo_request: true,
        ..Behaviour::default()
    };
    assert_eq!(
        plain(json!({"mystery": 1}), &behaviour)["x_request"]["mystery"],
        1
    );
    let chunks = chunks(json!({"mystery": 1}), &behaviour);
    assert_eq!(chunks[0]["x_request"]["mystery"], 1);
    assert!(chunks[1].get("x_request").is_none());
}
