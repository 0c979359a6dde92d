//! The `waypost` command.

use std::process::ExitCode;

use clap::Parser;

#[derive(Parser)]
#[command(name = "waypost", version)]
enum Command {
    Lab(waypost::cli::lab::Args),
}

fn main() -> anyhow::Result<ExitCode> {
    match Command::parse() {
        Command::Lab(args) => waypost::cli::lab::run(&args),
    }
}
