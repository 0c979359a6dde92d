//! What replicas tell each other of one deployment.

use std::sync::Arc;
use std::time::Duration;

use super::{Fault, Totals};

/// How many times were measured, and their sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Samples {
    /// How many.
    pub count: u64,
    /// All of them together, in microseconds.
    pub micros: u64,
}

/// What lasts of the counts of one deployment. Each of them only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lasting {
    /// Tokens.
    pub tokens: u64,
    /// Pico-dollars, as far as prices are known.
    pub spent: u64,
    /// Latency of plain answers (per token) and of streams (to the first content).
    pub latency: [Samples; 2],
}

impl Lasting {
    /// How many numbers it consists of.
    pub const LEN: usize = 6;

    /// As numbers; [`Lasting::from_numbers`] takes them in the same order.
    #[must_use]
    pub const fn numbers(&self) -> [u64; Self::LEN] {
        let [plain, stream] = self.latency;
        [
            self.tokens,
            self.spent,
            plain.count,
            plain.micros,
            stream.count,
            stream.micros,
        ]
    }

    /// Of [`Lasting::numbers`].
    #[must_use]
    pub const fn from_numbers([tokens, spent, n, sum, count, micros]: [u64; Self::LEN]) -> Self {
        let plain = Samples {
            count: n,
            micros: sum,
        };
        Self {
            tokens,
            spent,
            latency: [plain, Samples { count, micros }],
        }
    }

    /// What of this is not in `other`; a number that is smaller than the other's is nothing.
    #[must_use]
    pub fn beyond(&self, other: &Self) -> Self {
        let (own, other) = (self.numbers(), other.numbers());
        Self::from_numbers(std::array::from_fn(|i| own[i].saturating_sub(other[i])))
    }
}

/// A deadline that one replica tells the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// It is new: so much time is left.
    Left(Duration),
    /// By the store's own clock, in milliseconds: as the store has called it before.
    Known(u64),
}

/// This replica's part of one deployment's numbers: always all of it, never a difference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Own {
    /// Since this replica began under its present name.
    pub lasting: Lasting,
    /// Of the minute the message is of; `None` says nothing about it, and what was said before holds.
    pub minute: Option<Totals>,
    /// What it knows to have reserved of the same minute, if that is reserved. Where the store holds more of it, that is on
    /// its way, and counts as this replica's part too.
    pub reserved: Option<Totals>,
    /// Requests under way.
    pub in_flight: u32,
    /// A cooldown this replica decided.
    pub cooling: Option<(Until, Fault)>,
}

/// Everyone's numbers of one deployment, this replica's included but for `in_flight`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct All {
    /// Of all replicas there ever were.
    pub lasting: Lasting,
    /// Of the minute the message was of.
    pub minute: Totals,
    /// Requests that the *other* replicas have under way.
    pub in_flight: u32,
    /// The latest cooldown anyone decided, if it is not over: its deadline by the store's clock in milliseconds, what is
    /// left of it, and its cause.
    pub cooling: Option<(u64, Duration, Fault)>,
}

/// What a replica says of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The group.
    pub group: Arc<str>,
    /// Who says it: a name that no other replica has, nor this one after it was silent for long.
    pub replica: Arc<str>,
    /// Its messages are numbered upwards, so that one that comes late or again is void.
    pub number: u64,
    /// The name must be known already: it has been so long that the store may have dropped it.
    pub known: bool,
    /// The last one: this replica goes.
    pub last: bool,
    /// How long a replica that is not heard of counts as alive.
    pub lease: Duration,
    /// The minute that [`Own::minute`] is of, by its number since the epoch on the store's clock.
    pub minute: u64,
    /// Its part of each deployment, by id.
    pub deployments: Vec<(Arc<str>, Own)>,
}

/// What it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It was heard.
    Heard(Everyone),
    /// It had said later things already; nothing has changed.
    Late,
    /// Its name is not known, although it should be; nothing has changed.
    Unknown,
}

/// Everyone's numbers of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Everyone {
    /// The time on the store's clock.
    pub unix: Duration,
    /// Other replicas that are alive.
    pub others: u64,
    /// When the store's totals were begun, in milliseconds by its clock: another value says that it has lost what it was
    /// told before.
    pub since: u64,
    /// In the order of the message.
    pub deployments: Vec<All>,
}
