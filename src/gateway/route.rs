//! Which group next: the groups a request may turn to when one has failed, as a pure state machine.
//!
//! A group that fails puts its own list on top of what is still to be tried, so that the order is the one of nested
//! fallbacks: of `a: [b, c]` and `b: [d]` it is a, b, d, c. Each group is tried at most once, and no more than
//! `max_fallbacks` besides the first, so that every route ends. A group that can't be asked at all (its deployments are
//! cooling, or can't do what is asked) counts like any other: it was the request's turn there.

use std::sync::Arc;

/// A group to turn to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Next {
    /// Its name, as the list has it.
    pub name: Arc<str>,
    /// Which of the request's own fallbacks this is, if it is one.
    pub own: Option<usize>,
}

/// The way of one request from group to group.
#[derive(Debug, Clone)]
pub struct Route {
    first: Arc<str>,
    /// Those tried since; most requests need no other.
    others: Vec<Arc<str>>,
    /// The next one is last.
    ahead: Vec<Next>,
    max: usize,
}

impl Route {
    /// A way that begins at `first` and leads to no more than `max` other groups.
    #[must_use]
    pub fn new(first: Arc<str>, max: u32) -> Self {
        Self {
            first,
            others: Vec::new(),
            ahead: Vec::new(),
            max: usize::try_from(max).unwrap_or(usize::MAX),
        }
    }

    /// Groups tried besides the first.
    #[must_use]
    pub fn fallbacks(&self) -> usize {
        self.others.len()
    }

    /// How many groups could still be tried if the present one failed, with `list` as its fallbacks.
    #[must_use]
    pub fn left(&self, list: &[Arc<str>]) -> usize {
        let mut names: Vec<&str> = self.ahead.iter().map(|next| &*next.name).collect();
        names.extend(list.iter().map(|name| &**name));
        names.retain(|name| !self.is_visited(name));
        names.sort_unstable();
        names.dedup();
        names.len().min(self.room())
    }

    /// The present group has failed, and these are its fallbacks.
    pub fn turn(&mut self, list: impl DoubleEndedIterator<Item = Next>) {
        for next in list.rev() {
            if !self.is_visited(&next.name) {
                self.ahead.retain(|other| other.name != next.name);
                self.ahead.push(next);
            }
        }
    }

    /// There is nothing more to try.
    pub fn stop(&mut self) {
        self.ahead.clear();
    }

    /// The next group, which is being tried from now on.
    pub fn advance(&mut self) -> Option<Next> {
        if self.room() == 0 {
            return None;
        }
        let next = loop {
            let next = self.ahead.pop()?;
            if !self.is_visited(&next.name) {
                break next;
            }
        };
        self.others.push(Arc::clone(&next.name));
        Some(next)
    }

    /// The name stands for a group of another name, which is what counts as visited. False if that was tried before.
    pub fn arrive(&mut self, id: &Arc<str>) -> bool {
        let Some((name, before)) = self.others.split_last_mut() else {
            return true;
        };
        let new = *id != self.first && !before.contains(id);
        *name = Arc::clone(id);
        if !new {
            self.others.pop();
        }
        new
    }

    fn room(&self) -> usize {
        self.max.saturating_sub(self.fallbacks())
    }

    fn is_visited(&self, name: &str) -> bool {
        *self.first == *name || self.others.iter().any(|other| **other == *name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn list(names: &str) -> Vec<Next> {
        names
            .chars()
            .map(|c| Next {
                name: c.to_string().into(),
                own: None,
            })
            .collect()
    }

    /// The groups tried from `a` on, if all fail and have these fallbacks.
    fn walk(graph: &[(char, &str)], max: u32) -> String {
        let of = |group: char| {
            let found = graph.iter().find(|(from, _)| *from == group);
            list(found.map_or("", |(_, to)| to))
        };
        let mut route = Route::new("a".into(), max);
        let mut tried = String::from("a");
        loop {
            let at = tried.chars().next_back().unwrap_or('a');
            let names: Vec<_> = of(at).into_iter().map(|next| next.name).collect();
            let left = route.left(&names);
            route.turn(of(at).into_iter());
            let Some(next) = route.advance() else {
                assert_eq!(left, 0, "{tried}");
                return tried;
            };
            assert!(left > 0, "{tried}");
            tried += &next.name;
            assert_eq!(route.fallbacks() + 1, tried.len());
        }
    }

    #[test]
    fn orders() {
        for (graph, max, expected) in [
            (&[][..], 5, "a"),
            (&[('a', "bc")], 5, "abc"),
            (&[('a', "bc"), ('b', "d")], 5, "abdc"),
            (&[('a', "bc"), ('b', "c")], 5, "abc"),
            (&[('a', "b"), ('b', "a")], 5, "ab"),
            (&[('a', "b"), ('b', "c"), ('c', "ab"), ('d', "e")], 5, "abc"),
            (&[('a', "bcdefghi")], 8, "abcdefghi"),
            (&[('a', "bcdefghi")], 3, "abcd"),
            (&[('a', "b"), ('b', "c"), ('c', "d")], 2, "abc"),
            (&[('a', "b")], 0, "a"),
            (&[('a', "ab")], 5, "ab"),
        ] {
            assert_eq!(walk(graph, max), expected, "{graph:?} {max}");
        }
    }

    #[test]
    fn a_name_for_a_group_that_was_tried_leads_nowhere_and_costs_nothing() {
        let mut route = Route::new("a".into(), 1);
        route.turn(list("xb").into_iter());
        assert_eq!(route.advance().map(|n| n.name), Some("x".into()));
        assert!(!route.arrive(&"a".into()), "x is another name of a");
        assert_eq!(route.fallbacks(), 0);
        assert_eq!(route.advance().map(|n| n.name), Some("b".into()));
        assert!(route.arrive(&"b".into()));
        assert_eq!(route.fallbacks(), 1);
    }

    proptest! {
        /// Whatever the graph, each group is tried once at most and no more than allowed.
        #[test]
        fn every_way_ends(edges in prop::collection::vec(prop::collection::vec(0u8..8, 0..6), 8), max in 0u32..10) {
            let lists: Vec<String> = edges.iter().map(|to| to.iter().map(|n| char::from(b'a' + n)).collect()).collect();
            let graph: Vec<(char, &str)> = lists.iter().zip('a'..).map(|(to, from)| (from, to.as_str())).collect();
            let tried = walk(&graph, max);
            let mut unique: Vec<char> = tried.chars().collect();
            unique.sort_unstable();
            unique.dedup();
            prop_assert_eq!(unique.len(), tried.len());
            prop_assert!(tried.len() <= 1 + max as usize);
        }
    }
}
