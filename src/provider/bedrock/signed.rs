//! Requests signed with the keys of AWS, just as they are sent.

use http::Uri;

use crate::provider::{AdaptError, Authority};
use crate::request::Outbound;
use crate::sigv4::Signer;

/// What is signed for.
#[derive(Debug, Clone)]
pub(in crate::provider) struct Service {
    /// `https://host[:port]`
    origin: String,
    region: String,
    /// The name in the signature, such as `bedrock`.
    name: &'static str,
}

impl Service {
    /// The service `name` below `base_url`.
    ///
    /// # Errors
    /// If the URL is none.
    pub(in crate::provider) fn new(
        base_url: &str,
        region: &str,
        name: &'static str,
    ) -> Result<Self, http::Error> {
        let url = Uri::try_from(base_url)?;
        let scheme = url.scheme_str().unwrap_or("https");
        let host = url.host().unwrap_or_default();
        let port = url
            .port()
            .map_or_else(String::new, |port| format!(":{port}"));
        Ok(Self {
            origin: format!("{scheme}://{host}{port}"),
            region: region.to_owned(),
            name,
        })
    }

    /// `request` with what proves who sends it, a signature or a token.
    ///
    /// # Errors
    /// If the request can't be signed, which none of ours is.
    pub(in crate::provider) fn authorize(
        &self,
        request: Outbound,
        authority: Authority<'_>,
    ) -> Result<Outbound, AdaptError> {
        if let Some(bearer) = authority.bearer() {
            return Ok(request.with(&[("authorization", bearer.clone())]));
        }
        let Some(keys) = authority.keys() else {
            return Ok(request);
        };
        let signer = Signer {
            keys,
            region: &self.region,
            service: self.name,
            unix: authority.unix,
        };
        let failed = || AdaptError::Unsupported {
            param: "model".into(),
            message: "the request can't be signed for AWS".to_owned(),
        };
        let uri =
            Uri::try_from(format!("{}{}", self.origin, request.path())).map_err(|_| failed())?;
        let headers: Vec<(&str, &str)> = request
            .fields()
            .filter(|(name, _)| is_signed(name))
            .collect();
        let body = request.payload.to_bytes();
        let signed = signer
            .sign("POST", &uri, &headers, &body)
            .map_err(|_| failed())?;
        Ok(request.with(&signed))
    }
}

/// Where the request goes, what it holds, and all that AWS reads as its own.
fn is_signed(name: &str) -> bool {
    matches!(name, "host" | "content-type") || name.starts_with("x-amz")
}
