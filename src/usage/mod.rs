//! Tokens and what they cost: read from answers where the provider reports them, estimated where it does not.

pub mod ledger;
pub mod meter;
pub mod prompt;
pub mod store;
pub mod tokenizer;
