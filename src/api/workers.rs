//! The threads that serve connections.
//!
//! Each has a runtime of its own that never hands work to another thread, and a connection stays where it was put, with
//! the upstream connections its requests use. What requests share (scores, limits, metrics) is shared by all threads.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::CancellationToken;

/// Where connections are served.
#[derive(Debug)]
pub struct Workers {
    threads: Vec<Worker>,
    stop: CancellationToken,
    next: AtomicUsize,
}

#[derive(Debug)]
struct Worker {
    runtime: Handle,
    connections: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

/// A connection's place; given up when dropped.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) runtime: Handle,
    connections: Arc<AtomicUsize>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Workers {
    /// None: connections are served by the runtime that accepts them.
    #[must_use]
    pub fn here() -> Self {
        Self {
            threads: Vec::new(),
            stop: CancellationToken::new(),
            next: AtomicUsize::new(0),
        }
    }

    /// So many threads.
    ///
    /// # Errors
    /// If the system does not give them.
    pub fn threads(count: usize) -> io::Result<Self> {
        let mut workers = Self::here();
        for number in 0..count {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let (handle, stop) = (runtime.handle().clone(), workers.stop.clone());
            let thread = std::thread::Builder::new()
                .name(format!("worker-{number}"))
                .spawn(move || {
                    runtime.block_on(stop.cancelled());
                    runtime.shutdown_background();
                })?;
            workers.threads.push(Worker {
                runtime: handle,
                connections: Arc::default(),
                thread: Some(thread),
            });
        }
        Ok(workers)
    }

    /// A place at the thread that has the fewest connections; they take turns where several have. `None` if there are no
    /// threads.
    pub(super) fn seat(&self) -> Option<Seat> {
        let start = self.next.fetch_add(1, Ordering::Relaxed);
        let count = self.threads.len();
        let fewest = (0..count)
            .map(|step| &self.threads[start.wrapping_add(step) % count])
            .min_by_key(|worker| worker.connections.load(Ordering::Relaxed))?;
        fewest.connections.fetch_add(1, Ordering::Relaxed);
        Some(Seat {
            runtime: fewest.runtime.clone(),
            connections: Arc::clone(&fewest.connections),
        })
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.stop.cancel();
        for worker in &mut self.threads {
            if let Some(thread) = worker.thread.take() {
                // A thread that panicked has said so itself.
                let _ = thread.join();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_spread_evenly_and_fill_what_others_left() {
        let workers = Workers::threads(3).expect("threads");
        let load = || -> Vec<usize> {
            let load = |w: &Worker| w.connections.load(Ordering::Relaxed);
            workers.threads.iter().map(load).collect()
        };
        let mut seats: Vec<_> = (0..7).map(|_| workers.seat()).collect();
        let mut spread = load();
        spread.sort_unstable();
        assert_eq!(spread, [2, 2, 3]);
        let kept = seats.pop().expect("seven");
        seats.clear();
        seats.extend((0..5).map(|_| workers.seat()));
        assert_eq!(load(), [2, 2, 2]);
        drop((kept, seats));
        assert_eq!(load(), [0, 0, 0]);
    }
}
