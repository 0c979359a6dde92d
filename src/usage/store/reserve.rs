//! A place within a limit that all replicas share, taken before an attempt is made.
//!
//! One script decides and counts, so that however many replicas ask at once, no minute has more than its limit; the minute
//! is that of Redis' clock. Of what is reserved and then not used, or used beyond it, the exchange tells.

use std::time::Duration;

use ::redis::Value;

use super::redis::{field, tag};
use crate::redis::{Call, Lua, Redis, StoreError, Urgency};
use crate::types::Totals;

/// The script.
static RESERVE: Lua = Lua::new(include_str!("reserve.lua"));

/// The largest number that Lua counts exactly up to. As a limit it is none.
const MOST: u64 = (1 << 53) - 1;

/// One deployment that would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wish<'a> {
    /// Its id.
    pub deployment: &'a str,
    /// Requests it may have in a minute; the largest number: any.
    pub rpm: u64,
    /// Tokens it may have in a minute; the largest number: any.
    pub tpm: u64,
}

/// What became of the wishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    /// Which one has a place now; `None`: all of them were full.
    pub taken: Option<usize>,
    /// Redis' clock, since the epoch: the place is one of its minute.
    pub unix: Duration,
    /// What each one that was asked had before, in the order of the wishes. Behind the one taken nobody was asked.
    pub had: Vec<Totals>,
}

/// The key of a group's minutes, without the number of one.
#[must_use]
pub fn minutes_key(redis: &Redis, group: &str) -> String {
    redis.key(&tag(group), "minute")
}

/// The call that takes a place at the first of `wishes` that has one, for a request of about so many `tokens`. `minutes` is
/// the [`minutes_key`] of the group.
#[must_use]
pub fn call<'a>(
    minutes: &str,
    replica: &str,
    tokens: u64,
    wishes: impl IntoIterator<Item = Wish<'a>>,
) -> Call {
    let number = |n: u64| n.min(MOST).to_string().into_bytes();
    let mut args = vec![replica.into(), number(tokens)];
    for wish in wishes {
        let deployment = field(wish.deployment).into_bytes();
        args.extend([deployment, number(wish.rpm), number(wish.tpm)]);
    }
    Call {
        script: &RESERVE,
        keys: vec![minutes.to_owned()],
        args,
    }
}

/// Runs a [`call`], as long as a request waits.
///
/// # Errors
/// See [`StoreError`]. After a timeout or a broken connection the place may have been taken all the same; it is nobody's
/// then until the minute is over.
pub async fn reserve(redis: Redis, call: Call) -> Result<Reservation, StoreError> {
    let answers = redis.eval(Urgency::Request, &[call]).await?;
    let answer = answers.into_iter().next().ok_or_else(unknown)??;
    read(&answer).ok_or_else(unknown)
}

fn unknown() -> StoreError {
    StoreError::Refused("the answer to a reservation has another form".to_owned())
}

fn read(answer: &Value) -> Option<Reservation> {
    let Value::Array(numbers) = answer else {
        return None;
    };
    let numbers: Vec<u64> = numbers
        .iter()
        .map(|number| match number {
            Value::Int(n) => u64::try_from(*n).ok(),
            _ => None,
        })
        .collect::<Option<_>>()?;
    let [taken, micros, counts @ ..] = numbers.as_slice() else {
        return None;
    };
    let (had, _) = counts.as_chunks();
    Some(Reservation {
        taken: usize::try_from(*taken).ok()?.checked_sub(1),
        unix: Duration::from_micros(*micros),
        had: had
            .iter()
            .map(|[requests, tokens]| Totals {
                requests: *requests,
                tokens: *tokens,
            })
            .collect(),
    })
}
