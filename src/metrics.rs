//! What `/metrics` shows.
//!
//! Labels come from the configuration only: group, deployment, and words of this file. What a client sends never becomes
//! a label, so the number of series is bounded by the file. Handles are taken once per group and deployment, or with a
//! word's first event; recording is an atomic add, without a lock or a search for labels.

mod histogram;
mod ledger;
mod redis;
mod sharing;

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabel, EncodeLabelSet, LabelSetEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use histogram::Seconds;
use ledger::LedgerFamilies;
pub use ledger::LedgerMeters;
use redis::RedisFamilies;
pub use redis::RedisMeters;
use sharing::SharingFamilies;

use crate::types::{Fault, Operation, TokenUsage};

type Money = Counter<f64, AtomicU64>;

/// Names and values, in the order given.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Labels(Vec<(&'static str, Arc<str>)>);

impl EncodeLabelSet for Labels {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), std::fmt::Error> {
        for (name, value) in &self.0 {
            (*name, &**value).encode(encoder.encode_label())?;
        }
        Ok(())
    }
}

/// All series of a process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<Labels, Counter>,
    duration: Family<Labels, Seconds>,
    attempts: Family<Labels, Counter>,
    first_content: Family<Labels, Seconds>,
    tokens: Family<Labels, Counter>,
    cost: Family<Labels, Money>,
    unpriced: Family<Labels, Counter>,
    cooldowns: Family<Labels, Counter>,
    cache: Family<Labels, Counter>,
    cache_redis: Family<Labels, Counter>,
    hedges: Family<Labels, Counter>,
    in_flight: Family<Labels, Gauge>,
    cooling: Family<Labels, Gauge>,
    connections: Gauge,
    redis: RedisFamilies,
    ledger: LedgerFamilies,
    sharing: SharingFamilies,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// No series yet.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("waypost");
        let metrics = Self {
            requests: Family::default(),
            duration: Family::default(),
            attempts: Family::default(),
            first_content: Family::default(),
            tokens: Family::default(),
            cost: Family::default(),
            unpriced: Family::default(),
            cooldowns: Family::default(),
            cache: Family::default(),
            cache_redis: Family::default(),
            hedges: Family::default(),
            in_flight: Family::default(),
            cooling: Family::default(),
            connections: Gauge::default(),
            redis: RedisFamilies::register(&mut registry),
            ledger: LedgerFamilies::register(&mut registry),
            sharing: SharingFamilies::register(&mut registry),
            registry: Registry::default(),
        };
        registry.register(
            "requests",
            "Requests by group, operation and outcome",
            metrics.requests.clone(),
        );
        registry.register(
            "request_duration_seconds",
            "From the request's head to the answer's end",
            metrics.duration.clone(),
        );
        registry.register(
            "attempts",
            "Attempts by deployment and outcome",
            metrics.attempts.clone(),
        );
        registry.register(
            "first_content_seconds",
            "From sending to the first content",
            metrics.first_content.clone(),
        );
        registry.register(
            "tokens",
            "Tokens by deployment and kind; cached input is part of input, reasoning of output",
            metrics.tokens.clone(),
        );
        registry.register(
            "cost_dollars",
            "Cost of the tokens whose price is known",
            metrics.cost.clone(),
        );
        registry.register(
            "unpriced_tokens",
            "Tokens whose price is not known",
            metrics.unpriced.clone(),
        );
        registry.register(
            "cooldowns",
            "Times a deployment began to cool down, by cause",
            metrics.cooldowns.clone(),
        );
        registry.register(
            "cache",
            "Response cache lookups by result",
            metrics.cache.clone(),
        );
        registry.register(
            "cache_redis",
            "What became of answers looked up in Redis and of those to be stored there",
            metrics.cache_redis.clone(),
        );
        registry.register(
            "hedges",
            "Second attempts made beside slow ones, and those of them that were first",
            metrics.hedges.clone(),
        );
        registry.register(
            "in_flight",
            "Requests under way by deployment",
            metrics.in_flight.clone(),
        );
        registry.register(
            "cooling",
            "1 while a deployment is cooling down",
            metrics.cooling.clone(),
        );
        registry.register(
            "upstream_connections",
            "Open connections to deployments",
            metrics.connections.clone(),
        );
        Self {
            registry,
            ..metrics
        }
    }

    /// The series of one group.
    #[must_use]
    pub fn group(self: &Arc<Self>, group: &Arc<str>) -> GroupMeters {
        let own = [("group", Arc::clone(group))];
        let requests = Operation::ALL.map(|operation| {
            let Labels(own) = with(&own, "operation", operation.name());
            Words::new(&own, "outcome", &OUTCOMES)
        });
        GroupMeters(Arc::new(GroupSeries {
            metrics: Arc::clone(self),
            requests,
            duration: self.duration.get_or_create_owned(&Labels(own.to_vec())),
            cache: Words::new(&own, "result", &CACHE_RESULTS),
            cache_redis: Words::new(&own, "outcome", &CACHE_IN_REDIS),
            hedges: Words::new(&own, "result", &HEDGES),
        }))
    }

    /// The series of one deployment.
    #[must_use]
    pub fn deployment(
        self: &Arc<Self>,
        group: &Arc<str>,
        deployment: &Arc<str>,
    ) -> DeploymentMeters {
        let own = vec![
            ("group", Arc::clone(group)),
            ("deployment", Arc::clone(deployment)),
        ];
        let tokens = |kind: &str| {
            let mut labels = own.clone();
            labels.push(("kind", kind.into()));
            self.tokens.get_or_create_owned(&Labels(labels))
        };
        DeploymentMeters {
            success: self
                .attempts
                .get_or_create_owned(&with(&own, "outcome", "success")),
            faults: Words::new(&own, "outcome", &CAUSES),
            endings: Words::new(&own, "outcome", &ENDINGS),
            cooldowns: Words::new(&own, "cause", &CAUSES),
            first_content: self.first_content.get_or_create_owned(&Labels(own.clone())),
            input: tokens("input"),
            output: tokens("output"),
            cached_input: tokens("cached_input"),
            reasoning: tokens("reasoning"),
            cost: self.cost.get_or_create_owned(&Labels(own.clone())),
            unpriced: self.unpriced.get_or_create_owned(&Labels(own.clone())),
            in_flight: self.in_flight.get_or_create_owned(&Labels(own.clone())),
            cooling: self.cooling.get_or_create_owned(&Labels(own.clone())),
            metrics: Arc::clone(self),
        }
    }

    /// The connection count of this moment.
    pub fn set_connections(&self, n: usize) {
        self.connections.set(i64::try_from(n).unwrap_or(i64::MAX));
    }

    /// Everything, as OpenMetrics text.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

fn with(own: &[(&'static str, Arc<str>)], name: &'static str, value: &str) -> Labels {
    let mut labels = own.to_vec();
    labels.push((name, value.into()));
    Labels(labels)
}

/// How a request can end, for its counter.
pub const OUTCOMES: [&str; 6] = [
    "ok",
    "rejected",
    "unavailable",
    "failed",
    "broken_stream",
    "cancelled",
];
/// What the cache can say to a request.
const CACHE_RESULTS: [&str; 3] = ["hit", "miss", "bypass"];
/// What can become of an answer in Redis: the first four of one that is looked up, the others of one to be stored.
const CACHE_IN_REDIS: [&str; 6] = ["hit", "miss", "unavailable", "damaged", "stored", "dropped"];
/// What can be said of second attempts.
const HEDGES: [&str; 2] = ["made", "won"];
/// What can cool a deployment.
const CAUSES: [&str; 9] = [
    Fault::Connect.name(),
    Fault::Timeout.name(),
    Fault::Broken.name(),
    Fault::Server.name(),
    Fault::RateLimit.name(),
    Fault::Quota.name(),
    Fault::Credential.name(),
    Fault::NotFound.name(),
    Fault::Refused.name(),
];
/// How else an attempt can end without success.
const ENDINGS: [&str; 2] = ["refused", "cancelled"];

/// Counters that differ in a last label which is one of a few words. A series appears with its first event; other words
/// are not counted.
#[derive(Debug, Clone)]
struct Words<const N: usize> {
    own: Vec<(&'static str, Arc<str>)>,
    name: &'static str,
    words: &'static [&'static str; N],
    counters: [OnceLock<Counter>; N],
}

impl<const N: usize> Words<N> {
    fn new(
        own: &[(&'static str, Arc<str>)],
        name: &'static str,
        words: &'static [&'static str; N],
    ) -> Self {
        Self {
            own: own.to_vec(),
            name,
            words,
            counters: [const { OnceLock::new() }; N],
        }
    }

    /// Counts `word` in `family`, always the same; whether it is one of the words.
    fn count(&self, word: &str, family: &Family<Labels, Counter>) -> bool {
        let Some(at) = self.words.iter().position(|w| *w == word) else {
            return false;
        };
        let first = || family.get_or_create_owned(&with(&self.own, self.name, word));
        self.counters[at].get_or_init(first).inc();
        true
    }
}

/// Handles of a group. A series appears with its first event.
#[derive(Debug, Clone)]
pub struct GroupMeters(Arc<GroupSeries>);

#[derive(Debug)]
struct GroupSeries {
    metrics: Arc<Metrics>,
    requests: [Words<{ OUTCOMES.len() }>; Operation::ALL.len()],
    duration: Seconds,
    cache: Words<{ CACHE_RESULTS.len() }>,
    cache_redis: Words<{ CACHE_IN_REDIS.len() }>,
    hedges: Words<{ HEDGES.len() }>,
}

impl GroupMeters {
    /// A request is over, with one of [`OUTCOMES`].
    pub fn request(&self, operation: Operation, outcome: &'static str, seconds: f64) {
        let series = &*self.0;
        let outcomes = &series.requests[operation as usize];
        if outcomes.count(outcome, &series.metrics.requests) {
            series.duration.observe(seconds);
        }
    }

    /// The cache was asked, or passed by. Other words (`off`) are not counted.
    pub fn cache(&self, result: &'static str) {
        let series = &*self.0;
        series.cache.count(result, &series.metrics.cache);
    }

    /// What became of an answer in Redis; other words than those of the series are not counted.
    pub fn cache_redis(&self, outcome: &'static str) {
        let series = &*self.0;
        series
            .cache_redis
            .count(outcome, &series.metrics.cache_redis);
    }

    /// A second attempt was `made`, or has `won`.
    pub fn hedge(&self, result: &'static str) {
        let series = &*self.0;
        series.hedges.count(result, &series.metrics.hedges);
    }
}

/// Handles of a deployment.
#[derive(Debug, Clone)]
pub struct DeploymentMeters {
    metrics: Arc<Metrics>,
    success: Counter,
    faults: Words<{ CAUSES.len() }>,
    endings: Words<{ ENDINGS.len() }>,
    cooldowns: Words<{ CAUSES.len() }>,
    first_content: Seconds,
    input: Counter,
    output: Counter,
    cached_input: Counter,
    reasoning: Counter,
    cost: Money,
    unpriced: Counter,
    in_flight: Gauge,
    cooling: Gauge,
}

impl DeploymentMeters {
    /// An attempt succeeded.
    pub fn success(&self) {
        self.success.inc();
    }

    /// An attempt ended otherwise: `refused`, `cancelled`, or the name of a fault.
    pub fn ended(&self, outcome: &'static str) {
        let attempts = &self.metrics.attempts;
        if !self.endings.count(outcome, attempts) {
            self.faults.count(outcome, attempts);
        }
    }

    /// A cooldown began, after a fault of that name.
    pub fn cooled(&self, cause: &'static str) {
        self.cooldowns.count(cause, &self.metrics.cooldowns);
    }

    /// Seconds to the first content.
    pub fn first_content(&self, seconds: f64) {
        self.first_content.observe(seconds);
    }

    /// Tokens used, and what they cost in dollars if that is known.
    pub fn usage(&self, usage: &TokenUsage, dollars: Option<f64>) {
        self.input.inc_by(usage.input);
        self.output.inc_by(usage.output);
        for (counter, tokens) in [
            (&self.cached_input, usage.cached_input),
            (&self.reasoning, usage.reasoning),
        ] {
            // Mostly there are none, and even adding nothing takes the cache line from the other cores.
            if tokens > 0 {
                counter.inc_by(tokens);
            }
        }
        match dollars {
            Some(dollars) => {
                self.cost.inc_by(dollars);
            }
            None => {
                self.unpriced.inc_by(usage.total());
            }
        }
    }

    /// The state of this moment.
    pub fn state(&self, in_flight: u32, cooling: bool) {
        self.in_flight.set(i64::from(in_flight));
        self.cooling.set(i64::from(cooling));
    }
}
