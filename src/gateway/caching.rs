//! A request and the response cache: looking up, merging equal misses, recording what passes.
//!
//! Memory is asked first. Of equal requests that are not answered from there one goes on: it asks Redis, if the group has its
//! cache there, and then the upstream.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::sync::Semaphore;

use super::snapshot::Group;
use super::{Gateway, Incoming};
use crate::cache::control::Control;
use crate::cache::redis::Shared;
use crate::cache::{CacheKey, CachedResponse, KeyParts, Lookup, Memory, Place, Shelf, Slot};
use crate::h1::Fields;
use crate::request::RequestHead;

/// What the cache has to say to a request.
#[derive(Debug)]
pub(super) enum Cached {
    /// It is off for this group.
    Off,
    /// The request does not want it, or can't be put into it.
    Bypass,
    /// Nothing stored; the answer is to be.
    Miss(Recorder),
    /// Here it is.
    Hit(CacheKey, CachedResponse),
}

/// The shelf of each group of the file whose cache is on, by its id.
#[derive(Debug)]
pub(super) struct Shelves(HashMap<Arc<str>, Arc<Shelf>>);

impl Shelves {
    /// Empty ones that share `max_bytes` of memory. Answers on their way to Redis may take a quarter of that once more.
    pub(super) fn new(groups: &[Arc<Group>], max_bytes: u64) -> Self {
        let memory = Arc::new(Memory::new(max_bytes));
        let room = usize::try_from(max_bytes / 4).unwrap_or(usize::MAX);
        let room = Arc::new(Semaphore::new(room.min(Semaphore::MAX_PERMITS)));
        let shelf = |(number, group): (usize, &Arc<Group>)| {
            let settings = group.cache()?;
            let redis = group.redis.as_ref().filter(|_| settings.in_redis);
            let shared = redis.map(|redis| {
                let above = settings.compress_above;
                let meters = group.meters.clone();
                let shared = Shared::new(redis, &group.id, above, &room, meters);
                (shared, settings.near_ttl)
            });
            let shelf = Shelf::new(Arc::clone(&memory), number, shared);
            Some((Arc::clone(&group.id), Arc::new(shelf)))
        };
        Self(groups.iter().enumerate().filter_map(shelf).collect())
    }

    /// That of a group, by its id in the file.
    pub(super) fn get(&self, group: &str) -> Option<&Arc<Shelf>> {
        self.0.get(group)
    }

    /// All, with their groups' ids.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<Shelf>)> {
        self.0.iter()
    }
}

/// Stores an answer once it is complete.
#[derive(Debug)]
pub(super) struct Recorder {
    shelf: Arc<Shelf>,
    place: Place,
    /// Where we fetch for others, too; without (`no-cache`) for ourselves, and refresh what is there.
    slot: Option<Slot>,
    ttl: Duration,
    stored: u64,
    content_type: Option<Bytes>,
    body: BytesMut,
    limit: usize,
}

/// What a request asks of the cache.
struct Sought<'a> {
    control: Control,
    shelf: &'a Arc<Shelf>,
    place: Place,
    ttl: Duration,
    /// Milliseconds since the epoch.
    now: u64,
    /// An answer stored before that is too old.
    not_before: u64,
}

/// Why the cache is not asked.
enum Unasked {
    Off,
    Bypass,
}

impl Gateway {
    /// What the request asks of the cache, if anything.
    fn sought(
        &self,
        group: &Group,
        head: &RequestHead,
        body: &Bytes,
        incoming: &Incoming,
    ) -> Result<Sought<'_>, Unasked> {
        let settings = group.cache().ok_or(Unasked::Off)?;
        let shelf = self.shelves.get(&group.owner).ok_or(Unasked::Off)?;
        let control = Control::read(&incoming.headers, head.raw(body, "cache"));
        if control.no_cache && control.no_store {
            return Err(Unasked::Bypass);
        }
        let caller = if settings.shared_between_callers {
            ""
        } else {
            incoming.caller.as_deref().unwrap_or_default()
        };
        let namespace = control
            .namespace
            .as_deref()
            .or(settings.namespace.as_deref())
            .unwrap_or_default();
        let beta = incoming
            .headers
            .get("openai-beta")
            .map(|v| v.as_bytes())
            .unwrap_or_default();
        let parts = KeyParts {
            group: &group.id,
            operation: incoming.operation,
            caller,
            namespace,
            beta,
            body,
        };
        let key = CacheKey::new(&parts).ok_or(Unasked::Bypass)?;
        let now = millis(self.deps().clock.unix());
        // Younger than that, not as old: of age zero is nothing.
        let not_before = control
            .max_age
            .map_or(0, |age| now.saturating_sub(millis(age)) + 1);
        Ok(Sought {
            ttl: control.ttl.unwrap_or(settings.ttl),
            control,
            place: shelf.place(key),
            shelf,
            now,
            not_before,
        })
    }

    /// The word for what [`Gateway::cached`] would find in memory, without an effect.
    pub(super) fn peek(
        &self,
        group: &Group,
        head: &RequestHead,
        body: &Bytes,
        incoming: &Incoming,
    ) -> &'static str {
        match self.sought(group, head, body, incoming) {
            Err(Unasked::Off) => "off",
            Err(Unasked::Bypass) => "bypass",
            Ok(Sought { control, .. }) if control.no_cache => "miss",
            Ok(sought) if sought.shelf.holds(sought.place, sought.not_before) => "hit",
            Ok(Sought { control, .. }) if control.no_store => "bypass",
            Ok(_) => "miss",
        }
    }

    /// Looks the request up; waits while another one fetches the same.
    pub(super) async fn cached(
        &self,
        group: &Group,
        head: &RequestHead,
        body: &Bytes,
        incoming: &Incoming,
    ) -> Cached {
        let Sought {
            control,
            shelf,
            place,
            ttl,
            now,
            not_before,
        } = match self.sought(group, head, body, incoming) {
            Ok(sought) => sought,
            Err(Unasked::Off) => return Cached::Off,
            Err(Unasked::Bypass) => return Cached::Bypass,
        };
        let recorder = |slot| Recorder {
            shelf: Arc::clone(shelf),
            place,
            slot,
            ttl,
            stored: now,
            content_type: None,
            body: BytesMut::new(),
            limit: shelf.max_entry(),
        };
        if control.no_cache {
            return Cached::Miss(recorder(None));
        }
        let mut found = shelf.lookup(place, not_before);
        if let Lookup::Pending(mut fetched) = found {
            // Ends when whoever fetches has stored it, or given up, or gone; or dawdles over reading it.
            let _ = tokio::time::timeout(group.settings.deadline, fetched.changed()).await;
            found = shelf.lookup(place, not_before);
        }
        let mut slot = match found {
            Lookup::Hit(response) => return Cached::Hit(place.key, response),
            Lookup::Fetch(slot) => Some(slot),
            // The one we waited for came to nothing, and another is ahead of us again: no more waiting.
            Lookup::Pending(_) => None,
        };
        if shelf.shared().is_some() {
            // Boxed, so that only those who ask Redis have room for it.
            let asked = Box::pin(shelf.ask(place, not_before, &mut slot));
            if let Some(response) = asked.await {
                return Cached::Hit(place.key, response);
            }
        }
        match slot {
            Some(slot) if !control.no_store => Cached::Miss(recorder(Some(slot))),
            _ => Cached::Bypass,
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX - 1)
}

impl Recorder {
    /// What the answer is stored under.
    pub(super) const fn key(&self) -> &CacheKey {
        &self.place.key
    }

    /// The answer's head.
    pub(super) fn begin(&mut self, fields: &Fields) {
        // A copy: the value is a slice of a whole read buffer, which an entry would keep.
        self.content_type = fields.get("content-type").map(Bytes::copy_from_slice);
    }

    /// A piece of its body.
    pub(super) fn push(&mut self, chunk: &Bytes) {
        if self.body.len() <= self.limit {
            self.body.extend_from_slice(chunk);
        }
    }

    /// The answer is complete, with these last pieces.
    pub(super) fn finish<'a>(mut self, last: impl Iterator<Item = &'a Bytes>) {
        last.for_each(|chunk| self.push(chunk));
        if self.body.len() > self.limit {
            return;
        }
        let response = CachedResponse {
            content_type: self.content_type,
            body: self.body.freeze(),
            stored: self.stored,
        };
        self.shelf.keep(self.place, self.slot, response, self.ttl);
    }
}
