//! From ledgers to everyone's totals in Redis: at least once on the way, added once there.
//!
//! Records go in the order of their numbers, many at a time, as sums by day and [`Account`]. Redis keeps how far each ledger
//! is added, next to the totals, and one script changes both. So what is sent again is recognised by its numbers; what
//! Redis has lost, or a failover has set back, is missed by them, and is sent again from there, as far as the ledger's
//! segments are kept.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ::redis::{FromRedisValue, Value, cmd};
use serde::{Deserialize, Serialize};

use super::{Line, Outcome};
use crate::redis::{Call, Lua, Redis, StoreError, Urgency};
use crate::types::{Provenance, TokenBuckets};

static SHIP: Lua = Lua::new(include_str!("ship.lua"));

/// What all keys of the totals share.
const TAG: &str = "ledger";
/// How long a day's totals are kept after they were last added to.
const KEPT: Duration = Duration::from_secs(400 * 24 * 3600);
/// Seconds in a day.
const DAY: u64 = 24 * 3600;

/// Whose use it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Account {
    /// The group.
    pub group: Arc<str>,
    /// The deployment.
    pub deployment: Arc<str>,
    /// Its provider.
    pub provider: Arc<str>,
    /// Its model.
    pub model: Arc<str>,
    /// The client's key, where keys are in use.
    pub key: Option<Arc<str>>,
}

/// Numbers of attempts, by name.
pub type Numbers = BTreeMap<Arc<str>, u64>;

/// The numbers of one day and account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sum {
    /// Days since the Unix epoch, in UTC.
    pub day: u64,
    /// Whose.
    pub account: Account,
    /// How much.
    pub numbers: Numbers,
}

/// A number's name, and how much of it a record adds.
type Adds = (&'static str, fn(&Line) -> u64);

/// What a record adds besides its tokens by bucket.
const NUMBERS: [Adds; 9] = [
    ("attempts", |_| 1),
    ("requests", |line| (line.entry.attempt == 1).into()),
    ("ok", |line| (line.entry.outcome == Outcome::Ok).into()),
    ("refused", |line| {
        (line.entry.outcome == Outcome::Refused).into()
    }),
    ("failed", |line| {
        (line.entry.outcome == Outcome::Failed).into()
    }),
    ("cost_pico", |line| line.entry.cost_pico.unwrap_or(0)),
    ("unpriced_attempts", |line| unpriced(line).min(1)),
    ("unpriced_tokens", unpriced),
    ("counted_tokens", |line| match line.entry.provenance {
        Provenance::Counted => line.entry.tokens.total(),
        Provenance::Reported | Provenance::Unknown => 0,
    }),
];

fn unpriced(line: &Line) -> u64 {
    match line.entry.cost_pico {
        Some(_) => 0,
        None => line.entry.tokens.total(),
    }
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
    sums: BTreeMap<(u64, Account), Numbers>,
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
        let account = Account {
            group: Arc::clone(&entry.group),
            deployment: Arc::clone(&entry.deployment),
            provider: Arc::clone(&entry.provider),
            model: Arc::clone(&entry.model),
            key: entry.key.clone(),
        };
        let numbers = self
            .sums
            .entry((entry.began().as_secs() / DAY, account))
            .or_default();
        let own = NUMBERS.iter().map(|(name, of)| (*name, of(line)));
        let tokens = TokenBuckets::ALL
            .iter()
            .map(|(name, of)| (*name, of(&entry.tokens)));
        for (name, amount) in own.chain(tokens) {
            if amount > 0 {
                let sum = numbers.entry(name.into()).or_default();
                *sum = sum.saturating_add(amount);
            }
        }
    }

    /// The sums, by day and account.
    pub fn sums(&self) -> impl Iterator<Item = Sum> {
        self.sums.iter().map(|((day, account), numbers)| Sum {
            day: *day,
            account: account.clone(),
            numbers: numbers.clone(),
        })
    }

    fn call(&self, redis: &Redis) -> Call {
        let mut keys = vec![redis.key(TAG, "positions")];
        let mut args = vec![
            self.ledger.as_bytes().to_vec(),
            self.from.to_string().into_bytes(),
            self.to.to_string().into_bytes(),
            u8::from(self.is_first).to_string().into_bytes(),
            KEPT.as_secs().to_string().into_bytes(),
        ];
        let mut last = None;
        for ((day, account), numbers) in &self.sums {
            if last != Some(day) {
                last = Some(day);
                keys.push(redis.key(TAG, &day_name(*day)));
            }
            let key = keys.len().to_string();
            for (name, amount) in numbers {
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

fn day_name(day: u64) -> String {
    format!("day:{day}")
}

/// A field of a day's totals. Names are JSON, in which there is no line feed.
fn field(account: &Account, number: &str) -> String {
    let Account {
        group,
        deployment,
        provider,
        model,
        key,
    } = account;
    // Texts do not fail to be written.
    let names =
        serde_json::to_string(&(group, deployment, provider, model, key)).unwrap_or_default();
    format!("{names}\n{number}")
}

fn read_field(field: &str) -> Option<(Account, &str)> {
    let (names, number) = field.split_once('\n')?;
    let (group, deployment, provider, model, key) = serde_json::from_str(names).ok()?;
    let account = Account {
        group,
        deployment,
        provider,
        model,
        key,
    };
    Some((account, number))
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
pub async fn day(redis: &Redis, day: u64) -> Result<Vec<Sum>, StoreError> {
    let mut get = cmd("HGETALL");
    get.arg(redis.key(TAG, &day_name(day)));
    let value = redis.command(Urgency::Background, &get).await?;
    let fields: Vec<(String, u64)> = Vec::from_redis_value(value).map_err(|error| wrong(&error))?;
    let mut sums: BTreeMap<Account, Numbers> = BTreeMap::new();
    for (text, amount) in &fields {
        let Some((account, name)) = read_field(text) else {
            continue; // of a later version
        };
        sums.entry(account)
            .or_default()
            .insert(name.into(), *amount);
    }
    let sum = |(account, numbers)| Sum {
        day,
        account,
        numbers,
    };
    Ok(sums.into_iter().map(sum).collect())
}

fn number(value: Value) -> Result<Option<u64>, StoreError> {
    Option::from_redis_value(value).map_err(|error| wrong(&error))
}

fn wrong(error: &impl ToString) -> StoreError {
    StoreError::Refused(error.to_string())
}

#[cfg(test)]
mod tests;
