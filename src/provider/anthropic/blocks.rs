//! Messages as turns of blocks.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::provider::AdaptError;
use crate::provider::chat::{
    CacheMark, Item, Object, Part, PartKind, Source, Speaker, Thinking, ToolCall, Turn,
    joined_text, unsupported,
};

/// The most marks a request may have.
const MARKS: usize = 4;
/// The longest id of a call that all hosts take.
const ID: usize = 64;

/// Marks of what the provider is to cache, in the order of the request. Of too many the last ones count: they cover what
/// stands before them.
#[derive(Debug, Default)]
pub(super) struct Marks {
    seen: usize,
    skipped: usize,
}

impl Marks {
    /// For a request with marks at `all` of these places, and `taken` besides.
    pub(super) fn new<'a>(all: impl Iterator<Item = &'a Option<CacheMark>>, taken: usize) -> Self {
        let skipped = (all.flatten().count() + taken).saturating_sub(MARKS);
        Self { seen: 0, skipped }
    }

    /// Puts the next mark into a block.
    pub(super) fn set(&mut self, mark: Option<&CacheMark>, block: &mut Object) {
        let Some(mark) = mark else { return };
        self.seen += 1;
        if self.seen <= self.skipped {
            return;
        }
        let mut control = json!({"type": "ephemeral"});
        if let Some(ttl) = mark
            .ttl
            .as_deref()
            .filter(|ttl| matches!(*ttl, "5m" | "1h"))
        {
            control["ttl"] = ttl.into();
        }
        block.set("cache_control", &control);
    }
}

/// The parts of these turns, results' parts among them.
pub(super) fn parts(turns: &[Turn]) -> impl Iterator<Item = &Part> {
    let items = turns.iter().flat_map(|turn| &turn.items);
    items.flat_map(|item| match item {
        Item::Part(part) => std::slice::from_ref(part),
        Item::Result { parts, .. } => parts,
        Item::Thinking(_) | Item::Call(_) => &[],
    })
}

/// The id of a call as Anthropic and Vertex AI take it; one that another provider made of other characters
/// always becomes the same one.
pub(super) fn call_id(id: &str) -> Cow<'_, str> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if (1..=ID).contains(&id.len()) && id.bytes().all(fits) {
        return Cow::Borrowed(id);
    }
    let hash = blake3::hash(id.as_bytes()).to_hex();
    Cow::Owned(format!("call_{}", &hash[..24]))
}

/// The system's text: as one, or as blocks if parts of it are marked.
pub(super) fn system(system: &[Part], marks: &mut Marks) -> Result<Option<Value>, AdaptError> {
    if system.iter().all(|part| part.cache.is_none()) {
        let text = joined_text(system);
        return Ok((!text.trim().is_empty()).then(|| text.into()));
    }
    let blocks = texts_and_media(system, marks)?;
    Ok((!blocks.is_empty()).then(|| json!(blocks)))
}

/// `messages`
pub(super) fn messages(turns: &[Turn], marks: &mut Marks) -> Result<Vec<Object>, AdaptError> {
    let mut messages = Vec::with_capacity(turns.len());
    for (index, turn) in turns.iter().enumerate() {
        let role = match turn.speaker {
            Speaker::User => "user",
            Speaker::Assistant => "assistant",
        };
        let begun = turn.speaker == Speaker::Assistant && index + 1 == turns.len();
        let mut content = Vec::with_capacity(turn.items.len());
        for item in &turn.items {
            content.extend(block(item, begun, marks)?);
        }
        if !content.is_empty() {
            let mut message = Object::default();
            message.set("role", role).set("content", &content);
            messages.push(message);
        }
    }
    Ok(messages)
}

/// `begun`: of an answer that is to be continued, which may not end in white space.
fn block(item: &Item, begun: bool, marks: &mut Marks) -> Result<Option<Object>, AdaptError> {
    match item {
        Item::Thinking(thinking) => Ok(thought(thinking)),
        Item::Call(call) => called(call).map(Some),
        Item::Part(Part {
            kind: PartKind::Text(text),
            cache,
        }) if begun => {
            let part = Part {
                kind: PartKind::Text(text.trim_end().to_owned()),
                cache: cache.clone(),
            };
            said(&part, marks)
        }
        Item::Part(part) => said(part, marks),
        Item::Result { id, parts, .. } => {
            let mut block = Object::default();
            block.set("type", "tool_result");
            block.set("tool_use_id", &*call_id(id));
            match &parts[..] {
                [] => {}
                [
                    Part {
                        kind: PartKind::Text(text),
                        cache,
                    },
                ] => {
                    block.set("content", text);
                    marks.set(cache.as_ref(), &mut block);
                }
                several => {
                    block.set("content", &texts_and_media(several, marks)?);
                }
            }
            Ok(Some(block))
        }
    }
}

fn texts_and_media(parts: &[Part], marks: &mut Marks) -> Result<Vec<Object>, AdaptError> {
    let blocks = parts.iter().map(|part| said(part, marks));
    blocks.filter_map(Result::transpose).collect()
}

/// What was thought and signed; what nobody signed would be refused.
fn thought(thinking: &Thinking) -> Option<Object> {
    let mut block = Object::default();
    match thinking {
        Thinking::Thinking {
            thinking,
            signature: Some(signature),
            ..
        } => block
            .set("type", "thinking")
            .set("thinking", thinking)
            .set("signature", signature),
        Thinking::Thinking {
            signature: None, ..
        } => return None,
        Thinking::RedactedThinking { data, .. } => {
            block.set("type", "redacted_thinking").set("data", data)
        }
    };
    Some(block)
}

fn called(call: &ToolCall) -> Result<Object, AdaptError> {
    let mut block = Object::default();
    block
        .set("type", "tool_use")
        .set("id", &*call_id(&call.id))
        .set("name", &call.name)
        .set_raw("input", call.arguments.get())?;
    Ok(block)
}

/// A text, an image or a document. Texts of nothing but white space are refused, and so left out.
fn said(part: &Part, marks: &mut Marks) -> Result<Option<Object>, AdaptError> {
    let mut block = Object::default();
    match &part.kind {
        PartKind::Text(text) if text.trim().is_empty() => return Ok(None),
        PartKind::Text(text) => _ = block.set("type", "text").set("text", text),
        PartKind::Image(source) => {
            block.set("type", "image");
            block.set("source", &media(source));
        }
        PartKind::File {
            source: source @ Source::Data { media_type, .. },
            ..
        } if media_type.starts_with("image/") => {
            block.set("type", "image");
            block.set("source", &media(source));
        }
        PartKind::File { name, source } => {
            block.set("type", "document");
            block.set("source", &document(source)?);
            block.set_some("title", name.as_ref());
        }
        PartKind::Audio { .. } => {
            return Err(unsupported(
                "messages",
                "audio is not available: Claude takes text, images and documents",
            ));
        }
    }
    marks.set(part.cache.as_ref(), &mut block);
    Ok(Some(block))
}

fn media(source: &Source) -> Value {
    match source {
        Source::Url(url) => json!({"type": "url", "url": url}),
        Source::Data { media_type, base64 } => {
            json!({"type": "base64", "media_type": media_type, "data": base64})
        }
        Source::Id(id) => json!({"type": "file", "file_id": id}),
    }
}

fn document(source: &Source) -> Result<Value, AdaptError> {
    match source {
        Source::Data { media_type, base64 } if media_type.starts_with("text/") => {
            let text = STANDARD.decode(base64).ok();
            let text = text.and_then(|bytes| String::from_utf8(bytes).ok());
            let text = text
                .ok_or_else(|| unsupported("messages", "a file of text must be UTF-8 in base64"))?;
            Ok(json!({"type": "text", "media_type": "text/plain", "data": text}))
        }
        Source::Data { media_type, .. } if media_type != "application/pdf" => Err(unsupported(
            "messages",
            format!(
                "a file of type {media_type} is not available: Claude takes PDF, text and images"
            ),
        )),
        source => Ok(media(source)),
    }
}
