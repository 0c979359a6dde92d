//! Where requests of a deployment go.

use url::Url;

use super::context::Context;
use super::tree::{Node, Pos};
use super::value;
use crate::catalog::{Provider, Renames};
use crate::types::{Dialect, Quirks};

/// Base URL and dialect of a deployment.
pub(super) struct Endpoint {
    pub(super) base_url: String,
    pub(super) dialect: Dialect,
    pub(super) renames: Renames,
    pub(super) stream_options: bool,
    pub(super) encoding_format: bool,
    pub(super) quirks: &'static Quirks,
    /// The header of the key, where it is not `Authorization`.
    pub(super) key_header: Option<&'static str>,
}

impl Endpoint {
    /// As the provider's row has it, with no base yet.
    pub(super) fn of(provider: &Provider, dialect: Dialect) -> Self {
        Self {
            base_url: String::new(),
            dialect,
            renames: provider.renames,
            stream_options: provider.stream_options,
            encoding_format: provider.encoding_format,
            quirks: provider.quirks,
            key_header: None,
        }
    }
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
    let base = base(ctx, node, path, provider)?;
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
    } else if trimmed.is_empty() {
        url.set_path(provider.under);
    }
    Some(Endpoint {
        base_url: url.as_str().trim_end_matches('/').to_owned(),
        ..Endpoint::of(provider, Dialect::OpenAi { completions_only })
    })
}

/// A path without what people paste behind a base.
pub(super) fn without_operation(path: &str) -> &str {
    let trimmed = path.trim_end_matches('/');
    OPERATIONS
        .iter()
        .find_map(|operation| trimmed.strip_suffix(operation))
        .unwrap_or(trimmed)
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
    provider: &Provider,
) -> Option<Base> {
    base_or(ctx, node, path, provider, None)
}

/// As [`base`], with a base of this deployment's own instead of the provider's.
pub(super) fn base_or(
    ctx: &mut Context<'_>,
    node: &Node,
    path: &str,
    provider: &Provider,
    own: Option<String>,
) -> Option<Base> {
    let variables = provider.base_env;
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
    let (default, missing) = match own {
        Some(own) => (Some(own), None),
        None => own_base(ctx, provider),
    };
    if let Some(text) = default {
        return Some(Base {
            shown: text.clone(),
            text,
            at: node.at,
            key,
        });
    }
    let all: Vec<&str> = variables.iter().copied().chain(missing).collect();
    let or = match &all[..] {
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

/// The provider's own base, or the variable that it lacks.
fn own_base(ctx: &mut Context<'_>, provider: &Provider) -> (Option<String>, Option<&'static str>) {
    let Some(base) = provider.default_base else {
        return (None, None);
    };
    let Some((before, (name, after))) = base
        .split_once("${")
        .and_then(|(before, rest)| Some((before, rest.split_once('}')?)))
    else {
        return (Some(base.to_owned()), None);
    };
    match ctx.first_set(&[name]) {
        Some(value) => (Some(format!("{before}{}{after}", value.trim())), None),
        None => (None, Some(name)),
    }
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
