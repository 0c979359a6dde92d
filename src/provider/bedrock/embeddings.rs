//! Embeddings by InvokeModel, in the forms of Titan and Cohere.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use crate::h1::Fields;
use crate::provider::chat::{Asked, Object, Table, Treatment, malformed, unsupported};
use crate::provider::embeddings::{Found, texts};
use crate::provider::{AdaptError, Call};

use Treatment::{Becomes, Ignored};

/// Parameters of a call for embeddings.
pub(super) const TABLE: Table = &[
    (
        "dimensions",
        Becomes("`dimensions`, `embeddingConfig.outputEmbeddingLength` or `output_dimension`"),
    ),
    (
        "encoding_format",
        Becomes("numbers, which are encoded here"),
    ),
    (
        "input_type",
        Becomes("`input_type` of Cohere; `search_document` where nothing is said"),
    ),
    ("truncate", Becomes("`truncate` of Cohere")),
    ("normalize", Becomes("`normalize` of Titan 2")),
    ("user", Ignored),
];

/// The token count of models that do not tell it in their answer.
const TOKENS: &str = "x-amzn-bedrock-input-token-count";
/// The most texts of one call at Cohere.
const COHERE_MOST: usize = 96;

/// The families that are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    TitanV1,
    TitanV2,
    TitanImage,
    CohereV3,
    CohereV4,
}

/// Parts of names, the first that a name has counts.
const FAMILIES: [(&str, Family); 6] = [
    ("titan-embed-image", Family::TitanImage),
    ("titan-embed-text-v2", Family::TitanV2),
    ("titan-embed", Family::TitanV1),
    ("cohere.embed-v4", Family::CohereV4),
    ("embed-v4", Family::CohereV4),
    ("cohere.embed", Family::CohereV3),
];

impl Family {
    /// The family of the first of these names that says it.
    pub(super) fn of(names: &[&str]) -> Option<Self> {
        names.iter().find_map(|name| {
            let name = name.to_ascii_lowercase();
            let row = FAMILIES.iter().find(|(part, _)| name.contains(part));
            row.map(|(_, family)| *family)
        })
    }

    /// How many texts one call takes.
    pub(super) const fn most(self) -> usize {
        match self {
            Self::TitanV1 | Self::TitanV2 | Self::TitanImage => 1,
            Self::CohereV3 | Self::CohereV4 => COHERE_MOST,
        }
    }

    /// The body for `call`.
    ///
    /// # Errors
    /// Naming what can't be had.
    pub(super) fn body(self, call: &Call, asked: &mut Asked<'_>) -> Result<Bytes, AdaptError> {
        let texts = texts(call)?;
        if texts.iter().any(|text| text.trim().is_empty()) {
            return Err(unsupported(
                "input",
                "`input` has an empty text, which no model embeds",
            ));
        }
        let mut body = Object::default();
        let dimensions = asked.number("dimensions")?;
        match self {
            Self::CohereV3 | Self::CohereV4 => {
                body.set("texts", &texts);
                let kind: Option<String> = asked.read("input_type", "a text")?;
                body.set("input_type", kind.as_deref().unwrap_or("search_document"));
                body.set_some("truncate", asked.read::<String>("truncate", "a text")?);
                body.set("embedding_types", &["float"]);
                if self == Self::CohereV4 {
                    body.set_some("output_dimension", dimensions);
                } else if dimensions.is_some() {
                    asked.refuse("dimensions", "its embeddings have one length")?;
                }
            }
            Self::TitanV1 | Self::TitanV2 | Self::TitanImage => {
                let [text] = &texts[..] else {
                    return Err(unsupported("input", "this model takes one text at a time"));
                };
                body.set("inputText", text);
                match (self, dimensions) {
                    (Self::TitanImage, Some(length)) => {
                        body.set("embeddingConfig", &json!({"outputEmbeddingLength": length}));
                    }
                    (Self::TitanV2, length) => {
                        body.set_some("dimensions", length);
                        body.set_some(
                            "normalize",
                            asked.read::<bool>("normalize", "true or false")?,
                        );
                    }
                    (_, Some(_)) => asked.refuse("dimensions", "its embeddings have one length")?,
                    (_, None) => {}
                }
            }
        }
        asked.add_extra(&mut body)?;
        Ok(body.to_bytes())
    }
}

#[derive(Deserialize)]
struct Answer<'a> {
    /// Titan's one.
    #[serde(borrow)]
    embedding: Option<&'a RawValue>,
    #[serde(rename = "inputTextTokenCount")]
    tokens: Option<u64>,
    /// Titan's reason for none.
    message: Option<String>,
    /// Cohere's: a list, or lists by type.
    #[serde(borrow)]
    embeddings: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ByType<'a> {
    #[serde(borrow)]
    float: Vec<&'a RawValue>,
}

/// The count of tokens in the header.
pub(super) fn tokens(fields: &Fields) -> Option<u64> {
    let count = std::str::from_utf8(fields.get(TOKENS)?).ok()?;
    count.trim().parse().ok()
}

/// Reads an answer.
///
/// # Errors
/// If there is no embedding in it.
pub(super) fn read(body: &[u8]) -> Result<Found<'_>, AdaptError> {
    let answer: Answer<'_> = serde_json::from_slice(body).map_err(malformed)?;
    let vectors = match (answer.embedding, answer.embeddings.map(RawValue::get)) {
        (Some(one), _) => vec![one],
        (None, Some(lists)) if lists.starts_with('[') => {
            serde_json::from_str(lists).map_err(malformed)?
        }
        (None, Some(types)) => {
            let types: ByType<'_> = serde_json::from_str(types).map_err(malformed)?;
            types.float
        }
        (None, None) => {
            let why = answer.message;
            let why = why.unwrap_or_else(|| "there is no embedding in it".to_owned());
            return Err(malformed(why));
        }
    };
    Ok(Found {
        model: None,
        vectors,
        tokens: answer.tokens,
    })
}
