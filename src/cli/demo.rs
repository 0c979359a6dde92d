//! `waypost demo`: three simulated deployments, a gateway over them, some traffic, and a live view of what happens.
//!
//! One deployment is slow, one is rate limited from time to time, one is down for a while. The view shows how requests
//! spread, cool down and recover; meanwhile the printed commands work against the same gateway.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, anyhow};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::shutdown::Signals;
use crate::api::listen::Server;
use crate::api::{App, Workers};
use crate::config;
use crate::gateway::Deps;
use crate::lab::{Lab, Script};
use crate::router::cooldown::Readiness;
use crate::telemetry::{self, LogFormat};

/// The simulated deployments and what happens to them.
const SCRIPT: &str = include_str!("demo.yml");
/// The model group the demo serves.
const GROUP: &str = "demo";
/// Requests of the demo's own traffic per second.
const RATE: u64 = 8;

/// How to run the demo.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Port to listen on; if it is taken, a free one.
    #[arg(long, env = "WAYPOST_PORT", default_value_t = 4000)]
    port: u16,
    /// Stop by itself after this many seconds.
    #[arg(long = "for", value_name = "SECONDS")]
    seconds: Option<u64>,
    /// Without traffic of its own.
    #[arg(long)]
    quiet: bool,
    /// How to pick deployments.
    #[arg(long, default_value = "least-busy", value_parser = ["simple-shuffle", "least-busy", "latency-based-routing", "cost-based-routing", "usage-based-routing"])]
    strategy: String,
}

/// Runs the command.
///
/// # Errors
/// If no port can be had.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    telemetry::init(LogFormat::Text, "error");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let result = runtime.block_on(demo(args));
    runtime.shutdown_background();
    result.map(|()| ExitCode::SUCCESS)
}

async fn demo(args: &Args) -> anyhow::Result<()> {
    let mut signals = Signals::new()?;
    let script = Script::parse(SCRIPT).map_err(|e| anyhow!("the built-in script is wrong: {e}"))?;
    let lab = Lab::start(&script)?;
    let app = app(&lab, &args.strategy)?;
    let listener = match TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, args.port))).await
    {
        Ok(listener) => listener,
        Err(_) => TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
            .await
            .context("no port to listen on")?,
    };
    let server = Server::start(listener, app.routes(), Arc::new(Workers::here()))?;
    anstream::print!("{}", introduction(&lab, server.addr(), &args.strategy));
    let tally = Arc::new(Tally::default());
    let traffic = TaskTracker::new();
    let url = format!("http://{}/v1/chat/completions", server.addr());
    let view = view(&app, &lab, &tally, !args.quiet);
    let end = async {
        match args.seconds {
            Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
            None => std::future::pending().await,
        }
    };
    let own = async {
        if args.quiet {
            std::future::pending().await
        } else {
            drive(&url, &tally, &traffic).await
        }
    };
    tokio::select! {
        () = view => {}
        () = own => {}
        () = end => {}
        _ = signals.next() => {}
    }
    let (sent, failed) = (
        tally.sent.load(Ordering::Relaxed),
        tally.failed.load(Ordering::Relaxed),
    );
    if sent > 0 {
        anstream::println!(
            "\n{sent} requests of the demo's own, {failed} of them failed for the client"
        );
    }
    server.stop(Duration::from_secs(1)).await;
    lab.stop().await;
    Ok(())
}

fn app(lab: &Lab, strategy: &str) -> anyhow::Result<Arc<App>> {
    let mut text = format!("model_groups:\n  - id: {GROUP}\n    models:\n");
    for deployment in lab.deployments() {
        let (name, url) = (deployment.name(), deployment.base_url());
        write!(
            text,
            "      - provider: self-hosted\n        model: {name}\n        api_base: {url}\n        input_cost_per_token: 0.000001\n        output_cost_per_token: 0.000002\n"
        )?;
    }
    write!(
        text,
        "    router:\n      routing_strategy: {strategy}\n      cooldown_time: 4\n      num_retries: 3\n"
    )?;
    let loaded = config::load_str("the demo's configuration", &text, &|_| None, false);
    let (config, _) = loaded.map_err(|findings| {
        anyhow!(
            "{}",
            findings
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("\n")
        )
    })?;
    Ok(App::build(&config, Deps::new(None))?)
}

fn introduction(lab: &Lab, addr: SocketAddr, strategy: &str) -> String {
    let names: Vec<&str> = lab.deployments().iter().map(|d| d.name()).collect();
    format!(
        "waypost demo: one endpoint, model group `{GROUP}`, {strategy} over simulated deployments {names}.\n\
         Ask it yourself, while it runs:\n\n\
         curl -N http://{addr}/v1/chat/completions -H 'content-type: application/json' \\\n  \
           -d '{{\"model\":\"{GROUP}\",\"stream\":true,\"messages\":[{{\"role\":\"user\",\"content\":\"hello\"}}]}}'\n\n\
         python3 - <<'EOF'\n\
         import json, urllib.request\n\
         body = {{\"model\": \"{GROUP}\", \"messages\": [{{\"role\": \"user\", \"content\": \"hello\"}}]}}\n\
         request = urllib.request.Request(\"http://{addr}/v1/chat/completions\", json.dumps(body).encode(), {{\"content-type\": \"application/json\"}})\n\
         with urllib.request.urlopen(request) as answer:\n    \
             print(answer.headers[\"x-waypost-deployment\"], json.load(answer)[\"choices\"][0][\"message\"][\"content\"])\n\
         EOF\n\n\
         With the OpenAI SDK: OpenAI(base_url=\"http://{addr}/v1\", api_key=\"any\"). Metrics: http://{addr}/metrics\n\
         Ctrl-C ends it.\n\n",
        names = names.join(", "),
    )
}

/// What the demo's own clients saw.
#[derive(Debug, Default)]
struct Tally {
    sent: AtomicU64,
    failed: AtomicU64,
}

/// Sends requests, half of them streams, until dropped.
async fn drive(url: &str, tally: &Arc<Tally>, tasks: &TaskTracker) {
    let client = reqwest::Client::builder()
        .no_proxy()
        .build()
        .unwrap_or_default();
    let mut tick = tokio::time::interval(Duration::from_millis(1000 / RATE));
    for n in 0u64.. {
        tick.tick().await;
        let stream = n.is_multiple_of(2);
        let body = format!(
            r#"{{"model":"{GROUP}","stream":{stream},"messages":[{{"role":"user","content":"request {n}"}}]}}"#
        );
        let request = client
            .post(url)
            .header("content-type", "application/json")
            .body(body);
        let tally = Arc::clone(tally);
        tasks.spawn(async move {
            tally.sent.fetch_add(1, Ordering::Relaxed);
            let fine = match request.send().await {
                Ok(answer) if answer.status().is_success() => {
                    answer.text().await.is_ok_and(|t| !t.contains("\"error\""))
                }
                _ => false,
            };
            tally.failed.fetch_add(u64::from(!fine), Ordering::Relaxed);
        });
    }
}

/// Draws the state twice a second in place on a terminal, or as a line every two seconds elsewhere. Never ends.
async fn view(app: &App, lab: &Lab, tally: &Tally, traffic: bool) {
    let terminal = std::io::stdout().is_terminal();
    let began = Instant::now();
    let mut tick = tokio::time::interval(Duration::from_millis(if terminal { 500 } else { 2000 }));
    let mut drawn = 0;
    loop {
        tick.tick().await;
        let mut text = String::new();
        if terminal {
            if drawn > 0 {
                let _ = write!(text, "\x1b[{drawn}A");
            }
            let table = table(app, lab, tally, traffic, began.elapsed());
            drawn = table.lines().count();
            for line in table.lines() {
                let _ = writeln!(text, "\x1b[2K{line}");
            }
        } else {
            text = line(app, lab, tally, began.elapsed());
        }
        anstream::print!("{text}");
        let _ = anstream::stdout().flush();
    }
}

/// A deployment's state in a word or two.
fn state(readiness: Readiness, now: Instant) -> String {
    match readiness {
        Readiness::Ready => "ready".to_owned(),
        Readiness::Probe => "cooled, to be probed".to_owned(),
        Readiness::Probing => "probing".to_owned(),
        Readiness::Cooling { until, cause } => format!(
            "cooling {:.1} s ({})",
            (until - now).as_secs_f64(),
            cause.name()
        ),
    }
}

fn table(app: &App, lab: &Lab, tally: &Tally, traffic: bool, at: Duration) -> String {
    let mut text = format!(
        "{:<10} {:<28} {:>9} {:>9} {:>8}  {}\n",
        "deployment", "state", "in flight", "requests", "tokens", "what the lab does to it"
    );
    let now = Instant::now();
    for (deployment, simulated) in deployments(app).iter().zip(lab.deployments()) {
        let scores = &deployment.scores;
        let stats = simulated.stats();
        let behaviour = simulated.behaviour();
        let fault = behaviour
            .fault
            .as_ref()
            .map_or_else(|| "answers".to_owned(), |f| format!("{f:?}"));
        let fault: String = fault.chars().take(40).collect();
        let state = state(scores.readiness(now), now);
        let _ = writeln!(
            text,
            "{:<10} {state:<28} {:>9} {:>9} {:>8}  {fault}",
            simulated.name(),
            scores.in_flight(),
            stats.requests,
            scores.total_tokens()
        );
    }
    if traffic {
        let (sent, failed) = (
            tally.sent.load(Ordering::Relaxed),
            tally.failed.load(Ordering::Relaxed),
        );
        let _ = writeln!(
            text,
            "after {:.0} s: {sent} requests sent by the demo, {failed} failed for the client",
            at.as_secs_f64()
        );
    }
    text
}

fn line(app: &App, lab: &Lab, tally: &Tally, at: Duration) -> String {
    let now = Instant::now();
    let states: Vec<String> = deployments(app)
        .iter()
        .zip(lab.deployments())
        .map(|(d, s)| {
            format!(
                "{} {} requests, {}",
                s.name(),
                s.stats().requests,
                state(d.scores.readiness(now), now)
            )
        })
        .collect();
    let (sent, failed) = (
        tally.sent.load(Ordering::Relaxed),
        tally.failed.load(Ordering::Relaxed),
    );
    format!(
        "{:>4.0} s: {}; {sent} sent, {failed} failed for the client\n",
        at.as_secs_f64(),
        states.join("; ")
    )
}

fn deployments(app: &App) -> &[Arc<crate::router::Deployment>] {
    app.gateway()
        .snapshot()
        .group(GROUP)
        .map_or(&[], |g| g.router.deployments())
}
