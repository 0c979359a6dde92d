//! [`PerMinute`]: a count that starts anew with each minute of the wall clock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The number of the wall-clock minute `unix` lies in.
#[must_use]
pub fn minute_of(unix: Duration) -> u64 {
    unix.as_secs() / 60
}

/// A count of one minute, with the minute's number above it in one word, so that both are always of each other.
#[derive(Debug, Default)]
pub(super) struct PerMinute(AtomicU64);

impl PerMinute {
    /// 40 bits, a million million: as far as is counted. The 24 bits above tell the minutes of 31 years apart.
    pub(super) const MOST: u64 = (1 << 40) - 1;

    const fn count(word: u64, minute: u64) -> Option<u64> {
        let count = word.wrapping_sub(minute << 40);
        if count <= Self::MOST {
            Some(count)
        } else {
            None
        }
    }

    fn word(minute: u64, count: u64) -> u64 {
        minute << 40 | count.min(Self::MOST)
    }

    pub(super) fn of(&self, minute: u64) -> u64 {
        Self::count(self.0.load(Ordering::Relaxed), minute).unwrap_or(0)
    }

    /// Adds `n` if what is there `fits`; another minute starts from zero.
    pub(super) fn add(&self, minute: u64, n: u64, fits: impl Fn(u64) -> bool) -> bool {
        let change = |word| {
            let count = Self::count(word, minute).unwrap_or(0);
            fits(count).then(|| Self::word(minute, count.saturating_add(n)))
        };
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, change)
            .is_ok()
    }

    /// Takes `old` out and puts `new` in, if the minute is still that one.
    pub(super) fn replace(&self, minute: u64, old: u64, new: u64) {
        let change = |word| {
            let count = Self::count(word, minute)?;
            Some(Self::word(
                minute,
                count.saturating_sub(old).saturating_add(new),
            ))
        };
        // Of a minute that is over there is nothing to change.
        let _ = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, change);
    }
}
