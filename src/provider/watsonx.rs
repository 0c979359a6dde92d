//! IBM watsonx.ai: OpenAI's bodies under other names, at `{base}/ml/v1/text/chat?version=…`.
//!
//! | Request | Becomes |
//! |---|---|
//! | `model` | `model_id`, with `project_id` or `space_id`; a model `deployment/ID` is in the path, and needs neither |
//! | `stream` | another path |
//! | `stop` | a list |
//! | `tool_choice` that is a word | `tool_choice_option` |
//! | `strict` and `additionalProperties` in tools | left out: they are refused |
//! | `input` of embeddings | `inputs`, a list |
//! | `/completions` | refused: it is another API there |
//!
//! All else is as the row of the provider says, and as in [`super::openai`].

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::chat::malformed;
use super::embeddings::{Embeddings, Found};
use super::openai::OpenAi;
use super::{AdaptError, Adapter, Authority, Call, ErrorFacts, Inbound, Refusal, chat};
use crate::h1::Fields;
use crate::request::{Edit, Outbound, quoted, splice};
use crate::types::{Dialect, Operation, Target, WatsonxScope};

#[derive(Debug)]
pub(super) struct Watsonx {
    openai: OpenAi,
    /// What says whose model it is.
    identity: Vec<(&'static str, Bytes)>,
    model: Arc<str>,
}

impl Watsonx {
    pub(super) fn new(target: Arc<Target>) -> Result<Self, http::Error> {
        let model = Arc::clone(&target.model);
        let mut identity = Vec::new();
        if deployed(&model).is_none()
            && let Dialect::Watsonx { scope, .. } = &target.dialect
        {
            identity.push(("model_id", quoted(&model)));
            identity.extend(scope.as_ref().map(|scope| match scope {
                WatsonxScope::Project(id) => ("project_id", quoted(id)),
                WatsonxScope::Space(id) => ("space_id", quoted(id)),
            }));
        }
        Ok(Self {
            openai: OpenAi::new(target)?,
            identity,
            model,
        })
    }
}

/// The id of a model that the user has deployed.
fn deployed(model: &str) -> Option<&str> {
    model.strip_prefix("deployment/")
}

/// Where an operation is.
pub(super) fn url(
    target: &Target,
    api_version: &str,
    operation: Operation,
    streams: bool,
) -> String {
    let base = &target.base_url;
    let model = match deployed(&target.model) {
        Some(id) => format!("deployments/{id}/"),
        None => String::new(),
    };
    let path = match operation {
        Operation::Embeddings => "embeddings",
        Operation::Chat | Operation::Completions if streams => "chat_stream",
        Operation::Chat | Operation::Completions => "chat",
    };
    format!("{base}/ml/v1/{model}text/{path}?version={api_version}")
}

impl Adapter for Watsonx {
    fn outbound(&self, call: &Call, authority: Authority<'_>) -> Result<Outbound, AdaptError> {
        if call.operation == Operation::Completions {
            return Err(AdaptError::Unsupported {
                param: "prompt".into(),
                message: "provider watsonx has chat and embeddings here, no completions".to_owned(),
            });
        }
        let (mut edits, dropped) = self.openai.edits(call)?;
        edits.extend(["model", "stream", "stream_options"].map(Edit::Remove));
        for (name, value) in &self.identity {
            edits.push(Edit::Set(name, value.clone()));
        }
        let raw = |name| call.head.raw(&call.body, name);
        if !raw("tool_choice").is_some_and(|choice| choice.starts_with(b"{")) {
            edits.push(Edit::Rename("tool_choice", "tool_choice_option"));
        }
        if let Some(tools) = raw("tools").and_then(plain_tools) {
            edits.push(Edit::Set("tools", tools));
        }
        if let Some(stop) = raw("stop") {
            edits.push(Edit::Set("stop", list(stop)));
        }
        for edit in &mut edits {
            if let Edit::Default("stop", stop) = edit {
                *stop = list(stop);
            }
        }
        if let Some(input) = raw("input") {
            edits.push(Edit::Remove("input"));
            edits.push(Edit::Set("inputs", list(input)));
        }
        let payload = splice(&call.body, &call.head, &edits);
        Ok(Outbound {
            dropped,
            ..self
                .openai
                .request(call, call.operation, payload, authority)
        })
    }

    fn inbound(&self, call: &Call, fields: &Fields) -> Inbound {
        match call.operation {
            Operation::Embeddings => {
                let answer = Embeddings::new(&self.model, None, read_embeddings);
                Inbound::Translate(Box::new(answer))
            }
            Operation::Chat | Operation::Completions => self.openai.inbound(call, fields),
        }
    }

    fn refusal(&self, status: StatusCode, fields: &Fields, body: &[u8]) -> Refusal {
        let facts = errors(body);
        let code = facts.as_ref().and_then(|facts| facts.code.as_deref());
        // The account's tokens are used up; the credential is all right.
        let status = match code {
            Some("token_quota_reached") => StatusCode::PAYMENT_REQUIRED,
            _ => status,
        };
        match facts {
            Some(facts) => chat::foreign_refusal(status, facts),
            None => self.openai.refusal(status, fields, body),
        }
    }

    fn adds_usage(&self, call: &Call) -> bool {
        // It always comes.
        call.head.stream && call.operation == Operation::Chat && !call.head.include_usage
    }
}

/// One text as a list of it.
fn list(input: &[u8]) -> Bytes {
    if !input.starts_with(b"\"") {
        return Bytes::copy_from_slice(input);
    }
    Bytes::from([b"[", input, b"]"].concat())
}

/// `tools` without what is refused in them; `None`: as they are.
fn plain_tools(raw: &[u8]) -> Option<Bytes> {
    let mut tools: Value = serde_json::from_slice(raw).ok()?;
    let mut changed = false;
    for tool in tools.as_array_mut()? {
        let Some(function) = tool.get_mut("function").and_then(Value::as_object_mut) else {
            continue;
        };
        changed |= function.remove("strict").is_some();
        if let Some(parameters) = function.get_mut("parameters") {
            changed |= open(parameters);
        }
    }
    changed.then(|| Bytes::from(tools.to_string()))
}

/// Takes `additionalProperties` out of a schema, however deep; a property of that name stays.
fn open(schema: &mut Value) -> bool {
    match schema {
        Value::Object(members) => {
            let mut changed = members.remove("additionalProperties").is_some();
            for (name, value) in members {
                changed |= match (name.as_str(), value) {
                    ("properties" | "$defs" | "definitions", Value::Object(schemas)) => schemas
                        .values_mut()
                        .fold(false, |changed, schema| open(schema) | changed),
                    ("enum" | "const" | "default" | "examples", _) => false,
                    (_, value) => open(value),
                };
            }
            changed
        }
        Value::Array(items) => items
            .iter_mut()
            .fold(false, |changed, item| open(item) | changed),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// What `{"errors": […]}` says; `None` if it is not there.
pub(super) fn errors(body: &[u8]) -> Option<ErrorFacts> {
    #[derive(Deserialize)]
    struct Wire {
        errors: Vec<Item>,
    }
    #[derive(Deserialize)]
    struct Item {
        code: Option<String>,
        message: Option<String>,
    }
    let wire: Wire = serde_json::from_slice(body).ok()?;
    let first = wire.errors.into_iter().next()?;
    Some(ErrorFacts {
        code: first.code,
        message: first.message,
        ..ErrorFacts::default()
    })
}

/// An error in OpenAI's shape.
pub(super) fn as_openai(facts: &ErrorFacts) -> Value {
    json!({"error": {
        "message": facts.message,
        "type": facts.kind.as_deref().unwrap_or("upstream_error"),
        "param": facts.param,
        "code": facts.code,
    }})
}

/// Reads an answer with embeddings.
fn read_embeddings(body: &[u8]) -> Result<Found<'_>, AdaptError> {
    #[derive(Deserialize)]
    struct Wire<'a> {
        #[serde(borrow)]
        results: Vec<Item<'a>>,
        model_id: Option<String>,
        input_token_count: Option<u64>,
    }
    #[derive(Deserialize)]
    struct Item<'a> {
        #[serde(borrow)]
        embedding: &'a RawValue,
    }
    let wire: Wire<'_> = serde_json::from_slice(body).map_err(malformed)?;
    Ok(Found {
        model: wire.model_id,
        vectors: wire.results.iter().map(|item| item.embedding).collect(),
        tokens: wire.input_token_count,
    })
}
