//! Resident memory: fresh, after some connections, while very many streams are open, and after them.

use std::sync::Arc;
use std::time::Duration;

use super::GROUP;
use crate::answers::Wish;
use crate::bench::Bench;
use crate::figures::Figures;
use crate::gateways::{Gateway, Starter};
use crate::{clock, load, process, table};

pub(crate) const MEMORY: &str = "resident, MiB";
const IDLE: &str = "idle";
const AFTER_CONNECTIONS: &str = "after 64 connections";
const STREAMS: &str = "with open streams";
const AFTER_STREAMS: &str = "after the streams";

const CONNECTIONS: usize = 64;
const MOST_STREAMS: usize = 10_000;
const REQUEST: usize = 1024;

pub(super) fn run(bench: &Bench, figures: &mut Figures) {
    let most = if bench.options.quick {
        1000
    } else {
        MOST_STREAMS
    };
    let streams = most.min(bench.most_connections());
    println!(
        "## Resident memory\n\nOf a fresh process (one given by --gateway: as it was found). Open streams: {streams}, held by the upstream after the first chunk. MiB.\n"
    );
    let rounds = if bench.options.quick { 1 } else { 3 };
    for _ in 0..rounds {
        for kind in Starter::kinds() {
            let gateway = bench.starter.start(kind, 1);
            measure(bench, figures, &gateway, Some(streams));
        }
        for gateway in &bench.options.gateway {
            measure(bench, figures, gateway, None);
        }
    }
    print(figures, streams);
}

fn measure(bench: &Bench, figures: &mut Figures, gateway: &Gateway, streams: Option<usize>) {
    let Some(pid) = gateway.pid() else {
        return;
    };
    let mut push = |case, value| figures.push(MEMORY, case, &gateway.name, value);
    rest(200);
    let files = process::open_files(pid);
    push(IDLE, Some(process::resident(pid)));

    let requests = Arc::from([gateway.target.request(GROUP, Wish::Plain, REQUEST)]);
    let what = format!("{CONNECTIONS} connections to {}", gateway.name);
    let done = bench.window(&what, async || {
        load::closed(gateway, &requests, CONNECTIONS, bench.options.window()).await
    });
    rest(200);
    push(AFTER_CONNECTIONS, done.map(|_| process::resident(pid)));

    let Some(streams) = streams else {
        return;
    };
    let request = gateway.target.request(GROUP, Wish::Hold, REQUEST);
    let what = format!("{streams} streams through {}", gateway.name);
    let held = bench.window(&what, async || {
        let clients = load::hold(gateway, &request, streams).await?;
        let resident = process::resident(pid);
        drop(clients);
        Ok(resident)
    });
    push(STREAMS, held);
    let until = clock::now() + Duration::from_secs(10);
    while process::open_files(pid) > files + 2 * CONNECTIONS && clock::now() < until {
        rest(50);
    }
    rest(200);
    push(AFTER_STREAMS, held.map(|_| process::resident(pid)));
}

fn rest(millis: u64) {
    clock::sleep_until(clock::now() + Duration::from_millis(millis));
}

fn print(figures: &Figures, streams: usize) {
    let row = |gateway: &str| {
        let median = |case| figures.median(MEMORY, case, gateway);
        let each = median(STREAMS)
            .zip(median(AFTER_CONNECTIONS))
            .map(|(with, without)| (with - without) * 1024.0 / streams as f64);
        vec![
            gateway.into(),
            table::cell(median(IDLE)),
            table::cell(median(AFTER_CONNECTIONS)),
            table::cell(median(STREAMS)),
            table::cell(each),
            table::cell(median(AFTER_STREAMS)),
        ]
    };
    let rows: Vec<_> = figures.gateways(MEMORY).into_iter().map(row).collect();
    let open = format!("with {streams} open streams");
    let header = [
        "gateway",
        IDLE,
        AFTER_CONNECTIONS,
        &open,
        "each stream, KiB",
        AFTER_STREAMS,
    ];
    table::print(&header, &rows);
}
