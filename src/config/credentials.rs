//! What a deployment shows to its upstream: key or token, headers, certificate.

use std::path::PathBuf;

use super::context::Context;
use super::tree::{Node, Value};
use super::{anthropic, aws, azure, google, tokens, value};
use crate::catalog::{Family, Provider};
use crate::types::{Auth, Secret, TlsOptions};

/// Headers that a deployment may not set: they belong to the connection, to the body, or to authentication.
const FORBIDDEN: [&str; 18] = [
    "authorization",
    "api-key",
    "proxy-authorization",
    "proxy-authenticate",
    "proxy-connection",
    "host",
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "content-length",
    "content-type",
    "content-encoding",
    "accept",
    "accept-encoding",
    "expect",
];

/// How to authenticate. A provider that needs a key and has none is an error here, not a 401 later.
pub(super) fn auth(
    ctx: &mut Context<'_>,
    node: &Node,
    path: &str,
    provider: &Provider,
) -> Option<Auth> {
    let azure = provider.family == Family::Azure;
    if let Some(oauth) = node
        .entry("oauth")
        .filter(|entry| !matches!(entry.value.value, Value::Null))
    {
        let path = format!("{path}.oauth");
        if !azure {
            ctx.findings.error(
                oauth.at,
                &path,
                "only provider azure has oauth; use api_key",
            );
            return None;
        }
        if node.get("api_key").is_some() {
            ctx.findings.error(
                oauth.at,
                &path,
                "together with api_key; allowed: one of the two",
            );
            return None;
        }
        return azure::oauth(ctx, &oauth.value, &path);
    }
    elsewhere(ctx, node, path, provider);
    match provider.family {
        Family::Bedrock => return aws::auth(ctx, node, path, &["AWS_BEARER_TOKEN_BEDROCK"]),
        Family::SageMaker => return aws::auth(ctx, node, path, &[]),
        Family::Vertex => return google::auth(ctx, node, path),
        Family::Watsonx => return tokens::watsonx(ctx, node, path),
        Family::Anthropic => {
            if let Some(token) = anthropic::token(ctx, node) {
                return Some(token);
            }
        }
        _ => {}
    }
    if provider.name == DATABRICKS
        && let Some(auth) = tokens::databricks(ctx, node, path, provider.base_env).ok()?
    {
        return Some(auth);
    }
    let given = node.text("api_key");
    if given.is_none() && node.get("api_key").is_some() {
        return None; // of the wrong type, as was said
    }
    let key = given
        .or_else(|| ctx.first_set(provider.key_env))
        .map(|key| key.trim().to_owned());
    match key.filter(|key| !key.is_empty()) {
        Some(key) if http::HeaderValue::try_from(key.as_str()).is_err() => {
            let message =
                "the key contains a character that no header can carry (a line break, perhaps)";
            ctx.findings
                .error(node.place("api_key"), &format!("{path}.api_key"), message);
            None
        }
        Some(key) => Some(match header(provider.family) {
            Some(name) => Auth::Header(name, Secret::new(key)),
            None => Auth::Bearer(Secret::new(key)),
        }),
        None if provider.key_required && node.get("api_key").is_some() => {
            // Said as a warning where the variable is empty; the literal empty text is said here.
            if node
                .get("api_key")
                .and_then(Node::scalar)
                .is_some_and(|s| s.variables.is_empty())
            {
                ctx.findings.error(
                    node.place("api_key"),
                    &format!("{path}.api_key"),
                    "the key is empty",
                );
                return None;
            }
            Some(Auth::None)
        }
        None if provider.key_required => {
            let variables = provider.key_env.join(" or ");
            let oauth = if azure { ", or oauth" } else { "" };
            let first = provider.key_env.first().copied().unwrap_or("API_KEY");
            let message = format!(
                "no credentials: api_key is not given and {variables} is not set; set it, or write \"api_key: ${{{first}}}\"{oauth}"
            );
            ctx.findings.error(node.at, path, message);
            None
        }
        None => Some(Auth::None),
    }
}

/// The header that carries the key, where it is not a bearer's.
const fn header(family: Family) -> Option<&'static str> {
    match family {
        Family::Azure => Some("api-key"),
        Family::Anthropic => Some("x-api-key"),
        Family::Gemini => Some("x-goog-api-key"),
        _ => None,
    }
}

/// Warns of keys of the file that belong to other providers and do nothing here.
fn elsewhere(ctx: &mut Context<'_>, node: &Node, path: &str, provider: &Provider) {
    for (keys, theirs, why) in ELSEWHERE {
        if theirs(provider) {
            continue;
        }
        for key in *keys {
            if node.get(key).is_some() {
                let message = format!("accepted, but without effect here: {why}");
                let at = node.entry(key).map_or(node.at, |entry| entry.at);
                ctx.findings.warning(at, &format!("{path}.{key}"), message);
            }
        }
    }
}

const DATABRICKS: &str = "databricks";

/// Keys, the providers they are for, and what to say elsewhere.
type Belonging = (&'static [&'static str], fn(&Provider) -> bool, &'static str);

const ELSEWHERE: &[Belonging] = &[
    (
        &[
            "aws_region_name",
            "aws_access_key_id",
            "aws_secret_access_key",
            "aws_session_token",
            "aws_profile_name",
            "aws_role_name",
            "aws_session_name",
            "aws_external_id",
            "aws_web_identity_token",
            "aws_sts_endpoint",
            "aws_bedrock_runtime_endpoint",
            "model_id",
        ],
        |provider| matches!(provider.family, Family::Bedrock | Family::SageMaker),
        "it is for bedrock and sagemaker",
    ),
    (
        &["vertex_project", "vertex_location", "vertex_credentials"],
        |provider| provider.family == Family::Vertex,
        "it is for vertex_ai",
    ),
    (
        &["api_key"],
        |provider| !matches!(provider.family, Family::Vertex | Family::SageMaker),
        "this provider takes no key",
    ),
    (
        &["token", "zen_api_key"],
        |provider| provider.family == Family::Watsonx,
        "it is for watsonx; elsewhere a token is an api_key",
    ),
    (
        &["client_id", "client_secret"],
        |provider| provider.name == DATABRICKS,
        "it belongs under oauth",
    ),
];

/// `extra_headers`, checked; what is wrong is reported and left out.
pub(super) fn headers(ctx: &mut Context<'_>, node: &Node, path: &str) -> Vec<(String, Secret)> {
    let mut headers = Vec::new();
    for entry in node.entries() {
        let path = format!("{path}.{}", entry.key);
        let name = entry.key.to_ascii_lowercase();
        if http::HeaderName::try_from(name.as_str()).is_err() {
            ctx.findings.error(
                entry.at,
                &path,
                "not the name of a header; allowed: letters, digits and -",
            );
        } else if FORBIDDEN.contains(&name.as_str()) {
            let remedy = if matches!(name.as_str(), "authorization" | "api-key") {
                "; use api_key"
            } else {
                ""
            };
            ctx.findings.error(
                entry.at,
                &path,
                format!("this header is set by Waypost itself{remedy}"),
            );
        } else if matches!(entry.value.value, Value::Null) {
            // Null counts as not given.
        } else {
            match entry.value.scalar().map(|scalar| scalar.text.as_str()) {
                Some(text) if http::HeaderValue::try_from(text).is_ok() => {
                    headers.push((name, Secret::new(text)))
                }
                Some(_) => {
                    ctx.findings.error(
                        entry.value.at,
                        &path,
                        "contains a character that no header can carry",
                    );
                }
                None => {
                    let found = value::shown(&entry.value, true);
                    ctx.findings
                        .error(entry.value.at, &path, format!("{found} is not a text"));
                }
            }
        }
    }
    headers
}

/// `ssl_verify` and `ssl_certificate`.
pub(super) fn tls(ctx: &mut Context<'_>, node: &Node, path: &str) -> TlsOptions {
    let verify = match node.flag("ssl_verify") {
        Some(true) => None,
        Some(false) => {
            let message = "certificates are always checked; name a PEM file with the authority that signed the server's, or put it into SSL_CERT_FILE";
            ctx.findings.error(
                node.place("ssl_verify"),
                &format!("{path}.ssl_verify"),
                message,
            );
            None
        }
        None => file(ctx, node, path, "ssl_verify"),
    };
    TlsOptions {
        ca_file: verify,
        client_cert: file(ctx, node, path, "ssl_certificate"),
    }
}

/// The file that `key` names, if it is there.
fn file(ctx: &mut Context<'_>, node: &Node, path: &str, key: &str) -> Option<PathBuf> {
    let file = ctx.file(&node.text(key)?);
    if !file.is_file() {
        let found = node
            .get(key)
            .map_or_else(String::new, |n| value::shown(n, false));
        ctx.findings.error(
            node.place(key),
            &format!("{path}.{key}"),
            format!("{found} is not a file"),
        );
        return None;
    }
    Some(file)
}

#[cfg(test)]
#[path = "credentials_tests.rs"]
mod tests;
