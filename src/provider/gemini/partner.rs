//! Partners' models at Vertex AI that speak OpenAI's dialect at an address of Google's (Mistral): one for whole answers, one
//! for streams.

use std::sync::Arc;

use http::StatusCode;

use super::refusal;
use crate::h1::Fields;
use crate::provider::chat::unsupported;
use crate::provider::openai::OpenAi;
use crate::provider::{AdaptError, Adapter, Authority, Call, Inbound, Refusal};
use crate::request::Outbound;
use crate::types::{Operation, Target};

#[derive(Debug)]
pub(in crate::provider) struct Partner {
    plain: OpenAi,
    stream: OpenAi,
}

impl Partner {
    pub(in crate::provider) fn new(target: &Target) -> Result<Self, http::Error> {
        let at = |verb| {
            OpenAi::new(Arc::new(Target {
                base_url: format!("{}/{}:{verb}", target.base_url, target.model),
                ..target.clone()
            }))
        };
        Ok(Self {
            plain: at("rawPredict")?,
            stream: at("streamRawPredict")?,
        })
    }

    fn of(&self, call: &Call) -> &OpenAi {
        if call.head.stream {
            &self.stream
        } else {
            &self.plain
        }
    }
}

impl Adapter for Partner {
    fn outbound(&self, call: &Call, authority: Authority<'_>) -> Result<Outbound, AdaptError> {
        let param = match call.operation {
            Operation::Chat => return self.of(call).outbound(call, authority),
            Operation::Completions => "prompt",
            Operation::Embeddings => "input",
        };
        Err(unsupported(
            param,
            "only `/chat/completions` is available: this model group's deployment is a partner's model at Vertex AI",
        ))
    }

    fn inbound(&self, call: &Call, fields: &Fields) -> Inbound {
        self.of(call).inbound(call, fields)
    }

    fn refusal(&self, status: StatusCode, _fields: &Fields, body: &[u8]) -> Refusal {
        refusal::read(status, body)
    }

    fn adds_usage(&self, call: &Call) -> bool {
        self.of(call).adds_usage(call)
    }
}
