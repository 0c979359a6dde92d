//! The nearest known name to a misspelt one.
//!
//! Distance is counted in edits: a letter added, left out, replaced, or swapped with its neighbour. Case and the
//! difference between `-` and `_` do not count, so that `OpenAI` leads to `openai`. What is further away than a third
//! of its length is not offered: a wrong guess is worse than none.

/// The known name that `word` was probably meant to be, if one is near.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = fold(word);
    // Beyond any key we know; also bounds the work for a hostile file.
    if word.len() > 64 {
        return None;
    }
    let limit = (word.len() / 3).clamp(1, 3);
    known
        .into_iter()
        .map(|name| {
            let folded = fold(name);
            let affix = word.len() >= 4
                && (folded.starts_with(&word) || (folded.len() >= 4 && word.starts_with(&folded)));
            (
                if affix {
                    distance(&word, &folded).min(limit)
                } else {
                    distance(&word, &folded)
                },
                name,
            )
        })
        .min_by_key(|(edits, _)| *edits)
        .filter(|(edits, _)| *edits <= limit)
        .map(|(_, name)| name)
}

/// `; did you mean "name"?`, or nothing.
pub(super) fn hint<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, known).map_or_else(String::new, |name| format!("; did you mean \"{name}\"?"))
}

fn fold(word: &str) -> Vec<char> {
    word.chars()
        .flat_map(char::to_lowercase)
        .map(|c| if c == '-' || c == ' ' { '_' } else { c })
        .collect()
}

/// Optimal string alignment distance.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut previous: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replaced = previous[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(previous[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut previous, row);
    }
    previous[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KNOWN: [&str; 6] = [
        "routing_strategy",
        "cooldown_time",
        "num_retries",
        "redis_host",
        "simple-shuffle",
        "openai",
    ];

    #[test]
    fn finds_what_was_meant() {
        for (word, expected) in [
            ("routing_stratgey", Some("routing_strategy")),
            ("cooldown", Some("cooldown_time")),
            ("OpenAI", Some("openai")),
            ("num-retries", Some("num_retries")),
            ("redis_hots", Some("redis_host")),
            ("simple-shuffle\"", Some("simple-shuffle")),
            ("round-robin", None),
            ("", None),
            ("x", None),
        ] {
            assert_eq!(nearest(word, KNOWN), expected, "{word}");
        }
    }

    proptest! {
        #[test]
        fn a_known_name_is_nearest_to_itself(i in 0..KNOWN.len()) {
            prop_assert_eq!(nearest(KNOWN[i], KNOWN), Some(KNOWN[i]));
        }

        #[test]
        fn distance_is_symmetric(a in "[a-d]{0,8}", b in "[a-d]{0,8}") {
            let (a, b): (Vec<_>, Vec<_>) = (a.chars().collect(), b.chars().collect());
            prop_assert_eq!(distance(&a, &b), distance(&b, &a));
        }

        #[test]
        fn never_panics(word in ".*") {
            let _ = hint(&word, KNOWN);
        }
    }
}
