//! What a token costs, where the file does not say.
//!
//! Three tables are asked in turn: `waypost.prices`, `waypost.prices_file`, and the built-in `config/prices.yml`. In
//! each the longest name wins: `provider/model`, then `model`; and where no row has the name, the same without a date
//! at its end (`gpt-4o-2024-11-20` is a `gpt-4o`, unless it has a row). Other endings are other models: a
//! `gpt-4-1106-preview` is no `gpt-4`. A model that no table has is of unknown price, which is not the same as free.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use serde::Deserialize;

use crate::catalog::models::without_date;
use crate::types::{Cost, Price, Priced, Rates};

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

/// The format of `config/prices.yml`: dollars per million tokens.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BuiltIn {
    as_of: String,
    #[expect(dead_code, reason = "for readers of the file")]
    source: String,
    models: HashMap<String, PerMillion>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PerMillion {
    input: f64,
    #[serde(default)]
    output: f64,
    cached_input: Option<f64>,
}

/// A row of LiteLLM's price list, as far as it is used.
#[derive(Deserialize)]
struct PerToken {
    input_cost_per_token: Option<f64>,
    output_cost_per_token: Option<f64>,
    cache_read_input_token_cost: Option<f64>,
}

static BUILT_IN: LazyLock<Prices> = LazyLock::new(|| {
    let table: BuiltIn = serde_yaml::from_str(include_str!("../../config/prices.yml"))
        .expect("the embedded price table was read by a test");
    let per_million = |dollars: f64| Cost::from_dollars(dollars / 1e6);
    let rows = table.models.into_iter().filter_map(|(model, price)| {
        let input = per_million(price.input)?;
        let output = per_million(price.output)?;
        Some((
            model,
            Price {
                rates: Rates {
                    input,
                    output,
                    cached_input: price.cached_input.and_then(per_million),
                    ..Rates::default()
                },
                ..Price::default()
            },
        ))
    });
    Prices {
        rows: rows.collect(),
        version: format!("list {}", table.as_of).into(),
    }
});

impl Prices {
    pub(super) fn add(&mut self, model: &str, price: Price) {
        self.rows.insert(model.to_owned(), price);
    }

    /// Reads LiteLLM's format, YAML or JSON (which is YAML). Rows without an input price are left out.
    pub(super) fn from_litellm(text: &str) -> Result<Self, String> {
        let rows: HashMap<String, serde_json::Value> = if text.trim_start().starts_with('{') {
            serde_json::from_str(text).map_err(|error| error.to_string())?
        } else {
            serde_yaml::from_str(text).map_err(|error| error.to_string())?
        };
        let rows = rows.into_iter().filter_map(|(model, row)| {
            let row: PerToken = serde_json::from_value(row).ok()?;
            let input = Cost::from_dollars(row.input_cost_per_token?)?;
            let output = Cost::from_dollars(row.output_cost_per_token.unwrap_or(0.0))?;
            let cached_input = row.cache_read_input_token_cost.and_then(Cost::from_dollars);
            Some((
                model,
                Price {
                    rates: Rates {
                        input,
                        output,
                        cached_input,
                        ..Rates::default()
                    },
                    ..Price::default()
                },
            ))
        });
        Ok(Self {
            rows: rows.collect(),
            version: "file".into(),
        })
    }

    fn find(&self, provider: &str, model: &str) -> Option<Priced> {
        let row = |name: &str| {
            self.rows
                .get(&format!("{provider}/{name}"))
                .or_else(|| self.rows.get(name))
                .copied()
        };
        // A service in front of another names its models `openai/gpt-4o`.
        let bare = model.strip_prefix("openai/").unwrap_or(model);
        [model, without_date(model), bare, without_date(bare)]
            .into_iter()
            .find_map(row)
            .map(|price| Priced {
                price,
                version: Arc::clone(&self.version),
            })
    }
}

/// The tables there are for a configuration, for models that only a request names.
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
        look_up(&[&self.own, &self.file], provider, model)
    }
}

/// The price of a model in the first table that has it.
pub(super) fn look_up(tables: &[&Prices], provider: &str, model: &str) -> Option<Priced> {
    tables
        .iter()
        .find_map(|table| table.find(provider, model))
        .or_else(|| BUILT_IN.find(provider, model))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn input(provider: &str, model: &str) -> Option<f64> {
        look_up(&[], provider, model).map(|price| price.price.rates.input.as_dollars() * 1e6)
    }

    #[test]
    fn the_built_in_table_reads_and_the_longest_name_wins() {
        for (provider, model, expected) in [
            ("openai", "gpt-4o", Some(2.5)),
            ("azure", "gpt-4o-2024-11-20", Some(2.5)),
            ("openai", "gpt-4o-2024-05-13", Some(5.0)),
            ("openai", "gpt-4o-mini-2024-07-18", Some(0.15)),
            ("openrouter", "openai/gpt-4o-mini", Some(0.15)),
            ("openai", "gpt-4-0613", Some(30.0)),
            ("openai", "gpt-4-1106-preview", Some(10.0)),
            ("openai", "text-embedding-3-small", Some(0.02)),
            ("azure", "rasa-gpt-4", None),
            ("openai", "gpt-4o-audio-preview", None),
            ("openai", "", None),
        ] {
            assert_eq!(
                input(provider, model).map(|p| (p * 1e3).round() / 1e3),
                expected,
                "{provider} {model}"
            );
        }
    }

    #[test]
    fn tables_of_the_user_come_first() {
        let mut own = Prices::default();
        own.add("gpt-4o", Price::of_tokens(Cost(7), Cost(0)));
        own.add("azure/gpt-4o", Price::of_tokens(Cost(0), Cost(0)));
        assert_eq!(
            look_up(&[&own], "openai", "gpt-4o").map(|p| p.price.rates.input),
            Some(Cost(7))
        );
        assert_eq!(
            look_up(&[&own], "azure", "gpt-4o").map(|p| p.price.rates.input),
            Some(Cost(0))
        );
        let file = Prices::from_litellm(
            r#"{"sample_spec": {"mode": "one of"}, "m": {"input_cost_per_token": 1e-6, "mode": "chat"}}"#,
        )
        .expect("JSON");
        assert_eq!(
            look_up(&[&file], "x", "m").map(|p| p.price.rates.input),
            Some(Cost(1_000_000))
        );
        assert!(Prices::from_litellm("- 1").is_err());
    }

    proptest! {
        #[test]
        fn never_panics(provider in ".*", model in ".*") {
            let _ = look_up(&[], &provider, &model);
        }
    }
}
