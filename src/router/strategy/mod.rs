//! How to choose among eligible deployments.
//!
//! A strategy compares deployments as plain numbers and returns one. It is asked only about
//! deployments that may be used; it knows no store, no clock and no deployment, and it learns nothing: what happened is
//! recorded in the scores, whatever the strategy. A number is read when the strategy asks for it, so that each costs only
//! what it compares. New inputs become methods of [`Candidate`]. Ties are broken by the
//! given randomness, never by the order of the list. A new strategy is one file here and one arm in [`build`].

mod cost;
mod latency;
mod least_busy;
mod simple_shuffle;
mod usage;

use std::fmt;

use rand::RngExt;

pub use super::row::{Candidate, Number};
pub(super) use simple_shuffle::shares;

use super::Dice;
use super::row::{Question, Row};
use crate::types::{CostReading, StrategyKind, UsageReading};

/// Chooses one of the candidates.
pub trait Strategy: fmt::Debug + Send + Sync {
    /// Its name in the configuration.
    fn kind(&self) -> StrategyKind;

    /// What it looks at, the number that counts first in front.
    fn compares(&self) -> &'static [Number];

    /// The candidate to try, by its place in the group. There is always one.
    fn pick(&self, pick: &mut Pick<'_>) -> usize;
}

/// One decision to make, among the eligible deployments of a group.
#[derive(Debug)]
pub struct Pick<'a> {
    rows: &'a [Row],
    /// Places in `rows`; never empty.
    eligible: &'a mut [usize],
    question: &'a Question<'a>,
    dice: &'a mut Dice,
}

/// The settings a strategy may have.
#[derive(Debug, Clone, Copy, Default)]
pub struct Args {
    /// Latency: within `lowest × (1 + buffer)` counts as equally fast.
    pub latency_buffer: f64,
    /// Cost.
    pub cost_reading: CostReading,
    /// Usage.
    pub usage_reading: UsageReading,
}

/// The strategy of that name.
#[must_use]
pub fn build(kind: StrategyKind, args: Args) -> Box<dyn Strategy> {
    match kind {
        StrategyKind::SimpleShuffle => Box::new(simple_shuffle::SimpleShuffle),
        StrategyKind::LeastBusy => Box::new(least_busy::LeastBusy),
        StrategyKind::Latency => Box::new(latency::Latency {
            buffer: args.latency_buffer,
        }),
        StrategyKind::Cost => Box::new(cost::LowestCost {
            reading: args.cost_reading,
        }),
        StrategyKind::Usage => Box::new(usage::LeastUsed {
            reading: args.usage_reading,
        }),
    }
}

impl<'a> Pick<'a> {
    pub(super) fn new(
        rows: &'a [Row],
        eligible: &'a mut [usize],
        question: &'a Question<'a>,
        dice: &'a mut Dice,
    ) -> Self {
        Self {
            rows,
            eligible,
            question,
            dice,
        }
    }

    /// The candidates with their places, in the order of the file.
    fn candidates(&self) -> impl Iterator<Item = (usize, Candidate<'_>)> {
        self.eligible
            .iter()
            .map(|place| (*place, self.candidate(*place)))
    }

    fn candidate(&self, place: usize) -> Candidate<'a> {
        Candidate::new(&self.rows[place], self.question)
    }

    /// One of the candidates with the lowest key among those for which there is one, at random between equals. If one
    /// is found the others are gone.
    fn lowest<K: PartialOrd>(&mut self, key: impl Fn(Candidate<'_>) -> Option<K>) -> Option<usize> {
        let mut lowest: Option<K> = None;
        // Those that are equal so far, at the front of `eligible`: the walk is past what they overwrite.
        let mut equals = 0;
        for at in 0..self.eligible.len() {
            let place = self.eligible[at];
            let Some(key) = key(self.candidate(place)) else {
                continue;
            };
            match &lowest {
                Some(lowest) if key > *lowest => continue,
                Some(lowest) if key == *lowest => {}
                _ => {
                    lowest = Some(key);
                    equals = 0;
                }
            }
            self.eligible[equals] = place;
            equals += 1;
        }
        match equals {
            0 => None,
            1 => Some(self.eligible[0]),
            _ => Some(self.eligible[self.dice.random_range(0..equals)]),
        }
    }

    /// Any candidate, each as likely as the others.
    fn any(&mut self) -> usize {
        self.eligible[self.dice.random_range(0..self.eligible.len())]
    }
}

#[cfg(test)]
pub(super) mod testing {
    use std::sync::Arc;
    use std::time::Duration;

    use proptest::prelude::*;
    use rand::SeedableRng;
    use tokio::time::Instant;

    use super::{Args, Pick, build};
    use crate::router::row::{Question, Quote, Row};
    use crate::router::scores::{Limits, Scores};
    use crate::router::{Ask, Dice};
    use crate::types::{Cost, CostReading, Price, StrategyKind, TokenUsage, UsageReading};

    /// A candidate's numbers.
    #[derive(Debug, Clone, Copy, Default)]
    pub(in crate::router::strategy) struct Numbers {
        pub(in crate::router::strategy) weight: Option<f64>,
        pub(in crate::router::strategy) rpm: Option<u64>,
        pub(in crate::router::strategy) tpm: Option<u64>,
        pub(in crate::router::strategy) in_flight: u32,
        pub(in crate::router::strategy) latency: Option<Duration>,
        pub(in crate::router::strategy) minute_tokens: u64,
        pub(in crate::router::strategy) total_tokens: u64,
        pub(in crate::router::strategy) spent: Cost,
        pub(in crate::router::strategy) cost: Option<Cost>,
    }

    impl Numbers {
        fn row(&self, now: Instant) -> Row {
            let scores = Scores::default();
            for n in 0..self.in_flight.max(1) {
                let tokens = if n == 0 { self.minute_tokens } else { 0 };
                assert!(scores.enter(&Limits::NONE, 0, tokens).is_some());
            }
            if self.in_flight == 0 {
                scores.leave();
            }
            if let Some(latency) = self.latency {
                scores.sample(true, latency, now);
            }
            scores.spend(self.total_tokens, self.spent);
            Row {
                scores: Arc::new(scores),
                limits: Limits {
                    rpm: self.rpm.unwrap_or(u64::MAX),
                    tpm: self.tpm.unwrap_or(u64::MAX),
                    in_flight: u32::MAX,
                },
                order: u32::MAX,
                weight: self.weight,
                price: self
                    .cost
                    .map(|input| Quote::of(Price::of_tokens(input, Cost(0)))),
            }
        }
    }

    /// How often each candidate is picked in `n` picks.
    pub(in crate::router::strategy) fn spread(
        strategy: &dyn super::Strategy,
        candidates: &[Numbers],
        n: usize,
    ) -> Vec<usize> {
        let ask = Ask {
            tried: &[],
            unfit: &[],
            now: Instant::now(),
            unix: Duration::ZERO,
            tokens: TokenUsage {
                input: 1,
                ..TokenUsage::default()
            },
            streaming: true,
            even_cooling: false,
            conversation: None,
            ticket: None,
        };
        let question = Question::of(&ask);
        let rows: Vec<_> = candidates.iter().map(|c| c.row(ask.now)).collect();
        let mut rng = Dice::seed_from_u64(7);
        let mut counts = vec![0; rows.len()];
        for _ in 0..n {
            let mut eligible: Vec<_> = (0..rows.len()).collect();
            let mut pick = Pick::new(&rows, &mut eligible, &question, &mut rng);
            counts[strategy.pick(&mut pick)] += 1;
        }
        counts
    }

    fn numbers() -> impl Strategy<Value = Numbers> {
        (
            (
                prop::option::of(0.0..3.0),
                prop::option::of(0u64..3),
                prop::option::of(0u64..3),
            ),
            (
                0u32..3,
                prop::option::of((0u64..3).prop_map(Duration::from_secs)),
            ),
            (
                0u64..3,
                0u64..3,
                (0u64..3).prop_map(Cost),
                prop::option::of((0u64..3).prop_map(Cost)),
            ),
        )
            .prop_map(
                |(
                    (weight, rpm, tpm),
                    (in_flight, latency),
                    (minute_tokens, total_tokens, spent, cost),
                )| Numbers {
                    weight,
                    rpm,
                    tpm,
                    in_flight,
                    latency,
                    minute_tokens,
                    total_tokens,
                    spent,
                    cost,
                },
            )
    }

    proptest! {
        /// Whatever the numbers, every strategy returns one of the candidates.
        #[test]
        fn always_a_candidate(candidates in prop::collection::vec(numbers(), 1..6)) {
            for kind in [StrategyKind::SimpleShuffle, StrategyKind::LeastBusy, StrategyKind::Latency, StrategyKind::Cost, StrategyKind::Usage] {
                for total in [false, true] {
                    let args = Args {
                        latency_buffer: 0.1,
                        cost_reading: if total { CostReading::Total } else { CostReading::Request },
                        usage_reading: if total { UsageReading::Total } else { UsageReading::Minute },
                    };
                    let counts = spread(&*build(kind, args), &candidates, 3);
                    prop_assert_eq!(counts.iter().sum::<usize>(), 3);
                }
            }
        }
    }
}
