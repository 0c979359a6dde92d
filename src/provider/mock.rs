//! Answers that nobody was asked for: `mock_response`, of a deployment or of a request.
//!
//! A text becomes the answer in OpenAI's form, whole or streamed. Four texts of LiteLLM's become the error they name, so
//! that retries, cooldowns and fallbacks can be tried out.

use bytes::{BufMut, Bytes, BytesMut};
use http::StatusCode;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

use super::chat::{self, Finish, Sink, Usage};
use super::{Call, Refusal, embeddings};
use crate::json;
use crate::types::{Operation, TokenUsage};

/// Texts that are errors, with status, code and message. The words are LiteLLM's, of `litellm/main.py`.
const ERRORS: [(&str, u16, Option<&str>, &str); 4] = [
    (
        "litellm.RateLimitError",
        429,
        Some("rate_limit_exceeded"),
        "this is a mock rate limit error",
    ),
    (
        "litellm.ContextWindowExceededError",
        400,
        Some("context_length_exceeded"),
        "this is a mock context window exceeded error",
    ),
    (
        "litellm.InternalServerError",
        500,
        None,
        "this is a mock internal server error",
    ),
    (
        "Exception: content_filter_policy",
        400,
        Some("content_filter"),
        "this is a mock content filter error",
    ),
];
/// Numbers in an embedding where a request does not say how many: those of text-embedding-3-small.
const DIMENSIONS: usize = 1536;
/// Bytes of a number in an embedding, at most.
const NUMBER: usize = 16;
/// Bytes around a piece of a stream, about.
const AROUND: usize = 256;
/// The largest answer that is made up. A few bytes of a request could ask for any number of copies.
const LARGEST: usize = 64 << 20;

/// `text` as the answer of `model` to `call`: a body, or of a request for a stream all of its events, the last of which
/// tells the usage in any case. `usage` is what is to be told.
///
/// # Errors
/// The error that the text names; a 400 if the request asks for more than is made up.
pub fn answer(
    call: &Call,
    model: &str,
    text: &str,
    usage: TokenUsage,
) -> Result<Bytes, Box<Refusal>> {
    let error = ERRORS.iter().find(|(named, ..)| *named == text.trim());
    if let Some((_, status, code, message)) = error {
        let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        return Err(refused(status, *code, message));
    }
    let made = Made {
        call,
        model,
        text,
        usage,
    };
    let mut out = BytesMut::new();
    match call.operation {
        Operation::Chat => {
            let choices = fitting(wanted(call), size(text))?;
            made.say(choices, &mut out);
        }
        Operation::Completions => {
            let prompts = inputs(call, "prompt").len();
            let choices = fitting(prompts.saturating_mul(wanted(call)), size(text))?;
            made.complete(choices, &mut out);
        }
        Operation::Embeddings => made.embed(&mut out)?,
    }
    Ok(out.freeze())
}

/// What is made up: the answer of `model` to `call`.
struct Made<'a> {
    call: &'a Call,
    model: &'a str,
    text: &'a str,
    usage: TokenUsage,
}

fn refused(status: StatusCode, code: Option<&str>, message: &str) -> Box<Refusal> {
    let facts = chat::error(status, code, message);
    Box::new(chat::refusal(status, facts, None))
}

/// `count` times so many bytes, if that is not too much.
fn fitting(count: usize, bytes: usize) -> Result<usize, Box<Refusal>> {
    match count.saturating_mul(bytes) {
        0..LARGEST => Ok(count),
        _ => Err(refused(
            StatusCode::BAD_REQUEST,
            None,
            "the mock answer to this request would be too large; ask for fewer choices or inputs",
        )),
    }
}

/// Bytes of a choice, about: those of its text, and what stands around each piece of it.
fn size(text: &str) -> usize {
    text.len() + AROUND * (1 + pieces(text).count())
}

/// How many choices a request wants.
fn wanted(call: &Call) -> usize {
    let n = call.head.raw(&call.body, "n").and_then(json::integer);
    n.map_or(1, |n| usize::try_from(n).unwrap_or(usize::MAX).max(1))
}

/// The inputs or prompts of a call, as they stand there: a list of numbers is one, in tokens.
fn inputs<'a>(call: &'a Call, member: &str) -> Vec<&'a [u8]> {
    let raw = call.head.raw(&call.body, member).unwrap_or_default();
    let list: Vec<&RawValue> = serde_json::from_slice(raw).unwrap_or_default();
    let is_number = |input: &&RawValue| input.get().starts_with(|c: char| c.is_ascii_digit());
    if list.is_empty() || list.first().is_some_and(is_number) {
        return vec![raw];
    }
    list.into_iter().map(|raw| raw.get().as_bytes()).collect()
}

/// What a stream says at a time: a word and what stands behind it.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive(' ')
}

impl Made<'_> {
    fn say(&self, choices: usize, out: &mut BytesMut) {
        let mut sink = Sink::new(self.call, self.model, "");
        for choice in 0..choices {
            for piece in pieces(self.text) {
                sink.text(choice, piece, out);
            }
            sink.finish(choice, Finish::Stop, out);
        }
        sink.usage(Usage {
            prompt: self.usage.input,
            completion: self.usage.output,
            ..Usage::default()
        });
        if self.call.head.stream {
            sink.end(out);
        } else {
            sink.write_whole(out);
        }
    }

    fn complete(&self, choices: usize, out: &mut BytesMut) {
        let call = self.call;
        let TokenUsage { input, output, .. } = self.usage;
        let usage = json!({"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output});
        let choice = |index: usize, text: &str, finish: Option<&str>| json!({"index": index, "text": text, "logprobs": null, "finish_reason": finish});
        let object = |choices: Vec<Value>, usage: &Value| {
            let mut object = json!({"id": format!("cmpl-{}", call.id), "object": "text_completion", "created": call.created,
                "model": self.model, "choices": choices});
            if !usage.is_null() {
                object["usage"] = usage.clone();
            }
            object.to_string()
        };
        if !call.head.stream {
            let all = (0..choices).map(|index| choice(index, self.text, Some("stop")));
            out.put_slice(object(all.collect(), &usage).as_bytes());
            return;
        }
        let mut event = |text: &str| {
            for part in ["data: ", text, "\n\n"] {
                out.put_slice(part.as_bytes());
            }
        };
        for index in 0..choices {
            for piece in pieces(self.text) {
                event(&object(vec![choice(index, piece, None)], &Value::Null));
            }
            event(&object(vec![choice(index, "", Some("stop"))], &Value::Null));
        }
        event(&object(Vec::new(), &usage));
        event("[DONE]");
    }

    /// A text that is a list of numbers is the embedding of every input; any other stands for embeddings that are always the
    /// same for the same input.
    fn embed(&self, out: &mut BytesMut) -> Result<(), Box<Refusal>> {
        let call = self.call;
        let given: Option<Vec<f32>> = serde_json::from_str(self.text).ok();
        let asked = call.head.raw(&call.body, "dimensions");
        let asked = asked.and_then(json::integer).map(usize::try_from);
        let dimensions = match (&given, asked) {
            (Some(given), _) => given.len(),
            (None, Some(asked)) => asked.unwrap_or(usize::MAX),
            (None, None) => DIMENSIONS,
        };
        let inputs = inputs(call, "input");
        fitting(
            inputs.len(),
            dimensions.saturating_mul(NUMBER).saturating_add(AROUND),
        )?;
        let vectors: Vec<Box<RawValue>> = inputs
            .into_iter()
            .filter_map(|input| match &given {
                Some(given) => to_raw_value(given).ok(),
                None => to_raw_value(&vector(input, dimensions)).ok(),
            })
            .collect();
        let vectors: Vec<&RawValue> = vectors.iter().map(|vector| &**vector).collect();
        embeddings::write(self.model, &vectors, Some(self.usage.input), out);
        Ok(())
    }
}

/// A vector of length 1 that depends on nothing but the input.
fn vector(input: &[u8], dimensions: usize) -> Vec<f32> {
    let mut bytes = vec![0; dimensions];
    blake3::Hasher::new()
        .update(input)
        .finalize_xof()
        .fill(&mut bytes);
    // Odd numbers, so that no vector is zero.
    let numbers = bytes.into_iter().map(|byte| f32::from(byte | 1) - 128.0);
    let numbers: Vec<f32> = numbers.collect();
    let length = numbers.iter().map(|n| n * n).sum::<f32>().sqrt();
    numbers.into_iter().map(|n| n / length).collect()
}

#[cfg(test)]
mod tests;
