//! LiteLLM's `config.yaml`: what becomes of each key, what is refused and with which words, and the import.

mod commands;
mod import;
mod keys;
mod redis;
mod refused;

use std::path::PathBuf;

use waypost::config::{self, Config, Finding, Severity};

/// Values of secrets begin with this.
const HIDDEN: &str = "hidden-";

const VARIABLES: &[(&str, &str)] = &[
    ("REGION", "eu-west-1"),
    ("BASE", "https://north.example"),
    ("ORG", "org"),
    ("KEY_NORTH", "hidden-north"),
    ("KEY_SOUTH", "hidden-south"),
    ("CLIENT_ID", "hidden-id"),
    ("CLIENT_SECRET", "hidden-secret"),
    ("MASTER", "hidden-master"),
    (
        "VERTEX",
        r#"{"type": "authorized_user", "client_id": "c", "client_secret": "hidden-google", "refresh_token": "hidden-refresh"}"#,
    ),
    ("PROVIDER", "groq"),
    ("AWS_ACCESS_KEY_ID", "hidden-aws"),
    ("AWS_SECRET_ACCESS_KEY", "hidden-aws-secret"),
];

/// Every file in `tests/data/litellm`.
const FILES: &[&str] = &[
    "shuffle.yml",
    "every-key.yml",
    "settings.yml",
    "include.yml",
    "fallbacks.yml",
    "limits.yml",
    "latency.yml",
    "mixed.yml",
];

fn variable(name: &str) -> Option<String> {
    let found = VARIABLES.iter().find(|(key, _)| *key == name);
    found.map(|(_, value)| (*value).to_owned())
}

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/litellm")
        .join(name)
}

#[track_caller]
fn loaded(name: &str) -> (Config, Vec<Finding>) {
    config::load(&file(name), &variable, false)
        .unwrap_or_else(|findings| panic!("{name} is refused: {findings:#?}"))
}

fn text(yaml: &str) -> Result<(Config, Vec<Finding>), Vec<Finding>> {
    config::load_str("config.yaml", yaml, &variable, false)
}

/// One deployment called `a`, and these lines.
fn with(more: &str) -> String {
    format!(
        "model_list:\n  - model_name: a\n    litellm_params: {{model: openai/m, api_key: $KEY_NORTH}}\n{more}\n"
    )
}

/// One deployment of `a` with these parameters, in flow style.
fn params(params: &str) -> String {
    format!("model_list:\n  - model_name: a\n    litellm_params: {{{params}}}\n")
}

#[track_caller]
fn good(yaml: &str) -> Config {
    match text(yaml) {
        Ok((config, _)) => config,
        Err(findings) => panic!("refused: {findings:#?}\n{yaml}"),
    }
}

fn of(findings: &[Finding], severity: Severity) -> Vec<&Finding> {
    findings.iter().filter(|f| f.severity == severity).collect()
}
