//! A table of text with a header, whichever of comma, tab and semicolon stands between its columns.

use std::io::BufRead;

use super::{ExportError, number};
use crate::usage::totals::Day;

pub(super) struct Sheet<'r> {
    reader: csv::Reader<&'r mut dyn BufRead>,
    header: Vec<String>,
}

/// A column that was found, and its name there.
#[derive(Clone, Debug)]
pub(super) struct Found {
    at: usize,
    name: String,
}

pub(super) struct Row {
    cells: csv::StringRecord,
}

impl<'r> Sheet<'r> {
    /// Reads the header.
    pub(super) fn open(input: &'r mut dyn BufRead) -> Result<Self, ExportError> {
        let start = input.fill_buf()?;
        let first = start
            .split(|byte| *byte == b'\n')
            .next()
            .unwrap_or_default();
        let count = |byte: u8| first.iter().filter(|b| **b == byte).count();
        let delimiter = [b',', b'\t', b';']
            .into_iter()
            .max_by_key(|b| (count(*b), *b == b','));
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter.unwrap_or(b','))
            .flexible(true)
            .from_reader(input);
        let header = reader
            .headers()?
            .iter()
            .map(|name| name.trim().to_owned())
            .collect();
        Ok(Self { reader, header })
    }

    pub(super) fn header(&self) -> &[String] {
        &self.header
    }

    /// The first of `names` that is there, whatever its capitals, spaces and underscores.
    pub(super) fn column(&self, names: &[&str]) -> Option<Found> {
        let plain = |name: &str| -> String {
            let letters = name.chars().filter(|c| c.is_alphanumeric());
            letters.flat_map(char::to_lowercase).collect()
        };
        names.iter().find_map(|wanted| {
            let at = self
                .header
                .iter()
                .position(|name| plain(name) == plain(wanted))?;
            Some(Found {
                at,
                name: self.header[at].clone(),
            })
        })
    }

    pub(super) fn rows(&mut self) -> impl Iterator<Item = Result<Row, ExportError>> {
        self.reader
            .records()
            .map(|record| Ok(Row { cells: record? }))
    }
}

impl Row {
    /// The cell, empty where there is none.
    pub(super) fn text(&self, column: &Found) -> &str {
        self.cells.get(column.at).unwrap_or_default().trim()
    }

    /// The cell in 10⁻¹²; empty is zero.
    pub(super) fn number(&self, column: &Found) -> Result<i128, ExportError> {
        match self.text(column) {
            "" => Ok(0),
            text => number::parse(text).ok_or_else(|| self.wrong(column, "a number")),
        }
    }

    /// The cell as a day: a date, or seconds since the Unix epoch.
    pub(super) fn day(&self, column: &Found) -> Result<Day, ExportError> {
        let text = self.text(column);
        let seconds = text
            .split('.')
            .next()
            .and_then(|text| text.parse::<u64>().ok());
        Day::parse(text)
            .or_else(|| Day::parse_american(text))
            .or_else(|| Some(Day::of_ms(seconds?.checked_mul(1000)?)))
            .ok_or_else(|| self.wrong(column, "a date"))
    }

    pub(super) fn is_empty(&self, column: &Found) -> bool {
        self.text(column).is_empty()
    }

    fn wrong(&self, column: &Found, wanted: &'static str) -> ExportError {
        ExportError::Cell {
            line: self.cells.position().map_or(0, csv::Position::line),
            column: column.name.clone(),
            found: self.text(column).chars().take(40).collect(),
            wanted,
        }
    }
}
