//! Where Google's models are: the Gemini API, and Vertex AI with its partners' models.

use super::context::Context;
use super::endpoint::{self, Endpoint};
use super::google;
use super::tree::Node;
use crate::catalog::{self, MAX_TOKENS, Provider};
use crate::types::{Dialect, GoogleHost, Partner, Quirks};

/// What a base may end in that is a version already.
const VERSIONS: [&str; 4] = ["/v1", "/v1beta", "/v1beta1", "/v1alpha"];

/// Whose a model at Vertex AI is, and how it is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Google,
    Anthropic,
    Mistral,
    /// By its number, or as a tuned model of Google's.
    Endpoint,
    /// By Google's OpenAI endpoint.
    OpenAi,
}

/// Beginnings of `model`, what they mean, and whether they are part of the name; the first row that fits counts.
const MODELS: &[(&str, Kind, bool)] = &[
    ("publishers/google/models/", Kind::Google, false),
    ("publishers/anthropic/models/", Kind::Anthropic, false),
    ("publishers/mistralai/models/", Kind::Mistral, false),
    ("endpoints/", Kind::Endpoint, false),
    ("openapi/", Kind::OpenAi, false),
    ("anthropic/", Kind::Anthropic, false),
    ("mistralai/", Kind::Mistral, false),
    ("google/", Kind::Google, false),
    // LiteLLM's way to name a tuned Gemini.
    ("gemini/", Kind::Endpoint, false),
    ("claude-", Kind::Anthropic, true),
    ("mistral-", Kind::Mistral, true),
    ("ministral-", Kind::Mistral, true),
    ("codestral-", Kind::Mistral, true),
];

impl Kind {
    /// Of a model, and the name that stands in the URL or in the body.
    fn of(model: &str) -> (Self, &str) {
        for (start, kind, part) in MODELS {
            if let Some(rest) = model.strip_prefix(start) {
                return (*kind, if *part { model } else { rest });
            }
        }
        let number = model.bytes().all(|c| c.is_ascii_digit());
        match model {
            _ if number => (Self::Endpoint, model),
            _ if model.contains('/') => (Self::OpenAi, model),
            _ => (Self::Google, model),
        }
    }

    /// What stands between location and model.
    const fn path(self) -> &'static str {
        match self {
            Self::Google => "publishers/google/models",
            Self::Anthropic => "publishers/anthropic/models",
            Self::Mistral => "publishers/mistralai/models",
            Self::Endpoint => "endpoints",
            Self::OpenAi => "endpoints/openapi",
        }
    }
}

/// Base and dialect of the Gemini API: below a version, which is added where the base has none.
pub(super) fn studio(
    ctx: &mut Context<'_>,
    node: &Node,
    path: &str,
    provider: &Provider,
    model: &mut String,
) -> Option<Endpoint> {
    let base = endpoint::base(ctx, node, path, provider)?;
    let mut url = endpoint::url(ctx, &base)?;
    if url.query().is_some() {
        let message = "a base URL has no \"?\"; write what stands before it";
        ctx.findings.error(base.at, &base.key, message);
        return None;
    }
    let root = url.path().trim_end_matches('/').to_owned();
    if root.ends_with("/openai") {
        let message = "this is Google's OpenAI endpoint; use it with provider openai_like, or write what stands before /openai";
        ctx.findings.error(base.at, &base.key, message);
        return None;
    }
    let root = root.strip_suffix("/models").unwrap_or(&root);
    url.set_path(&format!("{}/models", versioned(root, "v1beta")));
    if let Some(bare) = model.strip_prefix("models/") {
        *model = bare.to_owned();
    }
    Some(translated(
        url.as_str(),
        Dialect::Gemini(GoogleHost::Studio),
    ))
}

/// Base and dialect at Vertex AI; `model` becomes the name that is sent.
pub(super) fn endpoint(
    ctx: &mut Context<'_>,
    node: &Node,
    path: &str,
    provider: &Provider,
    model: &mut String,
) -> Option<Endpoint> {
    let location = google::location(ctx, node, path)?;
    let host = host(&location);
    let base = endpoint::base_or(ctx, node, path, provider, Some(host))?;
    let url = endpoint::url(ctx, &base)?;
    if url.query().is_some() {
        let message = "a base URL has no \"?\"; write what stands before it";
        ctx.findings.error(base.at, &base.key, message);
        return None;
    }
    // `https://host:port`, which no path belongs to.
    let origin = url.origin().ascii_serialization();
    let root = url.path().trim_end_matches('/');
    let bare = model.strip_prefix("vertex_ai/").unwrap_or(model);
    let beta = provider.name.ends_with("_beta");
    let version = versioned(root, if beta { "v1beta1" } else { "v1" });
    // The whole name of a resource says project and location.
    if let Some((parent, name)) = bare
        .rsplit_once('/')
        .filter(|_| bare.starts_with("projects/"))
    {
        let base = format!("{origin}{version}/{parent}");
        *model = name.to_owned();
        return Some(translated(&base, Dialect::Gemini(GoogleHost::Vertex)));
    }
    let (kind, name) = Kind::of(bare);
    let project = google::project(ctx, node, path)?;
    let base = format!(
        "{origin}{version}/projects/{project}/locations/{location}/{}",
        kind.path()
    );
    let endpoint = match kind {
        Kind::Google | Kind::Endpoint => translated(&base, Dialect::Gemini(GoogleHost::Vertex)),
        Kind::Mistral => {
            let dialect = Dialect::VertexRaw(Partner::OpenAi);
            Endpoint {
                base_url: base,
                ..Endpoint::of(catalog::find("mistral").unwrap_or(provider), dialect)
            }
        }
        Kind::OpenAi => {
            let completions_only = false;
            Endpoint {
                renames: MAX_TOKENS,
                ..translated(&base, Dialect::OpenAi { completions_only })
            }
        }
        Kind::Anthropic => translated(&base, Dialect::VertexRaw(Partner::Anthropic)),
    };
    *model = name.to_owned();
    Some(endpoint)
}

/// Of a location: a region, `global`, or one of the two that span regions.
fn host(location: &str) -> String {
    match location {
        "global" => "https://aiplatform.googleapis.com".to_owned(),
        "us" | "eu" => format!("https://aiplatform.{location}.rep.googleapis.com"),
        region => format!("https://{region}-aiplatform.googleapis.com"),
    }
}

/// A path with a version at its end.
fn versioned(path: &str, version: &str) -> String {
    if VERSIONS.iter().any(|known| path.ends_with(known)) {
        path.to_owned()
    } else {
        format!("{path}/{version}")
    }
}

fn translated(base: &str, dialect: Dialect) -> Endpoint {
    Endpoint {
        base_url: base.to_owned(),
        dialect,
        renames: &[],
        stream_options: true,
        encoding_format: true,
        quirks: &Quirks::OPENAI,
        key_header: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_say_how_they_are_spoken_to() {
        for (model, expected) in [
            ("gemini-2.5-pro", (Kind::Google, "gemini-2.5-pro")),
            ("google/gemini-3-pro", (Kind::Google, "gemini-3-pro")),
            ("text-embedding-005", (Kind::Google, "text-embedding-005")),
            ("endpoints/4711", (Kind::Endpoint, "4711")),
            ("gemini/4711", (Kind::Endpoint, "4711")),
            ("4711", (Kind::Endpoint, "4711")),
            (
                "claude-sonnet-4-5@20250929",
                (Kind::Anthropic, "claude-sonnet-4-5@20250929"),
            ),
            ("anthropic/claude-x", (Kind::Anthropic, "claude-x")),
            (
                "mistral-large-2411@001",
                (Kind::Mistral, "mistral-large-2411@001"),
            ),
            (
                "openapi/google/gemini-2.5-pro",
                (Kind::OpenAi, "google/gemini-2.5-pro"),
            ),
            ("meta/llama-4-maas", (Kind::OpenAi, "meta/llama-4-maas")),
        ] {
            assert_eq!(Kind::of(model), expected, "{model}");
        }
    }

    #[test]
    fn hosts() {
        for (location, expected) in [
            ("global", "https://aiplatform.googleapis.com"),
            ("eu", "https://aiplatform.eu.rep.googleapis.com"),
            (
                "europe-west4",
                "https://europe-west4-aiplatform.googleapis.com",
            ),
        ] {
            assert_eq!(host(location), expected);
        }
    }
}
