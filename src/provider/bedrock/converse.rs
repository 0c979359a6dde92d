//! A chat as Converse wants it.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::blocks::{Block, Writer};
use super::models::Model;
use super::tools::Tools;
use crate::provider::AdaptError;
use crate::provider::anthropic::thought;
use crate::provider::chat::{Asked, Effort, Format, Object, Turn, turns};

/// Members of Converse itself that a request or file may have, sent as they are.
const OWN: [&str; 5] = [
    "additionalModelResponseFieldPaths",
    "performanceConfig",
    "promptVariables",
    "requestMetadata",
    "serviceTier",
];

/// The body for `asked`.
///
/// # Errors
/// Naming what Converse or the model can't do.
pub(super) fn body(
    asked: &mut Asked<'_>,
    model: &Model,
    account: &str,
) -> Result<Bytes, AdaptError> {
    let (system, turns) = turns(asked.messages()?, account);
    let mut writer = Writer::new(model);
    let mut system = writer.system(&system)?;
    let messages = writer.messages(&turns)?;
    let mut more = additional(asked)?;
    let mut output = Object::default();
    let format = format(asked, model, &mut output)?;
    if matches!(format, Some(Format::Object)) {
        system.push(Block::Text(OBJECT));
    }
    let tools = Tools::read(asked, &turns, format)?;
    let thinks = think(asked, model, &turns, tools.must_be_called(), &mut more)?;
    let forces = model.forces && model.claude.is_none_or(|claude| claude.may_force(thinks));
    let tools = tools.config(asked, model, forces, &mut more)?;

    let mut body = Object::default();
    body.set("messages", &messages);
    if !system.is_empty() {
        body.set("system", &system);
    }
    let inference = inference(asked, model, thinks, &mut more)?;
    for (name, part) in [("inferenceConfig", &inference), ("toolConfig", &tools)] {
        if !part.is_empty() {
            body.set(name, part);
        }
    }
    if !output.is_empty() {
        body.set("outputConfig", &output);
    }
    guardrail(asked, &mut body)?;
    metadata(asked, &mut body)?;
    tier(asked, &mut body)?;
    for name in OWN {
        if let Some(value) = asked.raw(name) {
            body.set_raw(name, value)?;
        }
    }
    if !more.is_empty() {
        body.set("additionalModelRequestFields", &more);
    }
    asked.add_extra(&mut body)?;
    Ok(body.to_bytes())
}

/// The system's last word where an object of any form is asked for.
const OBJECT: &str = "Answer with one JSON object and nothing else.";

/// What is the model's and not Converse's.
fn additional(asked: &Asked<'_>) -> Result<Object, AdaptError> {
    let mut more = Object::default();
    asked.pass_on(&mut more)?;
    if let Some(betas) = asked.raw("anthropic_beta") {
        more.set_raw("anthropic_beta", betas)?;
    }
    let own: Option<BTreeMap<String, Box<RawValue>>> =
        asked.read("additionalModelRequestFields", "an object")?;
    for (name, value) in own.into_iter().flatten() {
        more.set(name, &value);
    }
    Ok(more)
}

/// Puts the effort where the model has it; whether the model is asked to think. A tool that must be called goes before that
/// (`forced`).
fn think(
    asked: &mut Asked<'_>,
    model: &Model,
    turns: &[Turn],
    forced: bool,
    more: &mut Object,
) -> Result<bool, AdaptError> {
    if let Some(claude) = model.claude {
        let limit = asked.limit()?.unwrap_or(claude.max_output);
        let thought = thought(asked, &claude, turns, limit, forced)?;
        let thinks = thought.is_on();
        more.set_some("thinking", thought.thinking);
        let effort = thought.effort.map(|effort| json!({"effort": effort}));
        more.set_some("output_config", effort);
        return Ok(thinks);
    }
    if let Some(own) = asked.raw("thinking") {
        more.set_raw("thinking", own)?;
    }
    let Some(effort) = asked.effort()? else {
        return Ok(false);
    };
    if model.effort {
        let word = match effort {
            Effort::None | Effort::Minimal | Effort::Low => "low",
            Effort::Medium => "medium",
            Effort::High | Effort::Xhigh | Effort::Max => "high",
        };
        more.set("reasoning_effort", word);
        return Ok(true);
    }
    if effort != Effort::None {
        let why = "of its models only Claude and gpt-oss are told how much to think by Converse in a way that is known; \
                   `additionalModelRequestFields` reaches any model";
        asked.refuse("reasoning_effort", why)?;
    }
    Ok(false)
}

/// Limits and sampling.
fn inference(
    asked: &mut Asked<'_>,
    model: &Model,
    thinks: bool,
    more: &mut Object,
) -> Result<Object, AdaptError> {
    let mut inference = Object::default();
    inference.set_some("maxTokens", asked.limit()?);
    // Claude refuses these where it thinks, and newer ones at all.
    if model.claude.is_none_or(|claude| claude.sampling && !thinks) {
        let temperature = asked.number("temperature")?;
        // OpenAI's reaches to 2.
        let temperature = temperature.map(|own| match own.as_f64() {
            Some(number) if number > 1.0 => 1.into(),
            _ => own,
        });
        inference.set_some("temperature", temperature);
        inference.set_some("topP", asked.number("top_p")?);
        match asked.number("top_k")? {
            Some(number) if model.nested_top_k => {
                more.set("inferenceConfig", &json!({"topK": number}));
            }
            number => {
                more.set_some("top_k", number);
            }
        }
    } else {
        for name in ["temperature", "top_p", "top_k"] {
            asked.leave_out(name);
        }
    }
    let mut stop = asked.stop()?;
    stop.retain(|text| !text.trim().is_empty());
    inference.set_some("stopSequences", (!stop.is_empty()).then_some(stop));
    Ok(inference)
}

/// The form of the answer, where Converse has it; else it is given back, for a tool or a word to the system.
fn format(
    asked: &Asked<'_>,
    model: &Model,
    output: &mut Object,
) -> Result<Option<Format>, AdaptError> {
    let format = asked.format()?;
    let Some(Format::Schema {
        name,
        description,
        schema,
        ..
    }) = &format
    else {
        return Ok(format);
    };
    if !model.native_schema {
        return Ok(format);
    }
    let mut definition = Object::default();
    definition.set("schema", schema.get());
    definition.set_some("name", name.as_ref());
    definition.set_some(
        "description",
        description.as_ref().filter(|text| !text.is_empty()),
    );
    let text = json!({"type": "json_schema", "structure": {"jsonSchema": definition}});
    output.set("textFormat", &text);
    Ok(None)
}

/// The guardrail of file or request.
fn guardrail(asked: &Asked<'_>, body: &mut Object) -> Result<(), AdaptError> {
    let own: Option<BTreeMap<String, Value>> = asked.read("guardrailConfig", "an object")?;
    let Some(mut own) = own else { return Ok(()) };
    if !asked.is_stream() {
        own.remove("streamProcessingMode"); // unknown where there is no stream
    }
    for value in own.values_mut().filter(|value| value.is_number()) {
        *value = value.to_string().into(); // a version, without the quotes that YAML needs
    }
    body.set("guardrailConfig", &own);
    Ok(())
}

/// The most pairs and the longest of either that Bedrock takes.
const MOST_METADATA: usize = 16;
const LONGEST_METADATA: usize = 256;

/// `metadata` as `requestMetadata`: what is a text that Bedrock takes.
fn metadata(asked: &Asked<'_>, body: &mut Object) -> Result<(), AdaptError> {
    let own: Option<BTreeMap<String, Value>> = asked.read("metadata", "an object")?;
    let fits = |text: &str| {
        let allowed = |c: char| {
            c.is_ascii_alphanumeric() || c.is_ascii_whitespace() || ":_@$#=/+,-.".contains(c)
        };
        text.len() <= LONGEST_METADATA && text.chars().all(allowed)
    };
    let texts: BTreeMap<&String, &str> = own
        .iter()
        .flatten()
        .filter_map(|(name, value)| Some((name, value.as_str()?)))
        .filter(|(name, value)| !name.is_empty() && fits(name) && fits(value))
        .take(MOST_METADATA)
        .collect();
    if !texts.is_empty() {
        body.set("requestMetadata", &texts);
    }
    Ok(())
}

/// `service_tier`
fn tier(asked: &mut Asked<'_>, body: &mut Object) -> Result<(), AdaptError> {
    let tier: Option<String> = asked.read("service_tier", "a text")?;
    match tier.as_deref() {
        None | Some("auto") => Ok(()),
        Some(tier @ ("default" | "flex" | "priority" | "reserved")) => {
            body.set("serviceTier", &json!({"type": tier}));
            Ok(())
        }
        Some(_) => asked.refuse(
            "service_tier",
            "its tiers are default, flex, priority and reserved",
        ),
    }
}
