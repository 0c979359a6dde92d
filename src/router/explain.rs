//! What [`Router::begin`] would do at this moment, and why, without doing it.
//!
//! The choice is made by the very code that makes it for a request, with a copy of the dice: nothing is counted in, and a
//! request that comes next throws what was thrown here. The fields are those of `docs/explain.md`, by the same names.

use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::cooldown::Readiness;
use super::row::{Candidate, Question, Row};
use super::strategy::Number;
use super::{Ask, Choice, Desk, Router, Why};
use crate::types::Cost;

/// How one deployment came to be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// The strategy picked it among several.
    Strategy,
    /// It has answered the conversation before.
    Affinity,
    /// No other was left to pick from.
    OnlyOne,
    /// All are cooling, and this one is back first.
    LeastBad,
}

impl By {
    /// The word for it in headers and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Strategy => "strategy",
            Self::Affinity => "affinity",
            Self::OnlyOne => "only_one",
            Self::LeastBad => "least_bad",
        }
    }
}

/// What a router would do with a request.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Decision {
    /// The group.
    #[serde(serialize_with = "text")]
    pub group: Arc<str>,
    /// The strategy's name in the configuration.
    pub strategy: &'static str,
    /// What the strategy looks at, the number that counts first in front.
    pub compares: &'static [Number],
    /// All deployments, in the order of the file.
    pub deployments: Vec<Considered>,
    /// The one to be tried; `None` if none can be.
    pub chosen: Option<Chosen>,
}

/// A deployment that was chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Chosen {
    /// Its id.
    #[serde(serialize_with = "text")]
    pub deployment: Arc<str>,
    /// How.
    pub by: By,
    /// The request has tried it before, and there is no other.
    pub again: bool,
    /// Its place in the group.
    #[serde(skip)]
    pub index: usize,
}

/// A deployment that might have been chosen.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Considered {
    /// Its id.
    #[serde(serialize_with = "text")]
    pub deployment: Arc<str>,
    /// Whether the strategy was shown it.
    pub kept: bool,
    /// Why not.
    #[serde(rename = "reason")]
    pub dropped: Option<Dropped>,
    /// Its priority, if it has one.
    pub order: Option<u32>,
    /// Its cooldown is over, and the request would be the one that goes first.
    pub probe: bool,
    /// What is known of it in numbers.
    pub numbers: Numbers,
}

/// Why a deployment was left out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Dropped {
    /// The reason.
    #[serde(flatten)]
    pub reason: Reason,
    /// Seconds until it is over, as far as that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub back_in_seconds: Option<f64>,
}

/// The reasons there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Reason {
    /// It sits out after a failure.
    Cooling {
        /// Of that kind.
        cause: &'static str,
    },
    /// Its cooldown is over, and another request goes first.
    Probing,
    /// It began as many requests of this minute as it may.
    OverRpm {
        /// The limit.
        limit: u64,
        /// Begun.
        used: u64,
    },
    /// The tokens of this minute leave no room for this request's.
    OverTpm {
        /// The limit.
        limit: u64,
        /// Used and reserved.
        used: u64,
        /// What this request is estimated at.
        needed: u64,
    },
    /// Nobody can say how much of its limits is used, and it is not to be used then.
    Uncounted,
    /// As many requests are in flight as it may have.
    OverMaxParallelRequests {
        /// The limit.
        limit: u32,
    },
    /// It can't do what the request asks.
    Unfit,
    /// Its tags are not those the request asks for.
    Tag,
    /// It is not in the region the request asks for.
    Region {
        /// Whether it says where it is.
        known: bool,
    },
    /// The prompt is longer than its model takes.
    Context {
        /// The longest prompt in tokens.
        limit: u64,
        /// This one's, counted or estimated.
        needed: u64,
    },
    /// Its model is known to lack an ability.
    Lacks {
        /// `tools`, `images` or `json_schema`.
        ability: &'static str,
    },
    /// Its dialect has no words for something in the request.
    Unsupported {
        /// The request's member.
        param: String,
        /// What would work.
        message: String,
    },
    /// The request has tried it, and there is one that it has not.
    Tried,
    /// Another one's `order` is lower.
    Order {
        /// The lowest of those that could take the request.
        lowest: u32,
    },
    /// It was out at the moment of the choice, and has come back since.
    JustBack,
}

/// A deployment's numbers, in the units of their names.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Numbers {
    /// Share in simple-shuffle.
    pub weight: Option<f64>,
    /// Limit of requests per minute.
    pub rpm: Option<u64>,
    /// Limit of tokens per minute.
    pub tpm: Option<u64>,
    /// Limit of requests in flight.
    pub max_parallel_requests: Option<u32>,
    /// Requests under way.
    pub in_flight: u32,
    /// Expected latency of this kind of request; `None`: untested.
    pub latency_seconds: Option<f64>,
    /// Requests begun in this minute.
    pub minute_requests: u64,
    /// Tokens used or reserved in this minute.
    pub minute_tokens: u64,
    /// Tokens since the start.
    pub total_tokens: u64,
    /// Spend since the start.
    pub spent_dollars: f64,
    /// What this request would cost there, estimated; `None`: price unknown.
    pub cost_dollars: Option<f64>,
}

/// A router's picks without their effects: each `choose` turns its own copy of the dice.
#[derive(Debug)]
pub struct Rehearsal<'a> {
    router: &'a Router,
    desk: Desk,
    /// The last choice, where the conversation would be by now.
    last: Option<usize>,
}

impl Rehearsal<'_> {
    /// The deployment [`Router::begin`] would pick next.
    pub fn choose(&mut self, ask: &Ask<'_>) -> Option<Chosen> {
        let remembered = match (self.last, ask.conversation) {
            (Some(last), Some(_)) => Some(last),
            _ => self.router.desk().remembered(ask),
        };
        let question = Question::of(ask);
        let choice = self.router.choose(&question, &mut self.desk, remembered);
        let Choice { index, by, .. } = choice?;
        if self.router.desk().conversations.is_some() {
            self.last = Some(index);
        }
        Some(Chosen {
            deployment: self.router.id(index),
            by,
            again: ask.tried.contains(&index),
            index,
        })
    }

    /// The same, and why.
    pub fn explain(&mut self, ask: &Ask<'_>) -> Decision {
        let (router, question) = (self.router, Question::of(ask));
        let kept = router.eligible(&question, &mut self.desk.eligible).to_vec();
        Decision {
            group: Arc::clone(&router.group),
            strategy: router.strategy.kind().name(),
            compares: router.strategy.compares(),
            deployments: (0..router.rows.len())
                .map(|index| router.considered(index, &kept, &question))
                .collect(),
            chosen: self.choose(ask),
        }
    }
}

impl Router {
    /// What [`Router::begin`] would do with this request. Changes nothing, and the request that comes next gets what
    /// is chosen here.
    #[must_use]
    pub fn explain(&self, ask: &Ask<'_>) -> Decision {
        self.rehearse().explain(ask)
    }

    /// For several picks in a row, as of one request whose attempts fail. They are exact as long as there are
    /// deployments that were not tried; of one that failed nobody knows beforehand what its numbers will be.
    #[must_use]
    pub fn rehearse(&self) -> Rehearsal<'_> {
        // A copy, so that requests don't wait while this one is looked at.
        Rehearsal {
            router: self,
            desk: self.desk().copy(),
            last: None,
        }
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn considered(&self, index: usize, kept: &[usize], question: &Question<'_>) -> Considered {
        let row = &self.rows[index];
        let numbers = Numbers::of(row, question);
        let is_kept = kept.contains(&index);
        let dropped = (!is_kept).then(|| match self.ineligible(index, question) {
            Some((why, back_in)) => Dropped {
                reason: Reason::of(why, question),
                back_in_seconds: back_in.as_ref().map(Duration::as_secs_f64),
            },
            None => Dropped {
                reason: self.passed_over(index, kept, question),
                back_in_seconds: None,
            },
        });
        Considered {
            deployment: self.id(index),
            kept: is_kept,
            dropped,
            order: Some(row.order).filter(|order| *order < u32::MAX),
            probe: row.scores.readiness(question.ask.now) == Readiness::Probe,
            numbers,
        }
    }

    /// Why one that could take the request was not shown to the strategy.
    fn passed_over(&self, index: usize, kept: &[usize], question: &Question<'_>) -> Reason {
        let tried = |index: &usize| question.ask.tried.contains(index);
        let lowest = kept.iter().map(|kept| self.rows[*kept].order).min();
        match lowest {
            Some(_) if tried(&index) && !kept.iter().any(tried) => Reason::Tried,
            Some(lowest) if lowest < self.rows[index].order => Reason::Order { lowest },
            _ => Reason::JustBack,
        }
    }

    fn id(&self, index: usize) -> Arc<str> {
        Arc::clone(&self.deployments[index].target.id)
    }
}

impl Reason {
    fn of(why: Why, question: &Question<'_>) -> Self {
        match why {
            Why::Cooling(fault) => Self::Cooling {
                cause: fault.name(),
            },
            Why::Probing => Self::Probing,
            Why::OverRpm { limit, used } => Self::OverRpm { limit, used },
            Why::OverTpm { limit, used } => Self::OverTpm {
                limit,
                used,
                needed: question.reserve,
            },
            Why::Uncounted => Self::Uncounted,
            Why::Full { limit } => Self::OverMaxParallelRequests { limit },
            Why::Unfit => Self::Unfit,
            Why::Tag => Self::Tag,
            Why::Region { known } => Self::Region { known },
            Why::Context { limit, needed } => Self::Context { limit, needed },
            Why::Lacks(ability) => Self::Lacks { ability },
        }
    }
}

impl Numbers {
    fn of(row: &Row, question: &Question<'_>) -> Self {
        let candidate = Candidate::new(row, question);
        Self {
            weight: candidate.weight(),
            rpm: candidate.rpm(),
            tpm: candidate.tpm(),
            max_parallel_requests: Some(row.limits.in_flight).filter(|n| *n < u32::MAX),
            in_flight: candidate.in_flight(),
            latency_seconds: candidate.log2_latency().map(f64::exp2),
            minute_requests: row.scores.minute(question.minute).requests,
            minute_tokens: candidate.minute_tokens(),
            total_tokens: candidate.total_tokens(),
            spent_dollars: candidate.spent().as_dollars(),
            cost_dollars: candidate.cost().map(Cost::as_dollars),
        }
    }
}

fn text<S: Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}
