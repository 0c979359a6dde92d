//! Ollama's own API: chat at `/api/chat`, embeddings at `/api/embed`. Used where a deployment configures something that
//! Ollama's OpenAI path ignores ([`crate::catalog::ollama`] has the names and the reason).
//!
//! `/completions` goes to Ollama's OpenAI path all the same: the native counterpart would have to be told the model's
//! template, and the options above do not reach it there.
//!
//! | Request | Becomes |
//! |---|---|
//! | `messages` | texts of parts joined by a blank line; images from `data:` URLs; calls' arguments as objects; see `messages.rs` |
//! | `max_completion_tokens`, else `max_tokens` | `options.num_predict` |
//! | `temperature`, `top_p`, `seed`, `stop`, `presence_penalty`, `frequency_penalty` | `options` |
//! | Ollama's own names, at the top or in `options` | where Ollama has them |
//! | `response_format` | `format`: `"json"`, or the schema |
//! | `reasoning_effort` | `think`: `none` is false, `minimal` is low, `xhigh` is max |
//! | `tools`, `logprobs`, `top_logprobs`, `dimensions` | the same |
//! | `tool_choice: none` | no `tools` |
//! | any other `tool_choice`, `parallel_tool_calls`, `user`, `metadata`, `store`, … | dropped: Ollama has no counterpart, and its OpenAI path ignores them as well |
//! | `n` above 1, `logit_bias`, `functions`, `audio`, `modalities`, `web_search_options` | refused by name: the answer would be another one |
//!
//! What is configured is the default, the request stands above it, and `extra_body` above both, option by option.
//!
//! Ollama sends no ids. Those of answers are made from the request's id, those of tool calls from the whole request.

mod answer;
mod messages;
mod settings;
mod stream;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use http::header::ACCEPT;
use http::{HeaderValue, Uri};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::openai::{OpenAi, headers};
use super::{AdaptError, Adapter, Authority, Call, Inbound};
use crate::h1::Fields;
use crate::request::{Outbound, Payload, RequestHead, Template};
use crate::types::{Dialect, Operation, Target};
use settings::Settings;

#[derive(Debug)]
pub(super) struct Ollama {
    target: Arc<Target>,
    chat: Template,
    stream: Template,
    embed: Template,
    defaults: Result<Settings, AdaptError>,
    extra: Result<Settings, AdaptError>,
    /// For `/completions`.
    openai: OpenAi,
}

impl Ollama {
    pub(super) fn new(target: Arc<Target>) -> Result<Self, http::Error> {
        let headers = headers(&target)?;
        let post = |path, accept| {
            let url = Uri::try_from(format!("{}/api/{path}", target.base_url))?;
            let mut headers = headers.clone();
            headers.insert(ACCEPT, HeaderValue::from_static(accept));
            Ok::<_, http::Error>(Template::post(&url, &headers))
        };
        let openai = Target {
            dialect: Dialect::OpenAi {
                completions_only: false,
            },
            base_url: format!("{}/v1", target.base_url),
            ..Target::clone(&target)
        };
        Ok(Self {
            chat: post("chat", "application/json")?,
            stream: post("chat", "application/x-ndjson")?,
            embed: post("embed", "application/json")?,
            defaults: configured(&target.defaults),
            extra: configured(&target.extra_body),
            openai: OpenAi::new(Arc::new(openai))?,
            target,
        })
    }

    /// Everything but the messages, in the three layers' order.
    fn settings(&self, call: &Call) -> Result<Settings, AdaptError> {
        let asked = Settings::read(|name| raw(&call.head, &call.body, name))?;
        Ok(self
            .defaults
            .clone()?
            .below(asked)
            .below(self.extra.clone()?))
    }

    fn chat(&self, call: &Call) -> Result<Bytes, AdaptError> {
        let mut settings = self.settings(call)?;
        settings.allow_chat()?;
        let messages = messages::read(call.head.raw(&call.body, "messages").unwrap_or(b"null"))?;
        let mut body = settings.members(&[
            "format",
            "keep_alive",
            "logprobs",
            "shift",
            "think",
            "tools",
            "top_logprobs",
            "truncate",
        ]);
        body.insert("messages", json(&messages)?);
        body.insert("stream", json(&call.head.stream)?);
        body.insert("options", json(&settings.options())?);
        self.body(body)
    }

    fn embed(&self, call: &Call) -> Result<Bytes, AdaptError> {
        let settings = self.settings(call)?;
        let input = call.head.raw(&call.body, "input").unwrap_or(b"null");
        let text = serde_json::from_slice::<String>(input).is_ok()
            || serde_json::from_slice::<Vec<String>>(input).is_ok();
        if !text {
            return Err(unsupported(
                "input",
                "`input` must be a text or a list of texts: Ollama takes no tokens",
            ));
        }
        let mut body = settings.members(&["dimensions", "keep_alive", "truncate"]);
        body.insert(
            "input",
            raw(&call.head, &call.body, "input").unwrap_or_default(),
        );
        body.insert("options", json(&settings.loading_options())?);
        self.body(body)
    }

    fn body(&self, mut body: BTreeMap<&str, Box<RawValue>>) -> Result<Bytes, AdaptError> {
        body.insert("model", json(&*self.target.model)?);
        body.retain(|_, value| !matches!(value.get(), "null" | "{}"));
        serde_json::to_vec(&body)
            .map(Bytes::from)
            .map_err(|e| unsupported("messages", &e.to_string()))
    }
}

impl Adapter for Ollama {
    fn outbound(&self, call: &Call, authority: Authority<'_>) -> Result<Outbound, AdaptError> {
        let (head, body) = match call.operation {
            Operation::Completions => return self.openai.outbound(call, authority),
            Operation::Chat if call.head.stream => (&self.stream, self.chat(call)?),
            Operation::Chat => (&self.chat, self.chat(call)?),
            Operation::Embeddings => (&self.embed, self.embed(call)?),
        };
        Ok(head.request(
            &[("authorization", authority.bearer())],
            Payload::from(body),
        ))
    }

    fn inbound(&self, call: &Call, fields: &Fields) -> Inbound {
        match call.operation {
            Operation::Completions => self.openai.inbound(call, fields),
            Operation::Embeddings => {
                Inbound::Translate(Box::new(answer::Embeddings::new(&self.target.model)))
            }
            Operation::Chat if call.head.stream => {
                Inbound::Translate(Box::new(stream::Events::new(call, &self.target.model)))
            }
            Operation::Chat => {
                Inbound::Translate(Box::new(answer::Whole::new(call, &self.target.model)))
            }
        }
    }

    fn adds_usage(&self, call: &Call) -> bool {
        match call.operation {
            Operation::Completions => self.openai.adds_usage(call),
            Operation::Embeddings => false,
            // It always comes, in the last line.
            Operation::Chat => call.head.stream && !call.head.include_usage,
        }
    }
}

/// What the file says.
fn configured(fields: &[(String, serde_json::Value)]) -> Result<Settings, AdaptError> {
    Settings::read(|name| {
        let (_, value) = fields.iter().find(|(field, _)| field == name)?;
        to_raw_value(value).ok()
    })
}

/// A member of the request as it was written.
fn raw(head: &RequestHead, body: &[u8], name: &str) -> Option<Box<RawValue>> {
    serde_json::from_slice(head.raw(body, name)?).ok()
}

fn json<T: Serialize + ?Sized>(value: &T) -> Result<Box<RawValue>, AdaptError> {
    to_raw_value(value).map_err(|e| unsupported("messages", &e.to_string()))
}

fn unsupported(param: &'static str, message: &str) -> AdaptError {
    AdaptError::Unsupported {
        param: param.into(),
        message: message.to_owned(),
    }
}

#[cfg(test)]
mod tests;
