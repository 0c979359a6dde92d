//! The reference page's part about providers, made from their catalog.

use std::fmt::Write as _;

use crate::catalog::{Family, PROVIDERS, Provider, ollama};
use crate::types::CallIds;

const TITLE: &str = "
## Providers

`provider` is compared exactly. An unknown name with `api_base` is taken to speak the OpenAI dialect, with a warning.

| Provider | Base URL, unless `api_base` is given | Key, unless `api_key` is given |
|---|---|---|
";

const DIFFERENCES_TITLE: &str = "
### What is not as OpenAI has it

All else passes as it is. What is *not sent* changes no answer, and `x-waypost-dropped-params` names it. What is *refused*
would: a request that asks for it gets 400 `unsupported_parameter`, unless `drop_params` or `additional_drop_params` allow
to leave it out, or `allowed_openai_params` to send it; values that ask for nothing (`null`, `false`, an empty list, `n: 1`)
are left out instead. *Without earlier reasoning*: `reasoning_content`, `thinking_blocks` and `extra_content` in the messages
stay here; all others but the blocks of other dialects get them back. The text of the reasoning is in `reasoning_content`; from
self-hosted and unknown providers it comes as they name it.

| Provider | Differences |
|---|---|
";

const OLLAMA_TITLE: &str = "
### Ollama's own API

A deployment of `ollama` or `ollama_chat` is spoken to at `/v1`, as OpenAI. There Ollama ignores its own options, so one that
configures any of those below, as a key of the model or the group or in `extra_body`, gets chat at `/api/chat` and embeddings
at `/api/embed`; `waypost check` shows which. What the file says is the default, and a request may say otherwise.
`/completions` stays at `/v1/completions`, without these options.

Over its own API Ollama cannot fetch images (`data:` URLs only) or force a tool (`tool_choice` other than `none` counts as
`auto`), and `n` above 1, `logit_bias`, `functions`, `audio`, `modalities` and `web_search_options` are refused with 400. Fields
that Ollama has no counterpart for, such as `user` or `metadata`, are not sent.

The options: ";

/// Appends the tables of providers, of their differences, and of Ollama's options.
pub(super) fn page(out: &mut String) {
    out.push_str(TITLE);
    providers(out);
    out.push_str(DIFFERENCES_TITLE);
    for provider in PROVIDERS {
        let says = differences(provider);
        if !says.is_empty() {
            let _ = writeln!(out, "| `{}` | {} |", provider.name, says.join("; "));
        }
    }
    let names: Vec<String> = ollama::names().map(|name| format!("`{name}`")).collect();
    let _ = writeln!(out, "{OLLAMA_TITLE}{}.", names.join(", "));
}

fn providers(out: &mut String) {
    let mut refused = Vec::new();
    for provider in PROVIDERS {
        if matches!(provider.family, Family::Untranslated | Family::InsideRasa) {
            refused.push(format!("`{}`", provider.name));
            continue;
        }
        let base = provider.default_base.map(|base| match base.contains('$') {
            true => format!("`{base}`"),
            false => base.to_owned(),
        });
        let base: Vec<String> = [code(provider.base_env), base.unwrap_or_default()]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect();
        let key = match (code(provider.key_env), provider.key_required) {
            (key, true) => key,
            (key, false) if key.is_empty() => "none needed".to_owned(),
            (key, false) => format!("{key}; none needed"),
        };
        let _ = writeln!(
            out,
            "| `{}` | {} | {key} |",
            provider.name,
            base.join(", else ")
        );
    }
    let _ = write!(
        out,
        "\nKnown, but refused so far: {}.\n",
        refused.join(", ")
    );
}

/// Names in a list.
pub(super) fn code(names: &[&str]) -> String {
    names
        .iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// What requests to a provider and its answers have otherwise than OpenAI's.
fn differences(provider: &Provider) -> Vec<String> {
    let quirks = provider.quirks;
    let arrows = |pairs: &[(&str, &str)]| {
        pairs
            .iter()
            .map(|(from, to)| match from.is_empty() {
                true => format!("empty → `{to}`"),
                false => format!("`{from}` → `{to}`"),
            })
            .collect::<Vec<_>>()
            .join(", ")
    };
    let mut ignored = quirks.ignored.to_vec();
    if !provider.stream_options && !ignored.contains(&"stream_options") {
        ignored.push("stream_options");
    }
    let values: Vec<String> = quirks
        .values
        .iter()
        .map(|(name, ours, theirs)| format!("`{name}: {ours}` → `{theirs}`"))
        .collect();
    let finish: Vec<(&str, &str)> = quirks
        .answers
        .finish
        .iter()
        .chain(quirks.answers.failures)
        .copied()
        .collect();
    let lists = [
        ("not sent: ", code(&ignored)),
        ("refused: ", code(quirks.refused)),
        ("renamed: ", arrows(provider.renames)),
        ("in embeddings: ", arrows(quirks.embedding_renames)),
        ("added to embeddings: ", arrows(quirks.embedding_defaults)),
        ("values: ", values.join(", ")),
        ("in tools not sent: ", code(quirks.tool_fields)),
        ("`finish_reason`: ", arrows(&finish)),
    ];
    let ids = match quirks.history.ids {
        CallIds::Any => String::new(),
        CallIds::AtMost(most) => format!("ids of calls longer than {most} characters are replaced"),
        CallIds::Nine => "ids of calls are nine letters and digits".to_owned(),
    };
    let flags = [
        (quirks.embeddings_only, "embeddings only"),
        (
            !provider.encoding_format,
            "`encoding_format` is seen to here",
        ),
        (provider.completions_only, "chat is asked as a completion"),
        (quirks.history.strict, "without earlier reasoning"),
        (quirks.history.no_nulls, "assistant messages without nulls"),
        (quirks.history.no_names, "messages without `name`"),
        (quirks.history.no_developer, "`developer` becomes `system`"),
        (
            quirks.history.reasoning.is_some(),
            "earlier reasoning goes back as `reasoning`",
        ),
        (
            quirks.answers.reasoning.is_some(),
            "`reasoning` becomes `reasoning_content`",
        ),
        (
            quirks.answers.usage_unasked,
            "usage in streams only if it is asked for",
        ),
        (quirks.own_errors, "types of errors go by the status"),
        (
            quirks.answers.content_lists,
            "thinking in lists becomes `reasoning_content`",
        ),
        (
            quirks.answers.reasoning_apart,
            "`completion_tokens` made to hold the reasoning",
        ),
        (
            quirks.answers.whole_messages,
            "chunks without the message so far",
        ),
        (
            quirks.answers.cached_tokens.is_some(),
            "`prompt_tokens_details.cached_tokens` filled in",
        ),
    ];
    lists
        .into_iter()
        .filter(|(_, list)| !list.is_empty())
        .map(|(what, list)| format!("{what}{list}"))
        .chain((!ids.is_empty()).then_some(ids))
        .chain(
            flags
                .iter()
                .filter(|(is, _)| *is)
                .map(|(_, says)| (*says).to_owned()),
        )
        .collect()
}
