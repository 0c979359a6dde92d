//! latency-based-routing: the half open and the untested first, one request at a time; then at random among those within
//! `lowest × (1 + buffer)` of the fastest.
//!
//! What was learnt before a cooldown says nothing of the time after it, and failures counted as slow: without a probe
//! of its own a deployment would be avoided for many minutes after an outage of seconds.
//!
//! Estimates that nobody refreshes decay (see `scores.rs`), so one that once was slow becomes the lowest after a while
//! and is tried again: exploration without dice.

use super::{Candidate, Number, Pick, Strategy};
use crate::types::StrategyKind;

#[derive(Debug)]
pub(super) struct Latency {
    pub(super) buffer: f64,
}

impl Strategy for Latency {
    fn kind(&self) -> StrategyKind {
        StrategyKind::Latency
    }

    fn compares(&self) -> &'static [Number] {
        &[Number::Latency, Number::InFlight]
    }

    fn pick(&self, pick: &mut Pick<'_>) -> usize {
        let mut fastest = f64::INFINITY;
        let mut first = false;
        for (_, candidate) in pick.candidates() {
            let latency = candidate.log2_latency();
            fastest = latency.map_or(fastest, |latency| fastest.min(latency));
            first |= goes_first(candidate, latency);
        }
        let index = if first {
            pick.lowest(|c| goes_first(c, c.log2_latency()).then_some(()))
        } else if fastest < f64::INFINITY {
            // A product is a sum of logarithms.
            let band = fastest + (1.0 + self.buffer.max(0.0)).log2();
            pick.lowest(|c| c.log2_latency().filter(|l| *l <= band).map(|_| ()))
        } else {
            // Nothing is known yet of any, and each has its first request under way.
            pick.lowest(|c| Some(c.in_flight()))
        };
        // What was seen first may have changed since.
        index.unwrap_or_else(|| pick.any())
    }
}

/// Whether it is to be tried before what is known of others counts.
fn goes_first(candidate: Candidate<'_>, latency: Option<f64>) -> bool {
    candidate.is_half_open() || (latency.is_none() && candidate.in_flight() == 0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::testing::{Numbers, spread};
    use super::*;

    fn at(ms: Option<u64>, in_flight: u32) -> Numbers {
        Numbers {
            latency: ms.map(Duration::from_millis),
            in_flight,
            ..Numbers::default()
        }
    }

    #[test]
    fn table() {
        let cases: [(f64, &[Numbers], [usize; 3]); 5] = [
            (
                0.0,
                &[at(Some(90), 0), at(Some(50), 9), at(Some(70), 0)],
                [0, 60, 0],
            ),
            (
                0.0,
                &[at(Some(1), 0), at(None, 0), at(Some(9), 0)],
                [0, 60, 0],
            ),
            (
                0.0,
                &[at(Some(30), 0), at(None, 1), at(Some(9), 0)],
                [0, 0, 60],
            ),
            (0.0, &[at(None, 2), at(None, 1), at(None, 3)], [0, 60, 0]),
            (
                9.0,
                &[at(Some(10), 0), at(Some(101), 0), at(Some(102), 0)],
                [60, 0, 0],
            ),
        ];
        for (buffer, candidates, expected) in cases {
            assert_eq!(
                spread(&Latency { buffer }, candidates, 60),
                expected,
                "{candidates:?}"
            );
        }
    }

    #[test]
    fn within_the_buffer_they_share() {
        let counts = spread(
            &Latency { buffer: 0.5 },
            &[at(Some(100), 0), at(Some(149), 0), at(Some(151), 0)],
            1000,
        );
        assert!(
            counts[0] > 400 && counts[1] > 400 && counts[2] == 0,
            "{counts:?}"
        );
    }
}
