//! What leads from one group to another: the lists of fallbacks, aliases, and the settings a group has of its own.

use super::build::{Fields, list, raw};
use super::keys::CHECKS;
use super::models::Group;
use super::router::Sections;
use super::sift::find;
use crate::config::check::{join, texts};
use crate::config::context::Context;
use crate::config::nearest::hint;
use crate::config::tree::{Entry, Node, Pos, Value};
use crate::config::value;
use crate::types::Pattern;

/// Lists of fallbacks; the general one comes first.
const LISTS: [&str; 3] = [
    "fallbacks",
    "context_window_fallbacks",
    "content_policy_fallbacks",
];

/// The settings of groups, by id, in the order in which they were first named.
pub(super) struct ByGroup<'g> {
    groups: &'g [Group],
    aliases: Vec<(String, String)>,
    fields: Vec<(String, Fields)>,
}

impl<'g> ByGroup<'g> {
    pub(super) fn new(groups: &'g [Group], sections: &Sections<'_>) -> Self {
        let aliases = ["model_group_alias", "model_alias_map"]
            .iter()
            .filter_map(|key| sections.either(key));
        let aliases = aliases
            .flat_map(|(entry, _)| entry.value.entries())
            .filter_map(|alias| Some((alias.key.clone(), target(&alias.value)?.to_owned())))
            .collect();
        Self {
            groups,
            aliases,
            fields: Vec::new(),
        }
    }

    /// The group that `name` means. A name that is none is let through: the loader says so, with the nearest.
    fn id(&self, ctx: &mut Context<'_>, name: &str, at: Pos, path: &str) -> Option<String> {
        let known = |name: &str| self.groups.iter().any(|group| group.id == name);
        if known(name) {
            return Some(name.to_owned());
        }
        let alias = self.aliases.iter().find(|(alias, _)| alias == name);
        if let Some((_, group)) = alias.filter(|(_, group)| known(group)) {
            return Some(group.clone());
        }
        let pattern = self.groups.iter().find(|group| {
            Pattern::is_one(&group.id) && Pattern::new(&group.id).matches(name).is_some()
        });
        if let Some(pattern) = pattern {
            let message = format!(
                "\"{name}\" is one of many names of the group \"{0}\", and settings are those of a whole group; write \"{0}\", or give {name} an entry of model_list of its own",
                pattern.id
            );
            ctx.findings.error(at, path, message);
            return None;
        }
        Some(name.to_owned())
    }

    fn of(&mut self, id: &str, at: Pos) -> &mut Fields {
        let i = match self.fields.iter().position(|(known, _)| known == id) {
            Some(i) => i,
            None => {
                self.fields.push((id.to_owned(), Fields::new(at)));
                self.fields.len() - 1
            }
        };
        &mut self.fields[i].1
    }

    /// `waypost.groups`, if there is anything to say.
    pub(super) fn done(self, at: Pos) -> Option<Node> {
        let mut groups = Fields::new(at);
        for (id, fields) in self.fields {
            let fields = fields.done();
            groups.set(&id, fields.at, fields);
        }
        (!groups.is_empty()).then(|| groups.done())
    }
}

/// `fallbacks` and its kin: `waypost.groups.<id>` for each group, `waypost.default_fallbacks` for `"*"`.
pub(super) fn fallbacks(
    ctx: &mut Context<'_>,
    sections: &Sections<'_>,
    by_group: &mut ByGroup<'_>,
    waypost: &mut Fields,
) {
    for key in LISTS {
        let Some((entry, section)) = sections.either(key) else {
            continue;
        };
        let path = join(section, key);
        let Value::List(items) = &entry.value.value else {
            let message = format!(
                "{} is not a list; write [{{group: [other, …]}}, …]",
                value::shown(&entry.value, false)
            );
            ctx.findings.error(entry.value.at, &path, message);
            continue;
        };
        let mut seen: Vec<String> = Vec::new();
        for (i, item) in items.iter().enumerate() {
            let path = format!("{path}[{i}]");
            if !matches!(item.value, Value::Map(_)) {
                let message = format!(
                    "{} is not a mapping; write {{group: [other, …]}}",
                    value::shown(item, false)
                );
                ctx.findings.error(item.at, &path, message);
            }
            for pair in item.entries() {
                let path = join(&path, &pair.key);
                if !matches!(pair.value.value, Value::List(_)) {
                    let message = format!(
                        "{} is not a list of groups; write [other, …]",
                        value::shown(&pair.value, false)
                    );
                    ctx.findings.error(pair.value.at, &path, message);
                    continue;
                }
                if pair.key == "*" {
                    everybody(ctx, key, pair, &path, waypost);
                    continue;
                }
                let Some(id) = by_group.id(ctx, &pair.key, pair.at, &path) else {
                    continue;
                };
                if seen.contains(&id) {
                    let message = "a second list of the same group; LiteLLM goes by the first, so this one is without effect";
                    ctx.findings.warning(pair.at, &path, message);
                    continue;
                }
                by_group.of(&id, pair.at).put(key, pair);
                seen.push(id);
            }
        }
    }
    if let Some((entry, _)) = sections.either("default_fallbacks") {
        waypost.put("default_fallbacks", entry);
    }
}

/// The entry `"*"` of a list.
fn everybody(ctx: &mut Context<'_>, key: &str, pair: &Entry, path: &str, waypost: &mut Fields) {
    if key == LISTS[0] {
        waypost.offer("default_fallbacks", pair);
    } else {
        let message = format!("\"*\" holds in fallbacks only; name the groups in {key}");
        ctx.findings.warning(pair.at, path, message);
    }
}

/// The group of an alias: a text, or `model` of a mapping.
fn target(alias: &Node) -> Option<&str> {
    raw(alias).or_else(|| raw(alias.get("model")?))
}

/// `model_group_alias`: `waypost.aliases`.
pub(super) fn aliases(ctx: &mut Context<'_>, sections: &Sections<'_>, waypost: &mut Fields) {
    let Some((entry, section)) = sections
        .either("model_group_alias")
        .or_else(|| sections.either("model_alias_map"))
    else {
        return;
    };
    let path = join(section, &entry.key);
    if !matches!(entry.value.value, Value::Map(_)) {
        let message = format!(
            "{} is not a mapping; write {{alias: group}}",
            value::shown(&entry.value, false)
        );
        ctx.findings.error(entry.value.at, &path, message);
        return;
    }
    let mut fields = Fields::new(entry.value.at);
    for alias in entry.value.entries() {
        let path = join(&path, &alias.key);
        if target(&alias.value).is_none() {
            let message = format!(
                "{} names no group; write the group's name, or {{model: group, hidden: true}}",
                value::shown(&alias.value, false)
            );
            ctx.findings.error(alias.value.at, &path, message);
        } else if alias.value.scalar().is_some() {
            fields.put(&alias.key, alias);
        } else {
            let mut inner = Fields::new(alias.value.at);
            for part in alias.value.entries() {
                match part.key.as_str() {
                    "model" => inner.put("group", part),
                    "hidden" => inner.put("hidden", part),
                    other => {
                        let hint = hint(other, ["model", "hidden"]);
                        let message = format!("unknown key; allowed: model, hidden{hint}");
                        ctx.findings.error(part.at, &join(&path, other), message);
                    }
                }
            }
            fields.set(&alias.key, alias.at, inner.done());
        }
    }
    if !fields.is_empty() {
        waypost.set("aliases", entry.at, fields.done());
    }
}

/// `model_group_retry_policy`: the policies of groups, to take the place of the general one.
pub(super) fn retry_policies<'n>(
    ctx: &mut Context<'_>,
    sections: &Sections<'n>,
    by_group: &ByGroup<'_>,
) -> Vec<(String, &'n Entry)> {
    let mut found = Vec::new();
    let Some(entry) = find(&sections.router, "model_group_retry_policy") else {
        return found;
    };
    let path = "router_settings.model_group_retry_policy";
    if !matches!(entry.value.value, Value::Map(_)) {
        let message = format!("{} is not a mapping", value::shown(&entry.value, false));
        ctx.findings.error(entry.value.at, path, message);
    }
    for policy in entry.value.entries() {
        let path = join(path, &policy.key);
        let Some(id) = by_group.id(ctx, &policy.key, policy.at, &path) else {
            continue;
        };
        if by_group.groups.iter().any(|group| group.id == id) {
            found.push((id, policy));
        } else {
            let names = by_group.groups.iter().map(|group| group.id.as_str());
            let message = format!("no model_name is called so{}", hint(&policy.key, names));
            ctx.findings.error(policy.at, &path, message);
        }
    }
    found
}

/// `optional_pre_call_checks` and `model_group_affinity_config`: `waypost.groups.<id>.affinity`.
pub(super) fn affinity(ctx: &mut Context<'_>, sections: &Sections<'_>, by_group: &mut ByGroup<'_>) {
    let ttl = find(&sections.router, "deployment_affinity_ttl_seconds");
    if let Some(entry) = find(&sections.router, "optional_pre_call_checks") {
        let by = checks(
            ctx,
            &entry.value,
            "router_settings.optional_pre_call_checks",
        );
        // Where there is one deployment, there is nothing to choose.
        for group in by_group
            .groups
            .iter()
            .filter(|group| group.models.len() > 1)
        {
            stick(by_group, &group.id, entry, &by, ttl);
        }
    }
    let own = find(&sections.router, "model_group_affinity_config");
    for entry in own.map(|entry| entry.value.entries()).unwrap_or_default() {
        let path = join("router_settings.model_group_affinity_config", &entry.key);
        if let Some(id) = by_group.id(ctx, &entry.key, entry.at, &path) {
            let by = checks(ctx, &entry.value, &path);
            stick(by_group, &id, entry, &by, ttl);
        }
    }
}

fn stick(by_group: &mut ByGroup<'_>, id: &str, entry: &Entry, by: &[Node], ttl: Option<&Entry>) {
    if by.is_empty() {
        return;
    }
    let mut affinity = Fields::new(entry.at);
    affinity.set("by", entry.at, list(entry.at, by.to_vec()));
    if let Some(ttl) = ttl {
        affinity.put("ttl", ttl);
    }
    by_group
        .of(id, entry.at)
        .set("affinity", entry.at, affinity.done());
}

/// What conversations are known by; a check that is not there is said to be so.
fn checks(ctx: &mut Context<'_>, node: &Node, path: &str) -> Vec<Node> {
    let names = match texts(node) {
        Ok(names) => names,
        Err(message) => {
            ctx.findings.error(node.at, path, message);
            return Vec::new();
        }
    };
    let mut by = Vec::new();
    for name in names {
        match CHECKS.iter().find(|(check, _)| *check == name) {
            Some((_, Ok(""))) => {}
            Some((_, Ok(key))) => by.push(Node::made_up(node.at, key)),
            Some((_, Err(why))) => {
                ctx.findings
                    .warning(node.at, path, format!("{name}: without effect here: {why}"));
            }
            None => {
                let names = CHECKS.iter().map(|(check, _)| *check);
                let all: Vec<&str> = names.clone().collect();
                let message = format!(
                    "\"{name}\" is no check; allowed: {}{}",
                    all.join(", "),
                    hint(&name, names)
                );
                ctx.findings.error(node.at, path, message);
            }
        }
    }
    by
}
