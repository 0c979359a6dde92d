//! Anthropic's exports of the console's pages "Usage" and "Cost".
//!
//! - Usage: `usage_date_utc`, `model_version`, `usage_input_tokens_no_cache` and `usage_output_tokens`; with
//!   `usage_input_tokens_cache_read` and `usage_input_tokens_cache_write`, which is `…_5m` and `…_1h` since there are two
//!   lifetimes. Buckets are disjoint, days are in UTC.
//! - Cost: `usage_date_utc`, `model`, `token_type` and `cost_usd`, a row for each kind of token, each rounded to cents. What
//!   is no token (web search, code execution) has no model, and is compared as such.

use std::io::BufRead;

use super::sheet::Sheet;
use super::{Export, ExportError, Measure, Provider, number};

pub(super) const KNOWN: &str = "the usage CSV (usage_date_utc, model_version, usage_input_tokens_no_cache, usage_output_tokens, …) \
     and the cost CSV (usage_date_utc, model, token_type, cost_usd, …) of the console";

/// Half a cent, in pico-dollars.
const HALF_A_CENT: i128 = 5_000_000_000;

pub(super) fn read(input: &mut dyn BufRead) -> Result<Export, ExportError> {
    let mut sheet = Sheet::open(input)?;
    let column = |name: &str| sheet.column(&[name]);
    let Some(day) = column("usage_date_utc") else {
        return Err(unknown(&sheet));
    };
    let usage = (
        column("model_version"),
        column("usage_input_tokens_no_cache"),
        column("usage_output_tokens"),
    );
    if let (Some(model), Some(input), Some(output)) = usage {
        let mut columns = vec![(Measure::Input, input), (Measure::Output, output)];
        for (measure, name) in [
            (Measure::CachedInput, "usage_input_tokens_cache_read"),
            (Measure::CacheWrite, "usage_input_tokens_cache_write"),
            (Measure::CacheWrite, "usage_input_tokens_cache_write_5m"),
            (Measure::CacheWrite, "usage_input_tokens_cache_write_1h"),
        ] {
            columns.extend(column(name).map(|found| (measure, found)));
        }
        let tells: Vec<Measure> = columns.iter().map(|(measure, _)| *measure).collect();
        let mut export = Export::of("usage CSV of the Anthropic console", &tells);
        for row in sheet.rows() {
            let row = row?;
            if row.is_empty(&day) {
                continue;
            }
            let (day, model) = (row.day(&day)?, row.text(&model));
            for (measure, column) in &columns {
                let tokens = number::whole(row.number(column)?, 1);
                export.add(day, model, *measure, tokens);
            }
        }
        return Ok(export);
    }
    let (Some(model), Some(kind), Some(cost)) =
        (column("model"), column("token_type"), column("cost_usd"))
    else {
        return Err(unknown(&sheet));
    };
    let cost_type = column("cost_type");
    let mut export = Export::of("cost CSV of the Anthropic console", &[Measure::Cost]);
    for row in sheet.rows() {
        let row = row?;
        if row.is_empty(&day) {
            continue;
        }
        let model = match (row.text(&model), &cost_type) {
            ("", Some(cost_type)) => row.text(cost_type),
            ("", None) => row.text(&kind),
            (model, _) => model,
        };
        let day = row.day(&day)?;
        export.add(day, model, Measure::Cost, row.number(&cost)?);
        *export.rounding.entry((day, model.to_owned())).or_default() += HALF_A_CENT;
    }
    export.notes.push(
        "Anthropic rounds each cost to cents; differences up to half a cent a row of the export are not counted.".to_owned(),
    );
    Ok(export)
}

fn unknown(sheet: &Sheet<'_>) -> ExportError {
    ExportError::Unknown {
        provider: Provider::Anthropic,
        found: sheet.header().join(", "),
    }
}
