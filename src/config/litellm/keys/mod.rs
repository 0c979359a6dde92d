//! The table of a LiteLLM file's keys: what becomes of each, and why.
//!
//! Refusals, warnings, hints for misspelt names and the page of the reference are made from it. Keys of
//! `litellm_params` that are not here are those of a model in Waypost's own dialect, which took their names from
//! LiteLLM; what is in neither table is a parameter of the call.

mod general;
mod model;
mod router;
mod settings;

pub(super) use general::GENERAL;
pub(super) use model::{ENTRY, INFO, PARAMS, is_price};
pub(super) use router::{CHECKS, ROUTER};
pub(super) use settings::{CACHE, SETTINGS, TOP};

/// What becomes of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It becomes this.
    Kept(&'static str),
    /// It is what Waypost does anyway, unless it is `false`; then this is lost.
    Always(&'static str),
    /// It is accepted without effect: why, or what to do instead.
    Lost(&'static str),
    /// It is about LiteLLM's database.
    Database,
    /// It is an error, which says this.
    Refused(&'static str),
}

/// A key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) key: &'static str,
    pub(super) fate: Fate,
}

/// What happens to a key that has no row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unknown {
    /// It is an error.
    Refused,
    /// It is an error if it is near a key that is kept, else a warning.
    Near,
    /// `litellm_params`: it is an error if it is near a known key, else a parameter of the call.
    HandedOn,
    /// `model_info`: a warning if it is near a known key, else a note of the user's.
    Ignored,
}

/// The keys of one mapping.
#[derive(Debug)]
pub(super) struct Table {
    /// Its path, for people.
    pub(super) path: &'static str,
    pub(super) rows: &'static [&'static [Row]],
    pub(super) unknown: Unknown,
}

impl Table {
    pub(super) fn rows(&self) -> impl Iterator<Item = &'static Row> + use<> {
        self.rows.iter().flat_map(|rows| rows.iter())
    }

    pub(super) fn find(&self, key: &str) -> Option<&'static Row> {
        self.rows().find(|row| row.key == key)
    }
}

/// All of them, in the order of the reference page.
pub(super) static TABLES: [&Table; 8] = [
    &TOP, &ENTRY, &PARAMS, &INFO, &ROUTER, &SETTINGS, &CACHE, &GENERAL,
];

const fn kept(key: &'static str, target: &'static str) -> Row {
    Row {
        key,
        fate: Fate::Kept(target),
    }
}

const fn always(key: &'static str, otherwise: &'static str) -> Row {
    Row {
        key,
        fate: Fate::Always(otherwise),
    }
}

const fn lost(key: &'static str, why: &'static str) -> Row {
    Row {
        key,
        fate: Fate::Lost(why),
    }
}

const fn database(key: &'static str) -> Row {
    Row {
        key,
        fate: Fate::Database,
    }
}

const fn refused(key: &'static str, why: &'static str) -> Row {
    Row {
        key,
        fate: Fate::Refused(why),
    }
}

const CALLBACKS: &str = "there are no callbacks; /metrics and the log tell what happened";
const GUARDRAILS: &str = "there are no guardrails; a proxy in front has to check what comes in";
const MCP: &str = "there is no MCP gateway; chat, completions and embeddings are served";
const HEALTH: &str =
    "deployments are judged by the requests they answer; there are no health checks beside them";
const BUDGETS: &str = "budgets are not built yet; nothing limits the spend";
const LOGS: &str = "use RUST_LOG";
const ACCESS: &str = "use waypost.keys to say who may use which group";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_one_row_and_a_reason() {
        for table in TABLES {
            for row in table.rows() {
                let same = table.rows().filter(|other| other.key == row.key);
                assert_eq!(same.count(), 1, "{} {}", table.path, row.key);
                let words = match row.fate {
                    Fate::Kept(words) | Fate::Always(words) | Fate::Lost(words) => words,
                    Fate::Refused(words) => words,
                    Fate::Database => continue,
                };
                assert!(
                    !words.is_empty() && !words.ends_with('.'),
                    "{} {}: {words}",
                    table.path,
                    row.key
                );
            }
        }
    }
}
