//! What of an upstream's answer goes on to the client, and what an error without a status stands for.

use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderValue, StatusCode};

use super::error::UpstreamAnswer;
use super::mask::Masks;
use crate::h1::Fields;
use crate::provider::{ErrorFacts, Refusal};

/// An answer that is no success, as its dialect reads it.
pub(super) fn answer(refusal: Refusal, fields: &Fields, body: Bytes) -> UpstreamAnswer {
    let mut headers = fields.to_map();
    if let Some(wait) = refusal.retry_after
        && !headers.contains_key(RETRY_AFTER)
    {
        headers.insert(
            RETRY_AFTER,
            HeaderValue::from(wait.as_secs_f64().ceil() as u64),
        );
    }
    UpstreamAnswer {
        status: refusal.status,
        facts: refusal.facts,
        headers,
        body: refusal.body.unwrap_or(body),
    }
}

/// An error event as the answer it would have been.
pub(super) fn in_stream(facts: &ErrorFacts, raw: &Bytes) -> UpstreamAnswer {
    let status = facts_status(facts).unwrap_or(StatusCode::BAD_GATEWAY);
    UpstreamAnswer {
        status,
        headers: HeaderMap::new(),
        body: raw.clone(),
        facts: Some(facts.clone()),
    }
}

/// The status an error without one stands for: its code if that is a status, else its type.
pub(super) fn facts_status(facts: &ErrorFacts) -> Option<StatusCode> {
    let code = facts
        .code
        .as_deref()
        .and_then(|c| c.parse::<u16>().ok())
        .filter(|c| (400..600).contains(c));
    let by_word = |word: &str| match word {
        "rate_limit_error"
        | "rate_limit_exceeded"
        | "insufficient_quota"
        | "throttling_error"
        | "tokens"
        | "requests" => Some(429),
        "invalid_request_error" | "context_length_exceeded" | "content_filter" => Some(400),
        "authentication_error" | "invalid_api_key" => Some(401),
        "permission_error" => Some(403),
        "not_found_error" => Some(404),
        "timeout_error" => Some(504),
        "overloaded_error" | "unavailable_error" | "service_unavailable" => Some(503),
        "server_error" | "api_error" | "internal_server_error" => Some(500),
        _ => None,
    };
    code.or_else(|| facts.code.as_deref().and_then(by_word))
        .or_else(|| facts.kind.as_deref().and_then(by_word))
        .and_then(|c| StatusCode::from_u16(c).ok())
}

pub(super) fn is_event_stream(fields: &Fields) -> bool {
    // A server that streams without saying so is taken at the client's word; one that says JSON is not.
    let json = b"application/json";
    fields.get("content-type").is_none_or(|kind| {
        !kind
            .get(..json.len())
            .is_some_and(|kind| kind.eq_ignore_ascii_case(json))
    })
}

/// The upstream's header lines that go on to the client.
pub(super) fn relayed(mut fields: Fields, masks: &Masks) -> Fields {
    // Names that `connection` lists are the connection's, too; hardly ever are there any.
    let listed: Vec<Vec<u8>> = fields
        .all("connection")
        .flat_map(|value| value.split(|byte| *byte == b','))
        .map(|name| name.trim_ascii().to_ascii_lowercase())
        .collect();
    fields.retain(|name, _| {
        let is = |other: &[u8]| name.eq_ignore_ascii_case(other);
        !(STAYS_HERE.iter().any(|other| is(other.as_bytes()))
            || OURS.iter().any(|prefix| {
                name.get(..prefix.len())
                    .is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
            })
            || listed.iter().any(|other| is(other)))
    });
    fields.replace(|value| masks.are_in(value), "***");
    fields.rename("x-request-id", "x-upstream-request-id");
    fields
}

/// An error with its causes.
pub(super) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// Headers that belong to one connection, or to the upstream alone.
const STAYS_HERE: [&str; 19] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "content-length",
    "set-cookie",
    "server",
    "date",
    "via",
    "alt-svc",
    "strict-transport-security",
    "www-authenticate",
    "location",
    "x-should-retry",
];

/// Beginnings of names that only Waypost may say something with.
const OURS: [&str; 3] = ["x-waypost-", "access-control-", "x-upstream-request-id"];
