//! One request as the lab understands it, and what is common to the answers of all operations.
//!
//! The answer to a request is pure content, either one JSON value or a list of [`Event`]s. How it travels (waits,
//! framing, faults) is added later, in `play`, and is the same for every operation.

use serde_json::{Map, Value, json};

use super::behaviour::Behaviour;
use super::route::Style;
use crate::types::Operation;

/// A request of one of the three operations, parsed.
#[derive(Debug)]
pub(super) struct Asked {
    /// Which operation.
    pub(super) operation: Operation,
    /// Which dialect's path.
    pub(super) style: Style,
    /// The body, an object.
    pub(super) body: Value,
    /// A running number of the deployment, for ids.
    pub(super) number: u64,
    /// Seconds since 1970.
    pub(super) created: u64,
}

impl Asked {
    /// The model to answer with.
    pub(super) fn model<'a>(&'a self, behaviour: &'a Behaviour) -> &'a str {
        let asked = match &self.style {
            Style::Azure { deployment, .. } => Some(deployment.as_str()),
            Style::OpenAi | Style::AzureV1 => self.body["model"].as_str(),
        };
        behaviour.model.as_deref().or(asked).unwrap_or("unknown")
    }

    /// Whether a stream is wanted.
    pub(super) fn stream(&self) -> bool {
        self.operation != Operation::Embeddings && self.body["stream"] == true
    }

    /// Whether a usage chunk is wanted.
    pub(super) fn include_usage(&self) -> bool {
        self.body["stream_options"]["include_usage"] == true
    }

    /// How many choices are wanted; at least one, at most 128.
    pub(super) fn choices(&self) -> usize {
        self.body["n"]
            .as_u64()
            .map_or(1, |n| usize::try_from(n).unwrap_or(128).clamp(1, 128))
    }

    /// The limit on output tokens, if any.
    pub(super) fn max_tokens(&self) -> Option<usize> {
        ["max_completion_tokens", "max_tokens"]
            .into_iter()
            .find_map(|key| self.body[key].as_u64())
            .map(|limit| usize::try_from(limit).unwrap_or(usize::MAX))
    }

    /// The id of the answer.
    pub(super) fn id(&self) -> String {
        let prefix = match self.operation {
            Operation::Chat => "chatcmpl",
            Operation::Completions => "cmpl",
            Operation::Embeddings => "embd",
        };
        format!("{prefix}-lab{:06}", self.number)
    }

    /// The fields every answer and every chunk begins with.
    pub(super) fn frame(&self, object: &str, behaviour: &Behaviour) -> Map<String, Value> {
        let mut frame = Map::new();
        frame.insert("id".into(), self.id().into());
        frame.insert("object".into(), object.into());
        frame.insert("created".into(), self.created.into());
        frame.insert("model".into(), self.model(behaviour).into());
        frame
    }

    /// Adds the received JSON where the behaviour says so.
    pub(super) fn echo_into(&self, frame: &mut Map<String, Value>, behaviour: &Behaviour) {
        if behaviour.echo_request {
            frame.insert("x_request".into(), self.body.clone());
        }
    }
}

/// What a part of a stream is for, as waits and faults see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Before any content: role chunks, filter results.
    Preamble,
    /// A token of content: text, reasoning, arguments of a tool call.
    Content,
    /// Belongs to the content before it and comes with it.
    Along,
    /// After the content: finish reasons, usage, the end mark.
    Tail,
}

/// One event of a stream: the payload after `data:`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Event {
    pub(super) part: Part,
    pub(super) data: String,
}

impl Event {
    /// An event that carries JSON.
    pub(super) fn json(part: Part, value: &Value) -> Self {
        Self {
            part,
            data: value.to_string(),
        }
    }

    /// The end mark.
    pub(super) fn done() -> Self {
        Self {
            part: Part::Tail,
            data: "[DONE]".into(),
        }
    }
}

/// The content of an answer.
#[derive(Debug, PartialEq)]
pub(super) enum Answer {
    /// One JSON body, said in so many tokens.
    Whole { body: Value, tokens: usize },
    /// A stream.
    Stream(Vec<Event>),
}

/// A usage object.
pub(super) fn usage(prompt: usize, completion: usize, reasoning: usize) -> Value {
    json!({
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    })
}

/// Tokens of a prompt, as the lab counts them: one for every four characters of every text in it, rounded up.
pub(super) fn prompt_tokens(value: &Value) -> usize {
    fn characters(value: &Value) -> usize {
        match value {
            Value::String(text) => text.chars().count(),
            Value::Array(items) => items.iter().map(characters).sum(),
            Value::Object(fields) => ["content", "text"]
                .into_iter()
                .filter_map(|key| fields.get(key))
                .map(characters)
                .sum(),
            // A token given as its number.
            Value::Number(_) => 4,
            Value::Null | Value::Bool(_) => 0,
        }
    }
    characters(value).div_ceil(4)
}

/// The text of an answer in tokens: words with the space before them, cut to `limit`. The second value is whether it
/// was cut.
pub(super) fn tokens_of(behaviour: &Behaviour, limit: Option<usize>) -> (Vec<String>, bool) {
    let mut tokens = match &behaviour.text {
        Some(text) => words(text),
        None => (0..behaviour.tokens)
            .map(|index| {
                let word = WORDS[index % WORDS.len()];
                if index == 0 {
                    word.to_owned()
                } else {
                    format!(" {word}")
                }
            })
            .collect(),
    };
    let cut = limit.is_some_and(|limit| limit < tokens.len());
    if let Some(limit) = limit {
        tokens.truncate(limit);
    }
    (tokens, cut)
}

const WORDS: [&str; 16] = [
    "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve", "thirteen", "fourteen", "fifteen", "sixteen",
];

/// `text` in words, each with the white space before it; joined they are `text`.
pub(super) fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut start = 0;
    let mut in_word = false;
    for (at, character) in text.char_indices() {
        if character.is_whitespace() && in_word {
            words.push(text[start..at].to_owned());
            start = at;
        }
        in_word = !character.is_whitespace();
    }
    if start < text.len() {
        words.push(text[start..].to_owned());
    }
    words
}

/// The log probabilities of tokens as chat answers them; every token was a near thing.
pub(super) fn chat_logprobs(tokens: &[String], top: usize) -> Value {
    let content: Vec<Value> = tokens
        .iter()
        .map(|token| {
            let entry = json!({"token": token, "logprob": -0.25, "bytes": token.as_bytes()});
            let mut with_top = entry.clone();
            with_top["top_logprobs"] = vec![entry; top].into();
            with_top
        })
        .collect();
    json!({"content": content, "refusal": null})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_joined_are_the_text() {
        for (text, count) in [
            ("", 0),
            ("one", 1),
            ("Grüße an  alle\n🌍 ", 4 + 1),
            ("  x", 1),
        ] {
            let words = words(text);
            assert_eq!(words.concat(), text);
            assert_eq!(words.len(), count, "{words:?}");
        }
    }

    #[test]
    fn a_limit_cuts_and_says_so() {
        let behaviour = Behaviour {
            tokens: 3,
            ..Behaviour::default()
        };
        assert_eq!(
            tokens_of(&behaviour, None),
            (vec!["one".into(), " two".into(), " three".into()], false)
        );
        assert_eq!(tokens_of(&behaviour, Some(1)), (vec!["one".into()], true));
        assert!(!tokens_of(&behaviour, Some(3)).1);
    }

    #[test]
    fn prompts_are_counted_by_characters_of_their_texts() {
        for (prompt, tokens) in [
            (json!("12345"), 2),
            (
                json!([{"role": "user", "content": "1234"}, {"role": "user", "content": [{"type": "text", "text": "5678"}]}]),
                2,
            ),
            (json!([1, 2, 3]), 3),
            (json!(null), 0),
        ] {
            assert_eq!(prompt_tokens(&prompt), tokens, "{prompt}");
        }
    }
}
