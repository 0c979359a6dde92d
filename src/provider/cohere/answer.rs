//! Cohere's answers, whole and as events.

use std::borrow::Cow;

use bytes::BytesMut;
use http::StatusCode;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::provider::AdaptError;
use crate::provider::chat::{self, Decoder, Finish, Sink, Usage, malformed};

/// The choice, of which there is one.
const ONLY: usize = 0;

/// Reads answers.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// Cohere's index of each call of a tool.
    calls: Vec<u64>,
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    message: Said<'a>,
    finish_reason: Option<String>,
    usage: Option<Used>,
    logprobs: Option<Vec<LogProb>>,
}

#[derive(Deserialize)]
struct Said<'a> {
    #[serde(borrow)]
    content: Option<Vec<Content<'a>>>,
    tool_plan: Option<String>,
    #[serde(borrow)]
    tool_calls: Option<Vec<Called<'a>>>,
    citations: Option<Vec<Value>>,
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow)]
    text: Option<Cow<'a, str>>,
    #[serde(borrow)]
    thinking: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Called<'a> {
    id: Option<String>,
    #[serde(borrow)]
    function: Option<Function<'a>>,
}

#[derive(Deserialize)]
struct Function<'a> {
    name: Option<String>,
    #[serde(borrow)]
    arguments: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    index: Option<u64>,
    #[serde(borrow)]
    delta: Option<&'a RawValue>,
    logprobs: Option<LogProb>,
    /// Of an error that is no event.
    message: Option<Value>,
}

/// Of the events whose message holds one thing: what is there at the start is a list, and says nothing.
#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow)]
    message: Option<Piece<'a>>,
}

#[derive(Deserialize)]
struct Piece<'a> {
    #[serde(borrow)]
    content: Option<Content<'a>>,
    #[serde(borrow)]
    tool_plan: Option<Cow<'a, str>>,
    #[serde(borrow)]
    tool_calls: Option<Called<'a>>,
    citations: Option<Value>,
}

#[derive(Deserialize)]
struct End {
    finish_reason: Option<String>,
    usage: Option<Used>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct Used {
    tokens: Option<Tokens>,
    billed_units: Option<Tokens>,
    cached_tokens: Option<f64>,
}

#[derive(Clone, Copy, Deserialize)]
pub(super) struct Tokens {
    pub(super) input_tokens: Option<f64>,
    output_tokens: Option<f64>,
}

#[derive(Deserialize)]
struct LogProb {
    text: Option<String>,
    logprobs: Option<Vec<f64>>,
}

/// Cohere counts in numbers with a point.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturates, and tokens are whole"
)]
pub(super) const fn whole(tokens: f64) -> u64 {
    tokens.round() as u64
}

impl Used {
    /// `tokens` is what was used, `billed_units` what is paid, which leaves Cohere's own part of the prompt out.
    fn usage(&self) -> Option<Usage> {
        let tokens = self.tokens.or(self.billed_units)?;
        Some(Usage {
            prompt: whole(tokens.input_tokens.unwrap_or(0.0)),
            completion: whole(tokens.output_tokens.unwrap_or(0.0)),
            cached: self.cached_tokens.map(whole),
            ..Usage::default()
        })
    }
}

impl Content<'_> {
    fn say(&self, logprobs: Option<Value>, to: &mut Sink, out: &mut BytesMut) {
        to.reasoning(ONLY, self.thinking.as_deref().unwrap_or_default(), out);
        to.text_with(
            ONLY,
            self.text.as_deref().unwrap_or_default(),
            logprobs,
            out,
        );
    }
}

/// OpenAI's entries are of one token each; a piece of several is as probable as all of them one after the other.
fn logprobs<'a>(pieces: impl IntoIterator<Item = &'a LogProb>) -> Value {
    let entry = |piece: &LogProb| {
        let text = piece.text.as_deref().unwrap_or_default();
        let sum: f64 = piece.logprobs.iter().flatten().sum();
        json!({"token": text, "logprob": sum, "bytes": text.as_bytes(), "top_logprobs": []})
    };
    let content: Vec<Value> = pieces.into_iter().map(entry).collect();
    json!({"content": content, "refusal": null})
}

/// How an answer ends: well, or with an error.
fn end(
    reason: Option<&str>,
    usage: Option<&Used>,
    error: Option<&str>,
    to: &mut Sink,
    out: &mut BytesMut,
) {
    if let Some(usage) = usage.and_then(Used::usage) {
        to.usage(usage);
    }
    let failed = match (reason, error) {
        (Some("TIMEOUT"), _) => Some((StatusCode::GATEWAY_TIMEOUT, "the generation timed out")),
        (Some("ERROR"), _) | (None, Some(_)) => {
            Some((StatusCode::INTERNAL_SERVER_ERROR, "the generation failed"))
        }
        _ => None,
    };
    if let Some((status, message)) = failed {
        let code = reason.map(str::to_ascii_lowercase);
        to.fail(
            &chat::error(status, code.as_deref(), error.unwrap_or(message)),
            out,
        );
        return;
    }
    let reason = match reason {
        Some("MAX_TOKENS") => Finish::Length,
        Some("TOOL_CALL") => Finish::ToolCalls,
        _ => Finish::Stop,
    };
    to.finish(ONLY, reason, out);
    to.end(out);
}

fn read<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, AdaptError> {
    serde_json::from_slice(json).map_err(malformed)
}

impl Reader {
    fn call(&mut self, index: u64, call: &Called<'_>, to: &mut Sink, out: &mut BytesMut) {
        self.calls.push(index);
        let function = call.function.as_ref();
        let name = function.and_then(|f| f.name.as_deref()).unwrap_or_default();
        let arguments = function.and_then(|f| f.arguments.as_deref());
        let said = (name, arguments.unwrap_or_default());
        to.called(ONLY, call.id.as_deref(), said, None, out);
    }

    /// Which of our calls Cohere's index means: the last one that has it.
    fn position(&self, index: u64) -> Option<usize> {
        self.calls.iter().rposition(|other| *other == index)
    }

    fn piece(
        &mut self,
        event: &Event<'_>,
        to: &mut Sink,
        out: &mut BytesMut,
    ) -> Result<(), AdaptError> {
        let delta = event.delta.map_or("{}", RawValue::get);
        let Some(piece) = read::<Delta<'_>>(delta.as_bytes())?.message else {
            return Ok(());
        };
        let index = event.index.unwrap_or_default();
        if let Some(content) = &piece.content {
            let likely = event.logprobs.as_ref().map(|one| logprobs([one]));
            content.say(likely, to, out);
        }
        to.reasoning(ONLY, piece.tool_plan.as_deref().unwrap_or_default(), out);
        if let Some(call) = &piece.tool_calls {
            let arguments = call.function.as_ref().and_then(|f| f.arguments.as_deref());
            match (event.kind.as_deref(), self.position(index)) {
                (Some("tool-call-start"), _) => self.call(index, call, to, out),
                (_, Some(at)) => to.arguments_of(ONLY, at, arguments.unwrap_or_default(), out),
                (_, None) => {}
            }
        }
        if let Some(citation) = piece.citations {
            to.more(ONLY, "citations", json!([citation]), out);
        }
        Ok(())
    }
}

impl Decoder for Reader {
    fn event(&mut self, data: &[u8], to: &mut Sink, out: &mut BytesMut) -> Result<(), AdaptError> {
        let event: Event<'_> = read(data)?;
        let delta = event.delta.map_or("{}", RawValue::get);
        match event.kind.as_deref() {
            Some("message-start") => to.begin(ONLY, out),
            Some(
                "content-start" | "content-delta" | "tool-plan-delta" | "tool-call-start"
                | "tool-call-delta" | "citation-start",
            ) => self.piece(&event, to, out)?,
            Some("tool-call-end") => {
                if let Some(at) = self.position(event.index.unwrap_or_default()) {
                    to.end_arguments(ONLY, at, out);
                }
            }
            Some("message-end") => {
                let End {
                    finish_reason,
                    usage,
                    error,
                } = read(delta.as_bytes())?;
                let (reason, error) = (finish_reason.as_deref(), error.as_deref());
                end(reason, usage.as_ref(), error, to, out);
            }
            // Ends of contents and citations, and what is there to debug with.
            Some(_) => {}
            None => {
                let Some(Value::String(message)) = &event.message else {
                    return Err(malformed("an event without a type"));
                };
                end(None, None, Some(message), to, out);
            }
        }
        Ok(())
    }

    fn whole(&mut self, body: &[u8], to: &mut Sink) -> Result<(), AdaptError> {
        let answer: Answer<'_> = read(body)?;
        // A whole answer is kept in the sink until it is written.
        let out = &mut BytesMut::new();
        to.begin(ONLY, out);
        let said = answer.message;
        to.reasoning(ONLY, said.tool_plan.as_deref().unwrap_or_default(), out);
        for content in said.content.iter().flatten() {
            content.say(None, to, out);
        }
        for (index, call) in (0..).zip(said.tool_calls.iter().flatten()) {
            self.call(index, call, to, out);
        }
        if let Some(citations) = said.citations.filter(|list| !list.is_empty()) {
            to.more(ONLY, "citations", citations.into(), out);
        }
        if let Some(pieces) = &answer.logprobs {
            to.logprobs(ONLY, logprobs(pieces), out);
        }
        end(
            answer.finish_reason.as_deref(),
            answer.usage.as_ref(),
            None,
            to,
            out,
        );
        Ok(())
    }
}
