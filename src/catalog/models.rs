//! What is known of models: the longest prompt they take, and what they can do.
//!
//! The table is `config/models.yml`; where it is from, and how it is written anew, stands at its top. A model is looked
//! for among its provider's rows by the longest name that has one; see `names`. If there is none, a name with a provider
//! in front (`openai/gpt-4o`, of a service that passes requests on) is looked for there, and a bare name among the models
//! of those who make their own. On servers of the user's own only rows of theirs count: what a server is called with says
//! nothing of what it runs, nor of the window it was given.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::types::Abilities;

/// Who makes models that others serve under the same name.
const MAKERS: [&str; 8] = [
    "openai",
    "anthropic",
    "gemini",
    "mistral",
    "deepseek",
    "xai",
    "cohere",
    "moonshot",
];

/// Where models of Bedrock are, before their names.
const REGIONS: [&str; 8] = [
    "us.", "eu.", "apac.", "au.", "jp.", "ca.", "global.", "us-gov.",
];

/// What is known of a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The longest prompt in tokens.
    pub max_input_tokens: Option<u64>,
    /// What it can do.
    pub abilities: Abilities,
}

/// The format of `config/models.yml`: by provider and facts, the models' names.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[expect(dead_code, reason = "for readers of the file")]
    as_of: String,
    #[expect(dead_code, reason = "for readers of the file")]
    source: String,
    models: HashMap<String, HashMap<String, String>>,
}

type Models = HashMap<String, Facts>;

static TABLE: LazyLock<HashMap<String, Models>> = LazyLock::new(|| {
    let file: File = serde_yaml::from_str(include_str!("../../config/models.yml"))
        .expect("the embedded table of models was read by a test");
    let models = |rows: HashMap<String, String>| -> Models {
        let row = |(facts, names): (String, String)| {
            let facts = Facts::read(&facts).unwrap_or_default();
            let names: Vec<_> = names.split_whitespace().map(str::to_owned).collect();
            names.into_iter().map(move |name| (name, facts))
        };
        rows.into_iter().flat_map(row).collect()
    };
    file.models
        .into_iter()
        .map(|(provider, rows)| (provider, models(rows)))
        .collect()
});

impl Facts {
    /// `128000 tools no-images`; `None` if a word has no meaning.
    fn read(text: &str) -> Option<Self> {
        let mut facts = Self::default();
        for word in text.split_whitespace() {
            let (name, able) = word
                .strip_prefix("no-")
                .map_or((word, true), |name| (name, false));
            let ability = match name {
                "tools" => &mut facts.abilities.tools,
                "images" => &mut facts.abilities.images,
                "json_schema" => &mut facts.abilities.json_schema,
                number => {
                    facts.max_input_tokens = Some(number.parse().ok()?);
                    continue;
                }
            };
            *ability = Some(able);
        }
        Some(facts)
    }

    /// With what is known in `table` where this says nothing.
    #[must_use]
    pub fn or(self, table: Self) -> Self {
        let (own, known) = (self.abilities, table.abilities);
        Self {
            max_input_tokens: self.max_input_tokens.or(table.max_input_tokens),
            abilities: Abilities {
                tools: own.tools.or(known.tools),
                images: own.images.or(known.images),
                json_schema: own.json_schema.or(known.json_schema),
            },
        }
    }
}

/// What is known of `model` at `provider`; nothing, if no row has it.
#[must_use]
pub fn facts(provider: &str, model: &str) -> Facts {
    let provider = canonical(provider);
    let at = |provider: &str, name: &str| TABLE.get(provider)?.get(name).copied();
    let own = || names(model).find_map(|name| at(provider, name));
    let named = || {
        names(model).find_map(|name| {
            name.split_once('/')
                .and_then(|(provider, name)| at(provider, name))
        })
    };
    let made = || names(model).find_map(|name| MAKERS.iter().find_map(|maker| at(maker, name)));
    let elsewhere = super::find(provider).is_some_and(|row| row.key_required);
    let found = own().or_else(|| elsewhere.then(|| named().or_else(made)).flatten());
    found.unwrap_or_default()
}

/// The provider under which tables have its models: of several names for one, the plain one.
#[must_use]
pub fn canonical(provider: &str) -> &str {
    match provider {
        "azure_text" => "azure",
        "text-completion-openai" => "openai",
        "bedrock_converse" => "bedrock",
        "sagemaker_chat" => "sagemaker",
        "vertex_ai_beta" => "vertex_ai",
        "cohere_chat" => "cohere",
        "ollama_chat" => "ollama",
        named => named,
    }
}

/// The names `model` may have in a table, the longest first: as it is, without a region of Bedrock's in front, either
/// without a date at its end, and all of these again without what stands before its first `/`, and so on.
pub fn names(model: &str) -> impl Iterator<Item = &str> {
    let tails = std::iter::successors(Some(model), |name| Some(name.split_once('/')?.1));
    tails.flat_map(|name| {
        let region = REGIONS.iter().find_map(|region| name.strip_prefix(region));
        let bare = region.unwrap_or(name);
        [name, without_date(name), bare, without_date(bare)]
    })
}

/// `gpt-4o-2024-11-20` → `gpt-4o`, `gpt-4-0613` → `gpt-4`, `claude-sonnet-4-5@20250929` → `claude-sonnet-4-5`.
#[must_use]
pub fn without_date(model: &str) -> &str {
    let digits =
        |text: &str, len: usize| text.len() == len && text.bytes().all(|b| b.is_ascii_digit());
    if let Some((rest, last)) = model.rsplit_once('@') {
        return if digits(last, 8) || last == "default" {
            rest
        } else {
            model
        };
    }
    let Some((rest, last)) = model.rsplit_once('-') else {
        return model;
    };
    if digits(last, 4) || digits(last, 8) {
        return rest;
    }
    let date = rest.rsplit_once('-').and_then(|(rest, month)| {
        let (rest, year) = rest.rsplit_once('-')?;
        (digits(last, 2) && digits(month, 2) && digits(year, 4)).then_some(rest)
    });
    date.unwrap_or(model)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn told(window: impl Into<Option<u64>>, tools: Option<bool>, images: Option<bool>) -> Facts {
        let abilities = Abilities {
            tools,
            images,
            json_schema: None,
        };
        Facts {
            max_input_tokens: window.into(),
            abilities,
        }
    }

    #[test]
    fn every_row_is_read() {
        let file: File =
            serde_yaml::from_str(include_str!("../../config/models.yml")).expect("a table");
        for (provider, rows) in &file.models {
            assert!(super::super::find(provider).is_some(), "{provider}");
            for (facts, names) in rows {
                assert!(
                    Facts::read(facts).is_some_and(|facts| facts != Facts::default()),
                    "{provider}: {facts}"
                );
                assert!(!names.trim().is_empty(), "{provider}: {facts}");
            }
        }
        assert!(
            include_str!("../../config/models.yml").len() < 150_000,
            "small enough to carry along"
        );
    }

    #[test]
    fn the_longest_name_wins() {
        let (yes, no) = (Some(true), Some(false));
        // (provider, model, window, tools, images)
        for (provider, model, window, tools, images) in [
            ("openai", "gpt-4o", 128_000, yes, yes),
            ("openai", "gpt-4o-2024-11-20", 128_000, yes, yes),
            ("openai", "openai/gpt-4o", 128_000, yes, yes),
            ("openai", "gpt-4-0613", 8192, yes, no),
            ("openai", "gpt-3.5-turbo-instruct", 8192, no, no),
            ("openai", "text-embedding-3-small", 8191, None, None),
            ("azure", "gpt-4o", 128_000, yes, yes),
            ("azure", "azure/eu/gpt-4o-2024-08-06", 128_000, yes, yes),
            ("azure_text", "gpt-4o-mini", 128_000, yes, yes),
            ("azure_ai", "o3-mini", 200_000, yes, no),
            (
                "openrouter",
                "anthropic/claude-sonnet-4-5",
                200_000,
                yes,
                yes,
            ),
            ("anthropic", "claude-sonnet-4-5-20250929", 200_000, yes, yes),
            ("vertex_ai", "claude-sonnet-4-5@20250929", 200_000, yes, yes),
            (
                "bedrock",
                "eu.anthropic.claude-sonnet-4-5-20250929-v1:0",
                200_000,
                yes,
                yes,
            ),
            (
                "bedrock",
                "converse/us.amazon.nova-lite-v1:0",
                300_000,
                yes,
                yes,
            ),
            ("gemini", "gemini-2.5-flash", 1_048_576, yes, yes),
        ] {
            let found = facts(provider, model);
            let found = told(
                found.max_input_tokens,
                found.abilities.tools,
                found.abilities.images,
            );
            assert_eq!(found, told(window, tools, images), "{provider} {model}");
        }
    }

    #[test]
    fn what_no_row_has_is_not_known() {
        for (provider, model) in [
            ("openai", "gpt-4o-of-tomorrow"),
            ("openai", ""),
            ("azure", "my-deployment"),
            ("self-hosted", "gpt-4o"),
            ("self-hosted", "openai/gpt-4o"),
            ("litellm_proxy", "gpt-4o"),
            ("nobody", "gpt-4o"),
        ] {
            assert_eq!(
                facts(provider, model),
                Facts::default(),
                "{provider} {model}"
            );
        }
    }

    #[test]
    fn what_is_declared_stands() {
        let declared = told(5, Some(false), None);
        let table = told(9, Some(true), Some(true));
        assert_eq!(declared.or(table), told(5, Some(false), Some(true)));
        assert_eq!(Facts::default().or(table), table);
    }

    proptest! {
        #[test]
        fn never_panics(provider in ".*", model in ".*") {
            let _ = facts(&provider, &model);
            let _ = facts("openai", &model);
        }
    }
}
