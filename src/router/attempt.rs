//! [`Attempt`]: the only handle that changes a deployment's scores.
//!
//! An attempt is counted in when the router picks, and out exactly once, whatever path leads out: `settle` consumes it,
//! and dropping it unsettled (the client left, the task was cancelled, something panicked) settles it as cancelled,
//! which blames nobody. Nothing else counts down, so nothing can leak or go negative.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::deployment::Deployment;
use super::explain::By;
use super::scores::Limits;
use crate::types::{Cost, ErrorClass, Fault, TokenUsage};

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Answered to the end.
    Success,
    /// The deployment answered, and refused for a reason that lies with the request.
    Refused(ErrorClass),
    /// The deployment, its account or the way to it failed.
    Failed {
        /// How.
        fault: Fault,
        /// The same in the terms of policies.
        class: ErrorClass,
        /// The provider's wish, from `Retry-After`.
        retry_after: Option<Duration>,
    },
}

impl Outcome {
    /// What it is called if it cools the deployment.
    #[must_use]
    pub const fn fault(&self) -> Option<Fault> {
        match self {
            Self::Success => None,
            Self::Refused(_) => Some(Fault::Refused),
            Self::Failed { fault, .. } => Some(*fault),
        }
    }
}

/// One try of one call against one deployment.
#[derive(Debug)]
pub struct Attempt {
    deployment: Arc<Deployment>,
    index: usize,
    by: By,
    began: Instant,
    minute: u64,
    reserved: u64,
    streaming: bool,
    probe: bool,
    first_content: Option<Duration>,
    usage: TokenUsage,
    settled: bool,
}

/// What the router knows when it counts an attempt in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Begin {
    pub(super) index: usize,
    pub(super) by: By,
    pub(super) now: Instant,
    pub(super) minute: u64,
    pub(super) reserved: u64,
    pub(super) streaming: bool,
    pub(super) probe: bool,
}

impl Attempt {
    /// Counts an attempt in, if that keeps to `limits`.
    pub(super) fn begin(
        deployment: &Arc<Deployment>,
        limits: &Limits,
        begin: Begin,
    ) -> Option<Self> {
        let Begin {
            index,
            by,
            now,
            minute,
            reserved,
            streaming,
            probe,
        } = begin;
        let minute = deployment.scores.enter(limits, minute, reserved)?;
        if probe {
            deployment
                .scores
                .with_cooldown(super::cooldown::Cooldown::begin_probe);
        }
        Some(Self {
            deployment: Arc::clone(deployment),
            index,
            by,
            began: now,
            minute,
            reserved,
            streaming,
            probe,
            first_content: None,
            usage: TokenUsage::default(),
            settled: false,
        })
    }

    /// The deployment.
    #[must_use]
    pub fn deployment(&self) -> &Arc<Deployment> {
        &self.deployment
    }

    /// Its place in the group.
    #[must_use]
    pub const fn index(&self) -> usize {
        self.index
    }

    /// How its deployment came to be chosen.
    #[must_use]
    pub const fn by(&self) -> By {
        self.by
    }

    /// When it began.
    #[must_use]
    pub const fn began(&self) -> Instant {
        self.began
    }

    /// Time to the first content, once there was some.
    #[must_use]
    pub const fn first_content(&self) -> Option<Duration> {
        self.first_content
    }

    /// The first content of the answer is there. Of a stream that is what a probe was for: the others need not wait for
    /// its end, which may be minutes away. A plain answer is still to be looked at.
    pub fn note_first_content(&mut self, now: Instant) {
        if self.first_content.is_none() {
            let time = now.duration_since(self.began);
            self.first_content = Some(time);
            let scores = &self.deployment.scores;
            scores.note_time(self.streaming, time);
            if self.streaming
                && std::mem::take(&mut self.probe)
                && scores.with_cooldown(|c| c.reopen(now))
            {
                scores.forget_latency();
                scores.sample(true, time, now);
            }
        }
    }

    /// Tokens used so far; recorded however the attempt ends.
    pub fn note_usage(&mut self, usage: TokenUsage) {
        self.usage = usage;
    }

    /// The tokens noted.
    #[must_use]
    pub const fn usage(&self) -> TokenUsage {
        self.usage
    }

    /// What the tokens noted cost, if the price is known.
    #[must_use]
    pub fn cost(&self) -> Option<Cost> {
        let priced = self.deployment.price.as_ref()?;
        Some(priced.price.of(&self.usage))
    }

    /// Ends the attempt. Returns the deadline if it put the deployment into cooldown.
    pub fn settle(mut self, outcome: Outcome, now: Instant) -> Option<Instant> {
        let Deployment { scores, rule, .. } = &*self.deployment;
        let until = match outcome {
            Outcome::Success => {
                self.works(now);
                if let Some(sample) = self.latency_sample(now) {
                    scores.sample(self.streaming, sample, now);
                }
                None
            }
            // The deployment works: it read the request and said no.
            Outcome::Refused(class) => {
                self.works(now);
                scores.with_cooldown(|c| c.refused(class, now, rule))
            }
            Outcome::Failed {
                fault,
                class,
                retry_after,
            } => {
                scores.penalise(self.streaming, now.duration_since(self.began), now);
                scores.with_cooldown(|c| c.failed(fault, class, retry_after, now, rule))
            }
        };
        if until.is_some() {
            scores.cooled();
        }
        self.probe = false;
        self.release();
        until
    }

    /// It has answered. What ends a cooldown also ends what was learnt of latency up to then, failures that counted as slow
    /// ones above all: they have been paid for.
    #[inline]
    fn works(&self, now: Instant) {
        let scores = &self.deployment.scores;
        if scores.with_cooldown(|c| c.succeeded(now)) {
            scores.forget_latency();
        }
    }

    /// Time to first content for streams; otherwise time per output token, or the whole time where there are none.
    fn latency_sample(&self, now: Instant) -> Option<Duration> {
        if self.streaming {
            return self.first_content;
        }
        let took = now.duration_since(self.began);
        let tokens = u32::try_from(self.usage.output).unwrap_or(u32::MAX);
        Some(took / tokens.max(1))
    }

    fn release(&mut self) {
        if std::mem::replace(&mut self.settled, true) {
            return;
        }
        let scores = &self.deployment.scores;
        if self.probe {
            scores.with_cooldown(super::cooldown::Cooldown::end_probe);
        }
        scores.correct(self.minute, self.reserved, self.usage.total());
        scores.spend(self.usage.total(), self.cost().unwrap_or_default());
        scores.leave();
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.release();
    }
}
