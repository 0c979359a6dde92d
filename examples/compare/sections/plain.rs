//! CPU per request in a closed loop, for prompts of three sizes.

use std::sync::Arc;

use super::{GROUP, cost, label};
use crate::answers::Wish;
use crate::bench::{Bench, in_turn};
use crate::clock::micros;
use crate::figures::Figures;
use crate::gateways::{DIRECT, FLOOR, Gateway};
use crate::{load, process, table};

pub(crate) const CPU: &str = "CPU per request, µs";
const RATE: &str = "requests/s";
const BUSY: &str = "core busy, %";
const LOAD: &str = "load's CPU per request, µs";

const CONNECTIONS: usize = 16;
const SIZES: [usize; 3] = [1024, 32 * 1024, 256 * 1024];

pub(super) fn run(bench: &Bench, figures: &mut Figures) {
    println!(
        "## CPU per request\n\nClosed loop over {CONNECTIONS} connections, answers of 1 KB. Per core: a million over the CPU per request.\n"
    );
    for size in SIZES {
        let case = table::size(size);
        let all: Vec<&Gateway> = [&bench.direct].into_iter().chain(&bench.gateways).collect();
        in_turn(bench.options.rounds(), &all, |gateway| {
            measure(bench, figures, gateway, &case, size);
        });
        let direct = |metric| table::cell(figures.median(metric, &case, DIRECT));
        println!(
            "Load and upstream alone, {case}: {} requests/s; load {} µs, upstream {} µs a request.",
            direct(RATE),
            direct(LOAD),
            direct(CPU)
        );
    }
    println!();
    print(figures);
}

fn measure(bench: &Bench, figures: &mut Figures, gateway: &Gateway, case: &str, size: usize) {
    let requests = Arc::from([gateway.target.request(GROUP, Wish::Plain, size)]);
    let what = format!("{case} through {}", gateway.name);
    let upstream = process::cpu(bench.upstream.pid());
    let window = bench.window(&what, async || {
        load::closed(gateway, &requests, CONNECTIONS, bench.options.window()).await
    });
    let upstream = process::cpu(bench.upstream.pid()) - upstream;
    let mut push = |metric, value| figures.push(metric, case, &gateway.name, value);
    let (cpu, rate, busy, own) = match &window {
        None => (None, None, None, None),
        Some(window) => {
            let count = window.requests as f64;
            let wall = window.wall.as_secs_f64();
            // The upstream's includes the warm-up, a fifth of the window.
            let alone = (gateway.name == DIRECT).then(|| micros(upstream) / count / 1.2);
            (
                alone.or_else(|| cost(window, window.requests)),
                Some(count / wall),
                window.cpu.map(|cpu| 100.0 * cpu.as_secs_f64() / wall),
                Some(micros(window.load) / count),
            )
        }
    };
    push(CPU, cpu);
    push(RATE, rate);
    push(BUSY, busy);
    push(LOAD, own);
}

fn print(figures: &Figures) {
    let mut rows = Vec::new();
    for case in figures.cases(CPU) {
        for gateway in figures.gateways(CPU) {
            if gateway == DIRECT {
                continue;
            }
            let cpu = figures.median(CPU, case, gateway);
            let [ratio, range] = table::spread(figures.ratio(CPU, case, gateway, FLOOR));
            rows.push(vec![
                case.into(),
                label(figures, RATE, case, gateway),
                table::cell(cpu),
                table::cell(cpu.map(|cpu| 1e6 / cpu)),
                ratio,
                range,
                table::cell(figures.median(RATE, case, gateway)),
                table::cell(figures.median(BUSY, case, gateway)),
            ]);
        }
    }
    let header = [
        "request",
        "gateway",
        "CPU, µs",
        "requests/s per core",
        "ratio to the floor",
        "lowest – highest",
        "requests/s in the loop",
        "core busy, %",
    ];
    table::print(&header, &rows);
}
