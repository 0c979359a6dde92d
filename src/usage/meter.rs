//! Tokens in a body or an event.

use crate::json::{self, Scanner, Wrong};
use crate::types::{Provenance, TokenUsage};

/// Bytes of English text per token, as OpenAI's own rule of thumb has it; only for estimates.
const BYTES_PER_TOKEN: u64 = 4;

#[derive(Default)]
struct Wire {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    total_tokens: Option<u64>,
    cached_tokens: Option<u64>,
    reasoning_tokens: Option<u64>,
    /// DeepSeek's name for cached tokens.
    prompt_cache_hit_tokens: Option<u64>,
}

impl Wire {
    /// Reads the value that is due; `None` if it is no object, or has something else where a number of tokens should be.
    fn read(scanner: &mut Scanner<'_>) -> Result<Option<Self>, Wrong> {
        if !scanner.object() {
            scanner.skip()?;
            return Ok(None);
        }
        let mut wire = Self::default();
        let mut valid = true;
        while let Some(name) = scanner.member()? {
            valid &= match &*name {
                b"prompt_tokens" => count(scanner, &mut wire.prompt_tokens)?,
                b"completion_tokens" => count(scanner, &mut wire.completion_tokens)?,
                b"total_tokens" => count(scanner, &mut wire.total_tokens)?,
                b"prompt_cache_hit_tokens" => count(scanner, &mut wire.prompt_cache_hit_tokens)?,
                b"prompt_tokens_details" => {
                    detail(scanner, b"cached_tokens", &mut wire.cached_tokens)?
                }
                b"completion_tokens_details" => {
                    detail(scanner, b"reasoning_tokens", &mut wire.reasoning_tokens)?
                }
                _ => scanner.skip().map(|_| true)?,
            };
        }
        Ok(valid.then_some(wire))
    }
}

/// Reads the number that is due; returns whether it is one, or null.
fn count(scanner: &mut Scanner<'_>, into: &mut Option<u64>) -> Result<bool, Wrong> {
    let raw = scanner.value()?;
    *into = json::integer(raw);
    Ok(into.is_some() || raw == b"null")
}

/// Reads one number of the object that is due; returns whether both are what they should be, or null.
fn detail(scanner: &mut Scanner<'_>, wanted: &[u8], into: &mut Option<u64>) -> Result<bool, Wrong> {
    if !scanner.object() {
        return Ok(scanner.value()? == b"null");
    }
    let mut valid = true;
    while let Some(name) = scanner.member()? {
        if *name == *wanted {
            valid &= count(scanner, into)?;
        } else {
            scanner.skip()?;
        }
    }
    Ok(valid)
}

/// Reads the value of `usage`, which is due; `None` if it is null or no such object.
///
/// # Errors
/// If it is no JSON.
pub fn reported(scanner: &mut Scanner<'_>) -> Result<Option<TokenUsage>, Wrong> {
    Ok(Wire::read(scanner)?.as_ref().and_then(usage))
}

fn usage(wire: &Wire) -> Option<TokenUsage> {
    let input = wire.prompt_tokens.unwrap_or(0);
    // xAI leaves reasoning out of the completion tokens; the total tells.
    let output = match (wire.completion_tokens, wire.total_tokens) {
        (Some(completion), Some(total)) => completion.max(total.saturating_sub(input)),
        (Some(completion), None) => completion,
        (None, total) => total.unwrap_or(0).saturating_sub(input),
    };
    if wire.prompt_tokens.is_none()
        && wire.completion_tokens.is_none()
        && wire.total_tokens.is_none()
    {
        return None;
    }
    let cached = wire.cached_tokens.or(wire.prompt_cache_hit_tokens);
    Some(TokenUsage {
        input,
        output,
        cached_input: cached.unwrap_or(0).min(input),
        reasoning: wire.reasoning_tokens.unwrap_or(0).min(output),
        provenance: Provenance::Reported,
        ..TokenUsage::default()
    })
}

/// Tokens of `bytes` of text, estimated.
#[must_use]
pub const fn estimate(bytes: u64) -> u64 {
    bytes.div_ceil(BYTES_PER_TOKEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table() {
        let usage = |input, output, cached_input, reasoning| {
            Some(TokenUsage {
                input,
                output,
                cached_input,
                reasoning,
                provenance: Provenance::Reported,
                ..TokenUsage::default()
            })
        };
        let cases = [
            (
                r#"{"prompt_tokens":7,"completion_tokens":5,"total_tokens":12}"#,
                usage(7, 5, 0, 0),
            ),
            (r#"{"prompt_tokens":7,"total_tokens":7}"#, usage(7, 0, 0, 0)),
            (
                r#"{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}"#,
                usage(0, 0, 0, 0),
            ),
            (
                r#"{"prompt_tokens":7,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":4,"x":null},
                    "completion_tokens_details":{"reasoning_tokens":3}}"#,
                usage(7, 5, 4, 3),
            ),
            (
                r#"{"prompt_tokens":7,"completion_tokens":5,"prompt_tokens_details":null}"#,
                usage(7, 5, 0, 0),
            ),
            (
                r#"{"prompt_tokens":7,"completion_tokens":5,"total_tokens":32}"#,
                usage(7, 25, 0, 0),
            ),
            (
                r#"{"prompt_tokens":7,"completion_tokens":5,"prompt_cache_hit_tokens":9}"#,
                usage(7, 5, 7, 0),
            ),
            ("null", None),
            ("{}", None),
            (r#""many""#, None),
            (r#"{"prompt_tokens":7,"completion_tokens":"5"}"#, None),
            (r#"{"prompt_tokens":7.0}"#, None),
            (r#"{"prompt_tokens":7,"prompt_tokens_details":3}"#, None),
            (
                r#"{"prompt_tokens":7,"completion_tokens_details":{"reasoning_tokens":-1}}"#,
                None,
            ),
        ];
        for (text, expected) in cases {
            let mut scanner = Scanner::new(text.as_bytes());
            assert_eq!(reported(&mut scanner), Ok(expected), "{text}");
            assert_eq!(scanner.end(), Ok(()), "{text}");
        }
        assert!(reported(&mut Scanner::new(br#"{"prompt_tokens":7"#)).is_err());
    }
}
