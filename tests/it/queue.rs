//! Waiting in line for a place at a deployment that is full.

use serde_json::{Value, json};
use waypost::lab::{Behaviour, Fault, Handle, Hold};

use crate::support::beside::Beside;
use crate::support::{Answer, Gateway, Yaml, chat_body, lab, received};

/// Longer than any test: what ends a wait is not its time.
const LONG: &str = "queue: {max_wait: 1h}";

/// One place at each deployment of the group.
fn narrow(lab: &waypost::lab::Lab, queue: &str) -> Yaml {
    lab.deployments()
        .iter()
        .for_each(|d| d.set(Behaviour::hold(Hold::BeforeHead)));
    Yaml::over(lab)
        .router("num_retries: 0")
        .each("max_parallel_requests: 1")
        .waypost(queue)
}

/// A chat as that user, sent.
fn ask(gateway: &Gateway, group: &str, user: &str) -> Beside<Answer> {
    let mut body = chat_body(group);
    body["user"] = user.into();
    Beside::start(gateway.chat_with(&body).send())
}

/// Until so many wait in the line of `g`.
async fn waiting(gateway: &Gateway, n: usize) {
    let group = gateway.app().gateway().snapshot().group("g").cloned();
    let group = group.expect("a group of that name");
    while group.router.queue().expect("a line").len() != n {
        tokio::task::yield_now().await;
    }
}

/// Who was asked for, in order.
fn users(deployment: &Handle) -> Vec<Value> {
    let body = |body: &[u8]| serde_json::from_slice::<Value>(body).expect("JSON");
    let requests = deployment.requests();
    requests
        .iter()
        .map(|r| body(&r.body)["user"].clone())
        .collect()
}

#[tokio::test]
async fn all_are_served_in_the_order_in_which_they_came() {
    let lab = lab(["a"]);
    let a = lab.deployment("a");
    let gateway = Gateway::start(&narrow(&lab, LONG)).await;
    let mut requests = Vec::new();
    // By the group's name and by the deployment's: there is one line.
    let names = ["g", "a", "a", "g", "a"];
    for (n, name) in names.into_iter().enumerate() {
        requests.push(ask(&gateway, name, &n.to_string()));
        a.wait_for(|stats| stats.held == 1).await;
        waiting(&gateway, n).await;
    }
    for served in 1..=5 {
        a.wait_for(|stats| stats.requests == served && stats.held == 1)
            .await;
        assert_eq!(gateway.in_flight("g"), [1]);
        a.release();
    }
    for request in requests {
        let answer = request.result().await.ok();
        assert_eq!(answer.attempts(), 1);
    }
    assert_eq!(users(a), ["0", "1", "2", "3", "4"]);
    waiting(&gateway, 0).await;
    assert_eq!(gateway.in_flight("g"), [0]);
    gateway.stop().await;
}

#[tokio::test]
async fn who_leaves_is_no_longer_in_line() {
    let lab = lab(["a"]);
    let a = lab.deployment("a");
    let gateway = Gateway::start(&narrow(&lab, LONG)).await;
    let first = ask(&gateway, "g", "first");
    a.wait_for(|stats| stats.held == 1).await;
    let gone = ask(&gateway, "g", "gone");
    waiting(&gateway, 1).await;
    let last = ask(&gateway, "g", "last");
    waiting(&gateway, 2).await;
    assert!(gone.end().await, "it was still waiting");
    waiting(&gateway, 1).await;
    a.release();
    first.result().await.ok();
    a.wait_for(|stats| stats.requests == 2 && stats.held == 1)
        .await;
    a.release();
    last.result().await.ok();
    assert_eq!(users(a), ["first", "last"]);
    assert_eq!(gateway.in_flight("g"), [0]);
    gateway.stop().await;
}

#[tokio::test]
async fn a_wait_has_a_bound() {
    // By time, by the length of the line, and not at all.
    for (queue, waiters) in [
        ("queue: {max_wait: 20ms}", 0),
        ("groups: {g: {queue: {max_wait: 1h, max_size: 2}}}", 2),
        ("queue: {max_wait: 0}", 0),
        ("queue: {max_size: 0}", 0),
    ] {
        let lab = lab(["a"]);
        let a = lab.deployment("a");
        let gateway = Gateway::start(&narrow(&lab, queue)).await;
        let mut requests = vec![ask(&gateway, "g", "first")];
        a.wait_for(|stats| stats.held == 1).await;
        for n in 1..=waiters {
            requests.push(ask(&gateway, "g", "in line"));
            waiting(&gateway, n).await;
        }
        let refused = gateway.chat("g").await;
        assert_eq!(
            (refused.status, refused.code().as_str(), refused.attempts()),
            (429, "no_deployment_available", 0),
            "{queue}"
        );
        let says = "a has 1 requests in flight (max_parallel_requests)";
        assert!(refused.message().contains(says), "{}", refused.message());
        assert_eq!(refused.header("retry-after"), Some("1"), "{queue}");
        a.set(Behaviour::default());
        a.release();
        for request in requests {
            request.result().await.ok();
        }
        assert_eq!(received(&lab), [1 + waiters as u64], "{queue}");
        gateway.chat("g").await.ok();
    }
}

#[tokio::test]
async fn with_another_group_behind_nobody_waits() {
    let lab = lab(["a", "b"]);
    let a = lab.deployment("a");
    a.set(Behaviour::hold(Hold::BeforeHead));
    let yaml = Yaml::default()
        .group("g", [a])
        .each("max_parallel_requests: 1")
        .group("h", [lab.deployment("b")])
        .waypost(LONG)
        .waypost("groups: {g: {fallbacks: [h]}}");
    let gateway = Gateway::start(&yaml).await;
    let first = ask(&gateway, "g", "first");
    a.wait_for(|stats| stats.held == 1).await;
    let answer = gateway.chat("g").await.ok();
    assert_eq!(answer.deployment(), "b");
    a.release();
    assert_eq!(first.result().await.ok().deployment(), "a");
}

#[tokio::test]
async fn who_waits_learns_that_the_deployment_cools() {
    let lab = lab(["a"]);
    let a = lab.deployment("a");
    let gateway = Gateway::start(&narrow(&lab, LONG)).await;
    let mut limited: Behaviour = Fault::rate_limit().into();
    limited.hold = Some(Hold::BeforeHead);
    a.set(limited);
    let first = ask(&gateway, "g", "first");
    a.wait_for(|stats| stats.held == 1).await;
    let [second, third] = [1, 2].map(|_| ask(&gateway, "g", "in line"));
    waiting(&gateway, 2).await;
    a.release();
    assert_eq!(first.result().await.status, 429);
    for waiter in [second, third] {
        let answer = waiter.result().await;
        assert_eq!((answer.status, answer.attempts()), (429, 0));
        assert!(
            answer.message().contains("a is cooling"),
            "{}",
            answer.message()
        );
    }
    assert_eq!(received(&lab), [1]);
    waiting(&gateway, 0).await;
}

#[tokio::test]
async fn an_explanation_tells_of_the_line() {
    let lab = lab(["a"]);
    let a = lab.deployment("a");
    let yaml = narrow(&lab, "queue: {max_wait: 5m, max_size: 1}");
    let gateway = Gateway::start(&yaml).await;
    let explain = async || {
        let path = "/v1/chat/completions?dry_run=1";
        let answer = gateway.post(path).json(&chat_body("g")).send().await;
        answer.ok().json()
    };
    let told = explain().await;
    assert_eq!(told["outcome"], "attempt");
    assert!(told["groups"][0].get("queue").is_none());
    let first = ask(&gateway, "g", "first");
    a.wait_for(|stats| stats.held == 1).await;
    let told = explain().await;
    assert_eq!(told["outcome"], "queue");
    let line = json!({"ahead": 0, "max_wait_seconds": 300.0});
    assert_eq!(told["groups"][0]["queue"], line);
    let reason = &told["groups"][0]["deployments"][0]["reason"];
    assert_eq!(reason["kind"], "over_max_parallel_requests");
    assert_eq!(
        explain().await["groups"][0]["queue"],
        line,
        "it stood in no line"
    );
    let second = ask(&gateway, "g", "second");
    waiting(&gateway, 1).await;
    assert_eq!(explain().await["outcome"], "refused", "the line is full");
    for (n, request) in (1..).zip([first, second]) {
        a.wait_for(|stats| stats.requests == n && stats.held == 1)
            .await;
        a.release();
        request.result().await.ok();
    }
    assert_eq!(explain().await["outcome"], "attempt");
}
