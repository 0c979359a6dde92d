//! What `model` of a request may be: groups, aliases, deployments, and names of wildcard groups.

use std::sync::Arc;

use waypost::clock::SystemClock;
use waypost::config::{Alias, Config};

use crate::support::{Answer, Gateway, Yaml, lab, load, received};

/// `yaml` with these aliases: name, group, hidden.
fn with_aliases(yaml: &Yaml, aliases: &[(&str, &str, bool)]) -> Config {
    let mut config = load(&yaml.to_string());
    config.aliases = aliases
        .iter()
        .map(|(name, group, hidden)| Alias {
            name: (*name).into(),
            group: (*group).into(),
            hidden: *hidden,
        })
        .collect();
    config
}

async fn start(config: &Config) -> Gateway {
    Gateway::of(config, Arc::new(SystemClock)).await
}

/// The group's name in the answer's headers.
fn group(answer: &Answer) -> &str {
    answer.header("x-waypost-model-group").unwrap_or_default()
}

/// The names in `/models`, as this key sees them.
async fn listed(gateway: &Gateway, key: &str) -> Vec<String> {
    let request = gateway
        .request(http::Method::GET, "/v1/models")
        .header("api-key", key);
    let list = request.send().await.ok().json();
    let ids = list["data"].as_array().expect("data").iter();
    ids.map(|model| model["id"].as_str().expect("an id").to_owned())
        .collect()
}

#[tokio::test]
async fn an_alias_is_its_group() {
    let lab = lab(["a", "b"]);
    let [a, b] = lab.deployments() else { panic!() };
    let yaml = Yaml::default().group("ga", [a]).group("gb", [b]);
    let aliases = [("one", "ga", false), ("two", "gb", true)];
    let gateway = start(&with_aliases(&yaml, &aliases)).await;
    for (name, expected) in [("one", "ga"), ("two", "gb"), ("ga", "ga")] {
        let answer = gateway.chat(name).await.ok();
        assert_eq!(group(&answer), expected, "{name}");
    }
    assert_eq!(received(&lab), [2, 1]);
    assert_eq!(listed(&gateway, "any").await, ["ga", "gb", "one"]);
    for (name, status) in [("one", 200), ("two", 200), ("three", 404)] {
        let answer = gateway.get(&format!("/v1/models/{name}")).await;
        assert_eq!(answer.status, status, "{name}");
        if status == 200 {
            assert_eq!(answer.json()["id"], name);
        }
    }
    let unknown = gateway.chat("ones").await;
    assert_eq!((unknown.status, &*unknown.code()), (404, "model_not_found"));
    let message = unknown.message();
    assert!(message.contains("Did you mean `one`?"), "{message}");
    assert!(!message.contains("two"), "hidden: {message}");
    gateway.stop().await;
}
