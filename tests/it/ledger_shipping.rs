//! Everyone's totals in Redis: each record of a ledger is added once, whatever happens on the way.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use waypost::redis::{Redis, State};
use waypost::types::{
    Provenance, RedisAddress, RedisLogin, RedisTarget, RedisTopology, TokenBuckets,
};
use waypost::usage::ledger::ship::{Shipment, Sum, day, position, ship};
use waypost::usage::ledger::{Entry, Line, Outcome};

use crate::support::redis::RedisServer;

/// The day of the records: 2026-09-21.
const DAY: u64 = 20_717;

fn record(ledger: &str, number: u64) -> Line {
    Line {
        ledger: ledger.into(),
        number,
        entry: Entry {
            began_ms: DAY * 86_400_000 + number,
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

/// A connection that stands until the set is dropped.
async fn connected(server: &RedisServer) -> (Redis, JoinSet<()>) {
    let redis = Redis::new(Arc::new(RedisTarget {
        topology: RedisTopology::Single(RedisAddress::Tcp(
            "127.0.0.1".into(),
            server.addr().port(),
        )),
        login: RedisLogin::default(),
        database: 0,
        tls: None,
        prefix: "waypost:1".into(),
        timeout: Duration::from_millis(100),
    }));
    let mut keeper = JoinSet::new();
    let kept = redis.clone();
    keeper.spawn(async move { kept.keep().await });
    while redis.state() == State::Down {
        tokio::task::yield_now().await;
    }
    (redis, keeper)
}

#[tokio::test]
async fn sums_are_added_once_and_exactly() {
    let server = RedisServer::start().await;
    let (redis, _keeper) = connected(&server).await;
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
    let [
        Sum {
            account, numbers, ..
        },
    ] = &sums[..]
    else {
        panic!("one account: {sums:?}")
    };
    assert_eq!(account.key.as_deref(), Some("team a"));
    let all = [1, 2, 3, 1];
    let tokens: u64 = all.iter().sum();
    assert_eq!(numbers["attempts"], 4);
    assert_eq!((numbers["input"], numbers["output"]), (10 * tokens, tokens));
    assert_eq!(
        numbers["cost_pico"],
        (4 << 60) + tokens,
        "to the last digit"
    );
}

#[tokio::test]
async fn what_redis_loses_is_missed() {
    let mut server = RedisServer::start().await;
    let (redis, _keeper) = connected(&server).await;
    assert_eq!(ship(&redis, &shipment("a", 1..=5)).await, Ok(5));
    server.restart().await;
    // The connection is known to be lost once something is asked.
    while position(&redis, "a").await != Ok(0) {
        tokio::task::yield_now().await;
    }
    assert_eq!(ship(&redis, &shipment("a", 6..=7)).await, Ok(0));
    assert_eq!(ship(&redis, &shipment("a", 1..=7)).await, Ok(7));
    let sums = day(&redis, DAY).await.expect("sums");
    assert_eq!(sums[0].numbers["attempts"], 7);
}
