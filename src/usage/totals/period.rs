//! Days, and the time between two moments. All of it in UTC.

use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

/// Milliseconds of a day.
const DAY_MS: u64 = 86_400_000;

/// A day in UTC, counted from the first of January 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub u32);

impl Day {
    /// The day of a moment in milliseconds since the Unix epoch.
    #[must_use]
    pub fn of_ms(ms: u64) -> Self {
        Self(u32::try_from(ms / DAY_MS).unwrap_or(u32::MAX))
    }

    /// `2026-11-22`, alone or with a time behind it, which is left out.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let date = text.get(..10)?;
        let rest = text[10..].chars().next();
        if !matches!(rest, None | Some('T' | ' ')) {
            return None;
        }
        let start = humantime::parse_rfc3339(&format!("{date}T00:00:00Z")).ok()?;
        let seconds = start.duration_since(UNIX_EPOCH).ok()?.as_secs();
        Some(Self::of_ms(seconds * 1000))
    }

    /// `11/22/2026`, as some of Azure's exports write it.
    #[must_use]
    pub fn parse_american(text: &str) -> Option<Self> {
        let date = text.split(' ').next()?;
        let mut parts = date.split('/');
        let mut number = || parts.next()?.parse::<u32>().ok();
        let (month, day, year) = (number()?, number()?, number()?);
        Self::parse(&format!("{year:04}-{month:02}-{day:02}"))
    }

    /// Its first moment, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn start_ms(self) -> u64 {
        u64::from(self.0) * DAY_MS
    }

    /// The day after it.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = moment(self.start_ms());
        f.write_str(text.get(..10).unwrap_or(&text))
    }
}

/// A moment in milliseconds since the Unix epoch, as `2026-11-22T09:30:00.250Z`.
#[must_use]
pub fn moment(ms: u64) -> String {
    // What is beyond the year 9999 has no such form; only a damaged record is.
    let ms = ms.min(253_402_300_799_999);
    humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_millis(ms)).to_string()
}

/// The time from one moment up to another one, either of which may be open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Period {
    /// In milliseconds since the Unix epoch; this moment is in it.
    pub since_ms: Option<u64>,
    /// In milliseconds since the Unix epoch; this moment is not.
    pub until_ms: Option<u64>,
}

impl Period {
    /// Whole days, the last one included.
    #[must_use]
    pub fn of_days(first: Day, last: Day) -> Self {
        Self {
            since_ms: Some(first.start_ms()),
            until_ms: Some(last.next().start_ms()),
        }
    }

    /// Whether a moment, in milliseconds since the Unix epoch, is in it.
    #[must_use]
    pub fn contains(&self, ms: u64) -> bool {
        self.since_ms.is_none_or(|since| since <= ms)
            && self.until_ms.is_none_or(|until| ms < until)
    }

    /// What `--since` says, at `now`: a day (from its begin), a moment, or a time before now (`7d`, `24h`).
    ///
    /// # Errors
    /// What would be understood.
    pub fn since(text: &str, now: Duration) -> Result<u64, String> {
        Day::parse(text)
            .filter(|_| text.len() == 10)
            .map(Day::start_ms)
            .or_else(|| at(text, now))
            .ok_or_else(understood)
    }

    /// What `--until` says, at `now`: a day (to its end), a moment, or a time before now.
    ///
    /// # Errors
    /// What would be understood.
    pub fn until(text: &str, now: Duration) -> Result<u64, String> {
        Day::parse(text)
            .filter(|_| text.len() == 10)
            .map(|day| day.next().start_ms())
            .or_else(|| at(text, now))
            .ok_or_else(understood)
    }
}

fn at(text: &str, now: Duration) -> Option<u64> {
    let ms = |time: Duration| u64::try_from(time.as_millis()).ok();
    if let Ok(ago) = humantime::parse_duration(text) {
        return ms(now.saturating_sub(ago));
    }
    let time = humantime::parse_rfc3339_weak(text).ok()?;
    ms(time.duration_since(UNIX_EPOCH).ok()?)
}

fn understood() -> String {
    "a day (2026-11-22), a moment (2026-11-22T09:30:00Z) or a time before now (24h, 7d)".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_795_000_000);

    #[test]
    fn days_are_read_and_written() {
        for text in ["1970-01-01", "2024-02-29", "2026-11-22"] {
            assert_eq!(Day::parse(text).expect("a day").to_string(), text);
        }
        assert_eq!(
            Day::parse("2026-11-22T23:59:59+00:00"),
            Day::parse("2026-11-22")
        );
        assert_eq!(
            Day::parse_american("2/29/2024 00:00:00"),
            Day::parse("2024-02-29")
        );
        for wrong in ["2026-13-01", "2026-11-22x", "22.11.2026", "", "1795000000"] {
            assert_eq!(Day::parse(wrong), None, "{wrong}");
        }
        assert_eq!(Day::of_ms(DAY_MS - 1), Day(0));
        assert_eq!(Day::of_ms(DAY_MS), Day(1));
    }

    #[test]
    fn since_and_until_are_days_moments_or_ago() {
        let start = Day::parse("2026-11-22").expect("a day").start_ms();
        assert_eq!(Period::since("2026-11-22", NOW), Ok(start));
        assert_eq!(Period::until("2026-11-22", NOW), Ok(start + DAY_MS));
        assert_eq!(
            Period::since("2026-11-22T01:00:00Z", NOW),
            Ok(start + 3_600_000)
        );
        assert_eq!(
            Period::until("2026-11-22 01:00:00", NOW),
            Ok(start + 3_600_000)
        );
        assert_eq!(Period::since("7d", NOW), Ok(1_795_000_000_000 - 7 * DAY_MS));
        assert!(
            Period::since("yesterday", NOW)
                .expect_err("a word")
                .contains("7d")
        );
    }

    #[test]
    fn the_first_moment_is_in_it_and_the_last_is_not() {
        let day = Day(20_000);
        let period = Period::of_days(day, day);
        assert!(period.contains(day.start_ms()));
        assert!(period.contains(day.start_ms() + DAY_MS - 1));
        assert!(!period.contains(day.start_ms() + DAY_MS));
        assert!(!period.contains(day.start_ms() - 1));
        assert!(Period::default().contains(0));
    }
}
