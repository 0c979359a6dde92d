//! How a deployment behaves: what it answers, how fast, in what pieces, and what goes wrong.
//!
//! A [`Behaviour`] is plain data, complete in itself, readable from YAML and JSON, and it can be exchanged while the
//! deployment runs. The default is a healthy deployment that answers at once; every field departs from that in one
//! respect. The same request with the same behaviour gives the same content: only waits and chances are drawn from the
//! deployment's seeded generator.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::fault::{Chance, Fault, Hold};
use super::latency::{Latency, text};

/// What a deployment does with a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Behaviour {
    /// Wait before status and headers.
    pub head: Latency,
    /// Wait from the head to the first content. For a plain answer it comes on top of `head`.
    pub first_token: Latency,
    /// Wait before each further content token. A plain answer takes as long as the stream would.
    pub per_token: Latency,

    /// What is said. Without it: `tokens` words.
    pub text: Option<String>,
    /// How many words are said where `text` says nothing.
    pub tokens: usize,
    /// Reasoning that comes before the text.
    pub reasoning: Option<String>,
    /// The field that carries it.
    pub reasoning_field: ReasoningField,
    /// How many tool calls answer a request with `tools`; 0 answers in plain text. Two and more are cut to one where
    /// the request says `parallel_tool_calls: false`.
    pub tool_calls: usize,
    /// What is said before the tool calls.
    pub text_before_tools: Option<String>,
    /// The `model` in the answer. Without it: the one of the request.
    pub model: Option<String>,
    /// What `/models` lists. Empty: the deployment's own model.
    pub models: Vec<String>,
    /// Whether usage is reported.
    pub usage: bool,
    /// Length of an embedding where the request has no `dimensions`.
    pub dimensions: usize,
    /// How embeddings are encoded.
    pub embeddings: EmbeddingEncoding,
    /// Answers `/completions` with the prompt followed by the text.
    pub echo_prompt: bool,
    /// Puts the received JSON into the field `x_request` of the answer, or of a stream's first chunk.
    pub echo_request: bool,
    /// Further headers of every answer.
    pub headers: BTreeMap<String, String>,

    /// How events meet writes.
    pub chunking: Chunking,
    /// How events are framed.
    pub framing: Framing,
    /// Comment lines at this interval while the stream has nothing to say.
    #[serde(with = "text::optional")]
    pub heartbeat: Option<Duration>,

    /// The key a request must carry, as bearer or, on Azure paths, as `api-key`; else 401.
    pub expect_key: Option<String>,
    /// Top-level request fields that are refused with 400 `Unrecognized request argument`.
    pub refuse_fields: Vec<String>,
    /// Knows only `/completions`; chat is 404.
    pub completions_only: bool,

    /// Goes wrong always.
    pub fault: Option<Fault>,
    /// Go wrong now and then; at most one of them per request.
    pub faults: Vec<Chance>,
    /// Waits there for a release.
    pub hold: Option<Hold>,

    /// Answers prebuilt bytes whatever the request is, and ignores everything else here except `headers`.
    pub canned: Option<Canned>,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            head: Latency::ZERO,
            first_token: Latency::ZERO,
            per_token: Latency::ZERO,
            text: None,
            tokens: 8,
            reasoning: None,
            reasoning_field: ReasoningField::default(),
            tool_calls: 1,
            text_before_tools: None,
            model: None,
            models: Vec::new(),
            usage: true,
            dimensions: 8,
            embeddings: EmbeddingEncoding::default(),
            echo_prompt: false,
            echo_request: false,
            headers: BTreeMap::new(),
            chunking: Chunking::default(),
            framing: Framing::default(),
            heartbeat: None,
            expect_key: None,
            refuse_fields: Vec::new(),
            completions_only: false,
            fault: None,
            faults: Vec::new(),
            hold: None,
            canned: None,
        }
    }
}

impl Behaviour {
    /// Healthy and immediate, saying `text`.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            text: Some(text.into()),
            ..Self::default()
        }
    }

    /// Always fails so.
    #[must_use]
    pub fn fault(fault: Fault) -> Self {
        Self {
            fault: Some(fault),
            ..Self::default()
        }
    }

    /// Waits at `hold` for each release.
    #[must_use]
    pub fn hold(hold: Hold) -> Self {
        Self {
            hold: Some(hold),
            ..Self::default()
        }
    }

    /// A prebuilt answer, for benches.
    #[must_use]
    pub fn canned(canned: Canned) -> Self {
        Self {
            canned: Some(canned),
            ..Self::default()
        }
    }

    /// The fault of one request; `draw` is an even number from 0 up to, not including, 1.
    #[must_use]
    pub fn fault_for(&self, draw: f64) -> Option<&Fault> {
        self.fault.as_ref().or_else(|| {
            let mut reach = 0.0;
            self.faults
                .iter()
                .find(|chance| {
                    reach += chance.probability;
                    draw < reach
                })
                .map(|chance| &chance.fault)
        })
    }

    /// Whether the port is closed while this stands.
    #[must_use]
    pub fn refuses_connections(&self) -> bool {
        self.fault == Some(Fault::Refused)
    }

    /// What is wrong with the numbers in it, if anything.
    ///
    /// # Errors
    /// A sentence that names the key.
    pub fn validate(&self) -> Result<(), String> {
        let sum: f64 = self.faults.iter().map(|chance| chance.probability).sum();
        let each = |chance: &Chance| (0.0..=1.0).contains(&chance.probability);
        if !self.faults.iter().all(each) || sum > 1.0 + 1e-9 {
            return Err(
                "faults: each probability is between 0 and 1, and together they are at most 1"
                    .into(),
            );
        }
        if self
            .faults
            .iter()
            .any(|chance| chance.fault == Fault::Refused)
        {
            return Err("faults: refused closes the port, so it stands under `fault`, not with a probability".into());
        }
        for fault in self
            .fault
            .iter()
            .chain(self.faults.iter().map(|chance| &chance.fault))
        {
            if let Fault::Status { status, .. } = fault
                && !(200..=599).contains(status)
            {
                return Err(format!(
                    "fault.status.status: {status} is no final HTTP status (200 to 599)"
                ));
            }
        }
        for (name, value) in &self.headers {
            if name.parse::<http::HeaderName>().is_err()
                || value.parse::<http::HeaderValue>().is_err()
            {
                return Err(format!("headers: {name:?}: {value:?} is no HTTP header"));
            }
        }
        if self.chunking == Chunking::SplitBytes(0) {
            return Err("chunking: split_bytes needs at least 1".into());
        }
        Ok(())
    }
}

impl From<Fault> for Behaviour {
    fn from(fault: Fault) -> Self {
        Self::fault(fault)
    }
}

/// The field reasoning text is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReasoningField {
    /// `DeepSeek`, xAI and others.
    #[default]
    ReasoningContent,
    /// Ollama, vLLM, Groq and others.
    Reasoning,
}

impl ReasoningField {
    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ReasoningContent => "reasoning_content",
            Self::Reasoning => "reasoning",
        }
    }
}

/// Which encodings of embeddings a deployment gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EmbeddingEncoding {
    /// The one the request asks for.
    #[default]
    Both,
    /// Numbers, whatever the request asks for.
    FloatsOnly,
    /// Base64 of little-endian `f32`, whatever the request asks for.
    Base64Only,
}

/// How the events of a stream meet the writes to the connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Chunking {
    /// One event, one write.
    #[default]
    Whole,
    /// So many bytes, one write: 1 splits every multi-byte character.
    SplitBytes(usize),
    /// As many events per write as there is no wait between.
    Coalesced,
}

/// How events of a stream are framed. All three are valid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Framing {
    /// `data: …` and line feeds, as OpenAI does.
    #[default]
    Lf,
    /// `data: …` and carriage returns with line feeds.
    Crlf,
    /// `data:…` without a space.
    Compact,
}

/// A prebuilt answer: the request is drained, nothing is parsed or recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Canned {
    /// A chat completion of about so many bytes (never fewer than its frame needs).
    Body {
        /// Bytes of the body.
        bytes: usize,
    },
    /// A chat stream.
    Stream {
        /// Content chunks.
        chunks: usize,
        /// Bytes of text in each.
        #[serde(default = "word")]
        bytes: usize,
        /// Pause before each; without it they come in one burst.
        #[serde(
            default,
            with = "text::optional",
            skip_serializing_if = "Option::is_none"
        )]
        every: Option<Duration>,
    },
}

const fn word() -> usize {
    5
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standing_fault_strikes_always_and_chances_share_the_draw() {
        let always = Behaviour::fault(Fault::Reset);
        assert_eq!(always.fault_for(0.999), Some(&Fault::Reset));

        let sometimes = Behaviour {
            faults: vec![
                Chance {
                    fault: Fault::ServerError,
                    probability: 0.2,
                },
                Chance {
                    fault: Fault::Timeout,
                    probability: 0.3,
                },
            ],
            ..Behaviour::default()
        };
        for (draw, fault) in [
            (0.0, Some(Fault::ServerError)),
            (0.19, Some(Fault::ServerError)),
            (0.21, Some(Fault::Timeout)),
            (0.49, Some(Fault::Timeout)),
            (0.51, None),
        ] {
            assert_eq!(sometimes.fault_for(draw), fault.as_ref(), "{draw}");
        }
    }

    #[test]
    fn numbers_that_make_no_sense_are_named() {
        let chance = |probability| Behaviour {
            faults: vec![Chance {
                fault: Fault::Timeout,
                probability,
            }],
            ..Behaviour::default()
        };
        assert_eq!(chance(1.0).validate(), Ok(()));
        for (behaviour, key) in [
            (chance(1.1), "faults"),
            (chance(-0.1), "faults"),
            (
                Behaviour::fault(Fault::status(7, serde_json::Value::Null)),
                "status",
            ),
            (
                Behaviour {
                    chunking: Chunking::SplitBytes(0),
                    ..Behaviour::default()
                },
                "split_bytes",
            ),
            (
                Behaviour {
                    headers: [("a b".into(), "c".into())].into(),
                    ..Behaviour::default()
                },
                "headers",
            ),
        ] {
            let error = behaviour.validate().expect_err(key);
            assert!(error.contains(key), "{error}");
        }
    }

    #[test]
    fn the_documentation_has_every_key() {
        let behaviour = serde_json::to_value(Behaviour::default()).expect("serializes");
        let documentation = include_str!("../../docs/lab.md");
        for key in behaviour.as_object().expect("an object").keys() {
            assert!(documentation.contains(&format!("\n| `{key}`")), "{key}");
        }
    }

    #[test]
    fn what_is_shown_can_be_read_back() {
        let behaviour = Behaviour {
            fault: Some(Fault::Cut { after: 2 }),
            hold: Some(Hold::After(3)),
            chunking: Chunking::SplitBytes(2),
            heartbeat: Some(Duration::from_millis(5)),
            ..Behaviour::default()
        };
        let json = serde_json::to_value(&behaviour).expect("serializes");
        assert_eq!(
            serde_json::from_value::<Behaviour>(json).ok(),
            Some(behaviour)
        );
    }
}
