//! A record of the ledger.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::types::{Provenance, TokenBuckets};

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Answered to the end.
    Ok,
    /// The client left, or another attempt overtook it.
    Cancelled,
    /// The deployment refused the request as such.
    Refused,
    /// It failed; `fault` says how.
    Failed,
}

/// What is known of one attempt when it is over. One function writes it, whether the attempt was streamed or plain, and
/// however it ended (`gateway/trial.rs`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When it began, in milliseconds since the Unix epoch.
    pub began_ms: u64,
    /// The client's request.
    pub request: Arc<str>,
    /// Which attempt of the request: 1 is the first.
    pub attempt: u32,
    /// The group the deployment is of.
    pub group: Arc<str>,
    /// The deployment.
    pub deployment: Arc<str>,
    /// Whose dialect it speaks.
    pub provider: Arc<str>,
    /// The model it was asked for, as the provider names it.
    pub model: Arc<str>,
    /// The name of the client's key, where keys are in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Arc<str>>,
    /// `chat`, `completions`, `embeddings`
    pub operation: Arc<str>,
    /// Whether it was a stream.
    pub stream: bool,
    /// Its tokens.
    pub tokens: TokenBuckets,
    /// Who counted them.
    pub provenance: Provenance,
    /// What they cost in pico-dollars (10⁻¹² US dollars); absent: the price is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_pico: Option<u64>,
    /// The version of the price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Arc<str>>,
    /// How it ended.
    pub outcome: Outcome,
    /// What failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<Arc<str>>,
    /// Milliseconds to the first content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_content_ms: Option<u64>,
    /// Milliseconds in all.
    pub total_ms: u64,
}

impl Entry {
    /// The wall time it began, since the Unix epoch.
    #[must_use]
    pub const fn began(&self) -> Duration {
        Duration::from_millis(self.began_ms)
    }
}

/// A record as it stands in a ledger: the ledger and the number make it unique in the world.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The ledger's id, which its folder keeps.
    pub ledger: Arc<str>,
    /// Counted from 1, without gaps.
    pub number: u64,
    /// The record.
    #[serde(flatten)]
    pub entry: Entry,
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A record for tests.
    pub(in crate::usage::ledger) fn line(number: u64) -> Line {
        Line {
            ledger: "0123456789abcdef".into(),
            number,
            entry: Entry {
                began_ms: 1_790_000_000_000,
                request: "req-1".into(),
                attempt: 1,
                group: "chat".into(),
                deployment: "chat/1".into(),
                provider: "openai".into(),
                model: "gpt-4o".into(),
                key: None,
                operation: "chat".into(),
                stream: true,
                tokens: TokenBuckets {
                    input: 10,
                    output: 5,
                    ..TokenBuckets::default()
                },
                provenance: Provenance::Reported,
                cost_pico: Some(75_000_000),
                price: Some("config".into()),
                outcome: Outcome::Ok,
                fault: None,
                first_content_ms: Some(120),
                total_ms: 480,
            },
        }
    }
}
