//! What becomes of a chat's parameters.

use serde::Serialize;
use serde_json::value::RawValue;

use super::messages;
use crate::provider::chat::Treatment::{Becomes, Ignored, Native, Refused};
use crate::provider::chat::{Asked, Choice, Effort, Format, Object, Table, Tool, unsupported};
use crate::provider::{AdaptError, Call};

/// Most stop sequences.
const MOST_STOPS: usize = 5;
/// The range of `p`; OpenAI's `top_p` goes to 1.
const P: (f64, f64) = (0.01, 0.99);
const ONE_ANSWER: &str = "it gives one answer to a request";
const NO_COUNTERPART: &str = "it has no counterpart there";

/// What is to be known beside the table.
pub(in crate::provider) const ABOUT: &str = "Chats go to `{api_base}/v2/chat`, embeddings to `/v2/embed`, up to 96 texts at a \
time; a base that ends in `/compatibility/v1` is spoken to in OpenAI's dialect. `/completions` is refused.

- Images go as URLs, which Cohere fetches itself, or as base64.
- A plan for the tools (`tool_plan`) and what was thought come as `reasoning_content`; with calls of tools it goes back as \
`tool_plan`. Citations stand in the message as Cohere writes them, under `citations`.
- `input_type` of embeddings is `search_document`, unless the deployment or the request says otherwise.";

/// What becomes of a chat's parameters.
pub(in crate::provider) const CHAT: Table = &[
    ("max_completion_tokens", Becomes("max_tokens")),
    ("max_tokens", Becomes("max_tokens")),
    ("temperature", Native),
    ("top_p", Becomes("p")),
    ("top_k", Becomes("k")),
    ("n", Refused(ONE_ANSWER)),
    ("stop", Becomes("stop_sequences")),
    ("seed", Native),
    ("frequency_penalty", Native),
    ("presence_penalty", Native),
    ("logit_bias", Refused(NO_COUNTERPART)),
    ("logprobs", Native),
    (
        "top_logprobs",
        Refused("it tells the probability of the tokens that were chosen only"),
    ),
    ("tools", Becomes("tools")),
    ("tool_choice", Becomes("tool_choice")),
    (
        "parallel_tool_calls",
        Refused("how many tools are called is the model's choice"),
    ),
    ("functions", Refused("`tools` has taken its place")),
    (
        "function_call",
        Refused("`tool_choice` has taken its place"),
    ),
    ("response_format", Becomes("response_format")),
    ("modalities", Refused("it answers with text")),
    ("audio", Refused("it answers with text")),
    ("prediction", Ignored),
    ("verbosity", Refused(NO_COUNTERPART)),
    ("reasoning_effort", Becomes("thinking")),
    ("prompt_cache_key", Ignored),
    ("prompt_cache_options", Ignored),
    ("prompt_cache_retention", Ignored),
    ("service_tier", Ignored),
    ("store", Ignored),
    ("user", Ignored),
    ("safety_identifier", Ignored),
    ("metadata", Ignored),
    ("moderation", Refused("`safety_mode` is its own way")),
    ("web_search_options", Refused(NO_COUNTERPART)),
    ("encoding_format", Ignored),
    // Cohere's own.
    ("k", Native),
    ("p", Native),
    ("stop_sequences", Native),
    ("strict_tools", Native),
    ("documents", Native),
    ("citation_options", Native),
    ("safety_mode", Native),
    ("thinking", Native),
    ("priority", Native),
    // Of embeddings, in a file that serves both.
    ("input_type", Ignored),
    ("truncate", Ignored),
    ("output_dimension", Ignored),
    ("dimensions", Ignored),
];

/// Writes the body.
///
/// # Errors
/// Naming the parameter that can't be had.
pub(super) fn write(
    call: &Call,
    asked: &mut Asked<'_>,
    body: &mut Object,
) -> Result<(), AdaptError> {
    let said = asked.messages()?;
    body.set("messages", &messages::write(&said)?);
    if call.head.stream {
        body.set("stream", &true);
    }
    asked.pass_on(body)?;
    body.set_some("max_tokens", asked.limit()?);
    // OpenAI's name goes before Cohere's, unless it is only the file's.
    let counts = |ours, theirs| {
        asked
            .first(&[ours, theirs])
            .is_some_and(|(name, _)| name == ours)
    };
    if counts("top_p", "p")
        && let Some(p) = asked.number("top_p")?.and_then(|p| p.as_f64())
    {
        body.set("p", &p.clamp(P.0, P.1));
    }
    if counts("top_k", "k") {
        body.set_some("k", asked.number("top_k")?);
    }
    let stops = asked.stop()?;
    if stops.len() > MOST_STOPS {
        let message = format!(
            "`stop` may have {MOST_STOPS} texts at most, not {}: this model group's deployment speaks Cohere's API",
            stops.len()
        );
        return Err(unsupported("stop", message));
    }
    if !stops.is_empty() && counts("stop", "stop_sequences") {
        body.set("stop_sequences", &stops);
    }
    if let Some(effort) = asked.effort()?
        && counts("reasoning_effort", "thinking")
    {
        body.set("thinking", &thinking(effort));
    }
    tools(asked, body)?;
    format(asked, body)
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    parameters: &'a RawValue,
}

fn tools(asked: &Asked<'_>, body: &mut Object) -> Result<(), AdaptError> {
    let mut tools = asked.tools()?;
    let choice = asked.choice()?.0;
    if let Some(Choice::Named(name)) = &choice {
        tools.retain(|tool| tool.name == *name);
        if tools.is_empty() {
            let message = format!("`tool_choice` names `{name}`, which is none of `tools`");
            return Err(unsupported("tool_choice", message));
        }
    }
    if tools.is_empty() {
        return Ok(());
    }
    let none = RawValue::from_string(r#"{"type":"object","properties":{}}"#.to_owned());
    let none = none.map_err(|e| unsupported("tools", e.to_string()))?;
    let wire = |tool: &Tool| -> Object {
        let function = Function {
            name: &tool.name,
            description: tool.description.as_deref(),
            parameters: tool.parameters.as_deref().unwrap_or(&none),
        };
        let mut wire = Object::default();
        wire.set("type", "function").set("function", &function);
        wire
    };
    body.set("tools", &tools.iter().map(wire).collect::<Vec<_>>());
    if tools.iter().any(|tool| tool.strict == Some(true)) {
        body.set("strict_tools", &true);
    }
    match choice {
        Some(Choice::Required | Choice::Named(_)) => body.set("tool_choice", "REQUIRED"),
        Some(Choice::None) => body.set("tool_choice", "NONE"),
        Some(Choice::Auto) | None => body,
    };
    Ok(())
}

fn format(asked: &Asked<'_>, body: &mut Object) -> Result<(), AdaptError> {
    let mut format = Object::default();
    match asked.format()? {
        // What is the default is not said.
        None | Some(Format::Text) => return Ok(()),
        Some(Format::Object) => format.set("type", "json_object"),
        Some(Format::Schema { schema, .. }) => format
            .set("type", "json_object")
            .set("json_schema", &schema),
    };
    body.set("response_format", &format);
    Ok(())
}

fn thinking(effort: Effort) -> Object {
    let budget: Option<u32> = match effort {
        Effort::Minimal => Some(512),
        Effort::Low => Some(1024),
        Effort::Medium => Some(2048),
        // As much as the model thinks by itself.
        Effort::None | Effort::High | Effort::Xhigh | Effort::Max => None,
    };
    let kind = if effort == Effort::None {
        "disabled"
    } else {
        "enabled"
    };
    let mut thinking = Object::default();
    thinking.set("type", kind).set_some("token_budget", budget);
    thinking
}
