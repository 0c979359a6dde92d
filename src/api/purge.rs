//! `POST /cache/purge`, for operators.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::{App, debug, error};
use crate::gateway::purges::Purge;

/// What is to be purged: one of them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    key: Option<String>,
    group: Option<String>,
    all: Option<bool>,
}

impl Wanted {
    fn purge(self) -> Result<Purge, &'static str> {
        match (self.key, self.group, self.all) {
            (Some(key), None, None) => {
                Purge::key(&key).ok_or("`key` is 64 hex digits, as in `x-waypost-cache-key`.")
            }
            (None, Some(group), None) => Ok(Purge::Group(group)),
            (None, None, Some(true)) => Ok(Purge::All),
            _ => Err(
                "The body is one of {\"key\": \"HEX\"}, {\"group\": \"NAME\"} and {\"all\": true}.",
            ),
        }
    }
}

/// Purges, and says what was.
pub(super) async fn cache(
    State(app): State<Arc<App>>,
    wanted: Result<Json<Wanted>, JsonRejection>,
) -> Response {
    #[derive(Serialize)]
    struct Done {
        /// The groups.
        purged: Vec<String>,
    }
    let refused = |status, message: &str, code| {
        error::response(status, message, "invalid_request_error", None, Some(code))
    };
    let purge = match wanted {
        Ok(Json(wanted)) => wanted.purge().map_err(str::to_owned),
        Err(why) => Err(why.body_text()),
    };
    let purge = match purge {
        Ok(purge) => purge,
        Err(why) => return refused(StatusCode::BAD_REQUEST, &why, "invalid_purge"),
    };
    let Some(outcome) = app.gateway.purge(&purge).await else {
        let message =
            "There is no such group in the configuration, or it has no cache (`cache_responses`).";
        return refused(StatusCode::NOT_FOUND, message, "no_such_cache");
    };
    if outcome.failed.is_empty() {
        return debug::json(&Done {
            purged: outcome.groups,
        });
    }
    let failed: Vec<_> = outcome
        .failed
        .iter()
        .map(|(group, why)| format!("`{group}` ({why})"))
        .collect();
    let message = format!(
        "Purged in the memory of this process alone, and not in Redis: {}. Purge again when Redis is back.",
        failed.join(", ")
    );
    error::response(
        StatusCode::SERVICE_UNAVAILABLE,
        &message,
        "server_error",
        None,
        Some("redis_unavailable"),
    )
}
