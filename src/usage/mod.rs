//! Tokens and what they cost: read from answers where the provider reports them, estimated where it does not.

pub mod export;
pub mod ledger;
pub mod meter;
pub mod prompt;
pub mod reconcile;
pub mod store;
pub mod tokenizer;
pub mod totals;
