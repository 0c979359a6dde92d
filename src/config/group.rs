//! An entry of `model_groups`: its shape, and from a checked mapping to a [`Group`].

use std::collections::HashMap;
use std::sync::Arc;

use super::check::{self, join};
use super::context::Context;
use super::deployment::{Inherited, deployment};
use super::keys::{CALL, Effect, GROUP, MODEL};
use super::settings::Own;
use super::tree::{Node, Value};
use super::{Deployment, Group, Router, normalise, router};
use crate::types::{Fallbacks, StrategyKind};

/// Where a group's own parameters stand.
pub(super) struct Params<'a> {
    pub(super) group: &'a Node,
    pub(super) group_id: &'a str,
    /// `default_litellm_params` of the router.
    pub(super) params: Option<&'a Node>,
}

/// Reads the list. Groups with errors are left out; the errors were reported.
pub(super) fn groups(ctx: &mut Context<'_>, own: &Own, list: &mut Node) -> Vec<Group> {
    let at = list.at;
    let Value::List(items) = &mut list.value else {
        ctx.findings.error(
            at,
            "model_groups",
            "not a list; each group begins with \"- id:\"",
        );
        return Vec::new();
    };
    if items.is_empty() {
        ctx.findings.error(
            at,
            "model_groups",
            "the list is empty; at least one group is needed",
        );
    }
    unique_ids(ctx, items);
    let mut groups = Vec::new();
    for (i, item) in items.iter_mut().enumerate() {
        let path = format!("model_groups[{i}]");
        normalise::models(ctx, item, &path);
        check::section(ctx, item, &GROUP, &path);
        if matches!(item.value, Value::Map(_)) {
            groups.extend(group(ctx, own, item, &path));
        }
    }
    name_deployments(ctx, items, &mut groups);
    groups
}

fn unique_ids(ctx: &mut Context<'_>, items: &[Node]) {
    let mut seen: HashMap<String, usize> = HashMap::new();
    for (i, item) in items.iter().enumerate() {
        let Some(id) = item.text("id") else { continue };
        let (at, key) = (item.place("id"), format!("model_groups[{i}].id"));
        if id.trim().is_empty() {
            ctx.findings
                .error(at, &key, "the name of a group cannot be empty");
        } else if id.chars().any(char::is_control) || id.trim() != id {
            ctx.findings.error(
                at,
                &key,
                "the name of a group has no control characters, and no blanks around it",
            );
        } else if let Some(line) = seen.get(&id) {
            ctx.findings.error(
                at,
                &key,
                format!(
                    "\"{id}\" is already the name of the group in line {line}; names are unique"
                ),
            );
        } else {
            seen.insert(id, at.line);
        }
    }
}

fn group(ctx: &mut Context<'_>, own: &Own, node: &Node, path: &str) -> Option<Group> {
    misplaced(ctx, node, path);
    let models_at = node.place("models");
    let models = node.get("models").map(Node::items).unwrap_or_default();
    if node
        .get("models")
        .is_some_and(|models| matches!(&models.value, Value::List(list) if list.is_empty()))
    {
        ctx.findings.error(
            models_at,
            &join(path, "models"),
            "the list is empty; at least one model is needed",
        );
    }
    let router_node = router_block(ctx, node, path, models);
    let id = node.text("id").unwrap_or_default();
    let params = Params {
        group: node,
        group_id: &id,
        params: router_node.and_then(|router| router.get("default_litellm_params")),
    };
    let mut read = router::router(ctx, own, router_node, &join(path, "router"), &params);
    let inherited = Inherited {
        group: node,
        group_id: &id,
        params: params.params,
        completions_only: read.completions_only,
        max_parallel: read.max_parallel,
        clocks: read.clocks,
    };
    let mut deployments = Vec::new();
    for (j, model) in models.iter().enumerate() {
        let path = format!("{path}.models[{j}]");
        if node.entry("router").is_some()
            && let Some(entry) = model.entry("use_chat_completions_endpoint")
        {
            let message =
                "in a group with a router this key stands in the router, for all its models";
            ctx.findings
                .error(entry.at, &join(&path, &entry.key), message);
        }
        if let Some(twin) = models[..j]
            .iter()
            .find(|other| !matches!(model.value, Value::Null) && other.same(model))
        {
            let message = format!(
                "equal in everything to the model in line {}; they count as two deployments",
                twin.at.line
            );
            ctx.findings.warning(model.at, &path, message);
        }
        deployments.extend(deployment(ctx, own, model, &path, &inherited));
    }
    if deployments.is_empty() || deployments.len() < models.len() || id.is_empty() {
        return None;
    }
    let longest = deployments
        .iter()
        .map(|d| d.clocks.total)
        .max()
        .unwrap_or_default();
    let deadline = own.deadline(&id).or_else(|| node.duration("timeout"));
    read.router.deadline = deadline.unwrap_or_else(|| own.request_limit(&id, longest));
    for deployment in &mut deployments {
        deployment.clocks.request = read.router.deadline;
    }
    stars(ctx, path, models, &id, &deployments);
    advice(ctx, path, models, &deployments, &read.router);
    Some(Group {
        id: id.into(),
        deployments,
        router: read.router,
        fallbacks: Fallbacks::default(),
    })
}

/// Keys of a model that stand at the group.
fn misplaced(ctx: &mut Context<'_>, node: &Node, path: &str) {
    for entry in node.entries() {
        let call = CALL.iter().any(|key| key.name == entry.key) || GROUP.find(&entry.key).is_some();
        let path = join(path, &entry.key);
        if matches!(entry.key.as_str(), "stream" | "n") {
            ctx.findings.error(
                entry.at,
                &path,
                "belongs to the request, not to the configuration",
            );
        } else if let (false, Some(key)) = (call, MODEL.find(&entry.key)) {
            if key.effect == Effect::Honoured {
                ctx.findings.error(
                    entry.at,
                    &path,
                    "a key of a model; write it into the entries of models",
                );
            } else {
                ctx.findings.warning(
                    entry.at,
                    &path,
                    "a key of a model, and without effect there too",
                );
            }
        }
    }
}

/// The router, if there is one; says when one is missing.
fn router_block<'a>(
    ctx: &mut Context<'_>,
    node: &'a Node,
    path: &str,
    models: &[Node],
) -> Option<&'a Node> {
    let key = join(path, "router");
    match node.entry("router") {
        None if models.len() > 1 => {
            let message = format!(
                "{} models need a router; add \"router: {{routing_strategy: simple-shuffle}}\" beside models",
                models.len()
            );
            ctx.findings.error(node.at, &key, message);
            None
        }
        None => None,
        Some(entry)
            if matches!(entry.value.value, Value::Null)
                || (matches!(entry.value.value, Value::Map(_))
                    && entry.value.entries().is_empty()) =>
        {
            let message = "the router is empty; write \"routing_strategy: simple-shuffle\" into it, or remove it";
            ctx.findings.error(entry.at, &key, message);
            None
        }
        Some(entry) => Some(&entry.value).filter(|value| matches!(value.value, Value::Map(_))),
    }
}

/// Each `*` in a model is filled from one in the group's name.
fn stars(ctx: &mut Context<'_>, path: &str, models: &[Node], id: &str, deployments: &[Deployment]) {
    let count = |text: &str| text.matches('*').count();
    for (j, (model, deployment)) in models.iter().zip(deployments).enumerate() {
        if count(&deployment.target.model) > count(id) {
            let message = format!(
                "each \"*\" in it is filled from one in the group's id, and \"{id}\" has {}",
                count(id)
            );
            let key = ["deployment", "model"];
            let key = key.into_iter().find(|key| model.get(key).is_some());
            let key = key.unwrap_or("model");
            ctx.findings.error(
                model.place(key),
                &format!("{path}.models[{j}].{key}"),
                message,
            );
        }
    }
}

/// What is allowed, but probably not meant.
fn advice(
    ctx: &mut Context<'_>,
    path: &str,
    models: &[Node],
    deployments: &[Deployment],
    router: &Router,
) {
    let strategy = router.strategy;
    for (j, model) in models.iter().enumerate() {
        if router.tags.is_none() && model.get("tags").is_some() {
            ctx.findings.warning(
                model.place("tags"),
                &format!("{path}.models[{j}].tags"),
                "without effect: enable_tag_filtering is not true in the router",
            );
        }
    }
    if strategy == StrategyKind::SimpleShuffle && deployments.len() > 1 {
        let has: [(&str, Vec<bool>); 3] = [
            (
                "weight",
                deployments.iter().map(|d| d.weight.is_some()).collect(),
            ),
            ("rpm", deployments.iter().map(|d| d.rpm.is_some()).collect()),
            ("tpm", deployments.iter().map(|d| d.tpm.is_some()).collect()),
        ];
        if let Some((name, given)) = has.iter().find(|(_, given)| given.contains(&true))
            && given.contains(&false)
        {
            for (j, _) in given.iter().enumerate().filter(|(_, given)| !**given) {
                let message = format!(
                    "simple-shuffle goes by {name} here, and this model has none, so it is never picked while another is eligible"
                );
                ctx.findings
                    .warning(models[j].at, &format!("{path}.models[{j}]"), message);
            }
        }
    }
    if strategy == StrategyKind::Cost {
        for (j, deployment) in deployments
            .iter()
            .enumerate()
            .filter(|(_, d)| d.price.is_none())
        {
            let message = format!(
                "the price of \"{}\" is unknown, so cost-based-routing uses it after all with a known price, evenly with the other unknowns; give input_cost_per_token and output_cost_per_token, or base_model",
                deployment.target.price_model
            );
            ctx.findings
                .warning(models[j].at, &format!("{path}.models[{j}]"), message);
        }
    }
}

/// Makes ids unique: `@host` where two are alike, then a running number.
fn name_deployments(ctx: &mut Context<'_>, items: &[Node], groups: &mut [Group]) {
    let mut given: HashMap<String, usize> = HashMap::new();
    for (i, item) in items.iter().enumerate() {
        for (j, model) in item
            .get("models")
            .map(Node::items)
            .unwrap_or_default()
            .iter()
            .enumerate()
        {
            let Some(info) = model.get("model_info") else {
                continue;
            };
            let Some(id) = info.text("id") else { continue };
            let at = info.place("id");
            if let Some(line) = given.get(&id) {
                let key = format!("model_groups[{i}].models[{j}].model_info.id");
                let message = format!(
                    "\"{id}\" is already the name of the deployment in line {line}; names are unique"
                );
                ctx.findings.error(at, &key, message);
            } else {
                given.insert(id, at.line);
            }
        }
    }
    let before = counts(groups);
    rename(groups, |id, base| {
        (before.get(id).is_some_and(|n| *n > 1) && !given.contains_key(id))
            .then(|| format!("{id}@{}", host(base)))
    });
    let mut taken = counts(groups);
    let mut seen: HashMap<String, usize> = HashMap::new();
    rename(groups, |id, _| {
        let repeated = seen.entry(id.to_owned()).or_insert(0);
        *repeated += 1;
        if *repeated == 1 {
            return None;
        }
        let name = (*repeated..)
            .map(|n| format!("{id}#{n}"))
            .find(|name| !taken.contains_key(name))?;
        taken.insert(name.clone(), 1);
        Some(name)
    });
}

/// How often each id is used.
fn counts(groups: &[Group]) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    for deployment in groups.iter().flat_map(|group| &group.deployments) {
        *counts.entry(deployment.target.id.to_string()).or_insert(0) += 1;
    }
    counts
}

fn rename(groups: &mut [Group], mut name: impl FnMut(&str, &str) -> Option<String>) {
    for deployment in groups.iter_mut().flat_map(|group| &mut group.deployments) {
        if let Some(target) = Arc::get_mut(&mut deployment.target)
            && let Some(id) = name(&target.id, &target.base_url)
        {
            target.id = id.into();
        }
    }
}

/// `host[:port]` of a URL.
fn host(base: &str) -> &str {
    let rest = base.split_once("://").map_or(base, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}
