//! Embeddings in the encoding the client asked for, whatever the upstream answers.
//!
//! The SDKs ask for base64 when their caller says nothing, and decode whatever comes; an upstream that ignores the wish
//! and sends numbers would silently yield vectors of the wrong length. Only the embeddings themselves are rewritten.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{BufMut, Bytes, BytesMut};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::AdaptError;
use crate::request::EncodingFormat;

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
                let text: &str = serde_json::from_str(raw).map_err(|e| malformed(&e))?;
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
        let none = Bytes::from_static(br#"{"data":[]}"#);
        assert_eq!(
            encode(&none, EncodingFormat::Base64).expect("nothing to do"),
            none
        );
    }
}
