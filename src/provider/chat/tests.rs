//! The shared core, without a dialect.

use std::sync::Arc;

use bytes::BytesMut;
use serde_json::{Value, json};

use super::*;
use crate::provider::Call;
use crate::provider::vectors::{call, fields, target};
use crate::types::{Auth, Dialect, Dropping, Operation, Secret, Target};
use Treatment::{Becomes, Ignored, Native, Refused};

const TABLE: Table = &[
    ("max_tokens", Becomes("…")),
    ("max_completion_tokens", Becomes("…")),
    ("temperature", Becomes("…")),
    ("own", Native),
    ("store", Ignored),
    ("n", Refused("it gives one")),
    ("seed", Refused("it has none")),
];

fn layers(how: impl FnOnce(&mut Target)) -> Layers {
    let mut target = target("p", Dialect::Ollama, "m");
    how(&mut target);
    Layers::new(&target, "a dialect", TABLE)
}

fn asking(more: &Value) -> Call {
    let mut body = json!({"model": "g", "messages": []});
    for (name, value) in fields(more) {
        body[name] = value;
    }
    call(Operation::Chat, &body.to_string())
}

#[test]
fn the_request_stands_above_the_file() {
    let layers = layers(|target| {
        target.defaults = fields(
            &json!({"max_completion_tokens": 5, "temperature": 1, "seed": 3, "other": {"b": 1}}),
        );
        target.extra_body = fields(&json!({"own": "extra"}));
    });
    let call = asking(&json!({"max_tokens": 9, "temperature": null, "own": "mine"}));
    let asked = layers.asked(&call).expect("all known");
    assert_eq!(asked.limit().expect("a number"), Some(9));
    // Null is nothing said, also not by the file.
    assert_eq!(asked.raw("temperature"), None);
    assert_eq!(asked.dropped, ["seed"], "the file may say what others know");
    let mut body = Object::default();
    asked.pass_on(&mut body).expect("json");
    assert_eq!(
        body.to_bytes(),
        r#"{"own":"mine","other":{"b":1}}"#,
        "what only the file names goes as it is"
    );
    asked.add_extra(&mut body).expect("json");
    assert_eq!(body.to_bytes(), r#"{"own":"extra","other":{"b":1}}"#);
}

#[test]
fn what_can_not_be_had_is_refused_or_dropped() {
    let plain = layers(|_| {});
    let all = layers(|target| target.dropping.all = true);
    let also = layers(|target| {
        target.dropping = Dropping {
            also: vec!["temperature".to_owned()],
            allowed: vec!["seed".to_owned()],
            ..Dropping::default()
        };
    });
    /// Of whom, what is asked, and what is left out or refused.
    type Case<'a> = (&'a Layers, Value, Result<&'a [&'a str], &'a str>);
    let cases: &[Case<'_>] = &[
        (&plain, json!({"n": 2}), Err("n")),
        (&plain, json!({"n": 1, "frequency_penalty": 0.0}), Ok(&[])),
        (&plain, json!({"unheard_of": 1}), Err("unheard_of")),
        (&plain, json!({"store": true}), Ok(&["store"])),
        (&plain, json!({"store": false}), Ok(&[])),
        (
            &all,
            json!({"n": 2, "unheard_of": 1}),
            Ok(&["n", "unheard_of"]),
        ),
        (
            &also,
            json!({"temperature": 1, "seed": 2}),
            Ok(&["temperature"]),
        ),
        (&also, json!({"n": 2}), Err("n")),
    ];
    for (layers, more, expected) in cases {
        let call = asking(more);
        match (layers.asked(&call), expected) {
            (Ok(mut asked), Ok(dropped)) => {
                asked.dropped.sort();
                assert_eq!(asked.dropped, *dropped, "{more}");
            }
            (Err(AdaptError::Unsupported { param, message }), Err(name)) => {
                assert_eq!(param, *name, "{more}");
                assert!(message.contains("a dialect") && message.contains("drop_params"));
            }
            (got, _) => panic!("{more}: {got:?}"),
        }
    }
    let call = asking(&json!({"seed": 2}));
    let mut body = Object::default();
    let asked = also.asked(&call).expect("allowed");
    asked.pass_on(&mut body).expect("json");
    assert_eq!(body.to_bytes(), r#"{"seed":2}"#);
}

fn said(messages: &Value, account: &str) -> (Vec<Part>, Vec<Turn>) {
    let layers = layers(|_| {});
    let call = asking(&json!({"messages": messages}));
    let messages = layers.asked(&call).expect("all known").messages();
    turns(messages.expect("messages"), account)
}

/// The turns in short.
fn short(turns: &[Turn]) -> Vec<String> {
    let item = |item: &Item| match item {
        Item::Thinking(_) => "thinking".to_owned(),
        Item::Part(Part {
            kind: PartKind::Text(text),
            ..
        }) => text.clone(),
        Item::Part(_) => "media".to_owned(),
        Item::Call(call) => format!("{}({})", call.name, call.arguments),
        Item::Result { id, name, .. } => format!("{id}={}", name.as_deref().unwrap_or("?")),
    };
    let turns = turns.iter().map(|turn| {
        let items: Vec<String> = turn.items.iter().map(item).collect();
        format!("{:?}: {}", turn.speaker, items.join(", "))
    });
    turns.collect()
}

#[test]
fn neighbours_are_one_turn_and_results_come_first() {
    let one = |id: &str, name: &str| json!({"id": id, "type": "function", "function": {"name": name, "arguments": ""}});
    let (system, turns) = said(
        &json!([
            {"role": "system", "content": "s"},
            {"role": "user", "content": "a"},
            {"role": "user", "content": [{"type": "text", "text": "b"}, {"type": "text", "text": ""}]},
            {"role": "assistant", "content": null, "tool_calls": [one("1", "f"), one("2", "g")]},
            {"role": "tool", "tool_call_id": "2", "content": "x"},
            {"role": "user", "content": "c"},
            {"role": "developer", "content": "d"},
            {"role": "tool", "tool_call_id": "1", "content": "y"},
            {"role": "assistant", "content": ""},
            {"role": "user", "content": "e"},
        ]),
        "",
    );
    assert_eq!(joined_text(&system), "s\n\nd");
    assert_eq!(
        short(&turns),
        [
            "User: a, b",
            "Assistant: f({}), g({})",
            "User: 2=g, 1=f, c, e"
        ]
    );
}

#[test]
fn thinking_goes_back_to_whom_it_belongs() {
    let block =
        |from: &str| json!({"type": "thinking", "thinking": "t", "signature": "s", "from": from});
    let foreign = json!({"type": "redacted_thinking", "data": "d"});
    let messages = json!([
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b", "thinking_blocks": [block("me"), block("other"), foreign]},
    ]);
    let (_, turns) = said(&messages, "me");
    assert_eq!(
        short(&turns),
        ["User: a", "Assistant: thinking, thinking, b"]
    );
    let at = |key: &str, model: &str| {
        account(&Target {
            auth: Auth::Header("x-api-key", Secret::new(key)),
            ..target("p", Dialect::Ollama, model)
        })
    };
    assert_eq!(at("k", "m"), at("k", "m"));
    assert!(at("k", "m") != at("l", "m") && at("k", "m") != at("k", "n"));
    assert_eq!(at("k", "m").len(), 12);
}

/// Says the same to a sink, whichever way its answer goes.
fn say(stream: bool) -> String {
    let call = Arc::new(asking(&json!({"stream": stream})));
    let mut sink = Sink::new(&call, "m", "me");
    let mut out = BytesMut::new();
    let to = &mut out;
    sink.model("n");
    sink.reasoning(0, "th", to);
    sink.reasoning(0, "ink", to);
    let block = Thinking::Thinking {
        thinking: "think".to_owned(),
        signature: Some("s".to_owned()),
        from: None,
    };
    sink.thought(0, block, to);
    sink.text(0, "a\"", to);
    sink.text(0, "", to);
    sink.text(0, "b", to);
    sink.call(0, Some("id_1"), "f", None, to);
    sink.arguments(0, "{\"x\":", to);
    sink.arguments(0, "1}", to);
    sink.end_arguments(0, 0, to);
    sink.call(0, None, "g", Some("proof"), to);
    sink.end_arguments(0, 1, to);
    sink.finish(0, Finish::Stop, to);
    sink.finish(0, Finish::Length, to);
    sink.usage(Usage {
        prompt: 3,
        completion: 4,
        cached: Some(1),
        ..Usage::default()
    });
    sink.end(to);
    if !stream {
        assert!(to.is_empty(), "a whole answer is written at its end");
        sink.write_whole(to);
    }
    String::from_utf8(to.to_vec()).expect("text")
}

#[test]
fn a_stream_adds_up_to_the_whole() {
    let mut whole: Value = serde_json::from_str(&say(false)).expect("json");
    let stream = say(true);
    let mut message = json!({});
    let (mut finish, mut usage) = (Value::Null, Value::Null);
    let mut events: Vec<&str> = stream.split_terminator("\n\n").collect();
    assert_eq!(events.pop(), Some("data: [DONE]"));
    for event in events {
        let data = event.strip_prefix("data: ").expect("data");
        let chunk: Value = serde_json::from_str(data).expect("json");
        assert_eq!(
            (&chunk["id"], &chunk["model"], &chunk["object"]),
            (&whole["id"], &json!("n"), &json!("chat.completion.chunk"))
        );
        if chunk["usage"].is_object() {
            usage = chunk["usage"].clone();
            continue;
        }
        let choice = &chunk["choices"][0];
        if choice["finish_reason"].is_string() {
            assert!(finish.is_null(), "only the first reason counts");
            finish = choice["finish_reason"].clone();
        }
        for (name, value) in fields(&choice["delta"]) {
            add(&mut message[name], value);
        }
    }
    for call in message["tool_calls"].as_array_mut().expect("calls") {
        call.as_object_mut().expect("a call").remove("index");
    }
    let id = message["tool_calls"][1]["id"].clone();
    // It is made from the request, which says whether it wants a stream.
    whole["choices"][0]["message"]["tool_calls"][1]["id"] = id.clone();
    assert_eq!(message, whole["choices"][0]["message"]);
    assert_eq!((&finish, &usage), (&json!("tool_calls"), &whole["usage"]));
    assert_eq!(message["tool_calls"][1]["function"]["arguments"], "{}");
    let id = id.as_str().expect("an id");
    assert!(
        id.starts_with("call_") && id.contains("__thought__"),
        "{id}"
    );
}

/// As clients put deltas together.
fn add(to: &mut Value, more: Value) {
    match (to, more) {
        (Value::String(text), Value::String(more)) => text.push_str(&more),
        (Value::Array(list), Value::Array(more)) => {
            for one in more {
                let index = one["index"].as_u64().map(|index| index as usize);
                match index.and_then(|index| list.get_mut(index)) {
                    Some(known) => fields(&one).into_iter().for_each(|(name, value)| {
                        add(&mut known[name], value);
                    }),
                    None => list.push(one),
                }
            }
        }
        (Value::Object(object), Value::Object(more)) => {
            for (name, value) in more {
                add(object.entry(name).or_insert(Value::Null), value);
            }
        }
        (to, more) => *to = more,
    }
}

#[test]
fn thinking_of_an_unknown_kind_is_no_reason_to_refuse() {
    let body = r#"{"model":"g","messages":[{"role":"assistant","content":"x","thinking_blocks":[
        {"type":"sculpted"},{"type":"thinking","thinking":"hm","signature":"s"}]}]}"#;
    let call = call(Operation::Chat, body);
    let layers = layers(|_| {});
    let messages = layers.asked(&call).and_then(|asked| asked.messages());
    let messages = messages.expect("messages");
    assert_eq!(messages[0].thinking.len(), 1);
}
