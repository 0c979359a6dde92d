//! Load from one thread over many connections: a closed loop, paced streams, streams held open. What a window costs is
//! the CPU time that the kernel charged in it.

use std::io::{Error, ErrorKind, Result};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::client::Client;
use crate::gateways::Gateway;
use crate::process;
use crate::request::Request;

/// What a window without a failed request came to.
#[derive(Debug)]
pub(crate) struct Window {
    pub(crate) requests: usize,
    pub(crate) wall: Duration,
    /// Charged to the gateway, if its process is known.
    pub(crate) cpu: Option<Duration>,
    /// Charged to the load, which is this process.
    pub(crate) load: Duration,
}

/// A stream's chunks, and so how long it takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) chunks: usize,
    pub(crate) every: Duration,
}

/// The CPU charged so far to the gateway and to us.
fn charged(gateway: &Gateway) -> (Option<Duration>, Duration) {
    (gateway.cpu(), process::own_cpu())
}

/// Connects one after the other, so that no accept queue overflows.
async fn connect(gateway: &Gateway, connections: usize) -> Result<Vec<Client>> {
    let mut clients = Vec::with_capacity(connections);
    for _ in 0..connections {
        clients.push(Client::connect(gateway.target.addr).await?);
    }
    Ok(clients)
}

/// Each connection sends its next request when it has the last one's answer, until `window` is over; the requests are
/// sent in turn. Connections are made, and used for a fifth of the window, before the counting starts.
pub(crate) async fn closed(
    gateway: &Gateway,
    requests: &Arc<[Request]>,
    connections: usize,
    window: Duration,
) -> Result<Window> {
    within(window, async {
        let clients = connect(gateway, connections).await?;
        let (clients, _) = drive(clients, requests, window / 5).await?;
        let (cpu, load) = charged(gateway);
        let start = Instant::now();
        let (_clients, requests) = drive(clients, requests, window).await?;
        let wall = start.elapsed();
        let after = charged(gateway);
        Ok(Window {
            requests,
            wall,
            cpu: after.0.zip(cpu).map(|(after, before)| after - before),
            load: after.1 - load,
        })
    })
    .await
}

/// One stream on each connection at the same time, all begun within one chunk's time, evenly spread.
pub(crate) async fn paced(
    gateway: &Gateway,
    warm_up: &Request,
    request: &Request,
    connections: usize,
    pace: Pace,
) -> Result<Window> {
    within(pace.every * pace.chunks as u32, async {
        let clients = connect(gateway, connections).await?;
        let clients = spread(clients, warm_up, pace.every).await?;
        let (cpu, load) = charged(gateway);
        let start = Instant::now();
        let clients = spread(clients, request, pace.every).await?;
        let wall = start.elapsed();
        let after = charged(gateway);
        Ok(Window {
            requests: clients.len(),
            wall,
            cpu: after.0.zip(cpu).map(|(after, before)| after - before),
            load: after.1 - load,
        })
    })
    .await
}

/// Streams that were begun and are held open; they end when the clients are dropped.
pub(crate) async fn hold(
    gateway: &Gateway,
    request: &Request,
    streams: usize,
) -> Result<Vec<Client>> {
    /// So many are opened at the same time: enough to keep a gateway busy, and no accept queue overflows.
    const AT_ONCE: usize = 64;
    within(Duration::ZERO, async {
        let (mut held, mut tasks) = (Vec::with_capacity(streams), JoinSet::new());
        for begun in 0..streams {
            if begun >= AT_ONCE
                && let Some(open) = tasks.join_next().await
            {
                held.push(finished(open)?);
            }
            let (addr, request) = (gateway.target.addr, request.clone());
            tasks.spawn(async move {
                let mut client = Client::connect(addr).await?;
                client.open(&request).await?;
                Ok(client)
            });
        }
        while let Some(open) = tasks.join_next().await {
            held.push(finished(open)?);
        }
        Ok(held)
    })
    .await
}

/// A gateway that is stuck fails its window instead of the run.
async fn within<T>(window: Duration, work: impl Future<Output = Result<T>>) -> Result<T> {
    let limit = window * 5 + Duration::from_secs(60);
    timeout(limit, work)
        .await
        .unwrap_or_else(|_| Err(Error::from(ErrorKind::TimedOut)))
}

async fn drive(
    clients: Vec<Client>,
    requests: &Arc<[Request]>,
    window: Duration,
) -> Result<(Vec<Client>, usize)> {
    let until = Instant::now() + window;
    let mut tasks = JoinSet::new();
    for (at, mut client) in clients.into_iter().enumerate() {
        let requests = Arc::clone(requests);
        tasks.spawn(async move {
            let mut count = 0;
            loop {
                // A step without a common factor with the count of connections visits all requests evenly.
                let next = (at + count * 7) % requests.len();
                client.exchange(&requests[next]).await?;
                count += 1;
                if Instant::now() >= until {
                    return Ok((client, count));
                }
            }
        });
    }
    let (mut clients, mut total) = (Vec::new(), 0);
    while let Some(done) = tasks.join_next().await {
        let (client, count) = finished(done)?;
        clients.push(client);
        total += count;
    }
    Ok((clients, total))
}

async fn spread(clients: Vec<Client>, request: &Request, over: Duration) -> Result<Vec<Client>> {
    let mut tasks = JoinSet::new();
    let step = over / u32::try_from(clients.len().max(1)).unwrap_or(u32::MAX);
    for (at, mut client) in (0..).zip(clients) {
        let request = request.clone();
        tasks.spawn(async move {
            sleep(step * at).await;
            client.exchange(&request).await?;
            Ok(client)
        });
    }
    let mut clients = Vec::new();
    while let Some(done) = tasks.join_next().await {
        clients.push(finished(done)?);
    }
    Ok(clients)
}

fn finished<T>(done: std::result::Result<Result<T>, tokio::task::JoinError>) -> Result<T> {
    done.unwrap_or_else(|e| Err(Error::other(e)))
}
