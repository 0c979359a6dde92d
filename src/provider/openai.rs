//! The OpenAI dialect, and Azure's two forms of it: the same bodies at other addresses.
//!
//! What differs between the hosts that speak it (base URL, authentication, renamed members, whether `stream_options` is
//! understood) is data of the [`Target`]; this file only applies it.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Uri};

use super::{AdaptError, Adapter, Authority, Call, Inbound, completions};
use crate::h1::Fields;
use crate::request::{Edit, Outbound, Template, quoted, splice};
use crate::types::{Auth, Dialect, Operation, Target};

/// Members of chat and completion requests that mean nothing to an embedding; defaults of a group that serves both are
/// not sent where they would be refused.
const NOT_FOR_EMBEDDINGS: [&str; 18] = [
    "temperature",
    "top_p",
    "max_tokens",
    "max_completion_tokens",
    "frequency_penalty",
    "presence_penalty",
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "seed",
    "stop",
    "response_format",
    "reasoning_effort",
    "verbosity",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "service_tier",
];

/// The one request header of the client's that goes on.
const BETA: &str = "openai-beta";

#[derive(Debug)]
pub(super) struct OpenAi {
    target: Arc<Target>,
    /// By operation, in the order of [`Operation::ALL`].
    heads: [Heads; 3],
    model: Bytes,
    /// The `openai-beta` of calls without one of their own.
    beta: Option<HeaderValue>,
}

#[derive(Debug)]
struct Heads {
    plain: Template,
    stream: Template,
}

impl OpenAi {
    pub(super) fn new(target: Arc<Target>) -> Result<Self, http::Error> {
        let mut headers = headers(&target)?;
        let beta = headers.remove(BETA);
        let mut streaming = headers.clone();
        streaming.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        let heads = |operation| {
            let url = Uri::try_from(url(&target, operation))?;
            Ok::<_, http::Error>(Heads {
                plain: Template::post(&url, &headers),
                stream: Template::post(&url, &streaming),
            })
        };
        Ok(Self {
            heads: [
                heads(Operation::Chat)?,
                heads(Operation::Completions)?,
                heads(Operation::Embeddings)?,
            ],
            model: quoted(&target.model),
            beta,
            target,
        })
    }

    /// Whether this call has to be asked as a completion and answered as a chat.
    fn as_completion(&self, call: &Call) -> bool {
        call.operation == Operation::Chat
            && self.target.dialect
                == Dialect::OpenAi {
                    completions_only: true,
                }
    }

    fn edits<'a>(&'a self, call: &Call) -> Vec<Edit<'a>> {
        let target = &*self.target;
        let mut edits = Vec::with_capacity(4 + target.defaults.len());
        edits.push(Edit::Set("model", self.model.clone()));
        edits.push(Edit::Remove("cache")); // LiteLLM's cache controls: read by Waypost, unknown to providers
        for (ours, theirs) in target.renames {
            edits.push(Edit::Rename(ours, theirs));
        }
        if call.operation == Operation::Embeddings && !target.encoding_format {
            edits.push(Edit::Remove("encoding_format"));
        }
        if self.adds_usage(call) {
            edits.push(Edit::Set("stream_options", with_usage(call)));
        } else if !target.stream_options && call.head.has("stream_options") {
            edits.push(Edit::Remove("stream_options"));
        }
        for (name, value) in &target.defaults {
            if applies(name, call) {
                let theirs = target
                    .renames
                    .iter()
                    .find(|(ours, _)| ours == name)
                    .map_or(name.as_str(), |(_, t)| t);
                if target.extra_body.iter().all(|(set, _)| set != theirs) {
                    edits.push(Edit::Default(theirs, Bytes::from(value.to_string())));
                }
            }
        }
        for (name, value) in &target.extra_body {
            edits.push(Edit::Set(name, Bytes::from(value.to_string())));
        }
        edits
    }
}

impl Adapter for OpenAi {
    fn outbound(&self, call: &Call, authority: Authority<'_>) -> Result<Outbound, AdaptError> {
        let mut edits = self.edits(call);
        let mut operation = call.operation;
        if self.as_completion(call) {
            operation = Operation::Completions;
            completions::edit(call, &mut edits)?;
        }
        let payload = splice(&call.body, &call.head, &edits);
        let heads = &self.heads[operation as usize];
        let head = if call.head.stream {
            &heads.stream
        } else {
            &heads.plain
        };
        let beta = call.beta.as_ref().or(self.beta.as_ref());
        Ok(head.request(
            &[("authorization", authority.bearer()), (BETA, beta)],
            payload,
        ))
    }

    fn inbound(&self, call: &Call, _fields: &Fields) -> Inbound {
        if self.as_completion(call) {
            Inbound::Translate(completions::translator(call.head.stream))
        } else {
            Inbound::Passthrough
        }
    }

    fn adds_usage(&self, call: &Call) -> bool {
        let streams = call.head.stream && call.operation != Operation::Embeddings;
        streams && !call.head.include_usage && self.target.stream_options
    }
}

/// The client's `stream_options`, with usage.
fn with_usage(call: &Call) -> Bytes {
    let Some(own) = call.head.raw(&call.body, "stream_options") else {
        return Bytes::from_static(br#"{"include_usage":true}"#);
    };
    let mut options = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(own)
        .unwrap_or_default();
    options.insert("include_usage".to_owned(), true.into());
    Bytes::from(serde_json::Value::Object(options).to_string())
}

/// Whether a default belongs into this call.
fn applies(name: &str, call: &Call) -> bool {
    match (name, call.operation) {
        ("max_completion_tokens", _) if call.head.has("max_tokens") => false,
        ("max_tokens", _) if call.head.has("max_completion_tokens") => false,
        ("dimensions" | "encoding_format", operation) => operation == Operation::Embeddings,
        (name, Operation::Embeddings) => !NOT_FOR_EMBEDDINGS.contains(&name),
        (_, Operation::Chat | Operation::Completions) => true,
    }
}

fn url(target: &Target, operation: Operation) -> String {
    let (base, path) = (&target.base_url, operation.path());
    match &target.dialect {
        Dialect::OpenAi { .. }
        | Dialect::AwsOpenAi { .. }
        | Dialect::Bedrock { .. }
        | Dialect::SageMaker { .. } => format!("{base}/{path}"),
        Dialect::Azure { api_version } => {
            format!(
                "{base}/openai/deployments/{}/{path}?api-version={api_version}",
                target.model
            )
        }
        Dialect::AzureV1 => format!("{base}/openai/v1/{path}"),
        Dialect::Ollama | Dialect::Anthropic { .. } => format!("{base}/v1/{path}"),
    }
}

/// The headers every request to the target has; a token that is fetched comes on top of them.
pub(super) fn headers(target: &Target) -> Result<HeaderMap, http::Error> {
    let mut headers = HeaderMap::with_capacity(10);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(
        USER_AGENT,
        HeaderValue::from_static(concat!("waypost/", env!("CARGO_PKG_VERSION"))),
    );
    if let Some(organization) = &target.organization {
        headers.insert(
            HeaderName::from_static("openai-organization"),
            HeaderValue::try_from(organization)?,
        );
    }
    for (name, value) in &target.extra_headers {
        let mut value = HeaderValue::try_from(value.expose())?;
        value.set_sensitive(true);
        headers.insert(HeaderName::try_from(name)?, value);
    }
    let (name, text) = match &target.auth {
        Auth::None | Auth::Token(_) => return Ok(headers),
        Auth::Bearer(key) => (AUTHORIZATION, format!("Bearer {}", key.expose())),
        Auth::Header(name, key) => (HeaderName::from_static(name), key.expose().to_owned()),
    };
    let mut value = HeaderValue::try_from(text)?;
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(headers)
}

#[cfg(test)]
mod tests;
