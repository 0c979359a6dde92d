//! The process under test, and what can be seen of it from outside.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::time::Instant;

use super::Options;
use super::client::Connection;
use super::flat::Sample;
use super::ledger::Metrics;

/// A running `waypost serve`. Dropped, it is killed.
pub(super) struct Waypost {
    child: Running,
    addr: SocketAddr,
    began: Instant,
    log: PathBuf,
    /// Always the same one, so that asking does not change the count of open files.
    asking: Connection,
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // An error says that it has ended already.
        let _ended = self.0.kill();
        let _ended = self.0.wait();
    }
}

impl Waypost {
    /// Starts it with `configuration`, its log in a file of `folder`.
    pub(super) async fn start(
        options: &Options,
        folder: &Path,
        configuration: &str,
    ) -> anyhow::Result<Self> {
        let (file, log) = (folder.join("endpoints.yml"), folder.join("log"));
        std::fs::write(&file, configuration)?;
        let mut child = Command::new(&options.waypost)
            .args(["serve", "--port", "0", "--log-format", "json", "--config"])
            .arg(&file)
            .args(&options.serve)
            .env_clear()
            .stdout(Stdio::piped())
            .stderr(File::create(&log)?)
            .spawn()
            .with_context(|| format!("{} does not start", options.waypost.display()))?;
        let stdout = child.stdout.take();
        let child = Running(child);
        let addr = stdout.and_then(address);
        let addr = match addr {
            Some(addr) => addr,
            None => anyhow::bail!("it does not serve: {}", std::fs::read_to_string(&log)?),
        };
        Ok(Self {
            child,
            addr,
            began: Instant::now(),
            log,
            asking: Connection::open(addr).await?,
        })
    }

    pub(super) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What `/metrics` says.
    pub(super) async fn metrics(&mut self) -> anyhow::Result<Metrics> {
        let answer = self
            .asking
            .ask(b"GET /metrics HTTP/1.1\r\nhost: soak\r\n\r\n")
            .await;
        let answer = answer.context("no answer from /metrics")?;
        ensure!(answer.status == 200, "/metrics answers {}", answer.status);
        Ok(Metrics::read(&String::from_utf8(answer.body)?))
    }

    /// What it takes at this moment, `done` requests into the run.
    pub(super) async fn look(&mut self, done: usize) -> anyhow::Result<Sample> {
        let metrics = self.metrics().await?;
        let of = format!("/proc/{}", self.child.0.id());
        let status = std::fs::read_to_string(format!("{of}/status"))?;
        let number = |name: &str| -> anyhow::Result<usize> {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let word = line.and_then(|line| line.split_whitespace().next());
            Ok(word.context("a line of /proc/PID/status")?.parse()?)
        };
        Ok(Sample {
            done,
            seconds: self.began.elapsed().as_secs_f64(),
            rss_kib: number("VmRSS:")?,
            threads: number("Threads:")?,
            fds: std::fs::read_dir(format!("{of}/fd"))?.count(),
            requests: metrics.sum("waypost_requests_total", &[]),
            in_flight: metrics.sum("waypost_in_flight", &[]),
            upstream: usize::try_from(metrics.sum("waypost_upstream_connections", &[]))?,
            lines: metrics.lines,
        })
    }

    /// Tells it to stop and waits until it has, by itself. Returns its log.
    pub(super) async fn stop(self) -> anyhow::Result<PathBuf> {
        let Self {
            mut child,
            asking,
            log,
            ..
        } = self;
        drop(asking);
        // The shell's own: there may be no such program.
        let kill = format!("kill -TERM {}", child.0.id());
        ensure!(
            Command::new("sh").args(["-c", &kill]).status()?.success(),
            "no signal"
        );
        let status = loop {
            match child.0.try_wait()? {
                Some(status) => break status,
                None => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        };
        ensure!(status.success(), "told to stop, it ended with {status}");
        Ok(log)
    }
}

/// Where it listens: the last thing it says.
fn address(stdout: ChildStdout) -> Option<SocketAddr> {
    let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
    lines.find_map(|line| line.split_once("listening on http://")?.1.parse().ok())
}
