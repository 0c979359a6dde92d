//! Errors of AWS in OpenAI's terms: answers that are no success, and exceptions in a stream.

use http::StatusCode;
use serde::Deserialize;

use crate::h1::Fields;
use crate::provider::chat::{error, refusal};
use crate::provider::{ErrorFacts, Refusal};

/// Kinds of errors, without `Exception` at their ends and in any case; the status that says what is meant, and the code if
/// it is not the kind.
const KINDS: &[(&str, u16, Option<&str>)] = &[
    ("validation", 400, None),
    ("validationerror", 400, None),
    ("accessdenied", 403, None),
    ("expiredtoken", 403, None),
    ("unrecognizedclient", 403, None),
    ("invalidsignature", 403, None),
    ("incompletesignature", 403, None),
    ("missingauthenticationtoken", 403, None),
    ("invalidclienttokenid", 403, None),
    ("notauthorized", 403, None),
    ("resourcenotfound", 404, Some("model_not_found")),
    ("throttling", 429, None),
    ("toomanyrequests", 429, None),
    // The account's share is used up, whatever the status says.
    ("servicequotaexceeded", 429, Some("insufficient_quota")),
    // It starts; that is no limit of the account.
    ("modelnotready", 503, None),
    ("modeltimeout", 408, None),
    ("conflict", 409, None),
    ("internalserver", 500, None),
    ("internalfailure", 500, None),
    ("internalstreamfailure", 500, None),
    ("internaldependency", 500, None),
    ("serviceunavailable", 503, None),
];

/// Kinds of errors of the model's container, which has a status of its own.
const OF_THE_MODEL: [&str; 4] = [
    "modelerror",
    "modelstreamerror",
    "modelerrorexception",
    "modelstreamerrorexception",
];

/// Phrases of a 400 that say the model is not to be had under this name.
const NO_SUCH_MODEL: [&str; 5] = [
    "model identifier is invalid",
    "on-demand throughput isn",
    "end of its life",
    "doesn't support the model",
    "model is not supported in this region",
];
/// Phrases of a 400 for a prompt that is too long.
const TOO_LONG: [&str; 4] = [
    "input is too long",
    "too many input tokens",
    "prompt is too long",
    "maximum context length",
];

#[derive(Deserialize, Default)]
struct Wire {
    #[serde(rename = "__type")]
    kind: Option<String>,
    #[serde(alias = "Message")]
    message: Option<String>,
    #[serde(rename = "originalStatusCode", alias = "OriginalStatusCode")]
    status: Option<u16>,
    #[serde(rename = "originalMessage", alias = "OriginalMessage")]
    original: Option<String>,
}

/// An answer that is no success. Bodies of OpenAI's form, which the OpenAI-compatible path has, are read as such.
pub(in crate::provider) fn answer(status: StatusCode, fields: &Fields, body: &[u8]) -> Refusal {
    let wire: Wire = serde_json::from_slice(body).unwrap_or_default();
    let header = fields.get("x-amzn-errortype");
    let header = header.map(|value| String::from_utf8_lossy(value).into_owned());
    if header.is_none() && wire.kind.is_none() && wire.message.is_none() {
        return Refusal::as_sent(status, body);
    }
    let kind = header.or_else(|| wire.kind.clone()).unwrap_or_default();
    let (status, facts) = meaning(&kind, Some(status), wire);
    refusal(status, facts, None)
}

/// An exception in a stream.
pub(in crate::provider) fn exception(kind: &str, payload: &[u8]) -> ErrorFacts {
    let wire: Wire = serde_json::from_slice(payload).unwrap_or_default();
    in_stream(meaning(kind, None, wire))
}

/// An error frame in a stream.
pub(in crate::provider) fn failure(code: &str, message: &str) -> ErrorFacts {
    let wire = Wire {
        message: Some(message.to_owned()),
        ..Wire::default()
    };
    in_stream(meaning(code, None, wire))
}

/// What of a stream's error tells its status is the kind alone: one that would be read as the caller's fault is not left to
/// a status that is not.
fn in_stream((status, mut facts): (StatusCode, ErrorFacts)) -> ErrorFacts {
    if matches!(status.as_u16(), 408 | 409 | 424) {
        facts.kind = Some("server_error".to_owned());
    }
    facts
}

/// Status and facts of an error of this kind, which came with `status`.
fn meaning(kind: &str, status: Option<StatusCode>, wire: Wire) -> (StatusCode, ErrorFacts) {
    // `ValidationException:http://internal.amazon.com/…`, `com.amazon.coral.service#ExpiredTokenException`
    let kind = kind.split(':').next().unwrap_or_default();
    let kind = kind.rsplit('#').next().unwrap_or_default().trim();
    let lower = kind.to_ascii_lowercase();
    let bare = lower.strip_suffix("exception").unwrap_or(&lower);
    let message = [wire.original, wire.message, Some(kind.to_owned())];
    let message = message.into_iter().flatten().find(|text| !text.is_empty());
    let message = message.unwrap_or_default();
    let row = KINDS.iter().find(|(name, ..)| *name == bare);
    let (mut number, mut code) = match row {
        Some((_, number, code)) => (*number, code.unwrap_or(kind)),
        None if OF_THE_MODEL.contains(&lower.as_str()) => (of_the_model(wire.status), kind),
        None => (status.map_or(500, |status| status.as_u16()), kind),
    };
    if number == 400 {
        let text = message.to_lowercase();
        let says = |phrases: &[&str]| phrases.iter().any(|phrase| text.contains(phrase));
        if says(&TOO_LONG) {
            code = "context_length_exceeded";
        } else if says(&NO_SUCH_MODEL) || is_no_endpoint(&text) {
            (number, code) = (404, "model_not_found");
        }
    }
    let status = StatusCode::from_u16(number).unwrap_or(StatusCode::BAD_GATEWAY);
    (
        status,
        error(status, Some(code).filter(|code| !code.is_empty()), &message),
    )
}

/// SageMaker's `Endpoint X of account Y not found.`
fn is_no_endpoint(text: &str) -> bool {
    text.starts_with("endpoint ") && text.contains(" of account ") && text.contains("not found")
}

/// The status of a container's error: its own where that says whose fault it is.
const fn of_the_model(original: Option<u16>) -> u16 {
    match original {
        Some(400 | 413 | 422) => 400,
        Some(status @ (401..=404 | 429 | 500..=599)) => status,
        _ => 424,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(kind: &str) -> Fields {
        let mut fields = Fields::default();
        if !kind.is_empty() {
            fields.add("x-amzn-errortype", kind);
        }
        fields
    }

    #[test]
    fn kinds_and_phrases() {
        let cases: &[(u16, &str, &str, u16, &str, &str)] = &[
            (
                400,
                "ValidationException",
                r#"{"message":"m"}"#,
                400,
                "invalid_request_error",
                "ValidationException",
            ),
            (
                400,
                "ValidationException:http://internal.amazon.com/coral/",
                r#"{"message":"Input is too long for requested model."}"#,
                400,
                "invalid_request_error",
                "context_length_exceeded",
            ),
            (
                400,
                "",
                r#"{"__type":"com.amazon#ValidationException","Message":"The provided model identifier is invalid."}"#,
                404,
                "not_found_error",
                "model_not_found",
            ),
            (
                400,
                "ValidationException",
                r#"{"message":"Invocation of model ID x with on-demand throughput isn’t supported."}"#,
                404,
                "not_found_error",
                "model_not_found",
            ),
            (
                403,
                "AccessDeniedException",
                r#"{"message":"m"}"#,
                403,
                "permission_error",
                "AccessDeniedException",
            ),
            (
                400,
                "ExpiredTokenException",
                r#"{"message":"m"}"#,
                403,
                "permission_error",
                "ExpiredTokenException",
            ),
            (
                404,
                "ResourceNotFoundException",
                r#"{"message":"m"}"#,
                404,
                "not_found_error",
                "model_not_found",
            ),
            (
                429,
                "ThrottlingException",
                r#"{"message":"Too many tokens"}"#,
                429,
                "rate_limit_error",
                "ThrottlingException",
            ),
            (
                400,
                "ThrottlingException",
                r#"{"message":"m"}"#,
                429,
                "rate_limit_error",
                "ThrottlingException",
            ),
            (
                400,
                "ServiceQuotaExceededException",
                r#"{"message":"m"}"#,
                429,
                "rate_limit_error",
                "insufficient_quota",
            ),
            (
                429,
                "ModelNotReadyException",
                r#"{"message":"m"}"#,
                503,
                "overloaded_error",
                "ModelNotReadyException",
            ),
            (
                408,
                "ModelTimeoutException",
                r#"{"message":"m"}"#,
                408,
                "timeout_error",
                "ModelTimeoutException",
            ),
            (
                424,
                "ModelErrorException",
                r#"{"message":"m","originalStatusCode":500}"#,
                500,
                "server_error",
                "ModelErrorException",
            ),
            (
                424,
                "ModelErrorException",
                r#"{"message":"m"}"#,
                424,
                "invalid_request_error",
                "ModelErrorException",
            ),
            (
                424,
                "ModelError",
                r#"{"Message":"o","OriginalMessage":"m","OriginalStatusCode":400}"#,
                400,
                "invalid_request_error",
                "ModelError",
            ),
            (
                424,
                "ModelError",
                r#"{"Message":"o","OriginalMessage":"m","OriginalStatusCode":401}"#,
                401,
                "authentication_error",
                "ModelError",
            ),
            (
                424,
                "ModelError",
                r#"{"Message":"o","OriginalMessage":"m","OriginalStatusCode":403}"#,
                403,
                "permission_error",
                "ModelError",
            ),
            (
                424,
                "ModelError",
                r#"{"Message":"o","OriginalMessage":"m","OriginalStatusCode":404}"#,
                404,
                "not_found_error",
                "ModelError",
            ),
            (
                400,
                "ValidationError",
                r#"{"Message":"Endpoint e of account 1 not found."}"#,
                404,
                "not_found_error",
                "model_not_found",
            ),
            (
                530,
                "InternalDependencyException",
                r#"{"Message":"m"}"#,
                500,
                "server_error",
                "InternalDependencyException",
            ),
            (
                503,
                "ServiceUnavailableException",
                "",
                503,
                "overloaded_error",
                "ServiceUnavailableException",
            ),
            (
                418,
                "",
                r#"{"message":"m"}"#,
                418,
                "invalid_request_error",
                "",
            ),
        ];
        for (status, kind, body, expected, word, code) in cases {
            let status = StatusCode::from_u16(*status).expect("a status");
            let got = answer(status, &fields(kind), body.as_bytes());
            let facts = got.facts.expect("facts");
            assert_eq!(
                (
                    got.status.as_u16(),
                    facts.kind.as_deref(),
                    facts.code.as_deref().unwrap_or_default()
                ),
                (*expected, Some(*word), *code),
                "{kind} {body}"
            );
            assert!(facts.message.is_some_and(|text| !text.is_empty()));
        }
    }

    #[test]
    fn other_bodies_stay_as_they_are() {
        let openai = br#"{"error":{"message":"m","type":"t"}}"#;
        let got = answer(StatusCode::BAD_REQUEST, &fields(""), openai);
        assert_eq!(got.body, None);
        assert_eq!(got.facts.and_then(|facts| facts.kind).as_deref(), Some("t"));
        let got = answer(StatusCode::BAD_GATEWAY, &fields(""), b"<html>");
        assert_eq!((got.facts, got.body), (None, None));
    }

    #[test]
    fn exceptions_of_a_stream() {
        let cases = [
            ("throttlingException", "{}", "rate_limit_error"),
            (
                "validationException",
                r#"{"message":"m"}"#,
                "invalid_request_error",
            ),
            ("internalServerException", "{}", "server_error"),
            ("modelTimeoutException", "{}", "server_error"),
            ("serviceUnavailableException", "{}", "overloaded_error"),
            (
                "modelStreamErrorException",
                r#"{"originalStatusCode":429}"#,
                "rate_limit_error",
            ),
            (
                "modelStreamErrorException",
                r#"{"originalStatusCode":404}"#,
                "not_found_error",
            ),
            (
                "modelStreamErrorException",
                r#"{"originalMessage":"m"}"#,
                "server_error",
            ),
            ("newException", "nope", "server_error"),
        ];
        for (kind, payload, expected) in cases {
            let facts = exception(kind, payload.as_bytes());
            assert_eq!(facts.kind.as_deref(), Some(expected), "{kind}");
        }
        assert_eq!(failure("code", "m").message.as_deref(), Some("m"));
    }
}
