//! What is asked of the ledger.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::RedisTarget;

/// `waypost: ledger:`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerSettings {
    /// The folder it is kept in; of one process at a time.
    pub dir: PathBuf,
    /// When what was written is made to survive the machine's end, too.
    pub fsync: Fsync,
    /// What happens while records can't be written.
    pub when_full: WhenFull,
    /// A segment file is closed when it is as large as that, in bytes.
    pub segment_bytes: u64,
    /// How long segments are kept.
    pub retain: Duration,
    /// The Redis that everyone's totals are in, if any.
    pub redis: Option<Arc<RedisTarget>>,
}

/// When records are made to survive the end of the machine; that of the process they always do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fsync {
    /// When the system likes.
    Never,
    /// That often.
    Every(Duration),
    /// Before the answer's end is given away; those that come together share one.
    Always,
}

/// What happens to requests while the ledger can't be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// They are refused.
    Refuse,
    /// They are served; what can't be written is counted, and kept as far as memory for it goes.
    GoOn,
}
