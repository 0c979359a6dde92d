//! A stream as it passes: what has been said so far, seen without holding it up.
//!
//! Before the commit point each event is read, to know content from preamble and errors from both. Afterwards events
//! are only searched for the few words that matter (`usage`, `error`, `finish_reason`), and parsed when one is there.
//! Malformed events are nobody's end: they pass.

use std::borrow::Cow;
use std::sync::LazyLock;

use bytes::{Buf, Bytes, BytesMut};
use memchr::memmem::Finder;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::provider::{AdaptError, ErrorFacts, Translator, error_facts};
use crate::sse;
use crate::types::TokenUsage;
use crate::usage::meter;

static USAGE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"usage\""));
static ERROR: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"error\""));
static FINISH: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"finish_reason\""));

/// What an event says, as far as Waypost cares.
#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    choices: Option<Vec<IgnoredAny>>,
    #[serde(borrow)]
    model: Option<&'a RawValue>,
}

/// The parts of a chunk that tell content from preamble.
#[derive(Deserialize)]
struct Chunk {
    choices: Option<Vec<Choice>>,
}

#[derive(Deserialize)]
struct Choice {
    delta: Option<serde_json::Map<String, serde_json::Value>>,
    text: Option<String>,
    finish_reason: Option<String>,
}

/// One stream under observation.
#[derive(Debug)]
pub(super) struct Watch {
    splitter: sse::Splitter,
    translator: Option<Box<dyn Translator>>,
    /// Take out the usage event, which only Waypost asked for.
    hide_usage: bool,
    /// JSON text to put in place of each chunk's `model`.
    model: Option<Bytes>,
    content: bool,
    finished: bool,
    done: bool,
    error: Option<(ErrorFacts, Bytes)>,
    usage: Option<TokenUsage>,
    events: u64,
    /// An event that was taken out or replaced ended in a carriage return, whose line feed may be yet to come.
    half_ended: bool,
}

/// How a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// With `[DONE]`, or at least a finish reason; or nobody can tell, since an event was too large to be read.
    Complete,
    /// In the middle.
    Truncated,
}

impl Watch {
    /// A watch over a stream that has not begun.
    #[must_use]
    pub(super) fn new(
        translator: Option<Box<dyn Translator>>,
        hide_usage: bool,
        model: Option<Bytes>,
    ) -> Self {
        Self {
            splitter: sse::Splitter::default(),
            translator,
            hide_usage,
            model,
            content: false,
            finished: false,
            done: false,
            error: None,
            usage: None,
            events: 0,
            half_ended: false,
        }
    }

    /// Takes a chunk and returns what of the stream may be handed on; an error event is kept back (see [`Watch::error`]).
    ///
    /// # Errors
    /// If a translator can't make sense of it.
    pub(super) fn push(&mut self, chunk: Bytes) -> Result<Bytes, AdaptError> {
        let chunk = match &mut self.translator {
            None => chunk,
            Some(translator) => {
                let mut out = BytesMut::new();
                translator.push(&chunk, &mut out)?;
                out.freeze()
            }
        };
        let whole = self.splitter.push(chunk);
        if self.splitter.gave_up() {
            self.content = true;
            self.events += 1; // nobody can count them any more, but it is not silent
            return Ok(whole);
        }
        Ok(self.look(whole))
    }

    /// The upstream is at its end. Returns the rest and how it ended. Of an event without its blank line there is
    /// something in the rest only if it can be read all the same.
    ///
    /// # Errors
    /// As [`Watch::push`].
    pub(super) fn finish(&mut self) -> Result<(Bytes, Ending), AdaptError> {
        let mut rest = BytesMut::new();
        if let Some(mut translator) = self.translator.take() {
            let mut out = BytesMut::new();
            translator.finish(&mut out)?;
            rest.extend_from_slice(&self.splitter.push(out.freeze()));
        }
        let last = self.splitter.finish();
        if is_readable(&last) {
            rest.extend_from_slice(&last);
        }
        let rest = self.look(rest.freeze());
        // What was too large to be looked at has ended well if HTTP says so.
        let complete =
            self.error.is_none() && (self.done || self.finished || self.splitter.gave_up());
        Ok((
            rest,
            if complete {
                Ending::Complete
            } else {
                Ending::Truncated
            },
        ))
    }

    /// Reads whole events; returns those to hand on, as one slice of what came in if all are.
    fn look(&mut self, mut whole: Bytes) -> Bytes {
        if self.half_ended && !whole.is_empty() {
            self.half_ended = false;
            if whole[0] == b'\n' {
                whole.advance(1);
            }
        }
        let mut out: Option<BytesMut> = None;
        let mut at = 0;
        for event in sse::events(&whole) {
            let start = at;
            at += event.len();
            let replaced = match self.event(&event) {
                Look::Pass => {
                    if let Some(out) = &mut out {
                        out.extend_from_slice(&event);
                    }
                    continue;
                }
                Look::Replace(new) => Some(new),
                Look::Drop => None,
            };
            let out = out.get_or_insert_with(|| BytesMut::from(&whole[..start]));
            if let Some(new) = replaced {
                out.extend_from_slice(&new);
            }
            self.half_ended = at == whole.len() && event.ends_with(b"\r");
            if self.error.is_some() {
                break; // nothing follows an error
            }
        }
        out.map_or(whole, BytesMut::freeze)
    }

    fn event(&mut self, event: &Bytes) -> Look {
        let Some(mut data) = sse::data(event) else {
            return Look::Pass;
        };
        if let Cow::Owned(joined) = &mut data {
            // Between lines of JSON there is only white space, and it has to fit into one line when written again.
            joined
                .iter_mut()
                .filter(|b| **b == b'\n')
                .for_each(|b| *b = b' ');
        }
        if &*data == b"[DONE]" {
            self.done = true;
            return Look::Pass;
        }
        self.events += 1;
        if ERROR.find(&data).is_some()
            && let Some(facts) = error_facts(&data)
        {
            self.error = Some((facts, Bytes::copy_from_slice(&data)));
            return Look::Drop;
        }
        if !self.content {
            self.content = has_content(&data);
        }
        if !self.finished
            && let Some(at) = FINISH.find(&data)
        {
            let value = data[at + FINISH.needle().len()..]
                .iter()
                .find(|b| !matches!(b, b' ' | b'\t' | b':' | b'\n'));
            self.finished = value.is_some_and(|b| *b == b'"');
        }
        let has_usage = USAGE.find(&data).is_some();
        if !has_usage && self.model.is_none() {
            return Look::Pass;
        }
        let Ok(parsed) = serde_json::from_slice::<Event<'_>>(&data) else {
            return Look::Pass;
        };
        if let Some(usage) = parsed.usage.and_then(|raw| meter::reported(raw.get())) {
            self.usage = Some(usage);
            if self.hide_usage && parsed.choices.is_some_and(|c| c.is_empty()) {
                return Look::Drop;
            }
        }
        match (&self.model, parsed.model) {
            (Some(new), Some(old)) => {
                let start = old.get().as_ptr().addr() - data.as_ptr().addr();
                let mut out = BytesMut::from(&b"data: "[..]);
                out.extend_from_slice(&data[..start]);
                out.extend_from_slice(new);
                out.extend_from_slice(&data[start + old.get().len()..]);
                out.extend_from_slice(b"\n\n");
                Look::Replace(out.freeze())
            }
            _ => Look::Pass,
        }
    }

    /// Whether content was seen: the commit point.
    #[must_use]
    pub(super) const fn has_content(&self) -> bool {
        self.content
    }

    /// An error the upstream put into the stream, with its JSON text.
    #[must_use]
    pub(super) const fn error(&self) -> Option<&(ErrorFacts, Bytes)> {
        self.error.as_ref()
    }

    /// Tokens: as reported, else one per event, with `input` as estimated.
    #[must_use]
    pub(super) fn usage(&self, input: u64) -> TokenUsage {
        self.usage.unwrap_or(TokenUsage {
            input,
            output: self.events,
            ..TokenUsage::default()
        })
    }

    /// Data events seen.
    #[must_use]
    pub(super) const fn events(&self) -> u64 {
        self.events
    }
}

/// Whether the last event can be read although its blank line is missing.
fn is_readable(rest: &[u8]) -> bool {
    sse::data(rest).is_some_and(|data| {
        &*data == b"[DONE]" || serde_json::from_slice::<IgnoredAny>(&data).is_ok()
    })
}

enum Look {
    Pass,
    Drop,
    Replace(Bytes),
}

/// Whether a chunk carries something a user would see, or the end. A role alone, an empty delta, Azure's filter results
/// with no choices, and what can't be parsed do not; an object of another dialect does.
fn has_content(data: &[u8]) -> bool {
    let Ok(chunk) = serde_json::from_slice::<Chunk>(data) else {
        return false;
    };
    let Some(choices) = chunk.choices else {
        return true;
    };
    choices.iter().any(|choice| {
        choice.text.as_ref().is_some_and(|t| !t.is_empty())
            || choice.finish_reason.is_some()
            || choice.delta.as_ref().is_some_and(|delta| {
                delta
                    .iter()
                    .any(|(name, value)| name != "role" && !is_empty(value))
            })
    })
}

fn is_empty(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::Null => true,
        serde_json::Value::String(s) => s.is_empty(),
        serde_json::Value::Array(a) => a.is_empty(),
        serde_json::Value::Object(o) => o.is_empty(),
        serde_json::Value::Bool(_) | serde_json::Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests;
