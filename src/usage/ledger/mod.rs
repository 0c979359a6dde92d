//! The ledger: one record for each attempt, written down before the end of its answer is given away.

mod entry;
mod follow;
mod reader;
pub mod segment;
pub mod ship;

use std::io;
use std::path::PathBuf;

pub use entry::{Entry, Line, Outcome};
pub use follow::Follower;
pub use reader::{Records, Torn, read};

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
}
