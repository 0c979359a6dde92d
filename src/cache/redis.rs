//! The answers of one group in Redis, as all replicas read and write them.
//!
//! | Key, all tagged `group/<id>` | Value |
//! |---|---|
//! | `cache:<generation>:<key in hex>` | a [`super::frame`], which expires with its answer |
//! | `cache-generation` | how often all of them were purged; nothing: never |
//! | `cache-purges` | a stream of the keys that were purged one by one, kept for an hour after the last |
//!
//! A purge of the group counts its generation up: the entries of the old one are found no more, and expire. Which
//! generation it is is not asked with each request: a task follows it ([`Follower`]), and while it can't be followed,
//! nothing is read and nothing written, since it may have been purged.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ::redis::Value;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc};

use super::frame::{self, Unreadable};
use super::{CacheKey, CachedResponse, Place};
use crate::metrics::GroupMeters;
use crate::redis::{Call, Lua, Redis, State, StoreError, Urgency};

/// The generation of which nobody is: where Redis is not to be asked.
pub const UNKNOWN: u64 = u64::MAX;

/// Purges of single keys that are remembered for those who follow; who has missed more forgets all.
const PURGES_KEPT: usize = 1000;
/// How long they are.
const PURGES_KEPT_FOR: Duration = Duration::from_secs(3600);
/// No entry lives longer: Redis takes no number of milliseconds there is.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// What an entry on its way takes besides its body, in bytes; at least that.
const OVERHEAD: usize = 512;

static LOOKUP: Lua = Lua::new(include_str!("lookup.lua"));
static FOLLOW: Lua = Lua::new(include_str!("follow.lua"));
static PURGE: Lua = Lua::new(include_str!("purge.lua"));

/// The keys of a group.
#[derive(Debug, Clone)]
struct Names {
    redis: Redis,
    tag: String,
}

impl Names {
    fn of(redis: &Redis, group: &str) -> Self {
        Self {
            redis: redis.clone(),
            tag: format!("group/{group}"),
        }
    }

    fn generation(&self) -> String {
        self.redis.key(&self.tag, "cache-generation")
    }

    fn purges(&self) -> String {
        self.redis.key(&self.tag, "cache-purges")
    }

    fn entry(&self, generation: u64, key: &CacheKey) -> String {
        let name = format!("cache:{generation}:{}", key.to_hex());
        self.redis.key(&self.tag, &name)
    }
}

/// A group's answers in Redis.
#[derive(Debug)]
pub struct Shared {
    names: Names,
    meters: GroupMeters,
    compress_above: usize,
    /// The generation to read and write, or [`UNKNOWN`].
    generation: AtomicU64,
    /// What is to be written, in the order it came.
    writes: mpsc::UnboundedSender<Write>,
    written: Mutex<mpsc::UnboundedReceiver<Write>>,
    /// The bytes that may wait to be written.
    room: Arc<Semaphore>,
}

/// An answer on its way.
#[derive(Debug)]
struct Write {
    place: Place,
    response: CachedResponse,
    ttl: Duration,
    _room: OwnedSemaphorePermit,
}

impl Shared {
    /// The answers of `group`. Those that wait to be written take their bytes from `room`.
    #[must_use]
    pub fn new(
        redis: &Redis,
        group: &str,
        compress_above: usize,
        room: &Arc<Semaphore>,
        meters: GroupMeters,
    ) -> Self {
        let (writes, written) = mpsc::unbounded_channel();
        Self {
            names: Names::of(redis, group),
            meters,
            compress_above,
            generation: AtomicU64::new(UNKNOWN),
            writes,
            written: Mutex::new(written),
            room: Arc::clone(room),
        }
    }

    /// Where they are.
    #[must_use]
    pub const fn redis(&self) -> &Redis {
        &self.names.redis
    }

    /// The generation to read and write.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// All of it was purged, by this process: those before `generation` are no more.
    pub fn advance(&self, generation: u64) {
        // While it can't be followed, it is not known whether that is the last one.
        let later = |now| (now != UNKNOWN && now < generation).then_some(generation);
        let order = Ordering::AcqRel;
        let _ = self
            .generation
            .fetch_update(order, Ordering::Acquire, later);
    }

    /// The answer of that place with how long it lives on, if its body is of at most `most` bytes and it was not stored
    /// before `not_before` (milliseconds since the epoch). One round trip, or none if Redis is not available.
    pub async fn get(
        &self,
        place: Place,
        not_before: u64,
        most: usize,
    ) -> Option<(CachedResponse, Duration)> {
        let found = self.find(place, most).await;
        let young = |(response, _): &(CachedResponse, _)| response.stored >= not_before;
        let found = found.map(|found| found.filter(young));
        self.meters.cache_redis(match &found {
            Ok(Some(_)) => "hit",
            Ok(None) => "miss",
            Err(outcome) => outcome,
        });
        found.unwrap_or_default()
    }

    async fn find(
        &self,
        place: Place,
        most: usize,
    ) -> Result<Option<(CachedResponse, Duration)>, &'static str> {
        if place.generation == UNKNOWN {
            return Err("unavailable");
        }
        let call = Call {
            script: &LOOKUP,
            keys: vec![self.names.entry(place.generation, &place.key)],
            args: Vec::new(),
        };
        let answers = self.redis().eval(Urgency::Request, &[call]).await;
        let answer = answers.map_err(|_| "unavailable")?.pop();
        let (value, left) = match answer {
            Some(Ok(Value::Nil)) => return Ok(None),
            Some(Ok(answer)) => {
                ::redis::from_redis_value::<(Vec<u8>, i64)>(answer).map_err(|_| "damaged")?
            }
            // Somebody else has a list there, or a set.
            Some(Err(StoreError::Refused(why))) if why.contains("WRONGTYPE") => {
                return Err("damaged");
            }
            _ => return Err("unavailable"),
        };
        // One without an end, which is not of our making, has none here either.
        let left = u64::try_from(left).map_or(LONGEST, Duration::from_millis);
        match frame::decode(&place.key, value.into(), most) {
            Ok(response) => Ok(Some((response, left))),
            Err(Unreadable::TooLarge) => Ok(None),
            Err(Unreadable::Damaged) => Err("damaged"),
        }
    }

    /// Has an answer written, later and beside the request; if Redis is away or behind, it is dropped.
    pub fn put(&self, place: Place, response: CachedResponse, ttl: Duration) {
        if ttl.is_zero() {
            return;
        }
        let weight = u32::try_from(response.body.len() + OVERHEAD).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).try_acquire_many_owned(weight).ok();
        let room = room.filter(|_| self.takes(place));
        let sent = room.is_some_and(|room| {
            let write = Write {
                place,
                response,
                ttl,
                _room: room,
            };
            self.writes.send(write).is_ok()
        });
        if !sent {
            self.meters.cache_redis("dropped");
        }
    }

    /// Whether writing has a point.
    fn takes(&self, place: Place) -> bool {
        place.generation != UNKNOWN && self.redis().state() != State::Down
    }

    /// Writes what is to be written, one after the other. Never ends.
    pub async fn write(&self) {
        let mut written = self.written.lock().await;
        while let Some(write) = written.recv().await {
            let outcome = match self.set(&write).await {
                Ok(()) => "stored",
                Err(_) => "dropped",
            };
            self.meters.cache_redis(outcome);
        }
    }

    async fn set(&self, write: &Write) -> Result<(), StoreError> {
        if !self.takes(write.place) {
            return Err(StoreError::Unavailable);
        }
        let Place {
            key, generation, ..
        } = &write.place;
        let frame = frame::encode(key, &write.response, self.compress_above);
        let left = write.ttl.min(LONGEST).as_millis();
        let mut command = ::redis::cmd("SET");
        command
            .arg(self.names.entry(*generation, key))
            .arg(frame)
            .arg("PX")
            .arg(u64::try_from(left).unwrap_or(u64::MAX).max(1));
        let done = self.redis().command(Urgency::Bulk, &command).await;
        done.map(drop)
    }
}

/// Counts all answers of `group` as purged; returns the new generation.
///
/// # Errors
/// If Redis did not do it, or it is not known whether it did.
pub async fn purge_all(redis: &Redis, group: &str) -> Result<u64, StoreError> {
    let mut command = ::redis::cmd("INCR");
    command.arg(Names::of(redis, group).generation());
    let answer = redis.command(Urgency::Background, &command).await?;
    ::redis::from_redis_value(answer).map_err(|error| StoreError::Refused(error.to_string()))
}

/// Purges one answer of `group`, and tells those who follow; returns whether there was one.
///
/// # Errors
/// If Redis did not do it, or it is not known whether it did.
pub async fn purge_key(redis: &Redis, group: &str, key: &CacheKey) -> Result<bool, StoreError> {
    let names = Names::of(redis, group);
    let mut command = ::redis::cmd("GET");
    command.arg(names.generation());
    let answer = redis.command(Urgency::Background, &command).await?;
    // What is no number was never counted up.
    let generation: u64 = ::redis::from_redis_value(answer).unwrap_or_default();
    let call = Call {
        script: &PURGE,
        keys: vec![names.entry(generation, key), names.purges()],
        args: vec![
            key.to_hex().into(),
            PURGES_KEPT.to_string().into(),
            PURGES_KEPT_FOR.as_millis().to_string().into(),
        ],
    };
    let answer = redis.eval(Urgency::Background, &[call]).await?.pop();
    answer
        .unwrap_or(Err(StoreError::Unavailable))
        .map(|found| found == Value::Int(1))
}

/// Follows what other processes purge.
#[derive(Debug, Default)]
pub struct Follower {
    /// The last entry of the stream; `None` if some may have been missed.
    seen: Option<(u64, u64)>,
    /// The highest generation there has been.
    known: u64,
}

/// What there is to forget.
#[derive(Debug, PartialEq, Eq)]
pub enum Purged {
    /// These.
    Keys(Vec<CacheKey>),
    /// All.
    All,
}

impl Follower {
    /// What to ask; all groups of one Redis may be asked together.
    #[must_use]
    pub fn question(&self, of: &Shared) -> Call {
        let seen = self
            .seen
            .map(|(time, number)| format!("{time}-{number}"))
            .unwrap_or_default();
        Call {
            script: &FOLLOW,
            keys: vec![of.names.generation(), of.names.purges()],
            args: vec![
                self.known.to_string().into(),
                seen.into(),
                PURGES_KEPT.to_string().into(),
            ],
        }
    }

    /// There was no answer: from now on nothing is known.
    pub fn away(&mut self, of: &Shared) {
        self.seen = None;
        // What this process has purged itself may not come back either.
        let last = of.generation.swap(UNKNOWN, Ordering::AcqRel);
        if last != UNKNOWN {
            self.known = self.known.max(last);
        }
    }

    /// There was one: what is to be forgotten for it. The new generation is in force already.
    ///
    /// # Errors
    /// If it is not of the script's shape.
    pub fn heard(&mut self, answer: Value, of: &Shared) -> Result<Purged, StoreError> {
        let wrong = |why: &str| StoreError::Refused(why.to_owned());
        let (generation, newest, keys): (u64, String, Vec<String>) =
            ::redis::from_redis_value(answer).map_err(|error| wrong(&error.to_string()))?;
        let newest = id(&newest).ok_or_else(|| wrong("an entry of a stream without a number"))?;
        let before = self.seen.replace(newest);
        self.known = self.known.max(generation);
        // What this process has purged since it asked stays purged.
        let known = self.known;
        let later = |now| {
            Some(if now == UNKNOWN {
                known
            } else {
                known.max(now)
            })
        };
        let order = Ordering::AcqRel;
        let last = of.generation.fetch_update(order, Ordering::Acquire, later);
        let last = last.unwrap_or_else(|now| now);
        // An end before what was seen is the end of another stream.
        let missed = before.is_none_or(|before| newest < before) || keys.len() >= PURGES_KEPT;
        if missed || last == UNKNOWN || last < known {
            return Ok(Purged::All);
        }
        let keys = keys.iter().filter_map(|key| CacheKey::from_hex(key));
        Ok(Purged::Keys(keys.collect()))
    }
}

fn id(text: &str) -> Option<(u64, u64)> {
    let (time, number) = text.split_once('-')?;
    Some((time.parse().ok()?, number.parse().ok()?))
}
