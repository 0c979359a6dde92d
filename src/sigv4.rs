//! Signature Version 4 of AWS, as all its services but S3 want it: the path is percent-encoded once more, and the body is
//! covered by the signature alone.
//!
//! Pure: keys and time are given. <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>

use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use http::{HeaderValue, Uri};

use crate::types::AwsKeys;

/// Who signs, for which service, and when.
#[derive(Clone, Copy, Debug)]
pub struct Signer<'a> {
    /// What is signed with.
    pub keys: &'a AwsKeys,
    /// The region of the endpoint, as in `eu-central-1`.
    pub region: &'a str,
    /// The service's signing name, as in `bedrock`.
    pub service: &'a str,
    /// Now, since the Unix epoch. Services accept five minutes of difference.
    pub unix: Duration,
}

/// What can't be signed: an address without a host, or a header that is no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the request can't be signed for AWS")]
pub struct SignError;

impl Signer<'_> {
    /// The headers to add: `x-amz-date`, `authorization`, and `x-amz-security-token` for temporary keys. The last two are
    /// marked as sensitive.
    ///
    /// `uri` is absolute and as it is sent, percent-encoded once; its host is signed as the `host` header. All of
    /// `headers`, with lower-case names, are signed as well and must arrive unchanged; `content-type` is enough.
    ///
    /// # Errors
    /// If the request is not one that HTTP could carry.
    pub fn sign(
        &self,
        method: &str,
        uri: &Uri,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Vec<(&'static str, HeaderValue)>, SignError> {
        let keys = self.keys;
        let identity = Credentials::new(
            keys.access_key_id.expose(),
            keys.secret_access_key.expose(),
            keys.session_token.as_ref().map(|t| t.expose().to_owned()),
            None,
            "waypost",
        )
        .into();
        // Double encoding, normalised path, token signed, no header for the body's hash: the settings' defaults.
        let params = SigningParams::builder()
            .identity(&identity)
            .region(self.region)
            .name(self.service)
            .time(UNIX_EPOCH + self.unix)
            .settings(SigningSettings::default())
            .build()
            .map_err(|_| SignError)?
            .into();
        let request = SignableRequest::new(
            method,
            uri.to_string(),
            headers.iter().copied(),
            SignableBody::Bytes(body),
        )
        .map_err(|_| SignError)?;
        let (signed, _) = sign(request, &params).map_err(|_| SignError)?.into_parts();
        let (headers, _) = signed.into_parts();
        headers
            .iter()
            .map(|header| {
                let mut value = HeaderValue::from_str(header.value()).map_err(|_| SignError)?;
                value.set_sensitive(header.name() != "x-amz-date");
                Ok((header.name(), value))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Secret;

    struct Case {
        method: &'static str,
        uri: &'static str,
        content_type: Option<&'static str>,
        body: &'static str,
        region: &'static str,
        service: &'static str,
        token: Option<&'static str>,
        signed: &'static str,
        signature: &'static str,
    }

    fn keys(token: Option<&str>) -> AwsKeys {
        AwsKeys {
            access_key_id: Secret::new("AKIDEXAMPLE"),
            secret_access_key: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
            session_token: token.map(Secret::new),
        }
    }

    /// `get-vanilla` of AWS's own test suite, then what botocore 1.44.5's `SigV4Auth` gives for the same requests at the same
    /// second: an ARN in the path, a body, a session token, a query that is not in order.
    const CASES: &[Case] = &[
        Case {
            method: "GET",
            uri: "https://example.amazonaws.com/",
            content_type: None,
            body: "",
            region: "us-east-1",
            service: "service",
            token: None,
            signed: "host;x-amz-date",
            signature: "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        },
        Case {
            method: "POST",
            uri: "https://bedrock-runtime.us-east-1.amazonaws.com/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aapplication-inference-profile%2Fabc/converse-stream",
            content_type: Some("application/json"),
            body: r#"{"messages":[]}"#,
            region: "us-east-1",
            service: "bedrock",
            token: Some("FwoGZXIvYXdzEXAMPLE//token=="),
            signed: "content-type;host;x-amz-date;x-amz-security-token",
            signature: "a01077e64dfd556e145f22144f9cc657d80b1fbf9349fca6762058c9a10bd9cd",
        },
        Case {
            method: "POST",
            uri: "https://runtime.sagemaker.eu-west-1.amazonaws.com/endpoints/my-endpoint/invocations",
            content_type: Some("application/json"),
            body: r#"{"inputs":"hé"}"#,
            region: "eu-west-1",
            service: "sagemaker",
            token: Some("FwoGZXIvYXdzEXAMPLE//token=="),
            signed: "content-type;host;x-amz-date;x-amz-security-token",
            signature: "271e9f311f2fbb1552a56dc359d6f7143f2af468f90d0d89a2fd39f4c8baa827",
        },
        Case {
            method: "POST",
            uri: "http://127.0.0.1:8123/model/m/converse",
            content_type: Some("application/json"),
            body: "",
            region: "us-east-1",
            service: "bedrock",
            token: None,
            signed: "content-type;host;x-amz-date",
            signature: "509e1074e84742134be55a63d49b85b76e7da3031430ba753768200cb138d63c",
        },
        Case {
            method: "GET",
            uri: "https://example.amazonaws.com/a?b=2&a=1%20x",
            content_type: Some("application/json"),
            body: "",
            region: "us-east-1",
            service: "service",
            token: None,
            signed: "content-type;host;x-amz-date",
            signature: "02f0f17ca4424ae0ba32eaa8ac1b010bdff37defc983caddae79d340f1208c9a",
        },
    ];

    #[test]
    fn signatures_are_those_of_aws() {
        // 2015-08-30T12:36:00Z, the moment of the test suite.
        let unix = Duration::from_secs(1_440_938_160);
        for case in CASES {
            let keys = keys(case.token);
            let signer = Signer {
                keys: &keys,
                region: case.region,
                service: case.service,
                unix,
            };
            let headers: Vec<_> = case
                .content_type
                .map(|kind| ("content-type", kind))
                .into_iter()
                .collect();
            let uri = Uri::from_static(case.uri);
            let got = signer
                .sign(case.method, &uri, &headers, case.body.as_bytes())
                .expect("signed");
            let value = |name| got.iter().find(|(n, _)| *n == name).map(|(_, v)| v);
            assert_eq!(
                value("x-amz-date").expect("a date").as_bytes(),
                b"20150830T123600Z"
            );
            assert_eq!(
                value("x-amz-security-token").map(HeaderValue::as_bytes),
                case.token.map(str::as_bytes)
            );
            let expected = format!(
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/{}/{}/aws4_request, SignedHeaders={}, Signature={}",
                case.region, case.service, case.signed, case.signature
            );
            let authorization = value("authorization").expect("a signature");
            assert_eq!(
                authorization.to_str().expect("text"),
                expected,
                "{}",
                case.uri
            );
            assert!(authorization.is_sensitive());
            assert!(value("x-amz-security-token").is_none_or(HeaderValue::is_sensitive));
            assert_eq!(got.len(), 2 + usize::from(case.token.is_some()));
        }
    }

    #[test]
    fn what_http_cannot_carry_is_refused() {
        let keys = keys(None);
        let signer = Signer {
            keys: &keys,
            region: "us-east-1",
            service: "bedrock",
            unix: Duration::ZERO,
        };
        let uri = Uri::from_static("https://example.amazonaws.com/");
        let bad = [("content-type", "a\nb")];
        assert_eq!(signer.sign("POST", &uri, &bad, b""), Err(SignError));
    }
}
