//! One deployment's connections: reused last-in first-out, given back when an answer is read to its end.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::HOST;
use http::{HeaderValue, Request, Response, Uri};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use tokio::time::Instant;

use super::{ConnectError, SendError, Shared, connect};
use crate::request::Payload;

/// How long an unused connection is kept.
const IDLE: Duration = Duration::from_secs(30);
/// How soon a reused connection has to fail to count as one that died while idle. Later, the request may be under way
/// already, and sending it again would be an attempt that nobody counts.
const STILLBORN: Duration = Duration::from_secs(1);
/// One deployment's host and its connections.
#[derive(Clone)]
pub struct Endpoint(pub(super) Arc<Pool>);

pub(super) struct Pool {
    pub(super) shared: Arc<Shared>,
    pub(super) target: connect::Target,
    pub(super) header: HeaderValue,
    pub(super) idle: Mutex<Vec<Idle>>,
}

pub(super) struct Idle {
    sender: SendRequest<Payload>,
    since: Instant,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("host", &self.0.header)
            .finish_non_exhaustive()
    }
}

impl Endpoint {
    /// Sends `request` (its URL's path and query; scheme and host are the endpoint's) and waits for the answer's head.
    /// `again` makes the same request a second time, for the one free retry.
    ///
    /// # Errors
    /// If no connection stands within `connect`, or it breaks before the head has come.
    pub async fn send(
        &self,
        mut request: Request<Payload>,
        again: impl FnOnce() -> Option<Request<Payload>>,
        connect: Duration,
    ) -> Result<Response<Answer>, SendError> {
        let pool = &self.0;
        pool.address(&mut request);
        if let Some(mut sender) = pool.reuse().await {
            let sent = Instant::now();
            match sender.try_send_request(request).await {
                Ok(response) => return Ok(pool.answer(response, sender)),
                Err(error)
                    if error.message().is_some()
                        || (sent.elapsed() < STILLBORN && died_idle(error.error())) =>
                {
                    match again() {
                        Some(same) => request = same,
                        None => return Err(SendError::Broken(error.into_error())),
                    }
                }
                Err(error) => return Err(SendError::Broken(error.into_error())),
            }
            pool.address(&mut request);
        }
        // Boxed: rare, and with its TLS handshake much larger than all the rest of a request.
        let mut sender = Box::pin(pool.connect(connect)).await?;
        let response = sender
            .send_request(request)
            .await
            .map_err(SendError::Broken)?;
        Ok(pool.answer(response, sender))
    }
}

/// Whether a reused connection turned out to be closed before anything of an answer came.
fn died_idle(error: &hyper::Error) -> bool {
    let reset = || {
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            if let Some(io) = cause.downcast_ref::<std::io::Error>() {
                use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
                return matches!(io.kind(), ConnectionReset | BrokenPipe | ConnectionAborted);
            }
            source = cause.source();
        }
        false
    };
    error.is_canceled() || error.is_closed() || error.is_incomplete_message() || reset()
}

impl Pool {
    /// Makes the request's URL and headers fit the connection it goes out on.
    fn address(&self, request: &mut Request<Payload>) {
        if !self.target.is_plain_proxy() {
            let path = request.uri().path_and_query().cloned();
            *request.uri_mut() = path.map_or_else(Uri::default, Uri::from);
        }
        request.headers_mut().insert(HOST, self.header.clone());
        if let Some(auth) = self.target.proxy_authorization() {
            request
                .headers_mut()
                .insert(http::header::PROXY_AUTHORIZATION, auth);
        }
    }

    /// The connection used last that still lives.
    async fn reuse(&self) -> Option<SendRequest<Payload>> {
        loop {
            let mut idle = self.lock().pop()?;
            if idle.since.elapsed() > IDLE {
                // Those below were used even longer ago.
                self.lock().clear();
                return None;
            }
            // Ready at once, or closed, or its task has yet to notice the end of the last answer.
            if idle.sender.ready().await.is_ok() {
                return Some(idle.sender);
            }
        }
    }

    async fn connect(&self, limit: Duration) -> Result<SendRequest<Payload>, ConnectError> {
        match tokio::time::timeout(limit, self.target.open(&self.shared.tasks)).await {
            Ok(result) => result,
            Err(_) => Err(ConnectError::TimedOut(limit)),
        }
    }

    fn answer(
        self: &Arc<Self>,
        response: Response<Incoming>,
        sender: SendRequest<Payload>,
    ) -> Response<Answer> {
        response.map(|body| {
            let mut answer = Answer {
                body,
                home: Some((Arc::clone(self), sender)),
            };
            if answer.body.is_end_stream() {
                answer.give_back();
            }
            answer
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An answer's body. Read to its end, it gives its connection back; dropped before, it closes it, which is how a provider learns that
/// nobody listens any more.
pub struct Answer {
    body: Incoming,
    home: Option<(Arc<Pool>, SendRequest<Payload>)>,
}

impl Answer {
    /// Reads a body, or its beginning: whether it was complete is told with it.
    ///
    /// # Errors
    /// If the connection breaks before the end.
    pub async fn collect_up_to(mut self, limit: usize) -> Result<(Bytes, bool), hyper::Error> {
        let mut first = Bytes::new();
        let mut all = BytesMut::new();
        while let Some(frame) = self.frame().await {
            let Ok(chunk) = frame?.into_data() else {
                continue;
            };
            if first.is_empty() && all.is_empty() {
                first = chunk; // small answers come in one piece
                continue;
            }
            all.extend_from_slice(&std::mem::take(&mut first));
            all.extend_from_slice(&chunk);
            if all.len() > limit {
                return Ok((all.freeze(), false));
            }
        }
        Ok((if all.is_empty() { first } else { all.freeze() }, true))
    }

    fn give_back(&mut self) {
        if let Some((pool, sender)) = self.home.take()
            && !sender.is_closed()
        {
            let mut idle = pool.lock();
            // The oldest stand first, and a steady trickle would never get down to them.
            let stale = idle
                .iter()
                .take_while(|i| i.since.elapsed() > IDLE || i.sender.is_closed())
                .count();
            idle.drain(..stale);
            idle.push(Idle {
                sender,
                since: Instant::now(),
            });
        }
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("ended", &self.home.is_none())
            .finish_non_exhaustive()
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        match &polled {
            Poll::Ready(None) => self.give_back(),
            Poll::Ready(Some(Ok(_))) if self.body.is_end_stream() => self.give_back(),
            Poll::Ready(Some(Err(_))) => self.home = None,
            _ => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use tokio_util::task::TaskTracker;

    use super::super::Upstream;
    use super::*;
    use crate::types::TlsOptions;

    async fn pair() -> (TcpListener, Endpoint) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let endpoint =
            Upstream::new().endpoint(&Uri::try_from(url).expect("a URL"), &TlsOptions::default());
        (listener, endpoint.expect("an endpoint"))
    }

    async fn send(endpoint: &Endpoint) -> Result<Response<Answer>, SendError> {
        let request = || {
            let mut request = Request::new(Payload::from(Bytes::from_static(b"{}")));
            *request.method_mut() = http::Method::POST;
            request
        };
        endpoint
            .send(request(), || Some(request()), Duration::from_secs(5))
            .await
    }

    async fn request(stream: &mut TcpStream) {
        let mut buf = Vec::new();
        while !buf.ends_with(b"\r\n\r\n{}") {
            assert!(
                stream.read_buf(&mut buf).await.expect("a request") > 0,
                "closed"
            );
        }
    }

    async fn answer(stream: &mut TcpStream) {
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
            .await
            .expect("an answer");
    }

    async fn pass(seconds: u64) {
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(seconds)).await;
        tokio::time::resume();
    }

    #[tokio::test]
    async fn connections_below_the_one_in_use_do_not_stay_for_ever() {
        let (listener, endpoint) = pair().await;
        let tasks = TaskTracker::new();
        let serve = async {
            loop {
                let (mut stream, _) = listener.accept().await.expect("a connection");
                tasks.spawn(async move {
                    loop {
                        request(&mut stream).await;
                        answer(&mut stream).await;
                    }
                });
            }
        };
        let ask = async {
            let both = [
                send(&endpoint).await.expect("one"),
                send(&endpoint).await.expect("another"),
            ];
            for answer in both {
                answer.into_body().collect().await.expect("all of it");
            }
            assert_eq!(endpoint.0.lock().len(), 2);
            for _ in 0..2 {
                pass(20).await;
                send(&endpoint)
                    .await
                    .expect("an answer")
                    .into_body()
                    .collect()
                    .await
                    .expect("all of it");
            }
            assert_eq!(endpoint.0.lock().len(), 1);
        };
        tokio::select! {
            () = serve => unreachable!("serves for ever"),
            () = ask => {}
        }
    }

    #[tokio::test]
    async fn only_what_failed_at_once_is_sent_again() {
        for (wait, expected) in [(0, 3), (2, 2)] {
            let (listener, endpoint) = pair().await;
            let served = std::sync::atomic::AtomicU32::new(0);
            let serve = async {
                loop {
                    let (mut stream, _) = listener.accept().await.expect("a connection");
                    request(&mut stream).await;
                    served.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    answer(&mut stream).await;
                    request(&mut stream).await;
                    served.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    pass(wait).await;
                }
            };
            let ask = async {
                send(&endpoint)
                    .await
                    .expect("an answer")
                    .into_body()
                    .collect()
                    .await
                    .expect("all of it");
                assert_eq!(send(&endpoint).await.is_ok(), wait == 0);
            };
            tokio::select! {
                () = serve => unreachable!("serves for ever"),
                () = ask => {}
            }
            assert_eq!(served.into_inner(), expected, "after {wait} s");
        }
    }
}
