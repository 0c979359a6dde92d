//! What comes into the gateway and what goes out of it, in terms of the `http` crate but of no server.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};

use super::error::Error;
use super::observe::ObservedBody;
use super::record::Record;
use crate::h1::Fields;
use crate::types::{Cost, Operation};

/// A client's request, read from HTTP.
#[derive(Debug)]
pub struct Incoming {
    /// Its id.
    pub id: Arc<str>,
    /// Its kind.
    pub operation: Operation,
    /// The model group, where the path names it (Azure's form); it then stands above the body's.
    pub path_model: Option<String>,
    /// The client's headers.
    pub headers: HeaderMap,
    /// The client's bytes.
    pub body: Bytes,
    /// The key's name, if keys are in use.
    pub caller: Option<Arc<str>>,
    /// The groups the key may use; `None`: all.
    pub allowed: Option<Arc<[Arc<str>]>>,
}

/// An answer.
#[derive(Debug)]
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// The upstream's header lines that go on.
    pub fields: Fields,
    /// Its body.
    pub body: ReplyBody,
    /// Who answered and how.
    pub facts: ReplyFacts,
}

/// What an answer's own headers say.
#[derive(Debug, Clone, Default)]
pub struct ReplyFacts {
    /// The group.
    pub group: Option<HeaderValue>,
    /// The deployment.
    pub deployment: Option<HeaderValue>,
    /// Its rule.
    pub strategy: Option<&'static str>,
    /// Attempts made, in all groups.
    pub attempts: u32,
    /// Groups asked besides the first.
    pub fallbacks: usize,
    /// Why this deployment.
    pub reason: &'static str,
    /// The failed attempts in order, `deployment=verdict`.
    pub tried: String,
    /// The cache's part.
    pub cache: &'static str,
    /// What the answer is stored under, if it is or will be.
    pub cache_key: Option<Box<str>>,
    /// More, where LiteLLM's headers are wanted as well.
    pub litellm: Option<LiteLlmFacts>,
}

/// What only LiteLLM's headers say.
#[derive(Debug, Clone, Copy)]
pub struct LiteLlmFacts {
    /// What the answer costs, where that is known with its head.
    pub cost: Option<Cost>,
    /// From the request's arrival to the answer's head.
    pub took: Duration,
}

/// The body of an answer.
#[derive(Debug)]
pub enum ReplyBody {
    /// Complete.
    Whole(Bytes),
    /// A stream under observation.
    Stream(Box<ObservedBody>),
}

/// A refusal, with what its headers can say.
#[derive(Debug)]
pub struct Refusal {
    /// Why.
    pub error: Error,
    /// What was found out until then.
    pub facts: ReplyFacts,
    /// Its line, for whoever gives it a status.
    pub record: Record,
}
