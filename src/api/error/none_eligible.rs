//! Where no deployment can take a request: because of what it asks for, which is the caller's to change, or for now.

use std::time::Duration;

use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;

use super::{configuration, final_answer, should_retry};
use crate::router::{NoneEligible, Why};
use crate::types::Fault;

/// 400 if no deployment is for such a request, else 429, 502 or 503.
pub(super) fn response(none: &NoneEligible) -> Response {
    let listed: Vec<String> = none
        .deployments
        .iter()
        .map(|d| format!("{} {}", d.deployment, reason(d.why, d.back_in)))
        .collect();
    let listed = listed.join("; ");
    match none.unfit() {
        Some(why) => unfit(why, &none.group, &listed),
        None => unavailable(none, &listed),
    }
}

/// Another request would be served.
fn unfit(why: Why, group: &str, listed: &str) -> Response {
    let (what, param, code) = match why {
        Why::Context { limit, needed } => (
            format!(
                "The maximum context length of model group `{group}` is {limit} tokens, and this prompt has about {needed}; shorten it, or ask a group with a larger window."
            ),
            None,
            "context_length_exceeded",
        ),
        Why::Region { .. } => (
            format!(
                "Model group `{group}` has no deployment in the region that `allowed_model_region` asks for."
            ),
            Some("allowed_model_region"),
            "no_deployment_in_region",
        ),
        Why::Tag => (
            format!(
                "Model group `{group}` has no deployment for the tags of this request; send other tags, or none."
            ),
            Some("tags"),
            "no_deployment_for_tags",
        ),
        why => (
            format!("No deployment of model group `{group}` can do what this request asks."),
            member(why),
            "unsupported_parameter",
        ),
    };
    final_answer(super::response(
        StatusCode::BAD_REQUEST,
        &format!("{what} Its deployments: {listed}."),
        "invalid_request_error",
        param,
        Some(code),
    ))
}

/// The member of a request that asks for an ability.
fn member(why: Why) -> Option<&'static str> {
    match why {
        Why::Lacks("images") => Some("messages"),
        Why::Lacks("json_schema") => Some("response_format"),
        Why::Lacks(ability) => Some(ability),
        _ => None,
    }
}

/// The same request would be served at another time, or by a gateway that is configured well.
fn unavailable(none: &NoneEligible, listed: &str) -> Response {
    // What those would say that are not for such a request is no matter of now.
    let whys = || none.deployments.iter().map(|d| d.why);
    let limited = |why: Why| {
        why.is_unfit()
            || matches!(
                why,
                Why::Cooling(Fault::RateLimit)
                    | Why::OverRpm { .. }
                    | Why::OverTpm { .. }
                    | Why::Full { .. }
            )
    };
    let misconfigured = whys().find_map(|why| match why {
        Why::Cooling(fault @ (Fault::Credential | Fault::NotFound | Fault::Quota)) => Some(fault),
        _ => None,
    });
    let message = format!(
        "No deployment of model group `{}` can take this request now: {listed}.",
        none.group,
    );
    let (status, kind, code) = match misconfigured {
        Some(fault) if !none.may_pass() => (
            StatusCode::BAD_GATEWAY,
            "upstream_error",
            configuration(fault).1,
        ),
        _ if whys().all(limited) => (
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
    let mut response = super::response(status, &message, kind, None, Some(code));
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
        Why::Uncounted => {
            "has limits that can't be counted while Redis does not answer (limits: exact, outage: closed)".to_owned()
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
