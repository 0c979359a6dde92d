//! Amazon Bedrock: chat by Converse and ConverseStream, which are one form for all its models; embeddings by InvokeModel.
//!
//! Bedrock's OpenAI-compatible path is another dialect, the OpenAI one with signatures ([`openai::Signed`]).
//!
//! [`TABLE`] says what becomes of each parameter. What a file has beside parameters goes to the model as it is, in
//! `additionalModelRequestFields`; `extra_body` is set in the body itself, as in
//! `extra_body: {guardrailConfig: {…}}`, which no request can undo.
//!
//! Names of tools and ids of calls that Bedrock does not take are replaced by ones it does, and come back as they were.

mod answer;
mod blocks;
mod converse;
mod embeddings;
pub(super) mod event_stream;
mod models;
mod names;
pub(super) mod openai;
mod params;
pub(super) mod refusal;
pub(super) mod signed;
mod stream;
mod tools;

use std::sync::Arc;

use http::StatusCode;

use self::answer::Converse;
use self::models::Model;
use self::signed::Service;
use self::stream::Stream;
use super::chat::{Layers, Sink, Whole, account, unsupported};
use super::embeddings::Embeddings;
use super::openai::{headers, post};
use super::{AdaptError, Adapter, Authority, Call, Inbound, Refusal};
use crate::h1::Fields;
use crate::request::{Outbound, Payload, Template};
use crate::types::{Operation, Target};
pub(in crate::provider) use params::{ABOUT, TABLE};

/// The name in signatures.
const SERVICE: &str = "bedrock";

#[derive(Debug)]
pub(super) struct Bedrock {
    target: Arc<Target>,
    service: Service,
    converse: Template,
    stream: Template,
    invoke: Template,
    chat: Layers,
    embed: Layers,
    model: Model,
    embeddings: Option<embeddings::Family>,
    account: String,
}

impl Bedrock {
    pub(super) fn new(target: Arc<Target>, region: &str) -> Result<Self, http::Error> {
        let headers = headers(&target)?;
        let model = segment(&target.model);
        let post = |action: &str, accept| {
            let url = format!("{}/model/{model}/{action}", target.base_url);
            post(&url, &headers, accept)
        };
        let names = [&*target.model, &*target.price_model];
        Ok(Self {
            service: Service::new(&target.base_url, region, SERVICE)?,
            converse: post("converse", "application/json")?,
            stream: post("converse-stream", event_stream::MEDIA_TYPE)?,
            invoke: post("invoke", "application/json")?,
            chat: Layers::new(&target, "Amazon Bedrock's Converse", TABLE),
            embed: Layers::new(&target, "Amazon Bedrock", embeddings::TABLE),
            model: models::model(&names),
            embeddings: embeddings::Family::of(&names),
            account: account(&target),
            target,
        })
    }

    fn embed(&self, call: &Call) -> Result<Outbound, AdaptError> {
        let Some(family) = self.embeddings else {
            let message = format!(
                "`{}` is no model whose embeddings are translated; there are Titan's and Cohere's. Where the name does not \
                 say which model it is, `base_model` in the configuration does",
                self.target.model
            );
            return Err(unsupported("model", message));
        };
        let mut asked = self.embed.asked(call)?;
        let body = family.body(call, &mut asked)?;
        let mut request = self.invoke.request(&[], Payload::from(body));
        request.dropped = asked.dropped;
        Ok(request)
    }

    fn chat(&self, call: &Call) -> Result<Outbound, AdaptError> {
        let stream = call.head.stream;
        let mut asked = self.chat.asked(call)?;
        let body = converse::body(&mut asked, &self.model, &self.account)?;
        let template = if stream { &self.stream } else { &self.converse };
        let mut request = template.request(&[], Payload::from(body));
        request.dropped = asked.dropped;
        Ok(request)
    }
}

impl Adapter for Bedrock {
    fn outbound(&self, call: &Call, authority: Authority<'_>) -> Result<Outbound, AdaptError> {
        let request = match call.operation {
            Operation::Chat => self.chat(call)?,
            Operation::Embeddings => self.embed(call)?,
            Operation::Completions => {
                let message = "Amazon Bedrock has no completions; ask for a chat";
                return Err(unsupported("prompt", message));
            }
        };
        self.service.authorize(request, authority)
    }

    fn inbound(&self, call: &Call, fields: &Fields) -> Inbound {
        if call.operation == Operation::Embeddings {
            let tokens = embeddings::tokens(fields);
            let answer = Embeddings::new(&self.target.model, tokens, embeddings::read);
            return Inbound::Translate(Box::new(answer));
        }
        let sink = Sink::new(call, &self.target.model, &self.account);
        let decoder = Converse::new(call);
        if call.head.stream {
            Inbound::Translate(Box::new(Stream::new(decoder, sink)))
        } else {
            Inbound::Translate(Box::new(Whole::new(decoder, sink)))
        }
    }

    fn refusal(&self, status: StatusCode, fields: &Fields, body: &[u8]) -> Refusal {
        refusal::answer(status, fields, body)
    }

    fn most_inputs(&self) -> Option<usize> {
        self.embeddings.map(embeddings::Family::most)
    }

    fn adds_usage(&self, call: &Call) -> bool {
        // It always comes, in the last event.
        call.operation == Operation::Chat && call.head.stream && !call.head.include_usage
    }
}

/// `text` as one segment of a path.
pub(super) fn segment(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len() + 16);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests;
