//! A body to send: slices of the client's, and what was put between them.

use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};

/// Bodies up to this size are sent as one buffer; larger ones as slices of the client's, uncopied.
pub(super) const COALESCE: usize = 32 * 1024;
/// A request body: a few slices, sent with their exact length. Cloning copies nothing.
#[derive(Debug, Clone, Default)]
pub struct Payload {
    pub(super) parts: Vec<Bytes>,
    len: usize,
}

impl Payload {
    pub(super) fn from_changes(body: &Bytes, changes: &[(Range<usize>, Bytes)]) -> Self {
        let mut parts = Vec::with_capacity(changes.len() * 2 + 1);
        let mut cursor = 0;
        for (range, replacement) in changes {
            parts.push(body.slice(cursor..range.start));
            parts.push(replacement.clone());
            cursor = range.end;
        }
        parts.push(body.slice(cursor..));
        let len = parts.iter().map(Bytes::len).sum();
        if len <= COALESCE && !changes.is_empty() {
            let mut whole = BytesMut::with_capacity(len);
            for part in &parts {
                whole.put_slice(part);
            }
            return Self::from(whole.freeze());
        }
        Self {
            parts: parts.into_iter().filter(|p| !p.is_empty()).collect(),
            len,
        }
    }

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

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        Self {
            len: bytes.len(),
            parts: vec![bytes],
        }
    }
}
