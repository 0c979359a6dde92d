//! What is known about a deployment at this moment: in-flight count, latency, tokens and requests of the minute, spend,
//! health. Only an [`Attempt`](super::Attempt) changes it; picks read it.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::cooldown::{Cooldown, Readiness};
use crate::types::{Cost, Totals};

/// A latency estimate nobody refreshed counts for half after this long, so that a deployment which once was slow is
/// tried again instead of being avoided for ever.
const HALF_LIFE: Duration = Duration::from_secs(60);
/// How much of a sample above the estimate is believed at once: rises fast.
const RISE: f64 = 0.7;
/// How much of a sample below it: falls slowly.
const FALL: f64 = 0.3;

/// The live numbers of one deployment. Shared by configurations that name the same deployment.
#[derive(Debug, Default)]
pub struct Scores {
    in_flight: AtomicU32,
    tokens: AtomicU64,
    spent: AtomicU64,
    minute: Mutex<Minute>,
    latency: Mutex<Latency>,
    cooldown: Mutex<Cooldown>,
    /// Whether `cooldown` needs to be asked at all.
    troubled: AtomicBool,
}

#[derive(Debug, Default)]
struct Minute {
    number: u64,
    totals: Totals,
}

#[derive(Debug, Default)]
struct Latency {
    first_content: Option<Estimate>,
    plain: Option<Estimate>,
}

#[derive(Debug, Clone, Copy)]
struct Estimate {
    seconds: f64,
    at: Instant,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that runs under these locks can panic half-way through a change.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The number of the wall-clock minute `unix` lies in.
#[must_use]
pub fn minute_of(unix: Duration) -> u64 {
    unix.as_secs() / 60
}

impl Scores {
    /// Requests under way.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Acquire)
    }

    pub(super) fn enter(&self) {
        self.in_flight.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn leave(&self) {
        self.in_flight.fetch_sub(1, Ordering::AcqRel);
    }

    /// Tokens since the start.
    #[must_use]
    pub fn total_tokens(&self) -> u64 {
        self.tokens.load(Ordering::Relaxed)
    }

    /// Money since the start, as far as the price is known.
    #[must_use]
    pub fn spent(&self) -> Cost {
        Cost(self.spent.load(Ordering::Relaxed))
    }

    pub(super) fn spend(&self, tokens: u64, cost: Cost) {
        self.tokens.fetch_add(tokens, Ordering::Relaxed);
        self.spent.fetch_add(cost.0, Ordering::Relaxed);
    }

    /// Requests and tokens of the minute with that number.
    #[must_use]
    pub fn minute(&self, number: u64) -> Totals {
        let minute = lock(&self.minute);
        if minute.number == number {
            minute.totals
        } else {
            Totals::default()
        }
    }

    /// Counts a request with `tokens` reserved into that minute.
    pub(super) fn reserve(&self, number: u64, tokens: u64) {
        let mut minute = lock(&self.minute);
        if minute.number != number {
            *minute = Minute {
                number,
                totals: Totals::default(),
            };
        }
        minute.totals.requests += 1;
        minute.totals.tokens = minute.totals.tokens.saturating_add(tokens);
    }

    /// Replaces a reservation by what was used. A reservation of a minute that is over is nobody's business any more.
    pub(super) fn correct(&self, number: u64, reserved: u64, used: u64) {
        let mut minute = lock(&self.minute);
        if minute.number == number {
            minute.totals.tokens = minute
                .totals
                .tokens
                .saturating_sub(reserved)
                .saturating_add(used);
        }
    }

    /// The estimate for a call of that kind, `None` if untested. While requests are under way it does not decay:
    /// their outcome will tell.
    #[must_use]
    pub fn latency(&self, streaming: bool, now: Instant) -> Option<Duration> {
        let latency = lock(&self.latency);
        let estimate = (if streaming {
            latency.first_content
        } else {
            latency.plain
        })?;
        let decay = if self.in_flight() > 0 {
            1.0
        } else {
            (-now.duration_since(estimate.at).as_secs_f64() / HALF_LIFE.as_secs_f64()).exp2()
        };
        Some(Duration::from_secs_f64(estimate.seconds * decay))
    }

    pub(super) fn sample(&self, streaming: bool, sample: Duration, now: Instant) {
        let mut latency = lock(&self.latency);
        let slot = if streaming {
            &mut latency.first_content
        } else {
            &mut latency.plain
        };
        let sample = sample.as_secs_f64();
        let seconds = match slot {
            None => sample,
            Some(old) => {
                old.seconds
                    + (sample - old.seconds) * if sample > old.seconds { RISE } else { FALL }
            }
        };
        *slot = Some(Estimate { seconds, at: now });
    }

    /// A failure never looks fast: it counts as twice the estimate, and at least as long as it took, or `floor`.
    pub(super) fn penalise(&self, streaming: bool, took: Duration, floor: Duration, now: Instant) {
        let doubled = {
            let latency = lock(&self.latency);
            let slot = if streaming {
                latency.first_content
            } else {
                latency.plain
            };
            slot.map_or(0.0, |e| e.seconds * 2.0)
        };
        // Bounded, so that a row of failures does not outweigh minutes of later success.
        let sample = Duration::from_secs_f64(doubled.min(60.0))
            .max(took)
            .max(floor);
        self.sample(streaming, sample, now);
    }

    /// Whether it may be picked.
    #[must_use]
    pub fn readiness(&self, now: Instant) -> Readiness {
        if self.troubled.load(Ordering::Acquire) {
            lock(&self.cooldown).readiness(now)
        } else {
            Readiness::Ready
        }
    }

    pub(super) fn with_cooldown<T>(&self, change: impl FnOnce(&mut Cooldown) -> T) -> T {
        let mut cooldown = lock(&self.cooldown);
        let result = change(&mut cooldown);
        self.troubled.store(cooldown.is_open(), Ordering::Release);
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn estimates_rise_fast_fall_slowly_and_decay() {
        let (scores, t) = (Scores::default(), Instant::now());
        assert_eq!(scores.latency(true, t), None);
        scores.sample(true, S, t);
        assert_eq!(scores.latency(true, t), Some(S));
        assert_eq!(scores.latency(false, t), None, "the two kinds are apart");
        scores.sample(true, 3 * S, t);
        let up = scores.latency(true, t).expect("known");
        assert!(up > 2 * S, "{up:?}");
        scores.sample(true, S, t);
        assert!(scores.latency(true, t).expect("known") > S + S / 2);
        let later = scores.latency(true, t + HALF_LIFE).expect("known");
        assert!(later < S, "{later:?}");
        scores.enter();
        assert!(
            scores.latency(true, t + HALF_LIFE).expect("known") > S,
            "no decay while under way"
        );
    }

    #[test]
    fn failures_are_never_fast() {
        let (scores, t) = (Scores::default(), Instant::now());
        scores.penalise(false, Duration::from_millis(1), 10 * S, t);
        assert_eq!(scores.latency(false, t), Some(10 * S));
        for _ in 0..50 {
            scores.penalise(false, S, S, t);
        }
        assert!(
            scores.latency(false, t).expect("known") <= 60 * S,
            "bounded"
        );
    }

    #[test]
    fn minutes_start_from_zero_and_reservations_are_corrected() {
        let scores = Scores::default();
        scores.reserve(7, 100);
        scores.reserve(7, 50);
        scores.correct(7, 100, 30);
        assert_eq!(
            scores.minute(7),
            Totals {
                requests: 2,
                tokens: 80
            }
        );
        assert_eq!(scores.minute(8), Totals::default());
        scores.reserve(8, 5);
        scores.correct(7, 50, 500);
        assert_eq!(
            scores.minute(8),
            Totals {
                requests: 1,
                tokens: 5
            }
        );
    }

    #[test]
    fn absurd_numbers_do_not_wrap() {
        let scores = Scores::default();
        scores.reserve(7, u64::MAX);
        scores.reserve(7, u64::MAX);
        assert_eq!(scores.minute(7).tokens, u64::MAX);
        scores.correct(7, 1, u64::MAX);
        assert_eq!(scores.minute(7).tokens, u64::MAX);
    }

    #[test]
    fn a_correction_for_another_minute_changes_nothing() {
        let scores = Scores::default();
        scores.reserve(8, 5);
        scores.correct(7, 50, 500);
        assert_eq!(
            scores.minute(8),
            Totals {
                requests: 1,
                tokens: 5
            }
        );
    }
}
