//! Names of tools and ids of calls as Bedrock takes them: 64 characters of a small set. Others are replaced, always the same
//! way, so that nothing has to be remembered between a request and the next.

use std::borrow::Cow;

use serde::Deserialize;

use crate::provider::Call;

/// The longest name or id.
const LONGEST: usize = 64;
/// Digits that tell apart what was replaced.
const DIGITS: usize = 8;

/// A tool's name: letters, digits, `_` and `-`.
pub(super) fn tool(name: &str) -> Cow<'_, str> {
    fitted(name, |c| {
        c.is_ascii_alphanumeric() || matches!(c, '_' | '-')
    })
}

/// A call's id: as a name, with `.` and `:`.
pub(super) fn id(id: &str) -> Cow<'_, str> {
    fitted(id, |c| {
        c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':')
    })
}

fn fitted(name: &str, fits: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !name.is_empty() && name.len() <= LONGEST && name.chars().all(&fits) {
        return Cow::Borrowed(name);
    }
    let kept = name.chars().take(LONGEST - DIGITS - 1);
    let mut out: String = kept.map(|c| if fits(c) { c } else { '_' }).collect();
    out.push('_');
    out.push_str(&blake3::hash(name.as_bytes()).to_hex()[..DIGITS]);
    Cow::Owned(out)
}

/// The client's name of the tool that Bedrock knows as `name`; `None` if the request has no such tool.
pub(super) fn original(call: &Call, name: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Tool {
        function: Option<Function>,
    }
    #[derive(Deserialize)]
    struct Function {
        name: String,
    }
    let tools: Vec<Tool> = serde_json::from_slice(call.head.raw(&call.body, "tools")?).ok()?;
    let mut names = tools
        .into_iter()
        .filter_map(|tool| Some(tool.function?.name));
    names.find(|own| tool(own) == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_replaced() {
        let long = "x".repeat(65);
        for name in ["get weather", "a.b", "ä", "", &long] {
            let fit = tool(name);
            let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
            assert!(
                (1..=64).contains(&fit.len()) && fit.chars().all(valid),
                "{fit}"
            );
            assert_ne!(fit, name);
        }
        assert_ne!(tool("a b"), tool("a.b"));
        assert_eq!(
            (tool("a_b-1"), id("a.b:c")),
            ("a_b-1".into(), "a.b:c".into())
        );
        assert_eq!(id("toolu bdrk").len(), 10 + 1 + DIGITS);
    }
}
