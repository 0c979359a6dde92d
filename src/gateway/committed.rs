//! What an attempt comes to: an answer the client may have, or a reason why not.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use tokio::time::Instant;

use super::classify::Rejection;
use super::error::{Failure, UpstreamAnswer};
use super::mask::Masks;
use super::trial::Trial;
use super::watch::Watch;
use crate::h1::Fields;
use crate::types::TokenUsage;
use crate::upstream::Answer;

/// An answer the client may have.
#[derive(Debug)]
pub(super) struct Committed {
    pub(super) status: StatusCode,
    pub(super) fields: Fields,
    pub(super) body: CommittedBody,
    pub(super) trial: Trial,
}

/// When a committed answer must be over.
#[derive(Debug, Clone, Copy)]
pub(super) struct End {
    pub(super) at: Instant,
    /// The clock that runs out then, and its setting.
    pub(super) clock: &'static str,
    pub(super) limit: Duration,
    /// And how long it may be silent before.
    pub(super) gap: Duration,
    /// The clock that runs out then: the deployment's `gap`, or the request's own.
    pub(super) gap_clock: &'static str,
}

#[derive(Debug)]
pub(super) enum CommittedBody {
    /// Complete; the trial may be settled as a success with this usage.
    Whole(Bytes, TokenUsage),
    /// A stream: what was held back, what watches it, and the rest.
    Stream(Box<Stream>),
}

/// A stream at its commit point.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) held: VecDeque<Bytes>,
    pub(super) watch: Watch,
    /// `None`: it is already at its end, of that kind.
    pub(super) rest: Option<Answer>,
    pub(super) masks: Masks,
    pub(super) input_estimate: u64,
}

/// How an attempt that was not committed ended. The trial has been settled.
#[derive(Debug)]
pub(super) enum Uncommitted {
    /// The caller's fault.
    Rejected {
        rejection: Rejection,
        answer: Box<UpstreamAnswer>,
    },
    /// The adapter can't express the call.
    Unsupported {
        param: std::borrow::Cow<'static, str>,
        message: String,
    },
    /// Another attempt may help.
    Failed(Failure),
}
