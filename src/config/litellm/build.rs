//! Mappings and lists put together from parts of another tree.

use crate::config::tree::{Entry, Map, Node, Pos, Scalar, Value};

/// A mapping that is being put together; where it stands is where its findings point to.
#[derive(Clone, Debug)]
pub(super) struct Fields {
    at: Pos,
    entries: Vec<Entry>,
}

impl Fields {
    pub(super) const fn new(at: Pos) -> Self {
        Self {
            at,
            entries: Vec::new(),
        }
    }

    /// The entries of a mapping, to be added to.
    pub(super) fn of(node: &Node) -> Self {
        Self {
            at: node.at,
            entries: node.entries().to_vec(),
        }
    }

    pub(super) const fn at(&self) -> Pos {
        self.at
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|entry| entry.key == key)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Takes an entry over under another name, in place of one that is there.
    pub(super) fn put(&mut self, key: &str, entry: &Entry) {
        self.set(key, entry.at, entry.value.clone());
    }

    /// As [`Fields::put`], unless there is one.
    pub(super) fn offer(&mut self, key: &str, entry: &Entry) {
        if !self.has(key) {
            self.put(key, entry);
        }
    }

    pub(super) fn set(&mut self, key: &str, at: Pos, value: Node) {
        match self.entries.iter_mut().find(|entry| entry.key == key) {
            Some(entry) => (entry.at, entry.value) = (at, value),
            None => self.entries.push(Entry {
                key: key.to_owned(),
                at,
                value,
            }),
        }
    }

    /// A text that stands at `at` in other words.
    pub(super) fn say(&mut self, key: &str, at: Pos, text: &str) {
        self.set(key, at, Node::made_up(at, text));
    }

    pub(super) fn done(self) -> Node {
        let map = Map {
            entries: self.entries,
            problems: Vec::new(),
        };
        Node::leaf(self.at, Value::Map(map), 0)
    }
}

pub(super) fn list(at: Pos, items: Vec<Node>) -> Node {
    Node::leaf(at, Value::List(items), 0)
}

/// A part of the text of `node`, or other words for it, quoted as it was.
pub(super) fn text(node: &Node, text: &str) -> Node {
    let scalar = Scalar {
        text: text.to_owned(),
        raw: text.to_owned(),
        plain: node.scalar().is_some_and(|scalar| scalar.plain),
        variables: Vec::new(),
    };
    Node::leaf(node.at, Value::Scalar(scalar), 0)
}

/// The text of a scalar as in the file, variables and all.
pub(super) fn raw(node: &Node) -> Option<&str> {
    node.scalar().map(|scalar| scalar.raw.as_str())
}
