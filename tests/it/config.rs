//! The configuration: which files load, which are refused and with which words, and what the command prints.

mod command;
mod files;
mod providers;
mod redis;
mod routing;
mod rules;
mod values;

use std::path::PathBuf;

use waypost::config::{self, Config, Finding, Group};

/// Values of secrets begin with this, in variables and in the files.
const HIDDEN: &str = "hidden-";

const VARIABLES: &[(&str, &str)] = &[
    ("KEY_NORTH", "hidden-north"),
    ("KEY_SOUTH", "hidden-south"),
    ("OPENAI_API_KEY", "hidden-openai"),
    ("GROQ_API_KEY", "hidden-groq"),
    ("REDIS_PASSWORD", "hidden-redis"),
    ("CLIENT_ID", "hidden-id"),
    ("CLIENT_SECRET", "hidden-secret"),
    ("REDIS_HOST", "localhost"),
    ("REDIS_PORT", "6379"),
    ("RETRIES", "3"),
    ("LIMIT", "4"),
    ("FLAG", "false"),
];

fn variable(name: &str) -> Option<String> {
    VARIABLES
        .iter()
        .find(|(key, _)| *key == name)
        .map(|(_, value)| (*value).to_owned())
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn file(name: &str) -> PathBuf {
    root().join("tests/data/config").join(name)
}

fn load(name: &str) -> Result<(Config, Vec<Finding>), Vec<Finding>> {
    config::load(&file(name), &variable, false)
}

#[track_caller]
fn loaded(name: &str) -> Config {
    match load(name) {
        Ok((config, _)) => config,
        Err(findings) => panic!("{name} is refused: {findings:#?}"),
    }
}

#[track_caller]
fn text(yaml: &str) -> Result<(Config, Vec<Finding>), Vec<Finding>> {
    config::load_str("test.yml", yaml, &variable, false)
}

#[track_caller]
fn one_group(yaml: &str) -> Group {
    let indented = yaml.replace('\n', "\n    ");
    match text(&format!("model_groups:\n  - id: g\n    {indented}\n")) {
        Ok((mut config, _)) => config.groups.remove(0),
        Err(findings) => panic!("refused: {findings:#?}"),
    }
}
