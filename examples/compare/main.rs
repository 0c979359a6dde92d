//! What gateways cost beside a proxy that does nothing: CPU per request and per chunk, latency, memory, start.
//!
//! ```text
//! cargo build --release --locked && cargo run --release --locked --example compare -- --svg target/plots
//! ```
//!
//! Starts a canned upstream, the *floor* (a hyper proxy that parses nothing), nginx if it is installed, and
//! `waypost serve` with everything on, each as a process of its own, and loads them in turn. What is measured how, and
//! what may be concluded, is in docs/benchmarks.md.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a measuring program: it prints, and stops where something is wrong"
)]

mod answers;
mod bench;
mod client;
mod clock;
mod figures;
mod floor;
mod gateways;
mod http;
mod load;
mod open;
mod options;
mod plots;
mod process;
mod request;
mod sections;
mod svg;
mod table;
mod upstream;

use std::fs;

use clap::Parser;
use tokio::runtime::{Builder, Runtime};

use bench::{Bench, Cores};
use figures::Figures;
use options::{Options, Role};

fn main() {
    let options = Options::parse();
    match (&options.role, options.cores) {
        (Some(Role::Upstream { port }), _) => runtime().block_on(upstream::run(*port)).unwrap(),
        (Some(Role::Floor { port, upstream }), _) => {
            runtime().block_on(floor::run(*port, *upstream))
        }
        (None, Some(cores)) => measure(options, &Cores::of(cores)),
        (None, None) => start_pinned(),
    }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Starts this program again, off the gateways' core.
fn start_pinned() {
    let count = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let exe = std::env::current_exe().unwrap();
    let mut command = process::pinned(&Cores::of(count).load, &exe);
    command.args(std::env::args_os().skip(1));
    command.args(["--cores", &count.to_string()]);
    let status = command.status().expect("sh starts the load");
    assert!(status.success(), "the load ended with {status}");
}

fn measure(options: Options, cores: &Cores) {
    // Threads that sleep until a request is due are woken on time; without it, up to 50 µs late.
    let _ = fs::write("/proc/self/timerslack_ns", "1");
    let bench = Bench::start(options, cores, runtime());
    let names: Vec<&str> = bench.gateways.iter().map(|g| g.name.as_str()).collect();
    println!(
        "waypost {}; {} rounds in turn over {}; windows of {:?}; gateways on core {}, upstream on {}, load on {}\n",
        env!("CARGO_PKG_VERSION"),
        bench.options.rounds(),
        names.join(", "),
        bench.options.window(),
        cores.gateway,
        cores.upstream,
        cores.load
    );
    let mut figures = Figures::default();
    for (section, run) in sections::ALL {
        if bench.options.runs(section) {
            run(&bench, &mut figures);
        }
    }
    if let Some(dir) = &bench.options.svg {
        fs::create_dir_all(dir).unwrap();
        for (name, plot) in plots::all(&figures) {
            fs::write(dir.join(name), plot).unwrap();
        }
    }
    if let Some(file) = &bench.options.json {
        fs::write(file, figures.json().to_string()).unwrap();
    }
}
