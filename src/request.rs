//! The client's request as bytes with a table of contents.
//!
//! [`RequestHead::read`] walks the JSON once: it validates it, notes where each top-level member lies, and reads the
//! few Waypost needs. Values below are skipped, not built. [`splice()`] writes a body that differs from the client's in
//! the named members only; everything else, spelling and white space included, is the client's own bytes.
//!
//! What else is read is read only where somebody wants it: a request's own wishes ([`overrides`]), the abilities it needs
//! ([`needs`]), and which conversation it belongs to ([`conversation()`]).

mod conversation;
pub mod needs;
mod outbound;
pub mod overrides;
mod payload;
mod splice;

use std::borrow::Cow;
use std::ops::Range;

use crate::json::{self, Scanner, Wrong};

pub use conversation::conversation;
pub use outbound::{Outbound, Template};
pub use payload::Payload;
pub use splice::{Edit, quoted, splice};

/// Why a body is not a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Not JSON at all.
    #[error("the body is not valid JSON: {0}")]
    NotJson(#[from] json::Error),
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
    name: Cow<'static, str>,
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
    /// It has members that are the gateway's own ([`overrides`]).
    pub overrides: bool,
    members: Vec<Member>,
}

/// How many names of [`USUAL`] have a meaning here; each of these may appear once.
const KNOWN: usize = 7;

/// Names that nearly all requests consist of; they need no allocation.
const USUAL: [&str; 27] = [
    "model",
    "stream",
    "stream_options",
    "encoding_format",
    "max_tokens",
    "max_completion_tokens",
    "cache",
    "messages",
    "temperature",
    "tools",
    "tool_choice",
    "response_format",
    "input",
    "prompt",
    "top_p",
    "user",
    "seed",
    "stop",
    "n",
    "metadata",
    "reasoning_effort",
    "parallel_tool_calls",
    "presence_penalty",
    "frequency_penalty",
    "store",
    "dimensions",
    "safety_identifier",
];

impl RequestHead {
    /// Reads `body`. A `path_model` (the model as named by the URL, Azure's way) stands above the body's, which may then
    /// be missing.
    ///
    /// # Errors
    /// See [`RequestError`]. Nothing else is checked: what a provider accepts is its own business.
    pub fn read(body: &[u8], path_model: Option<&str>) -> Result<Self, RequestError> {
        let Members {
            all,
            known,
            overrides,
            ..
        } = Members::read(body)?;
        let raw = |value: &Option<Range<usize>>| value.clone().and_then(|range| body.get(range));
        let [
            model,
            stream,
            stream_options,
            encoding_format,
            max_tokens,
            max_completion_tokens,
            _cache,
        ] = known.each_ref().map(raw);
        let model = match (path_model, model) {
            (Some(name), _) => name.to_owned(),
            (None, None) => return Err(RequestError::Missing("model")),
            (None, Some(raw)) => match json::string(raw) {
                Some(name) if !name.is_empty() => name.into_owned(),
                _ => return Err(wrong_type("model", "a non-empty string")),
            },
        };
        let stream = match stream {
            None | Some(b"null" | b"false") => false,
            Some(b"true") => true,
            Some(_) => return Err(wrong_type("stream", "true or false")),
        };
        let include_usage = stream_options.map_or(Some(false), include_usage);
        Ok(Self {
            model,
            stream,
            include_usage: include_usage
                .ok_or_else(|| wrong_type("stream_options", "an object"))?,
            encoding_format: match encoding_format {
                Some(br#""base64""#) => EncodingFormat::Base64,
                _ => EncodingFormat::Float,
            },
            max_tokens: max_completion_tokens
                .and_then(json::integer)
                .or_else(|| max_tokens.and_then(json::integer)),
            overrides,
            members: all,
        })
    }

    /// The bytes of a top-level member's value in `body`, which must be the body this head was read from.
    #[must_use]
    pub fn raw<'a>(&self, body: &'a [u8], name: &str) -> Option<&'a [u8]> {
        let member = self.members.iter().find(|m| &*m.name == name)?;
        body.get(member.value.clone())
    }

    /// All top-level members as they stand in `body`, which must be the body this head was read from.
    pub fn members<'a>(&'a self, body: &'a [u8]) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        self.members
            .iter()
            .filter_map(|m| Some((&*m.name, body.get(m.value.clone())?)))
    }

    /// Whether the request has this top-level member.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.members.iter().any(|m| &*m.name == name)
    }
}

const fn wrong_type(member: &'static str, expected: &'static str) -> RequestError {
    RequestError::WrongType { member, expected }
}

/// `include_usage` of the client's `stream_options`; `None` if that is not what it should be.
fn include_usage(options: &[u8]) -> Option<bool> {
    if options == b"null" {
        return Some(false);
    }
    let mut options = Scanner::new(options);
    let mut include = None;
    if !options.object() {
        return None;
    }
    while let Some(name) = options.member().ok()? {
        match (&*name, options.value().ok()?) {
            (b"include_usage", _) if include.is_some() => return None,
            (b"include_usage", b"true") => include = Some(true),
            (b"include_usage", b"false" | b"null") => include = Some(false),
            (b"include_usage", _) => return None,
            _ => {}
        }
    }
    Some(include.unwrap_or(false))
}

/// The members of an object, with the values of the known ones by their place in [`USUAL`].
struct Members {
    all: Vec<Member>,
    known: [Option<Range<usize>>; KNOWN],
    twice: [bool; KNOWN],
    overrides: bool,
}

impl Members {
    fn read(body: &[u8]) -> Result<Self, RequestError> {
        let mut scanner = Scanner::new(body);
        let is_object = scanner.peek() == Some(b'{');
        match Self::walk(&mut scanner) {
            Err(wrong) => Err(RequestError::NotJson(scanner.error(wrong))),
            Ok(_) if !is_object => Err(RequestError::NotObject),
            Ok(members) => match members.twice.iter().position(|again| *again) {
                Some(at) => Err(RequestError::Duplicate(USUAL[at])),
                None => Ok(members),
            },
        }
    }

    /// All of the text, whatever it is; values are passed, not built.
    fn walk(scanner: &mut Scanner<'_>) -> Result<Self, Wrong> {
        let mut members = Self {
            all: Vec::with_capacity(12),
            known: [const { None }; KNOWN],
            twice: [false; KNOWN],
            overrides: false,
        };
        if scanner.object() {
            while let Some(name) = scanner.member()? {
                let value = scanner.skip()?;
                members.add(&name, value);
            }
        } else {
            scanner.skip()?;
        }
        scanner.end()?;
        scanner.utf8()?;
        Ok(members)
    }

    fn add(&mut self, name: &[u8], value: Range<usize>) {
        let usual = USUAL.iter().position(|usual| usual.as_bytes() == name);
        if let Some(at) = usual.filter(|at| *at < KNOWN)
            && self.known[at].replace(value.clone()).is_some()
        {
            self.twice[at] = true;
        }
        let name = match usual {
            Some(at) => Cow::Borrowed(USUAL[at]),
            // It is UTF-8, or the body is refused in the end.
            None => {
                self.overrides |= overrides::OWN.iter().any(|own| own.as_bytes() == name);
                Cow::Owned(String::from_utf8_lossy(name).into_owned())
            }
        };
        self.all.push(Member { name, value });
    }
}

#[cfg(test)]
mod tests;
