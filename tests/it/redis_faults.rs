//! Redis fails, in every way it can, under the two features that ask it on a request's way: a cache and exact limits. No
//! request may fail for it, the log must stay quiet, and the ledger must come out to the token.
//!
//! `FAULTS=write cargo nextest run -j1 -E 'test(redis_faults::)'` writes the table of docs/redis.md from what it measures.

mod load;
mod site;
mod table;

use std::time::Duration;

use tokio::sync::Mutex;

use crate::support::faults::{Faults, Mode};
use crate::support::redis::{Cluster, RedisServer, Sentinel};

use site::Site;

/// How long each fault lasts.
const LASTS: Duration = Duration::from_millis(1500);

/// A fault of the way between the gateways and one Redis.
async fn on_the_way(name: &str, mode: Mode) {
    let server = RedisServer::start().await;
    let way = Faults::before(server.addr()).await;
    let site = Site::over(&way.url()).await;
    site.play(
        name,
        async || way.set(mode).await,
        async || way.set(Mode::Pass).await,
    )
    .await;
}

#[tokio::test]
async fn refused() {
    on_the_way("connections refused", Mode::Refuse).await;
}

#[tokio::test]
async fn reset() {
    on_the_way("connections reset", Mode::Reset).await;
}

#[tokio::test]
async fn hangs() {
    on_the_way("hangs: accepts, and answers nothing", Mode::Hang).await;
}

#[tokio::test]
async fn slow() {
    on_the_way(
        "slow: each answer takes 200 ms",
        Mode::Slow(Duration::from_millis(200)),
    )
    .await;
}

#[tokio::test]
async fn cut() {
    on_the_way("cut in the middle of an answer", Mode::Cut(3)).await;
}

#[tokio::test]
async fn muted() {
    on_the_way("does what is asked, and the answers are lost", Mode::Mute).await;
}

#[tokio::test]
async fn wrong_password() {
    let server = RedisServer::start().await;
    let site = Site::over(&server.url()).await;
    let config = |value: &str| {
        let mut cmd = redis::cmd("CONFIG");
        cmd.arg("SET").arg("requirepass").arg(value);
        cmd
    };
    site.play(
        "the password is another one",
        async || {
            let () = server.ask(None, &config("another")).await;
            drop_clients(&server, Some("another")).await;
        },
        async || server.ask(Some("another"), &config("")).await,
    )
    .await;
}

#[tokio::test]
async fn restart_with_data_lost() {
    let mut server = RedisServer::start().await;
    let site = Site::over(&server.url()).await;
    let server = Mutex::new(&mut server);
    site.play(
        "restarted, with nothing kept",
        async || server.lock().await.kill(),
        async || server.lock().await.restart().await,
    )
    .await;
}

#[tokio::test]
async fn restart_with_data_kept() {
    let mut server = RedisServer::with(&["--appendonly", "yes", "--appendfsync", "always"]).await;
    let site = Site::over(&server.url()).await;
    let server = Mutex::new(&mut server);
    site.play(
        "restarted, with everything kept",
        async || server.lock().await.kill(),
        async || server.lock().await.restart().await,
    )
    .await;
}

#[tokio::test]
async fn readonly_replica() {
    let server = RedisServer::start().await;
    let master = RedisServer::start().await;
    let site = Site::over(&server.url()).await;
    let replica_of = |host: &str, port: &str| {
        let mut cmd = redis::cmd("REPLICAOF");
        cmd.arg(host).arg(port);
        cmd
    };
    let port = master.addr().port().to_string();
    site.play(
        "a replica, which takes no writes (READONLY)",
        async || server.ask(None, &replica_of("127.0.0.1", &port)).await,
        async || server.ask(None, &replica_of("NO", "ONE")).await,
    )
    .await;
}

#[tokio::test]
async fn cluster_slot_moved() {
    let cluster = Cluster::start().await;
    let nodes: Vec<_> = cluster
        .nodes
        .iter()
        .map(|node| node.addr().to_string())
        .collect();
    let site = Site::with(&format!("cluster: {nodes:?}")).await;
    let slot = cluster.slot("{group/g}").await;
    let home = cluster.owner(slot).await;
    site.play(
        "cluster: the group's slot moved to another node, and back",
        async || cluster.move_slot(slot, (home + 1) % nodes.len()).await,
        async || cluster.move_slot(slot, home).await,
    )
    .await;
}

#[tokio::test]
async fn sentinel_failover() {
    let mut sentinel = Sentinel::start().await;
    let site = Site::with(&format!(
        "sentinel: {{master: {}, nodes: [{:?}]}}",
        sentinel.name(),
        sentinel.sentinel.addr().to_string(),
    ))
    .await;
    let sentinel = Mutex::new(&mut sentinel);
    site.play(
        "sentinel: the master dies, and its replica takes over",
        async || sentinel.lock().await.failover().await,
        async || {},
    )
    .await;
}

/// Connections that are open stay authenticated: they are closed.
async fn drop_clients(server: &RedisServer, password: Option<&str>) {
    let mut cmd = redis::cmd("CLIENT");
    cmd.arg("KILL").arg("TYPE").arg("normal");
    let _: i64 = server.ask(password, &cmd).await;
}
