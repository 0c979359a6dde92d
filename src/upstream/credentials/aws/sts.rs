//! AWS's token service: a role's keys for other keys, or for a token of another identity provider.
//!
//! <https://docs.aws.amazon.com/STS/latest/APIReference/>

use std::time::Duration;

use http::{HeaderValue, Uri};

use super::super::ask::{ask, element, encoded, read};
use super::super::source::Life;
use super::{Found, Search};
use crate::sigv4::{SignError, Signer};
use crate::types::{AwsKeys, AwsRole, Secret, WebToken};

const STS: &str = "AWS's token service";
const VERSION: &str = "2011-06-15";
const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";

impl Search<'_> {
    /// The keys of `role`, for one who has `keys`.
    pub(super) async fn assume(&self, keys: &AwsKeys, role: &AwsRole) -> Result<Found, String> {
        let url = self.endpoint()?;
        let body = assume_form(role);
        let region = &self.credential.region;
        let signature = sign(&url, region, keys, &body, self.outside.clock.unix())
            .map_err(|error| error.to_string())?;
        let mut request = self.outside.client.post(url.to_string());
        for (name, value) in signature {
            request = request.header(name, value);
        }
        self.ask_sts(request, body).await
    }

    /// The keys of `role`, for one whom `token` identifies. Such a request is not signed.
    pub(super) async fn web_identity(
        &self,
        token: &WebToken,
        role: &AwsRole,
    ) -> Result<Found, String> {
        let token = match token {
            WebToken::Text(token) => token.clone(),
            WebToken::File(file) => Secret::new(read(file).await?),
        };
        let body = encoded(&[
            ("Action", "AssumeRoleWithWebIdentity"),
            ("Version", VERSION),
            ("RoleArn", &role.arn),
            ("RoleSessionName", &role.session_name),
            ("WebIdentityToken", token.expose().trim()),
        ]);
        let request = self.outside.client.post(self.endpoint()?.to_string());
        self.ask_sts(request, body).await
    }

    async fn ask_sts(
        &self,
        request: reqwest::RequestBuilder,
        body: String,
    ) -> Result<Found, String> {
        let request = request.header(http::header::CONTENT_TYPE, FORM).body(body);
        let answer = ask(STS, request).await?;
        let text = String::from_utf8_lossy(&answer);
        let get = |name| {
            element(&text, name)
                .filter(|text| !text.is_empty())
                .ok_or_else(|| format!("{STS}'s answer holds no {name}"))
        };
        let life = self
            .outside
            .until(&get("Expiration")?)
            .ok_or_else(|| format!("{STS} gave keys that have expired"))?;
        Ok(Found {
            keys: AwsKeys {
                access_key_id: Secret::new(get("AccessKeyId")?),
                secret_access_key: Secret::new(get("SecretAccessKey")?),
                session_token: Some(Secret::new(get("SessionToken")?)),
            },
            life: Life::of_aws(life),
        })
    }

    /// The service's address: the file's, the environment's, or the region's own.
    fn endpoint(&self) -> Result<Uri, String> {
        let region = &self.credential.region;
        let text = self
            .credential
            .sts_endpoint
            .clone()
            .or_else(|| self.outside.set("AWS_ENDPOINT_URL_STS"))
            .unwrap_or_else(|| {
                let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
                format!("https://sts.{region}.amazonaws.com{suffix}")
            });
        let uri = url::Url::parse(&text).ok();
        let uri = uri.and_then(|url| Uri::try_from(url.as_str()).ok());
        uri.ok_or_else(|| format!("the address of {STS} is none"))
    }
}

fn assume_form(role: &AwsRole) -> String {
    let mut fields = vec![
        ("Action", "AssumeRole"),
        ("Version", VERSION),
        ("RoleArn", &role.arn),
        ("RoleSessionName", &role.session_name),
    ];
    if let Some(id) = &role.external_id {
        fields.push(("ExternalId", id.expose()));
    }
    encoded(&fields)
}

fn sign(
    url: &Uri,
    region: &str,
    keys: &AwsKeys,
    body: &str,
    unix: Duration,
) -> Result<Vec<(&'static str, HeaderValue)>, SignError> {
    let signer = Signer {
        keys,
        region,
        service: "sts",
        unix,
    };
    signer.sign("POST", url, &[("content-type", FORM)], body.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What botocore 1.44.5 sends for the same call at the same second.
    #[test]
    fn roles_are_assumed_as_aws_wants_it() {
        let role = AwsRole {
            arn: "arn:aws:iam::123456789012:role/gateway".to_owned(),
            session_name: "way post@1".to_owned(),
            external_id: Some(Secret::new("a b+c/=")),
        };
        let keys = AwsKeys {
            access_key_id: Secret::new("AKIDEXAMPLE"),
            secret_access_key: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
            session_token: Some(Secret::new("FwoGZXIvYXdzEXAMPLE//token==")),
        };
        let body = assume_form(&role);
        assert_eq!(
            body,
            "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fgateway&RoleSessionName=way+post%401&ExternalId=a+b%2Bc%2F%3D"
        );
        let url = Uri::from_static("https://sts.eu-west-1.amazonaws.com/");
        let unix = Duration::from_secs(1_440_938_160);
        let signature = sign(&url, "eu-west-1", &keys, &body, unix).expect("signed");
        let authorization = signature.iter().find(|(name, _)| *name == "authorization");
        assert_eq!(
            authorization.expect("signed").1,
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/eu-west-1/sts/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, Signature=81f6e37393823fb21c8179d3109fea4466e9163620747a196ac90234325cdb23"
        );
    }
}
