//! `waypost import`: a LiteLLM `config.yaml` as an `endpoints.yml`, and a report of what that changes.
//!
//! The text goes to standard output or into a file, the report to standard error. Secrets are in neither.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};

use super::in_force::plural;
use crate::config::{self, Finding, Severity};

const RED: Style = AnsiColor::Red.on_default().bold();
const YELLOW: Style = AnsiColor::Yellow.on_default();
const CYAN: Style = AnsiColor::Cyan.on_default();

/// Write a LiteLLM config.yaml as an endpoints.yml that routes identically.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The config.yaml; its variables must be set, to anything
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Write to this file, which must not exist yet [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Imports the file; the exit code is 1 if it has an error.
///
/// # Errors
/// If the result cannot be written.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let env = |name: &str| std::env::var(name).ok();
    let mut err = anstream::stderr().lock();
    let import = match config::import(&args.file, &env) {
        Ok(import) => import,
        Err(findings) => {
            for finding in &findings {
                let (style, word) = match finding.severity {
                    Severity::Error => (RED, "error"),
                    Severity::Warning => (YELLOW, "warning"),
                };
                say(&mut err, style, word, finding)?;
            }
            writeln!(err, "\n{RED}refused{RED:#}: nothing was written")?;
            return Ok(ExitCode::FAILURE);
        }
    };
    for (style, word, findings) in [
        (YELLOW, "warning", &import.warnings),
        (CYAN, "differs", &import.differences),
        (YELLOW, "to do", &import.to_do),
    ] {
        for finding in findings {
            say(&mut err, style, word, finding)?;
        }
    }
    match &args.output {
        Some(file) => {
            let mut out = std::fs::File::create_new(file)
                .map_err(|error| anyhow::anyhow!("{}: {error}", file.display()))?;
            out.write_all(import.text.as_bytes())?;
            writeln!(
                err,
                "\n{}: written, {}, {}",
                file.display(),
                plural(import.warnings.len(), "warning"),
                plural(import.differences.len(), "difference")
            )?;
        }
        None => std::io::stdout().lock().write_all(import.text.as_bytes())?,
    }
    Ok(ExitCode::SUCCESS)
}

/// `word: file:line:column: key: message`
fn say(out: &mut impl Write, style: Style, word: &str, finding: &Finding) -> std::io::Result<()> {
    // The word says what it is, so the finding's own is not needed.
    let place = Finding {
        severity: Severity::Error,
        ..finding.clone()
    };
    writeln!(out, "{style}{word}{style:#}: {place}")
}
