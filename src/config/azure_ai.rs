//! Azure AI: one provider with three kinds of base.

use super::anthropic;
use super::context::Context;
use super::endpoint::{self, Endpoint};
use super::tree::Node;
use crate::catalog::Provider;
use crate::types::{Dialect, Quirks};

/// The version of the inference path; it never got another one.
const VERSION: &str = "2024-05-01-preview";
/// Hosts of resources, on which models are below `/models`. Others serve one model each.
const RESOURCES: &str = ".services.ai.azure.com";

/// Base and dialect, by what the base ends in.
pub(super) fn endpoint(
    ctx: &mut Context<'_>,
    node: &Node,
    path: &str,
    provider: &Provider,
    completions_only: bool,
) -> Option<Endpoint> {
    let base = endpoint::base(ctx, node, path, provider)?;
    let mut url = endpoint::url(ctx, &base)?;
    let in_url = url
        .query_pairs()
        .find(|(name, _)| name == "api-version")
        .map(|(_, version)| version.into_owned());
    url.set_query(None);
    let below = endpoint::without_operation(url.path()).to_owned();
    let resource = url.host_str().is_some_and(|host| host.ends_with(RESOURCES));
    if below.ends_with("/anthropic") || below.contains("/anthropic/") {
        // Claude speaks its own dialect on Azure, too.
        url.set_path(below.trim_end_matches('/'));
        let mut endpoint = Endpoint {
            base_url: url.as_str().to_owned(),
            key_header: Some("x-api-key"),
            ..Endpoint::of(provider, Dialect::OpenAi { completions_only })
        };
        anthropic::settle(ctx, (node, path), &mut endpoint);
        return Some(endpoint);
    }
    let (root, form) = if let Some(root) = below.strip_suffix("/openai/v1") {
        (root, Dialect::AzureV1)
    } else if let Some(root) = below
        .strip_suffix("/models")
        .or_else(|| (resource && below.is_empty()).then_some(""))
    {
        let api_version = node
            .text("api_version")
            .filter(|version| !version.is_empty())
            .or(in_url)
            .unwrap_or_else(|| VERSION.to_owned());
        (root, Dialect::AzureModels { api_version })
    } else {
        let root = if below.is_empty() { "/v1" } else { &below };
        (root, Dialect::OpenAi { completions_only })
    };
    url.set_path(root);
    let (quirks, key_header) = match form {
        Dialect::AzureModels { .. } => (provider.quirks, Some("api-key")),
        Dialect::AzureV1 => (&Quirks::STRICT, Some("api-key")),
        _ => (&Quirks::STRICT, None),
    };
    Some(Endpoint {
        base_url: url.as_str().trim_end_matches('/').to_owned(),
        quirks,
        key_header,
        ..Endpoint::of(provider, form)
    })
}
