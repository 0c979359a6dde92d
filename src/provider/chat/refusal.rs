//! Providers' errors in OpenAI's form.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use crate::provider::{ErrorFacts, Refusal};

/// Phrases about a prompt that is too long, of OpenAI, Azure, vLLM, llama.cpp, TGI, Gemini, watsonx and proxies before them.
const TOO_LONG: [&str; 11] = [
    "maximum context length",
    "maximum context limit",
    "prompt is too long",
    "input is too long",
    "too many input tokens",
    "exceeds the available context size",
    "exceeds the maximum number of tokens allowed",
    "input tokens exceed the configured limit",
    "longer than the model's context length",
    "exceed context limit",
    "cannot exceed the total tokens limit",
];

/// Whether the message of a 400 says that the prompt is longer than the model's context.
#[must_use]
pub fn is_too_long(message: &str) -> bool {
    let message = message.to_lowercase();
    TOO_LONG.iter().any(|phrase| message.contains(phrase))
}

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

/// An answer of a provider whose types and codes are its own: the type goes by the status, and its own word for it is the
/// code, which a number is not.
pub(in crate::provider) fn foreign_refusal(status: StatusCode, facts: ErrorFacts) -> Refusal {
    let message = facts
        .message
        .unwrap_or_else(|| format!("The upstream answered with status {}.", status.as_u16()));
    let too_long = matches!(status.as_u16(), 400 | 413 | 422) && is_too_long(&message);
    let mut words = [facts.code, facts.kind].into_iter().flatten();
    let own = words.find(|word| word.parse::<u16>().is_err() && word != kind(status.as_u16()));
    let code = match too_long {
        true => Some("context_length_exceeded"),
        false => own.as_deref(),
    };
    let facts = ErrorFacts {
        param: facts.param,
        ..error(status, code, &message)
    };
    refusal(status, facts, None)
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
