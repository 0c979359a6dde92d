//! Redis, as everything in the process shares it: one connection for each that the configuration names.
//!
//! A request never connects and never waits for long: it asks if the connection stands and answers quickly, and is told
//! "not now" at once if not. [`Redis::keep`], which the gateway's own task runs, connects, watches, and connects again.

mod lua;

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{AsyncCommands, Cmd, Pipeline, RedisResult, Value};
use tokio::sync::Notify;

pub use lua::{Call, Lua};

use crate::types::RedisTarget;

/// Who waits for the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// A request: nothing is asked of a Redis that is slow, and [`RedisTarget::timeout`] holds.
    Request,
    /// A task of the gateway's own, which has a second.
    Background,
}

/// How a Redis is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// There is no connection.
    Down,
    /// It answers, but later than requests wait.
    Slow,
    /// It answers in time.
    Up,
}

/// Why there is no answer. Holds no password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It was not asked: there is no connection, or it is too slow for a request.
    #[error("Redis is not available")]
    Unavailable,
    /// It did not answer in time. Whether it did what was asked is not known.
    #[error("Redis did not answer within {0:?}")]
    Timeout(Duration),
    /// The connection broke. Whether it did what was asked is not known.
    #[error("the connection to Redis broke: {0}")]
    Broken(String),
    /// It answered with an error.
    #[error("Redis refused: {0}")]
    Refused(String),
}

/// One Redis. Clones are the same.
#[derive(Clone)]
pub struct Redis(Arc<Inner>);

struct Inner {
    target: Arc<RedisTarget>,
    state: AtomicU8,
    connection: Mutex<Option<MultiplexedConnection>>,
    lost: Notify,
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Redis")
            .field(&self.0.target.place())
            .finish()
    }
}

impl Redis {
    /// Opens no connection yet: that is [`Redis::keep`]'s.
    #[must_use]
    pub fn new(target: Arc<RedisTarget>) -> Self {
        Self(Arc::new(Inner {
            target,
            state: AtomicU8::new(0),
            connection: Mutex::default(),
            lost: Notify::new(),
        }))
    }

    /// Where it is.
    #[must_use]
    pub fn target(&self) -> &Arc<RedisTarget> {
        &self.0.target
    }

    /// How it is doing.
    #[must_use]
    pub fn state(&self) -> State {
        match self.0.state.load(Ordering::Relaxed) {
            0 => State::Down,
            1 => State::Slow,
            _ => State::Up,
        }
    }

    /// A key of ours. All keys of one `tag` are in one slot of a cluster.
    #[must_use]
    pub fn key(&self, tag: &str, name: &str) -> String {
        // Braces would end the tag early, or begin another one.
        let tag = tag
            .replace('%', "%25")
            .replace('{', "%7B")
            .replace('}', "%7D");
        format!("{}:{{{tag}}}:{name}", self.0.target.prefix)
    }

    /// Connects, and connects again whenever the connection is lost. Never ends.
    pub async fn keep(&self) {
        loop {
            match self.connect().await {
                Ok(connection) => {
                    *self.lock() = Some(connection);
                    self.0.state.store(2, Ordering::Relaxed);
                    self.0.lost.notified().await;
                    self.0.state.store(0, Ordering::Relaxed);
                    *self.lock() = None;
                }
                Err(error) => {
                    tracing::warn!("no Redis at {}: {error}", self.0.target.place());
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
            }
        }
    }

    /// Runs one command.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn command(&self, urgency: Urgency, command: &Cmd) -> Result<Value, StoreError> {
        let mut connection = self.connection(urgency)?;
        self.within(urgency, command.query_async(&mut connection))
            .await
    }

    /// Runs scripts, in one round trip where there is one server, and returns each one's answer in its place.
    ///
    /// # Errors
    /// See [`StoreError`]; what a single script was refused for stands in its place.
    pub async fn eval(
        &self,
        urgency: Urgency,
        calls: &[Call],
    ) -> Result<Vec<Result<Value, StoreError>>, StoreError> {
        let mut connection = self.connection(urgency)?;
        let mut pipe = Pipeline::new();
        for call in calls {
            pipe.add_command(call.by_text());
        }
        pipe.ignore_errors();
        let all: Vec<Value> = self
            .within(urgency, pipe.query_async(&mut connection))
            .await?;
        Ok(all
            .into_iter()
            .map(|value| match value {
                Value::ServerError(error) => Err(StoreError::Refused(error.to_string())),
                value => Ok(value),
            })
            .collect())
    }

    fn connection(&self, _urgency: Urgency) -> Result<MultiplexedConnection, StoreError> {
        self.lock().clone().ok_or(StoreError::Unavailable)
    }

    async fn within<T>(
        &self,
        urgency: Urgency,
        answer: impl Future<Output = RedisResult<T>>,
    ) -> Result<T, StoreError> {
        let limit = match urgency {
            Urgency::Request => self.0.target.timeout,
            Urgency::Background => Duration::from_secs(1),
        };
        match tokio::time::timeout(limit, answer).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) if error.is_io_error() || error.is_connection_dropped() => {
                self.0.lost.notify_one();
                Err(StoreError::Broken(error.to_string()))
            }
            Ok(Err(error)) => Err(StoreError::Refused(error.to_string())),
            Err(_) => Err(StoreError::Timeout(limit)),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<MultiplexedConnection>> {
        self.0
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    async fn connect(&self) -> RedisResult<MultiplexedConnection> {
        use crate::types::{RedisAddress, RedisTopology};
        use ::redis::{
            Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo,
        };
        let addr = match &self.0.target.topology {
            RedisTopology::Single(RedisAddress::Tcp(host, port)) => {
                ConnectionAddr::Tcp(host.to_string(), *port)
            }
            _ => return Err((::redis::ErrorKind::InvalidClientConfig, "not yet").into()),
        };
        let mut settings = RedisConnectionInfo::default();
        if let Some(password) = &self.0.target.login.password {
            settings = settings.set_password(password.expose());
        }
        let info: ConnectionInfo = addr.into_connection_info()?.set_redis_settings(settings);
        let mut connection = Client::open(info)?
            .get_multiplexed_async_connection()
            .await?;
        let _: String = connection.ping().await?;
        Ok(connection)
    }
}
