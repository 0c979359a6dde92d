//! `waypost prices`: what models cost, from the tables a gateway would ask.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;
use serde_json::{Map, Value, json};

use super::table;
use crate::catalog;
use crate::config::{self, Config, Match, PriceTables};
use crate::types::{Cost, Price, Rates, TokenBuckets, TokenUsage};

/// List what models cost, or look one up as a configuration would.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Look this one up: `model`, `provider/model`, or with `--config` a deployment [default: list all]
    name: Option<String>,
    /// Ask the tables of this configuration before the built-in one
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Only this provider's models; or whose model NAME is
    #[arg(long, value_name = "PROVIDER")]
    provider: Option<String>,
    /// Only rows with this text in their name
    #[arg(long, value_name = "TEXT", conflicts_with = "name")]
    find: Option<String>,
    /// How it is printed
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Reckon the cost of these, as `input=1000,cached_input=400,output=50`: input and output are all of it, the kinds are
    /// in them
    #[arg(long, value_name = "KIND=N,…", value_parser = tokens, requires = "name")]
    tokens: Option<TokenUsage>,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Table,
    Json,
    Csv,
}

fn tokens(text: &str) -> Result<TokenUsage, String> {
    let mut usage = TokenUsage::default();
    for part in text.split(',') {
        let (kind, number) = part.split_once('=').ok_or("KIND=N")?;
        let into = match kind.trim() {
            "input" => &mut usage.input,
            "output" => &mut usage.output,
            "cached_input" => &mut usage.cached_input,
            "cache_write" => &mut usage.cache_write,
            "reasoning" => &mut usage.reasoning,
            "audio_input" => &mut usage.audio_input,
            "audio_output" => &mut usage.audio_output,
            "image_input" => &mut usage.image_input,
            other => {
                let known = TokenBuckets::ALL.map(|(name, _)| name).join(", ");
                return Err(format!("{other} is no kind of tokens; there are {known}"));
            }
        };
        *into = number
            .trim()
            .parse()
            .map_err(|_| format!("{number} is no number of tokens"))?;
    }
    Ok(usage)
}

/// Lists or looks up; the exit code is 1 if the price is not known.
///
/// # Errors
/// If the configuration can't be read.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let config = args.config.as_deref().map(read).transpose()?;
    let built_in = PriceTables::default();
    let tables = config.as_ref().map_or(&built_in, |config| &config.prices);
    let Some(name) = &args.name else {
        anstream::stdout()
            .lock()
            .write_all(list(args, tables)?.as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    };
    let Some(found) = look_up(args, name, config.as_ref(), tables) else {
        anstream::eprintln!(
            "{name}: unknown; no table has it, so what it costs is not counted as 0 but as unpriced tokens (docs/prices.md)"
        );
        return Ok(ExitCode::FAILURE);
    };
    let mut out = anstream::stdout().lock();
    match args.format {
        Format::Table => write!(out, "{}", told(name, &found, args.tokens.as_ref()))?,
        Format::Csv => write!(out, "{}", csv(&[found])?)?,
        Format::Json => {
            let mut json = row(&found);
            if let Some(usage) = &args.tokens {
                let cost = found.priced.price.of(usage);
                json["cost_dollars"] = number(cost, 12);
                json["cost_pico"] = cost.0.into();
            }
            writeln!(out, "{json:#}")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn read(path: &Path) -> anyhow::Result<Config> {
    let env = |name: &str| std::env::var(name).ok();
    match config::load(path, &env, false) {
        Ok((config, _)) => Ok(config),
        Err(findings) => {
            for finding in &findings {
                anstream::eprintln!("{finding}");
            }
            bail!("{} can't be served", path.display())
        }
    }
}

/// What a deployment of that name costs; else a model of the provider that is named beside it or before it.
fn look_up(
    args: &Args,
    name: &str,
    config: Option<&Config>,
    tables: &PriceTables,
) -> Option<Match> {
    let groups = config.map(|config| &config.groups).into_iter().flatten();
    let mut deployments = groups.flat_map(|group| &group.deployments);
    if let Some(deployment) = deployments.find(|deployment| &*deployment.target.id == name) {
        return Some(Match {
            row: deployment.target.price_model.to_string(),
            priced: deployment.price.clone()?,
        });
    }
    let (provider, model) = match (&args.provider, name.split_once('/')) {
        (Some(provider), _) => (&**provider, name),
        (None, Some((provider, model))) if catalog::find(provider).is_some() => (provider, model),
        (None, _) => ("", name),
    };
    tables.look_up(provider, model)
}

fn list(args: &Args, tables: &PriceTables) -> anyhow::Result<String> {
    let mut rows = tables.list();
    let wanted = args.find.as_ref().map(|text| text.to_lowercase());
    rows.retain(|found| {
        let of = |provider: &String| found.row.split('/').next() == Some(&**provider);
        args.provider.as_ref().is_none_or(of)
            && wanted
                .as_ref()
                .is_none_or(|text| found.row.to_lowercase().contains(text))
    });
    Ok(match args.format {
        Format::Csv => csv(&rows)?,
        Format::Json => format!("{:#}\n", Value::from_iter(rows.iter().map(row))),
        Format::Table => {
            let head = ["model", "input", "cached", "output", "further", "table"];
            let mut lines = vec![head.map(str::to_owned).to_vec()];
            lines.extend(rows.iter().map(|found| {
                let price = &found.priced.price;
                let rates = &price.rates;
                vec![
                    found.row.clone(),
                    million(rates.input),
                    rates.cached_input.map_or_else(String::new, million),
                    million(rates.output),
                    further(price),
                    found.priced.version.to_string(),
                ]
            }));
            format!(
                "{}{} rows; dollars per million tokens\n",
                table::of(&lines),
                rows.len()
            )
        }
    })
}

/// The rates that not every model has.
fn further(price: &Price) -> String {
    let mut parts: Vec<String> = given(&price.rates)
        .filter(|(name, _)| !matches!(*name, "input" | "output" | "cached_input"))
        .map(|(name, rate)| format!("{name} {}", million(rate)))
        .collect();
    if price.request != Cost(0) {
        parts.push(format!("request {}", exact(price.request, 12)));
    }
    if let Some((threshold, rates)) = &price.above {
        let rates = format!("{}/{}", million(rates.input), million(rates.output));
        parts.push(format!("above {threshold}: {rates}"));
    }
    parts.join(", ")
}

/// The rates that are not those of input or output, and those two.
fn given(rates: &Rates) -> impl Iterator<Item = (&'static str, Cost)> {
    let own = [
        true,
        rates.cached_input.is_some(),
        rates.cache_write.is_some(),
        true,
        rates.reasoning.is_some(),
        rates.audio_input.is_some(),
        rates.audio_output.is_some(),
        rates.image_input.is_some(),
    ];
    let names = TokenBuckets::ALL.map(|(name, _)| name);
    let all = names.into_iter().zip(rates.each()).zip(own);
    all.filter_map(|(row, own)| own.then_some(row))
}

fn told(name: &str, found: &Match, usage: Option<&TokenUsage>) -> String {
    let price = &found.priced.price;
    let mut text = format!(
        "{name}: row {} of {}; dollars per million tokens\n",
        found.row, found.priced.version
    );
    let mut head = vec!["kind".to_owned(), "rate".to_owned()];
    if let Some((threshold, _)) = &price.above {
        head.push(format!("above {threshold} of input"));
    }
    let mut lines = vec![head];
    let beyond = price.above.as_ref().map(|(_, rates)| rates.each());
    for (i, (kind, _)) in TokenBuckets::ALL.iter().enumerate() {
        let mut line = vec![(*kind).to_owned(), million(price.rates.each()[i])];
        line.extend(beyond.map(|rates| million(rates[i])));
        lines.push(line);
    }
    text += &table::of(&lines);
    if price.request != Cost(0) {
        let _ = writeln!(
            text,
            "  and {} dollars per request",
            exact(price.request, 12)
        );
    }
    if let Some(usage) = usage {
        text += &reckoned(price, usage);
    }
    text
}

/// The sum, bucket by bucket.
fn reckoned(price: &Price, usage: &TokenUsage) -> String {
    let parts = usage.buckets();
    let rates = price.rates_of(usage).each();
    let mut lines = Vec::new();
    for ((kind, of), rate) in TokenBuckets::ALL.iter().zip(rates) {
        let tokens = of(&parts);
        if tokens > 0 {
            let cost = Cost(tokens.saturating_mul(rate.0));
            lines.push(vec![
                format!("{tokens} {kind}"),
                format!("× {}", million(rate)),
                format!("= ${}", exact(cost, 12)),
            ]);
        }
    }
    if price.request != Cost(0) && usage.total() > 0 {
        let cost = format!("= ${}", exact(price.request, 12));
        lines.push(vec!["1 request".to_owned(), String::new(), cost]);
    }
    let total = format!("= ${}", exact(price.of(usage), 12));
    lines.push(vec![
        format!("{} tokens", usage.total()),
        String::new(),
        total,
    ]);
    table::of(&lines)
}

/// A row as JSON: dollars per million tokens, of what is given; `request` in dollars.
fn row(found: &Match) -> Value {
    let price = &found.priced.price;
    let rates = |rates: &Rates| -> Map<String, Value> {
        given(rates)
            .map(|(name, rate)| (name.to_owned(), number(rate, 6)))
            .collect()
    };
    let mut row = json!({"model": found.row, "version": &*found.priced.version, "rates": rates(&price.rates)});
    if let Some((threshold, beyond)) = &price.above {
        row["above"] = json!({"input_tokens": threshold, "rates": rates(beyond)});
    }
    if price.request != Cost(0) {
        row["request"] = number(price.request, 12);
    }
    row
}

/// The same as CSV; what is not given is empty.
fn csv(rows: &[Match]) -> anyhow::Result<String> {
    let kinds = TokenBuckets::ALL.map(|(name, _)| name);
    let mut out = csv::Writer::from_writer(Vec::new());
    let above = kinds.map(|kind| format!("above_{kind}"));
    let head = ["model", "version"].into_iter().chain(kinds);
    let head = head.chain(["request", "above"]);
    out.write_record(head.chain(above.iter().map(String::as_str)))?;
    for found in rows {
        let price = &found.priced.price;
        let cells = |rates: Option<&Rates>| {
            let given: Vec<_> = rates.into_iter().flat_map(given).collect();
            kinds.map(|kind| {
                let rate = given.iter().find(|(name, _)| *name == kind);
                rate.map_or_else(String::new, |(_, rate)| million(*rate))
            })
        };
        let mut line = vec![found.row.clone(), found.priced.version.to_string()];
        line.extend(cells(Some(&price.rates)));
        line.push(exact(price.request, 12));
        line.push(
            price
                .above
                .map_or_else(String::new, |(threshold, _)| threshold.to_string()),
        );
        line.extend(cells(price.above.as_ref().map(|(_, rates)| rates)));
        out.write_record(line)?;
    }
    Ok(String::from_utf8(out.into_inner()?)?)
}

/// Dollars per million tokens of a price per token.
fn million(rate: Cost) -> String {
    exact(rate, 6)
}

/// A number for JSON.
fn number(cost: Cost, places: usize) -> Value {
    exact(cost, places)
        .parse::<f64>()
        .map_or(Value::Null, Value::from)
}

/// All digits: `cost` with its last `places` behind the point.
fn exact(cost: Cost, places: usize) -> String {
    let digits = format!("{:0>width$}", cost.0, width = places + 1);
    let (whole, part) = digits.split_at(digits.len() - places);
    let part = part.trim_end_matches('0');
    if part.is_empty() {
        whole.to_owned()
    } else {
        format!("{whole}.{part}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_digit_is_lost() {
        for (pico, places, text) in [
            (2_500_000, 6, "2.5"),
            (0, 6, "0"),
            (1, 6, "0.000001"),
            (1, 12, "0.000000000001"),
            (5_000_000_000, 12, "0.005"),
            (u64::MAX, 12, "18446744.073709551615"),
        ] {
            assert_eq!(exact(Cost(pico), places), text);
        }
    }

    #[test]
    fn kinds_of_tokens() {
        let usage = tokens("input=1000, cached_input=400,output=50").expect("tokens");
        assert_eq!(
            (usage.input, usage.cached_input, usage.output),
            (1000, 400, 50)
        );
        for (text, wrong) in [
            ("input", "KIND=N"),
            (
                "in=1",
                "in is no kind of tokens; there are input, cached_input",
            ),
            ("input=-1", "-1 is no number"),
        ] {
            let error = tokens(text).expect_err("wrong");
            assert!(error.contains(wrong), "{error}");
        }
    }
}
