//! A deployment as picks see it: what the configuration says in numbers, next to its live scores.
//!
//! A router holds its rows in one array, so that looking at all of them is a walk through memory and not a search.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::attempt::Begin;
use super::cooldown::Readiness;
use super::deployment::Deployment;
use super::estimate::half_lives;
use super::explain::By;
use super::scores::{Limits, Scores, minute_of, nanos};
use super::{Ask, PROBE_HINT, Why};
use crate::types::{Cost, Price};

/// One deployment of a router.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) scores: Arc<Scores>,
    pub(super) limits: Limits,
    /// Priority; the largest is last.
    pub(super) order: u32,
    pub(super) weight: Option<f64>,
    pub(super) price: Option<Quote>,
}

/// A price as picks ask for it: of tokens that are of no particular kind. The rest of it is out of their way.
#[derive(Debug)]
pub(super) struct Quote {
    input: Cost,
    output: Cost,
    request: Cost,
    /// Nothing else holds for long prompts.
    is_flat: bool,
    whole: Box<Price>,
}

impl Quote {
    pub(super) fn of(price: Price) -> Self {
        Self {
            input: price.rates.input,
            output: price.rates.output,
            request: price.request,
            is_flat: price.above.is_none(),
            whole: Box::new(price),
        }
    }

    #[inline]
    fn cost(&self, question: &Question<'_>) -> Cost {
        let tokens = &question.ask.tokens;
        if !(self.is_flat && question.plain) {
            return self.whole.of(tokens);
        }
        let of = |tokens: u64, rate: Cost| tokens.saturating_mul(rate.0);
        let input = of(tokens.input, self.input);
        let output = of(tokens.output, self.output);
        Cost(self.request.0.saturating_add(input).saturating_add(output))
    }
}

/// What a request asks, and what follows from it for every row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question<'a> {
    pub(super) ask: &'a Ask<'a>,
    pub(super) minute: u64,
    /// Tokens to reserve.
    pub(super) reserve: u64,
    /// There are tokens, and none of a kind that has a price of its own.
    plain: bool,
    nanos: i64,
    half_lives: f64,
}

impl<'a> Question<'a> {
    /// The attempt at the deployment of that place begins.
    #[inline]
    pub(super) const fn begin(&self, index: usize, by: By, probe: bool) -> Begin {
        Begin {
            index,
            by,
            now: self.ask.now,
            minute: self.minute,
            reserved: self.reserve,
            streaming: self.ask.streaming,
            probe,
        }
    }

    pub(super) fn of(ask: &'a Ask<'a>) -> Self {
        let nanos = nanos(ask.now);
        Self {
            ask,
            minute: minute_of(ask.unix),
            reserve: ask.tokens.total(),
            plain: ask.tokens.total() > 0 && !ask.tokens.has_parts(),
            nanos,
            half_lives: half_lives(nanos),
        }
    }

    /// How long it is until the next minute.
    pub(super) fn rest_of_minute(&self) -> Duration {
        Duration::from_secs((self.minute + 1) * 60).saturating_sub(self.ask.unix)
    }
}

impl Row {
    pub(super) fn of(deployment: &Deployment) -> Self {
        Self {
            scores: Arc::clone(&deployment.scores),
            limits: Limits {
                rpm: deployment.rpm.unwrap_or(u64::MAX),
                tpm: deployment.tpm.unwrap_or(u64::MAX),
                in_flight: deployment.max_parallel_requests.unwrap_or(u32::MAX),
            },
            order: deployment.order.unwrap_or(u32::MAX),
            weight: deployment.weight,
            price: deployment
                .price
                .as_ref()
                .map(|priced| Quote::of(priced.price)),
        }
    }

    /// Whether it can take this request now: [`Row::ineligible`] without the reason.
    #[inline]
    pub(super) fn is_open(&self, question: &Question<'_>) -> bool {
        let fits = self
            .scores
            .fits(&self.limits, question.minute, question.reserve);
        match self.scores.closed() {
            None => fits,
            Some(until) => fits && self.is_half_open(until, question),
        }
    }

    #[cold]
    fn is_half_open(&self, until: i64, question: &Question<'_>) -> bool {
        // Of one that is cooling nothing else needs to be known.
        let readiness = || self.scores.readiness(question.ask.now);
        until <= question.nanos && matches!(readiness(), Readiness::Ready | Readiness::Probe)
    }

    /// That it has as many requests in flight as it may have.
    pub(super) const fn full(&self) -> Why {
        let limit = self.limits.in_flight;
        Why::Full { limit }
    }

    /// Whether its free places belong to requests that have waited longer than this one.
    pub(super) fn is_promised(&self, ask: &Ask<'_>) -> bool {
        self.scores.places().is_some_and(|places| {
            let ahead = places.ahead(&self.scores, ask.ticket);
            self.limits
                .full(self.scores.in_flight().saturating_add(ahead))
        })
    }

    /// Why it can't take this request now, if it can't, and for how long.
    pub(super) fn ineligible(&self, question: &Question<'_>) -> Option<(Why, Option<Duration>)> {
        let Question { ask, .. } = question;
        match self.scores.readiness(ask.now) {
            Readiness::Cooling { until, cause } => {
                return Some((Why::Cooling(cause), Some(until - ask.now)));
            }
            Readiness::Probing => return Some((Why::Probing, Some(PROBE_HINT))),
            Readiness::Ready | Readiness::Probe => {}
        }
        let limits = &self.limits;
        let minute = self.scores.minute(question.minute);
        let why = if limits.over_rpm(minute.requests) {
            Why::OverRpm {
                limit: limits.rpm,
                used: minute.requests,
            }
        } else if limits.over_tpm(minute.tokens, question.reserve) {
            Why::OverTpm {
                limit: limits.tpm,
                used: minute.tokens,
            }
        } else if limits.full(self.scores.in_flight()) {
            // Last: who finds a deployment full may have the next place there.
            return Some((self.full(), None));
        } else {
            return None;
        };
        Some((why, Some(question.rest_of_minute())))
    }
}

/// One of a [`Candidate`]'s numbers, by its name in an explanation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Number {
    /// [`Candidate::weight`]
    Weight,
    /// [`Candidate::rpm`]
    Rpm,
    /// [`Candidate::tpm`]
    Tpm,
    /// [`Candidate::in_flight`]
    InFlight,
    /// [`Candidate::log2_latency`], in seconds.
    #[serde(rename = "latency_seconds")]
    Latency,
    /// [`Candidate::minute_tokens`]
    MinuteTokens,
    /// [`Candidate::total_tokens`]
    TotalTokens,
    /// [`Candidate::spent`], in dollars.
    #[serde(rename = "spent_dollars")]
    Spent,
    /// [`Candidate::cost`], in dollars.
    #[serde(rename = "cost_dollars")]
    Cost,
}

/// A deployment as numbers, for strategies: those of the configuration, and those of this moment.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    row: &'a Row,
    question: &'a Question<'a>,
}

impl<'a> Candidate<'a> {
    pub(super) const fn new(row: &'a Row, question: &'a Question<'a>) -> Self {
        Self { row, question }
    }

    /// Configured share, if any.
    #[must_use]
    pub fn weight(self) -> Option<f64> {
        self.row.weight
    }

    /// Configured requests per minute, if any.
    #[must_use]
    pub fn rpm(self) -> Option<u64> {
        Some(self.row.limits.rpm).filter(|n| *n < u64::MAX)
    }

    /// Configured tokens per minute, if any.
    #[must_use]
    pub fn tpm(self) -> Option<u64> {
        Some(self.row.limits.tpm).filter(|n| *n < u64::MAX)
    }

    /// Requests under way, those of other replicas included.
    #[must_use]
    pub fn in_flight(self) -> u32 {
        let scores = &self.row.scores;
        scores.in_flight().saturating_add(scores.others_in_flight())
    }

    /// Whether it has cooled down and nobody has tried it since. Whoever is sent there is its probe.
    #[must_use]
    pub fn is_half_open(self) -> bool {
        // One that cools, or is being probed, is no candidate.
        self.row.scores.closed().is_some()
    }

    /// Expected latency of this kind of call, as the binary logarithm of its seconds; `None`: never tried.
    #[must_use]
    pub fn log2_latency(self) -> Option<f64> {
        let Question {
            ask, half_lives, ..
        } = self.question;
        self.row.scores.log2_latency(ask.streaming, *half_lives)
    }

    /// Tokens used or reserved in the current minute.
    #[must_use]
    pub fn minute_tokens(self) -> u64 {
        self.row.scores.minute(self.question.minute).tokens
    }

    /// Tokens since the start.
    #[must_use]
    pub fn total_tokens(self) -> u64 {
        self.row.scores.total_tokens()
    }

    /// Spend since the start.
    #[must_use]
    pub fn spent(self) -> Cost {
        self.row.scores.spent()
    }

    /// What this request would cost there, estimated; `None`: price unknown.
    #[must_use]
    pub fn cost(self) -> Option<Cost> {
        Some(self.row.price.as_ref()?.cost(self.question))
    }
}
