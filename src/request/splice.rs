//! Changing named members of a body and nothing else.

use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};

use super::RequestHead;
use super::payload::Payload;
/// One change of a body. Values are JSON text.
#[derive(Debug, Clone)]
pub enum Edit<'a> {
    /// The member has this value, whether the client sent it or not, and stands there once.
    Set(&'a str, Bytes),
    /// The member has this value if it is not there.
    Default(&'a str, Bytes),
    /// The member is left out.
    Remove(&'a str),
    /// The member goes by another name; nothing happens if the other name is there already.
    Rename(&'a str, &'a str),
}

/// A member of the client's while edits are made.
struct Now<'a> {
    name: &'a str,
    renamed: bool,
    value: Option<Bytes>,
    removed: bool,
}

/// `body` with `edits` made, one after the other: each sees what those before it left.
///
/// `head` must have been read from `body`. All bytes that belong to no edited member are passed on as they are.
#[must_use]
pub fn splice(body: &Bytes, head: &RequestHead, edits: &[Edit<'_>]) -> Payload {
    let now = |m| Now {
        name: m,
        renamed: false,
        value: None,
        removed: false,
    };
    let mut members: Vec<Now<'_>> = head.members.iter().map(|m| now(&*m.name)).collect();
    let mut inserted: Vec<(&str, &Bytes)> = Vec::new();
    for edit in edits {
        match edit {
            Edit::Set(name, value) => {
                let mut found = false;
                for member in members.iter_mut().filter(|m| !m.removed && m.name == *name) {
                    if std::mem::replace(&mut found, true) {
                        member.removed = true; // a second one would be another answer to the same question
                    } else {
                        member.value = Some(value.clone());
                    }
                }
                match inserted.iter_mut().find(|(other, _)| other == name) {
                    _ if found => {}
                    Some((_, old)) => *old = value,
                    None => inserted.push((name, value)),
                }
            }
            Edit::Default(name, value) => {
                if !has(&members, &inserted, name) {
                    inserted.push((name, value));
                }
            }
            Edit::Remove(name) => {
                members
                    .iter_mut()
                    .filter(|m| m.name == *name)
                    .for_each(|m| m.removed = true);
                inserted.retain(|(other, _)| other != name);
            }
            Edit::Rename(from, to) => {
                if !has(&members, &inserted, to) {
                    for member in members.iter_mut().filter(|m| m.name == *from) {
                        (member.name, member.renamed) = (to, true);
                    }
                    inserted
                        .iter_mut()
                        .filter(|(name, _)| name == from)
                        .for_each(|(name, _)| *name = to);
                }
            }
        }
    }
    let mut changes: Vec<(Range<usize>, Bytes)> = Vec::with_capacity(edits.len() + 1);
    for (at, member) in members.iter().enumerate().filter(|(_, m)| !m.removed) {
        if member.renamed {
            let key = key_start(body, head, at);
            changes.push((key..key + quoted_len(&body[key..]), quoted(member.name)));
        }
        if let Some(value) = &member.value {
            changes.push((head.members[at].value.clone(), value.clone()));
        }
    }
    let removed: Vec<bool> = members.iter().map(|m| m.removed).collect();
    removals(body, head, &removed, &mut changes);
    if !inserted.is_empty() {
        let open = body.iter().position(|b| *b == b'{').map_or(0, |at| at + 1);
        let mut text = BytesMut::new();
        inserted
            .iter()
            .for_each(|(name, value)| insert(&mut text, name, value));
        if removed.iter().all(|gone| *gone) {
            text.truncate(text.len() - 1); // the last comma: nothing follows
        }
        changes.push((open..open, text.freeze()));
    }
    changes.sort_by_key(|(range, _)| (range.start, range.end));
    Payload::from_changes(body, &changes)
}

fn has(members: &[Now<'_>], inserted: &[(&str, &Bytes)], name: &str) -> bool {
    members.iter().any(|m| !m.removed && m.name == name)
        || inserted.iter().any(|(other, _)| *other == name)
}

/// Each run of neighbouring removed members is one change, together with the one comma that goes with it.
fn removals(
    body: &Bytes,
    head: &RequestHead,
    removed: &[bool],
    changes: &mut Vec<(Range<usize>, Bytes)>,
) {
    let mut at = 0;
    while at < removed.len() {
        if !removed[at] {
            at += 1;
            continue;
        }
        let first = at;
        while at < removed.len() && removed[at] {
            at += 1;
        }
        let range = if first > 0 {
            head.members[first - 1].value.end..head.members[at - 1].value.end
        } else if at < removed.len() {
            key_start(body, head, 0)..key_start(body, head, at)
        } else {
            key_start(body, head, 0)..head.members[at - 1].value.end
        };
        changes.push((range, Bytes::new()));
    }
}

/// Where the quote of a member's name stands: the first one after the member before it.
fn key_start(body: &[u8], head: &RequestHead, at: usize) -> usize {
    let from = if at == 0 {
        0
    } else {
        head.members[at - 1].value.end
    };
    from + memchr::memchr(b'"', &body[from..]).unwrap_or(0)
}

/// Length of the JSON string `text` begins with, quotes included.
fn quoted_len(text: &[u8]) -> usize {
    let mut at = 1;
    while at < text.len() {
        match text[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

/// `text` as a JSON string.
#[must_use]
pub fn quoted(text: &str) -> Bytes {
    Bytes::from(serde_json::Value::from(text).to_string())
}

fn insert(into: &mut BytesMut, name: &str, value: &[u8]) {
    into.put_slice(&quoted(name));
    into.put_u8(b':');
    into.put_slice(value);
    into.put_u8(b',');
}
