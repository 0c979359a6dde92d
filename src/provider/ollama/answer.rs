//! Ollama's answers: what whole ones and lines of a stream say.

use bytes::BytesMut;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::provider::chat::{Decoder, Finish, Sink, Usage, malformed};
use crate::provider::embeddings::Found;
use crate::provider::{AdaptError, error_facts};

/// The choice, of which there is one.
const ONLY: usize = 0;

/// An answer, or a line of one.
#[derive(Debug, Deserialize)]
struct Line {
    error: Option<Value>,
    model: Option<String>,
    message: Option<Message>,
    #[serde(default)]
    done: bool,
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
    /// The tokens, if they were counted. A prompt that was in the cache as a whole counts none.
    fn usage(&self) -> Option<Usage> {
        let counted = self.prompt_eval_count.or(self.eval_count).is_some();
        counted.then(|| Usage {
            prompt: self.prompt_eval_count.unwrap_or(0),
            completion: self.eval_count.unwrap_or(0),
            ..Usage::default()
        })
    }

    /// Says what is in it; whether it has a message.
    fn say(&mut self, to: &mut Sink, out: &mut BytesMut) -> bool {
        to.model(self.model.as_deref().unwrap_or_default());
        to.begin(ONLY, out);
        let Some(message) = self.message.take() else {
            return false;
        };
        to.reasoning(ONLY, message.thinking.as_deref().unwrap_or_default(), out);
        let logprobs = match self.logprobs.take() {
            Some(list @ Value::Array(_)) => Some(json!({"content": list, "refusal": null})),
            _ => None,
        };
        let text = message.content.as_deref().unwrap_or_default();
        to.text_with(ONLY, text, logprobs, out);
        for ToolCall { id, function } in message.tool_calls.into_iter().flatten() {
            let arguments = arguments(function.arguments.as_deref());
            to.called(ONLY, id.as_deref(), (&function.name, &arguments), None, out);
        }
        true
    }

    /// Says that it is the end.
    fn end(&self, to: &mut Sink, out: &mut BytesMut) {
        let reason = match self.done_reason.as_deref() {
            Some("length") => Finish::Length,
            // `stop`, and `load` and `unload` of a request without messages.
            _ => Finish::Stop,
        };
        to.finish(ONLY, reason, out);
        if let Some(usage) = self.usage() {
            to.usage(usage);
        }
        to.end(out);
    }
}

/// An object as its text; a text as it is, which some servers send.
fn arguments(raw: Option<&RawValue>) -> String {
    match raw.map(RawValue::get) {
        None | Some("null") => "{}".to_owned(),
        Some(text) => serde_json::from_str::<String>(text).unwrap_or_else(|_| text.to_owned()),
    }
}

/// Reads answers.
#[derive(Debug)]
pub(super) struct Reader;

impl Reader {
    /// Reads a line; an error in it, Ollama's text or an object as proxies send it, ends the answer.
    fn read(json: &[u8], to: &mut Sink, out: &mut BytesMut) -> Result<Option<Line>, AdaptError> {
        let line: Line = serde_json::from_slice(json).map_err(malformed)?;
        let Some(error) = line.error.as_ref().filter(|error| !error.is_null()) else {
            return Ok(Some(line));
        };
        let mut facts = error_facts(json).unwrap_or_default();
        facts
            .kind
            .get_or_insert_with(|| "upstream_error".to_owned());
        facts.message.get_or_insert_with(|| error.to_string());
        to.fail(&facts, out);
        Ok(None)
    }
}

impl Decoder for Reader {
    fn event(&mut self, data: &[u8], to: &mut Sink, out: &mut BytesMut) -> Result<(), AdaptError> {
        if let Some(mut line) = Self::read(data, to, out)? {
            line.say(to, out);
            if line.done {
                line.end(to, out);
            }
        }
        Ok(())
    }

    fn whole(&mut self, body: &[u8], to: &mut Sink) -> Result<(), AdaptError> {
        // A whole answer is kept in the sink until it is written.
        let out = &mut BytesMut::new();
        if let Some(mut line) = Self::read(body, to, out)? {
            if !line.say(to, out) {
                return Err(malformed("there is no `message` in it"));
            }
            line.end(to, out);
        }
        Ok(())
    }
}

/// Reads an answer with embeddings.
///
/// # Errors
/// If it is none.
pub(super) fn embeddings(body: &[u8]) -> Result<Found<'_>, AdaptError> {
    #[derive(Deserialize)]
    struct Wire<'a> {
        model: Option<String>,
        #[serde(borrow)]
        embeddings: Vec<&'a RawValue>,
        prompt_eval_count: Option<u64>,
    }
    let wire: Wire<'_> = serde_json::from_slice(body).map_err(malformed)?;
    Ok(Found {
        model: wire.model,
        vectors: wire.embeddings,
        tokens: wire.prompt_eval_count,
    })
}
