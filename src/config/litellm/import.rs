//! A LiteLLM file as the text of an `endpoints.yml`, and what that changes.

use std::fmt::Write as _;

use super::super::finding::{Finding, Findings};
use super::super::tree::{Node, Pos};
use super::differences::differences;
use super::hide::hide;
use super::{Variables, yaml};

/// What an import comes to.
#[derive(Debug)]
pub struct Import {
    /// The configuration in Waypost's dialect.
    pub text: String,
    /// Warnings about the file: what is lost, and what is probably not meant.
    pub warnings: Vec<Finding>,
    /// What means something else here than in LiteLLM.
    pub differences: Vec<Finding>,
    /// What is to be done before the text loads: variables to set.
    pub to_do: Vec<Finding>,
}

/// The text and the report of a file that was converted. `original` is LiteLLM's, `findings` knows its places.
pub(in crate::config) fn import(
    name: &str,
    original: &Node,
    mut converted: Node,
    set: &Variables,
    findings: &Findings,
    warnings: Vec<Finding>,
) -> Import {
    let say = |at: Pos, key: &str, text: String| {
        let mut own = findings.like();
        own.warning(at, key, text);
        own.finish().0
    };
    let mut to_do = Vec::new();
    if let Some(entry) = original
        .entry("environment_variables")
        .filter(|_| !set.is_empty())
    {
        let mut names: Vec<&str> = set.keys().map(String::as_str).collect();
        names.sort_unstable();
        let text = format!(
            "an endpoints.yml sets no variables; set them in Waypost's environment: {}",
            names.join(", ")
        );
        to_do.extend(say(entry.at, "environment_variables", text));
    }
    for hidden in hide(&mut converted) {
        let text = format!(
            "a secret in clear text, which is not written again; set {} to it",
            hidden.variable
        );
        to_do.extend(say(hidden.at, "model_groups", text));
    }
    let mut seen = std::collections::HashSet::new();
    to_do.retain(|finding| seen.insert(finding.message.clone()));
    let differences: Vec<Finding> = differences(original)
        .into_iter()
        .flat_map(|one| say(one.at, &one.key, one.text.to_owned()))
        .collect();
    let mut text = format!("# Made from {name} by waypost import.\n");
    for finding in &to_do {
        let _ = writeln!(text, "# To do: {}", finding.message);
    }
    text.push('\n');
    text.push_str(&yaml::write(&converted, &|at| {
        let place = say(at, "", String::new()).pop()?;
        Some(format!("{}:{}", place.file, place.line))
    }));
    Import {
        text,
        warnings,
        differences,
        to_do,
    }
}
