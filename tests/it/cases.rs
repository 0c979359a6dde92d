//! Every rule of routing as a case: a state, a request, the decision. `tests/data/routing-cases.yml` has them, for people and
//! for this test, which plays each one over the lab; `docs/routing-cases.md` is the same as a page.
//!
//! A case's configuration is a LiteLLM `config.yaml`, made of the case's deployments and settings. Time is the gateway's
//! own and stands still, unless a step moves it; back-offs and the clocks of attempts are the machine's. `CASE=retry-`
//! plays those whose name begins so.

mod page;
mod play;

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::path::Path;

use futures_util::{FutureExt as _, StreamExt as _, stream};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use waypost::lab::Behaviour;

use play::Step;

type Object = Map<String, Value>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    sections: Vec<Section>,
    cases: Vec<Case>,
}

/// A part of the page.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Section {
    id: String,
    title: String,
    /// What stands above its table.
    #[serde(default)]
    about: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    id: String,
    section: String,
    // For people.
    state: String,
    request: String,
    decision: String,
    /// What LiteLLM decides; not given where it is the same.
    litellm: Option<String>,
    /// Why it is not the same.
    why: Option<String>,
    // For the machine: the file, of which groups by name with their deployments by name are `model_list`,
    #[serde(default)]
    models: BTreeMap<String, BTreeMap<String, Option<Object>>>,
    router_settings: Option<Object>,
    litellm_settings: Option<Object>,
    general_settings: Option<Object>,
    waypost: Option<Object>,
    /// a finding that refuses it, or findings that are only said, by a part of their text,
    refused: Option<String>,
    #[serde(default)]
    said: Vec<String>,
    /// how the deployments behave at first, and what happens.
    #[serde(default)]
    lab: BTreeMap<String, Act>,
    /// The gateway's time is the machine's.
    #[serde(default)]
    real_time: bool,
    #[serde(default)]
    steps: Vec<Step>,
}

/// A whole behaviour, or the fault that is all of it.
#[derive(Clone, Deserialize)]
#[serde(untagged)]
enum Act {
    Name(String),
    Map(Object),
}

impl Act {
    #[track_caller]
    fn behaviour(&self) -> Behaviour {
        let as_fault = |value| serde_json::from_value(json!({"fault": value}));
        let read = match self {
            Self::Name(name) if name == "healthy" => return Behaviour::default(),
            Self::Name(name) => as_fault(json!(name)),
            Self::Map(map) => {
                let value = Value::from(map.clone());
                serde_json::from_value(value.clone()).or_else(|_| as_fault(value))
            }
        };
        read.expect("a behaviour or a fault")
    }
}

impl Case {
    fn deployments(&self) -> impl Iterator<Item = (&String, &String, Option<&Object>)> {
        self.models.iter().flat_map(|(group, models)| {
            let models = models.iter();
            models.map(move |(name, keys)| (group, name, keys.as_ref()))
        })
    }

    /// The file. `$URL_a` is where the lab's `a` is, `$ROOT_a` the same without `/v1`.
    fn config(&self) -> String {
        let entry = |(group, name, keys): (&String, &String, Option<&Object>)| {
            let mut params =
                json!({"model": format!("hosted_vllm/{name}"), "api_base": format!("$URL_{name}")});
            let mut info = json!({"id": name});
            for (key, value) in keys.into_iter().flatten() {
                match (key.as_str(), value) {
                    ("model_info", Value::Object(own)) => {
                        let own = own.iter().map(|(key, value)| (key.clone(), value.clone()));
                        info.as_object_mut().expect("an object").extend(own);
                    }
                    _ => params[key] = value.clone(),
                }
            }
            json!({"model_name": group, "litellm_params": params, "model_info": info})
        };
        let mut file = json!({"model_list": self.deployments().map(entry).collect::<Vec<_>>()});
        for (name, section) in [
            ("router_settings", &self.router_settings),
            ("litellm_settings", &self.litellm_settings),
            ("general_settings", &self.general_settings),
            ("waypost", &self.waypost),
        ] {
            if let Some(section) = section {
                file[name] = section.clone().into();
            }
        }
        file.to_string()
    }
}

fn read() -> Cases {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/routing-cases.yml");
    serde_yaml::from_str(&std::fs::read_to_string(file).expect("a file")).expect("cases")
}

/// What a case has failed with.
fn told(failure: Box<dyn Any + Send>) -> String {
    match failure.downcast::<String>() {
        Ok(text) => *text,
        Err(other) => (*other.downcast::<&str>().unwrap_or_default()).to_owned(),
    }
}

#[tokio::test]
async fn every_case_is_decided_as_it_says() {
    let wanted = std::env::var("CASE").ok();
    let cases = read().cases.into_iter();
    let cases = cases.filter(|case| wanted.as_ref().is_none_or(|id| case.id.starts_with(id)));
    let failed: Vec<String> = stream::iter(cases)
        .map(|case| async {
            let id = case.id.clone();
            let played = AssertUnwindSafe(Box::pin(play::case(case)))
                .catch_unwind()
                .await;
            played
                .err()
                .map(|failure| format!("{id}: {}", told(failure)))
        })
        .buffer_unordered(8)
        .filter_map(std::future::ready)
        .collect()
        .await;
    assert!(
        failed.is_empty(),
        "{} fail:\n{}",
        failed.len(),
        failed.join("\n")
    );
}

#[test]
fn each_case_has_a_name_and_a_place_and_says_why_it_differs() {
    let Cases { sections, cases } = read();
    let mut names = BTreeSet::new();
    for case in &cases {
        let Case { id, section, .. } = case;
        assert!(names.insert(id), "{id} is there twice");
        assert!(
            sections.iter().any(|s| s.id == *section),
            "{id}: no section {section}"
        );
        assert!(
            case.why.is_none() || case.litellm.is_some(),
            "{id}: differs from what?"
        );
        let not_built = *section == page::NOT_BUILT;
        assert!(
            not_built || case.why.is_some() == case.litellm.is_some(),
            "{id}: why?"
        );
        let plays = !case.steps.is_empty() || case.refused.is_some() || !case.said.is_empty();
        assert!(plays, "{id} is only words");
    }
    for section in sections {
        assert!(
            cases.iter().any(|case| case.section == section.id),
            "{} is empty",
            section.id
        );
    }
}
