//! A configuration at work: groups with their routers, adapters and endpoints, built whole and never changed. What is added
//! while it works are names that wildcard groups are asked by (`names.rs`), which are views of what is here.

use std::sync::Arc;

use http::{HeaderValue, Uri};
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::Deps;
use super::hedge::{self, Hedge};
use super::mask::Masks;
use super::names::Names;
use crate::config::{self, CacheSettings, Config};
use crate::metrics::{DeploymentMeters, GroupMeters};
use crate::provider::{self, Adapter};
use crate::redis::Redis;
use crate::request::quoted;
use crate::router::cooldown::Rule;
use crate::router::queue::Queue;
use crate::router::scores::Scores;
use crate::router::strategy::{Args, build};
use crate::router::{Deployment, Router};
use crate::types::{AllCooling, Auth, Fallbacks, RedisTarget};
use crate::upstream::credentials::TokenSource;
use crate::upstream::{Endpoint, EndpointError};
use crate::usage::ledger::LedgerError;

/// All groups.
#[derive(Debug)]
pub struct Snapshot {
    groups: Vec<Arc<Group>>,
    redis: Vec<Redis>,
    names: Names,
}

/// One model group at work: as the file has it, or as a name of another kind stands for it (see [`Snapshot::resolve`]).
#[derive(Debug)]
pub struct Group {
    /// Its name: the one in the file, the name that a wildcard group was asked by, or the id of the one deployment.
    pub id: Arc<str>,
    /// The group in the file that it is, or is made of: what keys may use and series are named after.
    pub owner: Arc<str>,
    /// Its name as a header; of a single deployment, its group's.
    pub header: HeaderValue,
    /// Picks deployments.
    pub router: Router,
    /// How to reach each deployment, in the router's order.
    pub links: Vec<Link>,
    /// Its series.
    pub meters: GroupMeters,
    /// Attempts a request may make.
    pub attempts: u32,
    /// The Redis it shares its numbers and its cache through, if any.
    pub redis: Option<Redis>,
    /// The rest of its settings.
    pub settings: config::Router,
    /// Who is asked when it fails.
    pub fallbacks: Fallbacks,
    /// When a second attempt is made beside a slow one.
    pub hedge: Option<Arc<Hedge>>,
    /// JSON text to put into `model` of answers, if that is wanted.
    pub response_model: Option<bytes::Bytes>,
}

impl Group {
    /// The cache's settings, if it is on.
    #[must_use]
    pub const fn cache(&self) -> Option<&CacheSettings> {
        self.settings.cache.as_ref()
    }

    /// What to do if all deployments are cooling.
    #[must_use]
    pub const fn all_cooling(&self) -> AllCooling {
        self.settings.all_cooling
    }
}

/// How to reach a deployment. Clones share everything that changes.
#[derive(Debug, Clone)]
pub struct Link {
    /// The deployment's id as a header.
    pub header: HeaderValue,
    /// Its dialect.
    pub adapter: Arc<dyn Adapter>,
    /// Its connections.
    pub endpoint: Endpoint,
    /// Its token, if it needs one that expires.
    pub token: Option<Arc<TokenSource>>,
    /// What must not come back from it.
    pub masks: Masks,
    /// Its series.
    pub meters: Arc<DeploymentMeters>,
    /// The request has named its model: that there is no such model says nothing about the deployment.
    pub filled: bool,
    /// What is answered in the deployment's place; it is not called then.
    pub mock: Option<Arc<str>>,
}

/// Why a configuration that was checked can't be put to work after all.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// An address or header value that HTTP does not allow.
    #[error("deployment {deployment}: {error}")]
    Target {
        /// Which.
        deployment: Arc<str>,
        /// What.
        error: http::Error,
    },
    /// A URL or TLS file that can't be used.
    #[error("deployment {deployment}: {error}")]
    Endpoint {
        /// Which.
        deployment: Arc<str>,
        /// What.
        error: EndpointError,
    },
    /// A ledger that can't be kept where the configuration says.
    #[error("`waypost.ledger`: {0}")]
    Ledger(#[from] LedgerError),
}

impl Snapshot {
    /// Puts `config` to work. Opens no connection.
    ///
    /// # Errors
    /// See [`BuildError`].
    pub fn build(config: &Config, deps: &Deps) -> Result<Self, BuildError> {
        let mut redis = Vec::new();
        let groups: Vec<_> = config
            .groups
            .iter()
            .map(|g| group(g, &mut redis, deps).map(Arc::new))
            .collect::<Result<_, _>>()?;
        let aliases = config
            .aliases
            .iter()
            .map(|alias| (&alias.name, &alias.group, alias.hidden));
        let rng = || StdRng::from_rng(&mut *deps.rng());
        let names = Names::new(&groups, aliases, &config.prices, rng);
        Ok(Self {
            groups,
            redis,
            names,
        })
    }

    /// Each Redis that a group names, once.
    #[must_use]
    pub fn redis(&self) -> Vec<Redis> {
        self.redis.clone()
    }

    /// The groups of the file, in its order.
    #[must_use]
    pub fn groups(&self) -> &[Arc<Group>] {
        &self.groups
    }

    /// The group of the file with that id. What a request may name beyond those is [`Snapshot::resolve`]'s to say.
    #[must_use]
    pub fn group(&self, id: &str) -> Option<&Arc<Group>> {
        self.groups.iter().find(|group| *group.id == *id)
    }

    /// What a request's `model` stands for: a deployment by its id, else an alias, a group, or the most specific wildcard
    /// group whose pattern the name is of. Choosers that look at more than the name would be asked before.
    #[must_use]
    pub fn resolve(&self, name: &str) -> Option<Arc<Group>> {
        self.names.resolve(name)
    }

    /// The names to list, each with the [`Group::owner`] that a key must be allowed: groups in the file's order, wildcards
    /// as they are, then aliases that are not hidden.
    pub fn listed(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<str>)> {
        self.names.listed()
    }
}

impl Group {
    /// A group with the same settings and series of these deployments, to be named `id` and shown as `shown`.
    pub(super) fn of_others(
        &self,
        (id, shown): (Arc<str>, &Arc<str>),
        deployments: Vec<Arc<Deployment>>,
        links: Vec<Link>,
        rng: StdRng,
    ) -> Self {
        let settings = self.settings.clone();
        Self {
            router: router(&id, deployments, &settings, rng),
            links,
            meters: self.meters.clone(),
            attempts: self.attempts,
            response_model: settings.response_model_is_group.then(|| quoted(shown)),
            header: header(shown),
            id,
            owner: Arc::clone(&self.owner),
            fallbacks: self.fallbacks.clone(),
            hedge: self.hedge.clone(),
            redis: self.redis.clone(),
            settings,
        }
    }
}

/// The Redis at that place: the one that is in `all` already, or a new one.
pub(super) fn redis_at(target: &Arc<RedisTarget>, all: &mut Vec<Redis>, deps: &Deps) -> Redis {
    if let Some(known) = all.iter().find(|redis| redis.target() == target) {
        return known.clone();
    }
    let redis = Redis::measured(Arc::clone(target), &deps.metrics);
    all.push(redis.clone());
    redis
}

fn group(config: &config::Group, redis: &mut Vec<Redis>, deps: &Deps) -> Result<Group, BuildError> {
    let settings = config.router.clone();
    let queue = Arc::new(Queue::new(settings.queue.max_size));
    let deployments: Vec<_> = config
        .deployments
        .iter()
        .map(|d| Arc::new(deployment(d, &settings, &queue)))
        .collect();
    let group = &config.id;
    let links = deployments
        .iter()
        .zip(&config.deployments)
        .map(|(d, config)| link(d, config.mock_response.clone(), group, deps))
        .collect::<Result<_, _>>()?;
    let rng = StdRng::from_rng(&mut *deps.rng());
    Ok(Group {
        router: router(&config.id, deployments, &settings, rng),
        links,
        meters: deps.metrics.group(&config.id),
        attempts: settings.num_retries.saturating_add(1),
        response_model: settings.response_model_is_group.then(|| quoted(&config.id)),
        fallbacks: config.fallbacks.clone(),
        hedge: hedge::of(settings.hedging),
        redis: settings
            .redis
            .as_ref()
            .map(|target| redis_at(target, redis, deps)),
        header: header(&config.id),
        id: Arc::clone(&config.id),
        owner: Arc::clone(&config.id),
        settings,
    })
}

fn router(
    group: &Arc<str>,
    deployments: Vec<Arc<Deployment>>,
    settings: &config::Router,
    rng: StdRng,
) -> Router {
    let args = Args {
        latency_buffer: settings.latency_buffer,
        cost_reading: settings.cost_reading,
        usage_reading: settings.usage_reading,
    };
    let strategy = build(settings.strategy, args);
    Router::new(Arc::clone(group), deployments, strategy, rng)
        .with_affinity(settings.affinity.as_ref())
}

/// A name as a header's value; what headers can't hold is percent-encoded.
fn header(name: &str) -> HeaderValue {
    HeaderValue::try_from(name).unwrap_or_else(|_| {
        let encoded: String = url::form_urlencoded::byte_serialize(name.as_bytes()).collect();
        HeaderValue::try_from(encoded).unwrap_or(HeaderValue::from_static("?"))
    })
}

fn deployment(
    config: &config::Deployment,
    router: &config::Router,
    queue: &Arc<Queue>,
) -> Deployment {
    let cooldown_time = if router.disable_cooldowns {
        std::time::Duration::ZERO
    } else {
        config.cooldown_time.unwrap_or(router.cooldown_time)
    };
    let mut scores = if router.hedging.is_some() {
        Scores::with_times()
    } else {
        Scores::default()
    };
    if let (Some(limit), false) = (config.max_parallel_requests, router.queue.is_off()) {
        scores = scores.with_queue(queue, limit);
    }
    Deployment {
        target: Arc::clone(&config.target),
        weight: config.weight,
        rpm: config.rpm,
        tpm: config.tpm,
        max_parallel_requests: config.max_parallel_requests,
        order: config.order,
        price: config.price.clone(),
        tags: Arc::clone(&config.tags),
        region: config.region.clone(),
        max_input_tokens: config.max_input_tokens,
        abilities: config.abilities,
        rule: Rule {
            cooldown_time,
            allowed_fails: config.allowed_fails.or(router.allowed_fails),
            allowed_fails_policy: config
                .allowed_fails_policy
                .over(&router.allowed_fails_policy),
        },
        num_retries: config.num_retries,
        clocks: config.clocks,
        scores: Arc::new(scores),
    }
}

fn link(
    deployment: &Deployment,
    mock: Option<Arc<str>>,
    group: &Arc<str>,
    deps: &Deps,
) -> Result<Link, BuildError> {
    let target = &deployment.target;
    let id = || Arc::clone(&target.id);
    let bad = |error| BuildError::Target {
        deployment: id(),
        error,
    };
    let adapter = provider::adapter(target).map_err(bad)?;
    let url = Uri::try_from(&target.base_url).map_err(|e| bad(e.into()))?;
    let endpoint =
        deps.upstream
            .endpoint(&url, &target.tls)
            .map_err(|error| BuildError::Endpoint {
                deployment: id(),
                error,
            })?;
    let (key, token) = match &target.auth {
        Auth::None => (None, None),
        // A scheme may stand before the key, and the key alone is secret.
        Auth::Bearer(key) | Auth::Header(_, key) => (key.expose().rsplit(' ').next(), None),
        Auth::Token(credential) => (None, Some(deps.credentials.source(credential))),
    };
    let masks = Masks::new(
        key.into_iter()
            .chain(target.extra_headers.iter().map(|(_, v)| v.expose())),
    );
    let meters = Arc::new(deps.metrics.deployment(group, &target.id));
    Ok(Link {
        header: header(&target.id),
        adapter: adapter.into(),
        endpoint,
        token,
        masks,
        meters,
        filled: false,
        mock,
    })
}
