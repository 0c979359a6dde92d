//! A JSON value that satisfies a simple JSON schema, for structured output and arguments of tool calls.
//!
//! Covers what people put into `response_format` and tool parameters: objects, arrays, enums, constants, references,
//! unions, bounds. It does not cover patterns and formats: a string is a word.

use serde_json::{Map, Value, json};

/// References may be recursive; deeper than this everything is null.
const DEEPEST: usize = 16;

/// The simplest value that satisfies `schema`, with every property of every object.
pub(super) fn instance(schema: &Value) -> Value {
    build(schema, schema, 0)
}

fn build(schema: &Value, root: &Value, depth: usize) -> Value {
    if depth > DEEPEST {
        return Value::Null;
    }
    if let Some(target) = schema["$ref"]
        .as_str()
        .and_then(|path| path.strip_prefix('#'))
    {
        return root
            .pointer(target)
            .map_or(Value::Null, |target| build(target, root, depth + 1));
    }
    if let Some(constant) = schema.get("const") {
        return constant.clone();
    }
    if let Some(first) = schema["enum"].get(0) {
        return first.clone();
    }
    for union in ["anyOf", "oneOf"] {
        if let Some(first) = schema[union].get(0) {
            return build(first, root, depth + 1);
        }
    }
    if let Some(all) = schema["allOf"].as_array() {
        let mut merged = Map::new();
        let mut last = Value::Null;
        for part in all {
            last = build(part, root, depth + 1);
            if let Value::Object(fields) = &mut last {
                merged.append(fields);
            }
        }
        return if merged.is_empty() {
            last
        } else {
            merged.into()
        };
    }
    let kind = schema["type"]
        .as_str()
        .or_else(|| schema["type"].get(0).and_then(Value::as_str));
    match kind {
        Some("array") => {
            let count = schema["minItems"].as_u64().unwrap_or(1).min(64);
            (0..count)
                .map(|_| build(&schema["items"], root, depth + 1))
                .collect()
        }
        Some("string") => {
            let shortest =
                usize::try_from(schema["minLength"].as_u64().unwrap_or(0).min(4096)).unwrap_or(0);
            format!("{:x<shortest$}", "lab").into()
        }
        Some("integer") => schema["minimum"].as_i64().unwrap_or(1).into(),
        Some("number") => schema["minimum"].as_f64().unwrap_or(1.5).into(),
        Some("boolean") => true.into(),
        Some("null") => Value::Null,
        Some("object") => object(schema, root, depth),
        _ if schema.get("properties").is_some() => object(schema, root, depth),
        _ => json!("lab"),
    }
}

fn object(schema: &Value, root: &Value, depth: usize) -> Value {
    let Some(properties) = schema["properties"].as_object() else {
        return json!({});
    };
    properties
        .iter()
        .map(|(name, property)| (name.clone(), build(property, root, depth + 1)))
        .collect::<Map<_, _>>()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_of_simple_schemas() {
        for (schema, expected) in [
            (json!({"type": "string"}), json!("lab")),
            (json!({"type": "string", "minLength": 5}), json!("labxx")),
            (json!({"enum": ["b", "a"]}), json!("b")),
            (json!({"const": 3}), json!(3)),
            (json!({"type": ["integer", "null"], "minimum": 7}), json!(7)),
            (
                json!({"anyOf": [{"type": "boolean"}, {"type": "null"}]}),
                json!(true),
            ),
            (
                json!({"type": "array", "items": {"type": "number"}, "minItems": 2}),
                json!([1.5, 1.5]),
            ),
            (
                json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/x"}}, "$defs": {"x": {"type": "null"}}}),
                json!({"a": null}),
            ),
            (
                json!({"allOf": [{"properties": {"a": {"const": 1}}}, {"properties": {"b": {"const": 2}}}]}),
                json!({"a": 1, "b": 2}),
            ),
            (json!({}), json!("lab")),
            (json!({"type": "object"}), json!({})),
        ] {
            assert_eq!(instance(&schema), expected, "{schema}");
        }
    }

    #[test]
    fn a_recursive_schema_ends() {
        let tree = json!({"type": "object", "properties": {"next": {"$ref": "#"}}});
        assert!(instance(&tree).is_object());
    }
}
