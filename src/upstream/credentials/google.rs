//! Google Cloud: service accounts, users' credentials, the metadata server.
//!
//! <https://google.aip.dev/auth/4110> says where credentials are looked for, <https://google.aip.dev/auth/4112> how a service
//! account signs for itself.

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;
use serde_json::json;

use super::ask::{Outside, bearer, form, read};
use super::source::Fetched;
use crate::types::{GoogleSource, Secret};

const ENDPOINT: &str = "Google's token endpoint";
const METADATA: &str = "Google's metadata server";
const TOKEN_URI: &str = "https://oauth2.googleapis.com/token";
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// The longest life that an assertion may have.
const ASSERTION_LIFE: Duration = Duration::from_secs(3600);

/// A file of credentials.
#[derive(Deserialize)]
struct File {
    #[serde(rename = "type")]
    kind: String,
    client_email: Option<String>,
    private_key_id: Option<String>,
    private_key: Option<Secretive>,
    client_id: Option<String>,
    client_secret: Option<Secretive>,
    refresh_token: Option<Secretive>,
    token_uri: Option<String>,
}

#[derive(Deserialize)]
#[serde(from = "String")]
struct Secretive(Secret);

impl From<String> for Secretive {
    fn from(text: String) -> Self {
        Self(Secret::new(text))
    }
}

pub(super) async fn fetch(outside: &Outside, source: &GoogleSource) -> Result<Fetched, String> {
    match source {
        GoogleSource::Json(json) => of_file(outside, "the credentials", json.expose()).await,
        GoogleSource::File(file) => {
            let json = Secret::new(read(file).await?);
            of_file(outside, &file.display().to_string(), json.expose()).await
        }
        GoogleSource::Default => {
            // A file that is named has to be there; the one that gcloud writes may be.
            let file = match outside.set("GOOGLE_APPLICATION_CREDENTIALS") {
                Some(file) => Some(PathBuf::from(file)),
                None => well_known(outside).filter(|file| file.is_file()),
            };
            match file {
                Some(file) => {
                    let json = Secret::new(read(&file).await?);
                    of_file(outside, &file.display().to_string(), json.expose()).await
                }
                None => metadata(outside).await,
            }
        }
    }
}

/// Where `gcloud auth application-default login` writes.
fn well_known(outside: &Outside) -> Option<PathBuf> {
    let folder = match outside.set("CLOUDSDK_CONFIG") {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(outside.set("HOME")?).join(".config/gcloud"),
    };
    Some(folder.join("application_default_credentials.json"))
}

async fn metadata(outside: &Outside) -> Result<Fetched, String> {
    let host = outside.set("GCE_METADATA_HOST");
    let host = host.as_deref().unwrap_or("metadata.google.internal");
    let url = format!("http://{host}/computeMetadata/v1/instance/service-accounts/default/token");
    let request = outside.direct.get(url).header("metadata-flavor", "Google");
    bearer(METADATA, request).await.map_err(|why| {
        format!("neither GOOGLE_APPLICATION_CREDENTIALS nor a file of gcloud's; {why}")
    })
}

/// `name` is what messages call the file.
async fn of_file(outside: &Outside, name: &str, json: &str) -> Result<Fetched, String> {
    let file: File = serde_json::from_str(json)
        .map_err(|_| format!("{name}: not the JSON of a credentials file"))?;
    let missing = |key: &str| format!("{name}: {} without {key}", file.kind);
    let url = file.token_uri.as_deref().unwrap_or(TOKEN_URI);
    if !is_safe(url) {
        return Err(format!("{name}: token_uri is no https address"));
    }
    match file.kind.as_str() {
        "service_account" => {
            let email = file.client_email.as_deref();
            let email = email.ok_or_else(|| missing("client_email"))?;
            let key = file.private_key.as_ref();
            let key = &key.ok_or_else(|| missing("private_key"))?.0;
            let claims = Claims {
                email,
                audience: url,
                key_id: file.private_key_id.as_deref(),
                unix: outside.clock.unix(),
            };
            let assertion = claims.signed(key).map_err(|why| format!("{name}: {why}"))?;
            let fields = [
                ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
                ("assertion", &assertion),
            ];
            bearer(ENDPOINT, form(&outside.client, url, &fields)).await
        }
        "authorized_user" => {
            let id = file.client_id.as_deref();
            let secret = file.client_secret.as_ref();
            let token = file.refresh_token.as_ref();
            let fields = [
                ("grant_type", "refresh_token"),
                ("client_id", id.ok_or_else(|| missing("client_id"))?),
                (
                    "client_secret",
                    secret.ok_or_else(|| missing("client_secret"))?.0.expose(),
                ),
                (
                    "refresh_token",
                    token.ok_or_else(|| missing("refresh_token"))?.0.expose(),
                ),
            ];
            bearer(ENDPOINT, form(&outside.client, url, &fields)).await
        }
        "external_account" => Err(format!(
            "{name}: workload identity federation (external_account) is not supported; use a service account's key, or the \
             metadata server of a machine or cluster at Google"
        )),
        _ => Err(format!(
            "{name}: a type that is not supported; allowed: service_account, authorized_user"
        )),
    }
}

/// Whether secrets may be sent there: by TLS, or on this machine.
fn is_safe(url: &str) -> bool {
    url::Url::parse(url).is_ok_and(|url| match (url.scheme(), url.host()) {
        ("https", Some(_)) => true,
        ("http", Some(url::Host::Ipv4(ip))) => ip.is_loopback(),
        _ => false,
    })
}

/// What a service account asserts of itself.
struct Claims<'a> {
    email: &'a str,
    audience: &'a str,
    key_id: Option<&'a str>,
    unix: Duration,
}

impl Claims<'_> {
    /// As a JSON web token, signed with `key` in PEM.
    fn signed(&self, key: &Secret) -> Result<String, &'static str> {
        let unusable = "private_key is no RSA key in PKCS #8";
        let der =
            PrivatePkcs8KeyDer::from_pem_slice(key.expose().as_bytes()).map_err(|_| unusable)?;
        let key = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).map_err(|_| unusable)?;
        let mut header = json!({"alg": "RS256", "typ": "JWT"});
        if let Some(id) = self.key_id {
            header["kid"] = id.into();
        }
        let claims = json!({
            "iss": self.email,
            "scope": SCOPE,
            "aud": self.audience,
            "iat": self.unix.as_secs(),
            "exp": (self.unix + ASSERTION_LIFE).as_secs(),
        });
        let encode = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let mut text = format!("{}.{}", encode(&header), encode(&claims));
        let mut signature = vec![0; key.public().modulus_len()];
        key.sign(
            &RSA_PKCS1_SHA256,
            &SystemRandom::new(),
            text.as_bytes(),
            &mut signature,
        )
        .map_err(|_| "private_key can't sign")?;
        text.push('.');
        text.push_str(&URL_SAFE_NO_PAD.encode(signature));
        Ok(text)
    }
}
