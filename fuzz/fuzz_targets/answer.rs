//! What comes back from providers: error bodies, embeddings, usage. Nothing panics, and what is rewritten still says the
//! same.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use waypost::json::Scanner;
use waypost::provider::{embeddings, error_facts};
use waypost::request::EncodingFormat;
use waypost::types::Provenance;
use waypost::usage::meter;

/// The embeddings of a body as `f32` bits, if it holds only arrays of numbers.
fn floats(body: &[u8]) -> Option<Vec<Vec<u32>>> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let items = body.get("data")?.as_array()?;
    let floats = |item: &Value| -> Option<Vec<u32>> {
        item.get("embedding")?
            .as_array()?
            .iter()
            .map(|n| {
                serde_json::from_value::<f32>(n.clone())
                    .ok()
                    .map(f32::to_bits)
            })
            .collect()
    };
    items.iter().map(floats).collect()
}

fuzz_target!(|input: &[u8]| {
    if let Some(facts) = error_facts(input) {
        assert!(
            serde_json::from_slice::<serde::de::IgnoredAny>(input).is_ok(),
            "{facts:?} of no JSON"
        );
    }
    if let Ok(Some(usage)) = meter::reported(&mut Scanner::new(input)) {
        assert!(
            usage.provenance == Provenance::Reported && usage.cached_input <= usage.input && usage.reasoning <= usage.output
        );
        let _ = usage.total();
    }
    let body = Bytes::copy_from_slice(input);
    for wanted in [EncodingFormat::Float, EncodingFormat::Base64] {
        let Ok(once) = embeddings::encode(&body, wanted) else {
            continue;
        };
        let twice = embeddings::encode(&once, wanted).expect("its own output");
        assert_eq!(once, twice, "already as wanted");
    }
    let Some(before) = floats(input) else { return };
    // Numbers beyond f32 become infinite, which JSON can't say.
    if before
        .iter()
        .flatten()
        .any(|bits| !f32::from_bits(*bits).is_finite())
    {
        return;
    }
    let base64 = embeddings::encode(&body, EncodingFormat::Base64).expect("numbers");
    let back = embeddings::encode(&base64, EncodingFormat::Float).expect("base64");
    assert_eq!(floats(&back), Some(before), "there and back");
});
