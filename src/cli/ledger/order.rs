//! Whether records follow each other as they must.

use std::path::PathBuf;
use std::sync::Arc;

/// What was read so far.
#[derive(Debug, Default)]
pub(super) struct Order {
    ledger: Option<Arc<str>>,
    /// The number that must come, unless nothing says which.
    next: Option<u64>,
    /// Numbers that segments are named after and that were read, in order.
    firsts: Vec<u64>,
}

impl Order {
    /// Of segments that begin with these.
    pub(super) fn of(segments: &[(u64, PathBuf)]) -> Self {
        Self {
            firsts: segments.iter().map(|(first, _)| *first).collect(),
            ..Self::default()
        }
    }

    /// A record; says what is wrong with its place.
    pub(super) fn follow(&mut self, ledger: &Arc<str>, number: u64) -> Option<String> {
        self.firsts.retain(|first| *first != number);
        let before = self.ledger.replace(Arc::clone(ledger));
        let expected = self.next.replace(number.saturating_add(1));
        if let Some(before) = before.filter(|before| before != ledger) {
            return Some(format!(
                "record {number} is of ledger {ledger}, those before it of {before}"
            ));
        }
        match expected? {
            expected if expected == number => None,
            expected if expected > number => {
                Some(format!("record {number} comes after {}", expected - 1))
            }
            expected if expected + 1 == number => Some(format!("record {expected} is missing")),
            expected => Some(format!("records {expected} to {} are missing", number - 1)),
        }
    }

    /// A line that is no record stands in the place of one.
    pub(super) fn skip(&mut self) {
        self.firsts.retain(|first| Some(*first) != self.next);
        self.next = self.next.map(|next| next.saturating_add(1));
    }

    /// A segment could not be read: nothing says what is next.
    pub(super) fn lose(&mut self) {
        self.next = None;
    }

    /// Segments whose first record was not read.
    pub(super) fn headless(&self) -> &[u64] {
        &self.firsts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(numbers: &[Option<u64>]) -> Vec<String> {
        let ledger: Arc<str> = "l".into();
        let mut order = Order::default();
        let mut told = Vec::new();
        for number in numbers {
            match number {
                Some(number) => told.extend(order.follow(&ledger, *number)),
                None => order.skip(),
            }
        }
        told
    }

    #[test]
    fn gaps_and_steps_back_are_told_once() {
        assert!(told(&[Some(7), Some(8), Some(9)]).is_empty());
        assert_eq!(told(&[Some(1), Some(3), Some(4)]), ["record 2 is missing"]);
        assert_eq!(
            told(&[Some(1), Some(5), Some(6)]),
            ["records 2 to 4 are missing"]
        );
        assert_eq!(
            told(&[Some(1), Some(1), Some(2)]),
            ["record 1 comes after 1"]
        );
        // The wrong line was told; only what is missing besides is.
        assert!(told(&[Some(1), None, Some(3)]).is_empty());
        assert_eq!(told(&[Some(1), None, Some(4)]), ["record 3 is missing"]);
    }

    #[test]
    fn another_ledger_and_a_wrong_name_are_told() {
        let mut order = Order::of(&[(1, "a".into()), (9, "b".into())]);
        assert_eq!(order.follow(&"l".into(), 1), None);
        let found = order.follow(&"m".into(), 2).expect("told");
        assert!(found.contains("of ledger m"), "{found}");
        assert_eq!(order.headless(), [9]);
    }
}
