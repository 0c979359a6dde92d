//! Requests to servers that are scripted byte by byte.

mod answers;
mod reuse;

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, Uri};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::h1::Head;
use crate::request::{Outbound, Payload, Template};
use crate::types::TlsOptions;

/// A server that listens, and a client of it.
struct Pair {
    listener: TcpListener,
    upstream: Upstream,
    endpoint: Endpoint,
}

impl Pair {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let upstream = Upstream::new();
        let url = Uri::try_from(url).expect("a URL");
        let endpoint = upstream.endpoint(&url, &TlsOptions::default());
        Self {
            listener,
            endpoint: endpoint.expect("an endpoint"),
            upstream,
        }
    }

    async fn accept(&self) -> TcpStream {
        self.listener.accept().await.expect("a connection").0
    }

    async fn send(&self) -> Result<(Head, Answer), SendError> {
        send(&self.endpoint, outbound("{}")).await
    }

    /// Sends a request and reads all of its answer.
    async fn ask(&self) -> Result<(StatusCode, Bytes), String> {
        read(self.send().await).await
    }

    /// `work`, while `server` goes on.
    async fn serving<T>(server: impl Future<Output = ()>, work: impl Future<Output = T>) -> T {
        tokio::select! {
            biased;
            done = work => done,
            never = async { server.await; std::future::pending().await } => never,
        }
    }
}

fn outbound(body: impl Into<Bytes>) -> Outbound {
    let template = Template::post(&Uri::from_static("http://host/x"), &HeaderMap::new());
    template.request(&[], Payload::from(body.into()))
}

async fn send(endpoint: &Endpoint, request: Outbound) -> Result<(Head, Answer), SendError> {
    endpoint
        .send(
            &request,
            Duration::from_secs(5),
            tokio::time::Instant::now(),
        )
        .await
}

/// Status and body, or the error's own words and those of its causes.
async fn read(answer: Result<(Head, Answer), SendError>) -> Result<(StatusCode, Bytes), String> {
    let shown = |error: &dyn std::error::Error| {
        let cause = error.source().map(ToString::to_string);
        format!("{error}: {}", cause.unwrap_or_default())
    };
    let (head, body) = answer.map_err(|e| shown(&e))?;
    let (body, complete) = body
        .collect_up_to(usize::MAX)
        .await
        .map_err(|e| shown(&e))?;
    assert!(complete);
    Ok((head.status, body))
}

/// Reads a request whose body is `{}`.
async fn request(stream: &mut TcpStream) {
    let mut buf = Vec::new();
    while !buf.ends_with(b"\r\n\r\n{}") {
        let read = stream.read_buf(&mut buf).await.expect("a request");
        assert!(read > 0, "closed");
    }
}

async fn answer(stream: &mut TcpStream) {
    write(stream, b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
}

async fn write(stream: &mut TcpStream, bytes: &[u8]) {
    stream.write_all(bytes).await.expect("an answer");
}

async fn pass(seconds: u64) {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(seconds)).await;
    tokio::time::resume();
}

/// Until the driver has heard of what the other side did.
async fn settle() {
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
}
