//! The ledger for other programs: each record becomes a row, one after the other, in memory that does not grow with the ledger.
//!
//! JSON Lines are the records as they are. All other formats have the [`COLUMNS`], tokens in a column for each bucket, cost in
//! whole pico-dollars. Rows of PostgreSQL and ClickHouse are known by `ledger` and `number`, so that loading a part twice counts
//! it once ([`Format::schema`]).

mod clickhouse;
mod columns;
mod parquet;
mod postgres;

use std::io::{self, Write};

use super::ledger::Line;
use super::totals::moment;

pub use columns::{COLUMNS, Column, Kind, Value};

/// A format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    Jsonl,
    /// Comma-separated, with a header (RFC 4180).
    Csv,
    /// Apache Parquet, compressed with Snappy.
    Parquet,
    /// The text format of PostgreSQL's `COPY`.
    Postgres,
    /// ClickHouse's `RowBinaryWithNamesAndTypes`.
    Clickhouse,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Jsonl,
        Self::Csv,
        Self::Parquet,
        Self::Postgres,
        Self::Clickhouse,
    ];

    /// Its name, as in `--format`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl",
            Self::Csv => "csv",
            Self::Parquet => "parquet",
            Self::Postgres => "postgres",
            Self::Clickhouse => "clickhouse",
        }
    }

    /// Whether a terminal can't show it.
    #[must_use]
    pub const fn is_binary(self) -> bool {
        matches!(self, Self::Parquet | Self::Clickhouse)
    }

    /// The table for it and how it is loaded, for the databases.
    #[must_use]
    pub fn schema(self) -> Option<String> {
        match self {
            Self::Postgres => Some(postgres::schema()),
            Self::Clickhouse => Some(clickhouse::schema()),
            Self::Jsonl | Self::Csv | Self::Parquet => None,
        }
    }

    /// Begins to write.
    ///
    /// # Errors
    /// If `out` can't be written.
    pub fn sink(self, out: Box<dyn Write + Send>) -> io::Result<Box<dyn Sink>> {
        Ok(match self {
            Self::Jsonl => Box::new(Jsonl(out)),
            Self::Csv => Box::new(Csv::begin(out)?),
            Self::Parquet => Box::new(parquet::Parquet::begin(out)?),
            Self::Postgres => Box::new(postgres::Postgres::new(out)),
            Self::Clickhouse => Box::new(clickhouse::Clickhouse::begin(out)?),
        })
    }
}

/// Something records are written to.
pub trait Sink {
    /// Writes a record.
    ///
    /// # Errors
    /// If it can't be written.
    fn record(&mut self, line: Line) -> io::Result<()>;

    /// Writes the end; without it the output is not whole.
    ///
    /// # Errors
    /// If it can't be written.
    fn finish(self: Box<Self>) -> io::Result<()>;
}

/// The records as they are, without their checksums.
struct Jsonl(Box<dyn Write + Send>);

impl Sink for Jsonl {
    fn record(&mut self, line: Line) -> io::Result<()> {
        serde_json::to_writer(&mut self.0, &line)?;
        self.0.write_all(b"\n")
    }

    fn finish(mut self: Box<Self>) -> io::Result<()> {
        self.0.flush()
    }
}

struct Csv(csv::Writer<Box<dyn Write + Send>>);

impl Csv {
    fn begin(out: Box<dyn Write + Send>) -> io::Result<Self> {
        let mut writer = csv::Writer::from_writer(out);
        writer.write_record(COLUMNS.iter().map(|column| column.name))?;
        Ok(Self(writer))
    }
}

impl Sink for Csv {
    fn record(&mut self, line: Line) -> io::Result<()> {
        for column in &COLUMNS {
            match (column.of)(&line) {
                None => self.0.write_field("")?,
                Some(Value::Text(text)) => self.0.write_field(text)?,
                Some(Value::Integer(number)) => {
                    self.0.write_field(itoa::Buffer::new().format(number))?;
                }
                Some(Value::Flag(flag)) => {
                    self.0.write_field(if flag { "true" } else { "false" })?
                }
                Some(Value::Moment(ms)) => self.0.write_field(moment(ms))?,
            }
        }
        Ok(self.0.write_record(None::<&[u8]>)?)
    }

    fn finish(mut self: Box<Self>) -> io::Result<()> {
        self.0.flush()
    }
}

/// A number for programs that know none beyond 2⁶³ - 1; a record that has one can only be wrong.
fn signed(number: u64) -> io::Result<i64> {
    i64::try_from(number).map_err(|_| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("{number} is beyond the integers of the format"),
        )
    })
}

#[cfg(test)]
mod tests;
