//! What is special about Azure: its two paths, its dated versions, and Entra ID.

use std::sync::Arc;

use url::Url;

use super::check::texts;
use super::context::Context;
use super::endpoint::Endpoint;
use super::nearest::hint;
use super::tree::Node;
use super::{endpoint, value};
use crate::catalog::{self, Provider};
use crate::types::{Auth, Dialect, EntraCredential, EntraSource, Secret, TokenCredential};

/// The first version that knows `stream_options` and `max_completion_tokens`.
const STREAM_OPTIONS: &str = "2024-09-01";
/// The first version that knows `encoding_format`.
const ENCODING_FORMAT: &str = "2024-03-01";
const AUTHORITY: &str = "https://login.microsoftonline.com";

/// Base and dialect of an Azure deployment.
pub(super) fn endpoint(
    ctx: &mut Context<'_>,
    node: &Node,
    path: &str,
    provider: &Provider,
) -> Option<Endpoint> {
    let base = endpoint::base(ctx, node, path, provider)?;
    let mut url = endpoint::url(ctx, &base)?;
    // The portal shows the address of a whole request, version and all.
    let in_url = url
        .query_pairs()
        .find(|(name, _)| name == "api-version")
        .map(|(_, version)| version.into_owned());
    url.set_query(None);
    let (root, v1) = root(url.path());
    url.set_path(&root);
    let version = match node
        .text("api_version")
        .filter(|v| !v.is_empty())
        .or(in_url)
    {
        Some(version) => Some(version),
        None if v1 => None,
        None => ctx.first_set(&["AZURE_API_VERSION"]),
    };
    if version.is_none() && ctx.strict {
        let message = "Rasa wants api_version for azure, here or in AZURE_API_VERSION";
        ctx.findings.error(node.at, path, message);
    }
    let base_url = url.as_str().trim_end_matches('/').to_owned();
    let newest = |base_url| {
        Some(Endpoint {
            base_url,
            ..Endpoint::of(provider, Dialect::AzureV1)
        })
    };
    match version.as_deref() {
        None | Some("v1" | "preview" | "latest") => newest(base_url),
        Some(version) if v1 => {
            let message = format!(
                "api_base ends in /openai/v1, which takes no dated version; {version} is not sent"
            );
            ctx.findings.warning(
                node.place("api_version"),
                &format!("{path}.api_version"),
                message,
            );
            newest(base_url)
        }
        Some(version) if is_version(version) => {
            let date = &version[..10];
            let stream_options = date >= STREAM_OPTIONS;
            Some(Endpoint {
                base_url,
                renames: if stream_options {
                    &[]
                } else {
                    catalog::MAX_TOKENS
                },
                stream_options,
                encoding_format: date >= ENCODING_FORMAT,
                ..Endpoint::of(
                    provider,
                    Dialect::Azure {
                        api_version: version.to_owned(),
                    },
                )
            })
        }
        Some(version) => {
            let found = node
                .get("api_version")
                .map_or_else(|| format!("\"{version}\""), |n| value::shown(n, false));
            let message = format!(
                "{found} is no version of the API; allowed: a date as in 2024-10-21 or 2024-10-01-preview, or v1"
            );
            ctx.findings.error(
                node.place("api_version"),
                &format!("{path}.api_version"),
                message,
            );
            None
        }
    }
}

/// The path without `/openai` and what follows it, and whether that was `/openai/v1`.
fn root(path: &str) -> (String, bool) {
    let trimmed = path.trim_end_matches('/');
    match trimmed
        .find("/openai/")
        .or_else(|| trimmed.strip_suffix("/openai").map(str::len))
    {
        Some(at) => {
            let rest = trimmed[at..].trim_start_matches("/openai");
            (
                trimmed[..at].to_owned(),
                rest == "/v1" || rest.starts_with("/v1/"),
            )
        }
        None => (trimmed.to_owned(), false),
    }
}

/// `YYYY-MM-DD`, perhaps with `-preview` or another word behind it.
fn is_version(text: &str) -> bool {
    let b = text.as_bytes();
    let digits = |range: std::ops::Range<usize>| {
        b.get(range)
            .is_some_and(|d| d.iter().all(u8::is_ascii_digit))
    };
    let separated = b.get(4) == Some(&b'-') && b.get(7) == Some(&b'-');
    let suffix = text.get(10..).is_some_and(|s| {
        s.is_empty()
            || (s.starts_with('-') && s.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-'))
    });
    separated && digits(0..4) && digits(5..7) && digits(8..10) && suffix
}

/// The credential of `oauth`. What is missing was said by the table of keys, as far as it can know.
pub(super) fn oauth(ctx: &mut Context<'_>, node: &Node, path: &str) -> Option<Auth> {
    const SECRET: &str = "azure_entra_id_client_secret";
    const DEFAULT: &str = "azure_entra_id_default";
    const CERTIFICATE: &str = "azure_entra_id_client_certificate";
    let kind = node.text("type")?;
    let scopes = node.get("scopes").and_then(|scopes| texts(scopes).ok())?;
    if scopes.iter().all(|scope| scope.trim().is_empty()) {
        let message = "no scope is given; usually https://cognitiveservices.azure.com/.default";
        ctx.findings
            .error(node.place("scopes"), &format!("{path}.scopes"), message);
        return None;
    }
    let at = node.place("type");
    let key = format!("{path}.type");
    let source = match kind.as_str() {
        DEFAULT => EntraSource::Default,
        SECRET => {
            let mut want = |name: &str| {
                let found = node.text(name).filter(|text| !text.is_empty());
                if found.is_none() {
                    ctx.findings
                        .error(node.at, path, format!("{name} is required for {SECRET}"));
                }
                found
            };
            let (tenant_id, client_id, client_secret) =
                (want("tenant_id"), want("client_id"), want("client_secret"));
            EntraSource::ClientSecret {
                tenant_id: tenant_id?,
                client_id: Secret::new(client_id?),
                client_secret: Secret::new(client_secret?),
            }
        }
        CERTIFICATE => {
            let message = format!(
                "client certificates are not supported yet; use {SECRET}, or {DEFAULT} with a workload or managed identity"
            );
            ctx.findings.error(at, &key, message);
            return None;
        }
        other => {
            let hint = hint(other, [SECRET, DEFAULT, CERTIFICATE]);
            let shown = node
                .get("type")
                .map_or_else(String::new, |n| value::shown(n, false));
            let message = if other.contains('.') && hint.is_empty() {
                format!(
                    "{shown} is a Python module of Rasa's, which cannot run here; allowed: {SECRET}, {DEFAULT}"
                )
            } else {
                format!("{shown} is not allowed; allowed: {SECRET}, {DEFAULT}{hint}")
            };
            ctx.findings.error(at, &key, message);
            return None;
        }
    };
    let authority_host = node
        .text("authority_host")
        .or_else(|| ctx.first_set(&["AZURE_AUTHORITY_HOST"]))
        .unwrap_or_else(|| AUTHORITY.to_owned());
    let authority_host = if authority_host.contains("://") {
        authority_host
    } else {
        format!("https://{authority_host}")
    };
    let valid = Url::parse(&authority_host).is_ok_and(|url| {
        url.scheme() == "https"
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
    });
    if !valid {
        let message = "not the address of a cloud; allowed: https:// and a host name";
        ctx.findings.error(
            node.place("authority_host"),
            &format!("{path}.authority_host"),
            message,
        );
        return None;
    }
    let authority_host = authority_host.trim_end_matches('/').to_owned();
    let credential = EntraCredential {
        source,
        scopes,
        authority_host,
    };
    Some(Auth::Token(Arc::new(TokenCredential::Entra(credential))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bases_lose_what_is_appended_anyway() {
        for (path, expected) in [
            ("/", ("", false)),
            ("/openai", ("", false)),
            ("/openai/", ("", false)),
            ("/openai/deployments/gpt/chat/completions", ("", false)),
            ("/openai/v1", ("", true)),
            ("/openai/v1/", ("", true)),
            ("/api/projects/p/openai/v1", ("/api/projects/p", true)),
            ("/proxy", ("/proxy", false)),
            ("/openaix/y", ("/openaix/y", false)),
        ] {
            assert_eq!(root(path), (expected.0.to_owned(), expected.1), "{path}");
        }
    }

    #[test]
    fn versions_are_dates() {
        for (text, expected) in [
            ("2024-02-15-preview", true),
            ("2024-10-21", true),
            ("2024-10", false),
            ("20241021", false),
            ("2024-10-21x", false),
            ("2024-1ä-21", false),
            ("", false),
        ] {
            assert_eq!(is_version(text), expected, "{text}");
        }
    }
}
