//! [`Estimate`]: how long a deployment takes, learnt from samples and forgotten with time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A latency estimate nobody refreshed counts for half after this long, so that a deployment which once was slow is
/// tried again instead of being avoided for ever.
pub(super) const HALF_LIFE: Duration = Duration::from_secs(60);
/// How much of a sample above the estimate is believed at once: rises fast.
const RISE: f64 = 0.7;
/// How much of a sample below it: falls slowly.
const FALL: f64 = 0.3;

/// `nanos` in half-lives of estimates.
#[expect(clippy::cast_precision_loss, reason = "an age, not a count")]
pub(super) fn half_lives(nanos: i64) -> f64 {
    nanos as f64 / (HALF_LIFE.as_secs_f64() * 1e9)
}

/// An expected latency: the logarithm of its seconds, and when it was last refreshed, in half-lives.
#[derive(Debug)]
pub(super) struct Estimate {
    /// Not a number while untested.
    log2: AtomicU64,
    at: AtomicU64,
}

impl Default for Estimate {
    fn default() -> Self {
        Self {
            log2: AtomicU64::new(f64::NAN.to_bits()),
            at: AtomicU64::default(),
        }
    }
}

impl Estimate {
    pub(super) fn log2(&self) -> Option<f64> {
        let log2 = f64::from_bits(self.log2.load(Ordering::Relaxed));
        (!log2.is_nan()).then_some(log2)
    }

    pub(super) fn at(&self) -> f64 {
        f64::from_bits(self.at.load(Ordering::Relaxed))
    }

    /// Tells states of it apart.
    pub(super) fn mark(&self) -> (u64, u64) {
        let bits = |of: &AtomicU64| of.load(Ordering::Relaxed);
        (bits(&self.log2), bits(&self.at))
    }

    /// Moves towards `sample` from what is left of the estimate: one that was believed to be slow, was avoided for long and
    /// is tried again is judged by what it does now.
    pub(super) fn sample(&self, sample: f64, now: f64) {
        let age = (now - self.at()).max(0.0);
        let change = |bits| {
            let old = (f64::from_bits(bits) - age).exp2();
            let seconds = if old.is_nan() {
                sample
            } else {
                old + (sample - old) * if sample > old { RISE } else { FALL }
            };
            Some(seconds.log2().to_bits())
        };
        let _ = self
            .log2
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, change);
        self.at.store(now.to_bits(), Ordering::Relaxed);
    }

    /// Untested, as at the beginning.
    pub(super) fn forget(&self) {
        self.log2.store(f64::NAN.to_bits(), Ordering::Relaxed);
    }
}
