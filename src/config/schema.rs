//! JSON Schema and reference page, made from the table of keys.

mod providers;

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::keys::{Effect, GROUP, Key, Kind, Section, Unknown, WAYPOST};

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
        Kind::DurationOr(words) => {
            let number = json!({ "type": "number", "exclusiveMinimum": 0 });
            let word = json!({ "enum": words });
            or_variable(&json!({ "anyOf": [number, word] }), NUMBER)
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
        Kind::TextOr(inner) => {
            json!({ "anyOf": [section(inner), { "type": ["string", "number", "null"] }] })
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
    providers::page(&mut out);
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
        Kind::DurationOr(words) => format!("time, or {}", providers::code(words)),
        Kind::Size => "size".to_owned(),
        Kind::Share => "number > 0, ≤ 1".to_owned(),
        Kind::Quantile => "number > 0, < 1".to_owned(),
        Kind::Choice(allowed) => providers::code(allowed),
        Kind::Choices(allowed) => format!("list of {}", providers::code(allowed)),
        Kind::Texts => "text or list of texts".to_owned(),
        Kind::FileOrFlag => "file or boolean".to_owned(),
        Kind::Any => "any".to_owned(),
        Kind::Mapping => "mapping".to_owned(),
        Kind::Section(section) => format!("mapping, see *{}*", section.title),
        Kind::List(section) => format!("list, see *{}*", section.title),
        Kind::TextOr(section) => format!("text or mapping, see *{}*", section.title),
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
