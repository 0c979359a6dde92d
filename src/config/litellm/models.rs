//! `model_list`: its entries by name, each as an entry of `models`.

use super::build::{Fields, raw, text};
use super::keys::{ENTRY, INFO, PARAMS};
use super::provider;
use super::sift::{find, sift};
use crate::config::check::join;
use crate::config::context::Context;
use crate::config::env::expand;
use crate::config::nearest::hint;
use crate::config::tree::{Entry, Node, Pos, Value};
use crate::config::value;

/// All entries of one `model_name`.
pub(super) struct Group {
    pub(super) id: String,
    /// The name where it stands first.
    pub(super) name: Node,
    pub(super) at: Pos,
    pub(super) models: Vec<Node>,
}

/// Keys that have another name in Waypost's dialect.
const RENAMED: [(&str, &str); 5] = [
    ("base_url", "api_base"),
    ("request_timeout", "timeout"),
    ("vertex_ai_project", "vertex_project"),
    ("vertex_ai_location", "vertex_location"),
    ("vertex_ai_credentials", "vertex_credentials"),
];

/// Limits and shares, which may stand in three places.
const LIMITS: [&str; 4] = ["rpm", "tpm", "weight", "order"];

/// The scope of Azure's own models.
const AZURE_SCOPE: &str = "https://cognitiveservices.azure.com/.default";

/// Reads the list. Entries with errors are left out; the errors were reported.
pub(super) fn groups(
    ctx: &mut Context<'_>,
    models: &Node,
    credentials: Option<&Node>,
) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    if !matches!(&models.value, Value::List(_)) {
        let message = "not a list; each deployment begins with \"- model_name:\"";
        ctx.findings.error(models.at, "model_list", message);
    } else if models.items().is_empty() {
        let message = "the list is empty; at least one deployment is needed";
        ctx.findings.error(models.at, "model_list", message);
    }
    let credentials = credentials_by_name(ctx, credentials);
    for (i, item) in models.items().iter().enumerate() {
        let path = format!("model_list[{i}]");
        let Some((name, models)) = entry(ctx, item, &path, &credentials) else {
            continue;
        };
        let id = raw(name).unwrap_or_default().to_owned();
        match groups.iter_mut().find(|group| group.id == id) {
            Some(group) => group.models.extend(models),
            None => groups.push(Group {
                id,
                name: name.clone(),
                at: item.at,
                models,
            }),
        }
    }
    groups
}

/// Names of credentials with their values.
type Credentials<'n> = Vec<(String, &'n Node)>;

fn credentials_by_name<'n>(ctx: &mut Context<'_>, list: Option<&'n Node>) -> Credentials<'n> {
    let mut found = Vec::new();
    for (i, item) in list.map(Node::items).unwrap_or_default().iter().enumerate() {
        match (
            item.get("credential_name").and_then(raw),
            item.get("credential_values"),
        ) {
            (Some(name), Some(values)) => found.push((name.to_owned(), values)),
            _ => ctx.findings.error(
                item.at,
                &format!("credential_list[{i}]"),
                "credential_name and credential_values are required",
            ),
        }
    }
    found
}

/// The name of an entry, and its deployments.
fn entry<'n>(
    ctx: &mut Context<'_>,
    item: &'n Node,
    path: &str,
    credentials: &Credentials<'_>,
) -> Option<(&'n Node, Vec<Node>)> {
    let kept = sift(ctx, item, &ENTRY, path);
    if !matches!(item.value, Value::Map(_)) {
        return None;
    }
    let mut required = |key: &str, what: &str| {
        let found = find(&kept, key);
        if found.is_none() {
            ctx.findings
                .error(item.at, path, format!("{key} is required: {what}"));
        }
        found
    };
    let name = required("model_name", "what a client puts into model");
    let params = required(
        "litellm_params",
        "a mapping with the model and how to reach it",
    );
    let (name, params) = (name?, params?);
    if name.value.scalar().is_none() {
        let message = format!("{} is not a text", value::shown(&name.value, false));
        ctx.findings
            .error(name.value.at, &join(path, "model_name"), message);
        return None;
    }
    let (params_path, params_at) = (join(path, "litellm_params"), params.value.at);
    let merged = with_credential(ctx, &params.value, &params_path, credentials);
    let params = merged.as_ref().unwrap_or(&params.value);
    let params = sift(ctx, params, &PARAMS, &params_path);
    let info = find(&kept, "model_info").map(|info| {
        let path = join(path, "model_info");
        (info, sift(ctx, &info.value, &INFO, &path))
    });
    if find(&params, "model").is_none() {
        let message = "model is required, as provider/model";
        ctx.findings.error(params_at, &params_path, message);
    }
    let (provider, mut model) = connection(ctx, &params, &params_path, item.at)?;
    let notes = info.as_ref().map_or(&[][..], |(_, notes)| notes);
    limits(&mut model, &kept, notes);
    if let Some((info, notes)) = &info {
        let mut fields = Fields::new(info.value.at);
        for note in notes.iter().filter(|note| note.key != "weight") {
            if note.key == "base_model" {
                fields.set(&note.key, note.at, base_model(&note.value, &provider));
            } else {
                fields.put(&note.key, note);
            }
        }
        if !fields.is_empty() {
            model.set("model_info", info.at, fields.done());
        }
    }
    Some((&name.value, by_organization(&model.done())))
}

/// `litellm_params` with what its credential adds; what it says itself wins.
fn with_credential(
    ctx: &mut Context<'_>,
    params: &Node,
    path: &str,
    credentials: &Credentials<'_>,
) -> Option<Node> {
    let named = params.get("litellm_credential_name")?;
    let name = raw(named)?;
    let Some((_, values)) = credentials.iter().find(|(known, _)| known == name) else {
        let names = credentials.iter().map(|(name, _)| name.as_str());
        let message = format!(
            "no entry of credential_list has this name{}",
            hint(name, names)
        );
        ctx.findings
            .error(named.at, &join(path, "litellm_credential_name"), message);
        return None;
    };
    let mut fields = Fields::of(params);
    for value in values.entries() {
        fields.offer(&value.key, value);
    }
    Some(fields.done())
}

/// The provider, and everything of `litellm_params` that is one deployment's. Whether there is a model was said.
fn connection(
    ctx: &mut Context<'_>,
    params: &[&Entry],
    path: &str,
    at: Pos,
) -> Option<(String, Fields)> {
    let model = find(params, "model")?;
    let key = join(path, "model");
    let Some(name) = raw(&model.value) else {
        let message = format!("{} is not a text", value::shown(&model.value, false));
        ctx.findings.error(model.value.at, &key, message);
        return None;
    };
    // A provider that comes from a variable has to be known now.
    let head = name.split('/').next().unwrap_or_default();
    let given = find(params, "custom_llm_provider").and_then(|given| raw(&given.value));
    let expanded = (head.contains("${") && given.is_none()).then(|| expand(name, ctx.env));
    if let Some(unset) = expanded.as_ref().and_then(|found| found.unset.first()) {
        let message =
            format!("the environment variable {unset} is not set, so the provider is not known");
        ctx.findings.error(model.value.at, &key, message);
        return None;
    }
    let name = expanded.as_ref().map_or(name, |found| &found.text);
    let base = ["api_base", "base_url"]
        .iter()
        .find_map(|key| find(params, key));
    let base = base.and_then(|base| raw(&base.value));
    let Some((provider, bare)) = provider::split(name, given, base) else {
        let message = format!(
            "{} does not say its provider; write it in front, as openai/{name} (also for servers with the OpenAI dialect at an api_base), or azure/, bedrock/, ollama/ …",
            value::shown(&model.value, false)
        );
        ctx.findings.error(model.value.at, &key, message);
        return None;
    };
    let mut fields = Fields::new(at);
    fields.say("provider", model.value.at, &provider);
    let azure = matches!(&*provider, "azure" | "azure_text");
    let model_key = if azure { "deployment" } else { "model" };
    fields.set(model_key, model.at, text(&model.value, &bare));
    for param in params {
        let key = param.key.as_str();
        match RENAMED.iter().find(|(old, _)| *old == key) {
            Some((_, new)) if find(params, new).is_some() => {}
            Some((_, new)) => fields.put(new, param),
            // Azure's models and OpenAI's take the newer name only.
            None if key == "max_tokens"
                && (azure || provider == "openai")
                && find(params, "max_completion_tokens").is_none() =>
            {
                fields.put("max_completion_tokens", param);
            }
            None if matches!(
                key,
                "model" | "custom_llm_provider" | "litellm_credential_name"
            ) => {}
            None if azure
                && matches!(
                    key,
                    "tenant_id" | "client_id" | "client_secret" | "azure_scope"
                ) => {}
            None if matches!(key, "tenant_id" | "azure_scope") => {
                let message = format!("a key of azure; {provider} has none like it");
                ctx.findings.error(param.at, &join(path, key), message);
            }
            None if key == "base_model" => {
                fields.set(key, param.at, base_model(&param.value, &provider));
            }
            None => fields.put(key, param),
        }
    }
    if azure && let Some(tenant) = find(params, "tenant_id") {
        fields.set("oauth", tenant.at, oauth(params, tenant));
    }
    Some((provider, fields))
}

/// LiteLLM's price list has the provider in its names; Waypost's tables are asked for it beside the name.
fn base_model(node: &Node, provider: &str) -> Node {
    let bare = raw(node).and_then(|name| name.strip_prefix(provider)?.strip_prefix('/'));
    bare.map_or_else(|| node.clone(), |bare| text(node, bare))
}

/// A service principal of Azure.
fn oauth(params: &[&Entry], tenant: &Entry) -> Node {
    let mut fields = Fields::new(tenant.at);
    fields.say("type", tenant.at, "azure_entra_id_client_secret");
    match find(params, "azure_scope") {
        Some(scope) => fields.put("scopes", scope),
        None => fields.say("scopes", tenant.at, AZURE_SCOPE),
    }
    for key in ["tenant_id", "client_id", "client_secret"] {
        if let Some(entry) = find(params, key) {
            fields.put(key, entry);
        }
    }
    fields.done()
}

/// The entry's, then those of `litellm_params`, then those of `model_info`. For `cooldown_time` LiteLLM looks into
/// `model_info` first.
fn limits(model: &mut Fields, entry: &[&Entry], info: &[&Entry]) {
    for key in LIMITS {
        if let Some(limit) = find(entry, key) {
            model.put(key, limit);
        }
    }
    if let Some(weight) = find(info, "weight") {
        model.offer("weight", weight);
    }
    if let Some(cooldown) = find(info, "cooldown_time") {
        model.put("cooldown_time", cooldown);
    }
}

/// A deployment of each `organization` that is listed.
fn by_organization(model: &Node) -> Vec<Node> {
    let Some(entry) = model.entry("organization") else {
        return vec![model.clone()];
    };
    let Value::List(organizations) = &entry.value.value else {
        return vec![model.clone()];
    };
    let of = |(i, organization): (usize, &Node)| {
        let mut fields = Fields::of(model);
        fields.set("organization", organization.at, organization.clone());
        let id = model.get("model_info").and_then(|info| info.get("id"));
        if let (Some(info), Some(id), true) = (model.entry("model_info"), id, i > 0) {
            let mut info_fields = Fields::of(&info.value);
            let name = format!("{}-{}", raw(id).unwrap_or_default(), i + 1);
            info_fields.set("id", id.at, text(id, &name));
            fields.set("model_info", info.at, info_fields.done());
        }
        fields.done()
    };
    organizations.iter().enumerate().map(of).collect()
}
