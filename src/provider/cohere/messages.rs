//! The messages as Cohere has them.

use serde::Serialize;

use crate::provider::AdaptError;
use crate::provider::chat::{Message, Part, PartKind, Role, Source, ToolCall, unsupported};

#[derive(Serialize)]
pub(super) struct Native<'a> {
    role: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<Content<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_plan: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Call<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Content<'a> {
    Text(&'a str),
    Parts(Vec<Piece<'a>>),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Piece<'a> {
    Text { text: &'a str },
    ImageUrl { image_url: Image },
}

#[derive(Serialize)]
struct Image {
    url: String,
}

#[derive(Serialize)]
struct Call<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    /// The text of an object.
    arguments: &'a str,
}

/// Translates the messages.
///
/// # Errors
/// If one has what Cohere does not take.
pub(super) fn write(messages: &[Message]) -> Result<Vec<Native<'_>>, AdaptError> {
    messages.iter().map(message).collect()
}

fn message(message: &Message) -> Result<Native<'_>, AdaptError> {
    let content = content(&message.parts)?;
    let has_calls = !message.calls.is_empty();
    let mut native = Native {
        role: "assistant",
        content: None,
        tool_plan: None,
        tool_calls: message.calls.iter().map(call).collect(),
        tool_call_id: None,
    };
    native.role = match message.role {
        Role::System => "system",
        Role::User => "user",
        Role::Tool => {
            native.tool_call_id = message.answers.as_deref();
            "tool"
        }
        Role::Assistant => {
            if has_calls {
                native.tool_plan = message.reasoning.as_deref().filter(|plan| !plan.is_empty());
            }
            "assistant"
        }
    };
    // A message that only calls tools has none.
    native.content = content.or((!has_calls).then_some(Content::Text("")));
    Ok(native)
}

fn content(parts: &[Part]) -> Result<Option<Content<'_>>, AdaptError> {
    Ok(match parts {
        [] => None,
        [
            Part {
                kind: PartKind::Text(text),
                ..
            },
        ] => Some(Content::Text(text)),
        parts => Some(Content::Parts(
            parts.iter().map(piece).collect::<Result<_, _>>()?,
        )),
    })
}

fn piece(part: &Part) -> Result<Piece<'_>, AdaptError> {
    let refused = |what: &str| {
        let message = format!(
            "{what} in a message is not available: this model group's deployment speaks Cohere's API, which takes texts and images"
        );
        unsupported("messages", message)
    };
    match &part.kind {
        PartKind::Text(text) => Ok(Piece::Text { text }),
        PartKind::Image(Source::Url(url)) => {
            let url = url.clone();
            let image_url = Image { url };
            Ok(Piece::ImageUrl { image_url })
        }
        PartKind::Image(Source::Data { media_type, base64 }) => {
            let url = format!("data:{media_type};base64,{base64}");
            let image_url = Image { url };
            Ok(Piece::ImageUrl { image_url })
        }
        PartKind::Image(Source::Id(_)) | PartKind::File { .. } => Err(refused("a file")),
        PartKind::Audio { .. } => Err(refused("audio")),
    }
}

fn call(call: &ToolCall) -> Call<'_> {
    Call {
        id: &call.id,
        kind: "function",
        function: Function {
            name: &call.name,
            arguments: call.arguments.get(),
        },
    }
}
