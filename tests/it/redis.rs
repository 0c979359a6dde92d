//! Redis: how it is reached, and what holds when it is not.

mod faults;
mod topologies;
mod troubles;

use std::io;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use waypost::redis::{Call, Lua, Redis, State, StoreError, Urgency};
use waypost::types::{RedisAddress, RedisLogin, RedisTarget, RedisTopology, Secret};

use crate::support::faults::{Faults, Mode};
use crate::support::redis::{Cluster, RedisServer, Sentinel, target, tcp};

/// A Redis with its keeper, which ends with it.
struct Kept {
    redis: Redis,
    _keeper: JoinSet<()>,
}

impl Deref for Kept {
    type Target = Redis;

    fn deref(&self) -> &Redis {
        &self.redis
    }
}

/// Keeps it, whether it is there or not.
fn keep(target: RedisTarget) -> Kept {
    let redis = Redis::new(Arc::new(target));
    let mut keeper = JoinSet::new();
    let kept = redis.clone();
    keeper.spawn(async move { kept.keep().await });
    Kept {
        redis,
        _keeper: keeper,
    }
}

/// Keeps it, and waits until it is there.
async fn keep_up(target: RedisTarget) -> Kept {
    let kept = keep(target);
    kept.reaches(State::Up).await;
    kept
}

fn single(addr: SocketAddr) -> RedisTarget {
    target(RedisTopology::Single(tcp(addr)))
}

fn login(username: Option<&str>, password: &str) -> RedisLogin {
    RedisLogin {
        username: username.map(Into::into),
        password: Some(Secret::new(password)),
    }
}

/// One more, and returns how many.
static COUNT: Lua = Lua::new("return redis.call('INCR', KEYS[1])");

fn count(redis: &Redis, tag: &str) -> Call {
    Call {
        script: &COUNT,
        keys: vec![redis.key(tag, "count")],
        args: Vec::new(),
    }
}

fn ping() -> ::redis::Cmd {
    ::redis::cmd("PING")
}

/// Asks for the answer only.
async fn asked(redis: &Redis, urgency: Urgency) -> Result<(), StoreError> {
    redis.command(urgency, &ping()).await.map(drop)
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
