//! Where requests of a deployment go.

use url::Url;

use super::context::Context;
use super::tree::{Node, Pos};
use super::value;
use crate::catalog::{Family, Provider, Renames};
use crate::types::Dialect;

/// Base URL and dialect of a deployment.
pub(super) struct Endpoint {
    pub(super) base_url: String,
    pub(super) dialect: Dialect,
    pub(super) renames: Renames,
    pub(super) stream_options: bool,
    pub(super) encoding_format: bool,
}

/// What people paste behind a base URL; the operation is appended by us.
const OPERATIONS: [&str; 3] = ["/chat/completions", "/completions", "/embeddings"];

/// Base and dialect of a provider with the OpenAI dialect.
pub(super) fn endpoint(
    ctx: &mut Context<'_>,
    node: &Node,
    path: &str,
    provider: &Provider,
    completions_only: bool,
) -> Option<Endpoint> {
    let base = base(ctx, node, path, provider.base_env, provider.default_base)?;
    let mut url = url(ctx, &base)?;
    let (at, key) = (base.at, base.key);
    if url.query().is_some() {
        ctx.findings.error(
            at,
            &key,
            "a base URL has no \"?\"; write what stands before it",
        );
        return None;
    }
    let trimmed = url.path().trim_end_matches('/').to_owned();
    if let Some((operation, rest)) = OPERATIONS
        .iter()
        .find_map(|op| Some((op, trimmed.strip_suffix(op)?)))
    {
        let message =
            format!("ends in {operation}, which is appended to the base anyway; taken without it");
        ctx.findings.warning(at, &key, message);
        url.set_path(rest);
    } else if trimmed.is_empty()
        && matches!(provider.family, Family::OpenAiUnderV1 | Family::Ollama)
    {
        url.set_path("/v1");
    }
    Some(Endpoint {
        base_url: url.as_str().trim_end_matches('/').to_owned(),
        dialect: Dialect::OpenAi { completions_only },
        renames: provider.renames,
        stream_options: provider.stream_options,
        encoding_format: provider.encoding_format,
    })
}

/// A base URL before it was looked at.
pub(super) struct Base {
    text: String,
    pub(super) at: Pos,
    pub(super) key: String,
    /// How a message may call it.
    shown: String,
}

/// The base of the file, else of a variable, else the provider's own.
pub(super) fn base(
    ctx: &mut Context<'_>,
    node: &Node,
    path: &str,
    variables: &[&str],
    default: Option<&str>,
) -> Option<Base> {
    let key = format!("{path}.api_base");
    if let Some(given) = node.get("api_base") {
        let text = value::text(given).ok()?.trim().to_owned();
        return Some(Base {
            text,
            at: given.at,
            key,
            shown: value::shown(given, false),
        });
    }
    for variable in variables {
        if let Some(text) = ctx.first_set(&[variable]) {
            let shown = format!("the value of {variable}");
            return Some(Base {
                text: text.trim().to_owned(),
                at: node.at,
                key,
                shown,
            });
        }
    }
    if let Some(text) = default {
        return Some(Base {
            text: text.to_owned(),
            at: node.at,
            key,
            shown: text.to_owned(),
        });
    }
    let or = match variables {
        [] => String::new(),
        some => format!(", or the variable {}", some.join(" or ")),
    };
    ctx.findings.error(
        node.at,
        path,
        format!("api_base is required for this provider{or}"),
    );
    None
}

/// `text` as the address of a service, without trailing slash, if it is one: a host, perhaps a path, and no password.
pub(super) fn address(text: &str) -> Option<String> {
    let url = Url::parse(text.trim()).ok()?;
    let valid = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.fragment().is_none();
    valid.then(|| url.as_str().trim_end_matches('/').to_owned())
}

/// The base as a URL that can be used as one. What is wrong is said without repeating a password.
pub(super) fn url(ctx: &mut Context<'_>, base: &Base) -> Option<Url> {
    let Base {
        text,
        at,
        key,
        shown,
    } = base;
    let mut refuse = |what: &str| {
        let allowed = "allowed: http:// or https://, a host, perhaps a path";
        ctx.findings
            .error(*at, key, format!("{shown} {what}; {allowed}"));
        None
    };
    if !text.starts_with("http://") && !text.starts_with("https://") {
        return refuse("does not begin with http:// or https://");
    }
    let url = match Url::parse(text) {
        Ok(url) => url,
        Err(error) => return refuse(&format!("is no URL ({error})")),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return refuse(
            "has a user or password in it, which is never sent; use api_key or extra_headers",
        );
    }
    if url.fragment().is_some() {
        return refuse("has a \"#\" in it");
    }
    Some(url)
}
