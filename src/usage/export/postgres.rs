//! PostgreSQL: the text format of `COPY`, columns apart by tabs, `\N` for an empty cell.
//!
//! Text and not binary: it says which line is wrong, survives a change of a column's type, and every client takes it.

use std::fmt::Write as _;
use std::io::{self, Write};

use super::{COLUMNS, Kind, Sink, Value, signed};
use crate::usage::ledger::Line;
use crate::usage::totals::moment;

pub(super) struct Postgres {
    out: Box<dyn Write + Send>,
    row: Vec<u8>,
}

impl Postgres {
    pub(super) fn new(out: Box<dyn Write + Send>) -> Self {
        let row = Vec::new();
        Self { out, row }
    }
}

impl Sink for Postgres {
    fn record(&mut self, line: Line) -> io::Result<()> {
        self.row.clear();
        for column in &COLUMNS {
            match (column.of)(&line) {
                None => self.row.extend_from_slice(b"\\N"),
                Some(Value::Text(text)) => escape(text, &mut self.row),
                Some(Value::Integer(number)) => {
                    let number = signed(number)?;
                    self.row
                        .extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
                }
                Some(Value::Flag(flag)) => self.row.push(if flag { b't' } else { b'f' }),
                Some(Value::Moment(ms)) => self.row.extend_from_slice(moment(ms).as_bytes()),
            }
            self.row.push(b'\t');
        }
        self.row.pop();
        self.row.push(b'\n');
        self.out.write_all(&self.row)
    }

    fn finish(mut self: Box<Self>) -> io::Result<()> {
        self.out.flush()
    }
}

/// What has a meaning in the format, behind a backslash. PostgreSQL's text can't hold a zero byte at all.
fn escape(text: &str, row: &mut Vec<u8>) {
    for byte in text.bytes() {
        match byte {
            b'\\' => row.extend_from_slice(b"\\\\"),
            b'\n' => row.extend_from_slice(b"\\n"),
            b'\r' => row.extend_from_slice(b"\\r"),
            b'\t' => row.extend_from_slice(b"\\t"),
            0 => row.extend_from_slice("\u{fffd}".as_bytes()),
            other => row.push(other),
        }
    }
}

pub(super) fn schema() -> String {
    let mut text = "CREATE TABLE IF NOT EXISTS waypost_attempts (\n".to_owned();
    for column in &COLUMNS {
        let kind = match column.kind {
            Kind::Text => "text",
            Kind::Integer => "bigint",
            Kind::Flag => "boolean",
            Kind::Moment => "timestamptz",
        };
        let must = if column.optional { "" } else { " NOT NULL" };
        let _infallible = writeln!(text, "    {} {kind}{must},", column.name);
    }
    text += "    PRIMARY KEY (ledger, number)\n);\n\
        CREATE INDEX IF NOT EXISTS waypost_attempts_began_at ON waypost_attempts (began_at);\n\n\
        -- Load with psql. A record that is there already is left as it is, so that a part may be loaded twice:\n\
        --   waypost ledger export --format postgres -o attempts.copy\n\
        --   psql -1 -f load.sql\n\
        -- and in load.sql:\n\
        --   CREATE TEMP TABLE loading (LIKE waypost_attempts) ON COMMIT DROP;\n\
        --   \\copy loading FROM 'attempts.copy' WITH (FORMAT text, ENCODING 'UTF8')\n\
        --   INSERT INTO waypost_attempts SELECT * FROM loading ON CONFLICT DO NOTHING;\n";
    text
}
