//! A configuration at work: groups with their routers, adapters and endpoints, built whole and never changed.

use std::collections::HashMap;
use std::sync::Arc;

use http::{HeaderValue, Uri};
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::Deps;
use super::mask::Masks;
use crate::config::{self, CacheSettings, Config};
use crate::metrics::{DeploymentMeters, GroupMeters};
use crate::provider::{self, Adapter};
use crate::request::quoted;
use crate::router::cooldown::Rule;
use crate::router::scores::Scores;
use crate::router::strategy::{Args, build};
use crate::router::{Deployment, Router};
use crate::types::{AllCooling, Auth, Fallbacks};
use crate::upstream::credentials::TokenSource;
use crate::upstream::{Endpoint, EndpointError};

/// All groups.
#[derive(Debug)]
pub struct Snapshot {
    groups: Vec<Arc<Group>>,
    by_name: HashMap<Arc<str>, usize>,
}

/// One model group at work.
#[derive(Debug)]
pub struct Group {
    /// Its name.
    pub id: Arc<str>,
    /// Its name as a header.
    pub header: HeaderValue,
    /// Picks deployments.
    pub router: Router,
    /// How to reach each deployment, in the router's order.
    pub links: Vec<Link>,
    /// Its series.
    pub meters: GroupMeters,
    /// Attempts a request may make.
    pub attempts: u32,
    /// The rest of its settings.
    pub settings: config::Router,
    /// Who is asked when it fails.
    pub fallbacks: Fallbacks,
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

/// How to reach a deployment.
#[derive(Debug)]
pub struct Link {
    /// The deployment's id as a header.
    pub header: HeaderValue,
    /// Its dialect.
    pub adapter: Box<dyn Adapter>,
    /// Its connections.
    pub endpoint: Endpoint,
    /// Its token, if it needs one that expires.
    pub token: Option<Arc<TokenSource>>,
    /// What must not come back from it.
    pub masks: Masks,
    /// Its series.
    pub meters: Arc<DeploymentMeters>,
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
}

impl Snapshot {
    /// Puts `config` to work. Opens no connection.
    ///
    /// # Errors
    /// See [`BuildError`].
    pub fn build(config: &Config, deps: &Deps) -> Result<Self, BuildError> {
        let groups: Vec<_> = config
            .groups
            .iter()
            .map(|g| group(g, deps).map(Arc::new))
            .collect::<Result<_, _>>()?;
        let by_name = groups
            .iter()
            .enumerate()
            .map(|(i, g)| (Arc::clone(&g.id), i))
            .collect();
        Ok(Self { groups, by_name })
    }

    /// The groups, in the file's order.
    #[must_use]
    pub fn groups(&self) -> &[Arc<Group>] {
        &self.groups
    }

    /// The group of that name. Choosers that look at more than the name would be asked before.
    #[must_use]
    pub fn group(&self, name: &str) -> Option<&Arc<Group>> {
        self.groups.get(*self.by_name.get(name)?)
    }
}

fn group(config: &config::Group, deps: &Deps) -> Result<Group, BuildError> {
    let settings = config.router.clone();
    let deployments: Vec<_> = config
        .deployments
        .iter()
        .map(|d| Arc::new(deployment(d, &settings)))
        .collect();
    let links = deployments
        .iter()
        .map(|d| link(d, &config.id, deps))
        .collect::<Result<_, _>>()?;
    let args = Args {
        latency_buffer: settings.latency_buffer,
        cost_reading: settings.cost_reading,
        usage_reading: settings.usage_reading,
    };
    let rng = StdRng::from_rng(&mut *deps.rng());
    Ok(Group {
        router: Router::new(
            Arc::clone(&config.id),
            deployments,
            build(settings.strategy, args),
            rng,
        ),
        links,
        meters: deps.metrics.group(&config.id),
        attempts: settings.num_retries.saturating_add(1),
        response_model: settings.response_model_is_group.then(|| quoted(&config.id)),
        fallbacks: config.fallbacks.clone(),
        header: header(&config.id),
        id: Arc::clone(&config.id),
        settings,
    })
}

/// A name as a header's value; what headers can't hold is percent-encoded.
fn header(name: &str) -> HeaderValue {
    HeaderValue::try_from(name).unwrap_or_else(|_| {
        let encoded: String = url::form_urlencoded::byte_serialize(name.as_bytes()).collect();
        HeaderValue::try_from(encoded).unwrap_or(HeaderValue::from_static("?"))
    })
}

fn deployment(config: &config::Deployment, router: &config::Router) -> Deployment {
    let cooldown_time = if router.disable_cooldowns {
        std::time::Duration::ZERO
    } else {
        config.cooldown_time.unwrap_or(router.cooldown_time)
    };
    Deployment {
        target: Arc::clone(&config.target),
        weight: config.weight,
        rpm: config.rpm,
        tpm: config.tpm,
        max_parallel_requests: config.max_parallel_requests,
        order: config.order,
        price: config.price,
        rule: Rule {
            cooldown_time,
            allowed_fails: router.allowed_fails,
        },
        num_retries: config.num_retries,
        clocks: config.clocks,
        scores: Arc::new(Scores::default()),
    }
}

fn link(deployment: &Deployment, group: &Arc<str>, deps: &Deps) -> Result<Link, BuildError> {
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
        adapter,
        endpoint,
        token,
        masks,
        meters,
    })
}
