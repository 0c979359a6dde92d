//! Exact counts for models of OpenAI, whose encodings are public. Only with the feature `tokenizer`: its tables make the
//! program some megabytes larger.
//!
//! Exact is the text; how definitions of tools are shown to a model is not published, so these stay estimated.

use crate::request::RequestHead;
use crate::types::Operation;

/// Tokens of the request's longest prompt as `model` counts them; `None` if its encoding is not known here.
#[cfg(feature = "tokenizer")]
#[must_use]
pub fn count(model: &str, operation: Operation, head: &RequestHead, body: &[u8]) -> Option<u64> {
    use super::prompt::{Length, whole};
    let tokenizer = match encoding(model)? {
        Encoding::O200k => bpe_openai::o200k_base(),
        Encoding::Cl100k => bpe_openai::cl100k_base(),
    };
    let count = |raw: &[u8]| {
        let text = crate::json::string(raw).unwrap_or_default();
        whole(tokenizer.count(&*text) as u64)
    };
    let mut length = Length::counted(count);
    crate::request::needs::read(operation, head, body, &mut |piece| length.add(piece));
    Some(length.tokens())
}

/// Nobody's tokens are counted in this build.
#[cfg(not(feature = "tokenizer"))]
#[must_use]
pub const fn count(
    _model: &str,
    _operation: Operation,
    _head: &RequestHead,
    _body: &[u8],
) -> Option<u64> {
    None
}

#[cfg(feature = "tokenizer")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    O200k,
    Cl100k,
}

/// The encoding of a model's family, as <https://github.com/openai/tiktoken> lists them. What stands before a `/` or behind
/// `ft:` is not the family's name.
#[cfg(feature = "tokenizer")]
fn encoding(model: &str) -> Option<Encoding> {
    const O200K: [&str; 9] = [
        "gpt-5",
        "gpt-4.5",
        "gpt-4.1",
        "gpt-4o",
        "chatgpt-4o",
        "gpt-oss",
        "o1",
        "o3",
        "o4",
    ];
    const CL100K: [&str; 6] = [
        "gpt-4",
        "gpt-3.5-turbo",
        "gpt-35-turbo",
        "text-embedding-ada-002",
        "text-embedding-3-small",
        "text-embedding-3-large",
    ];
    let name = model.rsplit('/').next()?;
    let name = name.strip_prefix("ft:").unwrap_or(name);
    let of = |families: &[&str]| {
        // A family's name ends there, or goes on with more about the model.
        let ends = |rest: &str| rest.is_empty() || rest.starts_with(['-', '.', ':']);
        families
            .iter()
            .any(|family| name.strip_prefix(family).is_some_and(ends))
    };
    if of(&O200K) {
        Some(Encoding::O200k)
    } else {
        of(&CL100K).then_some(Encoding::Cl100k)
    }
}

#[cfg(all(test, feature = "tokenizer"))]
mod tests {
    use super::super::prompt::tests::TEXTS;
    use super::*;

    #[test]
    fn families() {
        for (model, expected) in [
            ("gpt-4o-2024-11-20", Some(Encoding::O200k)),
            ("openai/gpt-5.1-mini", Some(Encoding::O200k)),
            ("o3", Some(Encoding::O200k)),
            ("gpt-4", Some(Encoding::Cl100k)),
            ("azure/eu/gpt-4-0613", Some(Encoding::Cl100k)),
            ("ft:gpt-3.5-turbo:acme", Some(Encoding::Cl100k)),
            ("text-embedding-3-small", Some(Encoding::Cl100k)),
            ("gpt-4x", None),
            ("o12", None),
            ("claude-sonnet-4-5", None),
            ("", None),
        ] {
            assert_eq!(encoding(model), expected, "{model}");
        }
    }

    /// The counts are those of OpenAI's own tokenizer; by them the accuracy of the estimate is stated.
    #[test]
    fn texts_count_as_openai_counts_them() {
        for (kind, text, counts) in TEXTS {
            let body = serde_json::json!({"model": "m", "input": [text]}).to_string();
            let head = RequestHead::read(body.as_bytes(), None).expect("a request");
            for (model, expected) in ["gpt-4o", "gpt-4"].into_iter().zip(counts) {
                let count = count(model, Operation::Embeddings, &head, body.as_bytes());
                assert_eq!(count, Some(expected), "{kind} {model}");
            }
        }
    }

    /// The example of OpenAI's own page on counting: a message is its text and four, an answer begins with three.
    #[test]
    fn messages_have_frames() {
        let body = r#"{"model":"m","messages":[{"role":"user","content":"hello world"},{"role":"assistant","content":"hello"}]}"#;
        let head = RequestHead::read(body.as_bytes(), None).expect("a request");
        let count = count("gpt-4o", Operation::Chat, &head, body.as_bytes());
        assert_eq!(count, Some(2 + 1 + 2 * 4 + 3));
    }
}
