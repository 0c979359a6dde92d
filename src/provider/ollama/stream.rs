//! A stream of lines of JSON as OpenAI's stream of events.
//!
//! Role, then what the lines say, then the finish reason, then the usage, then `[DONE]`. Only the line with `done: true`
//! is an end: without it nothing is added, so that whoever watches the events sees that the stream was cut. An error in
//! a line becomes an error event, and nothing follows it.

use bytes::BytesMut;
use serde_json::{Value, json};

use super::answer::{Frame, Line};
use crate::provider::{AdaptError, Call, Translator};
use crate::sse::MAX_EVENT;

#[derive(Debug)]
pub(super) struct Events {
    frame: Frame,
    /// The unfinished line.
    held: BytesMut,
    /// How far it was searched for its end.
    searched: usize,
    begun: bool,
    /// Ended, well or not.
    over: bool,
}

impl Events {
    pub(super) fn new(call: &Call, model: &str) -> Self {
        Self {
            frame: Frame::new(call, model),
            held: BytesMut::new(),
            searched: 0,
            begun: false,
            over: false,
        }
    }

    fn line(&mut self, json: &[u8], out: &mut BytesMut) -> Result<(), AdaptError> {
        if self.over || json.trim_ascii().is_empty() {
            return Ok(());
        }
        let line = Line::read(json)?;
        self.say(line, out);
        Ok(())
    }

    fn say(&mut self, mut line: Line, out: &mut BytesMut) {
        if let Some(error) = line.error.take().filter(|error| !error.is_null()) {
            self.over = true;
            event(out, &error_body(&error));
            return;
        }
        let said = self.frame.take(&mut line);
        if !self.begun {
            self.begun = true;
            let role = json!({"role": "assistant", "content": ""});
            self.delta(out, &role, &Value::Null, None);
        }
        if !said.is_empty() {
            let logprobs = line.logprobs();
            self.delta(out, &said.into(), &logprobs, None);
        }
        if line.done {
            self.over = true;
            let reason = line.finish_reason(self.frame.calls > 0);
            self.delta(out, &json!({}), &Value::Null, Some(reason));
            if let Some(usage) = line.usage() {
                event(
                    out,
                    &self.frame.wrap("chat.completion.chunk", None, Some(usage)),
                );
            }
            out.extend_from_slice(b"data: [DONE]\n\n");
        }
    }

    fn delta(&self, out: &mut BytesMut, delta: &Value, logprobs: &Value, reason: Option<&str>) {
        let choice =
            json!({"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": reason});
        event(
            out,
            &self.frame.wrap("chat.completion.chunk", Some(choice), None),
        );
    }
}

fn event(out: &mut BytesMut, json: &Value) {
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(json.to_string().as_bytes());
    out.extend_from_slice(b"\n\n");
}

/// Ollama's text, or an object as proxies send it, as OpenAI's error.
fn error_body(error: &Value) -> Value {
    match error {
        Value::Object(_) => json!({"error": error}),
        Value::String(text) => {
            json!({"error": {"message": text, "type": "upstream_error", "param": null, "code": null}})
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => {
            json!({"error": {"message": error.to_string(), "type": "upstream_error", "param": null, "code": null}})
        }
    }
}

impl Translator for Events {
    fn push(&mut self, chunk: &[u8], out: &mut BytesMut) -> Result<(), AdaptError> {
        self.held.extend_from_slice(chunk);
        while let Some(found) = memchr::memchr(b'\n', &self.held[self.searched..]) {
            let line = self.held.split_to(self.searched + found + 1);
            self.searched = 0;
            self.line(&line, out)?;
        }
        self.searched = self.held.len();
        if self.searched > MAX_EVENT {
            return Err(AdaptError::Malformed(format!(
                "a line is longer than {MAX_EVENT} bytes"
            )));
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut BytesMut) -> Result<(), AdaptError> {
        let rest = self.held.split();
        self.searched = 0;
        // The last line may lack its end. Half a line is a cut, which shows by what is missing.
        if !self.over
            && let Ok(line) = Line::read(&rest)
        {
            self.say(line, out);
        }
        Ok(())
    }
}
