//! Converse's `toolConfig`: the request's tools, and the one whose input is the answer.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::answer::ANSWER;
use super::blocks::CachePoint;
use super::models::Model;
use super::names;
use crate::provider::AdaptError;
use crate::provider::chat::{Asked, Choice, Format, Item, Object, Tool, Turn, unsupported};

/// The schema of a tool without one.
const NO_ARGUMENTS: &str = r#"{"type":"object","properties":{}}"#;
const GIVES_THE_ANSWER: &str = "Gives the answer. Call it once, with the whole answer.";

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
enum Entry<'a> {
    ToolSpec(ToolSpec<'a>),
    CachePoint(CachePoint<'a>),
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ToolSpec<'a> {
    name: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    input_schema: Schema,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
}

#[derive(Debug, Serialize)]
struct Schema {
    json: Box<RawValue>,
}

/// The tools of a request.
pub(super) struct Tools {
    tools: Vec<Tool>,
    choice: Option<Choice>,
    /// The schema that the answer has to have, and what it is, where a tool takes it.
    answer: Option<(Box<RawValue>, Option<String>)>,
}

impl Tools {
    /// Reads them; `format` is the form of the answer, where Converse has no place for it.
    ///
    /// # Errors
    /// If they are none.
    pub(super) fn read(
        asked: &mut Asked<'_>,
        turns: &[Turn],
        format: Option<Format>,
    ) -> Result<Self, AdaptError> {
        let mut tools = asked.tools()?;
        let choice = asked.choice()?.0;
        let called = called(turns);
        if tools.is_empty() {
            // A conversation with calls in it is refused where there are no tools.
            tools = called.iter().map(|name| bare(name)).collect();
        } else if choice == Some(Choice::None) {
            if called.is_empty() {
                tools.clear();
            } else {
                asked.leave_out("tool_choice");
            }
        }
        let calls_another = matches!(choice, Some(Choice::Required | Choice::Named(_)));
        let answer = match format {
            Some(Format::Schema {
                schema,
                description,
                ..
            }) if !calls_another => Some((schema, description)),
            _ => None,
        };
        Ok(Self {
            tools,
            choice,
            answer,
        })
    }

    /// Whether the answer has to be a call.
    pub(super) fn must_be_called(&self) -> bool {
        let chosen = matches!(self.choice, Some(Choice::Required | Choice::Named(_)));
        self.answer.is_some() || chosen && !self.tools.is_empty()
    }

    /// `toolConfig`; empty: there is none. `forces`: the model can be made to call a tool.
    ///
    /// # Errors
    /// If a tool can't be had.
    pub(super) fn config(
        &self,
        asked: &mut Asked<'_>,
        model: &Model,
        forces: bool,
        more: &mut Object,
    ) -> Result<Object, AdaptError> {
        let mut config = Object::default();
        let only = match &self.choice {
            Some(Choice::Named(name)) if !forces && model.claude.is_some() => Some(name.as_str()),
            _ => None,
        };
        let entries = self.entries(model, only)?;
        if entries.is_empty() {
            return Ok(config);
        }
        config.set("tools", &entries);
        let choice = match &self.choice {
            _ if self.answer.is_some() && forces => {
                let only = self.tools.is_empty();
                Some(if only {
                    json!({"tool": {"name": ANSWER}})
                } else {
                    json!({"any": {}})
                })
            }
            Some(Choice::Required | Choice::Named(_)) if !forces && model.claude.is_some() => {
                asked.leave_out("tool_choice"); // it thinks, and is not made to call while it does
                Some(json!({"auto": {}}))
            }
            Some(Choice::Auto) => Some(json!({"auto": {}})),
            Some(Choice::Required) => Some(json!({"any": {}})),
            Some(Choice::Named(name)) => Some(json!({"tool": {"name": names::tool(name)}})),
            Some(Choice::None) | None => None,
        };
        one_at_a_time(asked, model, choice.as_ref(), more)?;
        config.set_some("toolChoice", choice);
        Ok(config)
    }

    /// The entries. `only` is the tool to be called by a model that can't be made to: the others are left out.
    fn entries<'a>(
        &'a self,
        model: &Model,
        only: Option<&str>,
    ) -> Result<Vec<Entry<'a>>, AdaptError> {
        let mut entries = Vec::with_capacity(self.tools.len() + 1);
        let given = |tool: &&Tool| only.is_none_or(|only| tool.name == only);
        for tool in self.tools.iter().filter(given) {
            entries.push(Entry::ToolSpec(spec(tool, model)?));
            entries.extend(CachePoint::of(tool.cache.as_ref(), model).map(Entry::CachePoint));
        }
        if let Some((own, description)) = &self.answer {
            entries.push(Entry::ToolSpec(ToolSpec {
                name: ANSWER.into(),
                description: Some(description.as_deref().unwrap_or(GIVES_THE_ANSWER)),
                input_schema: schema(Some(own))?,
                strict: None,
            }));
        }
        Ok(entries)
    }
}

/// `parallel_tool_calls: false`, which only Claude has.
fn one_at_a_time(
    asked: &mut Asked<'_>,
    model: &Model,
    choice: Option<&Value>,
    more: &mut Object,
) -> Result<(), AdaptError> {
    if asked.read("parallel_tool_calls", "true or false")? != Some(false) {
        return Ok(());
    }
    if model.claude.is_none() {
        let why = "of its models only Claude can be told to call one tool at a time";
        return asked.refuse("parallel_tool_calls", why);
    }
    // The kind stands in `toolConfig` where there is one; twice it would be refused.
    let own = match choice {
        Some(_) => json!({"disable_parallel_tool_use": true}),
        None => json!({"type": "auto", "disable_parallel_tool_use": true}),
    };
    more.set("tool_choice", &own);
    Ok(())
}

/// The tools that the conversation has calls of.
fn called(turns: &[Turn]) -> Vec<&str> {
    let mut names = Vec::new();
    for item in turns.iter().flat_map(|turn| &turn.items) {
        let name = match item {
            Item::Call(call) => call.name.as_str(),
            Item::Result { name, .. } => name.as_deref().unwrap_or("tool"),
            Item::Thinking(_) | Item::Part(_) => continue,
        };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// A tool of which only the name is known.
fn bare(name: &str) -> Tool {
    Tool {
        name: name.to_owned(),
        description: None,
        parameters: None,
        strict: None,
        cache: None,
    }
}

fn spec<'a>(tool: &'a Tool, model: &Model) -> Result<ToolSpec<'a>, AdaptError> {
    let description = tool.description.as_deref();
    Ok(ToolSpec {
        name: names::tool(&tool.name),
        description: description.filter(|text| !text.trim().is_empty()),
        input_schema: schema(tool.parameters.as_deref())?,
        strict: tool.strict.filter(|strict| *strict && model.native_schema),
    })
}

/// An object's schema, which says so.
fn schema(own: Option<&RawValue>) -> Result<Schema, AdaptError> {
    #[derive(Deserialize)]
    struct Kind<'a> {
        #[serde(rename = "type", borrow)]
        kind: Option<&'a RawValue>,
    }
    let own = own.map_or(NO_ARGUMENTS, RawValue::get).trim();
    let wrong = || unsupported("tools", "a function's `parameters` must be a JSON schema");
    if !own.starts_with('{') {
        return Err(wrong());
    }
    let kind: Kind<'_> = serde_json::from_str(own).map_err(|_| wrong())?;
    let text = match own.strip_prefix('{').map(str::trim_start) {
        Some("}") => NO_ARGUMENTS.to_owned(),
        Some(rest) if kind.kind.is_none() => format!("{{\"type\":\"object\",{rest}"),
        _ => own.to_owned(),
    };
    let json = RawValue::from_string(text).map_err(|_| wrong())?;
    Ok(Schema { json })
}
