//! `docs/http.md` names every route and every error code there is.

use crate::types::Operation;

const DOCS: &str = include_str!("../../docs/http.md");

/// The string literals of a source file, comments and tests left out.
fn literals(source: &str) -> Vec<String> {
    let code = source
        .split("#[cfg(test)]\nmod tests")
        .next()
        .unwrap_or_default();
    let lines = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    let code = lines.collect::<Vec<_>>().join("\n").replace("\\\"", "");
    code.split('"')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_error_code_is_documented() {
    let sources = [
        include_str!("debug.rs"),
        include_str!("error.rs"),
        include_str!("error/none_eligible.rs"),
        include_str!("inference.rs"),
        include_str!("listen.rs"),
        include_str!("mod.rs"),
        include_str!("purge.rs"),
        include_str!("../gateway/observe.rs"),
    ];
    let mut codes: Vec<String> = sources.iter().flat_map(|source| literals(source)).collect();
    // Codes and types are words joined by underscores; nothing else in these files is.
    codes.retain(|text| {
        text.contains('_') && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
    });
    codes.sort();
    codes.dedup();
    assert!(codes.len() > 20, "{codes:?}");
    let missing: Vec<_> = codes
        .iter()
        .filter(|code| !DOCS.contains(&format!("`{code}`")))
        .collect();
    assert!(
        missing.is_empty(),
        "docs/http.md does not explain {missing:?}"
    );
}

#[test]
fn every_route_is_documented() {
    let mut paths: Vec<String> = Operation::ALL
        .iter()
        .map(|operation| format!("/{}", operation.path()))
        .collect();
    for source in [include_str!("mod.rs"), include_str!("health.rs")] {
        for text in literals(source) {
            let path = text
                .trim_start_matches("{base}")
                .replace("{{", "{")
                .replace("}}", "}")
                .replace("{*", "{");
            let path = path.trim_end_matches("/{}");
            if path.starts_with('/') && !path.contains(' ') {
                paths.push(path.to_owned());
            }
        }
    }
    assert!(
        paths
            .iter()
            .any(|path| path == "/openai/deployments/{group}")
            && paths.len() > 10,
        "{paths:?}"
    );
    let missing: Vec<_> = paths
        .iter()
        .filter(|path| !DOCS.contains(&format!("`{path}`")))
        .collect();
    assert!(
        missing.is_empty(),
        "docs/http.md does not mention {missing:?}"
    );
}
