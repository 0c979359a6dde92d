//! An answer of a given form, from models that have no parameter for it: a tool that must be called.

use std::borrow::Cow;

use serde_json::json;
use serde_json::value::RawValue;

use crate::provider::chat::{Asked, Format, Tool, members};

/// The tool whose arguments are the answer.
pub(in crate::provider) const ANSWER: &str = "json_tool_call";

/// The sentence of the system's text that asks for an object.
pub(in crate::provider) const OBJECT: &str =
    "Answer with one JSON object and nothing else: no text around it and no code fence.";

/// The tool that takes `format`'s place, if that is a schema.
pub(in crate::provider) fn tool(format: &Format) -> Option<Tool> {
    let Format::Schema {
        description,
        schema,
        ..
    } = format
    else {
        return None;
    };
    let description = description.as_deref().unwrap_or("The answer.");
    Some(Tool {
        name: ANSWER.to_owned(),
        description: Some(description.to_owned()),
        parameters: Some(schema.clone()),
        strict: None,
        cache: None,
    })
}

/// Whether the answer to this request comes as the arguments of [`ANSWER`] where the model has no parameter for it: a form
/// is asked for, and the client has no tools, between which and the answer the model would have to choose.
pub(in crate::provider) fn by_tool(asked: &Asked<'_>) -> bool {
    let schema = matches!(asked.format(), Ok(Some(Format::Schema { .. })));
    schema && asked.tools().is_ok_and(|tools| tools.is_empty())
}

/// The sentence of the system's text that asks for what `format` says, for a model that can't be held to it.
pub(in crate::provider) fn sentence(format: &Format) -> Option<String> {
    match format {
        Format::Text => None,
        Format::Object => Some(OBJECT.to_owned()),
        Format::Schema { schema, .. } => Some(format!("{OBJECT} Its JSON Schema is: {schema}")),
    }
}

/// A schema as `output_config.format` takes it: objects have no members but those that are named, which the service
/// wants said (400 otherwise). Nothing else is changed, the members' order included: it is the answer's.
pub(in crate::provider) fn closed(schema: &RawValue) -> Box<RawValue> {
    RawValue::from_string(close(schema.get())).unwrap_or_else(|_| schema.to_owned())
}

/// A schema as a tool's `input_schema` takes it: of an object, and closed if the model is to be held to it.
pub(in crate::provider) fn input(schema: Option<&RawValue>, strict: bool) -> Box<RawValue> {
    let given = schema.map_or("{}", RawValue::get);
    let given = if strict {
        Cow::Owned(close(given))
    } else {
        Cow::Borrowed(given)
    };
    let typed = match members(&given) {
        Ok(members) if members.is_empty() => r#"{"type":"object","properties":{}}"#.to_owned(),
        Ok(members) if !members.iter().any(|(name, _)| name == "type") => {
            let rest = given.trim_start().strip_prefix('{').unwrap_or_default();
            format!(r#"{{"type":"object",{rest}"#)
        }
        _ => given.into_owned(),
    };
    RawValue::from_string(typed).unwrap_or_default()
}

fn close(schema: &str) -> String {
    let Ok(members) = members(schema) else {
        return schema.to_owned();
    };
    let has = |name: &str| members.iter().any(|(other, _)| other == name);
    let kind = members.iter().find(|(name, _)| name == "type");
    let object = kind.map_or_else(
        || has("properties"),
        |(_, kind)| kind.get().contains("\"object\""),
    );
    let mut closed = Vec::with_capacity(members.len() + 1);
    for (name, value) in &members {
        let value = match name.as_str() {
            // Their members are named by the user; their values are schemas.
            "properties" | "$defs" | "definitions" => each(value.get()),
            "anyOf" | "oneOf" | "allOf" | "prefixItems" => list(value.get()),
            "items" => close(value.get()),
            _ => value.get().to_owned(),
        };
        closed.push(format!("{}:{value}", json!(name)));
    }
    if object && !has("additionalProperties") {
        closed.push("\"additionalProperties\":false".to_owned());
    }
    format!("{{{}}}", closed.join(","))
}

fn each(schemas: &str) -> String {
    let Ok(named) = members(schemas) else {
        return schemas.to_owned();
    };
    let closed = named
        .iter()
        .map(|(name, schema)| format!("{}:{}", json!(name), close(schema.get())));
    format!("{{{}}}", closed.collect::<Vec<_>>().join(","))
}

fn list(schemas: &str) -> String {
    let Ok(several) = serde_json::from_str::<Vec<&RawValue>>(schemas) else {
        return schemas.to_owned();
    };
    let closed = several.iter().map(|schema| close(schema.get()));
    format!("[{}]", closed.collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_are_closed_and_no_more() {
        let cases = [
            (
                r##"{"type":"object","properties":{"z":{"type":"object","properties":{}},"a":{"type":"array","items":{"type":["object","null"]}}}}"##,
                r##"{"type":"object","properties":{"z":{"type":"object","properties":{},"additionalProperties":false},"a":{"type":"array","items":{"type":["object","null"],"additionalProperties":false}}},"additionalProperties":false}"##,
            ),
            (
                r##"{"anyOf":[{"properties":{}},{"$ref":"#/$defs/d"}],"$defs":{"d":{"type":"object","additionalProperties":true}}}"##,
                r##"{"anyOf":[{"properties":{},"additionalProperties":false},{"$ref":"#/$defs/d"}],"$defs":{"d":{"type":"object","additionalProperties":true}}}"##,
            ),
            (
                r##"{"enum":[{"type":"object"}],"properties":{"properties":{"type":"string"}}}"##,
                r##"{"enum":[{"type":"object"}],"properties":{"properties":{"type":"string"}},"additionalProperties":false}"##,
            ),
        ];
        for (given, expected) in cases {
            let given = RawValue::from_string(given.to_owned()).expect("json");
            assert_eq!(closed(&given).get(), expected);
        }
    }
}
