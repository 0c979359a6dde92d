//! Dry runs, the list of decisions, and `waypost explain`.

mod command;
mod decisions;
mod dry_run;
