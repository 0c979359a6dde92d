//! What a token costs, where the file does not say.
//!
//! Three tables are asked in turn: `waypost.prices`, `waypost.prices_file`, and the built-in `config/prices.yml`. In
//! each the longest name wins, as `catalog::models::names` has them: as it is, without a region of Bedrock's in front,
//! without a date at its end, and these again without what stands before the first `/`; of each first
//! `provider/model`, then `model`. Other endings are other models: a `gpt-4-1106-preview` is no `gpt-4`. A model that no
//! table has is of unknown price, which is not the same as free.

mod list;
mod sheet;

use std::collections::HashMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::catalog::models::{canonical, names};
use crate::types::{Price, Priced};

pub(super) use sheet::{Sheet, THRESHOLDS};

/// Prices by model or provider/model.
#[derive(Clone, Debug)]
pub(super) struct Prices {
    rows: HashMap<String, Price>,
    /// What records name it by.
    version: Arc<str>,
}

impl Default for Prices {
    /// None, of the configuration.
    fn default() -> Self {
        Self {
            rows: HashMap::new(),
            version: "config".into(),
        }
    }
}

/// A price, and how it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// The row: `model` or `provider/model`.
    pub row: String,
    /// Its price, with the version of the table.
    pub priced: Priced,
}

/// What was read of a price file, and what of it was not as it should be.
#[derive(Debug)]
pub(super) struct FileRead {
    pub(super) prices: Prices,
    /// Rows with a price that is no whole number of pico-dollars, and was rounded to one.
    pub(super) rounded: Vec<String>,
    /// Rows with more than one threshold, which are left out.
    pub(super) left_out: Vec<String>,
}

impl Prices {
    pub(super) fn add(&mut self, model: &str, price: Price) {
        self.rows.insert(model.to_owned(), price);
    }

    /// Reads LiteLLM's format, YAML or JSON (which is YAML). Rows without an input price are left out.
    pub(super) fn from_litellm(text: &str) -> Result<FileRead, String> {
        let rows: HashMap<String, serde_json::Value> = if text.trim_start().starts_with('{') {
            serde_json::from_str(text).map_err(|error| error.to_string())?
        } else {
            serde_yaml::from_str(text).map_err(|error| error.to_string())?
        };
        let hash = Sha256::digest(text.as_bytes());
        let [a, b, c, d, ..]: [u8; 32] = hash.into();
        let mut read = FileRead {
            prices: Self {
                rows: HashMap::with_capacity(rows.len()),
                version: format!("file {a:02x}{b:02x}{c:02x}{d:02x}").into(),
            },
            rounded: Vec::new(),
            left_out: Vec::new(),
        };
        for (model, row) in rows {
            let Some(row) = row.as_object() else { continue };
            let thresholds = row.keys().filter_map(|key| sheet::threshold(key));
            let sheet = Sheet::read(|name| row.get(name)?.as_f64(), thresholds);
            if !sheet.has_input() {
                continue;
            }
            if sheet.has_several_thresholds() {
                read.left_out.push(model);
                continue;
            }
            if sheet.is_rounded() {
                read.rounded.push(model.clone());
            }
            read.prices.rows.insert(model, sheet.over(None).price);
        }
        Ok(read)
    }

    fn find(&self, provider: &str, model: &str) -> Option<Match> {
        if self.rows.is_empty() {
            return None;
        }
        let canonical = canonical(provider);
        let row = |row: String| {
            let price = *self.rows.get(&row)?;
            let version = Arc::clone(&self.version);
            let priced = Priced { price, version };
            Some(Match { row, priced })
        };
        names(model).find_map(|name| {
            row(format!("{provider}/{name}"))
                .or_else(|| row(format!("{canonical}/{name}")))
                .or_else(|| row(name.to_owned()))
        })
    }

    fn list(&self) -> Vec<Match> {
        let each = self.rows.iter().map(|(row, price)| Match {
            row: row.clone(),
            priced: Priced {
                price: *price,
                version: Arc::clone(&self.version),
            },
        });
        let mut list: Vec<Match> = each.collect();
        list.sort_by(|a, b| a.row.cmp(&b.row));
        list
    }
}

/// The tables there are for a configuration, the built-in one included: for models that only a request names, and for
/// people to look at.
#[derive(Clone, Debug, Default)]
pub struct PriceTables {
    own: Prices,
    file: Prices,
}

impl PriceTables {
    pub(super) const fn new(own: Prices, file: Prices) -> Self {
        Self { own, file }
    }

    /// The price of a provider's model, if a table has it.
    #[must_use]
    pub fn find(&self, provider: &str, model: &str) -> Option<Priced> {
        self.look_up(provider, model).map(|found| found.priced)
    }

    /// The same, with the row that has it.
    #[must_use]
    pub fn look_up(&self, provider: &str, model: &str) -> Option<Match> {
        look_up(&[&self.own, &self.file], provider, model)
    }

    /// All rows, table by table in the order they are asked.
    #[must_use]
    pub fn list(&self) -> Vec<Match> {
        [self.own.list(), self.file.list(), list::all()].concat()
    }
}

/// The price of a model in the first table that has it.
pub(super) fn look_up(tables: &[&Prices], provider: &str, model: &str) -> Option<Match> {
    tables
        .iter()
        .find_map(|table| table.find(provider, model))
        .or_else(|| list::find(provider, model))
}

#[cfg(test)]
mod tests;
