//! Ollama's answers as OpenAI's: what whole ones and lines of a stream have in common, and the whole ones.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::provider::{AdaptError, Call, Translator, embeddings};

/// An answer, or a line of one.
#[derive(Debug, Deserialize)]
pub(super) struct Line {
    pub(super) error: Option<Value>,
    model: Option<String>,
    message: Option<Message>,
    #[serde(default)]
    pub(super) done: bool,
    done_reason: Option<String>,
    prompt_eval_count: Option<u64>,
    eval_count: Option<u64>,
    logprobs: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Message {
    content: Option<String>,
    thinking: Option<String>,
    tool_calls: Option<Vec<ToolCall>>,
}

#[derive(Debug, Deserialize)]
struct ToolCall {
    id: Option<String>,
    function: Function,
}

#[derive(Debug, Deserialize)]
struct Function {
    name: String,
    arguments: Option<Box<RawValue>>,
}

impl Line {
    pub(super) fn read(json: &[u8]) -> Result<Self, AdaptError> {
        serde_json::from_slice(json).map_err(|e| AdaptError::Malformed(e.to_string()))
    }

    /// Why the model stopped; calls of tools are a reason of their own.
    pub(super) fn finish_reason(&self, called: bool) -> &'static str {
        match self.done_reason.as_deref() {
            Some("length") => "length",
            _ if called => "tool_calls",
            // `stop`, and `load` and `unload` of a request without messages.
            _ => "stop",
        }
    }

    /// The tokens, if they were counted. A prompt that was in the cache as a whole counts none.
    pub(super) fn usage(&self) -> Option<Value> {
        if self.prompt_eval_count.is_none() && self.eval_count.is_none() {
            return None;
        }
        let (prompt, completion) = (
            self.prompt_eval_count.unwrap_or(0),
            self.eval_count.unwrap_or(0),
        );
        Some(
            json!({"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt.saturating_add(completion)}),
        )
    }

    /// `logprobs` of the choice.
    pub(super) fn logprobs(&mut self) -> Value {
        match self.logprobs.take() {
            Some(list @ Value::Array(_)) => json!({"content": list, "refusal": null}),
            _ => Value::Null,
        }
    }
}

/// What every part of an answer repeats, and what ids are made from.
#[derive(Debug)]
pub(super) struct Frame {
    request: Arc<str>,
    body: Bytes,
    id: String,
    created: u64,
    model: String,
    /// Calls of tools so far.
    pub(super) calls: usize,
}

impl Frame {
    pub(super) fn new(call: &Call, model: &str) -> Self {
        Self {
            request: Arc::clone(&call.id),
            body: call.body.clone(),
            id: format!("chatcmpl-{}", call.id),
            created: call.created,
            model: model.to_owned(),
            calls: 0,
        }
    }

    /// Takes what the line says for a message or a delta: members that are empty are left out.
    pub(super) fn take(&mut self, line: &mut Line) -> Map<String, Value> {
        if let Some(model) = line.model.take() {
            self.model = model;
        }
        let mut said = Map::new();
        let Some(message) = line.message.take() else {
            return said;
        };
        let text = |text: Option<String>| text.filter(|t| !t.is_empty());
        said.extend(text(message.thinking).map(|t| ("reasoning_content".to_owned(), t.into())));
        said.extend(text(message.content).map(|t| ("content".to_owned(), t.into())));
        let calls: Vec<Value> = message
            .tool_calls
            .into_iter()
            .flatten()
            .map(|call| self.call(call))
            .collect();
        if !calls.is_empty() {
            said.insert("tool_calls".to_owned(), calls.into());
        }
        said
    }

    fn call(&mut self, call: ToolCall) -> Value {
        let index = self.calls;
        self.calls += 1;
        let id = call
            .id
            .filter(|id| !id.is_empty())
            .unwrap_or_else(|| self.call_id(index));
        let arguments = arguments(call.function.arguments.as_deref());
        json!({"index": index, "id": id, "type": "function", "function": {"name": call.function.name, "arguments": arguments}})
    }

    /// An id that another turn of the same conversation does not have, even under the same request id.
    fn call_id(&self, index: usize) -> String {
        let mut hasher = blake3::Hasher::new();
        for part in [
            self.request.as_bytes(),
            &self.created.to_le_bytes(),
            &(index as u64).to_le_bytes(),
            &self.body,
        ] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        format!("call_{}", &hasher.finalize().to_hex()[..24])
    }

    /// An answer or a chunk with this choice, or with none.
    pub(super) fn wrap(&self, object: &str, choice: Option<Value>, usage: Option<Value>) -> Value {
        let choices: Vec<Value> = choice.into_iter().collect();
        let mut answer = json!({
            "id": self.id, "object": object, "created": self.created, "model": self.model, "choices": choices,
        });
        if let Some(usage) = usage {
            answer["usage"] = usage;
        }
        answer
    }
}

/// An object as its text; a text as it is, which some servers send.
fn arguments(raw: Option<&RawValue>) -> String {
    match raw.map(RawValue::get) {
        None | Some("null") => "{}".to_owned(),
        Some(text) => serde_json::from_str::<String>(text).unwrap_or_else(|_| text.to_owned()),
    }
}

/// A chat that came in one piece.
#[derive(Debug)]
pub(super) struct Whole {
    frame: Frame,
    body: BytesMut,
}

impl Whole {
    pub(super) fn new(call: &Call, model: &str) -> Self {
        Self {
            frame: Frame::new(call, model),
            body: BytesMut::new(),
        }
    }
}

impl Translator for Whole {
    fn push(&mut self, chunk: &[u8], _: &mut BytesMut) -> Result<(), AdaptError> {
        self.body.extend_from_slice(chunk);
        Ok(())
    }

    fn finish(&mut self, out: &mut BytesMut) -> Result<(), AdaptError> {
        let mut line = Line::read(&self.body)?;
        if line.message.is_none() {
            return Err(AdaptError::Malformed(
                "there is no `message` in it".to_owned(),
            ));
        }
        let mut message = self.frame.take(&mut line);
        let called = self.frame.calls > 0;
        let nothing = if called { Value::Null } else { "".into() };
        message.entry("content").or_insert(nothing);
        message.insert("role".to_owned(), "assistant".into());
        for call in message
            .get_mut("tool_calls")
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            if let Some(call) = call.as_object_mut() {
                call.remove("index"); // a stream's
            }
        }
        let reason = line.finish_reason(called);
        let choice = json!({"index": 0, "message": message, "logprobs": line.logprobs(), "finish_reason": reason});
        let answer = self
            .frame
            .wrap("chat.completion", Some(choice), line.usage());
        out.extend_from_slice(answer.to_string().as_bytes());
        Ok(())
    }
}

/// Embeddings, as numbers; another encoding is made of them later.
#[derive(Debug)]
pub(super) struct Embeddings {
    model: String,
    body: BytesMut,
}

impl Embeddings {
    pub(super) fn new(model: &str) -> Self {
        Self {
            model: model.to_owned(),
            body: BytesMut::new(),
        }
    }
}

impl Translator for Embeddings {
    fn push(&mut self, chunk: &[u8], _: &mut BytesMut) -> Result<(), AdaptError> {
        self.body.extend_from_slice(chunk);
        Ok(())
    }

    fn finish(&mut self, out: &mut BytesMut) -> Result<(), AdaptError> {
        #[derive(Deserialize)]
        struct Wire<'a> {
            model: Option<String>,
            #[serde(borrow)]
            embeddings: Vec<&'a RawValue>,
            prompt_eval_count: Option<u64>,
        }
        let wire: Wire<'_> =
            serde_json::from_slice(&self.body).map_err(|e| AdaptError::Malformed(e.to_string()))?;
        let model = wire.model.as_deref().unwrap_or(&self.model);
        embeddings::write(model, &wire.embeddings, wire.prompt_eval_count, out);
        Ok(())
    }
}
