//! Partners' models at Vertex AI: the dialects of their makers at addresses of Google's, one for whole answers and one for
//! streams.

use std::sync::Arc;

use http::{StatusCode, Uri};

use super::refusal;
use crate::h1::Fields;
use crate::provider::anthropic::{Anthropic, Host};
use crate::provider::chat::unsupported;
use crate::provider::openai::OpenAi;
use crate::provider::{AdaptError, Adapter, Authority, Call, Inbound, Refusal};
use crate::request::Outbound;
use crate::types::{self, Operation, Target};

/// A partner's model.
#[derive(Debug)]
pub(in crate::provider) struct Partner {
    plain: Arc<dyn Adapter>,
    stream: Arc<dyn Adapter>,
}

impl Partner {
    /// The model of `target`, which speaks the dialect of `partner`.
    ///
    /// # Errors
    /// If the target's URL is none.
    pub(in crate::provider) fn new(
        target: &Arc<Target>,
        partner: types::Partner,
    ) -> Result<Self, http::Error> {
        let url = |verb| format!("{}/{}:{verb}", target.base_url, target.model);
        let (plain, stream) = (url("rawPredict"), url("streamRawPredict"));
        Ok(match partner {
            types::Partner::Anthropic => {
                let (plain, stream) = (Uri::try_from(plain)?, Uri::try_from(stream)?);
                let host = Host::Vertex { plain, stream };
                let both = Arc::new(Anthropic::new(Arc::clone(target), host)?);
                Self {
                    plain: both.clone(),
                    stream: both,
                }
            }
            types::Partner::OpenAi => {
                let at = |base_url| {
                    let target = Target {
                        base_url,
                        ..Target::clone(target)
                    };
                    OpenAi::new(Arc::new(target)).map(Arc::new)
                };
                Self {
                    plain: at(plain)?,
                    stream: at(stream)?,
                }
            }
        })
    }

    fn of(&self, call: &Call) -> &dyn Adapter {
        if call.head.stream {
            &*self.stream
        } else {
            &*self.plain
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

    fn refusal(&self, status: StatusCode, fields: &Fields, body: &[u8]) -> Refusal {
        // Google's own, or the maker's passed on.
        refusal::of_google(status, body).unwrap_or_else(|| self.plain.refusal(status, fields, body))
    }

    fn adds_usage(&self, call: &Call) -> bool {
        self.of(call).adds_usage(call)
    }
}
