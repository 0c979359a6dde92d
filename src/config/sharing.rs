//! What is to be said of sharing once the groups are known: keys that want a Redis where there is none, and the Redis of the
//! ledger.

use std::sync::Arc;

use super::context::Context;
use super::settings::Own;
use super::{Group, Settings, redis};
use crate::types::RedisTarget;

const NAME_ONE: &str = "name one in waypost.redis, or in the router with redis_url or redis_host";

/// Completes the settings, and says what is without effect.
pub(super) fn check_use(
    ctx: &mut Context<'_>,
    own: &Own,
    groups: &[Group],
    settings: &mut Settings,
) {
    let any = groups.iter().any(|group| group.router.redis.is_some());
    if let Some(node) = own.node.get("redis")
        && !any
        && redis::says_nothing(node, &own.redis)
    {
        let message = "without effect: it names no Redis; write url, host, sentinel or cluster";
        ctx.findings.warning(node.at, "waypost.redis", message);
    }
    if own.cache_wants_redis() && !any {
        let place = own.node.get("cache").map(|cache| cache.place("redis"));
        let message = format!("without effect: no group has a Redis; {NAME_ONE}");
        ctx.findings
            .warning(place.unwrap_or_default(), "waypost.cache.redis", message);
    }
    limits(ctx, own, groups, any);
    ledger(ctx, own, groups, settings);
}

fn limits(ctx: &mut Context<'_>, own: &Own, groups: &[Group], any: bool) {
    if own.exact_limits && !any {
        let message = format!(
            "exact for each process alone: no group has a Redis for replicas to count in together; {NAME_ONE}"
        );
        ctx.findings
            .warning(own.node.place("limits"), "waypost.limits", message);
    }
    for group in groups {
        let overrides = own.overrides(&group.id);
        if overrides.get("limits").is_none() {
            continue;
        }
        let exact = overrides.text("limits").as_deref() == Some("exact");
        let limited = |group: &Group| {
            let mut all = group.deployments.iter();
            all.any(|d| d.rpm.is_some() || d.tpm.is_some())
        };
        let message = if !limited(group) {
            "without effect: no model of the group has rpm or tpm".to_owned()
        } else if exact && group.router.redis.is_none() {
            format!(
                "exact for each process alone: the group has no Redis for replicas to count in together; {NAME_ONE}"
            )
        } else {
            continue;
        };
        let path = format!("waypost.groups.{}.limits", group.id);
        ctx.findings
            .warning(overrides.place("limits"), &path, message);
    }
}

/// The totals of the ledger are in the Redis of all: that of `waypost.redis`, or the one that every group with one has.
fn ledger(ctx: &mut Context<'_>, own: &Own, groups: &[Group], settings: &mut Settings) {
    let (Some(ledger), Some(node)) = (&mut settings.ledger, own.node.get("ledger")) else {
        return;
    };
    let wanted = node.flag("redis");
    if wanted == Some(false) {
        return;
    }
    let of_groups = || -> Option<Arc<RedisTarget>> {
        let mut all = groups
            .iter()
            .filter_map(|group| group.router.redis.as_ref());
        let first = all.next()?;
        all.all(|other| other == first).then(|| Arc::clone(first))
    };
    ledger.redis = own.redis.all.clone().or_else(of_groups);
    if wanted == Some(true) && ledger.redis.is_none() {
        let message = "there is no one Redis for all; name it in waypost.redis, with url, host, sentinel or cluster";
        ctx.findings
            .error(node.place("redis"), "waypost.ledger.redis", message);
    }
}
