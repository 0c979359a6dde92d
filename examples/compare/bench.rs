//! What all sections share: the upstream, the gateways, whose turn it is, and what becomes of a window that fails.

use std::io::Result;
use std::time::Duration;

use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::clock;
use crate::gateways::{Gateway, Starter};
use crate::options::Options;
use crate::process::{self, Process};

/// A failed window is repeated so often before its round is void.
const TRIES: usize = 2;

/// Everything that runs while measuring.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) options: Options,
    pub(crate) starter: Starter,
    /// The load itself, asking the upstream.
    pub(crate) direct: Gateway,
    pub(crate) gateways: Vec<Gateway>,
    pub(crate) upstream: Process,
    runtime: Runtime,
    _dir: TempDir,
}

impl Bench {
    /// Starts the upstream and the gateways.
    pub(crate) fn start(options: Options, cores: &Cores, runtime: Runtime) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = options.upstream_port.unwrap_or_else(process::free_port);
        let exe = std::env::current_exe().unwrap();
        let mut command = process::pinned(&cores.upstream, &exe);
        command.args(["upstream", &port.to_string()]);
        let upstream = Process::start(command);
        let addr = ([127, 0, 0, 1], port).into();
        process::await_listener(addr);
        let starter = Starter {
            core: cores.gateway.clone(),
            upstream: addr,
            waypost: options.waypost(),
            dir: dir.path().into(),
        };
        let ours = Starter::kinds()
            .into_iter()
            .map(|kind| starter.start(kind, 1));
        let gateways = ours.chain(options.gateway.clone()).collect();
        Self {
            direct: Gateway::direct(addr),
            options,
            starter,
            gateways,
            upstream,
            runtime,
            _dir: dir,
        }
    }

    /// The gateways that this program started.
    pub(crate) fn ours(&self) -> impl Iterator<Item = &Gateway> {
        self.gateways.iter().filter(|gateway| gateway.ours())
    }

    /// A window of load that awaits; see [`Bench::window_of`].
    pub(crate) fn window<T>(
        &self,
        what: &str,
        mut work: impl AsyncFnMut() -> Result<T>,
    ) -> Option<T> {
        self.window_of(what, || self.runtime.block_on(work()))
    }

    /// A window of load. One in which a request fails counts for nothing and is repeated; `None` if it fails again.
    pub(crate) fn window_of<T>(
        &self,
        what: &str,
        mut work: impl FnMut() -> Result<T>,
    ) -> Option<T> {
        for _ in 0..TRIES {
            match work() {
                Ok(done) => return Some(done),
                Err(e) => eprintln!("void: {what}: {e}"),
            }
            clock::sleep_until(clock::now() + Duration::from_millis(300));
        }
        None
    }

    /// The most connections through a gateway, which needs two files for each, that the limit of open files allows.
    pub(crate) fn most_connections(&self) -> usize {
        process::file_limit(std::process::id()).saturating_sub(200) / 2
    }
}

/// All of them once a round, each round beginning with another.
pub(crate) fn in_turn<T>(rounds: usize, all: &[T], mut visit: impl FnMut(&T)) {
    for round in 0..rounds {
        for at in 0..all.len() {
            visit(&all[(at + round) % all.len()]);
        }
    }
}

/// Which core runs what.
#[derive(Debug)]
pub(crate) struct Cores {
    pub(crate) gateway: String,
    pub(crate) upstream: String,
    pub(crate) load: String,
}

impl Cores {
    /// Gateways alone on the first core; upstream and load share the second unless there are more.
    pub(crate) fn of(count: usize) -> Self {
        let (upstream, load) = match count {
            0 | 1 => ("0", "0".to_owned()),
            2 => ("1", "1".to_owned()),
            more => ("1", format!("2-{}", more - 1)),
        };
        Self {
            gateway: "0".into(),
            upstream: upstream.into(),
            load,
        }
    }
}
