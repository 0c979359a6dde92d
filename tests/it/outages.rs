//! The outages of `examples/outages`, short: what they must not cost, whoever chooses.
//!
//! Time is virtual there: all clocks have their true length, and none of these tests waits for one.

#[path = "../../examples/outages/mod.rs"]
mod run;

use std::time::Duration;

use clap::ValueEnum as _;
use run::client::CUT;
use run::{Case, Report, Routing, Shape};

use crate::support::s;

/// Of every outage.
const LENGTH: Duration = s(20);
/// How long a deployment cools by default.
const COOLDOWN: Duration = s(5);

/// Plays `shape` under every kind of routing and requires what holds for all outages.
async fn play(shape: Shape, also: impl Fn(&Report, &str)) {
    for routing in Routing::value_variants() {
        let case = Case {
            shape,
            routing: *routing,
            rate: 10,
            before: s(20),
            length: LENGTH,
            // By latency one that only was slow is tried again when its estimate has decayed.
            patience: s(400),
            seed: 1,
        };
        let report = case.play().await.expect("played");
        let told = format!("{}\n{}\n{report:?}", Report::HEADING, report.row());
        assert!(report.requests > 100, "{told}");
        assert!(report.calls_most <= routing.budget(), "{told}");
        assert!(report.back.is_some(), "it never came back: {told}");
        also(&report, &told);
    }
}

/// Every request got its answer.
fn none_lost(report: &Report, told: &str) {
    assert_eq!(report.answered(), report.requests, "{told}");
    assert_eq!(report.lost_outside, 0, "{told}");
}

/// Only streams that had begun when their connection ended, which nobody can begin anew.
fn only_cut(report: &Report, told: &str) {
    assert!(report.lost.keys().all(|what| what == CUT), "{told}");
    assert_eq!(report.lost_outside, 0, "{told}");
}

/// Not more than one call per cooldown, and those that found out.
fn only_probed(report: &Report, lasts: Duration, told: &str) {
    let probes = lasts.as_secs() / COOLDOWN.as_secs();
    assert!(u64::from(report.sick) <= probes + 3, "{told}");
}

#[tokio::test(start_paused = true)]
async fn one_region_refuses_connections() {
    play(Shape::Refused, |report, told| {
        only_cut(report, told);
        only_probed(report, LENGTH, told);
        assert!(report.calls_mean < 1.1, "{told}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn one_region_accepts_and_hangs() {
    play(Shape::Hangs, none_lost).await;
}

#[tokio::test(start_paused = true)]
async fn one_account_has_nothing_left() {
    play(Shape::Quota, |report, told| {
        none_lost(report, told);
        only_probed(report, 2 * LENGTH, told);
        assert!(report.calls_mean < 1.1, "{told}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn one_region_browns_out() {
    play(Shape::BrownOut, none_lost).await;
}

#[tokio::test(start_paused = true)]
async fn one_region_flaps() {
    play(Shape::Flapping, only_cut).await;
}

#[tokio::test(start_paused = true)]
async fn one_region_fails_now_and_then() {
    play(Shape::Partial, none_lost).await;
}

#[tokio::test(start_paused = true)]
async fn all_regions_refuse_connections() {
    play(Shape::AllDown, |report, told| {
        only_probed(report, LENGTH, told);
        assert!(report.calls_mean < 1.0, "nothing multiplies: {told}");
    })
    .await;
}
