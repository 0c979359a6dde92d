//! Tool calls: which of a request's tools are called, and with what arguments.

use serde_json::Value;

use super::answer::Asked;
use super::behaviour::Behaviour;
use super::schema;

/// One call. The arguments are JSON in a string, as on OpenAI's wire.
#[derive(Debug, PartialEq)]
pub(super) struct ToolCall {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) arguments: String,
}

impl ToolCall {
    /// The arguments in pieces of a few characters, as streams bring them; never none.
    pub(super) fn pieces(&self) -> Vec<String> {
        let characters: Vec<char> = self.arguments.chars().collect();
        characters
            .chunks(6)
            .map(|piece| piece.iter().collect())
            .collect()
    }
}

/// The calls that answer `asked`; empty where text is the answer: no tools, `tool_choice: none`, the results of calls
/// already there, or a behaviour that never calls.
pub(super) fn calls(asked: &Asked, behaviour: &Behaviour) -> Vec<ToolCall> {
    let body = &asked.body;
    let last_role = body["messages"]
        .as_array()
        .and_then(|messages| messages.last());
    if last_role.is_some_and(|message| message["role"] == "tool") || body["tool_choice"] == "none" {
        return Vec::new();
    }
    let functions: Vec<&Value> = body["tools"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|tool| &tool["function"])
        .filter(|function| function["name"].is_string())
        .collect();
    let named = body["tool_choice"]["function"]["name"].as_str();
    let eligible: Vec<&Value> = functions
        .into_iter()
        .filter(|function| named.is_none_or(|name| function["name"] == name))
        .collect();
    if eligible.is_empty() {
        return Vec::new();
    }
    let count = match body["parallel_tool_calls"].as_bool() {
        Some(false) => behaviour.tool_calls.min(1),
        Some(true) | None => behaviour.tool_calls,
    };
    eligible
        .iter()
        .cycle()
        .take(count)
        .enumerate()
        .map(|(index, function)| ToolCall {
            id: format!("call_lab{:06}{index:03}", asked.number),
            name: function["name"].as_str().unwrap_or_default().to_owned(),
            arguments: match function.get("parameters") {
                Some(parameters) => schema::instance(parameters).to_string(),
                None => "{}".to_owned(),
            },
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::lab::route::Style;
    use crate::types::Operation;

    fn names(body: Value, tool_calls: usize) -> Vec<String> {
        let mut body = body;
        body["tools"] = json!([
            {"type": "function", "function": {"name": "a", "parameters": {"properties": {"x": {"type": "integer"}}}}},
            {"type": "function", "function": {"name": "b"}},
        ]);
        let asked = Asked {
            operation: Operation::Chat,
            style: Style::OpenAi,
            body,
            number: 1,
            created: 0,
        };
        let behaviour = Behaviour {
            tool_calls,
            ..Behaviour::default()
        };
        calls(&asked, &behaviour)
            .into_iter()
            .map(|call| format!("{}{}", call.name, call.arguments))
            .collect()
    }

    #[test]
    fn which_tools_are_called() {
        for (body, tool_calls, expected) in [
            (json!({}), 1, vec![r#"a{"x":1}"#]),
            (json!({}), 2, vec![r#"a{"x":1}"#, "b{}"]),
            (json!({}), 3, vec![r#"a{"x":1}"#, "b{}", r#"a{"x":1}"#]),
            (json!({}), 0, vec![]),
            (
                json!({"parallel_tool_calls": false}),
                2,
                vec![r#"a{"x":1}"#],
            ),
            (json!({"tool_choice": "none"}), 1, vec![]),
            (
                json!({"tool_choice": {"type": "function", "function": {"name": "b"}}}),
                1,
                vec!["b{}"],
            ),
            (
                json!({"messages": [{"role": "tool", "content": "done"}]}),
                1,
                vec![],
            ),
        ] {
            assert_eq!(names(body.clone(), tool_calls), expected, "{body}");
        }
    }
}
