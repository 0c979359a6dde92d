//! Everyone's totals in Redis: each record of a ledger is added once, whatever happens on the way.

use waypost::redis::State;
use waypost::types::{Provenance, TokenBuckets};
use waypost::usage::ledger::ship::{Shipment, Sum, day, position, ship};
use waypost::usage::ledger::{Entry, Line, Outcome};
use waypost::usage::totals::Day;

use crate::support::process::run;
use crate::support::redis::RedisServer;
use crate::support::{Gateway, Yaml, lab};

/// The day of the records: 2026-09-21.
const DAY: Day = Day(20_717);

fn record(ledger: &str, number: u64) -> Line {
    Line {
        ledger: ledger.into(),
        number,
        entry: Entry {
            began_ms: DAY.start_ms() + number,
            request: format!("req_{number}").into(),
            attempt: 1,
            group: "chat".into(),
            deployment: "chat/1".into(),
            provider: "openai".into(),
            model: "gpt-4o".into(),
            key: Some("team a".into()),
            operation: "chat".into(),
            stream: false,
            tokens: TokenBuckets {
                input: 10 * number,
                output: number,
                ..TokenBuckets::default()
            },
            provenance: Provenance::Reported,
            // Beyond what a number of Lua holds exactly.
            cost_pico: Some((1 << 60) + number),
            price: Some("config".into()),
            outcome: Outcome::Ok,
            fault: None,
            first_content_ms: None,
            total_ms: 5,
        },
    }
}

fn shipment(ledger: &str, numbers: std::ops::RangeInclusive<u64>) -> Shipment {
    let mut lines = numbers.map(|number| record(ledger, number));
    let first = lines.next().expect("a record");
    let mut shipment = Shipment::of(&first, first.number == 1);
    for line in lines {
        assert!(shipment.add(&line));
    }
    shipment
}

#[tokio::test]
async fn sums_are_added_once_and_exactly() {
    let server = RedisServer::start().await;
    let (redis, _keeper) = server.connected().await;
    assert_eq!(position(&redis, "a").await, Ok(0));
    assert_eq!(ship(&redis, &shipment("a", 1..=2)).await, Ok(2));
    assert_eq!(ship(&redis, &shipment("a", 1..=2)).await, Ok(2), "again");
    assert_eq!(
        ship(&redis, &shipment("a", 2..=3)).await,
        Ok(2),
        "not in part"
    );
    assert_eq!(ship(&redis, &shipment("a", 5..=5)).await, Ok(2), "a gap");
    assert_eq!(ship(&redis, &shipment("a", 3..=3)).await, Ok(3));
    assert_eq!(ship(&redis, &shipment("b", 1..=1)).await, Ok(1));
    let sums = day(&redis, DAY).await.expect("sums");
    let [Sum { account, sums, .. }] = &sums[..] else {
        panic!("one account: {sums:?}")
    };
    assert_eq!(account.key.as_deref(), Some("team a"));
    let all: u64 = [1, 2, 3, 1].iter().sum();
    assert_eq!((sums.requests, sums.attempts), (4, 4));
    assert_eq!((sums.tokens.input, sums.tokens.output), (10 * all, all));
    assert_eq!(
        sums.cost_pico,
        (4 << 60) + u128::from(all),
        "to the last digit"
    );
}

#[tokio::test]
async fn what_redis_loses_is_missed() {
    let mut server = RedisServer::start().await;
    let (redis, _keeper) = server.connected().await;
    assert_eq!(ship(&redis, &shipment("a", 1..=5)).await, Ok(5));
    server.restart().await;
    // The connection is known to be lost once something is asked.
    while position(&redis, "a").await != Ok(0) {
        tokio::task::yield_now().await;
    }
    assert_eq!(ship(&redis, &shipment("a", 6..=7)).await, Ok(0));
    assert_eq!(ship(&redis, &shipment("a", 1..=7)).await, Ok(7));
    let sums = day(&redis, DAY).await.expect("sums");
    assert_eq!(sums[0].sums.attempts, 7);
}

#[tokio::test]
async fn everyones_sums_are_printed() {
    let server = RedisServer::start().await;
    let lab = lab(["a"]);
    let dir = tempfile::tempdir().expect("a folder");
    let mut served = 0;
    // Two replicas, one after the other, each with a ledger of its own.
    for replica in ["one", "two"] {
        let yaml = Yaml::over(&lab)
            .waypost(&format!("redis: {{url: {:?}}}", server.url()))
            .waypost(&format!("ledger: {:?}", dir.path().join(replica)));
        std::fs::write(dir.path().join("endpoints.yml"), yaml.to_string()).expect("written");
        let gateway = Gateway::start(&yaml).await;
        for _ in 0..3 {
            let answer = gateway.chat("g").await.ok();
            served += answer.json()["usage"]["total_tokens"]
                .as_u64()
                .expect("tokens");
        }
        let redis = gateway.app().gateway().snapshot().redis();
        redis[0].reaches(State::Up).await;
        // What is recorded is handed over before it ends.
        gateway.stop().await;
    }
    let file = dir.path().join("endpoints.yml").display().to_string();
    let arguments = ["usage", "--shared", "--by", "group,day", "--config", &file];
    let shown = run(&[&arguments[..], &["--format", "json"]].concat(), &[]).await;
    let sums: serde_json::Value = serde_json::from_str(&shown.stdout).expect("JSON");
    assert_eq!(sums["total"]["requests"], 6, "{}", shown.stdout);
    assert_eq!(sums["total"]["tokens"]["total"], served);
    assert_eq!(sums["rows"][0]["group"], "g");
    let shown = run(&arguments, &[]).await;
    assert!(shown.stdout.contains("requests"), "{}", shown.stdout);
    let shown = run(
        &[
            "usage",
            "--shared",
            "--since",
            "2020-01-01",
            "--until",
            "2020-01-02",
            "--config",
            &file,
        ],
        &[],
    )
    .await;
    assert!(shown.stdout.contains("No attempt"), "{}", shown.stdout);
    lab.stop().await;
}
