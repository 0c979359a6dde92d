//! [`PerMinute`]: a count that starts anew with each minute of the wall clock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The number of the wall-clock minute `unix` lies in.
#[must_use]
pub fn minute_of(unix: Duration) -> u64 {
    unix.as_secs() / 60
}

/// A count of one minute, with the minute's number above it in one word, so that both are always of each other.
///
/// It does not go back by a minute: a thread that looked at the clock just before it turned and comes late counts in the
/// minute that has begun. By more than one the clock itself has been set back, and the count follows it.
#[derive(Debug, Default)]
pub(super) struct PerMinute(AtomicU64);

impl PerMinute {
    /// 40 bits, a million million: as far as is counted. The 24 bits above tell the minutes of 31 years apart.
    pub(super) const MOST: u64 = (1 << 40) - 1;

    /// The number, as far as it is held.
    const HELD: u64 = (1 << 24) - 1;

    const fn count(word: u64, minute: u64) -> Option<u64> {
        if word >> 40 == minute & Self::HELD {
            Some(word & Self::MOST)
        } else {
            None
        }
    }

    /// The minute that a request of `minute` belongs to, with what is there.
    const fn turned(word: u64, minute: u64) -> u64 {
        minute + (word >> 40 == (minute + 1) & Self::HELD) as u64
    }

    fn word(minute: u64, count: u64) -> u64 {
        minute << 40 | count.min(Self::MOST)
    }

    pub(super) fn of(&self, minute: u64) -> u64 {
        let word = self.0.load(Ordering::Relaxed);
        // The count of that minute, or of the one after it; without a branch, as each pick reads it of each deployment.
        let ahead = (word >> 40).wrapping_sub(minute) & Self::HELD;
        if ahead <= 1 { word & Self::MOST } else { 0 }
    }

    /// What is counted of that minute; `None` if the next one has begun.
    pub(super) fn exactly(&self, minute: u64) -> Option<u64> {
        let word = self.0.load(Ordering::Relaxed);
        (Self::turned(word, minute) == minute).then(|| Self::count(word, minute).unwrap_or(0))
    }

    /// Of that minute, `old` of what is there is to be `new`; what is not there yet begins with it. False, and nothing is
    /// done, if the next minute has begun.
    pub(super) fn amend(&self, minute: u64, old: u64, new: u64) -> bool {
        let change = |word| {
            let count = match Self::count(word, minute) {
                Some(count) => count.saturating_sub(old),
                None if Self::turned(word, minute) == minute => 0,
                None => return None,
            };
            Some(Self::word(minute, count.saturating_add(new)))
        };
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, change)
            .is_ok()
    }

    /// Adds `n` if what is there `fits`; another minute starts from zero. Returns the minute it was counted in.
    pub(super) fn add(&self, minute: u64, n: u64, fits: impl Fn(u64) -> bool) -> Option<u64> {
        let change = |word| {
            let minute = Self::turned(word, minute);
            let count = Self::count(word, minute).unwrap_or(0);
            fits(count).then(|| Self::word(minute, count.saturating_add(n)))
        };
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, change)
            .ok()
            .map(|before| Self::turned(before, minute))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_comers_count_in_the_minute_that_has_begun() {
        let count = PerMinute::default();
        let add = |minute| count.add(minute, 1, |used| used < 3);
        assert_eq!(
            [7, 7, 6, 7, 6].map(add),
            [Some(7), Some(7), Some(7), None, None]
        );
        assert_eq!([6, 7, 8].map(|minute| count.of(minute)), [3, 3, 0]);
        assert_eq!([8, 7].map(add), [Some(8), Some(8)]);
        // An hour back: the clock was set.
        assert_eq!(add(900), Some(900));
        assert_eq!(add(840), Some(840));
        let last = PerMinute::HELD;
        let around = PerMinute::default();
        assert_eq!(around.add(last + 1, 1, |_| true), Some(last + 1));
        assert_eq!(
            around.add(last, 1, |_| true),
            Some(last + 1),
            "the number's end"
        );
    }

    #[test]
    fn a_part_is_amended_in_its_own_minute_only() {
        let count = PerMinute::default();
        assert_eq!(count.exactly(7), Some(0));
        // Nobody has counted in it yet: it begins with that.
        assert!(count.amend(7, 0, 5));
        count.add(7, 2, |_| true);
        assert!(count.amend(7, 5, 1), "less is possible, too");
        assert_eq!((count.exactly(7), count.exactly(6)), (Some(3), None));
        assert!(!count.amend(6, 0, 9), "that is over");
        assert_eq!(count.exactly(8), Some(0), "that is to come");
        assert!(count.amend(8, 0, PerMinute::MOST));
        assert_eq!(count.of(7), PerMinute::MOST, "late comers count there");
        count.add(8, 9, |_| true);
        assert_eq!(count.exactly(8), Some(PerMinute::MOST));
    }
}
