//! Real Redis servers for tests, on free ports of loopback, which end with the test.

mod cluster;
mod sentinel;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{Cmd, FromRedisValue, IntoConnectionInfo, RedisConnectionInfo};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use waypost::redis::{Redis, State};
use waypost::types::{RedisAddress, RedisLogin, RedisTarget, RedisTopology};

use super::Authority;

pub(crate) use cluster::Cluster;
pub(crate) use sentinel::Sentinel;

/// A `redis-server` at work.
pub(crate) struct RedisServer {
    port: u16,
    launch: Launch,
    child: Child,
}

/// How a server is started.
struct Launch {
    args: Vec<String>,
    /// What a second port is for, and which it is.
    second: Option<(&'static str, u16)>,
    /// The settings of a sentinel, if it is to be one.
    sentinel: Option<String>,
    /// Where it keeps what it writes.
    dir: TempDir,
}

impl RedisServer {
    /// One that keeps nothing on disk.
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    /// The same with further arguments, as in `["--requirepass", "secret"]`.
    pub(crate) async fn with(args: &[&str]) -> Self {
        Self::launch(args, None, None).await
    }

    /// One that lets in this user only.
    pub(crate) async fn for_user(username: &str, password: &str) -> Self {
        let password = format!(">{password}");
        let user = ["--user", username, "on", &password, "~*", "&*", "+@all"];
        let user = user.into_iter().chain(["--user", "default", "off"]);
        Self::with(&user.collect::<Vec<_>>()).await
    }

    /// One that also speaks TLS, at [`RedisServer::second_addr`], as `127.0.0.1`; to clients whose certificate is of the same
    /// authority, or to all.
    pub(crate) async fn tls(authority: &Authority, known_clients: bool) -> Self {
        let ca = authority.file();
        let (certificate, key) = authority.files("server", "127.0.0.1");
        let path = |path: &Path| path.display().to_string();
        let args = [
            "--tls-ca-cert-file",
            &path(&ca),
            "--tls-cert-file",
            &path(&certificate),
            "--tls-key-file",
            &path(&key),
            "--tls-auth-clients",
            if known_clients { "yes" } else { "no" },
        ];
        Self::launch(&args, Some("--tls-port"), None).await
    }

    async fn launch(args: &[&str], second: Option<&'static str>, sentinel: Option<String>) -> Self {
        let mut launch = Launch {
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            second: second.map(|what| (what, 0)),
            sentinel,
            dir: tempfile::tempdir().expect("a folder"),
        };
        // Between finding a free port and taking it somebody else may.
        for _ in 0..20 {
            let port = free_port();
            if let Some((_, second)) = &mut launch.second {
                *second = free_port();
            }
            let mut child = launch.run(port);
            if ready(port, &mut child).await {
                return Self {
                    port,
                    launch,
                    child,
                };
            }
        }
        panic!(
            "redis-server did not start in {}",
            launch.dir.path().display()
        );
    }

    /// Where it listens.
    pub(crate) fn addr(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Where else it listens: for TLS, or for other nodes of its cluster.
    pub(crate) fn second_addr(&self) -> SocketAddr {
        let (_, port) = self.launch.second.expect("a second port");
        (Ipv4Addr::LOCALHOST, port).into()
    }

    /// As a configuration that says nothing else of it comes to.
    pub(crate) fn target(&self) -> RedisTarget {
        target(RedisTopology::Single(tcp(self.addr())))
    }

    /// A connection of Waypost's, which stands until the set is dropped.
    pub(crate) async fn connected(&self) -> (Redis, JoinSet<()>) {
        let redis = Redis::new(Arc::new(self.target()));
        let mut keeper = JoinSet::new();
        let kept = redis.clone();
        keeper.spawn(async move { kept.keep().await });
        redis.reaches(State::Up).await;
        (redis, keeper)
    }

    /// As configurations name it.
    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.addr())
    }

    /// Runs a command as the test's own client, which logs in as the default user with that password, if any.
    pub(crate) async fn ask<T: FromRedisValue>(&self, password: Option<&str>, cmd: &Cmd) -> T {
        let mut connection = self.connect(password).await;
        cmd.query_async(&mut connection).await.expect("an answer")
    }

    /// A connection of the test's own.
    pub(crate) async fn connect(&self, password: Option<&str>) -> MultiplexedConnection {
        let mut login = RedisConnectionInfo::default();
        if let Some(password) = password {
            login = login.set_password(password);
        }
        let info = self.url().into_connection_info().expect("a URL");
        let client = ::redis::Client::open(info.set_redis_settings(login)).expect("a client");
        let config = ::redis::AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None);
        client
            .get_multiplexed_async_connection_with_config(&config)
            .await
            .expect("a connection")
    }

    /// Ends it at once, as a crash does.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts it again at its old port, with what it has kept on disk, if that is anything.
    pub(crate) async fn restart(&mut self) {
        self.kill();
        for _ in 0..50 {
            self.child = self.launch.run(self.port);
            if ready(self.port, &mut self.child).await {
                return;
            }
        }
        panic!("redis-server did not start again");
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// An installation of which nothing else is said.
pub(crate) fn target(topology: RedisTopology) -> RedisTarget {
    RedisTarget {
        topology,
        login: RedisLogin::default(),
        database: 0,
        tls: None,
        prefix: "waypost:1".into(),
        timeout: Duration::from_millis(100),
    }
}

/// A server at that address.
pub(crate) fn tcp(addr: SocketAddr) -> RedisAddress {
    RedisAddress::Tcp(addr.ip().to_string().into(), addr.port())
}

/// A port nobody listens on.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
    listener.local_addr().expect("its address").port()
}

/// The program: of `WAYPOST_REDIS_SERVER`, else of the path, else Debian's `redis-tools`, where it goes by another name.
fn program() -> PathBuf {
    if let Some(named) = std::env::var_os("WAYPOST_REDIS_SERVER") {
        return named.into();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|dir| dir.join("redis-server"))
        .chain([PathBuf::from("/usr/bin/redis-check-rdb")])
        .find(|program| program.exists())
        .expect("these tests need a redis-server: apt-get install redis-tools, or name one in WAYPOST_REDIS_SERVER")
}

impl Launch {
    fn run(&self, port: u16) -> Child {
        let mut command = Command::new(program());
        // What it is called decides what it is.
        command.arg0("redis-server");
        if let Some(settings) = &self.sentinel {
            let file = self.dir.path().join("sentinel.conf");
            std::fs::write(&file, settings).expect("written");
            command.arg(file).arg("--sentinel");
        } else {
            command.args(["--save", "", "--appendonly", "no"]);
        }
        command
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--dir", &self.dir.path().display().to_string()]);
        if let Some((what, second)) = self.second {
            command.args([what, &second.to_string()]);
        }
        command
            .args(&self.args)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("redis-server")
    }
}

/// Whether it answers; false if it has ended instead.
async fn ready(port: u16, child: &mut Child) -> bool {
    loop {
        if child.try_wait().expect("its state").is_some() {
            return false;
        }
        if let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await {
            let mut answer = [0; 1];
            let asked = stream.write_all(b"PING\r\n").await;
            // `-NOAUTH` is an answer, too; `-LOADING` begins like it, and is over soon after.
            if asked.is_ok() && stream.read_exact(&mut answer).await.is_ok() {
                return true;
            }
        }
        wait().await;
    }
}

/// Until the next look at what a server is doing: they can't be waited for.
pub(crate) async fn wait() {
    tokio::time::sleep(Duration::from_millis(5)).await;
}
