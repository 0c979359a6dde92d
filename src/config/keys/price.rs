//! Prices besides those of input, output and cached input, under LiteLLM's names.

use super::{Key, Kind, on};

const fn rate(name: &'static str, doc: &'static str) -> Key {
    on(name, Kind::Amount, doc)
}

const BELOW: &str = "what it costs below";

/// The same in `prices`, in an entry of `models` and in its `model_info`.
pub(super) const FURTHER: &[Key] = &[
    rate("cache_creation_input_token_cost", "Dollars per input token written into the provider's cache.")
        .or("`input_cost_per_token`"),
    rate("output_cost_per_reasoning_token", "Dollars per output token of reasoning.").or("`output_cost_per_token`"),
    rate("input_cost_per_audio_token", "Dollars per input token of audio.").or("`input_cost_per_token`"),
    rate("output_cost_per_audio_token", "Dollars per output token of audio.").or("`output_cost_per_token`"),
    rate("input_cost_per_image_token", "Dollars per input token of images.").or("`input_cost_per_token`"),
    rate("input_cost_per_request", "Dollars per request that used tokens, besides these.").or("0"),
    rate(
        "input_cost_per_token_above_128k_tokens",
        "Dollars per input token, of the whole request, if its input has more than 128,000 tokens. Prices above one \
         threshold only may be given.",
    )
    .or(BELOW),
    rate("output_cost_per_token_above_128k_tokens", "Likewise per output token.").or(BELOW),
    rate("cache_read_input_token_cost_above_128k_tokens", "Likewise per cached input token.").or(BELOW),
    rate("cache_creation_input_token_cost_above_128k_tokens", "Likewise per input token written into the cache.").or(BELOW),
    rate("input_cost_per_token_above_200k_tokens", "The same above 200,000 tokens.").or(BELOW),
    rate("output_cost_per_token_above_200k_tokens", "Likewise per output token.").or(BELOW),
    rate("cache_read_input_token_cost_above_200k_tokens", "Likewise per cached input token.").or(BELOW),
    rate("cache_creation_input_token_cost_above_200k_tokens", "Likewise per input token written into the cache.").or(BELOW),
    rate("input_cost_per_token_above_272k_tokens", "The same above 272,000 tokens.").or(BELOW),
    rate("output_cost_per_token_above_272k_tokens", "Likewise per output token.").or(BELOW),
    rate("cache_read_input_token_cost_above_272k_tokens", "Likewise per cached input token.").or(BELOW),
    rate("cache_creation_input_token_cost_above_272k_tokens", "Likewise per input token written into the cache.").or(BELOW),
];
