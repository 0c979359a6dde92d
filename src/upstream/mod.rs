//! The only outbound HTTP.
//!
//! An [`Endpoint`] belongs to one deployment and owns its connections, so one that hangs takes nothing from the others.
//! Connections are HTTP/1.1, reused last-in first-out, and dropped after half a minute without use, before common peers
//! close them. A request that meets a connection which died while idle is sent once more on a fresh one: nothing of the answer
//! had come, so nobody has seen it. Redirects are not followed. `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` count.
//!
//! Only the connect clock runs here; the other three are the gateway's, which knows what the bytes mean.

mod connect;
pub mod credentials;
mod tls;

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::{HeaderValue, Request, Response, Uri};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper_util::client::proxy::matcher::Matcher;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::request::Payload;
use crate::types::TlsOptions;

pub use connect::ConnectError;
pub use tls::TlsError;

/// How long an unused connection is kept.
const IDLE: Duration = Duration::from_secs(30);
/// How soon a reused connection has to fail to count as one that died while idle. Later, the request may be under way
/// already, and sending it again would be an attempt that nobody counts.
const STILLBORN: Duration = Duration::from_secs(1);

/// What all endpoints share: the proxy rules, the TLS roots, and the tasks that drive connections.
#[derive(Clone)]
pub struct Upstream(Arc<Shared>);

struct Shared {
    proxies: Matcher,
    tls: tls::Cache,
    tasks: TaskTracker,
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream")
            .field("connections", &self.0.tasks.len())
            .finish_non_exhaustive()
    }
}

impl Default for Upstream {
    fn default() -> Self {
        Self::new()
    }
}

impl Upstream {
    /// Reads the proxy variables; opens nothing.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Shared {
            proxies: Matcher::from_env(),
            tls: tls::Cache::default(),
            tasks: TaskTracker::new(),
        }))
    }

    /// The endpoint behind `url`'s scheme, host and port.
    ///
    /// # Errors
    /// If the URL has no host or another scheme, the TLS files can't be read, or its proxy is no plain HTTP one.
    pub fn endpoint(&self, url: &Uri, options: &TlsOptions) -> Result<Endpoint, EndpointError> {
        let bad = || EndpointError::Url(url.to_string());
        let authority = url.authority().ok_or_else(bad)?;
        let tls = match url.scheme_str() {
            Some("http") => None,
            Some("https") => Some(self.0.tls.get(options)?),
            _ => return Err(bad()),
        };
        let port = authority
            .port_u16()
            .unwrap_or(if tls.is_some() { 443 } else { 80 });
        let host = authority
            .host()
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        let default_port = authority.port().is_none();
        let shown = if default_port {
            authority.host().to_owned()
        } else {
            format!("{}:{port}", authority.host())
        };
        let header = HeaderValue::try_from(shown).map_err(|_| bad())?;
        let proxy = self.0.proxies.intercept(url);
        if let Some(scheme) = proxy
            .as_ref()
            .and_then(|p| p.uri().scheme_str())
            .filter(|scheme| *scheme != "http")
        {
            return Err(EndpointError::Proxy {
                host,
                scheme: scheme.to_owned(),
            });
        }
        let target = connect::Target {
            host,
            port,
            tls,
            proxy,
        };
        Ok(Endpoint(Arc::new(Pool {
            shared: Arc::clone(&self.0),
            target,
            header,
            idle: Mutex::default(),
        })))
    }

    /// Open connections, idle ones included.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.0.tasks.len()
    }
}

/// Why an endpoint can't be built.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// No such URL.
    #[error("`{0}` is not an http or https URL")]
    Url(String),
    /// A proxy that would have to be spoken to by TLS or SOCKS. Plain HTTP would show it the credentials on the open line.
    #[error(
        "the proxy variables name an {scheme}:// proxy for {host}, which is not supported; name an http:// one, or put {host} \
         into NO_PROXY"
    )]
    Proxy {
        /// For whom.
        host: String,
        /// What it would speak.
        scheme: String,
    },
    /// TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Why a request got no answer head.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The connection broke before an answer.
    #[error("the connection broke before an answer: {0}")]
    Broken(#[source] hyper::Error),
}

/// One deployment's host and its connections.
#[derive(Clone)]
pub struct Endpoint(Arc<Pool>);

struct Pool {
    shared: Arc<Shared>,
    target: connect::Target,
    header: HeaderValue,
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
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
        let mut sender = pool.connect(connect).await?;
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

    use super::*;

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
