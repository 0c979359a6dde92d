//! What is special about Anthropic: the version of its API, two kinds of key, and what stands behind its base.

use super::context::Context;
use super::endpoint::Endpoint;
use super::tree::Node;
use super::value;
use crate::types::{Auth, Dialect, Secret};

/// The version that all models and hosts know.
const VERSION: &str = "2023-06-01";
/// What may stand behind the root in an `api_base`.
const BEHIND_ROOT: [&str; 2] = ["/v1/messages", "/v1"];
/// Where Databricks serves Messages; its tokens are bearers.
const DATABRICKS: &str = "/serving-endpoints/anthropic";

/// Makes the endpoint Anthropic's.
pub(super) fn settle(ctx: &mut Context<'_>, (node, path): (&Node, &str), endpoint: &mut Endpoint) {
    if let Some(root) = BEHIND_ROOT
        .iter()
        .find_map(|end| endpoint.base_url.strip_suffix(end))
    {
        endpoint.base_url = root.trim_end_matches('/').to_owned();
    }
    let given = node.text("api_version").filter(|text| !text.is_empty());
    let version = given.unwrap_or_else(|| VERSION.to_owned());
    if !is_date(&version) {
        let found = node
            .get("api_version")
            .map_or_else(String::new, |found| value::shown(found, false));
        let message = format!("{found} is no version of the API; allowed: a date as in {VERSION}");
        let key = format!("{path}.api_version");
        ctx.findings.error(node.place("api_version"), &key, message);
    }
    if matches!(endpoint.dialect, Dialect::OpenAi { completions_only } if completions_only) {
        let message = "use_chat_completions_endpoint: false is for deployments with the OpenAI dialect; Anthropic has chat only";
        ctx.findings.error(node.at, path, message);
    }
    endpoint.dialect = Dialect::Anthropic { version };
}

/// `2023-06-01`
fn is_date(text: &str) -> bool {
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let parts: Vec<&str> = text.split('-').collect();
    matches!(parts[..], [y, m, d] if [y.len(), m.len(), d.len()] == [4, 2, 2] && [y, m, d].into_iter().all(digits))
}

/// A token of `ANTHROPIC_AUTH_TOKEN`, which is a bearer; it is used if there is no key.
pub(super) fn token(ctx: &mut Context<'_>, node: &Node) -> Option<Auth> {
    if node.get("api_key").is_some() || ctx.first_set(&["ANTHROPIC_API_KEY"]).is_some() {
        return None;
    }
    let token = ctx.first_set(&["ANTHROPIC_AUTH_TOKEN"])?;
    let token = token.trim();
    let usable = http::HeaderValue::try_from(token).is_ok() && !token.is_empty();
    usable.then(|| Auth::Bearer(Secret::new(token)))
}

/// The key as this base takes it.
pub(super) fn key(auth: Auth, base_url: &str) -> Auth {
    match auth {
        Auth::Header(_, key) if base_url.ends_with(DATABRICKS) => Auth::Bearer(key),
        auth => auth,
    }
}
