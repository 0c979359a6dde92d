//! Anthropic's Messages, wherever they are served: by Anthropic, Azure, Databricks and Bedrock below a base URL, by Vertex
//! AI at URLs of its own.
//!
//! What becomes of each parameter is in [`params::TABLE`]; models differ in what they take, see [`models`].

mod answer;
mod blocks;
pub(in crate::provider) mod models;
mod params;
mod refused;
mod request;
pub(in crate::provider) mod schema;

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use http::header::ACCEPT;
use http::{HeaderMap, HeaderValue, StatusCode, Uri};

use super::chat::{Asked, Events, Layers, Sink, Whole, account, unsupported};
use super::openai::headers;
use super::{AdaptError, Adapter, Authority, Call, Inbound, Refusal};
use crate::h1::Fields;
use crate::request::{Outbound, Payload, Template};
use crate::types::{Operation, Target};
use models::Model;

pub(in crate::provider) use params::{ABOUT, TABLE};
pub(in crate::provider) use request::thought;

/// As messages call the dialect.
pub(in crate::provider) const WHO: &str = "Anthropic's Messages";
/// From this version on sampling parameters are refused for all models.
const NO_SAMPLING: &str = "2026-10-21";
const VERSION_HEADER: &str = "anthropic-version";

/// Where Messages are served.
#[derive(Debug, Clone)]
pub(in crate::provider) enum Host {
    /// `{base_url}/v1/messages`, the model in the body and the version in a header.
    Api {
        /// Of the API, a date.
        version: String,
    },
    /// Vertex AI: the model in the URL, the version in the body.
    Vertex {
        /// `…:rawPredict`
        plain: Uri,
        /// `…:streamRawPredict`
        stream: Uri,
    },
}

/// The version in the body for Vertex AI.
const VERTEX_VERSION: &str = "vertex-2023-10-16";

#[derive(Debug)]
pub(in crate::provider) struct Anthropic {
    target: Arc<Target>,
    layers: Layers,
    model: Model,
    /// The model's name and the version, as far as the body has them.
    fixed: Vec<(&'static str, String)>,
    plain: Template,
    stream: Template,
    account: String,
}

impl Anthropic {
    /// The dialect of `target` at `host`.
    ///
    /// # Errors
    /// If a URL or a header is none.
    pub(in crate::provider) fn new(target: Arc<Target>, host: Host) -> Result<Self, http::Error> {
        let mut headers = headers(&target)?;
        let mut model = models::model(&[&target.model, &target.price_model]);
        let (urls, fixed) = match host {
            Host::Api { version } => {
                if !headers.contains_key(VERSION_HEADER) {
                    headers.insert(VERSION_HEADER, HeaderValue::try_from(version)?);
                }
                let url = Uri::try_from(format!("{}/v1/messages", target.base_url))?;
                ((url.clone(), url), ("model", target.model.to_string()))
            }
            Host::Vertex { plain, stream } => (
                (plain, stream),
                ("anthropic_version", VERTEX_VERSION.to_owned()),
            ),
        };
        let version = headers.get(VERSION_HEADER).map(HeaderValue::as_bytes);
        model.sampling &= version.is_none_or(|version| version < NO_SAMPLING.as_bytes());
        Ok(Self {
            layers: Layers::new(&target, WHO, TABLE),
            model,
            fixed: vec![fixed],
            plain: template(&urls.0, &headers, "application/json"),
            stream: template(&urls.1, &headers, "text/event-stream"),
            account: account(&target),
            target,
        })
    }

    /// The body of a request, and the parameters that are not in it.
    ///
    /// # Errors
    /// If the call can't be expressed.
    pub(in crate::provider) fn body(
        &self,
        call: &Call,
    ) -> Result<(Bytes, Vec<Cow<'static, str>>), AdaptError> {
        if call.operation != Operation::Chat {
            return Err(unsupported(
                "model",
                format!(
                    "/{} is not available: this model group's deployment speaks {WHO}, which have chat only",
                    call.operation.path()
                ),
            ));
        }
        let mut asked = self.layers.asked(call)?;
        let body = request::body(&mut asked, &self.model, &self.account, &self.fixed)?;
        Ok((body.to_bytes(), std::mem::take(&mut asked.dropped)))
    }

    /// Whether the answer comes as a tool's arguments.
    fn by_tool(&self, call: &Call) -> bool {
        let by_tool = |asked: Asked<'_>| schema::by_tool(&asked);
        !self.model.native_schema && self.layers.asked(call).is_ok_and(by_tool)
    }
}

fn template(url: &Uri, headers: &HeaderMap, accept: &'static str) -> Template {
    let mut headers = headers.clone();
    headers.insert(ACCEPT, HeaderValue::from_static(accept));
    Template::post(url, &headers)
}

impl Adapter for Anthropic {
    fn outbound(&self, call: &Call, authority: Authority<'_>) -> Result<Outbound, AdaptError> {
        let (body, dropped) = self.body(call)?;
        let head = if call.head.stream {
            &self.stream
        } else {
            &self.plain
        };
        let varying = [("authorization", authority.bearer())];
        Ok(Outbound {
            dropped,
            ..head.request(&varying, Payload::from(body))
        })
    }

    fn inbound(&self, call: &Call, _: &Fields) -> Inbound {
        let decoder = answer::Answer::new(self.by_tool(call));
        let sink = Sink::new(call, &self.target.model, &self.account);
        Inbound::Translate(if call.head.stream {
            Box::new(Events::new(decoder, sink))
        } else {
            Box::new(Whole::new(decoder, sink))
        })
    }

    fn refusal(&self, status: StatusCode, _: &Fields, body: &[u8]) -> Refusal {
        refused::read(status, body)
    }

    fn adds_usage(&self, call: &Call) -> bool {
        // It always comes.
        call.head.stream && !call.head.include_usage
    }
}

#[cfg(test)]
mod tests;
