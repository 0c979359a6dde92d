//! Streams: CPU per chunk, when all are written at once and when they come one by one; time to the first chunk, and how
//! much later than written the second comes.

use std::sync::Arc;
use std::time::Duration;

use super::{GROUP, cost, label};
use crate::answers::Wish;
use crate::bench::{Bench, in_turn};
use crate::figures::Figures;
use crate::gateways::{DIRECT, FLOOR, Gateway};
use crate::load::{self, Pace};
use crate::open::{self, percentile};
use crate::table;

pub(crate) const CHUNK: &str = "CPU per chunk, µs";
const RATE: &str = "chunks/s";
const FIRST_50: &str = "first chunk p50, µs";
const FIRST_99: &str = "first chunk p99, µs";
const GAP_50: &str = "second chunk later p50, µs";
const GAP_99: &str = "second chunk later p99, µs";

const REQUEST: usize = 1024;
const BURST: usize = 100;
const BURST_CONNECTIONS: usize = 16;
const EVERY: Duration = Duration::from_millis(20);
const PACED_CONNECTIONS: usize = 100;

pub(super) fn run(bench: &Bench, figures: &mut Figures) {
    chunks(bench, figures);
    timing(bench, figures);
}

fn chunks(bench: &Bench, figures: &mut Figures) {
    println!(
        "## CPU per streamed chunk\n\nEvents of 200 bytes. Burst: {BURST} written at once, {BURST_CONNECTIONS} connections in a closed loop. \
         Paced: one each {EVERY:?} on {PACED_CONNECTIONS} connections. The request's own cost is spread over its chunks.\n"
    );
    let rounds = bench.options.rounds();
    in_turn(rounds, &bench.gateways, |gateway| {
        burst(bench, figures, gateway);
    });
    in_turn(rounds, &bench.gateways, |gateway| {
        paced(bench, figures, gateway);
    });
    let mut rows = Vec::new();
    for case in figures.cases(CHUNK) {
        for gateway in figures.gateways(CHUNK) {
            let cpu = figures.median(CHUNK, case, gateway);
            let [ratio, range] = table::spread(figures.ratio(CHUNK, case, gateway, FLOOR));
            rows.push(vec![
                case.into(),
                label(figures, RATE, case, gateway),
                table::cell(cpu),
                table::cell(cpu.map(|cpu| 1e6 / cpu)),
                ratio,
                range,
                table::cell(figures.median(RATE, case, gateway)),
            ]);
        }
    }
    let header = [
        "stream",
        "gateway",
        "CPU, µs",
        "chunks/s per core",
        "ratio to the floor",
        "lowest – highest",
        "chunks/s in the loop",
    ];
    table::print(&header, &rows);
}

fn burst(bench: &Bench, figures: &mut Figures, gateway: &Gateway) {
    let wish = Wish::Burst { chunks: BURST };
    let requests = Arc::from([gateway.target.request(GROUP, wish, REQUEST)]);
    let window = bench.window(&format!("burst through {}", gateway.name), async || {
        load::closed(
            gateway,
            &requests,
            BURST_CONNECTIONS,
            bench.options.window(),
        )
        .await
    });
    push(figures, "burst", gateway, window.as_ref(), BURST);
}

fn paced(bench: &Bench, figures: &mut Figures, gateway: &Gateway) {
    let chunks = bench.options.window().div_duration_f64(EVERY).ceil() as usize;
    let request = |chunks| {
        let wish = Wish::Paced {
            chunks,
            every: EVERY,
        };
        gateway.target.request(GROUP, wish, REQUEST)
    };
    let (warm_up, request) = (request(2), request(chunks));
    let pace = Pace {
        chunks,
        every: EVERY,
    };
    let window = bench.window(&format!("paced through {}", gateway.name), async || {
        load::paced(gateway, &warm_up, &request, PACED_CONNECTIONS, pace).await
    });
    push(figures, "paced", gateway, window.as_ref(), chunks);
}

fn push(
    figures: &mut Figures,
    case: &str,
    gateway: &Gateway,
    window: Option<&load::Window>,
    chunks: usize,
) {
    let count = |window: &load::Window| window.requests * chunks;
    let cpu = window.and_then(|window| cost(window, count(window)));
    let rate = window.map(|window| count(window) as f64 / window.wall.as_secs_f64());
    figures.push(CHUNK, case, &gateway.name, cpu);
    figures.push(RATE, case, &gateway.name, rate);
}

fn timing(bench: &Bench, figures: &mut Figures) {
    const AFTER: Duration = Duration::from_millis(5);
    println!(
        "## Time to the first chunk, and the second\n\nOne stream at a time; the second chunk is written {AFTER:?} after the first. Later: by how much it \
         came later after the first than it was written after it (below zero: the first was held up). Microseconds.\n"
    );
    let all: Vec<&Gateway> = [&bench.direct].into_iter().chain(&bench.gateways).collect();
    in_turn(bench.options.rounds(), &all, |gateway| {
        let wish = Wish::Pair { after: AFTER };
        let request = gateway.target.request(GROUP, wish, REQUEST);
        let what = format!("chunks in pairs through {}", gateway.name);
        let pairs = bench.window_of(&what, || {
            open::pairs(&gateway.target, &request, bench.options.window())
        });
        let sorted = |of: fn(&open::Pair) -> f64| {
            pairs.as_ref().map(|pairs| {
                let mut all: Vec<f64> = pairs.iter().map(of).collect();
                all.sort_by(f64::total_cmp);
                all
            })
        };
        let (first, gap) = (sorted(|pair| pair.first), sorted(|pair| pair.gap));
        for (metric, values, percent) in [
            (FIRST_50, &first, 50),
            (FIRST_99, &first, 99),
            (GAP_50, &gap, 50),
            (GAP_99, &gap, 99),
        ] {
            let value = values.as_ref().map(|all| percentile(all, percent));
            figures.push(metric, "pair", &gateway.name, value);
        }
    });
    print_timing(figures);
}

fn print_timing(figures: &Figures) {
    let over = |metric, gateway: &str| {
        let base = if gateway == DIRECT { DIRECT } else { FLOOR };
        let added = figures.added(metric, "pair", gateway, base);
        table::cell(added.map(|spread| spread.median))
    };
    let row = |gateway: &str| {
        let median = |metric| table::cell(figures.median(metric, "pair", gateway));
        vec![
            label(figures, FIRST_50, "pair", gateway),
            median(FIRST_50),
            median(FIRST_99),
            over(FIRST_50, gateway),
            median(GAP_50),
            median(GAP_99),
            over(GAP_50, gateway),
        ]
    };
    let rows: Vec<_> = figures.gateways(FIRST_50).into_iter().map(row).collect();
    let header = [
        "gateway",
        "first chunk p50",
        "p99",
        "p50 over the floor's",
        "second later p50",
        "p99",
        "p50 over the floor's",
    ];
    table::print(&header, &rows);
}
