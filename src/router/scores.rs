//! What is known about a deployment at this moment: in-flight count, latency, tokens and requests of the minute, spend,
//! health. Only an [`Attempt`](super::Attempt) changes it; picks read it.
//!
//! A pick among a thousand deployments reads a thousand of these, so that what it reads are plain atomics that lie
//! together: no lock, no division, no logarithm. What a number takes to be read cheaply is paid when it is written, once
//! per attempt. Limits are held where they are counted: a place is taken by compare-and-exchange or not at all. No number
//! says anything about another, so that all are read and written in relaxed order; but for places that are waited for
//! ([`queue`](super::queue)).

use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

pub use super::per_minute::minute_of;

use super::cooldown::{Cooldown, Readiness};
use super::estimate::{Estimate, half_lives};
use super::per_minute::PerMinute;
use super::preferences::Reserved;
use super::queue::{Places, Queue};
use super::times::Times;
use crate::types::{Cost, Totals};

/// Stands for no deadline: before all moments.
const NEVER: i64 = i64::MIN;

/// The first moment anyone gave; others are held as nanoseconds from it.
static ORIGIN: OnceLock<Instant> = OnceLock::new();

/// `now` as a number, in nanoseconds. A span of 292 years is enough.
pub(super) fn nanos(now: Instant) -> i64 {
    let origin = *ORIGIN.get_or_init(|| now);
    let count = |d: Duration| {
        let seconds = i64::try_from(d.as_secs()).unwrap_or(i64::MAX);
        seconds
            .saturating_mul(1_000_000_000)
            .saturating_add(i64::from(d.subsec_nanos()))
    };
    match now.checked_duration_since(origin) {
        Some(since) => count(since),
        None => -count(origin.duration_since(now)),
    }
}

/// How much a deployment takes; the largest number where nothing is said.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) rpm: u64,
    pub(super) tpm: u64,
    pub(super) in_flight: u32,
}

impl Limits {
    pub(super) const NONE: Self = Self {
        rpm: u64::MAX,
        tpm: u64::MAX,
        in_flight: u32::MAX,
    };

    /// Whether `in_flight` are as many as may be.
    pub(super) const fn full(&self, in_flight: u32) -> bool {
        in_flight >= self.in_flight
    }

    /// Whether `requests` are as many as a minute may have.
    pub(super) const fn over_rpm(&self, requests: u64) -> bool {
        requests >= self.rpm
    }

    /// Whether `more` tokens are too many after `used`: at the limit, and from where they would exceed it. A request
    /// estimated at more than the whole limit may still have a minute to itself.
    pub(super) fn over_tpm(&self, used: u64, more: u64) -> bool {
        let exceeding = self
            .tpm
            .saturating_sub(more.min(PerMinute::MOST))
            .saturating_add(1);
        used >= self.tpm.min(exceeding)
    }
}

/// The live numbers of one deployment. Shared by configurations that name the same deployment.
///
/// What every pick reads comes first and fills the first cache line, which no other deployment shares.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Scores {
    /// Until when `cooldown` keeps it closed, in [`nanos`]; [`NEVER`] if it need not be asked.
    closed: AtomicI64,
    in_flight: AtomicU32,
    /// Requests that other replicas have under way.
    others_in_flight: AtomicU32,
    requests: PerMinute,
    minute_tokens: PerMinute,
    tokens: AtomicU64,
    spent: AtomicU64,
    first_content: Estimate,
    plain: Estimate,
    cooldown: Mutex<Cooldown>,
    /// Distributions of times to first content, of streams and of plain answers; kept only where someone asks for them.
    times: Option<Box<[Times; 2]>>,
    /// Who waits for a place, if it has a limit in flight that is waited for.
    places: Option<Box<Places>>,
    /// Told when it begins to cool, so that other replicas hear of it soon.
    teller: OnceLock<Arc<Notify>>,
    /// What was reserved where all replicas count, if it has limits that are.
    reserved: Option<Box<Reserved>>,
}

impl Default for Scores {
    fn default() -> Self {
        Self {
            closed: AtomicI64::new(NEVER),
            in_flight: AtomicU32::default(),
            others_in_flight: AtomicU32::default(),
            requests: PerMinute::default(),
            minute_tokens: PerMinute::default(),
            tokens: AtomicU64::default(),
            spent: AtomicU64::default(),
            first_content: Estimate::default(),
            plain: Estimate::default(),
            cooldown: Mutex::default(),
            times: None,
            places: None,
            teller: OnceLock::new(),
            reserved: None,
        }
    }
}

/// What an untested deployment counts as that fails: of plain answers per token, of streams until the first content. Slower
/// than what people wait for, and forgotten within minutes.
const SLOW: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(10)];

impl Scores {
    /// With distributions of times to first content, for [`Scores::usual_time`].
    #[must_use]
    pub fn with_times() -> Self {
        Self {
            times: Some(Box::default()),
            ..Self::default()
        }
    }

    /// With a limit in flight for which requests wait in `queue`, its group's.
    #[must_use]
    pub fn with_queue(mut self, queue: &Arc<Queue>, limit: u32) -> Self {
        self.places = Some(Box::new(Places::new(queue, limit)));
        self
    }

    /// Wakes `teller` whenever a failure cools it.
    pub fn tell(&self, teller: &Arc<Notify>) {
        let _ = self.teller.set(Arc::clone(teller));
    }

    /// A failure has cooled it.
    #[cold]
    pub(super) fn cooled(&self) {
        self.teller.get().into_iter().for_each(|t| t.notify_one());
    }

    /// With limits that are reserved where all replicas count.
    #[must_use]
    pub fn with_reservations(mut self) -> Self {
        self.reserved = Some(Box::default());
        self
    }

    /// What was reserved in the minute with that number where all replicas count, if it is. Whoever looks at what was begun
    /// after this finds at least the attempts these were for.
    #[must_use]
    pub fn reserved(&self, minute: u64) -> Option<Totals> {
        Some(self.reserved.as_ref()?.of(minute))
    }

    /// A place for so many tokens was reserved.
    pub fn note_reserved(&self, minute: u64, tokens: u64) {
        if let Some(reserved) = &self.reserved {
            reserved.add(minute, tokens);
        }
    }

    pub(super) fn places(&self) -> Option<&Places> {
        self.places.as_deref()
    }

    /// The time to first content that this share of requests does not exceed, if that is known.
    #[must_use]
    pub fn usual_time(&self, streaming: bool, share: f64) -> Option<Duration> {
        let times = self.times.as_ref()?;
        times[usize::from(streaming)].quantile(share)
    }

    pub(super) fn note_time(&self, streaming: bool, time: Duration) {
        if let Some(times) = &self.times {
            times[usize::from(streaming)].add(time);
        }
    }

    /// Requests under way here.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Requests that other replicas have under way, as they said last.
    #[must_use]
    pub fn others_in_flight(&self) -> u32 {
        self.others_in_flight.load(Ordering::Relaxed)
    }

    /// Whether [`Scores::enter`] would. No branch but one: a walk over many deployments is not to be held up by each.
    #[inline]
    pub(super) fn fits(&self, limits: &Limits, minute: u64, tokens: u64) -> bool {
        let full = limits.full(self.in_flight());
        let over_rpm = limits.over_rpm(self.requests.of(minute));
        let over_tpm = limits.over_tpm(self.minute_tokens.of(minute), tokens);
        !(full | over_rpm | over_tpm)
    }

    /// Counts a request in, with `tokens` reserved in the minute of that number, if that keeps to `limits`: whoever
    /// else counts in or out at the same time, they hold. Returns the minute the tokens are reserved in.
    pub(super) fn enter(&self, limits: &Limits, minute: u64, tokens: u64) -> Option<u64> {
        let place = |n| (!limits.full(n)).then_some(n + 1);
        if self
            .in_flight
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, place)
            .is_err()
        {
            return None;
        }
        if let Some(counted) = self.requests.add(minute, 1, |used| !limits.over_rpm(used)) {
            let fits = |used| !limits.over_tpm(used, tokens);
            if let Some(reserved) = self.minute_tokens.add(minute, tokens, fits) {
                return Some(reserved);
            }
            self.requests.replace(counted, 1, 0);
        }
        self.leave();
        None
    }

    /// Requests under way, in one order with the line of those that wait.
    pub(super) fn in_flight_now(&self) -> u32 {
        self.in_flight.load(Ordering::SeqCst)
    }

    pub(super) fn leave(&self) {
        match &self.places {
            None => {
                self.in_flight.fetch_sub(1, Ordering::Relaxed);
            }
            Some(places) => {
                self.in_flight.fetch_sub(1, Ordering::SeqCst);
                places.queue().freed(self);
            }
        }
    }

    pub(super) fn set_others_in_flight(&self, n: u32) {
        self.others_in_flight.store(n, Ordering::Relaxed);
    }

    /// Tokens since the start, everyone's.
    #[must_use]
    pub fn total_tokens(&self) -> u64 {
        self.tokens.load(Ordering::Relaxed)
    }

    /// Money since the start, everyone's, as far as the price is known.
    #[must_use]
    pub fn spent(&self) -> Cost {
        Cost(self.spent.load(Ordering::Relaxed))
    }

    pub(super) fn spend(&self, tokens: u64, cost: Cost) {
        self.tokens.fetch_add(tokens, Ordering::Relaxed);
        self.spent.fetch_add(cost.0, Ordering::Relaxed);
    }

    /// What others have used changes from `old` to `new`: tokens and money.
    pub(super) fn amend(&self, old: (u64, u64), new: (u64, u64)) {
        // Both wrap, so that less is possible, too.
        self.tokens
            .fetch_add(new.0.wrapping_sub(old.0), Ordering::Relaxed);
        self.spent
            .fetch_add(new.1.wrapping_sub(old.1), Ordering::Relaxed);
    }

    /// The counts of the minute: requests, tokens.
    pub(super) const fn minutes(&self) -> [&PerMinute; 2] {
        [&self.requests, &self.minute_tokens]
    }

    /// Requests and tokens of the minute with that number.
    #[must_use]
    pub fn minute(&self, number: u64) -> Totals {
        Totals {
            requests: self.requests.of(number),
            tokens: self.minute_tokens.of(number),
        }
    }

    /// Replaces a reservation by what was used. A reservation of a minute that is over is nobody's business any more.
    pub(super) fn correct(&self, number: u64, reserved: u64, used: u64) {
        self.minute_tokens.replace(number, reserved, used);
    }

    /// The estimate for a call of that kind, `None` if untested. While requests are under way it does not decay:
    /// their outcome will tell.
    #[must_use]
    pub fn latency(&self, streaming: bool, now: Instant) -> Option<Duration> {
        let log2 = self.log2_latency(streaming, half_lives(nanos(now)))?;
        Some(Duration::from_secs_f64(log2.exp2()))
    }

    /// [`Scores::latency`] as the logarithm of its seconds, in which decay is a difference and the order is the same.
    pub(super) fn log2_latency(&self, streaming: bool, now: f64) -> Option<f64> {
        let estimate = self.estimate(streaming);
        let log2 = estimate.log2()?;
        if self.in_flight() > 0 {
            return Some(log2);
        }
        Some(log2 - (now - estimate.at()).max(0.0))
    }

    pub(super) const fn estimate(&self, streaming: bool) -> &Estimate {
        if streaming {
            &self.first_content
        } else {
            &self.plain
        }
    }

    pub(super) fn sample(&self, streaming: bool, sample: Duration, now: Instant) {
        self.estimate(streaming)
            .sample(sample.as_secs_f64(), half_lives(nanos(now)));
    }

    /// What was learnt of latency is of a time that is over.
    pub(super) fn forget_latency(&self) {
        self.first_content.forget();
        self.plain.forget();
    }

    /// A failure never looks fast: it counts as twice the estimate, of a stream at least as long as it `took` (a plain
    /// answer's estimate is one per token, which a failure has none of), and of an untested deployment as slow.
    pub(super) fn penalise(&self, streaming: bool, took: Duration, now: Instant) {
        let doubled = self
            .estimate(streaming)
            .log2()
            // Bounded, so that a row of failures does not outweigh minutes of later success.
            .map(|log2| Duration::from_secs_f64((log2.exp2() * 2.0).min(60.0)));
        let sample = doubled.unwrap_or(SLOW[usize::from(streaming)]);
        let sample = if streaming { sample.max(took) } else { sample };
        self.sample(streaming, sample, now);
    }

    /// Until when it is cooling down, in [`nanos`], if it need not simply be ready.
    #[inline]
    pub(super) fn closed(&self) -> Option<i64> {
        let closed = self.closed.load(Ordering::Relaxed);
        (closed != NEVER).then_some(closed)
    }

    /// Whether it may be picked.
    #[must_use]
    #[inline]
    pub fn readiness(&self, now: Instant) -> Readiness {
        match self.closed() {
            None => Readiness::Ready,
            Some(_) => self.with_cooldown(|c| c.readiness(now)),
        }
    }

    pub(super) fn with_cooldown<T>(&self, change: impl FnOnce(&mut Cooldown) -> T) -> T {
        // Nothing that runs under this lock can panic half-way through a change.
        let mut cooldown = self.cooldown.lock().unwrap_or_else(PoisonError::into_inner);
        let result = change(&mut cooldown);
        let closed = cooldown.deadline().map_or(NEVER, nanos);
        self.closed.store(closed, Ordering::Relaxed);
        result
    }
}

#[cfg(test)]
mod tests;
