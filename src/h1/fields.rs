//! The header lines of an answer, as they came.

use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

/// Header lines, in order, as places in the bytes they came in. Nothing is copied, hashed or brought into another
/// spelling: most of them are only handed on.
#[derive(Clone, Default)]
pub struct Fields {
    bytes: Bytes,
    lines: Vec<Line>,
}

#[derive(Clone, Copy)]
pub(super) struct Line {
    pub(super) name: Text,
    pub(super) value: Text,
}

/// A part of a line.
#[derive(Clone, Copy)]
pub(super) enum Text {
    /// From here to there in the bytes.
    At(u16, u16),
    /// Not the sender's.
    Own(&'static str),
}

impl Text {
    fn of(self, bytes: &[u8]) -> &[u8] {
        match self {
            Self::At(from, to) => bytes
                .get(usize::from(from)..usize::from(to))
                .unwrap_or_default(),
            Self::Own(text) => text.as_bytes(),
        }
    }
}

impl Fields {
    pub(super) const fn new(bytes: Bytes, lines: Vec<Line>) -> Self {
        Self { bytes, lines }
    }

    /// One line.
    #[must_use]
    pub fn one(name: &'static str, value: Bytes) -> Self {
        let place = u16::try_from(value.len()).unwrap_or_default();
        let line = Line {
            name: Text::Own(name),
            value: Text::At(0, place),
        };
        Self {
            bytes: value,
            lines: vec![line],
        }
    }

    /// All lines: name and value.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.lines
            .iter()
            .map(|line| (line.name.of(&self.bytes), line.value.of(&self.bytes)))
    }

    /// The values of that name.
    pub fn all(&self, name: &'static str) -> impl Iterator<Item = &[u8]> {
        self.iter()
            .filter(|(other, _)| other.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value)
    }

    /// The first value of that name.
    #[must_use]
    pub fn get(&self, name: &'static str) -> Option<&[u8]> {
        self.all(name).next()
    }

    /// Keeps the lines that `keep` wants, by name and value.
    pub fn retain(&mut self, mut keep: impl FnMut(&[u8], &[u8]) -> bool) {
        let bytes = &self.bytes;
        self.lines
            .retain(|line| keep(line.name.of(bytes), line.value.of(bytes)));
    }

    /// Gives the lines whose value is `such` another.
    pub fn replace(&mut self, such: impl Fn(&[u8]) -> bool, new: &'static str) {
        for line in &mut self.lines {
            if such(line.value.of(&self.bytes)) {
                line.value = Text::Own(new);
            }
        }
    }

    /// Calls the lines of one name by another.
    pub fn rename(&mut self, name: &str, new: &'static str) {
        for line in &mut self.lines {
            if line
                .name
                .of(&self.bytes)
                .eq_ignore_ascii_case(name.as_bytes())
            {
                line.name = Text::Own(new);
            }
        }
    }

    /// Gives the name this value, and no other.
    pub fn set(&mut self, name: &'static str, value: &'static str) {
        self.retain(|other, _| !other.eq_ignore_ascii_case(name.as_bytes()));
        self.lines.push(Line {
            name: Text::Own(name),
            value: Text::Own(value),
        });
    }

    /// Adds a line.
    pub fn add(&mut self, name: &'static str, value: &str) {
        let from = self.bytes.len();
        let (Ok(from), Ok(to)) = (
            u16::try_from(from),
            u16::try_from(from.saturating_add(value.len())),
        ) else {
            return; // heads are far shorter
        };
        self.bytes = [&*self.bytes, value.as_bytes()].concat().into();
        self.lines.push(Line {
            name: Text::Own(name),
            value: Text::At(from, to),
        });
    }

    /// As a map; what can't stand in one is left out.
    #[must_use]
    pub fn to_map(&self) -> HeaderMap {
        let mut map = HeaderMap::with_capacity(self.lines.len());
        for (name, value) in self.iter() {
            if let (Ok(name), Ok(value)) =
                (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
            {
                map.append(name, value);
            }
        }
        map
    }
}

/// Names only: an upstream's values may hold what it should not have sent.
impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.iter().map(|(name, _)| String::from_utf8_lossy(name));
        f.debug_list().entries(names).finish()
    }
}
