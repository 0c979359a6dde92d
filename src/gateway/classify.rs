//! What an attempt's outcome means: the table of statuses, error codes and transport errors.
//!
//! Structure decides first: status, then the error's `code` and `type`; the text of a message is looked at only for a
//! 400, 413 or 422 that has no telling code, and only for phrases that providers use. A 500 that mentions a rate limit
//! is a 500. Whose fault it is decides everything else: the caller's is never retried and blames no deployment.
//!
//! | Outcome | Fault | Tried elsewhere |
//! |---|---|---|
//! | 400, 413, 415, 422 and other 4xx | caller | no |
//! | 400 with context length or content filter | caller (its own code) | no |
//! | 400 naming the model, the deployment or the account | deployment or account | yes |
//! | 401, 403 | credential | yes |
//! | 402, or any status with `insufficient_quota` | account | yes |
//! | 404, 3xx | deployment | yes |
//! | 429 | rate limit | yes |
//! | 408, 409, 424, 425, 498, 5xx, 200 with an error body | deployment | yes |
//! | 503 "Loading model", 405, 501 | nobody (not ready, or not for this operation) | yes |
//! | 403, 404 with `invalid_request_error` and no code | caller (the wrong operation for this model) | no |
//! | refused, timed out, reset, truncated, malformed | network or deployment | yes |

use std::time::Duration;

use http::{HeaderMap, StatusCode};

use crate::provider::{ErrorFacts, is_too_long};
use crate::types::{ErrorClass, Fault};

/// Whose fault, and what follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The caller's: the upstream's answer goes through, nothing is retried, nobody is blamed.
    Reject(Rejection),
    /// The deployment's: blamed, and another attempt is made if the plan allows.
    Retry(Fault),
    /// The deployment is not ready, or has no such operation; not blamed, another attempt is made.
    NotReady,
}

/// The kinds of caller's fault; the first two have fallbacks of their own in LiteLLM's terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejection {
    /// The prompt is longer than the model's context.
    ContextLength,
    /// The prompt or the answer was refused by a content filter.
    ContentFilter,
    /// Anything else.
    Invalid,
}

impl Rejection {
    /// The word for it in headers and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ContextLength => "context_length_exceeded",
            Self::ContentFilter => "content_filter",
            Self::Invalid => "rejected",
        }
    }
}

/// Phrases of 400s for refused content.
const CONTENT: [&str; 4] = [
    "content management policy",
    "content filtering policy",
    "safety system",
    "violating our usage policy",
];
/// Phrases of 400s that say the *deployment* is wrong, not the request.
const DEPLOYMENT: [&str; 6] = [
    "model identifier is invalid",
    "invalid model id",
    "invalid model name",
    "unknown model",
    "no healthy deployments",
    "model_not_found",
];
/// Phrases of 400s that say the account is out of credit.
const ACCOUNT: [&str; 5] = [
    "credit balance is too low",
    "insufficient credit",
    "plan and billing",
    "billing hard limit",
    "exceeded your current quota",
];

/// The verdict on an upstream answer that is no success.
#[must_use]
pub fn classify(status: StatusCode, facts: &ErrorFacts) -> Verdict {
    let code = facts.code.as_deref().unwrap_or_default();
    let kind = facts.kind.as_deref().unwrap_or_default();
    if [code, kind].contains(&"insufficient_quota") || kind == "budget_exceeded" {
        return Verdict::Retry(Fault::Quota);
    }
    match status.as_u16() {
        400 | 413 | 422 => bad_request(code, kind, facts.message.as_deref().unwrap_or_default()),
        // OpenAI's way of saying that this model does not do that: embeddings of a chat model, a chat model as completion. It
        // is the caller's mix-up, and no reason to bench a working deployment. A wrong URL is not the caller's.
        403 | 404
            if kind == "invalid_request_error"
                && code.is_empty()
                && !facts
                    .message
                    .as_deref()
                    .unwrap_or_default()
                    .starts_with("Invalid URL") =>
        {
            Verdict::Reject(Rejection::Invalid)
        }
        401 | 403 => Verdict::Retry(Fault::Credential),
        402 => Verdict::Retry(Fault::Quota),
        300..=399 | 404 => Verdict::Retry(Fault::NotFound),
        429 => Verdict::Retry(Fault::RateLimit),
        // Not this deployment, not now: loading (llama.cpp), or an operation it does not have.
        405 | 501 => Verdict::NotReady,
        503 if facts.message.as_deref() == Some("Loading model") => Verdict::NotReady,
        408 | 409 | 424 | 425 | 498 | 500..=599 => Verdict::Retry(Fault::Server),
        100..=299 => Verdict::Retry(Fault::Broken), // a success with an error inside, of no known kind
        _ => Verdict::Reject(Rejection::Invalid),
    }
}

/// The class by which policies (`retry_policy`, `allowed_fails_policy`) count an outcome. `status` is that of the answer, if
/// there was one: it tells failures apart that are otherwise all the deployment's.
#[must_use]
pub fn class(verdict: Verdict, status: Option<StatusCode>) -> ErrorClass {
    match verdict {
        Verdict::Reject(Rejection::ContentFilter) => ErrorClass::ContentPolicy,
        Verdict::Reject(Rejection::ContextLength | Rejection::Invalid) => ErrorClass::BadRequest,
        Verdict::Retry(fault) => match fault {
            Fault::Timeout => ErrorClass::Timeout,
            Fault::RateLimit | Fault::Quota => ErrorClass::RateLimit,
            Fault::Credential => ErrorClass::Authentication,
            Fault::NotFound => ErrorClass::NotFound,
            Fault::Refused => ErrorClass::BadRequest,
            Fault::Connect | Fault::Broken => ErrorClass::InternalServer,
            Fault::Server => of_status(status),
        },
        Verdict::NotReady => of_status(status),
    }
}

fn of_status(status: Option<StatusCode>) -> ErrorClass {
    match status.map(|status| status.as_u16()) {
        Some(408 | 504) => ErrorClass::Timeout,
        Some(502) => ErrorClass::BadGateway,
        Some(503 | 529) => ErrorClass::ServiceUnavailable,
        _ => ErrorClass::InternalServer,
    }
}

fn bad_request(code: &str, kind: &str, message: &str) -> Verdict {
    match code {
        "context_length_exceeded" | "string_above_max_length" => {
            return Verdict::Reject(Rejection::ContextLength);
        }
        "content_filter" | "content_policy_violation" => {
            return Verdict::Reject(Rejection::ContentFilter);
        }
        "model_not_found" | "DeploymentNotFound" | "deployment_not_found" | "invalid_model" => {
            return Verdict::Retry(Fault::NotFound);
        }
        "billing_hard_limit_reached" | "billing_not_active" | "account_deactivated" => {
            return Verdict::Retry(Fault::Quota);
        }
        "invalid_api_key" => return Verdict::Retry(Fault::Credential),
        // Groq: the model failed to produce a valid call; another try may succeed.
        "tool_use_failed" | "json_validate_failed" => return Verdict::Retry(Fault::Server),
        _ => {}
    }
    match kind {
        "exceed_context_size_error" => return Verdict::Reject(Rejection::ContextLength), // llama.cpp
        "authentication_error" => return Verdict::Retry(Fault::Credential),
        _ => {}
    }
    if is_too_long(message) {
        return Verdict::Reject(Rejection::ContextLength);
    }
    let message = message.to_lowercase();
    let says = |phrases: &[&str]| phrases.iter().any(|p| message.contains(p));
    if says(&CONTENT) {
        Verdict::Reject(Rejection::ContentFilter)
    } else if says(&DEPLOYMENT) {
        Verdict::Retry(Fault::NotFound)
    } else if says(&ACCOUNT) {
        Verdict::Retry(Fault::Quota)
    } else {
        Verdict::Reject(Rejection::Invalid)
    }
}

/// How long the upstream asks to be left alone: `retry-after-ms`, else `retry-after` in seconds or as a date, else until
/// the limits are reset of which `x-ratelimit-remaining-*` says that nothing is left. `unix` is the wall time of now.
#[must_use]
pub fn retry_after(headers: &HeaderMap, unix: Duration) -> Option<Duration> {
    let text = |name: &str| {
        headers
            .get(name)
            .and_then(|v| v.to_str().ok())
            .map(str::trim)
    };
    let seconds = |value: f64| {
        (value.is_finite() && value >= 0.0).then(|| Duration::from_secs_f64(value.min(86_400.0)))
    };
    if let Some(ms) = text("retry-after-ms").and_then(|v| v.parse::<f64>().ok()) {
        return seconds(ms / 1000.0);
    }
    let Some(value) = text("retry-after") else {
        let resets = ["requests", "tokens"].iter().filter_map(|limit| {
            let spent = text(&format!("x-ratelimit-remaining-{limit}"))? == "0";
            let reset = text(&format!("x-ratelimit-reset-{limit}"))?;
            spent.then(|| span(reset)).flatten()
        });
        return resets.max();
    };
    match value.parse::<f64>() {
        Ok(number) => seconds(number),
        Err(_) => http_date(value).map(|at| at.saturating_sub(unix)),
    }
}

/// A length of time as OpenAI writes it in `x-ratelimit-reset-*`: `1s`, `6m0s`, `59.7ms`; or plain seconds.
fn span(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut sum = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.');
        let (number, unit) = rest.split_at(digits.unwrap_or(rest.len()));
        let letters = unit.find(|c: char| !c.is_ascii_alphabetic());
        let (unit, more) = unit.split_at(letters.unwrap_or(unit.len()));
        sum += number.parse::<f64>().ok()?
            * match unit {
                "ms" => 0.001,
                "s" | "" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                "d" => 86_400.0,
                _ => return None,
            };
        rest = more;
    }
    (!text.is_empty() && sum.is_finite()).then(|| Duration::from_secs_f64(sum.min(86_400.0)))
}

/// Seconds since the epoch of an HTTP date such as `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, 5.6.7, preferred form).
fn http_date(text: &str) -> Option<Duration> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let mut words = text.split_once(", ")?.1.split(' ');
    let day: i64 = words.next()?.parse().ok()?;
    let month = words
        .next()
        .and_then(|m| MONTHS.iter().position(|n| *n == m))?;
    let month = i64::try_from(month).ok()? + 1;
    let year: i64 = words.next()?.parse().ok()?;
    let mut time = words.next()?.split(':').map(|n| n.parse::<i64>().ok());
    let (hour, minute, second) = (time.next()??, time.next()??, time.next()??);
    if !(1..=31).contains(&day)
        || !(1970..=9999).contains(&year)
        || [hour, minute, second].iter().any(|n| !(0..=60).contains(n))
    {
        return None;
    }
    // Days since 1970-01-01 of a civil date: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms".
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let yoe = y - era * 400;
    let doy = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let days = era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468;
    let seconds = days.checked_mul(86_400)? + hour * 3600 + minute * 60 + second;
    u64::try_from(seconds).ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests;
