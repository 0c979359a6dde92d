//! The life of one request: cache, route, plan, router, provider, upstream, classify, observe, record.
//!
//! [`Gateway::handle`] is that line as code: `answer` asks group after group as the route says (`journey.rs`), `try_group`
//! makes attempts in one of them as the plan says (`tries.rs`), `reply` hands on what they came to (`reply.rs`).
//! Strategies, dialects and stores are behind their own seams; here is no `match` on any of them. Nothing is retried after
//! the commit point, and every way out settles the attempt (`trial.rs`).

pub mod background;
mod budget;
mod caching;
pub mod classify;
mod committed;
pub mod decisions;
pub mod deps;
pub mod error;
mod exchange;
pub mod explain;
mod fit;
mod hedge;
mod journey;
mod mask;
pub mod message;
mod mock_error;
mod mocked;
mod names;
pub mod observe;
mod page;
#[doc(hidden)]
pub mod parts;
mod pieces;
mod plain;
pub mod plan;
pub mod purges;
pub mod record;
mod relay;
mod reply;
pub mod route;
mod settle;
mod share;
mod ship;
pub mod snapshot;
mod stopwatch;
mod trial;
mod tries;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderName;
use tokio::time::Instant;

pub use deps::Deps;
pub use error::Error;
pub use message::{Incoming, LiteLlmFacts, Refusal, Reply, ReplyBody, ReplyFacts};
pub use snapshot::{BuildError, Snapshot};

use budget::retries_by_sdk;
use caching::{Cached, Shelves};
use decisions::Decisions;
use journey::{Bounds, Journey};
use page::PATIENCE;
use record::Record;
use reply::Answered;
use route::Next;
use share::Share;
use ship::Shipper;
use snapshot::Group;

use crate::clock::Alarm;
use crate::config::Config;
use crate::provider::Call;
use crate::redis::Redis;
use crate::request::RequestHead;
use crate::request::overrides::{self, Mock, Overrides};
use crate::usage::ledger::Ledger;

/// A configuration at work.
#[derive(Debug)]
pub struct Gateway {
    snapshot: Snapshot,
    deps: Deps,
    /// What the cache keeps.
    shelves: Shelves,
    /// Each Redis that is named, once.
    redis: Vec<Redis>,
    /// What is shared through each of them.
    shares: Vec<Share>,
    /// Where attempts are written down, if that is wanted.
    ledger: Option<Ledger>,
    /// Hands the ledger over to everyone's totals, if there is a ledger and a Redis.
    shipper: Option<Shipper>,
    /// The time between two looks at what other replicas have purged.
    interval: Duration,
    bounds: Bounds,
    /// Answers carry LiteLLM's headers as well.
    litellm_headers: bool,
    /// Kept for whoever runs it, if there is a way to ask for them.
    decisions: Option<Arc<Decisions>>,
}

impl Gateway {
    /// Puts `config` to work. Opens no connection, and the ledger if one is to be kept.
    ///
    /// # Errors
    /// See [`BuildError`].
    pub fn build(config: &Config, deps: Deps) -> Result<Self, BuildError> {
        let snapshot = Snapshot::build(config, &deps)?;
        let ledger =
            config.settings.ledger.as_ref().map(|settings| {
                Ledger::open(settings, Arc::clone(&deps.disk), deps.metrics.ledger())
            });
        let mut redis = snapshot.redis();
        let shipper = config.settings.ledger.as_ref().and_then(|ledger| {
            let redis = snapshot::redis_at(ledger.redis.as_ref()?, &mut redis, &deps);
            Some(Shipper::new(ledger.clone(), redis))
        });
        Ok(Self {
            shares: share::of(&redis, &snapshot, config.settings.sharing, &deps),
            ledger: ledger.transpose()?,
            shelves: Shelves::new(snapshot.groups(), config.settings.cache_max_bytes),
            interval: config.settings.sharing.interval,
            snapshot,
            redis,
            shipper,
            deps,
            litellm_headers: config.settings.litellm_headers,
            bounds: Bounds {
                max_attempts: config.settings.max_attempts,
                max_fallbacks: config.settings.max_fallbacks,
                mock_testing: config.settings.mock_testing,
            },
            decisions: match config.settings.admin {
                Some(_) => Decisions::new(config.settings.decisions),
                None => None,
            },
        })
    }

    /// The groups at work.
    #[must_use]
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// What it was built with.
    #[must_use]
    pub fn deps(&self) -> &Deps {
        &self.deps
    }

    /// The last decisions, if they are kept.
    #[must_use]
    pub fn decisions(&self) -> Option<&Decisions> {
        self.decisions.as_deref()
    }

    /// Whether it refuses whatever would cost anything, since its ledger can't be written.
    #[must_use]
    pub fn is_refusing(&self) -> bool {
        self.ledger.as_ref().is_some_and(Ledger::is_refusing)
    }

    /// All series, as OpenMetrics text.
    #[must_use]
    pub fn metrics(&self) -> String {
        let now = self.deps.clock.now();
        for group in self.snapshot.groups() {
            for (deployment, link) in group.router.deployments().iter().zip(&group.links) {
                let cooling = matches!(
                    deployment.scores.readiness(now),
                    crate::router::cooldown::Readiness::Cooling { .. }
                );
                link.meters.state(deployment.scores.in_flight(), cooling);
            }
        }
        self.deps
            .metrics
            .set_connections(self.deps.upstream.connections());
        if let Some(ledger) = &self.ledger {
            ledger.meters().set_unwritten(ledger.unwritten());
        }
        self.deps.metrics.encode()
    }

    /// Answers one request. `alarm` is the connection's; a stream takes it along.
    ///
    /// # Errors
    /// A [`Refusal`] that says why there is no answer.
    pub async fn handle(
        &self,
        incoming: Incoming,
        alarm: &mut Alarm,
    ) -> Result<Reply, Box<Refusal>> {
        let clock = Arc::clone(&self.deps.clock);
        let mut record = Record::begin(
            Arc::clone(&incoming.id),
            incoming.operation,
            incoming.caller.clone(),
            clock,
            self.deps.access_log.clone(),
        );
        if let Some(decisions) = &self.decisions {
            record.keep_in(decisions);
        }
        match self.answer(&incoming, &mut record, alarm).await {
            Ok(answered) => {
                let (reply, receipt) = self.reply(answered, record, alarm);
                if let Some(mut receipt) = receipt {
                    let until = Instant::now() + PATIENCE;
                    if alarm.within(until, &mut receipt).await.is_err() {
                        receipt.give_up();
                    }
                }
                Ok(reply)
            }
            Err(error) => {
                record.outcome = error.outcome();
                Err(Box::new(Refusal {
                    facts: self.facts(&record),
                    error,
                    record,
                }))
            }
        }
    }

    async fn answer(
        &self,
        incoming: &Incoming,
        record: &mut Record,
        alarm: &mut Alarm,
    ) -> Result<Answered, Error> {
        let (head, body, overrides) = self.read(incoming)?;
        record.asked_for(&head.model);
        let group = &self.group(&head.model, incoming)?;
        record.group = Some(Arc::clone(group));
        record.stream = head.stream;
        let mocks = overrides.as_ref().is_some_and(|o| o.mocks());
        let cached = if mocks {
            Cached::Bypass
        } else {
            self.cached(group, &head, &body, incoming).await
        };
        let recorder = match cached {
            Cached::Off => None,
            Cached::Bypass => {
                record.cache = "bypass";
                None
            }
            Cached::Miss(recorder) => {
                record.cache = "miss";
                Some(recorder)
            }
            Cached::Hit(key, stored) => {
                record.cache = "hit";
                return Ok(Answered::Stored(key, stored));
            }
        };
        if let Some(ledger) = &self.ledger
            && ledger.is_refusing()
        {
            return Err(Error::Unrecordable(ledger.trouble().unwrap_or_default()));
        }
        let call = call(incoming, head, body, record.began.unix);
        let by_sdk = retries_by_sdk(incoming);
        let began = Instant::now();
        let mut journey = Journey::new(group, overrides, self.bounds, by_sdk, began);
        if self.ledger.is_some() {
            journey.caller.clone_from(&incoming.caller);
        }
        let error = match self
            .try_group(group, &call, incoming, &mut journey, record, alarm)
            .await
        {
            Ok((committed, end)) => {
                return Ok(Answered::Upstream(Box::new((committed, recorder, end))));
            }
            Err(error) => error,
        };
        // What another group answers is not what this one would have: it is not kept.
        drop(recorder);
        Box::pin(self.fall_back(group, error, &call, incoming, &mut journey, record, alarm)).await
    }

    /// The request without the gateway's own members, and what they say.
    fn read(
        &self,
        incoming: &Incoming,
    ) -> Result<(RequestHead, Bytes, Option<Box<Overrides>>), Error> {
        let path_model = incoming.path_model.as_deref();
        let head = RequestHead::read(&incoming.body, path_model)?;
        let Some(overrides) = Overrides::read(&head, &incoming.body, &incoming.headers)? else {
            return Ok((head, incoming.body.clone(), None));
        };
        if overrides.mocks() && !self.bounds.mock_testing {
            let member = overrides.mock.map_or("mock_response", Mock::member);
            return Err(Error::Unsupported {
                param: member.into(),
                message: format!(
                    "`{member}` is switched off by this gateway's configuration; `waypost: mock_testing: true` allows it."
                ),
            });
        }
        if !head.overrides {
            return Ok((head, incoming.body.clone(), Some(Box::new(overrides))));
        }
        let body = overrides::without(&incoming.body, &head, &[]);
        let head = RequestHead::read(&body, path_model)?;
        Ok((head, body, Some(Box::new(overrides))))
    }

    /// The group the request names, if this caller may use it.
    fn group(&self, name: &str, incoming: &Incoming) -> Result<Arc<Group>, Error> {
        let allowed = |id: &Arc<str>| {
            incoming
                .allowed
                .as_ref()
                .is_none_or(|groups| groups.contains(id))
        };
        self.snapshot
            .resolve(name)
            .filter(|g| allowed(&g.owner) || allowed(&g.id))
            .ok_or_else(|| Error::UnknownModel {
                model: name.to_owned(),
                known: self
                    .snapshot
                    .listed()
                    .filter(|(_, owner)| allowed(owner))
                    .map(|(name, _)| Arc::clone(name))
                    .collect(),
            })
    }

    /// `first` has failed with `original`: asks the others as the route says. If all fail, the original error is the
    /// answer; what was tried since is in the record.
    #[expect(clippy::too_many_arguments, reason = "what a request consists of")]
    async fn fall_back(
        &self,
        first: &Arc<Group>,
        original: Error,
        call: &Call,
        incoming: &Incoming,
        journey: &mut Journey,
        record: &mut Record,
        alarm: &mut Alarm,
    ) -> Result<Answered, Error> {
        journey.turn(first, &original);
        while let Some(next) = journey.advance() {
            let Some(group) = &self.fallback(&next, incoming) else {
                record.tried(&next.name, "unknown_model");
                continue;
            };
            if !journey.arrive(&group.id) {
                continue;
            }
            record.fall_back(group, journey.fallbacks());
            let changed = changed(call, &next, journey)?;
            let call = changed.as_ref().unwrap_or(call);
            let tried = self.try_group(group, call, incoming, journey, record, alarm);
            match tried.await {
                Ok((committed, end)) => {
                    return Ok(Answered::Upstream(Box::new((committed, None, end))));
                }
                Err(error) => journey.turn(group, &error),
            }
        }
        Err(original)
    }

    /// The group to turn to. The file's fallbacks are its author's decision; the client's own need its right to them.
    fn fallback(&self, next: &Next, incoming: &Incoming) -> Option<Arc<Group>> {
        match next.own {
            Some(_) => self.group(&next.name, incoming).ok(),
            None => self.snapshot.resolve(&next.name),
        }
    }
}

/// The request as adapters see it.
fn call(incoming: &Incoming, head: RequestHead, body: Bytes, unix: Duration) -> Call {
    Call {
        operation: incoming.operation,
        head: Arc::new(head),
        body,
        beta: incoming
            .headers
            .get(HeaderName::from_static("openai-beta"))
            .cloned(),
        id: Arc::clone(&incoming.id),
        created: unix.as_secs(),
    }
}

/// The call as one of the request's own fallbacks has it, if that makes a difference.
fn changed(call: &Call, next: &Next, journey: &Journey) -> Result<Option<Call>, Error> {
    match journey.own(next) {
        Some(own) if !own.changes.is_empty() => {
            let body = overrides::without(&call.body, &call.head, &own.changes);
            let head = RequestHead::read(&body, Some(&own.model))?;
            Ok(Some(Call {
                head: Arc::new(head),
                body,
                ..call.clone()
            }))
        }
        _ => Ok(None),
    }
}
