//! What becomes of a body that nobody has read when its answer is ready.

use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::http::header::{CONNECTION, EXPECT};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use http_body_util::BodyExt;

/// Up to this size it is read, so that the connection can go on.
const SMALL: u64 = 64 * 1024;
/// And within this time.
const SOON: Duration = Duration::from_secs(1);

/// Reads what is left of a small body. After a larger one the connection can't go on, and `response` says so: a client
/// that finds it closed with its next request would take that for a failure.
pub(super) async fn finish(headers: &HeaderMap, body: Body, mut response: Response) -> Response {
    // A client that asked whether to send it has its answer; reading would be to say yes.
    let wanted = !headers.contains_key(EXPECT) && body.size_hint().lower() <= SMALL;
    let read = wanted && tokio::time::timeout(SOON, is_read(body)).await == Ok(true);
    if !read {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
    response
}

/// Whether it comes to its end before it is too large.
async fn is_read(mut body: Body) -> bool {
    let mut read = 0;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return false };
        read += frame.data_ref().map_or(0, |data| data.len() as u64);
        if read > SMALL {
            return false;
        }
    }
    true
}
