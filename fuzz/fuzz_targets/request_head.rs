//! The request head: reading agrees with `serde_json`, and splicing agrees with the same edits made to a list of members.
//!
//! Input: a body; after the first zero byte, bytes that choose edits.
#![no_main]

use std::collections::BTreeMap;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;
use waypost::request::{Edit, RequestError, RequestHead, splice};

const NAMES: [&str; 8] = [
    "model",
    "stream",
    "cache",
    "a",
    "b",
    "\"",
    "max_tokens",
    "max_completion_tokens",
];
const VALUES: [&[u8]; 4] = [b"\"x\"", b"1", b"{\"n\": [ ]}", b"null"];

/// All members in order, duplicates included, with their values' bytes.
struct Members(Vec<(String, String)>);

impl<'de> serde::Deserialize<'de> for Members {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> serde::de::Visitor<'de> for All {
            type Value = Members;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Members, A::Error> {
                let mut all = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, Box<RawValue>>()? {
                    all.push((name, value.get().to_owned()));
                }
                Ok(Members(all))
            }
        }
        deserializer.deserialize_map(All)
    }
}

fn edits(bytes: &[u8]) -> Vec<Edit<'static>> {
    let name = |b: u8| NAMES[usize::from(b) % NAMES.len()];
    let value = |b: u8| Bytes::from_static(VALUES[usize::from(b) % VALUES.len()]);
    let edit = |b: &[u8]| match b[0] % 4 {
        0 => Edit::Set(name(b[1]), value(b[2])),
        1 => Edit::Default(name(b[1]), value(b[2])),
        2 => Edit::Remove(name(b[1])),
        _ => Edit::Rename(name(b[1]), name(b[2])),
    };
    bytes.chunks_exact(3).take(8).map(edit).collect()
}

/// The same edits, made to a list. What is inserted comes first, as `splice` has it.
fn edited(members: &[(String, String)], edits: &[Edit<'_>]) -> Vec<(String, String)> {
    let text = |value: &Bytes| String::from_utf8(value.to_vec()).expect("text");
    let mut all = members.to_vec();
    let mut inserted = 0;
    for edit in edits {
        let has = |name: &str| all.iter().any(|(n, _)| n == name);
        match edit {
            Edit::Set(name, value) if has(name) => {
                let first = all
                    .iter()
                    .position(|(n, _)| n == name)
                    .expect("it is there");
                let mut at = 0;
                all.retain(|(n, _)| {
                    at += 1;
                    n != name || at == first + 1
                });
                all[first].1 = text(value);
            }
            Edit::Default(name, _) if has(name) => {}
            Edit::Set(name, value) | Edit::Default(name, value) => {
                all.insert(inserted, ((*name).to_owned(), text(value)));
                inserted += 1;
            }
            Edit::Remove(name) => {
                inserted -= all[..inserted].iter().filter(|(n, _)| n == name).count();
                all.retain(|(n, _)| n != name);
            }
            Edit::Rename(from, to) => {
                if !has(to) {
                    all.iter_mut()
                        .filter(|(n, _)| n == from)
                        .for_each(|(n, _)| *n = (*to).to_owned());
                }
            }
        }
    }
    all
}

fuzz_target!(|input: &[u8]| {
    let cut = input.iter().position(|b| *b == 0).unwrap_or(input.len());
    let (body, choices) = (&input[..cut], &input[(cut + 1).min(input.len())..]);
    let by_map = serde_json::from_slice::<BTreeMap<String, &RawValue>>(body);
    let by_tree = serde_json::from_slice::<serde_json::Value>(body);
    let head = match RequestHead::read(body, Some("g")) {
        Err(RequestError::NotJson(_) | RequestError::NotObject) => {
            assert!(
                by_map.is_err() && !by_tree.is_ok_and(|t| t.is_object()),
                "refused, but serde_json reads it"
            );
            return;
        }
        Err(_) => {
            assert!(by_map.is_ok(), "read, but not by serde_json");
            return;
        }
        Ok(head) => head,
    };
    let by_map = by_map.expect("read, but not by serde_json");
    let before = serde_json::from_slice::<Members>(body)
        .expect("an object")
        .0;
    for (name, value) in &by_map {
        assert!(head.has(name));
        // Of duplicates the map keeps the last one, and the head finds the first.
        if before.iter().filter(|(n, _)| n == name).count() == 1 {
            assert_eq!(head.raw(body, name), Some(value.get().as_bytes()));
        }
    }
    let edits = edits(choices);
    let body = Bytes::copy_from_slice(body);
    let payload = splice(&body, &head, &edits);
    let after = payload.to_bytes();
    assert_eq!(payload.len(), after.len());
    if edits.is_empty() {
        assert_eq!(after, body, "nothing to change");
    }
    let after = serde_json::from_slice::<Members>(&after)
        .expect("still an object")
        .0;
    assert_eq!(after, edited(&before, &edits), "{edits:?}");
    // What no edit names keeps its bytes, white space around it included, as far as neighbours allow.
    let untouched = edits
        .iter()
        .all(|e| matches!(e, Edit::Set(n, _) | Edit::Default(n, _) if !head.has(n)));
    if untouched {
        let open = body.iter().position(|b| *b == b'{').expect("an object") + 1;
        let payload = payload.to_bytes();
        assert!(payload.starts_with(&body[..open]) && payload.ends_with(&body[open..]));
    }
});
