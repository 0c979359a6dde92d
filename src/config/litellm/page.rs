//! The page of the reference that says what becomes of a LiteLLM file's keys.

use std::fmt::Write as _;

use super::differences::{ALWAYS, RULES};
use super::keys::{CHECKS, Fate, TABLES, Unknown};

/// `docs/litellm.md`.
pub(in crate::config) fn page() -> String {
    let mut out = INTRODUCTION.to_owned();
    for table in TABLES {
        let title = if table.path.is_empty() {
            "The top of the file".to_owned()
        } else {
            format!("`{}`", table.path)
        };
        let _ = write!(
            out,
            "\n## {title}\n\n{}\n\n| Key | What becomes of it |\n|---|---|\n",
            unknown(table.unknown)
        );
        for row in table.rows() {
            let words = match row.fate {
                Fate::Kept(words) => words.to_owned(),
                Fate::Always(words) => format!("always so: {words}"),
                Fate::Lost(words) => format!("without effect: {words}"),
                Fate::Database => "without effect: Waypost keeps no database".to_owned(),
                Fate::Refused(words) => format!("**an error**: {words}"),
            };
            let _ = writeln!(out, "| `{}` | {} |", row.key, words.replace('|', "\\|"));
        }
    }
    out.push_str("\n## `optional_pre_call_checks`\n\n| Check | What becomes of it |\n|---|---|\n");
    for (check, fate) in CHECKS {
        let words = match fate {
            Ok("") => "always so: limits that are written down hold".to_owned(),
            Ok(by) => format!("`waypost.groups.<id>.affinity`, by `{by}`"),
            Err(why) => format!("without effect: {why}"),
        };
        let _ = writeln!(out, "| `{check}` | {words} |");
    }
    out.push_str(DIFFERENCES);
    for text in ALWAYS {
        let _ = writeln!(out, "| every file | {text} |");
    }
    for rule in RULES {
        let keys: Vec<String> = rule.keys.iter().map(|key| format!("`{key}`")).collect();
        let _ = writeln!(out, "| {} | {} |", keys.join(", "), rule.text);
    }
    out
}

fn unknown(unknown: Unknown) -> &'static str {
    match unknown {
        Unknown::Refused => "Any other key is an error.",
        Unknown::Near => {
            "Any other key is an error if it looks like a misspelt one of those that have an effect, else a warning."
        }
        Unknown::HandedOn => {
            "The keys of a model in Waypost's dialect (`model_groups[].models[]` in configuration.md) have the same names here, \
             and they mean the same. Any other key is an error if it looks like a misspelt one, else a parameter of every call."
        }
        Unknown::Ignored => {
            "The keys of `model_info` in Waypost's dialect have the same names here. Any other is a note of yours, and a warning \
             if it looks like a misspelt one."
        }
    }
}

const INTRODUCTION: &str = "\
# LiteLLM's config.yaml

<!-- Made by `waypost schema --litellm`. -->

Every command takes a `config.yaml` of LiteLLM's proxy where it takes an `endpoints.yml`; it is known by its `model_list`.
`waypost check --config config.yaml` names everything in it that has no effect here, and `waypost import config.yaml
--output endpoints.yml` writes the same configuration in Waypost's own dialect, with a report of what differs.

Variables may be written as `os.environ/NAME` (the whole value), `${NAME}` and `$NAME`, the last two also inside a value; one
that is not set is an error. In a secret (`api_key`, passwords, `master_key`, …) `$NAME` counts only as the whole value, since
passwords contain `$`. A `$` that begins no name stays as it is.

A model without a provider in front is taken for that of its family, as LiteLLM does (`gpt-4o` is OpenAI's, `claude-…` is
Anthropic's); where the name says nothing, that is an error.
";

const DIFFERENCES: &str = "
## What differs on purpose

| Key | What it means here |
|---|---|
";
