//! OpenAI's messages as Ollama has them.
//!
//! The texts of a message's parts are joined by a blank line; its images stand beside them, as base64 alone. Ollama fetches
//! nothing, and Waypost does not either: fetching what a client names would let it reach into this network. A tool's
//! message names the tool, which is looked up by the id of the call it answers.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::unsupported;
use crate::provider::AdaptError;

#[derive(Deserialize)]
struct Message {
    role: String,
    content: Option<Content>,
    name: Option<String>,
    tool_call_id: Option<String>,
    reasoning_content: Option<String>,
    reasoning: Option<String>,
    tool_calls: Option<Vec<ToolCall>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Deserialize)]
struct Part {
    #[serde(rename = "type")]
    kind: String,
    text: Option<String>,
    refusal: Option<String>,
    image_url: Option<ImageUrl>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum ImageUrl {
    Object { url: String },
    Text(String),
}

#[derive(Deserialize)]
struct ToolCall {
    id: Option<String>,
    function: Option<Function>,
}

#[derive(Deserialize)]
struct Function {
    name: String,
    arguments: Option<String>,
}

/// A message as it is sent.
#[derive(Debug, Default, Serialize)]
pub(super) struct Native {
    role: String,
    content: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    images: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<NativeCall>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<String>,
}

#[derive(Debug, Serialize)]
struct NativeCall {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    function: NativeFunction,
}

#[derive(Debug, Serialize)]
struct NativeFunction {
    name: String,
    arguments: Box<RawValue>,
}

/// Reads and translates the request's `messages`.
///
/// # Errors
/// Naming `messages`, with what is wrong with them.
pub(super) fn read(raw: &[u8]) -> Result<Vec<Native>, AdaptError> {
    let messages: Vec<Message> = serde_json::from_slice(raw)
        .map_err(|e| refuse(&format!("`messages` must be a list of messages: {e}")))?;
    let mut native: Vec<Native> = Vec::with_capacity(messages.len());
    for message in messages {
        let next = translate(message, &native)?;
        native.push(next);
    }
    Ok(native)
}

fn translate(message: Message, before: &[Native]) -> Result<Native, AdaptError> {
    let mut native = Native {
        thinking: message.reasoning_content.or(message.reasoning),
        ..Native::default()
    };
    match message.content {
        None => {}
        Some(Content::Text(text)) => native.content = text,
        Some(Content::Parts(parts)) => parts
            .into_iter()
            .try_for_each(|part| add(part, &mut native))?,
    }
    native.role = match message.role.as_str() {
        "developer" => "system".to_owned(),
        "system" | "user" => message.role,
        "assistant" => {
            let calls = message.tool_calls.unwrap_or_default();
            native.tool_calls = calls.into_iter().map(call).collect::<Result<_, _>>()?;
            message.role
        }
        "tool" | "function" => {
            native.tool_name = message
                .tool_call_id
                .as_deref()
                .and_then(|id| called(id, before))
                .or(message.name);
            native.tool_call_id = message.tool_call_id;
            "tool".to_owned()
        }
        other => return Err(refuse(&format!("a message's role can't be `{other}`"))),
    };
    Ok(native)
}

/// The name of the function that the call with this id was for.
fn called(id: &str, before: &[Native]) -> Option<String> {
    let mut calls = before.iter().rev().flat_map(|message| &message.tool_calls);
    calls
        .find(|call| call.id.as_deref() == Some(id))
        .map(|call| call.function.name.clone())
}

fn call(call: ToolCall) -> Result<NativeCall, AdaptError> {
    let Some(function) = call.function else {
        return Err(refuse("only calls of functions are available"));
    };
    let arguments = function
        .arguments
        .filter(|text| !text.trim().is_empty())
        .unwrap_or_else(|| "{}".to_owned());
    let wrong = || {
        refuse(&format!(
            "the arguments of the call of `{}` are no JSON object, which Ollama needs",
            function.name
        ))
    };
    let arguments = RawValue::from_string(arguments.trim().to_owned()).map_err(|_| wrong())?;
    if !arguments.get().starts_with('{') {
        return Err(wrong());
    }
    Ok(NativeCall {
        id: call.id,
        function: NativeFunction {
            name: function.name,
            arguments,
        },
    })
}

fn add(part: Part, to: &mut Native) -> Result<(), AdaptError> {
    match (part.kind.as_str(), part.text, part.image_url) {
        ("text", Some(text), _) => push_text(&mut to.content, &text),
        ("refusal", ..) => push_text(&mut to.content, &part.refusal.unwrap_or_default()),
        ("image_url", _, Some(ImageUrl::Object { url } | ImageUrl::Text(url))) => {
            to.images.push(image(&url)?)
        }
        (kind, ..) => {
            return Err(refuse(&format!(
                "a message part of type `{kind}` is not available: Ollama takes texts and images"
            )));
        }
    }
    Ok(())
}

fn push_text(content: &mut String, text: &str) {
    if !content.is_empty() && !text.is_empty() {
        content.push_str("\n\n");
    }
    content.push_str(text);
}

/// The base64 text of a `data:` URL.
fn image(url: &str) -> Result<String, AdaptError> {
    let data = url
        .get(..5)
        .filter(|scheme| scheme.eq_ignore_ascii_case("data:"))
        .and_then(|_| url.split_once(','));
    match data {
        Some((head, data)) if head.to_ascii_lowercase().ends_with(";base64") => Ok(data.to_owned()),
        _ => Err(refuse(
            "an image must be a data: URL with base64 (`data:image/png;base64,…`): neither Ollama nor Waypost fetches images",
        )),
    }
}

fn refuse(message: &str) -> AdaptError {
    unsupported("messages", message)
}
