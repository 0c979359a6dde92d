//! Secrets of a file that is imported: the text that is written refers to variables, and never holds a value.

use crate::config::env::is_secret;
use crate::config::tree::{Node, Pos, Scalar, Value};

/// A secret that stood in the file: the variable that is to hold it.
pub(super) struct Hidden {
    pub(super) at: Pos,
    pub(super) variable: String,
}

/// Puts a reference to a variable in the place of every secret that stands there in the clear.
pub(super) fn hide(root: &mut Node) -> Vec<Hidden> {
    let mut hiding = Hiding::default();
    let Value::Map(map) = &mut root.value else {
        return Vec::new();
    };
    for entry in &mut map.entries {
        match (&*entry.key, &mut entry.value.value) {
            ("model_groups", Value::List(groups)) => {
                for group in groups {
                    let id = group.get("id").and_then(Node::scalar);
                    let id = id.map(|id| id.raw.clone()).unwrap_or_default();
                    hiding.below(group, &name(&id));
                }
            }
            ("waypost", Value::Map(map)) => {
                for entry in &mut map.entries {
                    match (&*entry.key, &mut entry.value.value) {
                        ("keys", Value::List(keys)) => {
                            for key in keys {
                                hiding.below(key, "LITELLM_MASTER");
                            }
                        }
                        ("redis", _) => hiding.redis(&mut entry.value, "REDIS"),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    hiding.found
}

#[derive(Default)]
struct Hiding {
    /// Values with the variables that are to hold them.
    known: Vec<(String, String)>,
    found: Vec<Hidden>,
}

impl Hiding {
    /// Looks through a mapping of the configuration itself. Parameters of calls are none: a schema may well have a
    /// property called `token`.
    fn below(&mut self, node: &mut Node, prefix: &str) {
        let Value::Map(map) = &mut node.value else {
            return;
        };
        for entry in &mut map.entries {
            let key = entry.key.clone();
            if is_secret(&key) {
                self.value(&key, &mut entry.value, &format!("{prefix}_{}", name(&key)));
                continue;
            }
            match (&*key, &mut entry.value.value) {
                ("models", Value::List(models)) => {
                    for model in models {
                        self.below(model, prefix);
                    }
                }
                ("router", _) => self.below(&mut entry.value, "ROUTER"),
                ("oauth" | "cache_kwargs" | "default_litellm_params", _) => {
                    self.below(&mut entry.value, prefix);
                }
                _ => {}
            }
        }
    }

    /// `waypost.redis`, with the sentinels in it.
    fn redis(&mut self, node: &mut Node, prefix: &str) {
        let Value::Map(map) = &mut node.value else {
            return;
        };
        for entry in &mut map.entries {
            match &*entry.key {
                "password" => self.value(
                    "redis_password",
                    &mut entry.value,
                    &format!("{prefix}_PASSWORD"),
                ),
                "url" => self.value("redis_url", &mut entry.value, &format!("{prefix}_URL")),
                "sentinel" => self.redis(&mut entry.value, "REDIS_SENTINEL"),
                _ => {}
            }
        }
    }

    fn value(&mut self, key: &str, node: &mut Node, variable: &str) {
        let at = node.at;
        match &mut node.value {
            Value::Scalar(scalar) if is_literal(key, scalar) => {
                let variable = self.variable(&scalar.raw, variable);
                self.found.push(Hidden {
                    at,
                    variable: variable.clone(),
                });
                scalar.raw = format!("${{{variable}}}");
                scalar.text.clone_from(&scalar.raw);
                scalar.plain = true;
            }
            // A service account's key, written as a mapping.
            Value::Map(_) if key == "vertex_credentials" => {
                let variable = self.variable(&format!("{node:?}"), variable);
                *node = Node::made_up(at, &format!("${{{variable}}}"));
                self.found.push(Hidden { at, variable });
            }
            Value::Map(map) => {
                for entry in &mut map.entries {
                    let variable = format!("{variable}_{}", name(&entry.key));
                    self.value(key, &mut entry.value, &variable);
                }
            }
            Value::List(items) => {
                for item in items {
                    self.value(key, item, variable);
                }
            }
            Value::Null | Value::Scalar(_) => {}
        }
    }

    /// A variable of one value has one name, and two values have two.
    fn variable(&mut self, value: &str, name: &str) -> String {
        let same =
            |(known, variable): &&(String, String)| known == value && variable.starts_with(name);
        if let Some((_, variable)) = self.known.iter().find(same) {
            return variable.clone();
        }
        let taken = |name: &str| self.known.iter().any(|(_, variable)| variable == name);
        let free = (2..)
            .map(|n| format!("{name}_{n}"))
            .find(|other| !taken(other));
        let variable = match free {
            Some(other) if taken(name) => other,
            _ => name.to_owned(),
        };
        self.known.push((value.to_owned(), variable.clone()));
        variable
    }
}

/// Whether it is the secret itself: no reference, and not just the place where one is.
fn is_literal(key: &str, scalar: &Scalar) -> bool {
    let raw = scalar.raw.trim();
    let elsewhere = match key {
        "vertex_credentials" => !raw.starts_with('{'),
        "aws_web_identity_token" => raw.starts_with('/') || raw.starts_with("oidc/"),
        "redis_url" => !raw.contains('@'),
        _ => false,
    };
    !raw.is_empty() && !raw.contains("${") && !elsewhere
}

/// Fit for a variable.
fn name(text: &str) -> String {
    let name: String = text
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_uppercase()
            } else {
                '_'
            }
        })
        .collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        format!("MODEL_{name}")
    } else {
        name
    }
}
