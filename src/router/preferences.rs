//! Where a limit is counted elsewhere: which deployments would do, and an attempt at the one that has a place.
//!
//! [`Router::begin`] chooses and counts in one step. If the places of a minute are given out by a store that all replicas
//! ask, there is a wait between the two: [`Router::preferences`] is the first, [`Router::begin_at`] the second.
//! What was reserved there is counted beside what was begun here, so that the difference can be given back.

use std::sync::PoisonError;
use std::sync::atomic::{Ordering, fence};

use super::cooldown::Readiness;
use super::explain::By;
use super::per_minute::PerMinute;
use super::row::Question;
use super::scores::Limits;
use super::{Ask, Attempt, Choice, Router, Why};
use crate::types::Totals;

/// As many as are asked for a place at once.
const MOST: usize = 8;

/// A deployment that would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preference {
    /// Its place in the group.
    pub index: usize,
    /// How it came to be preferred to those behind it.
    pub by: By,
}

/// What was reserved for a deployment in the current minute.
#[derive(Debug, Default)]
pub(super) struct Reserved {
    requests: PerMinute,
    tokens: PerMinute,
}

impl Reserved {
    pub(super) fn add(&self, minute: u64, tokens: u64) {
        // Whoever sees it here sees the attempt that was begun with it, too: it is not to be given back.
        fence(Ordering::Release);
        self.requests.add(minute, 1, |_| true);
        self.tokens.add(minute, tokens, |_| true);
    }

    pub(super) fn of(&self, minute: u64) -> Totals {
        let reserved = Totals {
            requests: self.requests.exactly(minute).unwrap_or(0),
            tokens: self.tokens.exactly(minute).unwrap_or(0),
        };
        fence(Ordering::Acquire);
        reserved
    }
}

impl Router {
    /// The deployments that would do, the best first: the one [`Router::begin`] would pick, then the one it would pick
    /// without that, and so on, eight at most. Turns the dice.
    #[must_use]
    pub fn preferences(&self, ask: &Ask<'_>) -> Vec<Preference> {
        let mut preferences: Vec<Preference> = Vec::new();
        let mut passed = ask.unfit.to_vec();
        let mut desk = self.desk.lock().unwrap_or_else(PoisonError::into_inner);
        let remembered = desk.remembered(ask);
        while preferences.len() < MOST.min(self.rows.len()) {
            let ask = Ask {
                unfit: &passed,
                ..*ask
            };
            let Some(Choice { index, by, .. }) =
                self.choose(&Question::of(&ask), &mut desk, remembered)
            else {
                break;
            };
            preferences.push(Preference { index, by });
            passed.push((index, Why::Unfit));
        }
        preferences
    }

    /// Requests and tokens that a minute may have at the deployment of that place, if either has a limit; the largest
    /// number where there is none.
    #[must_use]
    pub fn minute_limits(&self, index: usize) -> Option<Totals> {
        let limits = self.rows[index].limits;
        (limits.rpm.min(limits.tpm) < u64::MAX).then_some(Totals {
            requests: limits.rpm,
            tokens: limits.tpm,
        })
    }

    /// Begins an attempt at the preferred deployment. If it has limits a place in the minute of `ask.unix` was reserved for
    /// it. `None` if it can't take the request any more; the reservation is counted as one that is not used.
    #[must_use]
    pub fn begin_at(&self, ask: &Ask<'_>, preference: Preference) -> Option<Attempt> {
        let Preference { index, by } = preference;
        let question = Question::of(ask);
        let (row, deployment) = (&self.rows[index], &self.deployments[index]);
        let mut desk = self.desk.lock().unwrap_or_else(PoisonError::into_inner);
        let readiness = row.scores.readiness(ask.now);
        let (open, limits) = match by {
            By::LeastBad => (true, Limits::NONE),
            By::Strategy | By::Affinity | By::OnlyOne => (
                matches!(readiness, Readiness::Ready | Readiness::Probe)
                    && !self.is_promised(index, ask),
                // The minute's are kept where the place was reserved.
                Limits {
                    in_flight: row.limits.in_flight,
                    ..Limits::NONE
                },
            ),
        };
        let begin = question.begin(index, by, readiness == Readiness::Probe);
        let attempt = open
            .then(|| Attempt::begin(deployment, &limits, begin))
            .flatten();
        if self.minute_limits(index).is_some() {
            self.note_reserved(index, ask);
        }
        if let (Some(_), Some(all), Some(key)) =
            (&attempt, &mut desk.conversations, ask.conversation)
        {
            all.remember(key, index, ask.now);
        }
        attempt
    }

    /// A place was reserved at the deployment of that place in the group, in the minute of `ask.unix`.
    pub fn note_reserved(&self, index: usize, ask: &Ask<'_>) {
        let question = Question::of(ask);
        self.rows[index]
            .scores
            .note_reserved(question.minute, question.reserve);
    }
}
