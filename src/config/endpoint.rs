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
    let (text, at, key) = base(ctx, node, path, provider.base_env, provider.default_base)?;
    let mut url = url(ctx, &text, node, at, &key)?;
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
    } else if trimmed.is_empty() && provider.family == Family::OpenAiUnderV1 {
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

/// The base as text, the place to complain about it, and its key.
pub(super) fn base(
    ctx: &mut Context<'_>,
    node: &Node,
    path: &str,
    variables: &[&str],
    default: Option<&str>,
) -> Option<(String, Pos, String)> {
    let key = format!("{path}.api_base");
    if let Some(given) = node.get("api_base") {
        let text = value::text(given).ok()?;
        return Some((text.trim().to_owned(), given.at, key));
    }
    if let Some(text) = ctx.first_set(variables) {
        return Some((text.trim().to_owned(), node.at, key));
    }
    if let Some(text) = default {
        return Some((text.to_owned(), node.at, key));
    }
    let or = if variables.is_empty() {
        String::new()
    } else {
        format!(", or the variable {}", variables.join(" or "))
    };
    ctx.findings.error(
        node.at,
        path,
        format!("api_base is required for this provider{or}"),
    );
    None
}

/// The base as a URL that can be used as one. What is wrong is said without repeating a password.
pub(super) fn url(
    ctx: &mut Context<'_>,
    text: &str,
    node: &Node,
    at: Pos,
    key: &str,
) -> Option<Url> {
    let shown = match node.get("api_base") {
        Some(given) => value::shown(given, false),
        None => "the variable's value".to_owned(),
    };
    let mut refuse = |what: &str| {
        ctx.findings.error(
            at,
            key,
            format!("{shown} {what}; allowed: http:// or https://, a host, perhaps a path"),
        );
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
