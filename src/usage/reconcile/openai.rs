//! OpenAI's exports of the pages "Usage" and "Cost", and what its API of the same name answers.
//!
//! - Usage CSV (2024 and later): `start_time` (seconds) or `start_time_iso`, `model`, `input_tokens`; with `output_tokens`,
//!   `input_cached_tokens`, and lately parts by kind (`input_text_tokens`, `input_audio_tokens`, `input_image_tokens`,
//!   `output_text_tokens`, …), which are disjoint and used where they are. A row without tokens is a day without usage.
//! - Usage CSV or JSON of the former page: `snapshot_id` or `model`, `n_context_tokens_total`, `n_generated_tokens_total`, and
//!   `aggregation_timestamp`, `timestamp`, `start_time` or `usage_date`.
//! - Cost CSV: `start_time` or `start_time_iso`, `amount_value`, `amount_currency`; `line_item` (`gpt-4o-2024-08-06, input`)
//!   only if the page was grouped by it. Without it only days are compared.
//! - JSON: pages of `/v1/organization/usage/completions` or `…/embeddings`, best grouped by model, and of `/v1/organization/costs`
//!   (`data[].results[]`); one page, or several in a list.

use std::io::BufRead;

use serde_json::Value;

use super::sheet::{Found, Row, Sheet};
use super::{Each, Export, ExportError, Measure, Provider, number};
use crate::usage::totals::Day;

pub(super) const KNOWN: &str = "the usage CSV (start_time or start_time_iso, model, input_tokens, …), the cost CSV (start_time or start_time_iso, amount_value, \
     amount_currency, …), the former usage CSV (snapshot_id or model, n_context_tokens_total, n_generated_tokens_total, …), and JSON of \
     the usage and cost API (data, results)";

const TOKENS: [Measure; 3] = [Measure::Input, Measure::CachedInput, Measure::Output];

pub(super) fn read(input: &mut dyn BufRead) -> Result<Export, ExportError> {
    let start = input.fill_buf()?;
    let first = start.iter().find(|byte| !byte.is_ascii_whitespace());
    if matches!(first, Some(b'{' | b'[')) {
        return json(&serde_json::from_reader(input)?);
    }
    let mut sheet = Sheet::open(input)?;
    let day = [
        "start_time_iso",
        "start_time",
        "usage_date",
        "aggregation_timestamp",
        "timestamp",
        "date",
    ];
    let found = (
        sheet.column(&day),
        sheet.column(&["model", "snapshot_id"]),
        sheet.column(&["input_tokens", "n_context_tokens_total"]),
        sheet.column(&["amount_value"]),
    );
    match found {
        (Some(day), Some(model), Some(input), _) => usage(&mut sheet, &day, &model, &input),
        (Some(day), _, _, Some(amount)) => costs(&mut sheet, &day, &amount),
        _ => Err(unknown(sheet.header().join(", "))),
    }
}

fn unknown(found: String) -> ExportError {
    ExportError::Unknown {
        provider: Provider::OpenAi,
        found,
    }
}

fn usage(
    sheet: &mut Sheet<'_>,
    day: &Found,
    model: &Found,
    input: &Found,
) -> Result<Export, ExportError> {
    let names: Vec<(&str, Found)> = FIELDS
        .iter()
        .filter_map(|(name, former)| Some((*name, sheet.column(&[name, former])?)))
        .collect();
    let mut export = Export::of("usage CSV of OpenAI", &TOKENS);
    for row in sheet.rows() {
        let row = row?;
        if row.is_empty(input) {
            continue;
        }
        let field = |name: &str| -> Result<Option<i128>, ExportError> {
            let column = names.iter().find(|(known, _)| *known == name);
            let amount = column.map(|(_, column)| row.number(column)).transpose()?;
            Ok(amount.map(|amount| number::whole(amount, 1)))
        };
        add(&mut export, row.day(day)?, row.text(model), &tokens(field)?);
    }
    Ok(export)
}

/// Fields, and as what the former page has them.
const FIELDS: [(&str, &str); 9] = [
    ("input_tokens", "n_context_tokens_total"),
    ("output_tokens", "n_generated_tokens_total"),
    ("input_cached_tokens", "n_cached_context_tokens_total"),
    ("input_text_tokens", ""),
    ("input_image_tokens", ""),
    ("input_audio_tokens", ""),
    ("output_text_tokens", ""),
    ("output_image_tokens", ""),
    ("output_audio_tokens", ""),
];

/// The buckets of a row, by its fields.
fn tokens<E>(field: impl Fn(&str) -> Result<Option<i128>, E>) -> Result<Each<i128>, E> {
    let or_none = |name: &str| Ok::<_, E>(field(name)?.unwrap_or(0));
    let mut each = Each::default();
    each[Measure::CachedInput] = or_none("input_cached_tokens")?;
    each[Measure::AudioInput] = or_none("input_audio_tokens")?;
    each[Measure::AudioOutput] = or_none("output_audio_tokens")?;
    each[Measure::Input] = match field("input_text_tokens")? {
        Some(text) => text + or_none("input_image_tokens")?,
        None => (or_none("input_tokens")? - each[Measure::CachedInput]).max(0),
    };
    each[Measure::Output] = match field("output_text_tokens")? {
        Some(text) => text + or_none("output_image_tokens")?,
        None => or_none("output_tokens")?,
    };
    Ok(each)
}

fn add(export: &mut Export, day: Day, model: &str, tokens: &Each<i128>) {
    for measure in Measure::ALL {
        // Audio is compared once there is any.
        if tokens[measure] != 0 {
            export.tells[measure] = true;
        }
    }
    if model.is_empty() && export.by_model {
        export.by_model = false;
        export.notes.push(
            "The usage is not grouped by model: only whole days are compared, over all models."
                .to_owned(),
        );
    }
    export
        .rows
        .entry((day, model.to_owned()))
        .or_default()
        .add(tokens);
}

fn costs(sheet: &mut Sheet<'_>, day: &Found, amount: &Found) -> Result<Export, ExportError> {
    let item = sheet.column(&["line_item"]);
    let currency = sheet.column(&["amount_currency"]);
    let mut export = Export::of("cost CSV of OpenAI", &[Measure::Cost]);
    for row in sheet.rows() {
        let row: Row = row?;
        if row.is_empty(amount) {
            continue;
        }
        let item = item.as_ref().map_or("", |item| row.text(item));
        let currency = currency.as_ref().map_or("", |currency| row.text(currency));
        cost(
            &mut export,
            row.day(day)?,
            item,
            row.number(amount)?,
            currency,
        );
    }
    Ok(export)
}

/// A cost; without an item nothing says of which model it is.
fn cost(export: &mut Export, day: Day, item: &str, amount: i128, currency: &str) {
    if !currency.is_empty() && !currency.eq_ignore_ascii_case("usd") {
        export.tells[Measure::Cost] = false;
        let note = "The export is not in US dollars: cost is not compared.";
        if export.notes.is_empty() {
            export.notes.push(note.to_owned());
        }
    }
    if item.is_empty() && export.by_model {
        export.by_model = false;
        export.notes.push(
            "The costs are not grouped by line item: only whole days are compared, over all models.".to_owned(),
        );
    }
    // `gpt-4o-2024-08-06, cached input`
    let model = item.split(',').next().unwrap_or(item);
    export.add(day, model.trim(), Measure::Cost, amount);
}

fn json(value: &Value) -> Result<Export, ExportError> {
    let pages = match value {
        Value::Array(pages) => pages.iter().collect(),
        page => vec![page],
    };
    let mut export = Export::of("JSON of OpenAI's usage or cost API", &[]);
    let mut any = false;
    for bucket in pages.iter().flat_map(|page| list(&page["data"])) {
        let starts = &bucket["start_time"];
        for result in list(&bucket["results"]) {
            any |= result_of_api(&mut export, starts, result);
        }
        if bucket["n_context_tokens_total"].is_number() {
            any |= result_of_api(&mut export, &bucket["aggregation_timestamp"], bucket);
        }
    }
    if any {
        return Ok(export);
    }
    let members = pages.first().and_then(|page| page.as_object());
    let members = members.map(|page| page.keys().cloned().collect::<Vec<_>>().join(", "));
    Err(unknown(format!(
        "JSON with {}",
        members.unwrap_or_default()
    )))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Whether it was a result with something to compare.
fn result_of_api(export: &mut Export, starts: &Value, result: &Value) -> bool {
    let Some(day) = starts
        .as_u64()
        .map(|seconds| Day::of_ms(seconds.saturating_mul(1000)))
    else {
        return false;
    };
    let value = &result["amount"]["value"];
    let amount = match value {
        Value::String(text) => number::parse(text),
        other => number::parse(&other.to_string()),
    };
    if let Some(amount) = amount {
        export.tells[Measure::Cost] = true;
        let item = result["line_item"].as_str().unwrap_or("");
        let currency = result["amount"]["currency"].as_str().unwrap_or("");
        cost(export, day, item, amount, currency);
        return true;
    }
    let field = |name: &str| {
        let former = FIELDS.iter().find(|(known, _)| *known == name);
        let value = result.get(name).or_else(|| result.get(former?.1))?;
        value.as_i64().map(i128::from)
    };
    if field("input_tokens").is_none() {
        return false;
    }
    TOKENS
        .iter()
        .for_each(|measure| export.tells[*measure] = true);
    let Ok(tokens) = tokens(|name| Ok::<_, std::convert::Infallible>(field(name)));
    let model = ["model", "snapshot_id"]
        .iter()
        .find_map(|name| result[name].as_str());
    add(export, day, model.unwrap_or(""), &tokens);
    true
}
