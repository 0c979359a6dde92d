//! What makes two requests one conversation: a number that is the same for both.

use http::HeaderMap;

use super::RequestHead;
use crate::json::{self, Scanner};
use crate::types::AffinityKey;

/// Headers that name a session, in the order in which they are looked for.
const SESSION_HEADERS: [&str; 2] = ["x-session-id", "x-litellm-session-id"];
/// So much of a `prompt` stands for the conversation; it grows with each turn, and of a shorter one nothing is worth keeping
/// (OpenAI caches from 1,024 tokens on).
const PROMPT: usize = 1024;

/// The number of the conversation a request belongs to, by the first of `keys` that it has. `body` is the one `head` was
/// read from. It is the same in every replica and after a restart, and no two callers share one: `caller` is the name of
/// the client key, empty where there are no keys.
#[must_use]
pub fn conversation(
    keys: &[AffinityKey],
    caller: &str,
    head: &RequestHead,
    body: &[u8],
    headers: &HeaderMap,
) -> Option<u64> {
    let text = |name: &str| {
        let text = json::string(head.raw(body, name)?)?;
        (!text.is_empty()).then(|| text.into_owned().into_bytes())
    };
    keys.iter().find_map(|key| {
        let number = |value: &[u8]| number(*key, caller, value);
        match key {
            AffinityKey::Session => {
                let mut values = SESSION_HEADERS.iter().filter_map(|name| headers.get(*name));
                match values.find(|value| !value.is_empty()) {
                    Some(value) => Some(number(value.as_bytes())),
                    None => text("litellm_session_id").map(|text| number(&text)),
                }
            }
            AffinityKey::PromptCacheKey => text("prompt_cache_key").map(|text| number(&text)),
            AffinityKey::User => text("user").map(|text| number(&text)),
            AffinityKey::Prefix => prefix(head, body).map(number),
        }
    })
}

/// The prompt's beginning, as it was sent: the messages up to the end of the first one of the user, or as many bytes of a
/// `prompt`. Whoever goes on with a conversation repeats them.
fn prefix<'a>(head: &RequestHead, body: &'a [u8]) -> Option<&'a [u8]> {
    if let Some(messages) = head.raw(body, "messages") {
        return up_to_user(messages);
    }
    head.raw(body, "prompt")?.get(..PROMPT)
}

fn up_to_user(messages: &[u8]) -> Option<&[u8]> {
    let mut list = Scanner::new(messages);
    if !list.array() {
        return None;
    }
    while list.element().ok()? {
        let message = list.skip().ok()?;
        if is_users(messages.get(message.clone())?) {
            return messages.get(..message.end);
        }
    }
    None
}

fn is_users(message: &[u8]) -> bool {
    let mut message = Scanner::new(message);
    if !message.object() {
        return false;
    }
    while let Ok(Some(name)) = message.member() {
        match message.value() {
            Ok(role) if *name == *b"role" => return role == br#""user""#,
            Ok(_) => {}
            Err(_) => return false,
        }
    }
    false
}

/// The first 64 bits of a BLAKE3 hash, of which clients can't choose any. Lengths go first, so that no two sequences are the
/// same bytes.
fn number(key: AffinityKey, caller: &str, value: &[u8]) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[key as u8]);
    for part in [caller.as_bytes(), value] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    let mut first = [0; 8];
    first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    u64::from_le_bytes(first)
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};
    use serde_json::{Value, json};

    use super::*;

    const ALL: [AffinityKey; 4] = [
        AffinityKey::Session,
        AffinityKey::PromptCacheKey,
        AffinityKey::User,
        AffinityKey::Prefix,
    ];

    fn of(
        keys: &[AffinityKey],
        caller: &str,
        body: &Value,
        headers: &[(&str, &str)],
    ) -> Option<u64> {
        let body = body.to_string();
        let head = RequestHead::read(body.as_bytes(), Some("g")).expect("a request");
        let headers = headers.iter().map(|(name, value)| {
            let name = HeaderName::try_from(*name).expect("a name");
            (name, HeaderValue::try_from(*value).expect("a value"))
        });
        conversation(keys, caller, &head, body.as_bytes(), &headers.collect())
    }

    #[test]
    fn the_first_key_that_is_there_counts() {
        let body = json!({
            "litellm_session_id": "b", "prompt_cache_key": "c", "user": "d",
            "messages": [{"role": "user", "content": "e"}],
        });
        let without = |names: &[&str]| {
            let mut body = body.clone();
            names.iter().for_each(|name| body[name] = Value::Null);
            body
        };
        let header = [("x-litellm-session-id", "a")];
        let alone = |key: usize, body: &Value, headers: &[(&str, &str)]| {
            of(&ALL[key..=key], "", body, headers).expect("one")
        };
        type Headers<'a> = &'a [(&'a str, &'a str)];
        let cases: [(u64, Value, Headers<'_>); 6] = [
            (
                alone(0, &json!({}), &[("x-session-id", "a")]),
                body.clone(),
                &header,
            ),
            (
                alone(0, &json!({}), &[("x-session-id", "b")]),
                body.clone(),
                &[("x-session-id", "")],
            ),
            (alone(0, &body, &[]), body.clone(), &[]),
            (alone(1, &body, &[]), without(&["litellm_session_id"]), &[]),
            (
                alone(2, &body, &[]),
                without(&["litellm_session_id", "prompt_cache_key"]),
                &[],
            ),
            (
                alone(3, &body, &[]),
                without(&["litellm_session_id", "prompt_cache_key", "user"]),
                &[],
            ),
        ];
        for (expected, body, headers) in cases {
            assert_eq!(
                of(&ALL, "", &body, headers),
                Some(expected),
                "{body} {headers:?}"
            );
        }
        assert_eq!(
            of(&ALL, "", &json!({"user": 7, "messages": "?"}), &[]),
            None
        );
        assert_eq!(of(&[], "", &body, &header), None);
    }

    #[test]
    fn kinds_and_callers_are_apart() {
        let named = |caller, member: &str| of(&ALL, caller, &json!({member: "x"}), &[]);
        let all = [
            named("", "user"),
            named("", "prompt_cache_key"),
            named("", "litellm_session_id"),
            named("a", "user"),
            named("ax", "user"),
        ];
        let set: std::collections::HashSet<_> = all.iter().collect();
        assert!(
            all.iter().all(Option::is_some) && set.len() == all.len(),
            "{all:?}"
        );
    }

    #[test]
    fn it_is_the_same_in_every_replica() {
        let number = of(&ALL, "team", &json!({"user": "u-1"}), &[]);
        assert_eq!(number, Some(10_431_417_595_500_768_134));
    }

    #[test]
    fn a_conversation_goes_on_and_another_begins_otherwise() {
        let prefix = |messages: Value| of(&ALL[3..], "", &json!({"messages": messages}), &[]);
        let system = json!({"content": "be brief", "role": "system"});
        let user =
            |text: &str| json!({"role": "user", "content": [{"type": "text", "text": text}]});
        let answer = json!({"role": "assistant", "content": "yes", "tool_calls": []});
        let first = prefix(json!([system, user("one")]));
        assert!(first.is_some());
        assert_eq!(
            prefix(json!([system, user("one"), answer, user("two")])),
            first
        );
        assert_ne!(prefix(json!([system, user("two")])), first);
        assert_ne!(prefix(json!([user("one")])), first);
        assert_eq!(prefix(json!([system, answer])), None);
        assert_eq!(prefix(json!([1, {"role": 2}])), None);

        let prompt = |text: String| of(&ALL[3..], "", &json!({"prompt": text}), &[]);
        let long = "word ".repeat(300);
        assert_eq!(prompt(format!("{long} and on")), prompt(long.clone()));
        assert_ne!(prompt(format!("a {long}")), prompt(long));
        assert_eq!(prompt("short".to_owned()), None);
    }
}
