//! Chat, completions and embeddings: one handler, the operation differs.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_LENGTH;
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use http_body_util::BodyExt;
use rand::RngExt;

use super::answer::Answer;
use super::{App, debug, error, unread};
use crate::clock::Alarm;
use crate::gateway::Incoming;
use crate::types::Operation;

/// How long a client may take to send its body.
pub(super) const BODY_TIME: Duration = Duration::from_secs(300);

/// A request that names the group in its body.
pub(super) async fn named_in_body(
    operation: Operation,
    State(app): State<Arc<App>>,
    request: Request,
) -> Response {
    serve(app, operation, None, request).await
}

/// A request that names it in the path, Azure's form.
pub(super) async fn named_in_path(
    operation: Operation,
    State(app): State<Arc<App>>,
    Path(group): Path<String>,
    request: Request,
) -> Response {
    serve(app, operation, Some(group), request).await
}

async fn serve(
    app: Arc<App>,
    operation: Operation,
    path_model: Option<String>,
    request: Request,
) -> Response {
    let (head, mut body) = request.into_parts();
    let id = request_id(&head.headers);
    let dry_run = debug::is_dry_run(&head.uri, &head.headers);
    let refused = match app.keys.caller(&head.headers) {
        Err(unauthorized) => error::unauthorized(unauthorized),
        Ok(caller) => match read(&mut body, &head.headers, app.body_limit).await {
            Err(refusal) => refusal.response(app.body_limit),
            Ok(body) => {
                let incoming = Incoming {
                    id,
                    operation,
                    path_model,
                    headers: head.headers,
                    body,
                    caller: caller.name,
                    allowed: caller.groups,
                };
                let explained = match dry_run {
                    Some(false) => None,
                    Some(true) if !app.dry_runs => Some(debug::off()),
                    Some(true) => Some(debug::dry_run(&app, &incoming)),
                    None => Some(debug::unclear()),
                };
                if let Some(explained) = explained {
                    return Answer::error(explained, incoming.id, None).into_response();
                }
                let mut alarm = Alarm::default();
                // Boxed where it is made: a future of several kilobytes is not moved into place.
                return Box::pin(respond(&app, incoming, &mut alarm))
                    .await
                    .into_response();
            }
        },
    };
    let refused = unread::finish(&head.headers, body, refused).await;
    Answer::error(refused, id, None).into_response()
}

/// The answer to a request that was read.
pub(super) async fn respond(app: &App, incoming: Incoming, alarm: &mut Alarm) -> Answer {
    let id = Arc::clone(&incoming.id);
    // A panic is our fault; unwinding has given back whatever the request held.
    let handled = AssertUnwindSafe(app.gateway.handle(incoming, alarm)).catch_unwind();
    match handled.await {
        Ok(Ok(reply)) => Answer::reply(reply, id),
        Ok(Err(mut refusal)) => {
            let response = error::refusal(&refusal.error);
            refusal.record.status = response.status().as_u16();
            Answer::error(response, id, Some(refusal.facts.clone()))
        }
        Err(_) => {
            tracing::error!("a request's handler panicked");
            Answer::error(error::internal(), id, None)
        }
    }
}

/// The answer to a request whose body did not come in time.
pub(super) fn too_slow(id: Arc<str>) -> Answer {
    Answer::error(Unread::Slow.response(0), id, None)
}

/// The client's own id if it is fit for a header and a log, else a new one.
pub(super) fn request_id(headers: &HeaderMap) -> Arc<str> {
    let fit = |id: &&str| {
        (1..=128).contains(&id.len())
            && id
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    };
    match headers
        .get("x-request-id")
        .and_then(|v| v.to_str().ok())
        .filter(fit)
    {
        Some(id) => id.into(),
        None => new_id(),
    }
}

/// `req_` and 128 random bits in hexadecimal.
fn new_id() -> Arc<str> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut id = *b"req_00000000000000000000000000000000";
    for (pair, byte) in id[4..]
        .chunks_exact_mut(2)
        .zip(rand::rng().random::<[u8; 16]>())
    {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    std::str::from_utf8(&id).unwrap_or_default().into()
}

/// Why a body could not be read.
enum Unread {
    TooLarge,
    Slow,
    Broken,
    NotJson,
}

impl Unread {
    fn response(&self, limit: usize) -> Response {
        use axum::http::StatusCode as S;
        let (status, message, code) = match self {
            Self::TooLarge => (
                S::PAYLOAD_TOO_LARGE,
                format!(
                    "The request body is larger than the {limit} bytes this gateway accepts (`waypost: body_limit`)."
                ),
                "request_too_large",
            ),
            Self::Slow => (
                S::REQUEST_TIMEOUT,
                "The request body did not arrive in time.".to_owned(),
                "request_timeout",
            ),
            Self::Broken => (
                S::BAD_REQUEST,
                "The request body could not be read.".to_owned(),
                "invalid_body",
            ),
            Self::NotJson => (
                S::UNSUPPORTED_MEDIA_TYPE,
                "The request's content-encoding is not supported: send the JSON body as it is."
                    .to_owned(),
                "unsupported_encoding",
            ),
        };
        error::response(status, &message, "invalid_request_error", None, Some(code))
    }
}

async fn read(body: &mut Body, headers: &HeaderMap, limit: usize) -> Result<Bytes, Unread> {
    if headers
        .get("content-encoding")
        .is_some_and(|v| !v.as_bytes().eq_ignore_ascii_case(b"identity"))
    {
        return Err(Unread::NotJson);
    }
    let declared = headers
        .get(CONTENT_LENGTH)
        .and_then(|v| v.to_str().ok())
        .and_then(|v| v.parse::<u64>().ok());
    if declared.is_some_and(|n| n > limit as u64) {
        return Err(Unread::TooLarge);
    }
    tokio::time::timeout(BODY_TIME, collect(body, limit))
        .await
        .unwrap_or(Err(Unread::Slow)) // armed only if it has to wait
}

async fn collect(body: &mut Body, limit: usize) -> Result<Bytes, Unread> {
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(chunk) = frame.map_err(|_| Unread::Broken)?.into_data() else {
            continue;
        };
        if first.len() + all.len() + chunk.len() > limit {
            return Err(Unread::TooLarge);
        }
        if first.is_empty() && all.is_empty() {
            first = chunk; // most bodies come in one piece
        } else {
            all.extend_from_slice(&std::mem::take(&mut first));
            all.extend_from_slice(&chunk);
        }
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}
