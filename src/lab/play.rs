//! From what is said to how it travels: an answer becomes a list of steps (wait, send, hold, hang, cut).
//!
//! This is where latency, framing, chunking and the faults of a stream are decided, without a socket and without a
//! clock: the waits are drawn here and waited for in `body`. So every fault can be tested as a list.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use rand::Rng;
use serde_json::{Value, json};

use super::answer::{Answer, Event, Part};
use super::behaviour::{Behaviour, Chunking, Framing};
use super::fault::{Fault, Hold};
use super::latency::Latency;
use super::refusal::{JSON, MALFORMED, Refusal, error_inside};

/// One thing an answer does.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// Nothing for a while.
    Wait(Duration),
    /// One write.
    Send(Bytes),
    /// Nothing until released.
    Hold,
    /// Nothing ever, but this comment at this interval.
    Hang(Option<(Duration, Bytes)>),
    /// The connection closes, the body unfinished.
    Cut,
}

/// How an answer travels.
#[derive(Debug, PartialEq)]
pub(super) struct Play {
    /// What happens before the head.
    pub(super) before: Vec<Step>,
    /// The head; `None` resets the connection instead.
    pub(super) head: Option<Head>,
    /// What happens after it.
    pub(super) body: Vec<Step>,
}

/// Status and headers.
#[derive(Debug, PartialEq)]
pub(super) struct Head {
    pub(super) status: StatusCode,
    pub(super) headers: Vec<(String, String)>,
    /// The length it promises; a stream promises none.
    pub(super) length: Option<usize>,
}

impl Play {
    /// The request is read and the connection reset.
    pub(super) fn reset(behaviour: &Behaviour, rng: &mut impl Rng) -> Self {
        Self {
            before: before(behaviour, Duration::ZERO, rng),
            head: None,
            body: Vec::new(),
        }
    }

    /// A refusal: as fast as the head comes.
    pub(super) fn refusal(refusal: Refusal, behaviour: &Behaviour, rng: &mut impl Rng) -> Self {
        let mut headers = refusal.headers;
        let (body, kind) = match refusal.body {
            Value::String(text) => (Bytes::from(text), "text/html"),
            Value::Null => (Bytes::new(), "text/html"),
            json => (Bytes::from(json.to_string()), JSON),
        };
        if !headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("content-type"))
        {
            headers.push(("content-type".into(), kind.into()));
        }
        let head = Head {
            status: refusal.status,
            headers,
            length: Some(body.len()),
        };
        let body = if body.is_empty() {
            Vec::new()
        } else {
            vec![Step::Send(body)]
        };
        Self {
            before: before(behaviour, Duration::ZERO, rng),
            head: Some(head),
            body,
        }
    }

    /// An answer, with whatever `fault` does to it on its way.
    pub(super) fn answer(
        answer: Answer,
        behaviour: &Behaviour,
        fault: Option<&Fault>,
        rng: &mut impl Rng,
    ) -> Self {
        let mut play = match answer {
            Answer::Whole { body, tokens } => whole(&body, tokens, behaviour, fault, rng),
            Answer::Stream(events) => stream(events, behaviour, fault, rng),
        };
        if fault == Some(&Fault::HangBeforeHead) {
            play.before.push(Step::Hang(None));
        }
        play.body = match behaviour.chunking {
            Chunking::Whole => play.body,
            Chunking::SplitBytes(size) => split(play.body, size, None),
            Chunking::Coalesced => coalesced(play.body),
        };
        if let Some(Fault::SlowDrip { bytes, every }) = fault {
            play.body = split(play.body, *bytes, Some(*every));
        }
        play
    }
}

fn before(behaviour: &Behaviour, extra: Duration, rng: &mut impl Rng) -> Vec<Step> {
    let mut steps = Vec::new();
    push_wait(&mut steps, behaviour.head.sample(rng) + extra);
    if behaviour.hold == Some(Hold::BeforeHead) {
        steps.push(Step::Hold);
    }
    steps
}

fn push_wait(steps: &mut Vec<Step>, wait: Duration) {
    if !wait.is_zero() {
        steps.push(Step::Wait(wait));
    }
}

/// A plain answer: all its waits come before its head.
fn whole(
    body: &Value,
    tokens: usize,
    behaviour: &Behaviour,
    fault: Option<&Fault>,
    rng: &mut impl Rng,
) -> Play {
    let mut wait = behaviour.first_token.sample(rng);
    if behaviour.per_token != Latency::ZERO {
        wait += (1..tokens)
            .map(|_| behaviour.per_token.sample(rng))
            .sum::<Duration>();
    }
    let bytes = Bytes::from(body.to_string());
    let length = bytes.len();
    let (first, rest) = (bytes.slice(..length / 2), bytes.slice(length / 2..));
    let steps = match (fault, behaviour.hold) {
        (Some(Fault::HangBeforeContent), _) => vec![Step::Hang(None)],
        (Some(Fault::Stall { .. }), _) => vec![Step::Send(first), Step::Hang(None)],
        (Some(Fault::Cut { .. } | Fault::TruncatedBody), _) => vec![Step::Send(first), Step::Cut],
        (_, Some(Hold::BeforeContent)) => vec![Step::Hold, Step::Send(bytes)],
        (_, Some(Hold::After(_))) => vec![Step::Send(first), Step::Hold, Step::Send(rest)],
        (_, Some(Hold::BeforeHead) | None) => vec![Step::Send(bytes)],
    };
    let headers = vec![("content-type".into(), JSON.into())];
    Play {
        before: before(behaviour, wait, rng),
        head: Some(Head {
            status: StatusCode::OK,
            headers,
            length: Some(length),
        }),
        body: steps,
    }
}

/// What a fault does to a stream when its place is reached.
enum Strike {
    Hang,
    Cut,
    End,
    /// The event, and whether the stream goes on after it.
    Insert(String, bool),
}

fn strike(fault: Option<&Fault>, events: &[Event]) -> Option<(usize, Strike)> {
    match fault? {
        Fault::HangBeforeContent => Some((0, Strike::Hang)),
        Fault::Stall { after } => Some((*after, Strike::Hang)),
        Fault::Cut { after } => Some((*after, Strike::Cut)),
        Fault::TruncatedBody => {
            let contents = events
                .iter()
                .filter(|event| event.part == Part::Content)
                .count();
            Some((contents / 2, Strike::Cut))
        }
        Fault::EndEarly { after } => Some((*after, Strike::End)),
        Fault::StreamError { after, kind } => Some((
            *after,
            Strike::Insert(error_inside(kind).to_string(), false),
        )),
        Fault::EmptyChoices { after } => {
            Some((*after, Strike::Insert(empty_choices(events), true)))
        }
        Fault::MalformedEvent { after } => {
            Some((*after, Strike::Insert(MALFORMED.to_owned(), true)))
        }
        _ => None,
    }
}

/// A chunk like its neighbours, but without choices.
fn empty_choices(events: &[Event]) -> String {
    let mut chunk = events
        .iter()
        .find(|event| event.part == Part::Content)
        .and_then(|event| serde_json::from_str(&event.data).ok())
        .unwrap_or_else(|| json!({}));
    chunk["choices"] = json!([]);
    chunk.to_string()
}

fn stream(
    events: Vec<Event>,
    behaviour: &Behaviour,
    fault: Option<&Fault>,
    rng: &mut impl Rng,
) -> Play {
    let headers = vec![
        (
            "content-type".into(),
            "text/event-stream; charset=utf-8".into(),
        ),
        ("cache-control".into(), "no-cache".into()),
    ];
    Play {
        before: before(behaviour, Duration::ZERO, rng),
        head: Some(Head {
            status: StatusCode::OK,
            headers,
            length: None,
        }),
        body: stream_steps(events, behaviour, fault, rng),
    }
}

fn stream_steps(
    events: Vec<Event>,
    behaviour: &Behaviour,
    fault: Option<&Fault>,
    rng: &mut impl Rng,
) -> Vec<Step> {
    let mut strike = strike(fault, &events);
    let mut hold = match behaviour.hold {
        Some(Hold::BeforeContent) => Some(0),
        Some(Hold::After(tokens)) => Some(tokens),
        Some(Hold::BeforeHead) | None => None,
    };
    let heartbeat = behaviour
        .heartbeat
        .map(|every| (every, comment(behaviour.framing)));
    let frame = |data: &str| Step::Send(frame(data, behaviour.framing));
    let mut steps = Vec::with_capacity(events.len());
    let mut said = 0;
    for event in events {
        let content = event.part == Part::Content;
        if content {
            let latency = if said == 0 {
                behaviour.first_token
            } else {
                behaviour.per_token
            };
            wait_with_heartbeat(&mut steps, latency.sample(rng), heartbeat.as_ref());
        }
        // What was to come after more content than there is comes at the end of the content.
        let reached = |place: usize| (content && said >= place) || event.part == Part::Tail;
        if hold.is_some_and(reached) {
            hold = None;
            steps.push(Step::Hold);
        }
        if let Some((_, what)) = strike.take_if(|(place, _)| reached(*place)) {
            match what {
                Strike::Hang => steps.push(Step::Hang(heartbeat.clone())),
                Strike::Cut => steps.push(Step::Cut),
                Strike::End => {}
                Strike::Insert(data, true) => {
                    steps.push(frame(&data));
                    steps.push(frame(&event.data));
                    said += usize::from(content);
                    continue;
                }
                Strike::Insert(data, false) => steps.push(frame(&data)),
            }
            return steps;
        }
        steps.push(frame(&event.data));
        said += usize::from(content);
    }
    steps
}

fn wait_with_heartbeat(
    steps: &mut Vec<Step>,
    mut wait: Duration,
    heartbeat: Option<&(Duration, Bytes)>,
) {
    if let Some((every, comment)) = heartbeat
        && !every.is_zero()
    {
        while wait > *every {
            steps.push(Step::Wait(*every));
            steps.push(Step::Send(comment.clone()));
            wait -= *every;
        }
    }
    push_wait(steps, wait);
}

fn frame(data: &str, framing: Framing) -> Bytes {
    match framing {
        Framing::Lf => format!("data: {data}\n\n"),
        Framing::Crlf => format!("data: {data}\r\n\r\n"),
        Framing::Compact => format!("data:{data}\n\n"),
    }
    .into()
}

fn comment(framing: Framing) -> Bytes {
    match framing {
        Framing::Lf | Framing::Compact => Bytes::from_static(b": keep-alive\n\n"),
        Framing::Crlf => Bytes::from_static(b": keep-alive\r\n\r\n"),
    }
}

/// Every write in writes of at most `size` bytes, with a pause after each if one is given.
fn split(steps: Vec<Step>, size: usize, pause: Option<Duration>) -> Vec<Step> {
    let size = size.max(1);
    let mut out = Vec::new();
    for step in steps {
        match step {
            Step::Send(mut bytes) => {
                while !bytes.is_empty() {
                    out.push(Step::Send(bytes.split_to(size.min(bytes.len()))));
                    if let Some(pause) = pause
                        && !bytes.is_empty()
                    {
                        out.push(Step::Wait(pause));
                    }
                }
            }
            other @ (Step::Wait(_) | Step::Hold | Step::Hang(_) | Step::Cut) => out.push(other),
        }
    }
    out
}

/// Neighbouring writes as one.
fn coalesced(steps: Vec<Step>) -> Vec<Step> {
    let mut out = Vec::new();
    let mut gathered = BytesMut::new();
    for step in steps {
        match step {
            Step::Send(bytes) => gathered.extend_from_slice(&bytes),
            other @ (Step::Wait(_) | Step::Hold | Step::Hang(_) | Step::Cut) => {
                if !gathered.is_empty() {
                    out.push(Step::Send(gathered.split().freeze()));
                }
                out.push(other);
            }
        }
    }
    if !gathered.is_empty() {
        out.push(Step::Send(gathered.freeze()));
    }
    out
}

#[cfg(test)]
mod tests;
