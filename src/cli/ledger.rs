//! `waypost ledger`: the records for other programs, and whether they are whole.

mod order;

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::Subcommand;

use super::in_force::plural;
use super::ledger_source::{LedgerFolder, Reading, Span};
use super::money::thousands;
use crate::usage::export::Format;
use crate::usage::ledger::{self, LedgerError, segment};
use order::Order;

/// Hand the ledger's records to other programs, or look whether they are whole.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Write the records in another format, in their order; while they are being written, too.
    Export(ExportArgs),
    /// Look at every record: checksums, and numbers without gaps. The exit code is 1 if anything is wrong.
    Verify(VerifyArgs),
}

#[derive(clap::Args, Debug)]
struct ExportArgs {
    /// jsonl, csv, parquet, postgres (COPY text) or clickhouse (RowBinaryWithNamesAndTypes)
    #[arg(long, value_parser = format, value_name = "FORMAT")]
    format: Format,
    /// Write to this file, which is replaced once the export is whole [default: standard output]
    #[arg(long, short, value_name = "FILE", conflicts_with = "schema")]
    output: Option<PathBuf>,
    /// Print the table for it and how to load it, and export nothing
    #[arg(long)]
    schema: bool,
    #[command(flatten)]
    span: Span,
    #[command(flatten)]
    folder: LedgerFolder,
}

#[derive(clap::Args, Debug)]
struct VerifyArgs {
    #[command(flatten)]
    folder: LedgerFolder,
}

fn format(text: &str) -> Result<Format, String> {
    let known = Format::ALL.into_iter().find(|f| f.name() == text);
    known.ok_or_else(|| Format::ALL.map(Format::name).join(", "))
}

/// Runs the command; the exit code is 1 if the ledger is not whole.
///
/// # Errors
/// If there is no such ledger, or the output can't be written.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.command {
        Command::Export(args) => export(args),
        Command::Verify(args) => {
            let mut whole = true;
            for dir in args.folder.find()? {
                whole &= verify(&dir)?;
            }
            Ok(if whole {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            })
        }
    }
}

fn export(args: &ExportArgs) -> anyhow::Result<ExitCode> {
    let format = args.format;
    if args.schema {
        let schema = format.schema();
        let schema = schema.with_context(|| format!("{} needs no table", format.name()))?;
        write!(anstream::stdout().lock(), "{schema}")?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut reading = Reading::of(args.folder.find()?, args.span.period()?);
    let output = Output::open(args.output.as_deref(), format)?;
    let mut sink = format.sink(output.writer()?)?;
    for line in reading.by_ref() {
        let (ledger, number) = (Arc::clone(&line.ledger), line.number);
        sink.record(line)
            .with_context(|| format!("record {number} of ledger {ledger}"))?;
    }
    sink.finish()?;
    output.done()?;
    Ok(if reading.is_whole() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Where an export goes: a file takes its name only once it is whole.
enum Output {
    Stdout,
    /// A pipe or a device.
    Direct(PathBuf),
    File {
        part: PathBuf,
        whole: PathBuf,
    },
}

impl Output {
    fn open(file: Option<&Path>, format: Format) -> anyhow::Result<Self> {
        let Some(file) = file else {
            if format.is_binary() && io::stdout().is_terminal() {
                bail!(
                    "{} is not for a terminal; --output FILE, or a pipe",
                    format.name()
                );
            }
            return Ok(Self::Stdout);
        };
        if file.metadata().is_ok_and(|is| !is.is_file()) {
            return Ok(Self::Direct(file.to_owned()));
        }
        let mut part = file.as_os_str().to_owned();
        part.push(".part");
        Ok(Self::File {
            part: part.into(),
            whole: file.to_owned(),
        })
    }

    fn writer(&self) -> anyhow::Result<Box<dyn Write + Send>> {
        let (Self::Direct(path) | Self::File { part: path, .. }) = self else {
            return Ok(Box::new(BufWriter::new(io::stdout())));
        };
        let file = File::create(path).with_context(|| path.display().to_string())?;
        Ok(Box::new(BufWriter::new(file)))
    }

    fn done(self) -> anyhow::Result<()> {
        if let Self::File { part, whole } = self {
            std::fs::rename(&part, &whole).with_context(|| whole.display().to_string())?;
        }
        Ok(())
    }
}

/// Whether the ledger is whole; says what is not.
fn verify(dir: &Path) -> anyhow::Result<bool> {
    let mut out = anstream::stdout().lock();
    let segments = segment::list(dir)?;
    let mut bytes = 0;
    for (_, path) in &segments {
        bytes += path.metadata().map_or(0, |is| is.len());
    }
    let mut records = ledger::read(dir);
    let mut order = Order::of(&segments);
    let (mut read, mut wrong) = (0_u64, 0_usize);
    let mut say = |out: &mut dyn Write, found: &str| {
        wrong += 1;
        writeln!(out, "{found}")
    };
    for line in records.by_ref() {
        let found = match line {
            Ok(line) => {
                read += 1;
                let found = order.follow(&line.ledger, line.number);
                found.map(|found| format!("{}: {found}", place(&segments, line.number)))
            }
            Err(error) => {
                if matches!(error, LedgerError::Wrong { .. }) {
                    order.skip();
                } else {
                    order.lose();
                }
                Some(error.to_string())
            }
        };
        if let Some(found) = found {
            say(&mut out, &found)?;
        }
    }
    for (first, path) in &segments {
        // The last one may be just begun.
        let begun = records
            .torn()
            .is_some_and(|torn| torn.file == *path && torn.whole == 0);
        let empty = path.metadata().is_ok_and(|is| is.len() == 0);
        if order.headless().contains(first) && !begun && !empty {
            say(
                &mut out,
                &format!("{}: it does not begin with record {first}", path.display()),
            )?;
        }
    }
    if let Some(torn) = records.torn() {
        writeln!(
            out,
            "{}: {} after byte {} are the begin of a record: one that is being written, or that a crash cut short before \
             anybody was told it was written. The next start of the gateway cuts it off.",
            torn.file.display(),
            plural(usize::try_from(torn.rest).unwrap_or(usize::MAX), "byte"),
            torn.whole
        )?;
    }
    writeln!(
        out,
        "{}: {} records in {}, {} bytes: {}",
        dir.display(),
        thousands(read.into()),
        plural(segments.len(), "segment"),
        thousands(bytes.into()),
        match wrong {
            0 => "whole".to_owned(),
            n => plural(n, "fault"),
        }
    )?;
    Ok(wrong == 0)
}

/// The segment a record is in.
fn place(segments: &[(u64, PathBuf)], number: u64) -> String {
    let before = segments.iter().rev().find(|(first, _)| *first <= number);
    let segment = before.or_else(|| segments.first());
    segment.map_or_else(String::new, |(_, path)| path.display().to_string())
}
