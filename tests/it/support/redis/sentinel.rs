//! A master, a replica of it, and a sentinel that makes it the master.

use std::collections::HashMap;
use std::net::SocketAddr;

use super::{RedisServer, wait};

/// What the sentinel calls the master.
const NAME: &str = "waypost";

/// A master with a replica, watched by a sentinel.
pub(crate) struct Sentinel {
    /// What is the master at first.
    pub(crate) master: RedisServer,
    /// What is the replica at first.
    pub(crate) replica: RedisServer,
    /// Who knows which is the master.
    pub(crate) sentinel: RedisServer,
    /// The servers' password, and the sentinel's.
    passwords: (Option<String>, Option<String>),
}

impl Sentinel {
    /// Without passwords.
    pub(crate) async fn start() -> Self {
        Self::with_passwords(None, None).await
    }

    /// The servers have a password, and the sentinel one of its own.
    pub(crate) async fn with_passwords(servers: Option<&str>, sentinel: Option<&str>) -> Self {
        let mut args = vec!["--repl-diskless-sync-delay", "0"];
        if let Some(password) = servers {
            args.extend(["--requirepass", password, "--masterauth", password]);
        }
        let master = RedisServer::with(&args).await;
        let port = master.addr().port().to_string();
        args.extend(["--replicaof", "127.0.0.1", &port]);
        let replica = RedisServer::with(&args).await;
        // The sentinel asks the master once in ten seconds who its replicas are: by then it must know.
        let info = ::redis::cmd("INFO").arg("replication").take();
        loop {
            let told: String = master.ask(servers, &info).await;
            if told.contains("state=online") {
                break;
            }
            wait().await;
        }
        let mut settings = format!(
            "sentinel monitor {NAME} 127.0.0.1 {port} 1\n\
             sentinel down-after-milliseconds {NAME} 300\n\
             sentinel failover-timeout {NAME} 10000\n"
        );
        if let Some(password) = servers {
            settings += &format!("sentinel auth-pass {NAME} {password}\n");
        }
        if let Some(password) = sentinel {
            settings += &format!("requirepass {password}\n");
        }
        let all = Self {
            master,
            replica,
            sentinel: RedisServer::launch(&[], None, Some(settings)).await,
            passwords: (servers.map(str::to_owned), sentinel.map(str::to_owned)),
        };
        // A replica it has not spoken to yet would not be made the master.
        let replicas = ::redis::cmd("SENTINEL").arg("REPLICAS").arg(NAME).take();
        loop {
            let known: Vec<HashMap<String, String>> = all.ask(&replicas).await;
            let link =
                |of: &HashMap<_, _>| of.get("master-link-status").is_some_and(|it| it == "ok");
            if known.iter().any(link) {
                return all;
            }
            wait().await;
        }
    }

    /// What the sentinel calls the master.
    pub(crate) fn name(&self) -> &'static str {
        NAME
    }

    /// Where the master is, by the sentinel.
    pub(crate) async fn master_addr(&self) -> SocketAddr {
        let command = "GET-MASTER-ADDR-BY-NAME";
        let asked = ::redis::cmd("SENTINEL").arg(command).arg(NAME).take();
        let (host, port): (String, u16) = self.ask(&asked).await;
        SocketAddr::new(host.parse().expect("an address"), port)
    }

    /// The master dies, and the replica becomes the master.
    pub(crate) async fn failover(&mut self) {
        self.master.kill();
        self.switched().await;
    }

    /// The replica becomes the master although the master lives.
    pub(crate) async fn switch(&self) {
        let failover = ::redis::cmd("SENTINEL").arg("FAILOVER").arg(NAME).take();
        let () = self.ask(&failover).await;
        self.switched().await;
    }

    async fn switched(&self) {
        while self.master_addr().await != self.replica.addr() {
            wait().await;
        }
    }

    async fn ask<T: ::redis::FromRedisValue>(&self, cmd: &::redis::Cmd) -> T {
        self.sentinel.ask(self.passwords.1.as_deref(), cmd).await
    }
}
