//! least-busy: fewest requests in flight; at random between equals.

use super::{Number, Pick, Strategy};
use crate::types::StrategyKind;

#[derive(Debug)]
pub(super) struct LeastBusy;

impl Strategy for LeastBusy {
    fn kind(&self) -> StrategyKind {
        StrategyKind::LeastBusy
    }

    fn compares(&self) -> &'static [Number] {
        &[Number::InFlight]
    }

    fn pick(&self, pick: &mut Pick<'_>) -> usize {
        pick.lowest(|c| Some(c.in_flight())).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Numbers, spread};
    use super::*;

    #[test]
    fn least_wins_and_equals_share() {
        let busy = |in_flight| Numbers {
            in_flight,
            ..Numbers::default()
        };
        assert_eq!(
            spread(&LeastBusy, &[busy(2), busy(1), busy(3)], 50),
            [0, 50, 0]
        );
        let counts = spread(&LeastBusy, &[busy(1), busy(1), busy(2), busy(1)], 3000);
        assert_eq!(counts[2], 0);
        assert!(
            [0, 1, 3].iter().all(|i| (800..1200).contains(&counts[*i])),
            "{counts:?}"
        );
    }
}
