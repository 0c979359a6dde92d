//! From ledgers to everyone's totals in Redis: at least once on the way, added once there.
//!
//! Records go in the order of their numbers, many at a time, as sums by day and [`Account`]. Redis keeps how far each ledger
//! is added, next to the totals, and one script changes both. So what is sent again is recognised by its numbers; what
//! Redis has lost, or a failover has set back, is missed by them, and is sent again from there, as far as the ledger's
//! segments are kept.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Line;
use crate::redis::{Call, Lua, Redis, StoreError, Urgency};
use crate::usage::totals::{Account, Day, Sums};
use ::redis::{FromRedisValue, Value, cmd};

static SHIP: Lua = Lua::new(include_str!("ship.lua"));

/// What all keys of the totals share.
const TAG: &str = "ledger";
/// For how many days totals are kept.
pub const KEPT: u32 = 400;

/// What one account has used in a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sum {
    /// The day, in UTC.
    pub day: Day,
    /// Whose.
    pub account: Account,
    /// How much.
    pub sums: Sums,
}

/// The sums of consecutive records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shipment {
    /// The ledger they are of.
    pub ledger: Arc<str>,
    /// The first one's number.
    pub from: u64,
    /// The last one's.
    pub to: u64,
    /// Records before the first are gone for good: a gap is no loss.
    pub is_first: bool,
    sums: BTreeMap<(Day, Account), Sums>,
}

impl Shipment {
    /// Of one record.
    #[must_use]
    pub fn of(line: &Line, is_first: bool) -> Self {
        let mut shipment = Self {
            ledger: Arc::clone(&line.ledger),
            from: line.number,
            to: line.number,
            is_first,
            sums: BTreeMap::new(),
        };
        shipment.count(line);
        shipment
    }

    /// Adds the record that follows. False if that is not the next one of this ledger.
    #[must_use]
    pub fn add(&mut self, line: &Line) -> bool {
        let follows = line.number == self.to + 1 && line.ledger == self.ledger;
        if follows {
            self.to = line.number;
            self.count(line);
        }
        follows
    }

    /// How many sums there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sums.len()
    }

    /// Whether there is nothing to add.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sums.is_empty()
    }

    fn count(&mut self, line: &Line) {
        let entry = &line.entry;
        let of = (Day::of_ms(entry.began_ms), Account::of(entry));
        self.sums.entry(of).or_default().add(&Sums::of(entry));
    }

    /// The sums, by day and account.
    pub fn sums(&self) -> impl Iterator<Item = Sum> {
        self.sums.iter().map(|((day, account), sums)| Sum {
            day: *day,
            account: account.clone(),
            sums: *sums,
        })
    }

    fn call(&self, redis: &Redis) -> Call {
        let mut keys = vec![redis.key(TAG, "positions")];
        let mut days: Vec<Day> = self.sums.keys().map(|(day, _)| *day).collect();
        days.dedup();
        keys.extend(days.iter().map(|day| redis.key(TAG, &day_name(*day))));
        let old = days.iter().map(|day| Day(day.0.saturating_sub(KEPT)));
        keys.extend(old.map(|day| redis.key(TAG, &day_name(day))));
        let mut args = vec![
            self.ledger.as_bytes().to_vec(),
            self.from.to_string().into_bytes(),
            self.to.to_string().into_bytes(),
            u8::from(self.is_first).to_string().into_bytes(),
            days.len().to_string().into_bytes(),
        ];
        for ((day, account), sums) in &self.sums {
            let place = days.iter().position(|known| known == day).unwrap_or(0);
            // Behind the positions, and counted from 1.
            let key = (place + 2).to_string();
            for (name, amount) in sums.numbers() {
                args.push(key.clone().into_bytes());
                args.push(field(account, name).into_bytes());
                args.push(amount.to_string().into_bytes());
            }
        }
        Call {
            script: &SHIP,
            keys,
            args,
        }
    }
}

fn day_name(day: Day) -> String {
    format!("day:{day}")
}

/// A field of a day's totals. Names are JSON, in which there is no line feed.
fn field(account: &Account, number: &str) -> String {
    // Texts do not fail to be written.
    let account = serde_json::to_string(account).unwrap_or_default();
    format!("{account}\n{number}")
}

fn read_field(field: &str) -> Option<(Account, &str)> {
    let (account, number) = field.split_once('\n')?;
    Some((serde_json::from_str(account).ok()?, number))
}

/// How far that ledger is added, in Redis. Nothing yet: 0.
///
/// # Errors
/// See [`StoreError`].
pub async fn position(redis: &Redis, ledger: &str) -> Result<u64, StoreError> {
    let mut get = cmd("HGET");
    get.arg(redis.key(TAG, "positions")).arg(ledger);
    let value = redis.command(Urgency::Background, &get).await?;
    number(value).map(|found| found.unwrap_or(0))
}

/// Adds a shipment, unless it was added before. Returns the ledger's last record that is added: the shipment's own, or
/// the one behind which to go on.
///
/// # Errors
/// See [`StoreError`]. It may be added all the same; sent again, it is recognised.
pub async fn ship(redis: &Redis, shipment: &Shipment) -> Result<u64, StoreError> {
    let calls = [shipment.call(redis)];
    let mut answers = redis.eval(Urgency::Background, &calls).await?;
    let answer = answers.pop().unwrap_or(Err(StoreError::Unavailable))?;
    number(answer).map(|last| last.unwrap_or(0))
}

/// Everyone's sums of one day.
///
/// # Errors
/// See [`StoreError`].
pub async fn day(redis: &Redis, day: Day) -> Result<Vec<Sum>, StoreError> {
    let mut get = cmd("HGETALL");
    get.arg(redis.key(TAG, &day_name(day)));
    let value = redis.command(Urgency::Background, &get).await?;
    let fields: Vec<(String, u64)> = Vec::from_redis_value(value).map_err(|error| wrong(&error))?;
    let mut all: BTreeMap<Account, Sums> = BTreeMap::new();
    for (text, number) in &fields {
        // What can't be read is of a later version.
        if let Some((account, name)) = read_field(text) {
            all.entry(account).or_default().set(name, *number);
        }
    }
    let sum = |(account, sums)| Sum { day, account, sums };
    Ok(all.into_iter().map(sum).collect())
}

fn number(value: Value) -> Result<Option<u64>, StoreError> {
    Option::from_redis_value(value).map_err(|error| wrong(&error))
}

fn wrong(error: &impl ToString) -> StoreError {
    StoreError::Refused(error.to_string())
}

#[cfg(test)]
mod tests;
