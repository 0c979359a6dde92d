//! Embeddings.

use bytes::BytesMut;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::answer::{Tokens, whole};
use crate::provider::chat::Treatment::{Becomes, Ignored, Native};
use crate::provider::chat::{ANY, Asked, Object, Table, malformed};
use crate::provider::{AdaptError, Call, Translator, embeddings};

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
    body.set("texts", &embeddings::texts(call)?);
    body.set("embedding_types", &["float"]);
    asked.pass_on(body)?;
    body.set_some("output_dimension", asked.number("dimensions")?);
    Ok(())
}

/// An answer as numbers.
#[derive(Debug)]
pub(super) struct Answer {
    model: String,
    body: BytesMut,
}

impl Answer {
    pub(super) fn new(model: &str) -> Self {
        Self {
            model: model.to_owned(),
            body: BytesMut::new(),
        }
    }
}

impl Translator for Answer {
    fn push(&mut self, chunk: &[u8], _: &mut BytesMut) -> Result<(), AdaptError> {
        self.body.extend_from_slice(chunk);
        Ok(())
    }

    fn finish(&mut self, out: &mut BytesMut) -> Result<(), AdaptError> {
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
        let wire: Wire<'_> = serde_json::from_slice(&self.body).map_err(malformed)?;
        let tokens = wire.meta.and_then(|meta| {
            let of = |tokens: Option<Tokens>| tokens?.input_tokens;
            of(meta.tokens).or(of(meta.billed_units)).map(whole)
        });
        embeddings::write(&self.model, &wire.embeddings.float, tokens, out);
        Ok(())
    }
}
