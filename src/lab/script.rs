//! The script: which deployments there are, how they behave at first, and what changes when.
//!
//! A mistake is reported with line, column and key, and with the names that are allowed. What serde cannot see
//! (probabilities, names that occur twice, a timeline about nobody) is checked after reading.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::behaviour::Behaviour;
use super::latency::text;

/// A lab in writing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Script {
    /// Where the random numbers of waits and chances begin; the same seed gives the same ones.
    pub seed: u64,
    /// The deployments, at least one.
    pub deployments: Vec<Deployment>,
    /// What changes while the lab runs.
    pub timeline: Vec<Change>,
    /// After so long the timeline begins anew; without it, it runs once.
    #[serde(with = "text::optional")]
    pub repeat: Option<Duration>,
}

/// One simulated deployment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deployment {
    /// Unique within the lab.
    pub name: String,
    /// The model it says it serves, and the deployment name on Azure.
    #[serde(default = "lab_model")]
    pub model: String,
    /// The model group it belongs to in a generated `endpoints.yml`.
    #[serde(default = "lab_group")]
    pub group: String,
    /// The provider named in a generated `endpoints.yml`. Every deployment speaks all dialects, whatever stands here.
    #[serde(default)]
    pub provider: Provider,
    /// The port; 0 takes a free one.
    #[serde(default)]
    pub port: u16,
    /// What it does at first.
    #[serde(default)]
    pub behaviour: Behaviour,
}

fn lab_model() -> String {
    "lab-model".to_owned()
}

fn lab_group() -> String {
    "lab".to_owned()
}

impl Deployment {
    /// A healthy deployment called `name`.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            model: lab_model(),
            group: lab_group(),
            provider: Provider::default(),
            port: 0,
            behaviour: Behaviour::default(),
        }
    }

    /// With this behaviour at first.
    #[must_use]
    pub fn behaving(mut self, behaviour: impl Into<Behaviour>) -> Self {
        self.behaviour = behaviour.into();
        self
    }

    /// Serving this model.
    #[must_use]
    pub fn serving(mut self, model: impl Into<String>) -> Self {
        self.model = model.into();
        self
    }
}

/// The provider a deployment is presented as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Provider {
    /// vLLM, llama.cpp and the like: needs no key.
    #[default]
    SelfHosted,
    /// OpenAI.
    Openai,
    /// Azure OpenAI.
    Azure,
}

/// A change at a moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// When, from the start of the lab or of the round.
    #[serde(with = "text")]
    pub at: Duration,
    /// Whose behaviour changes.
    pub deployment: String,
    /// The whole new behaviour; without it, back to the one of the script.
    #[serde(default)]
    pub behave: Option<Behaviour>,
}

/// Why a script is no good.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScriptError {
    /// The file cannot be read.
    #[error("cannot read {path}: {error}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        error: std::io::Error,
    },
    /// It is no YAML, or has keys or values that do not belong.
    #[error("{0}")]
    Syntax(String),
    /// It reads well but makes no sense.
    #[error("{key}: {problem}")]
    Sense {
        /// Where.
        key: String,
        /// What.
        problem: String,
    },
}

impl Script {
    /// A script of healthy deployments with these names.
    #[must_use]
    pub fn healthy<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self::of(names.into_iter().map(Deployment::new))
    }

    /// A script of these deployments.
    #[must_use]
    pub fn of(deployments: impl IntoIterator<Item = Deployment>) -> Self {
        Self {
            deployments: deployments.into_iter().collect(),
            ..Self::default()
        }
    }

    /// The script `waypost lab` runs without one: three deployments, fast, slow and flaky, and an embedding model.
    #[must_use]
    pub fn default_lab() -> Self {
        match Self::parse(include_str!("default.yml")) {
            Ok(script) => script,
            Err(error) => unreachable!("a test reads the default script: {error}"),
        }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// If there is no such file or [`parse`](Self::parse) refuses it; the text begins with the file's name.
    pub fn load(path: &Path) -> Result<Self, ScriptError> {
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| ScriptError::Read {
            path: shown.clone(),
            error,
        })?;
        Self::parse(&text).map_err(|error| ScriptError::Syntax(format!("{shown}: {error}")))
    }

    /// Reads YAML.
    ///
    /// # Errors
    /// With line, column and key of what is wrong.
    pub fn parse(yaml: &str) -> Result<Self, ScriptError> {
        let script: Self = serde_yaml::from_str(yaml).map_err(|error| {
            let text = error.to_string();
            ScriptError::Syntax(
                text.strip_prefix("error: ")
                    .map_or(text.clone(), str::to_owned),
            )
        })?;
        script.validate()?;
        Ok(script)
    }

    /// Checks what types cannot say.
    ///
    /// # Errors
    /// Names the key.
    pub fn validate(&self) -> Result<(), ScriptError> {
        let wrong = |key: String, problem: &str| {
            Err(ScriptError::Sense {
                key,
                problem: problem.to_owned(),
            })
        };
        if self.deployments.is_empty() {
            return wrong("deployments".into(), "at least one is needed");
        }
        let mut names = HashSet::new();
        for (index, deployment) in self.deployments.iter().enumerate() {
            let name = &deployment.name;
            let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            if name.is_empty() || !name.chars().all(allowed) {
                return wrong(
                    format!("deployments[{index}].name"),
                    "a name has letters, digits, '-', '_' and '.' only, since it stands in URLs and headers",
                );
            }
            if !names.insert(name.as_str()) {
                return wrong(
                    format!("deployments[{index}].name"),
                    &format!("{name:?} is already taken"),
                );
            }
            if let Err(problem) = deployment.behaviour.validate() {
                return wrong(format!("deployments[{index}].behaviour"), &problem);
            }
        }
        for (index, change) in self.timeline.iter().enumerate() {
            if !names.contains(change.deployment.as_str()) {
                let known: Vec<&str> = self
                    .deployments
                    .iter()
                    .map(|known| known.name.as_str())
                    .collect();
                return wrong(
                    format!("timeline[{index}].deployment"),
                    &format!(
                        "no deployment is called {:?}; there are {}",
                        change.deployment,
                        known.join(", ")
                    ),
                );
            }
            if let Some(Err(problem)) = change.behave.as_ref().map(Behaviour::validate) {
                return wrong(format!("timeline[{index}].behave"), &problem);
            }
            if self.repeat.is_some_and(|repeat| repeat <= change.at) {
                return wrong(
                    format!("timeline[{index}].at"),
                    "is not before `repeat`, so it never comes",
                );
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::fault::Fault;
    use super::*;

    fn refused(yaml: &str) -> String {
        Script::parse(yaml)
            .expect_err("must be refused")
            .to_string()
    }

    #[test]
    fn a_script_is_read() {
        let script = Script::parse(
            "seed: 3\ndeployments:\n  - name: a\n    provider: self-hosted\n    behaviour:\n      first_token: 200ms\n      \
             per_token: {lognormal: {median: 20ms, sigma: 0.4}}\n      fault: {rate_limit: {retry_after: 3s}}\n      \
             hold: {after: 2}\n      chunking: {split_bytes: 1}\n  - name: b\ntimeline:\n  - {at: 5s, deployment: a, \
             behave: {fault: refused}}\n  - {at: 9s, deployment: a}\nrepeat: 10s\n",
        )
        .expect("a good script");
        assert_eq!(
            script.deployments[0].behaviour.fault,
            Some(Fault::rate_limit_for(Duration::from_secs(3)))
        );
        assert_eq!(
            script.timeline[0].behave,
            Some(Behaviour::fault(Fault::Refused))
        );
        assert_eq!(script.timeline[1].behave, None);
    }

    #[test]
    fn the_scripts_that_come_with_it_are_good() {
        assert_eq!(
            Script::default_lab()
                .validate()
                .err()
                .map(|error| error.to_string()),
            None
        );
        let example = include_str!("../../examples/lab.yml");
        assert!(
            Script::parse(example).is_ok(),
            "{:?}",
            Script::parse(example)
        );
    }

    #[test]
    fn mistakes_are_reported_with_line_and_key() {
        let error = refused("deployments:\n  - name: a\n    behaviour:\n      first_tokn: 1s\n");
        assert!(
            error.contains("first_tokn") && error.contains("first_token"),
            "{error}"
        );
        assert!(error.contains('4'), "names the line: {error}");
        let error =
            refused("deployments:\n  - name: a\n    behaviour:\n      fault: rate_limited\n");
        assert!(
            error.contains("rate_limited") && error.contains("rate_limit"),
            "{error}"
        );
        assert!(error.contains('4'), "names the line: {error}");
        let error = refused("deployments:\n  - name: a\n    behaviour:\n      first_token: fast\n");
        assert!(error.contains("fast") && error.contains('4'), "{error}");
    }

    #[test]
    fn nonsense_is_reported_with_its_key() {
        for (yaml, key) in [
            ("deployments: []", "deployments"),
            ("deployments: [{name: a}, {name: a}]", "deployments[1].name"),
            ("deployments: [{name: a b}]", "deployments[0].name"),
            (
                "deployments: [{name: a}]\ntimeline: [{at: 1s, deployment: b}]",
                "timeline[0].deployment",
            ),
            (
                "deployments: [{name: a}]\ntimeline: [{at: 1s, deployment: a}]\nrepeat: 1s",
                "timeline[0].at",
            ),
            (
                "deployments: [{name: a, behaviour: {faults: [{fault: reset, probability: 2}]}}]",
                "deployments[0].behaviour",
            ),
        ] {
            let error = refused(yaml);
            assert!(error.starts_with(key), "{error}");
        }
    }
}
