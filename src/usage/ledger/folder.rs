//! A ledger's folder: its lock, its id, and its segments, of which the last one grows.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use serde::Deserialize;

use super::{Disk, LedgerError, segment};
use crate::types::{Fsync, LedgerSettings};

/// A segment is closed after a day, too, so that what is kept too long is at most that.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// Hex digits of an id.
const ID: usize = 16;

/// A ledger's folder, which no other process writes to.
#[derive(Debug)]
pub(super) struct Folder {
    dir: PathBuf,
    /// Locked as long as it is open.
    _lock: File,
    pub(super) id: Arc<str>,
    disk: Arc<dyn Disk>,
    syncs: bool,
    segment_bytes: u64,
    retain: Duration,
    open: Segment,
}

/// The segment that grows.
#[derive(Debug)]
struct Segment {
    file: File,
    /// Bytes of whole records.
    len: u64,
    /// When its first record was written, since the epoch.
    began: Option<Duration>,
    /// A part of a record may stand behind `len`.
    dirty: bool,
}

/// What is asked of a record when a ledger is opened; all versions have it.
#[derive(Deserialize)]
struct Last {
    ledger: Arc<str>,
    number: u64,
    began_ms: u64,
}

/// What was found in the last segment.
#[derive(Default)]
struct Found {
    last: Option<Last>,
    began: Option<Duration>,
    whole: u64,
    torn: u64,
}

impl Folder {
    /// Opens it, and makes it if it is not there. Returns the number of the next record, too.
    ///
    /// # Errors
    /// See [`LedgerError`].
    pub(super) fn open(
        settings: &LedgerSettings,
        disk: Arc<dyn Disk>,
    ) -> Result<(Self, u64), LedgerError> {
        let dir = &settings.dir;
        let unusable = |error| LedgerError::Folder {
            dir: dir.clone(),
            error,
        };
        fs::create_dir_all(dir).map_err(unusable)?;
        let lock = lock(dir)?;
        let (first, path) = segment::list(dir)?
            .pop()
            .unwrap_or_else(|| (1, dir.join(segment::name(1))));
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(&path)
            .map_err(unusable)?;
        let found = Found::read(&mut file).map_err(unusable)?;
        if found.torn > 0 {
            file.set_len(found.whole).map_err(unusable)?;
            tracing::warn!(
                "ledger: {} ended in {} bytes of a record that was never written to its end; they are cut",
                path.display(),
                found.torn
            );
        }
        let next = found.last.as_ref().map_or(first, |last| last.number + 1);
        let folder = Self {
            id: id(dir, found.last.map(|last| last.ledger))?,
            dir: dir.clone(),
            _lock: lock,
            disk,
            syncs: settings.fsync != Fsync::Never,
            segment_bytes: settings.segment_bytes,
            retain: settings.retain,
            open: Segment {
                file,
                len: found.whole,
                began: found.began,
                dirty: false,
            },
        };
        folder.sync_dir().map_err(unusable)?;
        Ok((folder, next))
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Appends whole records, of which `first` is the number of the first one, into a new segment if it is time for one. If
    /// that fails, none of them is there.
    pub(super) fn append(&mut self, first: u64, records: &[u8], unix: Duration) -> io::Result<()> {
        let old = self
            .open
            .began
            .is_some_and(|began| unix.saturating_sub(began) >= LONGEST);
        if self.open.len > 0 && (old || self.open.len >= self.segment_bytes) {
            self.turn(first)?;
            self.forget(unix);
        }
        self.open.append(records, &*self.disk)?;
        self.open.began.get_or_insert(unix);
        Ok(())
    }

    /// Takes back the last `bytes`, of which nobody knows whether they survive.
    pub(super) fn take_back(&mut self, bytes: u64) {
        self.open.len = self.open.len.saturating_sub(bytes);
        self.open.dirty = true;
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        self.disk.sync(&self.open.file)
    }

    /// Begins the segment of that record.
    fn turn(&mut self, first: u64) -> io::Result<()> {
        self.open.clean()?;
        if self.syncs {
            self.sync()?;
        }
        let path = self.dir.join(segment::name(first));
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        self.open = Segment {
            file,
            len: 0,
            began: None,
            dirty: false,
        };
        self.sync_dir()
    }

    fn sync_dir(&self) -> io::Result<()> {
        if self.syncs {
            File::open(&self.dir)?.sync_all()?;
        }
        Ok(())
    }

    /// Deletes segments whose last record is older than what is kept.
    fn forget(&self, unix: Duration) {
        let mut segments = segment::list(&self.dir).unwrap_or_default();
        segments.pop();
        for (_, path) in segments {
            let written = fs::metadata(&path).and_then(|found| found.modified());
            let age = written
                .ok()
                .and_then(|at| at.duration_since(UNIX_EPOCH).ok())
                .map(|at| unix.saturating_sub(at));
            if age.is_none_or(|age| age <= self.retain) {
                return; // those behind it are younger
            }
            match fs::remove_file(&path) {
                Ok(()) => tracing::info!(
                    "ledger: {} is older than what is kept, and deleted",
                    path.display()
                ),
                Err(error) => {
                    return tracing::warn!(
                        "ledger: {} is older than what is kept, but can't be deleted: {error}",
                        path.display()
                    );
                }
            }
        }
    }
}

impl Segment {
    fn append(&mut self, records: &[u8], disk: &dyn Disk) -> io::Result<()> {
        self.clean()?;
        self.dirty = true;
        if let Err(error) = disk.append(&mut self.file, records) {
            // If that fails as well, it is done before anything else is written.
            let _cleaned = self.clean();
            return Err(error);
        }
        self.dirty = false;
        self.len += records.len() as u64;
        Ok(())
    }

    /// Cuts what is no whole record.
    fn clean(&mut self) -> io::Result<()> {
        if self.dirty {
            self.file.set_len(self.len)?;
            self.dirty = false;
        }
        Ok(())
    }
}

impl Found {
    /// Reads a segment from its beginning to its end. A line that is no record is left where it is: reading tells of it.
    fn read(file: &mut File) -> io::Result<Self> {
        file.rewind()?;
        let mut found = Self::default();
        let mut last = Vec::new();
        let mut text = Vec::new();
        let mut lines = BufReader::with_capacity(64 * 1024, file);
        loop {
            text.clear();
            let read = lines.read_until(b'\n', &mut text)? as u64;
            let Some(line) = text.strip_suffix(b"\n") else {
                found.torn = read;
                break;
            };
            found.whole += read;
            if let Ok(json) = segment::checked(line) {
                if found.began.is_none() {
                    let first: Option<Last> = serde_json::from_slice(json).ok();
                    found.began = first.map(|first| Duration::from_millis(first.began_ms));
                }
                last.clear();
                last.extend_from_slice(json);
            }
        }
        found.last = serde_json::from_slice(&last).ok();
        Ok(found)
    }
}

/// Locks `dir` for this process.
fn lock(dir: &Path) -> Result<File, LedgerError> {
    let unusable = |error| LedgerError::Folder {
        dir: dir.to_owned(),
        error,
    };
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(dir.join("lock"))
        .map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => {
            // Who it is is only for the message of another one.
            let _told = file
                .set_len(0)
                .and_then(|()| write!(file, "{}", std::process::id()));
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => {
            let mut by = String::new();
            let _read = file.read_to_string(&mut by);
            Err(LedgerError::Locked {
                dir: dir.to_owned(),
                by: by.trim().parse().ok(),
            })
        }
        Err(TryLockError::Error(error)) => Err(unusable(error)),
    }
}

/// The id of the ledger in `dir`: as its file says, else as its last record says, else a new one.
fn id(dir: &Path, last: Option<Arc<str>>) -> Result<Arc<str>, LedgerError> {
    let file = dir.join("id");
    let unusable = |error| LedgerError::Folder {
        dir: dir.to_owned(),
        error,
    };
    match fs::read_to_string(&file) {
        Ok(text) => {
            let id = text.trim();
            let is_one = id.len() == ID && id.bytes().all(|b| b.is_ascii_hexdigit());
            is_one.then(|| id.into()).ok_or(LedgerError::Id { file })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let id = last.unwrap_or_else(|| format!("{:016x}", rand::random::<u64>()).into());
            // Whole or not at all: half an id would be another one's.
            let new = dir.join("id.new");
            let mut out = File::create(&new).map_err(unusable)?;
            writeln!(out, "{id}").map_err(unusable)?;
            out.sync_all().map_err(unusable)?;
            fs::rename(new, file).map_err(unusable)?;
            Ok(id)
        }
        Err(error) => Err(unusable(error)),
    }
}
