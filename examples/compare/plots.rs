//! Which figures are drawn, and how.

use crate::figures::Figures;
use crate::sections::{growth, latency, memory, plain, streams};
use crate::svg::{self, Bars, Lines};

/// File names and contents of the plots for which there are figures.
pub(crate) fn all(figures: &Figures) -> Vec<(&'static str, String)> {
    let cpu = bars(figures, plain::CPU, &["direct"]);
    let chunks = bars(figures, streams::CHUNK, &[]);
    let memory = bars(figures, memory::MEMORY, &[]);
    let added = added_latency(figures);
    let growth: Vec<Lines> = [growth::CONNECTIONS, growth::GROUPS]
        .into_iter()
        .filter_map(|metric| over_cases(figures, metric))
        .collect();
    let plots = [
        (
            "cpu.svg",
            !cpu.is_empty(),
            svg::bars("CPU per request, µs (median of rounds)", &cpu),
        ),
        (
            "chunks.svg",
            !chunks.is_empty(),
            svg::bars("CPU per streamed chunk, µs (median of rounds)", &chunks),
        ),
        (
            "memory.svg",
            !memory.is_empty(),
            svg::bars("Resident memory, MiB", &memory),
        ),
        (
            "latency.svg",
            !added.is_empty(),
            svg::lines("Latency from the time a request was due, µs", &added),
        ),
        (
            "growth.svg",
            !growth.is_empty(),
            svg::lines(
                "Does a request cost more when there is more of it?",
                &growth,
            ),
        ),
    ];
    let drawn = plots.into_iter().filter(|(_, any, _)| *any);
    drawn.map(|(name, _, plot)| (name, plot)).collect()
}

/// A panel per case, a bar per gateway.
fn bars(figures: &Figures, metric: &str, without: &[&str]) -> Vec<Bars> {
    let panel = |case: &str| Bars {
        heading: case.into(),
        bars: figures
            .gateways(metric)
            .into_iter()
            .filter(|gateway| !without.contains(gateway))
            .map(|gateway| (gateway.into(), figures.median(metric, case, gateway)))
            .collect(),
    };
    figures.cases(metric).into_iter().map(panel).collect()
}

/// A panel per rate, a line per gateway over the percentiles.
fn added_latency(figures: &Figures) -> Vec<Lines> {
    let [(p50, _), ..] = latency::PERCENTILES;
    let line = |case: &str, gateway: &str| {
        let values = latency::PERCENTILES.map(|(metric, _)| figures.median(metric, case, gateway));
        (gateway.to_owned(), values.to_vec())
    };
    let panel = |case: &str| Lines {
        heading: format!("{case}, 1 KB"),
        at: latency::PERCENTILES.map(|(_, p)| format!("p{p}")).to_vec(),
        lines: figures
            .gateways(p50)
            .into_iter()
            .map(|gateway| line(case, gateway))
            .collect(),
    };
    figures.cases(p50).into_iter().map(panel).collect()
}

/// One panel, a line per gateway over the cases.
fn over_cases(figures: &Figures, metric: &'static str) -> Option<Lines> {
    let cases = figures.cases(metric);
    let line = |gateway: &str| {
        let values = cases
            .iter()
            .map(|case| figures.median(metric, case, gateway));
        (gateway.to_owned(), values.collect())
    };
    (!cases.is_empty()).then(|| Lines {
        heading: metric.into(),
        at: cases.iter().map(|case| (*case).to_owned()).collect(),
        lines: figures.gateways(metric).into_iter().map(line).collect(),
    })
}
