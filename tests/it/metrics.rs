//! What `/metrics` shows.

use std::collections::{HashMap, HashSet};

use serde_json::json;
use waypost::lab::{Behaviour, Fault, Hold};

use crate::support::chat_body;
use crate::support::pair::{Pair, stream_body, sum};

/// Names, and the labels each has.
const SERIES: &[(&str, &str, &[&str])] = &[
    (
        "waypost_requests",
        "counter",
        &["group", "operation", "outcome"],
    ),
    ("waypost_request_duration_seconds", "histogram", &["group"]),
    (
        "waypost_attempts",
        "counter",
        &["deployment", "group", "outcome"],
    ),
    (
        "waypost_first_content_seconds",
        "histogram",
        &["deployment", "group"],
    ),
    (
        "waypost_tokens",
        "counter",
        &["deployment", "group", "kind"],
    ),
    ("waypost_cost_dollars", "counter", &["deployment", "group"]),
    (
        "waypost_unpriced_tokens",
        "counter",
        &["deployment", "group"],
    ),
    (
        "waypost_cooldowns",
        "counter",
        &["cause", "deployment", "group"],
    ),
    ("waypost_cache", "counter", &["group", "result"]),
    ("waypost_in_flight", "gauge", &["deployment", "group"]),
    ("waypost_cooling", "gauge", &["deployment", "group"]),
    ("waypost_upstream_connections", "gauge", &[]),
];

/// The labels of a line, in order.
fn labels(line: &str) -> (String, Vec<(String, String)>) {
    let key = line.rsplit_once(' ').expect("a value").0;
    let Some((name, rest)) = key.split_once('{') else {
        return (key.to_owned(), Vec::new());
    };
    let rest = rest.strip_suffix('}').expect("closed");
    let pairs = rest.split("\",").map(|pair| {
        let (name, value) = pair.split_once("=\"").expect("a label");
        (name.to_owned(), value.trim_end_matches('"').to_owned())
    });
    (name.to_owned(), pairs.collect())
}

#[tokio::test]
async fn names_types_and_labels_are_as_documented() {
    let prices = "prices: {a: {input_cost_per_token: 0.001}}";
    let router = [
        "num_retries: 1",
        "allowed_fails: 0",
        "cache_responses: true",
    ];
    let pair = Pair::with(&router, &[prices]).await;
    pair.gateway.chat("g").await.ok();
    pair.streaming().send().await.ok();
    pair.a().set(Fault::ServerError);
    let mut another = chat_body("g");
    another["seed"] = json!(1);
    pair.gateway.chat_with(&another).send().await.ok();
    let answer = pair.gateway.get("/metrics").await.ok();
    assert_eq!(
        answer.header("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    let text = answer.text();
    assert!(
        text.ends_with("# EOF\n") && text.matches("# EOF").count() == 1,
        "{text}"
    );
    let types: HashMap<&str, &str> = text
        .lines()
        .filter_map(|l| l.strip_prefix("# TYPE ")?.split_once(' '))
        .collect();
    let helped: HashSet<&str> = text
        .lines()
        .filter_map(|l| Some(l.strip_prefix("# HELP ")?.split_once(' ')?.0))
        .collect();
    assert_eq!(types.len(), SERIES.len(), "{types:?}");
    for (name, kind, own) in SERIES {
        assert_eq!(types.get(name), Some(kind), "{name}");
        assert!(helped.contains(name), "{name}");
        let mut lines = text
            .lines()
            .filter(|l| !l.starts_with('#') && l.starts_with(name))
            .peekable();
        assert!(lines.peek().is_some(), "{name} has no series");
        for line in lines {
            let (full, labels) = labels(line);
            let suffix = &full[name.len()..];
            let suffixes: &[&str] = match *kind {
                "counter" => &["_total"],
                "histogram" => &["_sum", "_count", "_bucket"],
                _ => &[""],
            };
            if !suffixes.contains(&suffix) {
                assert!(
                    types
                        .keys()
                        .any(|other| other.len() > name.len() && full.starts_with(other)),
                    "{line}"
                );
                continue;
            }
            let mut names: Vec<&str> = labels
                .iter()
                .map(|(n, _)| &**n)
                .filter(|n| *n != "le")
                .collect();
            names.sort_unstable();
            assert_eq!(names, *own, "{line}");
            line.rsplit_once(' ')
                .expect("a value")
                .1
                .parse::<f64>()
                .expect("a number");
        }
    }
    pair.stop().await;
}

#[tokio::test]
async fn no_line_stands_twice() {
    let pair = Pair::new().await;
    pair.gateway.chat("g").await.ok();
    let text = pair.gateway.app().gateway().metrics();
    let mut seen = HashSet::new();
    for line in text.lines() {
        assert!(
            seen.insert(line.rsplit_once(' ').map_or(line, |(key, _)| key)),
            "{line}"
        );
    }
    pair.stop().await;
}

#[tokio::test]
async fn what_clients_make_up_is_no_series() {
    let pair = Pair::new().await;
    pair.gateway.chat("g").await.ok();
    let before = pair.gateway.app().gateway().metrics().lines().count();
    for n in 0..20 {
        let name = format!("made-up-{n}");
        assert_eq!(pair.gateway.chat(&name).await.status, 404);
        let mut body = chat_body("g");
        body["user"] = json!(name);
        let request = pair.gateway.chat_with(&body).header("x-request-id", &name);
        request.header("user-agent", &name).send().await.ok();
        pair.gateway.get(&format!("/{name}")).await;
    }
    let text = pair.gateway.app().gateway().metrics();
    assert!(!text.contains("made-up"), "{text}");
    assert_eq!(text.lines().count(), before);
    pair.stop().await;
}

#[tokio::test]
async fn gauges_show_this_moment() {
    let pair = Pair::with(&["num_retries: 0"], &[]).await;
    let gauges = |text: &str| {
        let of = |name: &str, deployment: &str| {
            sum(text, name, &[&format!("deployment=\"{deployment}\"")])
        };
        ["a", "b"].map(|d| (of("waypost_in_flight", d), of("waypost_cooling", d)))
    };
    let now = || gauges(&pair.gateway.app().gateway().metrics());
    assert_eq!(now(), [(0.0, 0.0), (0.0, 0.0)]);
    pair.a().set(Behaviour::hold(Hold::After(1)));
    let streams = [pair.stream().await, pair.stream().await];
    assert_eq!(now(), [(2.0, 0.0), (0.0, 0.0)]);
    assert_eq!(pair.metric("waypost_upstream_connections", &[]), 2.0);
    pair.a().behave_next(1, Fault::rate_limit());
    assert_eq!(pair.gateway.chat("g").await.status, 429);
    assert_eq!(now(), [(2.0, 1.0), (0.0, 0.0)]);
    pair.a().release();
    for stream in streams {
        stream.finish().await.ok();
    }
    assert_eq!(now(), [(0.0, 1.0), (0.0, 0.0)]);
    pair.stop().await;
}

#[tokio::test]
async fn each_request_counts_once() {
    let pair = Pair::with(&["num_retries: 1", "disable_cooldowns: true"], &[]).await;
    pair.gateway.chat("g").await.ok();
    pair.streaming().send().await.ok();
    pair.a().behave_next(1, Fault::ServerError);
    pair.gateway.chat("g").await.ok();
    pair.a().behave_next(1, Fault::ContextLength);
    assert_eq!(pair.gateway.chat("g").await.status, 400);
    pair.a().behave_next(1, Fault::ServerError);
    pair.b().behave_next(1, Fault::ServerError);
    assert_eq!(
        pair.gateway.chat_with(&stream_body()).send().await.status,
        500
    );
    pair.a().behave_next(1, Fault::Cut { after: 1 });
    pair.streaming().send().await.ok();
    for (outcome, n) in [
        ("ok", 3.0),
        ("rejected", 1.0),
        ("failed", 1.0),
        ("broken_stream", 1.0),
    ] {
        assert_eq!(pair.requests(outcome), n, "{outcome}");
    }
    assert_eq!(
        pair.metric("waypost_requests_total", &["operation=\"chat\""]),
        6.0
    );
    assert_eq!(
        pair.metric("waypost_request_duration_seconds_count", &["group=\"g\""]),
        6.0
    );
    for (deployment, outcome, n) in [
        ("a", "success", 2.0),
        ("a", "server_error", 2.0),
        ("a", "refused", 1.0),
        ("a", "broken", 1.0),
        ("b", "success", 1.0),
        ("b", "server_error", 1.0),
    ] {
        assert_eq!(
            pair.attempts(deployment, outcome),
            n,
            "{deployment} {outcome}"
        );
    }
    assert_eq!(pair.metric("waypost_attempts_total", &[]), 8.0);
    pair.stop().await;
}

#[tokio::test]
async fn names_of_groups_are_escaped() {
    let lab = crate::support::lab(["a"]);
    let name = "a \"quoted\" \\ name";
    let yaml = crate::support::Yaml::default().group(name, lab.deployments());
    let gateway = crate::support::Gateway::start(&yaml).await;
    gateway.chat(name).await.ok();
    let text = gateway.app().gateway().metrics();
    assert!(text.contains(r#"group="a \"quoted\" \\ name""#), "{text}");
    gateway.stop().await;
}
