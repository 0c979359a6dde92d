//! ClickHouse: `RowBinaryWithNamesAndTypes`, a header with names and types and then one value behind the other.

use std::fmt::Write as _;
use std::io::{self, Write};

use super::{COLUMNS, Column, Kind, Sink, Value, signed};
use crate::usage::ledger::Line;

pub(super) struct Clickhouse {
    out: Box<dyn Write + Send>,
    row: Vec<u8>,
}

impl Clickhouse {
    pub(super) fn begin(mut out: Box<dyn Write + Send>) -> io::Result<Self> {
        let mut row = Vec::new();
        varint(COLUMNS.len() as u64, &mut row);
        COLUMNS
            .iter()
            .for_each(|column| text(column.name, &mut row));
        COLUMNS
            .iter()
            .for_each(|column| text(&kind(column), &mut row));
        out.write_all(&row)?;
        Ok(Self { out, row })
    }
}

impl Sink for Clickhouse {
    fn record(&mut self, line: Line) -> io::Result<()> {
        self.row.clear();
        for column in &COLUMNS {
            let value = (column.of)(&line);
            if column.optional {
                self.row.push(u8::from(value.is_none()));
            }
            match value {
                None => {}
                Some(Value::Text(cell)) => text(cell, &mut self.row),
                Some(Value::Integer(number)) => self.row.extend_from_slice(&number.to_le_bytes()),
                Some(Value::Flag(flag)) => self.row.push(u8::from(flag)),
                Some(Value::Moment(ms)) => self.row.extend_from_slice(&signed(ms)?.to_le_bytes()),
            }
        }
        self.out.write_all(&self.row)
    }

    fn finish(mut self: Box<Self>) -> io::Result<()> {
        self.out.flush()
    }
}

/// Its type, the same in the header and in the table.
fn kind(column: &Column) -> String {
    let kind = match column.kind {
        Kind::Text => "String",
        Kind::Integer => "UInt64",
        Kind::Flag => "Bool",
        Kind::Moment => "DateTime64(3, 'UTC')",
    };
    if column.optional {
        format!("Nullable({kind})")
    } else {
        kind.to_owned()
    }
}

fn text(text: &str, row: &mut Vec<u8>) {
    varint(text.len() as u64, row);
    row.extend_from_slice(text.as_bytes());
}

/// Seven bits a byte, the lowest first, the eighth set in all but the last (LEB128).
fn varint(mut number: u64, row: &mut Vec<u8>) {
    loop {
        let low = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            row.push(low);
            return;
        }
        row.push(low | 0x80);
    }
}

pub(super) fn schema() -> String {
    let columns = COLUMNS.map(|column| format!("    {} {}", column.name, kind(&column)));
    let mut sql = format!(
        "CREATE TABLE IF NOT EXISTS waypost_attempts (\n{}\n) ENGINE = ReplacingMergeTree\n\
         PARTITION BY toYYYYMM(began_at)\nORDER BY (ledger, number);\n\n",
        columns.join(",\n")
    );
    let _infallible = write!(
        sql,
        "-- Load with clickhouse-client. Rows of the same ledger and number become one; until they are merged FINAL counts them once:\n\
         --   waypost ledger export --format clickhouse |\n\
         --     clickhouse-client --query 'INSERT INTO waypost_attempts FORMAT RowBinaryWithNamesAndTypes'\n\
         --   SELECT model_group, sum(cost_pico) / 1e12 FROM waypost_attempts FINAL GROUP BY model_group;\n"
    );
    sql
}
