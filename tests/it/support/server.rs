//! A server that answers as it is told, and keeps what it has seen.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Which connection it came on, from 0.
    pub(crate) connection: usize,
    /// As in the request line: a path, or a whole URL where the server is a proxy.
    pub(crate) uri: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Seen {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    status: u16,
    headers: HeaderMap,
    chunks: VecDeque<Bytes>,
    gate: Option<Arc<Semaphore>>,
    cut: bool,
    hang_up: bool,
}

impl Reply {
    /// Of this type, in these pieces.
    pub(crate) fn chunks<B: Into<Bytes>>(kind: &str, chunks: impl IntoIterator<Item = B>) -> Self {
        let reply = Self {
            status: 200,
            headers: HeaderMap::new(),
            chunks: chunks.into_iter().map(Into::into).collect(),
            gate: None,
            cut: false,
            hang_up: false,
        };
        reply.header("content-type", kind)
    }

    pub(crate) fn json(body: &Value) -> Self {
        Self::chunks("application/json; charset=utf-8", [body.to_string()])
    }

    /// The smallest chat completion.
    pub(crate) fn chat() -> Self {
        Self::json(
            &serde_json::json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}),
        )
    }

    /// The connection ends without an answer.
    pub(crate) fn hang_up() -> Self {
        Self {
            hang_up: true,
            ..Self::chat()
        }
    }

    pub(crate) fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(
            HeaderName::try_from(name).expect("a name"),
            HeaderValue::try_from(value).expect("a value"),
        );
        self
    }

    /// What follows the first piece comes when the gate has a permit.
    pub(crate) fn gate(mut self, gate: &Arc<Semaphore>) -> Self {
        self.gate = Some(Arc::clone(gate));
        self
    }

    /// The connection breaks after the last piece.
    pub(crate) fn cut(mut self) -> Self {
        self.cut = true;
        self
    }
}

/// The pieces of an answer, with an error at the end where it is cut.
fn pieces(reply: Reply) -> impl Stream<Item = io::Result<Frame<Bytes>>> {
    stream::unfold((reply, 0), |(mut reply, sent)| async move {
        if let (1, Some(gate)) = (sent, &reply.gate) {
            let open = gate.acquire().await;
            open.expect("a gate is never closed").forget();
        }
        let piece = match reply.chunks.pop_front() {
            Some(chunk) => Ok(Frame::data(chunk)),
            None if std::mem::take(&mut reply.cut) => Err(io::Error::other("cut")),
            None => return None,
        };
        Some((piece, (reply, sent + 1)))
    })
}

type Script = dyn Fn(&Seen) -> Reply + Send + Sync;

/// One server.
pub(crate) struct Server {
    addr: SocketAddr,
    state: Arc<State>,
    _tasks: JoinSet<()>,
}

struct State {
    script: Box<Script>,
    seen: Mutex<Vec<Seen>>,
    tunnels: Mutex<Vec<String>>,
    accepted: AtomicUsize,
}

/// How a connection begins.
#[derive(Clone)]
enum Opening {
    Plain,
    Tls(Arc<ServerConfig>),
    /// A proxy's CONNECT, behind which this very server answers.
    Tunnel(Arc<ServerConfig>),
}

impl Server {
    /// Plain HTTP; a proxy for plain HTTP as well.
    pub(crate) async fn start(script: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self::open(Opening::Plain, script).await
    }

    /// HTTPS.
    pub(crate) async fn tls(
        config: Arc<ServerConfig>,
        script: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::open(Opening::Tls(config), script).await
    }

    /// A proxy that takes CONNECT, and plays whoever is behind it.
    pub(crate) async fn tunnel(
        config: Arc<ServerConfig>,
        script: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::open(Opening::Tunnel(config), script).await
    }

    async fn open(
        opening: Opening,
        script: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a loopback port");
        let addr = listener.local_addr().expect("an address");
        let state = Arc::new(State {
            script: Box::new(script),
            seen: Mutex::default(),
            tunnels: Mutex::default(),
            accepted: AtomicUsize::new(0),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, opening, Arc::clone(&state)));
        Self {
            addr,
            state,
            _tasks: tasks,
        }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// `http://127.0.0.1:…`
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.state
            .seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The heads of CONNECT requests so far.
    pub(crate) fn tunnels(&self) -> Vec<String> {
        self.state
            .tunnels
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Connections so far.
    pub(crate) fn accepted(&self) -> usize {
        self.state.accepted.load(Ordering::SeqCst)
    }
}

async fn accept(listener: TcpListener, opening: Opening, state: Arc<State>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        let number = state.accepted.fetch_add(1, Ordering::SeqCst);
        connections.spawn(connection(
            stream,
            number,
            opening.clone(),
            Arc::clone(&state),
        ));
    }
}

async fn connection(mut stream: TcpStream, number: usize, opening: Opening, state: Arc<State>) {
    let config = match opening {
        Opening::Plain => return serve(stream, number, state).await,
        Opening::Tls(config) => config,
        Opening::Tunnel(config) => {
            let Ok(head) = head(&mut stream).await else {
                return;
            };
            state
                .tunnels
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(head);
            if stream
                .write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
                .await
                .is_err()
            {
                return;
            }
            config
        }
    };
    // A client that does not trust the certificate leaves here.
    if let Ok(stream) = TlsAcceptor::from(config).accept(stream).await {
        serve(stream, number, state).await;
    }
}

/// A request's head, byte by byte: what follows is TLS.
pub(crate) async fn head(stream: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

async fn serve<S>(stream: S, number: usize, state: Arc<State>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let service = service_fn(move |request: http::Request<Incoming>| {
        answer(request, number, Arc::clone(&state))
    });
    // Ends with an error where the script cuts or hangs up, or the client leaves.
    let _ended = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(
    request: http::Request<Incoming>,
    connection: usize,
    state: Arc<State>,
) -> io::Result<Response<impl Body<Data = Bytes, Error = io::Error>>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let seen = Seen {
        connection,
        uri: head.uri.to_string(),
        headers: head.headers,
        body,
    };
    let reply = (state.script)(&seen);
    state
        .seen
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(seen);
    if reply.hang_up {
        return Err(io::Error::other("hangs up"));
    }
    let (status, headers) = (reply.status, reply.headers.clone());
    let mut response = Response::new(StreamBody::new(Box::pin(pieces(reply))));
    *response.status_mut() = status.try_into().expect("a status");
    *response.headers_mut() = headers;
    Ok(response)
}
