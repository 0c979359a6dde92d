//! What a request does next: attempts, waits and the end, as a pure state machine.
//!
//! One budget of attempts and one deadline cover everything done for a client's request; a [`Plan`] is its part in one
//! group. After a failure another deployment is tried at once if there is an untried one; otherwise the request waits
//! (back-off with jitter, or until the first cooling deployment is back) and tries again; it never waits when there is
//! nothing left to do, nor where another group stands behind this one, which is asked at once. A request that finds
//! every deployment cooling before its first attempt follows the group's [`AllCooling`] setting; one that has begun
//! waits up to `max_wait`, since its client already counts on it. Where a deployment is only full, a request waits in line for
//! a place there, whatever that setting, up to `max_queue_wait` before each attempt. How many retries a failure allows is asked anew for
//! every failure: its class may have a number of its own.
//!
//! `next` is given time and randomness. It ends: every `Try` takes from the budget, and every `Wait` or `Queue` from the
//! waiting time that is left.

use std::time::Duration;

use rand::{Rng, RngExt};
use tokio::time::Instant;

use crate::router::{Availability, Ineligible, NoneEligible, Why};
use crate::types::{AllCooling, ErrorClass, Policy};

/// The first back-off, doubled each time (the OpenAI SDK's and LiteLLM's numbers).
const BACKOFF_FIRST: Duration = Duration::from_millis(500);
/// The longest back-off.
const BACKOFF_MAX: Duration = Duration::from_secs(8);

/// The settings of a plan.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Attempts after failures of no class of its own.
    pub attempts: u32,
    /// Retries by class of the failure.
    pub policy: Policy,
    /// Attempts that are left for this group of what the whole request may make.
    pub most: u32,
    /// Another group stands behind this one.
    pub fallback: bool,
    /// Least wait before a retry that waits.
    pub retry_after: Duration,
    /// The longest the request waits for deployments, all waits together.
    pub max_wait: Duration,
    /// The longest it waits in line for a place at a full deployment, before each attempt.
    pub max_queue_wait: Duration,
    /// What to do if all are cooling from the start.
    pub all_cooling: AllCooling,
    /// When everything must be over.
    pub deadline: Instant,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Nothing could be picked.
    NoneEligible,
    /// An attempt failed for a reason another attempt may not meet.
    Failed(ErrorClass),
    /// A deployment can't do what is asked, so that another one is needed.
    Unfit,
    /// A wait is over, or was not needed after all.
    Waited,
    /// So many wait in line that no more may.
    Crowded,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Pick a deployment and try.
    Try {
        /// Even a cooling one.
        even_cooling: bool,
    },
    /// Wait, then ask again.
    Wait(Duration),
    /// Wait in line for a place at a full deployment, so long at most; then ask again. The place in line is kept until an
    /// attempt begins or another step comes.
    Queue(Duration),
    /// Give up.
    Stop(Stop),
}

/// Why a plan gives up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// The budget of attempts, or of waiting, is used up; the last failure is the answer.
    Exhausted,
    /// The deadline is over, or would be before anything could be tried.
    Deadline,
    /// No deployment can be used, and none will be soon enough.
    NoneEligible(NoneEligible),
}

/// One request's plan.
#[derive(Debug, Clone)]
pub struct Plan {
    limits: Limits,
    /// Attempts the last failure allows.
    allowed: u32,
    made: u32,
    waits: u32,
    waited: Duration,
    /// Until when it may wait in line, once it does.
    queue_until: Option<Instant>,
}

impl Plan {
    /// A plan that begins now. At least one attempt is always allowed.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            allowed: limits.attempts,
            made: 0,
            waits: 0,
            waited: Duration::ZERO,
            queue_until: None,
        }
    }

    /// Attempts made.
    #[must_use]
    pub const fn made(&self) -> u32 {
        self.made
    }

    /// When everything must be over.
    #[must_use]
    pub const fn deadline(&self) -> Instant {
        self.limits.deadline
    }

    /// An attempt begins.
    pub fn begin(&mut self) {
        self.made += 1;
        self.queue_until = None;
    }

    /// The deployment that is tried allows its own number of retries for this request.
    pub fn allow_retries(&mut self, retries: u32) {
        self.limits.attempts = retries.saturating_add(1);
        self.allowed = self.limits.attempts;
    }

    /// Whether a request that was refused as such is to be sent again, because its class has a number of retries.
    #[must_use]
    pub fn retries_refusal(&self, class: ErrorClass) -> bool {
        let retries = self.limits.policy.named(class).unwrap_or(0);
        self.made < retries.saturating_add(1).min(self.limits.most)
    }

    /// The attempt that has begun could not be made: its deployment can't do what is asked, and nothing was sent.
    pub const fn forgo(&mut self) {
        self.made = self.made.saturating_sub(1);
    }

    /// The next step after `event`, with what the router could offer at `now`.
    pub fn next(
        &mut self,
        event: Event,
        offer: &Availability,
        now: Instant,
        rng: &mut dyn Rng,
    ) -> Step {
        if let Event::Failed(class) = event {
            let retries = self.limits.policy.of(class);
            self.allowed = retries.map_or(self.limits.attempts, |n| n.saturating_add(1));
        }
        if self.made >= self.allowed.min(self.limits.most).max(1) {
            return Step::Stop(Stop::Exhausted);
        }
        if now >= self.limits.deadline {
            return Step::Stop(Stop::Deadline);
        }
        match (offer, event) {
            (Availability::Fresh, _)
            | (Availability::OnlyTried, Event::NoneEligible | Event::Waited | Event::Crowded) => {
                Step::Try {
                    even_cooling: false,
                }
            }
            (Availability::OnlyTried, Event::Failed(_) | Event::Unfit) => {
                if self.limits.fallback {
                    return Step::Stop(Stop::Exhausted);
                }
                let wait = self.backoff(rng);
                // Without time for another attempt the failure there is is the answer.
                // The pause is part of trying again, not waiting for a deployment to come back.
                if now + wait >= self.limits.deadline {
                    return Step::Stop(Stop::Exhausted);
                }
                self.waits += 1;
                Step::Wait(wait)
            }
            (Availability::None(none), event) => self.none(event, none, now, rng),
        }
    }

    fn none(&mut self, event: Event, none: &NoneEligible, now: Instant, rng: &mut dyn Rng) -> Step {
        if self.limits.fallback {
            return Step::Stop(Stop::NoneEligible(none.clone()));
        }
        let cools = |d: &Ineligible| matches!(d.why, Why::Cooling(_));
        if self.limits.all_cooling == AllCooling::Try && none.deployments.iter().any(cools) {
            // What has just failed and was to be left alone is at least not asked again in the same moment.
            if matches!(event, Event::Failed(_)) {
                let wait = self.backoff(rng);
                return self
                    .wait(wait, now)
                    .unwrap_or_else(|| Step::Stop(Stop::NoneEligible(none.clone())));
            }
            return Step::Try { even_cooling: true };
        }
        if event != Event::Crowded
            && let Some(step) = self.queue(none, now, rng)
        {
            return step;
        }
        // A probe under way is the end of a cooldown, and mostly a good one: worth a moment.
        let probed = || none.deployments.iter().any(|d| d.why == Why::Probing);
        if self.limits.all_cooling == AllCooling::Fail && self.made == 0 && !probed() {
            return Step::Stop(Stop::NoneEligible(none.clone()));
        }
        // Of what may pass, only a place at a full deployment has no time, and it was waited for.
        none.first_back_in()
            .and_then(|back_in| self.wait(a_little_after(back_in, rng), now))
            .unwrap_or_else(|| Step::Stop(Stop::NoneEligible(none.clone())))
    }

    /// A wait in line, if some deployment is only full and there is time. It ends early for another one that is back.
    fn queue(&mut self, none: &NoneEligible, now: Instant, rng: &mut dyn Rng) -> Option<Step> {
        if !none.is_full() {
            return None;
        }
        let until = *self
            .queue_until
            .get_or_insert(now + self.limits.max_queue_wait);
        let left = until
            .min(self.limits.deadline)
            .saturating_duration_since(now);
        let back_in = none
            .first_back_in()
            .map(|back_in| a_little_after(back_in, rng));
        (!left.is_zero()).then(|| Step::Queue(back_in.map_or(left, |back_in| back_in.min(left))))
    }

    /// A wait of that length, if there is time for it.
    fn wait(&mut self, wait: Duration, now: Instant) -> Option<Step> {
        let left = self.limits.max_wait.saturating_sub(self.waited);
        if wait > left || now + wait >= self.limits.deadline {
            return None;
        }
        self.waits += 1;
        self.waited += wait;
        Some(Step::Wait(wait))
    }

    /// Half of the doubled delay is fixed, half is chance.
    fn backoff(&self, rng: &mut dyn Rng) -> Duration {
        let full = BACKOFF_FIRST
            .saturating_mul(1 << self.waits.min(8))
            .min(BACKOFF_MAX)
            .max(self.limits.retry_after);
        full.mul_f64(rng.random_range(0.5..1.0))
            .max(self.limits.retry_after)
    }
}

/// Not all at the same moment.
fn a_little_after(back_in: Duration, rng: &mut dyn Rng) -> Duration {
    back_in + Duration::from_millis(rng.random_range(1..50))
}

#[cfg(test)]
mod tests;
