//! Imports run one way. The table of `src/lib.rs`, held against every `use crate::…` and `crate::…` of the sources.

use std::fs;
use std::path::{Path, PathBuf};

const LEAVES: &[&str] = &[
    "types",
    "json",
    "request",
    "h1",
    "sse",
    "sigv4",
    "aws_profiles",
    "clock",
    "metrics",
    "telemetry",
    "access_log",
    "catalog",
    "redis",
];

/// What a file may import, by its path below `src`; the longest prefix that fits counts.
const MAY: &[(&str, &[&str])] = &[
    ("main.rs", &["cli"]),
    (
        "cli/",
        &["api", "gateway", "config", "lab", "router", "usage", LEAF],
    ),
    // The reference page of the dialects is theirs.
    ("cli/schema.rs", &["config", "provider"]),
    ("api/", &["gateway", LEAF]),
    ("api/mod.rs", &["gateway", "config", LEAF]),
    ("api/auth.rs", &["config", LEAF]),
    // Each deployment's reason comes out of the router in an error of the gateway.
    ("api/error.rs", &["gateway", LEAF]),
    ("api/error/none_eligible.rs", &["router", LEAF]),
    (
        "gateway/",
        &["router", "provider", "upstream", "usage", "cache", LEAF],
    ),
    (
        "gateway/mod.rs",
        &[
            "config", "router", "provider", "upstream", "usage", "cache", LEAF,
        ],
    ),
    (
        "gateway/snapshot.rs",
        &[
            "config", "router", "provider", "upstream", "usage", "cache", LEAF,
        ],
    ),
    // Prices of models that requests name.
    ("gateway/names.rs", &["config", "router", "provider", LEAF]),
    ("router/", &[LEAF]),
    ("provider/", &[LEAF]),
    ("redis/", &["types", "clock", "metrics"]),
    ("upstream/", &[LEAF]),
    ("usage/", &[LEAF]),
    ("cache/", &[LEAF]),
    ("config/", &["types", "catalog", "aws_profiles"]),
    ("lab/", &[LEAF]),
    ("types", &[]),
    ("aws_profiles.rs", &[]),
    // How lines are written is one choice for all logs.
    ("access_log.rs", &["telemetry"]),
    ("catalog", &["types"]),
    ("types/", &[]),
    ("clock.rs", &["types"]),
    ("h1", &[]),
    ("json", &[]),
    ("metrics", &["types"]),
    // The members of a request are found by the scanner that finds those of an answer.
    ("request", &["types", "json"]),
    ("sigv4.rs", &["types"]),
    ("sse.rs", &["types"]),
    ("telemetry.rs", &["types"]),
];

/// Stands for all leaves.
const LEAF: &str = "*";

fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

/// The first names after `crate::` in a line of code.
fn imports(line: &str) -> impl Iterator<Item = &str> {
    let code = line.split("//").next().unwrap_or_default();
    code.match_indices("crate::").filter_map(|(at, found)| {
        let own = !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$');
        let rest = &code[at + found.len()..];
        let end = rest
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(rest.len());
        (own && end > 0).then(|| &rest[..end])
    })
}

#[test]
fn imports_run_one_way() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut seen = 0;
    let mut wrong = Vec::new();
    for file in files {
        let name = file
            .strip_prefix(&root)
            .expect("below src")
            .to_string_lossy()
            .replace('\\', "/");
        if name == "lib.rs" {
            continue;
        }
        let own = name.split(['/', '.']).next().unwrap_or_default();
        let row = MAY
            .iter()
            .filter(|(prefix, _)| name.starts_with(prefix))
            .max_by_key(|(prefix, _)| prefix.len());
        let Some((_, may)) = row else {
            wrong.push(format!("{name}: has no row in the table"));
            continue;
        };
        let text = fs::read_to_string(&file).expect("a source");
        assert!(
            !text.contains("use crate::{"),
            "{name}: one line for each module, so that lines can be read alone"
        );
        for (number, line) in (1..).zip(text.lines()) {
            for import in imports(line) {
                seen += 1;
                let leaf = may.contains(&LEAF) && LEAVES.contains(&import);
                if import != own && !leaf && !may.contains(&import) {
                    wrong.push(format!("{name}:{number}: {own} may not import {import}"));
                }
            }
        }
    }
    assert!(seen > 100, "only {seen} imports found");
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
