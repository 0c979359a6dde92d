//! A gateway over two regions, steady traffic, and one outage: what the clients see of it, and what the regions get.

pub(crate) mod client;
mod report;
mod shape;
mod time;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{anyhow, ensure};
use clap::ValueEnum;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use waypost::api::listen::Server;
use waypost::api::{App, Workers};
use waypost::clock::Clock as _;
use waypost::config;
use waypost::gateway::Deps;
use waypost::lab::Lab;
use waypost::router::Deployment;
use waypost::router::scores::minute_of;

pub(crate) use report::Report;
pub(crate) use shape::Shape;

use client::Seen;
use report::{BUCKET, Calls};
use time::{STEP, Virtual};

/// The attempts a request has in a group: the first one and `num_retries`, which is 2 unless a file says otherwise.
const ATTEMPTS: u32 = 3;
/// What is configured besides groups and strategy; everything else is as it is by default.
pub(crate) const TIMEOUTS: &str = "{first_content: 5s}";

/// How the regions stand to each other, and who chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Routing {
    /// One group, at random.
    SimpleShuffle,
    /// Fewest in flight.
    LeastBusy,
    /// The fastest.
    Latency,
    /// Fewest tokens in this minute.
    Usage,
    /// A group each, of which one is the other's fallback.
    Fallback,
}

impl Routing {
    /// The attempts a request may make.
    pub(crate) fn budget(self) -> u32 {
        match self {
            Self::Fallback => 2 * ATTEMPTS,
            Self::SimpleShuffle | Self::LeastBusy | Self::Latency | Self::Usage => ATTEMPTS,
        }
    }
}

impl fmt::Display for Routing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SimpleShuffle => "simple-shuffle",
            Self::LeastBusy => "least-busy",
            Self::Latency => "latency-based-routing",
            Self::Usage => "usage-based-routing",
            Self::Fallback => "a fallback group",
        })
    }
}

/// One outage under one kind of routing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    /// What goes wrong.
    pub(crate) shape: Shape,
    /// Who decides.
    pub(crate) routing: Routing,
    /// Requests a second.
    pub(crate) rate: u32,
    /// Traffic before the outage, by which it is measured.
    pub(crate) before: Duration,
    /// How long the outage is said to last.
    pub(crate) length: Duration,
    /// How long the return is waited for.
    pub(crate) patience: Duration,
    /// Where the random choices of regions and router begin.
    pub(crate) seed: u64,
}

impl Case {
    /// When it is over.
    fn end(&self) -> Duration {
        self.before + self.shape.lasts(self.length)
    }

    /// Plays it. The runtime has one thread and its clock is stopped.
    ///
    /// # Errors
    /// If something can't be started, or the regions got more than the gateway says it sent.
    pub(crate) async fn play(&self) -> anyhow::Result<Report> {
        let time = Virtual::begin();
        let lab = Lab::start(&self.shape.script(self.seed, self.before, self.length))?;
        let (app, server) = self.gateway(&lab, time).await?;
        let groups = app.gateway().snapshot().groups();
        let mut taps: Vec<Tap> = groups
            .iter()
            .flat_map(|group| group.router.deployments())
            .map(Tap::new)
            .collect();
        let mut calls = Calls::new(taps.iter().map(|tap| tap.deployment.target.id.to_string()));
        let mut traffic = Traffic::new(self, server.addr(), time);
        let mut received: Vec<u32> = Vec::new();
        loop {
            let now = time.elapsed();
            traffic.send(now);
            time.settle().await;
            for (place, tap) in taps.iter_mut().enumerate() {
                calls.add(place, now, tap.begun(time));
            }
            if now.as_millis().is_multiple_of(BUCKET.as_millis()) {
                traffic.gather()?;
                count(&lab, &mut received);
                if calls.is_back(self, now) || now > self.end() + self.patience {
                    break;
                }
            }
            time.step().await;
        }
        while traffic.gather()? {
            time.settle().await;
            time.step().await;
        }
        count(&lab, &mut received);
        ensure!(
            server.stop(Duration::from_secs(60)).await,
            "a connection did not end"
        );
        lab.stop().await;
        let seen = traffic.seen;
        for seen in &seen {
            let received = received.get(seen.number).copied().unwrap_or_default();
            ensure!(
                received <= seen.attempts,
                "request {} came to the regions {received} times; the gateway says {}",
                seen.number,
                seen.attempts
            );
        }
        Ok(Report::of(self, seen, &calls))
    }

    async fn gateway(&self, lab: &Lab, time: Virtual) -> anyhow::Result<(Arc<App>, Server)> {
        let yaml = self.configuration(lab);
        let (config, _warnings) = config::load_str("outages.yml", &yaml, &|_| None, false)
            .map_err(|findings| anyhow!("{findings:?}"))?;
        let app = App::build(&config, Deps::with_clock(Arc::new(time), Some(self.seed)))?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let server = Server::start(listener, app.routes(), Arc::new(Workers::here()))?;
        Ok((app, server))
    }

    fn configuration(&self, lab: &Lab) -> String {
        let models = lab.deployments().iter().map(|region| {
            let (name, base) = (region.name(), region.base_url());
            format!(
                "{{provider: self-hosted, model: {name}, api_base: '{base}', model_info: {{id: {name}}}}}"
            )
        });
        let models: Vec<String> = models.collect();
        let groups = match self.routing {
            Routing::Fallback => format!(
                "  - {{id: chat, models: [{}]}}\n  - {{id: spare, models: [{}]}}\nwaypost:\n  groups: {{chat: {{fallbacks: [spare]}}}}\n",
                models[0], models[1]
            ),
            strategy => format!(
                "  - id: chat\n    models: [{}]\n    router: {{routing_strategy: {strategy}}}\nwaypost:\n",
                models.join(", ")
            ),
        };
        format!("model_groups:\n{groups}  timeouts: {TIMEOUTS}\n")
    }
}

/// Counts what the regions have received, by the request's number.
fn count(lab: &Lab, received: &mut Vec<u32>) {
    for request in lab.deployments().iter().flat_map(|d| d.take_requests()) {
        let number = request.json()["user"].as_str().and_then(|n| n.parse().ok());
        let number: usize = number.unwrap_or_default();
        received.resize(received.len().max(number + 1), 0);
        received[number] += 1;
    }
}

/// Requests sent when they are due, whether or not earlier ones have been answered.
struct Traffic {
    to: std::net::SocketAddr,
    time: Virtual,
    every: Duration,
    next: usize,
    under_way: JoinSet<Seen>,
    seen: Vec<Seen>,
}

impl Traffic {
    fn new(case: &Case, to: std::net::SocketAddr, time: Virtual) -> Self {
        Self {
            to,
            time,
            every: Duration::from_secs(1) / case.rate,
            next: 0,
            under_way: JoinSet::new(),
            seen: Vec::new(),
        }
    }

    /// Sends what is due.
    fn send(&mut self, now: Duration) {
        while self.every * u32::try_from(self.next).unwrap_or(u32::MAX) <= now {
            self.under_way
                .spawn(client::ask(self.to, self.next, self.time));
            self.next += 1;
        }
    }

    /// Takes what has ended; whether there is more.
    fn gather(&mut self) -> anyhow::Result<bool> {
        while let Some(ended) = self.under_way.try_join_next() {
            self.seen.push(ended?);
        }
        Ok(!self.under_way.is_empty())
    }
}

/// Attempts begun at one deployment, by the router's own count of the minute.
struct Tap {
    deployment: Arc<Deployment>,
    last: (u64, u64),
}

impl Tap {
    fn new(deployment: &Arc<Deployment>) -> Self {
        Self {
            deployment: Arc::clone(deployment),
            last: (0, 0),
        }
    }

    /// Since it was last asked. It is asked in every step, so that no minute ends between.
    fn begun(&mut self, time: Virtual) -> u32 {
        debug_assert!(STEP < Duration::from_secs(60));
        let minute = minute_of(time.unix());
        let count = self.deployment.scores.minute(minute).requests;
        let before = if self.last.0 == minute {
            self.last.1
        } else {
            0
        };
        self.last = (minute, count);
        u32::try_from(count - before).unwrap_or(u32::MAX)
    }
}
