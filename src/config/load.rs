//! From a file to a [`Config`]: size, syntax, LiteLLM's dialect turned into ours, sections, variables, checks, references, in
//! this order.
//!
//! Only what is no YAML, or no configuration at all, ends the work early; everything else is collected and returned
//! together. Sections that belong to others are parsed, since the file is one YAML document, and then not looked at.

use std::path::{Path, PathBuf};

use super::context::Context;
use super::env::{Place, expand_all};
use super::finding::{Finding, Findings};
use super::nearest::nearest;
use super::parse::parse;
use super::prices::PriceTables;
use super::tree::{Entry, Node, Pos, Value};
use super::{Config, Import, group, litellm, references, settings, sharing};

/// Largest configuration file. The largest that Rasa's users show are a few kilobytes.
const MAX_FILE: u64 = 4 << 20;

/// Reads and checks a configuration file.
///
/// `env` looks up variables; `strict` refuses what Rasa refuses. Files the configuration names are read, relative to
/// its folder; no connection is opened.
///
/// # Errors
/// All findings, at least one of them an error.
pub fn load(
    path: &Path,
    env: &dyn Fn(&str) -> Option<String>,
    strict: bool,
) -> Result<(Config, Vec<Finding>), Vec<Finding>> {
    let name = path.display().to_string();
    match read(path) {
        Ok(text) => {
            let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
            load_text(&name, path.to_path_buf(), folder, &text, env, strict)
        }
        Err((at, message)) => Err(only(&name, at, "", message)),
    }
}

/// Checks a configuration that is already in memory; `name` is what findings call it.
///
/// # Errors
/// All findings, at least one of them an error.
pub fn load_str(
    name: &str,
    text: &str,
    env: &dyn Fn(&str) -> Option<String>,
    strict: bool,
) -> Result<(Config, Vec<Finding>), Vec<Finding>> {
    if text.len() as u64 > MAX_FILE {
        return Err(only(name, Pos::default(), "", too_large(text.len() as u64)));
    }
    load_text(name, PathBuf::from(name), PathBuf::new(), text, env, strict)
}

fn too_large(bytes: u64) -> String {
    format!(
        "{bytes} bytes, more than a configuration may have ({} MiB)",
        MAX_FILE >> 20
    )
}

/// The text of a file, if it is not larger than a configuration may be.
pub(super) fn read(path: &Path) -> Result<String, (Pos, String)> {
    let whole = Pos::default();
    let meta =
        std::fs::metadata(path).map_err(|error| (whole, format!("cannot be read: {error}")))?;
    if meta.is_dir() {
        return Err((whole, "is a folder, not a file".to_owned()));
    }
    if meta.len() > MAX_FILE {
        return Err((whole, too_large(meta.len())));
    }
    // A pipe has no size, so the limit holds for what is read, too.
    let mut bytes = Vec::new();
    let file =
        std::fs::File::open(path).map_err(|error| (whole, format!("cannot be read: {error}")))?;
    std::io::Read::read_to_end(&mut std::io::Read::take(file, MAX_FILE + 1), &mut bytes)
        .map_err(|error| (whole, format!("cannot be read: {error}")))?;
    if bytes.len() as u64 > MAX_FILE {
        return Err((whole, too_large(bytes.len() as u64)));
    }
    String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + memchr::memchr_iter(b'\n', before).count();
        let column = 1 + before
            .iter()
            .rev()
            .take_while(|b| **b != b'\n')
            .filter(|b| **b & 0xC0 != 0x80)
            .count();
        (
            Pos { line, column },
            "not UTF-8; save the file in that encoding".to_owned(),
        )
    })
}

fn only(name: &str, at: Pos, key: &str, message: String) -> Vec<Finding> {
    let mut findings = Findings::new(name);
    findings.error(at, key, message);
    findings.finish().0
}

fn load_text(
    name: &str,
    file: PathBuf,
    folder: PathBuf,
    text: &str,
    env: &dyn Fn(&str) -> Option<String>,
    strict: bool,
) -> Result<(Config, Vec<Finding>), Vec<Finding>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut root = parse(text).map_err(|problem| only(name, problem.at, "", problem.message))?;
    let mut ctx = Context {
        findings: Findings::new(name),
        env,
        strict,
        litellm: false,
        folder,
    };
    if !litellm::recognised(&root) {
        return load_tree(ctx, file, root);
    }
    let set = litellm::gather(&mut ctx, &mut root);
    let env = |name: &str| set.get(name).cloned().or_else(|| env(name));
    let mut ctx = Context {
        env: &env,
        strict: false,
        litellm: true,
        ..ctx
    };
    if strict {
        let message =
            "--strict is about what Rasa refuses, and Rasa reads no such file; without effect";
        ctx.findings.warning(root.at, "", message);
    }
    match litellm::convert(&mut ctx, &root) {
        Some(root) => load_tree(ctx, file, root),
        None => Err(ctx.findings.finish().0),
    }
}

/// Writes a LiteLLM `config.yaml` as an `endpoints.yml` that is the same [`Config`].
///
/// # Errors
/// As [`load`], and if the file is not LiteLLM's.
pub fn import(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Import, Vec<Finding>> {
    let name = path.display().to_string();
    let (_, warnings) = load(path, env, false)?;
    let text = read(path).map_err(|(at, message)| only(&name, at, "", message))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut root = parse(text).map_err(|problem| only(&name, problem.at, "", problem.message))?;
    if !litellm::recognised(&root) {
        let message = "not a config.yaml of LiteLLM, which has a section model_list; an endpoints.yml is read as it is";
        return Err(only(&name, root.at, "", message.to_owned()));
    }
    let mut ctx = Context {
        findings: Findings::new(&name),
        env,
        strict: false,
        litellm: true,
        folder: path.parent().map(Path::to_path_buf).unwrap_or_default(),
    };
    let set = litellm::gather(&mut ctx, &mut root);
    let env = |name: &str| set.get(name).cloned().or_else(|| env(name));
    let mut ctx = Context { env: &env, ..ctx };
    let Some(converted) = litellm::convert(&mut ctx, &root) else {
        return Err(ctx.findings.finish().0);
    };
    let findings = &ctx.findings;
    Ok(litellm::import(
        &name, &root, converted, &set, findings, warnings,
    ))
}

/// Checks a file in Waypost's own dialect.
fn load_tree(
    mut ctx: Context<'_>,
    file: PathBuf,
    root: Node,
) -> Result<(Config, Vec<Finding>), Vec<Finding>> {
    let Some((mut groups, mut own)) = sections(&mut ctx, root) else {
        return Err(ctx.findings.finish().0);
    };
    expand_all(&mut ctx, &mut groups, "model_groups", Place::Group);
    if let Some(own) = &mut own {
        expand_all(&mut ctx, own, "waypost", Place::Own);
    }
    let (own, mut settings) = settings::read(&mut ctx, own);
    let mut read = group::groups(&mut ctx, &own, &mut groups);
    let aliases = references::resolve(&mut ctx, &own, &groups, &mut read, &mut settings);
    settings::check_use(&mut ctx, &own, &read);
    sharing::check_use(&mut ctx, &own, &read, &mut settings);
    // Every group that is left out has an error of its own; were that ever not so, it must not pass unnoticed.
    if read.len() < groups.items().len() && !ctx.findings.failed() {
        ctx.findings
            .error(groups.at, "model_groups", "not every group could be read");
    }
    match ctx.findings.finish() {
        (findings, true) => Err(findings),
        (findings, false) => Ok((
            Config {
                file,
                groups: read,
                aliases,
                prices: PriceTables::new(own.prices, own.prices_file),
                settings,
            },
            findings,
        )),
    }
}

/// The two sections that are ours; `None` if there is nothing to go on with.
fn sections(ctx: &mut Context<'_>, root: Node) -> Option<(Node, Option<Node>)> {
    let at = root.at;
    let map = match root.value {
        Value::Map(map) => map,
        Value::Null => {
            ctx.findings
                .error(at, "", "the file is empty; it needs a section model_groups");
            return None;
        }
        Value::Scalar(_) | Value::List(_) => {
            ctx.findings.error(
                at,
                "",
                "the file is not a mapping; it needs a section model_groups",
            );
            return None;
        }
    };
    let ours = ["model_groups", "waypost"];
    for (at, key, message) in map
        .problems
        .into_iter()
        .filter(|(_, key, _)| ours.contains(&key.as_str()))
    {
        ctx.findings.error(at, &key, message);
    }
    let mut groups = None;
    let mut own = None;
    let mut others = Vec::new();
    for entry in map.entries {
        match entry.key.as_str() {
            "model_groups" => groups = Some(entry),
            "waypost" => own = Some(entry.value),
            _ => others.push(entry),
        }
    }
    let near = |word: &'static str| move |entry: &&Entry| nearest(&entry.key, [word]).is_some();
    if own.is_none()
        && let Some(entry) = others.iter().find(near("waypost"))
    {
        let message = "not a section of ours, so it is not read; did you mean \"waypost\"?";
        ctx.findings.warning(entry.at, &entry.key, message);
    }
    let Some(groups) = groups else {
        if let Some(entry) = others.iter().find(near("model_groups")) {
            let message = "there is no section model_groups; did you mean that here?";
            ctx.findings.error(entry.at, &entry.key, message);
        } else {
            ctx.findings.error(
                at,
                "",
                "there is no section model_groups; it is the list of what is served",
            );
        }
        return None;
    };
    if matches!(groups.value.value, Value::Null) {
        ctx.findings.error(
            groups.at,
            "model_groups",
            "is null; at least one group is needed",
        );
        return None;
    }
    Some((groups.value, own))
}

#[cfg(test)]
mod tests {
    use super::super::Severity;
    use super::*;
    use proptest::prelude::*;

    fn env(name: &str) -> Option<String> {
        (!name.starts_with("NOPE")).then(|| "1".to_owned())
    }

    /// Text that gets past the parser often enough to reach what is behind it.
    fn file() -> impl Strategy<Value = String> {
        let value = prop_oneof![
            Just("openai"),
            Just("azure"),
            Just("ollama"),
            Just("${A}"),
            Just("${NOPE}"),
            Just("null"),
            Just("[]"),
            Just("{}"),
            Just("-1"),
            Just("1e99"),
            Just("true"),
            Just("http://h"),
            Just("{a: b}"),
            Just("'x y'"),
            Just("redis://:p@h:x"),
            Just("[{}]"),
            Just("2024-02-15-preview"),
            Just("least-busy"),
            Just("'a*'"),
            Just("{a: b, b: a, c: {group: c}, d: {fallbacks: [1, '*'], hedging: 1}}"),
        ];
        let key = prop_oneof![
            Just("id"),
            Just("provider"),
            Just("model"),
            Just("deployment"),
            Just("api_base"),
            Just("api_key"),
            Just("api_version"),
            Just("oauth"),
            Just("timeout"),
            Just("weight"),
            Just("model_info"),
            Just("stream"),
            Just("extra_headers"),
            Just("router"),
            Just("models"),
            Just("redis_url"),
            Just("engine"),
            Just("aliases"),
            Just("groups"),
            Just("default_fallbacks"),
            Just("tags"),
            Just("x"),
        ];
        let pairs = || proptest::collection::vec((key.clone(), value.clone()), 0..6);
        (pairs(), pairs(), pairs(), pairs()).prop_map(|(group, model, router, own)| {
            let flow = |pairs: Vec<(&str, &str)>| {
                pairs
                    .iter()
                    .map(|(k, v)| format!("{k}: {v}"))
                    .collect::<Vec<_>>()
                    .join(", ")
            };
            format!(
                "model_groups:\n- {{{}, models: [{{{}}}], router: {{{}}}}}\nwaypost: {{{}}}\n",
                flow(group),
                flow(model),
                flow(router),
                flow(own)
            )
        })
    }

    proptest! {
        #[test]
        fn never_panics_on_text(text in ".*") {
            let _ = load_str("x", &text, &env, true);
        }

        #[test]
        fn never_panics_on_files(text in file(), strict: bool) {
            match load_str("x", &text, &env, strict) {
                Ok((config, _)) => prop_assert_eq!(config.groups.len(), 1),
                Err(findings) => {
                    prop_assert!(findings.iter().any(|f| f.severity == Severity::Error));
                    prop_assert!(findings.iter().all(|f| !f.message.contains("not every group")));
                }
            }
        }
    }
}
