//! The ledger beside what a provider says of the same time in an export of its own.
//!
//! An export is recognised by its header, not by its name or age (`openai.rs`, `azure.rs`, `anthropic.rs` say which). Both sides
//! are summed by day in UTC and by model; of the ledger's buckets those that the export does not tell apart are added to the one
//! that has them there, so that like is compared with like.

mod anthropic;
mod azure;
mod compare;
mod names;
mod number;
mod openai;
mod sheet;

use std::collections::BTreeMap;
use std::io::{self, BufRead};
use std::ops::{Index, IndexMut};

use super::ledger::Entry;
use super::totals::Day;
use crate::types::Provenance;

pub use compare::{Cell, Compared, Row, State, Tolerance, compare};
pub use names::Same;

/// Whose export it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// OpenAI
    OpenAi,
    /// Azure OpenAI
    Azure,
    /// Anthropic
    Anthropic,
}

impl Provider {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::OpenAi, Self::Azure, Self::Anthropic];

    /// Its name, as in `--provider`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Azure => "azure",
            Self::Anthropic => "anthropic",
        }
    }

    /// Whether it bills what a record's `provider` served.
    fn bills(self, provider: &str) -> bool {
        provider == self.name() || self == Self::Azure && provider == "azure_ai"
    }

    /// The headers by which its exports are recognised.
    const fn known(self) -> &'static str {
        match self {
            Self::OpenAi => openai::KNOWN,
            Self::Azure => azure::KNOWN,
            Self::Anthropic => anthropic::KNOWN,
        }
    }
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Input tokens that are in no other bucket.
    Input,
    /// Input tokens from the provider's prompt cache.
    CachedInput,
    /// Input tokens written into it.
    CacheWrite,
    /// Output tokens, reasoning included.
    Output,
    /// Input tokens of audio.
    AudioInput,
    /// Output tokens of audio.
    AudioOutput,
    /// Money, in pico-dollars.
    Cost,
}

impl Measure {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Input,
        Self::CachedInput,
        Self::CacheWrite,
        Self::Output,
        Self::AudioInput,
        Self::AudioOutput,
        Self::Cost,
    ];

    /// Its name in what is printed.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::CachedInput => "cached_input",
            Self::CacheWrite => "cache_write",
            Self::Output => "output",
            Self::AudioInput => "audio_input",
            Self::AudioOutput => "audio_output",
            Self::Cost => "cost",
        }
    }
}

/// One value of each measure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Each<T>([T; 7]);

impl<T> Index<Measure> for Each<T> {
    type Output = T;

    fn index(&self, measure: Measure) -> &T {
        &self.0[measure as usize]
    }
}

impl<T> IndexMut<Measure> for Each<T> {
    fn index_mut(&mut self, measure: Measure) -> &mut T {
        &mut self.0[measure as usize]
    }
}

impl Each<i128> {
    fn add(&mut self, other: &Self) {
        for measure in Measure::ALL {
            self[measure] = self[measure].saturating_add(other[measure]);
        }
    }
}

/// A day in UTC and a model; no model where an export does not tell them apart.
pub type Key = (Day, String);

/// Why a file is no export.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// It can't be read.
    #[error("it can't be read: {0}")]
    Read(#[from] io::Error),
    /// It is no table.
    #[error("it is no table: {0}")]
    Csv(#[from] csv::Error),
    /// It is no JSON.
    #[error("it is no JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// It has another header.
    #[error(
        "it is no export of {} that is known. Found: {found}. Known: {}",
        provider.name(),
        provider.known()
    )]
    Unknown {
        /// Whose it should be.
        provider: Provider,
        /// Its columns.
        found: String,
    },
    /// A cell is not what it must be.
    #[error("line {line}, column `{column}`: `{found}` is not {wanted}")]
    Cell {
        /// Counted from 1.
        line: u64,
        /// Its name.
        column: String,
        /// What stands there.
        found: String,
        /// What should.
        wanted: &'static str,
    },
    /// Nothing in it is of the provider's models.
    #[error("it has no row of {0}")]
    Empty(&'static str),
}

/// What an export says.
#[derive(Clone, Debug, Default)]
pub struct Export {
    /// What was recognised.
    pub format: &'static str,
    /// Of which measures it speaks.
    pub tells: Each<bool>,
    /// Whether it tells models apart.
    pub by_model: bool,
    /// The amounts.
    pub rows: BTreeMap<Key, Each<i128>>,
    /// By how much its costs may be off because it rounds them, in pico-dollars.
    pub rounding: BTreeMap<Key, i128>,
    /// What else has to be known of it.
    pub notes: Vec<String>,
}

impl Export {
    fn of(format: &'static str, tells: &[Measure]) -> Self {
        let mut export = Self {
            format,
            by_model: true,
            ..Self::default()
        };
        tells
            .iter()
            .for_each(|measure| export.tells[*measure] = true);
        export
    }

    fn add(&mut self, day: Day, model: &str, measure: Measure, amount: i128) {
        let row = self.rows.entry((day, model.to_owned())).or_default();
        row[measure] = row[measure].saturating_add(amount);
    }

    /// The first and the last day it speaks of.
    #[must_use]
    pub fn days(&self) -> Option<(Day, Day)> {
        let days = self.rows.keys().map(|(day, _)| *day);
        Some((days.clone().min()?, days.max()?))
    }

    /// With what another export of the same provider says.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        for measure in Measure::ALL {
            self.tells[measure] |= other.tells[measure];
        }
        self.by_model &= other.by_model;
        for (key, amounts) in other.rows {
            self.rows.entry(key).or_default().add(&amounts);
        }
        for (key, rounding) in other.rounding {
            *self.rounding.entry(key).or_default() += rounding;
        }
        self.notes.extend(other.notes);
        self
    }

    /// With one name for each model; with none, where models are not told apart.
    #[must_use]
    pub fn named(mut self, same: &Same) -> Self {
        let name = |model: String| {
            if self.by_model {
                same.name(&model)
            } else {
                String::new()
            }
        };
        let mut rows: BTreeMap<Key, Each<i128>> = BTreeMap::new();
        for ((day, model), amounts) in self.rows {
            rows.entry((day, name(model))).or_default().add(&amounts);
        }
        let mut rounding: BTreeMap<Key, i128> = BTreeMap::new();
        for ((day, model), slack) in self.rounding {
            *rounding.entry((day, name(model))).or_default() += slack;
        }
        self.rows = rows;
        self.rounding = rounding;
        self
    }
}

/// Reads an export; of Azure's only what belongs to a resource whose id contains `resource`.
///
/// # Errors
/// If it is none that is known.
pub fn read(
    provider: Provider,
    mut input: &mut dyn BufRead,
    resource: Option<&str>,
) -> Result<Export, ExportError> {
    let input = &mut input;
    if input.fill_buf()?.starts_with(b"\xef\xbb\xbf") {
        input.consume(3);
    }
    match provider {
        Provider::OpenAi => openai::read(input),
        Provider::Azure => azure::read(input, resource),
        Provider::Anthropic => anthropic::read(input),
    }
}

/// The ledger's side of a row.
#[derive(Clone, Copy, Debug, Default)]
pub struct Own {
    /// The amounts, in the export's measures.
    pub amounts: Each<i128>,
    /// Attempts whose tokens we counted.
    pub counted: u64,
    /// Attempts whose tokens nobody knows.
    pub unknown: u64,
    /// Tokens whose price is not known.
    pub unpriced: u64,
}

/// The ledger's side.
#[derive(Clone, Debug)]
pub struct Ledger<'a> {
    provider: Provider,
    export: &'a Export,
    same: &'a Same,
    rows: BTreeMap<Key, Own>,
}

impl<'a> Ledger<'a> {
    /// Nothing yet, to be held beside `export`.
    #[must_use]
    pub fn beside(provider: Provider, export: &'a Export, same: &'a Same) -> Self {
        Self {
            provider,
            export,
            same,
            rows: BTreeMap::new(),
        }
    }

    /// Counts a record, if it is of the provider and used anything.
    pub fn add(&mut self, entry: &Entry) {
        let used = entry.tokens.total() > 0 || entry.cost_pico.is_some_and(|cost| cost > 0);
        let unknown = entry.provenance == Provenance::Unknown;
        if !self.provider.bills(&entry.provider) || !(used || unknown) {
            return;
        }
        let model = if self.export.by_model {
            self.same.name(&entry.model)
        } else {
            String::new()
        };
        let key = (Day::of_ms(entry.began_ms), model);
        // What nobody knows is told beside what is known, and is no row of its own.
        let own = self.rows.entry(key).or_default();
        own.unknown += u64::from(unknown && !used);
        own.counted += u64::from(entry.provenance == Provenance::Counted);
        if entry.cost_pico.is_none() {
            own.unpriced += entry.tokens.total();
        }
        let tokens = &entry.tokens;
        for (measure, base, amount) in [
            (Measure::Input, Measure::Input, tokens.input),
            (Measure::Input, Measure::Input, tokens.image_input),
            (Measure::CachedInput, Measure::Input, tokens.cached_input),
            (Measure::CacheWrite, Measure::Input, tokens.cache_write),
            (Measure::AudioInput, Measure::Input, tokens.audio_input),
            (Measure::Output, Measure::Output, tokens.output),
            (Measure::Output, Measure::Output, tokens.reasoning),
            (Measure::AudioOutput, Measure::Output, tokens.audio_output),
            (Measure::Cost, Measure::Cost, entry.cost_pico.unwrap_or(0)),
        ] {
            let told = self.export.tells[measure];
            own.amounts[if told { measure } else { base }] += i128::from(amount);
        }
    }
}

#[cfg(test)]
mod tests;
