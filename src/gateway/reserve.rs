//! Limits that hold for all replicas together, to the last request: a place in the minute is reserved in Redis before an
//! attempt is made.
//!
//! One round trip asks for the first of the deployments that would do ([`Router::preferences`](crate::router::Router)) which
//! still has a place; the attempt is then begun there. The minute is that of Redis' clock, and all that the group's router
//! counts goes by it ([`Exact::unix`]), so that replicas whose clocks differ agree. If Redis does not answer in time nobody
//! waits for it: what holds then is a setting ([`Outage`]).
//!
//! A reservation that is not used comes back with the next exchange, which tells the difference between what was reserved
//! and what was begun. That includes those whose request went away while it waited for the answer: the answer is looked at
//! all the same, by the exchange.

use std::pin::Pin;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;

use super::journey::Journey;
use super::record::Record;
use super::tries::Tries;
use crate::clock::{Clock, Moment};
use crate::redis::{Redis, State, StoreError};
use crate::router::scores::{Scores, minute_of};
use crate::router::{Ask, Attempt, Deployment, Preference, Why};
use crate::types::{Outage, Totals};
use crate::usage::store::reserve::{self, Reservation, Wish};

/// Answers that nobody waits for any more are kept until the next exchange, so many at most. Of the others the places stay
/// taken until the minute is over.
const UNHEARD: usize = 10_000;

/// How a group's limits are reserved.
#[derive(Debug)]
pub struct Exact {
    redis: Redis,
    /// The key of the group's minutes, without a number.
    minutes: String,
    /// What this replica is called in the exchange.
    replica: Mutex<Arc<str>>,
    outage: Outage,
    /// By how many microseconds Redis' clock is ahead of ours.
    ahead: AtomicI64,
    unheard: Mutex<Vec<Unheard>>,
}

/// The answer to a reservation.
type Answer = Pin<Box<dyn Future<Output = Result<Reservation, StoreError>> + Send>>;

/// A reservation whose request went away before the answer was there.
struct Unheard {
    answer: Answer,
    /// The deployments that were asked for.
    wishes: Vec<Arc<Scores>>,
    tokens: u64,
}

impl std::fmt::Debug for Unheard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Unheard").finish_non_exhaustive()
    }
}

impl Exact {
    /// Of the group of that id, whose numbers replicas share through `redis`; none if no deployment has a limit.
    pub(super) fn new(
        group: &str,
        deployments: &[Arc<Deployment>],
        redis: &Redis,
        outage: Outage,
    ) -> Option<Arc<Self>> {
        let limited = |d: &Arc<Deployment>| d.rpm.is_some() || d.tpm.is_some();
        deployments.iter().any(limited).then(|| {
            Arc::new(Self {
                redis: redis.clone(),
                minutes: reserve::minutes_key(redis, group),
                replica: Mutex::new("".into()),
                outage,
                ahead: AtomicI64::new(0),
                unheard: Mutex::default(),
            })
        })
    }

    /// Our wall time as Redis has it, as far as that is known.
    pub(super) fn unix(&self, ours: Duration) -> Duration {
        let ahead = self.ahead.load(Ordering::Relaxed);
        let by = Duration::from_micros(ahead.unsigned_abs());
        if ahead < 0 {
            ours.saturating_sub(by)
        } else {
            ours + by
        }
    }

    /// This replica is called so in the exchange from now on.
    pub(super) fn rename(&self, replica: &Arc<str>) {
        *self.replica() = Arc::clone(replica);
    }

    fn replica(&self) -> MutexGuard<'_, Arc<str>> {
        self.replica.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Redis' clock says that time now, and ours that.
    pub(super) fn align(&self, unix: Duration, ours: Duration) {
        let micros = |d: Duration| i64::try_from(d.as_micros()).unwrap_or(i64::MAX);
        let ahead = micros(unix).saturating_sub(micros(ours));
        self.ahead.store(ahead, Ordering::Relaxed);
    }

    /// Counts the reservations that have come since for requests that had gone away, as ones that are not used.
    pub(super) fn give_back(&self) {
        let mut unheard = std::mem::take(&mut *self.unheard());
        unheard.retain_mut(|one| match (&mut one.answer).now_or_never() {
            None => true,
            Some(answer) => {
                if let Ok(Reservation {
                    taken: Some(taken),
                    unix,
                    ..
                }) = answer
                    && let Some(scores) = one.wishes.get(taken)
                {
                    scores.note_reserved(minute_of(unix), one.tokens);
                }
                false
            }
        });
        self.unheard().append(&mut unheard);
    }

    fn unheard(&self) -> MutexGuard<'_, Vec<Unheard>> {
        self.unheard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A reservation under way. If its request goes away, the answer is kept for [`Exact::give_back`].
struct Asking<'a> {
    exact: &'a Exact,
    deployments: &'a [Arc<Deployment>],
    wishes: &'a [(Preference, Totals)],
    tokens: u64,
    answer: Option<Answer>,
}

impl<'a> Asking<'a> {
    fn new(
        exact: &'a Exact,
        deployments: &'a [Arc<Deployment>],
        wishes: &'a [(Preference, Totals)],
        tokens: u64,
    ) -> Self {
        let all = wishes.iter().map(|(preference, limits)| Wish {
            deployment: &deployments[preference.index].target.id,
            rpm: limits.requests,
            tpm: limits.tokens,
        });
        let call = reserve::call(&exact.minutes, &exact.replica(), tokens, all);
        let answer = Box::pin(reserve::reserve(exact.redis.clone(), call));
        Self {
            exact,
            deployments,
            wishes,
            tokens,
            answer: Some(answer),
        }
    }

    async fn answer(mut self) -> Result<Reservation, StoreError> {
        let Some(answer) = &mut self.answer else {
            return Err(StoreError::Unavailable);
        };
        let reservation = answer.await;
        self.answer = None;
        reservation
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let Some(answer) = self.answer.take() else {
            return;
        };
        let mut unheard = self.exact.unheard();
        if unheard.len() < UNHEARD {
            let scores =
                |(wish, _): &(Preference, _)| Arc::clone(&self.deployments[wish.index].scores);
            unheard.push(Unheard {
                answer,
                wishes: self.wishes.iter().map(scores).collect(),
                tokens: self.tokens,
            });
        }
    }
}

impl Tries<'_> {
    /// [`Tries::begin`] where places are reserved. A deployment without limits needs none.
    pub(super) async fn begin_exactly(
        &mut self,
        exact: &Exact,
        even_cooling: bool,
        clock: &dyn Clock,
        journey: &mut Journey,
        record: &mut Record,
    ) -> Option<Attempt> {
        let router = &self.group.router;
        let moment = clock.moment();
        if exact.redis.state() != State::Up {
            return self.begin_alone(exact, even_cooling, moment, journey, record);
        }
        let ask = self.ask(even_cooling, moment);
        let preferences = router.preferences(&ask);
        let wish = |preference: &Preference| {
            let limits = router.minute_limits(preference.index)?;
            Some((*preference, limits))
        };
        // Behind one that has a place in any case nobody needs to be asked.
        let wishes: Vec<_> = preferences.iter().map_while(wish).collect();
        let mut chosen = preferences.get(wishes.len()).copied();
        let mut unix = ask.unix;
        if !wishes.is_empty() {
            let asking = Asking::new(exact, router.deployments(), &wishes, ask.tokens.total());
            let Ok(reservation) = asking.answer().await else {
                return self.begin_alone(exact, even_cooling, clock.moment(), journey, record);
            };
            unix = reservation.unix;
            exact.align(unix, clock.unix());
            let refused = reservation.taken.unwrap_or(wishes.len());
            for ((wish, limits), had) in wishes.iter().zip(&reservation.had).take(refused) {
                self.unfit.withhold(wish.index, over(*limits, *had));
            }
            chosen = wishes.get(refused).map_or(chosen, |(wish, _)| Some(*wish));
        }
        let ask = Ask {
            unix,
            ..self.ask(even_cooling, clock.moment())
        };
        let attempt = router.begin_at(&ask, chosen?)?;
        self.begun(&attempt, journey, record);
        Some(attempt)
    }

    /// Redis does not answer: as the setting says.
    fn begin_alone(
        &mut self,
        exact: &Exact,
        even_cooling: bool,
        moment: Moment,
        journey: &mut Journey,
        record: &mut Record,
    ) -> Option<Attempt> {
        match exact.outage {
            // As many as others are assumed to use are counted in already.
            Outage::Share | Outage::Open => {}
            Outage::Closed => {
                let router = &self.group.router;
                let all = 0..router.deployments().len();
                for index in all.filter(|index| router.minute_limits(*index).is_some()) {
                    self.unfit.withhold(index, Why::Uncounted);
                }
            }
        }
        self.begin(even_cooling, moment, journey, record)
    }
}

/// Which limit has no room.
const fn over(limits: Totals, had: Totals) -> Why {
    if had.requests >= limits.requests {
        Why::OverRpm {
            limit: limits.requests,
            used: had.requests,
        }
    } else {
        Why::OverTpm {
            limit: limits.tokens,
            used: had.tokens,
        }
    }
}
