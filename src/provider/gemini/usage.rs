//! What Gemini counts.

use serde::Deserialize;

use crate::provider::chat::Usage;

/// Tokens, in all and by modality; what was read from the cache is in all of them.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UsageMetadata {
    prompt_token_count: Option<u64>,
    tool_use_prompt_token_count: Option<u64>,
    candidates_token_count: Option<u64>,
    thoughts_token_count: Option<u64>,
    cached_content_token_count: Option<u64>,
    /// Each of these by modality.
    prompt_tokens_details: Option<Vec<Modality>>,
    tool_use_prompt_tokens_details: Option<Vec<Modality>>,
    candidates_tokens_details: Option<Vec<Modality>>,
    cache_tokens_details: Option<Vec<Modality>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Modality {
    modality: Option<String>,
    token_count: Option<u64>,
}

impl UsageMetadata {
    /// OpenAI's count of it.
    pub(super) fn read(&self) -> Usage {
        let thoughts = self.thoughts_token_count;
        let sum = |a: Option<u64>, b: Option<u64>| a.unwrap_or(0).saturating_add(b.unwrap_or(0));
        Usage {
            prompt: sum(self.prompt_token_count, self.tool_use_prompt_token_count),
            completion: sum(self.candidates_token_count, thoughts),
            cached: self.cached_content_token_count,
            cache_write: None,
            reasoning: thoughts,
            audio_input: self.fresh("AUDIO"),
            image_input: self.fresh("IMAGE"),
            audio_output: of(self.candidates_tokens_details.as_ref(), "AUDIO"),
        }
    }

    /// Input tokens of a modality that were not in the cache; `None` without any of that modality.
    fn fresh(&self, modality: &str) -> Option<u64> {
        let prompt = of(self.prompt_tokens_details.as_ref(), modality);
        let tools = of(self.tool_use_prompt_tokens_details.as_ref(), modality);
        let cached = of(self.cache_tokens_details.as_ref(), modality).unwrap_or(0);
        let all = prompt.into_iter().chain(tools).reduce(u64::saturating_add);
        all.map(|all| all.saturating_sub(cached))
    }
}

/// The tokens of a modality, if there are any.
fn of(details: Option<&Vec<Modality>>, modality: &str) -> Option<u64> {
    let named = |one: &&Modality| one.modality.as_deref() == Some(modality);
    details?
        .iter()
        .filter(named)
        .filter_map(|one| one.token_count)
        .reduce(u64::saturating_add)
}
