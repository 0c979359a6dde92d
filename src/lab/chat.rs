//! `/chat/completions`: a turn is a list of pieces, told whole or as a stream.
//!
//! Both tellings come from the same pieces, so that a stream put together again is the plain answer; a test holds that.

use serde_json::{Map, Value, json};

use super::answer::{
    Answer, Asked, Event, Part, chat_logprobs, prompt_tokens, tokens_of, usage, words,
};
use super::behaviour::Behaviour;
use super::schema;
use super::tools::{self, ToolCall};

/// What a turn says, before it is told.
struct Turn {
    reasoning: Vec<String>,
    text: Vec<String>,
    calls: Vec<ToolCall>,
    finish: &'static str,
}

impl Turn {
    fn of(asked: &Asked, behaviour: &Behaviour) -> Self {
        let reasoning = behaviour
            .reasoning
            .as_deref()
            .map(words)
            .unwrap_or_default();
        let calls = tools::calls(asked, behaviour);
        if !calls.is_empty() {
            let text = behaviour
                .text_before_tools
                .as_deref()
                .map(words)
                .unwrap_or_default();
            return Self {
                reasoning,
                text,
                calls,
                finish: "tool_calls",
            };
        }
        let (text, cut) = match structured(asked) {
            Some(json) => (words(&json), false),
            None => tokens_of(behaviour, asked.max_tokens()),
        };
        Self {
            reasoning,
            text,
            calls,
            finish: if cut { "length" } else { "stop" },
        }
    }

    /// How many content tokens the stream has.
    fn tokens(&self) -> usize {
        let arguments: usize = self.calls.iter().map(|call| call.pieces().len()).sum();
        self.reasoning.len() + self.text.len() + arguments
    }
}

/// The text that a `response_format` demands.
fn structured(asked: &Asked) -> Option<String> {
    let format = &asked.body["response_format"];
    match format["type"].as_str() {
        Some("json_schema") => Some(schema::instance(&format["json_schema"]["schema"]).to_string()),
        Some("json_object") => Some(r#"{"lab": true}"#.to_owned()),
        _ => None,
    }
}

/// The answer to a chat request.
pub(super) fn answer(asked: &Asked, behaviour: &Behaviour) -> Answer {
    let turn = Turn::of(asked, behaviour);
    let usage = usage(
        prompt_tokens(&asked.body["messages"]),
        turn.tokens() * asked.choices(),
        turn.reasoning.len() * asked.choices(),
    );
    if asked.stream() {
        Answer::Stream(stream(asked, behaviour, &turn, &usage))
    } else {
        let tokens = turn.tokens();
        Answer::Whole {
            body: whole(asked, behaviour, &turn, usage),
            tokens,
        }
    }
}

fn whole(asked: &Asked, behaviour: &Behaviour, turn: &Turn, usage: Value) -> Value {
    let mut message = Map::new();
    message.insert("role".into(), "assistant".into());
    let content = match (turn.text.is_empty(), turn.calls.is_empty()) {
        (true, false) => Value::Null,
        _ => turn.text.concat().into(),
    };
    message.insert("content".into(), content);
    message.insert("refusal".into(), Value::Null);
    if !turn.reasoning.is_empty() {
        message.insert(
            behaviour.reasoning_field.name().into(),
            turn.reasoning.concat().into(),
        );
    }
    if !turn.calls.is_empty() {
        let calls: Vec<Value> = turn
            .calls
            .iter()
            .map(|call| {
                let function = json!({"name": call.name, "arguments": call.arguments});
                json!({"id": call.id, "type": "function", "function": function})
            })
            .collect();
        message.insert("tool_calls".into(), calls.into());
    }
    let choices: Vec<Value> = (0..asked.choices())
        .map(|index| {
            let mut choice =
                json!({"index": index, "message": message, "finish_reason": turn.finish});
            choice["logprobs"] = logprobs(asked, &turn.text);
            if asked.style.is_azure() {
                choice["content_filter_results"] = filter_results();
            }
            choice
        })
        .collect();
    let mut body = asked.frame("chat.completion", behaviour);
    body.insert("choices".into(), choices.into());
    if behaviour.usage {
        body.insert("usage".into(), usage);
    }
    body.insert("system_fingerprint".into(), "fp_lab".into());
    if asked.style.is_azure() {
        body.insert("prompt_filter_results".into(), prompt_filter_results());
    }
    asked.echo_into(&mut body, behaviour);
    body.into()
}

fn stream(asked: &Asked, behaviour: &Behaviour, turn: &Turn, usage: &Value) -> Vec<Event> {
    let mut telling = Telling {
        asked,
        behaviour,
        with_usage: asked.include_usage() && behaviour.usage,
        events: Vec::new(),
    };
    if asked.style.is_azure() {
        telling.filter_chunk();
    }
    telling.deltas(
        Part::Preamble,
        &json!({"role": "assistant", "content": "", "refusal": null}),
        &Value::Null,
    );
    for piece in &turn.reasoning {
        telling.deltas(
            Part::Content,
            &json!({ behaviour.reasoning_field.name(): piece }),
            &Value::Null,
        );
    }
    for piece in &turn.text {
        let logprobs = logprobs(asked, std::slice::from_ref(piece));
        telling.deltas(Part::Content, &json!({"content": piece}), &logprobs);
    }
    for (index, call) in turn.calls.iter().enumerate() {
        let function = json!({"name": call.name, "arguments": ""});
        let head = json!({"index": index, "id": call.id, "type": "function", "function": function});
        telling.deltas(Part::Along, &json!({"tool_calls": [head]}), &Value::Null);
        for piece in call.pieces() {
            let delta = json!({"tool_calls": [{"index": index, "function": {"arguments": piece}}]});
            telling.deltas(Part::Content, &delta, &Value::Null);
        }
    }
    telling.finish(turn.finish);
    if telling.with_usage {
        telling.chunk(Part::Tail, json!([]), usage.clone());
    }
    telling.events.push(Event::done());
    telling.events
}

/// A stream being put together.
struct Telling<'a> {
    asked: &'a Asked,
    behaviour: &'a Behaviour,
    with_usage: bool,
    events: Vec<Event>,
}

impl Telling<'_> {
    fn chunk(&mut self, part: Part, choices: Value, usage: Value) {
        let mut chunk = self.asked.frame("chat.completion.chunk", self.behaviour);
        chunk.insert("system_fingerprint".into(), "fp_lab".into());
        chunk.insert("choices".into(), choices);
        if self.with_usage {
            chunk.insert("usage".into(), usage);
        }
        if self.events.is_empty() {
            self.asked.echo_into(&mut chunk, self.behaviour);
        }
        self.events.push(Event::json(part, &chunk.into()));
    }

    /// One delta for each choice; the further choices come along with the first.
    fn deltas(&mut self, part: Part, delta: &Value, logprobs: &Value) {
        for index in 0..self.asked.choices() {
            let part = if index > 0 && part == Part::Content {
                Part::Along
            } else {
                part
            };
            let choice = json!({"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": null});
            self.chunk(part, json!([choice]), Value::Null);
        }
    }

    fn finish(&mut self, reason: &str) {
        for index in 0..self.asked.choices() {
            let mut choice =
                json!({"index": index, "delta": {}, "logprobs": null, "finish_reason": reason});
            if self.asked.style.is_azure() {
                choice["content_filter_results"] = filter_results();
            }
            self.chunk(Part::Tail, json!([choice]), Value::Null);
        }
    }

    /// Azure's first chunk: no choice, no id, no model.
    fn filter_chunk(&mut self) {
        let chunk = json!({
            "id": "",
            "object": "",
            "created": 0,
            "model": "",
            "choices": [],
            "prompt_filter_results": prompt_filter_results(),
        });
        self.events.push(Event::json(Part::Preamble, &chunk));
    }
}

fn logprobs(asked: &Asked, tokens: &[String]) -> Value {
    if asked.body["logprobs"] != true {
        return Value::Null;
    }
    let top = asked.body["top_logprobs"].as_u64().unwrap_or(0).min(20);
    chat_logprobs(tokens, usize::try_from(top).unwrap_or(0))
}

fn filter_results() -> Value {
    let safe = json!({"filtered": false, "severity": "safe"});
    json!({"hate": safe, "self_harm": safe, "sexual": safe, "violence": safe})
}

fn prompt_filter_results() -> Value {
    json!([{"prompt_index": 0, "content_filter_results": filter_results()}])
}

#[cfg(test)]
mod tests;
