//! Messages as Ollama has them.
//!
//! The texts of a message's parts are joined by a blank line; its images stand beside them, as base64 alone. Ollama fetches
//! nothing, and Waypost does not either: fetching what a client names would let it reach into this network. A tool's
//! message names the tool.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::provider::AdaptError;
use crate::provider::chat::{Message, PartKind, Role, Source, ToolCall, joined_text, unsupported};

/// A message as it is sent.
#[derive(Serialize)]
pub(super) struct Native {
    role: &'static str,
    content: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    images: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Call>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<String>,
}

#[derive(Serialize)]
struct Call {
    #[serde(skip_serializing_if = "String::is_empty")]
    id: String,
    function: Function,
}

#[derive(Serialize)]
struct Function {
    name: String,
    arguments: Box<RawValue>,
}

/// Translates the messages.
///
/// # Errors
/// If one has what Ollama does not take.
pub(super) fn write(messages: Vec<Message>) -> Result<Vec<Native>, AdaptError> {
    messages.into_iter().map(message).collect()
}

fn message(message: Message) -> Result<Native, AdaptError> {
    let content = joined_text(&message.parts);
    let images = message.parts.into_iter().map(|part| image(part.kind));
    let images = images
        .filter_map(Result::transpose)
        .collect::<Result<_, _>>()?;
    Ok(Native {
        role: match message.role {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Tool => "tool",
        },
        content,
        thinking: message.reasoning,
        images,
        tool_calls: message.calls.into_iter().map(call).collect(),
        tool_name: message.name,
        tool_call_id: message.answers,
    })
}

fn call(call: ToolCall) -> Call {
    Call {
        id: call.id,
        function: Function {
            name: call.name,
            arguments: call.arguments,
        },
    }
}

/// The base64 text of an image; `None` of a text.
fn image(part: PartKind) -> Result<Option<String>, AdaptError> {
    let refused = match part {
        PartKind::Text(_) => return Ok(None),
        PartKind::Image(Source::Data { base64, .. }) => return Ok(Some(base64)),
        PartKind::Image(Source::Url(_) | Source::Id(_)) => {
            "an image must be a data: URL with base64 (`data:image/png;base64,…`): neither Ollama nor Waypost fetches images"
        }
        PartKind::Audio { .. } | PartKind::File { .. } => {
            "audio and files in a message are not available: Ollama takes texts and images"
        }
    };
    Err(unsupported("messages", refused))
}
