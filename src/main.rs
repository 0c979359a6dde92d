//! The `waypost` command.

use std::process::ExitCode;

use clap::Parser;
use waypost::cli::Cli;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(code) => code,
        Err(error) => {
            anstream::eprintln!("waypost: {error:#}");
            ExitCode::FAILURE
        }
    }
}
