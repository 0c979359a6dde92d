//! The ledger: a record of every attempt with what it cost, there before the end of its answer is given away.

mod disks;
mod killed;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;
use waypost::api::App;
use waypost::gateway::Deps;
use waypost::lab::{Behaviour, Fault, Hold, Lab};
use waypost::types::Provenance;
use waypost::usage::ledger::{Line, Outcome, read};

use crate::support::pair::{read_until, stream_body};
use crate::support::{
    Answer, Gateway, Model, Request, Yaml, at_rest, chat_body, lab, load, received,
};

/// Pico-dollars for a token of input, and of output.
const INPUT: u64 = 1_000_000;
const OUTPUT: u64 = 2_000_000;

/// A group `g` of the lab's deployments, one after the other, with prices and a ledger in `dir`.
fn yaml(lab: &Lab, dir: &Path, ledger: &str) -> Yaml {
    let models = (1..)
        .zip(lab.deployments())
        .map(|(n, d)| Model::of(d).with(&format!("order: {n}")));
    Yaml::default()
        .group("g", models)
        .each("input_cost_per_token: 0.000001")
        .each("output_cost_per_token: 0.000002")
        .waypost(&format!("ledger: {{dir: {}{ledger}}}", dir.display()))
}

/// A gateway with a ledger over a lab.
struct Kept {
    dir: TempDir,
    lab: Lab,
    gateway: Gateway,
}

impl Kept {
    async fn new(names: &[&str], change: impl FnOnce(Yaml) -> Yaml) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let lab = lab(names.iter().copied());
        let gateway = Gateway::start(&change(yaml(&lab, dir.path(), ""))).await;
        Self { dir, lab, gateway }
    }

    fn records(&self) -> Vec<Line> {
        records(self.dir.path())
    }

    /// Everything there is once nothing is under way.
    async fn all(self) -> Vec<Line> {
        at_rest(self.lab.deployments()).await;
        drop(self.gateway.stop().await);
        records(self.dir.path())
    }
}

/// What is in a ledger; numbers have to be complete.
fn records(dir: &Path) -> Vec<Line> {
    let lines: Vec<Line> = read(dir).map(|line| line.expect("a record")).collect();
    let numbers: Vec<u64> = lines.iter().map(|line| line.number).collect();
    assert_eq!(numbers, (1..=lines.len() as u64).collect::<Vec<_>>());
    lines
}

/// Deployment, attempt and outcome of each record, in the order of attempts.
fn outcomes(lines: &[Line]) -> Vec<(&str, u32, Outcome)> {
    let mut all: Vec<_> = lines
        .iter()
        .map(|line| {
            (
                &*line.entry.deployment,
                line.entry.attempt,
                line.entry.outcome,
            )
        })
        .collect();
    all.sort_by_key(|(_, attempt, _)| *attempt);
    all
}

/// Input and output tokens as an answer reports them.
fn reported(usage: &Value) -> (u64, u64) {
    let tokens = |name: &str| usage[name].as_u64().unwrap_or(0);
    (tokens("prompt_tokens"), tokens("completion_tokens"))
}

/// The same of an answer, streamed or not; of a stream it has to be asked for.
fn usage_of(answer: &Answer) -> (u64, u64) {
    if answer.text().starts_with("data: ") {
        let events = answer.events();
        let usage = events.iter().find(|event| event["usage"].is_object());
        reported(&usage.expect("a usage chunk")["usage"])
    } else {
        reported(&answer.json()["usage"])
    }
}

fn tokens(line: &Line) -> (u64, u64) {
    let tokens = &line.entry.tokens;
    (tokens.input, tokens.output)
}

fn with_usage(mut body: Value) -> Value {
    body["stream"] = true.into();
    body["stream_options"] = json!({"include_usage": true});
    body
}

#[tokio::test]
async fn every_kind_of_request_has_its_record_when_its_answer_ends() {
    let kept = Kept::new(&["a"], |yaml| yaml).await;
    let prompt = json!({"model": "g", "prompt": "x"});
    let cases = [
        ("chat/completions", chat_body("g"), "chat", false),
        ("chat/completions", with_usage(chat_body("g")), "chat", true),
        ("completions", prompt.clone(), "completions", false),
        ("completions", with_usage(prompt), "completions", true),
        (
            "embeddings",
            json!({"model": "g", "input": "x y z"}),
            "embeddings",
            false,
        ),
    ];
    for (n, (path, body, operation, stream)) in (0..).zip(cases) {
        let id = format!("request-{n}");
        let request = kept.gateway.post(&format!("/v1/{path}")).json(&body);
        let answer = request.header("x-request-id", &id).send().await.ok();
        // The answer is at its end, so the record is there.
        let lines = kept.records();
        assert_eq!(lines.len(), n + 1, "{path}");
        let entry = &lines[n].entry;
        let (input, output) = usage_of(&answer);
        assert!(input > 0);
        assert_eq!(tokens(&lines[n]), (input, output), "{path}");
        assert_eq!(entry.tokens.total(), input + output);
        assert_eq!(entry.provenance, Provenance::Reported);
        assert_eq!(entry.cost_pico, Some(input * INPUT + output * OUTPUT));
        assert_eq!(entry.price.as_deref(), Some("config"));
        assert_eq!((&*entry.request, entry.attempt), (&*id, 1));
        assert_eq!((&*entry.group, &*entry.deployment), ("g", "a"));
        assert_eq!((&*entry.provider, &*entry.model), ("self-hosted", "a"));
        assert_eq!((&*entry.operation, entry.stream), (operation, stream));
        assert_eq!((entry.outcome, &entry.fault), (Outcome::Ok, &None));
        assert!(
            entry
                .first_content_ms
                .is_some_and(|first| first <= entry.total_ms)
        );
        assert!(entry.began_ms > 1_700_000_000_000 && entry.key.is_none());
    }
}

#[tokio::test]
async fn a_stream_costs_what_the_same_plain_answer_costs() {
    let kept = Kept::new(&["a"], |yaml| yaml).await;
    kept.lab
        .deployment("a")
        .set(Behaviour::text("one two three four"));
    kept.gateway.chat("g").await.ok();
    // With usage asked for by the client, and by the gateway alone.
    kept.gateway
        .chat_with(&with_usage(chat_body("g")))
        .send()
        .await
        .ok();
    kept.gateway.chat_with(&stream_body()).send().await.ok();
    let lines = kept.records();
    let facts = |line: &Line| {
        (
            line.entry.tokens,
            line.entry.cost_pico,
            line.entry.provenance,
        )
    };
    assert!(lines[0].entry.cost_pico > Some(0));
    assert_eq!(facts(&lines[1]), facts(&lines[0]));
    assert_eq!(facts(&lines[2]), facts(&lines[0]));
}

#[tokio::test]
async fn who_asks_is_in_the_record() {
    let kept = Kept::new(&["a"], |yaml| {
        yaml.waypost("keys: [{name: team-a, key: sk-of-team-a}]")
    })
    .await;
    let request = kept.gateway.chat_with(&chat_body("g"));
    request
        .header("authorization", "Bearer sk-of-team-a")
        .send()
        .await
        .ok();
    kept.gateway.chat("g").await;
    let lines = kept.all().await;
    assert_eq!(lines.len(), 1, "who is not let in makes no attempt");
    assert_eq!(lines[0].entry.key.as_deref(), Some("team-a"));
}

#[tokio::test]
async fn each_attempt_of_a_request_is_a_record() {
    let kept = Kept::new(&["a", "b"], |yaml| yaml).await;
    kept.lab.deployment("a").behave_next(1, Fault::ServerError);
    let answer = kept.gateway.chat("g").await.ok();
    assert_eq!((answer.deployment(), answer.attempts()), ("b", 2));
    let lines = kept.all().await;
    assert_eq!(
        outcomes(&lines),
        [("a", 1, Outcome::Failed), ("b", 2, Outcome::Ok)]
    );
    assert_eq!(lines[0].entry.request, lines[1].entry.request);
    let failed = &lines[0].entry;
    assert_eq!(failed.fault.as_deref(), Some("server_error"));
    assert_eq!((failed.tokens.total(), failed.cost_pico), (0, None));
    assert_eq!(failed.provenance, Provenance::Unknown);
    assert_eq!(tokens(&lines[1]), usage_of(&answer));
}

#[tokio::test]
async fn a_fallback_is_a_record_of_its_group() {
    let dir = tempfile::tempdir().expect("a folder");
    let lab = lab(["a", "b"]);
    let yaml = Yaml::default()
        .group("g", [lab.deployment("a")])
        .router("num_retries: 0")
        .group("h", [lab.deployment("b")])
        .waypost("groups: {g: {fallbacks: [h]}}")
        .waypost(&format!("ledger: {}", dir.path().display()));
    let gateway = Gateway::start(&yaml).await;
    lab.deployment("a").set(Behaviour::fault(Fault::Reset));
    gateway.chat("g").await.ok();
    drop(gateway.stop().await);
    let lines = records(dir.path());
    let groups: Vec<_> = lines
        .iter()
        .map(|line| (&*line.entry.group, line.entry.attempt, line.entry.outcome))
        .collect();
    assert_eq!(groups, [("g", 1, Outcome::Failed), ("h", 2, Outcome::Ok)]);
    assert_eq!(
        lines[1].entry.cost_pico, None,
        "without a price there is no cost"
    );
    assert_eq!(lines[1].entry.provenance, Provenance::Reported);
}

#[tokio::test]
async fn what_is_refused_or_never_sent() {
    let kept = Kept::new(&["a"], |yaml| yaml.waypost("mock_testing: true")).await;
    let bad = Fault::BadRequest { param: "x".into() };
    kept.lab.deployment("a").behave_next(1, bad);
    assert_eq!(kept.gateway.chat("g").await.status, 400);
    // Nobody was asked, nothing was spent.
    let mut mocked = chat_body("g");
    mocked["mock_response"] = "made up".into();
    kept.gateway.chat_with(&mocked).send().await.ok();
    kept.gateway.chat("no such group").await;
    let lines = kept.all().await;
    assert_eq!(outcomes(&lines), [("a", 1, Outcome::Refused)]);
    assert_eq!(lines[0].entry.provenance, Provenance::Unknown);
    assert_eq!(
        (lines[0].entry.tokens.total(), lines[0].entry.cost_pico),
        (0, None)
    );
}

#[tokio::test]
async fn a_client_that_leaves_pays_for_what_it_got() {
    let kept = Kept::new(&["a"], |yaml| yaml).await;
    kept.lab
        .deployment("a")
        .set(Behaviour::hold(Hold::After(2)));
    let mut stream = kept.gateway.stream("g").await;
    read_until(&mut stream, " ").await;
    kept.lab
        .deployment("a")
        .wait_for(|stats| stats.held == 1)
        .await;
    drop(stream);
    let lines = kept.all().await;
    assert_eq!(outcomes(&lines), [("a", 1, Outcome::Cancelled)]);
    let entry = &lines[0].entry;
    let (input, output) = tokens(&lines[0]);
    assert!(input > 0 && (1..=3).contains(&output), "{entry:?}");
    assert_eq!(entry.provenance, Provenance::Counted);
    assert_eq!(entry.cost_pico, Some(input * INPUT + output * OUTPUT));
}

#[tokio::test]
async fn a_stream_that_breaks_has_cost_what_was_delivered() {
    let kept = Kept::new(&["a"], |yaml| yaml).await;
    kept.lab
        .deployment("a")
        .behave_next(1, Fault::Cut { after: 3 });
    let answer = kept.gateway.chat_with(&stream_body()).send().await;
    assert!(answer.text().contains("upstream_"), "{}", answer.text());
    let lines = kept.records();
    assert_eq!(
        outcomes(&lines),
        [("a", 1, Outcome::Failed)],
        "told before its end"
    );
    let entry = &lines[0].entry;
    assert_eq!(entry.fault.as_deref(), Some("broken"));
    assert_eq!(entry.provenance, Provenance::Counted);
    assert!(
        entry.tokens.output >= 3 && entry.cost_pico > Some(0),
        "{entry:?}"
    );
}

#[tokio::test]
async fn a_reported_zero_is_zero() {
    let kept = Kept::new(&["a"], |yaml| yaml).await;
    let body = json!({
        "id": "x", "object": "chat.completion", "created": 1, "model": "a",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "free"}}],
        "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
    });
    kept.lab
        .deployment("a")
        .behave_next(1, Fault::status(200, body));
    kept.gateway.chat("g").await.ok();
    let entry = &kept.records()[0].entry;
    assert_eq!((entry.tokens.total(), entry.cost_pico), (0, Some(0)));
    assert_eq!(entry.provenance, Provenance::Reported);
}

#[tokio::test]
async fn both_of_two_hedged_attempts() {
    let kept = Kept::new(&["a", "b"], |yaml| {
        yaml.router("num_retries: 2")
            .waypost("groups: {g: {hedging: {min_delay: 1ms, max_share: 1}}}")
    })
    .await;
    let mut asked = 0;
    // Until its usual time is known, nothing is hedged.
    while asked < 20 {
        kept.gateway.chat("g").await.ok();
        asked += 1;
    }
    kept.lab
        .deployment("a")
        .set(Behaviour::hold(Hold::BeforeHead));
    let answer = kept.gateway.chat("g").await.ok();
    assert_eq!((answer.deployment(), answer.attempts()), ("b", 2));
    kept.lab
        .deployment("a")
        .wait_for(|stats| stats.cancelled == 1)
        .await;
    let id = answer.header("x-request-id").expect("an id").to_owned();
    let lines: Vec<Line> = kept
        .all()
        .await
        .into_iter()
        .filter(|line| *line.entry.request == *id)
        .collect();
    assert_eq!(
        outcomes(&lines),
        [("a", 1, Outcome::Cancelled), ("b", 2, Outcome::Ok)]
    );
    let loser = lines
        .iter()
        .find(|line| line.entry.attempt == 1)
        .expect("one");
    assert_eq!(loser.entry.provenance, Provenance::Counted);
    assert!(loser.entry.tokens.input > 0, "its prompt was read");
}

/// A request of a mixed load; its usage is always in the answer.
fn mixed(gateway: &Gateway, n: usize) -> Request {
    let text = "word ".repeat(n % 7 + 1);
    let chat = json!({"model": "g", "messages": [{"role": "user", "content": text}]});
    let (path, body) = match n % 4 {
        0 => ("embeddings", json!({"model": "g", "input": text})),
        1 => ("chat/completions", chat),
        2 => ("completions", json!({"model": "g", "prompt": text})),
        _ => ("chat/completions", with_usage(chat)),
    };
    gateway
        .post(&format!("/v1/{path}"))
        .header("x-request-id", &format!("n{n}"))
        .json(&body)
}

#[tokio::test]
async fn the_sum_is_what_was_served_to_the_token() {
    let kept = Kept::new(&["a", "b"], |yaml| {
        yaml.router("num_retries: 3")
            .router("disable_cooldowns: true")
    })
    .await;
    let (a, b) = (kept.lab.deployment("a"), kept.lab.deployment("b"));
    let faults = [
        Fault::ServerError,
        Fault::Reset,
        Fault::ErrorIn200,
        Fault::Cut { after: 2 },
        Fault::MalformedJson,
        Fault::TruncatedBody,
        Fault::rate_limit(),
    ];
    let mut served = BTreeMap::new();
    let mut n = 0;
    for round in 0..6 {
        for fault in &faults {
            [a, b][round % 2].behave_next(3, fault.clone());
        }
        let requests: Vec<_> = (n..n + 40).map(|n| mixed(&kept.gateway, n)).collect();
        n += 40;
        for answer in crate::support::together(requests).await {
            let whole = !answer.text().starts_with("data: ") || answer.text().contains("[DONE]");
            if answer.status == 200 && whole {
                let id = answer.header("x-request-id").expect("an id").to_owned();
                served.insert(id, usage_of(&answer));
            }
        }
    }
    assert!(
        served.len() > 200,
        "most are answered all the same: {}",
        served.len()
    );
    at_rest(kept.lab.deployments()).await;
    let attempts: u64 = received(&kept.lab).iter().sum();
    let lines = kept.all().await;
    assert_eq!(lines.len() as u64, attempts, "each attempt once");
    let recorded: BTreeMap<_, _> = lines
        .iter()
        .filter(|line| line.entry.outcome == Outcome::Ok)
        .map(|line| (line.entry.request.to_string(), tokens(line)))
        .collect();
    assert_eq!(recorded, served);
    for line in &lines {
        let (input, output) = tokens(line);
        let known = line.entry.provenance != Provenance::Unknown;
        assert_eq!(
            line.entry.cost_pico,
            known.then_some(input * INPUT + output * OUTPUT)
        );
        assert!(known || line.entry.tokens.total() == 0, "{line:?}");
    }
}

#[tokio::test]
async fn a_folder_has_one_gateway_at_a_time_and_the_next_goes_on() {
    let kept = Kept::new(&["a"], |yaml| yaml).await;
    kept.gateway.chat("g").await.ok();
    let yaml = yaml(&kept.lab, kept.dir.path(), "");
    let build = || App::build(&load(&yaml.to_string()), Deps::new(Some(7)));
    let error = build().expect_err("in use").to_string();
    for part in [
        "waypost.ledger",
        &kept.dir.path().display().to_string(),
        "another process",
    ] {
        assert!(error.contains(part), "{error}");
    }
    let Kept { dir, lab, gateway } = kept;
    drop(gateway.stop().await);
    let gateway = Gateway::start(&yaml).await;
    gateway.chat("g").await.ok();
    assert_eq!(records(dir.path()).len(), 2);
    drop((lab, gateway));
    // A file in the folder's place is no folder.
    let file = dir.path().join("id");
    let config = load(&self::yaml(&lab_of_one(), &file, "").to_string());
    let error = App::build(&config, Deps::new(Some(7)))
        .expect_err("no folder")
        .to_string();
    assert!(
        error.contains("waypost.ledger") && error.contains("/id"),
        "{error}"
    );
}

fn lab_of_one() -> Lab {
    lab(["a"])
}
