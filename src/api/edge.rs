//! What a listener serves, and the bodies of its answers.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use tower::ServiceExt;

use super::{App, BASES};
use crate::gateway::observe::ObservedBody;
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

/// The body of any answer.
#[derive(Debug)]
pub enum EdgeBody {
    /// Complete.
    Whole(Option<Bytes>),
    /// A stream under observation.
    Stream(Box<ObservedBody>),
    /// Anything else.
    Other(Body),
}

impl http_body::Body for EdgeBody {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(match &mut *self {
            Self::Whole(bytes) => bytes
                .take()
                .filter(|b| !b.is_empty())
                .map(|b| Ok(Frame::data(b))),
            Self::Stream(stream) => ready!(Pin::new(&mut **stream).poll_frame(cx))
                .map(|frame| frame.map_err(|never| match never {})),
            Self::Other(body) => {
                ready!(Pin::new(body).poll_frame(cx)).map(|frame| frame.map_err(Into::into))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
            Self::Stream(stream) => stream.is_end_stream(),
            Self::Other(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Self::Stream(stream) => stream.size_hint(),
            Self::Other(body) => body.size_hint(),
        }
    }
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
