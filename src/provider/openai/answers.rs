//! Answers that are nearly OpenAI's, whole or streamed, mended by the provider's row.
//!
//! Events and bodies with nothing to mend pass byte for byte; of the others only the members that change are written anew.
//! A stream that finished without `[DONE]` gets one.

use bytes::{Bytes, BytesMut};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use crate::provider::members::Members;
use crate::provider::{AdaptError, Translator, watsonx};
use crate::sse;
use crate::types::Answers;

/// Mends an answer.
#[derive(Debug)]
pub(super) struct Mender {
    answers: &'static Answers,
    /// Usage that nobody asked for becomes an event of its own.
    splits_usage: bool,
    form: Form,
    /// The choices that have called tools so far, by index.
    called: Vec<u64>,
    /// A reason to finish was given.
    finished: bool,
    /// `[DONE]` was said.
    done: bool,
    /// An event that was replaced ended in a carriage return, whose line feed may be yet to come.
    half_ended: bool,
}

/// A server that was asked for a stream may answer with a body all the same.
#[derive(Debug)]
enum Form {
    Unknown,
    Whole(BytesMut),
    Events(sse::Splitter),
}

/// What stands in the place of an answer, or of a chunk of one.
struct Mended {
    answer: Vec<u8>,
    /// The event that follows it.
    usage: Option<Vec<u8>>,
}

impl From<Vec<u8>> for Mended {
    fn from(answer: Vec<u8>) -> Self {
        Self {
            answer,
            usage: None,
        }
    }
}

impl Mender {
    /// `asked`: the client wants the usage of a stream, and takes it as it comes.
    pub(super) fn new(answers: &'static Answers, asked: bool) -> Self {
        Self {
            answers,
            splits_usage: answers.usage_unasked && !asked,
            form: Form::Unknown,
            called: Vec::new(),
            finished: false,
            done: false,
            half_ended: false,
        }
    }

    fn events(&mut self, mut whole: &[u8], out: &mut BytesMut) {
        if !whole.is_empty() && std::mem::take(&mut self.half_ended) {
            whole = whole.strip_prefix(b"\n").unwrap_or(whole);
        }
        let mut at = 0;
        for event in sse::events(whole) {
            at += event.bytes.len();
            self.done |= event.data.as_deref() == Some(b"[DONE]");
            match event.data.and_then(|data| self.mend(&data)) {
                None => out.extend_from_slice(event.bytes),
                Some(mended) => {
                    for json in [Some(mended.answer), mended.usage].into_iter().flatten() {
                        out.extend_from_slice(b"data: ");
                        out.extend_from_slice(&json);
                        out.extend_from_slice(b"\n\n");
                    }
                    self.half_ended = at == whole.len() && event.bytes.ends_with(b"\r");
                }
            }
        }
    }

    /// An answer or a chunk of one; `None`: as it is.
    fn mend(&mut self, json: &[u8]) -> Option<Mended> {
        let mut answer = Members::read(json)?;
        let mut changed = false;
        let text = answer.get("choices").map(str::to_owned);
        let choices = text
            .as_deref()
            .and_then(|text| serde_json::from_str::<Vec<Members<'_>>>(text).ok());
        if let Some(mut choices) = choices {
            let mut any = false;
            for choice in &mut choices {
                if let Some(error) = self.failure(choice) {
                    return Some(error.into());
                }
                any |= self.choice(choice);
            }
            if any {
                answer.set("choices", &choices);
                changed = true;
            }
        }
        changed |= self.usage(&mut answer);
        if self.answers.bare {
            if let Some(facts) = watsonx::errors(json) {
                return Some(watsonx::as_openai(&facts).to_string().into_bytes().into());
            }
            changed |= self.name(&mut answer);
        }
        let usage = self.split_usage(&mut answer);
        (changed || usage.is_some()).then(|| Mended {
            answer: answer.to_json(),
            usage,
        })
    }

    /// Takes the usage out of a chunk with choices: the event that OpenAI has it in, which whoever did not ask for it is
    /// not told.
    fn split_usage(&self, answer: &mut Members<'_>) -> Option<Vec<u8>> {
        if !self.splits_usage || !matches!(self.form, Form::Events(_)) {
            return None;
        }
        let usage: Box<RawValue> = serde_json::from_str(answer.get("usage")?).ok()?;
        if !usage.get().starts_with('{') || answer.get("choices") == Some("[]") {
            return None;
        }
        let mut event = Members::default();
        for name in ["id", "object", "created", "model"] {
            if let Some(value) = answer.get(name) {
                event.set(name, &serde_json::from_str::<&RawValue>(value).ok()?);
            }
        }
        event.set("choices", &[(); 0]);
        event.set("usage", &usage);
        answer.remove("usage");
        Some(event.to_json())
    }

    /// Says what it is, and of which model.
    fn name(&self, answer: &mut Members<'_>) -> bool {
        let before = (
            answer.get("object").is_some(),
            answer.get("model").is_some(),
        );
        if !before.0 {
            let object = match self.form {
                Form::Events(_) => "chat.completion.chunk",
                Form::Whole(_) | Form::Unknown => "chat.completion",
            };
            answer.set("object", object);
        }
        if !before.1 {
            answer.set("model", &answer.text("model_id").unwrap_or_default());
        }
        before != (true, true)
    }

    /// The error that a choice's end stands for.
    fn failure(&self, choice: &Members<'_>) -> Option<Vec<u8>> {
        if self.answers.failures.is_empty() {
            return None;
        }
        let reason = choice.text("finish_reason")?;
        let mut failures = self.answers.failures.iter();
        let (code, kind) = failures.find(|(code, _)| *code == reason)?;
        let message = format!("the provider gave up: finish_reason is {code}");
        let error =
            json!({"error": {"message": message, "type": kind, "param": null, "code": code}});
        Some(error.to_string().into_bytes())
    }

    fn choice(&mut self, choice: &mut Members<'_>) -> bool {
        let mut changed = false;
        self.finished |= choice.text("finish_reason").is_some();
        let streams = choice.get("delta").is_some();
        if self.answers.whole_messages && streams {
            changed |= choice.remove("message");
        }
        let holder = if streams { "delta" } else { "message" };
        let index = choice.count("index").unwrap_or(0);
        if let Some(text) = choice.get(holder).map(str::to_owned)
            && let Some(mut message) = Members::read(text.as_bytes())
        {
            if message
                .get("tool_calls")
                .is_some_and(|calls| calls.starts_with('[') && calls != "[]")
                && !self.called.contains(&index)
            {
                self.called.push(index);
            }
            let mut mended = self.answers.content_lists && content(&mut message, streams);
            mended |= self.reasoning(&mut message);
            if mended {
                choice.set(holder, &message);
                changed = true;
            }
        }
        if !self.answers.finish.is_empty()
            && let Some(reason) = choice.text("finish_reason")
            && let Some((_, ours)) = self
                .answers
                .finish
                .iter()
                .find(|(theirs, _)| *theirs == reason)
        {
            let called = *ours == "stop" && self.called.contains(&index);
            choice.set("finish_reason", if called { "tool_calls" } else { ours });
            changed = true;
        }
        changed
    }

    /// Calls a text of the reasoning by our name.
    fn reasoning(&self, message: &mut Members<'_>) -> bool {
        let Some(theirs) = self.answers.reasoning else {
            return false;
        };
        let is_text = message.get(theirs).is_some_and(|raw| raw.starts_with('"'));
        is_text
            && message.get("reasoning_content").is_none()
            && message.rename(theirs, "reasoning_content")
    }

    fn usage(&self, answer: &mut Members<'_>) -> bool {
        if self.answers.cached_tokens.is_none() && !self.answers.reasoning_apart {
            return false;
        }
        let Some(text) = answer.get("usage").map(str::to_owned) else {
            return false;
        };
        let Some(mut usage) = Members::read(text.as_bytes()) else {
            return false;
        };
        let mut changed = false;
        if let Some(cached) = self
            .answers
            .cached_tokens
            .and_then(|name| usage.count(name))
        {
            let details = usage.get("prompt_tokens_details").map(str::to_owned);
            let mut details = details
                .as_deref()
                .and_then(|text| Members::read(text.as_bytes()))
                .unwrap_or_default();
            if details.get("cached_tokens").is_none() {
                details.set("cached_tokens", &cached);
                usage.set("prompt_tokens_details", &details);
                changed = true;
            }
        }
        if self.answers.reasoning_apart
            && let (Some(prompt), Some(completion), Some(total)) = (
                usage.count("prompt_tokens"),
                usage.count("completion_tokens"),
                usage.count("total_tokens"),
            )
            && let Some(all) = total.checked_sub(prompt).filter(|all| *all > completion)
        {
            usage.set("completion_tokens", &all);
            changed = true;
        }
        if changed {
            answer.set("usage", &usage);
        }
        changed
    }
}

/// Part of a content that is a list. Mistral's thinking is a list of texts, Databricks' reasoning has a summary of texts.
#[derive(Deserialize)]
struct Part {
    text: Option<String>,
    thinking: Option<Vec<Part>>,
    summary: Option<Vec<Part>>,
}

/// Makes a text, and a text of the reasoning, of a content that is a list.
fn content(message: &mut Members<'_>, streams: bool) -> bool {
    let Some(parts) = message
        .get("content")
        .filter(|raw| raw.starts_with('['))
        .and_then(|raw| serde_json::from_str::<Vec<&RawValue>>(raw).ok())
    else {
        return false;
    };
    let (mut said, mut thought) = (String::new(), String::new());
    for part in parts {
        let Ok(part) = serde_json::from_str::<Part>(part.get()) else {
            continue; // something that is no text at all
        };
        said.extend(part.text);
        let inner = [part.thinking, part.summary]
            .into_iter()
            .flatten()
            .flatten();
        thought.extend(inner.filter_map(|inner| inner.text));
    }
    if !said.is_empty() {
        message.set("content", &said);
    } else if streams {
        message.remove("content");
    } else {
        message.set("content", &None::<&str>);
    }
    if !thought.is_empty() {
        message.set("reasoning_content", &thought);
    }
    true
}

impl Translator for Mender {
    fn push(&mut self, chunk: &[u8], out: &mut BytesMut) -> Result<(), AdaptError> {
        if matches!(self.form, Form::Unknown) {
            match chunk.trim_ascii_start().first() {
                None => {
                    out.extend_from_slice(chunk);
                    return Ok(());
                }
                Some(b'{') => self.form = Form::Whole(BytesMut::new()),
                Some(_) => self.form = Form::Events(sse::Splitter::default()),
            }
        }
        let whole = match &mut self.form {
            Form::Unknown => return Ok(()),
            Form::Whole(body) => {
                body.extend_from_slice(chunk);
                return Ok(());
            }
            Form::Events(splitter) => {
                let whole = splitter.push(Bytes::copy_from_slice(chunk));
                if splitter.gave_up() {
                    out.extend_from_slice(&whole);
                    return Ok(());
                }
                whole
            }
        };
        self.events(&whole, out);
        Ok(())
    }

    fn finish(&mut self, out: &mut BytesMut) -> Result<(), AdaptError> {
        match &mut self.form {
            Form::Unknown => {}
            Form::Whole(body) => {
                let body = body.split();
                match self.mend(&body) {
                    Some(mended) => out.extend_from_slice(&mended.answer),
                    None => out.extend_from_slice(&body),
                }
            }
            Form::Events(splitter) => {
                let rest = splitter.finish();
                self.events(&rest, out);
                // Some end without a word.
                if self.finished && !self.done {
                    if !rest.is_empty() {
                        out.extend_from_slice(b"\n\n");
                    }
                    out.extend_from_slice(b"data: [DONE]\n\n");
                }
            }
        }
        Ok(())
    }
}
