//! Converse's answers: whole ones, and events of its stream.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::BytesMut;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::names;
use crate::provider::chat::{Decoder, Finish, Sink, Thinking, Usage, malformed};
use crate::provider::{AdaptError, Call};

/// The tool whose input is the answer, for models that can't be given a schema otherwise.
pub(super) const ANSWER: &str = "waypost_answer";

/// Reads answers to one call.
#[derive(Debug)]
pub(super) struct Converse {
    call: Call,
    /// Blocks of the stream that are not over, by their numbers.
    open: Vec<(u64, Open)>,
    answered: bool,
}

/// A block under way.
#[derive(Debug)]
enum Open {
    /// The call of a tool, as number so and so.
    Tool(usize),
    /// The input of [`ANSWER`].
    Answer { empty: bool },
    /// A call of a tool that Bedrock makes itself, and what came of it.
    Server,
    Thought {
        text: String,
        signature: Option<String>,
        redacted: Vec<u8>,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Whole<'a> {
    #[serde(borrow)]
    output: Output<'a>,
    stop_reason: String,
    usage: Option<Tokens>,
}

#[derive(Deserialize)]
struct Output<'a> {
    #[serde(borrow)]
    message: Message<'a>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    content: Vec<Block<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Block<'a> {
    text: Option<String>,
    #[serde(borrow)]
    tool_use: Option<ToolUse<'a>>,
    reasoning_content: Option<Reasoning>,
    citations_content: Option<Citations>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToolUse<'a> {
    tool_use_id: String,
    name: String,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reasoning {
    reasoning_text: Option<ReasoningText>,
    /// base64
    redacted_content: Option<String>,
}

#[derive(Deserialize)]
struct ReasoningText {
    text: String,
    signature: Option<String>,
}

/// A text with what it rests on.
#[derive(Deserialize)]
struct Citations {
    content: Option<Vec<Cited>>,
}

#[derive(Deserialize)]
struct Cited {
    text: Option<String>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "camelCase")]
struct Tokens {
    input_tokens: u64,
    output_tokens: u64,
    cache_read_input_tokens: Option<u64>,
    cache_write_input_tokens: Option<u64>,
}

/// Any event: which one shows by its members.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    role: Option<String>,
    #[serde(default)]
    content_block_index: u64,
    start: Option<Start>,
    delta: Option<Delta>,
    stop_reason: Option<String>,
    usage: Option<Tokens>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Start {
    tool_use: Option<ToolStart>,
    tool_result: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToolStart {
    tool_use_id: String,
    name: String,
    #[serde(rename = "type")]
    kind: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Delta {
    text: Option<String>,
    tool_use: Option<ToolDelta>,
    reasoning_content: Option<ReasoningDelta>,
}

#[derive(Deserialize)]
struct ToolDelta {
    input: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReasoningDelta {
    text: Option<String>,
    signature: Option<String>,
    redacted_content: Option<String>,
}

impl Tokens {
    /// Bedrock counts what the cache had apart.
    fn usage(self) -> Usage {
        let cached = self.cache_read_input_tokens;
        let written = self.cache_write_input_tokens;
        Usage {
            prompt: self
                .input_tokens
                .saturating_add(cached.unwrap_or(0))
                .saturating_add(written.unwrap_or(0)),
            completion: self.output_tokens,
            cached,
            cache_write: written,
            ..Usage::default()
        }
    }
}

impl Converse {
    pub(super) fn new(call: &Call) -> Self {
        Self {
            call: call.clone(),
            open: Vec::new(),
            answered: false,
        }
    }

    /// Whether a call is none for the client, but its answer.
    fn is_answer(&self, name: &str) -> bool {
        name == ANSWER && names::original(&self.call, name).is_none()
    }

    fn finish(&self, reason: &str, to: &mut Sink, out: &mut BytesMut) {
        let reason = match reason {
            "max_tokens" | "model_context_window_exceeded" => Finish::Length,
            "tool_use" if self.answered && to.calls(0) == 0 => Finish::Stop,
            "tool_use" => Finish::ToolCalls,
            "guardrail_intervened" | "content_filtered" => Finish::ContentFilter,
            // `end_turn`, `stop_sequence`, and what went wrong in the model's words or its calls.
            _ => Finish::Stop,
        };
        to.finish(0, reason, out);
    }

    fn call(&mut self, id: &str, name: &str, to: &mut Sink, out: &mut BytesMut) {
        let own = names::original(&self.call, name);
        to.call(0, Some(id), own.as_deref().unwrap_or(name), None, out);
    }

    fn start(&mut self, index: u64, start: Start, to: &mut Sink, out: &mut BytesMut) {
        let open = match start.tool_use {
            Some(tool) if tool.kind.is_some() => Open::Server,
            Some(tool) if self.is_answer(&tool.name) => {
                self.answered = true;
                Open::Answer { empty: true }
            }
            Some(tool) => {
                self.call(&tool.tool_use_id, &tool.name, to, out);
                Open::Tool(to.calls(0) - 1)
            }
            None if start.tool_result.is_some() => Open::Server,
            None => return,
        };
        self.open.push((index, open));
    }

    fn delta(
        &mut self,
        index: u64,
        delta: Delta,
        to: &mut Sink,
        out: &mut BytesMut,
    ) -> Result<(), AdaptError> {
        if let Some(text) = &delta.text {
            to.text(0, text, out);
        }
        if let Some(reasoning) = delta.reasoning_content {
            self.reasoning(index, reasoning, to, out)?;
        }
        if let Some(ToolDelta { input }) = delta.tool_use {
            match self.open.iter_mut().find(|(open, _)| *open == index) {
                Some((_, Open::Tool(number))) => to.arguments_of(0, *number, &input, out),
                Some((_, Open::Answer { empty })) => {
                    *empty &= input.is_empty();
                    to.text(0, &input, out);
                }
                Some((_, Open::Server | Open::Thought { .. })) => {}
                None => return Err(malformed("a tool's input came before its name")),
            }
        }
        Ok(())
    }

    fn reasoning(
        &mut self,
        index: u64,
        delta: ReasoningDelta,
        to: &mut Sink,
        out: &mut BytesMut,
    ) -> Result<(), AdaptError> {
        if !self.open.iter().any(|(open, _)| *open == index) {
            let thought = Open::Thought {
                text: String::new(),
                signature: None,
                redacted: Vec::new(),
            };
            self.open.push((index, thought));
        }
        let open = self.open.iter_mut().find(|(open, _)| *open == index);
        let Some((
            _,
            Open::Thought {
                text,
                signature,
                redacted,
            },
        )) = open
        else {
            return Err(malformed("a thought inside a call"));
        };
        if let Some(piece) = delta.text {
            to.reasoning(0, &piece, out);
            text.push_str(&piece);
        }
        if let Some(piece) = delta.signature {
            signature.get_or_insert_default().push_str(&piece);
        }
        if let Some(piece) = delta.redacted_content {
            // Each piece is encoded on its own.
            redacted.extend(STANDARD.decode(piece).map_err(malformed)?);
        }
        Ok(())
    }

    fn stop(&mut self, index: u64, to: &mut Sink, out: &mut BytesMut) {
        let Some(at) = self.open.iter().position(|(open, _)| *open == index) else {
            return;
        };
        match self.open.swap_remove(at).1 {
            Open::Tool(number) => to.end_arguments(0, number, out),
            Open::Answer { empty: true } => to.text(0, "{}", out),
            Open::Answer { empty: false } | Open::Server => {}
            Open::Thought {
                text,
                signature,
                redacted,
            } => {
                if !redacted.is_empty() {
                    to.thought(0, redacted_thought(STANDARD.encode(redacted)), out);
                }
                if !text.is_empty() || signature.is_some() {
                    to.thought(0, thought(text, signature), out);
                }
            }
        }
    }
}

const fn thought(thinking: String, signature: Option<String>) -> Thinking {
    Thinking::Thinking {
        thinking,
        signature,
        from: None,
    }
}

const fn redacted_thought(data: String) -> Thinking {
    Thinking::RedactedThinking { data, from: None }
}

impl Decoder for Converse {
    fn event(&mut self, data: &[u8], to: &mut Sink, out: &mut BytesMut) -> Result<(), AdaptError> {
        let event: Event = serde_json::from_slice(data).map_err(malformed)?;
        let index = event.content_block_index;
        if event.role.is_some() {
            to.begin(0, out);
        } else if let Some(start) = event.start {
            self.start(index, start, to, out);
        } else if let Some(delta) = event.delta {
            self.delta(index, delta, to, out)?;
        } else if let Some(reason) = event.stop_reason {
            while let Some((index, _)) = self.open.first() {
                self.stop(*index, to, out);
            }
            self.finish(&reason, to, out);
        } else if let Some(usage) = event.usage {
            to.usage(usage.usage());
            to.end(out);
        } else {
            self.stop(index, to, out);
        }
        Ok(())
    }

    fn whole(&mut self, body: &[u8], to: &mut Sink) -> Result<(), AdaptError> {
        let answer: Whole<'_> = serde_json::from_slice(body).map_err(malformed)?;
        let out = &mut BytesMut::new();
        to.begin(0, out);
        for block in answer.output.message.content {
            if let Some(text) = block.text {
                to.text(0, &text, out);
            }
            for cited in block
                .citations_content
                .into_iter()
                .filter_map(|c| c.content)
            {
                for text in cited.into_iter().filter_map(|one| one.text) {
                    to.text(0, &text, out);
                }
            }
            if let Some(reasoning) = block.reasoning_content {
                if let Some(ReasoningText { text, signature }) = reasoning.reasoning_text {
                    to.reasoning(0, &text, out);
                    to.thought(0, thought(text, signature), out);
                }
                if let Some(data) = reasoning.redacted_content {
                    to.thought(0, redacted_thought(data), out);
                }
            }
            if let Some(tool) = block.tool_use.filter(|tool| tool.kind.is_none()) {
                let input = tool.input.map_or("{}", RawValue::get);
                if self.is_answer(&tool.name) {
                    self.answered = true;
                    to.text(0, input, out);
                } else {
                    self.call(&tool.tool_use_id, &tool.name, to, out);
                    to.arguments(0, input, out);
                }
            }
        }
        self.finish(&answer.stop_reason, to, out);
        if let Some(usage) = answer.usage {
            to.usage(usage.usage());
        }
        Ok(())
    }
}
