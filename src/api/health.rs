//! Probes and metrics. None of them calls an upstream or waits for anything.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;

use super::App;

pub(super) fn probes() -> Router<Arc<App>> {
    Router::new()
        .route("/livez", get(alive))
        .route("/health/liveliness", get(alive))
        .route("/health/liveness", get(alive))
        .route("/readyz", get(ready))
        .route("/health/readiness", get(ready))
}

/// Green while draining, too: a process that finishes its streams must not be killed for it.
async fn alive() -> impl IntoResponse {
    "I'm alive!"
}

async fn ready(State(app): State<Arc<App>>) -> impl IntoResponse {
    if app.draining.load(Ordering::Acquire) {
        (StatusCode::SERVICE_UNAVAILABLE, "draining")
    } else if app.gateway.is_refusing() {
        // It would refuse whatever is sent to it, and others have disks of their own. Still alive: a new start would not
        // make room.
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "the ledger can't be written",
        )
    } else {
        (StatusCode::OK, "ready")
    }
}

pub(super) async fn metrics(State(app): State<Arc<App>>) -> impl IntoResponse {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], app.gateway.metrics())
}
