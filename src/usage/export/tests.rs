use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use ::parquet::file::reader::{FileReader, SerializedFileReader};
use ::parquet::record::Field;

use super::*;
use crate::types::{Provenance, TokenBuckets};
use crate::usage::ledger::{Entry, Outcome};

/// Keeps what is written.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("not poisoned").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn written(format: Format, lines: &[Line]) -> io::Result<Vec<u8>> {
    let kept = Kept::default();
    let mut sink = format.sink(Box::new(kept.clone()))?;
    for line in lines {
        sink.record(line.clone())?;
    }
    sink.finish()?;
    let bytes = kept.0.lock().expect("not poisoned").clone();
    Ok(bytes)
}

/// Every optional cell full in odd records and empty in even ones.
fn line(number: u64) -> Line {
    let odd = number % 2 == 1;
    Line {
        ledger: "l\u{e4}dger".into(),
        number,
        entry: Entry {
            began_ms: 1_795_000_000_123 + number,
            request: format!("req-{number}").into(),
            attempt: 2,
            group: "a \"b\", c\td\\e\nf".into(),
            deployment: "d".into(),
            provider: "openai".into(),
            model: "m".into(),
            key: odd.then(|| "team".into()),
            operation: "chat".into(),
            stream: odd,
            tokens: TokenBuckets {
                input: number,
                cached_input: 2,
                cache_write: 3,
                output: 4,
                reasoning: 5,
                audio_input: 6,
                audio_output: 7,
                image_input: 8,
            },
            provenance: Provenance::Reported,
            cost_pico: odd.then_some(9_000_000_000_000_000_001),
            price: odd.then(|| "list 2026-11".into()),
            outcome: Outcome::Failed,
            fault: odd.then(|| "timeout".into()),
            first_content_ms: odd.then_some(12),
            total_ms: 345,
        },
    }
}

/// A cell in words, whatever the format says it with; empty is none.
fn told(value: Option<Value<'_>>) -> String {
    match value {
        None => String::new(),
        Some(Value::Text(text)) => text.to_owned(),
        Some(Value::Integer(number)) => number.to_string(),
        Some(Value::Flag(flag)) => flag.to_string(),
        Some(Value::Moment(ms)) => moment(ms),
    }
}

fn expected(line: &Line) -> Vec<String> {
    COLUMNS
        .iter()
        .map(|column| told((column.of)(line)))
        .collect()
}

fn names() -> Vec<&'static str> {
    COLUMNS.iter().map(|column| column.name).collect()
}

#[test]
fn columns_are_named_once_and_hold_what_they_say() {
    let mut names = names();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), COLUMNS.len());
    for column in &COLUMNS {
        for n in [1, 2] {
            let line = line(n);
            let value = (column.of)(&line);
            assert!(value.is_some() || column.optional, "{}", column.name);
            let fits = match value {
                None => true,
                Some(Value::Text(_)) => column.kind == Kind::Text,
                Some(Value::Integer(_)) => column.kind == Kind::Integer,
                Some(Value::Flag(_)) => column.kind == Kind::Flag,
                Some(Value::Moment(_)) => column.kind == Kind::Moment,
            };
            assert!(fits, "{}", column.name);
        }
    }
}

#[test]
fn json_lines_are_the_records() {
    let lines = [line(1), line(2)];
    let bytes = written(Format::Jsonl, &lines).expect("written");
    let text = String::from_utf8(bytes).expect("text");
    let read: Vec<Line> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("a record"))
        .collect();
    assert_eq!(read, lines);
}

#[test]
fn csv_is_read_back() {
    let lines = [line(1), line(2)];
    let bytes = written(Format::Csv, &lines).expect("written");
    let mut reader = csv::Reader::from_reader(&*bytes);
    assert_eq!(reader.headers().expect("a header"), &names()[..]);
    let rows: Vec<Vec<String>> = reader
        .records()
        .map(|row| row.expect("a row").iter().map(str::to_owned).collect())
        .collect();
    assert_eq!(rows, lines.map(|line| expected(&line)));
}

#[test]
fn parquet_is_read_back_over_row_groups() {
    let lines: Vec<Line> = (1..=(1 << 15) + 3).map(line).collect();
    let bytes = written(Format::Parquet, &lines).expect("written");
    let file = SerializedFileReader::new(bytes::Bytes::from(bytes)).expect("a file");
    assert_eq!(file.num_row_groups(), 2);
    let mut rows = file.get_row_iter(None).expect("rows");
    for line in &lines {
        let row = rows.next().expect("a row").expect("readable");
        let cells: Vec<String> = row
            .get_column_iter()
            .map(|(_, field)| match field {
                Field::Null => String::new(),
                Field::Str(text) => text.clone(),
                Field::Long(number) => number.to_string(),
                Field::Bool(flag) => flag.to_string(),
                Field::TimestampMillis(ms) => moment(u64::try_from(*ms).expect("not negative")),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(cells, expected(line));
    }
    assert!(rows.next().is_none());
    let names: Vec<_> = file
        .metadata()
        .file_metadata()
        .schema()
        .get_fields()
        .iter()
        .map(|f| f.name().to_owned())
        .collect();
    assert_eq!(names, self::names());
}

#[test]
fn an_empty_ledger_is_a_file_without_rows() {
    let bytes = written(Format::Parquet, &[]).expect("written");
    let file = SerializedFileReader::new(bytes::Bytes::from(bytes)).expect("a file");
    assert_eq!(file.metadata().file_metadata().num_rows(), 0);
    let bytes = written(Format::Csv, &[]).expect("written");
    assert_eq!(bytes.iter().filter(|byte| **byte == b'\n').count(), 1);
}

#[test]
fn postgres_escapes_what_has_a_meaning() {
    let mut odd = line(1);
    odd.entry.model = "a\0b\rc".into();
    let bytes = written(Format::Postgres, &[odd, line(2)]).expect("written");
    let text = String::from_utf8(bytes).expect("text");
    let rows: Vec<Vec<&str>> = text
        .lines()
        .map(|line| line.split('\t').collect())
        .collect();
    assert_eq!(
        (rows.len(), rows[0].len(), rows[1].len()),
        (2, COLUMNS.len(), COLUMNS.len())
    );
    let cell = |row: usize, name: &str| {
        let at = names().iter().position(|n| *n == name).expect("a column");
        rows[row][at]
    };
    assert_eq!(cell(0, "model_group"), r#"a "b", c\td\\e\nf"#);
    assert_eq!(cell(0, "model"), "a\u{fffd}b\\rc");
    assert_eq!(
        (cell(0, "client_key"), cell(1, "client_key")),
        ("team", "\\N")
    );
    assert_eq!((cell(0, "stream"), cell(1, "stream")), ("t", "f"));
    assert_eq!(cell(0, "began_at"), moment(1_795_000_000_124));
}

#[test]
fn numbers_beyond_the_format_are_refused() {
    let mut line = line(1);
    line.entry.cost_pico = Some(u64::MAX);
    for format in [Format::Parquet, Format::Postgres] {
        let error = written(format, std::slice::from_ref(&line)).expect_err("too large");
        assert!(
            error.to_string().contains("18446744073709551615"),
            "{error}"
        );
    }
    assert!(written(Format::Clickhouse, &[line]).is_ok());
}

#[test]
fn clickhouse_has_names_and_types_and_every_byte() {
    let lines = [line(1), line(2)];
    let bytes = written(Format::Clickhouse, &lines).expect("written");
    let mut rest = &*bytes;
    let mut take = |n: usize| {
        let (taken, left) = rest.split_at(n);
        rest = left;
        taken.to_vec()
    };
    fn varint(take: &mut impl FnMut(usize) -> Vec<u8>) -> usize {
        let mut number = 0;
        for shift in (0..).step_by(7) {
            let byte = take(1)[0];
            number |= usize::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        number
    }
    fn text(take: &mut impl FnMut(usize) -> Vec<u8>) -> String {
        let length = varint(take);
        String::from_utf8(take(length)).expect("text")
    }
    fn number(take: &mut impl FnMut(usize) -> Vec<u8>) -> u64 {
        u64::from_le_bytes(take(8).try_into().expect("eight"))
    }
    assert_eq!(varint(&mut take), COLUMNS.len());
    let header: Vec<String> = COLUMNS.iter().map(|_| text(&mut take)).collect();
    assert_eq!(header, names());
    let types: Vec<String> = COLUMNS.iter().map(|_| text(&mut take)).collect();
    for line in &lines {
        for (column, kind) in COLUMNS.iter().zip(&types) {
            assert_eq!(kind.starts_with("Nullable("), column.optional);
            let empty = column.optional && take(1) == [1];
            let cell = match column.kind {
                _ if empty => String::new(),
                Kind::Text => text(&mut take),
                Kind::Integer => number(&mut take).to_string(),
                Kind::Flag => (take(1) == [1]).to_string(),
                Kind::Moment => moment(number(&mut take)),
            };
            assert_eq!(cell, told((column.of)(line)), "{}", column.name);
        }
    }
    assert!(rest.is_empty());
}

#[test]
fn tables_have_all_columns_in_order() {
    for format in Format::ALL {
        let Some(sql) = format.schema() else { continue };
        let declared: Vec<&str> = sql
            .lines()
            .filter_map(|line| line.strip_prefix("    "))
            .filter_map(|line| line.split(' ').next())
            .filter(|word| *word != "PRIMARY")
            .collect();
        assert_eq!(declared, names(), "{}", format.name());
    }
}
