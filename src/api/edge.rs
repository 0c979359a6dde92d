//! What a listener serves.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use http::{Request, Response};
use hyper::body::Incoming;
use tower::ServiceExt;

use super::{App, BASES};
use crate::types::Operation;

/// All that a listener serves.
#[derive(Debug, Clone)]
pub struct Edge {
    app: Option<Arc<App>>,
    routes: Router,
}

impl Edge {
    /// `routes`; if an `app` is given, its inference paths need not go through them.
    pub(super) const fn new(app: Option<Arc<App>>, routes: Router) -> Self {
        Self { app, routes }
    }

    pub(super) const fn app(&self) -> Option<&Arc<App>> {
        self.app.as_ref()
    }

    pub(super) async fn call(
        self,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Infallible> {
        self.routes.oneshot(request.map(Body::new)).await
    }
}

/// The operation a path names, in one of the forms that need no parameter.
pub(super) fn operation(path: &str) -> Option<Operation> {
    BASES.iter().find_map(|base| {
        let rest = path.strip_prefix(base)?.strip_prefix('/')?;
        Operation::ALL.into_iter().find(|o| o.path() == rest)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lane_is_for_exact_paths() {
        for (path, expected) in [
            ("/v1/chat/completions", Some(Operation::Chat)),
            ("/chat/completions", Some(Operation::Chat)),
            ("/openai/v1/embeddings", Some(Operation::Embeddings)),
            ("/v1/completions", Some(Operation::Completions)),
            ("/v1/v1/completions", None),
            ("/v1/completions/", None),
            ("/v2/completions", None),
            ("/openai/deployments/g/chat/completions", None),
            ("v1/completions", None),
        ] {
            assert_eq!(operation(path), expected, "{path}");
        }
    }
}
