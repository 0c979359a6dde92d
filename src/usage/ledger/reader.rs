//! Reads a ledger, of this process or of another one, while it is written or not.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind};
use std::path::{Path, PathBuf};
use std::vec::IntoIter;

use super::{LedgerError, Line, segment};

/// The records of the ledger in `dir`, in order.
///
/// A line that is no record is an error that names file and line, and reading goes on behind it. An end without its line feed
/// is no error where the last segment ends: it is being written, or a crash has cut it short ([`Records::torn`]).
#[must_use]
pub fn read(dir: &Path) -> Records {
    let (segments, unreadable) = match segment::list(dir) {
        Ok(segments) => (segments, None),
        Err(error) => (Vec::new(), Some(error)),
    };
    Records {
        segments: segments.into_iter(),
        unreadable,
        open: None,
        text: Vec::new(),
        torn: None,
    }
}

/// See [`read`].
#[derive(Debug)]
pub struct Records {
    segments: IntoIter<(u64, PathBuf)>,
    /// Why there is nothing to read.
    unreadable: Option<LedgerError>,
    open: Option<Open>,
    text: Vec<u8>,
    torn: Option<Torn>,
}

/// A segment being read.
#[derive(Debug)]
struct Open {
    path: PathBuf,
    file: BufReader<File>,
    /// Lines read.
    lines: u64,
    /// Bytes of them.
    bytes: u64,
}

/// The end of a ledger that is no whole line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Torn {
    /// Where.
    pub file: PathBuf,
    /// Bytes up to there that are whole lines.
    pub whole: u64,
    /// And bytes behind them.
    pub rest: u64,
}

impl Records {
    /// What stands behind the last whole line; known once there is no further record.
    #[must_use]
    pub fn torn(&self) -> Option<&Torn> {
        self.torn.as_ref()
    }

    /// The next segment that is still there: the oldest may just have been deleted.
    fn open(&mut self) -> Option<Result<(), LedgerError>> {
        for (_, path) in self.segments.by_ref() {
            match File::open(&path) {
                Ok(file) => {
                    self.open = Some(Open {
                        path,
                        file: BufReader::with_capacity(64 * 1024, file),
                        lines: 0,
                        bytes: 0,
                    });
                    return Some(Ok(()));
                }
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Some(Err(LedgerError::Read { file: path, error })),
            }
        }
        None
    }

    /// The next line of the open segment; `None` at its end.
    fn line(&mut self) -> Option<Result<Line, LedgerError>> {
        let open = self.open.as_mut()?;
        self.text.clear();
        let read = match open.file.read_until(b'\n', &mut self.text) {
            Ok(read) => read as u64,
            Err(error) => {
                let file = self.open.take()?.path;
                return Some(Err(LedgerError::Read { file, error }));
            }
        };
        if read == 0 {
            self.open = None;
            return None;
        }
        open.lines += 1;
        let parsed = match self.text.strip_suffix(b"\n") {
            Some(text) => segment::parse(text),
            None if self.segments.len() == 0 => {
                self.torn = Some(Torn {
                    file: open.path.clone(),
                    whole: open.bytes,
                    rest: read,
                });
                self.open = None;
                return None;
            }
            None => Err(segment::Wrong::Form),
        };
        open.bytes += read;
        Some(parsed.map_err(|what| LedgerError::Wrong {
            file: open.path.clone(),
            line: open.lines,
            what,
        }))
    }
}

impl Iterator for Records {
    type Item = Result<Line, LedgerError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(error) = self.unreadable.take() {
            return Some(Err(error));
        }
        loop {
            if let Some(line) = self.line() {
                return Some(line);
            }
            if let Err(error) = self.open()? {
                return Some(Err(error));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::ledger::entry::tests::line;
    use std::fs;

    fn folder(segments: &[(u64, &[u8])]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a folder");
        for (first, text) in segments {
            fs::write(dir.path().join(segment::name(*first)), text).expect("written");
        }
        dir
    }

    fn lines(numbers: std::ops::Range<u64>) -> Vec<u8> {
        let mut out = Vec::new();
        numbers.for_each(|number| segment::write(&line(number), &mut out));
        out
    }

    #[test]
    fn over_all_segments_in_order() {
        let dir = folder(&[(3, &lines(3..5)), (1, &lines(1..3)), (5, b"")]);
        fs::write(dir.path().join("id"), "x").expect("written");
        let numbers: Vec<u64> = read(dir.path())
            .map(|line| line.expect("a record").number)
            .collect();
        assert_eq!(numbers, [1, 2, 3, 4]);
    }

    #[test]
    fn a_wrong_line_is_named_and_the_rest_is_read() {
        let mut text = lines(1..4);
        let second = memchr::memchr(b'\n', &text).expect("a line") + 20;
        text[second] ^= 1;
        let dir = folder(&[(1, &text)]);
        let found: Vec<_> = read(dir.path()).collect();
        assert_eq!(found.len(), 3);
        assert_eq!(found[2].as_ref().expect("a record").number, 3);
        let error = found[1].as_ref().expect_err("damaged").to_string();
        assert!(error.contains("00000000000000000001.log"), "{error}");
        assert!(error.contains("line 2"), "{error}");
    }

    #[test]
    fn the_end_may_be_torn_but_no_other() {
        let whole = lines(1..3);
        let mut text = whole.clone();
        text.extend_from_slice(b"deadbeef {\"led");
        let dir = folder(&[(1, &text)]);
        let mut records = read(dir.path());
        assert_eq!(records.by_ref().filter_map(Result::ok).count(), 2);
        let torn = records.torn().expect("torn");
        assert_eq!((torn.whole, torn.rest), (whole.len() as u64, 14));
        fs::write(dir.path().join(segment::name(3)), lines(3..4)).expect("written");
        let mut records = read(dir.path());
        assert_eq!(records.by_ref().filter(Result::is_err).count(), 1);
        assert_eq!(records.torn(), None);
    }

    #[test]
    fn no_folder_is_an_error() {
        let mut records = read(Path::new("/nowhere/at/all"));
        let error = records.next().expect("an item").expect_err("an error");
        assert!(error.to_string().contains("/nowhere/at/all"), "{error}");
        assert!(records.next().is_none());
    }
}
