//! An attempt with its meters. It settles when it is dropped, so that a client that leaves is written down like everything
//! else.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::clock::Clock;
use crate::metrics::DeploymentMeters;
use crate::router::{Attempt, Outcome};
use crate::types::{Cost, TokenUsage};

/// An attempt under way, with what counts it.
#[derive(Debug)]
pub struct Trial {
    attempt: Option<Attempt>,
    meters: Arc<DeploymentMeters>,
    clock: Arc<dyn Clock>,
    /// When the first content was noted.
    noted: Option<Instant>,
}

impl Trial {
    /// Takes charge of `attempt`.
    #[must_use]
    pub fn new(attempt: Attempt, meters: Arc<DeploymentMeters>, clock: Arc<dyn Clock>) -> Self {
        Self {
            attempt: Some(attempt),
            meters,
            clock,
            noted: None,
        }
    }

    /// The deployment has begun to answer.
    pub fn note_first_content(&mut self) {
        let now = self.clock.now();
        self.noted = Some(now);
        if let Some(attempt) = &mut self.attempt {
            attempt.note_first_content(now);
        }
    }

    /// Time to the first content, once there was some.
    #[must_use]
    pub fn first_content(&self) -> Option<Duration> {
        self.attempt.as_ref().and_then(Attempt::first_content)
    }

    /// Tokens used so far.
    pub fn note_usage(&mut self, usage: TokenUsage) {
        if let Some(attempt) = &mut self.attempt {
            attempt.note_usage(usage);
        }
    }

    /// What they cost, if that is known.
    #[must_use]
    pub fn cost(&self) -> Option<Cost> {
        self.attempt.as_ref().and_then(Attempt::cost)
    }

    /// It is over.
    pub fn settle(mut self, outcome: Outcome) {
        self.end(Some((outcome, self.clock.now())));
    }

    /// It was over with its first content, since that was all of it. Returns when.
    pub fn settle_as_noted(mut self, outcome: Outcome) -> Option<Instant> {
        let noted = self.noted;
        self.end(Some((outcome, noted.unwrap_or_else(|| self.clock.now()))));
        noted
    }

    fn end(&mut self, outcome: Option<(Outcome, Instant)>) {
        let Some(attempt) = self.attempt.take() else {
            return;
        };
        let usage = attempt.usage();
        if usage.total() > 0 {
            self.meters
                .usage(&usage, attempt.cost().map(Cost::as_dollars));
        }
        if let Some(first) = attempt.first_content() {
            self.meters.first_content(first.as_secs_f64());
        }
        match outcome {
            None => self.meters.ended("cancelled"), // and `attempt` is dropped unsettled
            Some((outcome, now)) => {
                match outcome {
                    Outcome::Success => self.meters.success(),
                    Outcome::Refused(_) => self.meters.ended("refused"),
                    Outcome::Failed { fault, .. } => self.meters.ended(fault.name()),
                }
                let deployment = Arc::clone(attempt.deployment());
                if let (Some(until), Some(fault)) = (attempt.settle(outcome, now), outcome.fault())
                {
                    let id = &deployment.target.id;
                    self.meters.cooled(fault.name());
                    let seconds = (until - now).as_secs_f64();
                    tracing::warn!(deployment = %id, cause = fault.name(), seconds, "deployment {id} is cooling down for {seconds:.1} s after a {} failure", fault.name());
                }
            }
        }
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        self.end(None);
    }
}
