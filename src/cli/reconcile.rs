//! `waypost reconcile`: the ledger beside a provider's own export of usage or cost.

use std::fs::File;
use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use serde_json::{Value, json};

use super::ledger_source::{LedgerFolder, Reading, Span};
use super::money::{align_right, decimals, dollars, exact, thousands};
use super::table;
use super::usage::Format;
use crate::usage::reconcile::{
    self, Cell, Compared, Export, Ledger, Measure, Provider, Same, Tolerance,
};
use crate::usage::totals::{Day, Period};

/// Compare the ledger with a provider's own export of usage or cost.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The export; several are added up (usage and cost, or months)
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Whose it is: openai, azure or anthropic
    #[arg(long, value_parser = provider, value_name = "PROVIDER")]
    provider: Provider,
    /// By how much the ledger may be off, of what the export says
    #[arg(long, default_value = "0.5%", value_parser = tolerance, value_name = "PERCENT")]
    tolerance: Tolerance,
    /// A model's name and another one of the same model; may be given several times
    #[arg(long = "same", value_name = "NAME=NAME", value_parser = same)]
    same: Vec<(String, String)>,
    /// Of Azure's export only resources whose id contains this
    #[arg(long, value_name = "TEXT")]
    resource: Option<String>,
    #[command(flatten)]
    span: Span,
    /// For people, or for programs
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    #[command(flatten)]
    folder: LedgerFolder,
}

fn provider(text: &str) -> Result<Provider, String> {
    let known = Provider::ALL.into_iter().find(|p| p.name() == text);
    known.ok_or_else(|| Provider::ALL.map(Provider::name).join(", "))
}

fn tolerance(text: &str) -> Result<Tolerance, String> {
    Tolerance::parse(text).ok_or_else(|| "a percentage, like 0.5%".to_owned())
}

fn same(text: &str) -> Result<(String, String), String> {
    let (one, other) = text.split_once('=').ok_or("NAME=NAME")?;
    Ok((one.to_owned(), other.to_owned()))
}

/// Compares; the exit code is 1 if a difference is beyond the tolerance, or a part of the ledger could not be read.
///
/// # Errors
/// If there is no such ledger, or a file is no export that is known.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let dirs = args.folder.find()?;
    let mut same = Same::default();
    args.same
        .iter()
        .for_each(|(one, other)| same.set(one, other));
    let period = args.span.period()?;
    let mut export: Option<Export> = None;
    let mut formats = Vec::new();
    for file in &args.files {
        let one = read(args, file).with_context(|| file.display().to_string())?;
        formats.push((file.display().to_string(), one.format));
        export = Some(match export {
            Some(before) => before.and(one),
            None => one,
        });
    }
    let mut export = export.unwrap_or_default().named(&same);
    export.rows.retain(|(day, _), _| is_in(period, *day));
    // Of what the export does not speak of at all nothing can be compared.
    let days = export.days();
    let period = match days {
        Some((first, last)) if args.span.is_open() => Period::of_days(first, last),
        _ => whole_days(period),
    };
    let mut ledger = Ledger::beside(args.provider, &export, &same);
    let mut reading = Reading::of(dirs, period);
    reading.by_ref().for_each(|line| ledger.add(&line.entry));
    let compared = reconcile::compare(&ledger, args.tolerance);
    let mut out = anstream::stdout().lock();
    match args.format {
        Format::Table => {
            for (file, format) in &formats {
                writeln!(out, "{file}: {format}")?;
            }
            write!(out, "{}", told(&export, &compared, days))?;
        }
        Format::Json => {
            let answer = as_json(&formats, &export, &compared);
            writeln!(out, "{}", serde_json::to_string_pretty(&answer)?)?;
        }
        Format::Csv => as_csv(&mut out, &compared)?,
    }
    Ok(if reading.is_whole() && compared.agrees {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn read(args: &Args, file: &Path) -> anyhow::Result<Export> {
    let mut input = BufReader::with_capacity(64 * 1024, File::open(file)?);
    let resource = args.resource.as_deref();
    Ok(reconcile::read(args.provider, &mut input, resource)?)
}

/// The days that the period touches, whole: what is compared with them has no shorter times.
fn whole_days(period: Period) -> Period {
    Period {
        since_ms: period.since_ms.map(|since| Day::of_ms(since).start_ms()),
        until_ms: period
            .until_ms
            .map(|until| Day::of_ms(until.saturating_sub(1)).next().start_ms()),
    }
}

/// Days are compared whole; one that the period only begins or ends in is in it.
fn is_in(period: Period, day: Day) -> bool {
    period
        .since_ms
        .is_none_or(|since| since < day.next().start_ms())
        && period.until_ms.is_none_or(|until| day.start_ms() < until)
}

fn told(export: &Export, compared: &Compared, days: Option<(Day, Day)>) -> String {
    let mut text = String::new();
    if let Some((first, last)) = days {
        text += &format!("{first} to {last}, days in UTC\n\n");
    }
    let costs = compared
        .total
        .iter()
        .chain(compared.rows.iter().flat_map(|row| &row.cells));
    let costs = costs.filter(|cell| cell.measure == Measure::Cost);
    let decimals = decimals(costs.flat_map(|cell| [cell.export, cell.ledger, cell.difference()]));
    let cells = |cell: &Cell| -> Vec<String> {
        let amount = |amount| match cell.measure {
            Measure::Cost => format!("${}", dollars(amount, decimals)),
            _ => thousands(amount),
        };
        let difference = match cell.difference() {
            0 => "0".to_owned(),
            by if by > 0 => format!("+{}", amount(by)),
            by => format!("-{}", amount(-by)),
        };
        let relative = match cell.millionths() {
            _ if cell.difference() == 0 => String::new(),
            Some(millionths) => percent(millionths),
            None => "new".to_owned(),
        };
        vec![
            amount(cell.export),
            amount(cell.ledger),
            difference,
            relative,
        ]
    };
    let head = ["day", "model", "", "", "export", "ledger", "difference", ""];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for row in &compared.rows {
        for (at, cell) in row.cells.iter().enumerate() {
            let first = |text: String| if at == 0 { text } else { String::new() };
            let mut line = vec![
                first(row.key.0.to_string()),
                first(row.key.1.clone()),
                first(row.state.name().to_owned()),
                cell.measure.name().replace('_', " "),
            ];
            line.extend(cells(cell));
            line.push(if cell.beyond { "!" } else { "" }.to_owned());
            rows.push(line);
        }
    }
    for (at, cell) in compared.total.iter().enumerate() {
        let first = if at == 0 { "total" } else { "" };
        let mut line = vec![first.to_owned(), String::new(), String::new()];
        line.push(cell.measure.name().replace('_', " "));
        line.extend(cells(cell));
        rows.push(line);
    }
    align_right(&mut rows, 4);
    text += &table::of(&rows);
    let agree = compared
        .rows
        .iter()
        .filter(|row| row.state == reconcile::State::Agrees);
    text += &format!(
        "\n{} of {} rows agree.\n",
        agree.count(),
        compared.rows.len()
    );
    for note in &export.notes {
        text += &format!("{note}\n");
    }
    if !compared.hints.is_empty() {
        text += "\nWhat this usually means:\n";
    }
    for hint in &compared.hints {
        text += &format!("- {hint}\n");
    }
    text
}

/// Millionths as per cent.
fn percent(millionths: i128) -> String {
    let sign = if millionths < 0 { '-' } else { '+' };
    let hundredths = (millionths.abs() + 50) / 100;
    format!(
        "{sign}{}.{:02} %",
        thousands(hundredths / 100),
        hundredths % 100
    )
}

/// Tokens as they are, money in dollars.
fn amount(measure: Measure, amount: i128) -> String {
    match measure {
        Measure::Cost => exact(amount),
        _ => amount.to_string(),
    }
}

fn as_json(formats: &[(String, &str)], export: &Export, compared: &Compared) -> Value {
    let cells = |cells: &[Cell]| -> Value {
        let cells = cells.iter().map(|cell| {
            let value = |number| match cell.measure {
                // Text, so that no reader rounds it.
                Measure::Cost => json!(exact(number)),
                _ => i64::try_from(number).map_or(Value::Null, Value::from),
            };
            let body = json!({
                "export": value(cell.export),
                "ledger": value(cell.ledger),
                "difference": value(cell.difference()),
                "beyond_tolerance": cell.beyond,
            });
            (cell.measure.name().to_owned(), body)
        });
        Value::Object(cells.collect())
    };
    let rows = compared.rows.iter().map(|row| {
        json!({
            "day": row.key.0.to_string(),
            "model": export.by_model.then_some(&row.key.1),
            "state": row.state.name(),
            "measures": cells(&row.cells),
            "ledger": {
                "counted_attempts": row.own.counted,
                "unknown_attempts": row.own.unknown,
                "unpriced_tokens": row.own.unpriced,
            },
        })
    });
    let files = formats
        .iter()
        .map(|(file, format)| json!({"file": file, "format": format}));
    json!({
        "files": files.collect::<Vec<_>>(),
        "agrees": compared.agrees,
        "rows": rows.collect::<Vec<_>>(),
        "total": cells(&compared.total),
        "notes": export.notes,
        "hints": compared.hints,
    })
}

fn as_csv(out: &mut impl Write, compared: &Compared) -> anyhow::Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    let head = [
        "day",
        "model",
        "state",
        "measure",
        "export",
        "ledger",
        "difference",
        "beyond_tolerance",
    ];
    writer.write_record(head)?;
    for row in &compared.rows {
        for cell in &row.cells {
            let value = |number| amount(cell.measure, number);
            writer.write_record([
                row.key.0.to_string().as_str(),
                &row.key.1,
                row.state.name(),
                cell.measure.name(),
                &value(cell.export),
                &value(cell.ledger),
                &value(cell.difference()),
                if cell.beyond { "true" } else { "false" },
            ])?;
        }
    }
    Ok(writer.flush()?)
}
