//! Accepting connections, and letting go of them.
//!
//! Each connection is a task of a tracker that [`Server::stop`] awaits. It begins in the lane (`lane.rs`) and is hyper's from its
//! first request on that is not plain. A request that declares its length twice, by `Content-Length` and
//! `Transfer-Encoding`, is refused: hyper follows the latter and drops the former, so what came over the wire is looked
//! at here.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONNECTION, TRANSFER_ENCODING};
use axum::http::{HeaderValue, Request, Response, StatusCode};
use bytes::{Buf, BytesMut};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Sleep;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tokio_util::task::TaskTracker;

use super::lane::{self, Left};
use super::{Edge, Workers, error};

/// How long a client may take to send a request's head.
///
/// It runs between requests as well, so it is longer than load balancers keep their own idle connections (60 s mostly):
/// the side that sends should be the one that closes.
pub(super) const HEAD_TIME: Duration = Duration::from_secs(90);
/// How long a client may leave an answer unread. Clocks of a stream run only while it is read, so this one ends it.
pub(super) const UNREAD_TIME: Duration = Duration::from_secs(300);
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
    /// The threads live as long as the connections may.
    _workers: Arc<Workers>,
}

impl Server {
    /// Serves `routes` on `listener`; accepts on this runtime, and serves where `workers` say.
    ///
    /// # Errors
    /// If the listener has no address.
    pub fn start(listener: TcpListener, routes: Edge, workers: Arc<Workers>) -> io::Result<Self> {
        let addr = listener.local_addr()?;
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        tasks.spawn(accept(
            listener,
            routes,
            Arc::clone(&workers),
            stop.clone(),
            tasks.clone(),
        ));
        Ok(Self {
            addr,
            stop,
            tasks,
            _workers: workers,
        })
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

async fn accept(
    listener: TcpListener,
    routes: Edge,
    workers: Arc<Workers>,
    stop: CancellationToken,
    tasks: TaskTracker,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        match accepted {
            Ok((stream, _)) => {
                let (routes, stop) = (routes.clone(), stop.clone());
                let Some(seat) = workers.seat() else {
                    tasks.spawn(connection(stream, routes, stop));
                    continue;
                };
                let runtime = seat.runtime.clone();
                let stream = stream.into_std();
                let serve = async move {
                    // From here on it is this runtime's driver that wakes it.
                    match stream.and_then(TcpStream::from_std) {
                        Ok(stream) => connection(stream, routes, stop).await,
                        Err(error) => tracing::warn!(%error, "a connection could not be moved"),
                    }
                    drop(seat);
                };
                tasks.spawn_on(serve, &runtime);
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Serves one connection until the client or `stop` ends it; requests under way are finished.
async fn connection(stream: TcpStream, routes: Edge, stop: CancellationToken) {
    // Without it the second chunk of a stream waits for the first one's acknowledgement.
    let _ = stream.set_nodelay(true);
    let mut stop = Stop::new(stop);
    let ended = match lane::drive(stream, routes.app(), &mut stop).await {
        // Boxed: few connections come here, and those that do not should not make room for it.
        Ok(Left::Handed(stream, read)) => Box::pin(by_hyper(stream, read, routes, stop)).await,
        Ok(Left::Ended) => Ok(()),
        Err(error) => Err(error.into()),
    };
    if let Err(error) = ended {
        tracing::debug!(error, "a client's connection ended early");
    }
}

/// Serves a connection of which `read` was read already.
async fn by_hyper(
    stream: TcpStream,
    read: BytesMut,
    routes: Edge,
    stop: Stop,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let head = Arc::new(Head::default());
    // HTTP/2 with prior knowledge begins with `PRI * HTTP/2.0`, and no method of HTTP/1.1 does.
    let second = read.starts_with(b"PRI");
    let io = TokioIo::new(Overheard {
        stream,
        read,
        head: Arc::clone(&head),
        unread: None,
    });
    let service = service_fn(move |request: Request<Incoming>| {
        let (routes, head) = (routes.clone(), Arc::clone(&head));
        async move {
            if request.headers().contains_key(TRANSFER_ENCODING) && head.declares_length() {
                return Ok(twice_declared());
            }
            routes.call(request).await
        }
    });
    if second {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .keep_alive_interval(HEAD_TIME);
        let connection = builder.serve_connection(io, service);
        until(connection, stop, |c| c.graceful_shutdown()).await?;
    } else {
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIME);
        let connection = builder.serve_connection(io, service);
        until(connection, stop, |c| c.graceful_shutdown()).await?;
    }
    Ok(())
}

/// A listener's end, as one of its connections sees it.
pub(super) struct Stop {
    token: CancellationToken,
    set: Pin<Box<WaitForCancellationFutureOwned>>,
    listening: bool,
}

impl Stop {
    fn new(token: CancellationToken) -> Self {
        Self {
            set: Box::pin(token.clone().cancelled_owned()),
            token,
            listening: false,
        }
    }

    pub(super) fn is_set(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Ready once it is set. The token wakes the connection's task; it is not asked each time something else does.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.listening && !self.is_set() {
            return Poll::Pending;
        }
        self.listening = true;
        self.set.as_mut().poll(cx)
    }
}

/// Drives `connection`; when `stop` comes, asks it once to end gracefully.
async fn until<C, E>(connection: C, mut stop: Stop, end: impl Fn(Pin<&mut C>)) -> Result<(), E>
where
    C: Future<Output = Result<(), E>>,
{
    let mut connection = pin!(connection);
    let mut ending = false;
    poll_fn(|cx| {
        if !ending && stop.poll(cx).is_ready() {
            ending = true;
            end(connection.as_mut());
        }
        connection.as_mut().poll(cx)
    })
    .await
}

fn twice_declared() -> Response<Body> {
    let message = "The request declares its length both by Content-Length and by Transfer-Encoding; send one of them.";
    let mut response = error::response(
        StatusCode::BAD_REQUEST,
        message,
        "invalid_request_error",
        None,
        Some("ambiguous_length"),
    );
    response
        .headers_mut()
        .insert(CONNECTION, HeaderValue::from_static("close"));
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
    /// What the lane read before.
    read: BytesMut,
    head: Arc<Head>,
    /// Armed while the client does not take what is written.
    unread: Option<Pin<Box<Sleep>>>,
}

impl Overheard {
    /// Watches a write that has to wait.
    fn written<T>(
        &mut self,
        polled: Poll<io::Result<T>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.unread = None;
            return polled;
        }
        let timer = self
            .unread
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(UNREAD_TIME)));
        match timer.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the client does not read its answer",
            ))),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for Overheard {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = if self.read.is_empty() {
            Pin::new(&mut self.stream).poll_read(cx, buf)
        } else {
            let part = self.read.len().min(buf.remaining());
            buf.put_slice(&self.read[..part]);
            self.read.advance(part);
            Poll::Ready(Ok(()))
        };
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
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.head.with(Vec::clear);
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.written(polled, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.head.with(Vec::clear);
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.written(polled, cx)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_silent_connection_does_not_hold_up_the_end() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let server = Server::start(
            listener,
            Edge::new(None, axum::Router::new()),
            Arc::new(Workers::here()),
        )
        .expect("a server");
        let _silent = TcpStream::connect(server.addr())
            .await
            .expect("a connection");
        while server.tasks.len() < 2 {
            tokio::task::yield_now().await;
        }
        assert!(
            server.stop(HEAD_TIME / 3).await,
            "waited for a client that asks for nothing"
        );
    }
}
