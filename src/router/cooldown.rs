//! When a deployment sits out.
//!
//! | Failure | `allowed_fails` set to n | not set |
//! |---|---|---|
//! | 429, quota, credential, model unknown | cools at once | cools at once |
//! | no connection | counts | cools at once: there is no clearer sign |
//! | 5xx, timeout, broken answer | counts; more than n within `cooldown_time` cool | counts; three in a row, or more than half of at least five in a minute, cool |
//!
//! A cooldown lasts `Retry-After` if the provider gave one (clamped to 1 s…5 min: zero would switch cooling off, and an
//! hour is not the provider's to decide), else `cooldown_time`; zero `cooldown_time` means never. Of two deadlines the
//! later one holds. When it is over the deployment is *half open*: one request goes first, alone, and its success (of
//! a stream: its first content) lets the others follow, its failure cools again. So a replica does not return with all
//! its traffic at once.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::types::Fault;

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
    recent: VecDeque<Instant>,
}

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
            self.probing = false;
        }
        ends
    }

    /// Whether the cooldown's time is over, and nobody has shown yet that its cause is.
    fn is_half_open(&self, now: Instant) -> bool {
        self.cooling.is_some_and(|(until, _)| until <= now)
    }

    /// An attempt failed. Returns the deadline if that cools the deployment now or for longer.
    pub fn failed(
        &mut self,
        fault: Fault,
        retry_after: Option<Duration>,
        now: Instant,
        rule: &Rule,
    ) -> Option<Instant> {
        let half_open = self.is_half_open(now);
        self.probing = false;
        self.consecutive = self.consecutive.saturating_add(1);
        let (failed, all) = self.count(now, true);
        let by_count = match rule.allowed_fails {
            Some(allowed) => self.exceeds(allowed, now, rule.cooldown_time),
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
        if rule.cooldown_time.is_zero() || !(at_once || half_open || by_count) {
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

    /// Counts a failure; whether there were more than `allowed` in the time before.
    fn exceeds(&mut self, allowed: u32, now: Instant, within: Duration) -> bool {
        let allowed = usize::try_from(allowed).unwrap_or(usize::MAX);
        while self
            .recent
            .front()
            .is_some_and(|at| now.duration_since(*at) >= within || self.recent.len() > allowed)
        {
            self.recent.pop_front();
        }
        self.recent.push_back(now);
        self.recent.len() > allowed
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

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn rule(allowed_fails: Option<u32>) -> Rule {
        Rule {
            cooldown_time: 10 * S,
            allowed_fails,
        }
    }

    fn start() -> (Cooldown, Instant) {
        (Cooldown::default(), Instant::now())
    }

    #[test]
    fn some_faults_cool_at_once() {
        for fault in [
            Fault::RateLimit,
            Fault::Quota,
            Fault::Credential,
            Fault::NotFound,
        ] {
            let (mut c, t) = start();
            assert_eq!(
                c.failed(fault, None, t, &rule(Some(9))),
                Some(t + 10 * S),
                "{fault:?}"
            );
            assert_eq!(
                c.readiness(t + 9 * S),
                Readiness::Cooling {
                    until: t + 10 * S,
                    cause: fault
                }
            );
        }
        let (mut c, t) = start();
        assert!(c.failed(Fault::Connect, None, t, &rule(None)).is_some());
    }

    #[test]
    fn allowed_fails_is_exceeded_not_reached() {
        let (mut c, t) = start();
        assert_eq!(c.failed(Fault::Server, None, t, &rule(Some(2))), None);
        assert_eq!(c.failed(Fault::Connect, None, t + S, &rule(Some(2))), None);
        assert_eq!(
            c.failed(Fault::Server, None, t + 2 * S, &rule(Some(2))),
            Some(t + 12 * S)
        );
    }

    #[test]
    fn failures_older_than_the_window_are_forgotten() {
        let (mut c, t) = start();
        assert_eq!(c.failed(Fault::Server, None, t, &rule(Some(1))), None);
        assert_eq!(
            c.failed(Fault::Server, None, t + 10 * S, &rule(Some(1))),
            None
        );
        assert!(
            c.failed(Fault::Server, None, t + 11 * S, &rule(Some(1)))
                .is_some()
        );
    }

    #[test]
    fn the_window_slides_and_successes_do_not_move_it() {
        let (mut c, t) = start();
        c.succeeded(t);
        assert_eq!(
            c.failed(Fault::Server, None, t + 8 * S, &rule(Some(1))),
            None
        );
        assert!(
            c.failed(Fault::Server, None, t + 12 * S, &rule(Some(1)))
                .is_some(),
            "two within ten seconds"
        );

        let (mut c, t) = start();
        let long = Rule {
            cooldown_time: 300 * S,
            allowed_fails: Some(1),
        };
        assert_eq!(c.failed(Fault::Server, None, t, &long), None);
        c.succeeded(t + 61 * S);
        assert!(
            c.failed(Fault::Server, None, t + 100 * S, &long).is_some(),
            "two within five minutes"
        );
    }

    #[test]
    fn without_allowed_fails_three_in_a_row_or_the_share_cools() {
        let (mut c, t) = start();
        assert_eq!(c.failed(Fault::Server, None, t, &rule(None)), None);
        assert_eq!(c.failed(Fault::Server, None, t, &rule(None)), None);
        c.succeeded(t);
        assert_eq!(
            c.failed(Fault::Server, None, t, &rule(None)),
            None,
            "a success breaks the row"
        );
        assert!(
            c.failed(Fault::Server, None, t, &rule(None)).is_some(),
            "4 of 5 failed"
        );
    }

    #[test]
    fn zero_cooldown_time_never_cools() {
        let (mut c, t) = start();
        let never = Rule {
            cooldown_time: Duration::ZERO,
            allowed_fails: Some(0),
        };
        assert_eq!(c.failed(Fault::RateLimit, Some(30 * S), t, &never), None);
        assert_eq!(c.readiness(t), Readiness::Ready);
    }

    #[test]
    fn retry_after_is_clamped() {
        for (given, lasts) in [(Duration::ZERO, S), (7 * S, 7 * S), (9999 * S, 300 * S)] {
            let (mut c, t) = start();
            assert_eq!(
                c.failed(Fault::RateLimit, Some(given), t, &rule(None)),
                Some(t + lasts)
            );
        }
    }

    #[test]
    fn the_later_deadline_wins() {
        let (mut c, t) = start();
        c.failed(Fault::RateLimit, Some(60 * S), t, &rule(None));
        assert_eq!(
            c.failed(Fault::RateLimit, Some(S), t + S, &rule(None)),
            None
        );
        assert_eq!(
            c.readiness(t + 59 * S),
            Readiness::Cooling {
                until: t + 60 * S,
                cause: Fault::RateLimit
            }
        );
        assert_eq!(
            c.failed(Fault::Server, Some(120 * S), t + S, &rule(Some(0))),
            Some(t + 121 * S)
        );
    }

    #[test]
    fn afterwards_one_goes_first() {
        let (mut c, t) = start();
        c.failed(Fault::RateLimit, None, t, &rule(Some(5)));
        c.succeeded(t + S);
        assert!(
            matches!(c.readiness(t + S), Readiness::Cooling { .. }),
            "an old success changes nothing"
        );
        let t = t + 10 * S;
        assert_eq!(c.readiness(t), Readiness::Probe);
        c.begin_probe();
        assert_eq!(c.readiness(t), Readiness::Probing);
        assert!(
            c.failed(Fault::Server, None, t, &rule(Some(5))).is_some(),
            "a failed probe cools, whatever is allowed"
        );
        let t = t + 10 * S;
        c.begin_probe();
        c.end_probe();
        assert_eq!(
            c.readiness(t),
            Readiness::Probe,
            "a cancelled probe leaves the place free"
        );
        c.begin_probe();
        c.succeeded(t);
        assert_eq!(c.readiness(t), Readiness::Ready);
    }
}
