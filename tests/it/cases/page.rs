//! The cases as a page.

use std::fmt::Write as _;
use std::path::Path;

use super::{Case, Cases, read};

/// The section of what is not there.
pub(super) const NOT_BUILT: &str = "not-built";

const HEAD: &str = "\
# Routing, case by case

<!-- Made from tests/data/routing-cases.yml by `CASES=write cargo nextest run -E 'test(cases::page)'`. -->

What is decided in which state, beside what LiteLLM 1.109 decides where that is not the same, and why. Every line is played by
a test over simulated deployments; the name in front finds it in `tests/data/routing-cases.yml`, with the configuration to try
it with. Deployments are `a`, `b`, `c`, of a group `g` where nothing else is said; they are healthy, and settings have their
defaults, where nothing else is said.
";

fn cell(text: &str) -> String {
    text.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace('|', "\\|")
}

fn row(case: &Case) -> String {
    let Case {
        id,
        state,
        request,
        decision,
        litellm,
        why,
        ..
    } = case;
    let [state, request, decision] = [state, request, decision].map(|text| cell(text));
    let litellm = cell(litellm.as_deref().unwrap_or("the same"));
    let why = cell(why.as_deref().unwrap_or_default());
    if case.section == NOT_BUILT {
        return format!("| `{id}` | {state} {request} | {decision} | {litellm} |\n");
    }
    format!("| `{id}` | {state} | {request} | {decision} | {litellm} | {why} |\n")
        .replace("|  |", "| |")
}

fn page(Cases { sections, cases }: &Cases) -> String {
    let mut page = HEAD.to_owned();
    for section in sections {
        let about = cell(&section.about);
        let table = if section.id == NOT_BUILT {
            "| | Asked for | What happens instead | LiteLLM |\n|---|---|---|---|\n"
        } else {
            "| | State | Request | Waypost | LiteLLM | Why not the same |\n|---|---|---|---|---|---|\n"
        };
        let title = &section.title;
        let about = if about.is_empty() {
            about
        } else {
            format!("\n{about}\n")
        };
        write!(page, "\n## {title}\n{about}\n{table}").expect("a string");
        page.extend(
            cases
                .iter()
                .filter(|case| case.section == section.id)
                .map(row),
        );
    }
    page
}

#[test]
fn is_up_to_date() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/routing-cases.md");
    let page = page(&read());
    if std::env::var("CASES").is_ok_and(|what| what == "write") {
        std::fs::write(&file, &page).expect("a file that can be written");
    }
    let there = std::fs::read_to_string(file).unwrap_or_default();
    assert!(
        there == page,
        "run: CASES=write cargo nextest run -E 'test(cases::page)'"
    );
}
