//! Outages as real ones are shaped, and the two regions they befall.

use std::fmt;
use std::time::Duration;

use clap::ValueEnum;
use waypost::lab::{Behaviour, Chance, Change, Deployment, Fault, Latency, Script};

/// The region that falls ill.
pub(super) const SICK: &str = "north";
/// The one that stays well, unless all are down.
pub(super) const WELL: &str = "south";

/// Median time to the first token of a region that is well.
const FIRST_TOKEN: Duration = Duration::from_millis(200);
/// By how much a brown-out is slower.
const SLOWER: u32 = 20;
/// How long a flapping region is down, and then up.
const FLAP: Duration = Duration::from_secs(5);
/// What an account without requests left asks for.
const RETRY_AFTER: Duration = Duration::from_secs(20);

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shape {
    /// One region refuses connections, and those that are open end.
    Refused,
    /// One region accepts and says nothing.
    Hangs,
    /// One account: 429 with `Retry-After`, and as long again `insufficient_quota`.
    Quota,
    /// One region's first tokens come twenty times as late, and one answer in twenty is a 503.
    BrownOut,
    /// One region is down for five seconds, up for five, and so on.
    Flapping,
    /// Three answers in ten of one region are a 500.
    Partial,
    /// Both regions refuse connections.
    AllDown,
}

impl Shape {
    /// From the first symptom to the last, of an outage said to last `length`.
    pub(super) fn lasts(self, length: Duration) -> Duration {
        match self {
            Self::Quota => 2 * length,
            _ => length,
        }
    }

    /// Whether there is somewhere else to go, and reason to stay there.
    pub(super) fn leaves(self) -> bool {
        !matches!(self, Self::Flapping | Self::AllDown)
    }

    /// The regions it befalls.
    pub(super) fn befalls(self) -> &'static [&'static str] {
        match self {
            Self::AllDown => &[SICK, WELL],
            _ => &[SICK],
        }
    }

    /// Both regions, and what happens to them from `begin` on.
    pub(super) fn script(self, seed: u64, begin: Duration, length: Duration) -> Script {
        let change = |at: Duration, behave: Option<Behaviour>| {
            self.befalls().iter().map(move |region| Change {
                at,
                deployment: (*region).to_owned(),
                behave: behave.clone(),
            })
        };
        let mut timeline: Vec<Change> = Vec::new();
        let first = |fault: Fault| {
            Some(Behaviour {
                fault: Some(fault),
                ..well()
            })
        };
        match self {
            Self::Refused | Self::AllDown => timeline.extend(change(begin, first(Fault::Refused))),
            Self::Hangs => timeline.extend(change(begin, first(Fault::HangBeforeHead))),
            Self::Quota => {
                timeline.extend(change(begin, first(Fault::rate_limit_for(RETRY_AFTER))));
                timeline.extend(change(begin + length, first(Fault::InsufficientQuota)));
            }
            Self::BrownOut => timeline.extend(change(begin, Some(brown_out()))),
            Self::Flapping => {
                let mut at = Duration::ZERO;
                while at < length {
                    timeline.extend(change(begin + at, first(Fault::Refused)));
                    timeline.extend(change(begin + at + FLAP, None));
                    at += 2 * FLAP;
                }
            }
            Self::Partial => timeline.extend(change(begin, Some(partial()))),
        }
        timeline.extend(change(begin + self.lasts(length), None));
        Script {
            seed,
            deployments: [SICK, WELL]
                .map(|name| Deployment::new(name).behaving(well()))
                .into(),
            timeline,
            repeat: None,
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused => "one region refuses connections",
            Self::Hangs => "one region accepts and hangs",
            Self::Quota => "one account: 429, then no quota",
            Self::BrownOut => "one region 20 × as slow, 5 % 503",
            Self::Flapping => "one region 5 s down, 5 s up",
            Self::Partial => "one region 30 % 500",
            Self::AllDown => "both regions refuse connections",
        })
    }
}

fn well() -> Behaviour {
    Behaviour {
        first_token: Latency::Lognormal {
            median: FIRST_TOKEN,
            sigma: 0.3,
        },
        per_token: Duration::from_millis(10).into(),
        tokens: 20,
        ..Behaviour::default()
    }
}

fn brown_out() -> Behaviour {
    Behaviour {
        first_token: Latency::Lognormal {
            median: FIRST_TOKEN * SLOWER,
            sigma: 0.3,
        },
        faults: vec![Chance {
            fault: Fault::Unavailable { retry_after: None },
            probability: 0.05,
        }],
        ..well()
    }
}

fn partial() -> Behaviour {
    Behaviour {
        faults: vec![Chance {
            fault: Fault::ServerError,
            probability: 0.3,
        }],
        ..well()
    }
}
