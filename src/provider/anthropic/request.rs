//! A request in Anthropic's words.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::blocks::{self, Marks};
use super::models::{Model, Thinks, Thought};
use super::schema;
use crate::provider::AdaptError;
use crate::provider::chat::{
    Asked, Choice, Effort, Format, Item, Object, Part, Speaker, Tool, Turn, turns, unsupported,
};

/// The body. `fixed` members come first.
pub(super) fn body(
    asked: &mut Asked<'_>,
    model: &Model,
    account: &str,
    fixed: &[(&'static str, String)],
) -> Result<Object, AdaptError> {
    let (mut system, turns) = turns(asked.messages()?, account);
    let ends = turns.last().map(|turn| turn.speaker);
    if ends == Some(Speaker::Assistant) && !model.prefill {
        return Err(unsupported(
            "messages",
            "the last message can't be the assistant's: this model does not continue a given answer",
        ));
    }
    let mut body = Object::default();
    for (name, value) in fixed {
        body.set(*name, value);
    }
    asked.pass_on(&mut body)?;
    let limit = asked.limit()?.unwrap_or(model.max_output);
    body.set("max_tokens", &limit);
    if asked.is_stream() {
        body.set("stream", &true);
    }
    let stop: Vec<String> = asked.stop()?;
    let stop: Vec<&String> = stop.iter().filter(|text| !text.trim().is_empty()).collect();
    if !stop.is_empty() {
        body.set("stop_sequences", &stop);
    }
    identity(asked, &mut body)?;
    tier(asked, &mut body)?;

    let format = asked.format()?.unwrap_or(Format::Text);
    let mut tools = asked.tools()?;
    let mut choice = asked.choice()?.0;
    let mut config = Config::default();
    match &format {
        Format::Schema { schema, .. } if model.native_schema => config.format = Some(schema),
        format if schema::by_tool(asked) => {
            tools.extend(schema::tool(format));
            choice = Some(Choice::Named(schema::ANSWER.to_owned()));
        }
        format => system.extend(schema::sentence(format).map(Part::text)),
    }
    let forced = matches!(choice, Some(Choice::Required | Choice::Named(_))) && !tools.is_empty();
    let thought = thought(asked, model, &turns, limit, forced)?;
    let thinks = thought.is_on();
    body.set_some("thinking", thought.thinking);
    config.effort = thought.effort;
    config.put(asked, &mut body)?;
    sampling(asked, model, thinks, &mut body)?;

    let places = tools.iter().map(|tool| &tool.cache);
    let texts = system.iter().chain(blocks::parts(&turns));
    let taken = usize::from(asked.raw("cache_control").is_some());
    let mut marks = Marks::new(places.chain(texts.map(|part| &part.cache)), taken);
    let free = model.may_force(thinks);
    put_tools(asked, (tools, choice), (free, model), &mut marks, &mut body)?;
    body.set_some("system", blocks::system(&system, &mut marks)?);
    body.set("messages", &blocks::messages(&turns, &mut marks)?);
    asked.add_extra(&mut body)?;
    Ok(body)
}

/// `metadata.user_id`. An address of e-mail would be refused.
fn identity(asked: &mut Asked<'_>, body: &mut Object) -> Result<(), AdaptError> {
    #[derive(Deserialize)]
    struct Metadata {
        user_id: Option<String>,
    }
    let metadata: Option<Metadata> = asked.read("metadata", "an object")?;
    let mut found = metadata.and_then(|metadata| metadata.user_id);
    if found.is_none() {
        asked.leave_out("metadata");
    }
    for name in ["safety_identifier", "user"] {
        let given: Option<String> = asked.read(name, "a text")?;
        if given.as_ref().is_some_and(|text| text.contains('@')) {
            asked.leave_out(name);
        } else if found.is_none() {
            found = given;
        }
    }
    if let Some(id) = found {
        body.set("metadata", &json!({"user_id": id}));
    }
    Ok(())
}

/// `service_tier`, one of which is another parameter here.
fn tier(asked: &mut Asked<'_>, body: &mut Object) -> Result<(), AdaptError> {
    let tier: Option<String> = asked.read("service_tier", "a text")?;
    match tier.as_deref() {
        None => {}
        Some("auto" | "priority") => _ = body.set("service_tier", "auto"),
        Some("default" | "standard_only") => _ = body.set("service_tier", "standard_only"),
        Some("fast") => _ = body.set("speed", "fast"),
        Some(_) => asked.leave_out("service_tier"),
    }
    Ok(())
}

/// What the request says about thinking, or what its effort means. A tool that must be called goes before thinking that may
/// be left out.
pub(in crate::provider) fn thought(
    asked: &mut Asked<'_>,
    model: &Model,
    turns: &[Turn],
    limit: u64,
    forced: bool,
) -> Result<Thought, AdaptError> {
    let effort = asked.effort()?;
    // The request goes before the file, whichever of the two names it uses.
    let own = asked.first(&["thinking", "reasoning_effort"]);
    let native: Option<Value> = match own {
        Some(("thinking", _)) => asked.read("thinking", "an object")?,
        _ => None,
    };
    let (thought, name) = match (native, effort) {
        (Some(thinking), effort) => {
            let beside = effort.and_then(|effort| model.thought(effort, limit));
            let thought = Thought {
                thinking: Some(thinking),
                effort: beside.and_then(|thought| thought.effort),
            };
            (Some(thought), "thinking")
        }
        (None, Some(effort)) => {
            let effort = if forced && !model.always_thinks() && effort != Effort::None {
                asked.leave_out("reasoning_effort");
                Effort::None
            } else {
                effort
            };
            (model.thought(effort, limit), "reasoning_effort")
        }
        (None, None) => return Ok(Thought::default()),
    };
    let lost = model.thinking == Thinks::Budget && has_lost_its_thinking(turns);
    match thought {
        Some(thought) if !(lost && thought.is_on()) => Ok(thought),
        _ => {
            asked.leave_out(name);
            Ok(Thought::default())
        }
    }
}

/// Whether the assistant called tools last and what it thought before is not there (any more), which is refused where
/// thinking is on.
fn has_lost_its_thinking(turns: &[Turn]) -> bool {
    let mut last = turns.iter().rev();
    let last = last.find(|turn| turn.speaker == Speaker::Assistant);
    last.is_some_and(|turn| {
        let signed = |item: &Item| matches!(item, Item::Thinking(thinking) if thinking.is_signed());
        turn.items.iter().any(|item| matches!(item, Item::Call(_)))
            && !turn.items.first().is_some_and(signed)
    })
}

/// `output_config`
#[derive(Default)]
struct Config<'a> {
    effort: Option<&'static str>,
    format: Option<&'a RawValue>,
}

impl Config<'_> {
    fn put(&self, asked: &Asked<'_>, body: &mut Object) -> Result<(), AdaptError> {
        #[derive(serde::Serialize)]
        struct Form {
            r#type: &'static str,
            schema: Box<RawValue>,
        }
        let mut config = Object::default();
        config.set_some("effort", self.effort);
        let form = self.format.map(|schema| Form {
            r#type: "json_schema",
            schema: schema::closed(schema),
        });
        config.set_some("format", form);
        let native: Option<&RawValue> = asked.read("output_config", "an object")?;
        if let Some(native) = native {
            config.merge("output_config", native.get())?;
        }
        if !config.is_empty() {
            body.set("output_config", &config);
        }
        Ok(())
    }
}

/// Thinking fixes the temperature at 1 and forbids `top_k` and a `top_p` below 0.95; models that structure their output take
/// one of temperature and `top_p`.
fn sampling(
    asked: &mut Asked<'_>,
    model: &Model,
    thinks: bool,
    body: &mut Object,
) -> Result<(), AdaptError> {
    let temperature = asked.number("temperature")?;
    let top_p = asked.number("top_p")?;
    asked.number("top_k")?;
    let below = |number: &serde_json::Number, limit| number.as_f64().is_some_and(|n| n < limit);
    let either = model.native_schema && temperature.is_some();
    for (name, out) in [
        ("temperature", thinks),
        ("top_k", thinks),
        (
            "top_p",
            either || thinks && top_p.is_some_and(|top_p| below(&top_p, 0.95)),
        ),
    ] {
        if !model.sampling || out {
            asked.leave_out(name);
        } else if name == "temperature" && temperature.as_ref().is_some_and(|one| !below(one, 1.0))
        {
            body.set("temperature", &1);
        } else if let Some(value) = asked.raw(name) {
            body.set_raw(name, value)?;
        }
    }
    Ok(())
}

/// `tools` and `tool_choice`. `free`: a tool may be forced; where not, a named one is the only one there is.
fn put_tools(
    asked: &mut Asked<'_>,
    (mut tools, mut choice): (Vec<Tool>, Option<Choice>),
    (free, model): (bool, &Model),
    marks: &mut Marks,
    body: &mut Object,
) -> Result<(), AdaptError> {
    if tools.is_empty() {
        return Ok(());
    }
    if !free && matches!(choice, Some(Choice::Required | Choice::Named(_))) {
        if let Some(Choice::Named(name)) = &choice {
            tools.retain(|tool| tool.name == *name);
        }
        choice = Some(Choice::Auto);
        asked.leave_out("tool_choice");
    }
    let mut written = Vec::with_capacity(tools.len());
    for tool in &tools {
        let mut one = Object::default();
        one.set("name", &tool.name);
        one.set_some("description", tool.description.as_ref());
        let strict = tool.strict == Some(true) && model.native_schema;
        let given = tool.parameters.as_deref();
        one.set("input_schema", &schema::input(given, strict));
        if strict {
            one.set("strict", &true);
        }
        marks.set(tool.cache.as_ref(), &mut one);
        written.push(one);
    }
    body.set("tools", &written);
    let parallel: Option<bool> = asked.read("parallel_tool_calls", "true or false")?;
    let single = parallel == Some(false) && choice != Some(Choice::None);
    let kind = |kind: &str| json!({"type": kind});
    let mut choice = match choice {
        None if single => kind("auto"),
        None => return Ok(()),
        Some(Choice::Auto) => kind("auto"),
        Some(Choice::None) => kind("none"),
        Some(Choice::Required) => kind("any"),
        Some(Choice::Named(name)) => json!({"type": "tool", "name": name}),
    };
    if single {
        choice["disable_parallel_tool_use"] = true.into();
    }
    body.set("tool_choice", &choice);
    Ok(())
}
