//! Tokens in a body or an event.

use crate::json::{self, Scanner, Wrong};
use crate::types::{Provenance, TokenUsage};

/// Bytes of English text per token, as OpenAI's own rule of thumb has it; only for estimates.
const BYTES_PER_TOKEN: u64 = 4;

/// What is said of tokens. Where providers and gateways have several names for the same, each has its own member here.
#[derive(Default)]
struct Wire {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    total_tokens: Option<u64>,
    prompt: PromptDetails,
    completion: CompletionDetails,
    /// DeepSeek's name for cached tokens.
    prompt_cache_hit_tokens: Option<u64>,
    /// Anthropic's names, as gateways to it hand them on beside OpenAI's.
    cache_read_input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
}

#[derive(Default)]
struct PromptDetails {
    cached: Option<u64>,
    /// The name of OpenAI and `OpenRouter`.
    cache_write: Option<u64>,
    /// LiteLLM's name for the same.
    cache_creation: Option<u64>,
    audio: Option<u64>,
    image: Option<u64>,
}

#[derive(Default)]
struct CompletionDetails {
    reasoning: Option<u64>,
    audio: Option<u64>,
}

/// A member's name, and where its number goes.
type Member<'a> = (&'static [u8], &'a mut Option<u64>);

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
                b"cache_read_input_tokens" => count(scanner, &mut wire.cache_read_input_tokens)?,
                b"cache_creation_input_tokens" => {
                    count(scanner, &mut wire.cache_creation_input_tokens)?
                }
                b"prompt_tokens_details" => wire.prompt.read(scanner)?,
                b"completion_tokens_details" => wire.completion.read(scanner)?,
                _ => scanner.skip().map(|_| true)?,
            };
        }
        Ok(valid.then_some(wire))
    }
}

impl PromptDetails {
    fn read(&mut self, scanner: &mut Scanner<'_>) -> Result<bool, Wrong> {
        let wanted: [Member<'_>; 5] = [
            (b"cached_tokens", &mut self.cached),
            (b"cache_write_tokens", &mut self.cache_write),
            (b"cache_creation_tokens", &mut self.cache_creation),
            (b"audio_tokens", &mut self.audio),
            (b"image_tokens", &mut self.image),
        ];
        details(scanner, wanted)
    }
}

impl CompletionDetails {
    fn read(&mut self, scanner: &mut Scanner<'_>) -> Result<bool, Wrong> {
        let wanted: [Member<'_>; 2] = [
            (b"reasoning_tokens", &mut self.reasoning),
            (b"audio_tokens", &mut self.audio),
        ];
        details(scanner, wanted)
    }
}

/// More tokens than that no request has: a number beyond it is somebody's mistake, such as one below zero.
const MOST: u64 = 1 << 40;

/// Reads the number that is due; returns whether it is one, or null.
fn count(scanner: &mut Scanner<'_>, into: &mut Option<u64>) -> Result<bool, Wrong> {
    let raw = scanner.value()?;
    *into = json::integer(raw).filter(|count| *count <= MOST);
    Ok(into.is_some() || raw == b"null")
}

/// Reads numbers of the object that is due; returns whether all are what they should be, or null.
fn details<const N: usize>(
    scanner: &mut Scanner<'_>,
    mut wanted: [Member<'_>; N],
) -> Result<bool, Wrong> {
    if !scanner.object() {
        return Ok(scanner.value()? == b"null");
    }
    let mut valid = true;
    while let Some(name) = scanner.member()? {
        match wanted.iter_mut().find(|(wanted, _)| *wanted == &*name) {
            Some((_, into)) => valid &= count(scanner, into)?,
            None => {
                scanner.skip()?;
            }
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
    // Where only a total is given there was no output: embeddings are reported so (Voyage).
    let alone = wire
        .total_tokens
        .filter(|_| wire.completion_tokens.is_none());
    let input = wire.prompt_tokens.or(alone).unwrap_or(0);
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
    let Wire {
        prompt, completion, ..
    } = wire;
    let cached = prompt
        .cached
        .or(wire.prompt_cache_hit_tokens)
        .or(wire.cache_read_input_tokens);
    let written = prompt
        .cache_write
        .or(prompt.cache_creation)
        .or(wire.cache_creation_input_tokens);
    let part = |part: Option<u64>, whole: u64| part.unwrap_or(0).min(whole);
    Some(TokenUsage {
        input,
        output,
        cached_input: part(cached, input),
        cache_write: part(written, input),
        reasoning: part(completion.reasoning, output),
        audio_input: part(prompt.audio, input),
        audio_output: part(completion.audio, output),
        image_input: part(prompt.image, input),
        provenance: Provenance::Reported,
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
        let all = |cached_input, cache_write| {
            Some(TokenUsage {
                input: 90,
                output: 50,
                cached_input,
                cache_write,
                reasoning: 30,
                audio_input: 9,
                audio_output: 7,
                image_input: 8,
                provenance: Provenance::Reported,
            })
        };
        let cases = [
            (
                r#"{"prompt_tokens":7,"completion_tokens":5,"total_tokens":12}"#,
                usage(7, 5, 0, 0),
            ),
            (r#"{"prompt_tokens":7,"total_tokens":7}"#, usage(7, 0, 0, 0)),
            (r#"{"total_tokens":7}"#, usage(7, 0, 0, 0)),
            (
                r#"{"prompt_tokens":18446744073709551615,"completion_tokens":5}"#,
                None,
            ),
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
            (
                r#"{"prompt_tokens":90,"completion_tokens":50,"prompt_tokens_details":{"cached_tokens":40,"cache_write_tokens":20,
                    "audio_tokens":9,"image_tokens":8,"text_tokens":13},
                    "completion_tokens_details":{"reasoning_tokens":30,"audio_tokens":7,"accepted_prediction_tokens":1}}"#,
                all(40, 20),
            ),
            (
                r#"{"prompt_tokens":90,"completion_tokens":50,"prompt_tokens_details":{"cached_tokens":40,"cache_creation_tokens":20,
                    "audio_tokens":9,"image_tokens":8},"cache_read_input_tokens":41,"cache_creation_input_tokens":21,
                    "completion_tokens_details":{"reasoning_tokens":30,"audio_tokens":7}}"#,
                all(40, 20),
            ),
            (
                r#"{"prompt_tokens":90,"completion_tokens":50,"prompt_tokens_details":{"audio_tokens":9,"image_tokens":8},
                    "cache_read_input_tokens":41,"cache_creation_input_tokens":21,
                    "completion_tokens_details":{"reasoning_tokens":30,"audio_tokens":7}}"#,
                all(41, 21),
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
