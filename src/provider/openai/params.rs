//! What becomes of parameters that a provider does not take.

use std::borrow::Cow;

use bytes::Bytes;

use crate::provider::{AdaptError, Call};
use crate::request::Edit;
use crate::types::Target;

/// Members that are the request itself, whatever the file wants dropped.
const NEVER: [&str; 5] = ["model", "messages", "input", "prompt", "stream"];
/// Numbers that stand for nothing being asked: `(parameter, value)`.
const NOTHING: [(&str, f64); 4] = [
    ("n", 1.0),
    ("frequency_penalty", 0.0),
    ("presence_penalty", 0.0),
    ("top_logprobs", 0.0),
];

/// What becomes of the parameters that the provider's row or the file names.
#[derive(Debug)]
pub(super) struct Params {
    rules: Vec<(Cow<'static, str>, Rule)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// Left out, and named.
    Drop,
    /// The request is refused if it asks for something by it.
    Refuse,
}

impl Params {
    pub(super) fn new(target: &Target) -> Self {
        let (quirks, dropping) = (target.quirks, &target.dropping);
        let rest = if dropping.all {
            Rule::Drop
        } else {
            Rule::Refuse
        };
        let listed = |list: &[String], name: &str| list.iter().any(|other| other == name);
        let own = dropping
            .also
            .iter()
            .map(|name| (Cow::Owned(name.clone()), Rule::Drop));
        let ignored = quirks.ignored.iter().map(|name| (*name, Rule::Drop));
        let refused = quirks.refused.iter().map(|name| (*name, rest));
        let rows = ignored
            .chain(refused)
            .filter(|(name, _)| !listed(&dropping.allowed, name) && !listed(&dropping.also, name))
            .map(|(name, rule)| (Cow::Borrowed(name), rule));
        let rules = own
            .chain(rows)
            .filter(|(name, _)| !NEVER.contains(&&**name))
            .collect();
        Self { rules }
    }

    /// Whether a parameter is not sent as it is.
    pub(super) fn names(&self, name: &str) -> bool {
        self.rules.iter().any(|(other, _)| other == name)
    }

    /// Leaves out what is not taken; returns the names of what would have made a difference.
    ///
    /// # Errors
    /// If the call asks for something that can neither be sent nor be left out.
    pub(super) fn leave_out<'a>(
        &'a self,
        call: &Call,
        target: &Target,
        edits: &mut Vec<Edit<'a>>,
    ) -> Result<Vec<Cow<'static, str>>, AdaptError> {
        let mut dropped: Vec<Cow<'static, str>> = Vec::new();
        for (name, rule) in &self.rules {
            let asked = call.head.raw(&call.body, name);
            if let Some(value) = asked {
                edits.push(Edit::Remove(name));
                match rule {
                    _ if is_nothing(name, value) => {}
                    Rule::Refuse => return Err(refusal(name, target)),
                    Rule::Drop => dropped.push(name.clone()),
                }
            }
        }
        Ok(dropped)
    }
}

/// Whether a parameter of this value asks for nothing that would not be without it.
fn is_nothing(name: &str, value: &[u8]) -> bool {
    if name == "parallel_tool_calls" {
        return matches!(value, b"null" | b"true"); // the default is true
    }
    if matches!(
        value,
        b"null" | b"false" | b"[]" | b"{}" | b"\"\"" | b"\"none\"" | b"\"auto\""
    ) {
        return true;
    }
    let number = || serde_json::from_slice::<f64>(value).ok();
    NOTHING
        .iter()
        .any(|(other, nothing)| *other == name && number() == Some(*nothing))
}

fn refusal(name: &str, target: &Target) -> AdaptError {
    AdaptError::Unsupported {
        param: name.to_owned().into(),
        message: format!(
            "`{name}` is not available: provider {} does not take it; with drop_params: true the deployment would \
             answer without it",
            target.provider
        ),
    }
}

/// The provider's spelling of a value.
pub(super) fn theirs(target: &Target, name: &str, value: &[u8]) -> Option<Bytes> {
    let (_, _, theirs) = target
        .quirks
        .values
        .iter()
        .find(|(other, ours, _)| *other == name && ours.as_bytes() == value)?;
    Some(Bytes::from_static(theirs.as_bytes()))
}
