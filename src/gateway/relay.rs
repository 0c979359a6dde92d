//! What of an upstream's answer goes on to the client, and what an error without a status stands for.

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};

use super::error::UpstreamAnswer;
use super::mask::Masks;
use crate::provider::{ErrorFacts, error_facts};

pub(super) fn answer(status: StatusCode, headers: HeaderMap, body: Bytes) -> UpstreamAnswer {
    UpstreamAnswer {
        status,
        facts: error_facts(&body),
        headers,
        body,
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
        "overloaded_error" | "unavailable_error" | "service_unavailable" => Some(503),
        "server_error" | "api_error" | "internal_server_error" => Some(500),
        _ => None,
    };
    code.or_else(|| facts.code.as_deref().and_then(by_word))
        .or_else(|| facts.kind.as_deref().and_then(by_word))
        .and_then(|c| StatusCode::from_u16(c).ok())
}

pub(super) fn is_event_stream(headers: &HeaderMap) -> bool {
    // A server that streams without saying so is taken at the client's word; one that says JSON is not.
    let json = b"application/json";
    headers.get(CONTENT_TYPE).is_none_or(|v| {
        !v.as_bytes()
            .get(..json.len())
            .is_some_and(|kind| kind.eq_ignore_ascii_case(json))
    })
}

/// The upstream's headers that go on to the client.
pub(super) fn relayed(headers: &HeaderMap, masks: &Masks) -> HeaderMap {
    let mut relayed = HeaderMap::with_capacity(headers.len() + 6); // and ours
    let listed = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|v| v.to_str().ok());
    let named: Vec<&str> = listed.flat_map(|v| v.split(',')).map(str::trim).collect();
    for (name, value) in headers {
        let text = name.as_str();
        let stays = stays_here(text)
            || text.starts_with("x-waypost-")
            || text.starts_with("access-control-")
            || named.iter().any(|n| n.eq_ignore_ascii_case(text));
        if !stays {
            relayed.append(name.clone(), masks.header(value));
        }
    }
    if let Some(id) = headers.get("x-request-id") {
        relayed.insert("x-upstream-request-id", id.clone());
    }
    debug_assert!(!relayed.contains_key(CONTENT_LENGTH));
    relayed
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
fn stays_here(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
            | "content-length"
            | "set-cookie"
            | "server"
            | "date"
            | "via"
            | "alt-svc"
            | "strict-transport-security"
            | "www-authenticate"
            | "location"
            | "x-request-id"
            | "x-should-retry"
    )
}
