//! What the canned upstream says: valid answers of OpenAI's chat API, their bytes made once. Which of them, a request
//! asks for in its system message, since every gateway hands that on unchanged.

use std::time::Duration;

use serde_json::{Value, json};

/// What a request asks the upstream to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// A whole answer of 1 KB.
    Plain,
    /// A stream of so many chunks of 200 bytes, written at once.
    Burst { chunks: usize },
    /// A stream of so many chunks, one each so many milliseconds.
    Paced { chunks: usize, every: Duration },
    /// A stream of two chunks, the second so many milliseconds after the first; each says when it was written.
    Pair { after: Duration },
    /// A stream that stays open after the first chunk.
    Hold,
}

impl Wish {
    /// As it stands in the system message.
    pub(crate) fn marker(self) -> String {
        match self {
            Self::Plain => "bench:plain:0:0:".into(),
            Self::Burst { chunks } => format!("bench:burst:{chunks}:0:"),
            Self::Paced { chunks, every } => format!("bench:paced:{chunks}:{}:", every.as_millis()),
            Self::Pair { after } => format!("bench:pair:2:{}:", after.as_millis()),
            Self::Hold => "bench:hold:0:0:".into(),
        }
    }

    /// Whether the answer is a stream of events.
    pub(crate) fn stream(self) -> bool {
        self != Self::Plain
    }

    /// What the beginning of a request's body asks for; without a marker, a plain answer.
    pub(crate) fn read(body: &[u8]) -> Self {
        let Some(at) = memchr::memmem::find(body, b"bench:") else {
            return Self::Plain;
        };
        let mut parts = body[at..].split(|&b| b == b':').skip(1);
        let kind = parts.next().unwrap_or_default();
        let mut number = || {
            let text = parts.next().and_then(|part| std::str::from_utf8(part).ok());
            text.and_then(|text| text.parse::<usize>().ok())
                .unwrap_or(0)
        };
        let chunks = number();
        let pause = Duration::from_millis(number() as u64);
        match kind {
            b"burst" => Self::Burst { chunks },
            b"paced" => Self::Paced {
                chunks,
                every: pause,
            },
            b"pair" => Self::Pair { after: pause },
            b"hold" => Self::Hold,
            _ => Self::Plain,
        }
    }
}

/// The size of an event of a stream, `data: ` and the empty line included.
const EVENT: usize = 200;

pub(crate) const STREAM_HEAD: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

/// A whole answer of HTTP whose body has about `bytes` bytes.
pub(crate) fn plain(bytes: usize) -> Vec<u8> {
    let with = |text: &str| {
        json!({
            "id": "chatcmpl-canned",
            "object": "chat.completion",
            "created": 1_760_000_000,
            "model": "canned",
            "choices": [{
                "index": 0,
                "message": {"role": "assistant", "content": text, "refusal": null},
                "logprobs": null,
                "finish_reason": "stop",
            }],
            "usage": {"prompt_tokens": 16, "completion_tokens": 16, "total_tokens": 32},
        })
        .to_string()
    };
    let body = with(&"x".repeat(bytes.saturating_sub(with("").len())));
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into()
}

/// The first event of a stream, which has only the role.
pub(crate) fn first() -> Vec<u8> {
    framed(&event(
        &json!({"role": "assistant", "content": ""}),
        &Value::Null,
    ))
}

/// An event with some text; as long as [`EVENT`], unless the text is longer.
pub(crate) fn chunk(text: &str) -> Vec<u8> {
    let with = |text: &str| event(&json!({"content": text}), &Value::Null);
    let missing = EVENT.saturating_sub(with(text).len());
    framed(&with(&format!("{text}{}", "x".repeat(missing))))
}

/// The last events, and the end of the body.
pub(crate) fn last() -> Vec<u8> {
    let end = framed(&(event(&json!({}), &json!("stop")) + "data: [DONE]\n\n"));
    [end.as_slice(), b"0\r\n\r\n"].concat()
}

fn event(delta: &Value, finish: &Value) -> String {
    let choice = json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish});
    let chunk = json!({
        "id": "chatcmpl-canned",
        "object": "chat.completion.chunk",
        "created": 1_760_000_000,
        "model": "canned",
        "choices": [choice],
    });
    format!("data: {chunk}\n\n")
}

/// As a chunk of a chunked body.
fn framed(event: &str) -> Vec<u8> {
    format!("{:x}\r\n{event}\r\n", event.len()).into()
}
