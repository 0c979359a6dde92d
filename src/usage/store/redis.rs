//! [`UsageStore`] in Redis: one script call for each group, all in one round trip where there is one server.
//!
//! Everything of a group is under the tag `group/<its id>`:
//!
//! | Key | Field | Holds |
//! |---|---|---|
//! | `totals` | `<deployment>\|<number>` | everyone's lasting numbers: `k` tokens, `s` pico-dollars, `pn` and `pu` count and microseconds of plain answers, `sn` and `su` of streams |
//! | | `<replica>\|<deployment>\|<number>` | one replica's part of that |
//! | | `since` | when these totals were begun |
//! | `replicas` | `<replica>` | `number\|seen\|here`, then `\|<deployment>\|<requests in flight>` where there are any |
//! | `cooling` | `<deployment>` | `deadline\|cause` |
//! | `minute:<n>` | `<deployment>\|r`, `<deployment>\|t` | everyone's requests and tokens of that minute; gone 3 minutes after the last exchange |
//! | | `<replica>\|<deployment>\|r`, … | one replica's part of that |
//! | | `<replica>\|<deployment>\|hr`, `…\|ht` | what it has reserved of that before it used it, with exact limits |
//!
//! Ids of deployments are written with `%25` for `%` and `%7C` for `|`. Times are the server's, in milliseconds.

use std::time::Duration;

use super::{MOST, UsageStore};
use crate::redis::{Call, Lua, Redis, StoreError, Urgency};
use crate::types::{All, Answer, Everyone, Fault, Lasting, Message, Own, Totals, Until};

static EXCHANGE: Lua = Lua::new(include_str!("exchange.lua"));

/// Numbers of one deployment in an answer.
const WIDTH: usize = Lasting::LEN + 5;

impl UsageStore for Redis {
    async fn exchange(
        &self,
        messages: &[Message],
    ) -> Result<Vec<Result<Answer, StoreError>>, StoreError> {
        let calls: Vec<_> = messages.iter().map(|message| call(self, message)).collect();
        let answers = self.eval(Urgency::Background, &calls).await?;
        let read = |(answer, message): (Result<::redis::Value, StoreError>, &Message)| {
            let answer = answer?;
            read(&answer, message.deployments.len())
                .ok_or_else(|| StoreError::Refused(format!("not an answer of ours: {answer:?}")))
        };
        Ok(answers.into_iter().zip(messages).map(read).collect())
    }
}

/// The tag of all keys of a group.
#[must_use]
pub fn tag(group: &str) -> String {
    format!("group/{group}")
}

/// The key of what is counted in the minute of that number.
#[must_use]
pub fn minute_key(redis: &Redis, group: &str, minute: u64) -> String {
    redis.key(&tag(group), &format!("minute:{minute}"))
}

/// A deployment's id as part of a field's name.
#[must_use]
pub fn field(id: &str) -> String {
    id.replace('%', "%25").replace('|', "%7C")
}

fn call(redis: &Redis, message: &Message) -> Call {
    let tag = tag(&message.group);
    let mut keys: Vec<_> = ["totals", "replicas", "cooling"]
        .iter()
        .map(|name| redis.key(&tag, name))
        .collect();
    keys.push(minute_key(redis, &message.group, message.minute));
    let flag = |is: bool| if is { "1" } else { "0" };
    let mut args = vec![
        message.replica.to_string(),
        message.number.to_string(),
        flag(message.known).to_owned(),
        flag(message.last).to_owned(),
        message.lease.as_millis().to_string(),
    ];
    for (id, own) in &message.deployments {
        args.push(field(id));
        write(own, &mut args);
    }
    Call {
        script: &EXCHANGE,
        keys,
        args: args.into_iter().map(String::into_bytes).collect(),
    }
}

fn write(own: &Own, args: &mut Vec<String>) {
    let number = |n: u64| n.min(MOST).to_string();
    args.extend(own.lasting.numbers().map(number));
    let minute = own.minute.map(|minute| [minute.requests, minute.tokens]);
    args.extend(minute.map_or_else(Default::default, |both| both.map(number)));
    args.push(own.in_flight.to_string());
    let (until, cause) = match own.cooling {
        None => (String::new(), ""),
        Some((Until::Left(left), cause)) => (format!("+{}", left.as_millis()), cause.name()),
        Some((Until::Known(at), cause)) => (format!("={at}"), cause.name()),
    };
    args.extend([until, cause.to_owned()]);
    let reserved = own.reserved.map(|known| [known.requests, known.tokens]);
    args.extend(reserved.map_or_else(Default::default, |both| both.map(number)));
}

fn read(answer: &::redis::Value, asked: usize) -> Option<Answer> {
    let ::redis::Value::Array(all) = answer else {
        return None;
    };
    match text(all.first()?)? {
        b"late" => return Some(Answer::Late),
        b"unknown" => return Some(Answer::Unknown),
        _ => {}
    }
    let [_, now, others, since, rest @ ..] = &all[..] else {
        return None;
    };
    let now = number(now)?;
    let deployments: Option<Vec<_>> = rest.chunks(WIDTH).map(|one| read_one(one, now)).collect();
    let deployments = deployments.filter(|all| all.len() == asked)?;
    Some(Answer::Heard(Everyone {
        unix: Duration::from_millis(now),
        others: number(others)?,
        since: number(since)?,
        deployments,
    }))
}

fn read_one(values: &[::redis::Value], now: u64) -> Option<All> {
    let (lasting, rest) = values.split_first_chunk::<{ Lasting::LEN }>()?;
    let [requests, tokens, in_flight, until, cause] = rest else {
        return None;
    };
    let mut numbers = [0; Lasting::LEN];
    for (number_, value) in numbers.iter_mut().zip(lasting) {
        *number_ = number(value)?;
    }
    let until = number(until)?;
    let cause = text(cause)?;
    // A newer replica may know further ones.
    let cause = Fault::ALL
        .into_iter()
        .find(|f| f.name().as_bytes() == cause);
    Some(All {
        lasting: Lasting::from_numbers(numbers),
        minute: Totals {
            requests: number(requests)?,
            tokens: number(tokens)?,
        },
        in_flight: u32::try_from(number(in_flight)?).unwrap_or(u32::MAX),
        cooling: (until > now).then(|| {
            let left = Duration::from_millis(until - now);
            (until, left, cause.unwrap_or(Fault::Server))
        }),
    })
}

fn text(value: &::redis::Value) -> Option<&[u8]> {
    match value {
        ::redis::Value::BulkString(text) => Some(text),
        _ => None,
    }
}

/// A number that is not negative. A total can be less for a moment only if somebody else wrote there; it counts as none.
fn number(value: &::redis::Value) -> Option<u64> {
    match value {
        ::redis::Value::Int(n) => Some(u64::try_from(*n).unwrap_or(0)),
        ::redis::Value::BulkString(text) => {
            let n: i64 = std::str::from_utf8(text).ok()?.parse().ok()?;
            Some(u64::try_from(n).unwrap_or(0))
        }
        _ => None,
    }
}
