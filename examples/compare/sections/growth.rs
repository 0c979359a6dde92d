//! Whether a request costs more when there are more connections, or more model groups.

use std::sync::Arc;

use super::{GROUP, cost};
use crate::answers::Wish;
use crate::bench::{Bench, in_turn};
use crate::figures::Figures;
use crate::gateways::{FLOOR, Gateway, WAYPOST, group_name};
use crate::request::Request;
use crate::{load, table};

pub(crate) const CONNECTIONS: &str = "CPU per request over connections, µs";
pub(crate) const GROUPS: &str = "CPU per request over model groups, µs";

const REQUEST: usize = 1024;
/// Windows that do not count.
const WARM_UPS: usize = 2;

pub(super) fn run(bench: &Bench, figures: &mut Figures) {
    // First, because thousands of connections leave so many ports waiting that new ones are costly for a minute.
    groups(bench, figures);
    connections(bench, figures);
}

fn connections(bench: &Bench, figures: &mut Figures) {
    println!("## Growth with connections\n\nClosed loop, 1 KB. CPU per request, µs.\n");
    let mut counts = vec![1, 16, 64, 256, 1000];
    if !bench.options.quick {
        counts.push(10_000.min(bench.most_connections()));
    }
    let ours: Vec<&Gateway> = bench.ours().collect();
    for _ in 0..bench.options.rounds() {
        for &count in &counts {
            in_turn(1, &ours, |gateway| {
                let requests = Arc::from([gateway.target.request(GROUP, Wish::Plain, REQUEST)]);
                let what = format!("{count} connections to {}", gateway.name);
                measure(
                    bench,
                    figures,
                    (CONNECTIONS, &count.to_string(), &what),
                    gateway,
                    &requests,
                    count,
                );
            });
        }
    }
    let gateways = figures.gateways(CONNECTIONS);
    let row = |case: &&str| {
        let cpu = gateways
            .iter()
            .map(|gateway| table::cell(figures.median(CONNECTIONS, case, gateway)));
        let ratio = table::spread(figures.ratio(CONNECTIONS, case, WAYPOST, FLOOR));
        let growth = figures.growth(CONNECTIONS, WAYPOST, case, "16");
        [(*case).to_owned()]
            .into_iter()
            .chain(cpu)
            .chain(ratio)
            .chain([table::cell(growth.map(|spread| spread.median))])
            .collect()
    };
    let rows: Vec<_> = figures.cases(CONNECTIONS).iter().map(row).collect();
    let mut header = vec!["connections"];
    header.extend(&gateways);
    header.extend([
        "waypost to the floor",
        "lowest – highest",
        "waypost to its own at 16",
    ]);
    table::print(&header, &rows);
}

fn groups(bench: &Bench, figures: &mut Figures) {
    println!(
        "## Growth with model groups\n\nTwo deployments each; closed loop over 16 connections, 1 KB, every group asked in turn. CPU per request, µs.\n"
    );
    let counts = [1, 10, 100, 1000];
    let all: Vec<_> = counts
        .into_iter()
        .map(|count| {
            let gateway = bench.starter.start(WAYPOST, count);
            let request = |group| {
                gateway
                    .target
                    .request(&group_name(group), Wish::Plain, REQUEST)
            };
            let requests: Arc<[Request]> = (0..count).map(request).collect();
            // A deployment's first request pays for its connection.
            for _ in 0..WARM_UPS {
                bench.window(&format!("first requests of {count} groups"), async || {
                    load::closed(&gateway, &requests, 16, bench.options.window()).await
                });
            }
            (count, gateway, requests)
        })
        .collect();
    in_turn(
        bench.options.rounds(),
        &all,
        |(count, gateway, requests)| {
            let (case, what) = (count.to_string(), format!("{count} groups"));
            let name = (GROUPS, case.as_str(), what.as_str());
            measure(bench, figures, name, gateway, requests, 16);
        },
    );
    let row = |case: &&str| {
        let [ratio, range] = table::spread(figures.growth(GROUPS, WAYPOST, case, "1"));
        let cpu = table::cell(figures.median(GROUPS, case, WAYPOST));
        vec![(*case).to_owned(), cpu, ratio, range]
    };
    let rows: Vec<_> = figures.cases(GROUPS).iter().map(row).collect();
    let header = [
        "groups",
        "waypost",
        "to its own with one",
        "lowest – highest",
    ];
    table::print(&header, &rows);
}

fn measure(
    bench: &Bench,
    figures: &mut Figures,
    (metric, case, what): (&'static str, &str, &str),
    gateway: &Gateway,
    requests: &Arc<[Request]>,
    connections: usize,
) {
    let window = bench.window(what, async || {
        load::closed(gateway, requests, connections, bench.options.window()).await
    });
    let cpu = window.and_then(|window| cost(&window, window.requests));
    figures.push(metric, case, &gateway.name, cpu);
}
