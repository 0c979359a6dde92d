//! The sections of a run: each measures, and prints its table.

pub(crate) mod growth;
pub(crate) mod latency;
pub(crate) mod memory;
pub(crate) mod plain;
mod start;
pub(crate) mod streams;

use crate::bench::Bench;
use crate::clock::micros;
use crate::figures::Figures;
use crate::load::Window;
use crate::options::Section;

type Run = fn(&Bench, &mut Figures);

/// In the order in which they run.
pub(crate) const ALL: [(Section, Run); 6] = [
    (Section::Plain, plain::run),
    (Section::Streams, streams::run),
    (Section::Latency, latency::run),
    (Section::Start, start::run),
    (Section::Growth, growth::run),
    (Section::Memory, memory::run),
];

/// The model group that every gateway serves.
const GROUP: &str = "bench";

/// CPU microseconds of the gateway for each of `count` things.
fn cost(window: &Window, count: usize) -> Option<f64> {
    window.cpu.map(|cpu| micros(cpu) / count as f64)
}

/// The gateway's name, and how many of its rounds are void, if any.
fn label(figures: &Figures, metric: &str, case: &str, gateway: &str) -> String {
    match figures.void(metric, case, gateway) {
        0 => gateway.into(),
        void => format!("{gateway} ({void} void)"),
    }
}
