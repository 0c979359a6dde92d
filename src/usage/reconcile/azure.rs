//! Azure's exports of Cost Management: actual or amortised cost, of any agreement.
//!
//! The header has a date (`Date` in those of enterprise and customer agreements, `UsageDateTime` or `UsageDate` in
//! pay-as-you-go), `MeterName`, `Quantity` or `UsageQuantity`, and a cost: `CostInBillingCurrency` with `BillingCurrency` (or
//! `BillingCurrencyCode`), `CostInUsd`, `Cost`, or `PreTaxCost` with `Currency`. `MeterCategory`, `MeterSubCategory` and `ProductName` say which
//! rows are models of Azure OpenAI; `UnitOfMeasure` says how many tokens one of the quantity is (`1K`, `1M`), and without it the
//! meter's name does. `ResourceId` or `InstanceId` is whose it is. Which model and bucket it is stands in the meter's name only:
//! `gpt-4o-mini-0718-Inp-glbl Tokens`, `gpt 4o 0806 cached Inp glbl Tokens`, `GPT 5 Mini outpt Glbl 1M Tokens`, `5.4 mini Opt Gl`.

use std::io::BufRead;

use super::sheet::{Found, Row, Sheet};
use super::{Export, ExportError, Measure, Provider, names, number};

pub(super) const KNOWN: &str = "the CSV of a Cost Management export (Date or UsageDateTime, MeterName, MeterCategory, MeterSubCategory, Quantity or \
     UsageQuantity, CostInBillingCurrency or CostInUsd or Cost or PreTaxCost, …)";

/// Words of a meter's name that say neither model nor bucket: where it runs, and what is counted.
const SCOPE: &[&str] = &[
    "tokens", "token", "1m", "1k", "glbl", "gl", "global", "regnl", "rgnl", "regional", "data",
    "zone", "datazone", "dz", "dzone", "dzn", "std", "standard", "shortco", "longco", "txt",
    "units", "unit",
];

struct Columns {
    day: Found,
    meter: Found,
    quantity: Found,
    cost: Found,
    currency: Option<Found>,
    usd: Option<Found>,
    unit: Option<Found>,
    resource: Option<Found>,
    service: Vec<Found>,
}

impl Columns {
    fn of(sheet: &Sheet<'_>) -> Option<Self> {
        let usd = sheet.column(&["CostInUsd"]);
        Some(Self {
            day: sheet.column(&["Date", "UsageDateTime", "UsageDate"])?,
            meter: sheet.column(&["MeterName", "Meter"])?,
            quantity: sheet.column(&["Quantity", "UsageQuantity", "ConsumedQuantity"])?,
            cost: sheet
                .column(&["CostInBillingCurrency", "Cost", "PreTaxCost"])
                .or_else(|| usd.clone())?,
            currency: sheet.column(&["BillingCurrency", "BillingCurrencyCode", "Currency"]),
            usd,
            unit: sheet.column(&["UnitOfMeasure"]),
            resource: sheet.column(&["ResourceId", "InstanceId", "InstanceName"]),
            service: [
                "MeterCategory",
                "MeterSubCategory",
                "ProductName",
                "Product",
            ]
            .iter()
            .filter_map(|name| sheet.column(&[name]))
            .collect(),
        })
    }

    /// Whether a row is of a model.
    fn is_model(&self, row: &Row) -> bool {
        self.service.iter().any(|column| {
            let text = row.text(column).to_lowercase();
            text.contains("openai") || text.contains("foundry models")
        })
    }

    /// The cost in pico-dollars; none in another currency.
    fn cost(&self, row: &Row) -> Result<Option<i128>, ExportError> {
        if let Some(usd) = self.usd.as_ref().filter(|usd| !row.is_empty(usd)) {
            return row.number(usd).map(Some);
        }
        let currency = self
            .currency
            .as_ref()
            .map_or("USD", |currency| row.text(currency));
        let dollars = currency.is_empty() || currency.eq_ignore_ascii_case("USD");
        dollars.then(|| row.number(&self.cost)).transpose()
    }

    /// How many tokens one of the quantity is; none if it counts something else.
    fn tokens(&self, row: &Row) -> Option<i128> {
        let meter = row.text(&self.meter).to_lowercase();
        let unit = self.unit.as_ref().map(|unit| row.text(unit).to_lowercase());
        let unit = unit.filter(|unit| !unit.is_empty());
        let counts = meter.contains("token") || unit.as_ref().is_some_and(|u| u.contains("token"));
        match unit
            .as_deref()
            .map(|unit| unit.split(' ').next().unwrap_or(unit))
        {
            Some("1m" | "1000000" | "1,000,000") => Some(1_000_000),
            Some("1k" | "1000" | "1,000") => Some(1_000),
            Some("1" | "tokens") if counts => Some(1),
            None if counts && meter.contains("1m") => Some(1_000_000),
            None if counts => Some(1_000),
            _ => None,
        }
    }
}

pub(super) fn read(input: &mut dyn BufRead, resource: Option<&str>) -> Result<Export, ExportError> {
    let mut sheet = Sheet::open(input)?;
    let Some(columns) = Columns::of(&sheet) else {
        return Err(ExportError::Unknown {
            provider: Provider::Azure,
            found: sheet.header().join(", "),
        });
    };
    let mut export = Export::of(
        "CSV of an Azure Cost Management export",
        &[
            Measure::Input,
            Measure::CachedInput,
            Measure::Output,
            Measure::Cost,
        ],
    );
    let (mut foreign, mut others) = (false, 0_u64);
    let wanted = resource.map(str::to_lowercase);
    for row in sheet.rows() {
        let row = row?;
        let theirs = |column: &Found| row.text(column).to_lowercase();
        let mine = wanted.as_ref().is_none_or(|wanted| {
            let id = columns.resource.as_ref().map(theirs);
            id.is_some_and(|id| id.contains(wanted))
        });
        if row.is_empty(&columns.day) || !mine || !columns.is_model(&row) {
            others += 1;
            continue;
        }
        let (model, measure) = meter(row.text(&columns.meter));
        let day = row.day(&columns.day)?;
        if let Some(size) = columns.tokens(&row) {
            export.tells[measure] = true;
            let tokens = number::whole(row.number(&columns.quantity)?, size);
            export.add(day, &model, measure, tokens);
        }
        match columns.cost(&row)? {
            Some(cost) => export.add(day, &model, Measure::Cost, cost),
            None => foreign = true,
        }
    }
    if export.rows.is_empty() {
        return Err(ExportError::Empty(match resource {
            Some(_) => "Azure OpenAI in a resource of that name",
            None => "Azure OpenAI",
        }));
    }
    if foreign {
        export.tells[Measure::Cost] = false;
        export.notes.push(
            "The export is not in US dollars and has no `CostInUsd`: tokens are compared, cost is not.".to_owned(),
        );
    }
    if others > 0 {
        export.notes.push(format!(
            "Rows of other services or resources left out: {others}."
        ));
    }
    Ok(export)
}

/// The model and the bucket of a meter.
fn meter(name: &str) -> (String, Measure) {
    let (mut cached, mut write, mut audio, mut output) = (false, false, false, false);
    let mut model = Vec::new();
    let words = names::words(name);
    for (at, word) in words.iter().enumerate() {
        match &**word {
            "cached" | "cchd" | "cd" | "ccd" | "cache" => cached = true,
            "wr" | "write" if cached => write = true,
            "aud" | "audio" => audio = true,
            "out" | "outp" | "outpt" | "output" | "opt" | "otpt" => output = true,
            "in" | "inp" | "inpt" | "input" => {}
            "text" if words.get(at + 1).is_none_or(|next| next != "embedding") => {}
            word if SCOPE.contains(&word) => {}
            word => model.push(word.to_owned()),
        }
    }
    if model
        .first()
        .is_some_and(|word| word.starts_with(|c: char| c.is_ascii_digit()))
    {
        model.insert(0, "gpt".to_owned());
    }
    let measure = match (cached, write, audio, output) {
        (true, true, ..) => Measure::CacheWrite,
        (true, ..) => Measure::CachedInput,
        (_, _, true, true) => Measure::AudioOutput,
        (_, _, true, false) => Measure::AudioInput,
        (_, _, false, true) => Measure::Output,
        _ => Measure::Input,
    };
    (names::join(&model), measure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meter_says_model_and_bucket() {
        for (name, model, measure) in [
            (
                "gpt-4o-mini-0718-Inp-glbl Tokens",
                "gpt-4o-mini",
                Measure::Input,
            ),
            (
                "gpt-4o-mini-0718-Outp-glbl Tokens",
                "gpt-4o-mini",
                Measure::Output,
            ),
            (
                "gpt 4o 0806 cached Inp glbl Tokens",
                "gpt-4o",
                Measure::CachedInput,
            ),
            (
                "gpt 4o 0513 Output global Tokens",
                "gpt-4o",
                Measure::Output,
            ),
            ("gpt 4.1 Outp regnl Tokens", "gpt-4-1", Measure::Output),
            (
                "GPT 5 Mini outpt Glbl 1M Tokens",
                "gpt-5-mini",
                Measure::Output,
            ),
            ("5.4 cd inp Gl 1M Tokens", "gpt-5-4", Measure::CachedInput),
            ("5.4 mini Opt Gl", "gpt-5-4-mini", Measure::Output),
            (
                "5.6 luna ShortCo Cd Wr Std Gl",
                "gpt-5-6-luna",
                Measure::CacheWrite,
            ),
            (
                "gpt-4o-aud-1217-Txt-Inp-glbl Tokens",
                "gpt-4o",
                Measure::AudioInput,
            ),
            (
                "text-embedding-3-small-glbl Tokens",
                "text-embedding-3-small",
                Measure::Input,
            ),
            (
                "gpt-4o-mini-0718-Batch-Inp-glbl Tokens",
                "gpt-4o-mini-batch",
                Measure::Input,
            ),
            (
                "Provisioned Managed Global Unit",
                "provisioned-managed",
                Measure::Input,
            ),
        ] {
            assert_eq!(meter(name), (model.to_owned(), measure), "{name}");
        }
    }
}
