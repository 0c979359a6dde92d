//! Amazon SageMaker: an endpoint whose container speaks OpenAI, as vLLM's, TGI's and DJL's do. Bodies are those of the OpenAI
//! dialect; they go to one path, signed, and streams come in AWS's frames, which are taken off.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::{HeaderName, HeaderValue, StatusCode};

use super::bedrock::event_stream::{Frame, Frames, MEDIA_TYPE};
use super::bedrock::refusal;
use super::bedrock::segment;
use super::bedrock::signed::Service;
use super::openai::{OpenAi, headers, post};
use super::{AdaptError, Adapter, Authority, Call, ErrorFacts, Inbound, Refusal, Translator};
use crate::h1::Fields;
use crate::request::{Outbound, Template};
use crate::sse;
use crate::types::Target;

/// Which of several models of an endpoint is meant.
const COMPONENT: HeaderName = HeaderName::from_static("x-amzn-sagemaker-inference-component");

#[derive(Debug)]
pub(super) struct SageMaker {
    /// For bodies, and for what is inside the frames.
    inner: OpenAi,
    service: Service,
    plain: Template,
    stream: Template,
}

impl SageMaker {
    pub(super) fn new(
        target: Arc<Target>,
        region: &str,
        component: Option<&str>,
    ) -> Result<Self, http::Error> {
        let mut headers = headers(&target)?;
        if let Some(component) = component {
            headers.insert(COMPONENT, HeaderValue::try_from(component)?);
        }
        let endpoint = format!("{}/endpoints/{}", target.base_url, segment(&target.model));
        let post = |path: &str, accept| post(&format!("{endpoint}/{path}"), &headers, accept);
        Ok(Self {
            service: Service::new(&target.base_url, region, "sagemaker")?,
            plain: post("invocations", "application/json")?,
            stream: post("invocations-response-stream", MEDIA_TYPE)?,
            inner: OpenAi::new(target)?,
        })
    }
}

impl Adapter for SageMaker {
    fn outbound(&self, call: &Call, authority: Authority<'_>) -> Result<Outbound, AdaptError> {
        let body = self.inner.outbound(call, Authority::default())?.payload;
        let template = if call.head.stream {
            &self.stream
        } else {
            &self.plain
        };
        self.service
            .authorize(template.request(&[], body), authority)
    }

    fn inbound(&self, call: &Call, fields: &Fields) -> Inbound {
        let inner = self.inner.inbound(call, fields);
        let framed = fields
            .get("content-type")
            .is_none_or(|kind| kind.starts_with(MEDIA_TYPE.as_bytes()));
        if !(call.head.stream && framed) {
            return inner;
        }
        Inbound::Translate(Box::new(Unframed {
            frames: Frames::default(),
            inner: match inner {
                Inbound::Passthrough => Box::new(Whole::default()),
                Inbound::Translate(translator) => translator,
            },
            over: false,
        }))
    }

    fn refusal(&self, status: StatusCode, fields: &Fields, body: &[u8]) -> Refusal {
        refusal::answer(status, fields, body)
    }

    fn adds_usage(&self, call: &Call) -> bool {
        self.inner.adds_usage(call)
    }
}

/// The container's stream out of its frames, which cut it anywhere.
#[derive(Debug)]
struct Unframed {
    frames: Frames,
    /// Says nothing of an event before it is whole, so that an error can follow.
    inner: Box<dyn Translator>,
    over: bool,
}

impl Unframed {
    /// The stream ends in an error. Half an event before it is not said.
    fn fail(&mut self, facts: &ErrorFacts, out: &mut BytesMut) {
        self.over = true;
        let error = super::chat::error_body(facts);
        out.extend_from_slice(format!("data: {error}\n\n").as_bytes());
    }
}

impl Translator for Unframed {
    fn push(&mut self, chunk: &[u8], out: &mut BytesMut) -> Result<(), AdaptError> {
        self.frames.push(chunk);
        while let Some(frame) = self.frames.next()? {
            match frame {
                _ if self.over => {}
                Frame::Event { payload, .. } => self.inner.push(&payload, out)?,
                Frame::Exception { kind, payload } => {
                    self.fail(&refusal::exception(&kind, &payload), out);
                }
                Frame::Error { code, message } => {
                    self.fail(&refusal::failure(&code, &message), out);
                }
            }
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut BytesMut) -> Result<(), AdaptError> {
        if self.over {
            return Ok(());
        }
        self.inner.finish(out)
    }
}

/// Events as they are, each once it is whole.
#[derive(Debug, Default)]
struct Whole(sse::Splitter);

impl Translator for Whole {
    fn push(&mut self, chunk: &[u8], out: &mut BytesMut) -> Result<(), AdaptError> {
        out.extend_from_slice(&self.0.push(Bytes::copy_from_slice(chunk)));
        Ok(())
    }

    fn finish(&mut self, out: &mut BytesMut) -> Result<(), AdaptError> {
        out.extend_from_slice(&self.0.finish());
        Ok(())
    }
}

#[cfg(test)]
mod tests;
