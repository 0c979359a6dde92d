//! What is written down when a request is over: its series, one line in the log, and its place among the last decisions.
//!
//! A [`Record`] does that when it is dropped, so that a client that leaves is written down like everything else. Prompts,
//! keys and bodies never get here.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use tokio::time::Instant;

use super::classify::Rejection;
use super::decisions::{Decided, Decisions, Tried, bounded};
use super::error::{Cause, Failure};
use super::snapshot::Group;
use super::trial::Trial;
use crate::access_log::{AccessLog, Field, key};
use crate::clock::{Clock, Moment};
use crate::router::Attempt;
use crate::types::{Cost, Fault, Operation, TokenUsage};

/// One request's line in the log, and its series.
#[derive(Debug)]
pub struct Record {
    /// The request's id.
    pub id: Arc<str>,
    /// Its kind.
    pub operation: Operation,
    /// The caller's name, if keys are in use.
    pub caller: Option<Arc<str>>,
    /// The group, once known.
    pub group: Option<Arc<Group>>,
    /// The deployment that answered: its id, and that as a header.
    pub deployment: Option<(Arc<str>, HeaderValue)>,
    /// Attempts made.
    pub attempts: u32,
    /// Whether it is a stream.
    pub stream: bool,
    /// From the cache.
    pub cache: &'static str,
    /// Status, once known.
    pub status: u16,
    /// `ok`, or what went wrong; `cancelled` until something else is known.
    pub outcome: &'static str,
    /// Time to the first content of the attempt that answered.
    pub first_content: Option<Duration>,
    /// Its tokens.
    pub usage: TokenUsage,
    /// Their cost.
    pub cost: Option<Cost>,
    /// The failed attempts, in words.
    pub failures: String,
    /// The same in short, for a header: `deployment=verdict`.
    pub tried: String,
    /// How the deployment of the last attempt came to be chosen.
    pub by: &'static str,
    /// Groups asked besides the first.
    pub fallbacks: usize,
    /// The attempt that answered was made beside another one, and overtook it.
    pub hedge_won: bool,
    /// The group that was asked for, if another one was asked since.
    pub asked: Option<Arc<Group>>,
    /// When it came.
    pub began: Moment,
    /// When it was over, if that is known before it is dropped.
    pub ended: Option<Instant>,
    clock: Arc<dyn Clock>,
    log: Option<Arc<AccessLog>>,
    kept: Option<Box<Kept>>,
}

/// What only the list of decisions wants to know.
#[derive(Debug)]
struct Kept {
    decisions: Arc<Decisions>,
    /// The name that was asked for.
    model: String,
    /// The groups before the present one.
    groups: Vec<Arc<str>>,
    /// What failed.
    tried: Vec<Tried>,
    /// How many attempts had been made when the last failure was noted.
    failed_at: u32,
}

impl Record {
    /// A request begins.
    #[must_use]
    pub fn begin(
        id: Arc<str>,
        operation: Operation,
        caller: Option<Arc<str>>,
        clock: Arc<dyn Clock>,
        log: Option<Arc<AccessLog>>,
    ) -> Self {
        Self {
            id,
            operation,
            caller,
            group: None,
            deployment: None,
            attempts: 0,
            stream: false,
            cache: "off",
            status: 0,
            outcome: "cancelled",
            first_content: None,
            usage: TokenUsage::default(),
            cost: None,
            failures: String::new(),
            tried: String::new(),
            by: "none",
            fallbacks: 0,
            hedge_won: false,
            asked: None,
            began: clock.moment(),
            ended: None,
            clock,
            log,
            kept: None,
        }
    }

    /// It is to be listed in `decisions` when it is over.
    pub fn keep_in(&mut self, decisions: &Arc<Decisions>) {
        self.kept = Some(Box::new(Kept {
            decisions: Arc::clone(decisions),
            model: String::new(),
            groups: Vec::new(),
            tried: Vec::new(),
            failed_at: 0,
        }));
    }

    /// The name it asks for.
    pub fn asked_for(&mut self, model: &str) {
        if let Some(kept) = &mut self.kept {
            kept.model = bounded(model);
        }
    }

    /// What there is to say of the attempt that answers.
    pub fn note(&mut self, trial: &Trial, usage: TokenUsage) {
        self.first_content = trial.first_content();
        self.usage = usage;
        self.cost = trial.cost();
    }

    /// An attempt at a deployment of `group` begins.
    pub fn begin_attempt(&mut self, group: &Group, attempt: &Attempt) {
        self.by = attempt.by().name();
        self.at(group, attempt.index());
    }

    fn at(&mut self, group: &Group, index: usize) {
        let id = &group.router.deployments()[index].target.id;
        self.deployment = Some((Arc::clone(id), group.links[index].header.clone()));
    }

    /// Of two attempts made side by side that one has won.
    pub fn won(&mut self, group: &Group, index: usize, second: bool) {
        self.at(group, index);
        self.hedge_won = second;
    }

    /// An attempt has failed.
    pub fn failed(&mut self, failure: &Failure) {
        let status = match &failure.cause {
            Cause::Answer(answer) => format!(" {}", answer.status.as_u16()),
            Cause::Clock { .. } | Cause::Transport(_) => String::new(),
        };
        let verdict = format!("{}{status}", failure.fault.name());
        self.tried(&failure.deployment, &verdict);
        join(&mut self.failures, "; ", &failure.brief());
    }

    /// An attempt was refused as such.
    pub fn rejected(&mut self, group: &Group, index: usize, rejection: Rejection) {
        let deployment = &group.router.deployments()[index].target.id;
        self.tried(deployment, rejection.name());
    }

    /// `what` was tried, and that came of it.
    pub fn tried(&mut self, what: &str, verdict: &str) {
        let text = format!("{}={verdict}", visible(what));
        join(&mut self.tried, ", ", &text);
        if let Some(kept) = &mut self.kept {
            kept.failed_at = self.attempts;
            kept.tried.push(Tried {
                group: id(self.group.as_ref()),
                deployment: bounded(what).into(),
                verdict: Cow::Owned(verdict.to_owned()),
            });
        }
    }

    /// Another group's turn.
    pub fn fall_back(&mut self, group: &Arc<Group>, fallbacks: usize) {
        if let Some(kept) = &mut self.kept {
            kept.groups.push(id(self.group.as_ref()));
        }
        let before = self.group.replace(Arc::clone(group));
        self.asked = self.asked.take().or(before);
        self.fallbacks = fallbacks;
        self.deployment = None;
    }

    /// Why it went where it went.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        if self.cache == "hit" {
            "cache"
        } else if self.hedge_won {
            "hedge"
        } else if self.fallbacks > 0 {
            "fallback"
        } else if self.attempts > 1 {
            "retry"
        } else {
            self.by
        }
    }

    /// What is kept of it now that it is over.
    fn decided(&self, kept: Kept, total: Duration) -> (Arc<Decisions>, Decided) {
        let Kept {
            decisions,
            model,
            mut groups,
            tried: mut attempts,
            failed_at,
        } = kept;
        groups.extend(self.group.as_ref().map(|group| Arc::clone(&group.id)));
        let deployment = self.deployment.as_ref().map(|(id, _)| Arc::clone(id));
        if let Some(deployment) = deployment.clone().filter(|_| self.attempts > failed_at) {
            attempts.push(Tried {
                group: id(self.group.as_ref()),
                deployment,
                verdict: Cow::Borrowed(self.outcome),
            });
        }
        let decided = Decided {
            request: Arc::clone(&self.id),
            time: self.began.unix,
            caller: self.caller.clone(),
            operation: self.operation.name(),
            model,
            groups,
            strategy: self.group.as_ref().map(|g| g.settings.strategy.name()),
            attempts,
            deployment,
            reason: self.reason(),
            cache: self.cache,
            outcome: self.outcome,
            status: self.status,
            stream: self.stream,
            first_content_seconds: self.first_content.as_ref().map(Duration::as_secs_f64),
            total_seconds: total.as_secs_f64(),
            input_tokens: self.usage.input,
            output_tokens: self.usage.output,
            cost_dollars: self.cost.map(Cost::as_dollars),
        };
        (decisions, decided)
    }

    /// It ended as that fault would have it.
    pub fn broke(&mut self, fault: Fault) {
        self.outcome = "broken_stream";
        self.failures = fault.name().to_owned();
    }
}

fn id(group: Option<&Arc<Group>>) -> Arc<str> {
    group.map(|group| Arc::clone(&group.id)).unwrap_or_default()
}

fn join(text: &mut String, between: &str, more: &str) {
    if !text.is_empty() {
        text.push_str(between);
    }
    text.push_str(more);
}

/// What a header can't hold, as `?`.
fn visible(text: &str) -> String {
    // A name may be the client's, and of any length.
    text.chars()
        .take(100)
        .map(|c| if matches!(c, ' '..='~') { c } else { '?' })
        .collect()
}

impl Drop for Record {
    fn drop(&mut self) {
        let ended = self.ended.unwrap_or_else(|| self.clock.now());
        let total = ended.duration_since(self.began.now);
        let name = self
            .group
            .as_ref()
            .map(|group| &*group.id)
            .unwrap_or_default();
        // Counted as what was asked for: that is whose promise was kept or not.
        let asked = self.asked.as_ref().or(self.group.as_ref());
        if let Some(group) = asked {
            group
                .meters
                .request(self.operation, self.outcome, total.as_secs_f64());
            group.meters.cache(self.cache);
        }
        if let Some(kept) = self.kept.take() {
            let (decisions, decided) = self.decided(*kept, total);
            decisions.push(decided);
        }
        let Some(log) = &self.log else { return };
        let ms = |d: Duration| d.as_secs_f64() * 1000.0;
        let fields = [
            (key!("request"), Field::Word(&self.id)),
            (
                key!("caller"),
                Field::Text(self.caller.as_deref().unwrap_or_default()),
            ),
            (key!("operation"), Field::Word(self.operation.name())),
            (key!("group"), Field::Text(name)),
            (
                key!("asked"),
                Field::Text(
                    self.asked
                        .as_ref()
                        .map(|group| &*group.id)
                        .unwrap_or_default(),
                ),
            ),
            (
                key!("deployment"),
                Field::Text(
                    self.deployment
                        .as_ref()
                        .map(|(id, _)| &**id)
                        .unwrap_or_default(),
                ),
            ),
            (key!("status"), Field::Count(self.status.into())),
            (key!("outcome"), Field::Word(self.outcome)),
            (
                key!("strategy"),
                Field::Text(
                    self.group
                        .as_ref()
                        .map(|group| group.settings.strategy.name())
                        .unwrap_or_default(),
                ),
            ),
            (key!("reason"), Field::Word(self.reason())),
            (key!("attempts"), Field::Count(self.attempts.into())),
            (key!("stream"), Field::Flag(self.stream)),
            (key!("cache"), Field::Word(self.cache)),
            (
                key!("first_content_ms"),
                Field::Number(self.first_content.map(ms)),
            ),
            (key!("total_ms"), Field::Number(Some(ms(total)))),
            (key!("input_tokens"), Field::Count(self.usage.input)),
            (key!("output_tokens"), Field::Count(self.usage.output)),
            (
                key!("cost_dollars"),
                Field::Number(self.cost.map(Cost::as_dollars)),
            ),
            (key!("failures"), Field::Text(&self.failures)),
        ];
        log.line(self.began.unix + total, &fields);
    }
}
