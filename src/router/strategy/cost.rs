//! cost-based-routing, in two readings.
//!
//! `request` (default): the lowest price of this request; where prices tie, the lowest spend so far; deployments
//! without a known price come after those with one, and share by tokens used so far. `total`: the lowest spend so far;
//! the price only breaks ties, and the unknown come last again, since what they spend is unknown too.

use super::{Number, Pick, Strategy};
use crate::types::{CostReading, StrategyKind};

#[derive(Debug)]
pub(super) struct LowestCost {
    pub(super) reading: CostReading,
}

impl Strategy for LowestCost {
    fn kind(&self) -> StrategyKind {
        StrategyKind::Cost
    }

    fn compares(&self) -> &'static [Number] {
        match self.reading {
            CostReading::Request => &[Number::Cost, Number::Spent, Number::TotalTokens],
            CostReading::Total => &[Number::Spent, Number::Cost, Number::TotalTokens],
        }
    }

    fn pick(&self, pick: &mut Pick<'_>) -> usize {
        let known = match self.reading {
            CostReading::Request => pick.lowest(|c| c.cost().map(|cost| (cost, c.spent()))),
            CostReading::Total => pick.lowest(|c| c.cost().map(|cost| (c.spent(), cost))),
        };
        known
            .or_else(|| pick.lowest(|c| Some(c.total_tokens())))
            .unwrap_or_else(|| pick.any())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Numbers, spread};
    use super::*;
    use crate::types::Cost;

    fn at(cost: Option<u64>, spent: u64, total_tokens: u64) -> Numbers {
        Numbers {
            cost: cost.map(Cost),
            spent: Cost(spent),
            total_tokens,
            ..Numbers::default()
        }
    }

    #[test]
    fn table() {
        let cheap_but_used = [at(Some(1), 900, 9), at(Some(5), 10, 1), at(None, 0, 0)];
        assert_eq!(
            spread(
                &LowestCost {
                    reading: CostReading::Request
                },
                &cheap_but_used,
                20
            ),
            [20, 0, 0]
        );
        assert_eq!(
            spread(
                &LowestCost {
                    reading: CostReading::Total
                },
                &cheap_but_used,
                20
            ),
            [0, 20, 0]
        );
        let tie = [at(Some(2), 9, 0), at(Some(2), 3, 0), at(Some(2), 7, 0)];
        assert_eq!(
            spread(
                &LowestCost {
                    reading: CostReading::Request
                },
                &tie,
                20
            ),
            [0, 20, 0]
        );
        let free = [at(Some(2), 0, 0), at(Some(0), 0, 0)];
        assert_eq!(
            spread(
                &LowestCost {
                    reading: CostReading::Request
                },
                &free,
                20
            ),
            [0, 20]
        );
        let unknown = [at(None, 0, 50), at(None, 0, 20), at(None, 0, 30)];
        for reading in [CostReading::Request, CostReading::Total] {
            assert_eq!(spread(&LowestCost { reading }, &unknown, 20), [0, 20, 0]);
        }
    }
}
