//! What a request may do and is expected to use: attempts, time, tokens; and what it ends in when that is used up.

use std::borrow::Cow;
use std::sync::Arc;

use super::classify::Rejection;
use super::error::{Error, Failures, Refused, UpstreamAnswer};
use super::journey::Journey;
use super::message::Incoming;
use super::plan::Stop;
use super::snapshot::Group;
use crate::provider::Call;
use crate::router::{NoneEligible, Why};
use crate::types::{Operation, Provenance, TokenUsage};
use crate::usage::meter;

/// Output tokens assumed where a request sets no bound, for reservations and prices. Corrected when the answer is there.
const OUTPUT_GUESS: u64 = 256;
/// The most output tokens that are reserved: no model says more, whatever a request allows it.
const OUTPUT_MOST: u64 = 1 << 24;

/// Retries the client's SDK has already made.
pub(super) fn retries_by_sdk(incoming: &Incoming) -> u32 {
    let header = incoming
        .headers
        .get("x-stainless-retry-count")
        .and_then(|v| v.to_str().ok());
    header.and_then(|v| v.trim().parse().ok()).unwrap_or(0)
}

/// Tokens of a request, before anyone has counted them.
pub(super) fn estimate(call: &Call) -> TokenUsage {
    let output = match call.operation {
        Operation::Embeddings => 0,
        Operation::Chat | Operation::Completions => call
            .head
            .max_tokens
            .unwrap_or(OUTPUT_GUESS)
            .min(OUTPUT_MOST),
    };
    TokenUsage {
        input: meter::estimate(call.body.len() as u64),
        output,
        provenance: Provenance::Counted,
        ..TokenUsage::default()
    }
}

pub(super) fn refused(
    rejection: Rejection,
    answer: Box<UpstreamAnswer>,
    group: &Group,
    index: usize,
) -> Error {
    Error::Rejected {
        deployment: Arc::clone(&group.router.deployments()[index].target.id),
        rejection,
        answer,
    }
}

/// The deployments that can't do what a request asks, and what the first of them lacks; and those that are full by a count
/// that is not the router's.
#[derive(Debug, Default)]
pub(super) struct Unfit {
    pub(super) deployments: Vec<(usize, Why)>,
    lacking: Option<(Cow<'static, str>, String)>,
}

impl Unfit {
    /// Those of which it is known before anyone is asked.
    pub(super) fn known(deployments: Vec<(usize, Why)>) -> Self {
        Self {
            deployments,
            lacking: None,
        }
    }

    pub(super) fn add(&mut self, deployment: usize, param: Cow<'static, str>, message: String) {
        self.deployments.push((deployment, Why::Unfit));
        self.lacking.get_or_insert((param, message));
    }

    /// The deployment of that place has no room at this moment.
    pub(super) fn withhold(&mut self, deployment: usize, why: Why) {
        if !self
            .deployments
            .iter()
            .any(|(known, _)| *known == deployment)
        {
            self.deployments.push((deployment, why));
        }
    }

    /// Those that had no room may have some again.
    pub(super) fn readmit(&mut self) {
        self.deployments.retain(|(_, why)| why.is_unfit());
    }

    /// Whether that is all `deployments` of a group.
    pub(super) fn are_all(&self, deployments: usize) -> bool {
        let unfit = self.deployments.iter().filter(|(_, why)| why.is_unfit());
        unfit.count() == deployments
    }

    /// No deployment can do it.
    pub(super) fn error(self) -> Error {
        let (param, message) = self.lacking.unwrap_or_default();
        Error::Unsupported { param, message }
    }
}

pub(super) fn stopped(stop: Stop, failures: Failures, group: &Group, journey: &Journey) -> Error {
    match stop {
        Stop::Exhausted => Error::Failed(failures),
        Stop::Deadline => Error::Deadline {
            limit: journey.deadline - journey.began,
            failures,
        },
        // Something was tried: its failure tells more than that nothing is left.
        Stop::NoneEligible(_) if !failures.is_empty() => Error::Failed(failures),
        Stop::NoneEligible(none) => {
            let none = NoneEligible {
                group: Arc::clone(&group.id),
                ..none
            };
            Error::NoneEligible(Refused { none, failures })
        }
    }
}
