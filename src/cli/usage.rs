//! `waypost usage`: tokens and cost of a ledger, for people and for programs.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::ValueEnum;
use serde_json::{Value, json};

use super::in_force::plural;
use super::ledger_source::{LedgerFolder, Reading, Span};
use super::money::{align_right, decimals, dollars, exact, thousands};
use super::redis_source::asked_of;
use super::table;
use crate::clock::{Clock, SystemClock};
use crate::types::{RedisTarget, TokenBuckets};
use crate::usage::ledger::ship;
use crate::usage::totals::{By, Day, Part, Period, Sums, Totals, moment};

/// Show tokens and cost, summed from the ledger.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// What to sum by, one or several: group, deployment, key, day, model, provider, outcome
    #[arg(long, value_delimiter = ',', default_value = "group", value_parser = by, value_name = "BY")]
    by: Vec<By>,
    #[command(flatten)]
    span: Span,
    /// For people, or for programs
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Everyone's sums, from the Redis that the configuration's ledger is handed over to; of whole days
    #[arg(long, conflicts_with = "ledger")]
    shared: bool,
    #[command(flatten)]
    folder: LedgerFolder,
}

/// How sums and comparisons are printed.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// Columns
    Table,
    /// One JSON object
    Json,
    /// Comma-separated, with a header
    Csv,
}

fn by(text: &str) -> Result<By, String> {
    let known = By::ALL.into_iter().find(|by| by.name() == text.trim());
    known.ok_or_else(|| By::ALL.map(By::name).join(", "))
}

/// Where sums come from.
enum Source {
    /// The records of these folders.
    Ledger(Vec<PathBuf>),
    /// Everyone's, in a Redis.
    Shared(Arc<RedisTarget>),
}

impl Source {
    /// The sums of a period, and whether all that should be in them is.
    fn totals(&self, by: &[By], period: Period) -> anyhow::Result<(Totals, bool)> {
        match self {
            Self::Shared(target) => Ok((shared(target, by, period)?, true)),
            Self::Ledger(dirs) => {
                let mut totals = Totals::by(by);
                let mut reading = Reading::of(dirs.clone(), period);
                for line in reading.by_ref() {
                    totals.add(&line.entry);
                }
                Ok((totals, reading.is_whole()))
            }
        }
    }
}

/// Everyone's sums of the days that the period touches.
fn shared(target: &Arc<RedisTarget>, by: &[By], period: Period) -> anyhow::Result<Totals> {
    let today = Day::of_ms(u64::try_from(SystemClock.unix().as_millis())?);
    let oldest = Day(today.0.saturating_sub(ship::KEPT));
    let first = period.since_ms.map_or(oldest, Day::of_ms).max(oldest);
    let end = period.until_ms.unwrap_or(u64::MAX);
    let days = (first.0..=today.0).map(Day);
    asked_of(target, async |redis| {
        let mut totals = Totals::by(by);
        for day in days.take_while(|day| day.start_ms() < end) {
            for sum in ship::day(redis, day).await? {
                totals.add_day(day, &sum.account, &sum.sums);
            }
        }
        Ok(totals)
    })
}

/// Prints the sums; the exit code is 1 if a part of the ledger could not be read.
///
/// # Errors
/// If there is no such ledger.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut by = Vec::new();
    args.by.iter().for_each(|one| {
        if !by.contains(one) {
            by.push(*one);
        }
    });
    let source = if args.shared {
        Source::Shared(args.folder.shared()?)
    } else {
        Source::Ledger(args.folder.find()?)
    };
    let (totals, whole) = source.totals(&by, args.span.period()?)?;
    let mut out = anstream::stdout().lock();
    match args.format {
        Format::Table => write!(out, "{}", told(&by, &totals))?,
        Format::Json => {
            let rows = totals.rows();
            let rows: Vec<Value> = rows.map(|(l, sums)| as_json(&by, l, sums)).collect();
            let answer = json!({"rows": rows, "total": as_json(&[], &[], totals.all())});
            writeln!(out, "{}", serde_json::to_string_pretty(&answer)?)?;
        }
        Format::Csv => as_csv(&mut out, &by, &totals)?,
    }
    Ok(if whole {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// A table, and below it what is not known.
fn told(by: &[By], totals: &Totals) -> String {
    let Some((first, last)) = totals.began() else {
        return "No attempt is recorded in this time.\n".to_owned();
    };
    let all = totals.all();
    let used: Vec<_> = TokenBuckets::ALL
        .into_iter()
        .filter(|(_, of)| of(&all.tokens) > 0)
        .collect();
    let cost = |sums: &Sums| i128::try_from(sums.cost_pico).unwrap_or(i128::MAX);
    let decimals = decimals(totals.rows().map(|(_, sums)| cost(sums)));
    let cells = |sums: &Sums| {
        let mut cells = vec![sums.requests, sums.attempts];
        cells.extend(used.iter().map(|(_, of)| of(&sums.tokens)));
        let mut cells: Vec<String> = cells.into_iter().map(|n| thousands(n.into())).collect();
        let unpriced = sums.unpriced.tokens;
        cells.push(if unpriced > 0 && unpriced == sums.tokens.total() {
            "?".to_owned()
        } else {
            dollars(cost(sums), decimals)
        });
        cells.extend((all.unpriced.tokens > 0).then(|| match unpriced {
            0 => String::new(),
            tokens => thousands(tokens.into()),
        }));
        cells
    };
    let words = ["requests", "attempts"].into_iter();
    let words = words.chain(used.iter().map(|(name, _)| *name));
    let mut head: Vec<String> = by.iter().map(|by| by.name().to_owned()).collect();
    head.extend(words.map(|word| word.replace('_', " ")));
    head.push("cost, $".to_owned());
    head.extend((all.unpriced.tokens > 0).then(|| "not priced".to_owned()));
    let mut rows = vec![head];
    for (labels, sums) in totals.rows() {
        let shown = |label: &Arc<str>| if label.is_empty() { "-" } else { label }.to_owned();
        rows.push(labels.iter().map(shown).chain(cells(sums)).collect());
    }
    if rows.len() > 2 {
        let mut total = vec![String::new(); by.len()];
        if let Some(cell) = total.first_mut() {
            "total".clone_into(cell);
        }
        rows.push(total.into_iter().chain(cells(all)).collect());
    }
    align_right(&mut rows, by.len());
    format!(
        "{} to {}, days in UTC\n\n{}{}",
        second(first),
        second(last),
        table::of(&rows),
        unknown(all)
    )
}

fn second(ms: u64) -> String {
    let text = moment(ms);
    format!("{}Z", text.get(..19).unwrap_or(&text).replace('T', " "))
}

/// What the sums don't know, in sentences.
fn unknown(all: &Sums) -> String {
    let part = |part: Part| {
        let attempts = plural(
            usize::try_from(part.attempts).unwrap_or(usize::MAX),
            "attempt",
        );
        (attempts, thousands(part.tokens.into()))
    };
    let mut text = String::new();
    let mut say = |sentence: String| text += &format!("\n{sentence}");
    if all.unpriced.attempts > 0 {
        let (attempts, tokens) = part(all.unpriced);
        say(format!(
            "{tokens} tokens of {attempts} have no known price: their cost is in none of these sums."
        ));
    }
    if all.counted.attempts > 0 {
        let (attempts, tokens) = part(all.counted);
        say(format!(
            "{tokens} tokens of {attempts} are estimates: the provider did not report them, Waypost counted."
        ));
    }
    if all.unknown.attempts > 0 {
        let (attempts, _) = part(all.unknown);
        say(format!(
            "The tokens of {attempts} are unknown (failed or broken off without a report); they count as none."
        ));
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

fn as_json(by: &[By], labels: &[Arc<str>], sums: &Sums) -> Value {
    let part = |part: Part| json!({"attempts": part.attempts, "tokens": part.tokens});
    let mut row = serde_json::Map::new();
    for (by, label) in by.iter().zip(labels) {
        let label = (!label.is_empty()).then(|| label.to_string());
        row.insert(by.name().to_owned(), json!(label));
    }
    let mut tokens = json!(sums.tokens);
    tokens["total"] = sums.tokens.total().into();
    let sums = json!({
        "requests": sums.requests,
        "attempts": sums.attempts,
        "tokens": tokens,
        // Text, so that no reader rounds it.
        "cost_usd": exact(i128::try_from(sums.cost_pico).unwrap_or(i128::MAX)),
        "unpriced": part(sums.unpriced),
        "reported": part(sums.reported),
        "counted": part(sums.counted),
        "unknown": part(sums.unknown),
    });
    if let Value::Object(sums) = sums {
        row.extend(sums);
    }
    Value::Object(row)
}

fn as_csv(out: &mut impl Write, by: &[By], totals: &Totals) -> anyhow::Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    let mut head: Vec<String> = by.iter().map(|by| by.name().to_owned()).collect();
    head.extend(["requests", "attempts"].map(str::to_owned));
    head.extend(TokenBuckets::ALL.map(|(name, _)| format!("{name}_tokens")));
    let more = [
        "cost_usd",
        "unpriced_attempts",
        "unpriced_tokens",
        "counted_attempts",
        "counted_tokens",
        "unknown_attempts",
    ];
    head.extend(more.map(str::to_owned));
    writer.write_record(&head)?;
    for (labels, sums) in totals.rows() {
        let mut row: Vec<String> = labels.iter().map(|label| label.to_string()).collect();
        row.extend([sums.requests, sums.attempts].map(|n| n.to_string()));
        row.extend(TokenBuckets::ALL.map(|(_, of)| of(&sums.tokens).to_string()));
        row.push(exact(i128::try_from(sums.cost_pico).unwrap_or(i128::MAX)));
        let parts = [
            sums.unpriced.attempts,
            sums.unpriced.tokens,
            sums.counted.attempts,
            sums.counted.tokens,
            sums.unknown.attempts,
        ];
        row.extend(parts.map(|n| n.to_string()));
        writer.write_record(&row)?;
    }
    Ok(writer.flush()?)
}
