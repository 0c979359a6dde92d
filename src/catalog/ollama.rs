//! What Ollama's own API knows and its OpenAI path does not.
//!
//! `/v1/chat/completions` takes OpenAI's fields and drops the rest without a word: a `num_ctx` sent there leaves the model at
//! its default context, and a `keep_alive` does not keep it loaded. So a deployment that configures one of these names
//! is spoken to at `/api/chat`. Names that both paths know (`temperature`, `seed`, `stop` …) are no reason for it.
//!
//! The lists hold what Ollama documents, and older names that files written for LiteLLM still have; Ollama ignores an
//! option it does not know, so an old name does no harm.

/// Members of the request itself.
pub const MEMBERS: &[&str] = &[
    "keep_alive",
    "think",
    "format",
    "truncate",
    "shift",
    "options",
];

/// Members of `options` that say how the model is loaded; embeddings have them, too.
pub const LOADING: &[&str] = &[
    "num_ctx",
    "num_batch",
    "num_gpu",
    "main_gpu",
    "num_thread",
    "num_gqa",
    "numa",
    "use_mmap",
    "use_mlock",
    "low_vram",
    "f16_kv",
    "vocab_only",
    "logits_all",
];

/// Members of `options` that say how tokens are chosen.
pub const SAMPLING: &[&str] = &[
    "num_predict",
    "num_keep",
    "top_k",
    "min_p",
    "typical_p",
    "tfs_z",
    "mirostat",
    "mirostat_eta",
    "mirostat_tau",
    "repeat_last_n",
    "repeat_penalty",
    "penalize_newline",
];

/// Whether a field of this name needs Ollama's own API.
#[must_use]
pub fn needs_own_api(name: &str) -> bool {
    [MEMBERS, LOADING, SAMPLING]
        .iter()
        .any(|list| list.contains(&name))
}

/// All of these names, in the order of the lists.
pub fn names() -> impl Iterator<Item = &'static str> {
    [MEMBERS, LOADING, SAMPLING].into_iter().flatten().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_none_of_them_is_openais() {
        let all: Vec<&str> = names().collect();
        for (i, name) in all.iter().enumerate() {
            assert!(!all[..i].contains(name), "{name} twice");
            assert!(needs_own_api(name));
        }
        for shared in [
            "temperature",
            "top_p",
            "seed",
            "stop",
            "max_tokens",
            "reasoning_effort",
        ] {
            assert!(!needs_own_api(shared), "{shared}");
        }
    }
}
