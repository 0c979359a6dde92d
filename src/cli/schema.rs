//! `waypost schema`: the JSON Schema of the configuration file, its reference page, or that of the providers' dialects.

use std::io::Write as _;
use std::process::ExitCode;

use crate::config::schema;
use crate::provider;

/// Print the JSON Schema of the configuration file.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Print the reference page instead
    #[arg(long)]
    markdown: bool,
    /// Print what becomes of parameters at providers with an API of their own instead
    #[arg(long, conflicts_with = "markdown")]
    providers: bool,
    /// Print what becomes of the keys of a LiteLLM config.yaml instead
    #[arg(long, conflicts_with_all = ["markdown", "providers"])]
    litellm: bool,
}

/// Prints it.
///
/// # Errors
/// If standard output cannot be written to.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let text = if args.providers {
        provider::reference()
    } else if args.litellm {
        schema::litellm()
    } else if args.markdown {
        schema::markdown()
    } else {
        let mut text = serde_json::to_string_pretty(&schema::json_schema())?;
        text.push('\n');
        text
    };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
