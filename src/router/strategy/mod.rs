//! How to choose among eligible deployments.
//!
//! A strategy sees a slice of plain numbers read at one instant and returns an index. It is asked only about
//! deployments that may be used; it knows no store, no clock and no deployment, and it learns nothing: what happened is
//! recorded in the scores, whatever the strategy. New inputs become fields of [`Candidate`] or [`Pick`]. Ties are broken by the
//! given randomness, never by the order of the list. A new strategy is one file here and one arm in [`build`].

mod cost;
mod latency;
mod least_busy;
mod simple_shuffle;
mod usage;

use std::fmt;
use std::time::Duration;

use rand::{Rng, RngExt};

use crate::types::{Cost, CostReading, StrategyKind, Totals, UsageReading};

/// Chooses one of the candidates.
pub trait Strategy: fmt::Debug + Send + Sync {
    /// Index of the candidate to try. `pick.candidates` is never empty.
    fn pick(&self, pick: &mut Pick<'_>) -> usize;
}

/// One decision to make.
pub struct Pick<'a> {
    /// The eligible deployments, in the order of the file.
    pub candidates: &'a [Candidate],
    /// Randomness.
    pub rng: &'a mut dyn Rng,
}

impl fmt::Debug for Pick<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pick")
            .field("candidates", &self.candidates)
            .finish_non_exhaustive()
    }
}

/// A deployment as numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Candidate {
    /// Configured share, if any.
    pub weight: Option<f64>,
    /// Configured requests per minute, if any.
    pub rpm: Option<u64>,
    /// Configured tokens per minute, if any.
    pub tpm: Option<u64>,
    /// Requests under way.
    pub in_flight: u32,
    /// Expected latency of this kind of call; `None`: never tried.
    pub latency: Option<Duration>,
    /// Requests and tokens of the current minute.
    pub minute: Totals,
    /// Tokens since the start.
    pub total_tokens: u64,
    /// Spend since the start.
    pub spent: Cost,
    /// What this request would cost there, estimated; `None`: price unknown.
    pub cost: Option<Cost>,
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

impl Pick<'_> {
    /// One of the candidates with the lowest key among those for which there is one, at random between equals.
    fn lowest<K: PartialOrd>(&mut self, key: impl Fn(&Candidate) -> Option<K>) -> Option<usize> {
        let mut best: Option<(usize, K)> = None;
        let mut equals = 1u32;
        for (index, candidate) in self.candidates.iter().enumerate() {
            let Some(key) = key(candidate) else { continue };
            match &best {
                Some((_, lowest)) if key > *lowest => {}
                Some((_, lowest)) if key == *lowest => {
                    equals += 1;
                    // Reservoir of one: the n-th equal replaces the choice with probability 1/n.
                    if self.rng.random_range(0..equals) == 0 {
                        best = Some((index, key));
                    }
                }
                _ => {
                    best = Some((index, key));
                    equals = 1;
                }
            }
        }
        best.map(|(index, _)| index)
    }

    /// Any candidate, each as likely as the others.
    fn any(&mut self) -> usize {
        self.rng.random_range(0..self.candidates.len())
    }
}

#[cfg(test)]
pub(super) mod testing {
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::{Args, Candidate, Pick, build};
    use crate::types::{Cost, CostReading, StrategyKind, Totals, UsageReading};
    use std::time::Duration;

    /// How often each candidate is picked in `n` picks.
    pub(super) fn spread(
        strategy: &dyn super::Strategy,
        candidates: &[Candidate],
        n: usize,
    ) -> Vec<usize> {
        let mut rng = StdRng::seed_from_u64(7);
        let mut counts = vec![0; candidates.len()];
        for _ in 0..n {
            counts[strategy.pick(&mut Pick {
                candidates,
                rng: &mut rng,
            })] += 1;
        }
        counts
    }

    fn candidate() -> impl Strategy<Value = Candidate> {
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
                    (tokens, total_tokens, spent, cost),
                )| Candidate {
                    weight,
                    rpm,
                    tpm,
                    in_flight,
                    latency,
                    minute: Totals {
                        requests: tokens,
                        tokens,
                    },
                    total_tokens,
                    spent,
                    cost,
                },
            )
    }

    proptest! {
        /// Whatever the numbers, every strategy returns a valid index.
        #[test]
        fn always_a_valid_index(candidates in prop::collection::vec(candidate(), 1..6), seed in any::<u64>()) {
            let mut rng = StdRng::seed_from_u64(seed);
            for kind in [StrategyKind::SimpleShuffle, StrategyKind::LeastBusy, StrategyKind::Latency, StrategyKind::Cost, StrategyKind::Usage] {
                for total in [false, true] {
                    let args = Args {
                        latency_buffer: 0.1,
                        cost_reading: if total { CostReading::Total } else { CostReading::Request },
                        usage_reading: if total { UsageReading::Total } else { UsageReading::Minute },
                    };
                    let index = build(kind, args).pick(&mut Pick { candidates: &candidates, rng: &mut rng });
                    prop_assert!(index < candidates.len());
                }
            }
        }
    }
}
