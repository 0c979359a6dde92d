//! The bytes of a stream's chunks, half of which are finished beforehand.

use bytes::{BufMut, BytesMut};
use serde_json::Value;

use super::parts::{Finish, Usage};
use crate::provider::Call;

/// Writes the chunks of one stream.
#[derive(Debug)]
pub(super) struct Chunks {
    /// A chunk up to its choices.
    opening: Vec<u8>,
}

impl Chunks {
    /// Of the answer to `call` by this model.
    pub(super) fn new(call: &Call, model: &str) -> Self {
        let mut opening = format!("data: {{\"id\":\"chatcmpl-{}\"", call.id).into_bytes();
        opening.extend_from_slice(b",\"object\":\"chat.completion.chunk\",\"created\":");
        opening.extend_from_slice(itoa::Buffer::new().format(call.created).as_bytes());
        opening.extend_from_slice(b",\"model\":");
        quote(model, &mut opening);
        opening.extend_from_slice(b",\"choices\":[");
        Self { opening }
    }

    /// A choice's delta, with the members that `members` writes.
    pub(super) fn delta(
        &self,
        choice: usize,
        logprobs: Option<&Value>,
        out: &mut BytesMut,
        members: impl FnOnce(&mut BytesMut),
    ) {
        self.choice(choice, logprobs, None, out, members);
    }

    /// The end of a choice.
    pub(super) fn finish(&self, choice: usize, reason: Finish, out: &mut BytesMut) {
        self.choice(choice, None, Some(reason), out, |_| {});
    }

    fn choice(
        &self,
        choice: usize,
        logprobs: Option<&Value>,
        finish: Option<Finish>,
        out: &mut BytesMut,
        members: impl FnOnce(&mut BytesMut),
    ) {
        out.put_slice(&self.opening);
        out.put_slice(b"{\"index\":");
        out.put_slice(itoa::Buffer::new().format(choice).as_bytes());
        out.put_slice(b",\"delta\":{");
        members(out);
        out.put_slice(b"},\"logprobs\":");
        match logprobs {
            None => out.put_slice(b"null"),
            Some(logprobs) => {
                let _ = write!(Text(out), "{logprobs}");
            }
        }
        out.put_slice(b",\"finish_reason\":");
        match finish {
            None => out.put_slice(b"null"),
            Some(reason) => quote(reason.name(), out),
        }
        out.put_slice(b"}]}\n\n");
    }

    /// What was used, in a chunk without a choice.
    pub(super) fn usage(&self, usage: Usage, out: &mut BytesMut) {
        out.put_slice(&self.opening);
        let _ = write!(Text(out), "],\"usage\":{}}}\n\n", usage.json());
    }
}

/// Formatting into bytes.
pub(super) struct Text<'a>(pub(super) &'a mut BytesMut);

impl Text<'_> {
    pub(super) fn write_fmt(&mut self, arguments: std::fmt::Arguments<'_>) -> std::fmt::Result {
        std::fmt::Write::write_fmt(self.0, arguments)
    }
}

/// `text` in JSON's quotes.
pub(super) fn quote(text: &str, out: &mut impl BufMut) {
    // Writing into memory does not fail.
    let _ = serde_json::to_writer(out.writer(), text);
}
