//! What holds while there is no Redis, and what comes back with it.

use std::sync::Arc;

use waypost::clock::{Clock, ManualClock};
use waypost::redis::State;
use waypost::types::{Outage, Sharing};

use super::{OFTEN, config, deployment, replicas_at, stop, until};
use crate::support::redis::RedisServer;
use crate::support::{Gateway, Yaml, chat_body, lab, received, s, together};

/// Time that stands still, not at a minute's end.
fn midway() -> Arc<ManualClock> {
    let clock = ManualClock::new();
    if clock.unix().as_secs() % 60 > 50 {
        clock.advance(s(20));
    }
    Arc::new(clock)
}

#[tokio::test]
async fn limits_hold_in_an_outage_as_the_setting_says() {
    for (outage, each) in [(Outage::Share, 3), (Outage::Open, 9), (Outage::Closed, 0)] {
        let mut server = RedisServer::start().await;
        let lab = lab(["a"]);
        let clock = midway();
        let sharing = Sharing { outage, ..OFTEN };
        let config = config(&Yaml::over(&lab).each("rpm: 9"), &server, sharing);
        let time: Arc<dyn Clock> = Arc::clone(&clock) as _;
        let gateways = replicas_at(3, &config, &time).await;
        server.kill();
        // An answer that was on its way is not to be one of the time that follows.
        for gateway in &gateways {
            let redis = gateway.app().gateway().snapshot().redis();
            until(|| redis.iter().all(|redis| redis.state() == State::Down)).await;
        }
        // Two minutes on nobody has been heard for long.
        clock.advance(s(120));
        let minute = clock.unix().as_secs() / 60;
        let presumed = match outage {
            Outage::Share => 6,
            Outage::Open => 0,
            Outage::Closed => 9,
        };
        for gateway in &gateways {
            let shown = || gateway.app().gateway().metrics();
            until(|| shown().contains("waypost_sharing_age_seconds{group=\"g\"} 12")).await;
            let scores = Arc::clone(&deployment(gateway, 0).scores);
            until(|| scores.minute(minute).requests == presumed).await;
            let answers = together(vec![gateway.chat_with(&chat_body("g")); 20]).await;
            let served = answers.iter().filter(|a| a.status == 200).count();
            assert_eq!(served, each, "{outage:?}");
        }
        let before = received(&lab)[0];
        // It is back: everyone's count holds again.
        server.restart().await;
        for gateway in &gateways {
            let scores = Arc::clone(&deployment(gateway, 0).scores);
            until(|| scores.minute(minute).requests == before).await;
        }
        stop(gateways).await;
    }
}

#[tokio::test]
async fn what_a_redis_loses_comes_back_with_it() {
    let mut server = RedisServer::start().await;
    let lab = lab(["a"]);
    let clock = midway();
    let config = config(&Yaml::over(&lab).each("rpm: 1000"), &server, OFTEN);
    let time: Arc<dyn Clock> = Arc::clone(&clock) as _;
    let gateways = replicas_at(3, &config, &time).await;
    let minute = clock.unix().as_secs() / 60;
    let scores = |g: &Gateway| Arc::clone(&deployment(g, 0).scores);
    let ask = async |times: usize| {
        for gateway in &gateways {
            for _ in 0..times {
                gateway.chat("g").await.ok();
            }
        }
    };
    ask(2).await;
    for gateway in &gateways {
        let scores = scores(gateway);
        until(|| scores.minute(minute).requests == 6).await;
    }
    let per_request = scores(&gateways[0]).total_tokens() / 6;
    server.kill();
    // No request fails, and what is counted meanwhile counts.
    ask(3).await;
    server.restart().await;
    ask(1).await;
    for gateway in &gateways {
        let scores = scores(gateway);
        until(|| scores.minute(minute).requests == 18).await;
        until(|| scores.total_tokens() == 18 * per_request).await;
    }
    stop(gateways).await;
}

#[tokio::test]
async fn a_gateway_starts_and_serves_without_redis() {
    let mut server = RedisServer::start().await;
    server.kill();
    let lab = lab(["a"]);
    let config = config(&Yaml::over(&lab).each("rpm: 5"), &server, OFTEN);
    let clock: Arc<dyn Clock> = midway();
    let gateways = replicas_at(1, &config, &clock).await;
    let answers = together(vec![gateways[0].chat_with(&chat_body("g")); 8]).await;
    let served = answers.iter().filter(|a| a.status == 200).count();
    assert_eq!(served, 5, "nobody else is known: the whole limit");
    stop(gateways).await;
}
