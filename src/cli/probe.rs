//! `waypost probe`: the health probe of an image that has no shell and no curl.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;

/// Asks one URL.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// What to ask; a 2xx answer is success.
    #[arg(
        long,
        env = "WAYPOST_PROBE_URL",
        default_value = "http://127.0.0.1:4000/readyz"
    )]
    url: String,
    /// Seconds to wait for the answer.
    #[arg(long, default_value_t = 3)]
    timeout: u64,
}

/// Runs the command.
///
/// # Errors
/// If there is no answer.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let status = runtime.block_on(async {
        let limit = Duration::from_secs(args.timeout);
        // A probe asks this very machine: no proxy stands between.
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(limit)
            .build()?;
        client.get(&args.url).send().await.map(|r| r.status())
    });
    let status = status.with_context(|| format!("{} gave no answer", args.url))?;
    anstream::println!("{} answered {status}", args.url);
    Ok(if status.is_success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
