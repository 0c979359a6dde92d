//! What Waypost costs over a proxy that does nothing: CPU per request, memory, start, size.
//!
//! ```text
//! cargo build --release --locked && cargo run --release --locked --example overhead
//! ```
//!
//! Starts a canned upstream, the *floor* (a hyper reverse proxy that parses nothing, below) and `waypost serve`, each as
//! a process of its own: the two proxies pinned to one core, upstream and load to another. Then rounds in turn: the
//! same number of requests through the floor and through Waypost, and the CPU time each process was charged by the
//! kernel. Quote the median of the ratios; single figures say little on a shared machine. A failed request ends the run.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measuring program: it prints, and stops where something is wrong"
)]

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::Instant;
use waypost::lab::{Behaviour, Canned, Deployment, Lab, Script};

const CONNECTIONS: usize = 16;
const REQUESTS: usize = 20_000;
const ROUNDS: usize = 7;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    match args
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        ["upstream", kind] => runtime.block_on(upstream(kind)),
        ["floor", upstream] => runtime.block_on(floor(upstream.parse().unwrap())),
        ["load"] => runtime.block_on(measure()),
        [] => {
            // The load stays off the proxies' core, too.
            let exe = std::env::current_exe().unwrap();
            let status = Command::new("taskset")
                .args(["-c", "1"])
                .arg(exe)
                .arg("load")
                .status();
            assert!(
                status
                    .expect("taskset (util-linux) starts the load")
                    .success()
            );
        }
        other => panic!("no arguments, please; got {other:?}"),
    }
}

/// A simulated deployment that answers without looking.
async fn upstream(kind: &str) {
    let canned = match kind {
        "stream" => Canned::Stream {
            chunks: 100,
            bytes: 200,
            every: None,
        },
        bytes => Canned::Body {
            bytes: bytes.parse().unwrap(),
        },
    };
    let lab = Lab::start(&Script::of([
        Deployment::new("canned").behaving(Behaviour::canned(canned))
    ]))
    .unwrap();
    println!("{}", lab.deployment("canned").addr());
    std::future::pending::<()>().await;
}

/// The floor: one upstream connection per client connection, bodies handed through, nothing read.
async fn floor(upstream: SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    let mut tasks = JoinSet::new();
    loop {
        let (client, _) = listener.accept().await.unwrap();
        let sender = Arc::new(Mutex::new(connect(upstream, &mut tasks).await));
        client.set_nodelay(true).unwrap();
        let service = service_fn(move |request: Request<Incoming>| {
            let sender = Arc::clone(&sender);
            async move {
                let mut sender = sender.lock().await;
                sender.ready().await?;
                sender.send_request(request).await
            }
        });
        let serving = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(client), service);
        tasks.spawn(async move {
            let _ = serving.await;
        });
    }
}

async fn connect<B>(to: SocketAddr, tasks: &mut JoinSet<()>) -> SendRequest<B>
where
    B: hyper::body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let stream = TcpStream::connect(to).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .unwrap();
    tasks.spawn(async move {
        let _ = connection.await;
    });
    sender
}

/// A process of ours, killed when dropped.
struct Process {
    child: Child,
    addr: SocketAddr,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    /// Starts a program on a core and reads its address from the last word of the line that has one.
    fn start(core: &str, program: &Path, args: &[&str]) -> Self {
        let mut command = Command::new("taskset");
        command
            .arg("-c")
            .arg(core)
            .arg(program)
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command
            .spawn()
            .expect("taskset (util-linux) starts the program");
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let addr = lines
            .map_while(Result::ok)
            .find_map(|line| {
                line.rsplit([' ', '/'])
                    .next()
                    .and_then(|word| word.parse().ok())
            })
            .expect("it prints its address");
        Self { child, addr }
    }

    /// `waypost serve` on the proxies' core.
    fn waypost(config: &Path) -> Self {
        let config = config.to_str().unwrap();
        let args = ["serve", "--config", config, "--port", "0"];
        Self::start("0", &waypost_binary(), &args)
    }

    /// CPU time of all its threads in nanoseconds, as the kernel's scheduler counts it.
    fn cpu(&self) -> u64 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let of =
            |path: PathBuf| std::fs::read_to_string(path.join("schedstat")).unwrap_or_default();
        tasks
            .flatten()
            .map(|t| {
                of(t.path())
                    .split(' ')
                    .next()
                    .and_then(|n| n.parse::<u64>().ok())
                    .unwrap_or(0)
            })
            .sum()
    }

    fn resident_mib(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
        line.split_whitespace()
            .nth(1)
            .unwrap()
            .parse::<f64>()
            .unwrap()
            / 1024.0
    }
}

fn request_body(bytes: usize, stream: bool) -> Bytes {
    let with = |text: &str| {
        format!(
            r#"{{"model":"bench","temperature":0.7,"stream":{stream},"messages":[{{"role":"system","content":"You are helpful."}},{{"role":"user","content":"{text}"}}]}}"#
        )
    };
    let frame = with("").len();
    with(&"x".repeat(bytes.saturating_sub(frame))).into()
}

/// Sends `n` requests over [`CONNECTIONS`] connections, one after the other on each, and on each one per `every` if
/// that is given. Panics if one fails.
async fn load(to: SocketAddr, body: &Bytes, n: usize, every: Option<Duration>) {
    let mut tasks = JoinSet::new();
    let mut clients = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let mut sender = connect::<Full<Bytes>>(to, &mut tasks).await;
        let body = body.clone();
        clients.spawn(async move {
            let mut tick = every.map(tokio::time::interval);
            for _ in 0..n / CONNECTIONS {
                if let Some(tick) = &mut tick {
                    tick.tick().await;
                }
                let request = Request::post("/v1/chat/completions")
                    .header("host", "bench")
                    .header("content-type", "application/json")
                    .header("authorization", "Bearer sk-client-key-0123456789")
                    .body(Full::new(body.clone()))
                    .unwrap();
                sender.ready().await.unwrap();
                let response = sender.send_request(request).await.unwrap();
                assert!(response.status().is_success(), "{}", response.status());
                let mut body = response.into_body();
                let mut read = 0;
                while let Some(frame) = body.frame().await {
                    read += frame.unwrap().into_data().map_or(0, |d| d.len());
                }
                assert!(read > 0);
            }
        });
    }
    while let Some(done) = clients.join_next().await {
        done.unwrap();
    }
}

/// CPU microseconds per request of `process` for `n` requests.
async fn cost(process: &Process, body: &Bytes, n: usize, every: Option<Duration>) -> f64 {
    load(process.addr, body, n / 10, None).await; // connections, caches
    let before = process.cpu();
    load(process.addr, body, n, every).await;
    #[expect(clippy::cast_precision_loss, reason = "a measurement")]
    let micros = (process.cpu() - before) as f64 / 1000.0 / n as f64;
    micros
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn waypost_binary() -> PathBuf {
    let exe = std::env::current_exe().unwrap();
    let path = exe.parent().unwrap().parent().unwrap().join("waypost");
    assert!(
        path.exists(),
        "{} is missing: cargo build --release --locked",
        path.display()
    );
    path
}

/// A configuration over two equal deployments: with a client key, limits and prices, or just as a user begins.
fn configuration(upstream: SocketAddr, everything: bool) -> tempfile::NamedTempFile {
    let file = tempfile::Builder::new().suffix(".yml").tempfile().unwrap();
    let (limits, keys) = if everything {
        (
            ", api_key: '${BENCH_KEY:-sk-upstream-key}', rpm: 100000000, tpm: 100000000000, \
             input_cost_per_token: 0.0000025, output_cost_per_token: 0.00001",
            "waypost:\n  keys: [{name: bench, key: sk-client-key-0123456789}]\n",
        )
    } else {
        ("", "")
    };
    let model = |name: &str| {
        format!(
            "      - {{provider: self-hosted, model: {name}, api_base: 'http://{upstream}/v1'{limits}}}\n"
        )
    };
    let text = format!(
        "model_groups:\n  - id: bench\n    models:\n{}{}    router: {{routing_strategy: least-busy}}\n{keys}",
        model("one"),
        model("two")
    );
    std::fs::write(file.path(), text).unwrap();
    file
}

async fn measure() {
    let exe = std::env::current_exe().unwrap();
    println!(
        "waypost {}: CPU per request over the floor; {CONNECTIONS} connections, {ROUNDS} rounds in turn, both proxies on core 0",
        env!("CARGO_PKG_VERSION")
    );
    println!(
        "| exchange | floor, µs | waypost, µs | ratio (median) | lowest | highest |\n|---|---|---|---|---|---|"
    );
    // At a fixed rate both proxies meet the same machine: in a closed loop the faster one keeps the load's core awake,
    // and the slower one pays for waking it with each answer.
    let paced = Some(Duration::from_millis(4)); // 16 connections: 4,000 requests a second
    for (name, kind, bytes, requests, every, everything) in [
        (
            "1 KB request, 1 KB answer, 4,000/s",
            "1024",
            1024,
            REQUESTS,
            paced,
            true,
        ),
        (
            "1 KB request, 1 KB answer, closed loop, no key, limits or prices",
            "1024",
            1024,
            REQUESTS,
            None,
            false,
        ),
        (
            "1 KB request, 1 KB answer, closed loop",
            "1024",
            1024,
            REQUESTS,
            None,
            true,
        ),
        (
            "32 KB request, 1 KB answer, closed loop",
            "1024",
            32 * 1024,
            REQUESTS / 2,
            None,
            true,
        ),
        (
            "1 KB request, 100 chunks at once, closed loop",
            "stream",
            1024,
            REQUESTS / 10,
            None,
            true,
        ),
    ] {
        let upstream = Process::start("1", &exe, &["upstream", kind]);
        let floor = Process::start("0", &exe, &["floor", &upstream.addr.to_string()]);
        let file = configuration(upstream.addr, everything);
        let waypost = Process::waypost(file.path());
        let body = request_body(bytes, kind == "stream");
        let (mut floors, mut ours, mut ratios) = (vec![], vec![], vec![]);
        for _ in 0..ROUNDS {
            let f = cost(&floor, &body, requests, every).await;
            let w = cost(&waypost, &body, requests, every).await;
            floors.push(f);
            ours.push(w);
            ratios.push(w / f);
        }
        let ratio = median(&mut ratios);
        println!(
            "| {name} | {:.1} | {:.1} | {ratio:.2} | {:.2} | {:.2} |",
            median(&mut floors),
            median(&mut ours),
            ratios[0],
            ratios[ratios.len() - 1]
        );
    }
    start_and_memory(&exe).await;
}

async fn start_and_memory(exe: &Path) {
    let upstream = Process::start("1", exe, &["upstream", "1024"]);
    let file = configuration(upstream.addr, true);
    let mut starts = vec![];
    let mut idle = 0.0;
    let mut after = 0.0;
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let waypost = Process::waypost(file.path());
        idle = waypost.resident_mib();
        load(waypost.addr, &request_body(1024, false), CONNECTIONS, None).await;
        starts.push(began.elapsed().as_secs_f64() * 1000.0);
        load(waypost.addr, &request_body(1024, false), REQUESTS / 4, None).await;
        after = waypost.resident_mib();
    }
    #[expect(clippy::cast_precision_loss, reason = "a measurement")]
    let size = std::fs::metadata(waypost_binary()).unwrap().len() as f64 / 1e6;
    println!(
        "\nstart to the first {CONNECTIONS} answers: {:.0} ms (median, process start included)",
        median(&mut starts)
    );
    println!(
        "resident: {idle:.1} MiB idle, {after:.1} MiB after {} requests over {CONNECTIONS} connections",
        REQUESTS / 4
    );
    println!("binary: {size:.1} MB");
}
