//! The ledger: one record for each attempt, written down before the end of its answer is given away.
//!
//! [`Ledger::append`] hands a record to a thread of its own (`writer.rs`) and gives a [`Receipt`]; whoever gives the answer's
//! end away waits for that. The process may be killed at any moment after it and the record is there. Records stand in the
//! segment files of a folder (`segment.rs`, `folder.rs`) that one process at a time writes to and any may [`read`].

mod disk;
mod entry;
mod folder;
mod follow;
mod reader;
pub mod segment;
pub mod ship;
mod writer;

#[cfg(test)]
mod tests;

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::oneshot;

pub use disk::{Disk, Machine};
pub use entry::{Entry, Line, Outcome};
pub use follow::Follower;
pub use reader::{Records, Torn, read};

use crate::metrics::LedgerMeters;
use crate::types::{LedgerSettings, WhenFull};
use folder::Folder;
use writer::{Batch, Writer};

/// Records kept in memory while they can't be written; those beyond are lost, and counted. About 50 MB.
pub const KEPT: u64 = 100_000;
/// How long the end of a process waits for a disk that does not answer.
const LAST_WAIT: Duration = Duration::from_secs(5);

/// A ledger that is open. Clones are the same one; with the last of them it is written to its end and closed.
#[derive(Debug, Clone)]
pub struct Ledger(Arc<Owner>);

/// Ends the writer when it goes.
#[derive(Debug)]
struct Owner(Arc<Shared>);

/// What the writer and those who append share.
#[derive(Debug)]
struct Shared {
    when_full: WhenFull,
    meters: LedgerMeters,
    queue: Mutex<Queue>,
    /// There is something to write, or an end.
    wake: Condvar,
    /// Read by every request.
    refusing: AtomicBool,
}

#[derive(Debug, Default)]
struct Queue {
    batch: Batch,
    /// Records appended and not yet written, the batch's among them.
    unwritten: u64,
    /// Why writing fails, if it does.
    failing: Option<String>,
    /// Records lost since it does.
    lost: u64,
    /// The writer waits to be woken.
    idle: bool,
    stop: bool,
    ended: bool,
}

/// Why a ledger, or a part of it, can't be used.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// A file or folder can't be read.
    #[error("{}: it can't be read: {error}", file.display())]
    Read {
        /// Which.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A line is no record.
    #[error("{}: line {line} is no record: {what}", file.display())]
    Wrong {
        /// Where.
        file: PathBuf,
        /// Counted from 1.
        line: u64,
        /// Why.
        what: segment::Wrong,
    },
    /// The folder can't be written to.
    #[error(
        "the ledger can't be kept in {}: {error}. Name a folder that this process may make files in",
        dir.display()
    )]
    Folder {
        /// Which.
        dir: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Another process has it open.
    #[error(
        "the ledger in {} is open in another process{}. Each process needs a folder of its own",
        dir.display(), by.map(|id| format!(", {id}")).unwrap_or_default()
    )]
    Locked {
        /// Which.
        dir: PathBuf,
        /// The other one's id, if it said so.
        by: Option<u32>,
    },
    /// What should be its id is something else.
    #[error(
        "{} is no ledger's id, which is 16 hex digits. If records are beside it, write the one they name; else delete it",
        file.display()
    )]
    Id {
        /// Where.
        file: PathBuf,
    },
}

impl Ledger {
    /// Opens the ledger that `settings` describe, and makes its folder if it is not there.
    ///
    /// # Errors
    /// If the folder can't be used, or another process uses it.
    pub fn open(
        settings: &LedgerSettings,
        disk: Arc<dyn Disk>,
        meters: LedgerMeters,
    ) -> Result<Self, LedgerError> {
        let (folder, next) = Folder::open(settings, disk)?;
        let shared = Arc::new(Shared {
            when_full: settings.when_full,
            meters,
            queue: Mutex::default(),
            wake: Condvar::new(),
            refusing: AtomicBool::new(false),
        });
        let writer = Writer::new(
            Arc::clone(&shared),
            folder,
            next,
            settings.fsync,
            settings.when_full,
        );
        std::thread::Builder::new()
            .name("ledger".to_owned())
            .spawn(|| writer.run())
            .map_err(|error| LedgerError::Folder {
                dir: settings.dir.clone(),
                error,
            })?;
        Ok(Self(Arc::new(Owner(shared))))
    }

    /// Hands over a record. It is written as soon as those before it are, whether anybody waits for that or not.
    pub fn append(&self, entry: Entry) -> Receipt {
        let shared = &self.0.0;
        let mut queue = shared.lock();
        if queue.unwritten >= KEPT {
            queue.lost += 1;
            let first = queue.lost == 1;
            drop(queue);
            shared.meters.lost();
            if first {
                tracing::error!(
                    "ledger: {KEPT} records wait to be written; from now on further ones are lost"
                );
            }
            return Receipt(None);
        }
        queue.unwritten += 1;
        queue.batch.entries.push(entry);
        if queue.failing.is_some() {
            return Receipt(None); // it is tried again in a while, and nobody is kept waiting until then
        }
        shared.wait_for_it(queue)
    }

    /// A receipt for all that was handed over, which is synced now unless it never is.
    pub fn flush(&self) -> Receipt {
        let shared = &self.0.0;
        let mut queue = shared.lock();
        queue.batch.flush = true;
        shared.wait_for_it(queue)
    }

    /// Whether requests are to be refused, since what they cost could not be written down.
    #[must_use]
    pub fn is_refusing(&self) -> bool {
        self.0.0.refusing.load(Ordering::Relaxed)
    }

    /// Why writing fails, if it does.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.0.0.lock().failing.clone()
    }

    /// Records handed over and not yet written.
    #[must_use]
    pub fn unwritten(&self) -> u64 {
        self.0.0.lock().unwritten
    }

    /// Its series.
    #[must_use]
    pub fn meters(&self) -> &LedgerMeters {
        &self.0.0.meters
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A receipt for all that is in the queue.
    fn wait_for_it(self: &Arc<Self>, mut queue: MutexGuard<'_, Queue>) -> Receipt {
        let (sender, receiver) = oneshot::channel();
        queue.batch.receipts.push(sender);
        let idle = std::mem::take(&mut queue.idle);
        drop(queue);
        if idle {
            self.wake.notify_all();
        }
        Receipt(Some((receiver, Arc::clone(self))))
    }

    /// What there is to write, once there is something or `patience` is over; and whether that is to be all.
    fn next(&self, patience: Option<Duration>) -> (Batch, bool) {
        let mut queue = self.lock();
        let idle = |queue: &mut Queue| {
            // While writing fails it is tried once in a while, however many records come.
            let waits = queue.failing.is_some() && !queue.batch.flush || queue.batch.is_empty();
            queue.idle = waits && !queue.stop;
            queue.idle
        };
        queue = match patience {
            None => self
                .wake
                .wait_while(queue, idle)
                .unwrap_or_else(PoisonError::into_inner),
            Some(patience) => {
                self.wake
                    .wait_timeout_while(queue, patience, idle)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0
            }
        };
        queue.idle = false;
        (std::mem::take(&mut queue.batch), queue.stop)
    }

    /// That many records are written.
    fn written(&self, records: u64) {
        self.meters.written(records);
        let mut queue = self.lock();
        queue.unwritten -= records;
    }

    fn failed(&self, error: &io::Error) {
        let mut queue = self.lock();
        queue.failing = Some(error.to_string());
        // Who has come since is kept waiting as little as who comes from now on.
        queue.batch.receipts.clear();
        drop(queue);
        self.refusing
            .store(self.when_full == WhenFull::Refuse, Ordering::Relaxed);
    }

    /// Writing works again. Returns how many records were lost meanwhile.
    fn recovered(&self) -> u64 {
        self.refusing.store(false, Ordering::Relaxed);
        let mut queue = self.lock();
        queue.failing = None;
        std::mem::take(&mut queue.lost)
    }

    fn ended(&self) {
        self.lock().ended = true;
        self.wake.notify_all();
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let Self(shared) = self;
        let mut queue = shared.lock();
        queue.stop = true;
        shared.wake.notify_all();
        // A disk that does not answer must not keep a process from ending.
        let _ended = shared
            .wake
            .wait_timeout_while(queue, LAST_WAIT, |queue| !queue.ended);
    }
}

/// Ready when a record is written as durably as the settings ask for, or when it is known that it can't be for now: then it is
/// kept as far as memory for it goes. Dropped, nobody waits, and the record is written all the same.
#[derive(Debug)]
#[must_use = "the record is written when it is ready"]
pub struct Receipt(Option<(oneshot::Receiver<()>, Arc<Shared>)>);

impl Receipt {
    /// Whoever waited for it goes on without it, which is counted.
    pub fn give_up(&mut self) {
        if let Some((_, ledger)) = self.0.take() {
            ledger.meters.late();
        }
    }
}

impl Future for Receipt {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.0 {
            None => Poll::Ready(()),
            // A writer that is gone writes nothing any more, and keeps nobody waiting.
            Some((receiver, _)) => Pin::new(receiver).poll(cx).map(|_| ()),
        }
    }
}
