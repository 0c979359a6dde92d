//! Latency at fixed rates, counted from the time at which each request was due.

use super::{GROUP, label};
use crate::answers::Wish;
use crate::bench::{Bench, in_turn};
use crate::figures::Figures;
use crate::gateways::{DIRECT, FLOOR, Gateway};
use crate::open::{self, percentile};
use crate::table;

pub(crate) const PERCENTILES: [(&str, usize); 3] =
    [("p50, µs", 50), ("p90, µs", 90), ("p99, µs", 99)];
const RATES: [u32; 2] = [200, 1000];
const REQUEST: usize = 1024;

pub(super) fn run(bench: &Bench, figures: &mut Figures) {
    println!(
        "## Latency at fixed rates\n\nOpen loop, 1 KB. Added: over direct, in the same round. Microseconds.\n"
    );
    // A percentile of 99 wants some hundred requests also at the lower rate.
    let window = bench.options.window() * 3;
    let all: Vec<&Gateway> = [&bench.direct].into_iter().chain(&bench.gateways).collect();
    for rate in RATES {
        let case = format!("{rate}/s");
        in_turn(bench.options.rounds(), &all, |gateway| {
            let request = gateway.target.request(GROUP, Wish::Plain, REQUEST);
            let what = format!("{case} through {}", gateway.name);
            let latencies = bench.window_of(&what, || {
                open::at_rate(&gateway.target, &request, rate, window)
            });
            for (metric, percent) in PERCENTILES {
                let value = latencies.as_ref().map(|all| percentile(all, percent));
                figures.push(metric, &case, &gateway.name, value);
            }
        });
    }
    print(figures);
}

fn print(figures: &Figures) {
    let mut rows = Vec::new();
    let [(p50, _), ..] = PERCENTILES;
    for case in figures.cases(p50) {
        for gateway in figures.gateways(p50) {
            let mut row = vec![case.into(), label(figures, p50, case, gateway)];
            for (metric, _) in PERCENTILES {
                row.push(table::cell(figures.median(metric, case, gateway)));
            }
            for (metric, _) in PERCENTILES {
                let added = figures.added(metric, case, gateway, DIRECT);
                row.push(table::cell(added.map(|spread| spread.median)));
            }
            let base = if gateway == DIRECT { DIRECT } else { FLOOR };
            row.extend(table::spread(figures.added(p50, case, gateway, base)));
            rows.push(row);
        }
    }
    let header = [
        "rate",
        "through",
        "p50",
        "p90",
        "p99",
        "added p50",
        "added p90",
        "added p99",
        "p50 over the floor's",
        "lowest – highest",
    ];
    table::print(&header, &rows);
}
