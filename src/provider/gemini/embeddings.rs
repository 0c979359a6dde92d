//! Embeddings: three methods, by host and model.

use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use crate::provider::chat::{Asked, Object, malformed};
use crate::provider::embeddings::{self, Found};
use crate::provider::{AdaptError, Call};

/// How a model is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    /// `:batchEmbedContents`: the Gemini API.
    Batch,
    /// `:predict`: Vertex AI, its older models and gemini-embedding-001.
    Predict,
    /// `:embedContent`: Vertex AI, Gemini's later models.
    Content,
}

/// Texts in one call that the Gemini API takes; of the models at Vertex AI that take several it is well below the limit.
const MOST: usize = 100;

impl Method {
    pub(super) fn of(vertex: bool, model: &str) -> Self {
        let gemini = model.contains("gemini") && !model.starts_with("gemini-embedding-001");
        match (vertex, gemini) {
            (false, _) => Self::Batch,
            (true, true) => Self::Content,
            (true, false) => Self::Predict,
        }
    }

    /// What stands behind the model in the path.
    pub(super) const fn verb(self) -> &'static str {
        match self {
            Self::Batch => "batchEmbedContents",
            Self::Predict => "predict",
            Self::Content => "embedContent",
        }
    }

    pub(super) fn most_inputs(self, model: &str) -> usize {
        match self {
            Self::Batch => MOST,
            Self::Predict if !model.contains("gemini") => MOST,
            Self::Predict | Self::Content => 1,
        }
    }

    /// The body for a call.
    ///
    /// # Errors
    /// If its input is no text.
    pub(super) fn body(
        self,
        call: &Call,
        asked: &Asked<'_>,
        model: &str,
    ) -> Result<Object, AdaptError> {
        let texts = embeddings::texts(call)?;
        let task = |asked: &Asked<'_>| {
            let (name, _) = asked.first(&["taskType", "task_type"])?;
            asked
                .raw(name)
                .and_then(|raw| serde_json::from_str::<String>(raw).ok())
        };
        let title: Option<String> = asked.read("title", "a text")?;
        let size: Option<u64> = asked.read("dimensions", "a whole number")?;
        let truncate = asked
            .first(&["autoTruncate", "auto_truncate"])
            .map(|(_, raw)| raw == "true");
        let mut body = Object::default();
        match self {
            Self::Batch => {
                let requests: Vec<Object> = texts
                    .iter()
                    .map(|text| {
                        let mut request = Object::default();
                        request
                            .set("model", &format!("models/{model}"))
                            .set("content", &content(text))
                            .set_some("taskType", task(asked))
                            .set_some("title", title.as_deref())
                            .set_some("outputDimensionality", size);
                        request
                    })
                    .collect();
                body.set("requests", &requests);
            }
            Self::Predict => {
                let instances: Vec<Object> = texts
                    .iter()
                    .map(|text| {
                        let mut instance = Object::default();
                        instance
                            .set("content", text)
                            .set_some("task_type", task(asked))
                            .set_some("title", title.as_deref());
                        instance
                    })
                    .collect();
                let mut parameters = Object::default();
                parameters
                    .set_some("outputDimensionality", size)
                    .set_some("autoTruncate", truncate);
                body.set("instances", &instances);
                if !parameters.is_empty() {
                    body.set("parameters", &parameters);
                }
            }
            Self::Content => {
                let mut config = Object::default();
                config
                    .set_some("taskType", task(asked))
                    .set_some("title", title.as_deref())
                    .set_some("outputDimensionality", size)
                    .set_some("autoTruncate", truncate);
                body.set(
                    "content",
                    &content(texts.first().map_or("", String::as_str)),
                );
                if !config.is_empty() {
                    body.set("embedContentConfig", &config);
                }
            }
        }
        Ok(body)
    }
}

fn content(text: &str) -> serde_json::Value {
    json!({"parts": [{"text": text}]})
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    #[serde(borrow)]
    embeddings: Option<Vec<Embedding<'a>>>,
    #[serde(borrow)]
    embedding: Option<Embedding<'a>>,
    #[serde(borrow)]
    predictions: Option<Vec<Prediction<'a>>>,
    usage_metadata: Option<UsageMetadata>,
}

#[derive(Deserialize)]
struct Prediction<'a> {
    #[serde(borrow)]
    embeddings: Embedding<'a>,
}

#[derive(Deserialize)]
struct Embedding<'a> {
    #[serde(borrow)]
    values: &'a RawValue,
    statistics: Option<Statistics>,
}

#[derive(Deserialize)]
struct Statistics {
    /// A whole number, which is written as 4.0 at times.
    #[serde(alias = "tokenCount")]
    token_count: Option<f64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct UsageMetadata {
    prompt_token_count: Option<u64>,
}

/// Reads the answer of any of the three methods.
///
/// # Errors
/// If it is none of theirs.
pub(super) fn read(body: &[u8]) -> Result<Found<'_>, AdaptError> {
    let wire: Wire<'_> = serde_json::from_slice(body).map_err(malformed)?;
    let predictions = wire.predictions.unwrap_or_default();
    let all: Vec<Embedding<'_>> = wire
        .embeddings
        .unwrap_or_default()
        .into_iter()
        .chain(wire.embedding)
        .chain(predictions.into_iter().map(|one| one.embeddings))
        .collect();
    if all.is_empty() {
        return Err(malformed("there are no embeddings in it"));
    }
    let counted = all
        .iter()
        .map(|one| one.statistics.as_ref()?.token_count)
        .sum::<Option<f64>>()
        .filter(|count| count.is_finite() && *count >= 0.0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count, and checked"
    )]
    let counted = counted.map(|count| count as u64);
    let tokens = wire
        .usage_metadata
        .and_then(|usage| usage.prompt_token_count)
        .or(counted);
    Ok(Found {
        model: None,
        vectors: all.iter().map(|one| one.values).collect(),
        tokens,
    })
}
