//! Answers and events of streams, told to a [`Sink`].
//!
//! A whole answer has the blocks that a stream gives in pieces, so both take the same way: a block begins, goes on, and
//! ends.

use std::borrow::Cow;

use bytes::BytesMut;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::refused;
use super::schema::ANSWER;
use crate::provider::AdaptError;
use crate::provider::chat::{Decoder, Finish, Sink, Thinking, Usage, malformed};

/// The one choice there is.
const ONLY: usize = 0;

/// Reads one answer.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// The answer is the arguments of a tool of ours; text beside it is held back.
    by_tool: bool,
    held: String,
    block: Block,
    /// Characters of the text so far.
    said: usize,
    annotations: Vec<Value>,
    usage: WireUsage,
}

/// The block that is under way.
#[derive(Debug, Default)]
enum Block {
    /// None, or one of a server's tools or of a kind that is not known.
    #[default]
    Other,
    Text {
        /// Characters of the text before it.
        from: usize,
        sources: Vec<Citation>,
    },
    Thinking {
        text: String,
        signature: String,
    },
    Tool,
    /// Our own tool, whose arguments are the text.
    Answer,
}

#[derive(Deserialize)]
struct Message<'a> {
    model: Option<String>,
    #[serde(borrow)]
    content: Vec<WireBlock<'a>>,
    stop_reason: Option<String>,
    usage: Option<WireUsage>,
}

/// A block, whole or as it begins. Which of these it has depends on its type.
#[derive(Deserialize)]
struct WireBlock<'a> {
    r#type: String,
    #[serde(default)]
    text: String,
    citations: Option<Vec<Citation>>,
    #[serde(default)]
    thinking: String,
    #[serde(default)]
    signature: String,
    #[serde(default)]
    data: String,
    id: Option<String>,
    #[serde(default)]
    name: String,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
}

/// Where something was found.
#[derive(Debug, Clone, Deserialize)]
struct Citation {
    url: Option<String>,
    title: Option<String>,
}

/// What is used; later numbers replace earlier ones.
#[derive(Debug, Default, Clone, Copy, Deserialize)]
struct WireUsage {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    output_tokens_details: Option<Details>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
struct Details {
    thinking_tokens: Option<u64>,
}

/// An event. What is in it is read where the type is known.
#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    content_block: Option<&'a RawValue>,
    #[serde(borrow)]
    delta: Option<&'a RawValue>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Started {
    model: Option<String>,
    usage: Option<WireUsage>,
}

/// What a block goes on with. Which of these it has depends on its type.
#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    #[serde(borrow, default)]
    text: Cow<'a, str>,
    #[serde(borrow, default)]
    partial_json: Cow<'a, str>,
    #[serde(borrow, default)]
    thinking: Cow<'a, str>,
    #[serde(borrow, default)]
    signature: Cow<'a, str>,
    citation: Option<Citation>,
}

#[derive(Deserialize)]
struct Stop {
    stop_reason: Option<String>,
}

impl Answer {
    /// `by_tool`: the answer is the arguments of [`ANSWER`].
    pub(super) fn new(by_tool: bool) -> Self {
        Self {
            by_tool,
            ..Self::default()
        }
    }

    fn begin(&mut self, block: WireBlock<'_>, to: &mut Sink, out: &mut BytesMut) {
        self.block = Block::Other;
        match &*block.r#type {
            "text" => {
                self.block = Block::Text {
                    from: self.said,
                    sources: block.citations.unwrap_or_default(),
                };
                self.text(&block.text, to, out);
            }
            "thinking" => {
                to.reasoning(ONLY, &block.thinking, out);
                self.block = Block::Thinking {
                    text: block.thinking,
                    signature: block.signature,
                };
            }
            "redacted_thinking" => {
                let (data, from) = (block.data, None);
                to.thought(ONLY, Thinking::RedactedThinking { data, from }, out);
            }
            "tool_use" => {
                self.block = if self.by_tool && block.name == ANSWER {
                    Block::Answer
                } else {
                    to.call(ONLY, block.id.as_deref(), &block.name, None, out);
                    Block::Tool
                };
                // A stream begins with nothing, and the pieces follow.
                if let Some(input) = block.input.filter(|input| input.get() != "{}") {
                    self.input(input.get(), to, out);
                }
            }
            _ => {}
        }
    }

    /// A piece of what a tool is called with.
    fn input(&mut self, json: &str, to: &mut Sink, out: &mut BytesMut) {
        match self.block {
            Block::Tool => to.arguments(ONLY, json, out),
            Block::Answer => {
                self.held.clear();
                to.text(ONLY, json, out);
            }
            Block::Text { .. } | Block::Thinking { .. } | Block::Other => {}
        }
    }

    fn text(&mut self, text: &str, to: &mut Sink, out: &mut BytesMut) {
        if self.by_tool {
            self.held.push_str(text);
            return;
        }
        self.said += text.chars().count();
        to.text(ONLY, text, out);
    }

    fn piece(&mut self, delta: Delta<'_>, to: &mut Sink, out: &mut BytesMut) {
        match (&*delta.r#type, &mut self.block) {
            ("text_delta", Block::Text { .. }) => self.text(&delta.text, to, out),
            ("input_json_delta", _) => self.input(&delta.partial_json, to, out),
            ("thinking_delta", Block::Thinking { text, .. }) => {
                to.reasoning(ONLY, &delta.thinking, out);
                text.push_str(&delta.thinking);
            }
            ("signature_delta", Block::Thinking { signature, .. }) => {
                signature.push_str(&delta.signature);
            }
            ("citations_delta", Block::Text { sources, .. }) => sources.extend(delta.citation),
            _ => {}
        }
    }

    fn end_block(&mut self, to: &mut Sink, out: &mut BytesMut) {
        match std::mem::take(&mut self.block) {
            Block::Text { from, sources } => {
                let until = self.said;
                self.annotations
                    .extend(sources.into_iter().filter_map(|source| {
                        let citation = json!({"start_index": from, "end_index": until,
                            "url": source.url?, "title": source.title.unwrap_or_default()});
                        Some(json!({"type": "url_citation", "url_citation": citation}))
                    }));
            }
            Block::Thinking { text, signature } => {
                let block = Thinking::Thinking {
                    thinking: text,
                    signature: Some(signature).filter(|signature| !signature.is_empty()),
                    from: None,
                };
                to.thought(ONLY, block, out);
            }
            Block::Tool => {
                if let Some(index) = to.calls(ONLY).checked_sub(1) {
                    to.end_arguments(ONLY, index, out);
                }
            }
            Block::Answer | Block::Other => {}
        }
    }

    fn finish(&mut self, reason: &str, to: &mut Sink, out: &mut BytesMut) {
        // The tool was not called, so the text is all there is.
        to.text(ONLY, &std::mem::take(&mut self.held), out);
        if !self.annotations.is_empty() {
            let annotations = std::mem::take(&mut self.annotations);
            to.more(ONLY, "annotations", annotations.into(), out);
        }
        let reason = match reason {
            "max_tokens" | "model_context_window_exceeded" | "pause_turn" | "compaction" => {
                Finish::Length
            }
            "refusal" => Finish::ContentFilter,
            // With `tool_use` there are calls, unless the tool was ours.
            _ => Finish::Stop,
        };
        to.finish(ONLY, reason, out);
    }

    fn used(&mut self, usage: Option<WireUsage>, to: &mut Sink) {
        let Some(new) = usage else { return };
        let old = self.usage;
        self.usage = WireUsage {
            input_tokens: new.input_tokens.or(old.input_tokens),
            output_tokens: new.output_tokens.or(old.output_tokens),
            cache_creation_input_tokens: new
                .cache_creation_input_tokens
                .or(old.cache_creation_input_tokens),
            cache_read_input_tokens: new.cache_read_input_tokens.or(old.cache_read_input_tokens),
            output_tokens_details: new.output_tokens_details.or(old.output_tokens_details),
        };
        to.usage(self.usage.ours());
    }
}

impl WireUsage {
    /// Anthropic's input excludes what was read from or written to the cache.
    fn ours(self) -> Usage {
        let cached = self.cache_read_input_tokens;
        let cache_write = self.cache_creation_input_tokens;
        let parts = [self.input_tokens, cached, cache_write];
        Usage {
            prompt: parts.into_iter().flatten().fold(0, u64::saturating_add),
            completion: self.output_tokens.unwrap_or(0),
            cached,
            cache_write,
            reasoning: self.output_tokens_details.and_then(|d| d.thinking_tokens),
            ..Usage::default()
        }
    }
}

fn read<'de, T: Deserialize<'de>>(value: Option<&'de RawValue>) -> Result<T, AdaptError> {
    let text = value.map_or("null", RawValue::get);
    serde_json::from_str(text).map_err(malformed)
}

impl Decoder for Answer {
    fn event(&mut self, data: &[u8], to: &mut Sink, out: &mut BytesMut) -> Result<(), AdaptError> {
        let event: Event<'_> = serde_json::from_slice(data).map_err(malformed)?;
        match &*event.r#type {
            "message_start" => {
                let Started { model, usage } = read(event.message)?;
                to.model(model.as_deref().unwrap_or_default());
                self.used(usage, to);
                to.begin(ONLY, out);
            }
            "content_block_start" => self.begin(read(event.content_block)?, to, out),
            "content_block_delta" => self.piece(read(event.delta)?, to, out),
            "content_block_stop" => self.end_block(to, out),
            "message_delta" => {
                self.used(read(event.usage)?, to);
                if let Some(reason) = read::<Stop>(event.delta)?.stop_reason {
                    self.finish(&reason, to, out);
                }
            }
            "message_stop" => {
                self.finish("end_turn", to, out);
                to.end(out);
            }
            "error" => {
                let error: refused::Wire = serde_json::from_slice(data).map_err(malformed)?;
                to.fail(&error.facts(None), out);
            }
            _ => {}
        }
        Ok(())
    }

    fn whole(&mut self, body: &[u8], to: &mut Sink) -> Result<(), AdaptError> {
        let message: Message<'_> = serde_json::from_slice(body).map_err(malformed)?;
        let mut out = BytesMut::new();
        to.model(message.model.as_deref().unwrap_or_default());
        to.begin(ONLY, &mut out);
        for block in message.content {
            self.begin(block, to, &mut out);
            self.end_block(to, &mut out);
        }
        self.used(message.usage, to);
        let reason = message.stop_reason.unwrap_or_default();
        self.finish(&reason, to, &mut out);
        Ok(())
    }
}
