//! Redis: how it is reached, and what holds when it is not.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use waypost::redis::{Redis, State, Urgency};
use waypost::types::{RedisAddress, RedisLogin, RedisTarget, RedisTopology};

use crate::support::redis::RedisServer;

#[tokio::test]
async fn a_server_is_asked() {
    let server = RedisServer::start().await;
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
    while redis.state() != State::Up {
        tokio::task::yield_now().await;
    }
    let answer = redis
        .command(Urgency::Background, &::redis::cmd("PING"))
        .await;
    assert_eq!(answer, Ok(::redis::Value::SimpleString("PONG".to_owned())));
    keeper.shutdown().await;
}

#[tokio::test]
async fn a_server_that_starts_again_is_found() {
    let mut server = RedisServer::start().await;
    assert!(server.url().starts_with("redis://127.0.0.1:"));
    server.restart().await;
}
