//! The configuration file, read once: from text to values that cannot be wrong.
//!
//! [`load()`] reads a file, an `endpoints.yml` or a `config.yaml` of LiteLLM, expands variables, checks everything, and
//! returns either a [`Config`] (with warnings) or all the errors at once. Nothing behind this module knows what the file
//! looked like.

mod anthropic;
mod aws;
mod azure;
mod azure_ai;
mod bedrock;
mod check;
mod cohere;
mod context;
mod credentials;
mod deployment;
mod endpoint;
mod env;
mod finding;
mod google;
mod group;
mod keys;
mod ledger;
mod litellm;
mod load;
mod nearest;
mod normalise;
mod ollama;
mod params;
mod parse;
mod prices;
mod redis;
mod references;
mod router;
mod routing;
pub mod schema;
mod settings;
mod tokens;
mod tree;
mod value;
mod vertex;
mod watsonx;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use finding::{Finding, Severity};
pub use litellm::Import;
pub use load::{import, load, load_str};
pub use prices::{Match, PriceTables};

pub use crate::types::{Fsync, LedgerSettings, WhenFull};

use crate::types::{
    Abilities, Affinity, AllCooling, Clocks, CostReading, Fallbacks, Hedging, Policy, Priced,
    Queueing, RedisTarget, Secret, Sharing, StrategyKind, TagFilter, Target, UsageReading,
};

/// A configuration that was checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file it came from.
    pub file: PathBuf,
    /// The model groups, in the file's order; ids are unique.
    pub groups: Vec<Group>,
    /// Other names of groups.
    pub aliases: Vec<Alias>,
    /// What models cost that are not in the file.
    pub prices: PriceTables,
    /// The `waypost:` section, with defaults.
    pub settings: Settings,
}

/// Another name for a model group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    /// What a client may put into `model`.
    pub name: Arc<str>,
    /// The group it stands for; aliases of aliases are resolved.
    pub group: Arc<str>,
    /// It is not in the list of models.
    pub hidden: bool,
}

/// A model group: what a client puts into `model`.
#[derive(Debug, Clone)]
pub struct Group {
    /// Its name. With one `*` or more it stands for every name of that pattern, and what the `*` are in a request
    /// takes the place of those in [`Target::model`].
    pub id: Arc<str>,
    /// Never empty.
    pub deployments: Vec<Deployment>,
    /// How it routes.
    pub router: Router,
    /// Who is asked when it fails.
    pub fallbacks: Fallbacks,
}

/// One deployment: its fixed target and its limits.
#[derive(Debug, Clone)]
pub struct Deployment {
    /// Where and how.
    pub target: Arc<Target>,
    /// Share in simple-shuffle.
    pub weight: Option<f64>,
    /// Requests per minute it may be sent.
    pub rpm: Option<u64>,
    /// Tokens per minute it may use.
    pub tpm: Option<u64>,
    /// Requests in flight it may have.
    pub max_parallel_requests: Option<u32>,
    /// Priority: the lowest present among the eligible is used; one without comes last.
    pub order: Option<u32>,
    /// Known price, if any.
    pub price: Option<Priced>,
    /// Overrides the router's.
    pub cooldown_time: Option<Duration>,
    /// Overrides the router's.
    pub num_retries: Option<u32>,
    /// Overrides the router's.
    pub allowed_fails: Option<u32>,
    /// Overrides the router's, class by class.
    pub allowed_fails_policy: Policy,
    /// This deployment's time limits (`request` is the group's).
    pub clocks: Clocks,
    /// What requests may ask for by name.
    pub tags: Arc<[String]>,
    /// Where it is, for requests that ask for a region.
    pub region: Option<Arc<str>>,
    /// The longest prompt in tokens, as declared or as known of the model.
    pub max_input_tokens: Option<u64>,
    /// What it can do, as declared or as known of the model.
    pub abilities: Abilities,
    /// It is not called: this is its answer.
    pub mock_response: Option<Arc<str>>,
}

/// How a group routes; defaults stand where the file says nothing.
#[derive(Debug, Clone)]
pub struct Router {
    /// The rule.
    pub strategy: StrategyKind,
    /// Which of its two meanings cost-based-routing has here.
    pub cost_reading: CostReading,
    /// Which of its two meanings usage-based-routing has here.
    pub usage_reading: UsageReading,
    /// Latency: candidates within `lowest × (1 + buffer)` count as equally fast. (`routing_strategy_args.lowest_latency_buffer`)
    pub latency_buffer: f64,
    /// Retries after the first attempt.
    pub num_retries: u32,
    /// Least wait before a retry that waits at all.
    pub retry_after: Duration,
    /// How long a failed deployment sits out; zero: never.
    pub cooldown_time: Duration,
    /// Failures tolerated within `cooldown_time`; `None` is the default rule (docs/strategies.md).
    pub allowed_fails: Option<u32>,
    /// Failures tolerated by class, before `allowed_fails`.
    pub allowed_fails_policy: Policy,
    /// Retries by class of the failure, before `num_retries`.
    pub retry_policy: Policy,
    /// `disable_cooldowns`
    pub disable_cooldowns: bool,
    /// `enable_pre_call_checks`: leave out deployments whose context window is too small or that lack an ability.
    pub pre_call_checks: bool,
    /// `enable_tag_filtering`
    pub tags: Option<TagFilter>,
    /// Conversations stay where they are, if that is wanted.
    pub affinity: Option<Affinity>,
    /// Second attempts for slow requests, if that is wanted.
    pub hedging: Option<Hedging>,
    /// How requests wait for a place at a full deployment.
    pub queue: Queueing,
    /// What happens when all are cooling.
    pub all_cooling: AllCooling,
    /// The longest a request waits for a deployment to come back.
    pub max_wait: Duration,
    /// Limit of the whole request with its retries.
    pub deadline: Duration,
    /// The Redis it shares its numbers and its cache through, if any: its own, or the one for all.
    pub redis: Option<Arc<RedisTarget>>,
    /// Limits (`rpm`, `tpm`) are reserved in Redis before each attempt, so that replicas never exceed them together.
    pub exact_limits: bool,
    /// Response cache, if on.
    pub cache: Option<CacheSettings>,
    /// Put the group's name into `model` of responses instead of what the upstream sent.
    pub response_model_is_group: bool,
}

/// `cache_responses: true` with `cache_kwargs`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheSettings {
    /// How long an answer is kept.
    pub ttl: Duration,
    /// Key space; groups with different namespaces never share.
    pub namespace: Option<String>,
    /// Entries are shared by all callers instead of kept per client key.
    pub shared_between_callers: bool,
    /// Answers are also kept in the group's Redis, if it has one.
    pub in_redis: bool,
    /// How long an answer that came from Redis is believed without asking again.
    pub near_ttl: Duration,
    /// Answers of at least that many bytes are compressed in Redis.
    pub compress_above: usize,
}

/// The `waypost:` section.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Address to listen on, if the file names one.
    pub host: Option<IpAddr>,
    /// Port to listen on, if the file names one.
    pub port: Option<u16>,
    /// A listener of its own for `/metrics`; where absent `/metrics` is on the main one.
    pub admin: Option<std::net::SocketAddr>,
    /// Serve without keys on an address that is not loopback.
    pub anonymous: bool,
    /// Client keys; empty: any bearer is accepted.
    pub keys: Vec<ClientKey>,
    /// Largest request body in bytes.
    pub body_limit: usize,
    /// How long readiness is already false while the listener still accepts.
    pub drain_delay: Duration,
    /// How long open requests may go on after that.
    pub drain_timeout: Duration,
    /// Memory the response cache may use, in bytes.
    pub cache_max_bytes: u64,
    /// Other groups a request may turn to.
    pub max_fallbacks: u32,
    /// Attempts a request may make, in all groups together.
    pub max_attempts: u32,
    /// Requests may ask for failures and canned answers (`mock_testing_fallbacks`, `mock_response`, …).
    pub mock_testing: bool,
    /// Clients may ask where a request would go.
    pub dry_runs: bool,
    /// Decisions kept for `/debug/decisions` of the listener for operators.
    pub decisions: usize,
    /// Answers also carry LiteLLM's headers (`x-litellm-model-group`, …).
    pub litellm_headers: bool,
    /// How replicas share what they count.
    pub sharing: Sharing,
    /// The ledger, if one is kept.
    pub ledger: Option<LedgerSettings>,
}

/// A key a client may present.
#[derive(Debug, Clone)]
pub struct ClientKey {
    /// Who it is, for logs.
    pub name: Arc<str>,
    /// SHA-256 of the key.
    pub sha256: [u8; 32],
    /// The key itself where the file had it in the clear or by variable, so that it can be masked; hashes have none.
    pub plain: Option<Secret>,
    /// The groups it may use; `None`: all.
    pub groups: Option<Vec<Arc<str>>>,
}
