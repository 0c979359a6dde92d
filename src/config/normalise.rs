//! Old names of model keys, taken for what they mean now, before the table of keys is asked.

use super::check::join;
use super::context::Context;
use super::tree::{Entry, Node, Value};
use super::value;

/// Names of every provider with a client class of its own in Rasa.
const COMMON: [(&str, &str); 7] = [
    ("model_name", "model"),
    ("type", "provider"),
    ("_type", "provider"),
    ("openai_api_type", "api_type"),
    ("openai_api_base", "api_base"),
    ("openai_api_version", "api_version"),
    ("request_timeout", "timeout"),
];

/// Names of azure alone.
const AZURE: [(&str, &str); 2] = [("deployment_name", "deployment"), ("engine", "deployment")];

/// Renames the keys of every entry of `models`, infers azure, and refuses what is no key of a model any more.
pub(super) fn models(ctx: &mut Context<'_>, group: &mut Node, path: &str) {
    let Value::Map(map) = &mut group.value else {
        return;
    };
    let Some(entry) = map.entries.iter_mut().find(|entry| entry.key == "models") else {
        return;
    };
    let Value::List(items) = &mut entry.value.value else {
        return;
    };
    for (j, item) in items.iter_mut().enumerate() {
        model(ctx, item, &format!("{path}.models[{j}]"));
    }
}

fn model(ctx: &mut Context<'_>, node: &mut Node, path: &str) {
    let provider = ["provider", "type", "_type"]
        .iter()
        .find_map(|key| node.get(key))
        .and_then(|n| value::text(n).ok());
    let deployment = ["deployment", "deployment_name", "engine"]
        .iter()
        .any(|key| node.get(key).is_some());
    let inferred = provider.is_none() && deployment;
    let is = |names: &[&str]| {
        provider
            .as_deref()
            .is_some_and(|provider| names.contains(&provider))
    };
    let azure = inferred || is(&["azure"]);
    let client = azure || is(&["openai", "self-hosted"]);
    let (at, place) = (node.at, node.place("provider"));
    let Value::Map(map) = &mut node.value else {
        return;
    };

    let mut aliases: Vec<(&str, &str)> = Vec::new();
    if client || provider.is_none() {
        aliases.extend(COMMON);
    } else {
        aliases.push(("request_timeout", "timeout"));
    }
    if azure {
        aliases.extend(AZURE);
    }
    if azure || is(&["openai"]) {
        aliases.push(("max_tokens", "max_completion_tokens"));
    }
    for (old, new) in aliases {
        rename(ctx, &mut map.entries, path, old, new);
    }
    map.entries.retain(|entry| {
        let (key, problem) = match entry.key.as_str() {
            key @ ("stream" | "n") => (key, "belongs to the request, not to the configuration"),
            key @ "api_key_env" => (
                key,
                "no longer a key; write \"api_key: ${NAME}\" with the variable's name",
            ),
            key @ "model_name" => (key, "not a key of this provider; write model"),
            _ => return true,
        };
        ctx.findings.error(entry.at, &join(path, key), problem);
        false
    });
    let given = |key: &str| {
        map.entries
            .iter()
            .any(|e| e.key == key && !matches!(e.value.value, Value::Null))
    };
    if given("provider") {
        return;
    }
    if inferred {
        map.entries.retain(|entry| entry.key != "provider");
        map.entries.push(Entry {
            key: "provider".to_owned(),
            at,
            value: Node::made_up(at, "azure"),
        });
    } else {
        ctx.findings.error(
            place,
            path,
            "provider is required, such as openai, azure, self-hosted or ollama",
        );
    }
}

fn rename(ctx: &mut Context<'_>, entries: &mut Vec<Entry>, path: &str, old: &str, new: &str) {
    let Some(i) = entries.iter().position(|entry| entry.key == old) else {
        return;
    };
    let path = join(path, old);
    if let Some(other) = entries.iter().find(|entry| entry.key == new) {
        let message = format!(
            "an old name of {new}, which already stands in line {}; remove one",
            other.at.line
        );
        ctx.findings.error(entries[i].at, &path, message);
        entries.remove(i);
        return;
    }
    ctx.findings.warning(
        entries[i].at,
        &path,
        format!("an old name of {new}, which Rasa 4 no longer knows; write {new}"),
    );
    new.clone_into(&mut entries[i].key);
}
