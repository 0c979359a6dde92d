//! Google's `generateContent`: the Gemini API (AI Studio) and Gemini at Vertex AI, and the embeddings of both.
//!
//! `table.rs` says what becomes of each parameter, `contents.rs` what becomes of the messages, `models.rs` in what the
//! models differ, `answer.rs` how answers are read.
//!
//! Gemini 3 wants each call of a function back together with the signature of the thought behind it. Clients get it
//! twice, in `extra_content.google.thought_signature` of the call, as Google's own OpenAI endpoint gives it, and hidden
//! in the call's id, and one of the two is enough. A history in which the first call of a step has none gets the text
//! that Google takes in its place. The signature of a text goes out in `thinking_blocks` and comes back from there, if it
//! was this account's; nothing is refused for lack of it.
//!
//! What differs at Vertex AI: where it is and how one authenticates, calls and results have no ids, `metadata` become
//! labels, embeddings have other methods.

mod answer;
mod contents;
mod embeddings;
mod models;
mod params;
mod partner;
mod refusal;
mod table;
mod usage;

use std::sync::Arc;

use http::header::ACCEPT;
use http::{HeaderValue, StatusCode, Uri};

use super::chat::{Asked, Events, Layers, Object, Sink, Whole, account, turns, unsupported};
use super::embeddings::Embeddings;
use super::openai::headers;
use super::{AdaptError, Adapter, Authority, Call, Inbound, Refusal};
use crate::h1::Fields;
use crate::request::{Outbound, Payload, Template};
use crate::types::{Dialect, GoogleHost, Operation, Target};
use contents::Style;
use embeddings::Method;
use models::Thinks;

pub(super) use partner::Partner;
pub(super) use table::{ABOUT, CHAT as TABLE};

#[derive(Debug)]
pub(super) struct Gemini {
    target: Arc<Target>,
    vertex: bool,
    plain: Template,
    stream: Template,
    embed: Template,
    method: Method,
    chat: Layers,
    embeddings: Layers,
    thinks: Thinks,
    style: Style,
    /// Whose thoughts may come back.
    account: String,
}

impl Gemini {
    pub(super) fn new(target: Arc<Target>) -> Result<Self, http::Error> {
        let vertex = target.dialect == Dialect::Gemini(GoogleHost::Vertex);
        let who = if vertex {
            "Gemini's API at Vertex AI"
        } else {
            "Gemini's API"
        };
        let headers = headers(&target)?;
        let mut streaming = headers.clone();
        streaming.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        let url = |verb| Uri::try_from(format!("{}/{}:{verb}", target.base_url, target.model));
        let method = Method::of(vertex, &target.model);
        // A tuned model is known by a number only; what it was made of stands in `base_model`, if anywhere.
        let known = &target.price_model;
        Ok(Self {
            vertex,
            plain: Template::post(&url("generateContent")?, &headers),
            stream: Template::post(&url("streamGenerateContent?alt=sse")?, &streaming),
            embed: Template::post(&url(method.verb())?, &headers),
            method,
            chat: Layers::new(&target, who, table::CHAT),
            embeddings: Layers::new(&target, who, table::EMBEDDINGS),
            thinks: models::thinks(known),
            style: Style {
                ids: !vertex,
                files: !vertex,
                signatures: models::wants_signatures(known),
            },
            account: account(&target),
            target,
        })
    }

    fn body(&self, asked: &mut Asked<'_>) -> Result<Object, AdaptError> {
        let (system, turns) = turns(asked.messages()?, &self.account);
        let mut body = Object::default();
        asked.pass_on(&mut body)?;
        body.set_some("systemInstruction", contents::system(&system)?);
        body.set("contents", &contents::contents(turns, self.style)?);
        params::tools(asked, &mut body)?;
        let config = params::generation(asked, self.thinks)?;
        if !config.is_empty() {
            body.set("generationConfig", &config);
        }
        params::beside(asked, self.vertex, &mut body)?;
        asked.add_extra(&mut body)?;
        Ok(body)
    }
}

impl Adapter for Gemini {
    fn outbound(&self, call: &Call, authority: Authority<'_>) -> Result<Outbound, AdaptError> {
        let (template, body, dropped) = match call.operation {
            Operation::Completions => {
                return Err(unsupported(
                    "prompt",
                    "`/completions` is not available: this model group's deployment speaks Gemini's API, which has chats only; use `/chat/completions`",
                ));
            }
            Operation::Chat => {
                let mut asked = self.chat.asked(call)?;
                let body = self.body(&mut asked)?;
                let template = if call.head.stream {
                    &self.stream
                } else {
                    &self.plain
                };
                (template, body, asked.dropped)
            }
            Operation::Embeddings => {
                let asked = self.embeddings.asked(call)?;
                let mut body = self.method.body(call, &asked, &self.target.model)?;
                asked.add_extra(&mut body)?;
                (&self.embed, body, asked.dropped)
            }
        };
        let payload = Payload::from(body.to_bytes());
        let mut outbound = template.request(&[("authorization", authority.bearer())], payload);
        outbound.dropped = dropped;
        Ok(outbound)
    }

    fn inbound(&self, call: &Call, _fields: &Fields) -> Inbound {
        let model = &self.target.model;
        if call.operation == Operation::Embeddings {
            let answer = Embeddings::new(model, None, embeddings::read);
            return Inbound::Translate(Box::new(answer));
        }
        let sink = Sink::new(call, model, &self.account);
        let decoder = answer::Answer::new(call.head.stream);
        Inbound::Translate(if call.head.stream {
            Box::new(Events::new(decoder, sink))
        } else {
            Box::new(Whole::new(decoder, sink))
        })
    }

    fn refusal(&self, status: StatusCode, _fields: &Fields, body: &[u8]) -> Refusal {
        refusal::read(status, body)
    }

    fn most_inputs(&self) -> Option<usize> {
        Some(self.method.most_inputs(&self.target.model))
    }

    fn adds_usage(&self, call: &Call) -> bool {
        // It always comes.
        call.operation == Operation::Chat && call.head.stream && !call.head.include_usage
    }
}

#[cfg(test)]
mod tests;
