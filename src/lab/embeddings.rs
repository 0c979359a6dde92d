//! Embeddings: a deterministic vector for every text, in the encoding asked for or in the only one a deployment has.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::answer::{Answer, Asked, prompt_tokens};
use super::behaviour::{Behaviour, EmbeddingEncoding};

/// The vector of a text: from −1 to 1, the same in every process, different for different texts.
///
/// Each number is a multiple of 2⁻²³, so JSON and `f32` both carry it exactly. For an input given as tokens the text is
/// its compact JSON.
#[must_use]
pub fn embedding_of(text: &str, dimensions: usize) -> Vec<f32> {
    // FNV-1a as the seed, then SplitMix64: short, and fixed for ever, unlike a library's generator.
    let mut state = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (0..dimensions)
        .map(|_| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^= mixed >> 31;
            #[expect(clippy::cast_precision_loss, reason = "24 bits fit an f32 exactly")]
            let number = (mixed >> 40) as f32;
            number / 8_388_608.0 - 1.0
        })
        .collect()
}

/// Base64 of little-endian `f32`, as OpenAI encodes embeddings.
#[must_use]
pub fn embedding_base64(vector: &[f32]) -> String {
    let bytes: Vec<u8> = vector
        .iter()
        .flat_map(|number| number.to_le_bytes())
        .collect();
    STANDARD.encode(bytes)
}

/// The answer to an embeddings request.
pub(super) fn answer(asked: &Asked, behaviour: &Behaviour) -> Answer {
    let input = &asked.body["input"];
    let inputs: Vec<String> = match input {
        // A list of numbers is one input in tokens, a list of anything else is a list of inputs.
        Value::Array(items) if !items.first().is_some_and(Value::is_number) => {
            items.iter().map(as_text).collect()
        }
        _ => vec![as_text(input)],
    };
    let dimensions = asked.body["dimensions"]
        .as_u64()
        .map_or(behaviour.dimensions, |asked| {
            usize::try_from(asked).unwrap_or(0).min(65_536)
        });
    let base64 = match behaviour.embeddings {
        EmbeddingEncoding::Both => asked.body["encoding_format"] == "base64",
        EmbeddingEncoding::FloatsOnly => false,
        EmbeddingEncoding::Base64Only => true,
    };
    let data: Vec<Value> = inputs
        .iter()
        .enumerate()
        .map(|(index, text)| {
            let vector = embedding_of(text, dimensions);
            let embedding = if base64 {
                embedding_base64(&vector).into()
            } else {
                json!(vector)
            };
            json!({"object": "embedding", "index": index, "embedding": embedding})
        })
        .collect();
    let mut body = json!({"object": "list", "data": data, "model": asked.model(behaviour)});
    if behaviour.usage {
        let tokens = prompt_tokens(input);
        body["usage"] = json!({"prompt_tokens": tokens, "total_tokens": tokens});
    }
    if let Value::Object(fields) = &mut body {
        asked.echo_into(fields, behaviour);
    }
    Answer::Whole { body, tokens: 1 }
}

fn as_text(input: &Value) -> String {
    input
        .as_str()
        .map_or_else(|| input.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_are_fixed_and_survive_json() {
        let vector = embedding_of("hello", 4);
        assert_eq!(vector, embedding_of("hello", 4));
        assert_ne!(vector, embedding_of("hallo", 4));
        assert_eq!(vector, embedding_of("hello", 8)[..4]);
        assert!(vector.iter().all(|number| (-1.0..1.0).contains(number)));
        let json = serde_json::to_string(&vector).expect("serializes");
        assert_eq!(
            serde_json::from_str::<Vec<f32>>(&json).expect("parses"),
            vector
        );
    }

    #[test]
    fn base64_is_little_endian() {
        assert_eq!(embedding_base64(&[1.0]), "AACAPw==");
    }
}
