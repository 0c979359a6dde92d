//! The model groups as OpenAI lists models. A key sees the groups it may use.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::auth::Caller;
use super::{App, error};

pub(super) async fn list(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    match app.keys.caller(&headers) {
        Ok(caller) => {
            let data: Vec<Value> = visible(&app, &caller).map(|id| model(&app, id)).collect();
            Json(json!({"object": "list", "data": data})).into_response()
        }
        Err(unauthorized) => error::unauthorized(unauthorized),
    }
}

pub(super) async fn one(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    match app.keys.caller(&headers) {
        Ok(caller) => match visible(&app, &caller).find(|group| ***group == *id) {
            Some(group) => Json(model(&app, group)).into_response(),
            None => error::unknown_model(&id, &visible(&app, &caller).cloned().collect::<Vec<_>>()),
        },
        Err(unauthorized) => error::unauthorized(unauthorized),
    }
}

fn visible<'a>(app: &'a App, caller: &'a Caller) -> impl Iterator<Item = &'a Arc<str>> {
    let may = |id: &&Arc<str>| {
        caller
            .groups
            .as_ref()
            .is_none_or(|groups| groups.contains(id))
    };
    app.gateway
        .snapshot()
        .groups()
        .iter()
        .map(|g| &g.id)
        .filter(may)
}

fn model(app: &App, id: &Arc<str>) -> Value {
    json!({"id": **id, "object": "model", "created": app.started, "owned_by": "waypost"})
}
