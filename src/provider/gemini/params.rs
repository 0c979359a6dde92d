//! What becomes of the parameters, and the body that is made of them.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::models::{self, Thinks};
use crate::provider::AdaptError;
use crate::provider::chat::Treatment::{Becomes, Ignored, Native, Refused};
use crate::provider::chat::{Asked, Choice, Format, Object, Table, Tool, unsupported};

/// What people should know of it beside the table.
pub(in crate::provider) const ABOUT: &str = "Chats go to `generateContent`, streams to `streamGenerateContent`: with `gemini` \
below `{api_base}/v1beta/models` of the Gemini API (AI Studio), the key in `x-goog-api-key`; with `vertex_ai` below the project \
and location of Vertex AI (`global`, `us` and `eu` are locations, too; `vertex_ai_beta` is its version `v1beta1`), with a token \
of Google Cloud. `/completions` is refused. Models differ in how they are told how much to think; they are known by their \
names, a tuned model (`endpoints/NUMBER`) by `base_model`.

- At Vertex AI `claude-…` is spoken to as Anthropic's models are, `mistral-…`, `ministral-…` and `codestral-…` in OpenAI's \
dialect as Mistral's are, and any other `PUBLISHER/MODEL` at Google's OpenAI endpoint, as are Google's own models by \
`openapi/google/MODEL`.
- System and developer messages are joined in `systemInstruction`; neighbouring messages of one side become one. What a tool \
answered goes as it is if it is a JSON object, else as the object's member `result`.
- Images, audio and files come as base64, or by URL, which Google fetches; what a URL holds is told by its ending.
- What the model thought comes as `reasoning_content` if `reasoning_effort` asks for it. Calls of tools come with the signature \
of the thought behind them, in `extra_content.google.thought_signature` and in the call's id; Gemini 3 wants it back, and either \
is enough. Where a history has none, since another model made it, Google is told so. Signatures of texts come and go in \
`thinking_blocks`.
- A blocked prompt is an answer with `content_filter`. An answer that ends in a failure of the model, such as a malformed call, \
before anything was said counts as a failure of the deployment.
- Embeddings: up to 100 texts a call go to `batchEmbedContents`; at Vertex AI to `predict`, one text a call for \
`gemini-embedding-001`, and to `embedContent` for later ones of Gemini. `dimensions`, `task_type`, `title` and `auto_truncate` \
go along. Vectors of reduced size are not normalised, neither by Google nor here.";

/// Parameters of chats.
pub(in crate::provider) const CHAT: Table = &[
    (
        "max_completion_tokens",
        Becomes("`generationConfig.maxOutputTokens`"),
    ),
    (
        "max_tokens",
        Becomes("`generationConfig.maxOutputTokens`, if `max_completion_tokens` is not given"),
    ),
    ("temperature", Becomes("`generationConfig.temperature`")),
    ("top_p", Becomes("`generationConfig.topP`")),
    ("n", Becomes("`generationConfig.candidateCount`")),
    (
        "stop",
        Becomes("`generationConfig.stopSequences`; more than 5 are refused"),
    ),
    ("seed", Becomes("`generationConfig.seed`")),
    (
        "frequency_penalty",
        Becomes("`generationConfig.frequencyPenalty`"),
    ),
    (
        "presence_penalty",
        Becomes("`generationConfig.presencePenalty`"),
    ),
    ("logit_bias", Refused("Gemini has no counterpart")),
    ("logprobs", Becomes("`generationConfig.responseLogprobs`")),
    ("top_logprobs", Becomes("`generationConfig.logprobs`")),
    (
        "tools",
        Becomes("`tools[].functionDeclarations`, schemas as they are (`parametersJsonSchema`)"),
    ),
    ("tool_choice", Becomes("`toolConfig.functionCallingConfig`")),
    (
        "parallel_tool_calls",
        Becomes("nothing: Gemini decides; `false` is left out, and the header says so"),
    ),
    (
        "functions",
        Refused("functions are only available as `tools`"),
    ),
    (
        "function_call",
        Refused("functions are only available as `tools`, and their choice as `tool_choice`"),
    ),
    (
        "response_format",
        Becomes("`generationConfig.responseMimeType` and `responseJsonSchema`"),
    ),
    (
        "modalities",
        Becomes("`generationConfig.responseModalities`; with `audio` it is audio alone"),
    ),
    (
        "audio",
        Becomes("`generationConfig.speechConfig`; only `pcm16` is available"),
    ),
    ("prediction", Ignored),
    ("verbosity", Ignored),
    (
        "reasoning_effort",
        Becomes(
            "`generationConfig.thinkingConfig`: `thinkingLevel` of Gemini 3 and later, `thinkingBudget` of 2.5; thoughts are asked for",
        ),
    ),
    ("prompt_cache_key", Ignored),
    ("prompt_cache_options", Ignored),
    ("prompt_cache_retention", Ignored),
    (
        "service_tier",
        Becomes("`serviceTier`: `default` is `standard`, `fast` is `priority`, `auto` is nothing"),
    ),
    ("store", Ignored),
    ("user", Ignored),
    ("safety_identifier", Ignored),
    (
        "metadata",
        Becomes("`labels` at Vertex AI, as far as they can be labels; elsewhere nothing"),
    ),
    (
        "moderation",
        Refused("`safetySettings` say what is blocked"),
    ),
    ("web_search_options", Becomes("the tool `googleSearch`")),
    ("encoding_format", Ignored),
    ("dimensions", Ignored),
    (
        "thinking",
        Becomes("Anthropic's form of `thinkingConfig`: the budget as `thinkingBudget`"),
    ),
    ("top_k", Becomes("`generationConfig.topK`")),
    (
        "generationConfig",
        Becomes("the ground of `generationConfig`; what else is said here stands above it"),
    ),
    (
        "thinkingConfig",
        Becomes("`generationConfig.thinkingConfig`"),
    ),
    (
        "responseModalities",
        Becomes("`generationConfig.responseModalities`"),
    ),
    ("speechConfig", Becomes("`generationConfig.speechConfig`")),
    (
        "mediaResolution",
        Becomes("`generationConfig.mediaResolution`"),
    ),
    ("imageConfig", Becomes("`generationConfig.imageConfig`")),
    ("safety_settings", Becomes("`safetySettings`")),
    ("cached_content", Becomes("`cachedContent`")),
    ("safetySettings", Native),
    ("cachedContent", Native),
    ("labels", Native),
];

/// Parameters of calls for embeddings.
pub(super) const EMBEDDINGS: Table = &[
    (
        "dimensions",
        Becomes("`outputDimensionality`; reduced vectors are not normalised by Google, nor here"),
    ),
    ("encoding_format", Becomes("the answer's form, made here")),
    ("task_type", Becomes("`taskType`")),
    ("taskType", Becomes("`taskType`")),
    ("title", Becomes("`title`")),
    ("auto_truncate", Becomes("`autoTruncate` at Vertex AI")),
    ("autoTruncate", Becomes("`autoTruncate` at Vertex AI")),
    ("user", Ignored),
];

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
    if asked.raw("parallel_tool_calls") == Some("false") {
        asked.leave_out("parallel_tool_calls");
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
