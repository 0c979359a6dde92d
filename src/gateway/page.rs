//! What the ledger wants to know of an attempt, from its beginning to its record.

use std::sync::Arc;
use std::time::Duration;

use super::Gateway;
use super::snapshot::Group;
use super::tries::Terms;
use crate::provider::Call;
use crate::router::{self, Attempt};
use crate::types::{Cost, Operation, Provenance};
use crate::usage::ledger::{Entry, Ledger, Outcome, Receipt};

/// How long an answer waits for its record if the disk does not answer; then it goes on, and is counted.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// An attempt that the ledger is to have a record of.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) ledger: Ledger,
    /// The client's request.
    pub(super) request: Arc<str>,
    /// Which attempt of it.
    pub(super) number: u32,
    pub(super) group: Arc<str>,
    pub(super) caller: Option<Arc<str>>,
    pub(super) operation: Operation,
    pub(super) stream: bool,
    /// When it began, since the epoch.
    pub(super) began: Duration,
}

impl Gateway {
    /// The page of an attempt, if a ledger is kept. One that is only made up costs nothing and has none.
    pub(super) fn page(
        &self,
        group: &Group,
        call: &Call,
        terms: &Terms,
        mock: Option<&str>,
    ) -> Option<Box<Page>> {
        let ledger = self.ledger.as_ref().filter(|_| mock.is_none())?;
        Some(Box::new(Page {
            ledger: ledger.clone(),
            request: Arc::clone(&call.id),
            number: terms.number,
            group: Arc::clone(&group.owner),
            caller: terms.caller.clone(),
            operation: call.operation,
            stream: call.head.stream,
            began: self.deps.clock.unix(),
        }))
    }
}

/// How it ended, in the ledger's words, and what failed.
pub(super) type End = (Outcome, Option<&'static str>);

/// The ledger's words for how the router is told.
pub(super) fn end(outcome: &router::Outcome) -> End {
    match outcome {
        router::Outcome::Success => (Outcome::Ok, None),
        router::Outcome::Refused(_) => (Outcome::Refused, None),
        router::Outcome::Failed { fault, .. } => (Outcome::Failed, Some(fault.name())),
    }
}

impl Page {
    /// Writes the record: the only place that does, whatever became of `attempt`, which took `total`.
    pub(super) fn write(
        self,
        attempt: &Attempt,
        (outcome, fault): End,
        total: Duration,
    ) -> Receipt {
        let deployment = attempt.deployment();
        let usage = attempt.usage();
        let known = usage.provenance != Provenance::Unknown;
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.ledger.append(Entry {
            began_ms: millis(self.began),
            request: self.request,
            attempt: self.number,
            group: self.group,
            deployment: Arc::clone(&deployment.target.id),
            provider: Arc::clone(&deployment.target.provider),
            model: Arc::clone(&deployment.target.model),
            key: self.caller,
            operation: self.operation.name().into(),
            stream: self.stream,
            tokens: usage.buckets(),
            provenance: usage.provenance,
            // What was not counted has no cost that anybody knows, which is not the same as none.
            cost_pico: attempt.cost().filter(|_| known).map(|Cost(pico)| pico),
            price: deployment
                .price
                .as_ref()
                .map(|price| Arc::clone(&price.version)),
            outcome,
            fault: fault.map(Into::into),
            first_content_ms: attempt.first_content().map(millis),
            total_ms: millis(total),
        })
    }
}
