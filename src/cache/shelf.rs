//! The answers of one group, wherever they are.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::redis::{Purged, Shared, UNKNOWN};
use super::{CacheKey, CachedResponse, Era, Lookup, Memory, Place, Slot};

/// Where a group's answers are.
#[derive(Debug)]
pub struct Shelf {
    memory: Arc<Memory>,
    /// It is the only one of that number in `memory`.
    number: usize,
    /// How often all of it was purged.
    purges: AtomicU64,
    /// Those that all replicas have, and how long one of them is kept here.
    shared: Option<(Shared, Duration)>,
}

impl Shelf {
    /// In `memory`, as shelf `number`, and in `shared` behind it, of which each answer is kept in memory for the time given.
    #[must_use]
    pub const fn new(
        memory: Arc<Memory>,
        number: usize,
        shared: Option<(Shared, Duration)>,
    ) -> Self {
        Self {
            memory,
            number,
            purges: AtomicU64::new(0),
            shared,
        }
    }

    /// Those in Redis.
    #[must_use]
    pub fn shared(&self) -> Option<&Shared> {
        self.shared.as_ref().map(|(shared, _)| shared)
    }

    /// The largest body that is stored.
    #[must_use]
    pub fn max_entry(&self) -> usize {
        self.memory.max_entry()
    }

    /// Where the answer of a request that comes now is, or would be.
    #[must_use]
    pub fn place(&self, key: CacheKey) -> Place {
        Place {
            key,
            era: self.era(),
            generation: self.shared().map_or(UNKNOWN, Shared::generation),
        }
    }

    fn era(&self) -> Era {
        Era {
            shelf: self.number,
            purges: self.purges.load(Ordering::Acquire),
        }
    }

    /// Looks in memory; see [`Memory::lookup`].
    #[must_use]
    pub fn lookup(&self, place: Place, not_before: u64) -> Lookup {
        self.memory.lookup(place, not_before)
    }

    /// Whether [`Shelf::lookup`] would find an answer. Counts as no use of it.
    #[must_use]
    pub fn holds(&self, place: Place, not_before: u64) -> bool {
        self.memory.holds(place, not_before)
    }

    /// Looks in Redis. What is found there is kept in memory if that is `slot`'s to fill.
    pub async fn ask(
        &self,
        place: Place,
        not_before: u64,
        slot: &mut Option<Slot>,
    ) -> Option<CachedResponse> {
        let (shared, near) = self.shared.as_ref()?;
        let (response, left) = shared.get(place, not_before, self.max_entry()).await?;
        if let Some(slot) = slot.take() {
            slot.put(response.clone(), left.min(*near));
        }
        Some(response)
    }

    /// Keeps an answer for `ttl`; with `slot` it is for those who wait for it, too.
    pub fn keep(&self, place: Place, slot: Option<Slot>, response: CachedResponse, ttl: Duration) {
        let mut here = ttl;
        if let Some((shared, near)) = &self.shared {
            here = ttl.min(*near);
            shared.put(place, response.clone(), ttl);
        }
        match slot {
            Some(slot) => slot.put(response, here),
            None => self.memory.put(place, response, here),
        }
    }

    /// Forgets what is in memory.
    pub fn forget(&self, purged: &Purged) {
        match purged {
            Purged::All => {
                self.purges.fetch_add(1, Ordering::AcqRel);
                self.memory.remove_before(self.era());
            }
            Purged::Keys(keys) => keys.iter().for_each(|key| self.memory.remove(key)),
        }
    }
}
