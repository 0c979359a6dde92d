//! Failures that a request asked for (`mock_testing_fallbacks` and its like), to see what happens then.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::json;

use super::classify::Rejection;
use super::error::{Cause, Error, Failure, UpstreamAnswer};
use crate::provider::ErrorFacts;
use crate::request::overrides::Mock;
use crate::types::Fault;

/// The failure as if a deployment had answered with it.
pub(super) fn error(mock: Mock) -> Error {
    match mock {
        Mock::Server | Mock::RateLimit => Error::Failed(vec![failure(mock)]),
        Mock::ContextWindow | Mock::ContentPolicy => Error::Rejected {
            deployment: mock.member().into(),
            rejection: if mock == Mock::ContextWindow {
                Rejection::ContextLength
            } else {
                Rejection::ContentFilter
            },
            answer: Box::new(answer(mock)),
        },
    }
}

/// One failed attempt.
pub(super) fn failure(mock: Mock) -> Failure {
    Failure {
        deployment: mock.member().into(),
        fault: if mock == Mock::RateLimit {
            Fault::RateLimit
        } else {
            Fault::Server
        },
        cause: Cause::Answer(Box::new(answer(mock))),
        retry_after: None,
    }
}

fn answer(mock: Mock) -> UpstreamAnswer {
    let (status, kind, code) = match mock {
        Mock::Server => (
            StatusCode::INTERNAL_SERVER_ERROR,
            "server_error",
            "mock_error",
        ),
        Mock::RateLimit => (
            StatusCode::TOO_MANY_REQUESTS,
            "rate_limit_error",
            "mock_error",
        ),
        Mock::ContextWindow => (
            StatusCode::BAD_REQUEST,
            "invalid_request_error",
            "context_length_exceeded",
        ),
        Mock::ContentPolicy => (
            StatusCode::BAD_REQUEST,
            "invalid_request_error",
            "content_filter",
        ),
    };
    let message = format!(
        "This failure was asked for by `{}` in the request, and no fallback has answered instead.",
        mock.member()
    );
    let body = json!({"error": {"message": message, "type": kind, "param": null, "code": code}});
    UpstreamAnswer {
        status,
        headers: HeaderMap::new(),
        body: Bytes::from(body.to_string()),
        facts: Some(ErrorFacts {
            kind: Some(kind.to_owned()),
            code: Some(code.to_owned()),
            message: Some(message),
            param: None,
        }),
    }
}
