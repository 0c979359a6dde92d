//! What the dialects that are not OpenAI's have in common: the request as read once, and the answer as written once.
//!
//! A dialect says in a [`params::Table`] what becomes of each parameter, turns an [`Asked`] and its [`Turn`]s into its own
//! body, and tells a [`Sink`] what its answers say, whole ones and events of a stream alike. Everything else is here: the
//! layers of file and request, refusals that name the parameter, merged turns, thinking that belongs to another account,
//! and OpenAI's bytes.

pub(super) mod asked;
mod messages;
mod object;
pub(super) mod params;
mod refusal;
mod sink;
mod thinking;
mod turns;

use std::fmt;

use bytes::{Bytes, BytesMut};

use super::{AdaptError, Translator};
use crate::sse;

pub(super) use asked::{Choice, Effort, Format, Tool};
pub(super) use messages::{CacheMark, Message, Part, PartKind, Role, Source, ToolCall};
pub(super) use object::{Object, members};
pub(super) use params::{ANY, Asked, Layers, Table, Treatment};
pub use refusal::is_too_long;
pub(super) use refusal::{body as error_body, error, foreign_refusal, refusal};
pub(super) use sink::{Finish, Sink, Usage};
pub(super) use thinking::{Thinking, account};
pub(super) use turns::{Item, Speaker, Turn, joined_text, turns};

/// Reads a dialect's answers.
pub(super) trait Decoder: fmt::Debug + Send {
    /// The data of one event of a stream.
    ///
    /// # Errors
    /// If it is not what the dialect says it should be.
    fn event(&mut self, data: &[u8], to: &mut Sink, out: &mut BytesMut) -> Result<(), AdaptError>;

    /// A whole answer.
    ///
    /// # Errors
    /// If it is not what the dialect says it should be.
    fn whole(&mut self, body: &[u8], to: &mut Sink) -> Result<(), AdaptError>;

    /// The stream is over as far as HTTP is concerned. A dialect with an event for its end has nothing to do here: what
    /// ended without it was cut, and shows as that.
    fn end(&mut self, _to: &mut Sink, _out: &mut BytesMut) {}
}

/// A whole answer through a [`Decoder`].
#[derive(Debug)]
pub(super) struct Whole<D> {
    decoder: D,
    sink: Sink,
    body: BytesMut,
}

impl<D: Decoder> Whole<D> {
    pub(super) fn new(decoder: D, sink: Sink) -> Self {
        let body = BytesMut::new();
        Self {
            decoder,
            sink,
            body,
        }
    }
}

impl<D: Decoder> Translator for Whole<D> {
    fn push(&mut self, chunk: &[u8], _: &mut BytesMut) -> Result<(), AdaptError> {
        self.body.extend_from_slice(chunk);
        Ok(())
    }

    fn finish(&mut self, out: &mut BytesMut) -> Result<(), AdaptError> {
        self.decoder.whole(&self.body, &mut self.sink)?;
        self.sink.write_whole(out);
        Ok(())
    }
}

/// A stream of server-sent events through a [`Decoder`].
#[derive(Debug)]
pub(super) struct Events<D> {
    decoder: D,
    sink: Sink,
    splitter: sse::Splitter,
}

impl<D: Decoder> Events<D> {
    pub(super) fn new(decoder: D, sink: Sink) -> Self {
        let splitter = sse::Splitter::default();
        Self {
            decoder,
            sink,
            splitter,
        }
    }

    fn event(&mut self, data: Option<&[u8]>, out: &mut BytesMut) -> Result<(), AdaptError> {
        match data {
            Some(data) if !self.sink.is_over() && !data.trim_ascii().is_empty() => {
                self.decoder.event(data, &mut self.sink, out)
            }
            _ => Ok(()),
        }
    }
}

impl<D: Decoder> Translator for Events<D> {
    fn push(&mut self, chunk: &[u8], out: &mut BytesMut) -> Result<(), AdaptError> {
        let whole = self.splitter.push(Bytes::copy_from_slice(chunk));
        for event in sse::events(&whole) {
            self.event(event.data.as_deref(), out)?;
        }
        // What was whole before it has been said, and nothing counts behind an end.
        if self.splitter.gave_up() && !self.sink.is_over() {
            return Err(malformed("an event is too large"));
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut BytesMut) -> Result<(), AdaptError> {
        // The last event may lack its blank line. Half an event is a cut, which shows by what is missing.
        let rest = self.splitter.finish();
        if let Some(data) = sse::data(&rest)
            && serde_json::from_slice::<serde::de::IgnoredAny>(&data).is_ok()
        {
            self.event(Some(&data), out)?;
        }
        if !self.sink.is_over() {
            self.decoder.end(&mut self.sink, out);
        }
        Ok(())
    }
}

/// An answer that is not what it should be.
pub(super) fn malformed(what: impl fmt::Display) -> AdaptError {
    AdaptError::Malformed(what.to_string())
}

/// A request that the dialect can't express.
pub(super) fn unsupported(
    param: impl Into<std::borrow::Cow<'static, str>>,
    message: impl Into<String>,
) -> AdaptError {
    AdaptError::Unsupported {
        param: param.into(),
        message: message.into(),
    }
}

#[cfg(test)]
mod tests;
