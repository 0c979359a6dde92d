//! The nouns several modules pass around: ids, targets, prices, usage. Nothing here has behaviour beyond its own
//! arithmetic, and nothing here imports anything of ours.

mod credentials;
mod pattern;
mod quirks;
mod routing;
mod target;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

pub use credentials::*;
pub use pattern::Pattern;
pub use quirks::{Answers, CallIds, History, Names, Pairs, Quirks};
pub use routing::*;
pub use target::*;

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

/// Money in pico-dollars (10⁻¹² US dollars): prices per token are whole numbers in it, and sums are exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cost(pub u64);

impl Cost {
    /// Pico-dollars in a dollar.
    pub const PER_DOLLAR: u64 = 1_000_000_000_000;

    /// `dollars` rounded to the nearest pico-dollar; `None` if negative, not a number, or beyond 18 million dollars.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "range checked"
    )]
    pub fn from_dollars(dollars: f64) -> Option<Self> {
        let pico = (dollars * Self::PER_DOLLAR as f64).round();
        (pico >= 0.0 && pico < u64::MAX as f64).then_some(Self(pico as u64))
    }

    /// For people to read; not for adding up.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "display only")]
    pub fn as_dollars(self) -> f64 {
        self.0 as f64 / Self::PER_DOLLAR as f64
    }
}

/// What a deployment charges per token. Zero is a price; a deployment without a known price has no `Price` at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Price {
    /// Per input token.
    pub input: Cost,
    /// Per output token, reasoning included.
    pub output: Cost,
    /// Per input token read from the provider's prompt cache; `input` where not given.
    pub cached_input: Option<Cost>,
}

impl Price {
    /// The cost of `usage`. Cached tokens are part of the input tokens and are charged once.
    #[must_use]
    pub fn of(&self, usage: &TokenUsage) -> Cost {
        let cached = usage.cached_input.min(usage.input);
        let cached_price = self.cached_input.unwrap_or(self.input).0;
        Cost(
            ((usage.input - cached).saturating_mul(self.input.0))
                .saturating_add(cached.saturating_mul(cached_price))
                .saturating_add(usage.output.saturating_mul(self.output.0)),
        )
    }
}

/// Tokens of one attempt, as the provider reported them or as counted by us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenUsage {
    /// Input tokens, cached ones included.
    pub input: u64,
    /// Output tokens, reasoning included.
    pub output: u64,
    /// Input tokens the provider read from its prompt cache.
    pub cached_input: u64,
    /// Output tokens spent on reasoning.
    pub reasoning: u64,
    /// False where the provider said nothing and the numbers are our estimate.
    pub reported: bool,
}

impl TokenUsage {
    /// Input plus output.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.input.saturating_add(self.output)
    }
}

/// Requests and tokens of a period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Requests begun.
    pub requests: u64,
    /// Tokens used or reserved.
    pub tokens: u64,
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
