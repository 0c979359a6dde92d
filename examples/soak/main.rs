//! A soak: a million requests of every kind through `waypost serve`, and nothing left behind.
//!
//! ```text
//! cargo build --release --locked && cargo run --release --locked --example soak -- [--requests 1000000] [--waypost PATH]
//! ```
//!
//! What it sends and what it requires is in `mod.rs`. Ends with status 1 and says why if a requirement is not met.
//! The access log is written to the folder for temporary files and takes 0.4 GB for a million requests.

#[path = "mod.rs"]
mod soak;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;

/// What to do.
#[derive(Parser)]
struct Args {
    /// How many requests.
    #[arg(long, default_value_t = 1_000_000)]
    requests: usize,
    /// How many clients at once.
    #[arg(long, default_value_t = 256)]
    clients: usize,
    /// Where the random choices begin.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The program [default: the one built beside this example].
    #[arg(long)]
    waypost: Option<PathBuf>,
    /// Further arguments of `waypost serve`.
    #[arg(last = true)]
    serve: Vec<String>,
}

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let waypost = match args.waypost {
        Some(path) => path,
        None => beside_this_program()?,
    };
    let options = soak::Options {
        requests: args.requests,
        clients: args.clients,
        seed: args.seed,
        waypost,
        serve: args.serve,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(soak::run(&options, &mut std::io::stdout()))?;
    Ok(ExitCode::SUCCESS)
}

fn beside_this_program() -> anyhow::Result<PathBuf> {
    let exe = std::env::current_exe()?;
    let folder = exe.parent().and_then(|examples| examples.parent());
    let path = folder.context("a folder of builds")?.join("waypost");
    anyhow::ensure!(
        path.exists(),
        "{} is missing: cargo build --release --locked, or --waypost PATH",
        path.display()
    );
    Ok(path)
}
