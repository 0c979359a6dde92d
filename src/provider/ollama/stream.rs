//! A stream of lines of JSON as OpenAI's stream of events.
//!
//! Only the line with `done: true` is an end: without it nothing is added, so that whoever watches the events sees that the
//! stream was cut. An error in a line becomes an error event, and nothing follows it.

use bytes::BytesMut;
use serde::de::IgnoredAny;

use super::answer::Reader;
use crate::provider::chat::{Decoder, Sink, malformed};
use crate::provider::{AdaptError, Translator};
use crate::sse::MAX_EVENT;

#[derive(Debug)]
pub(super) struct Lines {
    sink: Sink,
    /// The unfinished line.
    held: BytesMut,
    /// How far it was searched for its end.
    searched: usize,
}

impl Lines {
    pub(super) fn new(sink: Sink) -> Self {
        Self {
            sink,
            held: BytesMut::new(),
            searched: 0,
        }
    }

    fn line(&mut self, json: &[u8], out: &mut BytesMut) -> Result<(), AdaptError> {
        if self.sink.is_over() || json.trim_ascii().is_empty() {
            return Ok(());
        }
        Reader.event(json, &mut self.sink, out)
    }
}

impl Translator for Lines {
    fn push(&mut self, chunk: &[u8], out: &mut BytesMut) -> Result<(), AdaptError> {
        self.held.extend_from_slice(chunk);
        while let Some(found) = memchr::memchr(b'\n', &self.held[self.searched..]) {
            let line = self.held.split_to(self.searched + found + 1);
            self.searched = 0;
            self.line(&line, out)?;
        }
        self.searched = self.held.len();
        if self.searched > MAX_EVENT && !self.sink.is_over() {
            return Err(malformed(format_args!(
                "a line is longer than {MAX_EVENT} bytes"
            )));
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut BytesMut) -> Result<(), AdaptError> {
        let rest = self.held.split();
        self.searched = 0;
        // The last line may lack its end. Half a line is a cut, which shows by what is missing.
        match serde_json::from_slice::<IgnoredAny>(&rest) {
            Ok(_) => self.line(&rest, out),
            Err(_) => Ok(()),
        }
    }
}
