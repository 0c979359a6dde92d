//! What a deployment counts, and the guard by which requests in flight can never be forgotten.

use serde::Serialize;
use tokio::sync::watch;

use crate::types::Operation;

/// Counts since the start, and what is open now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// Requests read to their end, of whatever path.
    pub requests: u64,
    /// Of them, chat.
    pub chat: u64,
    /// Of them, completions.
    pub completions: u64,
    /// Of them, embeddings.
    pub embeddings: u64,
    /// Requests whose answer is under way.
    pub in_flight: u64,
    /// Of them, those that wait for a release.
    pub held: u64,
    /// Requests answered as the behaviour says, faults included.
    pub completed: u64,
    /// Requests whose client went away before the end of the answer.
    pub cancelled: u64,
    /// Connections accepted.
    pub connections: u64,
    /// Of them, those that are open.
    pub open_connections: u64,
}

/// A request in flight. Dropped before [`finish`](Self::finish), it counts as cancelled.
#[derive(Debug)]
pub(super) struct InFlight {
    stats: watch::Sender<Stats>,
    held: bool,
    finished: bool,
}

impl InFlight {
    /// Counts a request as begun. The caller counts it as a request of its operation in the same step.
    pub(super) fn begin(stats: &watch::Sender<Stats>, operation: Option<Operation>) -> Self {
        stats.send_modify(|stats| {
            stats.requests += 1;
            stats.in_flight += 1;
            match operation {
                Some(Operation::Chat) => stats.chat += 1,
                Some(Operation::Completions) => stats.completions += 1,
                Some(Operation::Embeddings) => stats.embeddings += 1,
                None => {}
            }
        });
        Self {
            stats: stats.clone(),
            held: false,
            finished: false,
        }
    }

    /// Says whether the request waits for a release.
    pub(super) fn hold(&mut self, held: bool) {
        if self.held != held {
            self.held = held;
            self.stats.send_modify(|stats| {
                if held {
                    stats.held += 1;
                } else {
                    stats.held -= 1;
                }
            });
        }
    }

    /// The answer did all it was to do.
    pub(super) fn finish(mut self) {
        self.finished = true;
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.stats.send_modify(|stats| {
            stats.in_flight -= 1;
            stats.held -= u64::from(self.held);
            if self.finished {
                stats.completed += 1;
            } else {
                stats.cancelled += 1;
            }
        });
    }
}

/// A connection. Dropped, it counts as closed.
#[derive(Debug)]
pub(super) struct Open(watch::Sender<Stats>);

impl Open {
    /// Counts a connection as opened; also says which one of the deployment's it is, from 1.
    pub(super) fn begin(stats: &watch::Sender<Stats>) -> (Self, u64) {
        let mut number = 0;
        stats.send_modify(|stats| {
            stats.connections += 1;
            stats.open_connections += 1;
            number = stats.connections;
        });
        (Self(stats.clone()), number)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.send_modify(|stats| stats.open_connections -= 1);
    }
}
