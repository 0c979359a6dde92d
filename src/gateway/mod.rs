//! The life of one request: cache, plan, router, provider, upstream, classify, observe, record.
//!
//! [`Gateway::handle`] is that line as code. Strategies, dialects and stores are behind their own seams; here is no `match`
//! on any of them. Nothing is retried after the commit point, and every way out settles the attempt (`record.rs`).

mod budget;
mod caching;
pub mod classify;
mod committed;
pub mod deps;
pub mod error;
mod exchange;
mod fit;
mod mask;
pub mod message;
pub mod observe;
#[doc(hidden)]
pub mod parts;
mod pieces;
mod plain;
pub mod plan;
pub mod record;
mod relay;
pub mod snapshot;
mod stopwatch;
mod watch;

use std::sync::Arc;

use http::{HeaderName, StatusCode};
use tokio::time::Instant;

pub use deps::Deps;
pub use error::Error;
pub use message::{Incoming, Refusal, Reply, ReplyBody, ReplyFacts};
pub use snapshot::{BuildError, Snapshot};

use budget::{Unfit, estimate, failures_of, limits, refused, retries_by_sdk, stopped};
use caching::{Cached, Recorder};
use committed::{Committed, CommittedBody, End, Uncommitted};
use error::{Failure, Failures};
use exchange::Exchange;
use observe::ObservedBody;
use plan::{Event, Plan, Step};
use record::{Record, Trial};
use snapshot::Group;

use crate::cache::Memory;
use crate::clock::{Alarm, Moment};
use crate::config::Config;
use crate::h1::Fields;
use crate::provider::Call;
use crate::request::RequestHead;
use crate::router::{Ask, Attempt, Outcome, Why};
use crate::types::TokenUsage;

/// A configuration at work.
#[derive(Debug)]
pub struct Gateway {
    snapshot: Snapshot,
    deps: Deps,
    cache: Arc<Memory>,
}

impl Gateway {
    /// Puts `config` to work. Opens no connection.
    ///
    /// # Errors
    /// See [`BuildError`].
    pub fn build(config: &Config, deps: Deps) -> Result<Self, BuildError> {
        let snapshot = Snapshot::build(config, &deps)?;
        Ok(Self {
            snapshot,
            deps,
            cache: Arc::new(Memory::new(config.settings.cache_max_bytes)),
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
        match self.answer(&incoming, &mut record, alarm).await {
            Ok(answered) => Ok(self.reply(answered, record, alarm)),
            Err(error) => {
                record.outcome = error.outcome();
                record.failures = failures_of(&error)
                    .iter()
                    .map(Failure::brief)
                    .collect::<Vec<_>>()
                    .join("; ");
                Err(Box::new(Refusal {
                    facts: facts(&record),
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
        let head = RequestHead::read(&incoming.body, incoming.path_model.as_deref())?;
        let group = self.group(&head, incoming)?;
        record.group = Some(Arc::clone(group));
        record.stream = head.stream;
        let recorder = match self.cached(group, &head, incoming).await {
            Cached::Off => None,
            Cached::Bypass => {
                record.cache = "bypass";
                None
            }
            Cached::Miss(recorder) => {
                record.cache = "miss";
                Some(recorder)
            }
            Cached::Hit(stored) => {
                record.cache = "hit";
                return Ok(Answered::Stored(stored));
            }
        };
        let call = Call {
            operation: incoming.operation,
            head: Arc::new(head),
            body: incoming.body.clone(),
            beta: incoming
                .headers
                .get(HeaderName::from_static("openai-beta"))
                .cloned(),
            id: Arc::clone(&incoming.id),
            created: record.began.unix.as_secs(),
        };
        let (committed, end) = self
            .try_until_answered(group, &call, incoming, record, alarm)
            .await?;
        Ok(Answered::Upstream(Box::new((committed, recorder, end))))
    }

    /// The group the request names, if this caller may use it.
    fn group(&self, head: &RequestHead, incoming: &Incoming) -> Result<&Arc<Group>, Error> {
        let allowed = |id: &Arc<str>| {
            incoming
                .allowed
                .as_ref()
                .is_none_or(|groups| groups.contains(id))
        };
        self.snapshot
            .group(&head.model)
            .filter(|g| allowed(&g.id))
            .ok_or_else(|| Error::UnknownModel {
                model: head.model.clone(),
                known: self
                    .snapshot
                    .groups()
                    .iter()
                    .map(|g| Arc::clone(&g.id))
                    .filter(allowed)
                    .collect(),
            })
    }

    /// Makes attempts as the plan says, until one is committed.
    async fn try_until_answered(
        &self,
        group: &Arc<Group>,
        call: &Call,
        incoming: &Incoming,
        record: &mut Record,
        alarm: &mut Alarm,
    ) -> Result<(Committed, End), Error> {
        // The clocks are read once for what happens at once.
        let began = Instant::now();
        let mut now = began;
        let mut moment = match group.cache() {
            None => record.began,
            Some(_) => self.deps.clock.moment(), // it may have waited for another one's answer
        };
        let by_sdk = retries_by_sdk(incoming);
        let mut plan = Plan::new(limits(group, by_sdk, began));
        let mut tried: Vec<usize> = Vec::new();
        let mut unfit = Unfit::known(fit::unfit(group, call, &[], None));
        let mut failures: Failures = Vec::new();
        let mut step = Step::Try {
            even_cooling: false,
        };
        let tokens = estimate(call);
        loop {
            let event = match step {
                Step::Try { even_cooling } => {
                    match group.router.begin(&ask(
                        call,
                        (&tried, &unfit.deployments),
                        tokens,
                        even_cooling,
                        moment,
                    )) {
                        Err(_) => Event::NoneEligible,
                        Ok(attempt) => {
                            plan.begin();
                            record.attempts = plan.made();
                            let index = attempt.index();
                            if let Some(retries) = attempt.deployment().num_retries {
                                plan.allow_retries(retries.saturating_sub(by_sdk));
                            }
                            let times = (now, plan.deadline());
                            match self
                                .attempt(group, call, attempt, times, record, alarm)
                                .await
                            {
                                Ok(done) => return Ok(done),
                                Err(Uncommitted::Failed(failure)) => {
                                    tracing::debug!(request = %incoming.id, attempt = plan.made(), "{}", failure.brief());
                                    failures.push(failure);
                                    tried.push(index);
                                    Event::Failed
                                }
                                Err(Uncommitted::Unsupported { param, message }) => {
                                    plan.forgo();
                                    record.attempts = plan.made();
                                    unfit.add(index, param, message);
                                    if unfit.deployments.len() == group.links.len() {
                                        return Err(unfit.error());
                                    }
                                    Event::Unfit
                                }
                                Err(other) => return Err(refused(other, group, index)),
                            }
                        }
                    }
                }
                Step::Wait(wait) => {
                    tokio::time::sleep(wait).await;
                    Event::Waited
                }
                Step::Stop(stop) => return Err(stopped(stop, failures, group, began, &plan)),
            };
            (now, moment) = (Instant::now(), self.deps.clock.moment());
            let offer = group.router.availability(&ask(
                call,
                (&tried, &unfit.deployments),
                tokens,
                false,
                moment,
            ));
            step = plan.next(event, &offer, now, &mut *self.deps.rng());
        }
    }

    async fn attempt(
        &self,
        group: &Arc<Group>,
        call: &Call,
        attempt: Attempt,
        (began, deadline): (Instant, Instant),
        record: &mut Record,
        alarm: &mut Alarm,
    ) -> Result<(Committed, End), Uncommitted> {
        let deployment = Arc::clone(attempt.deployment());
        let link = &group.links[attempt.index()];
        record.deployment = Some((Arc::clone(&deployment.target.id), link.header.clone()));
        let trial = Trial::new(
            attempt,
            Arc::clone(&link.meters),
            Arc::clone(&self.deps.clock),
        );
        let exchange = Exchange {
            group,
            link,
            deployment: &deployment,
            call,
            deadline,
            clock: &*self.deps.clock,
            input_estimate: estimate(call).input,
        };
        let committed = exchange.run(trial, began, alarm).await?;
        let total = began + deployment.clocks.total;
        let (at, clock, limit) = if deadline < total {
            (deadline, "request", group.settings.deadline)
        } else {
            (total, "total", deployment.clocks.total)
        };
        let end = End {
            at,
            clock,
            limit,
            gap: deployment.clocks.gap,
        };
        Ok((committed, end))
    }

    fn reply(&self, answered: Answered, mut record: Record, alarm: &mut Alarm) -> Reply {
        match answered {
            Answered::Stored(stored) => {
                record.outcome = "ok";
                record.status = 200;
                let facts = facts(&record);
                Reply {
                    status: StatusCode::OK,
                    fields: stored
                        .content_type
                        .map(|kind| Fields::one("content-type", kind))
                        .unwrap_or_default(),
                    body: ReplyBody::Whole(stored.body),
                    facts,
                }
            }
            Answered::Upstream(fresh) => {
                let (committed, mut recorder, end) = *fresh;
                let Committed {
                    status,
                    fields,
                    body,
                    mut trial,
                } = committed;
                record.status = status.as_u16();
                if let Some(recorder) = &mut recorder {
                    recorder.begin(&fields);
                }
                let facts = facts(&record);
                let body = match body {
                    CommittedBody::Whole(body, usage) => {
                        trial.note_usage(usage);
                        record.note(&trial, usage);
                        record.ended = trial.settle_as_noted(Outcome::Success);
                        record.outcome = "ok";
                        if let Some(recorder) = recorder {
                            recorder.finish(std::iter::once(&body));
                        }
                        ReplyBody::Whole(body)
                    }
                    CommittedBody::Stream(stream) => {
                        ReplyBody::Stream(Box::new(ObservedBody::new(
                            *stream,
                            trial,
                            record,
                            recorder,
                            end,
                            std::mem::take(alarm),
                        )))
                    }
                };
                Reply {
                    status,
                    fields,
                    body,
                    facts,
                }
            }
        }
    }
}

/// Where an answer comes from.
enum Answered {
    Stored(crate::cache::CachedResponse),
    Upstream(Box<(Committed, Option<Recorder>, End)>),
}

fn ask<'a>(
    call: &Call,
    (tried, unfit): (&'a [usize], &'a [(usize, Why)]),
    tokens: TokenUsage,
    even_cooling: bool,
    moment: Moment,
) -> Ask<'a> {
    Ask {
        tried,
        unfit,
        now: moment.now,
        unix: moment.unix,
        tokens,
        streaming: call.head.stream,
        even_cooling,
    }
}

fn facts(record: &Record) -> ReplyFacts {
    ReplyFacts {
        group: record.group.as_ref().map(|group| group.header.clone()),
        deployment: record.deployment.as_ref().map(|(_, header)| header.clone()),
        attempts: record.attempts,
        cache: record.cache,
    }
}
