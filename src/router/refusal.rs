//! Why a deployment can't be picked, and what a request that finds none is told.

use std::sync::Arc;
use std::time::Duration;

use crate::types::Fault;

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
        /// Begun.
        used: u64,
    },
    /// It had its tokens of this minute.
    OverTpm {
        /// The limit.
        limit: u64,
        /// Used and reserved.
        used: u64,
    },
    /// Nobody can say how many requests and tokens it had in this minute, and it is not to be used then.
    Uncounted,
    /// It has as many requests in flight as it may.
    Full {
        /// The limit.
        limit: u32,
    },
    /// It can't do what a parameter of the request asks.
    Unfit,
    /// Its tags are not those the request asks for.
    Tag,
    /// It is not in the region the request asks for.
    Region {
        /// Whether it says where it is.
        known: bool,
    },
    /// The prompt is longer than its model takes.
    Context {
        /// The longest prompt in tokens.
        limit: u64,
        /// This one's tokens, counted or estimated.
        needed: u64,
    },
    /// Its model is known to lack an ability: `tools`, `images` or `json_schema`.
    Lacks(&'static str),
}

impl Why {
    /// Whether it passes by itself. A wrong key does not.
    const fn may_pass(self) -> bool {
        match self {
            Self::Cooling(fault) => fault.may_pass(),
            _ => !self.is_unfit(),
        }
    }

    /// Whether it is over with the minute.
    pub(super) const fn is_of_minute(self) -> bool {
        matches!(self, Self::OverRpm { .. } | Self::OverTpm { .. })
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

    /// Whether some deployment is only full: nothing else keeps the request from it.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.deployments
            .iter()
            .any(|d| matches!(d.why, Why::Full { .. }))
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
