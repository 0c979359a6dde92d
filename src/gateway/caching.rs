//! A request and the response cache: looking up, merging equal misses, recording what passes.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::snapshot::Group;
use super::{Gateway, Incoming};
use crate::cache::control::Control;
use crate::cache::{CacheKey, CachedResponse, KeyParts, Lookup, Slot};
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
    Hit(CachedResponse),
}

/// Stores an answer once it is complete.
#[derive(Debug)]
pub(super) struct Recorder {
    store: Store,
    ttl: Duration,
    stored: u64,
    content_type: Option<Bytes>,
    body: BytesMut,
    limit: usize,
}

#[derive(Debug)]
enum Store {
    /// We fetch for others, too.
    Slot(Slot),
    /// We fetch for ourselves (`no-cache`), and refresh what is there.
    Key(Arc<crate::cache::Memory>, CacheKey),
}

/// What a request asks of the cache.
struct Sought {
    control: Control,
    key: CacheKey,
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
    ) -> Result<Sought, Unasked> {
        let settings = group.cache().ok_or(Unasked::Off)?;
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
            key,
            now,
            not_before,
        })
    }

    /// The word for what [`Gateway::cached`] would find, without an effect.
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
            Ok(sought) if self.cache.holds(&sought.key, sought.not_before) => "hit",
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
            key,
            ttl,
            now,
            not_before,
        } = match self.sought(group, head, body, incoming) {
            Ok(sought) => sought,
            Err(Unasked::Off) => return Cached::Off,
            Err(Unasked::Bypass) => return Cached::Bypass,
        };
        let memory = &self.cache;
        let recorder = |store| Recorder {
            store,
            ttl,
            stored: now,
            content_type: None,
            body: BytesMut::new(),
            limit: memory.max_entry(),
        };
        if control.no_cache {
            return Cached::Miss(recorder(Store::Key(Arc::clone(memory), key)));
        }
        let mut found = memory.lookup(key, not_before);
        if let Lookup::Pending(mut fetched) = found {
            // Ends when whoever fetches has stored it, or given up, or gone; or dawdles over reading it.
            let _ = tokio::time::timeout(group.settings.deadline, fetched.changed()).await;
            found = memory.lookup(key, not_before);
        }
        match found {
            Lookup::Hit(response) => Cached::Hit(response),
            _ if control.no_store => Cached::Bypass,
            Lookup::Fetch(slot) => Cached::Miss(recorder(Store::Slot(slot))),
            // The one we waited for came to nothing, and another is ahead of us again: no more waiting.
            Lookup::Pending(_) => Cached::Bypass,
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX - 1)
}

impl Recorder {
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
        match self.store {
            Store::Slot(slot) => slot.put(response, self.ttl),
            Store::Key(memory, key) => memory.put(key, response, self.ttl),
        }
    }
}
