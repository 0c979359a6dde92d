//! A client on a connection of its own.

use std::net::SocketAddr;

use bytes::Bytes;
use futures_util::future::join_all;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// A request to be sent.
#[derive(Clone)]
pub(crate) struct Request {
    addr: SocketAddr,
    request: http::Request<Full<Bytes>>,
}

/// A complete answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// An answer whose body is still to be read. Dropping it closes the connection.
pub(crate) struct Streaming {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    body: Incoming,
    _connection: JoinSet<()>,
}

impl Request {
    pub(crate) fn new(addr: SocketAddr, method: Method, path: &str) -> Self {
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("host", addr.to_string())
            .body(Full::default())
            .expect("a request");
        Self { addr, request }
    }

    /// With one more header.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        let name = HeaderName::try_from(name).expect("a header's name");
        self.request.headers_mut().append(
            name,
            HeaderValue::try_from(value).expect("a header's value"),
        );
        self
    }

    /// With this JSON as the body.
    pub(crate) fn json(self, body: &Value) -> Self {
        self.body(body.to_string())
    }

    /// With these bytes as the body, declared as JSON.
    pub(crate) fn body(mut self, body: impl Into<Bytes>) -> Self {
        *self.request.body_mut() = Full::new(body.into());
        let json = HeaderValue::from_static("application/json");
        self.request
            .headers_mut()
            .insert(http::header::CONTENT_TYPE, json);
        self
    }

    /// Sends it and reads the whole answer.
    pub(crate) async fn send(self) -> Answer {
        self.stream().await.finish().await
    }

    /// Sends it and returns when the answer's head is there.
    pub(crate) async fn stream(self) -> Streaming {
        self.try_stream().await.expect("an answer")
    }

    /// The same where the connection may end without an answer.
    pub(crate) async fn try_stream(self) -> hyper::Result<Streaming> {
        let stream = TcpStream::connect(self.addr)
            .await
            .expect("the gateway accepts");
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            // Its errors reach whoever waits for an answer on it.
            let _ended = connection.await;
        });
        let (head, body) = sender.send_request(self.request).await?.into_parts();
        Ok(Streaming {
            status: head.status.as_u16(),
            headers: head.headers,
            body,
            _connection: tasks,
        })
    }
}

impl Streaming {
    /// The next chunk as it came; `None` at the end.
    pub(crate) async fn chunk(&mut self) -> Option<hyper::Result<Bytes>> {
        loop {
            match self.body.frame().await? {
                Ok(frame) => {
                    if let Ok(data) = frame.into_data() {
                        return Some(Ok(data));
                    }
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// The rest of the body.
    pub(crate) async fn finish(mut self) -> Answer {
        let mut all = Vec::new();
        while let Some(chunk) = self.chunk().await {
            all.extend_from_slice(&chunk.expect("the body to its end"));
        }
        Answer {
            status: self.status,
            headers: std::mem::take(&mut self.headers),
            body: all.into(),
        }
    }
}

impl Answer {
    /// The body as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// The body as text.
    #[track_caller]
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }

    /// The data of each event of a stream; what is no JSON as text.
    #[track_caller]
    pub(crate) fn events(&self) -> Vec<Value> {
        let events = self.text().split_terminator("\n\n");
        events
            .map(|event| {
                let data = event.strip_prefix("data: ").expect("data");
                serde_json::from_str(data).unwrap_or_else(|_| data.into())
            })
            .collect()
    }

    /// A header, if it is there and is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Who answered.
    pub(crate) fn deployment(&self) -> &str {
        self.header("x-waypost-deployment").unwrap_or_default()
    }

    /// How many attempts that took.
    #[track_caller]
    pub(crate) fn attempts(&self) -> u32 {
        let header = self
            .header("x-waypost-attempts")
            .expect("x-waypost-attempts");
        header.parse().expect("a number")
    }

    /// `error.code`, empty if there is none.
    #[track_caller]
    pub(crate) fn code(&self) -> String {
        self.json()["error"]["code"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// `error.message`
    #[track_caller]
    pub(crate) fn message(&self) -> String {
        let json = self.json();
        json["error"]["message"]
            .as_str()
            .expect("error.message")
            .to_owned()
    }

    /// Requires success and returns itself.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.body));
        self
    }
}

/// Sends all of them at once.
pub(crate) async fn together(requests: impl IntoIterator<Item = Request>) -> Vec<Answer> {
    join_all(requests.into_iter().map(Request::send)).await
}
