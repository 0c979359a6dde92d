//! The client's request as bytes with a table of contents.
//!
//! [`RequestHead::read`] walks the JSON once: it validates it, notes where each top-level member lies, and reads the
//! few Waypost needs. Values below are skipped, not built. [`splice`] writes a body that differs from the client's in
//! the named members only; everything else, spelling and white space included, is the client's own bytes.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{BufMut, Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Bodies up to this size are sent as one buffer; larger ones as slices of the client's, uncopied.
const COALESCE: usize = 32 * 1024;

/// Why a body is not a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Not JSON at all.
    #[error("the body is not valid JSON: {0}")]
    NotJson(String),
    /// JSON, but no object.
    #[error("the body must be a JSON object")]
    NotObject,
    /// A member Waypost acts on stands twice; which one the provider would take is anybody's guess.
    #[error("`{0}` appears more than once in the body")]
    Duplicate(&'static str),
    /// A required member is missing.
    #[error("`{0}` is required")]
    Missing(&'static str),
    /// A member has the wrong type.
    #[error("`{member}` must be {expected}")]
    WrongType {
        /// The member.
        member: &'static str,
        /// What would be right.
        expected: &'static str,
    },
}

impl RequestError {
    /// The member the error is about, for `param` of the error body.
    #[must_use]
    pub const fn param(&self) -> Option<&'static str> {
        match self {
            Self::NotJson(_) | Self::NotObject => None,
            Self::Duplicate(m) | Self::Missing(m) | Self::WrongType { member: m, .. } => Some(m),
        }
    }
}

/// How the client wants embeddings written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EncodingFormat {
    /// Arrays of numbers; also what a client means that says nothing.
    #[default]
    Float,
    /// Little-endian `f32`s in base64, the SDKs' default.
    Base64,
}

/// One top-level member: its name, and where its value lies in the body.
#[derive(Debug, Clone)]
struct Member {
    name: Box<str>,
    value: Range<usize>,
}

/// What Waypost reads of a request.
#[derive(Debug, Clone)]
pub struct RequestHead {
    /// `model`, unescaped.
    pub model: String,
    /// `stream: true`
    pub stream: bool,
    /// `stream_options.include_usage: true`
    pub include_usage: bool,
    /// `encoding_format`
    pub encoding_format: EncodingFormat,
    /// `max_completion_tokens`, else `max_tokens`: an upper bound of the answer's length, if the client set one.
    pub max_tokens: Option<u64>,
    members: Vec<Member>,
}

/// The members with a meaning here; each may appear once.
const KNOWN: [&str; 7] = [
    "model",
    "stream",
    "stream_options",
    "encoding_format",
    "max_tokens",
    "max_completion_tokens",
    "cache",
];

impl RequestHead {
    /// Reads `body`. A `path_model` (the model as named by the URL, Azure's way) stands above the body's, which may then
    /// be missing.
    ///
    /// # Errors
    /// See [`RequestError`]. Nothing else is checked: what a provider accepts is its own business.
    pub fn read(body: &[u8], path_model: Option<&str>) -> Result<Self, RequestError> {
        let members = members(body)?;
        for known in KNOWN {
            if members
                .iter()
                .filter(|m| &*m.name == known)
                .nth(1)
                .is_some()
            {
                return Err(RequestError::Duplicate(known));
            }
        }
        let mut head = Self {
            model: String::new(),
            stream: false,
            include_usage: false,
            encoding_format: EncodingFormat::Float,
            max_tokens: None,
            members,
        };
        head.model = match (path_model, head.raw(body, "model")) {
            (Some(name), _) => name.to_owned(),
            (None, None) => return Err(RequestError::Missing("model")),
            (None, Some(raw)) => match serde_json::from_slice::<String>(raw) {
                Ok(name) if !name.is_empty() => name,
                _ => {
                    return Err(RequestError::WrongType {
                        member: "model",
                        expected: "a non-empty string",
                    });
                }
            },
        };
        head.stream = match head.raw(body, "stream") {
            None | Some(b"null" | b"false") => false,
            Some(b"true") => true,
            Some(_) => {
                return Err(RequestError::WrongType {
                    member: "stream",
                    expected: "true or false",
                });
            }
        };
        head.include_usage = match head.raw(body, "stream_options") {
            None => false,
            Some(raw) => match serde_json::from_slice::<Option<StreamOptions>>(raw) {
                Ok(options) => options.and_then(|o| o.include_usage).unwrap_or(false),
                Err(_) => {
                    return Err(RequestError::WrongType {
                        member: "stream_options",
                        expected: "an object",
                    });
                }
            },
        };
        if head.raw(body, "encoding_format") == Some(b"\"base64\"") {
            head.encoding_format = EncodingFormat::Base64;
        }
        let number = |name| {
            head.raw(body, name)
                .and_then(|raw| serde_json::from_slice::<u64>(raw).ok())
        };
        head.max_tokens = number("max_completion_tokens").or_else(|| number("max_tokens"));
        Ok(head)
    }

    /// The bytes of a top-level member's value in `body`, which must be the body this head was read from.
    #[must_use]
    pub fn raw<'a>(&self, body: &'a [u8], name: &str) -> Option<&'a [u8]> {
        let member = self.members.iter().find(|m| &*m.name == name)?;
        body.get(member.value.clone())
    }

    /// Whether the request has this top-level member.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.members.iter().any(|m| &*m.name == name)
    }
}

#[derive(serde::Deserialize)]
struct StreamOptions {
    include_usage: Option<bool>,
}

/// Walks the object's members without building their values.
fn members(body: &[u8]) -> Result<Vec<Member>, RequestError> {
    struct Members<'a>(&'a [u8]);

    impl<'de> Visitor<'de> for Members<'de> {
        type Value = Vec<Member>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a JSON object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut members = Vec::with_capacity(12);
            while let Some(Name(name)) = map.next_key::<Name<'de>>()? {
                let raw: &'de RawValue = map.next_value()?;
                // `raw` borrows from the body, so the distance of the two is its offset.
                let start = raw.get().as_ptr().addr() - self.0.as_ptr().addr();
                members.push(Member {
                    name: name.into(),
                    value: start..start + raw.get().len(),
                });
            }
            Ok(members)
        }
    }

    struct Name<'a>(Cow<'a, str>);

    impl<'de> Deserialize<'de> for Name<'de> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Text;
            impl<'de> Visitor<'de> for Text {
                type Value = Name<'de>;
                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("a string")
                }
                fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                    Ok(Name(Cow::Borrowed(text)))
                }
                fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                    Ok(Name(Cow::Owned(text.to_owned())))
                }
            }
            deserializer.deserialize_str(Text)
        }
    }

    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let members = deserializer
        .deserialize_map(Members(body))
        .and_then(|members| deserializer.end().map(|()| members))
        .map_err(|error| {
            if error.is_data() {
                RequestError::NotObject
            } else {
                RequestError::NotJson(error.to_string())
            }
        })?;
    Ok(members)
}

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

/// A request body: a few slices, sent with their exact length. Cloning copies nothing.
#[derive(Debug, Clone, Default)]
pub struct Payload {
    parts: VecDeque<Bytes>,
    len: usize,
}

impl Payload {
    fn from_changes(body: &Bytes, changes: &[(Range<usize>, Bytes)]) -> Self {
        let mut parts = Vec::with_capacity(changes.len() * 2 + 1);
        let mut cursor = 0;
        for (range, replacement) in changes {
            parts.push(body.slice(cursor..range.start));
            parts.push(replacement.clone());
            cursor = range.end;
        }
        parts.push(body.slice(cursor..));
        let len = parts.iter().map(Bytes::len).sum();
        if len <= COALESCE && !changes.is_empty() {
            let mut whole = BytesMut::with_capacity(len);
            for part in &parts {
                whole.put_slice(part);
            }
            return Self::from(whole.freeze());
        }
        Self {
            parts: parts.into_iter().filter(|p| !p.is_empty()).collect(),
            len,
        }
    }

    /// Bytes in all.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// One buffer with all of it.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        match self.parts.len() {
            0 => Bytes::new(),
            1 => self.parts[0].clone(),
            _ => self.parts.iter().flat_map(|p| p.iter().copied()).collect(),
        }
    }
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        Self {
            len: bytes.len(),
            parts: VecDeque::from([bytes]),
        }
    }
}

impl Body for Payload {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let part = self.parts.pop_front();
        self.len -= part.as_ref().map_or(0, Bytes::len);
        Poll::Ready(part.map(|part| Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.parts.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.len as u64)
    }
}

#[cfg(test)]
mod tests;
