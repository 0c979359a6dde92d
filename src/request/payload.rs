//! A body to send: slices of the client's, and what was put between them.

use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};

/// Bodies up to this size are sent as one buffer; larger ones as slices of the client's, uncopied.
pub(super) const COALESCE: usize = 4 * 1024;
/// A request body: a few slices, sent with their exact length. Cloning copies nothing.
#[derive(Debug, Clone, Default)]
pub struct Payload {
    pub(super) parts: Vec<Bytes>,
    len: usize,
}

impl Payload {
    /// Bytes in all.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Its slices, in order.
    #[must_use]
    pub fn parts(&self) -> &[Bytes] {
        &self.parts
    }

    /// One buffer with all of it.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        match self.parts.len() {
            0 => Bytes::new(),
            1 => self.parts[0].clone(),
            _ => self.parts.iter().flat_map(|p| p.iter().copied()).collect(),
        }
    }
}

/// A body that is written from front to back: the client's, with pieces replaced.
pub(super) struct Pieces<'a> {
    body: &'a Bytes,
    /// How far the client's is written.
    cursor: usize,
    /// All of it so far, if it is small enough to be one buffer.
    copy: Option<BytesMut>,
    parts: Vec<Bytes>,
}

impl<'a> Pieces<'a> {
    /// Nothing replaced yet; `room` is for what will be.
    pub(super) fn new(body: &'a Bytes, room: usize) -> Self {
        let most = body.len() + room;
        let small = most <= COALESCE;
        Self {
            body,
            cursor: 0,
            copy: small.then(|| BytesMut::with_capacity(most)),
            parts: Vec::with_capacity(if small { 0 } else { 8 }),
        }
    }

    /// Writes the body up to `range`, and `new` in its place; ranges come in order.
    pub(super) fn replace(&mut self, range: Range<usize>, new: &Bytes) {
        self.keep(range.start);
        self.cursor = range.end;
        match &mut self.copy {
            Some(copy) => copy.put_slice(new),
            None if new.is_empty() => {}
            None => self.parts.push(new.clone()),
        }
    }

    /// Writes the body up to `end`.
    fn keep(&mut self, end: usize) {
        match &mut self.copy {
            Some(copy) => copy.put_slice(&self.body[self.cursor..end]),
            None if self.cursor == end => {}
            None => self.parts.push(self.body.slice(self.cursor..end)),
        }
    }

    pub(super) fn into_payload(mut self) -> Payload {
        if self.cursor == 0 {
            return Payload::from(self.body.clone()); // nothing was replaced: what is has a place behind the brace
        }
        self.keep(self.body.len());
        match self.copy {
            Some(copy) => Payload::from(copy.freeze()),
            None => Payload {
                len: self.parts.iter().map(Bytes::len).sum(),
                parts: self.parts,
            },
        }
    }
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        Self {
            len: bytes.len(),
            parts: vec![bytes],
        }
    }
}
