//! What a request says about its own routing, in LiteLLM's members of the body and headers.
//!
//! These members are for the gateway: [`Overrides::read`] takes them, and [`without`] leaves them out of what goes on. A
//! request that has none of them pays for nothing but the look at its members' names.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use serde::Deserialize;

use super::{Edit, RequestError, RequestHead, splice};

/// Members that are the gateway's own, and never go upstream. (`cache` is one, too, and read by the cache.)
pub(super) const OWN: [&str; 20] = [
    "fallbacks",
    "context_window_fallbacks",
    "content_policy_fallbacks",
    "disable_fallbacks",
    "num_retries",
    "timeout",
    "stream_timeout",
    "request_timeout",
    "allowed_model_region",
    "tags",
    "mock_response",
    MOCKS[0].0,
    MOCKS[1].0,
    MOCKS[2].0,
    MOCKS[3].0,
    "litellm_session_id",
    "litellm_call_id",
    "litellm_trace_id",
    "litellm_metadata",
    "include_fallback_errors",
];

/// The failures a request may ask for.
const MOCKS: [(&str, Mock); 4] = [
    ("mock_testing_fallbacks", Mock::Server),
    ("mock_testing_context_fallbacks", Mock::ContextWindow),
    ("mock_testing_content_policy_fallbacks", Mock::ContentPolicy),
    ("mock_testing_rate_limit_error", Mock::RateLimit),
];

/// The longest time a request may name: a year.
const LONGEST: f64 = 365.25 * 86_400.0;

/// A failure that the first group is to make up instead of being asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mock {
    /// 500.
    Server,
    /// The prompt is too long.
    ContextWindow,
    /// A content filter refused.
    ContentPolicy,
    /// 429, of the first attempt only.
    RateLimit,
}

impl Mock {
    /// The member that asks for it.
    #[must_use]
    pub fn member(self) -> &'static str {
        let named = MOCKS.iter().find(|(_, mock)| *mock == self);
        named.map_or("mock_testing_fallbacks", |(name, _)| name)
    }
}

/// A model to turn to, and what is different in the request to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fallback {
    /// A name as in `model`.
    pub model: String,
    /// Members to set, as JSON text.
    pub changes: Vec<(String, Bytes)>,
}

/// A request's wishes; what it does not say is as the configuration says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// After any failure, instead of the configured ones.
    pub fallbacks: Option<Vec<Fallback>>,
    /// After a prompt that is too long.
    pub context_window_fallbacks: Option<Vec<Fallback>>,
    /// After a content filter's refusal.
    pub content_policy_fallbacks: Option<Vec<Fallback>>,
    /// None at all.
    pub disable_fallbacks: bool,
    /// Retries in each group.
    pub num_retries: Option<u32>,
    /// Limit of one attempt.
    pub timeout: Option<Duration>,
    /// Limit until the first content of a stream and between its events.
    pub stream_timeout: Option<Duration>,
    /// Limit of the request with all its attempts (`x-litellm-timeout`).
    pub deadline: Option<Duration>,
    /// Only deployments in this region.
    pub region: Option<String>,
    /// Only deployments with these tags.
    pub tags: Vec<String>,
    /// A failure to make up.
    pub mock: Option<Mock>,
    /// The answer, without anyone being asked.
    pub mock_response: Option<Arc<str>>,
}

impl Overrides {
    /// Reads members and headers; `None` if there are none. `metadata.tags` are read where `tags` are in use
    /// ([`metadata_tags`]).
    ///
    /// # Errors
    /// A member of the wrong type. Headers that make no sense are not there, as everywhere in HTTP.
    pub fn read(
        head: &RequestHead,
        body: &[u8],
        headers: &HeaderMap,
    ) -> Result<Option<Self>, RequestError> {
        let by_header = headers.keys().any(|name| {
            let name = name.as_str();
            name.starts_with("x-litellm-") || name == "x-waypost-tags"
        });
        if !head.overrides && !by_header {
            return Ok(None);
        }
        let mut found = Self::default();
        if by_header {
            found.read_headers(headers);
        }
        if head.overrides {
            found.read_members(head, body)?;
        }
        Ok(Some(found))
    }

    fn read_headers(&mut self, headers: &HeaderMap) {
        let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
        let time = |name: &str| seconds(text(name)?.trim().parse().ok()?);
        self.num_retries = text("x-litellm-num-retries").and_then(|v| v.trim().parse().ok());
        self.deadline = time("x-litellm-timeout");
        self.stream_timeout = time("x-litellm-stream-timeout");
        let tags = ["x-litellm-tags", "x-waypost-tags"];
        let tags = tags.into_iter().filter_map(text).flat_map(|v| v.split(','));
        self.tags = tags
            .map(|tag| tag.trim().to_owned())
            .filter(|tag| !tag.is_empty())
            .collect();
    }

    fn read_members(&mut self, head: &RequestHead, body: &[u8]) -> Result<(), RequestError> {
        let read = Reader { head, body };
        let lists = [
            (&mut self.fallbacks, "fallbacks"),
            (
                &mut self.context_window_fallbacks,
                "context_window_fallbacks",
            ),
            (
                &mut self.content_policy_fallbacks,
                "content_policy_fallbacks",
            ),
        ];
        for (list, name) in lists {
            *list = read.fallbacks(name)?;
        }
        self.disable_fallbacks = read.flag("disable_fallbacks")?;
        let number = read.get::<u32>("num_retries", "a whole number of at least 0")?;
        self.num_retries = number.or(self.num_retries);
        self.timeout = match read.seconds("timeout")? {
            None => read.seconds("request_timeout")?,
            given => given,
        };
        self.stream_timeout = read.seconds("stream_timeout")?.or(self.stream_timeout);
        self.region = read.get("allowed_model_region", "a string")?;
        let tags: Option<Vec<String>> = read.get("tags", "an array of strings")?;
        self.tags.extend(tags.unwrap_or_default());
        for (name, mock) in MOCKS {
            if read.flag(name)? {
                self.mock = Some(mock);
            }
        }
        let text: Option<String> = read.get("mock_response", "a string")?;
        self.mock_response = text.map(Arc::from);
        Ok(())
    }

    /// Whether it asks for something that only tests want.
    #[must_use]
    pub const fn mocks(&self) -> bool {
        self.mock.is_some() || self.mock_response.is_some()
    }
}

/// Reads members into what they should be.
struct Reader<'a> {
    head: &'a RequestHead,
    body: &'a [u8],
}

impl<'a> Reader<'a> {
    fn get<T: Deserialize<'a>>(
        &self,
        member: &'static str,
        expected: &'static str,
    ) -> Result<Option<T>, RequestError> {
        match self.head.raw(self.body, member) {
            None | Some(b"null") => Ok(None),
            Some(raw) => serde_json::from_slice(raw)
                .map(Some)
                .map_err(|_| RequestError::WrongType { member, expected }),
        }
    }

    fn flag(&self, member: &'static str) -> Result<bool, RequestError> {
        Ok(self.get(member, "true or false")?.unwrap_or(false))
    }

    fn seconds(&self, member: &'static str) -> Result<Option<Duration>, RequestError> {
        let expected = "a number of seconds of more than 0, at most a year";
        match self.get::<f64>(member, expected)? {
            None => Ok(None),
            Some(value) => seconds(value)
                .map(Some)
                .ok_or(RequestError::WrongType { member, expected }),
        }
    }

    /// Names, or objects with `model` and members to replace.
    fn fallbacks(&self, member: &'static str) -> Result<Option<Vec<Fallback>>, RequestError> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Name(String),
            Object(serde_json::Map<String, serde_json::Value>),
        }
        let expected = "an array of model names, or of objects with `model` and the members that are different";
        let wrong = || RequestError::WrongType { member, expected };
        let Some(list) = self.get::<Vec<Form>>(member, expected)? else {
            return Ok(None);
        };
        let one = |form| match form {
            Form::Name(model) => Ok(Fallback {
                model,
                changes: Vec::new(),
            }),
            Form::Object(mut object) => {
                let Some(serde_json::Value::String(model)) = object.remove("model") else {
                    return Err(wrong());
                };
                let text = |(name, value): (String, serde_json::Value)| {
                    (name, Bytes::from(value.to_string()))
                };
                // The way an answer is sent was settled with the request.
                object.remove("stream");
                Ok(Fallback {
                    model,
                    changes: object.into_iter().map(text).collect(),
                })
            }
        };
        list.into_iter()
            .map(one)
            .collect::<Result<_, _>>()
            .map(Some)
    }
}

fn seconds(value: f64) -> Option<Duration> {
    (value > 0.0 && value <= LONGEST)
        .then(|| Duration::try_from_secs_f64(value).ok())
        .flatten()
}

/// The tags in the request's `metadata`, which is the provider's as well and stays in it.
#[must_use]
pub fn metadata_tags(head: &RequestHead, body: &[u8]) -> Vec<String> {
    #[derive(Deserialize)]
    struct Metadata {
        #[serde(default)]
        tags: Vec<String>,
    }
    head.raw(body, "metadata")
        .and_then(|raw| serde_json::from_slice::<Metadata>(raw).ok())
        .map(|metadata| metadata.tags)
        .unwrap_or_default()
}

/// `body` without the gateway's own members, and with `changes`.
#[must_use]
pub fn without(body: &Bytes, head: &RequestHead, changes: &[(String, Bytes)]) -> Bytes {
    let own = OWN.iter().filter(|name| head.has(name));
    let edits: Vec<Edit<'_>> = own
        .map(|name| Edit::Remove(name))
        .chain(
            changes
                .iter()
                .map(|(name, value)| Edit::Set(name, value.clone())),
        )
        .collect();
    splice(body, head, &edits).to_bytes()
}

#[cfg(test)]
mod tests;
