//! The ledger: one record for each attempt, written down before the end of its answer is given away.

mod entry;

pub use entry::{Entry, Line, Outcome};
