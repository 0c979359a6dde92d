//! What is wrong from the start is said once, with what would help, and mended when it is.

use waypost::types::RedisTls;

use super::*;
use crate::support::redis::{free_port, wait};
use crate::support::{Authority, Logs};

/// What is said of it until it was tried three times.
async fn said(at: RedisTarget) -> Vec<String> {
    let logs = Logs::listen();
    let redis = keep(at);
    while logs.text().matches("tried again").count() < 2 {
        wait().await;
    }
    assert_eq!(redis.state(), State::Down);
    lines(&logs)
}

/// The lines for operators.
fn lines(logs: &Logs) -> Vec<String> {
    let text = logs.text();
    let own = text.lines().filter(|line| line.contains("Redis at"));
    own.map(str::to_owned).collect()
}

#[track_caller]
fn once(lines: &[String], parts: &[&str]) {
    assert_eq!(lines.len(), 1, "{lines:#?}");
    for part in parts {
        assert!(lines[0].contains(part), "{part}: {}", lines[0]);
    }
    assert!(!lines[0].contains("s3cret"), "{}", lines[0]);
    assert!(!lines[0].contains("wr0ng"), "{}", lines[0]);
}

#[tokio::test]
async fn a_wrong_password_is_said_once() {
    let server = RedisServer::with(&["--requirepass", "s3cret"]).await;
    let place = server.addr().to_string();
    let mut at = single(server.addr());
    let lines = said(at.clone()).await;
    once(&lines, &[&place, "it wants a password"]);
    at.login = login(None, "wr0ng");
    let lines = said(at.clone()).await;
    once(&lines, &["the username or the password is wrong"]);
    at.login = login(Some("nobody"), "s3cret");
    let lines = said(at).await;
    once(&lines, &["the username or the password is wrong"]);
}

#[tokio::test]
async fn a_password_that_is_not_asked_for_is_not_shown() {
    let server = RedisServer::start().await;
    let mut at = single(server.addr());
    at.login = login(None, "s3cret");
    once(&said(at.clone()).await, &["or there is none there"]);
    // A server that does not know the command repeats what came with it.
    let server = RedisServer::with(&["--rename-command", "AUTH", ""]).await;
    at.topology = RedisTopology::Single(tcp(server.addr()));
    once(&said(at).await, &["the username or the password is wrong"]);
}

#[tokio::test]
async fn a_wrong_place_is_said_once() {
    let nobody = SocketAddr::from(([127, 0, 0, 1], free_port()));
    once(&said(single(nobody)).await, &["nobody listens there"]);
    let host = RedisAddress::Tcp("no-such-host.invalid".into(), 6379);
    let lines = said(target(RedisTopology::Single(host))).await;
    once(
        &lines,
        &["no-such-host.invalid", "there is no host of that name"],
    );
    let path = RedisAddress::Unix("/no/such/socket".into());
    let lines = said(target(RedisTopology::Single(path))).await;
    once(&lines, &["there is no such socket"]);
    let server = RedisServer::start().await;
    let cluster = target(RedisTopology::Cluster(vec![tcp(server.addr())]));
    once(&said(cluster).await, &["it is no node of a cluster"]);
    let mut at = single(server.addr());
    at.database = 99;
    once(&said(at).await, &["it has no database of that number"]);
}

#[tokio::test]
async fn wrong_certificates_are_said_once() {
    let authority = Authority::new();
    let server = RedisServer::tls(&authority, true).await;
    let place = server.second_addr();
    let with = |ca, client| {
        let mut at = single(place);
        at.tls = Some(RedisTls {
            ca: Some(ca),
            client,
        });
        at
    };
    let other = Authority::new();
    let lines = said(with(other.file(), None)).await;
    once(&lines, &["an authority that is not trusted", "`ca`"]);
    let lines = said(with(authority.file(), None)).await;
    once(&lines, &["it wants a certificate of ours"]);
    let client = other.files("client", "client.test");
    let lines = said(with(authority.file(), Some(client))).await;
    once(&lines, &["the authority of our certificate"]);
    let lines = said(with("/no/such/file".into(), None)).await;
    once(&lines, &["/no/such/file can't be read"]);
    let empty = authority.files("client", "client.test").1;
    let lines = said(with(empty, None)).await;
    once(&lines, &["holds no certificate in PEM"]);
    once(&said(single(place)).await, &["does it want TLS?"]);
    let mut plain = with(authority.file(), None);
    plain.topology = RedisTopology::Single(tcp(server.addr()));
    once(&said(plain).await, &["does it speak TLS?"]);
}

#[tokio::test]
async fn a_sentinel_that_does_not_help_is_said_once() {
    let all = Sentinel::with_passwords(None, Some("s3cret")).await;
    let named = |name: &str, login| {
        target(RedisTopology::Sentinel {
            sentinels: vec![tcp(all.sentinel.addr())],
            master: name.into(),
            login,
            tls: None,
        })
    };
    let lines = said(named("waypost", RedisLogin::default())).await;
    once(&lines, &["sentinel 127.0.0.1", "it wants a password"]);
    let lines = said(named("other", login(None, "s3cret"))).await;
    once(&lines, &["it knows no master called other"]);
}

#[tokio::test]
async fn a_server_that_comes_later_is_found() {
    let mut server = RedisServer::start().await;
    server.kill();
    let logs = Logs::listen();
    let redis = keep(single(server.addr()));
    assert_eq!(
        asked(&redis, Urgency::Background).await,
        Err(StoreError::Unavailable)
    );
    server.restart().await;
    redis.reaches(State::Up).await;
    assert_eq!(asked(&redis, Urgency::Request).await, Ok(()));
    let lines = lines(&logs);
    assert!((1..=2).contains(&lines.len()), "{lines:#?}");
    assert!(
        lines[lines.len() - 1].contains("is there after"),
        "{lines:#?}"
    );
    assert!(lines[lines.len() - 1].contains("1 calls"), "{lines:#?}");
}

#[tokio::test]
async fn a_replica_is_not_written_to() {
    let master = RedisServer::start().await;
    let port = master.addr().port().to_string();
    let replica = RedisServer::with(&["--replicaof", "127.0.0.1", &port]).await;
    once(&said(single(replica.addr())).await, &["it is a replica"]);
    let redis = keep(single(replica.addr()));
    let alone = ::redis::cmd("REPLICAOF").arg("NO").arg("ONE").take();
    let () = replica.ask(None, &alone).await;
    redis.reaches(State::Up).await;
    // It becomes one again while it is connected to: the first write tells.
    let again = ::redis::cmd("REPLICAOF").arg("127.0.0.1").arg(&port).take();
    let () = replica.ask(None, &again).await;
    while redis.state() == State::Up {
        let _ = redis.eval(Urgency::Request, &[count(&redis, "a")]).await;
    }
    assert_eq!(redis.state(), State::Down);
    let () = replica.ask(None, &alone).await;
    redis.reaches(State::Up).await;
}
