//! The OpenAI dialect, and Azure's two forms of it: the same bodies at other addresses.
//!
//! What differs between the hosts that speak it (base URL, authentication, renamed members, what is refused, what their
//! answers have) is data of the [`Target`]; this file only applies it. Where a row asks for nothing, nothing is parsed.

mod answers;
mod history;
mod params;

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};

use super::{
    AdaptError, Adapter, Authority, Call, Inbound, Refusal, chat, completions, error_facts, watsonx,
};
use crate::h1::Fields;
use crate::request::{Edit, Outbound, Payload, Template, quoted, splice};
use crate::types::{Answers, Auth, Dialect, Operation, Target};
use params::{Params, theirs};

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
    params: Params,
    /// Whether `stream_options` may be sent.
    stream_options: bool,
    /// What every request for embeddings must have.
    embedding_defaults: Vec<(&'static str, Bytes)>,
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
            let url = |streams| Uri::try_from(url(&target, operation, streams));
            Ok::<_, http::Error>(Heads {
                plain: Template::post(&url(false)?, &headers),
                stream: Template::post(&url(true)?, &streaming),
            })
        };
        let params = Params::new(&target);
        Ok(Self {
            heads: [
                heads(Operation::Chat)?,
                heads(Operation::Completions)?,
                heads(Operation::Embeddings)?,
            ],
            model: quoted(&target.model),
            stream_options: target.stream_options && !params.names("stream_options"),
            params,
            embedding_defaults: target
                .quirks
                .embedding_defaults
                .iter()
                .map(|(name, value)| (*name, Bytes::from_static(value.as_bytes())))
                .collect(),
            beta,
            target,
        })
    }

    /// Whether the request has to say that usage is wanted.
    fn asks_for_usage(&self, call: &Call) -> bool {
        streams_unasked(call) && self.stream_options
    }

    /// Whether this call has to be asked as a completion and answered as a chat.
    fn as_completion(&self, call: &Call) -> bool {
        call.operation == Operation::Chat
            && self.target.dialect
                == Dialect::OpenAi {
                    completions_only: true,
                }
    }

    /// A request with this body.
    pub(super) fn request(
        &self,
        call: &Call,
        operation: Operation,
        payload: Payload,
        authority: Authority<'_>,
    ) -> Outbound {
        let heads = &self.heads[operation as usize];
        let head = if call.head.stream {
            &heads.stream
        } else {
            &heads.plain
        };
        let beta = call.beta.as_ref().or(self.beta.as_ref());
        head.request(
            &[("authorization", authority.bearer()), (BETA, beta)],
            payload,
        )
    }

    /// What changes of the request, and the names of what is left out of it.
    pub(super) fn edits<'a>(
        &'a self,
        call: &Call,
    ) -> Result<(Vec<Edit<'a>>, Vec<Cow<'static, str>>), AdaptError> {
        let target = &*self.target;
        let embeds = call.operation == Operation::Embeddings;
        let mut edits = Vec::with_capacity(4 + target.defaults.len());
        edits.push(Edit::Set("model", self.model.clone()));
        edits.push(Edit::Remove("cache")); // LiteLLM's cache controls: read by Waypost, unknown to providers
        let mut dropped = self.params.leave_out(call, target, &mut edits)?;
        self.mend(call, &mut edits);
        for (ours, theirs) in self.renames(embeds) {
            edits.push(Edit::Rename(ours, theirs));
        }
        if embeds && !target.encoding_format {
            edits.push(Edit::Remove("encoding_format"));
        }
        if self.asks_for_usage(call) {
            edits.push(Edit::Set("stream_options", with_usage(call)));
        } else if !self.stream_options && call.head.has("stream_options") {
            edits.push(Edit::Remove("stream_options"));
        }
        for (name, value) in target
            .defaults
            .iter()
            .filter(|(name, _)| applies(name, call))
        {
            let mut renames = self.renames(embeds);
            let known = renames
                .find(|(ours, _)| ours == name)
                .map_or(name.as_str(), |(_, theirs)| theirs);
            if self.params.names(name) {
                if dropped.iter().all(|other| other != name) {
                    dropped.push(name.clone().into());
                }
            } else if target.extra_body.iter().all(|(set, _)| set != known) {
                let value = Bytes::from(value.to_string());
                let value = theirs(target, name, &value).unwrap_or(value);
                edits.push(Edit::Default(known, value));
            }
        }
        if embeds {
            for (name, value) in &self.embedding_defaults {
                edits.push(Edit::Default(name, value.clone()));
            }
        }
        for (name, value) in &target.extra_body {
            edits.push(Edit::Set(name, Bytes::from(value.to_string())));
        }
        Ok((edits, dropped))
    }

    /// Names that the provider has others for.
    fn renames(&self, embeds: bool) -> impl Iterator<Item = (&'static str, &'static str)> {
        let more = self.target.quirks.embedding_renames;
        let more = if embeds { more } else { &[] };
        self.target.renames.iter().chain(more).copied()
    }

    /// Values that the provider spells otherwise, and what it does not take of messages and tools.
    fn mend(&self, call: &Call, edits: &mut Vec<Edit<'_>>) {
        let (target, quirks) = (&*self.target, self.target.quirks);
        for (name, _, _) in quirks.values {
            let asked = call.head.raw(&call.body, name);
            if let Some(value) = asked.and_then(|value| theirs(target, name, value)) {
                edits.push(Edit::Set(name, value));
            }
        }
        if call.operation != Operation::Chat {
            return;
        }
        let raw = |name| call.head.raw(&call.body, name);
        if let Some(messages) = raw("messages").and_then(|m| history::messages(m, &quirks.history))
        {
            edits.push(Edit::Set("messages", messages));
        }
        if let Some(tools) = raw("tools").and_then(|t| history::tools(t, quirks.tool_fields)) {
            edits.push(Edit::Set("tools", tools));
        }
    }
}

impl Adapter for OpenAi {
    fn outbound(&self, call: &Call, authority: Authority<'_>) -> Result<Outbound, AdaptError> {
        let mut operation = call.operation;
        if self.target.quirks.embeddings_only && operation != Operation::Embeddings {
            return Err(AdaptError::Unsupported {
                param: "model".into(),
                message: format!("provider {} has embeddings only", self.target.provider),
            });
        }
        let (mut edits, dropped) = self.edits(call)?;
        if self.as_completion(call) {
            operation = Operation::Completions;
            completions::edit(call, &mut edits)?;
        }
        let payload = splice(&call.body, &call.head, &edits);
        Ok(Outbound {
            dropped,
            ..self.request(call, operation, payload, authority)
        })
    }

    fn inbound(&self, call: &Call, _fields: &Fields) -> Inbound {
        if self.as_completion(call) {
            return Inbound::Translate(completions::translator(call.head.stream));
        }
        let answers = &self.target.quirks.answers;
        if call.operation == Operation::Embeddings || *answers == Answers::AS_OPENAI {
            return Inbound::Passthrough;
        }
        Inbound::Translate(Box::new(answers::Mender::new(
            answers,
            call.head.include_usage,
        )))
    }

    fn refusal(&self, status: StatusCode, _fields: &Fields, body: &[u8]) -> Refusal {
        match error_facts(body) {
            Some(facts) if self.target.quirks.own_errors => chat::foreign_refusal(status, facts),
            facts => Refusal {
                status,
                facts,
                retry_after: None,
                body: None,
            },
        }
    }

    fn adds_usage(&self, call: &Call) -> bool {
        streams_unasked(call) && (self.stream_options || self.target.quirks.answers.usage_unasked)
    }
}

/// Whether a stream is wanted, and not its usage.
fn streams_unasked(call: &Call) -> bool {
    call.head.stream && call.operation != Operation::Embeddings && !call.head.include_usage
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

fn url(target: &Target, operation: Operation, streams: bool) -> String {
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
        Dialect::AzureModels { api_version } => {
            format!("{base}/models/{path}?api-version={api_version}")
        }
        Dialect::Watsonx { api_version, .. } => {
            watsonx::url(target, api_version, operation, streams)
        }
        Dialect::Ollama | Dialect::Cohere | Dialect::Anthropic { .. } => {
            format!("{base}/v1/{path}")
        }
        // Whole already, whatever is asked for.
        Dialect::Gemini(_) | Dialect::VertexRaw(_) => base.clone(),
    }
}

/// A request to `url` with these headers, whose answer is to be of the media type `accept`.
pub(super) fn post(
    url: &str,
    headers: &HeaderMap,
    accept: &'static str,
) -> Result<Template, http::Error> {
    let mut headers = headers.clone();
    headers.insert(ACCEPT, HeaderValue::from_static(accept));
    Ok(Template::post(&Uri::try_from(url)?, &headers))
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
    for (name, value) in target.quirks.headers {
        headers.insert(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
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
