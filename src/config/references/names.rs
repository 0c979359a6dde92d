//! What a name of a group can mean: a group, an alias, or one of a pattern's models; and what kind of requests it serves.

use std::collections::HashMap;
use std::sync::Arc;

use crate::config::context::Context;
use crate::config::nearest::hint;
use crate::config::settings::Own;
use crate::config::tree::{Node, Pos, Value};
use crate::config::value;
use crate::types::Pattern;

/// What requests a group serves, as far as the file says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Serves {
    Embeddings,
    Text,
}

impl Serves {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Embeddings => "embeddings",
            Self::Text => "chat or completions",
        }
    }

    /// By `model_info.mode`, else by the model's name: one that has "embed" in it embeds.
    fn of_model(model: &Node) -> Option<Self> {
        match model.get("model_info").and_then(|info| info.text("mode")) {
            Some(mode) if mode == "embedding" => Some(Self::Embeddings),
            Some(mode) if matches!(&*mode, "chat" | "completion" | "responses") => Some(Self::Text),
            Some(_) => None,
            None => ["model", "deployment", "base_model"]
                .iter()
                .filter_map(|key| model.text(key))
                .any(|name| name.to_ascii_lowercase().contains("embed"))
                .then_some(Self::Embeddings),
        }
    }

    fn of_group(group: &Node) -> Option<Self> {
        let models = group.get("models").map(Node::items).unwrap_or_default();
        let first = Self::of_model(models.first()?)?;
        models
            .iter()
            .all(|model| Self::of_model(model) == Some(first))
            .then_some(first)
    }
}

/// A group as far as references to it go.
pub(super) struct Known {
    pub(super) id: String,
    pub(super) serves: Option<Serves>,
    /// Its models' names are completed by the name that a request has.
    completed: bool,
}

/// Everything a name can mean.
pub(super) struct Names {
    pub(super) groups: Vec<Known>,
    pub(super) ids: HashMap<String, usize>,
    /// The most specific first.
    patterns: Vec<(Pattern, usize)>,
    /// By name, what the file says it stands for.
    pub(super) aliases: HashMap<String, String>,
}

/// What a name means.
pub(super) struct Target {
    pub(super) at: Pos,
    pub(super) group: usize,
    pub(super) name: Arc<str>,
}

impl Names {
    pub(super) fn new(own: &Own, list: &Node) -> Self {
        let groups: Vec<Known> = list
            .items()
            .iter()
            .map(|group| {
                let models = group.get("models").map(Node::items).unwrap_or_default();
                let id = group.text("id").unwrap_or_default();
                let wild = |model: &Node, key| model.text(key).is_some_and(|n| Pattern::is_one(&n));
                Known {
                    serves: Serves::of_group(group),
                    completed: Pattern::is_one(&id)
                        && models
                            .iter()
                            .any(|m| wild(m, "model") || wild(m, "deployment")),
                    id,
                }
            })
            .collect();
        let of_id = |(i, group): (usize, &Known)| (group.id.clone(), i);
        let ids = groups.iter().enumerate().rev().map(of_id).collect();
        let mut patterns: Vec<(Pattern, usize)> = groups
            .iter()
            .enumerate()
            .filter(|(_, group)| Pattern::is_one(&group.id))
            .map(|(i, group)| (Pattern::new(&group.id), i))
            .collect();
        patterns.sort_by_cached_key(|(pattern, _)| pattern.rank());
        let aliases = own.node.get("aliases").map(Node::entries);
        let aliases = aliases.unwrap_or_default().iter().filter_map(|entry| {
            Some((
                entry.key.clone(),
                value::text(stands_for(&entry.value)?).ok()?,
            ))
        });
        Self {
            aliases: aliases.collect(),
            groups,
            ids,
            patterns,
        }
    }

    /// The group that `name` means, by its last name.
    pub(super) fn find<'a>(&'a self, mut name: &'a str) -> Option<(usize, &'a str)> {
        // More steps than aliases: they lead in a circle.
        for _ in 0..=self.aliases.len() {
            if let Some(group) = self.ids.get(name) {
                return Some((*group, name));
            }
            if let Some(next) = self.aliases.get(name) {
                name = next;
                continue;
            }
            let fits = |(pattern, _): &&(Pattern, usize)| pattern.matches(name).is_some();
            let (_, group) = self.patterns.iter().find(fits)?;
            return (!Pattern::is_one(name)).then_some((*group, name));
        }
        None
    }

    /// As [`Self::find`], for one that a request can be sent to; says what is wrong otherwise.
    pub(super) fn target(
        &self,
        ctx: &mut Context<'_>,
        name: &str,
        at: Pos,
        path: &str,
    ) -> Option<Target> {
        let Some((group, last)) = self.find(name) else {
            // What is wrong with an alias is said where it stands.
            if !self.aliases.contains_key(name) {
                ctx.findings.error(at, path, self.unknown(name));
            }
            return None;
        };
        let known = &self.groups[group];
        if known.completed && last == known.id {
            let example = known.id.replace('*', "NAME");
            let message = format!(
                "\"{last}\" stands for many models; write the name of one, such as \"{example}\""
            );
            ctx.findings.error(at, path, message);
            return None;
        }
        let name = last.into();
        Some(Target { at, group, name })
    }

    pub(super) fn unknown(&self, name: &str) -> String {
        format!("\"{name}\": {}", self.no_group(name))
    }

    pub(super) fn no_group(&self, name: &str) -> String {
        let ids = || self.groups.iter().map(|group| group.id.as_str());
        let known: Vec<&str> = ids().filter(|id| !id.is_empty()).take(20).collect();
        let all = ids().chain(self.aliases.keys().map(String::as_str));
        format!(
            "no model group has this name; known: {}{}",
            known.join(", "),
            hint(name, all)
        )
    }
}

/// The value of an alias that names the group.
pub(super) fn stands_for(alias: &Node) -> Option<&Node> {
    match alias.value {
        Value::Map(_) => alias.get("group"),
        _ => Some(alias),
    }
}
