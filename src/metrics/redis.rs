//! Series of a Redis.

use std::sync::Arc;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::{Labels, Metrics, Words, with};

/// How asking a Redis can end.
const OUTCOMES: [&str; 5] = ["answered", "refused", "timeout", "broken", "unavailable"];

/// What all of them share.
#[derive(Debug, Default)]
pub(super) struct RedisFamilies {
    up: Family<Labels, Gauge>,
    calls: Family<Labels, Counter>,
}

impl RedisFamilies {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let families = Self::default();
        registry.register(
            "redis_up",
            "1 while a Redis answers in time, so that requests ask it",
            families.up.clone(),
        );
        registry.register(
            "redis_calls",
            "Calls of a Redis by who waited for the answer and outcome; unavailable ones were not made",
            families.calls.clone(),
        );
        families
    }
}

/// Handles of one Redis.
#[derive(Debug, Clone)]
pub struct RedisMeters {
    up: Gauge,
    calls: Family<Labels, Counter>,
    /// Of requests, and in the background.
    outcomes: [Words<{ OUTCOMES.len() }>; 2],
}

impl Metrics {
    /// The series of the Redis at that place.
    #[must_use]
    pub fn redis(&self, place: &str) -> RedisMeters {
        let own = [("redis", Arc::from(place))];
        let outcomes = ["request", "background"].map(|urgency| {
            let Labels(own) = with(&own, "urgency", urgency);
            Words::new(&own, "outcome", &OUTCOMES)
        });
        RedisMeters {
            up: self.redis.up.get_or_create_owned(&Labels(own.to_vec())),
            calls: self.redis.calls.clone(),
            outcomes,
        }
    }
}

impl RedisMeters {
    /// Whether requests ask it.
    pub fn up(&self, up: bool) {
        self.up.set(i64::from(up));
    }

    /// It was asked, by a request or in the background, and that ended so: `answered`, `refused`, `timeout`, `broken`, or
    /// `unavailable`.
    pub fn call(&self, by_request: bool, outcome: &'static str) {
        self.outcomes[usize::from(!by_request)].count(outcome, &self.calls);
    }
}
