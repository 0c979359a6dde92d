//! What a request or a file asks for beside the messages, by Ollama's names.
//!
//! Values are kept as they were written: a schema's properties are shown to the model in their order.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::catalog::ollama::{LOADING, SAMPLING};
use crate::provider::AdaptError;
use crate::provider::chat::Treatment::{Becomes, Ignored, Native, Refused};
use crate::provider::chat::{
    ANY, Asked, Choice, Effort, Format, Object, Table, Treatment, unsupported,
};

/// Options that OpenAI calls the same.
const SHARED: [&str; 5] = [
    "temperature",
    "top_p",
    "seed",
    "presence_penalty",
    "frequency_penalty",
];
/// Ollama's limit by OpenAI's names. The newer one stands above the older one, and OpenAI's above Ollama's.
const LIMITS: [&str; 2] = ["max_tokens", "max_completion_tokens"];

type Row = (&'static str, Treatment);

const OPTION: Treatment = Becomes("options");
const NO_COUNTERPART: Treatment = Refused("it has no counterpart there");

const ROWS: [Row; 26] = [
    ("max_completion_tokens", OPTION),
    ("max_tokens", OPTION),
    ("temperature", OPTION),
    ("top_p", OPTION),
    ("seed", OPTION),
    ("stop", OPTION),
    ("presence_penalty", OPTION),
    ("frequency_penalty", OPTION),
    ("options", OPTION),
    ("response_format", Becomes("format")),
    ("format", Becomes("format")),
    ("reasoning_effort", Becomes("think")),
    ("think", Becomes("think")),
    ("tools", Becomes("tools")),
    ("tool_choice", Becomes("tools")),
    ("keep_alive", Native),
    ("logprobs", Native),
    ("top_logprobs", Native),
    ("shift", Native),
    ("truncate", Native),
    ("n", Refused("it gives one answer to a request")),
    ("logit_bias", NO_COUNTERPART),
    ("functions", NO_COUNTERPART),
    ("function_call", NO_COUNTERPART),
    ("audio", NO_COUNTERPART),
    ("modalities", NO_COUNTERPART),
];
/// What is left: `web_search_options`, and all others, which Ollama's OpenAI path ignores as well.
const REST: [Row; 2] = [("web_search_options", NO_COUNTERPART), (ANY, Ignored)];

/// What is to be known beside the table.
pub(in crate::provider) const ABOUT: &str =
    "Only a deployment that configures an option of Ollama's own is spoken to in its own \
dialect: chats at `{api_base}/api/chat`, embeddings at `/api/embed` (see *Ollama's own API* in \
[configuration.md](configuration.md)). All others, and `/completions`, go to its OpenAI path.

- Images must be `data:` URLs. The texts of a message's parts are joined by a blank line.
- What the model thought comes as `reasoning_content`, and goes back from there.
- Ollama sends no ids; those of calls are made here.";

/// Of chats.
pub(in crate::provider) const CHAT: Table = &joined::<
    { ROWS.len() + LOADING.len() + SAMPLING.len() + REST.len() },
>(&ROWS, &[LOADING, SAMPLING], &REST);

const EMBED_ROWS: [Row; 5] = [
    ("dimensions", Native),
    ("keep_alive", Native),
    ("truncate", Native),
    ("options", OPTION),
    // Numbers come; another encoding is made of them later.
    ("encoding_format", Becomes("the same")),
];

/// Of embeddings.
pub(super) const EMBED: Table =
    &joined::<{ EMBED_ROWS.len() + LOADING.len() + 1 }>(&EMBED_ROWS, &[LOADING], &[(ANY, Ignored)]);

/// Rows, those of the options of these names, and the last rows.
const fn joined<const N: usize>(
    first: &[Row],
    options: &[&[&'static str]],
    last: &[Row],
) -> [Row; N] {
    let mut all = [(ANY, Ignored); N];
    let mut at = 0;
    while at < first.len() {
        all[at] = first[at];
        at += 1;
    }
    let mut list = 0;
    while list < options.len() {
        let mut name = 0;
        while name < options[list].len() {
            all[at] = (options[list][name], OPTION);
            (at, name) = (at + 1, name + 1);
        }
        list += 1;
    }
    let mut row = 0;
    while row < last.len() {
        all[at] = last[row];
        (at, row) = (at + 1, row + 1);
    }
    all
}

/// Whether a member is an option, or holds some.
pub(super) fn is_option(name: &str) -> bool {
    let lists: [&[&str]; 5] = [LOADING, SAMPLING, &SHARED, &LIMITS, &["options", "stop"]];
    lists.iter().any(|list| list.contains(&name))
}

/// The options that one layer has.
///
/// # Errors
/// If `options` is no object.
pub(super) fn options<'a>(
    get: impl Fn(&str) -> Option<Cow<'a, str>>,
) -> Result<Object, AdaptError> {
    let get = |name: &str| get(name).filter(|value| value != "null");
    let mut options = Object::default();
    if let Some(own) = get("options") {
        let own: BTreeMap<String, Box<RawValue>> = serde_json::from_str(&own)
            .map_err(|_| unsupported("options", "`options` must be an object"))?;
        for (name, value) in own {
            options.set(name, &value);
        }
    }
    for name in [LOADING, SAMPLING, &SHARED].into_iter().flatten() {
        if let Some(value) = get(name) {
            options.set_raw(*name, &value)?;
        }
    }
    for value in LIMITS.into_iter().filter_map(&get) {
        options.set_raw("num_predict", &value)?;
    }
    if let Some(stop) = get("stop") {
        // It may be one text; Ollama wants a list.
        let one = stop.starts_with('"');
        let list = if one {
            format!("[{stop}]").into()
        } else {
            stop
        };
        options.set_raw("stop", &list)?;
    }
    Ok(options)
}

/// A layer of a file.
pub(super) fn of_file<'a>(fields: &[(String, Value)]) -> impl Fn(&str) -> Option<Cow<'a, str>> {
    move |name| {
        let (_, value) = fields.iter().find(|(field, _)| field == name)?;
        Some(value.to_string().into())
    }
}

/// Writes what of a chat's parameters goes to the top of the body, but for those that are passed on.
///
/// # Errors
/// Naming the parameter that can't be had.
pub(super) fn write(asked: &mut Asked<'_>, body: &mut Object) -> Result<(), AdaptError> {
    tools(asked, body)?;
    match asked.first(&["response_format", "format"]) {
        Some(("format", own)) => {
            body.set_raw("format", own)?;
        }
        _ => match asked.format()? {
            None | Some(Format::Text) => {}
            Some(Format::Object) => {
                body.set("format", "json");
            }
            Some(Format::Schema { schema, .. }) => {
                body.set("format", &schema);
            }
        },
    }
    match asked.first(&["reasoning_effort", "think"]) {
        Some(("think", own)) => body.set_raw("think", own)?,
        _ => match asked.effort()? {
            None => body,
            Some(Effort::None) => body.set("think", &false),
            Some(Effort::Minimal) => body.set("think", Effort::Low.name()),
            Some(Effort::Xhigh) => body.set("think", Effort::Max.name()),
            Some(effort) => body.set("think", effort.name()),
        },
    };
    Ok(())
}

/// The tools as they were written, unless none may be called. Ollama can't be made to call one.
fn tools(asked: &mut Asked<'_>, body: &mut Object) -> Result<(), AdaptError> {
    let choice = asked.choice()?;
    if !matches!(choice, (None | Some(Choice::Auto | Choice::None), None)) {
        asked.leave_out("tool_choice");
    }
    let none = asked.tools()?.is_empty() || choice.0 == Some(Choice::None);
    if let (Some(tools), false) = (asked.raw("tools"), none) {
        body.set_raw("tools", tools)?;
    }
    Ok(())
}
