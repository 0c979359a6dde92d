//! Ports and connections of one deployment.
//!
//! The accept loop is our own, because two faults live below HTTP: a refused connection needs the listening socket
//! gone, and a reset needs the connection's socket closed with unsent data thrown away. While the port is closed it
//! stays ours: a bound socket that does not listen keeps other processes from being given the same number.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::handle::Shared;
use super::respond::respond;
use super::stats::Open;

const BACKLOG: u32 = 1024;

/// A port that is ours and not open.
pub(super) fn reserve(addr: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    // So that it can be bound while connections of the old listener are in TIME_WAIT.
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    Ok(socket)
}

/// `port` on loopback.
pub(super) fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// A port in one of its two states.
pub(super) enum Port {
    Open(TcpListener),
    Closed(TcpSocket),
}

impl Port {
    /// Reserves the port, and opens it if `open`.
    pub(super) fn bind(port: u16, open: bool) -> io::Result<(Self, SocketAddr)> {
        let socket = reserve(loopback(port))?;
        let addr = socket.local_addr()?;
        let port = if open {
            Self::Open(socket.listen(BACKLOG)?)
        } else {
            Self::Closed(socket)
        };
        Ok((port, addr))
    }
}

/// Serves the deployment until `stop`.
pub(super) async fn serve(shared: Arc<Shared>, mut port: Port, stop: CancellationToken) {
    let mut refuse = shared.refuse.subscribe();
    let connections = TaskTracker::new();
    loop {
        port = match port {
            Port::Open(listener) => {
                shared.listening.send_replace(true);
                let refused =
                    accept_until(&shared, &listener, &mut refuse, &connections, &stop).await;
                drop(listener);
                shared.closings.send_modify(|closings| *closings += 1);
                connections.close();
                connections.wait().await;
                connections.reopen();
                if !refused {
                    return;
                }
                match reserve(shared.addr) {
                    Ok(socket) => Port::Closed(socket),
                    // Somebody took the port in between; then it stays closed to us for good.
                    Err(_) => {
                        shared.listening.send_replace(false);
                        return;
                    }
                }
            }
            Port::Closed(socket) => {
                shared.listening.send_replace(false);
                tokio::select! {
                    () = until(&mut refuse, false) => {}
                    () = stop.cancelled() => return,
                }
                match socket.listen(BACKLOG) {
                    Ok(listener) => Port::Open(listener),
                    Err(_) => return,
                }
            }
        };
    }
}

/// Accepts until connections are to be refused (true) or the lab stops (false).
async fn accept_until(
    shared: &Arc<Shared>,
    listener: &TcpListener,
    refuse: &mut watch::Receiver<bool>,
    connections: &TaskTracker,
    stop: &CancellationToken,
) -> bool {
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return false,
            () = until(refuse, true) => return true,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let (open, number) = Open::begin(&shared.stats);
                    // From now on, not from the task's first run: a closing in between must not be missed.
                    let closings = shared.closings.subscribe();
                    connections.spawn(connection(Arc::clone(shared), stream, number, closings, open));
                }
                // Out of file descriptors, or the client is gone already: let others run, then go on.
                Err(_) => tokio::task::yield_now().await,
            },
        }
    }
}

async fn until(refuse: &mut watch::Receiver<bool>, wanted: bool) {
    // The sender lives in the deployment that is being served.
    let _never = refuse.wait_for(|refuse| *refuse == wanted).await.is_err();
}

/// What the requests of a connection know of it.
#[derive(Debug)]
pub(super) struct Connection {
    /// Its number among the deployment's.
    pub(super) number: u64,
    requests: AtomicU64,
    reset: AtomicBool,
}

impl Connection {
    /// Counts a request and says whether there was one before it.
    pub(super) fn is_reused(&self) -> bool {
        self.requests.fetch_add(1, Ordering::Relaxed) > 0
    }

    /// The connection is to end with a reset.
    pub(super) fn reset(&self) {
        self.reset.store(true, Ordering::Relaxed);
    }
}

async fn connection(
    shared: Arc<Shared>,
    stream: TcpStream,
    number: u64,
    mut closings: watch::Receiver<u64>,
    open: Open,
) {
    let connection = Arc::new(Connection {
        number,
        requests: AtomicU64::new(0),
        reset: AtomicBool::new(false),
    });
    // Small writes must leave at once: they are what is tested.
    let _unsupported = stream.set_nodelay(true).is_err();
    let io = TokioIo::new(Io {
        stream,
        connection: Arc::clone(&connection),
    });
    let service =
        service_fn(|request| respond(Arc::clone(&shared), Arc::clone(&connection), request));
    tokio::select! {
        // Clients that go away and scripted cuts are errors here, and neither is news.
        _ = http1::Builder::new().serve_connection(io, service) => {}
        _ = closings.changed() => {}
    }
    // After the socket, so that nobody sees the connection counted as closed while it is open.
    drop(open);
}

/// A TCP stream that ends with a reset if its connection says so.
struct Io {
    stream: TcpStream,
    connection: Arc<Connection>,
}

impl Drop for Io {
    fn drop(&mut self) {
        if self.connection.reset.load(Ordering::Relaxed) {
            // Closing with zero linger sends RST instead of FIN. If that fails, a close must do.
            let _unsupported = self.stream.set_zero_linger().is_err();
        }
    }
}

impl AsyncRead for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Io {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
