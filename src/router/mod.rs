//! Which deployment: one [`Router`] per model group.
//!
//! [`Router::begin`] is the only way to get a deployment. It filters (cooling down, already tried, over a limit, not the
//! lowest `order`), shows the strategy what is left as numbers, and counts the winner in, all under one lock of the
//! group, so that requests which arrive together see each other. It does no I/O and is given time; its randomness is
//! seeded by whoever builds it.

pub mod attempt;
pub mod cooldown;
pub mod deployment;
pub mod scores;
pub mod strategy;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::rngs::StdRng;
use tokio::time::Instant;

pub use attempt::{Attempt, Outcome};
pub use deployment::Deployment;

use attempt::Begin;
use cooldown::Readiness;
use scores::minute_of;
use strategy::{Candidate, Pick, Strategy};

use crate::types::{Fault, TokenUsage};

/// While a deployment is probed by another request nobody knows when it is free; ask again after this long.
const PROBE_HINT: Duration = Duration::from_millis(100);

/// Picks deployments inside one model group.
#[derive(Debug)]
pub struct Router {
    group: Arc<str>,
    deployments: Vec<Arc<Deployment>>,
    strategy: Box<dyn Strategy>,
    desk: Mutex<Desk>,
}

/// What a pick needs to itself.
struct Desk {
    rng: StdRng,
    eligible: Vec<usize>,
    candidates: Vec<Candidate>,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").finish_non_exhaustive()
    }
}

/// What a request asks the router.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// Indices of the deployments this request has tried. They are used again only when no other is eligible.
    pub tried: &'a [usize],
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
}

/// Why one deployment was not eligible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It sits out after a failure of that kind.
    Cooling(Fault),
    /// It was cooling, and another request is trying it.
    Probing,
    /// It had its requests of this minute.
    OverRpm {
        /// The limit.
        limit: u64,
    },
    /// It had its tokens of this minute.
    OverTpm {
        /// The limit.
        limit: u64,
        /// Used and reserved.
        used: u64,
    },
    /// It has as many requests in flight as it may.
    Full {
        /// The limit.
        limit: u32,
    },
}

impl Why {
    /// Whether it passes by itself. A wrong key does not.
    const fn may_pass(self) -> bool {
        match self {
            Self::Cooling(fault) => fault.may_pass(),
            Self::Probing | Self::OverRpm { .. } | Self::OverTpm { .. } | Self::Full { .. } => true,
        }
    }
}

/// One deployment's reason, and when it is over as far as that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ineligible {
    /// The deployment.
    pub deployment: Arc<str>,
    /// Why not.
    pub why: Why,
    /// How long until it may be asked again.
    pub back_in: Option<Duration>,
}

/// No deployment can be used now: each with its reason, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no deployment of group {group} is eligible")]
pub struct NoneEligible {
    /// The group.
    pub group: Arc<str>,
    /// All its deployments.
    pub deployments: Vec<Ineligible>,
}

impl NoneEligible {
    /// When the first one is back of those for which waiting can help.
    #[must_use]
    pub fn first_back_in(&self) -> Option<Duration> {
        self.deployments
            .iter()
            .filter(|d| d.why.may_pass())
            .filter_map(|d| d.back_in)
            .min()
    }

    /// Whether waiting can help: some deployment is out for a reason that passes by itself.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        self.deployments.iter().any(|d| d.why.may_pass())
    }
}

/// What a request that needs another attempt would find.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Availability {
    /// A deployment it has not tried.
    Fresh,
    /// Only ones it has tried.
    OnlyTried,
    /// None.
    None(NoneEligible),
}

impl Router {
    /// A router over `deployments` (not empty).
    #[must_use]
    pub fn new(
        group: Arc<str>,
        deployments: Vec<Arc<Deployment>>,
        strategy: Box<dyn Strategy>,
        rng: StdRng,
    ) -> Self {
        let n = deployments.len();
        let desk = Desk {
            rng,
            eligible: Vec::with_capacity(n),
            candidates: Vec::with_capacity(n),
        };
        Self {
            group,
            deployments,
            strategy,
            desk: Mutex::new(desk),
        }
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
        let mut desk = self.desk.lock().unwrap_or_else(PoisonError::into_inner);
        let Desk {
            rng,
            eligible,
            candidates,
        } = &mut *desk;
        self.eligible(ask, eligible);
        if eligible.is_empty() && ask.even_cooling {
            eligible.extend(self.least_bad(ask));
        }
        let index = match eligible.as_slice() {
            [] => return Err(self.none_eligible(ask)),
            [only] => *only,
            _ => {
                candidates.clear();
                candidates.extend(
                    eligible
                        .iter()
                        .map(|i| candidate(&self.deployments[*i], ask)),
                );
                let picked = self.strategy.pick(&mut Pick { candidates, rng });
                eligible[picked.min(eligible.len() - 1)]
            }
        };
        let deployment = Arc::clone(&self.deployments[index]);
        let begin = Begin {
            index,
            now: ask.now,
            minute: minute_of(ask.unix),
            reserved: ask.tokens.total(),
            streaming: ask.streaming,
            probe: deployment.scores.readiness(ask.now) == Readiness::Probe,
        };
        Ok(Attempt::begin(deployment, begin))
    }

    /// What [`Router::begin`] would find, without doing it.
    #[must_use]
    pub fn availability(&self, ask: &Ask<'_>) -> Availability {
        let mut any = false;
        for (index, deployment) in self.deployments.iter().enumerate() {
            if ineligible(deployment, ask).is_none() {
                if !ask.tried.contains(&index) {
                    return Availability::Fresh;
                }
                any = true;
            }
        }
        if any {
            Availability::OnlyTried
        } else {
            Availability::None(self.none_eligible(ask))
        }
    }

    /// The eligible of the lowest order: untried ones, or if there are none, tried ones.
    fn eligible(&self, ask: &Ask<'_>, into: &mut Vec<usize>) {
        into.clear();
        let open = |i: &usize| ineligible(&self.deployments[*i], ask).is_none();
        into.extend(
            (0..self.deployments.len())
                .filter(|i| !ask.tried.contains(i))
                .filter(open),
        );
        if into.is_empty() {
            into.extend(
                (0..self.deployments.len())
                    .filter(|i| ask.tried.contains(i))
                    .filter(open),
            );
        }
        let order = |i: &usize| self.deployments[*i].order.unwrap_or(u32::MAX);
        if let Some(lowest) = into.iter().map(order).min() {
            into.retain(|i| order(i) == lowest);
        }
    }

    /// The cooling deployment that is back first, untried ones before tried ones.
    fn least_bad(&self, ask: &Ask<'_>) -> Option<usize> {
        (0..self.deployments.len())
            .filter_map(|i| match ineligible(&self.deployments[i], ask) {
                Some((Why::Cooling(_), back_in)) => Some((ask.tried.contains(&i), back_in, i)),
                _ => None,
            })
            .min()
            .map(|(.., i)| i)
    }

    fn none_eligible(&self, ask: &Ask<'_>) -> NoneEligible {
        let deployments = self
            .deployments
            .iter()
            .filter_map(|d| {
                let (why, back_in) = ineligible(d, ask)?;
                Some(Ineligible {
                    deployment: Arc::clone(&d.target.id),
                    why,
                    back_in,
                })
            })
            .collect();
        NoneEligible {
            group: Arc::clone(&self.group),
            deployments,
        }
    }
}

/// Why `deployment` can't take this request now, if it can't, and for how long.
fn ineligible(deployment: &Deployment, ask: &Ask<'_>) -> Option<(Why, Option<Duration>)> {
    let scores = &deployment.scores;
    match scores.readiness(ask.now) {
        Readiness::Cooling { until, cause } => {
            return Some((Why::Cooling(cause), Some(until - ask.now)));
        }
        Readiness::Probing => return Some((Why::Probing, Some(PROBE_HINT))),
        Readiness::Ready | Readiness::Probe => {}
    }
    if let Some(limit) = deployment.max_parallel_requests
        && scores.in_flight() >= limit
    {
        return Some((Why::Full { limit }, None));
    }
    if deployment.rpm.is_none() && deployment.tpm.is_none() {
        return None;
    }
    let minute = scores.minute(minute_of(ask.unix));
    let next_minute = Some(Duration::from_secs(60 - ask.unix.as_secs() % 60));
    if let Some(limit) = deployment.rpm
        && minute.requests >= limit
    {
        return Some((Why::OverRpm { limit }, next_minute));
    }
    if let Some(limit) = deployment.tpm
        // A request estimated at more than the whole limit may still have a minute to itself.
        && (minute.tokens >= limit || (minute.tokens > 0 && minute.tokens.saturating_add(ask.tokens.total()) > limit))
    {
        return Some((
            Why::OverTpm {
                limit,
                used: minute.tokens,
            },
            next_minute,
        ));
    }
    None
}

fn candidate(deployment: &Deployment, ask: &Ask<'_>) -> Candidate {
    let scores = &deployment.scores;
    Candidate {
        weight: deployment.weight,
        rpm: deployment.rpm,
        tpm: deployment.tpm,
        in_flight: scores.in_flight(),
        latency: scores.latency(ask.streaming, ask.now),
        minute: scores.minute(minute_of(ask.unix)),
        total_tokens: scores.total_tokens(),
        spent: scores.spent(),
        cost: deployment.price.map(|price| price.of(&ask.tokens)),
    }
}

#[cfg(test)]
mod tests;
