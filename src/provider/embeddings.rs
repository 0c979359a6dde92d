//! Embeddings in the encoding the client asked for, whatever the upstream answers.
//!
//! The SDKs ask for base64 when their caller says nothing, and decode whatever comes; an upstream that ignores the wish
//! and sends numbers would silently yield vectors of the wrong length. Only the embeddings themselves are rewritten.

use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{BufMut, Bytes, BytesMut};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{AdaptError, Call, Translator};
use crate::request::{Edit, EncodingFormat, RequestHead, splice};

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    data: Option<Vec<Item<'a>>>,
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow)]
    embedding: Option<&'a RawValue>,
}

/// `body` with every embedding in the `wanted` encoding; the same bytes if they are already.
///
/// # Errors
/// If an embedding is neither an array of numbers nor base64 of whole `f32`s.
pub fn encode(body: &Bytes, wanted: EncodingFormat) -> Result<Bytes, AdaptError> {
    let malformed = |e: &dyn std::fmt::Display| AdaptError::Malformed(format!("embedding: {e}"));
    let answer: Answer<'_> = serde_json::from_slice(body).map_err(|e| malformed(&e))?;
    let unwanted = match wanted {
        EncodingFormat::Float => b'"',
        EncodingFormat::Base64 => b'[',
    };
    let mut out = BytesMut::new();
    let mut cursor = 0;
    for raw in answer
        .data
        .iter()
        .flatten()
        .filter_map(|item| item.embedding)
        .map(RawValue::get)
    {
        if raw.as_bytes().first() != Some(&unwanted) {
            continue;
        }
        let start = raw.as_ptr().addr() - body.as_ptr().addr();
        out.put_slice(&body[cursor..start]);
        cursor = start + raw.len();
        match wanted {
            EncodingFormat::Base64 => {
                let numbers: Vec<f32> = serde_json::from_str(raw).map_err(|e| malformed(&e))?;
                let bytes: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
                out.put_u8(b'"');
                out.put_slice(STANDARD.encode(bytes).as_bytes());
                out.put_u8(b'"');
            }
            EncodingFormat::Float => {
                let text: String = serde_json::from_str(raw).map_err(|e| malformed(&e))?;
                let bytes = STANDARD.decode(text).map_err(|e| malformed(&e))?;
                if bytes.len() % 4 != 0 {
                    return Err(malformed(
                        &"base64 of a length that is no multiple of four bytes",
                    ));
                }
                let numbers: Vec<f32> = bytes
                    .chunks_exact(4)
                    .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                    .collect();
                serde_json::to_writer((&mut out).writer(), &numbers).map_err(|e| malformed(&e))?;
            }
        }
    }
    if cursor == 0 {
        return Ok(body.clone());
    }
    out.put_slice(&body[cursor..]);
    Ok(out.freeze())
}

/// The texts of a call for embeddings.
///
/// # Errors
/// If there are none, or tokens in their place, which mean nothing to another tokenizer.
pub(super) fn texts(call: &Call) -> Result<Vec<String>, AdaptError> {
    let raw = call.head.raw(&call.body, "input").unwrap_or(b"null");
    let texts = if raw.first() == Some(&b'"') {
        serde_json::from_slice(raw).map(|text| vec![text])
    } else {
        serde_json::from_slice(raw)
    };
    texts.map_err(|_| AdaptError::Unsupported {
        param: "input".into(),
        message:
            "`input` must be a text or a list of texts: this deployment's provider takes no tokens"
                .to_owned(),
    })
}

/// `call` as several with at most that many inputs each; `None` if it has no more.
#[must_use]
pub fn split(call: &Call, most: usize) -> Option<Vec<Call>> {
    let raw = call.head.raw(&call.body, "input")?;
    // Numbers are one input, in tokens.
    let inputs: Vec<&RawValue> = serde_json::from_slice(raw).ok()?;
    let is_number = |input: &&RawValue| input.get().starts_with(|c: char| c.is_ascii_digit());
    if inputs.len() <= most || inputs.first().is_some_and(is_number) {
        return None;
    }
    let with = |inputs: &[&RawValue]| {
        let list = serde_json::to_vec(inputs).ok()?;
        let edits = [Edit::Set("input", list.into())];
        let body = splice(&call.body, &call.head, &edits).to_bytes();
        let head = RequestHead::read(&body, Some(&call.head.model)).ok()?;
        Some(Call {
            head: Arc::new(head),
            body,
            ..call.clone()
        })
    };
    inputs.chunks(most.max(1)).map(with).collect()
}

/// Answers to the parts of a call as the answer to all of it.
///
/// # Errors
/// If one is no list of embeddings.
pub fn join(bodies: &[Bytes]) -> Result<Bytes, AdaptError> {
    #[derive(Deserialize)]
    struct Part<'a> {
        model: Option<Cow<'a, str>>,
        #[serde(borrow)]
        data: Vec<Item<'a>>,
        usage: Option<Used>,
    }
    #[derive(Deserialize)]
    struct Used {
        prompt_tokens: Option<u64>,
    }
    let mut vectors = Vec::new();
    let mut tokens = None;
    let mut model = Cow::Borrowed("");
    for body in bodies {
        let part: Part<'_> = serde_json::from_slice(body)
            .map_err(|e| AdaptError::Malformed(format!("embeddings: {e}")))?;
        vectors.extend(part.data.into_iter().filter_map(|item| item.embedding));
        if let Some(more) = part.usage.and_then(|usage| usage.prompt_tokens) {
            tokens = Some(more.saturating_add(tokens.unwrap_or(0)));
        }
        model = part.model.unwrap_or(model);
    }
    let mut out = BytesMut::new();
    write(&model, &vectors, tokens, &mut out);
    Ok(out.freeze())
}

/// What a provider's answer holds, whatever its form.
pub(super) struct Found<'a> {
    /// The model that made them, if it is said.
    pub(super) model: Option<String>,
    /// Lists of numbers.
    pub(super) vectors: Vec<&'a RawValue>,
    /// Of all inputs together, if they are counted.
    pub(super) tokens: Option<u64>,
}

/// Reads a whole answer; an error says what it lacks.
pub(super) type Read = for<'a> fn(&'a [u8]) -> Result<Found<'a>, AdaptError>;

/// A provider's embeddings as OpenAI's, in numbers; another encoding is made of them later.
#[derive(Debug)]
pub(super) struct Embeddings {
    model: Arc<str>,
    tokens: Option<u64>,
    read: Read,
    body: BytesMut,
}

impl Embeddings {
    /// For answers of `model` that `read` reads. `tokens` is the count where the body has none.
    pub(super) fn new(model: &Arc<str>, tokens: Option<u64>, read: Read) -> Self {
        Self {
            model: Arc::clone(model),
            tokens,
            read,
            body: BytesMut::new(),
        }
    }
}

impl Translator for Embeddings {
    fn push(&mut self, chunk: &[u8], _: &mut BytesMut) -> Result<(), AdaptError> {
        self.body.extend_from_slice(chunk);
        Ok(())
    }

    fn finish(&mut self, out: &mut BytesMut) -> Result<(), AdaptError> {
        let found = (self.read)(&self.body)?;
        let model = found.model.as_deref().unwrap_or(&self.model);
        write(model, &found.vectors, found.tokens.or(self.tokens), out);
        Ok(())
    }
}

/// An answer with these vectors, whose numbers are neither read nor written again.
pub(super) fn write(model: &str, vectors: &[&RawValue], tokens: Option<u64>, out: &mut BytesMut) {
    out.put_slice(b"{\"object\":\"list\",\"data\":[");
    for (index, numbers) in vectors.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        out.put_slice(
            format!("{comma}{{\"object\":\"embedding\",\"index\":{index},\"embedding\":")
                .as_bytes(),
        );
        out.put_slice(numbers.get().as_bytes());
        out.put_slice(b"}");
    }
    let model = serde_json::Value::from(model);
    out.put_slice(format!("],\"model\":{model}").as_bytes());
    if let Some(tokens) = tokens {
        let usage = format!(",\"usage\":{{\"prompt_tokens\":{tokens},\"total_tokens\":{tokens}}}");
        out.put_slice(usage.as_bytes());
    }
    out.put_slice(b"}");
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLOATS: &str = r#"{"object":"list","data":[{"embedding":[1.5, -2,0.25],"index":0},{"index":1,"embedding":[0.1]}],"x":1.0}"#;
    const BASE64: &str = r#"{"object":"list","data":[{"embedding":"AADAPwAAAMAAAIA+","index":0},{"index":1,"embedding":"zczMPQ=="}],"x":1.0}"#;

    #[test]
    fn both_ways_and_neither() {
        let (floats, base64) = (
            Bytes::from_static(FLOATS.as_bytes()),
            Bytes::from_static(BASE64.as_bytes()),
        );
        assert_eq!(
            encode(&floats, EncodingFormat::Base64).expect("base64"),
            base64
        );
        let back = encode(&base64, EncodingFormat::Float).expect("floats");
        assert_eq!(back, FLOATS.replace("1.5, -2,0.25", "1.5,-2.0,0.25"));
        for (body, wanted) in [
            (&floats, EncodingFormat::Float),
            (&base64, EncodingFormat::Base64),
        ] {
            assert_eq!(
                encode(body, wanted).expect("as it is").as_ptr(),
                body.as_ptr()
            );
        }
    }

    #[test]
    fn malformed_ones_are_errors() {
        let cases = [
            (r#"{"data":[{"embedding":["x"]}]}"#, EncodingFormat::Base64),
            (r#"{"data":[{"embedding":"AAA"}]}"#, EncodingFormat::Float),
            (r#"{"data":[{"embedding":"AAAA"}]}"#, EncodingFormat::Float),
            ("nope", EncodingFormat::Float),
        ];
        for (body, wanted) in cases {
            assert!(
                encode(&Bytes::from_static(body.as_bytes()), wanted).is_err(),
                "{body}"
            );
        }
        let escaped = Bytes::from_static(br#"{"data":[{"embedding":"AAD\/fw=="}]}"#);
        let numbers = encode(&escaped, EncodingFormat::Float);
        assert!(numbers.is_ok(), "a slash may be escaped: {numbers:?}");
        let none = Bytes::from_static(br#"{"data":[]}"#);
        assert_eq!(
            encode(&none, EncodingFormat::Base64).expect("nothing to do"),
            none
        );
    }
}
