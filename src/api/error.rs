//! The only place where an error becomes a status, an OpenAI body and headers.
//!
//! | Case | Status, code |
//! |---|---|
//! | not a request | 400, with `param` |
//! | unknown or forbidden group | 404 `model_not_found` |
//! | upstream refuses the request | its own status, body and code; `context_length_exceeded` and `content_filter` added where it has no code |
//! | no deployment is for such a request | 400 `context_length_exceeded`, `unsupported_parameter`, `no_deployment_in_region`, `no_deployment_for_tags` |
//! | all cooling or at their limits | 429 `no_deployment_available`; 503 if not for rate limits; 502 as below if for credentials or a missing model |
//! | attempts failed: upstream error | its own status and body |
//! | … credential refused / model unknown / account empty | 502 `upstream_auth_error` / `upstream_model_not_found` / `upstream_quota_exceeded`: the gateway's configuration is at fault, not the caller |
//! | … no connection / broken / timed out | 502 `upstream_unreachable` / 502 `upstream_broken` / 504 `upstream_timeout` |
//! | the ledger can't be written, and is to have a record of everything | 503 `ledger_unwritable` |
//! | the request's deadline | 504 `request_timeout` |
//!
//! Messages name groups and deployments by their configured ids, never hosts, keys or chains of causes.

mod none_eligible;

use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use serde_json::{Value, json};

use super::auth::Unauthorized;
use crate::gateway::classify::Rejection;
use crate::gateway::error::{Cause, Error, Failure, UpstreamAnswer};
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
        Error::NoneEligible(refused) => none_eligible::response(&refused.none),
        Error::Failed(failures) => failed(failures),
        Error::Unrecordable(why) => {
            let message = format!(
                "This gateway can't write its usage ledger ({why}), and is set to refuse what it can't record \
                 (`waypost: ledger: when_full: refuse`). Another replica may answer; this one will when its disk can be written."
            );
            response(
                StatusCode::SERVICE_UNAVAILABLE,
                &message,
                "server_error",
                None,
                Some("ledger_unwritable"),
            )
        }
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
