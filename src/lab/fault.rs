//! What can go wrong with a deployment, as real providers show it, and where an answer can be held.
//!
//! Every fault is its own variant, so that a test names what it means. What a fault looks like on the wire is in
//! `refusal` (answers with an error status) and `play` (answers that break on their way).

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};

use super::latency::text;

/// A failure of a deployment. In a script either the name (`fault: rate_limit`) or the name with options
/// (`fault: {rate_limit: {retry_after: 3s}}`).
///
/// `after` counts content tokens: 0 means before any content, after the head and the role chunk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// 429 `rate_limit_exceeded`; without options no hint when to come back.
    RateLimit {
        /// Sent as `Retry-After` in whole seconds.
        #[serde(
            default,
            with = "text::optional",
            skip_serializing_if = "Option::is_none"
        )]
        retry_after: Option<Duration>,
        /// Sent as `retry-after-ms`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
    },
    /// 429 `insufficient_quota`: not a matter of waiting.
    InsufficientQuota,
    /// 500 `server_error`.
    ServerError,
    /// 503 `overloaded_error`.
    Unavailable {
        /// Sent as `Retry-After` in whole seconds.
        #[serde(
            default,
            with = "text::optional",
            skip_serializing_if = "Option::is_none"
        )]
        retry_after: Option<Duration>,
    },
    /// 503 as llama.cpp answers while it loads its weights (`error.code` is a number there).
    Loading,
    /// 401 `invalid_api_key`.
    Unauthorized,
    /// 401 whose message repeats the `Authorization` or `api-key` header as it came: a test of masking.
    EchoAuthorization,
    /// 402: no money left.
    PaymentRequired,
    /// 404 `DeploymentNotFound`, as Azure says it.
    DeploymentNotFound,
    /// 404 `model_not_found`, as OpenAI says it.
    ModelNotFound,
    /// 408.
    Timeout,
    /// 400 `context_length_exceeded`.
    ContextLength,
    /// 400 `content_filter` with Azure's `innererror`.
    ContentFilter,
    /// 400 `invalid_value`.
    BadRequest {
        /// What `error.param` says.
        #[serde(default = "temperature")]
        param: String,
    },
    /// 302 to another place.
    Redirect {
        /// What `Location` says.
        #[serde(default = "elsewhere")]
        location: String,
    },
    /// Any status with any body.
    Status {
        /// The status; 100 to 999.
        status: u16,
        /// JSON, or text which is sent as it is, as `text/html`.
        #[serde(default)]
        body: Value,
        /// Further headers.
        #[serde(default)]
        headers: BTreeMap<String, String>,
    },
    /// 200 with an error object as the body, streaming or not.
    #[serde(rename = "error_in_200")]
    ErrorIn200,
    /// The port is closed: nobody listens, open connections end. Only as the standing behaviour; for single requests
    /// it is a [`Reset`](Self::Reset).
    Refused,
    /// The request is read, then the connection is reset without a byte of answer.
    Reset,
    /// The same, but only on a connection that has carried a request before; a fresh one is answered.
    ResetReused,
    /// The request is read, then nothing ever comes.
    HangBeforeHead,
    /// Status, headers and for a stream the role chunk come, then nothing (but heartbeats, if any).
    HangBeforeContent,
    /// Content begins, then nothing more comes (but heartbeats, if any). A plain answer stops in mid-body.
    Stall {
        /// Content tokens before it.
        #[serde(default)]
        after: usize,
    },
    /// The connection closes in mid-answer, with the body unfinished as HTTP sees it.
    Cut {
        /// Content tokens before it.
        #[serde(default)]
        after: usize,
    },
    /// The stream ends cleanly as HTTP sees it, but without finish chunk and `[DONE]`. Plain answers are not affected.
    EndEarly {
        /// Content tokens before it.
        #[serde(default)]
        after: usize,
    },
    /// An error event inside a 200 stream, which then ends without `[DONE]`. A plain answer gets the same as
    /// [`ErrorIn200`](Self::ErrorIn200).
    StreamError {
        /// Content tokens before it.
        #[serde(default)]
        after: usize,
        /// `error.type` and, unless the text is `server_error`, `error.code`.
        #[serde(default = "server_error")]
        kind: String,
    },
    /// A chunk with empty `choices` in mid-stream, which goes on. Plain answers are not affected.
    EmptyChoices {
        /// Content tokens before it.
        #[serde(default)]
        after: usize,
    },
    /// An event that is no JSON in mid-stream, which goes on. A plain answer gets [`MalformedJson`](Self::MalformedJson).
    MalformedEvent {
        /// Content tokens before it.
        #[serde(default)]
        after: usize,
    },
    /// 200 with a body that is no JSON.
    MalformedJson,
    /// 200 with a `Content-Length` larger than what is sent before the connection closes; a stream is cut at its
    /// middle.
    TruncatedBody,
    /// The answer is right but its bytes come a few at a time.
    SlowDrip {
        /// Bytes per write.
        #[serde(default = "one")]
        bytes: usize,
        /// Pause between writes.
        #[serde(with = "text", default = "drip")]
        every: Duration,
    },
}

fn temperature() -> String {
    "temperature".to_owned()
}

fn elsewhere() -> String {
    "http://127.0.0.1:1/elsewhere".to_owned()
}

fn server_error() -> String {
    "server_error".to_owned()
}

const fn one() -> usize {
    1
}

const fn drip() -> Duration {
    Duration::from_millis(10)
}

impl Fault {
    /// 429 without any hint when to come back.
    #[must_use]
    pub const fn rate_limit() -> Self {
        Self::RateLimit {
            retry_after: None,
            retry_after_ms: None,
        }
    }

    /// 429 with `Retry-After` in whole seconds.
    #[must_use]
    pub const fn rate_limit_for(retry_after: Duration) -> Self {
        Self::RateLimit {
            retry_after: Some(retry_after),
            retry_after_ms: None,
        }
    }

    /// `status` with `body` and no further headers.
    #[must_use]
    pub const fn status(status: u16, body: Value) -> Self {
        Self::Status {
            status,
            body,
            headers: BTreeMap::new(),
        }
    }
}

impl Serialize for Fault {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for Fault {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameOrMap;

        impl<'de> Visitor<'de> for NameOrMap {
            type Value = Fault;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a fault, or a mapping from it to its options")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Fault, E> {
                Fault::deserialize(json!(name))
                    .or_else(|_| Fault::deserialize(json!({ name: {} })))
                    .map_err(E::custom)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Fault, A::Error> {
                Fault::deserialize(MapAccessDeserializer::new(map))
            }
        }

        deserializer.deserialize_any(NameOrMap)
    }
}

/// A fault that strikes with some probability.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chance {
    /// What happens.
    pub fault: Fault,
    /// How often, from 0 to 1.
    pub probability: f64,
}

/// Where an answer waits until [`Handle::release`](super::Handle::release).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hold {
    /// Before status and headers.
    BeforeHead,
    /// After status, headers and role chunk.
    BeforeContent,
    /// After so many content tokens.
    After(usize),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_a_name_or_a_name_with_options() {
        let read = |json: Value| serde_json::from_value::<Fault>(json);
        for (json, fault) in [
            (json!("server_error"), Fault::ServerError),
            (json!("rate_limit"), Fault::rate_limit()),
            (
                json!({"rate_limit": {"retry_after": "3s"}}),
                Fault::rate_limit_for(Duration::from_secs(3)),
            ),
            (json!("cut"), Fault::Cut { after: 0 }),
            (json!({"cut": {"after": 4}}), Fault::Cut { after: 4 }),
            (
                json!("slow_drip"),
                Fault::SlowDrip {
                    bytes: 1,
                    every: Duration::from_millis(10),
                },
            ),
        ] {
            assert_eq!(read(json.clone()).ok(), Some(fault), "{json}");
        }
    }

    #[test]
    fn a_misspelt_fault_is_refused_with_the_names_there_are() {
        let error = serde_json::from_value::<Fault>(json!("ratelimit"))
            .expect_err("misspelt")
            .to_string();
        assert!(
            error.contains("rate_limit") && error.contains("hang_before_head"),
            "{error}"
        );
        let error = serde_json::from_value::<Fault>(json!({"cut": {"afer": 4}}))
            .expect_err("misspelt")
            .to_string();
        assert!(error.contains("afer") && error.contains("after"), "{error}");
    }

    #[test]
    fn the_documentation_has_every_fault() {
        let error = serde_json::from_value::<Fault>(json!("nonsense"))
            .expect_err("no fault")
            .to_string();
        let names: Vec<&str> = error.split('`').skip(3).step_by(2).collect();
        assert!(names.len() > 30, "{names:?}");
        let documentation = include_str!("../../docs/lab.md");
        for name in names {
            assert!(documentation.contains(&format!("\n| `{name}`")), "{name}");
        }
    }

    #[test]
    fn what_is_shown_can_be_read_back() {
        for fault in [
            Fault::rate_limit_for(Duration::from_millis(1500)),
            Fault::Redirect {
                location: "http://a.example/".into(),
            },
            Fault::status(418, json!({"error": "teapot"})),
            Fault::Reset,
        ] {
            let json = serde_json::to_value(&fault).expect("serializes");
            assert_eq!(serde_json::from_value::<Fault>(json).ok(), Some(fault));
        }
    }
}
