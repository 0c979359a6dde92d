//! Load by the clock: requests sent when they are due, whether or not earlier ones have been answered, and streams whose
//! chunks are timed one by one. Threads that block, because a runtime's timer is as coarse as what is to be measured.

use std::io::{Error, Result};
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use crate::client::Blocking;
use crate::clock::{self, micros};
use crate::request::{Request, Target};

/// Connections, each with a schedule of its own; only one whose last answer is later than its next request falls behind,
/// and what it waits counts.
const CONNECTIONS: u32 = 16;

/// Latencies at `rate` requests a second, in microseconds, sorted, each counted from the time at which the request was due.
///
/// # Errors
/// If a request fails, or the gateway falls behind by a quarter of the window.
pub(crate) fn at_rate(
    target: &Target,
    request: &Request,
    rate: u32,
    window: Duration,
) -> Result<Vec<f64>> {
    let step = Duration::from_secs(1) / rate;
    let barrier = Barrier::new(CONNECTIONS as usize);
    let lane = |lane: u32| {
        let connected = Blocking::connect(target.addr).and_then(|mut client| {
            client.exchange(request, |_, _| ())?;
            Ok(client)
        });
        barrier.wait(); // also if it failed: the others wait for us
        let start = clock::now() + Duration::from_millis(20);
        let mut client = connected?;
        let mut latencies = Vec::new();
        let mut due = start + step * lane;
        while due < start + window {
            clock::sleep_until(due);
            client.exchange(request, |_, _| ())?;
            let now = clock::now();
            latencies.push(micros(now.saturating_sub(due)));
            if now > start + window + window / 4 {
                return Err(Error::other("does not keep up with the rate"));
            }
            due += step * CONNECTIONS;
        }
        Ok(latencies)
    };
    let mut all = thread::scope(|scope| {
        let lane = &lane;
        let lanes: Vec<_> = (0..CONNECTIONS)
            .map(|at| scope.spawn(move || lane(at)))
            .collect();
        let results = lanes.into_iter().map(|lane| lane.join().unwrap());
        results.collect::<Result<Vec<_>>>()
    })?
    .concat();
    all.sort_by(f64::total_cmp);
    Ok(all)
}

/// When the chunks of a stream of two came.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pair {
    /// Microseconds from the request to the first chunk.
    pub(crate) first: f64,
    /// Microseconds by which the second chunk came later after the first than it was written after it; less than none
    /// if the first was held up.
    pub(crate) gap: f64,
}

/// Streams of two chunks, one after the other for `window`.
///
/// # Errors
/// If one fails.
pub(crate) fn pairs(target: &Target, request: &Request, window: Duration) -> Result<Vec<Pair>> {
    let mut client = Blocking::connect(target.addr)?;
    client.exchange(request, |_, _| ())?;
    let start = clock::now();
    let mut pairs = Vec::new();
    while clock::now() < start + window {
        pairs.push(pair(&mut client, request)?);
    }
    Ok(pairs)
}

fn pair(client: &mut Blocking, request: &Request) -> Result<Pair> {
    let mut body = Vec::new();
    let mut came = Vec::new();
    let start = clock::now();
    client.exchange(request, |bytes, now| {
        body.extend_from_slice(bytes);
        came.resize(clock::stamps(&body).len(), now);
    })?;
    let sent = clock::stamps(&body);
    let ([came_1, came_2], [sent_1, sent_2]) = (came.as_slice(), sent.as_slice()) else {
        return Err(Error::other("a stream without its two chunks"));
    };
    Ok(Pair {
        first: micros(*came_1 - start),
        gap: micros(*came_2 - *came_1) - micros(*sent_2 - *sent_1),
    })
}

/// A percentile of sorted values, by nearest rank.
pub(crate) fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted[rank - 1]
}
