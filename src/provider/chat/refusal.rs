//! Providers' errors in OpenAI's form.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use crate::provider::{ErrorFacts, Refusal};

/// OpenAI's word for the kind of error that a status means.
const fn kind(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        408 | 504 => "timeout_error",
        429 => "rate_limit_error",
        503 | 529 => "overloaded_error",
        400..=499 => "invalid_request_error",
        _ => "server_error",
    }
}

/// An error as OpenAI's facts: the provider's own word for it becomes the code.
pub(in crate::provider) fn error(
    status: StatusCode,
    code: Option<&str>,
    message: &str,
) -> ErrorFacts {
    ErrorFacts {
        kind: Some(kind(status.as_u16()).to_owned()),
        code: code.map(str::to_owned),
        message: Some(message.to_owned()),
        param: None,
    }
}

/// `facts` as OpenAI's error object.
pub(in crate::provider) fn body(facts: &ErrorFacts) -> Value {
    json!({"error": {"message": facts.message, "type": facts.kind, "param": facts.param, "code": facts.code}})
}

/// An answer with `status` that says this.
pub(in crate::provider) fn refusal(
    status: StatusCode,
    facts: ErrorFacts,
    retry_after: Option<Duration>,
) -> Refusal {
    Refusal {
        status,
        body: Some(Bytes::from(body(&facts).to_string())),
        facts: Some(facts),
        retry_after,
    }
}
