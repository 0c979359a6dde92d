//! The client's request as bytes with a table of contents.
//!
//! [`RequestHead::read`] walks the JSON once: it validates it, notes where each top-level member lies, and reads the
//! few Waypost needs. Values below are skipped, not built. [`splice()`] writes a body that differs from the client's in
//! the named members only; everything else, spelling and white space included, is the client's own bytes.

mod outbound;
mod payload;
mod splice;

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

pub use outbound::{Outbound, Template};
pub use payload::Payload;
pub use splice::{Edit, quoted, splice};

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

/// A member's name without an allocation, if it is one of those that nearly all requests consist of.
fn owned(name: Cow<'_, str>) -> Cow<'static, str> {
    const USUAL: [&str; 20] = [
        "model",
        "messages",
        "stream",
        "temperature",
        "max_tokens",
        "max_completion_tokens",
        "stream_options",
        "tools",
        "tool_choice",
        "response_format",
        "input",
        "prompt",
        "encoding_format",
        "top_p",
        "user",
        "seed",
        "stop",
        "n",
        "metadata",
        "reasoning_effort",
    ];
    match USUAL.iter().find(|usual| **usual == name) {
        Some(usual) => Cow::Borrowed(usual),
        None => Cow::Owned(name.into_owned()),
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
                    name: owned(name),
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

#[cfg(test)]
mod tests;
