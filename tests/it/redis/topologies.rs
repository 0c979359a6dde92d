//! Every kind of installation is asked, and followed.

use ::redis::Value;
use waypost::types::RedisTls;

use super::*;
use crate::support::Authority;
use crate::support::redis::{free_port, wait};

#[tokio::test]
async fn scripts_run_in_one_round_trip() {
    let server = RedisServer::start().await;
    let faults = Faults::before(server.addr()).await;
    let redis = keep_up(single(faults.addr())).await;
    let wrong = Call {
        script: {
            static WRONG: Lua = Lua::new("return redis.error_reply('NO not this one')");
            &WRONG
        },
        keys: vec![redis.key("a", "count")],
        args: Vec::new(),
    };
    let calls = [count(&redis, "a"), wrong, count(&redis, "b")];
    for n in 1..=2 {
        let answers = redis.eval(Urgency::Request, &calls).await.expect("answers");
        let refused = Err(StoreError::Refused("NO not this one".to_owned()));
        assert_eq!(answers, [Ok(Value::Int(n)), refused, Ok(Value::Int(n))]);
    }
    // They were not known at first.
    assert_eq!(
        (faults.commands("EVALSHA"), faults.commands("EVAL")),
        (6, 3)
    );
    assert_eq!(faults.round_trips(), 3);
    assert_eq!(redis.eval(Urgency::Request, &[]).await, Ok(Vec::new()));
    assert_eq!(redis.state(), State::Up);
}

#[tokio::test]
async fn a_socket_in_the_file_system_is_asked() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("redis.sock");
    let _server = RedisServer::with(&["--unixsocket", &path.display().to_string()]).await;
    let redis = keep_up(target(RedisTopology::Single(RedisAddress::Unix(path)))).await;
    assert_eq!(asked(&redis, Urgency::Request).await, Ok(()));
}

#[tokio::test]
async fn user_password_and_database_are_those_configured() {
    let server = RedisServer::for_user("app", "s3cret").await;
    let mut at = single(server.addr());
    at.login = login(Some("app"), "s3cret");
    at.database = 3;
    let redis = keep_up(at).await;
    let info = ::redis::cmd("CLIENT").arg("INFO").take();
    let info = redis.command(Urgency::Background, &info).await;
    let info = format!("{info:?}");
    assert!(info.contains("db=3") && info.contains("user=app"), "{info}");
    let shown = format!("{:?} {:?}", *redis, redis.target());
    assert!(!shown.contains("s3cret"), "{shown}");
}

#[tokio::test]
async fn tls_trusts_the_authority_it_is_told() {
    let authority = Authority::new();
    let server = RedisServer::tls(&authority, false).await;
    let mut at = single(server.second_addr());
    at.tls = Some(RedisTls {
        ca: Some(authority.file()),
        client: None,
    });
    let redis = keep_up(at).await;
    assert_eq!(asked(&redis, Urgency::Background).await, Ok(()));
}

#[tokio::test]
async fn tls_shows_a_certificate_of_its_own() {
    let authority = Authority::new();
    let server = RedisServer::tls(&authority, true).await;
    let mut at = single(server.second_addr());
    at.tls = Some(RedisTls {
        ca: Some(authority.file()),
        client: Some(authority.files("client", "client.test")),
    });
    let redis = keep_up(at).await;
    assert_eq!(asked(&redis, Urgency::Background).await, Ok(()));
}

fn by_sentinel(all: &Sentinel) -> RedisTarget {
    target(RedisTopology::Sentinel {
        sentinels: vec![tcp(all.sentinel.addr())],
        master: all.name().into(),
        login: RedisLogin::default(),
        tls: None,
    })
}

/// Sets a key until that is done, which the server at `new` then has.
async fn write_until_at(redis: &Redis, new: &RedisServer, password: Option<&str>) {
    let set = ::redis::cmd("SET").arg("k").arg("v").take();
    let get = ::redis::cmd("GET").arg("k").take();
    loop {
        // Nothing fails for long, and nothing waits for long.
        let _ = redis.command(Urgency::Background, &set).await;
        let role: Value = new.ask(password, &::redis::cmd("ROLE")).await;
        let is_master = format!("{role:?}").contains("master");
        if is_master && new.ask::<Option<String>>(password, &get).await.is_some() {
            return;
        }
        wait().await;
    }
}

#[tokio::test]
async fn a_sentinel_names_the_master_with_a_password_of_its_own() {
    let all = Sentinel::with_passwords(Some("data"), Some("guide")).await;
    let mut at = by_sentinel(&all);
    at.login = login(None, "data");
    if let RedisTopology::Sentinel {
        sentinels, login, ..
    } = &mut at.topology
    {
        *login = super::login(None, "guide");
        // One that is away is passed by.
        let away = SocketAddr::from(([127, 0, 0, 1], free_port()));
        sentinels.insert(0, tcp(away));
    }
    let redis = keep_up(at).await;
    write_until_at(&redis, &all.master, Some("data")).await;
}

#[tokio::test]
async fn the_new_master_is_found_when_the_old_one_dies() {
    let mut all = Sentinel::start().await;
    let redis = keep_up(by_sentinel(&all)).await;
    all.failover().await;
    write_until_at(&redis, &all.replica, None).await;
    redis.reaches(State::Up).await;
}

#[tokio::test]
async fn the_new_master_is_found_although_the_old_one_lives() {
    let all = Sentinel::start().await;
    let redis = keep_up(by_sentinel(&all)).await;
    all.switch().await;
    write_until_at(&redis, &all.replica, None).await;
    redis.reaches(State::Up).await;
}

fn of_cluster(all: &Cluster) -> RedisTarget {
    let nodes = all.nodes.iter().map(|node| tcp(node.addr()));
    target(RedisTopology::Cluster(nodes.collect()))
}

#[tokio::test]
async fn a_cluster_is_asked_where_the_keys_are() {
    let all = Cluster::with(&[], Some("s3cret")).await;
    let mut at = of_cluster(&all);
    at.login = login(None, "s3cret");
    // One that is away is passed by.
    let away = SocketAddr::from(([127, 0, 0, 1], free_port()));
    if let RedisTopology::Cluster(nodes) = &mut at.topology {
        nodes.insert(0, tcp(away));
    }
    let redis = keep_up(at).await;
    let tags: Vec<String> = (0..20).map(|n| format!("group/{n}")).collect();
    let calls: Vec<Call> = tags.iter().map(|tag| count(&redis, tag)).collect();
    for n in 1..=2 {
        let answers = redis.eval(Urgency::Background, &calls).await;
        assert_eq!(answers, Ok(vec![Ok(Value::Int(n)); 20]));
    }
    let mut owners = Vec::new();
    for tag in &tags {
        let slot = all.slot(&redis.key(tag, "count")).await;
        owners.push(all.owner(slot).await);
        // All keys of a tag are in one place.
        assert_eq!(all.slot(&redis.key(tag, "other")).await, slot);
    }
    assert!((0..3).all(|node| owners.contains(&node)), "{owners:?}");
}

#[tokio::test]
async fn a_slot_that_moves_is_followed() {
    let all = Cluster::start().await;
    let redis = keep_up(of_cluster(&all)).await;
    let calls = [count(&redis, "a")];
    let slot = all.slot(&calls[0].keys[0]).await;
    let to = (all.owner(slot).await + 1) % 3;
    let once = async |n| {
        let answers = redis.eval(Urgency::Background, &calls).await;
        assert_eq!(answers, Ok(vec![Ok(Value::Int(n))]));
    };
    once(1).await;
    all.begin_move(slot, to).await;
    once(2).await;
    once(3).await;
    all.end_move(slot, to).await;
    once(4).await;
    once(5).await;
    assert_eq!(all.owner(slot).await, to);
    assert_eq!(redis.state(), State::Up);
}
