//! The command line: one file per subcommand. What people read in a terminal is written here, and nowhere else.

pub mod cache;
pub mod check;
mod config_file;
pub mod demo;
pub mod explain;
pub mod import;
pub mod in_force;
pub mod lab;
pub mod ledger;
mod ledger_source;
mod money;
pub mod prices;
pub mod probe;
pub mod reconcile;
mod redis_source;
pub mod schema;
pub mod serve;
mod shutdown;
mod table;
pub mod usage;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// One dependable OpenAI-compatible endpoint over any set of LLM deployments.
#[derive(Parser, Debug)]
#[command(name = "waypost", version, about, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Serve the model groups of a configuration file.
    Serve(serve::Args),
    /// Check a configuration file: every problem at once, and what is in force.
    Check(check::Args),
    /// Show where a request would go, and why; from a cold start, or as a running gateway decides.
    Explain(explain::Args),
    /// Write a LiteLLM config.yaml as an endpoints.yml, and say what differs.
    Import(import::Args),
    /// Show tokens and cost, summed from the ledger.
    Usage(usage::Args),
    /// Hand the ledger's records to other programs, or look whether they are whole.
    Ledger(ledger::Args),
    /// Compare the ledger with a provider's own export of usage or cost.
    Reconcile(reconcile::Args),
    /// Print the JSON Schema of the configuration file.
    Schema(schema::Args),
    /// List what models cost, or look one up as a configuration would.
    Prices(prices::Args),
    /// Run simulated deployments, to test against.
    Lab(lab::Args),
    /// Show Waypost at work over simulated deployments; needs no key, file or server.
    Demo(demo::Args),
    /// Purge answers that replicas keep in Redis.
    Cache(cache::Args),
    /// Ask a running Waypost whether it is ready; the exit code is the answer.
    Probe(probe::Args),
}

impl Cli {
    /// Runs the command.
    ///
    /// # Errors
    /// What the command could not do, in words.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        // TLS needs to know its cryptography before the first client; a second call finds it set.
        let _ = rustls::crypto::ring::default_provider().install_default();
        match self.command {
            Command::Serve(args) => serve::run(&args),
            Command::Check(args) => check::run(&args),
            Command::Explain(args) => explain::run(&args),
            Command::Import(args) => import::run(&args),
            Command::Usage(args) => usage::run(&args),
            Command::Ledger(args) => ledger::run(&args),
            Command::Reconcile(args) => reconcile::run(&args),
            Command::Schema(args) => schema::run(&args),
            Command::Prices(args) => prices::run(&args),
            Command::Lab(args) => lab::run(&args),
            Command::Demo(args) => demo::run(&args),
            Command::Cache(args) => cache::run(&args),
            Command::Probe(args) => probe::run(&args),
        }
    }
}
