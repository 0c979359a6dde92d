//! Real Redis servers for tests, on free ports of loopback, which end with the test.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A `redis-server` at work.
pub(crate) struct RedisServer {
    port: u16,
    args: Vec<String>,
    child: Child,
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
        let dir = tempfile::tempdir().expect("a folder");
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        // Between finding a free port and taking it somebody else may.
        for _ in 0..20 {
            let port = free_port();
            let mut child = launch(port, &args, &dir);
            if ready(port, &mut child).await {
                return Self {
                    port,
                    args,
                    child,
                    dir,
                };
            }
        }
        panic!("redis-server did not start in {}", dir.path().display());
    }

    /// Where it listens.
    pub(crate) fn addr(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// As configurations name it.
    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.addr())
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
            self.child = launch(self.port, &self.args, &self.dir);
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

fn launch(port: u16, args: &[String], dir: &TempDir) -> Child {
    Command::new(program())
        // What it is called decides what it is.
        .arg0("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
        .args(["--save", "", "--appendonly", "no"])
        .args(["--dir", &dir.path().display().to_string()])
        .args(args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("redis-server")
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
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
