//! A request's messages, read once for all dialects.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::thinking::Thinking;
use super::unsupported;
use crate::provider::AdaptError;

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::provider) enum Role {
    /// `system` and `developer`, which mean the same to other providers.
    System,
    User,
    Assistant,
    /// `tool`, and the older `function`.
    Tool,
}

/// A message.
#[derive(Debug, Clone)]
pub(in crate::provider) struct Message {
    pub(in crate::provider) role: Role,
    /// Texts that are empty are not in it.
    pub(in crate::provider) parts: Vec<Part>,
    /// What the assistant called.
    pub(in crate::provider) calls: Vec<ToolCall>,
    /// What the assistant thought, as far as it came back.
    pub(in crate::provider) thinking: Vec<Thinking>,
    /// The same in words, from whatever provider: `reasoning_content`, or `reasoning`.
    pub(in crate::provider) reasoning: Option<String>,
    /// Of a tool's message: the id of the call it answers.
    pub(in crate::provider) answers: Option<String>,
    /// Of a tool's message: the function's name, looked up by that id.
    pub(in crate::provider) name: Option<String>,
}

/// A part of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::provider) struct Part {
    pub(in crate::provider) kind: PartKind,
    /// What is before, this included, is to be cached by the provider.
    pub(in crate::provider) cache: Option<CacheMark>,
}

/// What a part holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::provider) enum PartKind {
    Text(String),
    Image(Source),
    Audio {
        /// base64
        data: String,
        /// `wav` or `mp3`
        format: String,
    },
    File {
        name: Option<String>,
        source: Source,
    },
}

/// Where an image or a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::provider) enum Source {
    /// `http://` or `https://`, or a scheme of the provider's.
    Url(String),
    /// In the request.
    Data {
        /// Such as `image/png`; lower case.
        media_type: String,
        base64: String,
    },
    /// At the provider.
    Id(String),
}

/// OpenAI's `prompt_cache_breakpoint`, or Anthropic's `cache_control`, which LiteLLM's users write.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(in crate::provider) struct CacheMark {
    /// `5m` or `1h`
    pub(in crate::provider) ttl: Option<String>,
}

/// A call of a function.
#[derive(Debug, Clone)]
pub(in crate::provider) struct ToolCall {
    /// Without what Waypost hid in it.
    pub(in crate::provider) id: String,
    pub(in crate::provider) name: String,
    /// A JSON object.
    pub(in crate::provider) arguments: Box<RawValue>,
    /// Google's proof of the thought behind it.
    pub(in crate::provider) thought_signature: Option<String>,
}

/// Stands in the id of a call before a thought signature in URL-safe base64 without padding: clients that give back no
/// more than id, name and arguments give it back all the same.
pub(in crate::provider) const THOUGHT: &str = "__thought__";

#[derive(Deserialize)]
struct Wire<'a> {
    role: String,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    name: Option<String>,
    refusal: Option<String>,
    tool_call_id: Option<String>,
    #[serde(borrow)]
    tool_calls: Option<Vec<WireCall<'a>>>,
    #[serde(borrow)]
    function_call: Option<WireFunction<'a>>,
    #[serde(borrow)]
    thinking_blocks: Option<Vec<&'a RawValue>>,
    reasoning_content: Option<String>,
    reasoning: Option<String>,
    cache_control: Option<CacheMark>,
}

#[derive(Deserialize)]
struct WireCall<'a> {
    id: Option<String>,
    #[serde(borrow)]
    function: Option<WireFunction<'a>>,
    extra_content: Option<ExtraContent>,
}

#[derive(Deserialize)]
struct WireFunction<'a> {
    name: String,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ExtraContent {
    google: Option<Google>,
}

#[derive(Deserialize)]
struct Google {
    thought_signature: Option<String>,
}

#[derive(Deserialize)]
struct WirePart<'a> {
    #[serde(rename = "type")]
    kind: String,
    text: Option<String>,
    refusal: Option<String>,
    #[serde(borrow)]
    image_url: Option<&'a RawValue>,
    input_audio: Option<WireAudio>,
    file: Option<WireFile>,
    cache_control: Option<CacheMark>,
    prompt_cache_breakpoint: Option<CacheMark>,
}

#[derive(Deserialize)]
struct WireAudio {
    data: String,
    format: String,
}

#[derive(Deserialize)]
struct WireFile {
    file_data: Option<String>,
    file_id: Option<String>,
    filename: Option<String>,
    /// LiteLLM's.
    format: Option<String>,
}

/// Reads `messages`.
///
/// # Errors
/// Naming `messages`, with what is wrong with them.
pub(super) fn read(raw: &[u8]) -> Result<Vec<Message>, AdaptError> {
    let wire: Vec<Wire<'_>> = serde_json::from_slice(raw)
        .map_err(|e| refuse(format!("`messages` must be a list of messages: {e}")))?;
    let mut messages: Vec<Message> = Vec::with_capacity(wire.len());
    for one in wire {
        let next = message(one, &messages)?;
        messages.push(next);
    }
    Ok(messages)
}

fn message(wire: Wire<'_>, before: &[Message]) -> Result<Message, AdaptError> {
    let role = match wire.role.as_str() {
        "system" | "developer" => Role::System,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "tool" | "function" => Role::Tool,
        other => return Err(refuse(format!("a message's role can't be `{other}`"))),
    };
    let mut parts = content(wire.content)?;
    parts.extend(wire.refusal.filter(|text| !text.is_empty()).map(Part::text));
    if let (Some(mark), Some(last)) = (wire.cache_control, parts.last_mut()) {
        last.cache.get_or_insert(mark);
    }
    let mut calls = Vec::new();
    for call in wire.tool_calls.into_iter().flatten() {
        calls.push(tool_call(call)?);
    }
    // Blocks of a kind that nobody here knows say nothing to any provider here.
    let blocks = wire.thinking_blocks.into_iter().flatten();
    let thinking = blocks
        .filter_map(|block| serde_json::from_str(block.get()).ok())
        .collect();
    let mut name = None;
    let mut answers = wire.tool_call_id.map(|id| bare_id(&id).to_owned());
    if let Some(function) = wire.function_call {
        let id = format!("call_{}", function.name); // the older form has none
        let (id, function, extra_content) = (Some(id), Some(function), None);
        calls.push(tool_call(WireCall {
            id,
            function,
            extra_content,
        })?);
    }
    if role == Role::Tool {
        if wire.role == "function" {
            answers = wire.name.as_ref().map(|name| format!("call_{name}"));
        }
        let called = answers.as_deref().and_then(|id| {
            let mut calls = before.iter().rev().flat_map(|message| &message.calls);
            calls.find(|call| call.id == id)
        });
        name = called.map(|call| call.name.clone()).or(wire.name);
    }
    Ok(Message {
        role,
        parts,
        calls,
        thinking,
        reasoning: wire.reasoning_content.or(wire.reasoning),
        answers,
        name,
    })
}

fn content(raw: Option<&RawValue>) -> Result<Vec<Part>, AdaptError> {
    let wrong = |e: serde_json::Error| {
        refuse(format!(
            "a message's content must be a text or a list of parts: {e}"
        ))
    };
    let Some(raw) = raw.map(RawValue::get).filter(|raw| *raw != "null") else {
        return Ok(Vec::new());
    };
    if raw.starts_with('"') {
        let text: String = serde_json::from_str(raw).map_err(wrong)?;
        return Ok(if text.is_empty() {
            vec![]
        } else {
            vec![Part::text(text)]
        });
    }
    let wire: Vec<WirePart<'_>> = serde_json::from_str(raw).map_err(wrong)?;
    let mut parts = Vec::with_capacity(wire.len());
    for one in wire {
        let cache = one
            .cache_control
            .clone()
            .or(one.prompt_cache_breakpoint.clone());
        if let Some(kind) = part(one)? {
            parts.push(Part { kind, cache });
        }
    }
    Ok(parts)
}

/// `None`: it says nothing.
fn part(wire: WirePart<'_>) -> Result<Option<PartKind>, AdaptError> {
    let kind = wire.kind.as_str();
    let text = |text: Option<String>| Ok(text.filter(|text| !text.is_empty()).map(PartKind::Text));
    match kind {
        "text" | "input_text" | "output_text" => return text(wire.text),
        "refusal" => return text(wire.refusal),
        // Thinking comes back in `thinking_blocks`; where a client repeats it as a part, it is no text of the answer.
        "thinking" | "redacted_thinking" | "reasoning" => return Ok(None),
        _ => {}
    }
    let lacks = |what: &str| {
        refuse(format!(
            "a message part of type `{kind}` must have `{what}`"
        ))
    };
    match kind {
        "image_url" => image(wire.image_url.ok_or_else(|| lacks("image_url"))?),
        "input_audio" => {
            let WireAudio { data, format } = wire.input_audio.ok_or_else(|| lacks("input_audio"))?;
            Ok(PartKind::Audio { data, format })
        }
        "file" => {
            let file = wire.file.ok_or_else(|| lacks("file"))?;
            let source = match (file.file_data, file.file_id) {
                (Some(data), _) => Source::read(&data, file.format.as_deref().or(Some("application/pdf")))?,
                (None, Some(id)) if id.contains("://") => Source::Url(id),
                (None, Some(id)) => Source::Id(id),
                (None, None) => return Err(lacks("file.file_data")),
            };
            Ok(PartKind::File {
                name: file.filename,
                source,
            })
        }
        other => Err(refuse(format!(
            "a message part of type `{other}` is none that is translated; there are text, image_url, input_audio and file"
        ))),
    }
    .map(Some)
}

fn image(raw: &RawValue) -> Result<PartKind, AdaptError> {
    #[derive(Deserialize)]
    struct Object {
        url: String,
    }
    let url: Result<String, _> = if raw.get().starts_with('"') {
        serde_json::from_str(raw.get())
    } else {
        serde_json::from_str(raw.get()).map(|Object { url }| url)
    };
    let url =
        url.map_err(|e| refuse(format!("`image_url` must be an object with a `url`: {e}")))?;
    Source::read(&url, None).map(PartKind::Image)
}

impl Source {
    /// A URL, which may be a `data:` URL; bare base64 where the media type is known otherwise.
    fn read(text: &str, media_type: Option<&str>) -> Result<Self, AdaptError> {
        let scheme = text.get(..5).unwrap_or_default();
        if scheme.eq_ignore_ascii_case("data:") {
            let (head, data) = text[5..].split_once(',').unwrap_or_default();
            let head = head.to_ascii_lowercase();
            let Some(kind) = head.strip_suffix(";base64") else {
                return Err(refuse(
                    "a data: URL must hold base64 (`data:image/png;base64,…`)",
                ));
            };
            let kind = kind.split(';').next().unwrap_or_default();
            return Ok(Self::Data {
                media_type: if kind.is_empty() {
                    media_type.unwrap_or("image/png")
                } else {
                    kind
                }
                .to_owned(),
                base64: data.to_owned(),
            });
        }
        match media_type {
            Some(media_type) if !text.contains("://") => Ok(Self::Data {
                media_type: media_type.to_owned(),
                base64: text.to_owned(),
            }),
            _ if text.contains("://") => Ok(Self::Url(text.to_owned())),
            _ => Err(refuse("an image must be a URL or a data: URL with base64")),
        }
    }
}

impl Part {
    /// A text without a mark.
    pub(in crate::provider) const fn text(text: String) -> Self {
        Self {
            kind: PartKind::Text(text),
            cache: None,
        }
    }
}

/// An id without the signature that Waypost hid in it.
pub(in crate::provider) fn bare_id(id: &str) -> &str {
    id.split_once(THOUGHT).map_or(id, |(id, _)| id)
}

fn tool_call(wire: WireCall<'_>) -> Result<ToolCall, AdaptError> {
    let Some(function) = wire.function else {
        return Err(refuse("only calls of functions are available"));
    };
    let name = function.name;
    let arguments = arguments(function.arguments).ok_or_else(|| {
        refuse(format!(
            "the arguments of the call of `{name}` must be the text of a JSON object"
        ))
    })?;
    let id = wire.id.unwrap_or_default();
    let hidden = id.split_once(THOUGHT).and_then(|(_, hidden)| {
        use base64::Engine;
        let decoded = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(hidden);
        String::from_utf8(decoded.ok()?).ok()
    });
    let shown = wire
        .extra_content
        .and_then(|extra| extra.google?.thought_signature);
    Ok(ToolCall {
        id: bare_id(&id).to_owned(),
        name,
        arguments,
        thought_signature: shown.or(hidden),
    })
}

/// The arguments as the object they are: they come as its text. Nothing is an object without members.
fn arguments(raw: Option<&RawValue>) -> Option<Box<RawValue>> {
    let raw = raw.map_or("null", RawValue::get);
    let text = if raw.starts_with('"') {
        serde_json::from_str::<String>(raw).ok()?
    } else {
        raw.to_owned()
    };
    let text = match text.trim() {
        "" | "null" => "{}",
        text => text,
    };
    let object = text.starts_with('{').then(|| text.to_owned())?;
    RawValue::from_string(object).ok()
}

fn refuse(message: impl Into<String>) -> AdaptError {
    unsupported("messages", message)
}
