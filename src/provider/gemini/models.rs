//! What Gemini's models differ in, as far as a request has to know it.
//!
//! Efforts and budgets are those of Google's own OpenAI endpoint where it names them (low 1024, medium 8192, high 24576
//! tokens); the ends of the ranges are the models' (2.5 Pro 128 to 32768, Flash up to 24576, Flash-Lite from 512).

use crate::provider::chat::Effort;

/// How a model is told how much to think; by [`Effort`], from `none` to `max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Thinks {
    /// It is not told: it does not think, or nobody knows what model it is.
    Not,
    /// In tokens, `thinkingBudget`.
    Budget([u32; 7]),
    /// By a word, `thinkingLevel`.
    Level([&'static str; 7]),
}

const NO_MINIMAL: Thinks = Thinks::Level(["LOW", "LOW", "LOW", "MEDIUM", "HIGH", "HIGH", "HIGH"]);
const MINIMAL: Thinks = Thinks::Level([
    "MINIMAL", "MINIMAL", "LOW", "MEDIUM", "HIGH", "HIGH", "HIGH",
]);

/// Beginnings of names, and a part that must follow; the first row that fits counts.
const MODELS: &[(&str, &str, Thinks)] = &[
    ("gemini-1", "", Thinks::Not),
    ("gemini-2.0", "", Thinks::Not),
    ("gemini-2.5", "image", Thinks::Not),
    ("gemini-2.5", "tts", Thinks::Not),
    (
        "gemini-2.5",
        "flash-lite",
        Thinks::Budget([0, 512, 1024, 8192, 24_576, 24_576, 24_576]),
    ),
    (
        "gemini-2.5",
        "flash",
        Thinks::Budget([0, 128, 1024, 8192, 24_576, 24_576, 24_576]),
    ),
    (
        "gemini-2.5",
        "",
        Thinks::Budget([128, 128, 1024, 8192, 24_576, 32_768, 32_768]),
    ),
    ("gemini-2", "", Thinks::Not),
    // The one model of its generation without `MEDIUM`.
    (
        "gemini-3-pro",
        "",
        Thinks::Level(["LOW", "LOW", "LOW", "HIGH", "HIGH", "HIGH", "HIGH"]),
    ),
    ("gemini-", "flash", MINIMAL),
    ("gemini-", "", NO_MINIMAL),
];

/// The name itself, without what may stand before it.
fn bare(model: &str) -> &str {
    model.rsplit('/').next().unwrap_or(model)
}

/// How this model is told how much to think.
pub(super) fn thinks(model: &str) -> Thinks {
    let model = bare(model);
    let fits = |(start, part, _): &&(&str, &str, Thinks)| {
        model
            .strip_prefix(*start)
            .is_some_and(|rest| rest.contains(*part))
    };
    MODELS
        .iter()
        .find(fits)
        .map_or(Thinks::Not, |(_, _, thinks)| *thinks)
}

/// Whether this model refuses calls of functions that come back without the signature of the thought behind them:
/// generation 3 and later, and the names that follow the newest one (`gemini-flash-latest`).
pub(super) fn wants_signatures(model: &str) -> bool {
    bare(model).strip_prefix("gemini-").is_some_and(|rest| {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        rest[..digits]
            .parse()
            .map_or_else(|_| rest.ends_with("-latest"), |n: u32| n >= 3)
    })
}

/// The budget or the level for an effort, as the member of `thinkingConfig` and its value.
pub(super) fn effort(thinks: Thinks, effort: Effort) -> Option<(&'static str, serde_json::Value)> {
    match thinks {
        Thinks::Not => None,
        Thinks::Budget(tokens) => Some(("thinkingBudget", tokens[effort as usize].into())),
        Thinks::Level(words) => Some(("thinkingLevel", words[effort as usize].into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn efforts() {
        let cases = [
            ("gemini-2.5-pro", Effort::None, Some("128")),
            ("gemini-2.5-pro-preview-06-05", Effort::Max, Some("32768")),
            ("gemini-2.5-flash", Effort::None, Some("0")),
            ("gemini/gemini-2.5-flash-lite", Effort::Minimal, Some("512")),
            ("gemini-2.5-flash-image", Effort::Low, None),
            ("gemini-2.0-flash-thinking", Effort::Low, None),
            ("gemini-3-pro-preview", Effort::Medium, Some("\"HIGH\"")),
            ("gemini-3.1-pro", Effort::Medium, Some("\"MEDIUM\"")),
            ("gemini-3-flash", Effort::None, Some("\"MINIMAL\"")),
            ("gemini-flash-latest", Effort::Low, Some("\"LOW\"")),
            ("gemini-4-ultra", Effort::Minimal, Some("\"LOW\"")),
            ("gemma-3-27b-it", Effort::Low, None),
            ("4711", Effort::Low, None),
        ];
        for (model, asked, expected) in cases {
            let got = effort(thinks(model), asked).map(|(_, value)| value.to_string());
            assert_eq!(got.as_deref(), expected, "{model} {asked:?}");
        }
    }

    #[test]
    fn generations() {
        for (model, expected) in [
            ("gemini-3-pro-preview", true),
            ("google/gemini-3.1-flash", true),
            ("gemini-10-pro", true),
            ("gemini-pro-latest", true),
            ("gemini-2.5-pro", false),
            ("gemini-embedding-001", false),
            ("gemma-3-27b-it", false),
            ("4711", false),
        ] {
            assert_eq!(wants_signatures(model), expected, "{model}");
        }
    }
}
