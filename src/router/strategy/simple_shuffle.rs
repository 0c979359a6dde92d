//! simple-shuffle: at random by `weight`; if no candidate has one, by `rpm`; else by `tpm`; else evenly.
//!
//! As in LiteLLM, a candidate without the number that decides counts as 0 and is not drawn while another has one.

use rand::RngExt;

use super::{Candidate, Number, Pick, Strategy};
use crate::types::StrategyKind;

#[derive(Debug)]
pub(super) struct SimpleShuffle;

/// A candidate's number, 0 where it has none.
type Measure = fn(Candidate<'_>) -> f64;

/// What shares are measured by: the first number that any of the candidates has above 0, and its sum over them; `None` if
/// none has one, and all are equal.
#[expect(clippy::cast_precision_loss, reason = "shares, not counts")]
pub(in crate::router) fn shares<'a, I: Iterator<Item = Candidate<'a>>>(
    candidates: impl Fn() -> I,
) -> Option<(Measure, f64)> {
    let shares: [Measure; 3] = [
        |c| c.weight().unwrap_or(0.0),
        |c| c.rpm().map_or(0.0, |n| n as f64),
        |c| c.tpm().map_or(0.0, |n| n as f64),
    ];
    shares.into_iter().find_map(|share| {
        let total: f64 = candidates().map(share).sum();
        (total > 0.0).then_some((share, total))
    })
}

impl Strategy for SimpleShuffle {
    fn kind(&self) -> StrategyKind {
        StrategyKind::SimpleShuffle
    }

    fn compares(&self) -> &'static [Number] {
        &[Number::Weight, Number::Rpm, Number::Tpm]
    }

    fn pick(&self, pick: &mut Pick<'_>) -> usize {
        let Some((share, total)) = shares(|| pick.candidates().map(|(_, c)| c)) else {
            return pick.any();
        };
        let mut at = pick.dice.random::<f64>() * total;
        let mut last = None;
        for (place, candidate) in pick.candidates() {
            let share = share(candidate);
            if share > 0.0 {
                last = Some(place);
                if at < share {
                    return place;
                }
                at -= share;
            }
        }
        // Rounding left a crumb.
        last.unwrap_or_else(|| pick.any())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Numbers, spread};
    use super::*;

    fn with(weight: Option<f64>, rpm: Option<u64>, tpm: Option<u64>) -> Numbers {
        Numbers {
            weight,
            rpm,
            tpm,
            ..Numbers::default()
        }
    }

    #[test]
    fn the_first_number_any_candidate_has_decides() {
        let cases: [(&[Numbers], [f64; 3]); 5] = [
            (&[with(None, None, None); 3], [1.0, 1.0, 1.0]),
            (
                &[
                    with(Some(3.0), Some(1), None),
                    with(Some(1.0), Some(9), None),
                    with(None, Some(9), None),
                ],
                [3.0, 1.0, 0.0],
            ),
            (
                &[
                    with(None, Some(1), Some(9)),
                    with(None, Some(2), None),
                    with(None, Some(3), None),
                ],
                [1.0, 2.0, 3.0],
            ),
            (
                &[
                    with(None, None, Some(5)),
                    with(None, None, Some(5)),
                    with(None, None, None),
                ],
                [1.0, 1.0, 0.0],
            ),
            (
                &[
                    with(Some(0.0), None, None),
                    with(Some(0.5), None, None),
                    with(Some(0.5), None, None),
                ],
                [0.0, 1.0, 1.0],
            ),
        ];
        for (candidates, shares) in cases {
            let counts = spread(&SimpleShuffle, candidates, 6000);
            let total: f64 = shares.iter().sum();
            for (count, share) in counts.iter().zip(shares) {
                let expected = 6000.0 * share / total;
                assert!(
                    (*count as f64 - expected).abs() < 200.0,
                    "{counts:?} {shares:?}"
                );
                assert!(share > 0.0 || *count == 0);
            }
        }
    }
}
