//! usage-based-routing, in two readings: fewest tokens in the current minute (default), or since the start.
//!
//! By the minute, where *every* candidate has a `tpm` the used share of it is compared, so that a large deployment gets
//! more than a small one; otherwise tokens as such. Equals share at random.

use super::{Number, Pick, Strategy};
use crate::types::{StrategyKind, UsageReading};

#[derive(Debug)]
pub(super) struct LeastUsed {
    pub(super) reading: UsageReading,
}

impl Strategy for LeastUsed {
    fn kind(&self) -> StrategyKind {
        StrategyKind::Usage
    }

    fn compares(&self) -> &'static [Number] {
        match self.reading {
            UsageReading::Total => &[Number::TotalTokens],
            UsageReading::Minute => &[Number::MinuteTokens, Number::Tpm],
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "compared, not counted")]
    fn pick(&self, pick: &mut Pick<'_>) -> usize {
        let index = match self.reading {
            UsageReading::Total => pick.lowest(|c| Some(c.total_tokens())),
            UsageReading::Minute
                if pick
                    .candidates()
                    .all(|(_, c)| c.tpm().is_some_and(|tpm| tpm > 0)) =>
            {
                pick.lowest(|c| c.tpm().map(|tpm| c.minute_tokens() as f64 / tpm as f64))
            }
            UsageReading::Minute => pick.lowest(|c| Some(c.minute_tokens())),
        };
        index.unwrap_or_else(|| pick.any())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Numbers, spread};
    use super::*;

    fn at(tpm: Option<u64>, minute: u64, total_tokens: u64) -> Numbers {
        Numbers {
            tpm,
            minute_tokens: minute,
            total_tokens,
            ..Numbers::default()
        }
    }

    #[test]
    fn table() {
        let both = [at(None, 10, 900), at(None, 20, 100)];
        assert_eq!(
            spread(
                &LeastUsed {
                    reading: UsageReading::Minute
                },
                &both,
                20
            ),
            [20, 0]
        );
        assert_eq!(
            spread(
                &LeastUsed {
                    reading: UsageReading::Total
                },
                &both,
                20
            ),
            [0, 20]
        );
        let limited = [at(Some(100), 50, 0), at(Some(1000), 200, 0)];
        assert_eq!(
            spread(
                &LeastUsed {
                    reading: UsageReading::Minute
                },
                &limited,
                20
            ),
            [0, 20]
        );
        let half_limited = [at(Some(100), 50, 0), at(None, 200, 0)];
        assert_eq!(
            spread(
                &LeastUsed {
                    reading: UsageReading::Minute
                },
                &half_limited,
                20
            ),
            [20, 0]
        );
    }
}
