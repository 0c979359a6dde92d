//! Bounded memory with a lifetime per entry; equal requests that come together make one call.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use moka::Expiry;
use moka::sync::Cache;
use tokio::sync::watch;

use super::{CacheKey, CachedResponse, Era, Place};

/// Entries in memory.
#[derive(Debug)]
pub struct Memory {
    entries: Cache<CacheKey, Entry>,
    /// Keys being fetched; whoever fetches holds the sender.
    pending: Mutex<HashMap<CacheKey, watch::Receiver<()>>>,
    max_entry: u64,
}

#[derive(Clone, Debug)]
struct Entry {
    response: CachedResponse,
    ttl: Duration,
    /// [`Place::era`]
    era: Era,
}

impl Entry {
    /// Whether it is for a request that came in `era` and takes nothing stored before `not_before`.
    fn suits(&self, era: Era, not_before: u64) -> bool {
        self.era == era && self.response.stored >= not_before
    }
}

struct Lifetime;

impl Expiry<CacheKey, Entry> for Lifetime {
    fn expire_after_create(&self, _: &CacheKey, entry: &Entry, _: Instant) -> Option<Duration> {
        Some(entry.ttl)
    }

    fn expire_after_update(
        &self,
        _: &CacheKey,
        entry: &Entry,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(entry.ttl)
    }
}

/// What a lookup found.
#[derive(Debug)]
pub enum Lookup {
    /// An answer.
    Hit(CachedResponse),
    /// Nothing; the caller fetches, for all who come meanwhile.
    Fetch(Slot),
    /// Another request is fetching: await a change, then look again.
    Pending(watch::Receiver<()>),
}

/// The right to fetch one key. Dropped, it lets those who wait go on, whether something was stored or not.
#[derive(Debug)]
pub struct Slot {
    memory: Arc<Memory>,
    place: Place,
    _sender: watch::Sender<()>,
}

impl Memory {
    /// A cache of at most `max_bytes` of bodies. One entry may take an eighth of that.
    #[must_use]
    pub fn new(max_bytes: u64) -> Self {
        let weigh = |_: &CacheKey, e: &Entry| {
            u32::try_from(e.response.body.len() + 512).unwrap_or(u32::MAX)
        };
        let entries = Cache::builder()
            .max_capacity(max_bytes)
            .weigher(weigh)
            .expire_after(Lifetime)
            .build();
        Self {
            entries,
            pending: Mutex::default(),
            max_entry: max_bytes / 8,
        }
    }

    /// The largest body that is stored.
    #[must_use]
    pub fn max_entry(&self) -> usize {
        usize::try_from(self.max_entry).unwrap_or(usize::MAX)
    }

    /// Looks a request up; entries stored before `not_before` (milliseconds since the epoch) don't count.
    #[must_use]
    pub fn lookup(self: &Arc<Self>, place: Place, not_before: u64) -> Lookup {
        let Place { key, era, .. } = place;
        let found = || {
            let entry = self.entries.get(&key);
            entry.filter(|entry| entry.suits(era, not_before))
        };
        if let Some(entry) = found() {
            return Lookup::Hit(entry.response);
        }
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(receiver) = pending.get(&key) {
            return Lookup::Pending(receiver.clone());
        }
        // Whoever fetched it may have stored it between the two looks.
        if let Some(entry) = found() {
            return Lookup::Hit(entry.response);
        }
        let (sender, receiver) = watch::channel(());
        pending.insert(key, receiver);
        Lookup::Fetch(Slot {
            memory: Arc::clone(self),
            place,
            _sender: sender,
        })
    }

    /// Whether [`Memory::lookup`] would find an answer. Counts as no use of it.
    #[must_use]
    pub fn holds(&self, place: Place, not_before: u64) -> bool {
        let Place { key, era, .. } = place;
        let suits =
            |(found, entry): (Arc<CacheKey>, Entry)| *found == key && entry.suits(era, not_before);
        // Only what else there is to know of an entry needs a walk: `get` would count as a use.
        let any = era.purges == 0 && not_before == 0;
        self.entries.contains_key(&key) && (any || self.entries.iter().any(suits))
    }

    /// Stores an answer for `ttl`.
    pub fn put(&self, place: Place, response: CachedResponse, ttl: Duration) {
        if response.body.len() <= self.max_entry() && !ttl.is_zero() {
            let era = place.era;
            self.entries.insert(place.key, Entry { response, ttl, era });
        }
    }

    /// Forgets an answer.
    pub fn remove(&self, key: &CacheKey) {
        self.entries.invalidate(key);
    }

    /// Gives back what answers of the shelf take that are from before `era`.
    pub fn remove_before(&self, era: Era) {
        for (key, entry) in &self.entries {
            if entry.era.shelf == era.shelf && entry.era.purges < era.purges {
                self.entries.invalidate(&*key);
            }
        }
    }
}

impl Slot {
    /// Stores what was fetched and lets the others have it.
    pub fn put(self, response: CachedResponse, ttl: Duration) {
        self.memory.put(self.place, response, ttl);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.memory
            .pending
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.place.key);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::KeyParts;
    use super::*;
    use crate::types::Operation;

    fn key(group: &str) -> Place {
        let key = CacheKey::new(&KeyParts {
            group,
            operation: Operation::Chat,
            caller: "",
            namespace: "",
            beta: b"",
            body: b"{}",
        });
        Place {
            key: key.expect("a key"),
            era: Era {
                shelf: 0,
                purges: 0,
            },
            generation: 0,
        }
    }

    fn response(stored: u64, len: usize) -> CachedResponse {
        CachedResponse {
            content_type: None,
            body: Bytes::from(vec![0; len]),
            stored,
        }
    }

    const HOUR: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn one_fetches_the_others_wait() {
        let memory = Arc::new(Memory::new(1 << 20));
        let Lookup::Fetch(slot) = memory.lookup(key("a"), 0) else {
            panic!("the first fetches")
        };
        let Lookup::Pending(mut wait) = memory.lookup(key("a"), 0) else {
            panic!("the second waits")
        };
        assert!(
            matches!(memory.lookup(key("b"), 0), Lookup::Fetch(_)),
            "another key is another matter"
        );
        slot.put(response(5, 3), HOUR);
        assert!(wait.changed().await.is_err(), "the sender is gone");
        assert!(matches!(memory.lookup(key("a"), 0), Lookup::Hit(r) if r.body.len() == 3));
        assert!(
            matches!(memory.lookup(key("a"), 6), Lookup::Fetch(_)),
            "too old for this one"
        );
    }

    #[tokio::test]
    async fn a_fetch_that_comes_to_nothing_frees_the_place() {
        let memory = Arc::new(Memory::new(1 << 20));
        let Lookup::Fetch(slot) = memory.lookup(key("a"), 0) else {
            panic!("fetch")
        };
        drop(slot);
        assert!(matches!(memory.lookup(key("a"), 0), Lookup::Fetch(_)));
    }

    #[tokio::test]
    async fn too_large_is_not_kept() {
        let memory = Arc::new(Memory::new(8000));
        memory.put(key("a"), response(0, 1001), HOUR);
        memory.put(key("b"), response(0, 1000), HOUR);
        memory.put(key("c"), response(0, 1), Duration::ZERO);
        assert!(matches!(memory.lookup(key("a"), 0), Lookup::Fetch(_)));
        assert!(matches!(memory.lookup(key("b"), 0), Lookup::Hit(_)));
        assert!(matches!(memory.lookup(key("c"), 0), Lookup::Fetch(_)));
    }

    #[tokio::test]
    async fn what_was_purged_is_gone() {
        let memory = Arc::new(Memory::new(1 << 20));
        memory.put(key("a"), response(5, 3), HOUR);
        let mut later = key("a");
        later.era.purges = 1;
        assert!(memory.holds(key("a"), 0) && !memory.holds(later, 0));
        assert!(matches!(memory.lookup(later, 0), Lookup::Fetch(_)));
        let mut other = key("b");
        other.era.shelf = 1;
        memory.put(other, response(5, 3), HOUR);
        memory.remove_before(later.era);
        assert!(!memory.entries.contains_key(&later.key));
        assert!(memory.holds(other, 0));
        memory.remove(&other.key);
        assert!(matches!(memory.lookup(other, 0), Lookup::Fetch(_)));
    }
}
