//! Redis, as everything in the process shares it: one connection for each that the configuration names.
//!
//! A request never connects and never waits for long: it asks if the connection stands and answers quickly, and is told
//! "not now" at once if not. [`Redis::keep`], which the gateway's own task runs, connects, watches, and connects again.

mod connect;
mod health;
mod keeper;
mod lua;
mod tls;
mod trouble;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ::redis::{Cmd, RedisResult, Value};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

pub use lua::{Call, Lua};

use crate::metrics::{Metrics, RedisMeters};
use crate::types::RedisTarget;
use connect::Link;
use health::{Health, Heard};
use trouble::Trouble;

/// The longest a task of the gateway's own waits for an answer.
const BACKGROUND: Duration = Duration::from_secs(1);

/// Who waits for the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// A request: nothing is asked of a Redis that is slow, and [`RedisTarget::timeout`] holds.
    Request,
    /// A task of the gateway's own, which has a second.
    Background,
    /// The same with so much to send or to fetch that its time says nothing about how Redis is doing.
    Bulk,
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
    meters: Option<RedisMeters>,
    link: Mutex<Held>,
    state: watch::Sender<State>,
    /// The keeper is to look: the connection is lost, or may be.
    look: Notify,
    /// How often it was not asked since it was last connected to.
    refused: AtomicU64,
}

/// The connection, and what is known of it.
struct Held {
    health: Health,
    link: Option<Link>,
    /// Which connection this is: what is heard through an old one does not count.
    number: u64,
    heard: Instant,
    lost: Option<Trouble>,
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis")
            .field("place", &self.0.target.place())
            .field("state", &self.state())
            .finish()
    }
}

impl Redis {
    /// Opens no connection yet: that is [`Redis::keep`]'s.
    #[must_use]
    pub fn new(target: Arc<RedisTarget>) -> Self {
        Self::build(target, None)
    }

    /// The same, with its series in `metrics`.
    #[must_use]
    pub fn measured(target: Arc<RedisTarget>, metrics: &Metrics) -> Self {
        let meters = metrics.redis(&target.place());
        Self::build(target, Some(meters))
    }

    fn build(target: Arc<RedisTarget>, meters: Option<RedisMeters>) -> Self {
        Self(Arc::new(Inner {
            link: Mutex::new(Held {
                health: Health::new(target.timeout),
                link: None,
                number: 0,
                heard: Instant::now(),
                lost: None,
            }),
            target,
            meters,
            state: watch::Sender::new(State::Down),
            look: Notify::new(),
            refused: AtomicU64::new(0),
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
        *self.0.state.borrow()
    }

    /// Waits until it is in that state.
    pub async fn reaches(&self, state: State) {
        let mut states = self.0.state.subscribe();
        // The sender is ours, so there is no end of them.
        let _ = states.wait_for(|now| *now == state).await;
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

    /// Runs one command.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn command(&self, urgency: Urgency, command: &Cmd) -> Result<Value, StoreError> {
        let asked = self.ask(
            urgency,
            async |mut link: Link, limit| within(limit, command.query_async(&mut link)).await,
            |_| None,
        );
        self.count(urgency, asked.await)
    }

    /// Runs scripts, in one round trip where there is one server and it knows them, and returns each one's answer in its
    /// place. In a cluster they run side by side, in no order.
    ///
    /// # Errors
    /// See [`StoreError`]; what befell a single script stands in its place.
    pub async fn eval(
        &self,
        urgency: Urgency,
        calls: &[Call],
    ) -> Result<Vec<Result<Value, StoreError>>, StoreError> {
        let asked = self.ask(
            urgency,
            async |link, limit| lua::run(link, calls, limit).await,
            |answers| {
                let mut errors = answers.iter().filter_map(|answer| answer.as_ref().err());
                errors.find(|error| {
                    matches!(error, StoreError::Timeout(_)) || Trouble::losing(error).is_some()
                })
            },
        );
        self.count(urgency, asked.await)
    }

    /// Asks through the connection, if there is one and `urgency` allows it, and notes how that went; `worst` is what an
    /// answer in parts says of the connection.
    async fn ask<T>(
        &self,
        urgency: Urgency,
        ask: impl AsyncFnOnce(Link, Duration) -> Result<T, StoreError>,
        worst: impl FnOnce(&T) -> Option<&StoreError>,
    ) -> Result<T, StoreError> {
        let (link, number) = self.lend(urgency)?;
        let began = Instant::now();
        let answer = ask(link, self.limit(urgency)).await;
        let error = match &answer {
            Ok(answer) => worst(answer),
            Err(error) => Some(error),
        };
        self.note(number, urgency, began.elapsed(), error);
        answer
    }

    fn limit(&self, urgency: Urgency) -> Duration {
        match urgency {
            Urgency::Request => self.0.target.timeout,
            Urgency::Background => BACKGROUND,
            Urgency::Bulk => BACKGROUND * 5,
        }
    }

    fn lend(&self, urgency: Urgency) -> Result<(Link, u64), StoreError> {
        let held = self.held();
        match (&held.link, held.health.state()) {
            (Some(link), State::Up) => Ok((link.clone(), held.number)),
            (Some(link), State::Slow) if urgency != Urgency::Request => {
                Ok((link.clone(), held.number))
            }
            _ => {
                self.0.refused.fetch_add(1, Ordering::Relaxed);
                Err(StoreError::Unavailable)
            }
        }
    }

    /// Something was asked through the connection of that number, and this came of it.
    fn note(&self, number: u64, urgency: Urgency, took: Duration, error: Option<&StoreError>) {
        let mut held = self.held();
        if held.number != number || held.link.is_none() {
            return;
        }
        let before = held.health.state();
        match error {
            None | Some(StoreError::Timeout(_)) if urgency == Urgency::Bulk => return,
            None => held.answered(urgency, took),
            Some(StoreError::Timeout(limit)) => {
                held.health.heard(urgency, Heard::Nothing);
                if held.health.state() == State::Down {
                    self.end(&mut held, connect::late(*limit));
                }
            }
            Some(error) => match Trouble::losing(error) {
                // One node of many, which the connection sees to; what is left of it, a look will show.
                Some(_) if held.is_one_of_many(error) => self.0.look.notify_one(),
                Some(trouble) => self.end(&mut held, trouble),
                None => held.answered(urgency, took),
            },
        }
        let after = held.health.state();
        self.show(after);
        drop(held);
        let target = &self.0.target;
        match (before, after) {
            (State::Up, State::Slow) => tracing::warn!(
                "Redis at {} answers later than {:?}; requests go on without it until it is quicker",
                target.place(),
                target.timeout,
            ),
            (State::Slow, State::Up) => {
                tracing::info!("Redis at {} answers in time again", target.place());
            }
            // The keeper says the rest.
            _ => {}
        }
    }

    /// There is a connection. How often nothing was asked for want of one.
    fn publish(&self, link: Link, took: Duration) -> u64 {
        let mut held = self.held();
        held.link = Some(link);
        held.number += 1;
        held.lost = None;
        held.heard = Instant::now();
        held.health.connected(took);
        self.show(held.health.state());
        self.0.refused.swap(0, Ordering::Relaxed)
    }

    /// The connection is not to be used any more.
    fn leave(&self, trouble: &Trouble) {
        let mut held = self.held();
        if held.link.is_some() {
            self.end(&mut held, trouble.clone());
            self.show(State::Down);
        }
    }

    fn end(&self, held: &mut Held, trouble: Trouble) {
        held.link = None;
        held.health.lost();
        held.lost = Some(trouble);
        self.0.look.notify_one();
    }

    /// Why the connection was lost, if it was.
    fn lost(&self) -> Option<Trouble> {
        self.held().lost.take()
    }

    fn last_heard(&self) -> Instant {
        self.held().heard
    }

    /// Under the lock, so that what is shown last is what is.
    fn show(&self, state: State) {
        let changed = self.0.state.send_if_modified(|shown| {
            let changed = *shown != state;
            *shown = state;
            changed
        });
        if changed && let Some(meters) = &self.0.meters {
            meters.up(state == State::Up);
        }
    }

    fn count<T>(&self, urgency: Urgency, answer: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Some(meters) = &self.0.meters {
            let outcome = match &answer {
                Ok(_) => "answered",
                Err(StoreError::Unavailable) => "unavailable",
                Err(StoreError::Timeout(_)) => "timeout",
                Err(StoreError::Broken(_)) => "broken",
                Err(StoreError::Refused(_)) => "refused",
            };
            meters.call(urgency == Urgency::Request, outcome);
        }
        answer
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.link.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// It befell one node of a cluster, and others may do.
    fn is_one_of_many(&self, error: &StoreError) -> bool {
        matches!(self.link, Some(Link::Cluster(_))) && matches!(error, StoreError::Broken(_))
    }

    fn answered(&mut self, urgency: Urgency, took: Duration) {
        self.health.heard(urgency, Heard::Answer(took));
        if urgency == Urgency::Background {
            self.heard = Instant::now();
        }
    }
}

async fn within<T>(
    limit: Duration,
    answer: impl Future<Output = RedisResult<T>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(limit, answer).await {
        Ok(answer) => answer.map_err(|error| StoreError::from(&error)),
        Err(_) => Err(StoreError::Timeout(limit)),
    }
}
