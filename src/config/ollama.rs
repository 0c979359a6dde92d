//! Which of Ollama's two APIs a deployment is spoken to by.

use serde_json::Value;

use super::context::Context;
use super::endpoint::Endpoint;
use super::tree::Node;
use crate::catalog::ollama::{LOADING, SAMPLING, needs_own_api};
use crate::types::Dialect;

type Fields = [(String, Value)];

/// What may stand behind the server's root in an `api_base`.
const BEHIND_ROOT: [&str; 6] = [
    "/api/chat",
    "/api/generate",
    "/api/embeddings",
    "/api/embed",
    "/api",
    "/v1",
];

/// Chooses Ollama's own API if the deployment configures something that only it has.
pub(super) fn settle(
    ctx: &mut Context<'_>,
    (node, path): (&Node, &str),
    endpoint: &mut Endpoint,
    defaults: &mut Fields,
    extra_body: &mut Fields,
) {
    let mut reason = None;
    for (name, value) in defaults.iter_mut().chain(extra_body) {
        if needs_own_api(name) {
            retype(name, value);
            reason.get_or_insert(&*name);
        }
    }
    let Some(reason) = reason else { return };
    if matches!(
        endpoint.dialect,
        Dialect::OpenAi {
            completions_only: true
        }
    ) {
        let message = format!(
            "use_chat_completions_endpoint: false sends requests to /v1/completions, where Ollama ignores {reason}"
        );
        ctx.findings.warning(node.at, path, message);
        return;
    }
    endpoint.dialect = Dialect::Ollama;
    if let Some(root) = BEHIND_ROOT
        .iter()
        .find_map(|end| endpoint.base_url.strip_suffix(end))
    {
        endpoint.base_url = root.trim_end_matches('/').to_owned();
    }
}

/// A number or boolean that came as text, from a variable or in quotes, as what it is. Ollama refuses it as text.
fn retype(name: &str, value: &mut Value) {
    match value {
        Value::Object(options) if name == "options" => {
            for (name, value) in options {
                if LOADING.contains(&name.as_str()) || SAMPLING.contains(&name.as_str()) {
                    retype(name, value);
                }
            }
        }
        Value::String(text) if name != "format" => {
            let scalar = serde_json::from_str(text.trim()).ok();
            if let Some(scalar @ (Value::Bool(_) | Value::Number(_))) = scalar {
                *value = scalar;
            }
        }
        Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_)
        | Value::Object(_) => {}
    }
}
