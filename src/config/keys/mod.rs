//! The one table of keys.
//!
//! Everything known about a key of the file stands in one [`Key`]: its type, its default, what it does, and, if it does
//! nothing, why. The checks ([`super::check`]), the hint for a misspelt name, the JSON Schema and the reference page
//! ([`super::schema`]) are all made from it, so they cannot disagree. A key that is accepted has an effect, or its
//! [`Effect`] says that it has none, and then loading says so too.

mod accepted;
mod call;
mod group;
mod model;
mod own;
mod policies;
mod price;
mod router;
mod shared;

pub(super) use call::{CALL, PASSED_ON};
pub(super) use group::{DEFAULT_PARAMS, GROUP};
pub(super) use model::MODEL;
pub(super) use own::WAYPOST;
pub(super) use router::ROUTER;

/// A type, with the values it allows.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// Any text.
    Text,
    /// Text that is never shown.
    Secret,
    /// `true` or `false`.
    Flag,
    /// A whole number from the first to the second.
    Integer(u64, u64),
    /// A finite number.
    Number,
    /// A number of at least 0.
    Amount,
    /// Seconds, more than 0.
    Seconds,
    /// Seconds, at least 0.
    SecondsOrZero,
    /// Seconds as a number, or text with a unit.
    Duration,
    /// As [`Kind::Duration`], but zero is allowed.
    DurationOrZero,
    /// As [`Kind::Duration`], or one of these texts.
    DurationOr(&'static [&'static str]),
    /// Bytes as a number, or text with a unit.
    Size,
    /// A number above 0, at most 1.
    Share,
    /// A number above 0 and below 1.
    Quantile,
    /// One of these texts.
    Choice(&'static [&'static str]),
    /// One of these texts, or a list of them.
    Choices(&'static [&'static str]),
    /// A text or a list of texts.
    Texts,
    /// A file name or a boolean.
    FileOrFlag,
    /// Any value; passed on.
    Any,
    /// A mapping with keys of its own choice.
    Mapping,
    /// A mapping with known keys.
    Section(&'static Section),
    /// A boolean, or a mapping with known keys that means `true`.
    FlagOr(&'static Section),
    /// A text, or a mapping with known keys.
    TextOr(&'static Section),
    /// A list of mappings with known keys.
    List(&'static Section),
    /// A mapping from names the user chooses to mappings with known keys.
    Named(&'static Section),
    /// A mapping from names the user chooses to texts, or to mappings with known keys.
    NamedTexts(&'static Section),
}

impl Kind {
    /// The keys inside.
    pub(super) fn section(self) -> Option<&'static Section> {
        match self {
            Self::Section(inner)
            | Self::FlagOr(inner)
            | Self::TextOr(inner)
            | Self::List(inner)
            | Self::Named(inner)
            | Self::NamedTexts(inner) => Some(inner),
            Self::Text
            | Self::Secret
            | Self::Flag
            | Self::Integer(..)
            | Self::Number
            | Self::Amount
            | Self::Seconds
            | Self::SecondsOrZero
            | Self::Duration
            | Self::DurationOrZero
            | Self::DurationOr(_)
            | Self::Size
            | Self::Share
            | Self::Quantile
            | Self::Choice(_)
            | Self::Choices(_)
            | Self::Texts
            | Self::FileOrFlag
            | Self::Any
            | Self::Mapping => None,
        }
    }
}

/// What a key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// What its text says.
    Honoured,
    /// Nothing here, and why.
    None(&'static str),
    /// Nothing yet, and what to know until then.
    Later(&'static str),
}

/// A key of the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) effect: Effect,
    pub(super) default: Option<&'static str>,
    pub(super) required: bool,
    /// What it means, as a sentence of the reference page.
    pub(super) doc: &'static str,
}

/// What happens to a key that is not in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unknown {
    /// It is an error.
    Refused,
    /// It becomes a field of the request; a warning if its name is near a known one.
    PassedOn,
}

/// A mapping of the file.
#[derive(Debug)]
pub(super) struct Section {
    /// How the reference page calls it.
    pub(super) title: &'static str,
    /// Its path, for people.
    pub(super) path: &'static str,
    /// What it is for.
    pub(super) doc: &'static str,
    pub(super) keys: &'static [&'static [Key]],
    pub(super) unknown: Unknown,
}

impl Section {
    /// All keys.
    pub(super) fn keys(&self) -> impl Iterator<Item = &'static Key> + use<> {
        self.keys.iter().flat_map(|keys| keys.iter())
    }

    /// The key of that name.
    pub(super) fn find(&self, name: &str) -> Option<&'static Key> {
        self.keys().find(|key| key.name == name)
    }
}

const fn on(name: &'static str, kind: Kind, doc: &'static str) -> Key {
    Key {
        name,
        kind,
        effect: Effect::Honoured,
        default: None,
        required: false,
        doc,
    }
}

const fn none(name: &'static str, kind: Kind, why: &'static str, doc: &'static str) -> Key {
    Key {
        effect: Effect::None(why),
        ..on(name, kind, doc)
    }
}

const fn later(name: &'static str, kind: Kind, why: &'static str, doc: &'static str) -> Key {
    Key {
        effect: Effect::Later(why),
        ..on(name, kind, doc)
    }
}

impl Key {
    const fn or(self, default: &'static str) -> Self {
        Self {
            default: Some(default),
            ..self
        }
    }

    const fn required(self) -> Self {
        Self {
            required: true,
            ..self
        }
    }
}

const ANY_COUNT: Kind = Kind::Integer(0, u64::MAX);
const COUNT_32: Kind = Kind::Integer(0, u32::MAX as u64);
const POSITIVE: Kind = Kind::Integer(1, u64::MAX);
const POSITIVE_32: Kind = Kind::Integer(1, u32::MAX as u64);

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(section: &'static Section, visit: &mut dyn FnMut(&'static Section, &'static Key)) {
        for key in section.keys() {
            visit(section, key);
            if let Some(inner) = key.kind.section() {
                walk(inner, visit);
            }
        }
    }

    #[test]
    fn every_key_is_unique_and_documented() {
        for section in [&GROUP, &WAYPOST] {
            walk(section, &mut |section, key| {
                assert_eq!(
                    section.keys().filter(|k| k.name == key.name).count(),
                    1,
                    "{} {}",
                    section.path,
                    key.name
                );
                assert!(
                    key.doc.ends_with('.'),
                    "{} {}: {}",
                    section.path,
                    key.name,
                    key.doc
                );
                if let Effect::None(why) | Effect::Later(why) = key.effect {
                    assert!(
                        !why.is_empty() && !why.ends_with('.'),
                        "{} {}: {why}",
                        section.path,
                        key.name
                    );
                }
            });
        }
    }
}
