//! What [`Gateway::handle`] would do with a request at this moment: the same names, rights, members, cache key, routes,
//! plans and picks, and no attempt.
//!
//! What comes after the first choice is foretold as if each attempt failed with a 500 that cools nothing. Waits are
//! those of the plan, with other dice than the next request will throw for its own. The fields are described in
//! `docs/explain.md`, by the same names.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use serde::Serialize;
use tokio::time::Instant;

use super::budget::{estimate, retries_by_sdk, stopped};
use super::error::Error;
use super::journey::Journey;
use super::mock_error;
use super::plan::{Event, Step};
use super::snapshot::{Group, Link};
use super::tries::Tries;
use super::{Gateway, Incoming, call, changed};
use crate::clock::Moment;
use crate::provider::{AdaptError, Authority, Call};
use crate::request::overrides::Mock;
use crate::router::explain::{Chosen, Decision, Dropped, Reason};
use crate::router::{Ask, Why};
use crate::types::ErrorClass;

/// What would become of a request.
#[derive(Debug, Serialize)]
pub struct Explanation {
    /// The id it was asked about with.
    pub request: String,
    /// `chat`, `completions` or `embeddings`.
    pub operation: &'static str,
    /// The name it asks for.
    pub model: String,
    /// Whether it asks for a stream.
    pub stream: bool,
    /// Its tokens, estimated.
    pub tokens: Tokens,
    /// `off`, `bypass`, `miss` or `hit`; after `hit` no group is asked.
    pub cache: &'static str,
    /// What happens first.
    pub outcome: Outcome,
    /// The first attempt.
    pub chosen: Option<Foretold>,
    /// The attempts after it, in order, if each one fails.
    pub next: Vec<Foretold>,
    /// The groups that are asked, in order, if each one fails.
    pub groups: Vec<Asked>,
}

/// Tokens of a request, before anyone has counted them.
#[derive(Debug, Serialize)]
pub struct Tokens {
    /// Of the prompt.
    pub input: u64,
    /// Of the answer: what the request allows, or a guess.
    pub output: u64,
}

/// What happens first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The answer comes from the cache.
    Cached,
    /// An attempt is made.
    Attempt,
    /// An attempt is made after a wait.
    Wait,
    /// An attempt is made as soon as a deployment that is full has a place, and none if that takes too long.
    Queue,
    /// No attempt can be made.
    Refused,
}

/// An attempt to be made.
#[derive(Debug, Serialize)]
pub struct Foretold {
    /// In which group.
    pub group: String,
    /// At which deployment.
    #[serde(flatten)]
    pub chosen: Chosen,
    /// Seconds the request waits before it, about.
    pub wait_seconds: f64,
}

/// A group that is asked.
#[derive(Debug, Serialize)]
pub struct Asked {
    /// How the request comes to it.
    pub found_by: FoundBy,
    /// Attempts it may make there.
    pub attempts: u32,
    /// The member of the request that makes up a failure of the group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mocked: Option<&'static str>,
    /// The line it would stand in, as all that could serve it are full.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<InLine>,
    /// What its router does.
    #[serde(flatten)]
    pub decision: Decision,
}

/// A wait for a place at a full deployment.
#[derive(Debug, Default, Serialize)]
pub struct InLine {
    /// Requests that wait already.
    pub ahead: usize,
    /// How long it would wait at most.
    pub max_wait_seconds: f64,
}

/// How a request comes to a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FoundBy {
    /// It names it.
    Name,
    /// It names one of its deployments.
    Deployment,
    /// It names an alias of it.
    Alias,
    /// The name fits the group's pattern.
    Wildcard,
    /// The configuration turns to it when the one before fails.
    Fallback,
    /// The request does.
    OwnFallback,
}

impl FoundBy {
    /// How `model` led to `group`.
    fn of(group: &Group, model: &str) -> Self {
        if *group.id != *model {
            Self::Alias
        } else if group.id == group.owner {
            Self::Name
        } else if group.router.deployments()[0].target.id == group.id {
            Self::Deployment
        } else {
            Self::Wildcard
        }
    }
}

/// A member of the request that a deployment can't do, and what would work.
type Lack = (Cow<'static, str>, String);

/// When something is foretold to happen.
#[derive(Clone, Copy)]
struct At {
    now: Instant,
    moment: Moment,
}

impl At {
    fn advance(&mut self, by: Duration) {
        self.now += by;
        self.moment.now += by;
        self.moment.unix += by;
    }
}

impl Gateway {
    /// What [`Gateway::handle`] would do with this request. Changes nothing and asks nobody.
    ///
    /// # Errors
    /// If the request is none, or names a group that does not exist or that its caller may not use.
    pub fn explain(&self, incoming: &Incoming) -> Result<Explanation, Error> {
        let (head, body, overrides) = self.read(incoming)?;
        let first = &self.group(&head.model, incoming)?;
        let cache = match &overrides {
            Some(overrides) if overrides.mocks() => "bypass",
            _ => self.peek(first, &head, &body, incoming),
        };
        let mut at = At {
            now: Instant::now(),
            moment: self.deps.clock.moment(),
        };
        let call = call(incoming, head, body, at.moment.unix);
        let tokens = estimate(&call);
        let mut told = Explanation {
            request: incoming.id.to_string(),
            operation: incoming.operation.name(),
            model: call.head.model.clone(),
            stream: call.head.stream,
            tokens: Tokens {
                input: tokens.input,
                output: tokens.output,
            },
            cache,
            outcome: Outcome::Cached,
            chosen: None,
            next: Vec::new(),
            groups: Vec::new(),
        };
        if cache == "hit" {
            return Ok(told);
        }
        let by_sdk = retries_by_sdk(incoming);
        let mut journey = Journey::new(first, overrides, self.bounds, by_sdk, at.now);
        let found_by = FoundBy::of(first, &call.head.model);
        let error = self.foretell(
            first,
            found_by,
            (&call, incoming),
            &mut journey,
            &mut at,
            &mut told,
        );
        journey.turn(first, &error);
        while let Some(next) = journey.advance() {
            let Some(group) = &self.fallback(&next, incoming) else {
                continue;
            };
            if !journey.arrive(&group.id) {
                continue;
            }
            let changed = changed(&call, &next, &journey)?;
            let found_by = match next.own {
                Some(_) => FoundBy::OwnFallback,
                None => FoundBy::Fallback,
            };
            let call = changed.as_ref().unwrap_or(&call);
            let error = self.foretell(
                group,
                found_by,
                (call, incoming),
                &mut journey,
                &mut at,
                &mut told,
            );
            journey.turn(group, &error);
        }
        let mut attempts = std::mem::take(&mut told.next).into_iter();
        told.chosen = attempts.next();
        told.next = attempts.collect();
        told.outcome = match &told.chosen {
            None if told.groups.iter().any(|asked| asked.queue.is_some()) => Outcome::Queue,
            None => Outcome::Refused,
            Some(chosen) if chosen.wait_seconds > 0.0 => Outcome::Wait,
            Some(_) => Outcome::Attempt,
        };
        Ok(told)
    }

    /// What the group's router does at that moment, but for the choice.
    fn decision(tries: &Tries<'_>, unsupported: &[Option<Lack>], moment: Moment) -> Decision {
        let mut unfit = tries.unfit.deployments.clone();
        let known = unfit.len();
        for (index, lack) in unsupported.iter().enumerate() {
            if lack.is_some() && !unfit.iter().any(|(other, _)| *other == index) {
                unfit.push((index, Why::Unfit));
            }
        }
        let mut decision = tries.group.router.explain(&Ask {
            unfit: &unfit,
            ..tries.ask(false, moment)
        });
        decision.chosen = None;
        for (index, _) in &unfit[known..] {
            if let Some((param, message)) = &unsupported[*index] {
                decision.deployments[*index].dropped = Some(Dropped {
                    reason: Reason::Unsupported {
                        param: param.to_string(),
                        message: message.clone(),
                    },
                    back_in_seconds: None,
                });
            }
        }
        decision
    }

    /// What each deployment's dialect can't say of the call. A request finds out by trying, without anything being sent.
    fn unsupported(&self, group: &Group, call: &Call, journey: &Journey) -> Vec<Option<Lack>> {
        let authority = Authority {
            token: None,
            unix: self.deps.clock.unix(),
        };
        let mocked = journey
            .overrides()
            .is_some_and(|own| own.mock_response.is_some());
        let lack = |link: &Link| match link.adapter.outbound(call, authority) {
            // What is not called can do everything.
            _ if mocked || link.mock.is_some() => None,
            Err(AdaptError::Unsupported { param, message }) => Some((param, message)),
            _ => None,
        };
        group.links.iter().map(lack).collect()
    }

    /// The attempts in one group, if each one fails, and what the request has come to then: [`Gateway::try_group`]
    /// without the attempts.
    fn foretell(
        &self,
        group: &Arc<Group>,
        found_by: FoundBy,
        (call, incoming): (&Call, &Incoming),
        journey: &mut Journey,
        at: &mut At,
        told: &mut Explanation,
    ) -> Error {
        let limits = journey.limits(group);
        let unsupported = self.unsupported(group, call, journey);
        let mut tries = Tries::new(group, call, incoming, journey);
        let mut asked = Asked {
            found_by,
            attempts: limits.attempts.min(limits.most),
            mocked: None,
            queue: None,
            decision: Self::decision(&tries, &unsupported, at.moment),
        };
        let mut step = match journey.take_mock() {
            None => Step::Try {
                even_cooling: false,
            },
            Some(mock) => {
                asked.mocked = Some(mock.member());
                if mock != Mock::RateLimit {
                    told.groups.push(asked);
                    return mock_error::error(mock);
                }
                tries.plan.begin();
                Step::Wait(Duration::ZERO)
            }
        };
        let place = told.groups.len();
        told.groups.push(asked);
        let mut rehearsal = group.router.rehearse();
        // Only back-offs are drawn from it, which nobody can foretell anyway.
        let mut rng = StdRng::seed_from_u64(0);
        let mut wait = Duration::ZERO;
        let mut first = true;
        loop {
            let event = match step {
                Step::Try { even_cooling } => {
                    match rehearsal.choose(&tries.ask(even_cooling, at.moment)) {
                        None => Event::NoneEligible,
                        Some(Chosen { index, .. }) if unsupported[index].is_some() => {
                            let (param, message) = unsupported[index].clone().unwrap_or_default();
                            tries.unfit.add(index, param, message);
                            if tries.unfit.deployments.len() == group.links.len() {
                                return tries.unfit.error();
                            }
                            Event::Unfit
                        }
                        Some(chosen) => {
                            tries.count(chosen.index, journey);
                            tries.mark(chosen.index);
                            if std::mem::take(&mut first) {
                                told.groups[place].decision.chosen = Some(chosen.clone());
                            }
                            told.next.push(Foretold {
                                group: group.id.to_string(),
                                chosen,
                                wait_seconds: std::mem::take(&mut wait).as_secs_f64(),
                            });
                            Event::Failed(ErrorClass::InternalServer)
                        }
                    }
                }
                Step::Queue(_) if group.router.queue().is_none_or(|queue| queue.is_full()) => {
                    Event::Crowded
                }
                Step::Queue(limit) => {
                    let line = told.groups[place].queue.get_or_insert_default();
                    line.ahead = group.router.queue().map_or(0, |queue| queue.len());
                    line.max_wait_seconds += limit.as_secs_f64();
                    wait += limit;
                    at.advance(limit);
                    Event::Waited
                }
                Step::Wait(pause) => {
                    wait += pause;
                    at.advance(pause);
                    Event::Waited
                }
                Step::Stop(stop) => return stopped(stop, Vec::new(), group, journey),
            };
            let offer = group.router.availability(&tries.ask(false, at.moment));
            step = tries.plan.next(event, &offer, at.now, &mut rng);
        }
    }
}
