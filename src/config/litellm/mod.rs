//! LiteLLM's `config.yaml`, turned into a tree of Waypost's own dialect.
//!
//! A conversion from tree to tree: what comes out is read by the same code as an `endpoints.yml`, so that nothing behind
//! it knows which of the two a file was. Nodes keep the places they have in LiteLLM's file, and [`Origin`] keeps the
//! path of each place, so that findings name the keys that the user has written. What has no counterpart is told about
//! here, by the table in [`keys`].

mod between;
mod build;
mod cache;
mod differences;
mod hide;
mod import;
mod keys;
mod models;
mod origin;
mod page;
mod provider;
mod router;
mod settings;
mod sift;
mod variables;
mod yaml;

use std::collections::HashMap;

use super::context::Context;
use super::tree::{Node, Value};
use build::{Fields, list};
use keys::{GENERAL, ROUTER, SETTINGS, TOP};
use router::Sections;
use sift::{find, sift};

pub use import::Import;
pub(super) use import::import;
pub(super) use origin::Origin;
pub(super) use page::page;
pub(super) use settings::gather;

/// Keys that only LiteLLM's file has at its top.
const MARKS: [&str; 4] = [
    "model_list",
    "router_settings",
    "litellm_settings",
    "general_settings",
];

/// Whether a file is LiteLLM's.
pub(super) fn recognised(root: &Node) -> bool {
    let has = |key: &str| root.entry(key).is_some();
    has("model_list") || (!has("model_groups") && MARKS.iter().any(|key| has(key)))
}

/// Variables that a file sets.
pub(super) type Variables = HashMap<String, String>;

/// The file in Waypost's dialect. What is wrong with it was reported; `None` if nothing is left.
pub(super) fn convert(ctx: &mut Context<'_>, root: &Node) -> Option<Node> {
    let top = sift(ctx, root, &TOP, "");
    let part = |key: &str| find(&top, key).map(|entry| &entry.value);
    let section = |ctx: &mut Context<'_>, key: &str, table| {
        part(key).map_or_else(Vec::new, |node| sift(ctx, node, table, key))
    };
    let sections = Sections {
        router: section(ctx, "router_settings", &ROUTER),
        settings: section(ctx, "litellm_settings", &SETTINGS),
    };
    let general = section(ctx, "general_settings", &GENERAL);
    let Some(model_list) = find(&top, "model_list") else {
        let message = "model_list is required: the list of what is served";
        ctx.findings.error(root.at, "", message);
        return None;
    };
    let groups = models::groups(ctx, &model_list.value, part("credential_list"));
    if groups.is_empty() {
        return None;
    }
    let at = part("router_settings").map_or(root.at, |node| node.at);
    let router = router::router(ctx, &sections, at);

    let mut waypost = Fields::new(root.at);
    let mut by_group = between::ByGroup::new(&groups, &sections);
    settings::general(ctx, &general, &mut waypost, root.at);
    settings::callbacks(ctx, &sections);
    cache::redis(ctx, &sections, part("waypost"), &mut waypost);
    between::aliases(ctx, &sections, &mut waypost);
    between::fallbacks(ctx, &sections, &mut by_group, &mut waypost);
    between::affinity(ctx, &sections, &mut by_group);
    if let Some((entry, _)) = sections.either("max_fallbacks") {
        waypost.put("max_fallbacks", entry);
    }
    waypost.say("litellm_headers", root.at, "true");
    let policies = between::retry_policies(ctx, &sections, &by_group);
    if let Some(settings) = by_group.done(root.at) {
        waypost.set("groups", settings.at, settings);
    }

    let items = groups.into_iter().map(|group| {
        let mut router = router.clone();
        if let Some((_, policy)) = policies.iter().find(|(id, _)| *id == group.id) {
            router.put("retry_policy", policy);
        }
        let mut fields = Fields::new(group.at);
        fields.set("id", group.name.at, group.name);
        let models = group
            .models
            .into_iter()
            .map(|model| settings::tls(&sections, model));
        fields.set("models", group.at, list(group.at, models.collect()));
        fields.set("router", at, router.done());
        fields.done()
    });
    let mut out = Fields::new(root.at);
    let items = list(model_list.value.at, items.collect());
    out.set("model_groups", model_list.at, items);
    let waypost = match part("waypost") {
        Some(own) if matches!(own.value, Value::Map(_)) => settings::merge(own, &waypost.done()),
        _ => waypost.done(),
    };
    out.set("waypost", waypost.at, waypost);
    Some(out.done())
}
