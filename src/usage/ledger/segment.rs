//! How records stand in segment files: one a line, `crc32 of the rest in 8 hex digits`, a space, JSON, a line feed.
//!
//! A line is whole only with its line feed, so the one a crash has cut short is told from all others; and lines stay
//! readable with `grep`, `tail` and `jq`.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::{LedgerError, Line};

/// Hex digits of the checksum, and the space behind them.
const PREFIX: usize = 9;

/// Why a line is no record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// It does not begin with a checksum.
    #[error("it does not begin with a checksum")]
    Form,
    /// What it says is not what was written.
    #[error("its checksum does not fit: it was changed after it was written")]
    Checksum,
    /// It is what was written, but not by a version this one understands.
    #[error("it is no record this version understands: {0}")]
    Content(String),
}

/// Appends `line` to `out` as it stands in a segment.
pub fn write(line: &Line, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(b"00000000 ");
    let body = out.len();
    // Neither memory nor a record's own types can refuse.
    let _written = serde_json::to_writer(&mut *out, line);
    let sum = crc32fast::hash(&out[body..]);
    let _written = write!(&mut out[start..body], "{sum:08x}");
    out.push(b'\n');
}

/// The JSON of a line, without the line feed, that is as it was written.
///
/// # Errors
/// [`Wrong::Form`] and [`Wrong::Checksum`].
pub fn checked(line: &[u8]) -> Result<&[u8], Wrong> {
    let (sum, json) = line.split_at_checked(PREFIX).ok_or(Wrong::Form)?;
    let sum = sum
        .strip_suffix(b" ")
        .and_then(|digits| std::str::from_utf8(digits).ok())
        .and_then(|digits| u32::from_str_radix(digits, 16).ok())
        .ok_or(Wrong::Form)?;
    if crc32fast::hash(json) == sum {
        Ok(json)
    } else {
        Err(Wrong::Checksum)
    }
}

/// A record from its line, without the line feed.
///
/// # Errors
/// See [`Wrong`].
pub fn parse(line: &[u8]) -> Result<Line, Wrong> {
    serde_json::from_slice(checked(line)?).map_err(|error| Wrong::Content(error.to_string()))
}

/// The file name of the segment that begins with that record.
#[must_use]
pub fn name(first: u64) -> String {
    format!("{first:020}.log")
}

/// The segments in `dir`, by the number of their first record.
///
/// # Errors
/// If the folder can't be read.
pub fn list(dir: &Path) -> Result<Vec<(u64, PathBuf)>, LedgerError> {
    let unreadable = |error| LedgerError::Read {
        file: dir.to_owned(),
        error,
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let first = path
            .file_name()
            .and_then(|name| name.to_str()?.strip_suffix(".log"))
            .filter(|digits| digits.len() == 20)
            .and_then(|digits| digits.parse().ok());
        found.extend(first.map(|first| (first, path)));
    }
    found.sort_unstable();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Provenance;
    use crate::usage::ledger::entry::tests::line;
    use proptest::prelude::*;

    fn written(line: &Line) -> Vec<u8> {
        let mut out = Vec::new();
        write(line, &mut out);
        out
    }

    #[test]
    fn reads_what_it_wrote() {
        let mut line = line(7);
        for provenance in [
            Provenance::Unknown,
            Provenance::Reported,
            Provenance::Counted,
        ] {
            line.entry.provenance = provenance;
            let out = written(&line);
            let text = std::str::from_utf8(&out).expect("text");
            assert_eq!(text.matches('\n').count(), 1, "{text}");
            assert_eq!(parse(out.trim_ascii_end()), Ok(line.clone()));
        }
    }

    #[test]
    fn names_sort_as_numbers() {
        assert_eq!(name(1), "00000000000000000001.log");
        assert!(name(9) < name(10) && name(u64::MAX - 1) < name(u64::MAX));
    }

    proptest! {
        /// Whatever is in the fields, a record is one line and comes back as it was.
        #[test]
        fn any_text_is_one_line(key in ".*", model in ".*", cost: Option<u64>, number: u64) {
            let mut line = line(number);
            line.entry.key = Some(key.into());
            line.entry.model = model.into();
            line.entry.cost_pico = cost;
            let out = written(&line);
            prop_assert_eq!(memchr::memchr(b'\n', &out), Some(out.len() - 1));
            prop_assert_eq!(parse(&out[..out.len() - 1]), Ok(line));
        }

        /// A changed bit is never taken for a record, nor is a line cut short.
        #[test]
        fn damage_is_seen(at in 0usize..10_000, bit in 0u8..8, cut in 0usize..10_000) {
            let out = written(&line(3));
            let whole = &out[..out.len() - 1];
            let mut damaged = whole.to_vec();
            let at = at % damaged.len();
            damaged[at] ^= 1 << bit;
            // The checksum's digits may be of either case.
            if !damaged.eq_ignore_ascii_case(whole) || at >= PREFIX {
                prop_assert!(parse(&damaged).is_err());
            }
            prop_assert!(parse(&whole[..cut % whole.len()]).is_err());
        }
    }
}
