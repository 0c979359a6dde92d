//! Requests that wait for a place at deployments that have as many requests in flight as they may
//! (`max_parallel_requests`).
//!
//! A group has one line, whatever names lead to its deployments. A place that is free belongs to the first in line that
//! wants it: nobody behind, and nobody who comes later, is let to it. Waking is by state and not by event: whenever a place
//! is given back, or one in line leaves or wants something else, those are called whom a place is open to *then*. So it does
//! not matter whether one that was called comes, is too late or is gone, and no call can be lost.
//!
//! A deployment counts in flight without a lock, and looks whether anyone waits when it gives a place back; who waits looks
//! for a place once it is in line. Both are in one order for all threads, so that one of the two sees the other.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::scores::Scores;

/// One group's line.
#[derive(Debug)]
pub struct Queue {
    most: usize,
    /// Length of the line, for those who only want to know whether there is one.
    waiting: AtomicUsize,
    line: Mutex<Line>,
}

/// Those who wait, by number, the first in front.
#[derive(Debug, Default)]
struct Line {
    next: u64,
    waiters: BTreeMap<u64, Waiter>,
}

struct Waiter {
    wants: Vec<Arc<Scores>>,
    call: Arc<Notify>,
}

impl fmt::Debug for Waiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The scores lead back to the line.
        f.debug_struct("Waiter").finish_non_exhaustive()
    }
}

/// A place in line. Dropped, it is given up, and what it kept others from is theirs.
#[derive(Debug)]
pub struct Ticket {
    queue: Arc<Queue>,
    number: u64,
    call: Arc<Notify>,
}

/// What a deployment with a limit in flight knows of its group's line.
#[derive(Debug)]
pub(super) struct Places {
    queue: Arc<Queue>,
    limit: u32,
    /// How many in line want a place here. Written under the lock of the line.
    claims: AtomicU32,
}

impl Queue {
    /// A line of at most so many requests.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            most,
            waiting: AtomicUsize::new(0),
            line: Mutex::default(),
        }
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether nobody else may wait.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len() >= self.most
    }

    /// Puts a request in line for a place at one of these, at the end, or where it stands already. False if the line is
    /// full.
    pub(super) fn join(
        self: &Arc<Self>,
        ticket: &mut Option<Ticket>,
        wants: &[Arc<Scores>],
    ) -> bool {
        let mut line = self.lock();
        if ticket.is_none() && line.waiters.len() >= self.most {
            return false;
        }
        let Ticket { number, call, .. } = ticket.get_or_insert_with(|| self.ticket(&mut line));
        claim(wants, 1);
        let waiter = Waiter {
            wants: wants.to_vec(),
            call: Arc::clone(call),
        };
        let before = line.waiters.insert(*number, waiter);
        let before = before.map_or_else(Vec::new, |waiter| waiter.wants);
        claim(&before, -1);
        for scores in wants.iter().chain(&before) {
            line.call(scores);
        }
        // What these may be the last handles of is not to be dropped under the lock.
        drop(line);
        true
    }

    fn ticket(self: &Arc<Self>, line: &mut Line) -> Ticket {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        line.next += 1;
        Ticket {
            queue: Arc::clone(self),
            number: line.next,
            call: Arc::new(Notify::new()),
        }
    }

    /// A place at `scores` was given back.
    pub(super) fn freed(&self, scores: &Scores) {
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.lock().call(scores);
        }
    }

    fn leave(&self, number: u64) {
        let mut line = self.lock();
        let wants = line.waiters.remove(&number).map(|waiter| waiter.wants);
        let wants = wants.unwrap_or_default();
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        claim(&wants, -1);
        for scores in &wants {
            line.call(scores);
        }
        drop(line);
    }

    fn lock(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn claim(wants: &[Arc<Scores>], more: i32) {
    for places in wants.iter().filter_map(|scores| scores.places()) {
        places
            .claims
            .fetch_add(more.cast_unsigned(), Ordering::Relaxed);
    }
}

impl Line {
    /// Calls those whom a place at `scores` is open to.
    fn call(&self, scores: &Scores) {
        let Some(places) = scores.places() else {
            return;
        };
        let free = scores.in_flight_now()..places.limit;
        let wanting = self.waiters.values().filter(|w| w.wants(scores));
        for (_, waiter) in free.zip(wanting) {
            waiter.call.notify_one();
        }
    }
}

impl Waiter {
    fn wants(&self, scores: &Scores) -> bool {
        self.wants.iter().any(|own| std::ptr::eq(&**own, scores))
    }
}

impl Ticket {
    /// Its number: the lower, the earlier.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// Has the next [`Ticket::called`] return at once.
    pub(super) fn call(&self) {
        self.call.notify_one();
    }

    /// Returns when a place may be free; at once if that was said since the last call returned.
    pub async fn called(&self) {
        self.call.notified().await;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.queue.leave(self.number);
    }
}

impl Places {
    pub(super) fn new(queue: &Arc<Queue>, limit: u32) -> Self {
        Self {
            queue: Arc::clone(queue),
            limit,
            claims: AtomicU32::new(0),
        }
    }

    pub(super) const fn queue(&self) -> &Arc<Queue> {
        &self.queue
    }

    /// How many have a better right to a place at `scores`, which these places are of: those in line, or if the request is
    /// in line itself, those in front of it.
    pub(super) fn ahead(&self, scores: &Scores, ticket: Option<u64>) -> u32 {
        let Some(number) = ticket else {
            return self.claims.load(Ordering::Relaxed);
        };
        let line = self.queue.lock();
        let ahead = line.waiters.range(..number);
        let ahead = ahead.filter(|(_, waiter)| waiter.wants(scores)).count();
        u32::try_from(ahead).unwrap_or(u32::MAX)
    }
}
