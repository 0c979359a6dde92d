//! Outages shaped like real ones, under every kind of routing: what the clients see, and how often the regions are called.
//!
//! ```text
//! cargo run --release --locked --example outages -- [--only refused,hangs] [--routing least-busy]
//! ```
//!
//! Prints a table of markdown. What is measured how is in docs/outages.md. Time is virtual (`time.rs`): nothing is
//! shortened, and a minute takes a second or two.

#[path = "mod.rs"]
mod outages;

use std::io::Write as _;
use std::time::Duration;

use anyhow::ensure;
use clap::{Parser, ValueEnum};

use outages::{Case, Report, Routing, Shape, TIMEOUTS};

/// Calm before an outage, which so does not end with a minute of the wall clock, by which usage is counted.
const BEFORE: Duration = Duration::from_secs(45);

/// What to do.
#[derive(Parser)]
struct Args {
    /// Only these outages.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Shape>,
    /// Only these kinds of routing.
    #[arg(long, value_delimiter = ',')]
    routing: Vec<Routing>,
    /// Requests a second.
    #[arg(long, default_value_t = 40)]
    rate: u32,
    /// Seconds of an outage. No multiple of a cooldown, which would be back by chance at the very end.
    #[arg(long, default_value_t = 58)]
    length: u64,
    /// Seconds the return is waited for.
    #[arg(long, default_value_t = 600)]
    patience: u64,
    /// Where the random choices begin.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "Two regions, {} requests a second, every other one a stream; timeouts {TIMEOUTS}, else defaults; an outage of {} s \
         after {} s of calm; seed {}; time is virtual, 1:1\n\n{}",
        args.rate,
        args.length,
        BEFORE.as_secs(),
        args.seed,
        Report::HEADING
    )?;
    for shape in chosen(&args.only) {
        for routing in chosen(&args.routing) {
            let case = Case {
                shape,
                routing,
                rate: args.rate,
                before: BEFORE,
                length: Duration::from_secs(args.length),
                patience: Duration::from_secs(args.patience),
                seed: args.seed,
            };
            let report = runtime()?.block_on(case.play())?;
            writeln!(out, "{}", report.row())?;
            out.flush()?;
            ensure!(
                report.calls_most <= routing.budget(),
                "a request made {} attempts; {} are allowed",
                report.calls_most,
                routing.budget()
            );
        }
    }
    Ok(())
}

/// One thread whose clock is moved by hand.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
}

/// Those, or all if there are none.
fn chosen<T: ValueEnum + Clone>(wanted: &[T]) -> Vec<T> {
    if wanted.is_empty() {
        T::value_variants().to_vec()
    } else {
        wanted.to_vec()
    }
}
