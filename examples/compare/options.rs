//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};

use crate::gateways::Gateway;

/// What gateways cost beside a proxy that does nothing; see docs/benchmarks.md.
#[derive(Debug, Parser)]
#[command(name = "compare")]
pub(crate) struct Options {
    #[command(subcommand)]
    pub(crate) role: Option<Role>,
    /// Sections to run [default: all].
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Section>,
    /// A short run: three rounds of short windows, fewer connections. For trying out, not for quoting.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Rounds, interleaved over the gateways [default: 7, quick 3].
    #[arg(long)]
    rounds: Option<usize>,
    /// Seconds of a window [default: 1, quick 0.3].
    #[arg(long)]
    window: Option<f64>,
    /// The binary under test [default: target/release/waypost, beside this program].
    #[arg(long, value_name = "PATH")]
    waypost: Option<PathBuf>,
    /// A gateway that runs already: `NAME=URL[,pid=PID][,header=NAME:VALUE]`, the URL up to before /chat/completions;
    /// it must serve the model `bench` from the upstream. Pin it to core 0 yourself. Repeatable.
    #[arg(long, value_name = "NAME=URL")]
    pub(crate) gateway: Vec<Gateway>,
    /// Port of the canned upstream, for gateways given by --gateway [default: a free one].
    #[arg(long, value_name = "PORT")]
    pub(crate) upstream_port: Option<u16>,
    /// Write plots to this directory.
    #[arg(long, value_name = "DIR")]
    pub(crate) svg: Option<PathBuf>,
    /// Write all figures, round by round, to this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Set by the program for its pinned self: how many cores there are.
    #[arg(long, hide = true)]
    pub(crate) cores: Option<usize>,
}

/// What this program is when it starts itself.
#[derive(Debug, Subcommand)]
pub(crate) enum Role {
    /// The canned upstream alone.
    Upstream { port: u16 },
    /// The floor alone.
    Floor { port: u16, upstream: SocketAddr },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Section {
    /// CPU per request in a closed loop: 1, 32 and 256 KB.
    Plain,
    /// CPU per chunk in burst and paced; time to the first chunk and gap to the second.
    Streams,
    /// Added latency at fixed rates.
    Latency,
    /// Resident memory idle, after connections, and with many open streams.
    Memory,
    /// Start to the first answer, and size of the binary.
    Start,
    /// Cost per request over connections and over model groups.
    Growth,
}

impl Options {
    pub(crate) fn runs(&self, section: Section) -> bool {
        self.only.is_empty() || self.only.contains(&section)
    }

    pub(crate) fn rounds(&self) -> usize {
        self.rounds.unwrap_or(if self.quick { 3 } else { 7 })
    }

    pub(crate) fn window(&self) -> Duration {
        let seconds = self.window.unwrap_or(if self.quick { 0.3 } else { 1.0 });
        Duration::from_secs_f64(seconds)
    }

    pub(crate) fn waypost(&self) -> PathBuf {
        let beside = || {
            let exe = std::env::current_exe().unwrap();
            exe.ancestors().nth(2).unwrap().join("waypost")
        };
        let path = self.waypost.clone().unwrap_or_else(beside);
        assert!(
            path.exists(),
            "{} is missing: cargo build --release --locked",
            path.display()
        );
        path
    }
}
