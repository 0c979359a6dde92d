//! Redis: how it is reached, and what holds when it is not.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use waypost::redis::{Redis, State, Urgency};
use waypost::types::{RedisAddress, RedisLogin, RedisTarget, RedisTopology};

use crate::support::faults::{Faults, Mode};
use crate::support::redis::{Cluster, RedisServer, Sentinel};

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

#[tokio::test]
async fn the_network_fails_as_told() {
    let server = RedisServer::start().await;
    let faults = Faults::before(server.addr()).await;
    let ask = async || {
        let mut connection = TcpStream::connect(faults.addr()).await?;
        connection
            .write_all(b"*2\r\n$4\r\necho\r\n$2\r\nhi\r\n")
            .await?;
        let mut answer = vec![0; 8];
        let all = connection.read_exact(&mut answer).await;
        all.map(|_| String::from_utf8(answer).expect("text"))
    };
    assert_eq!(ask().await.expect("an answer"), "$2\r\nhi\r\n");
    faults.set(Mode::Refuse).await;
    let refused = ask().await.expect_err("nobody listens");
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    faults.set(Mode::Reset).await;
    let reset = ask().await.expect_err("no answer");
    assert_eq!(reset.kind(), io::ErrorKind::ConnectionReset);
    faults.set(Mode::Cut(3)).await;
    let cut = ask().await.expect_err("a part of the answer");
    assert_eq!(cut.kind(), io::ErrorKind::UnexpectedEof);
    for mute in [Mode::Hang, Mode::Mute] {
        faults.set(mute).await;
        let waited = tokio::time::timeout(Duration::from_millis(50), ask()).await;
        assert!(waited.is_err(), "{waited:?}");
    }
    faults.set(Mode::Slow(Duration::from_millis(20))).await;
    let began = tokio::time::Instant::now();
    assert_eq!(ask().await.expect("an answer"), "$2\r\nhi\r\n");
    assert!(began.elapsed() >= Duration::from_millis(20));
    assert_eq!((faults.round_trips(), faults.commands("ECHO")), (6, 6));
}

#[tokio::test]
async fn the_installations_are_what_they_say() {
    let mut sentinel = Sentinel::start().await;
    assert_eq!(sentinel.master_addr().await, sentinel.master.addr());
    sentinel.failover().await;
    assert_eq!(sentinel.name(), "waypost");
    let cluster = Cluster::start().await;
    let slot = cluster.slot("{t}:x").await;
    let owner = cluster.owner(slot).await;
    cluster.move_slot(slot, (owner + 1) % 3).await;
    assert_eq!(cluster.owner(slot).await, (owner + 1) % 3);
}
