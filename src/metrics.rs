//! What `/metrics` shows.
//!
//! Labels come from the configuration only: group, deployment, and words of this file. What a client sends never becomes
//! a label, so the number of series is bounded by the file. Handles are taken once per deployment; recording is an
//! atomic add.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabel, EncodeLabelSet, LabelSetEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::types::{Operation, TokenUsage};

/// Upper bounds in seconds: from a cached answer to the longest reasoning.
const SECONDS: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0,
];

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

fn seconds() -> Histogram {
    Histogram::new(SECONDS)
}

/// All series of a process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<Labels, Counter>,
    duration: Family<Labels, Histogram, fn() -> Histogram>,
    attempts: Family<Labels, Counter>,
    first_content: Family<Labels, Histogram, fn() -> Histogram>,
    tokens: Family<Labels, Counter>,
    cost: Family<Labels, Money>,
    unpriced: Family<Labels, Counter>,
    cooldowns: Family<Labels, Counter>,
    cache: Family<Labels, Counter>,
    in_flight: Family<Labels, Gauge>,
    cooling: Family<Labels, Gauge>,
    connections: Gauge,
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
        let histogram =
            || Family::<Labels, Histogram, fn() -> Histogram>::new_with_constructor(seconds);
        let metrics = Self {
            requests: Family::default(),
            duration: histogram(),
            attempts: Family::default(),
            first_content: histogram(),
            tokens: Family::default(),
            cost: Family::default(),
            unpriced: Family::default(),
            cooldowns: Family::default(),
            cache: Family::default(),
            in_flight: Family::default(),
            cooling: Family::default(),
            connections: Gauge::default(),
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
        let group = ("group", Arc::clone(group));
        GroupMeters(Arc::new(GroupSeries {
            metrics: Arc::clone(self),
            requests: Default::default(),
            duration: self
                .duration
                .get_or_create_owned(&Labels(vec![group.clone()])),
            cache: Default::default(),
            group,
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
            own,
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

/// Handles of a group. A series appears with its first event.
#[derive(Debug, Clone)]
pub struct GroupMeters(Arc<GroupSeries>);

#[derive(Debug)]
struct GroupSeries {
    metrics: Arc<Metrics>,
    group: (&'static str, Arc<str>),
    requests: [[OnceLock<Counter>; OUTCOMES.len()]; Operation::ALL.len()],
    duration: Histogram,
    cache: [OnceLock<Counter>; CACHE_RESULTS.len()],
}

impl GroupMeters {
    /// A request is over, with one of [`OUTCOMES`].
    pub fn request(&self, operation: Operation, outcome: &'static str, seconds: f64) {
        let series = &*self.0;
        let Some(at) = OUTCOMES.iter().position(|o| *o == outcome) else {
            return;
        };
        let counter = series.requests[operation as usize][at].get_or_init(|| {
            let labels = vec![
                series.group.clone(),
                ("operation", operation.name().into()),
                ("outcome", outcome.into()),
            ];
            series.metrics.requests.get_or_create_owned(&Labels(labels))
        });
        counter.inc();
        series.duration.observe(seconds);
    }

    /// The cache was asked, or passed by. Other words (`off`) are not counted.
    pub fn cache(&self, result: &'static str) {
        let series = &*self.0;
        let Some(at) = CACHE_RESULTS.iter().position(|r| *r == result) else {
            return;
        };
        let counter = series.cache[at].get_or_init(|| {
            let labels = vec![series.group.clone(), ("result", result.into())];
            series.metrics.cache.get_or_create_owned(&Labels(labels))
        });
        counter.inc();
    }
}

/// Handles of a deployment.
#[derive(Debug, Clone)]
pub struct DeploymentMeters {
    metrics: Arc<Metrics>,
    own: Vec<(&'static str, Arc<str>)>,
    success: Counter,
    first_content: Histogram,
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
        self.metrics
            .attempts
            .get_or_create(&with(&self.own, "outcome", outcome))
            .inc();
    }

    /// A cooldown began.
    pub fn cooled(&self, cause: &'static str) {
        self.metrics
            .cooldowns
            .get_or_create(&with(&self.own, "cause", cause))
            .inc();
    }

    /// Seconds to the first content.
    pub fn first_content(&self, seconds: f64) {
        self.first_content.observe(seconds);
    }

    /// Tokens used, and what they cost in dollars if that is known.
    pub fn usage(&self, usage: &TokenUsage, dollars: Option<f64>) {
        self.input.inc_by(usage.input);
        self.output.inc_by(usage.output);
        self.cached_input.inc_by(usage.cached_input);
        self.reasoning.inc_by(usage.reasoning);
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
