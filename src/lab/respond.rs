//! One request, from its first byte to its answer: read, record, choose the behaviour, refuse or answer.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response};
use http_body_util::BodyExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use rand::RngExt as _;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::answer::{Answer, Asked};
use super::behaviour::Behaviour;
use super::body::{Gate, body_of, play_before};
use super::fault::Fault;
use super::handle::{Prepared, Recorded, Shared};
use super::play::Play;
use super::refusal::Refusal;
use super::route::{Route, Style, route};
use super::server::Connection;
use super::stats::InFlight;
use super::{chat, completions, embeddings};
use crate::clock::{Clock as _, SystemClock};
use crate::types::Operation;

/// The body of every answer.
pub(super) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// Answers one request. An error closes the connection without an answer.
pub(super) async fn respond(
    shared: Arc<Shared>,
    connection: Arc<Connection>,
    request: Request<Incoming>,
) -> Result<Response<Body>, io::Error> {
    let (head, mut body) = request.into_parts();
    let reused = connection.is_reused();
    let route = route(head.uri.path(), head.uri.query());
    let operation = match &route {
        Some(Route::Call(operation, _)) if head.method == Method::POST => Some(*operation),
        _ => None,
    };
    let prepared = shared.behaviour(operation.is_some());
    let Prepared { behaviour, canned } = &*prepared;

    if let Some(canned) = canned {
        while let Some(frame) = body.frame().await {
            frame.map_err(io::Error::other)?;
        }
        let (kind, body) = canned.answer(InFlight::begin(&shared.stats, operation));
        let mut response = Response::new(body);
        response
            .headers_mut()
            .insert(http::header::CONTENT_TYPE, HeaderValue::from_static(kind));
        add_headers(&mut response, behaviour.headers.iter());
        return Ok(response);
    }

    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let recorded = Recorded {
        method: head.method,
        path: head.uri.to_string(),
        headers: head.headers,
        body,
        received: Instant::now(),
        connection: connection.number,
    };
    let gate = Gate::new(&shared.releases);
    shared.record(recorded.clone());
    let in_flight = InFlight::begin(&shared.stats, operation);
    let (number, mut rng) = shared.draw();
    let play = decide(
        &shared, &recorded, route, reused, number, behaviour, &mut rng,
    );
    perform(
        &shared,
        &connection,
        number,
        play,
        behaviour,
        gate,
        in_flight,
    )
    .await
}

/// Does what was decided.
async fn perform(
    shared: &Shared,
    connection: &Connection,
    number: u64,
    play: Play,
    behaviour: &Behaviour,
    mut gate: Gate,
    mut in_flight: InFlight,
) -> Result<Response<Body>, io::Error> {
    play_before(play.before, &mut gate, &mut in_flight).await;
    let Some(head) = play.head else {
        in_flight.finish();
        connection.reset();
        return Err(io::Error::other("reset as scripted"));
    };
    let mut response = Response::new(body_of(play.body, gate, in_flight));
    *response.status_mut() = head.status;
    if let Some(length) = head.length {
        response
            .headers_mut()
            .insert(http::header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    let own = [
        ("x-request-id".to_owned(), format!("req_lab{number:06}")),
        ("x-lab-deployment".to_owned(), shared.scripted.name.clone()),
    ];
    add_headers(
        &mut response,
        own.iter()
            .chain(&head.headers)
            .map(|(name, value)| (name, value)),
    );
    add_headers(&mut response, behaviour.headers.iter());
    Ok(response)
}

/// Adds headers; what is no header was refused when the behaviour was read, and is left out if set from code.
fn add_headers<'a>(
    response: &mut Response<Body>,
    headers: impl Iterator<Item = (&'a String, &'a String)>,
) {
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse::<HeaderValue>()) {
            response.headers_mut().insert(name, value);
        }
    }
}

/// What a request gets. The order is that of a real service: path, key, then what is wrong with the deployment, then
/// what is wrong with the request.
fn decide(
    shared: &Shared,
    request: &Recorded,
    route: Option<Route>,
    reused: bool,
    number: u64,
    behaviour: &Behaviour,
    rng: &mut StdRng,
) -> Play {
    let refuse = |refusal: Refusal, rng: &mut StdRng| Play::refusal(refusal, behaviour, rng);
    let path = request.path.split('?').next().unwrap_or_default();
    let (operation, style) = match route {
        None => return refuse(Refusal::unknown_path(request.method.as_str(), path), rng),
        Some(Route::Health | Route::Models | Route::Model(_)) if request.method != Method::GET => {
            return refuse(Refusal::wrong_method(request.method.as_str()), rng);
        }
        Some(Route::Health) => return listing(health(behaviour), behaviour, rng),
        Some(route @ (Route::Models | Route::Model(_))) => {
            if let Some(refusal) = wrong_key(request, behaviour, false) {
                return refuse(refusal, rng);
            }
            return listing(models(&route, shared, behaviour), behaviour, rng);
        }
        Some(Route::Call(..)) if request.method != Method::POST => {
            return refuse(Refusal::wrong_method(request.method.as_str()), rng);
        }
        Some(Route::Call(operation, style)) => (operation, style),
    };
    if matches!(
        style,
        Style::Azure {
            api_version: None,
            ..
        }
    ) {
        return refuse(Refusal::unknown_resource(), rng);
    }
    if behaviour.completions_only && operation == Operation::Chat {
        return refuse(Refusal::unknown_path(request.method.as_str(), path), rng);
    }
    let azure = style.is_azure();
    if let Some(refusal) = wrong_key(request, behaviour, azure) {
        return refuse(refusal, rng);
    }

    let parsed = serde_json::from_slice(&request.body)
        .ok()
        .filter(Value::is_object);
    let valid = parsed.is_some();
    let body = parsed.unwrap_or_else(|| json!({}));
    let asked = Asked {
        operation,
        style,
        body,
        number,
        created: now(),
    };

    let fault = behaviour.fault_for(rng.random());
    if let Some(fault) = fault {
        match fault {
            Fault::Reset | Fault::Refused => return Play::reset(behaviour, rng),
            Fault::ResetReused if reused => return Play::reset(behaviour, rng),
            // In a stream these are events; `play` knows.
            Fault::StreamError { .. } | Fault::MalformedEvent { .. } if asked.stream() => {}
            fault => {
                let credential = credential(request).unwrap_or_default();
                if let Some(refusal) =
                    Refusal::of(fault, &credential, asked.model(behaviour), azure)
                {
                    return refuse(refusal, rng);
                }
            }
        }
    }
    if let Some(refusal) = wrong_request(&asked, valid, behaviour) {
        return refuse(refusal, rng);
    }
    let answer = match operation {
        Operation::Chat => chat::answer(&asked, behaviour),
        Operation::Completions => completions::answer(&asked, behaviour),
        Operation::Embeddings => embeddings::answer(&asked, behaviour),
    };
    Play::answer(answer, behaviour, fault, rng)
}

/// The key header as it came: `Authorization` with its scheme, or `api-key`.
fn credential(request: &Recorded) -> Option<String> {
    let bytes = ["authorization", "api-key"]
        .into_iter()
        .find_map(|name| request.headers.get(name))?;
    Some(String::from_utf8_lossy(bytes.as_bytes()).into_owned())
}

fn wrong_key(request: &Recorded, behaviour: &Behaviour, azure: bool) -> Option<Refusal> {
    let expected = behaviour.expect_key.as_deref()?;
    let bearer = request
        .header("authorization")
        .and_then(|value| value.strip_prefix("Bearer "));
    let given = if azure {
        request.header("api-key").or(bearer)
    } else {
        bearer
    };
    (given != Some(expected)).then(|| Refusal::wrong_key(azure))
}

/// Request fields that came with a dated version of Azure's API: before it, they are refused.
const DATED_FIELDS: [(Operation, &str, &str); 7] = [
    (Operation::Chat, "stream_options", "2024-09-01"),
    (Operation::Chat, "max_completion_tokens", "2024-09-01"),
    (Operation::Chat, "parallel_tool_calls", "2024-09-01"),
    (Operation::Completions, "stream_options", "2024-09-01"),
    (Operation::Embeddings, "dimensions", "2024-03-01"),
    (Operation::Embeddings, "encoding_format", "2024-03-01"),
    (Operation::Chat, "reasoning_effort", "2024-09-01"),
];

fn wrong_request(asked: &Asked, valid: bool, behaviour: &Behaviour) -> Option<Refusal> {
    if !valid {
        return Some(Refusal::unparsable());
    }
    let dated = DATED_FIELDS
        .into_iter()
        .filter(|(operation, _, date)| {
            *operation == asked.operation && asked.style.is_older_than(date)
        })
        .map(|(_, field, _)| field);
    let unknown = behaviour
        .refuse_fields
        .iter()
        .map(String::as_str)
        .chain(dated);
    if let Some(field) = unknown
        .into_iter()
        .find(|field| asked.body.get(*field).is_some())
    {
        return Some(Refusal::unrecognized(field));
    }
    let named_in_path = matches!(asked.style, Style::Azure { .. });
    let needed = match asked.operation {
        Operation::Chat => "messages",
        Operation::Completions => "prompt",
        Operation::Embeddings => "input",
    };
    if !named_in_path && !asked.body["model"].is_string() {
        return Some(Refusal::missing("model"));
    }
    asked
        .body
        .get(needed)
        .is_none()
        .then(|| Refusal::missing(needed))
}

/// A plain answer that is not one of the three operations.
fn listing(content: Result<Value, Refusal>, behaviour: &Behaviour, rng: &mut StdRng) -> Play {
    match content {
        Ok(body) => Play::answer(
            Answer::Whole { body, tokens: 0 },
            &Behaviour::default(),
            None,
            rng,
        ),
        Err(refusal) => Play::refusal(refusal, behaviour, rng),
    }
}

fn health(behaviour: &Behaviour) -> Result<Value, Refusal> {
    match behaviour.fault {
        Some(Fault::Loading) => {
            Refusal::of(&Fault::Loading, "", "", false).map_or(Ok(Value::Null), Err)
        }
        _ => Ok(json!({"status": "ok"})),
    }
}

fn models(route: &Route, shared: &Shared, behaviour: &Behaviour) -> Result<Value, Refusal> {
    let model = |id: &str| json!({"id": id, "object": "model", "created": 1_700_000_000, "owned_by": "lab"});
    let own = std::slice::from_ref(&shared.scripted.model);
    let known = if behaviour.models.is_empty() {
        own
    } else {
        &behaviour.models
    };
    match route {
        Route::Model(id) if known.contains(id) => Ok(model(id)),
        Route::Model(id) => Err(Refusal::unknown_model(id)),
        Route::Models | Route::Health | Route::Call(..) => {
            let data: Vec<Value> = known.iter().map(|id| model(id)).collect();
            Ok(json!({"object": "list", "data": data}))
        }
    }
}

fn now() -> u64 {
    SystemClock.unix().as_secs()
}
