//! YAML text as a tree that knows where everything stands.
//!
//! A message such as `endpoints.yml:12:7: model_groups[0].router.cooldown: …` needs the place of every key and value,
//! and the rules for variables need to know whether a value was quoted. Deserializing into types gives neither for
//! keys, and stops at its first complaint, so the tree is built here from the parser's events. What the tree keeps is
//! the text of a scalar and its quoting; what it *means* (a number, a boolean) is decided where it is used, in
//! [`super::value`], after variables were expanded.
//!
//! Duplicate keys and unknown tags are kept as complaints on their mapping rather than reported at once, because the
//! sections of the file that are not ours are none of our business.

/// A place in the file; line and column from 1, in characters. Zero: the file as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Pos {
    pub(super) line: usize,
    pub(super) column: usize,
}

/// A value and where it begins.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) at: Pos,
    pub(super) value: Value,
    /// A tag that no YAML schema defines, such as `!env`.
    pub(super) tag: Option<String>,
    /// How many lists and mappings are in each other below, this one included.
    pub(super) height: usize,
    /// How many values are below, this one included.
    pub(super) nodes: usize,
    /// How many bytes of text are below.
    pub(super) bytes: usize,
}

/// The three forms of a value, and its absence.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Null,
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Map),
}

/// A text, a number, or a boolean.
#[derive(Clone, Debug)]
pub(super) struct Scalar {
    /// The text; after [`super::env`] has run, with variables replaced.
    pub(super) text: String,
    /// As in the file.
    pub(super) raw: String,
    /// Neither quoted nor a block.
    pub(super) plain: bool,
    /// The variables that were replaced.
    pub(super) variables: Vec<String>,
}

/// A mapping in the file's order.
#[derive(Clone, Debug, Default)]
pub(super) struct Map {
    pub(super) entries: Vec<Entry>,
    /// Complaints for whoever owns this mapping: duplicate keys, keys that are no text.
    pub(super) problems: Vec<(Pos, String, String)>,
}

/// One key with its value.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) at: Pos,
    pub(super) value: Node,
}

impl Node {
    /// The value of `key`, if this is a mapping that has it and it is not null.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key)
            .map(|entry| &entry.value)
            .filter(|node| !matches!(node.value, Value::Null))
    }

    /// The entry of `key`, whatever its value.
    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// All entries; none if this is not a mapping.
    pub(super) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(map) => &map.entries,
            Value::Null | Value::Scalar(_) | Value::List(_) => &[],
        }
    }

    /// All items; none if this is not a list.
    pub(super) fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            Value::Null | Value::Scalar(_) | Value::Map(_) => &[],
        }
    }

    /// The scalar, if this is one.
    pub(super) fn scalar(&self) -> Option<&Scalar> {
        match &self.value {
            Value::Scalar(scalar) => Some(scalar),
            Value::Null | Value::List(_) | Value::Map(_) => None,
        }
    }

    /// Whether both say the same, wherever they stand.
    pub(super) fn same(&self, other: &Self) -> bool {
        match (&self.value, &other.value) {
            (Value::Null, Value::Null) => true,
            (Value::Scalar(a), Value::Scalar(b)) => a.text == b.text,
            (Value::List(a), Value::List(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(b))
            }
            (Value::Map(a), Value::Map(b)) => {
                a.entries.len() == b.entries.len()
                    && a.entries
                        .iter()
                        .all(|e| other.entry(&e.key).is_some_and(|o| e.value.same(&o.value)))
            }
            _ => false,
        }
    }

    /// A mapping without entries, nowhere in the file.
    pub(super) const fn nothing() -> Self {
        let map = Map {
            entries: Vec::new(),
            problems: Vec::new(),
        };
        Self {
            at: Pos { line: 0, column: 0 },
            value: Value::Map(map),
            tag: None,
            height: 1,
            nodes: 1,
            bytes: 0,
        }
    }

    /// A text that does not stand in the file, but is meant.
    pub(super) fn made_up(at: Pos, text: &str) -> Self {
        let scalar = Scalar {
            text: text.to_owned(),
            raw: text.to_owned(),
            plain: true,
            variables: Vec::new(),
        };
        Self::leaf(at, Value::Scalar(scalar), text.len())
    }

    pub(super) fn leaf(at: Pos, value: Value, bytes: usize) -> Self {
        Self {
            at,
            value,
            tag: None,
            height: 0,
            nodes: 1,
            bytes,
        }
    }
}
