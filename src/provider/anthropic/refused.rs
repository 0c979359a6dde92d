//! Anthropic's errors.

use http::StatusCode;
use serde::Deserialize;

use crate::provider::chat::{error, refusal};
use crate::provider::{ErrorFacts, Refusal};

/// `{"type": "error", "error": …}`
#[derive(Deserialize)]
pub(super) struct Wire {
    #[serde(rename = "type")]
    _tag: Tag,
    error: Error,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Tag {
    Error,
}

#[derive(Deserialize)]
struct Error {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    message: String,
}

/// Each type with its status and OpenAI's code for it; `None`: its own word.
const KINDS: &[(&str, u16, Option<&str>)] = &[
    ("invalid_request_error", 400, None),
    ("authentication_error", 401, Some("invalid_api_key")),
    ("billing_error", 402, Some("insufficient_quota")),
    ("permission_error", 403, Some("permission_error")),
    ("not_found_error", 404, Some("model_not_found")),
    ("conflict_error", 409, Some("conflict_error")),
    ("request_too_large", 413, Some("request_too_large")),
    ("rate_limit_error", 429, Some("rate_limit_exceeded")),
    ("api_error", 500, Some("api_error")),
    ("timeout_error", 504, Some("timeout_error")),
    ("overloaded_error", 529, Some("overloaded_error")),
];

/// What messages of refused requests say, and OpenAI's code for it.
const PHRASES: &[(&str, &str)] = &[
    ("prompt is too long", "context_length_exceeded"),
    ("exceed context limit", "context_length_exceeded"),
    ("content filtering policy", "content_filter"),
];

impl Wire {
    /// As OpenAI would have said it; `status` is the answer's, unless the error came in a stream.
    pub(super) fn facts(&self, status: Option<StatusCode>) -> ErrorFacts {
        let Error { kind, message } = &self.error;
        let row = KINDS.iter().find(|(name, ..)| name == kind);
        let meant = row.and_then(|(_, status, _)| StatusCode::from_u16(*status).ok());
        let status = status.or(meant).unwrap_or(StatusCode::BAD_GATEWAY);
        let lower = message.to_lowercase();
        let phrase = PHRASES.iter().find(|(phrase, _)| lower.contains(phrase));
        let code = match (phrase, row) {
            (Some((_, code)), _) => Some(*code),
            (None, Some((.., code))) => *code,
            (None, None) => Some(kind.as_str()),
        };
        let mut facts = error(status, code, message);
        if kind == "billing_error" {
            facts.kind = facts.code.clone();
        }
        facts
    }
}

/// An answer that is no success. What is not Anthropic's is read as anybody's.
pub(super) fn read(status: StatusCode, body: &[u8]) -> Refusal {
    match serde_json::from_slice::<Wire>(body) {
        Ok(wire) => refusal(status, wire.facts(Some(status)), None),
        Err(_) => Refusal::as_sent(status, body),
    }
}
