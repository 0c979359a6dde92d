//! The last requests and what was decided for them, for whoever runs the gateway. No prompts, no keys.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use serde::{Serialize, Serializer};

/// What is kept of a name that a client made up.
const NAME_MOST: usize = 100;

/// The last decisions.
#[derive(Debug)]
pub struct Decisions {
    most: usize,
    kept: Mutex<VecDeque<Decided>>,
}

/// One request, when it is over. The fields are described in `docs/explain.md`, by the same names. It is written for every
/// request and read for few, so that it shares what there is and is put into words when it is read.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Decided {
    /// Its id.
    pub request: Arc<str>,
    /// When it came, since the epoch; written as in the access log.
    #[serde(serialize_with = "date")]
    pub time: Duration,
    /// The name of the key it came with.
    pub caller: Option<Arc<str>>,
    /// `chat`, `completions` or `embeddings`.
    pub operation: &'static str,
    /// The name it asked for.
    pub model: String,
    /// The groups that were asked, in order.
    pub groups: Vec<Arc<str>>,
    /// The rule of the last of them.
    pub strategy: Option<&'static str>,
    /// The attempts, in order.
    pub attempts: Vec<Tried>,
    /// The deployment that answered, or was asked last.
    pub deployment: Option<Arc<str>>,
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
    pub group: Arc<str>,
    /// The deployment.
    pub deployment: Arc<str>,
    /// What came of it.
    pub verdict: Cow<'static, str>,
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
        let wanted = |d: &&Decided| request.is_none_or(|id| *d.request == *id);
        kept.iter().rev().filter(wanted).cloned().collect()
    }
}

fn date<S: Serializer>(unix: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_rfc3339_millis(UNIX_EPOCH + *unix))
}

/// As much of a client's name for something as is kept.
pub(super) fn bounded(name: &str) -> String {
    let end = name.char_indices().nth(NAME_MOST);
    name[..end.map_or(name.len(), |(at, _)| at)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decided(request: &str) -> Decided {
        Decided {
            request: request.into(),
            time: Duration::ZERO,
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
            let list = decisions.list(of).into_iter();
            list.map(|d| d.request.to_string()).collect()
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
