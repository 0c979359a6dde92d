//! The `endpoints.yml` that puts a gateway in front of a lab.

use std::fmt::Write as _;

use super::handle::Handle;
use super::script::Provider;

/// The environment variable that holds the key in a generated file.
pub const KEY_VARIABLE: &str = "LAB_API_KEY";

/// An `endpoints.yml` with one model group for each group of the script, in the script's order.
///
/// Keys are not written: where a deployment needs one, the file refers to [`KEY_VARIABLE`].
#[must_use]
pub fn endpoints_yaml(handles: &[Handle]) -> String {
    let mut groups: Vec<&str> = Vec::new();
    for handle in handles {
        let group = handle.scripted().group.as_str();
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    let mut yaml = String::from("model_groups:\n");
    for group in groups {
        let members: Vec<&Handle> = handles
            .iter()
            .filter(|handle| handle.scripted().group == group)
            .collect();
        push(
            &mut yaml,
            &format!("  - id: {}\n    models:\n", scalar(group)),
        );
        for handle in &members {
            push(&mut yaml, &member(handle));
        }
        if members.len() > 1 {
            push(
                &mut yaml,
                "    router:\n      routing_strategy: simple-shuffle\n",
            );
        }
    }
    yaml
}

fn push(yaml: &mut String, text: &str) {
    // Writing to a string cannot fail.
    let _never = yaml.write_str(text).is_err();
}

fn member(handle: &Handle) -> String {
    let deployment = handle.scripted();
    let model = scalar(&deployment.model);
    let key = format!("        api_key: ${{{KEY_VARIABLE}}}\n");
    let needs_key = deployment.behaviour.expect_key.is_some();
    let (base, root) = (handle.base_url(), handle.root_url());
    match deployment.provider {
        Provider::SelfHosted => {
            let key = if needs_key { key } else { String::new() };
            format!(
                "      - provider: self-hosted\n        model: {model}\n        api_base: {base}\n{key}"
            )
        }
        Provider::Openai => {
            format!(
                "      - provider: openai\n        model: {model}\n        api_base: {base}\n{key}"
            )
        }
        Provider::Azure => format!(
            "      - provider: azure\n        deployment: {model}\n        api_base: {root}\n        \
             api_version: \"2024-10-21\"\n{key}"
        ),
    }
}

/// A text as YAML: bare where it can only be a text, quoted (JSON is YAML) otherwise.
fn scalar(text: &str) -> String {
    let bare = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c))
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
            .contains(&text.to_ascii_lowercase().as_str());
    if bare {
        text.to_owned()
    } else {
        serde_json::Value::from(text).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::{Deployment, Lab, Script};

    #[tokio::test]
    async fn groups_providers_and_keys() {
        let mut azure = Deployment::new("b").serving("gpt");
        azure.provider = Provider::Azure;
        let mut alone = Deployment::new("c").serving("7b");
        alone.group = "other".into();
        alone.behaviour.expect_key = Some("secret".into());
        let lab =
            Lab::start(&Script::of([Deployment::new("a"), alone, azure])).expect("loopback ports");
        let (a, b, c) = (
            lab.deployment("a"),
            lab.deployment("b"),
            lab.deployment("c"),
        );
        let expected = format!(
            "model_groups:\n  - id: lab\n    models:\n      - provider: self-hosted\n        model: lab-model\n        \
             api_base: {}\n      - provider: azure\n        deployment: gpt\n        api_base: {}\n        \
             api_version: \"2024-10-21\"\n        api_key: ${{LAB_API_KEY}}\n    router:\n      routing_strategy: \
             simple-shuffle\n  - id: other\n    models:\n      - provider: self-hosted\n        model: \"7b\"\n        \
             api_base: {}\n        api_key: ${{LAB_API_KEY}}\n",
            a.base_url(),
            b.root_url(),
            c.base_url(),
        );
        assert_eq!(endpoints_yaml(lab.deployments()), expected);
    }
}
