//! Names of models that mean the same one: what is asked for (`gpt-4o`), what a provider bills (`gpt-4o-2024-08-06`), and how
//! its pages write it (`Claude Haiku 4.5`).

use std::collections::BTreeMap;

/// Names that are the same, as somebody said.
#[derive(Clone, Debug, Default)]
pub struct Same(BTreeMap<String, String>);

impl Same {
    /// From now on `name` is written `as_name`.
    pub fn set(&mut self, name: &str, as_name: &str) {
        self.0.insert(plain(name), plain(as_name));
    }

    /// The one name of all that mean the same model.
    #[must_use]
    pub fn name(&self, name: &str) -> String {
        let name = plain(name);
        self.0.get(&name).cloned().unwrap_or(name)
    }
}

/// A name without its date and its provider, in lower case, words apart by `-`.
fn plain(name: &str) -> String {
    let name = name.rsplit_once('/').map_or(name, |(_, name)| name);
    join(&words(name))
}

/// A name's words without dates.
pub(super) fn words(name: &str) -> Vec<String> {
    let all: Vec<String> = name
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    let digits = |at: usize, n: usize| {
        all.get(at)
            .is_some_and(|word| word.len() == n && word.bytes().all(|b| b.is_ascii_digit()))
    };
    let mut words = Vec::new();
    let mut at = 0;
    while let Some(word) = all.get(at) {
        if digits(at, 4) && word.starts_with("20") && digits(at + 1, 2) && digits(at + 2, 2) {
            at += 3;
            continue;
        }
        let day =
            digits(at, 8) && word.starts_with("20") || digits(at, 4) && is_month_and_day(word);
        // A name is never a date alone.
        if (!day && word != "latest") || all.len() == 1 {
            words.push(word.clone());
        }
        at += 1;
    }
    words
}

pub(super) fn join(words: &[String]) -> String {
    words.join("-")
}

/// `0718`, as in `gpt-4o-mini-0718`.
fn is_month_and_day(word: &str) -> bool {
    let part = |range| {
        word.get(range)
            .and_then(|text: &str| text.parse::<u8>().ok())
    };
    matches!((part(0..2), part(2..4)), (Some(1..=12), Some(1..=31)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_one_model_are_one() {
        for (names, plain) in [
            (
                &["gpt-4o", "gpt-4o-2024-08-06", "openai/gpt-4o"][..],
                "gpt-4o",
            ),
            (&["gpt-4-0613", "GPT-4"], "gpt-4"),
            (
                &[
                    "Claude Haiku 4.5",
                    "claude-haiku-4-5-20251001",
                    "claude-haiku-4-5",
                ],
                "claude-haiku-4-5",
            ),
            (
                &[
                    "Claude 3.5 Sonnet 2024-10-22",
                    "claude-3-5-sonnet-20241022",
                    "claude-3-5-sonnet-latest",
                ],
                "claude-3-5-sonnet",
            ),
            (&["mistral-large-2407"], "mistral-large-2407"),
            (&[""], ""),
        ] {
            for name in names {
                assert_eq!(super::plain(name), plain, "{name}");
            }
        }
    }

    #[test]
    fn others_are_the_same_if_said_so() {
        let mut same = Same::default();
        same.set("chat-prod", "gpt-4o");
        assert_eq!(same.name("Chat-Prod"), "gpt-4o");
        assert_eq!(same.name("gpt-4o-2024-08-06"), "gpt-4o");
        assert_eq!(same.name("other"), "other");
    }
}
