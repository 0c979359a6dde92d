//! The parts of a body that are made of parameters; `table.rs` says what becomes of each.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::models::{self, Thinks};
use crate::provider::AdaptError;
use crate::provider::chat::{Asked, Choice, Format, Object, Tool, unsupported};

/// Numbers: OpenAI's names, and those in `generationConfig`.
const NUMBERS: &[(&str, &str)] = &[
    ("temperature", "temperature"),
    ("top_p", "topP"),
    ("top_k", "topK"),
    ("n", "candidateCount"),
    ("seed", "seed"),
    ("presence_penalty", "presencePenalty"),
    ("frequency_penalty", "frequencyPenalty"),
    ("top_logprobs", "logprobs"),
];

/// Members of `generationConfig` that may stand beside OpenAI's names.
const OWN: &[&str] = &[
    "responseModalities",
    "speechConfig",
    "mediaResolution",
    "imageConfig",
];

/// As many stop sequences Gemini takes.
const MOST_STOPS: usize = 5;

type Raw<'a> = &'a RawValue;

/// `generationConfig`.
///
/// # Errors
/// Naming the parameter that can't be had.
pub(super) fn generation(asked: &mut Asked<'_>, thinks: Thinks) -> Result<Object, AdaptError> {
    let mut config = Object::default();
    let ground: Option<BTreeMap<String, Box<RawValue>>> =
        asked.read("generationConfig", "an object")?;
    for (name, value) in ground.into_iter().flatten() {
        config.set(name, &value);
    }
    for name in OWN {
        config.set_some(*name, asked.read::<Raw<'_>>(name, "as Gemini has it")?);
    }
    config.set_some("maxOutputTokens", asked.limit()?);
    for (ours, theirs) in NUMBERS {
        config.set_some(*theirs, asked.number(ours)?);
    }
    stops(asked, &mut config)?;
    if asked.read::<bool>("logprobs", "true or false")? == Some(true) {
        config.set("responseLogprobs", &true);
    }
    format(asked, &mut config)?;
    modalities(asked, &mut config)?;
    if let Some(thinking) = thinking(asked, thinks)? {
        config.set("thinkingConfig", &thinking);
    }
    Ok(config)
}

fn stops(asked: &Asked<'_>, config: &mut Object) -> Result<(), AdaptError> {
    let stops = asked.stop()?;
    if stops.len() > MOST_STOPS {
        let message = format!("`stop` may hold {MOST_STOPS} texts at most: Gemini takes no more");
        return Err(unsupported("stop", message));
    }
    if !stops.is_empty() {
        config.set("stopSequences", &stops);
    }
    Ok(())
}

fn format(asked: &Asked<'_>, config: &mut Object) -> Result<(), AdaptError> {
    const JSON: &str = "application/json";
    match asked.format()? {
        None | Some(Format::Text) => {}
        Some(Format::Object) => {
            config.set("responseMimeType", JSON);
        }
        Some(Format::Schema { schema, .. }) => {
            config
                .set("responseMimeType", JSON)
                .set("responseJsonSchema", &schema);
        }
    }
    Ok(())
}

fn modalities(asked: &mut Asked<'_>, config: &mut Object) -> Result<(), AdaptError> {
    #[derive(Deserialize)]
    struct Audio {
        voice: Option<Value>,
        format: Option<String>,
    }
    let modalities: Vec<String> = asked
        .read("modalities", "a list of texts")?
        .unwrap_or_default();
    let speaks = modalities.iter().any(|one| one == "audio");
    // Of a list that only says `text` nothing is said: Gemini's default depends on the model.
    if speaks {
        config.set("responseModalities", &["AUDIO"]);
    } else if modalities.iter().any(|one| one != "text") {
        let words: Vec<String> = modalities
            .iter()
            .map(|one| one.to_ascii_uppercase())
            .collect();
        config.set("responseModalities", &words);
    }
    let audio: Option<Audio> = asked.read("audio", "an object")?;
    let Some(audio) = audio.filter(|_| speaks) else {
        return Ok(());
    };
    if audio
        .format
        .as_deref()
        .is_some_and(|format| format != "pcm16")
    {
        return asked.refuse("audio", "its audio has the `format` `pcm16` and no other");
    }
    if let Some(Value::String(voice)) = audio.voice {
        let voice = json!({"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": voice}}});
        config.set("speechConfig", &voice);
    }
    Ok(())
}

/// `thinkingConfig`, by whichever of its three forms the request has, or else the file.
fn thinking(asked: &mut Asked<'_>, thinks: Thinks) -> Result<Option<Value>, AdaptError> {
    #[derive(Deserialize)]
    struct Thinking {
        #[serde(rename = "type")]
        kind: Option<String>,
        budget_tokens: Option<i64>,
    }
    match asked.first(&["thinkingConfig", "thinking", "reasoning_effort"]) {
        None => Ok(None),
        Some(("thinkingConfig", _)) => asked.read("thinkingConfig", "an object"),
        Some(("thinking", _)) => {
            let thinking: Option<Thinking> = asked.read("thinking", "an object with a `type`")?;
            let thinking = thinking.filter(|thinking| thinking.kind.as_deref() != Some("disabled"));
            Ok(Some(match thinking {
                None => json!({"thinkingBudget": 0}),
                Some(Thinking {
                    budget_tokens: None,
                    ..
                }) => json!({"includeThoughts": true}),
                Some(Thinking {
                    budget_tokens: Some(tokens),
                    ..
                }) => {
                    json!({"thinkingBudget": tokens, "includeThoughts": true})
                }
            }))
        }
        Some(_) => {
            let Some(effort) = asked.effort()? else {
                return Ok(None);
            };
            let off = effort == crate::provider::chat::Effort::None;
            match models::effort(thinks, effort) {
                Some((name, value)) if off => Ok(Some(json!({name: value}))),
                Some((name, value)) => Ok(Some(json!({name: value, "includeThoughts": true}))),
                None if off => Ok(None),
                None => {
                    let why = "this model is not known to think; `base_model` says which one it is";
                    asked.refuse("reasoning_effort", why)?;
                    Ok(None)
                }
            }
        }
    }
}

/// Adds the tools and which of them may be called.
///
/// # Errors
/// If one is no function.
pub(super) fn tools(asked: &mut Asked<'_>, body: &mut Object) -> Result<(), AdaptError> {
    let tools = asked.tools()?;
    let (choice, _) = asked.choice()?;
    let mut all = Vec::new();
    if !tools.is_empty() {
        let functions: Vec<Object> = tools.iter().map(declaration).collect();
        let mut entry = Object::default();
        entry.set("functionDeclarations", &functions);
        all.push(entry);
        if let Some(choice) = choice {
            let config = match choice {
                Choice::Auto => json!({"mode": "AUTO"}),
                Choice::None => json!({"mode": "NONE"}),
                Choice::Required => json!({"mode": "ANY"}),
                Choice::Named(name) => json!({"mode": "ANY", "allowedFunctionNames": [name]}),
            };
            body.set("toolConfig", &json!({"functionCallingConfig": config}));
        }
    }
    if asked.raw("web_search_options").is_some() {
        let mut entry = Object::default();
        entry.set("googleSearch", &json!({}));
        all.push(entry);
    }
    if !all.is_empty() {
        body.set("tools", &all);
    }
    Ok(())
}

fn declaration(tool: &Tool) -> Object {
    let mut function = Object::default();
    function
        .set("name", &tool.name)
        .set_some("description", tool.description.as_deref())
        // Without members it is no schema of an object, which Gemini would refuse.
        .set_some(
            "parametersJsonSchema",
            tool.parameters
                .as_ref()
                .filter(|schema| !matches!(schema.get(), "{}" | "{ }")),
        );
    function
}

/// Adds what stands beside the contents: tier, labels, and Gemini's own names in Python's spelling.
///
/// # Errors
/// Naming the parameter that can't be had.
pub(super) fn beside(
    asked: &mut Asked<'_>,
    vertex: bool,
    body: &mut Object,
) -> Result<(), AdaptError> {
    for (ours, theirs) in [
        ("safety_settings", "safetySettings"),
        ("cached_content", "cachedContent"),
    ] {
        body.set_some(theirs, asked.read::<Raw<'_>>(ours, "as Gemini has it")?);
    }
    let tier: Option<String> = asked.read("service_tier", "a text")?;
    match tier.as_deref() {
        None | Some("auto") => {}
        Some("default" | "standard") => {
            body.set("serviceTier", "standard");
        }
        Some("flex") => {
            body.set("serviceTier", "flex");
        }
        Some("priority" | "fast") => {
            body.set("serviceTier", "priority");
        }
        Some(_) => asked.refuse("service_tier", "it has auto, default, flex and priority")?,
    }
    let metadata: BTreeMap<String, Value> =
        asked.read("metadata", "an object")?.unwrap_or_default();
    if metadata.is_empty() {
        return Ok(());
    }
    let labels: BTreeMap<&str, &str> = metadata
        .iter()
        .filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)))
        .filter(|(name, value)| vertex && is_label(name) && is_label_text(value))
        .collect();
    if labels.len() < metadata.len() {
        asked.leave_out("metadata");
    }
    if !labels.is_empty() && !body.has("labels") {
        body.set("labels", &labels);
    }
    Ok(())
}

/// Google Cloud's rules: up to 63 lower-case letters, digits, `_` and `-`; a name begins with a letter.
fn is_label_text(text: &str) -> bool {
    let allowed = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || b"_-".contains(&c);
    text.len() <= 63 && text.bytes().all(allowed)
}

fn is_label(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase()) && is_label_text(name)
}
