//! What the tests stand on: a gateway over simulated deployments, and a client that sees everything.
//!
//! ```ignore
//! let lab = lab(["a", "b"]);
//! let gateway = Gateway::start(&Yaml::over(&lab).router("routing_strategy: least-busy")).await;
//! let answer = gateway.chat("g").await;
//! assert_eq!(answer.deployment(), "a");
//! gateway.stop().await;
//! ```
//!
//! What the lab does not speak is scripted: [`Scripted`] answers as a closure says and keeps what it has seen.
//!
//! Ports are free ones, randomness is seeded, and time is the machine's or stands still ([`Gateway::with_manual_clock`]).
//! Each request has a connection of its own, so that dropping an answer is a client that goes away.

mod client;
mod logs;
mod server;
mod tls;
mod yaml;

pub(crate) mod beside;
pub(crate) mod dialects;
pub(crate) mod faults;
pub(crate) mod pair;
pub(crate) mod process;
pub(crate) mod raw;
pub(crate) mod redis;
pub(crate) mod wire;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use waypost::api::listen::Server;
use waypost::api::{App, Workers};
use waypost::clock::{Clock, ManualClock, SystemClock};
use waypost::config::{self, Config};
use waypost::gateway::Deps;
use waypost::lab::{Handle, Lab, Script};
use waypost::router::Deployment;
use waypost::router::cooldown::Readiness;

pub(crate) use client::{Answer, Request, Streaming, together};
pub(crate) use logs::Logs;
pub(crate) use server::{Reply, Seen, Server as Scripted, head as server_head};
pub(crate) use tls::Authority;
pub(crate) use yaml::{Model, Yaml};

/// Every rule a group may have.
pub(crate) const STRATEGIES: [&str; 5] = [
    "simple-shuffle",
    "least-busy",
    "latency-based-routing",
    "cost-based-routing",
    "usage-based-routing",
];

/// Seconds, since most tests of time speak of them.
pub(crate) const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Healthy deployments with these names.
pub(crate) fn lab<'a>(names: impl IntoIterator<Item = &'a str>) -> Lab {
    Lab::start(&Script::healthy(names)).expect("loopback ports")
}

/// The smallest chat request for `group`.
pub(crate) fn chat_body(group: &str) -> Value {
    json!({"model": group, "messages": [{"role": "user", "content": "hello"}]})
}

/// Reads a configuration, with no environment.
#[track_caller]
pub(crate) fn load(yaml: &str) -> Config {
    match config::load_str("test.yml", yaml, &|_| None, false) {
        Ok((config, _)) => config,
        Err(findings) => panic!("refused: {findings:#?}\n{yaml}"),
    }
}

/// A gateway at work on a port of loopback.
pub(crate) struct Gateway {
    app: Arc<App>,
    server: Server,
    /// What goes on beside requests; ends with the gateway.
    beside: JoinSet<()>,
}

impl Gateway {
    /// With the machine's time.
    pub(crate) async fn start(yaml: &Yaml) -> Self {
        Self::of(&load(&yaml.to_string()), Arc::new(SystemClock)).await
    }

    /// With time that stands still until it is moved. Clocks of attempts and back-offs are the machine's all the same.
    pub(crate) async fn with_manual_clock(yaml: &Yaml) -> (Self, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::new());
        let gateway = Self::of(&load(&yaml.to_string()), Arc::<ManualClock>::clone(&clock)).await;
        (gateway, clock)
    }

    /// Of a configuration made elsewhere, with time that stands still until it is moved.
    pub(crate) async fn of_with_manual_clock(config: &Config) -> (Self, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::new());
        let gateway = Self::of(config, Arc::<ManualClock>::clone(&clock)).await;
        (gateway, clock)
    }

    /// With everything it logs in `logs`; what it says of requests is there once it has stopped.
    pub(crate) async fn logging(yaml: &Yaml, logs: &Logs) -> Self {
        let mut deps = Deps::with_clock(Arc::new(SystemClock), Some(7));
        deps.access_log = Some(logs.access_log());
        Self::with_deps(&load(&yaml.to_string()), deps).await
    }

    /// Of a configuration made elsewhere.
    pub(crate) async fn of(config: &Config, clock: Arc<dyn Clock>) -> Self {
        Self::with_deps(config, Deps::with_clock(clock, Some(7))).await
    }

    /// Of a configuration and a world made elsewhere.
    pub(crate) async fn with_deps(config: &Config, deps: Deps) -> Self {
        let app = App::build(config, deps).expect("a usable configuration");
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a loopback port");
        let server =
            Server::start(listener, app.routes(), Arc::new(Workers::here())).expect("an address");
        let mut beside = JoinSet::new();
        let run = Arc::clone(&app);
        beside.spawn(async move { run.gateway().background().await });
        Self {
            app,
            server,
            beside,
        }
    }

    /// Where it listens.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.server.addr()
    }

    /// What is behind the listener.
    pub(crate) fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// A request to send; `path` as in `/v1/chat/completions`.
    pub(crate) fn request(&self, method: Method, path: &str) -> Request {
        Request::new(self.addr(), method, path)
    }

    /// `POST`.
    pub(crate) fn post(&self, path: &str) -> Request {
        self.request(Method::POST, path)
    }

    /// `GET`, sent.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.request(Method::GET, path).send().await
    }

    /// A chat request with this body, to be sent or changed further.
    pub(crate) fn chat_with(&self, body: &Value) -> Request {
        self.post("/v1/chat/completions").json(body)
    }

    /// The smallest chat, sent.
    pub(crate) async fn chat(&self, group: &str) -> Answer {
        self.chat_with(&chat_body(group)).send().await
    }

    /// The same as a stream; returns when its head is there.
    pub(crate) async fn stream(&self, group: &str) -> Streaming {
        let mut body = chat_body(group);
        body["stream"] = true.into();
        self.chat_with(&body).stream().await
    }

    /// The deployments of a group, in the order of the file.
    #[track_caller]
    pub(crate) fn deployments(&self, group: &str) -> Vec<Arc<Deployment>> {
        let group = self
            .app
            .gateway()
            .snapshot()
            .group(group)
            .expect("a group of that name");
        group.router.deployments().to_vec()
    }

    /// Requests in flight by the group's own counts, in the order of the file.
    #[track_caller]
    pub(crate) fn in_flight(&self, group: &str) -> Vec<u32> {
        self.deployments(group)
            .iter()
            .map(|d| d.scores.in_flight())
            .collect()
    }

    /// Stops it, and waits until every connection has ended: what is under way then is a leak.
    pub(crate) async fn stop(self) -> Arc<App> {
        let Self {
            app,
            server,
            mut beside,
        } = self;
        assert!(server.stop(s(60)).await, "a connection did not end");
        app.gateway().finish().await;
        beside.shutdown().await;
        if let Some(log) = &app.gateway().deps().access_log {
            log.flush();
        }
        app
    }
}

/// How many requests each deployment of the lab has received.
pub(crate) fn received(lab: &Lab) -> Vec<u64> {
    lab.deployments()
        .iter()
        .map(|d| d.stats().requests)
        .collect()
}

/// Until nothing is under way at any of them.
pub(crate) async fn at_rest(deployments: &[Handle]) {
    for deployment in deployments {
        deployment.wait_for(|stats| stats.in_flight == 0).await;
    }
}

/// Until `n` requests wait for a release, at all deployments together.
pub(crate) async fn held(deployments: &[Handle], n: u64) {
    // Each one's wait sees the counts of all, so that the last change, wherever it is, ends it.
    let waits = deployments.iter().enumerate().map(|(i, own)| {
        Box::pin(own.wait_for(move |stats| {
            let others = deployments.iter().enumerate().filter(|(j, _)| *j != i);
            stats.held + others.map(|(_, other)| other.stats().held).sum::<u64>() >= n
        }))
    });
    futures_util::future::select_all(waits).await;
}

/// Two deployments of which the first is always asked first.
pub(crate) fn first_then_second(lab: &Lab) -> Yaml {
    let models = (1..)
        .zip(lab.deployments())
        .map(|(n, d)| Model::of(d).with(&format!("order: {n}")));
    Yaml::default().group("g", models)
}

/// Whether the deployment of that place in the group sits out at the gateway's time.
#[track_caller]
pub(crate) fn cools(gateway: &Gateway, index: usize) -> bool {
    let now = gateway.app().gateway().deps().clock.now();
    matches!(
        gateway.deployments("g")[index].scores.readiness(now),
        Readiness::Cooling { .. }
    )
}
