//! What becomes of a request's parameters, and the layers they come from.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;

use super::{Object, unsupported};
use crate::provider::{AdaptError, Call};
use crate::types::{Dropping, Target};

/// What a dialect does with a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::provider) enum Treatment {
    /// It is translated; the text says into what.
    Becomes(&'static str),
    /// The provider has it under the same name and in the same form.
    Native,
    /// It does not change the answer, and is left out. The answer's header names it.
    Ignored,
    /// The answer would be another one without it: the request is refused, unless the deployment drops parameters. The text
    /// says what would work.
    Refused(&'static str),
}

/// A dialect's parameters: each of [`OPENAI`], and its own; a last row [`ANY`], if there is one, stands for all others.
pub(in crate::provider) type Table = &'static [(&'static str, Treatment)];

/// The name of the row for names that have none.
pub(in crate::provider) const ANY: &str = "*";

/// Members that are no parameters: what is asked, and how the answer comes.
const STRUCTURE: [&str; 6] = [
    "model",
    "messages",
    "stream",
    "stream_options",
    "cache",
    "input",
];

/// Every parameter that OpenAI's chat completions have (providers.md 1.1 of the API's description, November 2026). Each
/// table has a row for each.
pub(in crate::provider) const OPENAI: [&str; 34] = [
    "max_completion_tokens",
    "max_tokens",
    "temperature",
    "top_p",
    "n",
    "stop",
    "seed",
    "frequency_penalty",
    "presence_penalty",
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "functions",
    "function_call",
    "response_format",
    "modalities",
    "audio",
    "prediction",
    "verbosity",
    "reasoning_effort",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "service_tier",
    "store",
    "user",
    "safety_identifier",
    "metadata",
    "moderation",
    "web_search_options",
    "encoding_format",
];

/// A deployment's share in its requests, read once.
#[derive(Debug, Clone)]
pub(in crate::provider) struct Layers {
    /// The dialect, as messages call it.
    who: &'static str,
    table: Table,
    defaults: Vec<(Box<str>, Box<str>)>,
    extra: Vec<(Box<str>, Box<str>)>,
    dropping: Dropping,
}

/// Where a parameter comes from; the first one wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Layer {
    Request,
    File,
}

/// A request's parameters, those of the file below them.
#[derive(Debug)]
pub(in crate::provider) struct Asked<'a> {
    pub(super) call: &'a Call,
    who: &'static str,
    members: Vec<(&'a str, &'a str, Layer)>,
    /// Sent as they are although the dialect does not know them.
    passed: Vec<(&'a str, &'a str)>,
    extra: &'a [(Box<str>, Box<str>)],
    /// Parameters that are left out.
    pub(in crate::provider) dropped: Vec<Cow<'static, str>>,
    drops: bool,
}

impl Layers {
    /// Of a deployment that speaks the dialect called `who`.
    pub(in crate::provider) fn new(target: &Target, who: &'static str, table: Table) -> Self {
        let written = |fields: &[(String, serde_json::Value)]| {
            fields
                .iter()
                .map(|(name, value)| (name.as_str().into(), value.to_string().into()))
                .collect()
        };
        Self {
            who,
            table,
            defaults: written(&target.defaults),
            extra: written(&target.extra_body),
            dropping: target.dropping.clone(),
        }
    }

    /// The parameters of a request.
    ///
    /// # Errors
    /// Naming the first one that can't be had.
    pub(in crate::provider) fn asked<'a>(
        &'a self,
        call: &'a Call,
    ) -> Result<Asked<'a>, AdaptError> {
        let mut asked = Asked {
            call,
            who: self.who,
            members: Vec::with_capacity(16),
            passed: Vec::new(),
            extra: &self.extra,
            dropped: Vec::new(),
            drops: self.dropping.all,
        };
        for (name, value) in call.head.members(&call.body) {
            let value = std::str::from_utf8(value).unwrap_or("null");
            self.place(name, value, Layer::Request, &mut asked)?;
        }
        for (name, value) in &self.defaults {
            if !call.head.has(name) {
                self.place(name, value, Layer::File, &mut asked)?;
            }
        }
        Ok(asked)
    }

    fn place<'a>(
        &'a self,
        name: &'a str,
        value: &'a str,
        layer: Layer,
        asked: &mut Asked<'a>,
    ) -> Result<(), AdaptError> {
        let listed = |names: &[String]| names.iter().any(|other| other == name);
        if value == "null" || STRUCTURE.contains(&name) {
            return Ok(());
        }
        if listed(&self.dropping.also) {
            asked.drop(name);
            return Ok(());
        }
        let mut rows = self.table.iter();
        let row = rows.find(|(other, _)| [name, ANY].contains(other));
        match row.map(|(_, treatment)| *treatment) {
            Some(Treatment::Becomes(_)) => asked.members.push((name, value, layer)),
            Some(Treatment::Native) => {
                asked.members.push((name, value, layer));
                asked.passed.push((name, value));
            }
            // Of a file's parameters those that a provider has of its own.
            None if layer == Layer::File => asked.passed.push((name, value)),
            _ if listed(&self.dropping.allowed) => asked.passed.push((name, value)),
            _ if is_harmless(name, value) => {}
            Some(Treatment::Ignored) => asked.drop(name),
            // A file that serves several dialects may say what only some of them know.
            Some(Treatment::Refused(_)) if layer == Layer::File => asked.drop(name),
            Some(Treatment::Refused(why)) => asked.refuse(name, why)?,
            None => asked.refuse(
                name,
                "it is no parameter of OpenAI's, nor one that is passed on",
            )?,
        }
        Ok(())
    }
}

/// Whether a value says no more than leaving the parameter out would.
fn is_harmless(name: &str, value: &str) -> bool {
    let Ok(value) = serde_json::from_str::<Value>(value) else {
        return false;
    };
    match &value {
        Value::Null => true,
        // The default is true.
        Value::Bool(on) => *on == (name == "parallel_tool_calls"),
        Value::Number(n) => match name {
            "n" => n.as_f64() == Some(1.0),
            "frequency_penalty" | "presence_penalty" | "top_logprobs" => n.as_f64() == Some(0.0),
            _ => false,
        },
        Value::String(text) => match name {
            "function_call" | "service_tier" => matches!(text.as_str(), "auto" | "none" | ""),
            "verbosity" => text == "medium",
            _ => text.is_empty(),
        },
        Value::Array(items) => {
            items.is_empty() || name == "modalities" && items.iter().all(|item| item == "text")
        }
        // A search without options is a search.
        Value::Object(members) => members.is_empty() && name != "web_search_options",
    }
}

impl<'a> Asked<'a> {
    fn drop(&mut self, name: &str) {
        self.dropped.push(Cow::Owned(name.to_owned()));
    }

    /// Leaves a parameter out, or refuses the request for it, as the deployment is set up.
    ///
    /// # Errors
    /// The refusal.
    pub(in crate::provider) fn refuse(&mut self, name: &str, why: &str) -> Result<(), AdaptError> {
        if self.drops {
            self.drop(name);
            return Ok(());
        }
        Err(unsupported(
            name.to_owned(),
            format!(
                "`{name}` is not available: this model group's deployment speaks {}, and {why}. \
                 With `drop_params: true` in its configuration it would be left out.",
                self.who
            ),
        ))
    }

    /// Leaves a parameter out that turned out to say nothing here; the answer's header names it.
    pub(in crate::provider) fn leave_out(&mut self, name: &'static str) {
        if self.raw(name).is_some() {
            self.dropped.push(Cow::Borrowed(name));
        }
    }

    /// The dialect, as messages call it.
    pub(in crate::provider) const fn who(&self) -> &'static str {
        self.who
    }

    /// Whether the answer is to come as a stream.
    pub(in crate::provider) fn is_stream(&self) -> bool {
        self.call.head.stream
    }

    /// The JSON text of a parameter that the table takes.
    pub(in crate::provider) fn raw(&self, name: &str) -> Option<&'a str> {
        let found = self.members.iter().find(|(other, ..)| *other == name);
        found.map(|(_, value, _)| *value)
    }

    /// The same, if it is the request's own.
    pub(in crate::provider) fn requested(&self, name: &str) -> Option<&'a str> {
        let mut found = self.members.iter();
        let of_request =
            |(other, _, from): &&(&str, &str, Layer)| *other == name && *from == Layer::Request;
        found.find(of_request).map(|(_, value, _)| *value)
    }

    /// The first of these names, the request's above the file's.
    pub(in crate::provider) fn first(
        &self,
        names: &[&'static str],
    ) -> Option<(&'static str, &'a str)> {
        let of = |layer: Layer| {
            names.iter().find_map(|name| {
                let mut found = self.members.iter();
                found
                    .find(|(other, _, from)| other == name && *from == layer)
                    .map(|(_, value, _)| (*name, *value))
            })
        };
        of(Layer::Request).or_else(|| of(Layer::File))
    }

    /// A parameter's value.
    ///
    /// # Errors
    /// If it is not `expected`.
    pub(in crate::provider) fn read<T: Deserialize<'a>>(
        &self,
        name: &'static str,
        expected: &str,
    ) -> Result<Option<T>, AdaptError> {
        read(self.raw(name).map(|value| (name, value)), expected)
    }

    /// Puts into `body` what is sent as it is.
    ///
    /// # Errors
    /// Never: it is JSON.
    pub(in crate::provider) fn pass_on(&self, body: &mut Object) -> Result<(), AdaptError> {
        for (name, value) in &self.passed {
            body.set_raw((*name).to_owned(), value)?;
        }
        Ok(())
    }

    /// Puts the deployment's `extra_body` into `body`, whatever is there.
    ///
    /// # Errors
    /// Never: it is JSON.
    pub(in crate::provider) fn add_extra(&self, body: &mut Object) -> Result<(), AdaptError> {
        for (name, value) in self.extra {
            body.set_raw(name.to_string(), value)?;
        }
        Ok(())
    }
}

/// A value, if there is one.
pub(super) fn read<'a, T: Deserialize<'a>>(
    found: Option<(&'static str, &'a str)>,
    expected: &str,
) -> Result<Option<T>, AdaptError> {
    let Some((name, value)) = found else {
        return Ok(None);
    };
    serde_json::from_str(value)
        .map(Some)
        .map_err(|_| unsupported(name, format!("`{name}` must be {expected}")))
}
