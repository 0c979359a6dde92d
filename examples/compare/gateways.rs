//! The gateways under test: how each is configured, started, and asked.

use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;
use std::time::Duration;

use crate::process::{self, Process};
use crate::request::Target;

pub(crate) const FLOOR: &str = "floor";
pub(crate) const NGINX: &str = "nginx";
pub(crate) const WAYPOST: &str = "waypost";
/// No gateway at all: the load asks the upstream itself.
pub(crate) const DIRECT: &str = "direct";

/// Something that answers, and the process to charge for it.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) name: String,
    pub(crate) target: Target,
    process: Option<Process>,
    pid: Option<u32>,
}

impl Gateway {
    pub(crate) fn direct(upstream: SocketAddr) -> Self {
        Self {
            name: DIRECT.into(),
            target: target(upstream.port()),
            process: None,
            pid: None,
        }
    }

    /// Whether it is one that this program starts, and not one given by `--gateway`.
    pub(crate) fn ours(&self) -> bool {
        self.process.is_some()
    }

    /// Its process, if it is known.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::pid).or(self.pid)
    }

    /// CPU time charged to it so far.
    pub(crate) fn cpu(&self) -> Option<Duration> {
        self.pid().map(process::cpu)
    }
}

/// `NAME=URL[,pid=PID][,header=NAME:VALUE]..`; a header may have commas.
impl FromStr for Gateway {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (text, headers) = text.split_once(",header=").unwrap_or((text, ""));
        let headers = headers
            .split(",header=")
            .filter(|header| !header.is_empty());
        let headers = headers.map(|header| format!("{header}\r\n")).collect();
        let (text, pid) = match text.split_once(",pid=") {
            Some((text, pid)) => (
                text,
                Some(pid.parse().map_err(|e| format!("pid {pid}: {e}"))?),
            ),
            None => (text, None),
        };
        let (name, url) = text.split_once('=').ok_or("NAME=URL comes first")?;
        let url = url::Url::parse(url).map_err(|e| format!("{url}: {e}"))?;
        let addresses = url.socket_addrs(|| None).unwrap_or_default();
        let addr = addresses.into_iter().find(SocketAddr::is_ipv4);
        Ok(Self {
            name: name.into(),
            target: Target {
                addr: addr.ok_or(format!("{url} has no IPv4 address"))?,
                base: url.path().trim_end_matches('/').into(),
                headers,
            },
            process: None,
            pid,
        })
    }
}

impl Clone for Gateway {
    /// For the command line's parser, which only ever holds gateways that others started.
    fn clone(&self) -> Self {
        Self {
            name: self.name.clone(),
            target: self.target.clone(),
            process: None,
            pid: self.pid(),
        }
    }
}

fn target(port: u16) -> Target {
    Target {
        addr: (Ipv4Addr::LOCALHOST, port).into(),
        base: "/v1".into(),
        headers: String::new(),
    }
}

/// How to start the gateways that we start ourselves.
#[derive(Debug)]
pub(crate) struct Starter {
    pub(crate) core: String,
    pub(crate) upstream: SocketAddr,
    pub(crate) waypost: PathBuf,
    /// For configurations; as long-lived as the gateways.
    pub(crate) dir: PathBuf,
}

impl Starter {
    /// Starts one and waits until it listens.
    pub(crate) fn start(&self, kind: &str, groups: usize) -> Gateway {
        let gateway = self.spawn(kind, groups);
        process::await_listener(gateway.target.addr);
        gateway
    }

    /// Starts one, without waiting for it.
    pub(crate) fn spawn(&self, kind: &str, groups: usize) -> Gateway {
        let port = process::free_port();
        let command = match kind {
            FLOOR => self.floor(port),
            NGINX => self.nginx(port),
            _ => self.waypost(port, groups),
        };
        Gateway {
            name: kind.into(),
            target: target(port),
            process: Some(Process::start(command)),
            pid: None,
        }
    }

    /// The kinds that can be started here.
    pub(crate) fn kinds() -> Vec<&'static str> {
        let nginx = Command::new("nginx").arg("-v").output().is_ok();
        let kinds = [(FLOOR, true), (NGINX, nginx), (WAYPOST, true)];
        kinds
            .into_iter()
            .filter_map(|(kind, here)| here.then_some(kind))
            .collect()
    }

    fn floor(&self, port: u16) -> Command {
        let exe = std::env::current_exe().unwrap();
        let mut command = process::pinned(&self.core, &exe);
        command.args(["floor", &port.to_string(), &self.upstream.to_string()]);
        command
    }

    fn nginx(&self, port: u16) -> Command {
        let dir = self.dir.join(format!("nginx-{port}"));
        fs::create_dir_all(&dir).unwrap();
        let text = include_str!("nginx.conf")
            .replace("@DIR@", dir.to_str().unwrap())
            .replace("@LISTEN@", &port.to_string())
            .replace("@UPSTREAM@", &self.upstream.to_string());
        let file = dir.join("nginx.conf");
        fs::write(&file, text).unwrap();
        let mut command = process::pinned(&self.core, Path::new("nginx"));
        command.arg("-p").arg(&dir).arg("-c").arg(file);
        command.args(["-e", "stderr"]);
        command
    }

    fn waypost(&self, port: u16, groups: usize) -> Command {
        let file = self.dir.join(format!("waypost-{port}.yml"));
        fs::write(&file, self.endpoints(groups)).unwrap();
        let mut command = process::pinned(&self.core, &self.waypost);
        command.args(["serve", "--port", &port.to_string(), "--config"]);
        command.arg(file);
        command
    }

    /// Everything on: a client key, least-busy over two deployments a group, limits and prices; metrics and the access
    /// log are on by default.
    fn endpoints(&self, groups: usize) -> String {
        let mut text = String::from("model_groups:\n");
        for group in 0..groups {
            let _ = write!(text, "  - id: {}\n    models:\n", group_name(group));
            for model in ["one", "two"] {
                let _ = writeln!(
                    text,
                    "      - {{provider: self-hosted, model: {model}, api_base: 'http://{}/v1', \
                     api_key: '${{BENCH_KEY:-sk-upstream-key}}', rpm: 100000000, tpm: 100000000000, \
                     input_cost_per_token: 0.0000025, output_cost_per_token: 0.00001}}",
                    self.upstream
                );
            }
            text.push_str("    router: {routing_strategy: least-busy}\n");
        }
        let key = crate::request::CLIENT_KEY;
        let _ = writeln!(text, "waypost:\n  keys: [{{name: bench, key: {key}}}]");
        text
    }
}

/// The name of a model group; the first is the one that all gateways have.
pub(crate) fn group_name(group: usize) -> String {
    match group {
        0 => "bench".into(),
        group => format!("bench-{group}"),
    }
}
