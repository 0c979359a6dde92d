//! What a path asks for.
//!
//! Every deployment serves OpenAI's paths, with and without `/v1`, and both of Azure's at once: which of them a test
//! uses is the test's business, and a gateway that builds a wrong path must see the 404 a real service gives.

use crate::types::Operation;

/// The dialect of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// `/v1/…` or `/…`
    OpenAi,
    /// `/openai/deployments/{deployment}/…?api-version=…`
    Azure {
        deployment: String,
        api_version: Option<String>,
    },
    /// `/openai/v1/…`
    AzureV1,
}

impl Style {
    /// Whether Azure's headers and extra chunks belong to it.
    pub(super) const fn is_azure(&self) -> bool {
        matches!(self, Self::Azure { .. } | Self::AzureV1)
    }

    /// Whether the dated version, if any, is older than `date`, the one that brought a request field.
    pub(super) fn is_older_than(&self, date: &str) -> bool {
        match self {
            Self::Azure {
                api_version: Some(version),
                ..
            } => {
                version.starts_with(|c: char| c.is_ascii_digit())
                    && version.get(..10).is_some_and(|day| day < date)
            }
            Self::Azure {
                api_version: None, ..
            }
            | Self::OpenAi
            | Self::AzureV1 => false,
        }
    }
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// One of the three operations.
    Call(Operation, Style),
    /// `/models`
    Models,
    /// `/models/{id}`
    Model(String),
    /// llama.cpp's and vLLM's `/health`
    Health,
}

/// The route of a path and query; `None` where a real service has nothing.
pub(super) fn route(path: &str, query: Option<&str>) -> Option<Route> {
    if path == "/health" {
        return Some(Route::Health);
    }
    let (style, rest) = if let Some(rest) = path.strip_prefix("/openai/deployments/") {
        let (deployment, rest) = rest.split_once('/')?;
        let api_version = query.and_then(|query| {
            query
                .split('&')
                .find_map(|pair| pair.strip_prefix("api-version="))
                .map(str::to_owned)
        });
        (
            Style::Azure {
                deployment: deployment.to_owned(),
                api_version,
            },
            rest,
        )
    } else if let Some(rest) = path.strip_prefix("/openai/v1/") {
        (Style::AzureV1, rest)
    } else if let Some(rest) = path.strip_prefix("/v1/") {
        (Style::OpenAi, rest)
    } else {
        (Style::OpenAi, path.strip_prefix('/')?)
    };
    if let Some(operation) = Operation::ALL
        .into_iter()
        .find(|operation| operation.path() == rest)
    {
        return Some(Route::Call(operation, style));
    }
    match rest {
        "models" => Some(Route::Models),
        _ => rest
            .strip_prefix("models/")
            .filter(|id| !id.is_empty())
            .map(|id| Route::Model(id.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_all_dialects_are_known() {
        let azure = |version: Option<&str>| Style::Azure {
            deployment: "d1".into(),
            api_version: version.map(str::to_owned),
        };
        for (path, query, expected) in [
            (
                "/v1/chat/completions",
                None,
                Some(Route::Call(Operation::Chat, Style::OpenAi)),
            ),
            (
                "/chat/completions",
                None,
                Some(Route::Call(Operation::Chat, Style::OpenAi)),
            ),
            (
                "/v1/embeddings",
                Some("a=b"),
                Some(Route::Call(Operation::Embeddings, Style::OpenAi)),
            ),
            (
                "/openai/v1/completions",
                None,
                Some(Route::Call(Operation::Completions, Style::AzureV1)),
            ),
            (
                "/openai/deployments/d1/chat/completions",
                Some("x=1&api-version=2024-02-15-preview"),
                Some(Route::Call(
                    Operation::Chat,
                    azure(Some("2024-02-15-preview")),
                )),
            ),
            (
                "/openai/deployments/d1/embeddings",
                None,
                Some(Route::Call(Operation::Embeddings, azure(None))),
            ),
            ("/v1/models", None, Some(Route::Models)),
            (
                "/models/org/name",
                None,
                Some(Route::Model("org/name".into())),
            ),
            ("/health", None, Some(Route::Health)),
            ("/v1/v1/chat/completions", None, None),
            ("/v1/models/", None, None),
            ("/openai/deployments/d1", None, None),
            ("/", None, None),
        ] {
            assert_eq!(route(path, query), expected, "{path}");
        }
    }

    #[test]
    fn versions_compare_as_dates_and_previews_of_no_date_are_new() {
        let at = |version: &str| Style::Azure {
            deployment: "d".into(),
            api_version: Some(version.into()),
        };
        assert!(at("2024-02-15-preview").is_older_than("2024-09-01"));
        assert!(!at("2024-10-21").is_older_than("2024-09-01"));
        assert!(!at("preview").is_older_than("2024-09-01"));
        assert!(!Style::AzureV1.is_older_than("2024-09-01"));
    }
}
