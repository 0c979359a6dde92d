//! Which deployment has a conversation: what makes a provider's prompt cache worth something.
//!
//! A conversation that has been somewhere goes there again, whatever the strategy, as long as that deployment is eligible
//! and has not far more to do than its share ([`overloaded`]). Otherwise the strategy picks as ever, and the conversation
//! moves: it stays with the one it moved to, also when the first is back, since that is where the prompt is now. All of it
//! is decided under the lock of the group's picks, and nothing is remembered beyond a bound in number and time.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use tokio::time::Instant;

use crate::types::Affinity;

/// How many times its share a deployment may have in flight before conversations leave it: 1 + ε of V. Mirrokni,
/// M. Thorup and M. Zadimoghaddam, "Consistent Hashing with Bounded Loads" (2016), which shows that with capacities of
/// ⌈(1 + ε) × balls ÷ bins⌉ few balls move: O(1/ε²) for each that comes or goes. A quarter more than its share is the
/// least that `HAProxy` recommends for it (`hash-balance-factor`).
const BALANCE: f64 = 1.25;
/// And this many in any case: with a handful of requests in a group the share of each is less than one, and a conversation
/// that asks several things at once is no overload.
const SLACK: f64 = 4.0;

/// Whether a deployment with `own` requests in flight has too many to keep one more for a conversation's sake, where
/// `all` are in flight at the eligible ones together and `share` of them is what it is meant to have: if
/// own + 1 > ⌈1.25 × share × (all + 1)⌉ + 4.
pub(super) fn overloaded(own: u32, all: f64, share: f64) -> bool {
    f64::from(own) + 1.0 > (BALANCE * share * (all + 1.0)).ceil() + SLACK
}

/// Where conversations were last. A conversation is a number of 64 bits; that two are taken for one is as likely as two of
/// them having the same, and would cost a cached prompt.
#[derive(Debug)]
pub(super) struct Conversations {
    ttl: Duration,
    most: usize,
    by_key: HashMap<u64, Kept>,
    /// Keys in the order of their last use.
    by_use: BTreeMap<u64, u64>,
    uses: u64,
}

#[derive(Debug)]
struct Kept {
    deployment: u32,
    /// When it was last used, in time and in order.
    at: Instant,
    used: u64,
}

impl Conversations {
    pub(super) fn new(affinity: &Affinity) -> Self {
        Self {
            ttl: affinity.ttl,
            most: affinity.max_entries,
            by_key: HashMap::new(),
            by_use: BTreeMap::new(),
            uses: 0,
        }
    }

    /// The deployment that has it, by its place in the group.
    pub(super) fn recall(&self, key: u64, now: Instant) -> Option<usize> {
        let kept = self.by_key.get(&key)?;
        let fresh = now.saturating_duration_since(kept.at) < self.ttl;
        fresh.then_some(kept.deployment as usize)
    }

    /// It is with this one from now on.
    pub(super) fn remember(&mut self, key: u64, deployment: usize, now: Instant) {
        let Ok(deployment) = u32::try_from(deployment) else {
            return;
        };
        self.uses += 1;
        let used = self.uses;
        let kept = Kept {
            deployment,
            at: now,
            used,
        };
        if let Some(old) = self.by_key.insert(key, kept) {
            self.by_use.remove(&old.used);
        }
        self.by_use.insert(used, key);
        self.forget(now);
    }

    /// Drops what is over, and what is too many. The oldest use is the first to be over; two at a time are enough for the
    /// table to shrink, and no request clears up after thousands.
    fn forget(&mut self, now: Instant) {
        for _ in 0..2 {
            let Some(oldest) = self.by_use.first_entry() else {
                return;
            };
            let over = self
                .by_key
                .get(oldest.get())
                .is_none_or(|kept| now.saturating_duration_since(kept.at) >= self.ttl);
            if !over && self.by_key.len() <= self.most {
                return;
            }
            self.by_key.remove(&oldest.remove());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::types::AffinityKey;

    const S: Duration = Duration::from_secs(1);

    fn table(max_entries: usize) -> Conversations {
        Conversations::new(&Affinity {
            keys: vec![AffinityKey::User],
            ttl: 10 * S,
            max_entries,
        })
    }

    #[test]
    fn the_last_one_that_had_it_has_it() {
        let (mut c, t) = (table(9), Instant::now());
        assert_eq!(c.recall(1, t), None);
        c.remember(1, 2, t);
        c.remember(2, 0, t);
        assert_eq!([1, 2].map(|key| c.recall(key, t)), [Some(2), Some(0)]);
        c.remember(1, 1, t);
        assert_eq!(c.recall(1, t), Some(1));
    }

    #[test]
    fn what_is_not_used_is_forgotten_and_what_is_used_is_not() {
        let (mut c, t) = (table(9), Instant::now());
        c.remember(1, 0, t);
        c.remember(2, 0, t);
        c.remember(1, 0, t + 9 * S);
        let later = t + 10 * S;
        assert_eq!([1, 2].map(|key| c.recall(key, later)), [Some(0), None]);
        c.remember(3, 0, later);
        assert_eq!(c.by_key.len(), 2, "and takes no room");
        // A request that looked at the clock earlier and comes later.
        assert_eq!(c.recall(3, t), Some(0));
    }

    #[test]
    fn the_one_longest_without_a_request_goes_first() {
        let (mut c, t) = (table(2), Instant::now());
        for key in [1, 2, 1, 3] {
            c.remember(key, 0, t);
        }
        let kept = [1, 2, 3].map(|key| c.recall(key, t).is_some());
        assert_eq!(kept, [true, false, true]);
        let mut none = table(0);
        none.remember(1, 0, t);
        assert_eq!(none.recall(1, t), None);
    }

    #[test]
    fn overload() {
        let cases = [
            // Alone with one conversation: a few at once are no overload, many are.
            ((0, 0, 0.5), false),
            ((4, 4, 0.5), false),
            ((14, 14, 0.5), true),
            // Evenly loaded.
            ((50, 100, 0.5), false),
            ((67, 100, 0.5), false),
            ((68, 100, 0.5), true),
            // Nine tenths are meant to be here, or one.
            ((90, 100, 0.9), false),
            ((40, 100, 0.1), true),
            ((3, 100, 0.0), false),
            ((4, 100, 0.0), true),
        ];
        for ((own, all, share), expected) in cases {
            assert_eq!(
                overloaded(own, f64::from(all), share),
                expected,
                "{own} of {all}"
            );
        }
    }

    proptest! {
        /// Whatever comes, there are never too many, and both orders are of the same.
        #[test]
        fn bounded(uses in prop::collection::vec((0u64..20, 0usize..3, 0u64..4), 0..200)) {
            let (mut c, mut now) = (table(5), Instant::now());
            for (key, deployment, wait) in uses {
                now += wait as u32 * S;
                c.remember(key, deployment, now);
                prop_assert_eq!(c.recall(key, now), Some(deployment));
                prop_assert!(c.by_key.len() <= 5);
                prop_assert!(c.by_use.iter().all(|(used, key)| c.by_key[key].used == *used));
                prop_assert_eq!(c.by_use.len(), c.by_key.len());
            }
        }
    }
}
