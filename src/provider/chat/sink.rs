//! OpenAI's answer, as a dialect says piece by piece what is in it.
//!
//! The same calls make a whole answer or a stream of chunks: role, what is said, the finish reason, the usage, `[DONE]`.
//! Chunks are written at once, into bytes that are half finished beforehand; nothing is built to be serialised.

mod chunks;
mod parts;

use bytes::{BufMut, BytesMut};
use serde_json::{Value, json};

use super::refusal::body;
use super::thinking::Thinking;
use crate::provider::{Call, ErrorFacts};

use chunks::{Chunks, Text, quote};
use parts::{Called, Choice};
pub(in crate::provider) use parts::{Finish, Usage};

/// Writes one answer.
#[derive(Debug)]
pub(in crate::provider) struct Sink {
    stream: bool,
    call: Call,
    account: String,
    model: String,
    chunks: Chunks,
    choices: Vec<Choice>,
    usage: Option<Usage>,
    /// What a whole answer says instead of choices.
    failure: Option<ErrorFacts>,
    /// Nothing follows.
    over: bool,
}

impl Sink {
    /// For the answer to `call`; `model` stands in it until the provider says another, `account` in what was thought.
    pub(in crate::provider) fn new(call: &Call, model: &str, account: &str) -> Self {
        Self {
            stream: call.head.stream,
            call: call.clone(),
            account: account.to_owned(),
            model: model.to_owned(),
            chunks: Chunks::new(call, model),
            choices: Vec::new(),
            usage: None,
            failure: None,
            over: false,
        }
    }

    /// Whether the stream has ended, well or not.
    pub(in crate::provider) const fn is_over(&self) -> bool {
        self.over
    }

    /// Whether anything was said of a choice, or why it ended.
    pub(in crate::provider) fn has_finished(&self) -> bool {
        !self.choices.is_empty() && self.choices.iter().all(|choice| choice.finish.is_some())
    }

    /// How many tools a choice has called so far.
    pub(in crate::provider) fn calls(&self, choice: usize) -> usize {
        self.choices
            .get(choice)
            .map_or(0, |choice| choice.calls.len())
    }

    /// The model that answers.
    pub(in crate::provider) fn model(&mut self, name: &str) {
        if !name.is_empty() && name != self.model {
            name.clone_into(&mut self.model);
            self.chunks = Chunks::new(&self.call, name);
        }
    }

    /// The choice is about to be given. Where it is not said, the first piece says it.
    pub(in crate::provider) fn begin(&mut self, choice: usize, out: &mut BytesMut) {
        if self.choices.len() <= choice {
            self.choices.resize_with(choice + 1, Choice::default);
        }
        if self.stream && !self.choices[choice].begun {
            self.choices[choice].begun = true;
            self.chunks.delta(choice, None, out, |out| {
                out.put_slice(b"\"role\":\"assistant\",\"content\":\"\"");
            });
        }
    }

    /// A piece of the text.
    pub(in crate::provider) fn text(&mut self, choice: usize, text: &str, out: &mut BytesMut) {
        self.text_with(choice, text, None, out);
    }

    /// A piece of the text with its `logprobs`.
    pub(in crate::provider) fn text_with(
        &mut self,
        choice: usize,
        text: &str,
        logprobs: Option<Value>,
        out: &mut BytesMut,
    ) {
        if text.is_empty() && logprobs.is_none() {
            return;
        }
        self.begin(choice, out);
        if self.stream {
            self.chunks.delta(choice, logprobs.as_ref(), out, |out| {
                out.put_slice(b"\"content\":");
                quote(text, out);
            });
        } else {
            let choice = &mut self.choices[choice];
            choice.text.push_str(text);
            choice.logprobs = logprobs.or(choice.logprobs.take());
        }
    }

    /// A piece of what is thought.
    pub(in crate::provider) fn reasoning(&mut self, choice: usize, text: &str, out: &mut BytesMut) {
        if text.is_empty() {
            return;
        }
        self.begin(choice, out);
        if self.stream {
            self.chunks.delta(choice, None, out, |out| {
                out.put_slice(b"\"reasoning_content\":");
                quote(text, out);
            });
        } else {
            self.choices[choice].reasoning.push_str(text);
        }
    }

    /// A whole block of thinking, to be given back in the next turn. Its words are said by [`Sink::reasoning`].
    pub(in crate::provider) fn thought(
        &mut self,
        choice: usize,
        mut block: Thinking,
        out: &mut BytesMut,
    ) {
        self.begin(choice, out);
        let (Thinking::Thinking { from, .. } | Thinking::RedactedThinking { from, .. }) =
            &mut block;
        *from = Some(self.account.clone());
        if self.stream {
            self.chunks.delta(choice, None, out, |out| {
                let _ = write!(Text(out), "\"thinking_blocks\":{}", json!([block]));
            });
        } else {
            self.choices[choice].thinking.push(block);
        }
    }

    /// The model calls a tool; its arguments follow. An id is made where the provider has none. `thought` is Google's
    /// proof, which the client gives back in `extra_content` or in the id.
    pub(in crate::provider) fn call(
        &mut self,
        choice: usize,
        id: Option<&str>,
        name: &str,
        thought: Option<&str>,
        out: &mut BytesMut,
    ) {
        self.called(choice, id, (name, ""), thought, out);
    }

    /// The model calls a tool by this name with these arguments, as far as they are known.
    pub(in crate::provider) fn called(
        &mut self,
        choice: usize,
        id: Option<&str>,
        (name, arguments): (&str, &str),
        thought: Option<&str>,
        out: &mut BytesMut,
    ) {
        self.begin(choice, out);
        let index = self.choices[choice].calls.len();
        let mut id = match id.filter(|id| !id.is_empty()) {
            Some(id) => id.to_owned(),
            None => self.call_id(choice, index),
        };
        let extra = thought.map(|signature| {
            use base64::Engine;
            id.push_str(super::messages::THOUGHT);
            base64::engine::general_purpose::URL_SAFE_NO_PAD.encode_string(signature, &mut id);
            json!({"google": {"thought_signature": signature}})
        });
        if self.stream {
            self.chunks.delta(choice, None, out, |out| {
                let _ = write!(Text(out), "\"tool_calls\":[{{\"index\":{index},\"id\":");
                quote(&id, out);
                out.put_slice(b",\"type\":\"function\",\"function\":{\"name\":");
                quote(name, out);
                out.put_slice(b",\"arguments\":");
                quote(arguments, out);
                out.put_slice(b"}");
                if let Some(extra) = &extra {
                    let _ = write!(Text(out), ",\"extra_content\":{extra}");
                }
                out.put_slice(b"}]");
            });
        }
        self.choices[choice].calls.push(Called {
            id,
            name: name.to_owned(),
            arguments: arguments.to_owned(),
            extra,
        });
    }

    /// A piece of the arguments of the last tool that was called.
    pub(in crate::provider) fn arguments(
        &mut self,
        choice: usize,
        piece: &str,
        out: &mut BytesMut,
    ) {
        let Some(index) = self.calls(choice).checked_sub(1) else {
            return;
        };
        self.arguments_of(choice, index, piece, out);
    }

    /// A piece of the arguments of the tool that was called as number `index`.
    pub(in crate::provider) fn arguments_of(
        &mut self,
        choice: usize,
        index: usize,
        piece: &str,
        out: &mut BytesMut,
    ) {
        if piece.is_empty() || index >= self.calls(choice) {
            return;
        }
        if self.stream {
            self.chunks.delta(choice, None, out, |out| {
                let _ = write!(
                    Text(out),
                    "\"tool_calls\":[{{\"index\":{index},\"function\":{{\"arguments\":"
                );
                quote(piece, out);
                out.put_slice(b"}}]");
            });
        }
        // Of a stream only whether there are any is asked.
        let called = &mut self.choices[choice].calls[index].arguments;
        if !self.stream || called.is_empty() {
            called.push_str(piece);
        }
    }

    /// The arguments of a call are over: a call that had none gets an object without members.
    pub(in crate::provider) fn end_arguments(
        &mut self,
        choice: usize,
        index: usize,
        out: &mut BytesMut,
    ) {
        let called = self
            .choices
            .get(choice)
            .and_then(|choice| choice.calls.get(index));
        if called.is_some_and(|call| call.arguments.is_empty()) {
            self.arguments_of(choice, index, "{}", out);
        }
    }

    /// A member of the message that few providers have, such as `annotations`.
    pub(in crate::provider) fn more(
        &mut self,
        choice: usize,
        name: &'static str,
        value: Value,
        out: &mut BytesMut,
    ) {
        self.begin(choice, out);
        if self.stream {
            self.chunks.delta(choice, None, out, |out| {
                let _ = write!(Text(out), "\"{name}\":{value}");
            });
        } else {
            self.choices[choice].more.push((name, value));
        }
    }

    /// `logprobs` of the choice: whole, or of the text that came last.
    pub(in crate::provider) fn logprobs(
        &mut self,
        choice: usize,
        value: Value,
        out: &mut BytesMut,
    ) {
        self.begin(choice, out);
        if self.stream {
            self.chunks.delta(choice, Some(&value), out, |_| {});
        } else {
            self.choices[choice].logprobs = Some(value);
        }
    }

    /// The choice is over. Only the first reason counts.
    pub(in crate::provider) fn finish(
        &mut self,
        choice: usize,
        reason: Finish,
        out: &mut BytesMut,
    ) {
        self.begin(choice, out);
        if self.choices[choice].finish.is_some() {
            return;
        }
        let reason = match reason {
            Finish::Stop if self.calls(choice) > 0 => Finish::ToolCalls,
            reason => reason,
        };
        self.choices[choice].finish = Some(reason);
        if self.stream {
            self.chunks.finish(choice, reason, out);
        }
    }

    /// What was used, all in all; the last one counts.
    pub(in crate::provider) const fn usage(&mut self, usage: Usage) {
        self.usage = Some(usage);
    }

    /// The stream is over, as it should be.
    pub(in crate::provider) fn end(&mut self, out: &mut BytesMut) {
        if self.over || !self.stream {
            return;
        }
        self.over = true;
        if let Some(usage) = self.usage {
            self.chunks.usage(usage, out);
        }
        out.put_slice(b"data: [DONE]\n\n");
    }

    /// The answer ends in an error; a whole one is nothing else.
    pub(in crate::provider) fn fail(&mut self, facts: &ErrorFacts, out: &mut BytesMut) {
        if self.over {
            return;
        }
        self.over = true;
        if self.stream {
            let _ = write!(Text(out), "data: {}\n\n", body(facts));
        } else {
            self.failure = Some(facts.clone());
        }
    }

    /// An id that another turn of the same conversation does not have, even under the same request id.
    fn call_id(&self, choice: usize, index: usize) -> String {
        let mut hasher = blake3::Hasher::new();
        let number = |n: usize| (n as u64).to_le_bytes();
        for part in [
            self.call.id.as_bytes(),
            &self.call.created.to_le_bytes(),
            &number(choice),
            &number(index),
            &self.call.body,
        ] {
            hasher.update(&number(part.len()));
            hasher.update(part);
        }
        format!("call_{}", &hasher.finalize().to_hex()[..24])
    }

    /// A whole answer.
    pub(in crate::provider) fn write_whole(&mut self, out: &mut BytesMut) {
        if let Some(facts) = &self.failure {
            let _ = write!(Text(out), "{}", body(facts));
            return;
        }
        let choices: Vec<Value> = std::mem::take(&mut self.choices)
            .into_iter()
            .enumerate()
            .map(|(index, choice)| choice.json(index))
            .collect();
        let mut answer = json!({
            "id": format!("chatcmpl-{}", self.call.id),
            "object": "chat.completion",
            "created": self.call.created,
            "model": self.model,
            "choices": choices,
        });
        if let Some(usage) = self.usage {
            answer["usage"] = usage.json();
        }
        // Not by `to_string`, which goes through the formatting machinery, nor into `out`, which asks for room at each piece
        // of a text with escapes.
        out.put_slice(&serde_json::to_vec(&answer).unwrap_or_default());
    }
}
