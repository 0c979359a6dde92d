//! The connections to one host: reused last-in first-out, given back when an answer is read to its end.
//!
//! Each runtime reuses its own connections only. Nothing watches one that nobody uses: whether it still lives is seen
//! when it is wanted, and those that are not wanted are swept out as others are given back.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use bytes::BytesMut;
use tokio::runtime::{self, Handle};
use tokio::time::Instant;

use super::answer::Answer;
use super::connection::Connection;
use super::{BrokenError, ConnectError, SendError, Shared, connect};
use crate::h1::Head;
use crate::request::Outbound;
use crate::types::TlsOptions;

/// How long an unused connection is kept.
const IDLE: Duration = Duration::from_secs(30);
/// How soon a reused connection has to fail to count as one that died while idle. Later, the request may be under way
/// already, and sending it again would be an attempt that nobody counts.
const STILLBORN: Duration = Duration::from_secs(1);
/// How often unused connections are looked through, at most.
const SWEEP: Duration = Duration::from_secs(1);

/// One host and the connections to it.
#[derive(Clone)]
pub struct Endpoint(Arc<Pool>);

pub(super) struct Pool {
    shared: Arc<Shared>,
    target: connect::Target,
    /// Host, and port if it is not the scheme's.
    host: String,
    lanes: Mutex<Vec<Lane>>,
}

/// One runtime's unused connections, the one used last at the end.
struct Lane {
    runtime: runtime::Id,
    idle: Vec<Idle>,
}

struct Idle {
    connection: Connection,
    since: Instant,
}

impl Idle {
    fn is_stale(&self, now: Instant) -> bool {
        now.duration_since(self.since) > IDLE
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("host", &self.0.host)
            .finish_non_exhaustive()
    }
}

impl Endpoint {
    /// Sends `request`, whose URL must be at this host, at about `now`, and waits for the answer's head; the body comes as it is read.
    ///
    /// # Errors
    /// If no connection stands within `connect`, or it breaks before the head has come.
    pub async fn send(
        &self,
        request: &Outbound,
        connect: Duration,
        now: Instant,
    ) -> Result<(Head, Answer), SendError> {
        let proxied = self.0.target.is_plain_proxy();
        let proxied = proxied.then(|| self.0.through_proxy(request));
        let request = proxied.as_ref().unwrap_or(request);
        if let Some(mut connection) = self.0.reuse(now) {
            match connection.ask(request).await {
                Ok(head) => return Ok(self.0.answer(head, connection)),
                Err(error) if died_idle(&error) && now.elapsed() < STILLBORN => {}
                Err(error) => return Err(SendError::Broken(error)),
            }
        }
        // Boxed: rare, and with its TLS handshake much larger than all the rest of a request.
        let mut connection = Box::pin(self.0.connect(connect)).await?;
        let head = connection.ask(request).await.map_err(SendError::Broken)?;
        Ok(self.0.answer(head, connection))
    }
}

/// Whether a reused connection turned out to be closed before anything of an answer came.
fn died_idle(error: &BrokenError) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    match error {
        BrokenError::Closed => true,
        BrokenError::Io(error) => matches!(
            error.kind(),
            // The last is TLS's word for a connection that is closed without a farewell.
            ConnectionReset | BrokenPipe | ConnectionAborted | UnexpectedEof
        ),
        BrokenError::InHead
        | BrokenError::InBody { .. }
        | BrokenError::InChunks
        | BrokenError::Head(_)
        | BrokenError::Chunk(_) => false,
    }
}

impl Pool {
    pub(super) fn endpoint(
        shared: &Arc<Shared>,
        site: Site,
        target: connect::Target,
        host: String,
    ) -> Endpoint {
        let new = || {
            Arc::new(Self {
                shared: Arc::clone(shared),
                target,
                host,
                lanes: Mutex::default(),
            })
        };
        Endpoint(shared.pools.get_or(site, new))
    }

    /// A request as a proxy wants it: with the whole URL and the proxy's credentials.
    fn through_proxy(&self, request: &Outbound) -> Outbound {
        let head = &request.head;
        let end = |wanted| {
            head.iter()
                .position(|b| *b == wanted)
                .map_or(0, |at| at + 1)
        };
        let (method, line) = (end(b' '), end(b'\n'));
        let mut whole = BytesMut::with_capacity(head.len() + self.host.len() + 128);
        whole.extend_from_slice(&head[..method]);
        whole.extend_from_slice(b"http://");
        whole.extend_from_slice(self.host.as_bytes());
        whole.extend_from_slice(&head[method..line]);
        if let Some(auth) = self.target.proxy_authorization() {
            whole.extend_from_slice(b"proxy-authorization: ");
            whole.extend_from_slice(auth.as_bytes());
            whole.extend_from_slice(b"\r\n");
        }
        whole.extend_from_slice(&head[line..]);
        Outbound {
            head: whole.freeze(),
            payload: request.payload.clone(),
            dropped: Vec::new(),
        }
    }

    /// This runtime's connection used last that still lives.
    fn reuse(&self, now: Instant) -> Option<Connection> {
        let runtime = Handle::current().id();
        loop {
            let mut lanes = self.lock();
            let lane = lanes.iter_mut().find(|lane| lane.runtime == runtime)?;
            let mut idle = lane.idle.pop()?;
            // Those below were used even longer ago.
            let stale = idle.is_stale(now).then(|| std::mem::take(&mut lane.idle));
            drop(lanes);
            if stale.is_some() {
                return None;
            }
            if idle.connection.is_alive() {
                return Some(idle.connection);
            }
        }
    }

    async fn connect(&self, limit: Duration) -> Result<Connection, ConnectError> {
        match tokio::time::timeout(limit, self.target.open()).await {
            Ok(io) => Ok(Connection::new(io?, &self.shared.connections)),
            Err(_) => Err(ConnectError::TimedOut(limit)),
        }
    }

    fn answer(self: &Arc<Self>, head: Head, connection: Connection) -> (Head, Answer) {
        let answer = Answer::new(&head, connection, self);
        (head, answer)
    }

    /// Keeps a connection whose answer is over for the next request.
    pub(super) fn give_back(&self, mut connection: Connection) {
        if !connection.unread.is_empty() {
            return; // nobody asked for more
        }
        connection.unread = BytesMut::new();
        let (runtime, since) = (connection.runtime, Instant::now());
        let idle = Idle { connection, since };
        let mut lanes = self.lock();
        match lanes.iter_mut().find(|lane| lane.runtime == runtime) {
            Some(lane) => lane.idle.push(idle),
            None => lanes.push(Lane {
                runtime,
                idle: vec![idle],
            }),
        }
        drop(lanes);
        self.shared.pools.sweep(since);
    }

    /// Closes what is of no use any more.
    fn sweep(&self, now: Instant) {
        let mut lanes = self.lock();
        for lane in lanes.iter_mut() {
            let useless = |idle: &mut Idle| idle.is_stale(now) || !idle.connection.is_alive();
            lane.idle.retain_mut(|idle| !useless(idle));
        }
        lanes.retain(|lane| !lane.idle.is_empty());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Lane>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a connection is to and how it is secured: whoever wants the same may use the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Site {
    pub(super) host: String,
    pub(super) port: u16,
    /// `None`: in the clear.
    pub(super) tls: Option<TlsOptions>,
}

/// All pools there are. They are swept together: one that gets no more requests would never do it itself.
pub(super) struct Pools {
    all: Mutex<HashMap<Site, Weak<Pool>>>,
    epoch: Instant,
    /// When to sweep next, in milliseconds since the epoch.
    due: AtomicU64,
}

impl Default for Pools {
    fn default() -> Self {
        Self {
            all: Mutex::default(),
            epoch: Instant::now(),
            due: AtomicU64::new(0),
        }
    }
}

impl Pools {
    fn get_or(&self, site: Site, new: impl FnOnce() -> Arc<Pool>) -> Arc<Pool> {
        let mut all = self.lock();
        let known = all.get(&site).and_then(Weak::upgrade);
        known.unwrap_or_else(|| {
            let pool = new();
            all.insert(site, Arc::downgrade(&pool));
            pool
        })
    }

    pub(super) fn sweep(&self, now: Instant) {
        let since = u64::try_from((now - self.epoch).as_millis()).unwrap_or(u64::MAX);
        let due = self.due.load(Ordering::Relaxed);
        let next = since.saturating_add(SWEEP.as_millis() as u64);
        let mine = || {
            let (order, other) = (Ordering::Relaxed, Ordering::Relaxed);
            self.due.compare_exchange(due, next, order, other).is_ok()
        };
        if since >= due && mine() {
            self.lock().retain(|_, pool| {
                let pool = pool.upgrade();
                pool.inspect(|pool| pool.sweep(now)).is_some()
            });
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Site, Weak<Pool>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
