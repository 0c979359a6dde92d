//! Names of groups in the section `waypost`: aliases, fallbacks, and what keys may use, held against the groups there are.
//!
//! A name is the id of a group, an alias, or of the pattern of a group with `*` in its id. Names of groups with errors
//! count as known. What is kept is the id, or for a pattern the name itself, since that says which of its models is meant.

mod circles;
mod names;

use std::collections::HashSet;
use std::sync::Arc;

use super::check::join;
use super::context::Context;
use super::settings::Own;
use super::tree::{Node, Pos, Value};
use super::{Alias, Group, Settings, value};
use crate::types::{Fallbacks, Pattern};
use circles::circles;
use names::{Known, Names, Serves, Target, stands_for};

/// The lists of fallbacks of a group, the general one first.
const LISTS: [&str; 3] = [
    "fallbacks",
    "context_window_fallbacks",
    "content_policy_fallbacks",
];

/// Checks all references, fills in [`Group::fallbacks`] and the groups of keys, and returns the aliases.
pub(super) fn resolve(
    ctx: &mut Context<'_>,
    own: &Own,
    list: &Node,
    groups: &mut [Group],
    settings: &mut Settings,
) -> Vec<Alias> {
    let names = Names::new(own, list);
    let aliases = aliases(ctx, own, &names);
    overridden(ctx, own, &names);
    keys(ctx, own, &names, settings);
    let lists: Vec<Lists> = (0..names.groups.len())
        .map(|group| lists(ctx, own, &names, group))
        .collect();
    cycles(ctx, &names, &lists);
    let defaults = own.node.get("default_fallbacks");
    let defaults = defaults.map(|node| targets(ctx, &names, node, "waypost.default_fallbacks"));
    let defaults = defaults.unwrap_or_default();
    let all: Arc<[Arc<str>]> = defaults.iter().map(|to| Arc::clone(&to.name)).collect();
    for group in groups {
        if let Some(from) = names.ids.get(&*group.id) {
            group.fallbacks = fallbacks(&names, *from, &lists[*from], &defaults, &all);
        }
    }
    aliases
}

fn aliases(ctx: &mut Context<'_>, own: &Own, names: &Names) -> Vec<Alias> {
    let mut aliases = Vec::new();
    let mut circles: HashSet<&str> = HashSet::new();
    for entry in own
        .node
        .get("aliases")
        .map(Node::entries)
        .unwrap_or_default()
    {
        let path = join("waypost.aliases", &entry.key);
        let wrong = if names.ids.contains_key(&entry.key) {
            Some("a model group has this name, and an alias must have one of its own")
        } else if entry.key.trim().is_empty() || entry.key.trim() != entry.key {
            Some("an alias cannot be empty or have blanks around it")
        } else if Pattern::is_one(&entry.key) {
            Some("an alias is one name; for a pattern, write a model group with this id")
        } else {
            None
        };
        if let Some(message) = wrong {
            ctx.findings.error(entry.at, &path, message);
            continue;
        }
        let Some((node, to)) =
            stands_for(&entry.value).and_then(|node| Some((node, names.aliases.get(&entry.key)?)))
        else {
            continue;
        };
        if let Some(circle) = circle(names, &entry.key) {
            if circle.contains(&entry.key.as_str()) && circles.insert(circle[0]) {
                circles.extend(circle.iter().copied());
                let message = format!(
                    "a cycle of aliases: {} → {}; one of them must name a group",
                    circle.join(" → "),
                    circle[0]
                );
                ctx.findings.error(node.at, &path, message);
            }
            continue;
        }
        if let Some(target) = names.target(ctx, to, node.at, &path) {
            aliases.push(Alias {
                name: entry.key.as_str().into(),
                group: target.name,
                hidden: entry.value.flag("hidden").unwrap_or(false),
            });
        }
    }
    aliases
}

/// The aliases that lead to each other, if `name` ends up among them.
fn circle<'a>(names: &'a Names, name: &'a str) -> Option<Vec<&'a str>> {
    let mut steps = vec![name];
    let mut last = name;
    while let (false, Some(next)) = (names.ids.contains_key(last), names.aliases.get(last)) {
        if let Some(i) = steps.iter().position(|step| step == next) {
            return Some(steps.split_off(i));
        }
        steps.push(next);
        last = next;
    }
    None
}

/// `waypost.groups`: each key is the id of a group.
fn overridden(ctx: &mut Context<'_>, own: &Own, names: &Names) {
    for entry in own
        .node
        .get("groups")
        .map(Node::entries)
        .unwrap_or_default()
    {
        if names.ids.contains_key(&entry.key) {
            continue;
        }
        let message = match names.find(&entry.key) {
            Some((group, _)) => format!(
                "settings stand under the id of the group; write \"{}\"",
                names.groups[group].id
            ),
            None => names.no_group(&entry.key),
        };
        ctx.findings
            .error(entry.at, &join("waypost.groups", &entry.key), message);
    }
}

/// `waypost.keys[].groups`
fn keys(ctx: &mut Context<'_>, own: &Own, names: &Names, settings: &mut Settings) {
    let list = own.node.get("keys").map(Node::items).unwrap_or_default();
    for (i, key) in list.iter().enumerate() {
        let groups = key
            .get("groups")
            .and_then(|groups| super::check::texts(groups).ok());
        for name in groups.unwrap_or_default() {
            if names.find(&name).is_none() && !names.aliases.contains_key(&name) {
                let path = format!("waypost.keys[{i}].groups");
                ctx.findings
                    .error(key.place("groups"), &path, names.unknown(&name));
            }
        }
    }
    let groups = settings
        .keys
        .iter_mut()
        .filter_map(|key| key.groups.as_mut());
    for name in groups.flatten() {
        if let Some((_, last)) = names.find(name) {
            *name = last.into();
        }
    }
}

/// The lists that the file has for one group, as [`LISTS`].
type Lists = [Option<Vec<Target>>; LISTS.len()];

fn lists(ctx: &mut Context<'_>, own: &Own, names: &Names, group: usize) -> Lists {
    let known = &names.groups[group];
    let node = own.overrides(&known.id);
    LISTS.map(|key| {
        let path = format!("waypost.groups.{}.{key}", known.id);
        let mut targets = targets(ctx, names, node.get(key)?, &path);
        targets.retain(|to| {
            let itself = *to.name == *known.id;
            if itself {
                let message = format!(
                    "\"{}\" is the group itself, and it has just failed",
                    to.name
                );
                ctx.findings.error(to.at, &path, message);
            }
            !itself
        });
        for to in &targets {
            same_kind(ctx, known, &names.groups[to.group], to, &path);
        }
        Some(targets)
    })
}

/// A list of names, each once.
fn targets(ctx: &mut Context<'_>, names: &Names, node: &Node, path: &str) -> Vec<Target> {
    let items = match &node.value {
        Value::List(items) => items.as_slice(),
        _ => std::slice::from_ref(node),
    };
    let mut targets: Vec<Target> = Vec::new();
    for item in items {
        let Ok(name) = value::text(item) else {
            continue;
        };
        let target = names.target(ctx, &name, item.at, path);
        targets.extend(target.filter(|new| targets.iter().all(|old| old.name != new.name)));
    }
    targets
}

/// A request for embeddings is none for a chat model, nor the other way round.
fn same_kind(ctx: &mut Context<'_>, from: &Known, to: &Known, target: &Target, path: &str) {
    let name = &target.name;
    match (from.serves, to.serves) {
        (Some(a), Some(b)) if a != b => {
            let message = format!(
                "\"{name}\" serves {} and \"{}\" {}: a request for one is none for the other",
                b.name(),
                from.id,
                a.name()
            );
            ctx.findings.error(target.at, path, message);
        }
        (Some(Serves::Embeddings), None) | (None, Some(Serves::Embeddings)) => {
            let (one, other) = match from.serves {
                Some(_) => (from.id.as_str(), &**name),
                None => (&**name, from.id.as_str()),
            };
            let message = format!(
                "\"{one}\" serves embeddings, and \"{other}\" does not look like it; if it does, say so with model_info.mode: embedding"
            );
            ctx.findings.warning(target.at, path, message);
        }
        _ => {}
    }
}

/// Groups that turn to each other in a circle. Each list by itself: that a group is turned to for its longer context
/// window and turns back for other failures is no mistake.
fn cycles(ctx: &mut Context<'_>, names: &Names, lists: &[Lists]) {
    for (i, key) in LISTS.iter().enumerate() {
        let edges: Vec<Vec<(usize, Pos)>> = lists
            .iter()
            .enumerate()
            .map(|(from, lists)| {
                let targets = lists[i].iter().flatten();
                // Another model of the same pattern is no circle.
                let others = targets.filter(|to| to.group != from);
                others.map(|to| (to.group, to.at)).collect()
            })
            .collect();
        for (circle, at) in circles(&edges) {
            let shown: Vec<&str> = circle
                .iter()
                .map(|i| names.groups[*i].id.as_str())
                .collect();
            let last = shown.last().copied().unwrap_or_default();
            let message = format!(
                "a cycle: {} → {}; what has failed is not asked again, so leave one of them out",
                shown.join(" → "),
                shown[0]
            );
            ctx.findings
                .error(at, &format!("waypost.groups.{last}.{key}"), message);
        }
    }
}

/// A group's lists with what stands in for those the file does not have.
fn fallbacks(
    names: &Names,
    from: usize,
    lists: &Lists,
    defaults: &[Target],
    all_defaults: &Arc<[Arc<str>]>,
) -> Fallbacks {
    let known = &names.groups[from];
    let embeds = |known: &Known| known.serves == Some(Serves::Embeddings);
    let list = |targets: &[Target]| -> Arc<[Arc<str>]> {
        targets.iter().map(|to| Arc::clone(&to.name)).collect()
    };
    let [general, context_window, content_policy] = lists;
    let general = match general {
        Some(targets) => list(targets),
        None => {
            let fits = |to: &&Target| {
                *to.name != *known.id && embeds(known) == embeds(&names.groups[to.group])
            };
            if defaults.iter().all(|to| fits(&to)) {
                Arc::clone(all_defaults)
            } else {
                let fitting = defaults.iter().filter(fits);
                fitting.map(|to| Arc::clone(&to.name)).collect()
            }
        }
    };
    let or_general = |targets: &Option<Vec<Target>>| match targets {
        Some(targets) => list(targets),
        None => Arc::clone(&general),
    };
    Fallbacks {
        context_window: or_general(context_window),
        content_policy: or_general(content_policy),
        general,
    }
}
