//! Credentials, project and location of a deployment at Google Cloud.

use std::path::PathBuf;
use std::sync::Arc;

use super::context::Context;
use super::tree::{Node, Value};
use super::value;
use crate::types::{Auth, GoogleSource, Secret, TokenCredential};

/// LiteLLM's, too.
const LOCATION: &str = "us-central1";

/// `vertex_credentials`, or else what the machine has; that is looked for when it is first needed.
pub(super) fn auth(ctx: &mut Context<'_>, node: &Node, path: &str) -> Option<Auth> {
    let source = source(ctx, node, path)?;
    Some(Auth::Token(Arc::new(TokenCredential::Google(source))))
}

/// The project: `vertex_project`, a variable, or the one that the credentials name. None at all is an error, which is
/// reported.
pub(super) fn project(ctx: &mut Context<'_>, node: &Node, path: &str) -> Option<String> {
    let found = node
        .filled("vertex_project")
        .or_else(|| ctx.first_set(&["VERTEXAI_PROJECT", "VERTEX_PROJECT"]))
        .or_else(|| of_the_credentials(ctx, node))
        .or_else(|| ctx.first_set(&["GOOGLE_CLOUD_PROJECT"]));
    if found.is_none() {
        let message = "no project: vertex_project is not given, VERTEXAI_PROJECT and GOOGLE_CLOUD_PROJECT are not set, and the credentials name none";
        ctx.findings.error(node.at, path, message);
    }
    segment(ctx, node, path, "vertex_project", &found?)
}

/// The location: `vertex_location`, a variable, or `us-central1`.
pub(super) fn location(ctx: &mut Context<'_>, node: &Node, path: &str) -> Option<String> {
    let found = node
        .filled("vertex_location")
        .or_else(|| ctx.first_set(&["VERTEXAI_LOCATION", "VERTEX_LOCATION"]))
        .unwrap_or_else(|| LOCATION.to_owned());
    segment(ctx, node, path, "vertex_location", &found)
}

/// What becomes part of a host's name or of a path.
fn segment(
    ctx: &mut Context<'_>,
    node: &Node,
    path: &str,
    key: &str,
    text: &str,
) -> Option<String> {
    let text = text.trim().to_owned();
    let valid = text
        .bytes()
        .all(|c| c.is_ascii_alphanumeric() || b"-.:_".contains(&c));
    if !valid {
        let message = "contains a character that such a name can't have";
        ctx.findings
            .error(node.place(key), &format!("{path}.{key}"), message);
    }
    valid.then_some(text)
}

fn source(ctx: &mut Context<'_>, node: &Node, path: &str) -> Option<GoogleSource> {
    let Some(given) = node.get("vertex_credentials") else {
        return Some(match ctx.first_set(&["VERTEXAI_CREDENTIALS"]) {
            Some(text) => from_text(ctx, &text),
            None => GoogleSource::Default,
        });
    };
    let key = format!("{path}.vertex_credentials");
    let source = match &given.value {
        Value::Map(_) => value::json(given)
            .ok()
            .map(|json| GoogleSource::Json(Secret::new(json.to_string()))),
        // An empty variable was complained about where it stands.
        Value::Scalar(scalar) if scalar.text.trim().is_empty() => Some(GoogleSource::Default),
        Value::Scalar(scalar) => Some(from_text(ctx, &scalar.text)),
        Value::Null | Value::List(_) => None,
    };
    let problem = match &source {
        None => Some("allowed: a file name, the content of such a file as text, or as a mapping"),
        Some(GoogleSource::File(file)) if !file.is_file() => Some(
            "there is no such file; allowed: a file name, the content of such a file as text, or as a mapping",
        ),
        Some(GoogleSource::Json(json)) if kind(json.expose()).is_none() => {
            Some("this is not the content of a credentials file: a JSON object with a type")
        }
        Some(_) => None,
    };
    if let Some(message) = problem {
        ctx.findings.error(given.at, &key, message);
        return None;
    }
    source
}

fn from_text(ctx: &Context<'_>, text: &str) -> GoogleSource {
    if text.trim_start().starts_with('{') {
        GoogleSource::Json(Secret::new(text.trim()))
    } else {
        GoogleSource::File(ctx.file(text.trim()))
    }
}

fn member(json: &str, name: &str) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(json).ok()?;
    value.get(name)?.as_str().map(str::to_owned)
}

fn kind(json: &str) -> Option<String> {
    member(json, "type")
}

/// The project that the credentials belong to. Files are looked at only for this; their content is read when a token is
/// fetched.
fn of_the_credentials(ctx: &Context<'_>, node: &Node) -> Option<String> {
    let source = match node.get("vertex_credentials").map(|given| &given.value) {
        Some(Value::Map(_)) => return node.get("vertex_credentials")?.filled("project_id"),
        Some(Value::Scalar(scalar)) if !scalar.text.trim().is_empty() => {
            from_text(ctx, &scalar.text)
        }
        _ => match ctx.first_set(&["VERTEXAI_CREDENTIALS"]) {
            Some(text) => from_text(ctx, &text),
            None => GoogleSource::File(PathBuf::from(
                ctx.first_set(&["GOOGLE_APPLICATION_CREDENTIALS"])?,
            )),
        },
    };
    match source {
        GoogleSource::Json(json) => member(json.expose(), "project_id"),
        GoogleSource::File(file) => {
            let json = std::fs::read_to_string(file).ok()?;
            member(&json, "project_id").or_else(|| member(&json, "quota_project_id"))
        }
        GoogleSource::Default => None,
    }
}
