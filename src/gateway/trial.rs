//! An attempt with its meters. It settles when it is dropped, so that a client that leaves is written down like everything
//! else.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::page::{self, Page};
use crate::clock::Clock;
use crate::metrics::DeploymentMeters;
use crate::router::{Attempt, Outcome};
use crate::types::{Cost, Fault, Provenance, TokenUsage};
use crate::usage::ledger::{self, Receipt};

/// An attempt under way, with what counts it.
#[derive(Debug)]
pub struct Trial {
    attempt: Option<Attempt>,
    meters: Arc<DeploymentMeters>,
    clock: Arc<dyn Clock>,
    /// When the first content was noted.
    noted: Option<Instant>,
    /// What the ledger is to be told, if one is kept and has not been told yet.
    page: Option<Box<Page>>,
}

impl Trial {
    /// Takes charge of `attempt`.
    #[must_use]
    pub(super) fn new(
        attempt: Attempt,
        meters: Arc<DeploymentMeters>,
        clock: Arc<dyn Clock>,
        page: Option<Box<Page>>,
    ) -> Self {
        Self {
            attempt: Some(attempt),
            meters,
            clock,
            noted: None,
            page,
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

    /// It has failed: what was assumed of its tokens is void. What its provider has reported was spent all the same.
    pub fn forget_assumed(&mut self) {
        if let Some(attempt) = &mut self.attempt
            && attempt.usage().provenance != Provenance::Reported
        {
            attempt.note_usage(TokenUsage::default());
        }
    }

    /// What they cost, if that is known.
    #[must_use]
    pub fn cost(&self) -> Option<Cost> {
        self.attempt.as_ref().and_then(Attempt::cost)
    }

    /// It is over. What ends its answer waits for the receipt.
    pub fn settle(mut self, outcome: Outcome) -> Option<Receipt> {
        self.end(Some((outcome, self.clock.now())))
    }

    /// It was over with its first content, since that was all of it. Returns when, too.
    pub fn settle_as_noted(mut self, outcome: Outcome) -> (Option<Instant>, Option<Receipt>) {
        let noted = self.noted;
        let receipt = self.end(Some((outcome, noted.unwrap_or_else(|| self.clock.now()))));
        (noted, receipt)
    }

    /// It failed in this way, and nobody is to blame.
    pub fn leave(mut self, fault: Fault) -> Option<Receipt> {
        let ended = (ledger::Outcome::Failed, Some(fault.name()));
        let receipt = self.write(ended, None);
        self.end(None);
        receipt
    }

    /// It never left: there is nothing to write down.
    pub fn withdraw(mut self) {
        self.page = None;
    }

    /// Whether all of the answer being there is to be written down at once.
    #[must_use]
    pub const fn is_kept(&self) -> bool {
        self.page.is_some()
    }

    /// All of the answer is there, although its connection may not be at its end: that much is written down.
    pub fn note_end(&mut self) -> Option<Receipt> {
        self.write((ledger::Outcome::Ok, None), None)
    }

    /// Tells the ledger, the first time.
    fn write(&mut self, ended: page::End, at: Option<Instant>) -> Option<Receipt> {
        let page = self.page.take()?;
        let attempt = self.attempt.as_ref()?;
        let at = at.unwrap_or_else(|| self.clock.now());
        Some(page.write(attempt, ended, at.duration_since(attempt.began())))
    }

    fn end(&mut self, outcome: Option<(Outcome, Instant)>) -> Option<Receipt> {
        let receipt = match &outcome {
            None => self.write((ledger::Outcome::Cancelled, None), None),
            Some((outcome, now)) => self.write(page::end(outcome), Some(*now)),
        };
        let attempt = self.attempt.take()?;
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
        receipt
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        // Nobody waits for that.
        let _receipt = self.end(None);
    }
}
