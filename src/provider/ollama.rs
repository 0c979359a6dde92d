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
//! | any other `tool_choice`, `parallel_tool_calls`, `user`, `metadata`, `store`, … | left out, and named as such: Ollama has no counterpart, and its OpenAI path ignores them as well |
//! | `n` above 1, `logit_bias`, `functions`, `audio`, `modalities`, `web_search_options` | refused by name, unless `drop_params` is set: the answer would be another one |
//!
//! What is configured is the default, the request stands above it, and `extra_body` above both, option by option.
//!
//! Ollama sends no ids. Those of answers are made from the request's id, those of tool calls from the whole request.

mod answer;
mod messages;
mod settings;
mod stream;

pub(super) use settings::{ABOUT, CHAT as TABLE};

use std::borrow::Cow;
use std::sync::Arc;

use http::StatusCode;
use serde_json::Value;

use super::chat::{self, Layers, Object, Sink, Whole, account};
use super::embeddings::{Embeddings, texts};
use super::openai::{OpenAi, headers, post};
use super::{AdaptError, Adapter, Authority, Call, Inbound, Refusal, error_facts};
use crate::catalog::ollama::LOADING;
use crate::h1::Fields;
use crate::request::{Outbound, Payload, Template};
use crate::types::{Dialect, Operation, Target};
use answer::Reader;
use stream::Lines;

/// How messages call the dialect.
const WHO: &str = "Ollama's own API";

#[derive(Debug)]
pub(super) struct Ollama {
    target: Arc<Target>,
    account: String,
    chat: Template,
    stream: Template,
    embed: Template,
    chat_layers: Layers,
    embed_layers: Layers,
    /// The file's options, below those of a request and above them.
    defaults: Result<Object, AdaptError>,
    extra: Result<Object, AdaptError>,
    /// For `/completions`.
    openai: OpenAi,
}

impl Ollama {
    pub(super) fn new(target: Arc<Target>) -> Result<Self, http::Error> {
        let headers = headers(&target)?;
        let post = |path, accept| {
            let url = format!("{}/api/{path}", target.base_url);
            post(&url, &headers, accept)
        };
        let openai = Target {
            dialect: Dialect::OpenAi {
                completions_only: false,
            },
            base_url: format!("{}/v1", target.base_url),
            ..Target::clone(&target)
        };
        let options = |fields: &[(String, Value)]| settings::options(settings::of_file(fields));
        // Options of `extra_body` do not go to the top of the body as the rest of it does.
        let mut top = Target::clone(&target);
        top.extra_body
            .retain(|(name, _)| !settings::is_option(name));
        Ok(Self {
            account: account(&target),
            chat: post("chat", "application/json")?,
            stream: post("chat", "application/x-ndjson")?,
            embed: post("embed", "application/json")?,
            chat_layers: Layers::new(&top, WHO, settings::CHAT),
            embed_layers: Layers::new(&top, WHO, settings::EMBED),
            defaults: options(&target.defaults),
            extra: options(&target.extra_body),
            openai: OpenAi::new(Arc::new(openai))?,
            target,
        })
    }

    /// The body, and what is left out of it.
    fn body(&self, call: &Call) -> Result<(Object, Vec<Cow<'static, str>>), AdaptError> {
        let embeds = call.operation == Operation::Embeddings;
        let layers = if embeds {
            &self.embed_layers
        } else {
            &self.chat_layers
        };
        let mut asked = layers.asked(call)?;
        let mut body = Object::default();
        body.set("model", &*self.target.model);
        if embeds {
            // As it was written, once it is known to be text.
            texts(call)?;
            let input = call.head.raw(&call.body, "input").unwrap_or_default();
            body.set_raw("input", &String::from_utf8_lossy(input))?;
        } else {
            body.set("messages", &messages::write(asked.messages()?)?);
            body.set("stream", &call.head.stream);
            settings::write(&mut asked, &mut body)?;
        }
        asked.pass_on(&mut body)?;
        let mut options = self.defaults.clone()?;
        options.extend(settings::options(|name| {
            asked.requested(name).map(Cow::Borrowed)
        })?);
        options.extend(self.extra.clone()?);
        if embeds {
            // How tokens are chosen means nothing to an embedding.
            options.retain(|name| LOADING.contains(&name));
        }
        if !options.is_empty() {
            body.set("options", &options);
        }
        asked.add_extra(&mut body)?;
        Ok((body, asked.dropped))
    }
}

impl Adapter for Ollama {
    fn outbound(&self, call: &Call, authority: Authority<'_>) -> Result<Outbound, AdaptError> {
        let head = match call.operation {
            Operation::Completions => return self.openai.outbound(call, authority),
            Operation::Chat if call.head.stream => &self.stream,
            Operation::Chat => &self.chat,
            Operation::Embeddings => &self.embed,
        };
        let (body, dropped) = self.body(call)?;
        let payload = Payload::from(body.to_bytes());
        let mut request = head.request(&[("authorization", authority.bearer())], payload);
        request.dropped = dropped;
        Ok(request)
    }

    fn inbound(&self, call: &Call, fields: &Fields) -> Inbound {
        let model = &self.target.model;
        let sink = || Sink::new(call, model, &self.account);
        Inbound::Translate(match call.operation {
            Operation::Completions => return self.openai.inbound(call, fields),
            Operation::Embeddings => Box::new(Embeddings::new(model, None, answer::embeddings)),
            Operation::Chat if call.head.stream => Box::new(Lines::new(sink())),
            Operation::Chat => Box::new(Whole::new(Reader, sink())),
        })
    }

    fn refusal(&self, status: StatusCode, _fields: &Fields, body: &[u8]) -> Refusal {
        let facts = error_facts(body);
        match facts.as_ref().and_then(|facts| facts.message.as_deref()) {
            Some(message) => chat::refusal(status, chat::error(status, None, message), None),
            None => Refusal {
                status,
                facts,
                retry_after: None,
                body: None,
            },
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

#[cfg(test)]
mod tests;
