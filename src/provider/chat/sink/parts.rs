//! What an answer consists of, and how it stands in a whole one.

use serde_json::{Map, Value, json};

use super::super::thinking::Thinking;

/// Why a choice ended, in OpenAI's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::provider) enum Finish {
    /// By itself, or at a stop sequence. With calls of tools it counts as [`Finish::ToolCalls`].
    Stop,
    Length,
    ToolCalls,
    ContentFilter,
}

impl Finish {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ToolCalls => "tool_calls",
            Self::ContentFilter => "content_filter",
        }
    }
}

/// Tokens, as OpenAI counts them. What a provider does not tell is left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::provider) struct Usage {
    /// All of the prompt, cached parts included.
    pub(in crate::provider) prompt: u64,
    /// All of the answer, reasoning included.
    pub(in crate::provider) completion: u64,
    /// Read from the provider's cache.
    pub(in crate::provider) cached: Option<u64>,
    /// Written to the provider's cache.
    pub(in crate::provider) cache_write: Option<u64>,
    pub(in crate::provider) reasoning: Option<u64>,
    /// Of the prompt; what of it was read from the cache is not in it, so that no token is charged twice.
    pub(in crate::provider) audio_input: Option<u64>,
    /// Of the prompt, likewise.
    pub(in crate::provider) image_input: Option<u64>,
    /// Of the answer.
    pub(in crate::provider) audio_output: Option<u64>,
}

/// One of the answers.
#[derive(Debug, Default)]
pub(super) struct Choice {
    /// Its role has been said (streams).
    pub(super) begun: bool,
    pub(super) text: String,
    pub(super) reasoning: String,
    pub(super) thinking: Vec<Thinking>,
    pub(super) calls: Vec<Called>,
    /// Members of the message that OpenAI has and few providers do, such as `annotations`.
    pub(super) more: Vec<(&'static str, Value)>,
    pub(super) logprobs: Option<Value>,
    pub(super) finish: Option<Finish>,
}

#[derive(Debug)]
pub(super) struct Called {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) arguments: String,
    /// `extra_content`
    pub(super) extra: Option<Value>,
}
impl Choice {
    pub(super) fn json(self, index: usize) -> Value {
        let nothing = if self.calls.is_empty() {
            "".into()
        } else {
            Value::Null
        };
        let content = if self.text.is_empty() {
            nothing
        } else {
            self.text.into()
        };
        let mut message = json!({"role": "assistant", "content": content});
        if !self.reasoning.is_empty() {
            message["reasoning_content"] = self.reasoning.into();
        }
        if !self.thinking.is_empty() {
            message["thinking_blocks"] = json!(self.thinking);
        }
        if !self.calls.is_empty() {
            message["tool_calls"] = self.calls.into_iter().map(Called::json).collect();
        }
        for (name, value) in self.more {
            message[name] = value;
        }
        let finish = self.finish.unwrap_or(Finish::Stop).name();
        json!({"index": index, "message": message, "logprobs": self.logprobs, "finish_reason": finish})
    }
}

impl Called {
    fn json(self) -> Value {
        let arguments = if self.arguments.is_empty() {
            "{}".to_owned()
        } else {
            self.arguments
        };
        let mut call = json!({"id": self.id, "type": "function", "function": {"name": self.name, "arguments": arguments}});
        if let Some(extra) = self.extra {
            call["extra_content"] = extra;
        }
        call
    }
}

impl Usage {
    /// With the details that are known, under the names OpenAI has for them.
    pub(super) fn json(self) -> Value {
        let total = self.prompt.saturating_add(self.completion);
        let mut usage = json!({"prompt_tokens": self.prompt, "completion_tokens": self.completion, "total_tokens": total});
        // Who writes to a cache reads from one, too.
        let cached = self.cached.or(self.cache_write.map(|_| 0));
        let prompt = [
            ("cached_tokens", cached),
            ("cache_write_tokens", self.cache_write),
            ("audio_tokens", self.audio_input),
            ("image_tokens", self.image_input),
        ];
        let completion = [
            ("reasoning_tokens", self.reasoning),
            ("audio_tokens", self.audio_output),
        ];
        for (name, details) in [
            ("prompt_tokens_details", &prompt[..]),
            ("completion_tokens_details", &completion[..]),
        ] {
            let known = details
                .iter()
                .filter_map(|(name, tokens)| Some(((*name).to_owned(), (*tokens)?.into())));
            let known: Map<String, Value> = known.collect();
            if !known.is_empty() {
                usage[name] = known.into();
            }
        }
        usage
    }
}
