//! `waypost check`: every problem of a configuration file at once, and what is in force if there is none.
//!
//! Nothing is connected to. What is printed holds no secret: keys and tokens are named by kind, not by value.

use std::io::{self, Write};
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};

use super::config_file::ConfigFile;
use super::in_force::{self, plural};
use crate::config::{self, Finding, Severity};

const RED: Style = AnsiColor::Red.on_default().bold();
const YELLOW: Style = AnsiColor::Yellow.on_default();
const GREEN: Style = AnsiColor::Green.on_default();

/// Check a configuration file and print what is in force.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    config: ConfigFile,
    /// Also refuse what Rasa refuses
    #[arg(long)]
    strict: bool,
}

/// Checks the file; the exit code is 1 if there is an error.
///
/// # Errors
/// If standard output cannot be written to.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let env = |name: &str| std::env::var(name).ok();
    let mut out = anstream::stdout().lock();
    let (findings, config) = match config::load(&args.config.path, &env, args.strict) {
        Ok((config, findings)) => (findings, Some(config)),
        Err(findings) => (findings, None),
    };
    for finding in &findings {
        print(&mut out, finding)?;
    }
    let count = |severity| findings.iter().filter(|f| f.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    if !findings.is_empty() {
        writeln!(out)?;
    }
    let Some(config) = config else {
        writeln!(
            out,
            "{RED}refused{RED:#}: {}, {}",
            plural(errors, "error"),
            plural(warnings, "warning")
        )?;
        return Ok(ExitCode::FAILURE);
    };
    in_force::print(&mut out, &config)?;
    writeln!(
        out,
        "{GREEN}ok{GREEN:#}: {}, {}",
        plural(config.groups.len(), "group"),
        plural(warnings, "warning")
    )?;
    Ok(ExitCode::SUCCESS)
}

/// A finding as one line; colours only where a terminal shows them.
fn print(out: &mut impl Write, finding: &Finding) -> io::Result<()> {
    let style = match finding.severity {
        Severity::Error => RED,
        Severity::Warning => YELLOW,
    };
    let text = finding.to_string();
    // The place, the key and the word "warning" in colour; the sentence plain.
    let head = text.len() - finding.message.len();
    writeln!(
        out,
        "{style}{}{style:#}{}",
        text[..head].trim_end(),
        &text[head - 1..]
    )
}
