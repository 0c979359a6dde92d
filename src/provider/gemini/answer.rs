//! Gemini's answers, whole ones and pieces of a stream, which have the same form.
//!
//! A stream has no event for its end: it is over when the connection is and every candidate has said why it ended.

use bytes::BytesMut;
use http::StatusCode;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::refusal::Status;
use crate::provider::AdaptError;
use crate::provider::chat::{Decoder, Finish, Sink, Thinking, Usage, error, malformed};

/// Why a candidate ended. What is in neither list counts as a plain stop.
const REASONS: &[(&str, Finish)] = &[
    ("STOP", Finish::Stop),
    ("MAX_TOKENS", Finish::Length),
    ("CONTINUATION", Finish::Length),
    ("SAFETY", Finish::ContentFilter),
    ("RECITATION", Finish::ContentFilter),
    ("LANGUAGE", Finish::ContentFilter),
    ("BLOCKLIST", Finish::ContentFilter),
    ("PROHIBITED_CONTENT", Finish::ContentFilter),
    ("SPII", Finish::ContentFilter),
    ("IMAGE_SAFETY", Finish::ContentFilter),
    ("IMAGE_PROHIBITED_CONTENT", Finish::ContentFilter),
    ("IMAGE_RECITATION", Finish::ContentFilter),
    ("MODEL_ARMOR", Finish::ContentFilter),
    ("ESCALATION", Finish::ContentFilter),
];

/// Reasons that are failures of the model: with nothing said there is no answer, and another try may have one.
const FAILURES: &[&str] = &[
    "MALFORMED_FUNCTION_CALL",
    "UNEXPECTED_TOOL_CALL",
    "TOO_MANY_TOOL_CALLS",
    "MALFORMED_RESPONSE",
    "MISSING_THOUGHT_SIGNATURE",
    "PUP_LIMITED_DISABLED",
    "OTHER",
    "NO_IMAGE",
    "IMAGE_OTHER",
];

/// More candidates than this are none that anybody asked for.
const MOST_CANDIDATES: usize = 128;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    #[serde(borrow)]
    candidates: Option<Vec<Candidate<'a>>>,
    prompt_feedback: Option<PromptFeedback>,
    usage_metadata: Option<UsageMetadata>,
    model_version: Option<String>,
    error: Option<Status>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PromptFeedback {
    block_reason: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct UsageMetadata {
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

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate<'a> {
    index: Option<usize>,
    #[serde(borrow)]
    content: Option<Content<'a>>,
    finish_reason: Option<String>,
    finish_message: Option<String>,
    logprobs_result: Option<Logprobs>,
}

#[derive(Debug, Deserialize)]
struct Content<'a> {
    #[serde(borrow)]
    parts: Option<Vec<Part<'a>>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part<'a> {
    text: Option<String>,
    thought: Option<bool>,
    thought_signature: Option<String>,
    #[serde(borrow)]
    function_call: Option<FunctionCall<'a>>,
    inline_data: Option<Blob>,
}

#[derive(Debug, Deserialize)]
struct FunctionCall<'a> {
    id: Option<String>,
    name: String,
    #[serde(borrow)]
    args: Option<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Blob {
    mime_type: Option<String>,
    data: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Logprobs {
    chosen_candidates: Option<Vec<Scored>>,
    top_candidates: Option<Vec<Top>>,
}

#[derive(Debug, Deserialize)]
struct Top {
    candidates: Option<Vec<Scored>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Scored {
    token: Option<String>,
    log_probability: Option<f64>,
}

/// One answer.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// Whether anything was said.
    said: bool,
    /// The failure of a candidate, while nothing was said.
    failure: Option<String>,
    /// Images of each candidate so far.
    images: Vec<Vec<Value>>,
    stream: bool,
}

impl Answer {
    pub(super) fn new(stream: bool) -> Self {
        Self {
            stream,
            ..Self::default()
        }
    }

    fn take(
        &mut self,
        wire: Wire<'_>,
        to: &mut Sink,
        out: &mut BytesMut,
    ) -> Result<(), AdaptError> {
        if let Some(version) = &wire.model_version {
            to.model(version);
        }
        if let Some(usage) = wire.usage_metadata {
            to.usage(usage.read());
        }
        let candidates = wire.candidates.unwrap_or_default();
        let blocked = wire
            .prompt_feedback
            .is_some_and(|feedback| feedback.block_reason.is_some());
        if candidates.is_empty() && blocked {
            self.said = true;
            to.finish(0, Finish::ContentFilter, out);
        }
        for (position, candidate) in candidates.into_iter().enumerate() {
            self.candidate(position, candidate, to, out)?;
        }
        Ok(())
    }

    fn candidate(
        &mut self,
        position: usize,
        candidate: Candidate<'_>,
        to: &mut Sink,
        out: &mut BytesMut,
    ) -> Result<(), AdaptError> {
        let choice = candidate.index.unwrap_or(position);
        if choice >= MOST_CANDIDATES {
            return Err(malformed(format_args!(
                "it has a candidate of index {choice}"
            )));
        }
        let parts = candidate.content.and_then(|content| content.parts);
        for part in parts.into_iter().flatten() {
            self.part(choice, part, to, out);
        }
        if let Some(logprobs) = candidate.logprobs_result.and_then(Logprobs::json) {
            to.logprobs(choice, logprobs, out);
        }
        let Some(reason) = candidate.finish_reason else {
            return Ok(());
        };
        if FAILURES.contains(&reason.as_str()) && !self.said {
            let more = candidate.finish_message.unwrap_or_default();
            self.failure = Some(format!("{reason} {more}").trim_end().to_owned());
            if self.stream {
                return Ok(());
            }
        }
        let known = REASONS.iter().find(|(name, _)| *name == reason);
        let finish = known.map_or(Finish::Stop, |(_, finish)| *finish);
        self.said |= finish != Finish::Stop;
        to.finish(choice, finish, out);
        Ok(())
    }

    fn part(&mut self, choice: usize, part: Part<'_>, to: &mut Sink, out: &mut BytesMut) {
        let signature = part.thought_signature;
        if let Some(call) = part.function_call {
            self.said = true;
            let (id, signature) = (call.id.as_deref(), signature.as_deref());
            to.call(choice, id, &call.name, signature, out);
            let index = to.calls(choice).saturating_sub(1);
            to.arguments(choice, &arguments(call.args), out);
            to.end_arguments(choice, index, out);
            return;
        }
        let text = part.text.unwrap_or_default();
        if part.thought == Some(true) {
            to.reasoning(choice, &text, out);
        } else {
            self.said |= !text.is_empty();
            to.text(choice, &text, out);
        }
        if let Some(signature) = signature {
            let block = Thinking::Thinking {
                thinking: String::new(),
                signature: Some(signature),
                from: None,
            };
            to.thought(choice, block, out);
        }
        if let Some(blob) = part.inline_data {
            self.said = true;
            self.media(choice, &blob, to, out);
        }
    }

    /// Audio in OpenAI's member for it; an image in LiteLLM's, since OpenAI has none.
    fn media(&mut self, choice: usize, blob: &Blob, to: &mut Sink, out: &mut BytesMut) {
        let kind = blob
            .mime_type
            .as_deref()
            .unwrap_or("application/octet-stream");
        if kind.starts_with("audio/") {
            let audio = json!({"id": format!("audio_{choice}"), "data": blob.data, "transcript": "", "expires_at": 0});
            to.more(choice, "audio", audio, out);
            return;
        }
        if self.images.len() <= choice {
            self.images.resize_with(choice + 1, Vec::new);
        }
        let images = &mut self.images[choice];
        let url = format!("data:{kind};base64,{}", blob.data);
        if self.stream {
            images.clear();
        }
        images.push(json!({"type": "image_url", "image_url": {"url": url}}));
        to.more(choice, "images", json!(images), out);
    }
}

impl Decoder for Answer {
    fn event(&mut self, data: &[u8], to: &mut Sink, out: &mut BytesMut) -> Result<(), AdaptError> {
        // Google's streams have no such end, but what stands before Google may.
        if data.trim_ascii() == b"[DONE]" {
            return Ok(());
        }
        let wire: Wire<'_> = serde_json::from_slice(data).map_err(malformed)?;
        if let Some(error) = &wire.error {
            to.fail(&error.read(None).1, out);
            return Ok(());
        }
        self.take(wire, to, out)?;
        if let Some(failure) = self.failure.take() {
            let (code, _) = failure.split_once(' ').unwrap_or((&failure, ""));
            let message = format!("the model failed to answer: {failure}");
            to.fail(
                &error(StatusCode::INTERNAL_SERVER_ERROR, Some(code), &message),
                out,
            );
        }
        Ok(())
    }

    fn whole(&mut self, body: &[u8], to: &mut Sink) -> Result<(), AdaptError> {
        let wire: Wire<'_> = serde_json::from_slice(body).map_err(malformed)?;
        if let Some(error) = &wire.error {
            let message = error.read(None).1.message.unwrap_or_default();
            return Err(malformed(format_args!("it is an error: {message}")));
        }
        self.take(wire, to, &mut BytesMut::new())?;
        match &self.failure {
            Some(failure) if !self.said => Err(malformed(format_args!(
                "the model failed to answer: {failure}"
            ))),
            _ if !to.has_finished() => Err(malformed("no candidate in it has ended")),
            _ => Ok(()),
        }
    }

    fn end(&mut self, to: &mut Sink, out: &mut BytesMut) {
        if to.has_finished() {
            to.end(out);
        }
    }
}

impl UsageMetadata {
    fn read(&self) -> Usage {
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

impl Logprobs {
    /// OpenAI's form; `None` if there are none.
    fn json(self) -> Option<Value> {
        let chosen = self.chosen_candidates.filter(|list| !list.is_empty())?;
        let mut tops = self.top_candidates.unwrap_or_default().into_iter();
        let content: Vec<Value> = chosen
            .iter()
            .map(|one| {
                let top = tops.next().and_then(|top| top.candidates);
                let mut entry = one.json();
                entry["top_logprobs"] = top.iter().flatten().map(Scored::json).collect();
                entry
            })
            .collect();
        Some(json!({"content": content, "refusal": null}))
    }
}

impl Scored {
    fn json(&self) -> Value {
        let token = self.token.as_deref().unwrap_or_default();
        json!({"token": token, "logprob": self.log_probability.unwrap_or(0.0), "bytes": token.as_bytes()})
    }
}

/// The arguments' text. Google's JSON is indented; blanks between its tokens are left out.
fn arguments(raw: Option<&RawValue>) -> String {
    let raw = raw.map_or("{}", RawValue::get);
    if raw == "null" {
        return "{}".to_owned();
    }
    let (mut quoted, mut escaped) = (false, false);
    let kept = raw.chars().filter(|&c| {
        let blank = !quoted && c.is_ascii_whitespace();
        if c == '"' && !escaped {
            quoted = !quoted;
        }
        escaped = quoted && c == '\\' && !escaped;
        !blank
    });
    kept.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_without_blanks() {
        let cases = [
            (
                "{\n  \"a b\": [1, \"x \\\" y\\\\\" , 2.0]\n}",
                r#"{"a b":[1,"x \" y\\",2.0]}"#,
            ),
            ("{}", "{}"),
            ("null", "{}"),
        ];
        for (raw, expected) in cases {
            let raw = RawValue::from_string(raw.to_owned()).expect("json");
            assert_eq!(arguments(Some(&raw)), expected);
        }
        assert_eq!(arguments(None), "{}");
    }
}
