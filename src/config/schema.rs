//! JSON Schema and reference page, made from the table of keys.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::keys::{Effect, GROUP, Key, Kind, Section, Unknown, WAYPOST};
use crate::catalog::{Family, PROVIDERS, Provider, ollama};
use crate::types::CallIds;

/// JSON Schema of `endpoints.yml`, for editors. Numbers and booleans may also be a `${NAME}`.
#[must_use]
pub fn json_schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "endpoints.yml",
        "description": "Model groups of Rasa's endpoints.yml, and the section waypost. Other sections belong to Rasa.",
        "type": "object",
        "required": ["model_groups"],
        "properties": {
            "model_groups": {
                "type": "array",
                "minItems": 1,
                "description": plain(GROUP.doc),
                "items": section(&GROUP),
            },
            "waypost": section(&WAYPOST),
        },
    })
}

fn plain(doc: &str) -> String {
    doc.replace('`', "")
}

fn section(of: &'static Section) -> Value {
    let mut properties = Map::new();
    for key in of.keys() {
        let mut schema = kind(key.kind);
        if let Value::Object(object) = &mut schema {
            let mut text = plain(key.doc);
            if let Effect::None(why) | Effect::Later(why) = key.effect {
                let _ = write!(text, " Without effect: {why}.");
            }
            if let Some(default) = key.default {
                let _ = write!(text, " Default: {}.", plain(default));
            }
            object.insert("description".to_owned(), text.into());
        }
        properties.insert(key.name.to_owned(), schema);
    }
    let required: Vec<&str> = of
        .keys()
        .filter(|key| key.required)
        .map(|key| key.name)
        .collect();
    let mut schema =
        json!({ "type": "object", "description": plain(of.doc), "properties": properties });
    if let Value::Object(object) = &mut schema {
        if !required.is_empty() {
            object.insert("required".to_owned(), json!(required));
        }
        if of.unknown == Unknown::Refused {
            object.insert("additionalProperties".to_owned(), false.into());
        }
    }
    schema
}

/// A value, or a text that holds a variable or digits.
fn or_variable(schema: &Value, pattern: &str) -> Value {
    json!({ "anyOf": [schema, { "type": "string", "pattern": pattern }, { "type": "null" }] })
}

fn kind(kind: Kind) -> Value {
    const NUMBER: &str = r"\$\{|^\s*[-+]?[0-9.]";
    const FLAG: &str = r"\$\{|^(true|false)$";
    match kind {
        Kind::Text | Kind::Secret => json!({ "type": ["string", "number", "null"] }),
        Kind::Flag => or_variable(&json!({ "type": "boolean" }), FLAG),
        Kind::Integer(min, max) if max == u64::MAX => {
            or_variable(&json!({ "type": "integer", "minimum": min }), NUMBER)
        }
        Kind::Integer(min, max) => or_variable(
            &json!({ "type": "integer", "minimum": min, "maximum": max }),
            NUMBER,
        ),
        Kind::Number => or_variable(&json!({ "type": "number" }), NUMBER),
        Kind::Amount | Kind::SecondsOrZero => {
            or_variable(&json!({ "type": "number", "minimum": 0 }), NUMBER)
        }
        Kind::Seconds => or_variable(&json!({ "type": "number", "exclusiveMinimum": 0 }), NUMBER),
        Kind::Duration | Kind::DurationOrZero | Kind::Size => {
            or_variable(&json!({ "type": "number", "minimum": 0 }), NUMBER)
        }
        Kind::Share => or_variable(
            &json!({ "type": "number", "exclusiveMinimum": 0, "maximum": 1 }),
            NUMBER,
        ),
        Kind::Quantile => or_variable(
            &json!({ "type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1 }),
            NUMBER,
        ),
        Kind::Choice(allowed) => or_variable(&json!({ "enum": allowed }), r"\$\{"),
        Kind::Choices(allowed) => {
            let one = or_variable(&json!({ "enum": allowed }), r"\$\{");
            json!({ "anyOf": [one, { "type": "array", "items": one }] })
        }
        Kind::Texts => {
            json!({ "type": ["string", "number", "array", "null"], "items": { "type": ["string", "number"] } })
        }
        Kind::FileOrFlag => json!({ "type": ["string", "boolean", "null"] }),
        Kind::Any => json!({}),
        Kind::Mapping => json!({ "type": ["object", "null"] }),
        Kind::Section(inner) => section(inner),
        Kind::FlagOr(inner) => {
            json!({ "anyOf": [section(inner), { "type": "boolean" }, { "type": "string", "pattern": FLAG }, { "type": "null" }] })
        }
        Kind::List(inner) => json!({ "type": "array", "items": section(inner) }),
        Kind::Named(inner) => json!({ "type": "object", "additionalProperties": section(inner) }),
        Kind::NamedTexts(inner) => {
            json!({ "type": "object", "additionalProperties": { "anyOf": [{ "type": ["string", "number"] }, section(inner)] } })
        }
    }
}

/// The page about LiteLLM's file, `docs/litellm.md`.
#[must_use]
pub fn litellm() -> String {
    super::litellm::page()
}

/// The reference page, `docs/configuration.md`.
#[must_use]
pub fn markdown() -> String {
    let mut out = String::from(INTRODUCTION);
    let mut shown = Vec::new();
    page(&mut out, &GROUP, &mut shown);
    out.push_str(PROVIDERS_TITLE);
    providers(&mut out);
    let names: Vec<String> = ollama::names().map(|name| format!("`{name}`")).collect();
    let _ = writeln!(out, "{OLLAMA_TITLE}{}.", names.join(", "));
    page(&mut out, &WAYPOST, &mut shown);
    out
}

const INTRODUCTION: &str = "# Configuration

<!-- Made by `waypost schema --markdown` from the table the checks use; a test compares. Do not edit. -->

Waypost reads Rasa's `endpoints.yml`: the section `model_groups`, and its own section `waypost`, which Rasa ignores. The
other sections of the file are left alone. `waypost check --config FILE` reports every problem of a file at once and
prints what is in force; with `--strict` it also refuses what Rasa refuses. `config/endpoints.schema.json` is the same
as a JSON Schema for editors.

## Variables

`${NAME}` in any value below the two sections is replaced by the environment variable, quoted or not. A variable that is
not set is an error. `${NAME:-default}` has a default; Rasa does not load a file that uses it. A bare `$NAME` is left as
it is. What comes out of a variable is not expanded again, and cannot change the structure of the file; where a number
or a boolean belongs it is read as one. Secrets should always come from variables: Rasa refuses literal ones, Waypost
warns.

## YAML

The file is YAML 1.2, so only `true` and `false` are booleans; `yes`, `no`, `on` and `off` are text, and refused where a
boolean belongs. Anchors, aliases and merge keys work. A duplicate key is an error. A file has at most 4 MiB and 100,000
values.

Keys marked *no effect* are accepted, because files that Rasa loads have them, and a warning says so.
";

const PROVIDERS_TITLE: &str = "
## Providers

`provider` is compared exactly. An unknown name with `api_base` is taken to speak the OpenAI dialect, with a warning.

| Provider | Base URL, unless `api_base` is given | Key, unless `api_key` is given |
|---|---|---|
";

const DIFFERENCES: &str = "
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

/// A section with all below it that are not in `shown` yet.
fn page(out: &mut String, of: &'static Section, shown: &mut Vec<&'static str>) {
    if shown.contains(&of.path) {
        return;
    }
    shown.push(of.path);
    let _ = write!(out, "\n## {}\n\n`{}`: {}\n\n", of.title, of.path, of.doc);
    out.push_str("| Key | Type | Default | Meaning |\n|---|---|---|---|\n");
    let mut inner = Vec::new();
    let is_call = |key: &Key| key.doc.starts_with("Default of the request's field");
    for key in of.keys().filter(|key| !is_call(key)) {
        row(out, key);
        inner.extend(key.kind.section());
    }
    let call: Vec<String> = of
        .keys()
        .filter(|key| is_call(key))
        .map(|key| format!("`{}`", key.name))
        .collect();
    if !call.is_empty() {
        let _ = write!(
            out,
            "\nDefaults for fields of the request: {}.\n",
            call.join(", ")
        );
    }
    for section in inner {
        page(out, section, shown);
    }
}

fn row(out: &mut String, key: &Key) {
    let default = match key.default {
        Some(default) => default.to_owned(),
        None if key.required => "required".to_owned(),
        None => String::new(),
    };
    let effect = match key.effect {
        Effect::Honoured => String::new(),
        Effect::None(why) => format!(" *No effect: {why}.*"),
        Effect::Later(why) => format!(" *No effect yet: {why}.*"),
    };
    let _ = writeln!(
        out,
        "| `{}` | {} | {default} | {}{effect} |",
        key.name,
        name(key.kind),
        key.doc
    );
}

fn name(kind: Kind) -> String {
    match kind {
        Kind::Text => "text".to_owned(),
        Kind::Secret => "secret".to_owned(),
        Kind::Flag => "boolean".to_owned(),
        Kind::Integer(min, max) if max >= u64::from(u32::MAX) => format!("integer ≥ {min}"),
        Kind::Integer(min, max) => format!("integer {min} to {max}"),
        Kind::Number => "number".to_owned(),
        Kind::Amount => "number ≥ 0".to_owned(),
        Kind::Seconds => "seconds > 0".to_owned(),
        Kind::SecondsOrZero => "seconds ≥ 0".to_owned(),
        Kind::Duration => "time".to_owned(),
        Kind::DurationOrZero => "time, or 0".to_owned(),
        Kind::Size => "size".to_owned(),
        Kind::Share => "number > 0, ≤ 1".to_owned(),
        Kind::Quantile => "number > 0, < 1".to_owned(),
        Kind::Choice(allowed) => code(allowed),
        Kind::Choices(allowed) => format!("list of {}", code(allowed)),
        Kind::Texts => "text or list of texts".to_owned(),
        Kind::FileOrFlag => "file or boolean".to_owned(),
        Kind::Any => "any".to_owned(),
        Kind::Mapping => "mapping".to_owned(),
        Kind::Section(section) => format!("mapping, see *{}*", section.title),
        Kind::List(section) => format!("list, see *{}*", section.title),
        Kind::FlagOr(section) => format!("boolean or mapping, see *{}*", section.title),
        Kind::Named(section) => format!("mapping of names, see *{}*", section.title),
        Kind::NamedTexts(section) => {
            format!(
                "mapping of names to text or mapping, see *{}*",
                section.title
            )
        }
    }
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
    out.push_str(DIFFERENCES);
    for provider in PROVIDERS {
        let says = differences(provider);
        if !says.is_empty() {
            let _ = writeln!(out, "| `{}` | {} |", provider.name, says.join("; "));
        }
    }
}

fn code(names: &[&str]) -> String {
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
