//! From a request to its key.

use serde_json::Value;

use crate::types::Operation;

/// Identifies equal requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CacheKey([u8; 32]);

/// What makes two requests equal.
#[derive(Debug)]
pub struct KeyParts<'a> {
    /// The model group.
    pub group: &'a str,
    /// The kind of request.
    pub operation: Operation,
    /// Whose entry it is; empty: everybody's.
    pub caller: &'a str,
    /// Key space.
    pub namespace: &'a str,
    /// The `openai-beta` header, which goes on to the provider.
    pub beta: &'a [u8],
    /// The client's body.
    pub body: &'a [u8],
}

impl CacheKey {
    /// The key, or `None` if the body can't be made canonical (nested deeper than 128 levels).
    #[must_use]
    pub fn new(parts: &KeyParts<'_>) -> Option<Self> {
        let mut body: Value = serde_json::from_slice(parts.body).ok()?;
        let object = body.as_object_mut()?;
        object.remove("cache");
        object.remove("model"); // the group stands for it
        let mut hasher = blake3::Hasher::new();
        for text in [
            parts.group,
            parts.operation.name(),
            parts.caller,
            parts.namespace,
        ] {
            put_text(&mut hasher, text);
        }
        hasher.update(&(parts.beta.len() as u64).to_le_bytes());
        hasher.update(parts.beta);
        put(&mut hasher, &body);
        Some(Self(*hasher.finalize().as_bytes()))
    }

    /// As people and other processes know it: 64 hex digits.
    #[must_use]
    pub fn to_hex(&self) -> String {
        blake3::Hash::from_bytes(self.0).to_string()
    }

    /// What [`CacheKey::to_hex`] wrote.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        blake3::Hash::from_hex(text)
            .ok()
            .map(|hash| Self(*hash.as_bytes()))
    }

    pub(super) const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Lengths go first, so that no two different sequences hash the same bytes.
fn put_text(hasher: &mut blake3::Hasher, text: &str) {
    hasher.update(&(text.len() as u64).to_le_bytes());
    hasher.update(text.as_bytes());
}

fn put(hasher: &mut blake3::Hasher, value: &Value) {
    match value {
        Value::Null => {
            hasher.update(b"z");
        }
        Value::Bool(b) => {
            hasher.update(if *b { b"t" } else { b"f" });
        }
        Value::Number(n) => {
            // 0 and 0.0 and 0e0 are one number; beyond 2^53 integers keep their digits.
            let exact = n
                .as_i64()
                .filter(|i| i.unsigned_abs() > (1 << 53))
                .map(|i| i.to_string());
            let exact =
                exact.or_else(|| n.as_u64().filter(|u| *u > (1 << 53)).map(|u| u.to_string()));
            hasher.update(b"n");
            put_text(
                hasher,
                &exact.unwrap_or_else(|| {
                    n.as_f64()
                        .map_or_else(|| n.to_string(), |f| (f + 0.0).to_string())
                }),
            );
        }
        Value::String(s) => {
            hasher.update(b"s");
            put_text(hasher, s);
        }
        Value::Array(items) => {
            hasher.update(b"a");
            hasher.update(&(items.len() as u64).to_le_bytes());
            items.iter().for_each(|item| put(hasher, item));
        }
        // serde_json keeps the keys sorted.
        Value::Object(members) => {
            hasher.update(b"o");
            hasher.update(&(members.len() as u64).to_le_bytes());
            for (key, value) in members {
                put_text(hasher, key);
                put(hasher, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(body: &str) -> Option<CacheKey> {
        let body = body.as_bytes();
        CacheKey::new(&KeyParts {
            group: "g",
            operation: Operation::Chat,
            caller: "",
            namespace: "",
            beta: b"",
            body,
        })
    }

    #[test]
    fn equal_requests_have_equal_keys() {
        let base =
            key(r#"{"model":"g","temperature":0,"messages":[{"role":"user","content":"é"}]}"#);
        assert!(base.is_some());
        for same in [
            r#"{ "messages" : [{"content":"\u00e9","role":"user"}], "temperature":0.0, "model":"g" }"#,
            r#"{"model":"g","temperature":-0.0,"messages":[{"role":"user","content":"é"}],"cache":{"ttl":3}}"#,
        ] {
            assert_eq!(key(same), base, "{same}");
        }
    }

    #[test]
    fn its_digits_are_read_again() {
        let key = key("{}").expect("a key");
        assert_eq!(CacheKey::from_hex(&key.to_hex()), Some(key));
        for wrong in ["", "00", &"0".repeat(63), &"g".repeat(64), &"0".repeat(65)] {
            assert_eq!(CacheKey::from_hex(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn numbers_survive_being_written_again() {
        for number in [
            "1844674240737095515165808",
            "0.1",
            "1e-7",
            "2.2250738585072011e-308",
        ] {
            let body = format!(r#"{{"x":{number}}}"#);
            let again = serde_json::from_str::<Value>(&body)
                .expect("JSON")
                .to_string();
            assert_eq!(key(&again), key(&body), "{number} became {again}");
        }
    }

    #[test]
    fn everything_else_counts() {
        let bodies = [
            r#"{"model":"g"}"#,
            r#"{"model":"g","stream":true}"#,
            r#"{"model":"g","max_tokens":1}"#,
            r#"{"model":"g","max_tokens":"1"}"#,
            r#"{"model":"g","max_tokens":9007199254740993}"#,
            r#"{"model":"g","max_tokens":9007199254740994}"#,
            r#"{"model":"g","user":"aseed: 1"}"#,
            r#"{"model":"g","user":"a","seed":1}"#,
            r#"{"model":"g","x_unknown":[]}"#,
            r#"{"model":"g","x_unknown":{}}"#,
            r#"{"model":"g","x_unknown":null}"#,
            r#"{"model":"g","x_unknown":[[1],2]}"#,
            r#"{"model":"g","x_unknown":[1,[2]]}"#,
        ];
        let keys: std::collections::HashSet<_> = bodies.iter().map(|b| key(b)).collect();
        assert_eq!(keys.len(), bodies.len());
        let parts = |group, caller, namespace| KeyParts {
            group,
            operation: Operation::Chat,
            caller,
            namespace,
            beta: b"",
            body: b"{}",
        };
        let of = |p: KeyParts<'_>| CacheKey::new(&p);
        assert_ne!(of(parts("g", "", "")), of(parts("", "g", "")));
        assert_ne!(of(parts("g", "a", "")), of(parts("g", "b", "")));
        assert_ne!(of(parts("g", "", "a")), of(parts("g", "a", "")));
    }
}
