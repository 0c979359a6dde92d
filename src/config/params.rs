//! Parameters that a deployment adds to requests, and those it may leave out.

use super::context::Context;
use super::deployment::Inherited;
use super::keys::{CALL, GROUP, Kind, MODEL};
use super::tree::{Node, Value};
use super::{check, value};
use crate::types::Dropping;

/// Parameters of the call: the model's, then the group's, then `default_litellm_params`.
pub(super) fn defaults(node: &Node, inherited: &Inherited<'_>) -> Vec<(String, serde_json::Value)> {
    let mut defaults: Vec<(String, serde_json::Value)> = Vec::new();
    let sources = [Some(node), Some(inherited.group), inherited.params];
    for entry in sources.into_iter().flatten().flat_map(Node::entries) {
        let call = CALL.iter().find(|key| key.name == entry.key);
        let structural = call.is_none()
            && (MODEL.find(&entry.key).is_some() || GROUP.find(&entry.key).is_some());
        let null = matches!(entry.value.value, Value::Null);
        if structural || null || defaults.iter().any(|(name, _)| *name == entry.key) {
            continue;
        }
        let typed = call.is_some_and(|key| {
            matches!(
                key.kind,
                Kind::Flag | Kind::Integer(..) | Kind::Number | Kind::Amount
            )
        });
        let json = if typed {
            value::json_scalar(&entry.value)
        } else {
            value::json(&entry.value)
        };
        if let Ok(json) = json {
            defaults.push((entry.key.clone(), json));
        }
    }
    defaults
}

/// `extra_body` of the model, else of the group.
pub(super) fn extra_body(
    ctx: &mut Context<'_>,
    node: &Node,
    path: &str,
    inherited: &Inherited<'_>,
) -> Vec<(String, serde_json::Value)> {
    let Some(body) = node
        .get("extra_body")
        .or_else(|| inherited.group.get("extra_body"))
    else {
        return Vec::new();
    };
    let mut fields = Vec::new();
    for entry in body.entries() {
        if matches!(
            entry.key.as_str(),
            "stream" | "model" | "messages" | "input" | "prompt"
        ) {
            let message = "this field belongs to the request";
            ctx.findings.error(
                entry.at,
                &format!("{path}.extra_body.{}", entry.key),
                message,
            );
        } else if let Ok(json) = value::json(&entry.value) {
            fields.push((entry.key.clone(), json));
        }
    }
    fields
}

/// What the model says about dropping parameters, else the group, else `default_litellm_params`.
pub(super) fn dropping(node: &Node, inherited: &Inherited<'_>) -> Dropping {
    let sources = [Some(node), Some(inherited.group), inherited.params];
    let texts = |key: &str| {
        let mut found = sources.iter().flatten().filter_map(|node| node.get(key));
        found
            .next()
            .and_then(|node| check::texts(node).ok())
            .unwrap_or_default()
    };
    Dropping {
        all: sources
            .iter()
            .flatten()
            .find_map(|node| node.flag("drop_params"))
            .unwrap_or_default(),
        also: texts("additional_drop_params"),
        allowed: texts("allowed_openai_params"),
    }
}
