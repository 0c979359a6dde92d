//! The built-in table, `config/prices.yml`.
//!
//! It is YAML for those who read or check it, but only its three levels of indentation say anything, and reading it by
//! lines takes a small part of the time a YAML reader would; a test holds the one reading against the other. Nothing is
//! read before a price is looked for that the configuration does not have, and a row's numbers only once it is found.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use super::Match;
use super::sheet::Sheet;
use crate::catalog::models::{canonical, names};
use crate::types::{Price, Priced};

const FILE: &str = include_str!("../../../config/prices.yml");

/// Who alone makes and sells their models: whoever passes requests for one on has to pay their price, and asks for it.
/// Of models that anyone may run, each asks what they like.
const CLOSED: [&str; 4] = ["openai", "anthropic", "gemini", "xai"];

/// Servers that run a model themselves. What they call it says nothing of what it is.
const RUN_THEIR_OWN: [&str; 8] = [
    "self-hosted",
    "hosted_vllm",
    "vllm",
    "lm_studio",
    "llamafile",
    "ollama",
    "ollama_chat",
    "rasa",
];

/// What a row charges, as it stands there.
type Words = &'static str;

struct Table {
    version: Arc<str>,
    /// By provider and model.
    rows: HashMap<(&'static str, &'static str), Words>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let (mut provider, mut words, mut as_of) = ("", "", "");
    let mut rows = HashMap::with_capacity(4096);
    for line in FILE.lines() {
        let text = line.trim_start();
        match line.len() - text.len() {
            0 => as_of = text.strip_prefix("as_of: ").unwrap_or(as_of),
            2 => provider = text.trim_end_matches(':'),
            4 => words = text.trim_end_matches(": >-"),
            _ => rows.extend(text.split(' ').map(|name| ((provider, name), words))),
        }
    }
    let version = format!("list {as_of}").into();
    Table { version, rows }
});

/// The row of a provider's model; else, of a model that only its maker sells, the maker's.
pub(super) fn find(provider: &str, model: &str) -> Option<Match> {
    let at = |provider: &str, name: &str| {
        let ((provider, name), words) = TABLE.rows.get_key_value(&(provider, name))?;
        found(provider, name, words)
    };
    let own = canonical(provider);
    let named = || {
        names(model).find_map(|name| {
            let (maker, name) = name.split_once('/')?;
            CLOSED.contains(&maker).then(|| at(maker, name)).flatten()
        })
    };
    let made = || names(model).find_map(|name| CLOSED.iter().find_map(|maker| at(maker, name)));
    let sold = || named().or_else(made);
    names(model)
        .find_map(|name| at(own, name))
        .or_else(|| (!RUN_THEIR_OWN.contains(&provider)).then(sold).flatten())
}

/// All rows, by name.
pub(super) fn all() -> Vec<Match> {
    let rows = TABLE.rows.iter();
    let mut all: Vec<Match> = rows
        .filter_map(|((provider, name), words)| found(provider, name, words))
        .collect();
    all.sort_by(|a, b| a.row.cmp(&b.row));
    all
}

fn found(provider: &str, name: &str, words: &str) -> Option<Match> {
    Some(Match {
        row: format!("{provider}/{name}"),
        priced: Priced {
            price: read(words)?,
            version: Arc::clone(&TABLE.version),
        },
    })
}

/// `input=2.5 output=10 above=200000 input=5 output=15`, in dollars per million tokens; `request`: per request.
fn read(words: &str) -> Option<Price> {
    let mut sheet = Sheet::default();
    for word in words.split(' ') {
        let (name, value) = word.split_once('=')?;
        sheet.put(name, value)?;
    }
    sheet.has_input().then(|| sheet.over(None).price)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog;
    use crate::types::{Cost, Rates};
    use std::collections::BTreeMap;

    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        as_of: String,
        #[serde(rename = "source")]
        _source: String,
        models: BTreeMap<String, BTreeMap<String, String>>,
    }

    #[test]
    fn every_row_is_read_and_as_a_reader_of_yaml_would() {
        let file: File = serde_yaml::from_str(FILE).expect("a table");
        assert_eq!(*TABLE.version, format!("list {}", file.as_of));
        let mut seen = 0;
        for (provider, rows) in &file.models {
            assert!(catalog::find(provider).is_some(), "{provider}");
            for (words, models) in rows {
                let price = read(words).unwrap_or_else(|| panic!("{provider}: {words}"));
                assert_ne!(price, Price::default(), "{provider}: {words}");
                for name in models.split_whitespace() {
                    let row = TABLE.rows.get(&(provider.as_str(), name));
                    assert_eq!(row.copied(), Some(words.as_str()), "{provider}/{name}");
                    seen += 1;
                }
            }
        }
        assert_eq!(seen, TABLE.rows.len());
        assert!(FILE.len() < 200_000, "small enough to carry along");
    }

    #[test]
    fn no_row_says_what_a_shorter_name_would() {
        for ((provider, name), words) in &TABLE.rows {
            let mut shorter = names(name).filter(|shorter| shorter != name);
            let other = shorter.find_map(|name| TABLE.rows.get(&(*provider, name)));
            assert_ne!(other, Some(words), "{provider}/{name}");
        }
    }

    #[test]
    fn words_are_read_to_the_pico_dollar() {
        let base = Rates {
            input: Cost(2_500_000),
            output: Cost(10_000_000),
            cached_input: Some(Cost(1)),
            ..Rates::default()
        };
        let above = Rates {
            input: Cost(5_000_000),
            ..base
        };
        let price = Price {
            rates: base,
            above: Some((200_000, above)),
            request: Cost(5_000_000_000),
        };
        let words = "input=2.5 output=10 cached_input=0.000001 request=0.005 above=200000 input=5";
        assert_eq!(read(words), Some(price));
        for wrong in [
            "",
            "output=1",
            "input",
            "input=",
            "input=.",
            "input=1.0000001",
            "input=-1",
            "input=1 inputs=2",
            "input=1 above=x",
            "input=99999999999999999999",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
