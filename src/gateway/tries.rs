//! The attempts of a request in one group, as its plan says, until one is committed.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::budget::{Unfit, estimate, refused, stopped};
use super::classify::{Verdict, class};
use super::committed::{Committed, End, Uncommitted};
use super::error::{Error, Failures};
use super::exchange::Exchange;
use super::journey::Journey;
use super::message::Incoming;
use super::plan::{Event, Plan, Step};
use super::record::Record;
use super::snapshot::Group;
use super::trial::Trial;
use super::{Gateway, mock_error};
use crate::clock::{Alarm, Moment};
use crate::provider::Call;
use crate::request::overrides::Mock;
use crate::request::{RequestHead, conversation};
use crate::router::queue::Ticket;
use crate::router::{Ask, Attempt, Availability};
use crate::types::{Clocks, Provenance, TokenUsage};

/// What came of an attempt: an answer for the client, or what the plan is to know.
pub(super) type Came = Result<(Committed, End), Event>;

/// What a request has tried in a group.
pub(super) struct Tries<'a> {
    pub(super) group: &'a Arc<Group>,
    pub(super) call: &'a Call,
    tokens: TokenUsage,
    conversation: Option<u64>,
    pub(super) plan: Plan,
    tried: Vec<usize>,
    pub(super) unfit: Unfit,
    /// Its place in line, while it waits for one at a deployment.
    ticket: Option<Ticket>,
    failures: Failures,
    /// The last attempt that was refused as such and made again all the same.
    rejected: Option<Error>,
}

/// What bounds an attempt, and what stands in its place if it is not to be made.
#[derive(Debug, Clone)]
pub(super) struct Terms {
    pub(super) began: Instant,
    clocks: Clocks,
    deadline: Instant,
    /// Of the whole request, from its beginning.
    limit: Duration,
    mock: Option<Arc<str>>,
    /// It may be cancelled for another one, and then its prompt was paid for.
    hedged: bool,
    /// Which attempt of the request it is, and whose that is, for the ledger.
    pub(super) number: u32,
    pub(super) caller: Option<Arc<str>>,
}

impl<'a> Tries<'a> {
    pub(super) fn new(
        group: &'a Arc<Group>,
        call: &'a Call,
        incoming: &Incoming,
        journey: &Journey,
    ) -> Self {
        Self {
            conversation: conversation_of(group, call, incoming),
            group,
            call,
            tokens: estimate(call),
            plan: Plan::new(journey.limits(group)),
            tried: Vec::new(),
            unfit: Unfit::known(journey.unfit(group, call)),
            ticket: None,
            failures: Vec::new(),
            rejected: None,
        }
    }

    pub(super) fn ask(&self, even_cooling: bool, moment: Moment) -> Ask<'_> {
        Ask {
            tried: &self.tried,
            unfit: &self.unfit.deployments,
            now: moment.now,
            unix: self.group.unix(moment.unix),
            tokens: self.tokens,
            streaming: self.call.head.stream,
            even_cooling,
            conversation: self.conversation,
            ticket: self.ticket.as_ref().map(Ticket::number),
        }
    }

    /// Whether a deployment that was not tried could take the request.
    pub(super) fn is_another_free(&self, moment: Moment) -> bool {
        self.group.router.availability(&self.ask(false, moment)) == Availability::Fresh
    }

    /// Counts an attempt in, at a deployment that was not tried if there is one.
    pub(super) fn begin(
        &mut self,
        even_cooling: bool,
        moment: Moment,
        journey: &mut Journey,
        record: &mut Record,
    ) -> Option<Attempt> {
        let attempt = self
            .group
            .router
            .begin(&self.ask(even_cooling, moment))
            .ok()?;
        self.begun(&attempt, journey, record);
        Some(attempt)
    }

    /// An attempt was counted in.
    pub(super) fn begun(&mut self, attempt: &Attempt, journey: &mut Journey, record: &mut Record) {
        self.ticket = None;
        self.unfit.readmit();
        self.count(attempt.index(), journey);
        record.attempts = journey.made;
        record.begin_attempt(self.group, attempt);
    }

    /// An attempt at the deployment of that place begins.
    pub(super) fn count(&mut self, index: usize, journey: &mut Journey) {
        self.plan.begin();
        journey.made += 1;
        if let Some(retries) = self.group.router.deployments()[index].num_retries
            && journey
                .overrides()
                .is_none_or(|own| own.num_retries.is_none())
        {
            self.plan
                .allow_retries(retries.saturating_sub(journey.by_sdk));
        }
    }

    /// Waits in line for a place at a full deployment, until then at most.
    async fn queue(&mut self, until: Instant, moment: Moment, alarm: &mut Alarm) -> Event {
        self.unfit.readmit();
        let mut ticket = self.ticket.take();
        let ask = Ask {
            ticket: ticket.as_ref().map(Ticket::number),
            ..self.ask(false, moment)
        };
        let stands = self.group.router.line_up(&ask, &mut ticket);
        self.ticket = ticket;
        if !stands {
            return Event::Crowded;
        }
        if let Some(ticket) = &self.ticket {
            // Called or not, the deployments tell.
            let _late = alarm.within(until, ticket.called()).await;
        }
        Event::Waited
    }

    /// The attempt at the deployment of that place goes on, and another one is to be made beside it: elsewhere, and without
    /// moving the conversation there.
    pub(super) fn hedge(&mut self, index: usize) {
        self.mark(index);
        self.conversation = None;
    }

    /// The deployment of that place is not to be asked a second time.
    pub(super) fn mark(&mut self, index: usize) {
        if !self.tried.contains(&index) {
            self.tried.push(index);
        }
    }

    /// Notes what came of an attempt at the deployment of that place.
    ///
    /// # Errors
    /// What the request ends in, if no other attempt is to be made.
    pub(super) fn note(
        &mut self,
        index: usize,
        came: Uncommitted,
        journey: &mut Journey,
        record: &mut Record,
    ) -> Result<Event, Error> {
        match came {
            Uncommitted::Failed(failure) => {
                tracing::debug!(request = %record.id, attempt = journey.made, "{}", failure.brief());
                record.failed(&failure);
                let class = failure.class();
                self.failures.push(failure);
                self.mark(index);
                Ok(Event::Failed(class))
            }
            Uncommitted::Unsupported { param, message } => {
                self.plan.forgo();
                journey.made -= 1;
                record.attempts = journey.made;
                self.unfit.add(index, param, message);
                if self.unfit.are_all(self.group.links.len()) {
                    return Err(std::mem::take(&mut self.unfit).error());
                }
                Ok(Event::Unfit)
            }
            Uncommitted::Rejected { rejection, answer } => {
                let class = class(Verdict::Reject(rejection), Some(answer.status));
                record.rejected(self.group, index, rejection);
                let error = refused(rejection, answer, self.group, index);
                if !self.plan.retries_refusal(class) {
                    return Err(error);
                }
                self.rejected = Some(error);
                self.mark(index);
                Ok(Event::Failed(class))
            }
        }
    }
}

/// The conversation a request belongs to, where its group cares. It is read from what the client sent, of which some may
/// have been taken out since.
fn conversation_of(group: &Group, call: &Call, incoming: &Incoming) -> Option<u64> {
    let keys = &group.settings.affinity.as_ref()?.keys;
    let caller = incoming.caller.as_deref().unwrap_or_default();
    let of =
        |head: &RequestHead| conversation(keys, caller, head, &incoming.body, &incoming.headers);
    if call.body == incoming.body {
        of(&call.head)
    } else {
        of(&RequestHead::read(&incoming.body, Some(&call.head.model)).ok()?)
    }
}

impl Gateway {
    /// Makes attempts in one group as its plan says, until one is committed.
    pub(super) async fn try_group(
        &self,
        group: &Arc<Group>,
        call: &Call,
        incoming: &Incoming,
        journey: &mut Journey,
        record: &mut Record,
        alarm: &mut Alarm,
    ) -> Result<(Committed, End), Error> {
        // The clocks are read once for what happens at once.
        let mut now = Instant::now();
        let mut moment = match group.cache() {
            None if journey.made == 0 => record.began,
            _ => self.deps.clock.moment(), // it may have waited for another one's answer, or tried elsewhere
        };
        let mut tries = Tries::new(group, call, incoming, journey);
        let mut step = match journey.take_mock() {
            Some(Mock::RateLimit) => {
                tries.plan.begin();
                let failure = mock_error::failure(Mock::RateLimit);
                record.failed(&failure);
                tries.failures.push(failure);
                Step::Wait(Duration::ZERO)
            }
            Some(mock) => return Err(mock_error::error(mock)),
            None => Step::Try {
                even_cooling: false,
            },
        };
        loop {
            let event = match step {
                Step::Try { even_cooling } => {
                    let begun = match &group.exact {
                        None => tries.begin(even_cooling, moment, journey, record),
                        Some(exact) => {
                            let clock = &*self.deps.clock;
                            let reserved =
                                tries.begin_exactly(exact, even_cooling, clock, journey, record);
                            let begun = Box::pin(reserved).await;
                            now = Instant::now();
                            begun
                        }
                    };
                    match begun {
                        None => Event::NoneEligible,
                        Some(attempt) => {
                            let came = if let Some(hedge) = &group.hedge {
                                let hedged = self.hedged(
                                    &mut tries, attempt, now, hedge, journey, record, alarm,
                                );
                                Box::pin(hedged).await?
                            } else {
                                let index = attempt.index();
                                let terms = Terms::of(&attempt, now, journey);
                                match self.attempt(group, call, attempt, &terms, alarm).await {
                                    Ok(done) => Ok(done),
                                    Err(came) => Err(tries.note(index, came, journey, record)?),
                                }
                            };
                            match came {
                                Ok(done) => return Ok(done),
                                Err(event) => event,
                            }
                        }
                    }
                }
                Step::Queue(limit) => {
                    // Rare, and not to make every request's future larger.
                    Box::pin(tries.queue(now + limit, moment, alarm)).await
                }
                Step::Wait(wait) => {
                    tries.ticket = None;
                    tries.unfit.readmit();
                    tokio::time::sleep(wait).await;
                    Event::Waited
                }
                Step::Stop(stop) => {
                    return Err(match tries.rejected {
                        Some(rejected) if tries.failures.is_empty() => rejected,
                        _ => stopped(stop, tries.failures, group, journey),
                    });
                }
            };
            (now, moment) = (Instant::now(), self.deps.clock.moment());
            let offer = group.router.availability(&tries.ask(false, moment));
            step = tries.plan.next(event, &offer, now, &mut *self.deps.rng());
        }
    }

    pub(super) async fn attempt(
        &self,
        group: &Arc<Group>,
        call: &Call,
        attempt: Attempt,
        terms: &Terms,
        alarm: &mut Alarm,
    ) -> Result<(Committed, End), Uncommitted> {
        let deployment = Arc::clone(attempt.deployment());
        let link = &group.links[attempt.index()];
        let mock = terms.mock.as_deref().or(link.mock.as_deref());
        let mut trial = Trial::new(
            attempt,
            Arc::clone(&link.meters),
            Arc::clone(&self.deps.clock),
            self.page(group, call, terms, mock),
        );
        let input_estimate = estimate(call).input;
        if terms.hedged {
            trial.note_usage(TokenUsage {
                input: input_estimate,
                provenance: Provenance::Counted,
                ..TokenUsage::default()
            });
        }
        let Terms {
            began,
            clocks,
            deadline,
            ..
        } = *terms;
        let exchange = Exchange {
            group,
            link,
            mock,
            deployment: &deployment,
            clocks,
            call,
            deadline,
            clock: &*self.deps.clock,
            input_estimate,
        };
        let committed = exchange.run(trial, began, alarm).await?;
        // A limit that the request sets itself, and that the deployment's own would not have been, is not held against it.
        let own = &deployment.clocks;
        let clock =
            |name, limit: Duration, own: Duration| if limit < own { "request" } else { name };
        let total = began + clocks.total;
        let (at, clock_of_end, limit) = if deadline < total {
            (deadline, "request", terms.limit)
        } else {
            (total, clock("total", clocks.total, own.total), clocks.total)
        };
        let end = End {
            at,
            clock: clock_of_end,
            limit,
            gap: clocks.gap,
            gap_clock: clock("gap", clocks.gap, own.gap),
        };
        Ok((committed, end))
    }
}

impl Terms {
    pub(super) fn of(attempt: &Attempt, began: Instant, journey: &Journey) -> Self {
        Self {
            began,
            clocks: journey.clocks(&attempt.deployment().clocks),
            deadline: journey.deadline,
            limit: journey.deadline - journey.began,
            mock: journey
                .overrides()
                .and_then(|own| own.mock_response.clone()),
            hedged: false,
            number: journey.made,
            caller: journey.caller.clone(),
        }
    }

    /// Of an attempt that another one may overtake.
    pub(super) fn hedged(attempt: &Attempt, began: Instant, journey: &Journey) -> Self {
        Self {
            hedged: true,
            ..Self::of(attempt, began, journey)
        }
    }
}
