//! The lab over HTTP, for people with curl and tests in other languages: what a [`Handle`] can, on a port of its own.
//!
//! | request | does |
//! |---|---|
//! | `GET /lab` | shows everything |
//! | `GET /lab/deployments/{name}` | shows one |
//! | `PUT /lab/deployments/{name}` | replaces the behaviour by the JSON in the body |
//! | `POST /lab/deployments/{name}/next` | `{"count": 2, "behaviour": {..}}`: the next requests get it |
//! | `POST /lab/deployments/{name}/reset` | back to the script |
//! | `POST /lab/deployments/{name}/release` | lets held answers pass |
//! | `POST /lab/deployments/{name}/close` | closes open connections |
//! | `GET /lab/deployments/{name}/requests` | what was received |
//! | `DELETE /lab/deployments/{name}/requests` | the same, and forgets it |

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::behaviour::Behaviour;
use super::handle::{Handle, Recorded};

/// No behaviour is longer.
const LONGEST_BODY: usize = 1 << 20;

/// Serves control requests until `stop`.
pub(super) async fn serve(listener: TcpListener, handles: Arc<[Handle]>, stop: CancellationToken) {
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            tokio::task::yield_now().await;
            continue;
        };
        let (handles, stop) = (Arc::clone(&handles), stop.clone());
        connections.spawn(async move {
            let service = service_fn(|request| answer(&handles, request));
            tokio::select! {
                _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service) => {}
                () = stop.cancelled() => {}
            }
        });
    }
    connections.close();
    connections.wait().await;
}

async fn answer(
    handles: &[Handle],
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let (status, content) = match Limited::new(body, LONGEST_BODY).collect().await {
        Ok(body) => control(handles, &head.method, head.uri.path(), &body.to_bytes()).await,
        Err(error) => problem(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    let mut response = Response::new(Full::from(content.to_string() + "\n"));
    *response.status_mut() = status;
    let json = http::HeaderValue::from_static("application/json");
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, json);
    Ok(response)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Next {
    #[serde(default = "once")]
    count: usize,
    behaviour: Behaviour,
}

const fn once() -> usize {
    1
}

async fn control(
    handles: &[Handle],
    method: &Method,
    path: &str,
    body: &[u8],
) -> (StatusCode, Value) {
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    let (name, action) = match segments.as_slice() {
        ["lab"] if method == Method::GET => {
            let deployments: Vec<Value> = handles.iter().map(state).collect();
            return (StatusCode::OK, json!({"deployments": deployments}));
        }
        ["lab", "deployments", name] => (*name, ""),
        ["lab", "deployments", name, action] => (*name, *action),
        _ => return problem(StatusCode::NOT_FOUND, "begin at GET /lab"),
    };
    let Some(handle) = handles.iter().find(|handle| handle.name() == name) else {
        let names: Vec<&str> = handles.iter().map(Handle::name).collect();
        let text = format!(
            "no deployment is called {name:?}; there are {}",
            names.join(", ")
        );
        return problem(StatusCode::NOT_FOUND, &text);
    };
    match (method.as_str(), action) {
        ("GET", "") => {}
        ("PUT", "") => match behaviour(body) {
            Ok(behaviour) => handle.set(behaviour),
            Err(text) => return problem(StatusCode::BAD_REQUEST, &text),
        },
        ("POST", "next") => match next(body) {
            Ok(next) => handle.behave_next(next.count, next.behaviour),
            Err(text) => return problem(StatusCode::BAD_REQUEST, &text),
        },
        ("POST", "reset") => handle.reset(),
        ("POST", "release") => handle.release(),
        ("POST", "close") => handle.close_connections().await,
        ("GET", "requests") => return (StatusCode::OK, requests(&handle.requests())),
        ("DELETE", "requests") => return (StatusCode::OK, requests(&handle.take_requests())),
        _ => {
            let text =
                "a deployment knows GET, PUT, POST next|reset|release|close, GET|DELETE requests";
            return problem(StatusCode::NOT_FOUND, text);
        }
    }
    handle.settled().await;
    (StatusCode::OK, state(handle))
}

fn behaviour(body: &[u8]) -> Result<Behaviour, String> {
    let behaviour: Behaviour = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    behaviour.validate()?;
    Ok(behaviour)
}

fn next(body: &[u8]) -> Result<Next, String> {
    let next: Next = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    next.behaviour.validate()?;
    Ok(next)
}

fn problem(status: StatusCode, text: &str) -> (StatusCode, Value) {
    (status, json!({"error": {"message": text}}))
}

/// What can be known about a deployment from outside.
pub(super) fn state(handle: &Handle) -> Value {
    let scripted = handle.scripted();
    json!({
        "name": handle.name(),
        "base_url": handle.base_url(),
        "root_url": handle.root_url(),
        "model": scripted.model,
        "group": scripted.group,
        "provider": scripted.provider,
        "listening": handle.is_listening(),
        "behaviour": handle.behaviour(),
        "queued": handle.queued(),
        "stats": handle.stats(),
    })
}

fn requests(requests: &[Recorded]) -> Value {
    requests
        .iter()
        .map(|request| {
            let headers: Map<String, Value> = request
                .headers
                .iter()
                .map(|(name, value)| {
                    (
                        name.to_string(),
                        String::from_utf8_lossy(value.as_bytes()).into(),
                    )
                })
                .collect();
            let body = serde_json::from_slice(&request.body).unwrap_or_else(|_| {
                Value::String(String::from_utf8_lossy(&request.body).into_owned())
            });
            json!({
                "method": request.method.as_str(),
                "path": request.path,
                "headers": headers,
                "body": body,
                "connection": request.connection,
            })
        })
        .collect()
}
