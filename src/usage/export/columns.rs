//! The columns of a record where it is a row: one list for CSV, Parquet, PostgreSQL and ClickHouse.

use crate::usage::ledger::Line;
use crate::usage::totals::{outcome, provenance};

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text of any kind.
    Text,
    /// A whole number that is not negative.
    Integer,
    /// Yes or no.
    Flag,
    /// A moment, in milliseconds since the Unix epoch.
    Moment,
}

/// A cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// Of [`Kind::Text`]
    Text(&'a str),
    /// Of [`Kind::Integer`]
    Integer(u64),
    /// Of [`Kind::Flag`]
    Flag(bool),
    /// Of [`Kind::Moment`]
    Moment(u64),
}

/// A column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its name; none is a word of SQL.
    pub name: &'static str,
    /// What is in it.
    pub kind: Kind,
    /// Whether a cell may be empty.
    pub optional: bool,
    /// The cell of a record.
    pub of: for<'a> fn(&'a Line) -> Option<Value<'a>>,
}

const fn column(
    name: &'static str,
    kind: Kind,
    of: for<'a> fn(&'a Line) -> Option<Value<'a>>,
) -> Column {
    Column {
        name,
        kind,
        optional: false,
        of,
    }
}

const fn optional(
    name: &'static str,
    kind: Kind,
    of: for<'a> fn(&'a Line) -> Option<Value<'a>>,
) -> Column {
    Column {
        optional: true,
        ..column(name, kind, of)
    }
}

/// All of them. The first two are a record's identity.
pub const COLUMNS: [Column; 27] = {
    use Kind::{Flag, Integer, Moment, Text};
    use Value as V;
    [
        column("ledger", Text, |l| Some(V::Text(&l.ledger))),
        column("number", Integer, |l| Some(V::Integer(l.number))),
        column("began_at", Moment, |l| Some(V::Moment(l.entry.began_ms))),
        column("request", Text, |l| Some(V::Text(&l.entry.request))),
        column("attempt", Integer, |l| {
            Some(V::Integer(l.entry.attempt.into()))
        }),
        column("model_group", Text, |l| Some(V::Text(&l.entry.group))),
        column("deployment", Text, |l| Some(V::Text(&l.entry.deployment))),
        column("provider", Text, |l| Some(V::Text(&l.entry.provider))),
        column("model", Text, |l| Some(V::Text(&l.entry.model))),
        optional("client_key", Text, |l| l.entry.key.as_deref().map(V::Text)),
        column("operation", Text, |l| Some(V::Text(&l.entry.operation))),
        column("stream", Flag, |l| Some(V::Flag(l.entry.stream))),
        column("input_tokens", Integer, |l| {
            Some(V::Integer(l.entry.tokens.input))
        }),
        column("cached_input_tokens", Integer, |l| {
            Some(V::Integer(l.entry.tokens.cached_input))
        }),
        column("cache_write_tokens", Integer, |l| {
            Some(V::Integer(l.entry.tokens.cache_write))
        }),
        column("output_tokens", Integer, |l| {
            Some(V::Integer(l.entry.tokens.output))
        }),
        column("reasoning_tokens", Integer, |l| {
            Some(V::Integer(l.entry.tokens.reasoning))
        }),
        column("audio_input_tokens", Integer, |l| {
            Some(V::Integer(l.entry.tokens.audio_input))
        }),
        column("audio_output_tokens", Integer, |l| {
            Some(V::Integer(l.entry.tokens.audio_output))
        }),
        column("image_input_tokens", Integer, |l| {
            Some(V::Integer(l.entry.tokens.image_input))
        }),
        column("provenance", Text, |l| {
            Some(V::Text(provenance(l.entry.provenance)))
        }),
        optional("cost_pico", Integer, |l| l.entry.cost_pico.map(V::Integer)),
        optional("price", Text, |l| l.entry.price.as_deref().map(V::Text)),
        column("outcome", Text, |l| Some(V::Text(outcome(l.entry.outcome)))),
        optional("fault", Text, |l| l.entry.fault.as_deref().map(V::Text)),
        optional("first_content_ms", Integer, |l| {
            l.entry.first_content_ms.map(V::Integer)
        }),
        column("total_ms", Integer, |l| Some(V::Integer(l.entry.total_ms))),
    ]
};
