//! Which deployment: one [`Router`] per model group.
//!
//! [`Router::begin`] is the only way to get a deployment. It filters (cooling down, already tried, over a limit, not the
//! lowest `order`), shows the strategy what is left as numbers, and counts the winner in, all under one lock of the
//! group, so that requests which arrive together see each other; attempts end without it. It does no I/O and is given time; its randomness is
//! seeded by whoever builds it. A request that finds only full ones may stand in line for a place ([`queue`]).

mod affinity;
pub mod attempt;
pub mod cooldown;
pub mod deployment;
mod estimate;
pub mod explain;
pub mod fit;
mod per_minute;
pub mod preferences;
pub mod queue;
pub mod refusal;
mod row;
pub mod scores;
pub mod shared;
pub mod strategy;
mod times;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::{StdRng, Xoshiro256PlusPlus};
use tokio::time::Instant;

pub use attempt::{Attempt, Outcome};
pub use deployment::Deployment;
pub use preferences::Preference;
pub use refusal::{Availability, Ineligible, NoneEligible, Why};

use affinity::Conversations;
use cooldown::Readiness;
use explain::By;
use queue::{Queue, Ticket};
use row::{Question, Row};
use scores::Limits;
use strategy::{Candidate, Pick, Strategy, shares};

use crate::types::{Affinity, TokenUsage};

/// While a deployment is probed by another request nobody knows when it is free; ask again after this long.
const PROBE_HINT: Duration = Duration::from_millis(100);

/// Picks deployments inside one model group.
#[derive(Debug)]
pub struct Router {
    group: Arc<str>,
    deployments: Vec<Arc<Deployment>>,
    /// What picks look at, in the same order.
    rows: Vec<Row>,
    /// Whether they have more than one `order`.
    ordered: bool,
    strategy: Box<dyn Strategy>,
    desk: Mutex<Desk>,
    /// Who waits for a place at one of them, or at another one of the group they are of.
    queue: Option<Arc<Queue>>,
}

/// The dice of picks. Nobody gains by foreseeing them, and they can be copied: an explanation throws the same.
type Dice = Xoshiro256PlusPlus;

/// What a pick needs to itself.
struct Desk {
    dice: Dice,
    /// Room for all, kept so that picks allocate nothing.
    eligible: Vec<usize>,
    /// Where conversations are, if they are to stay there.
    conversations: Option<Conversations>,
}

impl Desk {
    /// The deployment that has the request's conversation.
    #[inline]
    fn remembered(&self, ask: &Ask<'_>) -> Option<usize> {
        self.conversations
            .as_ref()?
            .recall(ask.conversation?, ask.now)
    }

    /// The same dice. Conversations stay where they are: there may be very many.
    fn copy(&self) -> Self {
        Self {
            dice: self.dice.clone(),
            eligible: self.eligible.clone(),
            conversations: None,
        }
    }
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").finish_non_exhaustive()
    }
}

/// How often a router looks again for a deployment when one has come free while it wrote down why there is none.
const LOOKS: u32 = 100;

/// What a request asks the router.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// Indices of the deployments this request has tried. They are used again only when no other is eligible.
    pub tried: &'a [usize],
    /// Indices of the deployments that can't do what the request asks, or are known to be out for it now, and why. They
    /// are not used for it.
    pub unfit: &'a [(usize, Why)],
    /// Monotonic time.
    pub now: Instant,
    /// Wall time since the epoch, for windows of a minute.
    pub unix: Duration,
    /// Estimate of the request's tokens.
    pub tokens: TokenUsage,
    /// The answer will be a stream.
    pub streaming: bool,
    /// Use a cooling deployment if there is no other.
    pub even_cooling: bool,
    /// The conversation it belongs to, if that is to stay where it is.
    pub conversation: Option<u64>,
    /// Its number in line, if it waits for a place.
    pub ticket: Option<u64>,
}

impl Ask<'_> {
    /// Why that deployment can't do what the request asks, if it can't.
    fn why_unfit(&self, index: usize) -> Option<Why> {
        let found = self.unfit.iter().find(|(unfit, _)| *unfit == index);
        found.map(|(_, why)| *why)
    }
}

impl Router {
    /// A router over `deployments` (not empty); `rng` seeds its dice.
    #[must_use]
    pub fn new(
        group: Arc<str>,
        deployments: Vec<Arc<Deployment>>,
        strategy: Box<dyn Strategy>,
        mut rng: StdRng,
    ) -> Self {
        let desk = Desk {
            dice: Dice::from_rng(&mut rng),
            eligible: vec![0; deployments.len()],
            conversations: None,
        };
        let queue = deployments.iter().find_map(|d| d.scores.places());
        Self {
            group,
            ordered: deployments.iter().any(|d| d.order != deployments[0].order),
            queue: queue.map(|places| Arc::clone(places.queue())),
            rows: deployments.iter().map(|d| Row::of(d)).collect(),
            deployments,
            strategy,
            desk: Mutex::new(desk),
        }
    }

    /// The same, with conversations that stay where they are.
    #[must_use]
    pub fn with_affinity(mut self, affinity: Option<&Affinity>) -> Self {
        let desk = self.desk.get_mut().unwrap_or_else(PoisonError::into_inner);
        desk.conversations = affinity.map(Conversations::new);
        self
    }

    /// The deployments, in the order of the file.
    #[must_use]
    pub fn deployments(&self) -> &[Arc<Deployment>] {
        &self.deployments
    }

    /// Picks a deployment and counts the request in.
    ///
    /// # Errors
    /// Every deployment's reason, if none is eligible.
    pub fn begin(&self, ask: &Ask<'_>) -> Result<Attempt, NoneEligible> {
        let question = Question::of(ask);
        let mut desk = self.desk.lock().unwrap_or_else(PoisonError::into_inner);
        let mut looks = 0;
        loop {
            let remembered = desk.remembered(ask);
            let Some(Choice { index, limits, by }) = self.choose(&question, &mut desk, remembered)
            else {
                looks += 1;
                match self.none_eligible(&question, looks) {
                    Some(none) => return Err(none),
                    None => continue,
                }
            };
            let probe = self.rows[index].scores.readiness(ask.now) == Readiness::Probe;
            let begin = question.begin(index, by, probe);
            if let Some(attempt) = Attempt::begin(&self.deployments[index], limits, begin) {
                if let (Some(all), Some(key)) = (&mut desk.conversations, ask.conversation) {
                    all.remember(key, index, ask.now);
                }
                return Ok(attempt);
            }
            // Its last place was taken since: another router's, or by what an attempt turned out to have used.
        }
    }

    /// Which deployment is next, of a conversation that was `remembered` at that one. Counts nothing in, and turns the
    /// dice only.
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "a step of every request; explanations have their own copy"
    )]
    fn choose(
        &self,
        question: &Question<'_>,
        desk: &mut Desk,
        remembered: Option<usize>,
    ) -> Option<Choice<'_>> {
        let Desk { dice, eligible, .. } = desk;
        let (index, by) = match self.eligible(question, eligible) {
            [] if question.ask.even_cooling => {
                return Some(Choice {
                    index: self.least_bad(question)?,
                    limits: &Limits::NONE,
                    by: By::LeastBad,
                });
            }
            [] => return None,
            [only] => (*only, By::OnlyOne),
            eligible => {
                match remembered.filter(|place| self.may_stay(*place, question, eligible)) {
                    Some(place) => (place, By::Affinity),
                    None => {
                        let mut pick = Pick::new(&self.rows, eligible, question, dice);
                        (self.strategy.pick(&mut pick), By::Strategy)
                    }
                }
            }
        };
        let limits = &self.rows[index].limits;
        Some(Choice { index, limits, by })
    }

    /// Whether the deployment that has the request's conversation is eligible and not overloaded.
    fn may_stay(&self, place: usize, question: &Question<'_>, eligible: &[usize]) -> bool {
        if !eligible.contains(&place) {
            return false;
        }
        let candidate = |place: usize| Candidate::new(&self.rows[place], question);
        let all = || eligible.iter().map(|place| candidate(*place));
        #[expect(clippy::cast_precision_loss, reason = "a share, not a count")]
        let share = match shares(all) {
            Some((share, total)) => share(candidate(place)) / total,
            None => 1.0 / eligible.len() as f64,
        };
        let in_flight = all().map(|c| f64::from(c.in_flight())).sum();
        !affinity::overloaded(candidate(place).in_flight(), in_flight, share)
    }

    /// What [`Router::begin`] would find, without doing it.
    #[must_use]
    pub fn availability(&self, ask: &Ask<'_>) -> Availability {
        let question = Question::of(ask);
        let mut looks = 0;
        loop {
            let mut any = false;
            for (index, row) in self.rows.iter().enumerate() {
                if ask.why_unfit(index).is_none()
                    && row.is_open(&question)
                    && !self.is_promised(index, ask)
                {
                    if !ask.tried.contains(&index) {
                        return Availability::Fresh;
                    }
                    any = true;
                }
            }
            if any {
                return Availability::OnlyTried;
            }
            looks += 1;
            if let Some(none) = self.none_eligible(&question, looks) {
                return Availability::None(none);
            }
        }
    }

    /// The eligible of the lowest order: untried ones, or if there are none, tried ones.
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "a step of every request; explanations have their own copy"
    )]
    fn eligible<'a>(&self, question: &Question<'_>, room: &'a mut [usize]) -> &'a mut [usize] {
        let ask = question.ask;
        let tried = ask.tried;
        let mut found = if tried.is_empty() && ask.unfit.is_empty() && !self.is_crowded() {
            self.open(question, |_| true, room)
        } else {
            let fit = |i| ask.why_unfit(i).is_none() && !self.is_promised(i, ask);
            match self.open(question, |i| fit(i) && !tried.contains(&i), room) {
                0 => self.open(question, |i| fit(i) && tried.contains(&i), room),
                found => found,
            }
        };
        if self.ordered {
            let order = |index: usize| self.rows[index].order;
            let lowest = room[..found].iter().map(|i| order(*i)).min();
            found = compact(&mut room[..found], |index| Some(order(index)) == lowest);
        }
        &mut room[..found]
    }

    /// Writes the eligible among those `wanted` into `room` and returns how many there are.
    #[inline]
    fn open(
        &self,
        question: &Question<'_>,
        wanted: impl Fn(usize) -> bool,
        room: &mut [usize],
    ) -> usize {
        let mut found = 0;
        for (index, row) in self.rows.iter().enumerate() {
            // Written in any case and kept if it fits, so that nothing is to be guessed.
            room[found] = index;
            found += usize::from(wanted(index) && row.is_open(question));
        }
        found
    }

    /// The cooling deployment that is back first, untried ones before tried ones.
    fn least_bad(&self, question: &Question<'_>) -> Option<usize> {
        let tried = question.ask.tried;
        (0..self.rows.len())
            .filter(|i| question.ask.why_unfit(*i).is_none())
            .filter_map(|i| match self.rows[i].ineligible(question) {
                Some((Why::Cooling(_), back_in)) => Some((tried.contains(&i), back_in, i)),
                _ => None,
            })
            .min()
            .map(|(.., i)| i)
    }

    /// Why none of them is eligible. `None` if one has become so since, so that there is something to pick after all: a
    /// refusal without a reason would be final, although a place is free. After a few looks it is taken as it is.
    fn none_eligible(&self, question: &Question<'_>, looks: u32) -> Option<NoneEligible> {
        let reason = |(index, deployment): (usize, &Arc<Deployment>)| {
            let (why, back_in) = self.ineligible(index, question)?;
            Some(Ineligible {
                deployment: Arc::clone(&deployment.target.id),
                why,
                back_in,
            })
        };
        let reasons = self.deployments.iter().enumerate().filter_map(reason);
        let deployments: Vec<_> = reasons.collect();
        let complete = deployments.len() == self.deployments.len();
        (complete || looks >= LOOKS).then(|| NoneEligible {
            group: Arc::clone(&self.group),
            deployments,
        })
    }

    /// Why that one can't take the request now, if it can't, and for how long.
    fn ineligible(&self, index: usize, question: &Question<'_>) -> Option<(Why, Option<Duration>)> {
        match question.ask.why_unfit(index) {
            Some(why) => Some((why, why.is_of_minute().then(|| question.rest_of_minute()))),
            None => self.rows[index].ineligible(question).or_else(|| {
                self.is_promised(index, question.ask)
                    .then(|| (self.rows[index].full(), None))
            }),
        }
    }

    /// Those who wait for a place at a full deployment, if that is waited for.
    #[must_use]
    pub const fn queue(&self) -> Option<&Arc<Queue>> {
        self.queue.as_ref()
    }

    /// Puts the request in line for a place at those of its deployments that are full, at the end, or where it stands
    /// already. It gets no ticket, or is called at once, if none of them is full any more. False if the line is full.
    pub fn line_up(&self, ask: &Ask<'_>, ticket: &mut Option<Ticket>) -> bool {
        let question = Question::of(ask);
        let is_full = |index: usize| {
            matches!(
                self.ineligible(index, &question),
                Some((Why::Full { .. }, _))
            )
        };
        let rows = self.rows.iter().enumerate();
        let wants: Vec<_> = rows
            .filter(|(index, row)| row.scores.places().is_some() && is_full(*index))
            .map(|(_, row)| Arc::clone(&row.scores))
            .collect();
        match &self.queue {
            Some(queue) if !wants.is_empty() => queue.join(ticket, &wants),
            _ => {
                ticket.iter().for_each(Ticket::call);
                true
            }
        }
    }

    #[inline]
    fn is_crowded(&self) -> bool {
        self.queue.as_ref().is_some_and(|queue| !queue.is_empty())
    }

    /// Whether the free places of that one belong to requests that have waited longer.
    fn is_promised(&self, index: usize, ask: &Ask<'_>) -> bool {
        self.is_crowded() && self.rows[index].is_promised(ask)
    }
}

/// The deployment that is next.
struct Choice<'a> {
    index: usize,
    /// Those it is counted in under.
    limits: &'a Limits,
    by: By,
}

/// Moves what is `wanted` to the front; how many there are.
fn compact(all: &mut [usize], wanted: impl Fn(usize) -> bool) -> usize {
    let mut kept = 0;
    for at in 0..all.len() {
        all[kept] = all[at];
        kept += usize::from(wanted(all[kept]));
    }
    kept
}

#[cfg(test)]
mod tests;
