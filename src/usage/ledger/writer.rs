//! The thread that writes a ledger.
//!
//! Records queue up while it writes and syncs those before them, so those that come together are written, and synced, as
//! one (group commit). Each is numbered when its turn comes, and what can't be written is kept as it is and tried again
//! before anything else: numbers have no gaps, whatever happens.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::folder::Folder;
use super::{Entry, Line, Shared, segment};
use crate::clock::{Clock, SystemClock};
use crate::types::{Fsync, WhenFull};

/// How often writing is tried again while it fails.
const AGAIN: Duration = Duration::from_secs(1);

/// What the writer finds when it has time.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) entries: Vec<Entry>,
    /// Who waits for that.
    pub(super) receipts: Vec<oneshot::Sender<()>>,
    /// It is to be synced now, if it is ever to be.
    pub(super) flush: bool,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.receipts.is_empty() && self.entries.is_empty() && !self.flush
    }
}

#[derive(Debug)]
pub(super) struct Writer {
    shared: Arc<Shared>,
    folder: Folder,
    fsync: Fsync,
    when_full: WhenFull,
    clock: SystemClock,
    /// The number of the next record.
    next: u64,
    /// Numbered records that are not written yet, as they will stand in a segment.
    pending: Vec<u8>,
    /// How many.
    numbered: u64,
    /// When the oldest record that was not synced was written.
    unsynced: Option<Instant>,
    /// A sync has failed since it was last said that all is well.
    doubtful: bool,
    /// Since when writing fails.
    failing: Option<Instant>,
}

impl Writer {
    pub(super) fn new(
        shared: Arc<Shared>,
        folder: Folder,
        next: u64,
        fsync: Fsync,
        when_full: WhenFull,
    ) -> Self {
        Self {
            shared,
            folder,
            fsync,
            when_full,
            clock: SystemClock,
            next,
            pending: Vec::new(),
            numbered: 0,
            unsynced: None,
            doubtful: false,
            failing: None,
        }
    }

    /// Writes until it is told to stop, and then what is left.
    pub(super) fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        loop {
            let (batch, stop) = shared.next(self.patience());
            let last = stop && batch.is_empty();
            let flush = batch.flush || last;
            self.number(batch.entries);
            self.write(flush);
            // Whoever waits has been told, or nobody is there to tell.
            batch.receipts.into_iter().for_each(|r| _ = r.send(()));
            if last {
                break;
            }
        }
        if self.numbered > 0 {
            tracing::error!(
                "ledger: {} records could not be written before the end, and are lost",
                self.numbered
            );
        }
        drop(self); // and with it the folder's lock
        shared.ended();
    }

    /// How long there is nothing to do if nothing comes.
    fn patience(&self) -> Option<Duration> {
        if self.failing.is_some() {
            return Some(AGAIN);
        }
        let Fsync::Every(interval) = self.fsync else {
            return None;
        };
        let since = self.unsynced?;
        Some(interval.saturating_sub(self.clock.now().duration_since(since)))
    }

    /// Turns entries into numbered records.
    fn number(&mut self, entries: Vec<Entry>) {
        for entry in entries {
            let line = Line {
                ledger: Arc::clone(&self.folder.id),
                number: self.next,
                entry,
            };
            segment::write(&line, &mut self.pending);
            self.next += 1;
            self.numbered += 1;
        }
    }

    fn write(&mut self, flush: bool) {
        match self.try_write(flush) {
            Ok(()) => self.works(),
            Err(error) => self.fails(&error),
        }
    }

    /// Writes what is pending, and syncs if it is time to.
    fn try_write(&mut self, flush: bool) -> std::io::Result<()> {
        let bytes = self.pending.len() as u64;
        if bytes > 0 {
            let first = self.next - self.numbered;
            self.folder
                .append(first, &self.pending, self.clock.unix())?;
            if self.fsync == Fsync::Always
                && let Err(error) = self.folder.sync()
            {
                // Nobody knows what of it is on the disk: it is written again.
                self.folder.take_back(bytes);
                return Err(error);
            }
            self.shared.written(self.numbered);
            self.pending.clear();
            self.pending.shrink_to(64 * 1024);
            self.numbered = 0;
            if let Fsync::Every(_) = self.fsync {
                self.unsynced.get_or_insert(self.clock.now());
            }
        }
        let due =
            flush || self.patience().is_some_and(|left| left.is_zero()) || self.failing.is_some();
        if self.unsynced.is_some() && due {
            if let Err(error) = self.folder.sync() {
                // What the system had in hand may be gone, whatever it says the next time.
                self.doubtful = true;
                return Err(error);
            }
            self.unsynced = None;
        }
        Ok(())
    }

    fn works(&mut self) {
        if let Some(since) = self.failing.take() {
            let lost = self.shared.recovered();
            let doubt = if std::mem::take(&mut self.doubtful) {
                "; of what was written just before it failed, some may be missing (waypost ledger verify tells)"
            } else {
                ""
            };
            tracing::warn!(
                "ledger: {} can be written again after {:.1} s; what was kept is written, and {lost} records are lost{doubt}",
                self.folder.dir().display(),
                self.clock.now().duration_since(since).as_secs_f64(),
            );
        }
    }

    fn fails(&mut self, error: &std::io::Error) {
        if self.failing.is_none() {
            self.failing = Some(self.clock.now());
            let what = match self.when_full {
                WhenFull::Refuse => "requests are refused until it can (when_full: refuse)",
                WhenFull::GoOn => {
                    "requests are served, and up to 100,000 records are kept in memory until it can (when_full: go_on)"
                }
            };
            tracing::error!(
                "ledger: {} can't be written: {error}; {what}",
                self.folder.dir().display()
            );
        }
        self.shared.failed(error);
    }
}
