//! What several gateways do with one Redis.

use std::sync::Arc;
use std::time::Duration;

use waypost::clock::SystemClock;
use waypost::config::Config;
use waypost::lab::{Behaviour, Fault, Hold, Lab};
use waypost::redis::{State, Urgency};
use waypost::types::{CostReading, Sharing, UsageReading};

use super::{OFTEN, SELDOM, config, deployment, replicas, stop, until};
use crate::support::redis::RedisServer;
use crate::support::{
    Gateway, Model, STRATEGIES, Yaml, chat_body, cools, held, lab, received, s, together,
};

fn says(tokens: usize) -> Behaviour {
    Behaviour {
        tokens,
        ..Behaviour::default()
    }
}

/// Until all count what all have used, at each deployment: `tokens` in all.
async fn all_told(gateways: &[Gateway], tokens: u64) {
    for gateway in gateways {
        let deployments = gateway.deployments("g");
        let total = || {
            deployments
                .iter()
                .map(|d| d.scores.total_tokens())
                .sum::<u64>()
        };
        until(|| total() == tokens).await;
    }
}

fn used(gateway: &Gateway) -> Vec<u64> {
    let deployments = gateway.deployments("g");
    deployments
        .iter()
        .map(|d| d.scores.total_tokens())
        .collect()
}

/// Sends all of one gateway's traffic to the first deployment; those of the others make up for it.
async fn balance(lab: &Lab, gateways: &[Gateway]) {
    let [first, others @ ..] = gateways else {
        panic!("no gateways");
    };
    for _ in 0..30 {
        first.chat("a").await.ok();
    }
    let per_request = used(first)[0] / 30;
    assert_eq!(used(first), [30 * per_request, 0]);
    let mut sent = 30;
    all_told(gateways, sent * per_request).await;
    for round in 0..30 {
        others[round % others.len()].chat("g").await.ok();
        sent += 1;
        if round % 2 == 1 {
            all_told(gateways, sent * per_request).await;
        }
    }
    // By itself each of them would have sent half of its requests to each. Two may not have heard of each other's last.
    let counts = received(lab);
    assert!(counts[1] >= 29, "{counts:?}");
    assert_eq!(used(first), used(&others[0]));
}

#[tokio::test]
async fn usage_and_cost_are_balanced_as_by_one_gateway() {
    for strategy in ["usage-based-routing", "cost-based-routing"] {
        for n in [2, 3] {
            let server = RedisServer::start().await;
            let lab = lab(["a", "b"]);
            lab.deployments().iter().for_each(|d| d.set(says(7)));
            let yaml = Yaml::over(&lab)
                .each("input_cost_per_token: 0.000001")
                .each("output_cost_per_token: 0.000003")
                .router(&format!("routing_strategy: {strategy}"));
            let mut config = config(&yaml, &server, OFTEN);
            config.groups[0].router.cost_reading = CostReading::Total;
            config.groups[0].router.usage_reading = UsageReading::Total;
            let gateways = replicas(n, &config).await;
            balance(&lab, &gateways).await;
            let spent = |g: &Gateway| deployment(g, 0).scores.spent();
            assert!(spent(&gateways[0]).0 > 0);
            assert_eq!(spent(&gateways[0]), spent(&gateways[1]), "{strategy}");
            stop(gateways).await;
        }
    }
}

#[tokio::test]
async fn requests_in_flight_elsewhere_count_and_go_with_a_killed_replica() {
    let server = RedisServer::start().await;
    let lab = lab(["a", "b"]);
    let yaml = Yaml::over(&lab).router("routing_strategy: least-busy");
    let sharing = Sharing {
        lease: Duration::from_millis(300),
        ..OFTEN
    };
    let mut gateways = replicas(3, &config(&yaml, &server, sharing)).await;
    lab.deployments()
        .iter()
        .for_each(|d| d.set(Behaviour::hold(Hold::BeforeHead)));
    let killed = gateways.remove(0);
    let body = chat_body("a");
    let mut under_way = tokio::task::JoinSet::new();
    for _ in 0..3 {
        under_way.spawn(killed.chat_with(&body).send());
    }
    held(lab.deployments(), 3).await;
    let other = deployment(&gateways[0], 0);
    until(|| other.scores.others_in_flight() == 3).await;
    assert_eq!(other.scores.in_flight(), 0, "its own is its own");
    for _ in 0..3 {
        under_way.spawn(gateways[0].chat_with(&chat_body("g")).send());
    }
    held(lab.deployments(), 6).await;
    assert_eq!(received(&lab), [3, 3], "the idle one first");

    // Killed: it says nothing any more. What it had in flight is nobody's after a lease.
    drop(killed);
    until(|| other.scores.others_in_flight() == 0).await;
    lab.deployments().iter().for_each(|d| {
        d.reset();
        d.release();
    });
    while under_way.join_next().await.is_some() {}
    stop(gateways).await;
}

#[tokio::test]
async fn a_cooldown_is_respected_at_once_where_it_began_and_soon_by_the_others() {
    let server = RedisServer::start().await;
    let lab = lab(["a", "b"]);
    let yaml = Yaml::over(&lab).router("num_retries: 0");
    let gateways = replicas(3, &config(&yaml, &server, OFTEN)).await;
    let a = lab.deployment("a");
    a.behave_next(1, Fault::rate_limit_for(s(120)));
    assert_eq!(gateways[0].chat("a").await.status, 429);
    assert!(cools(&gateways[0], 0), "before the answer is there");
    for gateway in &gateways[1..] {
        until(|| cools(gateway, 0)).await;
    }
    let before = a.stats().requests;
    for gateway in &gateways {
        together(vec![gateway.chat_with(&chat_body("g")); 10]).await;
        assert_ne!(gateway.chat("a").await.status, 200);
    }
    assert_eq!(a.stats().requests, before, "nobody asks it");
    // Whoever starts now knows, too.
    let late = Gateway::of(&config(&yaml, &server, OFTEN), Arc::new(SystemClock)).await;
    until(|| cools(&late, 0)).await;
    late.stop().await;
    stop(gateways).await;
}

/// A gateway whose connection to Redis stands.
async fn connected(config: &Config) -> Gateway {
    let gateway = Gateway::of(config, Arc::new(SystemClock)).await;
    let redis = gateway.app().gateway().snapshot().redis().remove(0);
    until(|| redis.state() == State::Up).await;
    gateway
}

#[tokio::test]
async fn a_gateway_that_stops_says_what_it_has_counted() {
    let server = RedisServer::start().await;
    let lab = lab(["a"]);
    let yaml = Yaml::over(&lab);
    let (seldom, often) = (
        config(&yaml, &server, SELDOM),
        config(&yaml, &server, OFTEN),
    );
    let first = connected(&seldom).await;
    for _ in 0..5 {
        first.chat("g").await.ok();
    }
    let counted = used(&first);
    assert!(counted[0] > 0);
    first.stop().await;
    // It is no replica any more, well before its lease is over.
    let second = replicas(1, &often).await;
    until(|| used(&second[0]) == counted).await;
    stop(second).await;
}

#[tokio::test]
async fn no_request_asks_redis_anything_whatever_the_strategy() {
    let server = RedisServer::start().await;
    let (redis, _keeper) = &server.connected().await;
    let lab = lab(["a", "b"]);
    let models = lab.deployments().iter().map(|d| {
        Model::of(d)
            .with("rpm: 10000")
            .with("tpm: 10000000")
            .with("max_parallel_requests: 100")
    });
    let models: Vec<_> = models.collect();
    for strategy in STRATEGIES {
        let yaml = Yaml::default()
            .group("g", models.clone())
            .router(&format!("routing_strategy: {strategy}"));
        let gateway = connected(&config(&yaml, &server, SELDOM)).await;
        let ask = |name: &'static str, what: &'static str| {
            let mut cmd = ::redis::cmd(name);
            cmd.arg(what);
            async move { redis.command(Urgency::Background, &cmd).await.expect(name) }
        };
        ask("CONFIG", "RESETSTAT").await;
        together(vec![gateway.chat_with(&chat_body("g")); 40]).await;
        let stats: String =
            ::redis::from_redis_value(ask("INFO", "commandstats").await).expect("text");
        let asked: Vec<_> = stats
            .lines()
            .filter_map(|l| l.strip_prefix("cmdstat_"))
            .collect();
        // Those of this test, and of whoever looks whether the connection stands.
        let ours = |line: &&&str| {
            [
                "config", "info", "ping", "role", "client", "hello", "auth", "select",
            ]
            .iter()
            .any(|n| line.starts_with(n))
        };
        let others: Vec<_> = asked.iter().filter(|line| !ours(line)).collect();
        assert!(others.is_empty(), "{strategy}: {others:?}");
        gateway.stop().await;
    }
}
