//! The HTTP edge: every route on one screen. Decides nothing about routing.
//!
//! | Path | |
//! |---|---|
//! | `POST` `/chat/completions`, `/completions`, `/embeddings` | also under `/v1`, `/openai/v1`, and `/openai/deployments/{group}` |
//! | `GET` `/models`, `/models/{id}` | also under `/v1`, `/openai/v1` and `/openai` |
//! | `GET` `/livez`, `/health/liveliness`, `/health/liveness` | the process runs |
//! | `GET` `/readyz`, `/health/readiness` | it serves, is not draining, and may answer (`when_full: refuse`) |
//! | `GET` `/metrics` | here, or on a listener of its own |
//! | `GET` `/debug/decisions`, `POST` `/cache/purge` | on that listener only |

mod answer;
mod auth;
mod debug;
#[cfg(test)]
mod docs;
mod edge;
pub mod error;
mod health;
mod inference;
mod lane;
pub mod listen;
mod models;
mod purge;
mod unread;
mod workers;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};

use crate::config::Config;
use crate::gateway::{BuildError, Deps, Gateway};
use crate::types::Operation;

use auth::Keys;
pub use edge::Edge;
pub use workers::Workers;

/// Where the OpenAI paths may begin: OpenAI's own base, none (LiteLLM's), and Azure's newer one.
const BASES: [&str; 3] = ["/v1", "", "/openai/v1"];

/// A gateway with its edge.
#[derive(Debug)]
pub struct App {
    gateway: Gateway,
    keys: Keys,
    body_limit: usize,
    draining: AtomicBool,
    /// Model list entries carry a time of creation; this is ours.
    started: u64,
    metrics_here: bool,
    dry_runs: bool,
}

impl App {
    /// Puts `config` to work. Opens no connection and no port.
    ///
    /// # Errors
    /// If an address, header or TLS file turns out to be unusable.
    pub fn build(config: &Config, deps: Deps) -> Result<Arc<Self>, BuildError> {
        let started = deps.clock.unix().as_secs();
        Ok(Arc::new(Self {
            gateway: Gateway::build(config, deps)?,
            keys: Keys::new(&config.settings.keys),
            body_limit: config.settings.body_limit,
            draining: AtomicBool::new(false),
            started,
            metrics_here: config.settings.admin.is_none(),
            dry_runs: config.settings.dry_runs,
        }))
    }

    /// The gateway behind the edge.
    #[must_use]
    pub fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// From now on not ready; requests are served all the same.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// What the main listener serves.
    pub fn routes(self: &Arc<Self>) -> Edge {
        let mut router = Router::new();
        for base in BASES {
            for operation in Operation::ALL {
                let handler =
                    post(move |app, request| inference::named_in_body(operation, app, request));
                router = router.route(&format!("{base}/{}", operation.path()), handler);
            }
        }
        for operation in Operation::ALL {
            let path = format!("/openai/deployments/{{group}}/{}", operation.path());
            let handler = post(move |app, group, request| {
                inference::named_in_path(operation, app, group, request)
            });
            router = router.route(&path, handler);
        }
        for base in ["", "/v1", "/openai/v1", "/openai"] {
            router = router
                .route(&format!("{base}/models"), get(models::list))
                // Group names may hold slashes.
                .route(&format!("{base}/models/{{*id}}"), get(models::one));
        }
        if self.metrics_here {
            router = router.route("/metrics", get(health::metrics));
        }
        let routes = router
            .merge(health::probes())
            .fallback(not_found)
            .method_not_allowed_fallback(method_not_allowed)
            .with_state(Arc::clone(self));
        Edge::new(Some(Arc::clone(self)), routes)
    }

    /// What the listener for operators serves.
    pub fn admin_routes(self: &Arc<Self>) -> Edge {
        let router = health::probes()
            .route("/metrics", get(health::metrics))
            .route("/debug/decisions", get(debug::decisions))
            .route("/cache/purge", post(purge::cache));
        Edge::new(
            None,
            router.fallback(not_found).with_state(Arc::clone(self)),
        )
    }
}

async fn not_found(request: Request) -> Response {
    let message = format!(
        "There is nothing at {} {}. Requests go to POST /v1/chat/completions, /v1/completions or /v1/embeddings; \
         GET /v1/models lists the model groups.",
        request.method(),
        request.uri().path()
    );
    nothing(StatusCode::NOT_FOUND, &message, "unknown_url", request).await
}

async fn method_not_allowed(request: Request) -> Response {
    let (method, path) = (request.method(), request.uri().path());
    let message = format!("{method} is not allowed at {path}.");
    let status = StatusCode::METHOD_NOT_ALLOWED;
    nothing(status, &message, "method_not_allowed", request).await
}

async fn nothing(status: StatusCode, message: &str, code: &str, request: Request) -> Response {
    let response = error::response(status, message, "invalid_request_error", None, Some(code));
    let (head, body) = request.into_parts();
    unread::finish(&head.headers, body, response).await
}
