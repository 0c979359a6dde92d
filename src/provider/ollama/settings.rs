//! What a request or a file asks for beside the messages, by Ollama's names.
//!
//! Values are kept as they were written: a schema's properties are shown to the model in their order.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use super::unsupported;
use crate::catalog::ollama::{LOADING, SAMPLING};
use crate::provider::AdaptError;

type Raw = Box<RawValue>;

/// Options that OpenAI calls the same.
const SHARED: [&str; 5] = [
    "temperature",
    "top_p",
    "seed",
    "presence_penalty",
    "frequency_penalty",
];

/// Members that go to the top of the body, or decide about one that does.
const TOP: [&str; 10] = [
    "dimensions",
    "format",
    "keep_alive",
    "logprobs",
    "shift",
    "think",
    "tool_choice",
    "tools",
    "top_logprobs",
    "truncate",
];

/// Members without which the answer would be another one.
const REFUSED: [&str; 7] = [
    "n",
    "logit_bias",
    "functions",
    "function_call",
    "audio",
    "modalities",
    "web_search_options",
];

/// One layer, or several put together.
#[derive(Debug, Clone, Default)]
pub(super) struct Settings {
    top: BTreeMap<&'static str, Raw>,
    options: BTreeMap<String, Raw>,
    refused: BTreeMap<&'static str, Raw>,
}

impl Settings {
    /// Reads the members that `get` knows. Null is as good as absent.
    ///
    /// # Errors
    /// If one has not the form it must have.
    pub(super) fn read(get: impl Fn(&str) -> Option<Raw>) -> Result<Self, AdaptError> {
        let get = |name: &str| get(name).filter(|raw| raw.get() != "null");
        let mut options: BTreeMap<String, Raw> = match get("options") {
            None => BTreeMap::new(),
            Some(raw) => serde_json::from_str(raw.get())
                .map_err(|_| unsupported("options", "`options` must be an object"))?,
        };
        for name in [LOADING, SAMPLING, &SHARED].into_iter().flatten() {
            options.extend(get(name).map(|raw| ((*name).to_owned(), raw)));
        }
        // In this order: the newer name stands above the older one, and OpenAI's above Ollama's.
        let limits = ["max_tokens", "max_completion_tokens"]
            .into_iter()
            .filter_map(&get);
        options.extend(limits.map(|raw| ("num_predict".to_owned(), raw)));
        options.extend(get("stop").map(|raw| ("stop".to_owned(), list(raw))));
        let pick = |names: &[&'static str]| {
            names
                .iter()
                .filter_map(|name| Some((*name, get(name)?)))
                .collect()
        };
        let mut top: BTreeMap<&'static str, Raw> = pick(&TOP);
        if let Some(raw) = get("response_format") {
            top.insert("format", format(&raw)?);
        }
        if let Some(raw) = get("reasoning_effort") {
            top.insert("think", think(raw));
        }
        Ok(Self {
            top,
            options,
            refused: pick(&REFUSED),
        })
    }

    /// These settings under others, which win.
    pub(super) fn below(mut self, upper: Self) -> Self {
        self.top.extend(upper.top);
        self.options.extend(upper.options);
        self.refused.extend(upper.refused);
        self
    }

    /// Makes sure that a chat can be had with them.
    ///
    /// # Errors
    /// Naming the member that stands against it.
    pub(super) fn allow_chat(&mut self) -> Result<(), AdaptError> {
        for (name, raw) in &self.refused {
            let value: Value = serde_json::from_str(raw.get()).unwrap_or_default();
            let harmless = match &value {
                Value::Null | Value::Bool(false) => true,
                Value::Bool(true) => false,
                Value::Number(n) => *name == "n" && n.as_u64() == Some(1),
                Value::String(text) => text == "none",
                Value::Array(items) => items.iter().all(|item| item == "text"),
                Value::Object(members) => members.is_empty(),
            };
            if !harmless {
                let message = if *name == "n" {
                    "`n` above 1 is not available: Ollama gives one answer to a request".to_owned()
                } else {
                    format!("`{name}` is not available: Ollama has no counterpart")
                };
                return Err(AdaptError::Unsupported {
                    param: (*name).into(),
                    message,
                });
            }
        }
        let choice = self.top.remove("tool_choice");
        let Some(tools) = self.top.get("tools") else {
            return Ok(());
        };
        let kinds: Vec<Tool> = serde_json::from_str(tools.get())
            .map_err(|_| unsupported("tools", "`tools` must be a list of tools"))?;
        if let Some(other) = kinds.iter().find(|tool| tool.kind != "function") {
            return Err(unsupported(
                "tools",
                &format!(
                    "a tool of type `{}` is not available: Ollama knows functions",
                    other.kind
                ),
            ));
        }
        if kinds.is_empty() || choice.is_some_and(|raw| raw.get() == "\"none\"") {
            self.top.remove("tools");
        }
        Ok(())
    }

    /// The members of these names that are there.
    pub(super) fn members(&self, names: &[&'static str]) -> BTreeMap<&'static str, Raw> {
        names
            .iter()
            .filter_map(|name| Some((*name, self.top.get(name)?.clone())))
            .collect()
    }

    /// All options.
    pub(super) const fn options(&self) -> &BTreeMap<String, Raw> {
        &self.options
    }

    /// Those that mean something to an embedding.
    pub(super) fn loading_options(&self) -> BTreeMap<&str, &RawValue> {
        let loading = self
            .options
            .iter()
            .filter(|(name, _)| LOADING.contains(&name.as_str()));
        loading.map(|(name, raw)| (name.as_str(), &**raw)).collect()
    }
}

#[derive(Deserialize)]
struct Tool {
    #[serde(rename = "type")]
    kind: String,
}

/// `stop` may be one text; Ollama wants a list.
fn list(raw: Raw) -> Raw {
    if raw.get().starts_with('"') {
        to_raw_value(&[&raw]).unwrap_or(raw)
    } else {
        raw
    }
}

fn format(raw: &RawValue) -> Result<Raw, AdaptError> {
    #[derive(Deserialize)]
    struct Format {
        #[serde(rename = "type")]
        kind: String,
        json_schema: Option<JsonSchema>,
    }
    #[derive(Deserialize)]
    struct JsonSchema {
        schema: Option<Box<RawValue>>,
    }
    let wrong = |message: &str| unsupported("response_format", message);
    let format: Format = serde_json::from_str(raw.get())
        .map_err(|e| wrong(&format!("`response_format` is none: {e}")))?;
    match (
        format.kind.as_str(),
        format.json_schema.and_then(|s| s.schema),
    ) {
        // Null, so that a default of the file gives way.
        ("text", _) => Ok(RawValue::NULL.to_owned()),
        ("json_object", _) => to_raw_value("json").map_err(|e| wrong(&e.to_string())),
        ("json_schema", Some(schema)) => Ok(schema),
        ("json_schema", None) => Err(wrong("`response_format.json_schema.schema` is required")),
        (other, _) => Err(wrong(&format!(
            "`response_format.type` must be text, json_object or json_schema, not `{other}`"
        ))),
    }
}

fn think(effort: Raw) -> Raw {
    let own = match effort.get() {
        "\"none\"" => to_raw_value(&false),
        "\"minimal\"" => to_raw_value("low"),
        "\"xhigh\"" => to_raw_value("max"),
        _ => return effort,
    };
    own.unwrap_or(effort)
}
