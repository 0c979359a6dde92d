//! When a deployment sits out.
//!
//! | Failure | `allowed_fails` set to n | not set |
//! |---|---|---|
//! | 429, quota, credential, model unknown | cools at once | cools at once |
//! | no connection | counts | cools at once: there is no clearer sign |
//! | 5xx, timeout, broken answer | counts; more than n within `cooldown_time` cool | counts; three in a row, or more than half of at least five in a minute, cool |
//!
//! Where `allowed_fails_policy` has a number n for the failure's class, that number replaces both columns for failures of the
//! class, and for refused requests, which otherwise never count: more than n of them within `cooldown_time` cool, fewer do
//! not, whatever the status; and they are no part of what the other failures are judged by.
//!
//! A cooldown lasts `Retry-After` if the provider gave one (clamped to 1 s…5 min: zero would switch cooling off, and an
//! hour is not the provider's to decide), else `cooldown_time`; zero `cooldown_time` means never. Of two deadlines the
//! later one holds. When it is over the deployment is *half open*: one request goes first, alone, and its success (of
//! a stream: its first content) lets the others follow, its failure cools again. So a replica does not return with all
//! its traffic at once.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::types::{ErrorClass, Fault, Policy};

/// Failures in a row that cool when `allowed_fails` is not set.
const CONSECUTIVE: u32 = 3;
/// Fewest outcomes in [`WINDOW`] for the share of failures to mean something (LiteLLM's minimum).
const SHARE_MINIMUM: u32 = 5;
/// The window of the share rule.
const WINDOW: Duration = Duration::from_secs(60);
/// Bounds of a provider's `Retry-After`.
const RETRY_AFTER: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));

/// The settings of one deployment.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// How long; zero: never.
    pub cooldown_time: Duration,
    /// Failures tolerated within `cooldown_time`.
    pub allowed_fails: Option<u32>,
    /// The same for the failures of one class, which then are judged by nothing else.
    pub allowed_fails_policy: Policy,
}

/// Whether a deployment may be picked now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// Yes.
    Ready,
    /// Yes, by one request, which is the probe.
    Probe,
    /// No: its probe is under way.
    Probing,
    /// No, until then.
    Cooling {
        /// The deadline.
        until: Instant,
        /// The failure that cooled it.
        cause: Fault,
    },
}

/// The failures of one deployment and what follows from them.
#[derive(Debug, Default)]
pub struct Cooldown {
    cooling: Option<(Instant, Fault)>,
    probing: bool,
    consecutive: u32,
    /// For the share rule.
    window: Option<Window>,
    /// When the failures were that `allowed_fails` counts; those within `cooldown_time`, and never more than it takes.
    recent: Recent,
    /// The same for each class of which a policy has a number.
    by_class: Option<Box<[Recent; ErrorClass::ALL.len()]>>,
}

type Recent = VecDeque<Instant>;

#[derive(Debug)]
struct Window {
    since: Instant,
    failed: u32,
    all: u32,
}

impl Cooldown {
    /// Whether it may be picked at `now`.
    #[must_use]
    pub fn readiness(&self, now: Instant) -> Readiness {
        match self.cooling {
            None => Readiness::Ready,
            Some((until, cause)) if now < until => Readiness::Cooling { until, cause },
            Some(_) if self.probing => Readiness::Probing,
            Some(_) => Readiness::Probe,
        }
    }

    /// Until when it cools, or cooled; `None` if [`Cooldown::readiness`] can't be anything but ready.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.cooling.map(|(until, _)| until)
    }

    /// Until when it cools, or cooled, and why.
    #[must_use]
    pub const fn cooling(&self) -> Option<(Instant, Fault)> {
        self.cooling
    }

    /// Somebody else has found that it should cool until then. Of two deadlines the later one holds; whether that is this
    /// one. A probe that is under way shows nothing any more.
    pub fn extend(&mut self, until: Instant, cause: Fault) -> bool {
        let later = self.cooling.is_none_or(|(already, _)| already < until);
        if later {
            self.cooling = Some((until, cause));
            self.probing = false;
        }
        later
    }

    /// The probe begins.
    pub fn begin_probe(&mut self) {
        self.probing = true;
    }

    /// The probe has begun to answer: others may follow. Its end counts as any other. Whether that ended a cooldown.
    pub fn reopen(&mut self, now: Instant) -> bool {
        let ends = self.is_half_open(now);
        if ends {
            *self = Self::default();
        }
        ends
    }

    /// The probe ended without telling anything.
    pub fn end_probe(&mut self) {
        self.probing = false;
    }

    /// An attempt succeeded. One that began before the deployment was cooled does not end the cooldown early. Whether it
    /// ended one.
    pub fn succeeded(&mut self, now: Instant) -> bool {
        self.consecutive = 0;
        self.count(now, false);
        let ends = self.is_half_open(now);
        if ends {
            self.cooling = None;
            self.window = None;
            self.recent.clear();
            self.by_class = None;
            self.probing = false;
        }
        ends
    }

    /// Whether the cooldown's time is over, and nobody has shown yet that its cause is.
    fn is_half_open(&self, now: Instant) -> bool {
        self.cooling.is_some_and(|(until, _)| until <= now)
    }

    /// It answered and refused a request for the request's own sake. As such that is a success, and noted as one before;
    /// but where the policy has a number for the class it counts. Returns the deadline if that cools the deployment.
    pub fn refused(&mut self, class: ErrorClass, now: Instant, rule: &Rule) -> Option<Instant> {
        let allowed = rule.allowed_fails_policy.of(class)?;
        if !self.exceeds_of(class, allowed, now, rule.cooldown_time) {
            return None;
        }
        self.cool(Fault::Refused, None, now, rule)
    }

    /// An attempt failed. Returns the deadline if that cools the deployment now or for longer.
    pub fn failed(
        &mut self,
        fault: Fault,
        class: ErrorClass,
        retry_after: Option<Duration>,
        now: Instant,
        rule: &Rule,
    ) -> Option<Instant> {
        let half_open = self.is_half_open(now);
        self.probing = false;
        let too_many = match rule.allowed_fails_policy.of(class) {
            Some(allowed) => self.exceeds_of(class, allowed, now, rule.cooldown_time),
            None => self.too_many(fault, now, rule),
        };
        if half_open || too_many {
            self.cool(fault, retry_after, now, rule)
        } else {
            None
        }
    }

    /// Counts a failure of which no policy speaks; whether it is one too many.
    fn too_many(&mut self, fault: Fault, now: Instant, rule: &Rule) -> bool {
        self.consecutive = self.consecutive.saturating_add(1);
        let (failed, all) = self.count(now, true);
        let by_count = match rule.allowed_fails {
            Some(allowed) => exceeds(&mut self.recent, allowed, now, rule.cooldown_time),
            None => {
                fault == Fault::Connect
                    || self.consecutive >= CONSECUTIVE
                    || (all >= SHARE_MINIMUM && failed * 2 > all)
            }
        };
        let at_once = matches!(
            fault,
            Fault::RateLimit | Fault::Quota | Fault::Credential | Fault::NotFound
        );
        at_once || by_count
    }

    /// Counts a failure of a class that has a number of its own; whether it is one too many.
    fn exceeds_of(
        &mut self,
        class: ErrorClass,
        allowed: u32,
        now: Instant,
        within: Duration,
    ) -> bool {
        let recent = &mut self.by_class.get_or_insert_default()[class as usize];
        exceeds(recent, allowed, now, within)
    }

    /// Cools it, unless it never does or cools for longer already.
    fn cool(
        &mut self,
        fault: Fault,
        retry_after: Option<Duration>,
        now: Instant,
        rule: &Rule,
    ) -> Option<Instant> {
        if rule.cooldown_time.is_zero() {
            return None;
        }
        let lasts = retry_after.map_or(rule.cooldown_time, |given| {
            given.clamp(RETRY_AFTER.0, RETRY_AFTER.1)
        });
        let until = now + lasts;
        if self.cooling.is_some_and(|(already, _)| already >= until) {
            return None;
        }
        self.cooling = Some((until, fault));
        Some(until)
    }

    /// Counts one outcome and returns (failed, all) of the window it falls into.
    fn count(&mut self, now: Instant, failed: bool) -> (u32, u32) {
        let window = match &mut self.window {
            Some(window) if now.duration_since(window.since) < WINDOW => window,
            stale => stale.insert(Window {
                since: now,
                failed: 0,
                all: 0,
            }),
        };
        window.all = window.all.saturating_add(1);
        window.failed = window.failed.saturating_add(u32::from(failed));
        (window.failed, window.all)
    }
}

/// Counts a failure; whether there were more than `allowed` in the time before.
fn exceeds(recent: &mut Recent, allowed: u32, now: Instant, within: Duration) -> bool {
    let allowed = usize::try_from(allowed).unwrap_or(usize::MAX);
    while recent
        .front()
        .is_some_and(|at| now.duration_since(*at) >= within || recent.len() > allowed)
    {
        recent.pop_front();
    }
    recent.push_back(now);
    recent.len() > allowed
}

#[cfg(test)]
mod tests;
