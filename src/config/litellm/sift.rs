//! A mapping of a LiteLLM file against its table: what is to be converted, and a word about everything else.

use super::keys::{Fate, Table, Unknown, is_price};
use crate::catalog::ollama;
use crate::config::check::{is_off, join};
use crate::config::context::Context;
use crate::config::keys::{Kind, MODEL, PASSED_ON, Section};
use crate::config::nearest::nearest;
use crate::config::tree::{Entry, Node, Value};
use crate::config::value;

/// The entries of `node` that are converted. Null values count as not given.
pub(super) fn sift<'n>(
    ctx: &mut Context<'_>,
    node: &'n Node,
    table: &'static Table,
    path: &str,
) -> Vec<&'n Entry> {
    if !matches!(node.value, Value::Map(_)) {
        let message = format!("{} is not a mapping", value::shown(node, false));
        ctx.findings.error(node.at, path, message);
        return Vec::new();
    }
    let mut kept = Vec::new();
    let mut lost = Lost::default();
    for entry in node.entries() {
        let null = matches!(entry.value.value, Value::Null);
        let path = join(path, &entry.key);
        match table.find(&entry.key).map(|row| row.fate) {
            Some(Fate::Refused(why)) => ctx.findings.error(entry.at, &path, why),
            _ if null => {}
            Some(Fate::Kept(_)) => kept.push(entry),
            Some(Fate::Always(otherwise)) => {
                if value::flag(&entry.value) == Ok(false) {
                    lost.add(entry, otherwise);
                }
            }
            Some(Fate::Lost(why)) if !is_off(&entry.value) => lost.add(entry, why),
            Some(Fate::Database) if !is_off(&entry.value) => {
                lost.add(entry, "Waypost keeps no database");
            }
            Some(Fate::Lost(_) | Fate::Database) => {}
            None if known_elsewhere(table, &entry.key) => kept.push(entry),
            None if is_price(&entry.key) && table.unknown != Unknown::Refused => {
                lost.add(
                    entry,
                    "only standard prices of tokens and requests are known",
                );
            }
            None => {
                if unknown(ctx, entry, table, &path) {
                    kept.push(entry);
                }
            }
        }
    }
    lost.tell(ctx, path);
    kept
}

/// The entry of `key` among those that were kept.
pub(super) fn find<'n>(kept: &[&'n Entry], key: &str) -> Option<&'n Entry> {
    kept.iter().find(|entry| entry.key == key).copied()
}

/// Keys without effect, by reason: one warning for all that share one.
#[derive(Default)]
struct Lost<'n> {
    by_reason: Vec<(&'static str, Vec<&'n Entry>)>,
}

impl<'n> Lost<'n> {
    fn add(&mut self, entry: &'n Entry, why: &'static str) {
        match self.by_reason.iter_mut().find(|(reason, _)| *reason == why) {
            Some((_, entries)) => entries.push(entry),
            None => self.by_reason.push((why, vec![entry])),
        }
    }

    fn tell(self, ctx: &mut Context<'_>, path: &str) {
        for (why, entries) in self.by_reason {
            let names: Vec<&str> = entries.iter().map(|entry| entry.key.as_str()).collect();
            let names = match names.as_slice() {
                [_] => String::new(),
                many => format!("{}: ", many.join(", ")),
            };
            ctx.findings.warning(
                entries[0].at,
                &join(path, &entries[0].key),
                format!("{names}without effect here: {why}"),
            );
        }
    }
}

/// The keys of Waypost's dialect that a mapping shares.
fn section(table: &Table) -> Option<&'static Section> {
    match table.unknown {
        Unknown::HandedOn => Some(&MODEL),
        Unknown::Ignored => match MODEL.find("model_info")?.kind {
            Kind::Section(info) => Some(info),
            _ => None,
        },
        Unknown::Refused | Unknown::Near => None,
    }
}

fn known_elsewhere(table: &Table, key: &str) -> bool {
    let shared = section(table).is_some_and(|section| section.find(key).is_some());
    // What a model calls `provider` and `deployment` stands in `model` here.
    let ours = matches!(key, "provider" | "deployment" | "oauth" | "model_info");
    let passed = table.unknown == Unknown::HandedOn
        && (PASSED_ON.contains(&key) || ollama::needs_own_api(key));
    (shared && !ours) || passed
}

/// Says what is to be said of a key that nobody knows; whether it is handed on.
fn unknown(ctx: &mut Context<'_>, entry: &Entry, table: &'static Table, path: &str) -> bool {
    if ctx.findings.full() {
        return false;
    }
    let kept = table
        .rows()
        .filter(|row| matches!(row.fate, Fate::Kept(_) | Fate::Always(_)))
        .map(|row| row.key);
    let shared = section(table).into_iter().flat_map(Section::keys);
    let near = nearest(&entry.key, kept.chain(shared.map(|key| key.name)));
    let meant = |near: &str| format!("; did you mean \"{near}\"?");
    match (table.unknown, near) {
        (Unknown::Refused, None) => {
            let near = nearest(&entry.key, table.rows().map(|row| row.key));
            let hint = near.map(meant).unwrap_or_default();
            let message = format!("unknown key, which LiteLLM ignores{hint}");
            ctx.findings.error(entry.at, path, message);
        }
        (Unknown::Refused | Unknown::Near | Unknown::HandedOn, Some(near)) => {
            let message = format!("unknown key{}", meant(near));
            ctx.findings.error(entry.at, path, message);
        }
        (Unknown::Ignored, Some(near)) if !entry.key.starts_with("supports_") => {
            let message = format!("not a key that is read{}", meant(near));
            ctx.findings.warning(entry.at, path, message);
        }
        (Unknown::Near, None) if !is_off(&entry.value) => {
            let near = nearest(&entry.key, table.rows().map(|row| row.key));
            let hint = near.map(meant).unwrap_or_default();
            let message = format!("not a key that Waypost knows, so it is without effect{hint}");
            ctx.findings.warning(entry.at, path, message);
        }
        (Unknown::HandedOn, None) => return true,
        (Unknown::Near | Unknown::Ignored, _) => {}
    }
    false
}
