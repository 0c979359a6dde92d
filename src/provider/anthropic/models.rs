//! What the Claude models differ in: a table by name, and what follows from it. Every service that hosts them shares it.

use serde_json::{Value, json};

use crate::provider::chat::Effort;

/// What a model takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::provider) struct Model {
    /// `temperature`, `top_p` and `top_k`; where not, they are refused.
    pub(in crate::provider) sampling: bool,
    pub(in crate::provider) thinking: Thinks,
    /// `output_config.effort: xhigh`; without it `high` is the next.
    pub(in crate::provider) xhigh: bool,
    /// `output_config.format`; without it a tool that is forced takes its place.
    pub(in crate::provider) native_schema: bool,
    /// The conversation may end with the beginning of the answer.
    pub(in crate::provider) prefill: bool,
    /// The longest answer in tokens.
    pub(in crate::provider) max_output: u64,
}

/// How a model thinks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::provider) enum Thinks {
    Never,
    /// When asked, up to a number of tokens.
    Budget,
    /// As much as it finds right.
    Adaptive(Off),
}

/// What is sent so that a model that thinks on its own does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::provider) enum Off {
    /// `thinking: disabled`
    Disabled,
    /// It always thinks; `thinking: between_tools` is the least.
    BetweenTools,
    /// It always thinks; the lowest effort is the least.
    LowEffort,
}

const FIRST: Model = Model {
    sampling: true,
    thinking: Thinks::Never,
    xhigh: false,
    native_schema: false,
    prefill: true,
    max_output: 4_096,
};
const BUDGET: Model = Model {
    thinking: Thinks::Budget,
    max_output: 64_000,
    ..FIRST
};
const STRUCTURED: Model = Model {
    native_schema: true,
    ..BUDGET
};
const ADAPTIVE: Model = Model {
    thinking: Thinks::Adaptive(Off::Disabled),
    prefill: false,
    max_output: 128_000,
    ..STRUCTURED
};
const UNSAMPLED: Model = Model {
    sampling: false,
    xhigh: true,
    ..ADAPTIVE
};
const ALWAYS: Model = Model {
    thinking: Thinks::Adaptive(Off::LowEffort),
    ..UNSAMPLED
};

/// Parts of names, and the models; the first part that a name has counts (the vendor's table of models, November 2026).
const MODELS: &[(&str, Model)] = &[
    ("haiku-5-5", UNSAMPLED),
    (
        "sonnet-5-5",
        Model {
            thinking: Thinks::Adaptive(Off::BetweenTools),
            ..UNSAMPLED
        },
    ),
    ("opus-5-5", ALWAYS),
    ("sonnet-5", UNSAMPLED),
    ("opus-5", UNSAMPLED),
    ("opus-4-8", UNSAMPLED),
    ("opus-4-7", UNSAMPLED),
    ("opus-4-6", ADAPTIVE),
    ("sonnet-4-6", ADAPTIVE),
    ("opus-4-5", STRUCTURED),
    ("sonnet-4-5", STRUCTURED),
    ("haiku-4-5", STRUCTURED),
    ("sonnet-4", BUDGET),
    (
        "opus-4",
        Model {
            max_output: 32_000,
            ..BUDGET
        },
    ),
    ("claude-3-7", BUDGET),
    (
        "claude-3-5",
        Model {
            max_output: 8_192,
            ..FIRST
        },
    ),
    ("claude-3-", FIRST),
    ("claude-2", FIRST),
    ("claude-v2", FIRST),
    ("claude-instant", FIRST),
    // What a newer one might refuse is not sent.
    ("claude", ALWAYS),
];

/// Services with the same API and models of their own: as the API was when others copied it.
const OTHER: Model = Model {
    max_output: 4_096,
    ..BUDGET
};

/// The model of the first of these names that says it: `claude-opus-4-6`, `us.anthropic.claude-opus-4-6-v1:0`,
/// `claude-opus-4-5@20251101`.
pub(in crate::provider) fn model(names: &[&str]) -> Model {
    let of = |name: &&str| {
        let name = name.to_ascii_lowercase().replace('.', "-");
        let found = MODELS.iter().find(|(part, _)| name.contains(part));
        found.map(|(_, model)| *model)
    };
    names.iter().find_map(of).unwrap_or(OTHER)
}

/// What is sent for an effort: Anthropic's `thinking` and `output_config.effort`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::provider) struct Thought {
    pub(in crate::provider) thinking: Option<Value>,
    pub(in crate::provider) effort: Option<&'static str>,
}

impl Thought {
    /// Whether the model then thinks.
    pub(in crate::provider) fn is_on(&self) -> bool {
        self.thinking.as_ref().is_some_and(is_on)
    }
}

/// Whether a value of `thinking` switches it on.
pub(in crate::provider) fn is_on(thinking: &Value) -> bool {
    matches!(thinking["type"].as_str(), Some("enabled" | "adaptive"))
}

/// The smallest budget there is.
const LEAST_BUDGET: u64 = 1_024;

/// What LiteLLM gives for each word.
const fn budget(effort: Effort) -> u64 {
    match effort {
        Effort::None | Effort::Minimal | Effort::Low => LEAST_BUDGET,
        Effort::Medium => 2_048,
        Effort::High => 4_096,
        Effort::Xhigh => 8_192,
        Effort::Max => 16_384,
    }
}

impl Model {
    /// Whether it thinks whatever is sent.
    pub(in crate::provider) const fn always_thinks(&self) -> bool {
        matches!(
            self.thinking,
            Thinks::Adaptive(Off::BetweenTools | Off::LowEffort)
        )
    }

    /// Whether `tool_choice` may be `any` or `tool`, if the request asks for thinking or not.
    pub(in crate::provider) const fn may_force(&self, thinking: bool) -> bool {
        !thinking && !self.always_thinks()
    }

    /// `reasoning_effort` in its words; `max_tokens` is the limit of the answer, which thinking counts towards. `None`: it
    /// can't be had, since the model does not think or the limit leaves no room.
    pub(in crate::provider) fn thought(&self, effort: Effort, max_tokens: u64) -> Option<Thought> {
        match (self.thinking, effort) {
            (Thinks::Never, Effort::None) => Some(Thought::default()),
            (Thinks::Never, _) => None,
            (Thinks::Budget, Effort::None) => Some(Self::off(Off::Disabled)),
            (Thinks::Adaptive(off), Effort::None) => Some(Self::off(off)),
            (Thinks::Budget, effort) => {
                // A quarter of the limit is for what is said, where that leaves enough.
                let most = (max_tokens - max_tokens / 4).max(LEAST_BUDGET);
                let budget = budget(effort).min(most);
                (budget < max_tokens).then(|| Thought {
                    thinking: Some(json!({"type": "enabled", "budget_tokens": budget})),
                    effort: None,
                })
            }
            (Thinks::Adaptive(_), effort) => Some(Thought {
                // Without `display` the text comes back empty.
                thinking: Some(json!({"type": "adaptive", "display": "summarized"})),
                effort: Some(match effort {
                    Effort::Minimal => Effort::Low.name(),
                    Effort::Xhigh if !self.xhigh => Effort::High.name(),
                    effort => effort.name(),
                }),
            }),
        }
    }

    /// As little thinking as there is.
    fn off(off: Off) -> Thought {
        let thinking = |kind: &str| Some(json!({"type": kind}));
        let (thinking, effort) = match off {
            Off::Disabled => (thinking("disabled"), None),
            Off::BetweenTools => (thinking("between_tools"), None),
            Off::LowEffort => (None, Some(Effort::Low.name())),
        };
        Thought { thinking, effort }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_all_services_find_their_model() {
        let cases = [
            ("claude-opus-5-5", ALWAYS),
            ("claude-opus-5", UNSAMPLED),
            ("claude-opus-4-8", UNSAMPLED),
            ("us.anthropic.claude-opus-4-6-20260205-v1:0", ADAPTIVE),
            ("claude-opus-4-5@20251101", STRUCTURED),
            ("anthropic.claude-sonnet-4-20250514-v1:0", BUDGET),
            ("claude-3-haiku-20240307", FIRST),
            ("anthropic.claude-v2:1", FIRST),
            ("claude-fable-5", ALWAYS),
            ("anthropic/claude-Opus-4.6", ADAPTIVE),
            ("kimi-k2", OTHER),
        ];
        for (name, expected) in cases {
            assert_eq!(model(&[name]), expected, "{name}");
        }
        assert_eq!(model(&["our-deployment", "claude-opus-4-6"]), ADAPTIVE);
        assert_eq!(model(&["claude-opus-4-20250514"]).max_output, 32_000);
    }

    #[test]
    fn efforts_become_what_the_model_knows() {
        let adaptive = json!({"type": "adaptive", "display": "summarized"});
        let thought = |thinking: &Value, effort: Option<&'static str>| {
            let thinking = Some(thinking.clone()).filter(|thinking| !thinking.is_null());
            Some(Thought { thinking, effort })
        };
        let enabled = |tokens: u64| json!({"type": "enabled", "budget_tokens": tokens});
        let disabled = json!({"type": "disabled"});
        let cases = [
            (
                "claude-opus-5-5",
                Effort::None,
                9_000,
                thought(&Value::Null, Some("low")),
            ),
            (
                "claude-sonnet-5-5",
                Effort::None,
                9_000,
                thought(&json!({"type": "between_tools"}), None),
            ),
            (
                "claude-haiku-5-5",
                Effort::None,
                9_000,
                thought(&disabled, None),
            ),
            (
                "claude-opus-5-5",
                Effort::Minimal,
                9_000,
                thought(&adaptive, Some("low")),
            ),
            (
                "claude-opus-5-5",
                Effort::Xhigh,
                9_000,
                thought(&adaptive, Some("xhigh")),
            ),
            (
                "claude-opus-4-6",
                Effort::Xhigh,
                9_000,
                thought(&adaptive, Some("high")),
            ),
            (
                "claude-opus-4-6",
                Effort::Max,
                9_000,
                thought(&adaptive, Some("max")),
            ),
            (
                "claude-sonnet-4-5",
                Effort::None,
                9_000,
                thought(&disabled, None),
            ),
            (
                "claude-sonnet-4-5",
                Effort::High,
                9_000,
                thought(&enabled(4_096), None),
            ),
            (
                "claude-sonnet-4-5",
                Effort::Max,
                9_000,
                thought(&enabled(6_750), None),
            ),
            (
                "claude-sonnet-4-5",
                Effort::Low,
                1_025,
                thought(&enabled(1_024), None),
            ),
            ("claude-sonnet-4-5", Effort::Low, 1_024, None),
            (
                "claude-3-haiku",
                Effort::None,
                9_000,
                Some(Thought::default()),
            ),
            ("claude-3-haiku", Effort::High, 9_000, None),
        ];
        for (name, effort, limit, expected) in cases {
            let got = model(&[name]).thought(effort, limit);
            assert_eq!(got, expected, "{name} {effort:?} {limit}");
        }
    }

    #[test]
    fn forcing_and_thinking_exclude_each_other() {
        let may = |name: &str, thinking| model(&[name]).may_force(thinking);
        assert!(!may("claude-opus-5-5", false) && !may("claude-sonnet-5-5", false));
        assert!(may("claude-haiku-5-5", false) && may("claude-opus-4-6", false));
        assert!(!may("claude-opus-4-6", true));
    }
}
