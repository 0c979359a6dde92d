//! The part of what is in force that needs a Redis or a ledger: where it is, what is shared through it, and what holds
//! without it. No lines where there is none.

use std::time::Duration;

use super::{bytes, time};
use crate::config::{Config, Fsync, Group, LedgerSettings, WhenFull};
use crate::types::{Outage, RedisLogin, RedisTarget, RedisTls, RedisTopology, Sharing};

type Lines = Vec<(&'static str, String)>;

/// Of all groups together.
pub(super) fn of_config(config: &Config) -> Lines {
    let mut lines = Lines::new();
    let settings = &config.settings;
    if config
        .groups
        .iter()
        .any(|group| group.router.redis.is_some())
    {
        let Sharing {
            interval, lease, ..
        } = settings.sharing;
        let text = format!(
            "what was counted is exchanged every {}; a replica not heard of for {} is gone",
            time(interval),
            time(lease)
        );
        lines.push(("replicas", text));
    }
    if let Some(ledger) = &settings.ledger {
        lines.extend(self::ledger(ledger));
    }
    lines
}

fn ledger(ledger: &LedgerSettings) -> Lines {
    let fsync = match ledger.fsync {
        Fsync::Never => "written through when the system likes".to_owned(),
        Fsync::Always => "written through before the end of each answer".to_owned(),
        Fsync::Every(interval) => format!("written through every {}", time(interval)),
    };
    let kept = if ledger.retain == Duration::MAX {
        "forever".to_owned()
    } else {
        format!("for {}", days(ledger.retain))
    };
    let files = format!(
        "{}, {fsync}, files of {} kept {kept}",
        ledger.dir.display(),
        bytes(ledger.segment_bytes)
    );
    let full = match ledger.when_full {
        WhenFull::GoOn => "requests are served; what can't be kept is counted",
        WhenFull::Refuse => "requests are refused",
    };
    let mut lines = vec![("ledger", files), ("  disk full", full.to_owned())];
    if let Some(redis) = &ledger.redis {
        lines.push(("  totals", format!("in Redis, {}", redis.place())));
        let without = "records are kept in files, and shipped later".to_owned();
        lines.push(("  without Redis", without));
    }
    lines
}

/// Of one group.
pub(super) fn of_group(group: &Group, sharing: &Sharing) -> Lines {
    let router = &group.router;
    let Some(redis) = &router.redis else {
        return Lines::new();
    };
    let cached = router.cache.as_ref().is_some_and(|cache| cache.in_redis);
    let limited = group
        .deployments
        .iter()
        .any(|d| d.rpm.is_some() || d.tpm.is_some());
    let mut lines = vec![("redis", described(redis))];
    let answers = if cached { ", cached answers" } else { "" };
    lines.push((
        "shared",
        format!("requests, tokens, spend, requests in flight, latencies, cooldowns{answers}"),
    ));
    if limited {
        let text = if router.exact_limits {
            format!(
                "exact: reserved in Redis before each attempt, which waits up to {}",
                time(redis.timeout)
            )
        } else {
            format!(
                "approximate: a replica knows of the others' with a delay of about {}",
                time(sharing.interval)
            )
        };
        lines.push(("rpm and tpm", text));
    }
    lines.extend(without(sharing, cached, limited));
    lines
}

/// What holds while Redis is away.
fn without(sharing: &Sharing, cached: bool, limited: bool) -> Lines {
    let mut parts = vec!["usage and cost: own numbers plus the last known totals"];
    if limited {
        parts.push(match sharing.outage {
            Outage::Share => {
                "rpm and tpm: each replica keeps to the limit divided by the replicas last known"
            }
            Outage::Open => "rpm and tpm: each replica keeps to the whole limit",
            Outage::Closed => "rpm and tpm: nothing that has a limit is let through",
        });
    }
    if cached {
        parts.push("cache: a miss, and answers are kept in memory");
    }
    vec![("without Redis", parts.join("; "))]
}

/// Where it is and how it is spoken to; never a password.
fn described(redis: &RedisTarget) -> String {
    let mut parts = vec![redis.place()];
    if redis.database > 0 {
        parts.push(format!("database {}", redis.database));
    }
    parts.push(tls(redis.tls.as_ref()));
    parts.push(login(&redis.login));
    parts.push(format!("keys {}:…", redis.prefix));
    if let RedisTopology::Sentinel { login, tls, .. } = &redis.topology {
        let hop = format!(
            "to the sentinels {}, {}",
            self::tls(tls.as_ref()),
            self::login(login)
        );
        parts.push(hop);
    }
    parts.join(", ")
}

fn tls(tls: Option<&RedisTls>) -> String {
    let Some(tls) = tls else {
        return "no TLS".to_owned();
    };
    let ca = tls
        .ca
        .as_ref()
        .map_or_else(String::new, |ca| format!(" by {}", ca.display()));
    let client = if tls.client.is_some() {
        " with our certificate"
    } else {
        ""
    };
    format!("TLS{ca}{client}")
}

fn login(login: &RedisLogin) -> String {
    match (&login.username, &login.password) {
        (Some(user), Some(_)) => format!("user {user} with a password"),
        (Some(user), None) => format!("user {user} without a password"),
        (None, Some(_)) => "a password".to_owned(),
        (None, None) => "no password".to_owned(),
    }
}

fn days(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds > 0 && seconds.is_multiple_of(86_400) {
        format!("{} d", seconds / 86_400)
    } else {
        time(duration)
    }
}
