//! The only place where an error becomes a status, an OpenAI body and headers.
//!
//! | Case | Status, code |
//! |---|---|
//! | not a request | 400, with `param` |
//! | unknown or forbidden group | 404 `model_not_found` |
//! | upstream refuses the request | its own status, body and code; `context_length_exceeded` and `content_filter` added where it has no code |
//! | all cooling or at their limits | 429 `no_deployment_available`; 503 if not for rate limits; 502 as below if for credentials or a missing model |
//! | none can do what the request asks | 400 `no_deployment_available`, or `context_length_exceeded` |
//! | attempts failed: upstream error | its own status and body |
//! | … credential refused / model unknown / account empty | 502 `upstream_auth_error` / `upstream_model_not_found` / `upstream_quota_exceeded`: the gateway's configuration is at fault, not the caller |
//! | … no connection / broken / timed out | 502 `upstream_unreachable` / 502 `upstream_broken` / 504 `upstream_timeout` |
//! | the request's deadline | 504 `request_timeout` |
//!
//! Messages name groups and deployments by their configured ids, never hosts, keys or chains of causes.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use serde_json::{Value, json};

use super::auth::Unauthorized;
use crate::gateway::classify::Rejection;
use crate::gateway::error::{Cause, Error, Failure, UpstreamAnswer};
use crate::router::{NoneEligible, Why};
use crate::types::Fault;

/// An OpenAI error body with a status.
pub(super) fn response(
    status: StatusCode,
    message: &str,
    kind: &str,
    param: Option<&str>,
    code: Option<&str>,
) -> Response {
    let body = json!({"error": {"message": message, "type": kind, "param": param, "code": code}});
    raw(status, Bytes::from(body.to_string()))
}

fn raw(status: StatusCode, body: Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// 401. The same whatever was presented, and never repeating it.
pub(super) fn unauthorized(why: Unauthorized) -> Response {
    let message = if why.presented {
        "Incorrect API key provided. Ask whoever runs this gateway for one of its keys."
    } else {
        "You didn't provide an API key. Send one of this gateway's keys as `Authorization: Bearer KEY` or `api-key: KEY`."
    };
    response(
        StatusCode::UNAUTHORIZED,
        message,
        "authentication_error",
        None,
        Some("invalid_api_key"),
    )
}

/// 404 with the names that exist, as far as the caller may know them.
pub(super) fn unknown_model(model: &str, known: &[Arc<str>]) -> Response {
    let shown: String = model.chars().take(100).collect();
    let near = known
        .iter()
        .map(|k| (strsim::jaro_winkler(k, &shown), k))
        .filter(|(s, _)| *s > 0.8);
    let near = near
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, k)| format!(" Did you mean `{k}`?"))
        .unwrap_or_default();
    let names: Vec<&str> = known.iter().take(20).map(|k| &**k).collect();
    let more = if known.len() > names.len() {
        ", …"
    } else {
        ""
    };
    let message = format!(
        "The model group `{shown}` does not exist or you do not have access to it.{near} Available: {}{more}.",
        names.join(", ")
    );
    response(
        StatusCode::NOT_FOUND,
        &message,
        "invalid_request_error",
        Some("model"),
        Some("model_not_found"),
    )
}

/// 500
pub(super) fn internal() -> Response {
    let message = "The gateway failed to handle this request. This is a fault of the gateway, not of the request.";
    response(
        StatusCode::INTERNAL_SERVER_ERROR,
        message,
        "server_error",
        None,
        Some("internal_error"),
    )
}

/// Any [`Error`] as a response.
pub(super) fn refusal(error: &Error) -> Response {
    match error {
        Error::Request(error) => {
            let message = format!("Invalid request: {error}.");
            response(
                StatusCode::BAD_REQUEST,
                &message,
                "invalid_request_error",
                error.param(),
                None,
            )
        }
        Error::UnknownModel { model, known } => unknown_model(model, known),
        Error::Unsupported { param, message } => response(
            StatusCode::BAD_REQUEST,
            message,
            "invalid_request_error",
            Some(param),
            Some("unsupported_parameter"),
        ),
        Error::Rejected {
            rejection, answer, ..
        } => rejected(*rejection, answer),
        Error::NoneEligible(refused) => none_eligible(&refused.none),
        Error::Failed(failures) => failed(failures),
        Error::Deadline { limit, failures } => {
            let tried = if failures.is_empty() {
                String::new()
            } else {
                format!(" after {} failed attempts", failures.len())
            };
            let message = format!(
                "The request was not answered within {} s{tried}.",
                limit.as_secs_f64()
            );
            final_answer(response(
                StatusCode::GATEWAY_TIMEOUT,
                &message,
                "timeout_error",
                None,
                Some("request_timeout"),
            ))
        }
    }
}

/// The caller's fault as the upstream put it.
fn rejected(rejection: Rejection, answer: &UpstreamAnswer) -> Response {
    let code = match rejection {
        Rejection::ContextLength => Some("context_length_exceeded"),
        Rejection::ContentFilter => Some("content_filter"),
        Rejection::Invalid => None,
    };
    relay(answer, code)
}

/// An upstream's error, its own body if that has OpenAI's shape, with `code` where it has none to switch on.
fn relay(answer: &UpstreamAnswer, code: Option<&str>) -> Response {
    let status = if answer.status.as_u16() < 400 {
        StatusCode::BAD_GATEWAY
    } else {
        answer.status
    };
    let mut body: Option<Value> = serde_json::from_slice(&answer.body).ok();
    let error = body
        .as_mut()
        .and_then(|b| b.get_mut("error"))
        .and_then(Value::as_object_mut);
    let mut response = match error {
        Some(error) if error.get("message").is_some_and(Value::is_string) => {
            let own = error.get("code").filter(|c| c.is_string());
            match code {
                Some(code) if own.is_none() => {
                    error.insert("code".to_owned(), code.into());
                    raw(status, Bytes::from(body.unwrap_or_default().to_string()))
                }
                _ => raw(status, answer.body.clone()),
            }
        }
        _ => {
            let facts = answer.facts.clone().unwrap_or_default();
            let message = facts.message.unwrap_or_else(|| {
                format!(
                    "The upstream answered with status {}.",
                    answer.status.as_u16()
                )
            });
            let kind = facts.kind.unwrap_or_else(|| kind_of(status).to_owned());
            let own = facts.code.filter(|c| c.parse::<u16>().is_err());
            self::response(
                status,
                &message,
                &kind,
                facts.param.as_deref(),
                own.as_deref().or(code),
            )
        }
    };
    for (name, value) in &answer.headers {
        // The body is ours to describe.
        if !matches!(*name, CONTENT_TYPE | CONTENT_ENCODING) {
            response.headers_mut().append(name.clone(), value.clone());
        }
    }
    response
}

const fn kind_of(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "authentication_error",
        403 => "permission_error",
        429 => "rate_limit_error",
        400..=499 => "invalid_request_error",
        _ => "server_error",
    }
}

/// The gateway has tried all it could: an SDK that tries again only multiplies.
fn final_answer(mut response: Response) -> Response {
    should_retry(response.headers_mut(), false);
    response
}

fn should_retry(headers: &mut HeaderMap, retry: bool) {
    headers.insert(
        HeaderName::from_static("x-should-retry"),
        HeaderValue::from_static(if retry { "true" } else { "false" }),
    );
}

fn failed(failures: &[Failure]) -> Response {
    let Some(failure) = telling(failures) else {
        return internal();
    };
    let many = failures.len();
    let attempts = if many == 1 {
        "The attempt".to_owned()
    } else {
        format!("All {many} attempts")
    };
    let last = &failure.deployment;
    let own = |status, what: &str, code| {
        let message = format!("{attempts} failed; {last}: {what}");
        response(status, &message, "upstream_error", None, Some(code))
    };
    let response = match (&failure.cause, failure.fault) {
        (_, Fault::Credential | Fault::NotFound | Fault::Quota) => {
            let (what, code) = configuration(failure.fault);
            own(StatusCode::BAD_GATEWAY, what, code)
        }
        (Cause::Answer(answer), _) => relay(answer, None),
        (Cause::Clock { name, limit }, _) => {
            let what = format!(
                "no answer within the {name} limit of {} s.",
                limit.as_secs_f64()
            );
            own(StatusCode::GATEWAY_TIMEOUT, &what, "upstream_timeout")
        }
        (Cause::Transport(_), Fault::Connect) => own(
            StatusCode::BAD_GATEWAY,
            "could not be connected to.",
            "upstream_unreachable",
        ),
        (Cause::Transport(_), _) => own(
            StatusCode::BAD_GATEWAY,
            "the answer broke off or was malformed.",
            "upstream_broken",
        ),
    };
    final_answer(response)
}

/// What is wrong on the gateway's side, and its code.
const fn configuration(fault: Fault) -> (&'static str, &'static str) {
    match fault {
        Fault::Credential => (
            "the upstream refused the gateway's credential; its configured key or token is wrong.",
            "upstream_auth_error",
        ),
        Fault::Quota => (
            "the gateway's account there has no credit or quota left.",
            "upstream_quota_exceeded",
        ),
        _ => (
            "the upstream does not know the configured model or deployment.",
            "upstream_model_not_found",
        ),
    }
}

/// The failure that tells the client most: an answer over a clock over a broken line; of equals the last.
fn telling(failures: &[Failure]) -> Option<&Failure> {
    failures.iter().max_by_key(|f| match &f.cause {
        Cause::Answer(_) => 2,
        Cause::Clock { .. } => 1,
        Cause::Transport(_) => i32::from(f.fault == Fault::Credential) * 2,
    })
}

fn none_eligible(none: &NoneEligible) -> Response {
    let whys: Vec<Why> = none.deployments.iter().map(|d| d.why).collect();
    let limited = |w: &Why| {
        matches!(
            w,
            Why::Cooling(Fault::RateLimit)
                | Why::OverRpm { .. }
                | Why::OverTpm { .. }
                | Why::Full { .. }
        )
    };
    let misconfigured = whys.iter().find_map(|w| match w {
        Why::Cooling(fault @ (Fault::Credential | Fault::NotFound | Fault::Quota)) => Some(*fault),
        _ => None,
    });
    let listed: Vec<String> = none
        .deployments
        .iter()
        .map(|d| format!("{} {}", d.deployment, reason(d.why, d.back_in)))
        .collect();
    let message = format!(
        "No deployment of model group `{}` can take this request now: {}.",
        none.group,
        listed.join("; ")
    );
    let (status, kind, code) = match misconfigured {
        Some(fault) if !none.may_pass() => (
            StatusCode::BAD_GATEWAY,
            "upstream_error",
            configuration(fault).1,
        ),
        // Another request would be served: it is this one's own matter, and no waiting helps.
        _ if whys.iter().all(|why| why.is_unfit()) => (
            StatusCode::BAD_REQUEST,
            "invalid_request_error",
            match none.too_long() {
                Some(_) => "context_length_exceeded",
                None => "no_deployment_available",
            },
        ),
        _ if whys.iter().all(limited) => (
            StatusCode::TOO_MANY_REQUESTS,
            "rate_limit_error",
            "no_deployment_available",
        ),
        _ => (
            StatusCode::SERVICE_UNAVAILABLE,
            "overloaded_error",
            "no_deployment_available",
        ),
    };
    let mut response = response(status, &message, kind, None, Some(code));
    should_retry(response.headers_mut(), none.may_pass());
    if none.may_pass() {
        retry_after(
            response.headers_mut(),
            none.first_back_in().unwrap_or(Duration::from_secs(1)),
        );
    }
    response
}

/// One deployment's reason in words.
fn reason(why: Why, back_in: Option<Duration>) -> String {
    let back = back_in
        .map(|d| format!(", back in {:.1} s", d.as_secs_f64()))
        .unwrap_or_default();
    match why {
        Why::Cooling(fault) => format!("is cooling down ({}{back})", fault.name()),
        Why::Probing => "is being probed after its cooldown".to_owned(),
        Why::OverRpm { limit, used } => {
            format!("had {used} of its {limit} requests of this minute (rpm{back})")
        }
        Why::OverTpm { limit, used } => {
            format!("used {used} of its {limit} tokens of this minute (tpm{back})")
        }
        Why::Full { limit } => format!("has {limit} requests in flight (max_parallel_requests)"),
        Why::Unfit => "cannot do what the request asks".to_owned(),
        Why::Tag => "does not have the tags asked for".to_owned(),
        Why::Region { known: true } => "is in another region".to_owned(),
        Why::Region { known: false } => "has no region_name".to_owned(),
        Why::Context { limit, needed } => {
            format!("takes prompts of {limit} tokens, and this one has about {needed}")
        }
        Why::Lacks(ability) => format!("has a model without {ability}"),
    }
}

fn retry_after(headers: &mut HeaderMap, wait: Duration) {
    headers.insert(
        RETRY_AFTER,
        wait.as_secs_f64()
            .ceil()
            .max(1.0)
            .to_string()
            .parse()
            .unwrap_or(HeaderValue::from_static("1")),
    );
    let ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    headers.insert(HeaderName::from_static("retry-after-ms"), ms.into());
}
