//! A conversation as Gemini's `systemInstruction` and `contents`.

use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;

use crate::provider::AdaptError;
use crate::provider::chat::{
    Item, Object, Part, PartKind, Source, Speaker, Thinking, ToolCall, Turn, joined_text,
    unsupported,
};

/// What Google takes in place of a signature, where the history was not made by one of its models.
const FOREIGN: &str = "skip_thought_signature_validator";

/// Where files that were uploaded to the Gemini API are.
const FILES: &str = "https://generativelanguage.googleapis.com/v1beta/files/";

/// What is not the same everywhere.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    /// Whether calls and their results carry ids. Some models at Vertex AI refuse them.
    pub(super) ids: bool,
    /// Whether files may be named by their id.
    pub(super) files: bool,
    /// Whether the first call of each step needs a signature.
    pub(super) signatures: bool,
}

/// One side's turn.
#[derive(Debug, Serialize)]
pub(super) struct Content {
    role: &'static str,
    parts: Vec<Object>,
}

/// The system's parts as `systemInstruction`, if there are any.
///
/// # Errors
/// If one is no text.
pub(super) fn system(parts: &[Part]) -> Result<Option<serde_json::Value>, AdaptError> {
    if parts
        .iter()
        .any(|part| !matches!(part.kind, PartKind::Text(_)))
    {
        return Err(unsupported(
            "messages",
            "a system message can only hold texts: Gemini takes no media there",
        ));
    }
    let text = joined_text(parts);
    Ok((!text.is_empty()).then(|| json!({"parts": [{"text": text}]})))
}

/// The turns.
///
/// # Errors
/// Naming `messages`.
pub(super) fn contents(mut turns: Vec<Turn>, style: Style) -> Result<Vec<Content>, AdaptError> {
    let mut contents = Vec::with_capacity(turns.len());
    let mut called: Vec<String> = Vec::new();
    for turn in &mut turns {
        let content = match turn.speaker {
            Speaker::User => {
                in_order(&mut turn.items, &called);
                user(&turn.items, style)?
            }
            Speaker::Assistant => {
                called = turn.items.iter().filter_map(call_id).collect();
                model(&turn.items, style)?
            }
        };
        // A turn of which only the thought came back has none; it would be refused.
        if !content.parts.is_empty() {
            contents.push(content);
        }
    }
    Ok(contents)
}

fn call_id(item: &Item) -> Option<String> {
    match item {
        Item::Call(call) => Some(call.id.clone()),
        Item::Thinking(_) | Item::Part(_) | Item::Result { .. } => None,
    }
}

/// Puts results into the order of the calls they answer: without ids that is what tells them apart.
fn in_order(items: &mut [Item], called: &[String]) {
    items.sort_by_key(|item| match item {
        Item::Result { id, .. } => called
            .iter()
            .position(|other| other == id)
            .unwrap_or(called.len()),
        Item::Thinking(_) | Item::Part(_) | Item::Call(_) => usize::MAX,
    });
}

fn user(items: &[Item], style: Style) -> Result<Content, AdaptError> {
    let mut parts = Vec::with_capacity(items.len());
    // Media that tools answered: behind all the results, which must follow the calls without a gap.
    let mut media = Vec::new();
    for item in items {
        match item {
            Item::Result {
                id,
                name,
                parts: said,
            } => {
                parts.push(result(id, name.as_deref(), said, style)?);
                for part in said {
                    if !matches!(part.kind, PartKind::Text(_)) {
                        media.push(self::part(&part.kind, style)?);
                    }
                }
            }
            Item::Part(said) => {
                parts.append(&mut media);
                parts.push(part(&said.kind, style)?);
            }
            Item::Thinking(_) | Item::Call(_) => {}
        }
    }
    parts.append(&mut media);
    Ok(Content {
        role: "user",
        parts,
    })
}

fn model(items: &[Item], style: Style) -> Result<Content, AdaptError> {
    let mut parts = Vec::with_capacity(items.len());
    // The signature of a text stands in a block of thinking, which comes before the text.
    let mut signature: Option<&str> = None;
    let mut called = false;
    for item in items {
        match item {
            Item::Thinking(Thinking::Thinking {
                signature: Some(own),
                // Blocks without an origin are other providers'.
                from: Some(_),
                ..
            }) => signature = Some(own),
            Item::Part(said) => {
                let mut object = part(&said.kind, style)?;
                if matches!(said.kind, PartKind::Text(_)) {
                    object.set_some("thoughtSignature", signature.take());
                }
                parts.push(object);
            }
            Item::Call(call) => {
                let foreign = (style.signatures && !called).then_some(FOREIGN);
                parts.push(function_call(call, foreign, style));
                called = true;
            }
            Item::Thinking(_) | Item::Result { .. } => {}
        }
    }
    Ok(Content {
        role: "model",
        parts,
    })
}

fn function_call(call: &ToolCall, foreign: Option<&str>, style: Style) -> Object {
    let mut function = Object::default();
    function.set_some("id", own_id(&call.id, style));
    function
        .set("name", &call.name)
        .set("args", &call.arguments);
    let mut part = Object::default();
    part.set("functionCall", &function);
    part.set_some(
        "thoughtSignature",
        call.thought_signature.as_deref().or(foreign),
    );
    part
}

fn own_id(id: &str, style: Style) -> Option<&str> {
    (style.ids && !id.is_empty()).then_some(id)
}

/// An object as it is; a text, or several, as the member `result` of one.
fn result(
    id: &str,
    name: Option<&str>,
    parts: &[Part],
    style: Style,
) -> Result<Object, AdaptError> {
    let Some(name) = name else {
        return Err(unsupported(
            "messages",
            format!(
                "the tool message with tool_call_id `{id}` answers no call of a message before it: Gemini wants the function's name"
            ),
        ));
    };
    let text = joined_text(parts);
    let object = text
        .trim_start()
        .starts_with('{')
        .then(|| serde_json::from_str::<Box<RawValue>>(&text).ok())
        .flatten();
    let mut response = Object::default();
    response.set_some("id", own_id(id, style)).set("name", name);
    match object {
        Some(object) => response.set("response", &object),
        None => response.set("response", &json!({"result": text})),
    };
    let mut part = Object::default();
    part.set("functionResponse", &response);
    Ok(part)
}

fn part(kind: &PartKind, style: Style) -> Result<Object, AdaptError> {
    let mut part = Object::default();
    match kind {
        PartKind::Text(text) => {
            part.set("text", text);
        }
        PartKind::Image(source) => media(source, None, Some("image/jpeg"), style, &mut part)?,
        PartKind::Audio { data, format } => {
            let media_type = format!("audio/{format}");
            part.set("inlineData", &json!({"mimeType": media_type, "data": data}));
        }
        PartKind::File { name, source } => media(source, name.as_deref(), None, style, &mut part)?,
    }
    Ok(part)
}

/// What is in the request, or where it is. Google fetches URLs itself, and wants to be told what they hold.
fn media(
    source: &Source,
    name: Option<&str>,
    otherwise: Option<&str>,
    style: Style,
    part: &mut Object,
) -> Result<(), AdaptError> {
    let mut file = Object::default();
    match source {
        Source::Data { media_type, base64 } => {
            let media_type = match media_type.as_str() {
                "image/jpg" => "image/jpeg",
                other => other,
            };
            part.set(
                "inlineData",
                &json!({"mimeType": media_type, "data": base64}),
            );
            return Ok(());
        }
        Source::Url(url) => {
            let guessed = guess(url).or_else(|| guess(name?)).or(otherwise);
            file.set_some("mimeType", guessed).set("fileUri", url);
        }
        Source::Id(id) if style.files => {
            let id = id.strip_prefix("files/").unwrap_or(id);
            file.set_some("mimeType", name.and_then(guess))
                .set("fileUri", &format!("{FILES}{id}"));
        }
        Source::Id(_) => {
            return Err(unsupported(
                "messages",
                "Vertex AI has no file ids: `file_id` must be a `gs://` address",
            ));
        }
    }
    part.set("fileData", &file);
    Ok(())
}

/// Endings of names, and what they promise.
const MEDIA_TYPES: &[(&str, &str)] = &[
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("png", "image/png"),
    ("webp", "image/webp"),
    ("gif", "image/gif"),
    ("heic", "image/heic"),
    ("heif", "image/heif"),
    ("bmp", "image/bmp"),
    ("pdf", "application/pdf"),
    ("json", "application/json"),
    ("txt", "text/plain"),
    ("md", "text/markdown"),
    ("csv", "text/csv"),
    ("html", "text/html"),
    ("htm", "text/html"),
    ("xml", "text/xml"),
    ("wav", "audio/wav"),
    ("mp3", "audio/mp3"),
    ("aac", "audio/aac"),
    ("flac", "audio/flac"),
    ("ogg", "audio/ogg"),
    ("m4a", "audio/m4a"),
    ("mp4", "video/mp4"),
    ("mpeg", "video/mpeg"),
    ("mpg", "video/mpg"),
    ("mov", "video/quicktime"),
    ("webm", "video/webm"),
];

fn guess(name: &str) -> Option<&'static str> {
    let path = name.split(['?', '#']).next()?;
    let (_, ending) = path.rsplit('/').next()?.rsplit_once('.')?;
    MEDIA_TYPES
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(ending))
        .map(|(_, media_type)| *media_type)
}

#[cfg(test)]
mod tests {
    use super::guess;

    #[test]
    fn media_types_by_name() {
        for (name, expected) in [
            ("https://example.org/a/cat.PNG?x=.pdf#y", Some("image/png")),
            ("gs://bucket/report.v2.pdf", Some("application/pdf")),
            ("https://example.org", None),
            ("https://example.org/cat", None),
            ("talk.mp3", Some("audio/mp3")),
        ] {
            assert_eq!(guess(name), expected, "{name}");
        }
    }
}
