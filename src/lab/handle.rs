//! The handle of one deployment: what tests and scripts see and change while it runs.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, Method};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tokio::sync::watch;
use tokio::time::Instant;

use super::behaviour::Behaviour;
use super::canned::Prebuilt;
use super::script::Deployment;
use super::stats::Stats;

/// How many requests are kept for [`Handle::requests`]; the oldest go first.
pub const KEPT_REQUESTS: usize = 1000;

/// A request as a deployment received it. Canned behaviours record none.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Recorded {
    /// The method.
    pub method: Method,
    /// Path and query as sent.
    pub path: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// When its last byte was read.
    pub received: Instant,
    /// Which of the deployment's connections carried it, counted from 1.
    pub connection: u64,
}

impl Recorded {
    /// The body as JSON; null where it is none.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// A header as text, if it is there and is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// A running deployment. Clones are the same deployment.
#[derive(Clone, Debug)]
pub struct Handle(pub(super) Arc<Shared>);

/// What the handle and the server share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) scripted: Deployment,
    pub(super) addr: SocketAddr,
    pub(super) stats: watch::Sender<Stats>,
    /// Counts the calls of `release`.
    pub(super) releases: watch::Sender<u64>,
    /// Counts the calls of `close_connections`.
    pub(super) closings: watch::Sender<u64>,
    /// Whether connections are to be refused.
    pub(super) refuse: watch::Sender<bool>,
    /// Whether the port is open; follows `refuse`.
    pub(super) listening: watch::Sender<bool>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    standing: Arc<Prepared>,
    next: VecDeque<(usize, Arc<Prepared>)>,
    requests: VecDeque<Recorded>,
    number: u64,
    rng: StdRng,
}

/// A behaviour with what can be made of it beforehand.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) behaviour: Behaviour,
    pub(super) canned: Option<Prebuilt>,
}

impl Prepared {
    fn new(behaviour: Behaviour) -> Arc<Self> {
        let canned = behaviour.canned.map(Prebuilt::of);
        Arc::new(Self { behaviour, canned })
    }
}

impl Shared {
    pub(super) fn new(scripted: Deployment, addr: SocketAddr, seed: u64) -> Self {
        let behaviour = scripted.behaviour.clone();
        Self {
            refuse: watch::Sender::new(behaviour.refuses_connections()),
            listening: watch::Sender::new(!behaviour.refuses_connections()),
            addr,
            stats: watch::Sender::new(Stats::default()),
            releases: watch::Sender::new(0),
            closings: watch::Sender::new(0),
            state: Mutex::new(State {
                standing: Prepared::new(behaviour),
                next: VecDeque::new(),
                requests: VecDeque::new(),
                number: 0,
                rng: StdRng::seed_from_u64(seed),
            }),
            scripted,
        }
    }

    /// Nothing panics while it holds this lock, and every state it could leave behind is valid.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The standing behaviour, or one of the queue if `takes_next`.
    pub(super) fn behaviour(&self, takes_next: bool) -> Arc<Prepared> {
        let mut state = self.state();
        if takes_next && let Some((left, behaviour)) = state.next.front_mut() {
            let behaviour = Arc::clone(behaviour);
            *left -= 1;
            if *left == 0 {
                state.next.pop_front();
            }
            return behaviour;
        }
        Arc::clone(&state.standing)
    }

    pub(super) fn record(&self, request: Recorded) {
        let mut state = self.state();
        if state.requests.len() == KEPT_REQUESTS {
            state.requests.pop_front();
        }
        state.requests.push_back(request);
    }

    /// A running number and a generator for one request, so that drawing needs no lock.
    pub(super) fn draw(&self) -> (u64, StdRng) {
        let mut state = self.state();
        state.number += 1;
        (state.number, StdRng::from_rng(&mut state.rng))
    }
}

impl Handle {
    /// The name in the script.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.scripted.name
    }

    /// What the script says about it.
    #[must_use]
    pub fn scripted(&self) -> &Deployment {
        &self.0.scripted
    }

    /// Where it listens; stays the same while connections are refused.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.0.addr
    }

    /// `http://127.0.0.1:PORT/v1`, the base URL of OpenAI clients.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.0.addr)
    }

    /// `http://127.0.0.1:PORT`, the resource endpoint of Azure clients.
    #[must_use]
    pub fn root_url(&self) -> String {
        format!("http://{}", self.0.addr)
    }

    /// The standing behaviour.
    #[must_use]
    pub fn behaviour(&self) -> Behaviour {
        self.0.behaviour(false).behaviour.clone()
    }

    /// Replaces the standing behaviour for requests that arrive from now on, and forgets what is queued. Also opens or
    /// closes the port if the fault is [`Refused`](super::Fault::Refused); [`settled`](Self::settled) waits for that.
    pub fn set(&self, behaviour: impl Into<Behaviour>) {
        let behaviour = behaviour.into();
        let refuse = behaviour.refuses_connections();
        let prepared = Prepared::new(behaviour);
        {
            let mut state = self.0.state();
            state.standing = prepared;
            state.next.clear();
        }
        self.0
            .refuse
            .send_if_modified(|current| std::mem::replace(current, refuse) != refuse);
    }

    /// Back to the behaviour of the script.
    pub fn reset(&self) {
        self.set(self.0.scripted.behaviour.clone());
    }

    /// The next `count` requests of the three operations, after those already queued, get `behaviour`; then the
    /// standing one is back.
    pub fn behave_next(&self, count: usize, behaviour: impl Into<Behaviour>) {
        if count > 0 {
            let prepared = Prepared::new(behaviour.into());
            self.0.state().next.push_back((count, prepared));
        }
    }

    /// Lets every held request pass that arrived before this call.
    pub fn release(&self) {
        self.0.releases.send_modify(|releases| *releases += 1);
    }

    /// Closes the port (true), so that connections are refused and open ones end as when a process dies, or opens it
    /// again (false). Returns when that is done.
    pub async fn refuse(&self, refuse: bool) {
        self.0
            .refuse
            .send_if_modified(|current| std::mem::replace(current, refuse) != refuse);
        self.settled().await;
    }

    /// Returns when the port is open or closed as last asked for.
    pub async fn settled(&self) {
        let refuse = *self.0.refuse.borrow();
        let mut listening = self.0.listening.subscribe();
        // An error would mean that the sender is gone, which `self` keeps alive.
        let _never = listening
            .wait_for(|listening| *listening != refuse)
            .await
            .is_err();
    }

    /// Closes every open connection, idle or not, without closing the port; returns when they are closed.
    pub async fn close_connections(&self) {
        self.0.closings.send_modify(|closings| *closings += 1);
        self.wait_for(|stats| stats.open_connections == 0).await;
    }

    /// Whether the port is open.
    #[must_use]
    pub fn is_listening(&self) -> bool {
        *self.0.listening.borrow()
    }

    /// How many requests are still to get a queued behaviour.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.0.state().next.iter().map(|(left, _)| left).sum()
    }

    /// The counts now.
    #[must_use]
    pub fn stats(&self) -> Stats {
        *self.0.stats.borrow()
    }

    /// Waits until the counts satisfy `condition`, and returns them.
    pub async fn wait_for(&self, mut condition: impl FnMut(&Stats) -> bool) -> Stats {
        let mut stats = self.0.stats.subscribe();
        match stats.wait_for(|stats| condition(stats)).await {
            Ok(stats) => *stats,
            // The sender lives in what `self` keeps alive.
            Err(_) => self.stats(),
        }
    }

    /// The requests received, oldest first, at most [`KEPT_REQUESTS`].
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        self.0.state().requests.iter().cloned().collect()
    }

    /// The same, and forgets them.
    #[must_use]
    pub fn take_requests(&self) -> Vec<Recorded> {
        self.0.state().requests.drain(..).collect()
    }

    /// The last request received.
    #[must_use]
    pub fn last_request(&self) -> Option<Recorded> {
        self.0.state().requests.back().cloned()
    }
}
