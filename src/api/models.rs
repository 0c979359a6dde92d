//! The names a client may put into `model` as OpenAI lists models. A key sees what it may use.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::auth::Caller;
use super::{App, error};

/// Groups, wildcards as they are, and aliases that are not hidden.
pub(super) async fn list(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    match app.keys.caller(&headers) {
        Ok(caller) => {
            let data: Vec<Value> = visible(&app, &caller).map(|id| model(&app, id)).collect();
            Json(json!({"object": "list", "data": data})).into_response()
        }
        Err(unauthorized) => error::unauthorized(unauthorized),
    }
}

/// Any name that a request may have, and those of the list.
pub(super) async fn one(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let caller = match app.keys.caller(&headers) {
        Ok(caller) => caller,
        Err(unauthorized) => return error::unauthorized(unauthorized),
    };
    let resolved = || app.gateway.snapshot().resolve(&id);
    let listed = visible(&app, &caller).any(|name| **name == *id);
    if listed || resolved().is_some_and(|group| may(&caller, &group.owner)) {
        Json(model(&app, &id)).into_response()
    } else {
        error::unknown_model(&id, &visible(&app, &caller).cloned().collect::<Vec<_>>())
    }
}

/// Whether the caller may use this group.
fn may(caller: &Caller, group: &Arc<str>) -> bool {
    let groups = caller.groups.as_ref();
    groups.is_none_or(|groups| groups.contains(group))
}

fn visible<'a>(app: &'a App, caller: &'a Caller) -> impl Iterator<Item = &'a Arc<str>> {
    let listed = app.gateway.snapshot().listed();
    listed
        .filter(|(_, owner)| may(caller, owner))
        .map(|(name, _)| name)
}

fn model(app: &App, id: &str) -> Value {
    json!({"id": id, "object": "model", "created": app.started, "owned_by": "waypost"})
}
