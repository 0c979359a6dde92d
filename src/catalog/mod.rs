//! The one table of providers.
//!
//! Most services speak the OpenAI dialect and differ only in where they are, which variable holds their key, and how
//! they call a few request fields. Such a service is a row here and nothing else. Rows for dialects that are not
//! translated yet exist so that the configuration can say so, rather than call the name unknown.
//!
//! A default base URL is given only where it is published; a service without one needs `api_base`.

pub mod models;
pub mod ollama;
mod quirks;
mod rows;

pub use rows::PROVIDERS;

use crate::types::{Pairs, Quirks};

/// How a provider's base URL becomes the one requests are sent below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// The OpenAI dialect below the base as given.
    OpenAi,
    /// As [`Family::OpenAi`], or Ollama's own API where it is needed; see [`ollama`].
    Ollama,
    /// Azure OpenAI: deployments in the path, or the newer `/openai/v1`.
    Azure,
    /// Azure AI: `/models`, `/openai/v1` or a model's own endpoint, by the base.
    AzureAi,
    /// Amazon Bedrock: signed with AWS keys, or a bearer key.
    Bedrock,
    /// Amazon SageMaker: signed with AWS keys.
    SageMaker,
    /// Google's Gemini API, with a key.
    Gemini,
    /// Google's Vertex AI: Google Cloud's tokens.
    Vertex,
    /// Anthropic's Messages.
    Anthropic,
    /// Cohere's second version.
    Cohere,
    /// IBM watsonx.ai.
    Watsonx,
    /// A dialect of its own that is not translated yet.
    Untranslated,
    /// Not a service at all: runs inside Rasa.
    InsideRasa,
}

/// Request fields a provider knows by another name, `(ours, theirs)`.
pub type Renames = Pairs;

/// A provider.
#[derive(Clone, Copy, Debug)]
pub struct Provider {
    /// The name in `provider:`.
    pub name: &'static str,
    /// What it speaks.
    pub family: Family,
    /// Used where neither the file nor a variable names a base. A `${NAME}` in it is a variable that must be set.
    pub default_base: Option<&'static str>,
    /// Variables that may hold the base, first one first.
    pub base_env: &'static [&'static str],
    /// Variables that may hold the key, first one first.
    pub key_env: &'static [&'static str],
    /// The path of a base that has none.
    pub under: &'static str,
    /// Whether a deployment without a key is an error.
    pub key_required: bool,
    /// Fields to rename.
    pub renames: Renames,
    /// Whether `stream_options` may be sent.
    pub stream_options: bool,
    /// Whether `encoding_format` may be sent on embeddings.
    pub encoding_format: bool,
    /// Whether chat goes to `/completions`, as its name says.
    pub completions_only: bool,
    /// In what else it differs from OpenAI.
    pub quirks: &'static Quirks,
}

/// The older name of the token limit.
pub const MAX_TOKENS: Renames = &[("max_completion_tokens", "max_tokens")];

/// The provider of that name, compared exactly.
#[must_use]
pub fn find(name: &str) -> Option<&'static Provider> {
    PROVIDERS.iter().find(|provider| provider.name == name)
}

/// The row used for a name nobody knows but whose `api_base` is given: the OpenAI dialect, with or without a key.
pub const UNKNOWN: Provider = Provider::named("", Family::OpenAi).own();

/// How rows are written.
impl Provider {
    const fn named(name: &'static str, family: Family) -> Self {
        Self {
            name,
            family,
            default_base: None,
            base_env: &[],
            key_env: &[],
            under: "",
            key_required: true,
            renames: &[],
            stream_options: true,
            encoding_format: true,
            completions_only: false,
            quirks: &Quirks::LENIENT,
        }
    }

    /// Where it is.
    const fn at(self, base: &'static str) -> Self {
        Self {
            default_base: Some(base),
            ..self
        }
    }

    /// The variables of its base and its key.
    const fn env(
        self,
        base_env: &'static [&'static str],
        key_env: &'static [&'static str],
    ) -> Self {
        Self {
            base_env,
            key_env,
            ..self
        }
    }

    /// A server of the user's own: needs no key.
    const fn own(self) -> Self {
        Self {
            key_required: false,
            ..self
        }
    }

    const fn under(self, under: &'static str) -> Self {
        Self { under, ..self }
    }

    const fn renames(self, renames: Renames) -> Self {
        Self { renames, ..self }
    }

    const fn quirks(self, quirks: &'static Quirks) -> Self {
        Self { quirks, ..self }
    }

    const fn no_stream_options(self) -> Self {
        Self {
            stream_options: false,
            ..self
        }
    }

    const fn no_encoding_format(self) -> Self {
        Self {
            encoding_format: false,
            ..self
        }
    }

    const fn completes_only(self) -> Self {
        Self {
            completions_only: true,
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_bases_are_clean() {
        for (i, provider) in PROVIDERS.iter().enumerate() {
            assert!(
                PROVIDERS[..i]
                    .iter()
                    .all(|other| other.name != provider.name),
                "{} twice",
                provider.name
            );
            if let Some(base) = provider.default_base {
                let url = url::Url::parse(base).expect("a URL");
                assert!(
                    matches!(url.scheme(), "http" | "https") && !base.ends_with('/'),
                    "{base}"
                );
            }
        }
    }

    #[test]
    fn rows_that_need_a_key_say_where_it_comes_from() {
        for provider in PROVIDERS {
            let ours = matches!(
                provider.family,
                Family::OpenAi | Family::Ollama | Family::Azure | Family::AzureAi | Family::Watsonx
            );
            assert!(
                !ours || !provider.key_env.is_empty() || !provider.key_required,
                "{}",
                provider.name
            );
        }
    }
}
