//! Which of Cohere's two APIs a deployment is spoken to by.

use super::context::Context;
use super::endpoint::Endpoint;
use super::tree::Node;
use crate::types::Dialect;

/// Where Cohere speaks the OpenAI dialect.
const COMPATIBLE: &str = "/compatibility/v1";
/// What may stand behind the root in an `api_base`. Whatever version it names, the second one is spoken.
const BEHIND_ROOT: [&str; 6] = [
    "/v2/chat",
    "/v2/embed",
    "/v1/chat",
    "/v1/embed",
    "/v2",
    "/v1",
];

/// Chooses Cohere's own API, unless the base is that of the other one.
pub(super) fn settle(ctx: &mut Context<'_>, (node, path): (&Node, &str), endpoint: &mut Endpoint) {
    if endpoint.base_url.ends_with(COMPATIBLE) {
        return;
    }
    if let Dialect::OpenAi {
        completions_only: true,
    } = endpoint.dialect
    {
        let message = "use_chat_completions_endpoint: false is for deployments with the OpenAI dialect; cohere has chat";
        ctx.findings.error(node.at, path, message);
    }
    endpoint.dialect = Dialect::Cohere;
    let mut ends = BEHIND_ROOT.iter();
    if let Some(root) = ends.find_map(|end| endpoint.base_url.strip_suffix(end)) {
        endpoint.base_url = root.trim_end_matches('/').to_owned();
    }
}
