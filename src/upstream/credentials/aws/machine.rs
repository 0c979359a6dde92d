//! Keys that the machine has: those of its container, or of its instance.

use std::net::IpAddr;

use http::HeaderValue;
use serde::Deserialize;
use url::{Host, Url};

use super::super::ask::{Outside, ask, read};
use super::super::source::Life;
use super::{Found, Search};
use crate::types::{AwsKeys, Secret};

const CONTAINER: &str = "the container's credentials endpoint";
const INSTANCE: &str = "the instance metadata service";
/// Where ECS's relative addresses begin.
const ECS: &str = "http://169.254.170.2";
/// EKS's agent, by IPv6.
const EKS_V6: &str = "fd00:ec2::23";

/// Keys as both services write them.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Wire {
    access_key_id: String,
    secret_access_key: String,
    token: Option<String>,
    expiration: Option<String>,
}

fn found(outside: &Outside, endpoint: &str, body: &[u8]) -> Result<Found, String> {
    let wire: Wire =
        serde_json::from_slice(body).map_err(|_| format!("{endpoint}'s answer holds no keys"))?;
    let life = match &wire.expiration {
        None => Life::FILE,
        Some(moment) => Life::of_aws(
            outside
                .until(moment)
                .ok_or_else(|| format!("{endpoint} gave keys that have expired"))?,
        ),
    };
    Ok(Found {
        keys: AwsKeys {
            access_key_id: Secret::new(wire.access_key_id),
            secret_access_key: Secret::new(wire.secret_access_key),
            session_token: wire.token.map(Secret::new),
        },
        life,
    })
}

impl Search<'_> {
    /// The endpoint that ECS, or EKS's Pod Identity, names in the environment.
    pub(super) async fn container(&self) -> Option<Result<Found, String>> {
        let relative = self.outside.set("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
        let url = match relative {
            Some(path) => format!("{ECS}{path}"),
            None => self.outside.set("AWS_CONTAINER_CREDENTIALS_FULL_URI")?,
        };
        Some(self.ask_container(&url).await)
    }

    async fn ask_container(&self, url: &str) -> Result<Found, String> {
        let url = Url::parse(url).ok().filter(is_trusted).ok_or(
            "AWS_CONTAINER_CREDENTIALS_FULL_URI is neither https nor an address of this machine",
        )?;
        let mut request = self.outside.direct.get(url);
        let token = match self.outside.set("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
            Some(file) => Some(read(file.as_ref()).await?),
            None => self.outside.set("AWS_CONTAINER_AUTHORIZATION_TOKEN"),
        };
        if let Some(token) = token {
            let mut token = HeaderValue::try_from(token.trim()).map_err(
                |_| "the container's authorization token is none that a header can carry",
            )?;
            token.set_sensitive(true);
            request = request.header(http::header::AUTHORIZATION, token);
        }
        let body = ask(CONTAINER, request).await?;
        found(self.outside, CONTAINER, &body)
    }

    /// The metadata service of EC2, in its second version: a session, the role's name, its keys.
    pub(super) async fn instance(&self) -> Result<Found, String> {
        let set = |name| self.outside.set(name);
        if set("AWS_EC2_METADATA_DISABLED").is_some_and(|v| v.eq_ignore_ascii_case("true")) {
            return Err(format!(
                "{INSTANCE} is switched off by AWS_EC2_METADATA_DISABLED"
            ));
        }
        let v6 = set("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE")
            .is_some_and(|mode| mode.eq_ignore_ascii_case("ipv6"));
        let default = if v6 {
            "http://[fd00:ec2::254]"
        } else {
            "http://169.254.169.254"
        };
        let base = set("AWS_EC2_METADATA_SERVICE_ENDPOINT").unwrap_or_else(|| default.to_owned());
        let base = base.trim_end_matches('/');
        let client = &self.outside.direct;
        let session = client
            .put(format!("{base}/latest/api/token"))
            .header("x-aws-ec2-metadata-token-ttl-seconds", "21600");
        let session = ask(INSTANCE, session).await?;
        let mut session = HeaderValue::from_maybe_shared(session)
            .map_err(|_| format!("{INSTANCE} gave no usable session"))?;
        session.set_sensitive(true);
        let get = |path: &str| {
            client
                .get(format!(
                    "{base}/latest/meta-data/iam/security-credentials/{path}"
                ))
                .header("x-aws-ec2-metadata-token", session.clone())
        };
        let role = ask(INSTANCE, get("")).await?;
        let role = String::from_utf8_lossy(&role);
        let role = role.lines().next().unwrap_or_default().trim();
        if role.is_empty() {
            return Err(format!("{INSTANCE} says that the instance has no role"));
        }
        let body = ask(INSTANCE, get(role)).await?;
        found(self.outside, INSTANCE, &body)
    }
}

/// Whether keys may be asked for there, and a token shown: by TLS anywhere, else only on this machine or its link.
fn is_trusted(url: &Url) -> bool {
    let local = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || EKS_V6.parse() == Ok(ip),
    };
    match (url.scheme(), url.host()) {
        ("https", Some(_)) => true,
        ("http", Some(Host::Ipv4(ip))) => local(ip.into()),
        ("http", Some(Host::Ipv6(ip))) => local(ip.into()),
        ("http", Some(Host::Domain(name))) => name == "localhost",
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_shown_to_this_machine_only() {
        for (url, expected) in [
            ("http://169.254.170.23/v1/credentials", true),
            ("http://169.254.170.2/x", true),
            ("http://127.0.0.1:51679/x", true),
            ("http://[::1]:8080/x", true),
            ("http://[fd00:ec2::23]/v1/credentials", true),
            ("http://localhost:1/x", true),
            ("https://credentials.example.com/x", true),
            ("http://credentials.example.com/x", false),
            ("http://localhost.example.com/x", false),
            ("http://10.0.0.1/x", false),
            ("ftp://127.0.0.1/x", false),
        ] {
            let url = Url::parse(url).expect("a URL");
            assert_eq!(is_trusted(&url), expected, "{url}");
        }
    }
}
