//! Messages and tools as a provider takes them.
//!
//! The assistant's earlier messages may come from deployments with other dialects, whose answers carry more than
//! OpenAI's: the reasoning (`reasoning_content`, `thinking_blocks`), signatures (`extra_content`, and what stands behind
//! `__thought__` in the ids of calls). Nobody but the dialect that made a block with `from` in it, or such an id, can do
//! anything with it; the rest goes to those that take it. Only messages with something of this in them are read.

use std::sync::LazyLock;

use bytes::Bytes;
use memchr::memmem::Finder;
use serde_json::value::{RawValue, to_raw_value};

use crate::provider::members::Members;
use crate::types::{CallIds, History, Names};

/// What is put between an id and a signature.
const THOUGHT: &str = "__thought__";

/// Members that only Waypost and a few providers have, split at an underscore, and whether lenient ones refuse them too.
const FOREIGN: [(&[u8], &[u8], bool); 4] = [
    (b"", b"_thought__", true),
    (b"\"thinking", b"blocks\"", true),
    (b"\"reasoning", b"content\"", false),
    (b"\"extra", b"content\"", false),
];

static ASSISTANT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("assistant"));
static DEVELOPER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"developer\""));
static NAME: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"name\""));

/// `messages` without what the provider does not take; `None`: as they are.
pub(super) fn messages(raw: &[u8], history: &History) -> Option<Bytes> {
    if !concerns(raw, history) {
        return None;
    }
    let messages: Vec<&RawValue> = serde_json::from_slice(raw).ok()?;
    let mut changed = false;
    let messages: Vec<String> = messages
        .into_iter()
        .map(|raw| {
            let new = message(raw, history);
            changed |= new.is_some();
            new.unwrap_or_else(|| raw.get().to_owned())
        })
        .collect();
    changed.then(|| Bytes::from(format!("[{}]", messages.join(","))))
}

/// Whether there may be something to change. All names that matter have an underscore, which text hardly has: it is
/// searched for once, and each is looked around.
fn concerns(raw: &[u8], history: &History) -> bool {
    let any = history.no_nulls || history.ids == CallIds::Nine;
    if history.no_names && NAME.find(raw).is_some()
        || history.no_developer && DEVELOPER.find(raw).is_some()
        || any && ASSISTANT.find(raw).is_some()
    {
        return true;
    }
    let reads = history.strict || history.reasoning.is_some();
    memchr::memchr_iter(b'_', raw).any(|at| {
        let (before, behind) = (&raw[..at], &raw[at + 1..]);
        let foreign = FOREIGN.iter().any(|(start, end, always)| {
            (*always || reads) && behind.starts_with(end) && before.ends_with(start)
        });
        let is_id = || behind.starts_with(b"id\"") && before.ends_with(b"\"tool_call");
        foreign || is_id() && !fits(id_of(&behind[3..]).unwrap_or_default(), history.ids)
    })
}

/// The string, without escapes, that is the value behind a member's name.
fn id_of(behind: &[u8]) -> Option<&[u8]> {
    let value = behind
        .trim_ascii_start()
        .strip_prefix(b":")?
        .trim_ascii_start();
    let text = value.strip_prefix(b"\"")?;
    text.get(..memchr::memchr(b'"', text)?)
}

fn fits(id: &[u8], ids: CallIds) -> bool {
    match ids {
        CallIds::Any => true,
        CallIds::AtMost(most) => id.len() <= most,
        CallIds::Nine => id.len() == 9 && id.iter().all(u8::is_ascii_alphanumeric),
    }
}

/// One message; `None`: as it is.
fn message(raw: &RawValue, history: &History) -> Option<String> {
    let mut message: Members<'_> = serde_json::from_str(raw.get()).ok()?;
    let role = message.text("role");
    let mut changed = false;
    if history.no_developer && role.as_deref() == Some("developer") {
        message.set("role", "system");
        changed = true;
    }
    if role.as_deref() == Some("assistant") {
        if history.strict {
            changed |=
                message.retain(|name, _| !matches!(name, "reasoning_content" | "thinking_blocks"));
        } else {
            changed |= own_blocks(&mut message);
            if let Some(theirs) = history.reasoning {
                changed |= message.rename("reasoning_content", theirs);
            }
        }
        if history.no_nulls {
            changed |= message.retain(|_, value| value != "null");
        }
        if let Some(calls) = message
            .get("tool_calls")
            .and_then(|raw| calls(raw, history))
        {
            message.set("tool_calls", &calls);
            changed = true;
        }
    }
    if history.no_names && role.as_deref() != Some("tool") {
        changed |= message.remove("name");
    }
    changed |= id(&mut message, "tool_call_id", history.ids);
    changed.then(|| String::from_utf8(message.to_json()).unwrap_or_default())
}

/// Takes out the blocks that Waypost made of another dialect's answer.
fn own_blocks(message: &mut Members<'_>) -> bool {
    let Some(raw) = message.get("thinking_blocks") else {
        return false;
    };
    let Ok(blocks) = serde_json::from_str::<Vec<&RawValue>>(raw) else {
        return false;
    };
    let theirs = |block: &&RawValue| {
        Members::read(block.get().as_bytes()).is_none_or(|block| block.get("from").is_none())
    };
    let stay: Vec<Box<RawValue>> = blocks
        .iter()
        .copied()
        .filter(theirs)
        .map(ToOwned::to_owned)
        .collect();
    if stay.len() == blocks.len() {
        return false;
    }
    if stay.is_empty() {
        return message.remove("thinking_blocks");
    }
    message.set("thinking_blocks", &stay);
    true
}

/// The calls of tools of a message; `None`: as they are.
fn calls(raw: &str, history: &History) -> Option<Box<RawValue>> {
    let mut calls: Vec<Members<'_>> = serde_json::from_str(raw).ok()?;
    let mut changed = false;
    for call in &mut calls {
        changed |= history.strict && call.remove("extra_content");
        changed |= id(call, "id", history.ids);
    }
    changed.then(|| to_raw_value(&calls).ok()).flatten()
}

/// Gives the id in this member the form that is taken. The same id always gets the same one.
fn id(members: &mut Members<'_>, name: &str, ids: CallIds) -> bool {
    let Some(old) = members.text(name) else {
        return false;
    };
    let (cut, _) = old.split_once(THOUGHT).unwrap_or((&old, ""));
    let new = match ids {
        _ if fits(cut.as_bytes(), ids) => cut.to_owned(),
        CallIds::Any | CallIds::AtMost(_) => {
            format!("call_{}", &blake3::hash(cut.as_bytes()).to_hex()[..24])
        }
        CallIds::Nine => nine(cut),
    };
    let changed = new != old;
    if changed {
        members.set(name, &new);
    }
    changed
}

/// Nine letters and digits that stand for an id.
fn nine(id: &str) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let hash = blake3::hash(id.as_bytes());
    let bytes = hash.as_bytes().iter().take(9);
    bytes
        .map(|byte| char::from(DIGITS[usize::from(*byte) % DIGITS.len()]))
        .collect()
}

/// `tools` without these members of their functions; `None`: as they are.
pub(super) fn tools(raw: &[u8], fields: Names) -> Option<Bytes> {
    if fields.is_empty() {
        return None;
    }
    let mut tools: Vec<Members<'_>> = serde_json::from_slice(raw).ok()?;
    let mut changed = false;
    for tool in &mut tools {
        let Some(function) = tool.get("function") else {
            continue;
        };
        let function = function.to_owned();
        if let Some(mut function) = Members::read(function.as_bytes())
            && function.retain(|name, _| !fields.contains(&name))
        {
            tool.set("function", &function);
            changed = true;
        }
    }
    changed
        .then(|| serde_json::to_vec(&tools).ok())
        .flatten()
        .map(Bytes::from)
}
