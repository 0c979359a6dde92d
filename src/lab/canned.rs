//! Prebuilt answers for benches: the bytes are made once, when the behaviour is set, and a request costs no JSON work.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;
use serde_json::json;
use tokio::time::Instant;

use super::behaviour::Canned;
use super::stats::InFlight;

/// The bytes of a canned answer.
#[derive(Clone, Debug)]
pub(super) enum Prebuilt {
    Body(Bytes),
    Stream {
        first: Bytes,
        chunk: Bytes,
        last: Bytes,
        chunks: usize,
        every: Option<Duration>,
    },
}

impl Prebuilt {
    pub(super) fn of(canned: Canned) -> Self {
        match canned {
            Canned::Body { bytes } => Self::Body(body(bytes)),
            Canned::Stream {
                chunks,
                bytes,
                every,
            } => {
                let delta = |delta: serde_json::Value, finish: Option<&str>| {
                    let choice = json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish});
                    let chunk = json!({
                        "id": "chatcmpl-canned",
                        "object": "chat.completion.chunk",
                        "created": 0,
                        "model": "canned",
                        "choices": [choice],
                    });
                    format!("data: {chunk}\n\n")
                };
                Self::Stream {
                    first: delta(json!({"role": "assistant", "content": ""}), None).into(),
                    chunk: delta(json!({"content": "x".repeat(bytes)}), None).into(),
                    last: (delta(json!({}), Some("stop")) + "data: [DONE]\n\n").into(),
                    chunks,
                    every,
                }
            }
        }
    }

    /// The content type and the body; `in_flight` is settled when its last byte is handed over.
    pub(super) fn answer(
        &self,
        in_flight: InFlight,
    ) -> (&'static str, UnsyncBoxBody<Bytes, std::io::Error>) {
        match self {
            Self::Body(bytes) => {
                in_flight.finish();
                let body = Full::new(bytes.clone()).map_err(|never: Infallible| match never {});
                ("application/json", body.boxed_unsync())
            }
            Self::Stream {
                first,
                chunk,
                last,
                chunks,
                every,
            } => {
                let (first, chunk, last) = (first.clone(), chunk.clone(), last.clone());
                let (chunks, every) = (*chunks, *every);
                let start = Instant::now();
                let frames = stream::unfold((0, Some(in_flight)), move |(at, mut in_flight)| {
                    let frame = match at {
                        0 => Some(first.clone()),
                        at if at <= chunks => Some(chunk.clone()),
                        at if at == chunks + 1 => Some(last.clone()),
                        _ => None,
                    };
                    async move {
                        let frame = frame?;
                        if let Some(every) = every
                            && (1..=chunks).contains(&at)
                        {
                            // From the start, so that pauses do not add up their own overrun.
                            let due = every.saturating_mul(u32::try_from(at).unwrap_or(u32::MAX));
                            tokio::time::sleep_until(start + due).await;
                        }
                        if at > chunks
                            && let Some(in_flight) = in_flight.take()
                        {
                            in_flight.finish();
                        }
                        Some((Ok(Frame::data(frame)), (at + 1, in_flight)))
                    }
                });
                ("text/event-stream", StreamBody::new(frames).boxed_unsync())
            }
        }
    }
}

/// A chat completion whose text is as long as it must be for the whole to have `bytes` bytes.
fn body(bytes: usize) -> Bytes {
    let with = |text: &str| {
        let message = json!({"role": "assistant", "content": text, "refusal": null});
        json!({
            "id": "chatcmpl-canned",
            "object": "chat.completion",
            "created": 0,
            "model": "canned",
            "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 16, "completion_tokens": 16, "total_tokens": 32},
        })
        .to_string()
    };
    let frame = with("").len();
    with(&"x".repeat(bytes.saturating_sub(frame))).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_has_the_size_asked_for() {
        assert_eq!(body(1024).len(), 1024);
        let smallest = body(0);
        assert!(serde_json::from_slice::<serde_json::Value>(&smallest).is_ok());
    }
}
