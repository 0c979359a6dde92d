//! `waypost.ledger`: a folder, or a mapping.

use std::time::Duration;

use super::context::Context;
use super::tree::{Node, Value};
use super::{Fsync, LedgerSettings, WhenFull, value};

const FSYNC: Duration = Duration::from_secs(1);
const SEGMENT: u64 = 64 << 20;
/// Smaller files would be more files than records are worth.
const SMALLEST: u64 = 64 << 10;
const RETAIN: Duration = Duration::from_secs(90 * 86_400);

/// The settings, if a ledger is wanted; where its totals are is known once the groups are.
pub(super) fn settings(ctx: &mut Context<'_>, own: &Node) -> Option<LedgerSettings> {
    let node = own.get("ledger")?;
    let (dir, at, key) = match &node.value {
        Value::Map(_) => (node.text("dir")?, node.place("dir"), "waypost.ledger.dir"),
        _ => (value::text(node).ok()?, node.at, "waypost.ledger"),
    };
    if dir.trim().is_empty() {
        ctx.findings
            .error(at, key, "the name of the folder is empty");
    }
    let segment_bytes = node
        .get("segment_bytes")
        .and_then(|size| value::size(size).ok())
        .unwrap_or(SEGMENT);
    if segment_bytes < SMALLEST {
        let message = format!("{segment_bytes} bytes are too few for a file; allowed: from 64KiB");
        ctx.findings.error(
            node.place("segment_bytes"),
            "waypost.ledger.segment_bytes",
            message,
        );
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
        segment_bytes,
        retain: match node.text("retain").as_deref() {
            Some("forever") => Duration::MAX,
            _ => node.duration("retain").unwrap_or(RETAIN),
        },
        redis: None,
    })
}
