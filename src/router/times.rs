//! How long a deployment takes to its first content, as a distribution: what quantile a request is beyond.
//!
//! A histogram with buckets that grow by a fourth root of two, so that a quantile is right within 19 %, which is less
//! than it differs from minute to minute. It forgets by halving all counts when there are many, so that it follows the
//! last few hundred requests. Recording is one atomic addition.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Buckets per doubling.
const PER_DOUBLING: f64 = 4.0;
/// The first bucket ends here; times below it are all in it.
const FIRST: f64 = 0.001;
/// The last one begins at [`FIRST`] × 2^(79 ÷ 4): a quarter of an hour.
const BUCKETS: usize = 80;
/// Counts are halved when there are so many.
const MANY: u32 = 512;
/// Fewer say nothing of a tail.
const FEW: u32 = 20;

/// The times of one deployment.
#[derive(Debug)]
pub(super) struct Times {
    counts: [AtomicU32; BUCKETS],
    all: AtomicU32,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            counts: [const { AtomicU32::new(0) }; BUCKETS],
            all: AtomicU32::default(),
        }
    }
}

impl Times {
    /// One more.
    pub(super) fn add(&self, time: Duration) {
        self.counts[bucket(time)].fetch_add(1, Ordering::Relaxed);
        if self.all.fetch_add(1, Ordering::Relaxed) + 1 == MANY {
            // Whoever makes it many halves it; what others add meanwhile counts in full or by half.
            let mut left = 0;
            for count in &self.counts {
                let half = count.load(Ordering::Relaxed) / 2;
                count.store(half, Ordering::Relaxed);
                left += half;
            }
            self.all.store(left, Ordering::Relaxed);
        }
    }

    /// The time that this share (above 0, below 1) of requests does not exceed, if there were enough of them.
    pub(super) fn quantile(&self, share: f64) -> Option<Duration> {
        let counts: Vec<u32> = self
            .counts
            .iter()
            .map(|count| count.load(Ordering::Relaxed))
            .collect();
        let all: u32 = counts.iter().sum();
        if all < FEW {
            return None;
        }
        let wanted = f64::from(all) * share;
        let mut below = 0;
        let at = counts.iter().position(|count| {
            below += count;
            f64::from(below) >= wanted
        })?;
        Some(Duration::from_secs_f64(end_of(at)))
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "bounded by the number of buckets"
)]
fn bucket(time: Duration) -> usize {
    let steps = (time.as_secs_f64() / FIRST).log2() * PER_DOUBLING;
    if steps > 0.0 {
        (steps.ceil() as usize).min(BUCKETS - 1)
    } else {
        0
    }
}

/// The longest time in a bucket, in seconds.
#[expect(clippy::cast_precision_loss, reason = "a small number")]
fn end_of(bucket: usize) -> f64 {
    FIRST * (bucket as f64 / PER_DOUBLING).exp2()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn a_few_say_nothing() {
        let times = Times::default();
        (0..FEW - 1).for_each(|_| times.add(ms(100)));
        assert_eq!(times.quantile(0.95), None);
        times.add(ms(100));
        assert!(times.quantile(0.95).is_some());
    }

    #[test]
    fn old_times_are_forgotten() {
        let times = Times::default();
        (0..1000).for_each(|_| times.add(ms(10)));
        (0..2000).for_each(|_| times.add(ms(1000)));
        let now = times.quantile(0.5).expect("many");
        assert!(now >= ms(1000), "{now:?}");
    }

    proptest! {
        /// Within one bucket of the exact quantile, and never below it.
        #[test]
        fn quantiles(mut all in prop::collection::vec(1u64..100_000, 20..400), share in 0.5f64..0.99) {
            let times = Times::default();
            all.iter().for_each(|n| times.add(ms(*n)));
            all.sort_unstable();
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a test")]
            let at = ((all.len() as f64 * share).ceil() as usize).max(1) - 1;
            let exact = ms(all[at]);
            let found = times.quantile(share).expect("enough");
            prop_assert!(found >= exact.mul_f64(0.999), "{:?} {:?}", found, exact);
            prop_assert!(found <= exact.mul_f64(1.2), "{:?} {:?}", found, exact);
        }
    }
}
