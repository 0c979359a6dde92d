//! Answers kept to be given again.
//!
//! The key is a hash of the group, the operation, the caller (unless entries are shared), the namespace and the *whole*
//! canonical body: keys sorted, numbers normalised, white space gone. Nothing is guessed to be without influence; only
//! the cache controls themselves are left out. `stream` is part of it, so a stored stream is replayed as the stream it
//! was, byte for byte, and nothing has to be invented to turn one shape into the other.
//!
//! A group's answers are on its [`Shelf`]: in memory, and behind that in Redis where the group has one for them. What is in
//! memory then is a copy for a short while, so that what other replicas purge or let expire is soon gone here as well.

pub mod control;
pub mod frame;
mod key;
mod memory;
pub mod redis;
mod shelf;

use std::fmt;

use bytes::Bytes;

pub use key::{CacheKey, KeyParts};
pub use memory::{Lookup, Memory, Slot};
pub use shelf::Shelf;

/// Where an answer is, as it was when its request came: what is purged since then has other places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The request.
    pub key: CacheKey,
    /// Those of earlier eras are forgotten.
    pub era: Era,
    /// How often those in Redis were purged; [`redis::UNKNOWN`] if nothing is to be looked for there.
    pub generation: u64,
}

/// The time between two purges of a whole shelf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Era {
    /// Which shelf's.
    pub shelf: usize,
    /// How often that was purged before.
    pub purges: u64,
}

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
