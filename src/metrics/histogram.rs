//! A histogram of durations that is observed without a lock.
//!
//! The one of `prometheus_client` takes a mutex for each observation, and all cores meet there. Here an observation is
//! two atomic adds; what is shown is the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::{MetricType, TypedMetric};

/// Upper bounds in seconds: from a cached answer to the longest reasoning; above the last one there is no bound.
const BOUNDS: [f64; 15] = [
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
    60.0,
    300.0,
    f64::INFINITY,
];

/// Seconds, by [`BOUNDS`].
#[derive(Debug, Clone, Default)]
pub(super) struct Seconds(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    buckets: [AtomicU64; BOUNDS.len()],
    /// The sum, in nanoseconds: an integer is added to without asking what it is first. It holds 584 years.
    nanos: AtomicU64,
}

impl Seconds {
    /// Counts a duration.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a duration is not negative; beyond 584 years it is cut"
    )]
    pub(super) fn observe(&self, seconds: f64) {
        let bucket = BOUNDS.iter().position(|bound| seconds <= *bound);
        let bucket = &self.0.buckets[bucket.unwrap_or(BOUNDS.len() - 1)];
        bucket.fetch_add(1, Ordering::Relaxed);
        let nanos = seconds * 1e9 + 0.5; // rounds, without a call
        self.0.nanos.fetch_add(nanos as u64, Ordering::Relaxed);
    }
}

impl TypedMetric for Seconds {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for Seconds {
    #[expect(clippy::cast_precision_loss, reason = "for people and graphs")]
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        let counts = &*self.0;
        let at = |i: usize| (BOUNDS[i], counts.buckets[i].load(Ordering::Relaxed));
        let buckets: [_; BOUNDS.len()] = std::array::from_fn(at);
        let count = buckets.iter().map(|(_, n)| n).sum();
        let sum = counts.nanos.load(Ordering::Relaxed) as f64 / 1e9;
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;
    use prometheus_client::metrics::histogram::Histogram;
    use prometheus_client::registry::{Metric, Registry};

    use super::*;

    fn shown(metric: impl Metric) -> String {
        let mut registry = Registry::default();
        registry.register("seconds", "Seconds", metric);
        let mut text = String::new();
        encode(&mut text, &registry).expect("a string");
        text
    }

    #[test]
    fn shows_what_the_librarys_own_shows() {
        let (ours, theirs) = (
            Seconds::default(),
            Histogram::new(BOUNDS[..BOUNDS.len() - 1].iter().copied()),
        );
        assert_eq!(shown(ours.clone()), shown(theirs.clone()), "nothing yet");
        for seconds in [0.0, 0.005, 0.25, 0.5, 0.75, 59.0, 60.0, 300.0, 301.0, 1e6] {
            ours.observe(seconds);
            theirs.observe(seconds);
        }
        assert_eq!(shown(ours), shown(theirs));
    }

    #[test]
    fn no_observation_is_lost_between_threads() {
        let seconds = Seconds::default();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..1000).for_each(|_| seconds.observe(0.5)));
            }
        });
        let text = shown(seconds);
        assert!(text.contains("seconds_count 8000"), "{text}");
        assert!(text.contains("seconds_sum 4000.0"), "{text}");
    }
}
