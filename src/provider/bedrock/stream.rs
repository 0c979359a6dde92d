//! A stream of AWS's frames as OpenAI's stream of events.

use bytes::BytesMut;

use super::event_stream::{Frame, Frames};
use super::refusal;
use crate::provider::chat::{Decoder, Sink};
use crate::provider::{AdaptError, Translator};

/// Events that say something; what else may come is passed over.
const EVENTS: [&str; 6] = [
    "messageStart",
    "contentBlockStart",
    "contentBlockDelta",
    "contentBlockStop",
    "messageStop",
    "metadata",
];

/// A stream of frames through a [`Decoder`].
#[derive(Debug)]
pub(super) struct Stream<D> {
    frames: Frames,
    decoder: D,
    sink: Sink,
}

impl<D: Decoder> Stream<D> {
    pub(super) fn new(decoder: D, sink: Sink) -> Self {
        let frames = Frames::default();
        Self {
            frames,
            decoder,
            sink,
        }
    }
}

impl<D: Decoder> Translator for Stream<D> {
    fn push(&mut self, chunk: &[u8], out: &mut BytesMut) -> Result<(), AdaptError> {
        self.frames.push(chunk);
        while let Some(frame) = self.frames.next()? {
            if self.sink.is_over() {
                continue;
            }
            match frame {
                Frame::Event { kind, payload } => {
                    if EVENTS.contains(&kind.as_str()) {
                        self.decoder.event(&payload, &mut self.sink, out)?;
                    }
                }
                Frame::Exception { kind, payload } => {
                    self.sink.fail(&refusal::exception(&kind, &payload), out);
                }
                Frame::Error { code, message } => {
                    self.sink.fail(&refusal::failure(&code, &message), out);
                }
            }
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut BytesMut) -> Result<(), AdaptError> {
        // The tokens come last: without them the answer is whole all the same.
        if !self.sink.is_over() && self.sink.has_finished() && self.frames.is_empty() {
            self.sink.end(out);
        }
        Ok(())
    }
}
