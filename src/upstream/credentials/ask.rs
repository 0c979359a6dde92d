//! Asking an endpoint for a token: the clients, the environment, the clock, and reading of answers.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, StatusCode};
use serde::Deserialize;

use super::source::{Fetched, Life};
use crate::clock::Clock;
use crate::types::Token;

/// How long an endpoint may take.
const LIMIT: Duration = Duration::from_secs(10);
/// How long the machine's own metadata service may take to be connected to: there may be none.
const DIRECT_CONNECT: Duration = Duration::from_secs(2);
/// The largest answer: a token of some kilobytes, and what is around it.
const LARGEST: usize = 256 * 1024;
/// The life of a token whose endpoint does not say: the shortest of those in use.
const DEFAULT_LIFE: Duration = Duration::from_secs(3600);
/// The longest life believed.
const LONGEST_LIFE: Duration = Duration::from_secs(86_400);

/// Looks up a variable.
pub(super) type Env = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// What is needed to fetch tokens.
pub(super) struct Outside {
    /// For endpoints elsewhere, through the proxy that the environment may name.
    pub(super) client: reqwest::Client,
    /// For this machine's own identity service, which no proxy has to know of.
    pub(super) direct: reqwest::Client,
    pub(super) clock: Arc<dyn Clock>,
    env: Env,
}

impl Outside {
    pub(super) fn new(env: Env, clock: Arc<dyn Clock>) -> Self {
        // reqwest finds its TLS only here. An error means that somebody has chosen already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = || {
            reqwest::Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                .timeout(LIMIT)
        };
        let direct = builder().no_proxy().connect_timeout(DIRECT_CONNECT);
        Self {
            client: builder().build().unwrap_or_default(),
            direct: direct.build().unwrap_or_default(),
            clock,
            env,
        }
    }

    /// The variable's value, if it is set and not empty.
    pub(super) fn set(&self, name: &str) -> Option<String> {
        (self.env)(name).filter(|value| !value.is_empty())
    }

    /// As [`Self::set`], for those that want any variable's value.
    pub(super) fn lookup(&self) -> &(dyn Fn(&str) -> Option<String> + Send + Sync) {
        &*self.env
    }

    /// How long until `moment`, as `2026-11-22T12:00:00Z`; nothing if that is over.
    pub(super) fn until(&self, moment: &str) -> Option<Duration> {
        let at = humantime::parse_rfc3339_weak(moment.trim()).ok()?;
        let at = at.duration_since(std::time::UNIX_EPOCH).ok()?;
        at.checked_sub(self.clock.unix())
    }
}

/// A file's text. Its name is no secret, and its errors have none.
pub(super) async fn read(file: &std::path::Path) -> Result<String, String> {
    let text = tokio::fs::read_to_string(file).await;
    text.map_err(|error| format!("{}: {error}", file.display()))
}

/// Sends `request` to what messages call `endpoint`, and reads a successful answer.
pub(super) async fn ask(
    endpoint: &'static str,
    request: reqwest::RequestBuilder,
) -> Result<Bytes, String> {
    let (status, body) = answer(endpoint, request).await?;
    if status.is_success() {
        return Ok(body);
    }
    Err(format!("{endpoint} answered {status}{}", code(&body)))
}

async fn answer(
    endpoint: &'static str,
    request: reqwest::RequestBuilder,
) -> Result<(StatusCode, Bytes), String> {
    // Addresses may have secrets in them, and what lies below an error of reqwest's is said by none of its own words.
    let unreachable = |error: reqwest::Error| {
        let error = error.without_url();
        let mut cause: &dyn std::error::Error = &error;
        while let Some(below) = cause.source() {
            cause = below;
        }
        format!("{endpoint} can't be asked: {cause}")
    };
    let mut response = request.send().await.map_err(unreachable)?;
    let status = response.status();
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        body.extend_from_slice(&chunk);
        if body.len() > LARGEST {
            return Err(format!("{endpoint} answered with too much"));
        }
    }
    Ok((status, body.freeze()))
}

/// Of an error only the parts of fixed form: descriptions may repeat what was sent.
fn code(body: &[u8]) -> String {
    #[derive(Deserialize, Default)]
    struct Refusal {
        #[serde(alias = "errorCode", alias = "code", alias = "Code")]
        error: Option<String>,
        error_codes: Option<Vec<u64>>,
    }
    let refusal: Refusal = serde_json::from_slice(body).unwrap_or_default();
    let text = String::from_utf8_lossy(body);
    let error = refusal.error.or_else(|| element(&text, "Code"));
    let is_code = |error: &String| {
        error.len() <= 64
            && error
                .bytes()
                .all(|c| c.is_ascii_alphanumeric() || b"_.-".contains(&c))
    };
    let error = error.filter(is_code).map(|error| format!(" {error}"));
    let codes = refusal.error_codes.map(|codes| format!(" {codes:?}"));
    error.unwrap_or_default() + &codes.unwrap_or_default()
}

/// The text of the first XML element of that name, which has no attributes and no elements in it.
pub(super) fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    let plain = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&apos;", "'"),
        ("&amp;", "&"),
    ];
    let decode = |text: String, (entity, plain): &(&str, &str)| text.replace(entity, plain);
    Some(plain.iter().fold(text.trim().to_owned(), decode))
}

/// A request with `form` as its body.
pub(super) fn form(
    client: &reqwest::Client,
    url: &str,
    form: &[(&str, &str)],
) -> reqwest::RequestBuilder {
    client
        .post(url)
        .header(http::header::CONTENT_TYPE, FORM)
        .header(http::header::ACCEPT, "application/json")
        .body(encoded(form))
}

const FORM: &str = "application/x-www-form-urlencoded";

/// `form` as a body.
pub(super) fn encoded(form: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form)
        .finish()
}

/// Asks for a token of OAuth 2.
pub(super) async fn bearer(
    endpoint: &'static str,
    request: reqwest::RequestBuilder,
) -> Result<Fetched, String> {
    #[derive(Deserialize)]
    struct Wire {
        access_token: String,
        expires_in: Option<serde_json::Value>,
    }
    let body = ask(endpoint, request).await?;
    let wire: Wire = serde_json::from_slice(&body)
        .map_err(|_| format!("{endpoint}'s answer holds no access_token"))?;
    // Some endpoints write the number as text.
    let seconds = wire.expires_in.and_then(|v| {
        v.as_u64()
            .or_else(|| v.as_str().and_then(|s| s.parse().ok()))
    });
    let life = seconds
        .map_or(DEFAULT_LIFE, Duration::from_secs)
        .min(LONGEST_LIFE);
    let mut header = HeaderValue::try_from(format!("Bearer {}", wire.access_token))
        .map_err(|_| format!("{endpoint}'s answer holds no usable token"))?;
    header.set_sensitive(true);
    Ok(Fetched {
        token: Token::Bearer(header),
        life: Life::of(life),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_codes_of_errors_are_repeated() {
        for (body, expected) in [
            (
                r#"{"error":"invalid_client","error_codes":[7000215],"error_description":"s3cret"}"#,
                " invalid_client [7000215]",
            ),
            (r#"{"error":"what was sent: s3cret"}"#, ""),
            (
                r#"{"errorCode":"BXNIM0415E","errorMessage":"s3cret"}"#,
                " BXNIM0415E",
            ),
            (
                r#"{"code":"AccessDenied","message":"s3cret"}"#,
                " AccessDenied",
            ),
            (
                "<ErrorResponse><Error><Type>Sender</Type><Code>ExpiredToken</Code><Message>s3cret</Message></Error></ErrorResponse>",
                " ExpiredToken",
            ),
            ("<html>s3cret</html>", ""),
            (r#"{"error":{"message":"s3cret"}}"#, ""),
        ] {
            assert_eq!(code(body.as_bytes()), expected, "{body}");
        }
    }

    #[test]
    fn elements_are_found_and_decoded() {
        let xml = "<R><C>\n <Id> a </Id><Key>a&amp;lt;b&lt;/+=</Key><Empty></Empty></C></R>";
        for (name, expected) in [
            ("Id", Some("a")),
            ("Key", Some("a&lt;b</+=")),
            ("Empty", Some("")),
            ("Ke", None),
        ] {
            assert_eq!(element(xml, name).as_deref(), expected, "{name}");
        }
    }
}
