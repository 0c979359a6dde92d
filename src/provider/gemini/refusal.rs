//! Google's errors: an object, or a list of one, with a word for the status.

use std::time::Duration;

use http::StatusCode;
use serde::Deserialize;

use crate::provider::chat::{self, error};
use crate::provider::{ErrorFacts, Refusal};

/// Google's words for a status (google.rpc.Code), and what they mean here. `FAILED_PRECONDITION` is what an account or a
/// region that may not use the service gets: not the caller's fault, as its 400 would say.
const WORDS: &[(&str, StatusCode)] = &[
    ("INVALID_ARGUMENT", StatusCode::BAD_REQUEST),
    ("OUT_OF_RANGE", StatusCode::BAD_REQUEST),
    ("FAILED_PRECONDITION", StatusCode::FORBIDDEN),
    ("UNAUTHENTICATED", StatusCode::UNAUTHORIZED),
    ("PERMISSION_DENIED", StatusCode::FORBIDDEN),
    ("NOT_FOUND", StatusCode::NOT_FOUND),
    ("ABORTED", StatusCode::CONFLICT),
    ("RESOURCE_EXHAUSTED", StatusCode::TOO_MANY_REQUESTS),
    ("CANCELLED", StatusCode::INTERNAL_SERVER_ERROR),
    ("UNKNOWN", StatusCode::INTERNAL_SERVER_ERROR),
    ("INTERNAL", StatusCode::INTERNAL_SERVER_ERROR),
    ("UNAVAILABLE", StatusCode::SERVICE_UNAVAILABLE),
    ("DEADLINE_EXCEEDED", StatusCode::GATEWAY_TIMEOUT),
];

/// What is said of a prompt that is too long.
const TOO_LONG: &str = "exceeds the maximum number of tokens allowed";

/// `error`
#[derive(Debug, Deserialize)]
pub(super) struct Status {
    code: Option<u16>,
    message: Option<String>,
    status: Option<String>,
    details: Option<Vec<Detail>>,
}

#[derive(Debug, Deserialize)]
struct Detail {
    /// Of an `ErrorInfo`.
    reason: Option<String>,
    /// Of a `RetryInfo`: seconds with an `s` behind them.
    #[serde(rename = "retryDelay")]
    retry_delay: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Wire {
    One { error: Status },
    List(Vec<One>),
}

#[derive(Deserialize)]
struct One {
    error: Status,
}

impl Status {
    /// The status that is meant, and OpenAI's facts. `http` is what came with it.
    pub(super) fn read(&self, http: Option<StatusCode>) -> (StatusCode, ErrorFacts) {
        let message = self.message.as_deref().unwrap_or_default();
        let reason = self
            .details
            .iter()
            .flatten()
            .find_map(|detail| detail.reason.as_deref());
        let wrong_key = reason == Some("API_KEY_INVALID");
        let word = self.status.as_deref();
        let of_word = WORDS
            .iter()
            .find(|(known, _)| Some(*known) == word)
            .map(|(_, status)| *status);
        let of_code = self
            .code
            .and_then(|code| StatusCode::from_u16(code).ok())
            .filter(|code| code.is_client_error() || code.is_server_error());
        let status = if wrong_key {
            StatusCode::UNAUTHORIZED
        } else {
            of_word
                .or(http)
                .or(of_code)
                .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
        };
        let code = if wrong_key {
            reason
        } else if message.contains(TOO_LONG) {
            Some("context_length_exceeded")
        } else {
            word
        };
        (status, error(status, code, message))
    }

    fn retry_after(&self) -> Option<Duration> {
        let mut delays = self
            .details
            .iter()
            .flatten()
            .filter_map(|detail| detail.retry_delay.as_deref());
        let seconds = delays.find_map(|delay| delay.trim_end_matches('s').parse::<f64>().ok())?;
        Duration::try_from_secs_f64(seconds).ok()
    }
}

/// Reads an answer that is no success.
pub(super) fn read(http: StatusCode, body: &[u8]) -> Refusal {
    of_google(http, body).unwrap_or_else(|| Refusal::as_sent(http, body))
}

/// Reads an answer that is no success, if it is Google's.
pub(super) fn of_google(http: StatusCode, body: &[u8]) -> Option<Refusal> {
    let error = match serde_json::from_slice(body).ok()? {
        Wire::One { error } => error,
        Wire::List(list) => list.into_iter().next()?.error,
    };
    // Others have an `error` with a `message`, too.
    error.code.or(error.status.as_ref().map(|_| 0))?;
    let (status, facts) = error.read(Some(http));
    Some(chat::refusal(status, facts, error.retry_after()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_error_means() {
        let error = |code: u16, word: &str, more: &str| {
            format!(r#"{{"error":{{"code":{code},"message":"m","status":"{word}"{more}}}}}"#)
        };
        let wrong_key = r#","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID","metadata":{}}]"#;
        let wait = r#","details":[{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[]},{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34.5s"}]"#;
        let long = r#"{"error":{"code":400,"message":"The input token count (9) exceeds the maximum number of tokens allowed (8).","status":"INVALID_ARGUMENT"}}"#;
        let cases = [
            (
                400,
                error(400, "INVALID_ARGUMENT", ""),
                400,
                "INVALID_ARGUMENT",
                None,
            ),
            (
                400,
                error(400, "INVALID_ARGUMENT", wrong_key),
                401,
                "API_KEY_INVALID",
                None,
            ),
            (
                400,
                error(400, "FAILED_PRECONDITION", ""),
                403,
                "FAILED_PRECONDITION",
                None,
            ),
            (
                429,
                error(429, "RESOURCE_EXHAUSTED", wait),
                429,
                "RESOURCE_EXHAUSTED",
                Some(34_500),
            ),
            (503, error(503, "UNAVAILABLE", ""), 503, "UNAVAILABLE", None),
            (499, error(499, "NEW_WORD", ""), 499, "NEW_WORD", None),
            (400, long.to_owned(), 400, "context_length_exceeded", None),
            (
                400,
                format!("[{long}]"),
                400,
                "context_length_exceeded",
                None,
            ),
        ];
        for (http, body, status, code, wait) in cases {
            let http = StatusCode::from_u16(http).expect("a status");
            let got = read(http, body.as_bytes());
            let facts = got.facts.expect("facts");
            assert_eq!(
                (
                    got.status.as_u16(),
                    facts.code.as_deref(),
                    got.retry_after.map(|d| d.as_millis())
                ),
                (status, Some(code), wait),
                "{body}"
            );
            assert!(
                got.body
                    .is_some_and(|body| body.starts_with(b"{\"error\":"))
            );
        }
        let page = read(StatusCode::BAD_GATEWAY, b"<html>");
        assert_eq!((page.facts, page.body), (None, None));
    }
}
