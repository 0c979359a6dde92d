//! `waypost.ledger`: a folder, or a mapping.

use std::sync::Arc;
use std::time::Duration;

use super::context::Context;
use super::tree::{Node, Value};
use super::{Fsync, LedgerSettings, WhenFull, value};
use crate::types::RedisTarget;

const FSYNC: Duration = Duration::from_secs(1);
const SEGMENT: u64 = 64 << 20;
const RETAIN: Duration = Duration::from_secs(90 * 86_400);

/// The settings, if a ledger is wanted; `redis` is the one of all groups.
pub(super) fn settings(
    ctx: &mut Context<'_>,
    own: &Node,
    redis: Option<&Arc<RedisTarget>>,
) -> Option<LedgerSettings> {
    let node = own.get("ledger")?;
    let (dir, at, key) = match &node.value {
        Value::Map(_) => (node.text("dir")?, node.place("dir"), "waypost.ledger.dir"),
        _ => (value::text(node).ok()?, node.at, "waypost.ledger"),
    };
    if dir.trim().is_empty() {
        ctx.findings.error(at, key, "the folder's name is empty");
    }
    let wanted = node.flag("redis");
    if wanted == Some(true) && redis.is_none() {
        let message = "there is no Redis for all; name one in waypost.redis, with url or host";
        ctx.findings
            .error(node.place("redis"), "waypost.ledger.redis", message);
    }
    Some(LedgerSettings {
        dir: ctx.file(&dir),
        fsync: match node.text("fsync").as_deref() {
            Some("never") => Fsync::Never,
            Some("always") => Fsync::Always,
            _ => Fsync::Every(node.duration("fsync").unwrap_or(FSYNC)),
        },
        when_full: match node.text("when_full").as_deref() {
            Some("refuse") => WhenFull::Refuse,
            _ => WhenFull::GoOn,
        },
        segment_bytes: node
            .get("segment_bytes")
            .and_then(|size| value::size(size).ok())
            .unwrap_or(SEGMENT),
        retain: match node.text("retain").as_deref() {
            Some("forever") => Duration::MAX,
            _ => node.duration("retain").unwrap_or(RETAIN),
        },
        redis: redis.filter(|_| wanted != Some(false)).cloned(),
    })
}
