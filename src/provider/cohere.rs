//! Cohere's second version: chat at `/v2/chat`, embeddings at `/v2/embed`.
//!
//! | Request | Becomes |
//! |---|---|
//! | `messages` | the same roles; images as URLs, which Cohere fetches itself; see `messages.rs` |
//! | `max_completion_tokens`, else `max_tokens` | `max_tokens` |
//! | `stop` | `stop_sequences`, five at most |
//! | `top_p`, `top_k` | `p`, within 0.01 to 0.99, and `k` |
//! | `tools` | the same; `strict_tools` if one is strict |
//! | `tool_choice` | `REQUIRED` or `NONE`; a named one is `REQUIRED` with that tool alone |
//! | `response_format` | `json_object`, with `json_schema` as the schema alone |
//! | `reasoning_effort` | `thinking`: `none` disables it, `minimal`, `low` and `medium` are budgets of 512, 1,024 and 2,048 tokens |
//! | `logprobs` | the same; a piece of several tokens is one entry, with their sum |
//! | `dimensions` | `output_dimension` |
//!
//! Cohere's own names (`documents`, `citation_options`, `safety_mode`, `input_type` …) are passed on, whether the request or
//! the file has them. A plan for the tools (`tool_plan`) and what is thought are both `reasoning_content`; with calls of tools
//! it goes back as `tool_plan`. Citations stand in the message as Cohere writes them, under `citations`.

mod answer;
mod embed;
mod messages;
mod params;

use std::sync::Arc;

use http::StatusCode;
use serde::Deserialize;

use super::chat::{self, Events, Layers, Object, Sink, Whole, account, unsupported};
use super::embeddings::Embeddings;
use super::openai::{headers, post};
use super::{AdaptError, Adapter, Authority, Call, Inbound, Refusal};
use crate::h1::Fields;
use crate::request::{Outbound, Payload, Template};
use crate::types::{Operation, Target};
use answer::Reader;

pub(super) use params::{ABOUT, CHAT as TABLE};

/// Texts of one call for embeddings (the SDK's `embed_batch_size`).
const MOST_TEXTS: usize = 96;
/// How messages call the dialect.
const WHO: &str = "Cohere's API";

#[derive(Debug)]
pub(super) struct Cohere {
    target: Arc<Target>,
    account: String,
    chat: Template,
    stream: Template,
    embed: Template,
    chat_layers: Layers,
    embed_layers: Layers,
}

impl Cohere {
    pub(super) fn new(target: Arc<Target>) -> Result<Self, http::Error> {
        let headers = headers(&target)?;
        let post = |path, accept| {
            let url = format!("{}/v2/{path}", target.base_url);
            post(&url, &headers, accept)
        };
        Ok(Self {
            account: account(&target),
            chat: post("chat", "application/json")?,
            stream: post("chat", "text/event-stream")?,
            embed: post("embed", "application/json")?,
            chat_layers: Layers::new(&target, WHO, params::CHAT),
            embed_layers: Layers::new(&target, WHO, embed::TABLE),
            target,
        })
    }

    fn body(&self) -> Object {
        let mut body = Object::default();
        body.set("model", &*self.target.model);
        body
    }
}

impl Adapter for Cohere {
    fn outbound(&self, call: &Call, authority: Authority<'_>) -> Result<Outbound, AdaptError> {
        let mut body = self.body();
        let (template, layers) = match call.operation {
            Operation::Completions => {
                return Err(unsupported(
                    "prompt",
                    "completions are not available: this model group's deployment speaks Cohere's API, which has chat alone",
                ));
            }
            Operation::Chat if call.head.stream => (&self.stream, &self.chat_layers),
            Operation::Chat => (&self.chat, &self.chat_layers),
            Operation::Embeddings => (&self.embed, &self.embed_layers),
        };
        let mut asked = layers.asked(call)?;
        match call.operation {
            Operation::Embeddings => embed::write(call, &asked, &mut body)?,
            _ => params::write(call, &mut asked, &mut body)?,
        }
        asked.add_extra(&mut body)?;
        let payload = Payload::from(body.to_bytes());
        let mut request = template.request(&[("authorization", authority.bearer())], payload);
        request.dropped = asked.dropped;
        Ok(request)
    }

    fn inbound(&self, call: &Call, _fields: &Fields) -> Inbound {
        let model = &self.target.model;
        let sink = || Sink::new(call, model, &self.account);
        Inbound::Translate(match call.operation {
            Operation::Embeddings => Box::new(Embeddings::new(model, None, embed::read)),
            _ if call.head.stream => Box::new(Events::new(Reader::default(), sink())),
            _ => Box::new(Whole::new(Reader::default(), sink())),
        })
    }

    fn refusal(&self, status: StatusCode, _fields: &Fields, body: &[u8]) -> Refusal {
        #[derive(Deserialize)]
        struct Wire {
            message: String,
        }
        // An invalid token, which is not the client's.
        let status = match status.as_u16() {
            498 => StatusCode::UNAUTHORIZED,
            _ => status,
        };
        let Ok(Wire { message }) = serde_json::from_slice(body) else {
            return Refusal::as_sent(status, body);
        };
        let too_long = message.starts_with("too many tokens");
        let code = too_long.then_some("context_length_exceeded");
        chat::refusal(status, chat::error(status, code, &message), None)
    }

    fn most_inputs(&self) -> Option<usize> {
        Some(MOST_TEXTS)
    }

    fn adds_usage(&self, call: &Call) -> bool {
        // It always comes, in the last event.
        let chat = call.operation == Operation::Chat;
        chat && call.head.stream && !call.head.include_usage
    }
}

#[cfg(test)]
mod tests;
