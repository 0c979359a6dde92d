//! Reads a ledger on and on, while it is written.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::{LedgerError, Line, segment};

/// Where somebody is who reads a ledger as it grows.
#[derive(Debug)]
pub struct Follower {
    dir: PathBuf,
    /// The number of the record to read next.
    next: u64,
    /// The segment that is read, by its first record, and how many bytes of it have been.
    place: Option<(u64, u64)>,
}

impl Follower {
    /// From the record of that number on.
    #[must_use]
    pub fn new(dir: &Path, next: u64) -> Self {
        Self {
            dir: dir.to_owned(),
            next,
            place: None,
        }
    }

    /// The ledger's folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The number of the record to read next.
    #[must_use]
    pub const fn next(&self) -> u64 {
        self.next
    }

    /// The next records, at most so many; none: there are no more yet. Lines that are no records are stepped over, and
    /// what is not kept any more is not waited for: the first record's number tells.
    ///
    /// # Errors
    /// If a file can't be read.
    pub fn read(&mut self, most: usize) -> Result<Vec<Line>, LedgerError> {
        let mut lines = Vec::new();
        for (first, path) in self.segments()? {
            let skipped = match self.place {
                Some((place, bytes)) if place == first => bytes,
                _ => 0,
            };
            let mut file = match File::open(&path) {
                Ok(file) => BufReader::with_capacity(64 * 1024, file),
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(LedgerError::Read { file: path, error }),
            };
            let read = |error| LedgerError::Read {
                file: path.clone(),
                error,
            };
            file.seek(SeekFrom::Start(skipped)).map_err(read)?;
            let mut bytes = skipped;
            let mut text = Vec::new();
            while lines.len() < most {
                text.clear();
                let length = file.read_until(b'\n', &mut text).map_err(read)?;
                let Some(text) = text.strip_suffix(b"\n") else {
                    break; // the end, or a line that is being written
                };
                bytes += length as u64;
                if let Ok(line) = segment::parse(text)
                    && line.number >= self.next
                {
                    self.next = line.number + 1;
                    lines.push(line);
                }
            }
            self.place = Some((first, bytes));
            if lines.len() == most {
                break;
            }
        }
        Ok(lines)
    }

    /// The segments that may have what is next, in order.
    fn segments(&self) -> Result<Vec<(u64, PathBuf)>, LedgerError> {
        let mut all = segment::list(&self.dir)?;
        let from = match self.place {
            Some((place, _)) => place,
            // Of those that begin before it the last one has it.
            None => all
                .iter()
                .map(|(first, _)| *first)
                .filter(|first| *first <= self.next)
                .max()
                .unwrap_or(0),
        };
        all.retain(|(first, _)| *first >= from);
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::ledger::entry::tests::line;
    use proptest::prelude::*;
    use std::fs::{self, OpenOptions};
    use std::io::Write;

    proptest! {
        /// However a ledger grows, is read, is cut into segments and loses old ones: each record comes once, in order, if it
        /// was there when it was to be read.
        #[test]
        fn each_record_once(
            steps in prop::collection::vec((0u8..5, 1usize..6), 1..60),
            from in 1u64..4,
        ) {
            let dir = tempfile::tempdir().expect("a folder");
            let (mut segment_at, mut written, mut half) = (1, 0, Vec::new());
            let mut follower = Follower::new(dir.path(), from);
            let mut seen: Vec<u64> = Vec::new();
            let mut oldest = 1;
            for (step, n) in steps {
                let path = dir.path().join(segment::name(segment_at));
                let mut file = OpenOptions::new().create(true).append(true).open(path).expect("a file");
                match step {
                    0 | 1 => for _ in 0..n {
                        written += 1;
                        let mut text = std::mem::take(&mut half);
                        if text.is_empty() {
                            segment::write(&line(written), &mut text);
                        }
                        file.write_all(&text).expect("written");
                    },
                    2 if half.is_empty() => {
                        // Half a line, whose rest is written with the next one.
                        segment::write(&line(written + 1), &mut half);
                        let rest = half.split_off(half.len() / 2);
                        file.write_all(&half).expect("written");
                        half = rest;
                    }
                    2 => {}
                    3 if half.is_empty() => segment_at = written + 1,
                    _ => {
                        let lines = follower.read(n).expect("read");
                        prop_assert!(lines.len() <= n);
                        seen.extend(lines.iter().map(|line| line.number));
                        // What has been read may go.
                        if n == 1 && segment_at > oldest && follower.next() >= segment_at {
                            let _ = fs::remove_file(dir.path().join(segment::name(oldest)));
                            oldest = segment_at;
                        }
                    }
                }
            }
            loop {
                let lines = follower.read(3).expect("read");
                if lines.is_empty() { break; }
                seen.extend(lines.iter().map(|line| line.number));
            }
            prop_assert_eq!(seen, (from..=written).collect::<Vec<_>>());
        }
    }
}
