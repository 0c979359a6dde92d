//! What a file is made of besides its models: included files, variables, and the settings of the gateway.

use super::build::{Fields, raw, text};
use super::origin::{Origin, shift};
use super::router::Sections;
use super::sift::find;
use super::{MARKS, Variables, variables};
use crate::config::check::texts;
use crate::config::context::Context;
use crate::config::env::expand;
use crate::config::load::read;
use crate::config::parse::parse;
use crate::config::tree::{Entry, Node, Pos, Value};

/// The variable that is the master key where the file has none.
const MASTER_KEY: &str = "LITELLM_MASTER_KEY";

/// Sections that are read, besides [`MARKS`].
const READ: [&str; 3] = ["credential_list", "environment_variables", "include"];

/// Reads the included files into `root`, rewrites variables, and takes out those that the file sets itself. Leaves in
/// the findings where everything stands.
pub(in crate::config) fn gather(ctx: &mut Context<'_>, root: &mut Node) -> Variables {
    own_variables(ctx, root);
    let mut paths = vec![root.clone()];
    let mut files = Vec::new();
    let names = match root.get("include").map(texts) {
        None => Vec::new(),
        Some(Ok(names)) => names,
        Some(Err(message)) => {
            let at = root.place("include");
            ctx.findings
                .error(at, "include", format!("{message}; it is a list of files"));
            Vec::new()
        }
    };
    for name in names {
        let at = root.place("include");
        let file = ctx.file(&name);
        let tree = read(&file)
            .and_then(|text| parse(&text).map_err(|problem| (problem.at, problem.message)));
        match tree {
            Ok(mut tree) => {
                shift(&mut tree, files.len() + 1);
                files.push(file.display().to_string());
                own_variables(ctx, &mut tree);
                paths.push(tree.clone());
                merge_file(ctx, root, tree, &name);
            }
            Err((place, message)) => {
                let line = match place.line {
                    0 => String::new(),
                    line => format!(" line {line}:"),
                };
                ctx.findings
                    .error(at, "include", format!("{name}:{line} {message}"));
            }
        }
    }
    ctx.findings.restore_by(Origin::of(&paths, files));
    let mut set = Variables::new();
    for entry in root
        .get("environment_variables")
        .map(Node::entries)
        .unwrap_or_default()
    {
        let Some(value) = raw(&entry.value) else {
            continue;
        };
        let found = expand(value, ctx.env);
        match found.unset.first() {
            Some(unset) => {
                let path = format!("environment_variables.{}", entry.key);
                let message = format!("the environment variable {unset} is not set");
                ctx.findings.error(entry.value.at, &path, message);
            }
            None => drop(set.insert(entry.key.clone(), found.text)),
        }
    }
    set
}

/// Variables of the sections that are read, written as Waypost's dialect has them.
fn own_variables(ctx: &mut Context<'_>, root: &mut Node) {
    let Value::Map(map) = &mut root.value else {
        return;
    };
    let ours = |key: &str| MARKS.contains(&key) || READ.contains(&key);
    for (at, key, message) in std::mem::take(&mut map.problems) {
        if ours(&key) {
            ctx.findings.error(at, &key, message);
        }
    }
    for entry in map.entries.iter_mut().filter(|entry| ours(&entry.key)) {
        // Values of variables are what secrets are, with their dollars.
        let secret = entry.key == "environment_variables";
        variables::rewrite(ctx, &mut entry.value, &entry.key, secret);
    }
}

/// As LiteLLM does it: lists are appended to, everything else is replaced.
fn merge_file(ctx: &mut Context<'_>, root: &mut Node, tree: Node, name: &str) {
    let Value::Map(root) = &mut root.value else {
        return;
    };
    let Value::Map(map) = tree.value else {
        let message = format!("{name} is not a mapping");
        ctx.findings.error(tree.at, "include", message);
        return;
    };
    for entry in map.entries {
        let Some(known) = root.entries.iter_mut().find(|known| known.key == entry.key) else {
            root.entries.push(entry);
            continue;
        };
        if let (Value::List(items), Value::List(_)) = (&mut known.value.value, &entry.value.value) {
            items.extend(entry.value.items().iter().cloned());
            continue;
        }
        if !matches!(known.value.value, Value::Null) {
            let message = format!("takes the place of the section in line {}", known.at.line);
            ctx.findings.warning(entry.at, &entry.key, message);
        }
        *known = entry;
    }
}

/// `general_settings`, as far as it is the gateway's.
pub(super) fn general(ctx: &mut Context<'_>, general: &[&Entry], waypost: &mut Fields, root: Pos) {
    let master = match find(general, "master_key") {
        Some(entry) => Some((entry.at, entry.value.clone())),
        None => (ctx.env)(MASTER_KEY)
            .filter(|key| !key.trim().is_empty())
            .map(|_| (root, Node::made_up(root, &format!("${{{MASTER_KEY}}}")))),
    };
    if let Some((at, key)) = master {
        let mut fields = Fields::new(at);
        fields.say("name", at, "master_key");
        fields.set("key", at, key);
        waypost.set("keys", at, super::list(at, vec![fields.done()]));
    }
    if let Some(entry) = find(general, "max_request_size_mb") {
        let size = raw(&entry.value).map(|size| text(&entry.value, &format!("{size}MiB")));
        waypost.set(
            "body_limit",
            entry.at,
            size.unwrap_or_else(|| entry.value.clone()),
        );
    }
}

/// Callbacks: what `prometheus` would do is done anyway, the others are without effect.
pub(super) fn callbacks(ctx: &mut Context<'_>, sections: &Sections<'_>) {
    let lists = [
        "callbacks",
        "success_callback",
        "failure_callback",
        "service_callback",
        "service_callbacks",
    ];
    let mut others: Vec<String> = Vec::new();
    let mut first = None;
    for entry in lists.iter().filter_map(|key| find(&sections.settings, key)) {
        for name in texts(&entry.value).unwrap_or_default() {
            if name != "prometheus" && !others.contains(&name) {
                first = first.or(Some(entry));
                others.push(name);
            }
        }
    }
    if let Some(entry) = first {
        let message = format!(
            "{}: without effect here: there are no callbacks; /metrics and the log tell what happened",
            others.join(", ")
        );
        let path = format!("litellm_settings.{}", entry.key);
        ctx.findings.warning(entry.at, &path, message);
    }
}

/// `ssl_verify` and `ssl_certificate` of a deployment that has none.
pub(super) fn tls(sections: &Sections<'_>, model: Node) -> Node {
    let keys = ["ssl_verify", "ssl_certificate"];
    let given = keys.map(|key| find(&sections.settings, key));
    if given.iter().all(Option::is_none) {
        return model;
    }
    let mut fields = Fields::of(&model);
    for entry in given.into_iter().flatten() {
        fields.offer(&entry.key, entry);
    }
    fields.done()
}

/// The file's own section `waypost`, with what the rest of the file says where that says nothing.
pub(super) fn merge(own: &Node, converted: &Node) -> Node {
    let mut fields = Fields::of(own);
    for entry in converted.entries() {
        match own.get(&entry.key) {
            Some(known)
                if matches!(
                    (&known.value, &entry.value.value),
                    (Value::Map(_), Value::Map(_))
                ) =>
            {
                let merged = merge(known, &entry.value);
                fields.set(&entry.key, entry.at, merged);
            }
            Some(_) => {}
            None => fields.put(&entry.key, entry),
        }
    }
    fields.done()
}
