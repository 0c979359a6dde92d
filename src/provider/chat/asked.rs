//! Parameters whose form several dialects take apart in the same way.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::messages::CacheMark;
use super::params::read;
use super::{Asked, Message, unsupported};
use crate::provider::AdaptError;

/// A function the model may call.
#[derive(Debug, Clone)]
pub(in crate::provider) struct Tool {
    pub(in crate::provider) name: String,
    pub(in crate::provider) description: Option<String>,
    /// The schema of its arguments, as it was written.
    pub(in crate::provider) parameters: Option<Box<RawValue>>,
    pub(in crate::provider) strict: Option<bool>,
    pub(in crate::provider) cache: Option<CacheMark>,
}

/// Which tools may or must be called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::provider) enum Choice {
    Auto,
    None,
    /// Any of them, but one.
    Required,
    /// This one.
    Named(String),
}

/// The form of the answer.
#[derive(Debug, Clone)]
pub(in crate::provider) enum Format {
    Text,
    /// Some JSON object.
    Object,
    /// What this schema allows.
    Schema {
        name: Option<String>,
        description: Option<String>,
        schema: Box<RawValue>,
    },
}

/// How much to think.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::provider) enum Effort {
    None,
    Minimal,
    Low,
    Medium,
    High,
    Xhigh,
    Max,
}

impl Effort {
    /// OpenAI's word.
    pub(in crate::provider) const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Xhigh => "xhigh",
            Self::Max => "max",
        }
    }
}

#[derive(Deserialize)]
struct WireTool {
    #[serde(rename = "type")]
    kind: Option<String>,
    function: Option<WireFunction>,
    cache_control: Option<CacheMark>,
    prompt_cache_breakpoint: Option<CacheMark>,
}

#[derive(Deserialize)]
struct WireFunction {
    name: String,
    description: Option<String>,
    parameters: Option<Box<RawValue>>,
    strict: Option<bool>,
    cache_control: Option<CacheMark>,
}

impl Asked<'_> {
    /// The messages.
    ///
    /// # Errors
    /// Naming `messages`.
    pub(in crate::provider) fn messages(&self) -> Result<Vec<Message>, AdaptError> {
        let raw = self.call.head.raw(&self.call.body, "messages");
        super::messages::read(raw.unwrap_or(b"null"))
    }

    /// `max_completion_tokens`, else `max_tokens`; the request's above the file's.
    ///
    /// # Errors
    /// If it is no positive number.
    pub(in crate::provider) fn limit(&self) -> Result<Option<u64>, AdaptError> {
        let found = self.first(&["max_completion_tokens", "max_tokens"]);
        read(found, "a whole number")
    }

    /// A number.
    ///
    /// # Errors
    /// If it is none.
    pub(in crate::provider) fn number(
        &self,
        name: &'static str,
    ) -> Result<Option<serde_json::Number>, AdaptError> {
        self.read(name, "a number")
    }

    /// `stop`, which may be one text or several.
    ///
    /// # Errors
    /// If it is neither.
    pub(in crate::provider) fn stop(&self) -> Result<Vec<String>, AdaptError> {
        match self.raw("stop") {
            Some(one) if one.starts_with('"') => {
                Ok(self.read("stop", "a text")?.into_iter().collect())
            }
            _ => Ok(self
                .read("stop", "a text or a list of texts")?
                .unwrap_or_default()),
        }
    }

    /// The functions; those that `tool_choice` does not allow are left out.
    ///
    /// # Errors
    /// If one is no function.
    pub(in crate::provider) fn tools(&self) -> Result<Vec<Tool>, AdaptError> {
        let wire: Vec<WireTool> = self.read("tools", "a list of tools")?.unwrap_or_default();
        let allowed = self.choice()?.1;
        let mut tools = Vec::with_capacity(wire.len());
        for tool in wire {
            let Some(function) = tool.function else {
                let kind = tool.kind.unwrap_or_default();
                return Err(unsupported(
                    "tools",
                    format!(
                        "a tool of type `{kind}` is not available: {} takes functions",
                        self.who()
                    ),
                ));
            };
            if allowed
                .as_ref()
                .is_none_or(|names| names.contains(&function.name))
            {
                tools.push(Tool {
                    name: function.name,
                    description: function.description,
                    parameters: function.parameters.filter(|schema| schema.get() != "null"),
                    strict: function.strict,
                    cache: tool
                        .cache_control
                        .or(tool.prompt_cache_breakpoint)
                        .or(function.cache_control),
                });
            }
        }
        Ok(tools)
    }

    /// `tool_choice`, and the names it narrows the tools to, if it does.
    ///
    /// # Errors
    /// If it is none of OpenAI's forms.
    pub(in crate::provider) fn choice(
        &self,
    ) -> Result<(Option<Choice>, Option<Vec<String>>), AdaptError> {
        #[derive(Deserialize)]
        struct Name {
            name: String,
        }
        #[derive(Deserialize)]
        struct Entry {
            function: Option<Name>,
        }
        #[derive(Deserialize)]
        struct Allowed {
            mode: Option<String>,
            tools: Vec<Entry>,
        }
        #[derive(Deserialize)]
        struct Wire {
            function: Option<Name>,
            allowed_tools: Option<Allowed>,
        }
        const EXPECTED: &str = "none, auto, required, or an object that names a function";
        let Some(raw) = self.raw("tool_choice") else {
            return Ok((None, None));
        };
        let word = |word: &str| match word {
            "auto" => Some(Choice::Auto),
            "none" => Some(Choice::None),
            "required" | "any" => Some(Choice::Required),
            _ => None,
        };
        let wrong = || unsupported("tool_choice", format!("`tool_choice` must be {EXPECTED}"));
        if raw.starts_with('"') {
            let text: Option<String> = self.read("tool_choice", EXPECTED)?;
            return Ok((
                Some(text.as_deref().and_then(word).ok_or_else(wrong)?),
                None,
            ));
        }
        let wire: Option<Wire> = self.read("tool_choice", EXPECTED)?;
        match wire {
            Some(Wire {
                function: Some(function),
                ..
            }) => Ok((Some(Choice::Named(function.name)), None)),
            Some(Wire {
                allowed_tools: Some(allowed),
                ..
            }) => {
                let names = allowed
                    .tools
                    .into_iter()
                    .filter_map(|t| t.function)
                    .map(|f| f.name);
                let choice = allowed
                    .mode
                    .as_deref()
                    .map_or(Some(Choice::Auto), word)
                    .ok_or_else(wrong)?;
                Ok((Some(choice), Some(names.collect())))
            }
            _ => Err(wrong()),
        }
    }

    /// `response_format`
    ///
    /// # Errors
    /// If it is none of OpenAI's forms.
    pub(in crate::provider) fn format(&self) -> Result<Option<Format>, AdaptError> {
        #[derive(Deserialize)]
        struct Wire {
            #[serde(rename = "type")]
            kind: String,
            json_schema: Option<Schema>,
        }
        #[derive(Deserialize)]
        struct Schema {
            name: Option<String>,
            description: Option<String>,
            schema: Option<Box<RawValue>>,
        }
        let wire: Option<Wire> = self.read("response_format", "an object with a `type`")?;
        let Some(wire) = wire else { return Ok(None) };
        match (wire.kind.as_str(), wire.json_schema) {
            ("text", _) => Ok(Some(Format::Text)),
            ("json_object", _) => Ok(Some(Format::Object)),
            (
                "json_schema",
                Some(Schema {
                    name,
                    description,
                    schema: Some(schema),
                }),
            ) => Ok(Some(Format::Schema {
                name,
                description,
                schema,
            })),
            ("json_schema", _) => Err(unsupported(
                "response_format",
                "`response_format.json_schema.schema` is required",
            )),
            (other, _) => Err(unsupported(
                "response_format",
                format!(
                    "`response_format.type` must be text, json_object or json_schema, not `{other}`"
                ),
            )),
        }
    }

    /// `reasoning_effort`
    ///
    /// # Errors
    /// If it is no word of OpenAI's.
    pub(in crate::provider) fn effort(&self) -> Result<Option<Effort>, AdaptError> {
        const ALL: [Effort; 7] = [
            Effort::None,
            Effort::Minimal,
            Effort::Low,
            Effort::Medium,
            Effort::High,
            Effort::Xhigh,
            Effort::Max,
        ];
        const EXPECTED: &str = "none, minimal, low, medium, high, xhigh or max";
        let word: Option<String> = self.read("reasoning_effort", EXPECTED)?;
        let Some(word) = word else { return Ok(None) };
        let found = ALL.into_iter().find(|effort| effort.name() == word);
        found.map(Some).ok_or_else(|| {
            unsupported(
                "reasoning_effort",
                format!("`reasoning_effort` must be {EXPECTED}"),
            )
        })
    }
}
