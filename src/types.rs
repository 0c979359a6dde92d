//! The nouns several modules pass around: ids, targets, prices, usage. Nothing here has behaviour beyond its own
//! arithmetic, and nothing here imports anything of ours.

mod credentials;
mod ledger;
mod pattern;
mod quirks;
mod redis;
mod routing;
mod shared;
mod target;
mod usage;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

pub use credentials::*;
pub use ledger::*;
pub use pattern::Pattern;
pub use quirks::{Answers, CallIds, History, Names, Pairs, Quirks};
pub use redis::*;
pub use routing::*;
pub use shared::*;
pub use target::*;
pub use usage::*;

/// A text that must never be shown: `Debug` and `Display` print `***`, and it has no `Serialize`.
///
/// The memory is wiped when the last clone goes away.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<Zeroizing<String>>);

impl Secret {
    /// Wraps `value`.
    #[must_use]
    pub fn new(value: impl Into<String>) -> Self {
        Self(Arc::new(Zeroizing::new(value.into())))
    }

    /// The text itself; call it only where it leaves for the party it belongs to.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The kinds of request Waypost serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// `POST /chat/completions`
    Chat,
    /// `POST /completions`
    Completions,
    /// `POST /embeddings`
    Embeddings,
}

impl Operation {
    /// All of them, in the order of the documentation.
    pub const ALL: [Self; 3] = [Self::Chat, Self::Completions, Self::Embeddings];

    /// The path below a base URL, without leading slash.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Chat => "chat/completions",
            Self::Completions => "completions",
            Self::Embeddings => "embeddings",
        }
    }

    /// The name used in logs, metrics and cache keys.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Completions => "completions",
            Self::Embeddings => "embeddings",
        }
    }
}

/// How a router picks among the eligible deployments of its group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum StrategyKind {
    /// At random, by `weight`, else `rpm`, else `tpm`, else evenly.
    #[default]
    SimpleShuffle,
    /// Fewest requests in flight.
    LeastBusy,
    /// Fastest so far.
    Latency,
    /// Cheapest; see [`CostReading`].
    Cost,
    /// Least used; see [`UsageReading`].
    Usage,
}

impl StrategyKind {
    /// The name in the configuration file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SimpleShuffle => "simple-shuffle",
            Self::LeastBusy => "least-busy",
            Self::Latency => "latency-based-routing",
            Self::Cost => "cost-based-routing",
            Self::Usage => "usage-based-routing",
        }
    }

    /// Whether replicas need a shared store to agree on what this strategy compares.
    #[must_use]
    pub const fn needs_store(self) -> bool {
        matches!(self, Self::Cost | Self::Usage)
    }
}

/// The two things Rasa's pages say `cost-based-routing` means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CostReading {
    /// The lowest price of this request; where prices tie or are unknown, the lowest spend so far.
    #[default]
    Request,
    /// The lowest total cost so far.
    Total,
}

/// The two things Rasa's pages say `usage-based-routing` means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UsageReading {
    /// Fewest tokens in the current minute (relative to `tpm` where one is set).
    #[default]
    Minute,
    /// Fewest tokens since the start.
    Total,
}

/// What happens to a request for which every deployment of the group is cooling down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AllCooling {
    /// Refuse at once, with the cause and the moment the first one is back.
    #[default]
    Fail,
    /// Wait for the first one to be back, up to the group's `max_wait`; then refuse.
    Wait,
    /// Try the one that is back first, although it is cooling.
    Try,
}

/// The time limits of one attempt, and of the whole request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clocks {
    /// Until the connection (TCP, TLS) stands.
    pub connect: Duration,
    /// From sending the request to the first content of a stream (not its role-only preamble), or to the head of a
    /// plain answer.
    pub first_content: Duration,
    /// Between two events of a stream that carry data.
    pub gap: Duration,
    /// One attempt, all in all.
    pub total: Duration,
    /// The client's request with all its attempts and waits.
    pub request: Duration,
}

impl Default for Clocks {
    /// Connect 5 s as the OpenAI SDK has it, attempt and request 600 s likewise; 300 s to the first content, since
    /// reasoning models think that long; 60 s between events, since they no longer pause once they speak.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first_content: Duration::from_secs(300),
            gap: Duration::from_secs(60),
            total: Duration::from_secs(600),
            request: Duration::from_secs(600),
        }
    }
}

/// What went wrong with an attempt for which the deployment, its account, or the way to it is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// No connection: refused, no such host, TLS, or the connect clock ran out.
    Connect,
    /// The first-content, gap or total clock ran out.
    Timeout,
    /// The connection broke, the answer was truncated, malformed, or turned into an error midway.
    Broken,
    /// 5xx, 408, 409, 425 and their like.
    Server,
    /// 429.
    RateLimit,
    /// Credit or quota of the account is used up (402, `insufficient_quota`).
    Quota,
    /// The gateway's credential was refused (401, 403).
    Credential,
    /// The provider knows no such model or deployment (404), or redirects elsewhere.
    NotFound,
    /// It refused requests as such, more of them than an `allowed_fails_policy` tolerates. No single attempt fails so.
    Refused,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Connect,
        Self::Timeout,
        Self::Broken,
        Self::Server,
        Self::RateLimit,
        Self::Quota,
        Self::Credential,
        Self::NotFound,
        Self::Refused,
    ];

    /// The name used in logs, metrics and messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Broken => "broken",
            Self::Server => "server_error",
            Self::RateLimit => "rate_limit",
            Self::Quota => "quota",
            Self::Credential => "credential",
            Self::NotFound => "not_found",
            Self::Refused => "refused",
        }
    }

    /// Whether trying the same deployment again soon could help. A wrong key stays wrong.
    #[must_use]
    pub const fn may_pass(self) -> bool {
        !matches!(self, Self::Quota | Self::Credential | Self::NotFound)
    }
}
