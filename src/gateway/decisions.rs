//! The last requests and what was decided for them, for whoever runs the gateway. No prompts, no keys.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

/// What is kept of a name that a client made up.
const NAME_MOST: usize = 100;

/// The last decisions.
#[derive(Debug)]
pub struct Decisions {
    most: usize,
    kept: Mutex<VecDeque<Decided>>,
}

/// One request, when it is over. The fields are described in `docs/explain.md`, by the same names.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Decided {
    /// Its id.
    pub request: String,
    /// When it came, as in the access log.
    pub time: String,
    /// The name of the key it came with.
    pub caller: Option<String>,
    /// `chat`, `completions` or `embeddings`.
    pub operation: &'static str,
    /// The name it asked for.
    pub model: String,
    /// The groups that were asked, in order.
    pub groups: Vec<String>,
    /// The rule of the last of them.
    pub strategy: Option<&'static str>,
    /// The attempts, in order.
    pub attempts: Vec<Tried>,
    /// The deployment that answered, or was asked last.
    pub deployment: Option<String>,
    /// Why it went there.
    pub reason: &'static str,
    /// The cache's part.
    pub cache: &'static str,
    /// `ok`, or what went wrong.
    pub outcome: &'static str,
    /// The status of the answer; 0 if the client left before it.
    pub status: u16,
    /// Whether it was a stream.
    pub stream: bool,
    /// To the first content of the attempt that answered.
    pub first_content_seconds: Option<f64>,
    /// All in all.
    pub total_seconds: f64,
    /// Tokens.
    pub input_tokens: u64,
    /// Tokens.
    pub output_tokens: u64,
    /// What they cost, if that is known.
    pub cost_dollars: Option<f64>,
}

/// One attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tried {
    /// The group.
    pub group: String,
    /// The deployment.
    pub deployment: String,
    /// What came of it.
    pub verdict: String,
}

impl Decisions {
    /// Keeps the last `most`; nothing if that is 0.
    #[must_use]
    pub fn new(most: usize) -> Option<Arc<Self>> {
        let kept = Mutex::default();
        (most > 0).then(|| Arc::new(Self { most, kept }))
    }

    /// How many are kept.
    #[must_use]
    pub const fn most(&self) -> usize {
        self.most
    }

    /// One more; the oldest one goes.
    pub fn push(&self, decided: Decided) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == self.most {
            kept.pop_front();
        }
        kept.push_back(decided);
    }

    /// Those of that request, or all; the last one first.
    #[must_use]
    pub fn list(&self, request: Option<&str>) -> Vec<Decided> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = |d: &&Decided| request.is_none_or(|id| d.request == id);
        kept.iter().rev().filter(wanted).cloned().collect()
    }
}

/// As much of a client's name for something as is kept.
pub(super) fn bounded(name: &str) -> String {
    name.chars().take(NAME_MOST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decided(request: &str) -> Decided {
        Decided {
            request: request.to_owned(),
            time: String::new(),
            caller: None,
            operation: "chat",
            model: "m".to_owned(),
            groups: Vec::new(),
            strategy: None,
            attempts: Vec::new(),
            deployment: None,
            reason: "strategy",
            cache: "off",
            outcome: "ok",
            status: 200,
            stream: false,
            first_content_seconds: None,
            total_seconds: 0.0,
            input_tokens: 0,
            output_tokens: 0,
            cost_dollars: None,
        }
    }

    #[test]
    fn the_last_ones_first_and_no_more_than_that() {
        assert!(Decisions::new(0).is_none());
        let decisions = Decisions::new(2).expect("on");
        let ids = |of: Option<&str>| -> Vec<String> {
            decisions.list(of).into_iter().map(|d| d.request).collect()
        };
        for (id, expected) in [
            ("a", &["a"][..]),
            ("b", &["b", "a"]),
            ("c", &["c", "b"]),
            ("b", &["b", "c"]),
        ] {
            decisions.push(decided(id));
            assert_eq!(ids(None), expected);
        }
        assert_eq!(ids(Some("c")), ["c"]);
        assert_eq!(ids(Some("a")), [""; 0]);
    }

    #[test]
    fn names_are_bounded() {
        assert_eq!(bounded(&"ä".repeat(5000)).chars().count(), NAME_MOST);
    }
}
