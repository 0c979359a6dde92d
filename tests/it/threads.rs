//! Counts are exact over all threads: a group is one, however many threads pick from it.
//!
//! Every deployment holds what it gets, so that what was let through at once can be counted, not observed by luck.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, OnceLock};

use http::Method;
use serde_json::Value;
use tokio::task::JoinSet;
use waypost::lab::{Behaviour, Handle, Hold, Lab};
use waypost::router::Ask;
use waypost::types::TokenUsage;

use crate::support::pair::sum;
use crate::support::process::Process;
use crate::support::{Answer, Gateway, Model, Request, Yaml, at_rest, chat_body, lab, received, s};

/// How the command is started. Without anything it has a worker for each core.
const THREADS: &[&str] = &["--threads", "4"];
/// A race shows in some rounds only.
const ROUNDS: u64 = 10;

/// A request for `group`; every other one is a stream.
fn chat(addr: SocketAddr, group: &str, n: usize) -> Request {
    let mut body: Value = chat_body(group);
    body["stream"] = n.is_multiple_of(2).into();
    Request::new(addr, Method::POST, "/v1/chat/completions").json(&body)
}

fn held_now(lab: &Lab) -> Vec<u64> {
    lab.deployments().iter().map(|d| d.stats().held).collect()
}

/// Sends so many at once, and returns when each of them is held or answered: what is held where, what was answered, and the
/// rest of the requests.
async fn flood(
    addr: SocketAddr,
    lab: &Lab,
    group: &str,
    n: usize,
) -> (Vec<u64>, Vec<Answer>, JoinSet<Answer>) {
    let mut requests = JoinSet::new();
    for i in 0..n {
        requests.spawn(chat(addr, group, i).send());
    }
    let mut answers = Vec::new();
    loop {
        while let Some(answer) = requests.try_join_next() {
            answers.push(answer.expect("an answer"));
        }
        let held = held_now(lab);
        if answers.len() as u64 + held.iter().sum::<u64>() == n as u64 {
            return (held, answers, requests);
        }
        tokio::task::yield_now().await;
    }
}

/// Lets go of what is held, which must all end well.
async fn let_go(lab: &Lab, requests: JoinSet<Answer>) {
    lab.deployments().iter().for_each(Handle::release);
    for answer in requests.join_all().await {
        answer.ok();
    }
    at_rest(lab.deployments()).await;
}

/// Four deployments that hold what they get.
fn holding() -> Lab {
    let lab = lab(["a", "b", "c", "d"]);
    for deployment in lab.deployments() {
        deployment.set(Behaviour::hold(Hold::BeforeHead));
    }
    lab
}

/// A group for each rule, over the same deployments.
fn groups(lab: &Lab) -> Yaml {
    // Their names are unique, so each group makes its own.
    let models = || {
        lab.deployments()
            .iter()
            .map(|d| Model::of(d).without("model_info"))
    };
    Yaml::default()
        .group("even", models())
        .router("routing_strategy: least-busy")
        .group("narrow", models())
        .router("num_retries: 0")
        .each("max_parallel_requests: 5")
        .waypost("groups: {narrow: {queue: {max_wait: 0}}}")
        .group("slow", models())
        .router("num_retries: 0")
        .each("rpm: 40")
}

/// Least-busy is even to the request, however many are picked for at once.
async fn least_busy_is_even(addr: SocketAddr, lab: &Lab) {
    for _ in 0..ROUNDS {
        let (held, answers, requests) = flood(addr, lab, "even", 80).await;
        assert!(answers.is_empty(), "{answers:?}");
        assert_eq!(held, [20; 4]);
        let_go(lab, requests).await;
    }
}

/// A deployment never has more requests than it may, and all it may.
async fn no_more_at_once_than_allowed(addr: SocketAddr, lab: &Lab) {
    for _ in 0..ROUNDS {
        let (held, answers, requests) = flood(addr, lab, "narrow", 80).await;
        assert_eq!(held, [5; 4]);
        assert!(answers.iter().all(|answer| answer.status == 429));
        let_go(lab, requests).await;
    }
}

/// Nor more in a minute.
async fn no_more_in_a_minute_than_allowed(addr: SocketAddr, lab: &Lab, minute: impl Fn() -> u64) {
    lab.deployments()
        .iter()
        .for_each(|d| d.set(Behaviour::default()));
    let (before, first) = (received(lab), minute());
    let mut served = 0;
    for _ in 0..ROUNDS {
        let (_, answers, _) = flood(addr, lab, "slow", 80).await;
        served += answers.iter().filter(|answer| answer.status == 200).count() as u64;
    }
    let minutes = minute() - first + 1;
    let each = received(lab)
        .into_iter()
        .zip(before)
        .map(|(now, before)| now - before);
    let each: Vec<u64> = each.collect();
    assert_eq!(each.iter().sum::<u64>(), served);
    assert!(
        each.iter().all(|n| (40..=40 * minutes).contains(n)),
        "{each:?} in {minutes}"
    );
}

/// The same without HTTP, where picks come within nanoseconds of each other: each round four threads ask at once.
#[tokio::test]
async fn picks_of_the_same_moment_see_each_other() {
    let lab = lab(["a", "b", "c", "d"]);
    let all = lab.deployments();
    let yaml = Yaml::default()
        .group("even", all)
        .router("routing_strategy: least-busy")
        .group(
            "narrow",
            [Model::of(&all[0])
                .with("max_parallel_requests: 2")
                .without("model_info")],
        )
        .group(
            "slow",
            [Model::of(&all[0]).with("rpm: 3").without("model_info")],
        );
    let gateway = Gateway::start(&yaml).await;
    let (gateway, start) = (gateway.app().gateway(), Barrier::new(4));
    let router = |name| &gateway.snapshot().group(name).expect("a group").router;
    let let_through = ["even", "narrow", "slow"].map(|_| AtomicUsize::new(0));
    let wrong = OnceLock::new();
    let ask = |minute: u64| Ask {
        tried: &[],
        unfit: &[],
        now: gateway.deps().clock.now(),
        unix: s(60 * minute),
        tokens: TokenUsage::default(),
        streaming: false,
        even_cooling: false,
        conversation: None,
        ticket: None,
    };
    let thread = || {
        for round in 1..=20_000 {
            start.wait();
            let attempts = ["even", "narrow", "slow"].map(|name| router(name).begin(&ask(round)));
            for (attempt, count) in attempts.iter().zip(&let_through) {
                count.fetch_add(usize::from(attempt.is_ok()), Ordering::SeqCst);
            }
            if start.wait().is_leader() {
                let counts = let_through
                    .each_ref()
                    .map(|count| count.swap(0, Ordering::SeqCst));
                let even = router("even")
                    .deployments()
                    .iter()
                    .map(|d| d.scores.in_flight());
                let even: Vec<u32> = even.collect();
                // A panic here would leave the others at the barrier.
                if counts != [4, 2, 3] || even != [1; 4] {
                    let _first = wrong.set(format!(
                        "round {round}: {counts:?} let through, {even:?} in flight"
                    ));
                }
            }
            start.wait();
            if wrong.get().is_some() {
                return;
            }
        }
    };
    std::thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(thread))));
    assert_eq!(wrong.get(), None);
    for name in ["even", "narrow", "slow"] {
        assert!(
            router(name)
                .deployments()
                .iter()
                .all(|d| d.scores.in_flight() == 0)
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn counts_are_exact_on_four_workers() {
    let lab = holding();
    let (gateway, _clock) = Gateway::with_manual_clock(&groups(&lab)).await;
    least_busy_is_even(gateway.addr(), &lab).await;
    no_more_at_once_than_allowed(gateway.addr(), &lab).await;
    no_more_in_a_minute_than_allowed(gateway.addr(), &lab, || 0).await;
    let app = gateway.stop().await;
    assert_eq!(sum(&app.gateway().metrics(), "waypost_in_flight", &[]), 0.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn counts_are_exact_over_the_threads_of_the_command() {
    let lab = holding();
    let file = tempfile::Builder::new()
        .suffix(".yml")
        .tempfile()
        .expect("a file");
    std::fs::write(file.path(), groups(&lab).to_string()).expect("written");
    let file = file.path().display().to_string();
    let arguments = [&["serve", "--config", &file, "--port", "0"], THREADS].concat();
    let mut process = Process::start(&arguments, &[]);
    let addr = process.address().await;
    least_busy_is_even(addr, &lab).await;
    no_more_at_once_than_allowed(addr, &lab).await;
    no_more_in_a_minute_than_allowed(addr, &lab, this_minute).await;
    let metrics = Request::new(addr, Method::GET, "/metrics")
        .send()
        .await
        .ok();
    assert_eq!(sum(metrics.text(), "waypost_in_flight", &[]), 0.0);
}

/// The number of the machine's minute.
#[expect(
    clippy::disallowed_methods,
    reason = "that of another process is the machine's"
)]
fn this_minute() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.expect("after 1970").as_secs() / 60
}
