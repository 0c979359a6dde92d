//! A client on a connection of its own, which notes when what came.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::time::Virtual;

/// What a client saw of one request.
#[derive(Debug)]
pub(crate) struct Seen {
    /// Its number, which is in the body as `user`.
    pub(crate) number: usize,
    /// When it was sent.
    pub(super) sent: Duration,
    /// When the first content was there.
    pub(super) first_content: Option<Duration>,
    /// When the answer had ended.
    pub(super) ended: Duration,
    /// `x-waypost-attempts`.
    pub(crate) attempts: u32,
    /// What went wrong, if anything, in a word or two.
    pub(crate) lost: Option<String>,
}

impl Seen {
    /// Whether it asked for a stream: every other one does.
    pub(super) fn streams(&self) -> bool {
        self.number.is_multiple_of(2)
    }
}

/// What went wrong with a stream that had begun.
pub(crate) const CUT: &str = "stream cut";

/// Sends request `number` now, every other one as a stream, and reads the answer to its end.
pub(super) async fn ask(to: SocketAddr, number: usize, time: Virtual) -> Seen {
    let sent = time.elapsed();
    let streams = number.is_multiple_of(2);
    let mut answer = Vec::new();
    let mut first_content = None;
    let read = read(
        to,
        &request(number, streams),
        &mut answer,
        &mut first_content,
        time,
    )
    .await;
    let text = String::from_utf8_lossy(&answer);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_default();
    let header = |name: &str| {
        head.lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    };
    let status = head.split(' ').nth(1).unwrap_or("no answer");
    let lost = match read {
        Err(error) => Some(error.to_string()),
        Ok(()) if status != "200" => Some(format!("{status} {}", code(body))),
        Ok(()) if streams && !body.contains("data: [DONE]") => Some(CUT.to_owned()),
        Ok(()) => None,
    };
    Seen {
        number,
        sent,
        first_content: first_content.filter(|_| lost.as_deref().is_none_or(|lost| lost == CUT)),
        ended: time.elapsed(),
        attempts: header("x-waypost-attempts")
            .and_then(|value| value.parse().ok())
            .unwrap_or_default(),
        lost,
    }
}

/// The bytes of a request that asks for the connection's end behind its answer.
fn request(number: usize, streams: bool) -> String {
    let body = format!(
        r#"{{"model":"chat","user":"{number}","stream":{streams},"messages":[{{"role":"user","content":"hello"}}]}}"#
    );
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\ncontent-type: application/json\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

async fn read(
    to: SocketAddr,
    request: &str,
    answer: &mut Vec<u8>,
    first_content: &mut Option<Duration>,
    time: Virtual,
) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(to).await?;
    stream.write_all(request.as_bytes()).await?;
    while stream.read_buf(answer).await? > 0 {
        // Waypost holds a stream back until its first content; a plain answer comes whole.
        first_content.get_or_insert_with(|| time.elapsed());
    }
    Ok(())
}

/// `error.code` of a refusal, else its type.
fn code(body: &str) -> String {
    let body: serde_json::Value = body
        .find('{')
        .and_then(|at| body.get(at..=body.rfind('}')?))
        .and_then(|json| serde_json::from_str(json).ok())
        .unwrap_or_default();
    ["code", "type"]
        .iter()
        .find_map(|key| body["error"][key].as_str())
        .unwrap_or_default()
        .to_owned()
}
