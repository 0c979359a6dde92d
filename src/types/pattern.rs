//! Names with `*` in them.

use std::cmp::Reverse;

/// A name in which every `*` stands for any text, also none. It is held against whole names, and case counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// What stands before the first `*`.
    head: Box<str>,
    /// What stands behind each `*`, in order.
    tails: Box<[Box<str>]>,
}

impl Pattern {
    /// Whether `name` has a `*`.
    #[must_use]
    pub fn is_one(name: &str) -> bool {
        name.contains('*')
    }

    /// The pattern of `text`; without a `*` it is that name alone.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let mut parts = text.split('*').map(Box::from);
        Self {
            head: parts.next().unwrap_or_default(),
            tails: parts.collect(),
        }
    }

    /// What the `*` stand for if `name` is of this pattern. Where it can be read in several ways, an earlier `*` is as
    /// long as possible.
    #[must_use]
    pub fn matches<'a>(&self, name: &'a str) -> Option<Vec<&'a str>> {
        let mut rest = name.strip_prefix(&*self.head)?;
        let Some((last, between)) = self.tails.split_last() else {
            return rest.is_empty().then(Vec::new);
        };
        // From the end: a text found as late as possible leaves most to the `*` before it, and room for all before that.
        rest = rest.strip_suffix(&**last)?;
        let mut captures = Vec::with_capacity(self.tails.len());
        for tail in between.iter().rev() {
            let at = rest.rfind(&**tail)?;
            captures.push(&rest[at + tail.len()..]);
            rest = &rest[..at];
        }
        captures.push(rest);
        captures.reverse();
        Some(captures)
    }

    /// `template` with its `*` replaced by `captures`, one by one. What is left over on either side stays out, or stays.
    #[must_use]
    pub fn fill(template: &str, captures: &[&str]) -> String {
        let mut captures = captures.iter();
        let mut parts = template.split('*');
        let mut filled = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            filled.push_str(captures.next().unwrap_or(&"*"));
            filled.push_str(part);
        }
        filled
    }

    /// Sorts the more specific pattern first: the one with more letters of its own, then the one with fewer `*`, then
    /// the one that begins with more. Equals keep their order under a stable sort.
    #[must_use]
    pub fn rank(&self) -> impl Ord + use<> {
        let own = self.head.len() + self.tails.iter().map(|tail| tail.len()).sum::<usize>();
        (Reverse(own), self.tails.len(), Reverse(self.head.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_held_against_the_whole_pattern() {
        for (pattern, name, expected) in [
            ("gpt", "gpt", Some(vec![])),
            ("gpt", "gpt-4", None),
            ("openai/*", "openai/gpt-4o", Some(vec!["gpt-4o"])),
            ("openai/*", "openai/a/b", Some(vec!["a/b"])),
            ("openai/*", "my-openai/gpt", None),
            ("openai/*-mini", "openai/gpt-4o", None),
            ("openai/*-mini", "openai/gpt-4o-mini", Some(vec!["gpt-4o"])),
            ("openai/*-mini", "openai/x-mini-2", None),
            ("*", "anything", Some(vec!["anything"])),
            ("gpt-4*", "gpt-4", Some(vec![""])),
            ("*/*", "a/b", Some(vec!["a", "b"])),
            ("*/*", "a/b/c", Some(vec!["a/b", "c"])),
            ("*-*-*", "a-b", None),
            ("a*a", "a", None),
            ("a*a", "aa", Some(vec![""])),
            ("é*", "éé", Some(vec!["é"])),
        ] {
            assert_eq!(
                Pattern::new(pattern).matches(name),
                expected,
                "{pattern} {name}"
            );
        }
    }

    #[test]
    fn captures_fill_templates() {
        for (pattern, name, template, expected) in [
            ("openai/*", "openai/gpt-4o", "*", "gpt-4o"),
            ("*", "x", "prefix/*-suffix", "prefix/x-suffix"),
            ("*/*", "a/b", "*.*", "a.b"),
            ("*/*", "a/b", "*", "a"),
            ("*", "a", "*/*", "a/*"),
            ("openai/*", "openai/a", "fixed", "fixed"),
        ] {
            let pattern = Pattern::new(pattern);
            let captures = pattern.matches(name).expect("matches");
            assert_eq!(Pattern::fill(template, &captures), expected, "{template}");
        }
    }

    #[test]
    fn the_most_specific_comes_first() {
        let mut patterns = [
            "*",
            "**",
            "a*",
            "*b",
            "openai/*",
            "openai/gpt-*",
            "*/gpt-*x",
        ];
        patterns.sort_by_key(|text| Pattern::new(text).rank());
        assert_eq!(
            patterns,
            [
                "openai/gpt-*",
                "openai/*",
                "*/gpt-*x",
                "a*",
                "*b",
                "*",
                "**"
            ]
        );
    }

    proptest! {
        #[test]
        fn captures_fill_the_pattern_to_the_name(pattern in "[ab*]{0,6}", name in "[ab]{0,8}") {
            let parsed = Pattern::new(&pattern);
            if let Some(captures) = parsed.matches(&name) {
                prop_assert_eq!(Pattern::fill(&pattern, &captures), name);
            }
        }

        #[test]
        fn what_a_pattern_was_filled_with_matches(pattern in "[ab*]{0,6}", parts in proptest::collection::vec("[ab]{0,3}", 6)) {
            let parsed = Pattern::new(&pattern);
            let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
            let name = Pattern::fill(&pattern, &parts);
            prop_assert!(parsed.matches(&name).is_some(), "{} {}", pattern, name);
        }
    }
}
