//! Answers kept to be given again.
//!
//! The key is a hash of the group, the operation, the caller (unless entries are shared), the namespace and the *whole*
//! canonical body: keys sorted, numbers normalised, white space gone. Nothing is guessed to be without influence; only
//! the cache controls themselves are left out. `stream` is part of it, so a stored stream is replayed as the stream it
//! was, byte for byte, and nothing has to be invented to turn one shape into the other.

pub mod control;
mod key;
mod memory;

use std::fmt;

use bytes::Bytes;

pub use key::{CacheKey, KeyParts};
pub use memory::{Lookup, Memory, Slot};

/// A complete answer: what the client got, less what belongs to one request.
#[derive(Clone)]
pub struct CachedResponse {
    /// The body's content type, if it has one.
    pub content_type: Option<Bytes>,
    /// All of it.
    pub body: Bytes,
    /// Wall time of the request it answered first, in milliseconds since the epoch.
    pub stored: u64,
}

impl fmt::Debug for CachedResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedResponse")
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}
