//! Many requests of every kind through a real `waypost serve`, over a lab whose deployments fail in every way.
//!
//! Clients send plain and streamed chats, completions and embeddings over every path to groups of every strategy, with
//! limits, prices, keys and a cache; requests that are refused (no JSON, unknown model, wrong key, too large, ...); and
//! they leave: before the answer, within it, within their own body. Connections are kept or closed at random.
//!
//! Required, else [`run`] is an error that says what was not so:
//!
//! - Every answer is the one its request must get, and no reader's connection breaks.
//! - The access log has each request that was answered by a group's router exactly once, with the outcome the client saw, and
//!   those refused before never; a client that left may have been written down once or, if nobody ever saw it, not at all.
//! - `/metrics` adds up to the log: requests by group, operation and outcome, attempts, cache lookups, durations.
//! - Memory, open files, threads and the lines of `/metrics` are flat ([`flat`]).
//! - Afterwards nothing is in flight, at Waypost or at the deployments; every connection of a client is closed; and the
//!   process ends by itself when told to stop, without ever having panicked.

mod client;
mod flat;
mod fleet;
mod ledger;
mod process;
mod request;

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{bail, ensure};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tokio::task::JoinSet;
use tokio::time::Instant;

use client::Client;
use flat::{Sample, Samples};
use fleet::Fleet;
use ledger::Ledger;
use process::Waypost;
use request::Draw;

/// Between two looks at the process.
const LOOK: Duration = Duration::from_millis(250);
/// How long everything may take to come to rest: longer than any clock of the configuration.
const REST: Duration = Duration::from_secs(60);

/// What to do.
pub(crate) struct Options {
    /// How many requests are sent.
    pub(crate) requests: usize,
    /// How many clients send them.
    pub(crate) clients: usize,
    /// Where the random choices begin.
    pub(crate) seed: u64,
    /// The program.
    pub(crate) waypost: PathBuf,
    /// Further arguments of `waypost serve`.
    pub(crate) serve: Vec<String>,
}

/// Does it, and writes what is seen to `report`.
///
/// # Errors
/// Says which requirement was not met, or what could not be started.
pub(crate) async fn run(options: &Options, report: &mut (dyn Write + Send)) -> anyhow::Result<()> {
    let fleet = Fleet::start(options.seed)?;
    let folder = tempfile::tempdir()?;
    let mut waypost = Waypost::start(options, folder.path(), &fleet.configuration()).await?;
    let ledger = Arc::new(Ledger::new(options.requests));
    let begun = Instant::now();
    let before = waypost.look(0).await?;

    let mut samples = Samples::new(options.requests);
    let next = Arc::new(AtomicUsize::new(0));
    let mut clients = clients(options, waypost.addr(), &next, &ledger);
    let mut look = tokio::time::interval(LOOK);
    writeln!(report, "{}", Sample::HEADING)?;
    loop {
        tokio::select! {
            ended = clients.join_next() => match ended {
                Some(ended) => ended?,
                None => break,
            },
            _ = look.tick() => {
                let sample = waypost.look(next.load(Ordering::Relaxed).min(options.requests)).await?;
                if samples.push(sample) {
                    writeln!(report, "{sample}")?;
                    report.flush()?;
                }
                fleet.trouble().await;
            }
        }
    }
    let took = begun.elapsed();
    let at_rest = Sample {
        done: options.requests,
        ..rest(&mut waypost, &fleet, before.fds).await?
    };
    writeln!(report, "{at_rest}  at rest")?;
    let metrics = waypost.metrics().await?;
    let log = waypost.stop().await?;

    let tally = ledger.settle(&log, &metrics);
    writeln!(
        report,
        "\n{} requests in {:.1} s ({:.0}/s) from {} clients, {} received by the deployments\n{tally}",
        options.requests,
        took.as_secs_f64(),
        options.requests as f64 / took.as_secs_f64(),
        options.clients,
        fleet.received(),
    )?;
    let mut wrong = tally.wrong;
    wrong.extend(samples.verdicts(report)?);
    if wrong.is_empty() {
        writeln!(report, "ok")?;
        return Ok(());
    }
    bail!("{}", wrong.join("\n"))
}

/// Starts the clients; together they send what is to be sent.
fn clients(
    options: &Options,
    to: std::net::SocketAddr,
    next: &Arc<AtomicUsize>,
    ledger: &Arc<Ledger>,
) -> JoinSet<()> {
    let mut clients = JoinSet::new();
    for number in 0..options.clients {
        let (next, ledger) = (Arc::clone(next), Arc::clone(ledger));
        let (total, seed) = (options.requests, options.seed);
        clients.spawn(async move {
            let mut rng = StdRng::seed_from_u64(seed.wrapping_mul(65_537) + number as u64);
            let (draw, mut client) = (Draw::new(), Client::new(to));
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= total {
                    return;
                }
                let request = draw.request(&mut rng, n);
                let seen = client.play(&request, &mut rng).await;
                ledger.enter(&request, seen);
            }
        });
    }
    clients
}

/// Waits until nothing is under way anywhere: no attempt, no connection of a client, and counts that stand still.
async fn rest(waypost: &mut Waypost, fleet: &Fleet, fds: usize) -> anyhow::Result<Sample> {
    let patience = Instant::now() + REST;
    let mut last = None;
    loop {
        let sample = waypost.look(0).await?;
        let now = (sample.requests, sample.fds, sample.upstream);
        let idle = sample.in_flight == 0 && fleet.in_flight() == 0;
        // What is open beyond the start are connections to deployments, which are kept.
        if idle && sample.fds <= fds + sample.upstream && last == Some(now) {
            return Ok(sample);
        }
        last = Some(now);
        ensure!(
            Instant::now() < patience,
            "not at rest {REST:?} after the last request: {} attempts in flight, {} at the deployments; {} open files, \
             {fds} of them from the start, {} to deployments",
            sample.in_flight,
            fleet.in_flight(),
            sample.fds,
            sample.upstream
        );
        tokio::time::sleep(LOOK).await;
    }
}
