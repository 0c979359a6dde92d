//! What a ledger asks of the disk, so that a test can say when it is full.

use std::fmt;
use std::fs::File;
use std::io::{self, Write};

/// Writes segments.
pub trait Disk: fmt::Debug + Send + Sync {
    /// Appends all of `bytes` to `file`; if that fails, any part of them may be there.
    ///
    /// # Errors
    /// As the disk says.
    fn append(&self, file: &mut File, bytes: &[u8]) -> io::Result<()>;

    /// Returns when what was appended survives the machine's end.
    ///
    /// # Errors
    /// As the disk says. What was appended since the last time may be lost then, whatever is answered later.
    fn sync(&self, file: &File) -> io::Result<()>;
}

/// The machine's.
#[derive(Debug, Clone, Copy, Default)]
pub struct Machine;

impl Disk for Machine {
    fn append(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        file.write_all(bytes)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_data()
    }
}
