//! How long until a process that was just started answers, and how large the binary is.

use std::io::{Error, Result};
use std::path::Path;
use std::time::Duration;

use super::GROUP;
use crate::answers::Wish;
use crate::bench::{Bench, in_turn};
use crate::client::Blocking;
use crate::figures::Figures;
use crate::gateways::{Gateway, Starter};
use crate::request::Request;
use crate::{clock, process, table};

const START: &str = "start to the first answer, ms";
/// Between two tries; the shell that starts the process needs the core, too.
const AGAIN: Duration = Duration::from_micros(100);

pub(super) fn run(bench: &Bench, figures: &mut Figures) {
    println!(
        "## Start\n\nFrom starting the process to the end of its first answer of status 200, asked each 0.1 ms. Milliseconds.\n"
    );
    let launch = "(launching `true` alike)";
    let mut kinds = Starter::kinds();
    kinds.push(launch);
    in_turn(bench.options.rounds(), &kinds, |kind| {
        let began = clock::now();
        let answered = if *kind == launch {
            let mut command = process::pinned(&bench.starter.core, Path::new("true"));
            command.status().is_ok()
        } else {
            let gateway = bench.starter.spawn(kind, 1);
            let request = gateway.target.request(GROUP, Wish::Plain, 1024);
            bench
                .window_of(&format!("start of {kind}"), || {
                    first_answer(&gateway, &request)
                })
                .is_some()
        };
        let took = (clock::now() - began).as_secs_f64() * 1e3;
        figures.push(START, START, kind, answered.then_some(took));
    });
    let row = |kind: &str| {
        vec![
            kind.to_owned(),
            table::cell(figures.median(START, START, kind)),
        ]
    };
    let rows: Vec<_> = figures.gateways(START).into_iter().map(row).collect();
    table::print(&["process", "ms"], &rows);
    let size = std::fs::metadata(&bench.starter.waypost).unwrap().len() as f64;
    println!("Waypost's binary: {} MB.\n", table::number(size / 1e6));
}

fn first_answer(gateway: &Gateway, request: &Request) -> Result<()> {
    let give_up = clock::now() + Duration::from_secs(20);
    while clock::now() < give_up {
        if let Ok(mut client) = Blocking::connect(gateway.target.addr)
            && client.exchange(request, |_, _| ()).is_ok()
        {
            return Ok(());
        }
        clock::sleep_until(clock::now() + AGAIN);
    }
    Err(Error::other("no answer"))
}
