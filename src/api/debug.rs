//! What the gateway would do, and what it did: dry runs of requests, and the last decisions.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use axum::response::Response;
use bytes::Bytes;
use serde::Serialize;

use super::auth::Caller;
use super::inference::request_id;
use super::{App, error};
use crate::gateway::Incoming;
use crate::types::Operation;

/// The header that asks for a dry run; the lane leaves requests that have it to hyper.
pub(super) const DRY_RUN: &str = "x-waypost-dry-run";

/// Whether a request is to be explained and not made; `None` if that can't be told ([`unclear`]).
pub(super) fn is_dry_run(uri: &Uri, headers: &HeaderMap) -> Option<bool> {
    let query = parameter(uri, "dry_run");
    let header = headers
        .get(DRY_RUN)
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let mut dry = false;
    for value in query.iter().chain(&header) {
        dry |= match value.trim() {
            "1" | "true" => true,
            "0" | "false" => false,
            _ => return None,
        };
    }
    Some(dry)
}

/// 400: a client that may want a dry run is not to be charged for a request.
pub(super) fn unclear() -> Response {
    let message = format!("`dry_run` in the query and the header `{DRY_RUN}` are 1 or 0.");
    error::response(
        StatusCode::BAD_REQUEST,
        &message,
        "invalid_request_error",
        Some("dry_run"),
        Some("invalid_dry_run"),
    )
}

/// Where the configuration wants none.
pub(super) fn off() -> Response {
    let message = "Dry runs are switched off by this gateway's configuration; `waypost: dry_runs: true` allows them. \
                   Nothing was sent.";
    error::response(
        StatusCode::FORBIDDEN,
        message,
        "permission_error",
        Some("dry_run"),
        Some("dry_runs_off"),
    )
}

/// What would become of a request.
pub(super) fn dry_run(app: &App, incoming: &Incoming) -> Response {
    match app.gateway.explain(incoming) {
        Ok(explanation) => json(&explanation),
        Err(refused) => error::refusal(&refused),
    }
}

impl App {
    /// What a dry run of this request answers: status and JSON. `key` is one of the gateway's; without one there are no
    /// rights to look at, as for whoever has the configuration in hand.
    ///
    /// # Errors
    /// If a header is none.
    pub async fn explain(
        &self,
        operation: Operation,
        headers: &[(String, String)],
        key: Option<&str>,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), http::Error> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::try_from(name)?, HeaderValue::try_from(value)?);
        }
        let caller = match key {
            None => Ok(Caller::default()),
            Some(key) => {
                map.insert("x-api-key", HeaderValue::try_from(key)?);
                self.keys.caller(&map)
            }
        };
        let response = match caller {
            Err(unauthorized) => error::unauthorized(unauthorized),
            Ok(caller) => dry_run(
                self,
                &Incoming {
                    id: request_id(&map),
                    operation,
                    path_model: None,
                    headers: map,
                    body,
                    caller: caller.name,
                    allowed: caller.groups,
                },
            ),
        };
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await;
        Ok((status, body.unwrap_or_default()))
    }
}

/// The last decisions, the last one first; `?request=ID` for those of one request.
pub(super) async fn decisions(State(app): State<Arc<App>>, request: Request) -> Response {
    #[derive(Serialize)]
    struct List<T> {
        most: usize,
        decisions: T,
    }
    match app.gateway.decisions() {
        Some(kept) => json(&List {
            most: kept.most(),
            decisions: kept.list(parameter(request.uri(), "request").as_deref()),
        }),
        None => error::response(
            StatusCode::NOT_FOUND,
            "No decisions are kept: `waypost: decisions` is 0.",
            "invalid_request_error",
            None,
            Some("decisions_off"),
        ),
    }
}

/// The last value of a parameter in the query.
fn parameter(uri: &Uri, name: &str) -> Option<String> {
    let pairs = url::form_urlencoded::parse(uri.query()?.as_bytes());
    pairs
        .filter(|(key, _)| key == name)
        .last()
        .map(|(_, value)| value.into_owned())
}

/// For people to read as it is.
pub(super) fn json(body: &impl Serialize) -> Response {
    let Ok(mut text) = serde_json::to_vec_pretty(body) else {
        return error::internal();
    };
    text.push(b'\n');
    let mut response = Response::new(Body::from(text));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dry_runs_are_told_from_requests() {
        for (uri, header, expected) in [
            ("/v1/chat/completions", None, Some(false)),
            ("/v1/chat/completions?dry_run=1", None, Some(true)),
            ("/c?api-version=1&dry_run=true", None, Some(true)),
            ("/c?dry_run=0", None, Some(false)),
            ("/c?dry_run=0", Some("1"), Some(true)),
            ("/c", Some(" true "), Some(true)),
            ("/c", Some("0"), Some(false)),
            ("/c?dry_run=0&dry_run=1", None, Some(true)),
            ("/c?dry_run", None, None),
            ("/c?dry_run=yes", None, None),
            ("/c", Some("please"), None),
            ("/c?dryrun=1", None, Some(false)),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(value) = header {
                headers.insert(DRY_RUN, HeaderValue::from_static(value));
            }
            let uri = Uri::from_static(uri);
            assert_eq!(is_dry_run(&uri, &headers), expected, "{uri} {header:?}");
        }
    }
}
