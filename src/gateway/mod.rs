//! The life of one request: cache, plan, router, provider, upstream, classify, observe, record.
//!
//! [`Gateway::handle`] is that line as code. Strategies, dialects and stores are behind their own seams; here is no `match`
//! on any of them. Nothing is retried after the commit point, and every way out settles the attempt (`record.rs`).

mod caching;
pub mod classify;
pub mod error;
mod exchange;
mod mask;
pub mod observe;
pub mod plan;
pub mod record;
pub mod snapshot;
mod watch;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::time::Instant;

pub use error::Error;
pub use snapshot::{BuildError, Snapshot};

use caching::{Cached, Recorder};
use error::{Failure, Failures, Refused};
use exchange::{Committed, CommittedBody, Exchange, Uncommitted};
use observe::ObservedBody;
use plan::{Event, Limits, Plan, Step, Stop};
use record::{Record, Trial};
use snapshot::Group;

use crate::access_log::AccessLog;
use crate::cache::Memory;
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::metrics::Metrics;
use crate::provider::Call;
use crate::request::RequestHead;
use crate::router::{Ask, Attempt, NoneEligible, Outcome};
use crate::types::{Operation, TokenUsage};
use crate::upstream::Upstream;
use crate::upstream::credentials::Credentials;
use crate::usage::meter;

/// Output tokens assumed where a request sets no bound, for reservations and prices. Corrected when the answer is there.
const OUTPUT_GUESS: u64 = 256;
/// The most output tokens that are reserved: no model says more, whatever a request allows it.
const OUTPUT_MOST: u64 = 1 << 24;

/// What the outside world is made of; built once, by `main` or by a test.
pub struct Deps {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Outbound HTTP.
    pub upstream: Upstream,
    /// Tokens.
    pub credentials: Credentials,
    /// Series.
    pub metrics: Arc<Metrics>,
    /// One line per request, if wanted.
    pub access_log: Option<Arc<AccessLog>>,
    rng: Mutex<StdRng>,
}

impl fmt::Debug for Deps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deps")
            .field("upstream", &self.upstream)
            .finish_non_exhaustive()
    }
}

impl Deps {
    /// The machine's clock, and randomness from `seed`, or from the machine.
    #[must_use]
    pub fn new(seed: Option<u64>) -> Self {
        Self::with_clock(Arc::new(SystemClock), seed)
    }

    /// The same with another clock.
    #[must_use]
    pub fn with_clock(clock: Arc<dyn Clock>, seed: Option<u64>) -> Self {
        let rng = seed.map_or_else(|| StdRng::from_rng(&mut rand::rng()), StdRng::seed_from_u64);
        Self {
            clock,
            upstream: Upstream::new(),
            credentials: Credentials::default(),
            metrics: Arc::new(Metrics::new()),
            access_log: None,
            rng: Mutex::new(rng),
        }
    }

    fn rng(&self) -> MutexGuard<'_, StdRng> {
        self.rng.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A client's request, read from HTTP.
#[derive(Debug)]
pub struct Incoming {
    /// Its id.
    pub id: Arc<str>,
    /// Its kind.
    pub operation: Operation,
    /// The model group, where the path names it (Azure's form); it then stands above the body's.
    pub path_model: Option<String>,
    /// The client's headers.
    pub headers: HeaderMap,
    /// The client's bytes.
    pub body: Bytes,
    /// The key's name, if keys are in use.
    pub caller: Option<Arc<str>>,
    /// The groups the key may use; `None`: all.
    pub allowed: Option<Arc<[Arc<str>]>>,
}

/// An answer.
#[derive(Debug)]
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// Headers that describe it.
    pub headers: HeaderMap,
    /// Its body.
    pub body: ReplyBody,
    /// Who answered and how.
    pub facts: ReplyFacts,
}

/// What an answer's own headers say.
#[derive(Debug, Clone, Default)]
pub struct ReplyFacts {
    /// The group.
    pub group: Option<HeaderValue>,
    /// The deployment.
    pub deployment: Option<HeaderValue>,
    /// Attempts made.
    pub attempts: u32,
    /// The cache's part.
    pub cache: &'static str,
}

/// The body of an answer.
#[derive(Debug)]
pub enum ReplyBody {
    /// Complete.
    Whole(Bytes),
    /// A stream under observation.
    Stream(Box<ObservedBody>),
}

/// A refusal, with what its headers can say.
#[derive(Debug)]
pub struct Refusal {
    /// Why.
    pub error: Error,
    /// What was found out until then.
    pub facts: ReplyFacts,
    /// Its line, for whoever gives it a status.
    pub record: Record,
}

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

    /// Answers one request.
    ///
    /// # Errors
    /// A [`Refusal`] that says why there is no answer.
    pub async fn handle(&self, incoming: Incoming) -> Result<Reply, Box<Refusal>> {
        let clock = Arc::clone(&self.deps.clock);
        let mut record = Record::begin(
            Arc::clone(&incoming.id),
            incoming.operation,
            incoming.caller.clone(),
            clock,
            self.deps.access_log.clone(),
        );
        match self.answer(&incoming, &mut record).await {
            Ok(answered) => Ok(self.reply(answered, record)),
            Err(error) => {
                record.outcome = error.outcome();
                if matches!(error, Error::Unsupported { .. }) {
                    record.attempts = record.attempts.saturating_sub(1); // the last one never left
                }
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

    async fn answer(&self, incoming: &Incoming, record: &mut Record) -> Result<Answered, Error> {
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
            created: self.deps.clock.unix().as_secs(),
        };
        let (committed, end) = self
            .try_until_answered(group, &call, incoming, record)
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
    ) -> Result<(Committed, End), Error> {
        let began = Instant::now();
        let by_sdk = retries_by_sdk(incoming);
        let mut plan = Plan::new(limits(group, by_sdk, began));
        let mut tried: Vec<usize> = Vec::new();
        let mut failures: Failures = Vec::new();
        let mut step = Step::Try {
            even_cooling: false,
        };
        let tokens = estimate(call);
        loop {
            let event = match step {
                Step::Try { even_cooling } => {
                    match group
                        .router
                        .begin(&self.ask(call, &tried, tokens, even_cooling))
                    {
                        Err(_) => Event::NoneEligible,
                        Ok(attempt) => {
                            plan.begin();
                            record.attempts = plan.made();
                            let index = attempt.index();
                            if let Some(retries) = attempt.deployment().num_retries {
                                plan.allow_retries(retries.saturating_sub(by_sdk));
                            }
                            match self
                                .attempt(
                                    group,
                                    call,
                                    attempt,
                                    plan.deadline(),
                                    tokens.input,
                                    record,
                                )
                                .await
                            {
                                Ok(done) => return Ok(done),
                                Err(Uncommitted::Failed(failure)) => {
                                    tracing::debug!(request = %incoming.id, attempt = plan.made(), "{}", failure.brief());
                                    failures.push(failure);
                                    tried.push(index);
                                    Event::Failed
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
            let offer = group
                .router
                .availability(&self.ask(call, &tried, tokens, false));
            step = plan.next(event, &offer, Instant::now(), &mut *self.deps.rng());
        }
    }

    fn ask<'a>(
        &self,
        call: &Call,
        tried: &'a [usize],
        tokens: TokenUsage,
        even_cooling: bool,
    ) -> Ask<'a> {
        let (now, unix) = (self.deps.clock.now(), self.deps.clock.unix());
        Ask {
            tried,
            now,
            unix,
            tokens,
            streaming: call.head.stream,
            even_cooling,
        }
    }

    async fn attempt(
        &self,
        group: &Arc<Group>,
        call: &Call,
        attempt: Attempt,
        deadline: Instant,
        input_estimate: u64,
        record: &mut Record,
    ) -> Result<(Committed, End), Uncommitted> {
        let deployment = Arc::clone(attempt.deployment());
        let link = &group.links[attempt.index()];
        record.deployment = Some((Arc::clone(&deployment.target.id), link.header.clone()));
        let began = Instant::now();
        let trial = Trial::new(
            attempt,
            Arc::clone(&link.meters),
            Arc::clone(&self.deps.clock),
        );
        let unix = self.deps.clock.unix();
        let exchange = Exchange {
            group,
            link,
            deployment: &deployment,
            call,
            deadline,
            unix,
            input_estimate,
        };
        let committed = exchange.run(trial).await?;
        let total = began + deployment.clocks.total;
        let end = if deadline < total {
            (deadline, "request", group.settings.deadline)
        } else {
            (total, "total", deployment.clocks.total)
        };
        Ok((
            committed,
            End {
                at: end,
                clocks: deployment.clocks,
            },
        ))
    }

    fn reply(&self, answered: Answered, mut record: Record) -> Reply {
        match answered {
            Answered::Stored(stored) => {
                record.outcome = "ok";
                record.status = 200;
                let facts = facts(&record);
                Reply {
                    status: StatusCode::OK,
                    headers: stored.headers,
                    body: ReplyBody::Whole(stored.body),
                    facts,
                }
            }
            Answered::Upstream(fresh) => {
                let (committed, mut recorder, end) = *fresh;
                let Committed {
                    status,
                    headers,
                    body,
                    mut trial,
                } = committed;
                record.status = status.as_u16();
                if let Some(recorder) = &mut recorder {
                    recorder.begin(&headers);
                }
                let facts = facts(&record);
                let body = match body {
                    CommittedBody::Whole(body, usage) => {
                        trial.note_usage(usage);
                        record.note(&trial, usage);
                        trial.settle(Outcome::Success);
                        record.outcome = "ok";
                        if let Some(recorder) = recorder {
                            recorder.finish(std::iter::once(&body));
                        }
                        ReplyBody::Whole(body)
                    }
                    CommittedBody::Stream(stream) => ReplyBody::Stream(Box::new(
                        ObservedBody::new(*stream, trial, record, recorder, end.clocks, end.at),
                    )),
                };
                Reply {
                    status,
                    headers,
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

/// When a committed answer must be over.
struct End {
    at: (Instant, &'static str, Duration),
    clocks: crate::types::Clocks,
}

fn facts(record: &Record) -> ReplyFacts {
    ReplyFacts {
        group: record.group.as_ref().map(|group| group.header.clone()),
        deployment: record.deployment.as_ref().map(|(_, header)| header.clone()),
        attempts: record.attempts,
        cache: record.cache,
    }
}

/// Retries the client's SDK has already made.
fn retries_by_sdk(incoming: &Incoming) -> u32 {
    let header = incoming
        .headers
        .get("x-stainless-retry-count")
        .and_then(|v| v.to_str().ok());
    header.and_then(|v| v.trim().parse().ok()).unwrap_or(0)
}

/// The request's budget. Retries the client's SDK has already made are taken off ours.
fn limits(group: &Group, by_sdk: u32, now: Instant) -> Limits {
    Limits {
        attempts: group.attempts.saturating_sub(by_sdk),
        retry_after: group.settings.retry_after,
        max_wait: group.settings.max_wait,
        all_cooling: group.all_cooling(),
        deadline: now + group.settings.deadline,
    }
}

/// Tokens of a request, before anyone has counted them.
fn estimate(call: &Call) -> TokenUsage {
    let output = match call.operation {
        Operation::Embeddings => 0,
        Operation::Chat | Operation::Completions => call
            .head
            .max_tokens
            .unwrap_or(OUTPUT_GUESS)
            .min(OUTPUT_MOST),
    };
    TokenUsage {
        input: meter::estimate(call.body.len() as u64),
        output,
        ..TokenUsage::default()
    }
}

fn refused(uncommitted: Uncommitted, group: &Group, index: usize) -> Error {
    let deployment = Arc::clone(&group.router.deployments()[index].target.id);
    match uncommitted {
        Uncommitted::Rejected { rejection, answer } => Error::Rejected {
            deployment,
            rejection,
            answer: Box::new(answer),
        },
        Uncommitted::Unsupported { param, message } => Error::Unsupported { param, message },
        Uncommitted::Failed(failure) => Error::Failed(vec![failure]),
    }
}

fn stopped(stop: Stop, failures: Failures, group: &Group, began: Instant, plan: &Plan) -> Error {
    match stop {
        Stop::Exhausted => Error::Failed(failures),
        Stop::Deadline => Error::Deadline {
            limit: plan.deadline() - began,
            failures,
        },
        // Something was tried: its failure tells more than that nothing is left.
        Stop::NoneEligible(_) if !failures.is_empty() => Error::Failed(failures),
        Stop::NoneEligible(none) => {
            let none = NoneEligible {
                group: Arc::clone(&group.id),
                ..none
            };
            Error::NoneEligible(Refused { none, failures })
        }
    }
}

fn failures_of(error: &Error) -> &[Failure] {
    match error {
        Error::Failed(failures) | Error::Deadline { failures, .. } => failures,
        Error::NoneEligible(refused) => &refused.failures,
        Error::Request(_)
        | Error::UnknownModel { .. }
        | Error::Unsupported { .. }
        | Error::Rejected { .. } => &[],
    }
}
