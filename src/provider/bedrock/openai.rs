//! The OpenAI dialect at AWS: as everywhere, but signed, and with AWS's errors.

use std::sync::Arc;

use http::StatusCode;

use super::refusal;
use super::signed::Service;
use crate::h1::Fields;
use crate::provider::openai::OpenAi;
use crate::provider::{AdaptError, Adapter, Authority, Call, Inbound, Refusal};
use crate::request::Outbound;
use crate::types::Target;

/// Signs what the OpenAI adapter writes.
#[derive(Debug)]
pub(in crate::provider) struct Signed {
    inner: OpenAi,
    service: Service,
}

impl Signed {
    /// For `service`, the name in the signature.
    pub(in crate::provider) fn new(
        target: Arc<Target>,
        region: &str,
        service: &'static str,
    ) -> Result<Self, http::Error> {
        Ok(Self {
            service: Service::new(&target.base_url, region, service)?,
            inner: OpenAi::new(target)?,
        })
    }
}

impl Adapter for Signed {
    fn outbound(&self, call: &Call, authority: Authority<'_>) -> Result<Outbound, AdaptError> {
        let request = self.inner.outbound(call, Authority::default())?;
        self.service.authorize(request, authority)
    }

    fn inbound(&self, call: &Call, fields: &Fields) -> Inbound {
        self.inner.inbound(call, fields)
    }

    fn refusal(&self, status: StatusCode, fields: &Fields, body: &[u8]) -> Refusal {
        refusal::answer(status, fields, body)
    }

    fn adds_usage(&self, call: &Call) -> bool {
        self.inner.adds_usage(call)
    }
}
