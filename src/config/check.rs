//! A tree against the table of keys.
//!
//! This pass reports everything that can be said about one key by itself: unknown names, wrong types, missing keys,
//! keys without effect. The readers that come after it ask for values with the getters below and stay silent about a
//! value that has the wrong type, since it was reported here.

use std::time::Duration;

use super::context::Context;
use super::keys::{Effect, Key, Kind, PASSED_ON, Section, Unknown};
use super::nearest::{hint, nearest};
use super::tree::{Entry, Node, Value};
use super::value;
use crate::catalog::{self, Family, ollama};

/// The structure of a model group, which a parameter's name must not be mistaken for.
const STRUCTURE: [&str; 3] = ["id", "models", "router"];

/// Checks a mapping against its section.
pub(super) fn section(ctx: &mut Context<'_>, node: &Node, section: &'static Section, path: &str) {
    keys_of(ctx, node, section, path, false);
}

/// `quiet` where the whole mapping was already said to be without effect.
fn keys_of(ctx: &mut Context<'_>, node: &Node, section: &'static Section, path: &str, quiet: bool) {
    if !matches!(node.value, Value::Map(_)) {
        ctx.findings.error(
            node.at,
            path,
            format!("{} is not a mapping", value::shown(node, false)),
        );
        return;
    }
    let mut silent: Vec<(Effect, Vec<&Entry>)> = Vec::new();
    for entry in node.entries() {
        let path = join(path, &entry.key);
        let Some(key) = section.find(&entry.key) else {
            unknown(ctx, entry, section, &path);
            continue;
        };
        if matches!(entry.value.value, Value::Null) {
            continue;
        }
        kind(ctx, &entry.value, key, key.kind, &path);
        if key.effect != Effect::Honoured && !is_off(&entry.value) {
            match silent.iter_mut().find(|(effect, _)| *effect == key.effect) {
                Some((_, entries)) => entries.push(entry),
                None => silent.push((key.effect, vec![entry])),
            }
        }
    }
    // A model that is refused for its provider needs no word about that provider's keys.
    let refused = node
        .text("provider")
        .and_then(|name| catalog::find(&name))
        .is_some_and(|provider| {
            matches!(provider.family, Family::Untranslated | Family::InsideRasa)
        });
    if quiet || refused {
        silent.clear();
    }
    for (effect, entries) in silent {
        let names = match entries.as_slice() {
            [_] => String::new(),
            many => format!(
                "{}: ",
                many.iter()
                    .map(|e| e.key.as_str())
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
        };
        let message = match effect {
            Effect::None(why) => format!("{names}accepted, but without effect here: {why}"),
            Effect::Later(why) => {
                format!("{names}accepted, but without effect in this version: {why}")
            }
            Effect::Honoured => continue,
        };
        ctx.findings
            .warning(entries[0].at, &join(path, &entries[0].key), message);
    }
    for key in section
        .keys()
        .filter(|key| key.required && node.get(key.name).is_none())
    {
        let at = node.entry(key.name).map_or(node.at, |entry| entry.at);
        ctx.findings
            .error(at, path, format!("{} is required: {}", key.name, key.doc));
    }
}

/// `path.key`
pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

/// A switched-off feature has no effect anywhere; saying so would be noise.
pub(super) fn is_off(node: &Node) -> bool {
    match &node.value {
        Value::Null => true,
        Value::Scalar(_) => value::flag(node) == Ok(false),
        Value::List(items) => items.is_empty(),
        Value::Map(map) => map.entries.is_empty(),
    }
}

fn unknown(ctx: &mut Context<'_>, entry: &Entry, section: &'static Section, path: &str) {
    if ctx.findings.full() {
        return;
    }
    let names = || section.keys().map(|key| key.name);
    match section.unknown {
        Unknown::Refused => {
            let known = if section.keys().count() <= 12 {
                format!("; allowed: {}", names().collect::<Vec<_>>().join(", "))
            } else {
                String::new()
            };
            let hint = hint(&entry.key, names());
            ctx.findings
                .error(entry.at, path, format!("unknown key{known}{hint}"));
        }
        Unknown::PassedOn => {
            let structure =
                section.find("models").is_some() && nearest(&entry.key, STRUCTURE).is_some();
            let known =
                PASSED_ON.contains(&entry.key.as_str()) || ollama::needs_own_api(&entry.key);
            if known && !structure {
                return;
            }
            if let Some(near) = nearest(&entry.key, names()) {
                let message = format!(
                    "not a key of ours, so it is sent along with every request; did you mean \"{near}\"?"
                );
                ctx.findings.warning(entry.at, path, message);
            }
        }
    }
}

fn kind(ctx: &mut Context<'_>, node: &Node, key: &'static Key, kind: Kind, path: &str) {
    let checked = match kind {
        Kind::Text | Kind::Secret => value::text(node).map(drop).map_err(|error| {
            if matches!(kind, Kind::Secret) {
                format!("{} is not a text", value::shown(node, true))
            } else {
                error
            }
        }),
        Kind::Flag => value::flag(node).map(drop),
        Kind::Integer(min, max) => value::integer(node, min, max).map(drop),
        Kind::Number => value::number(node).map(drop),
        Kind::Amount => value::amount(node).map(drop),
        Kind::Seconds => value::seconds(node, false).map(drop),
        Kind::SecondsOrZero => value::seconds(node, true).map(drop),
        Kind::Duration => value::duration(node, false).map(drop),
        Kind::DurationOrZero => value::duration(node, true).map(drop),
        Kind::DurationOr(words) => duration_or(node, words),
        Kind::Size => value::size(node).map(drop),
        Kind::Share => value::share(node, true).map(drop),
        Kind::Quantile => value::share(node, false).map(drop),
        Kind::Choice(allowed) => choice(node, allowed),
        Kind::Choices(allowed) => match &node.value {
            Value::List(items) => items.iter().try_for_each(|item| choice(item, allowed)),
            _ => choice(node, allowed),
        },
        Kind::Texts => texts(node).map(drop),
        Kind::FileOrFlag => match value::flag(node) {
            Ok(_) => Ok(()),
            Err(_) => value::text(node).map(drop),
        },
        Kind::Any => value::json(node).map(drop),
        Kind::Mapping => match node.value {
            Value::Map(_) => value::json(node).map(drop),
            _ => Err(format!(
                "{} is not a mapping",
                value::shown(node, super::env::is_secret(key.name))
            )),
        },
        Kind::Section(inner) => {
            return keys_of(ctx, node, inner, path, key.effect != Effect::Honoured);
        }
        Kind::FlagOr(inner) => match &node.value {
            Value::Map(_) => {
                return keys_of(ctx, node, inner, path, key.effect != Effect::Honoured);
            }
            _ => value::flag(node).map(drop).map_err(|_| {
                let found = value::shown(node, false);
                format!(
                    "{found} is neither a boolean nor a mapping; allowed: true, false, or {}",
                    names(inner)
                )
            }),
        },
        Kind::TextOr(inner) => match &node.value {
            Value::Map(_) => {
                return keys_of(ctx, node, inner, path, key.effect != Effect::Honoured);
            }
            _ => value::text(node)
                .map(drop)
                .map_err(|error| format!("{error}, and not {}", names(inner))),
        },
        Kind::List(inner) => match &node.value {
            Value::List(items) => {
                for (i, item) in items.iter().enumerate() {
                    section(ctx, item, inner, &format!("{path}[{i}]"));
                }
                return;
            }
            _ => Err(format!("{} is not a list", value::shown(node, false))),
        },
        Kind::Named(inner) | Kind::NamedTexts(inner) => match &node.value {
            Value::Map(map) => {
                let texts = matches!(kind, Kind::NamedTexts(_));
                for entry in &map.entries {
                    let text = texts && matches!(entry.value.value, Value::Scalar(_));
                    let path = join(path, &entry.key);
                    if !text {
                        section(ctx, &entry.value, inner, &path);
                    } else if let Err(message) = value::text(&entry.value) {
                        ctx.findings.error(entry.value.at, &path, message);
                    }
                }
                return;
            }
            _ => Err(format!("{} is not a mapping", value::shown(node, false))),
        },
    };
    if let Err(message) = checked {
        ctx.findings.error(node.at, path, message);
    }
}

/// The keys of a section, for people.
fn names(section: &'static Section) -> String {
    let names: Vec<&str> = section.keys().map(|key| key.name).collect();
    format!("a mapping of {}", names.join(", "))
}

fn duration_or(node: &Node, words: &[&str]) -> Result<(), String> {
    if choice(node, words).is_ok() {
        return Ok(());
    }
    value::duration(node, false)
        .map(drop)
        .map_err(|error| format!("{error}, or {}", words.join(", ")))
}

fn choice(node: &Node, allowed: &[&str]) -> Result<(), String> {
    let text = value::text(node)?;
    if allowed.contains(&text.as_str()) {
        return Ok(());
    }
    let hint = hint(&text, allowed.iter().copied());
    Err(format!(
        "{} is not allowed; allowed: {}{hint}",
        value::shown(node, false),
        allowed.join(", ")
    ))
}

/// A text, or a list of texts.
pub(super) fn texts(node: &Node) -> Result<Vec<String>, String> {
    match &node.value {
        Value::List(items) => items.iter().map(value::text).collect(),
        _ => Ok(vec![value::text(node)?]),
    }
}

/// Getters: the value of `key` if it is there and right.
impl Node {
    pub(super) fn text(&self, key: &str) -> Option<String> {
        self.get(key).and_then(|node| value::text(node).ok())
    }

    /// Blank text, as of a variable that is empty, counts as none.
    pub(super) fn filled(&self, key: &str) -> Option<String> {
        self.text(key).filter(|text| !text.trim().is_empty())
    }

    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        self.get(key).and_then(|node| value::flag(node).ok())
    }

    pub(super) fn amount(&self, key: &str) -> Option<f64> {
        self.get(key).and_then(|node| value::amount(node).ok())
    }

    pub(super) fn count(&self, key: &str) -> Option<u64> {
        self.get(key)
            .and_then(|node| value::integer(node, 0, u64::MAX).ok())
    }

    pub(super) fn count_32(&self, key: &str) -> Option<u32> {
        self.count(key).and_then(|count| u32::try_from(count).ok())
    }

    /// Also takes plain seconds.
    pub(super) fn duration(&self, key: &str) -> Option<Duration> {
        self.get(key)
            .and_then(|node| value::duration(node, true).ok())
    }

    /// The place of the value of `key`, or of the whole.
    pub(super) fn place(&self, key: &str) -> super::tree::Pos {
        self.entry(key).map_or(self.at, |entry| entry.value.at)
    }
}
