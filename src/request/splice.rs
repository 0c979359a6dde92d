//! Changing named members of a body and nothing else.

use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};

use super::RequestHead;
use super::payload::{Payload, Pieces};

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
    value: Option<&'a Bytes>,
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
                        member.value = Some(value);
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
    let room = edits.iter().map(Edit::room).sum();
    let mut out = Pieces::new(body, room);
    if !inserted.is_empty() {
        let open = memchr::memchr(b'{', body).map_or(0, |at| at + 1);
        let mut text = BytesMut::with_capacity(room);
        inserted
            .iter()
            .for_each(|(name, value)| insert(&mut text, name, value));
        if members.iter().all(|m| m.removed) {
            text.truncate(text.len() - 1); // the last comma: nothing follows
        }
        out.replace(open..open, &text.freeze());
    }
    let mut at = 0;
    while let Some(member) = members.get(at) {
        if member.removed {
            let first = at;
            at += members[at..].iter().take_while(|m| m.removed).count();
            out.replace(removal(body, head, first..at), &Bytes::new());
            continue;
        }
        if member.renamed {
            let key = key_start(body, head, at);
            out.replace(key..key + quoted_len(&body[key..]), &quoted(member.name));
        }
        if let Some(value) = member.value {
            out.replace(head.members[at].value.clone(), value);
        }
        at += 1;
    }
    out.into_payload()
}

impl Edit<'_> {
    /// No more bytes than this come into the body, unless a name needs escapes.
    fn room(&self) -> usize {
        match self {
            Self::Set(name, value) | Self::Default(name, value) => name.len() + value.len() + 4,
            Self::Remove(_) => 0,
            Self::Rename(_, to) => to.len() + 2,
        }
    }
}

fn has(members: &[Now<'_>], inserted: &[(&str, &Bytes)], name: &str) -> bool {
    members.iter().any(|m| !m.removed && m.name == name)
        || inserted.iter().any(|(other, _)| *other == name)
}

/// Where a run of neighbouring removed members lies, together with the one comma that goes with it.
fn removal(body: &[u8], head: &RequestHead, run: Range<usize>) -> Range<usize> {
    let end = head.members[run.end - 1].value.end;
    if run.start > 0 {
        head.members[run.start - 1].value.end..end
    } else if run.end < head.members.len() {
        key_start(body, head, 0)..key_start(body, head, run.end)
    } else {
        key_start(body, head, 0)..end
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
    serde_json::to_writer(into.writer(), name).unwrap_or_default(); // the buffer grows; it refuses nothing
    into.put_u8(b':');
    into.put_slice(value);
    into.put_u8(b',');
}
