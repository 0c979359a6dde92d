//! Parquet: typed columns, compressed, in row groups of a bounded number of records.

use std::io::{self, Write};
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::{Type, TypePtr};

use super::{COLUMNS, Column, Kind, Sink, Value, signed};
use crate::usage::ledger::Line;

/// Records of a row group, which are held in memory: about 20 MB of them.
const ROW_GROUP: usize = 1 << 15;

pub(super) struct Parquet {
    file: SerializedFileWriter<Box<dyn Write + Send>>,
    waiting: Vec<Line>,
}

impl Parquet {
    pub(super) fn begin(out: Box<dyn Write + Send>) -> io::Result<Self> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_created_by(concat!("waypost ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        let schema = schema().map_err(error)?;
        let file = SerializedFileWriter::new(out, schema, Arc::new(properties)).map_err(error)?;
        Ok(Self {
            file,
            waiting: Vec::new(),
        })
    }

    /// Writes what waits as a row group.
    fn group(&mut self) -> io::Result<()> {
        let mut group = self.file.next_row_group().map_err(error)?;
        let mut columns = COLUMNS.iter();
        while let Some(mut writer) = group.next_column().map_err(error)? {
            if let Some(column) = columns.next() {
                write_column(&mut writer, column, &self.waiting)?;
            }
            writer.close().map_err(error)?;
        }
        group.close().map_err(error)?;
        self.waiting.clear();
        Ok(())
    }
}

impl Sink for Parquet {
    fn record(&mut self, line: Line) -> io::Result<()> {
        self.waiting.push(line);
        if self.waiting.len() < ROW_GROUP {
            return Ok(());
        }
        self.group()
    }

    fn finish(mut self: Box<Self>) -> io::Result<()> {
        if !self.waiting.is_empty() {
            self.group()?;
        }
        self.file.finish().map_err(error)?;
        self.file.inner_mut().flush()
    }
}

fn schema() -> Result<TypePtr, ParquetError> {
    let field = |column: &Column| {
        let (physical, logical) = match column.kind {
            Kind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
            Kind::Integer => (Physical::INT64, None),
            Kind::Flag => (Physical::BOOLEAN, None),
            Kind::Moment => {
                let utc = LogicalType::timestamp(true, TimeUnit::MILLIS);
                (Physical::INT64, Some(utc))
            }
        };
        let repetition = if column.optional {
            Repetition::OPTIONAL
        } else {
            Repetition::REQUIRED
        };
        let field = Type::primitive_type_builder(column.name, physical)
            .with_logical_type(logical)
            .with_repetition(repetition)
            .build();
        field.map(Arc::new)
    };
    let fields = COLUMNS.iter().map(field).collect::<Result<_, _>>()?;
    let root = Type::group_type_builder("attempt")
        .with_fields(fields)
        .build();
    root.map(Arc::new)
}

fn write_column(
    writer: &mut SerializedColumnWriter<'_>,
    column: &Column,
    lines: &[Line],
) -> io::Result<()> {
    match column.kind {
        Kind::Text => cells::<ByteArrayType>(writer, column, lines, |value| match value {
            Value::Text(text) => Ok(ByteArray::from(text)),
            other => Err(unlike(column, other)),
        }),
        Kind::Integer | Kind::Moment => {
            cells::<Int64Type>(writer, column, lines, |value| match value {
                Value::Integer(number) | Value::Moment(number) => signed(number),
                other => Err(unlike(column, other)),
            })
        }
        Kind::Flag => cells::<BoolType>(writer, column, lines, |value| match value {
            Value::Flag(flag) => Ok(flag),
            other => Err(unlike(column, other)),
        }),
    }
}

/// The column of all `lines`: its values, and where it may be empty which of them have one.
fn cells<T: DataType>(
    writer: &mut SerializedColumnWriter<'_>,
    column: &Column,
    lines: &[Line],
    of: impl Fn(Value<'_>) -> io::Result<T::T>,
) -> io::Result<()> {
    let mut values = Vec::with_capacity(lines.len());
    let mut present = Vec::with_capacity(if column.optional { lines.len() } else { 0 });
    for line in lines {
        let value = (column.of)(line);
        if column.optional {
            present.push(i16::from(value.is_some()));
        }
        if let Some(value) = value {
            values.push(of(value)?);
        }
    }
    let present = column.optional.then_some(&*present);
    let written = writer.typed::<T>().write_batch(&values, present, None);
    written.map(drop).map_err(error)
}

fn unlike(column: &Column, value: Value<'_>) -> io::Error {
    io::Error::other(format!("{} holds {value:?}", column.name))
}

fn error(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(inner) => io::Error::other(inner),
        },
        other => io::Error::other(other),
    }
}
