//! Tokens that expire: fetched when first needed, renewed before they run out, one fetch at a time per credential.
//!
//! A token is renewed after four fifths of its life; while that fails the old one is used as long as it is valid. A
//! fetch that fails counts against the deployments that need it as a refused credential would.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use http::HeaderValue;
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::types::{
    AwsCredential, AwsSource, EntraCredential, EntraSource, Secret, Token, TokenCredential,
};

/// How long a token endpoint may take.
const LIMIT: Duration = Duration::from_secs(10);
/// The life of a token whose endpoint does not say: Entra's shortest.
const DEFAULT_LIFE: Duration = Duration::from_secs(3600);
/// The longest life believed.
const LONGEST_LIFE: Duration = Duration::from_secs(86_400);
/// The instance metadata service of Azure's machines.
const IMDS: &str = "http://169.254.169.254/metadata/identity/oauth2/token";

/// Why there is no token. Never holds a secret.
#[derive(Debug, Clone, thiserror::Error)]
#[error("no Entra token: {0}")]
pub struct TokenError(String);

/// All token sources of a process, one per distinct credential.
#[derive(Debug, Default)]
pub struct Credentials {
    sources: std::sync::Mutex<HashMap<String, Arc<TokenSource>>>,
}

impl Credentials {
    /// The source for `credential`; deployments with equal credentials share one.
    pub fn source(&self, credential: &Arc<TokenCredential>) -> Arc<TokenSource> {
        // The key holds secrets and stays in here.
        let key = match &**credential {
            TokenCredential::Entra(entra) => entra_key(entra),
            TokenCredential::Aws(AwsCredential {
                source: AwsSource::Static(keys),
                ..
            }) => format!(
                "aws\n{}\n{}",
                keys.access_key_id.expose(),
                keys.secret_access_key.expose()
            ),
            _ => String::new(),
        };
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || {
            let (client, direct) = (client(true), client(false));
            Arc::new(TokenSource {
                credential: Arc::clone(credential),
                client,
                direct,
                held: Mutex::default(),
            })
        };
        Arc::clone(sources.entry(key).or_insert_with(new))
    }
}

fn entra_key(credential: &EntraCredential) -> String {
    match &credential.source {
        EntraSource::ClientSecret {
            tenant_id,
            client_id,
            client_secret,
        } => format!(
            "{}\n{tenant_id}\n{}\n{}\n{:?}",
            credential.authority_host,
            client_id.expose(),
            client_secret.expose(),
            credential.scopes
        ),
        EntraSource::Default => {
            format!("{}\n{:?}", credential.authority_host, credential.scopes)
        }
    }
}

/// One credential and the token it yields.
pub struct TokenSource {
    credential: Arc<TokenCredential>,
    client: reqwest::Client,
    /// For this machine's own identity service, which no proxy has to know of.
    direct: reqwest::Client,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    token: Option<Fetched>,
    /// The last failed fetch, for those who waited while it was made.
    failed: Option<(Instant, TokenError)>,
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSource")
            .field("credential", &self.credential)
            .finish_non_exhaustive()
    }
}

struct Fetched {
    header: HeaderValue,
    renew: Instant,
    expires: Instant,
}

fn client(proxied: bool) -> reqwest::Client {
    // reqwest finds its TLS only here. An error means that somebody has chosen already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(LIMIT);
    (if proxied { builder } else { builder.no_proxy() })
        .build()
        .unwrap_or_default()
}

impl TokenSource {
    /// What to authenticate with now.
    ///
    /// # Errors
    /// If there is no valid token and none can be fetched.
    pub async fn token(&self) -> Result<Token, TokenError> {
        match &*self.credential {
            TokenCredential::Entra(entra) => self.bearer(entra).await.map(Token::Bearer),
            TokenCredential::Aws(AwsCredential {
                source: AwsSource::Static(keys),
                ..
            }) => Ok(Token::Aws(Arc::new(keys.clone()))),
            _ => Err(TokenError("not yet".to_owned())),
        }
    }

    /// The provider refused this token: it is not used again. Whether there is a point in fetching another.
    pub async fn refused(&self, token: &Token) -> bool {
        let mut held = self.held.lock().await;
        let Token::Bearer(header) = token else {
            return false;
        };
        // A newer one may be there already, fetched by another request.
        if held
            .token
            .as_ref()
            .is_some_and(|held| held.header == header)
        {
            held.token = None;
        }
        true
    }

    async fn bearer(&self, entra: &EntraCredential) -> Result<HeaderValue, TokenError> {
        let asked = Instant::now();
        // Whoever comes while a fetch is under way waits here for its result, be it a token or a failure.
        let mut held = self.held.lock().await;
        let now = Instant::now();
        if let Some(token) = held.token.as_ref().filter(|t| now < t.renew) {
            return Ok(token.header.clone());
        }
        if let Some((_, error)) = held.failed.as_ref().filter(|(at, _)| *at > asked) {
            return Err(error.clone());
        }
        match self.fetch(entra).await {
            Ok(answer) => {
                let life = answer.life();
                let mut header =
                    HeaderValue::try_from(format!("Bearer {}", answer.access_token.expose()))
                        .map_err(|_| {
                            TokenError(
                                "the token endpoint's answer holds no usable token".to_owned(),
                            )
                        })?;
                header.set_sensitive(true);
                held.token = Some(Fetched {
                    header: header.clone(),
                    renew: now + life.mul_f64(0.8),
                    expires: now + life,
                });
                Ok(header)
            }
            Err(error) => match held.token.as_mut().filter(|t| now < t.expires) {
                Some(token) => {
                    tracing::warn!(%error, "the token could not be renewed; the old one is still valid");
                    token.renew = (now + LIMIT).min(token.expires);
                    Ok(token.header.clone())
                }
                None => {
                    held.failed = Some((Instant::now(), error.clone()));
                    Err(error)
                }
            },
        }
    }

    async fn fetch(&self, entra: &EntraCredential) -> Result<Answer, TokenError> {
        let scope = entra.scopes.join(" ");
        match &entra.source {
            EntraSource::ClientSecret {
                tenant_id,
                client_id,
                client_secret,
            } => {
                let form = [
                    ("grant_type", "client_credentials"),
                    ("client_id", client_id.expose()),
                    ("client_secret", client_secret.expose()),
                    ("scope", &scope),
                ];
                self.ask_authority(entra, tenant_id, &form).await
            }
            EntraSource::Default => self.fetch_default(entra, &scope).await,
        }
    }

    /// Environment, workload identity, managed identity, in that order.
    async fn fetch_default(
        &self,
        entra: &EntraCredential,
        scope: &str,
    ) -> Result<Answer, TokenError> {
        let env = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty());
        let (tenant, client_id) = (env("AZURE_TENANT_ID"), env("AZURE_CLIENT_ID"));
        if let (Some(tenant), Some(id), Some(secret)) =
            (&tenant, &client_id, env("AZURE_CLIENT_SECRET"))
        {
            let form = [
                ("grant_type", "client_credentials"),
                ("client_id", id),
                ("client_secret", secret.as_str()),
                ("scope", scope),
            ];
            return self.ask_authority(entra, tenant, &form).await;
        }
        if let (Some(tenant), Some(id), Some(file)) =
            (&tenant, &client_id, env("AZURE_FEDERATED_TOKEN_FILE"))
        {
            let assertion = tokio::fs::read_to_string(&file)
                .await
                .map_err(|e| TokenError(format!("{file}: {e}")))?;
            let form = [
                ("grant_type", "client_credentials"),
                ("client_id", id),
                (
                    "client_assertion_type",
                    "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                ),
                ("client_assertion", assertion.trim()),
                ("scope", scope),
            ];
            return self.ask_authority(entra, tenant, &form).await;
        }
        let resource = scope.trim_end_matches(".default").to_owned();
        let id = client_id.unwrap_or_default();
        let mut query = vec![("resource", resource.as_str())];
        if !id.is_empty() {
            query.push(("client_id", &id));
        }
        let request = match (env("IDENTITY_ENDPOINT"), env("IDENTITY_HEADER")) {
            (Some(endpoint), Some(header)) => {
                query.push(("api-version", "2019-08-01"));
                self.direct
                    .get(with_query(&endpoint, &query)?)
                    .header("x-identity-header", header)
            }
            _ => {
                query.push(("api-version", "2018-02-01"));
                self.direct
                    .get(with_query(IMDS, &query)?)
                    .header("metadata", "true")
            }
        };
        answer(request).await
    }

    async fn ask_authority(
        &self,
        entra: &EntraCredential,
        tenant: &str,
        form: &[(&str, &str)],
    ) -> Result<Answer, TokenError> {
        let url = format!(
            "{}/{tenant}/oauth2/v2.0/token",
            entra.authority_host.trim_end_matches('/')
        );
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        let content_type = "application/x-www-form-urlencoded";
        answer(
            self.client
                .post(url)
                .header(http::header::CONTENT_TYPE, content_type)
                .body(body),
        )
        .await
    }
}

fn with_query(base: &str, query: &[(&str, &str)]) -> Result<String, TokenError> {
    let url = url::Url::parse_with_params(base, query)
        .map_err(|e| TokenError(format!("identity endpoint: {e}")))?;
    Ok(url.into())
}

#[derive(Deserialize)]
struct Wire {
    access_token: String,
    expires_in: Option<serde_json::Value>,
}

struct Answer {
    access_token: Secret,
    expires_in: Option<u64>,
}

impl Answer {
    fn life(&self) -> Duration {
        self.expires_in
            .map_or(DEFAULT_LIFE, Duration::from_secs)
            .min(LONGEST_LIFE)
    }
}

async fn answer(request: reqwest::RequestBuilder) -> Result<Answer, TokenError> {
    let unreachable = |e: reqwest::Error| {
        TokenError(format!(
            "the token endpoint can't be asked: {}",
            e.without_url()
        ))
    };
    let response = request.send().await.map_err(unreachable)?;
    let status = response.status();
    let body = response.bytes().await.map_err(unreachable)?;
    if !status.is_success() {
        // Of an error only the fixed-form parts: descriptions may repeat what was sent.
        #[derive(Deserialize, Default)]
        struct Refusal {
            error: Option<String>,
            error_codes: Option<Vec<u64>>,
        }
        let refusal: Refusal = serde_json::from_slice(&body).unwrap_or_default();
        let codes = refusal.error_codes.unwrap_or_default();
        let error = refusal.error.unwrap_or_default();
        return Err(TokenError(format!(
            "the token endpoint answered {status} {error} {codes:?}"
        )));
    }
    let wire: Wire = serde_json::from_slice(&body)
        .map_err(|_| TokenError("the token endpoint's answer holds no access_token".to_owned()))?;
    // Some endpoints write the number as text.
    let expires_in = wire.expires_in.and_then(|v| {
        v.as_u64()
            .or_else(|| v.as_str().and_then(|s| s.parse().ok()))
    });
    Ok(Answer {
        access_token: Secret::new(wire.access_token),
        expires_in,
    })
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn those_who_wait_for_a_fetch_share_its_failure() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let credential = EntraCredential {
            source: EntraSource::ClientSecret {
                tenant_id: "t".to_owned(),
                client_id: Secret::new("c"),
                client_secret: Secret::new("s"),
            },
            scopes: vec![],
            authority_host: format!("http://{}", listener.local_addr().expect("an address")),
        };
        let source = Credentials::default().source(&Arc::new(TokenCredential::Entra(credential)));
        let serve = async {
            for asked in 1.. {
                let (mut stream, _) = listener.accept().await.expect("a connection");
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream
                    .write_all(
                        b"HTTP/1.1 400 Bad\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}",
                    )
                    .await;
                assert!(asked < 3, "asked again and again");
            }
        };
        let five = async {
            let all = futures_util::future::join_all((0..5).map(|_| source.token())).await;
            assert!(all.iter().all(Result::is_err));
            source.token().await.expect_err("a later one asks anew")
        };
        tokio::select! {
            () = serve => unreachable!("serves for ever"),
            error = five => assert!(error.to_string().contains("400"), "{error}"),
        }
    }
}
