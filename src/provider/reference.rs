//! What becomes of each parameter, for people: `docs/providers.md`.

use std::fmt::Write as _;

use super::chat::params::OPENAI;
use super::chat::{ANY, Table, Treatment};
use super::{anthropic, bedrock, cohere, gemini, ollama};

/// A dialect that is translated.
struct Row {
    title: &'static str,
    /// The values of `provider` that speak it.
    providers: &'static [&'static str],
    /// What else is to be known.
    about: &'static str,
    table: Table,
}

const DIALECTS: &[Row] = &[
    Row {
        title: "Anthropic",
        providers: &["anthropic"],
        about: anthropic::ABOUT,
        table: anthropic::TABLE,
    },
    Row {
        title: "Amazon Bedrock",
        providers: &["bedrock", "bedrock_converse"],
        about: bedrock::ABOUT,
        table: bedrock::TABLE,
    },
    Row {
        title: "Gemini",
        providers: &["gemini", "vertex_ai", "vertex_ai_beta"],
        about: gemini::ABOUT,
        table: gemini::TABLE,
    },
    Row {
        title: "Cohere",
        providers: &["cohere", "cohere_chat"],
        about: cohere::ABOUT,
        table: cohere::TABLE,
    },
    Row {
        title: "Ollama",
        providers: &["ollama", "ollama_chat"],
        about: ollama::ABOUT,
        table: ollama::TABLE,
    },
];

const INTRODUCTION: &str = "\
# Dialects that are translated

<!-- Made by `waypost schema --providers`; do not edit. -->

Most providers speak OpenAI's dialect: what the client sends goes to them as it is. Those below have an API of their own.
Waypost says in their words what the client asks, and what they answer in OpenAI's.

The tables show what becomes of each parameter of a chat. One that is *left out* does not change the answer, or would not
be taken by the model in question; the header `x-waypost-dropped-params` of the answer names it. One that is *refused* is
answered with status 400 and its name in `param`, unless it says no more than leaving it out would. With `drop_params: true`
it is left out instead, `additional_drop_params` leaves parameters out in any case, and `allowed_openai_params` sends them
as they are. A parameter that the file gives is never a reason to refuse a request; one that is in no table goes to the
provider as it is if the file gives it, and is refused if the client does.
";

/// The reference page, `docs/providers.md`.
#[must_use]
pub fn reference() -> String {
    let mut out = INTRODUCTION.to_owned();
    for dialect in DIALECTS {
        let providers: Vec<String> = dialect.providers.iter().map(|p| format!("`{p}`")).collect();
        let _ = write!(
            out,
            "\n## {}\n\nProvider {}. {}\n\n| Parameter | Becomes |\n|---|---|\n",
            dialect.title,
            providers.join(", "),
            dialect.about
        );
        for (name, treatment) in dialect.table {
            let text = match treatment {
                Treatment::Becomes(what) => (*what).to_owned(),
                Treatment::Native => "the same".to_owned(),
                Treatment::Ignored => "left out".to_owned(),
                Treatment::Refused(why) => format!("refused: {why}"),
            };
            if *name == ANY {
                let _ = writeln!(out, "| any other | {text} |");
                continue;
            }
            let own = if OPENAI.contains(name) {
                ""
            } else {
                " (its own)"
            };
            let _ = writeln!(out, "| `{name}`{own} | {text} |");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_says_what_becomes_of_each_parameter_once() {
        for dialect in DIALECTS {
            let count = |name: &str| dialect.table.iter().filter(|(n, _)| *n == name).count();
            for name in OPENAI {
                assert!(count(name) + count(ANY) > 0, "{}: {name}", dialect.title);
            }
            for (name, _) in dialect.table {
                assert_eq!(count(name), 1, "{}: {name}", dialect.title);
            }
        }
    }
}
