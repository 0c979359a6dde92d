//! Embeddings.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::answer::{Tokens, whole};
use crate::provider::chat::Treatment::{Becomes, Ignored, Native};
use crate::provider::chat::{ANY, Asked, Object, Table, malformed};
use crate::provider::embeddings::{Found, texts};
use crate::provider::{AdaptError, Call};

pub(super) const TABLE: Table = &[
    ("dimensions", Becomes("output_dimension")),
    // Numbers are asked for; another encoding is made of them later.
    ("encoding_format", Becomes("the same")),
    ("input_type", Native),
    ("output_dimension", Native),
    ("truncate", Native),
    ("priority", Native),
    // Defaults of a group that has chats, too.
    (ANY, Ignored),
];

/// Writes the body.
///
/// # Errors
/// If the input is no text.
pub(super) fn write(call: &Call, asked: &Asked<'_>, body: &mut Object) -> Result<(), AdaptError> {
    // Models need one from their third version on. Most embeddings are made to be searched.
    body.set("input_type", "search_document");
    body.set("texts", &texts(call)?);
    body.set("embedding_types", &["float"]);
    asked.pass_on(body)?;
    body.set_some("output_dimension", asked.number("dimensions")?);
    Ok(())
}

/// Reads an answer.
///
/// # Errors
/// If it is none of Cohere's.
pub(super) fn read(body: &[u8]) -> Result<Found<'_>, AdaptError> {
    #[derive(Deserialize)]
    struct Wire<'a> {
        #[serde(borrow)]
        embeddings: ByType<'a>,
        meta: Option<Meta>,
    }
    #[derive(Deserialize)]
    struct ByType<'a> {
        #[serde(borrow)]
        float: Vec<&'a RawValue>,
    }
    #[derive(Deserialize)]
    struct Meta {
        tokens: Option<Tokens>,
        billed_units: Option<Tokens>,
    }
    let wire: Wire<'_> = serde_json::from_slice(body).map_err(malformed)?;
    let tokens = wire.meta.and_then(|meta| {
        let of = |tokens: Option<Tokens>| tokens?.input_tokens;
        of(meta.tokens).or(of(meta.billed_units)).map(whole)
    });
    Ok(Found {
        model: None,
        vectors: wire.embeddings.float,
        tokens,
    })
}
