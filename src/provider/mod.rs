//! Wire dialects: from a client's call to a request the provider understands, and back. Pure: no I/O and no clock.
//!
//! Where both sides speak OpenAI the bytes pass through with the named members spliced, and nothing is parsed on the
//! way back ([`Inbound::Passthrough`]). Otherwise a [`Translator`] is fed the raw chunks of the answer and emits OpenAI
//! bytes. A new dialect is one file or folder and one arm in [`adapter`]; a provider that speaks OpenAI's dialect is one
//! row in the catalog.
//!
//! Clients speak OpenAI's dialect so far. Another one (Anthropic's Messages, OpenAI's Responses) has its place before this
//! one: a pair of translators to and from OpenAI's form, needed only where client and provider do not speak the same.

mod anthropic;
mod bedrock;
mod chat;
mod cohere;
mod completions;
pub mod embeddings;
mod gemini;
mod members;
pub mod mock;
mod ollama;
mod openai;
mod reference;
mod sagemaker;
#[cfg(test)]
mod vectors;
mod watsonx;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, StatusCode};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::h1::Fields;
use crate::request::{Outbound, RequestHead};
use crate::types::{AwsKeys, Dialect, Operation, Target, Token};

pub use chat::is_too_long;
pub use reference::reference;

/// One client request as adapters see it.
#[derive(Debug, Clone)]
pub struct Call {
    /// What is asked for.
    pub operation: Operation,
    /// Its table of contents.
    pub head: Arc<RequestHead>,
    /// The client's bytes.
    pub body: Bytes,
    /// The `openai-beta` header, the one request header that changes what a body means.
    pub beta: Option<HeaderValue>,
    /// The request's id; ids that a provider does not give are made from it.
    pub id: Arc<str>,
    /// When the request came, in seconds since the Unix epoch.
    pub created: u64,
}

/// How an answer gets back.
#[derive(Debug)]
pub enum Inbound {
    /// As it is.
    Passthrough,
    /// Through a translator.
    Translate(Box<dyn Translator>),
}

/// Turns a provider's answer into OpenAI's. Whole bodies and streams alike.
pub trait Translator: fmt::Debug + Send {
    /// Takes the next raw chunk and appends what can be said already.
    ///
    /// # Errors
    /// If the answer is not what the dialect says it should be.
    fn push(&mut self, chunk: &[u8], out: &mut BytesMut) -> Result<(), AdaptError>;
    /// The answer is over.
    ///
    /// # Errors
    /// If it is not whole.
    fn finish(&mut self, out: &mut BytesMut) -> Result<(), AdaptError>;
}

/// Why a call can't be put into a dialect, or an answer not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AdaptError {
    /// The request uses something this deployment can't do.
    #[error("{message}")]
    Unsupported {
        /// The request's member.
        param: Cow<'static, str>,
        /// What about it, and what would work.
        message: String,
    },
    /// The answer is malformed.
    #[error("the upstream's answer is malformed: {0}")]
    Malformed(String),
}

/// What an upstream's error body says, in OpenAI's terms.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ErrorFacts {
    /// `error.type`
    pub kind: Option<String>,
    /// `error.code`, as text
    pub code: Option<String>,
    /// `error.message`
    pub message: Option<String>,
    /// `error.param`
    pub param: Option<String>,
}

/// What a request is authenticated with beyond the target's fixed headers, and when.
#[derive(Debug, Clone, Copy, Default)]
pub struct Authority<'a> {
    /// For credentials that expire.
    pub token: Option<&'a Token>,
    /// Now, since the Unix epoch: what is signed says when.
    pub unix: Duration,
}

impl<'a> Authority<'a> {
    /// The value of `Authorization`, if that is how it goes.
    #[must_use]
    pub const fn bearer(&self) -> Option<&'a HeaderValue> {
        match self.token {
            Some(Token::Bearer(value)) => Some(value),
            Some(Token::Aws(_)) | None => None,
        }
    }

    /// The keys to sign with, if that is how it goes.
    #[must_use]
    pub fn keys(&self) -> Option<&'a AwsKeys> {
        match self.token {
            Some(Token::Aws(keys)) => Some(keys),
            Some(Token::Bearer(_)) | None => None,
        }
    }
}

/// An answer that is an error, as OpenAI would have put it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Its status, or the one that says what was meant.
    pub status: StatusCode,
    /// What the body says.
    pub facts: Option<ErrorFacts>,
    /// How long to leave the deployment alone, if the body says so; headers are read anyway.
    pub retry_after: Option<Duration>,
    /// The body in OpenAI's shape; `None`: as it was sent.
    pub body: Option<Bytes>,
}

impl Refusal {
    /// An answer that goes on as it was sent, with what OpenAI's form says in it, if it has that.
    #[must_use]
    pub fn as_sent(status: StatusCode, body: &[u8]) -> Self {
        Self {
            status,
            facts: error_facts(body),
            retry_after: None,
            body: None,
        }
    }
}

/// One deployment's dialect.
pub trait Adapter: fmt::Debug + Send + Sync {
    /// The request to send.
    ///
    /// # Errors
    /// If the call can't be expressed.
    fn outbound(&self, call: &Call, authority: Authority<'_>) -> Result<Outbound, AdaptError>;
    /// How the answer to `call` gets back. `fields` are the answer's header lines.
    fn inbound(&self, call: &Call, fields: &Fields) -> Inbound;
    /// Reads an answer whose status is no success.
    fn refusal(&self, status: StatusCode, _fields: &Fields, body: &[u8]) -> Refusal {
        Refusal::as_sent(status, body)
    }
    /// How many texts one call for embeddings may have; a larger one is made in several calls, whose answers are joined.
    fn most_inputs(&self) -> Option<usize> {
        None
    }
    /// Whether Waypost asks for a usage event that the client did not ask for.
    fn adds_usage(&self, call: &Call) -> bool;
}

/// The adapter of a target.
///
/// # Errors
/// If the target's URL is none.
pub fn adapter(target: &Arc<Target>) -> Result<Box<dyn Adapter>, http::Error> {
    match &target.dialect {
        Dialect::OpenAi { .. }
        | Dialect::Azure { .. }
        | Dialect::AzureV1
        | Dialect::AzureModels { .. } => Ok(Box::new(openai::OpenAi::new(Arc::clone(target))?)),
        Dialect::Watsonx { .. } => Ok(Box::new(watsonx::Watsonx::new(Arc::clone(target))?)),
        Dialect::Cohere => Ok(Box::new(cohere::Cohere::new(Arc::clone(target))?)),
        Dialect::Anthropic { version } => {
            let version = version.clone();
            let host = anthropic::Host::Api { version };
            Ok(Box::new(anthropic::Anthropic::new(
                Arc::clone(target),
                host,
            )?))
        }
        Dialect::Ollama => Ok(Box::new(ollama::Ollama::new(Arc::clone(target))?)),
        Dialect::Gemini(_) => Ok(Box::new(gemini::Gemini::new(Arc::clone(target))?)),
        Dialect::VertexRaw(partner) => Ok(Box::new(gemini::Partner::new(target, *partner)?)),
        Dialect::Bedrock { region } => {
            Ok(Box::new(bedrock::Bedrock::new(Arc::clone(target), region)?))
        }
        Dialect::AwsOpenAi { region, service } => {
            let signed = bedrock::openai::Signed::new(Arc::clone(target), region, service)?;
            Ok(Box::new(signed))
        }
        Dialect::SageMaker { region, component } => {
            let (target, component) = (Arc::clone(target), component.as_deref());
            Ok(Box::new(sagemaker::SageMaker::new(
                target, region, component,
            )?))
        }
    }
}

/// Reads an error body of any of the shapes that OpenAI-compatible servers use: OpenAI's object, vLLM's and Mistral's flat one,
/// TGI's and Ollama's plain text under `error`, FastAPI's `detail`, Databricks' `error_code`. `None` if there is no error in it.
#[must_use]
pub fn error_facts(body: &[u8]) -> Option<ErrorFacts> {
    #[derive(Deserialize)]
    struct Wire<'a> {
        #[serde(borrow)]
        error: Option<&'a RawValue>,
        object: Option<String>,
        detail: Option<serde_json::Value>,
        error_code: Option<String>,
        message: Option<serde_json::Value>,
    }
    #[derive(Deserialize)]
    struct Fields {
        #[serde(rename = "type")]
        kind: Option<serde_json::Value>,
        code: Option<serde_json::Value>,
        message: Option<serde_json::Value>,
        param: Option<serde_json::Value>,
        error_type: Option<String>,
    }
    let text = |value: Option<serde_json::Value>| match value {
        None | Some(serde_json::Value::Null) => None,
        Some(serde_json::Value::String(text)) => Some(text),
        Some(other) => Some(other.to_string()),
    };
    let facts = |fields: Fields| ErrorFacts {
        kind: text(fields.kind).or(fields.error_type),
        code: text(fields.code),
        message: text(fields.message),
        param: text(fields.param),
    };
    let wire: Wire<'_> = serde_json::from_slice(body).ok()?;
    match wire.error.map(RawValue::get) {
        Some("null" | "false") | None => {}
        Some(raw) => {
            if let Ok(message) = serde_json::from_str::<String>(raw) {
                let outer = serde_json::from_slice::<Fields>(body)
                    .ok()
                    .map(facts)
                    .unwrap_or_default();
                return (!message.is_empty()).then_some(ErrorFacts {
                    message: Some(message),
                    ..outer
                });
            }
            return Some(
                serde_json::from_str::<Fields>(raw)
                    .map(facts)
                    .unwrap_or_default(),
            );
        }
    }
    if wire.object.as_deref() == Some("error") {
        return serde_json::from_slice::<Fields>(body).ok().map(facts);
    }
    if wire.error_code.is_some() {
        return Some(ErrorFacts {
            code: wire.error_code,
            message: text(wire.message),
            ..ErrorFacts::default()
        });
    }
    wire.detail.map(|detail| ErrorFacts {
        message: text(Some(detail)),
        ..ErrorFacts::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_shapes() {
        let cases = [
            (
                r#"{"error":{"message":"m","type":"t","param":"p","code":"c"}}"#,
                Some(("t", "c", "m")),
            ),
            (
                r#"{"error":{"message":"m","type":null,"code":503}}"#,
                Some(("", "503", "m")),
            ),
            (r#"{"error":"plain"}"#, Some(("", "", "plain"))),
            (
                r#"{"error":"plain","error_type":"validation"}"#,
                Some(("validation", "", "plain")),
            ),
            (
                r#"{"object":"error","message":"m","type":"BadRequestError","code":400}"#,
                Some(("BadRequestError", "400", "m")),
            ),
            (
                r#"{"error_code":"BAD_REQUEST","message":"m"}"#,
                Some(("", "BAD_REQUEST", "m")),
            ),
            (r#"{"detail":"Not Found"}"#, Some(("", "", "Not Found"))),
            (r#"{"error":{}}"#, Some(("", "", ""))),
            (r#"{"error":null,"choices":[]}"#, None),
            (r#"{"choices":[]}"#, None),
            ("<html>", None),
        ];
        for (body, expected) in cases {
            let facts = error_facts(body.as_bytes());
            let got = facts.as_ref().map(|f| {
                let s = |t: &Option<String>| t.clone().unwrap_or_default();
                (s(&f.kind), s(&f.code), s(&f.message))
            });
            assert_eq!(
                got,
                expected.map(|(k, c, m)| (k.to_owned(), c.to_owned(), m.to_owned())),
                "{body}"
            );
        }
    }
}
