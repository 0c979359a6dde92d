//! Why a request got no answer. Knows no status of ours; `api/error.rs` alone turns it into HTTP.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use super::classify::{Rejection, Verdict, class};
use crate::provider::ErrorFacts;
use crate::request::RequestError;
use crate::router::NoneEligible;
use crate::types::{ErrorClass, Fault};

/// A request that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The body is no request.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// No group of that name, or none this caller may use.
    #[error("there is no model group `{model}`")]
    UnknownModel {
        /// What was asked for.
        model: String,
        /// What this caller may ask for.
        known: Vec<Arc<str>>,
    },
    /// The group's deployments can't do what the request wants.
    #[error("{message}")]
    Unsupported {
        /// The request's member.
        param: Cow<'static, str>,
        /// What would work.
        message: String,
    },
    /// The upstream refused the request as such.
    #[error("the request was refused by {deployment}")]
    Rejected {
        /// By whom.
        deployment: Arc<str>,
        /// Why.
        rejection: Rejection,
        /// Its answer.
        answer: Box<UpstreamAnswer>,
    },
    /// Nothing could be tried.
    #[error(transparent)]
    NoneEligible(Refused),
    /// All attempts failed.
    #[error("all {} attempts failed", .0.len())]
    Failed(Failures),
    /// The ledger can't be written, and nothing is to be done that it has no record of.
    #[error("the ledger can't be written: {0}")]
    Unrecordable(String),
    /// The deadline is over.
    #[error("the deadline of {limit:?} is over")]
    Deadline {
        /// The limit.
        limit: Duration,
        /// What was tried until then.
        failures: Failures,
    },
}

/// No deployment was eligible.
#[derive(Debug, thiserror::Error)]
#[error("{none}")]
pub struct Refused {
    /// Each deployment's reason.
    pub none: NoneEligible,
    /// What was tried before, if anything.
    pub failures: Failures,
}

/// The failed attempts of a request, in order.
pub type Failures = Vec<Failure>;

/// One failed attempt.
#[derive(Debug)]
pub struct Failure {
    /// Against whom.
    pub deployment: Arc<str>,
    /// Kind of failure.
    pub fault: Fault,
    /// What happened.
    pub cause: Cause,
    /// The upstream's wish.
    pub retry_after: Option<Duration>,
}

/// What happened in a failed attempt.
#[derive(Debug)]
pub enum Cause {
    /// The upstream answered with an error.
    Answer(Box<UpstreamAnswer>),
    /// A clock ran out.
    Clock {
        /// Its name in the configuration.
        name: &'static str,
        /// Its setting.
        limit: Duration,
    },
    /// Anything between: no connection, broken, malformed. The text is for logs; clients get the kind only.
    Transport(String),
}

/// An upstream's error answer.
#[derive(Debug, Clone)]
pub struct UpstreamAnswer {
    /// As sent, or as its body says in case of a 200.
    pub status: StatusCode,
    /// Those that go on to the client, secrets masked.
    pub headers: HeaderMap,
    /// As sent, secrets masked.
    pub body: Bytes,
    /// What the body says, if it is an error object.
    pub facts: Option<ErrorFacts>,
}

impl Cause {
    /// The status the upstream answered with, if it did.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Answer(answer) => Some(answer.status),
            Self::Clock { .. } | Self::Transport(_) => None,
        }
    }
}

impl Failure {
    /// The class by which policies count it.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        class(Verdict::Retry(self.fault), self.cause.status())
    }

    /// For logs: who, what kind, and the cause in a few words.
    #[must_use]
    pub fn brief(&self) -> String {
        let Self {
            deployment,
            fault,
            cause,
            ..
        } = self;
        match cause {
            Cause::Answer(answer) => {
                format!("{deployment}: {} {}", answer.status.as_u16(), fault.name())
            }
            Cause::Clock { name, limit } => {
                format!("{deployment}: {name} clock of {limit:?} ran out")
            }
            Cause::Transport(text) => format!("{deployment}: {}: {text}", fault.name()),
        }
    }
}

impl Error {
    /// The word for it in logs and metrics.
    #[must_use]
    pub fn outcome(&self) -> &'static str {
        match self {
            Self::NoneEligible(refused) if refused.none.unfit().is_some() => "rejected",
            Self::Request(_)
            | Self::UnknownModel { .. }
            | Self::Unsupported { .. }
            | Self::Rejected { .. } => "rejected",
            Self::NoneEligible(_) | Self::Unrecordable(_) => "unavailable",
            Self::Failed(_) | Self::Deadline { .. } => "failed",
        }
    }
}
