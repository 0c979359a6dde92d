//! A deployment as the router knows it: its fixed target and limits, and its live scores.

use std::sync::Arc;

use super::cooldown::Rule;
use super::scores::Scores;
use crate::types::{Abilities, Clocks, Priced, Target};

/// One concrete target of a group. Clones share the scores.
#[derive(Debug, Clone)]
pub struct Deployment {
    /// Where and how.
    pub target: Arc<Target>,
    /// Share in simple-shuffle.
    pub weight: Option<f64>,
    /// Requests per minute.
    pub rpm: Option<u64>,
    /// Tokens per minute.
    pub tpm: Option<u64>,
    /// Requests in flight.
    pub max_parallel_requests: Option<u32>,
    /// Priority; `None` is last.
    pub order: Option<u32>,
    /// Known price.
    pub price: Option<Priced>,
    /// What requests may ask for by name.
    pub tags: Arc<[String]>,
    /// Where it is.
    pub region: Option<Arc<str>>,
    /// The longest prompt in tokens.
    pub max_input_tokens: Option<u64>,
    /// What it can do.
    pub abilities: Abilities,
    /// When it cools.
    pub rule: Rule,
    /// Retries its failure allows, if it says so itself.
    pub num_retries: Option<u32>,
    /// Time limits of an attempt.
    pub clocks: Clocks,
    /// The live numbers.
    pub scores: Arc<Scores>,
}
