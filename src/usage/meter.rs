//! Tokens in a body or an event.

use serde::Deserialize;

use crate::types::TokenUsage;

/// Bytes of English text per token, as OpenAI's own rule of thumb has it; only for estimates.
const BYTES_PER_TOKEN: u64 = 4;

#[derive(Deserialize, Default)]
struct Wire {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    total_tokens: Option<u64>,
    prompt_tokens_details: Option<PromptDetails>,
    completion_tokens_details: Option<CompletionDetails>,
    /// DeepSeek's name for cached tokens.
    prompt_cache_hit_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct PromptDetails {
    cached_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct CompletionDetails {
    reasoning_tokens: Option<u64>,
}

/// The usage in a `usage` object's JSON text; `None` if it is null or no such object.
#[must_use]
pub fn reported(usage: &str) -> Option<TokenUsage> {
    let wire = serde_json::from_str::<Option<Wire>>(usage).ok()??;
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
    let cached = wire
        .prompt_tokens_details
        .and_then(|d| d.cached_tokens)
        .or(wire.prompt_cache_hit_tokens);
    Some(TokenUsage {
        input,
        output,
        cached_input: cached.unwrap_or(0).min(input),
        reasoning: wire
            .completion_tokens_details
            .and_then(|d| d.reasoning_tokens)
            .unwrap_or(0)
            .min(output),
        reported: true,
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
                reported: true,
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
        ];
        for (text, expected) in cases {
            assert_eq!(reported(text), expected, "{text}");
        }
    }
}
