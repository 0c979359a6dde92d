//! What the models behind Converse differ in: a table by parts of their names.

use crate::provider::anthropic::models as claude;

/// What a model takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Model {
    /// What Claude models differ in.
    pub(super) claude: Option<claude::Model>,
    /// `outputConfig.textFormat`; without it a tool takes its place.
    pub(super) native_schema: bool,
    /// `toolChoice` may be `any` or `tool`.
    pub(super) forces: bool,
    /// `cachePoint`
    pub(super) caches: bool,
    /// `reasoning_effort` in `additionalModelRequestFields`, in three words.
    pub(super) effort: bool,
    /// `top_k` stands in an `inferenceConfig` of its own there.
    pub(super) nested_top_k: bool,
}

/// Nothing is known of it: what the request says is sent.
const UNKNOWN: Model = Model {
    claude: None,
    native_schema: false,
    forces: true,
    caches: true,
    effort: false,
    nested_top_k: false,
};
const UNCACHED: Model = Model {
    caches: false,
    ..UNKNOWN
};
const UNFORCED: Model = Model {
    forces: false,
    ..UNCACHED
};
const NATIVE: Model = Model {
    native_schema: true,
    ..UNCACHED
};

/// Parts of names, the first that a name has counts. After AWS's list of models with structured outputs and LiteLLM's flags
/// (1.109.1); a model that is wrongly missing from the former gets a tool in its place, which it understands as well.
const MODELS: &[(&str, Model)] = &[
    (
        "nova",
        Model {
            nested_top_k: true,
            ..UNKNOWN
        },
    ),
    ("llama", UNFORCED),
    ("palmyra", UNFORCED),
    ("jamba", UNFORCED),
    ("titan-text", UNFORCED),
    ("cohere.command", UNFORCED),
    ("gemma-3", UNFORCED),
    ("pixtral", UNFORCED),
    ("magistral", UNFORCED),
    ("mistral-large-2402", UNFORCED),
    ("mistral-small-2402", UNFORCED),
    ("ministral-3", NATIVE),
    ("mistral-large-3", NATIVE),
    ("voxtral", NATIVE),
    ("mistral", UNCACHED),
    ("deepseek.v3-v1", NATIVE),
    ("deepseek.v3.2", NATIVE),
    ("deepseek", UNCACHED),
    ("qwen3", NATIVE),
    ("qwen", UNCACHED),
    ("minimax-m2.", UNCACHED),
    ("minimax-m2", NATIVE),
    ("kimi-k2-thinking", NATIVE),
    ("kimi-k2", UNCACHED),
    ("nemotron-nano-3", NATIVE),
    ("nemotron", UNCACHED),
    (
        "gpt-oss",
        Model {
            effort: true,
            ..UNCACHED
        },
    ),
    (
        "glm-5",
        Model {
            native_schema: true,
            ..UNKNOWN
        },
    ),
];

/// Claude models whose answers Converse forms by a schema; others are called with a tool.
const CLAUDE_NATIVE: [&str; 10] = [
    "haiku-4-5",
    "sonnet-4-5",
    "opus-4-5",
    "sonnet-4-6",
    "opus-4-6",
    "opus-4-8",
    "sonnet-5",
    "haiku-5-5",
    "mythos-5",
    // It can't be forced to call a tool.
    "opus-5-5",
];

/// The model of the first of these names that says it.
pub(super) fn model(names: &[&str]) -> Model {
    names
        .iter()
        .find_map(|name| {
            let name = name.to_ascii_lowercase();
            if name.contains("claude") {
                return Some(Model {
                    claude: Some(claude::model(&[&name])),
                    native_schema: CLAUDE_NATIVE.iter().any(|part| name.contains(part)),
                    ..UNKNOWN
                });
            }
            let row = MODELS.iter().find(|(part, _)| name.contains(part));
            row.map(|(_, model)| *model)
        })
        .unwrap_or(UNKNOWN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_find_their_model() {
        let cases = [
            (
                "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
                (true, true, true),
            ),
            (
                "anthropic.claude-3-haiku-20240307-v1:0",
                (false, true, true),
            ),
            ("eu.amazon.nova-pro-v1:0", (false, true, true)),
            ("us.meta.llama3-3-70b-instruct-v1:0", (false, false, false)),
            ("mistral.mistral-large-2407-v1:0", (false, true, false)),
            ("mistral.mistral-large-3-675b-instruct", (true, true, false)),
            ("minimax.minimax-m2.1", (false, true, false)),
            ("minimax.minimax-m2", (true, true, false)),
            ("openai.gpt-oss-120b-1:0", (false, true, false)),
            (
                "arn:aws:bedrock:us-east-1:1:application-inference-profile/x",
                (false, true, true),
            ),
        ];
        for (name, expected) in cases {
            let model = model(&[name]);
            assert_eq!(
                (model.native_schema, model.forces, model.caches),
                expected,
                "{name}"
            );
        }
        let behind = model(&["arn:aws:bedrock:x", "anthropic.claude-opus-4-6-v1"]);
        assert!(behind.claude.is_some_and(|claude| !claude.prefill));
        assert!(model(&["openai.gpt-oss-20b-1:0"]).effort);
    }
}
