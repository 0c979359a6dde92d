//! The lab: simulated OpenAI-compatible deployments in this process, on loopback, that fail as real ones do.
//!
//! A gateway is only as good as what it was tried against, and real providers do not fail on request. The lab does:
//! every deployment of a [`Script`] is a real HTTP server on a port of its own, speaks OpenAI's and Azure's paths, and
//! behaves as its [`Behaviour`] says, which can be exchanged while it runs. Tests, benches, the demo and
//! `waypost lab` all stand on it.
//!
//! How a request flows: `server` accepts and resets, `respond` chooses the behaviour and refuses or answers, `chat`,
//! `completions` and `embeddings` make the content, `play` turns content into steps (this is where streams break),
//! `body` does the steps. Everything between `respond` and `body` is pure.
//!
//! Tests need no sleeps: a behaviour can [`Hold`] an answer until [`Handle::release`], and [`Handle::wait_for`] waits
//! for counts. Answers are deterministic, [`embedding_of`] says which vector a text has, and waits are drawn from a
//! seeded generator.
//!
//! The lab knows nothing of the gateway. It does not check what a real service would (token limits, JSON types of
//! fields), except where a gateway is known to get it wrong: keys, paths, fields that old Azure versions refuse.
//!
//! ```
//! use waypost::lab::{Behaviour, Fault, Lab, Script};
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! let lab = Lab::start(&Script::healthy(["a", "b"]))?;
//! let a = lab.deployment("a");
//! a.set(Behaviour::text("Hello."));
//! a.behave_next(1, Fault::rate_limit());
//! assert!(a.base_url().starts_with("http://127.0.0.1:"));
//! assert_eq!(a.stats().requests, 0);
//! lab.stop().await;
//! # Ok::<(), std::io::Error>(())
//! # })?;
//! # Ok::<(), std::io::Error>(())
//! ```

mod answer;
mod behaviour;
mod body;
mod canned;
mod chat;
mod completions;
mod control;
mod embeddings;
mod endpoints;
mod fault;
mod handle;
mod latency;
mod play;
mod refusal;
mod respond;
mod route;
mod schema;
mod script;
mod server;
mod stats;
mod timeline;
mod tools;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

pub use behaviour::{Behaviour, Canned, Chunking, EmbeddingEncoding, Framing, ReasoningField};
pub use embeddings::{embedding_base64, embedding_of};
pub use endpoints::{KEY_VARIABLE, endpoints_yaml};
pub use fault::{Chance, Fault, Hold};
pub use handle::{Handle, KEPT_REQUESTS, Recorded};
pub use latency::Latency;
pub use script::{Change, Deployment, Provider, Script, ScriptError};
pub use stats::Stats;

/// Running deployments. Dropping it stops them; [`stop`](Self::stop) also waits until they have.
#[derive(Debug)]
pub struct Lab {
    handles: Arc<[Handle]>,
    tasks: TaskTracker,
    stop: CancellationToken,
    _stop_on_drop: DropGuard,
}

impl Lab {
    /// Starts every deployment of `script` on loopback, and its timeline. When it returns, their ports are open.
    ///
    /// # Errors
    /// If the script makes no sense ([`Script::validate`]) or a port cannot be had.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    pub fn start(script: &Script) -> io::Result<Self> {
        script
            .validate()
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        let mut handles = Vec::with_capacity(script.deployments.len());
        for (seed, deployment) in (script.seed..).zip(&script.deployments) {
            let open = !deployment.behaviour.refuses_connections();
            let (port, addr) = server::Port::bind(deployment.port, open).map_err(|error| {
                let text = format!(
                    "deployment {}: port {}: {error}",
                    deployment.name, deployment.port
                );
                io::Error::new(error.kind(), text)
            })?;
            let shared = Arc::new(handle::Shared::new(deployment.clone(), addr, seed));
            tasks.spawn(server::serve(Arc::clone(&shared), port, stop.clone()));
            handles.push(Handle(shared));
        }
        let handles: Arc<[Handle]> = handles.into();
        if !script.timeline.is_empty() {
            tasks.spawn(timeline::run(
                script.clone(),
                Arc::clone(&handles),
                stop.clone(),
            ));
        }
        let _stop_on_drop = stop.clone().drop_guard();
        Ok(Self {
            handles,
            tasks,
            stop,
            _stop_on_drop,
        })
    }

    /// Also listens for control over HTTP on this port of loopback (0: a free one), until the lab stops.
    ///
    /// # Errors
    /// If the port cannot be had.
    pub fn control(&self, port: u16) -> io::Result<SocketAddr> {
        let (port, addr) = server::Port::bind(port, true).map_err(|error| {
            io::Error::new(error.kind(), format!("control port {port}: {error}"))
        })?;
        if let server::Port::Open(listener) = port {
            self.tasks.spawn(control::serve(
                listener,
                Arc::clone(&self.handles),
                self.stop.clone(),
            ));
        }
        Ok(addr)
    }

    /// The deployment called `name`.
    ///
    /// # Panics
    /// If the script has none; [`get`](Self::get) does not.
    #[must_use]
    pub fn deployment(&self, name: &str) -> &Handle {
        self.get(name).unwrap_or_else(|| {
            let names: Vec<&str> = self.handles.iter().map(Handle::name).collect();
            panic!(
                "no deployment of the lab is called {name:?}; there are {}",
                names.join(", ")
            )
        })
    }

    /// The deployment called `name`, if the script has it.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Handle> {
        self.handles.iter().find(|handle| handle.name() == name)
    }

    /// All deployments, in the order of the script.
    #[must_use]
    pub fn deployments(&self) -> &[Handle] {
        &self.handles
    }

    /// Stops everything and waits until the ports are closed and every task has ended.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

#[cfg(test)]
mod tests;
