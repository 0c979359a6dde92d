//! Hedged requests: a second attempt elsewhere for one that has waited unusually long for its first content.
//!
//! The wait is a quantile of what the deployment took lately (by default its 95th percentile), so that few requests are
//! hedged while all is well; a bucket bounds their share when nothing is. Whichever attempt has content first is the
//! answer, the other one is cancelled: it blames nobody, and what its prompt is likely to cost is recorded. After J. Dean
//! and L. A. Barroso, "The Tail at Scale" (2013).

use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::{Either, select};
use tokio::time::Instant;

use super::Gateway;
use super::committed::{Committed, End, Uncommitted};
use super::error::Error;
use super::journey::Journey;
use super::record::Record;
use super::snapshot::Group;
use super::tries::{Came, Terms, Tries};
use crate::clock::Alarm;
use crate::router::Attempt;
use crate::types::Hedging;

/// Second attempts that may be made in a row after a time with none.
const BURST: f64 = 5.0;

/// A group's rule for second attempts, and how many it has left.
#[derive(Debug)]
pub struct Hedge {
    settings: Hedging,
    /// Grows by the allowed share with each request, and shrinks by one with each second attempt.
    left: Mutex<f64>,
}

impl Hedge {
    /// A rule that begins with one second attempt to make.
    #[must_use]
    pub fn new(settings: Hedging) -> Self {
        Self {
            settings,
            left: Mutex::new(1.0),
        }
    }

    /// A request has come.
    fn earn(&self) {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        *left = (*left + self.settings.max_share).min(BURST);
    }

    /// Takes one second attempt, if there is one left.
    fn spend(&self) -> bool {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let enough = *left >= 1.0;
        if enough {
            *left -= 1.0;
        }
        enough
    }
}

impl Gateway {
    /// Makes the attempt, and another one beside it if it takes unusually long.
    #[expect(clippy::too_many_arguments, reason = "what a request consists of")]
    pub(super) async fn hedged(
        &self,
        tries: &mut Tries<'_>,
        attempt: Attempt,
        began: Instant,
        hedge: &Hedge,
        journey: &mut Journey,
        record: &mut Record,
        alarm: &mut Alarm,
    ) -> Result<Came, Error> {
        hedge.earn();
        let (group, call) = (tries.group, tries.call);
        let first = attempt.index();
        let usual = attempt
            .deployment()
            .scores
            .usual_time(call.head.stream, hedge.settings.quantile);
        let terms = Terms::hedged(&attempt, began, journey);
        let mut primary = pin!(self.attempt(group, call, attempt, &terms, alarm));
        let Some(usual) = usual else {
            return came(primary.await, first, tries, journey, record);
        };
        let patience = pin!(tokio::time::sleep(usual.max(hedge.settings.min_delay)));
        if let Either::Left((done, _)) = select(primary.as_mut(), patience).await {
            return came(done, first, tries, journey, record);
        }
        tries.hedge(first);
        let now = self.deps.clock.moment();
        let may = journey.left() > 0 && tries.is_another_free(now) && hedge.spend();
        let begun = match &group.exact {
            _ if !may => None,
            None => tries.begin(false, now, journey, record),
            Some(exact) => {
                let clock = &*self.deps.clock;
                let reserved = Box::pin(tries.begin_exactly(exact, false, clock, journey, record));
                let came_first = match select(primary.as_mut(), reserved).await {
                    Either::Left((done, _)) => Err(done),
                    Either::Right((begun, _)) => Ok(begun),
                };
                match came_first {
                    Ok(begun) => begun,
                    Err(done) => return came(done, first, tries, journey, record),
                }
            }
        };
        let Some(attempt) = begun else {
            return came(primary.await, first, tries, journey, record);
        };
        let second = attempt.index();
        group.meters.hedge("made");
        let terms = Terms::hedged(&attempt, Instant::now(), journey);
        let mut clock = Alarm::default();
        let other = pin!(self.attempt(group, call, attempt, &terms, &mut clock));
        // Dropping the loser ends its call; its trial settles as cancelled.
        let (done, index, rest) = match select(primary, other).await {
            Either::Left((done, rest)) => (done, first, Either::Right(rest)),
            Either::Right((done, rest)) => (done, second, Either::Left(rest)),
        };
        let failed = match done {
            Ok(done) => {
                won(group, index, index == second, record);
                return Ok(Ok(done));
            }
            Err(failed) => failed,
        };
        tries.note(index, failed, journey, record)?;
        let (done, index) = match rest {
            Either::Left(primary) => (primary.await, first),
            Either::Right(other) => (other.await, second),
        };
        if done.is_ok() {
            won(group, index, index == second, record);
        }
        came(done, index, tries, journey, record)
    }
}

/// Of two attempts that one is the answer.
fn won(group: &Group, index: usize, second: bool, record: &mut Record) {
    if second {
        group.meters.hedge("won");
    }
    record.won(group, index, second);
}

/// What came of the attempt at the deployment of that place.
fn came(
    done: Result<(Committed, End), Uncommitted>,
    index: usize,
    tries: &mut Tries<'_>,
    journey: &mut Journey,
    record: &mut Record,
) -> Result<Came, Error> {
    match done {
        Ok(done) => Ok(Ok(done)),
        Err(failed) => Ok(Err(tries.note(index, failed, journey, record)?)),
    }
}

/// The rule of a group that has one.
#[must_use]
pub(super) fn of(settings: Option<Hedging>) -> Option<Arc<Hedge>> {
    settings.map(|settings| Arc::new(Hedge::new(settings)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn no_more_than_the_share() {
        let hedge = Hedge::new(Hedging {
            quantile: 0.95,
            min_delay: Duration::ZERO,
            max_share: 0.05,
        });
        let mut spent = 0;
        for _ in 0..1000 {
            hedge.earn();
            spent += u32::from(hedge.spend());
        }
        assert_eq!(spent, 51, "the share, and the one that was there at first");
        (0..1000).for_each(|_| hedge.earn());
        let burst = (0..100).filter(|_| hedge.spend()).count();
        assert_eq!(burst, 5, "however long nothing was slow");
    }
}
