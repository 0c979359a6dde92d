//! Accepting connections, and letting go of them.
//!
//! Each connection is a task of a tracker that [`Server::stop`] awaits. A request that declares its length twice, by
//! `Content-Length` and `Transfer-Encoding`, is refused: hyper follows the latter and drops the former, so what came
//! over the wire is looked at here.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::header::{CONNECTION, TRANSFER_ENCODING};
use axum::http::{HeaderValue, Request, StatusCode};
use axum::response::Response;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::error;

/// How long a client may take to send a request's head.
const HEAD_TIME: Duration = Duration::from_secs(30);
/// How much of a head is kept for the length check.
const HEAD_KEPT: usize = 8 * 1024;
/// Pause after a failed accept (out of file descriptors), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A listener at work.
#[derive(Debug)]
pub struct Server {
    addr: SocketAddr,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Server {
    /// Serves `routes` on `listener`.
    ///
    /// # Errors
    /// If the listener has no address.
    pub fn start(listener: TcpListener, routes: Router) -> io::Result<Self> {
        let addr = listener.local_addr()?;
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        tasks.spawn(accept(listener, routes, stop.clone(), tasks.clone()));
        Ok(Self { addr, stop, tasks })
    }

    /// Where it listens.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Stops accepting and waits until the requests under way are done, up to `limit`. Returns whether all were.
    pub async fn stop(self, limit: Duration) -> bool {
        self.stop.cancel();
        self.tasks.close();
        tokio::time::timeout(limit, self.tasks.wait()).await.is_ok()
    }
}

async fn accept(listener: TcpListener, routes: Router, stop: CancellationToken, tasks: TaskTracker) {
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, _)) => {
                let connection = connection(stream, routes.clone(), &graceful);
                tasks.spawn(connection);
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    graceful.shutdown().await;
}

fn connection(stream: TcpStream, routes: Router, graceful: &GracefulShutdown) -> impl Future<Output = ()> + use<> {
    // Without it the second chunk of a stream waits for the first one's acknowledgement.
    let _ = stream.set_nodelay(true);
    let head = Arc::new(Head::default());
    let io = TokioIo::new(Overheard { stream, head: Arc::clone(&head) });
    let service = tower::service_fn(move |request: Request<hyper::body::Incoming>| {
        let (routes, head) = (routes.clone(), Arc::clone(&head));
        async move {
            if request.headers().contains_key(TRANSFER_ENCODING) && head.declares_length() {
                return Ok(twice_declared());
            }
            routes.oneshot(request.map(Body::new)).await
        }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIME);
    builder.http2().timer(TokioTimer::new());
    let watcher = graceful.watcher();
    async move {
        let connection = builder.serve_connection(io, TowerToHyperService::new(service)).into_owned();
        if let Err(error) = watcher.watch(connection).await {
            tracing::debug!(%error, "a client's connection ended early");
        }
    }
}

fn twice_declared() -> Response {
    let message = "The request declares its length both by Content-Length and by Transfer-Encoding; send one of them.";
    let mut response = error::response(StatusCode::BAD_REQUEST, message, "invalid_request_error", None, Some("ambiguous_length"));
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// The first bytes a connection brought since it was last answered: the head of the request under way.
#[derive(Debug, Default)]
struct Head(Mutex<Vec<u8>>);

impl Head {
    fn with<T>(&self, f: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn declares_length(&self) -> bool {
        self.with(|bytes| {
            let end = memchr::memmem::find(bytes, b"\r\n\r\n").unwrap_or(bytes.len());
            bytes[..end].split(|b| *b == b'\n').any(|line| {
                let name = line.split(|b| *b == b':').next().unwrap_or_default();
                name.trim_ascii().eq_ignore_ascii_case(b"content-length")
            })
        })
    }
}

/// A stream that lets [`Head`] listen in.
struct Overheard {
    stream: TcpStream,
    head: Arc<Head>,
}

impl AsyncRead for Overheard {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        let new = &buf.filled()[before..];
        if !new.is_empty() {
            self.head.with(|head| {
                let room = HEAD_KEPT.saturating_sub(head.len());
                head.extend_from_slice(&new[..new.len().min(room)]);
            });
        }
        polled
    }
}

impl AsyncWrite for Overheard {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.head.with(Vec::clear);
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.head.with(Vec::clear);
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
