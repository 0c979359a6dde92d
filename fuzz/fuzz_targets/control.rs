//! The cache: controls are read from anything, and a body written another way has the same key.
//!
//! Input: a body; after the first zero byte, a `Cache-Control` value.
#![no_main]

use http::header::CACHE_CONTROL;
use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use waypost::cache::control::Control;
use waypost::cache::{CacheKey, KeyParts};
use waypost::types::Operation;

fn key(body: &[u8], group: &str) -> Option<CacheKey> {
    CacheKey::new(&KeyParts {
        group,
        operation: Operation::Chat,
        caller: "",
        namespace: "", beta: b"",
        body,
    })
}

fuzz_target!(|input: &[u8]| {
    let cut = input.iter().position(|b| *b == 0).unwrap_or(input.len());
    let (body, header) = (&input[..cut], &input[(cut + 1).min(input.len())..]);
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_bytes(header) {
        headers.insert(CACHE_CONTROL, value);
    }
    let control = Control::read(&headers, Some(body));
    let alone = Control::read(&headers, None);
    assert!(
        !alone.no_cache || control.no_cache,
        "the body can't take back what the header says"
    );
    assert!(!alone.no_store || control.no_store);

    let Ok(mut tree) = serde_json::from_slice::<Value>(body) else {
        assert!(key(body, "g").is_none(), "a key for what is no JSON");
        return;
    };
    let expected = key(body, "g");
    assert_eq!(expected.is_some(), tree.is_object());
    assert_eq!(key(tree.to_string().as_bytes(), "g"), expected, "compact");
    assert_eq!(
        key(&serde_json::to_vec_pretty(&tree).expect("JSON"), "g"),
        expected,
        "pretty"
    );
    let Some(object) = tree.as_object_mut() else {
        return;
    };
    object.insert("cache".to_owned(), serde_json::json!({"no-cache": true}));
    object.insert("model".to_owned(), "other".into());
    assert_eq!(
        key(tree.to_string().as_bytes(), "g"),
        expected,
        "the controls and the model are no part of it"
    );
    assert_ne!(
        key(tree.to_string().as_bytes(), "h"),
        expected,
        "the group is"
    );
    tree["\u{1}new"] = 1.into();
    assert_ne!(
        key(tree.to_string().as_bytes(), "g"),
        expected,
        "every other member is"
    );
});
