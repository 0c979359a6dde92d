//! Sums over records of the ledger: by what they are grouped, what is summed, and what of it is not known.
//!
//! Nothing is read here: whoever has records, or sums of them that somebody else made, hands them in.

mod period;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::ledger::{Entry, Outcome};
use crate::types::{Provenance, TokenBuckets};

pub use period::{Day, Period, moment};

/// What sums are made by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The model group.
    Group,
    /// The deployment.
    Deployment,
    /// The client's key.
    Key,
    /// The day an attempt began, in UTC.
    Day,
    /// The model, as the provider names it.
    Model,
    /// Whose dialect the deployment speaks.
    Provider,
    /// How the attempt ended.
    Outcome,
}

impl By {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Group,
        Self::Deployment,
        Self::Key,
        Self::Day,
        Self::Model,
        Self::Provider,
        Self::Outcome,
    ];

    /// Its name, as in `--by` and in what is printed.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Group => "group",
            Self::Deployment => "deployment",
            Self::Key => "key",
            Self::Day => "day",
            Self::Model => "model",
            Self::Provider => "provider",
            Self::Outcome => "outcome",
        }
    }

    /// What is counted under of that day and account; empty where it has none of it.
    fn label(self, day: Day, account: &Account) -> Arc<str> {
        match self {
            Self::Group => Arc::clone(&account.group),
            Self::Deployment => Arc::clone(&account.deployment),
            Self::Key => account.key.clone().unwrap_or_default(),
            Self::Day => day.to_string().into(),
            Self::Model => Arc::clone(&account.model),
            Self::Provider => Arc::clone(&account.provider),
            Self::Outcome => outcome(account.outcome).into(),
        }
    }
}

/// Whose use it is, and how it ended: all that sums can be made by, but for the day.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Account {
    /// The model group.
    pub group: Arc<str>,
    /// The deployment.
    pub deployment: Arc<str>,
    /// Whose dialect it speaks.
    pub provider: Arc<str>,
    /// The model, as the provider names it.
    pub model: Arc<str>,
    /// The client's key, where keys are in use.
    pub key: Option<Arc<str>>,
    /// How the attempt ended.
    pub outcome: Outcome,
}

impl Account {
    /// That of a record.
    #[must_use]
    pub fn of(entry: &Entry) -> Self {
        Self {
            group: Arc::clone(&entry.group),
            deployment: Arc::clone(&entry.deployment),
            provider: Arc::clone(&entry.provider),
            model: Arc::clone(&entry.model),
            key: entry.key.clone(),
            outcome: entry.outcome,
        }
    }
}

/// An outcome's name, as in records.
#[must_use]
pub const fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Ok => "ok",
        Outcome::Cancelled => "cancelled",
        Outcome::Refused => "refused",
        Outcome::Failed => "failed",
    }
}

/// A provenance's name, as in records.
#[must_use]
pub const fn provenance(provenance: Provenance) -> &'static str {
    match provenance {
        Provenance::Unknown => "unknown",
        Provenance::Reported => "reported",
        Provenance::Counted => "counted",
    }
}

/// Attempts and the tokens of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// How many.
    pub attempts: u64,
    /// Tokens in all buckets.
    pub tokens: u64,
}

/// The name of the cost among [`Sums::numbers`].
const COST: &str = "cost_pico";

/// What some attempts come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Requests; each is counted where its first attempt was, so that sums of parts are sums of the whole.
    pub requests: u64,
    /// Attempts.
    pub attempts: u64,
    /// Their tokens.
    pub tokens: TokenBuckets,
    /// What is known of their cost, in pico-dollars.
    pub cost_pico: u128,
    /// Attempts that used tokens whose price is not known; they are not in the cost.
    pub unpriced: Part,
    /// Attempts whose tokens the provider reported.
    pub reported: Part,
    /// Attempts whose tokens we counted: estimates.
    pub counted: Part,
    /// Attempts whose tokens nobody knows.
    pub unknown: Part,
}

impl Sums {
    /// One attempt.
    #[must_use]
    pub fn of(entry: &Entry) -> Self {
        let part = Part {
            attempts: 1,
            tokens: entry.tokens.total(),
        };
        let mut sums = Self {
            requests: u64::from(entry.attempt == 1),
            attempts: 1,
            tokens: entry.tokens,
            cost_pico: entry.cost_pico.unwrap_or(0).into(),
            ..Self::default()
        };
        if entry.cost_pico.is_none() && part.tokens > 0 {
            sums.unpriced = part;
        }
        *match entry.provenance {
            Provenance::Reported => &mut sums.reported,
            Provenance::Counted => &mut sums.counted,
            Provenance::Unknown => &mut sums.unknown,
        } = part;
        sums
    }

    /// Adds `other` to it.
    pub fn add(&mut self, other: &Self) {
        let mut other = *other;
        self.cost_pico = self.cost_pico.saturating_add(other.cost_pico);
        for ((_, own), (_, more)) in self.counts().into_iter().zip(other.counts()) {
            *own = own.saturating_add(*more);
        }
    }

    /// All but the cost, by name.
    fn counts(&mut self) -> [(&'static str, &mut u64); 18] {
        let tokens = &mut self.tokens;
        [
            ("requests", &mut self.requests),
            ("attempts", &mut self.attempts),
            ("input", &mut tokens.input),
            ("cached_input", &mut tokens.cached_input),
            ("cache_write", &mut tokens.cache_write),
            ("output", &mut tokens.output),
            ("reasoning", &mut tokens.reasoning),
            ("audio_input", &mut tokens.audio_input),
            ("audio_output", &mut tokens.audio_output),
            ("image_input", &mut tokens.image_input),
            ("unpriced_attempts", &mut self.unpriced.attempts),
            ("unpriced_tokens", &mut self.unpriced.tokens),
            ("reported_attempts", &mut self.reported.attempts),
            ("reported_tokens", &mut self.reported.tokens),
            ("counted_attempts", &mut self.counted.attempts),
            ("counted_tokens", &mut self.counted.tokens),
            ("unknown_attempts", &mut self.unknown.attempts),
            ("unknown_tokens", &mut self.unknown.tokens),
        ]
    }

    /// Each number that is not 0, by name.
    #[must_use]
    pub fn numbers(&self) -> Vec<(&'static str, u64)> {
        let mut own = *self;
        // As much as a store can add up.
        let most = i64::MAX.unsigned_abs();
        let cost = u64::try_from(self.cost_pico).map_or(most, |cost| cost.min(most));
        let counts = own.counts().map(|(name, count)| (name, *count));
        let all = counts.into_iter().chain([(COST, cost)]);
        all.filter(|(_, number)| *number > 0).collect()
    }

    /// Sets the number of that name. One that there is not is of a later version, and left out.
    pub fn set(&mut self, name: &str, number: u64) {
        if name == COST {
            self.cost_pico = number.into();
        }
        for (known, count) in self.counts() {
            if known == name {
                *count = number;
            }
        }
    }
}

/// Sums by some of [`By`], in order of their names.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    by: Vec<By>,
    rows: BTreeMap<Vec<Arc<str>>, Sums>,
    all: Sums,
    began: Option<(u64, u64)>,
}

impl Totals {
    /// Nothing yet.
    #[must_use]
    pub fn by(by: &[By]) -> Self {
        Self {
            by: by.to_vec(),
            ..Self::default()
        }
    }

    /// Counts a record.
    pub fn add(&mut self, entry: &Entry) {
        let day = Day::of_ms(entry.began_ms);
        self.merge(day, &Account::of(entry), &Sums::of(entry));
        let (first, last) = self.began.unwrap_or((entry.began_ms, entry.began_ms));
        self.began = Some((first.min(entry.began_ms), last.max(entry.began_ms)));
    }

    /// Counts what was summed elsewhere, of that day.
    pub fn add_day(&mut self, day: Day, account: &Account, sums: &Sums) {
        self.merge(day, account, sums);
        let (begin, end) = (day.start_ms(), day.next().start_ms() - 1);
        let (first, last) = self.began.unwrap_or((begin, end));
        self.began = Some((first.min(begin), last.max(end)));
    }

    fn merge(&mut self, day: Day, account: &Account, sums: &Sums) {
        let labels = self.by.iter().map(|by| by.label(day, account)).collect();
        self.rows.entry(labels).or_default().add(sums);
        self.all.add(sums);
    }

    /// Each row: its labels, in the order asked for, and its sums.
    pub fn rows(&self) -> impl Iterator<Item = (&[Arc<str>], &Sums)> {
        self.rows.iter().map(|(labels, sums)| (&**labels, sums))
    }

    /// Of all rows.
    #[must_use]
    pub const fn all(&self) -> &Sums {
        &self.all
    }

    /// When the first and the last record began, in milliseconds since the Unix epoch.
    #[must_use]
    pub const fn began(&self) -> Option<(u64, u64)> {
        self.began
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(group: &str, attempt: u32, cost: Option<u64>, provenance: Provenance) -> Entry {
        Entry {
            began_ms: 1_795_000_000_000,
            request: "r".into(),
            attempt,
            group: group.into(),
            deployment: "d".into(),
            provider: "openai".into(),
            model: "m".into(),
            key: None,
            operation: "chat".into(),
            stream: false,
            tokens: TokenBuckets {
                input: 10,
                output: 5,
                ..TokenBuckets::default()
            },
            provenance,
            cost_pico: cost,
            price: None,
            outcome: Outcome::Ok,
            fault: None,
            first_content_ms: None,
            total_ms: 1,
        }
    }

    #[test]
    fn what_is_not_known_is_not_taken_for_zero() {
        let mut totals = Totals::by(&[By::Group, By::Key]);
        totals.add(&entry("b", 1, Some(7), Provenance::Reported));
        totals.add(&entry("a", 2, None, Provenance::Counted));
        totals.add(&entry("a", 3, Some(0), Provenance::Unknown));
        let rows: Vec<_> = totals.rows().map(|(l, s)| (l[0].to_string(), *s)).collect();
        assert_eq!(rows[0].0, "a");
        assert_eq!((rows[0].1.requests, rows[0].1.attempts), (0, 2));
        let one = Part {
            attempts: 1,
            tokens: 15,
        };
        // A price of zero is one.
        assert_eq!(rows[0].1.unpriced, one);
        assert_eq!((rows[0].1.counted, rows[0].1.unknown), (one, one));
        assert_eq!(rows[1].1.unpriced, Part::default());
        assert_eq!(totals.all().cost_pico, 7);
        assert_eq!(totals.all().requests, 1);
    }

    #[test]
    fn labels_are_as_in_records() {
        let mut entry = entry("g", 1, None, Provenance::Counted);
        let label = |by: By, entry: &Entry| {
            let day = Day::of_ms(entry.began_ms);
            by.label(day, &Account::of(entry)).to_string()
        };
        assert_eq!(label(By::Key, &entry), "");
        assert_eq!(label(By::Day, &entry), "2026-11-18");
        entry.key = Some("team".into());
        assert_eq!(label(By::Key, &entry), "team");
        for known in [
            Outcome::Ok,
            Outcome::Cancelled,
            Outcome::Refused,
            Outcome::Failed,
        ] {
            assert_eq!(serde_json::json!(known), outcome(known));
        }
        for known in [
            Provenance::Unknown,
            Provenance::Reported,
            Provenance::Counted,
        ] {
            assert_eq!(serde_json::json!(known), provenance(known));
        }
    }

    proptest! {
        /// Whatever they are grouped by, the rows come to the whole, and provenances to the attempts.
        #[test]
        fn rows_come_to_the_whole(
            records in proptest::collection::vec((0..3u8, 1..3u32, proptest::option::of(0..u64::MAX), 0..3u8), 0..40),
            by in proptest::sample::subsequence(By::ALL.to_vec(), 0..By::ALL.len()),
        ) {
            let mut totals = Totals::by(&by);
            for (group, attempt, cost, from) in records {
                let from = [Provenance::Unknown, Provenance::Reported, Provenance::Counted][usize::from(from)];
                totals.add(&entry(&group.to_string(), attempt, cost, from));
            }
            let mut sum = Sums::default();
            totals.rows().for_each(|(_, sums)| sum.add(sums));
            prop_assert_eq!(&sum, totals.all());
            prop_assert_eq!(sum.reported.attempts + sum.counted.attempts + sum.unknown.attempts, sum.attempts);
            prop_assert_eq!(sum.reported.tokens + sum.counted.tokens + sum.unknown.tokens, sum.tokens.total());
        }
    }
}
