//! `waypost serve`: a configuration file, served until told to stop.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::net::TcpListener;

use super::config_file::ConfigFile;
use super::shutdown::Signals;
use crate::access_log::AccessLog;
use crate::api::listen::Server;
use crate::api::{App, Workers};
use crate::config::Config;
use crate::gateway::Deps;
use crate::telemetry::{self, LogFormat};

/// Where and what to serve.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    config: ConfigFile,
    /// Address to listen on [default: the file's, else 127.0.0.1].
    #[arg(long, env = "WAYPOST_HOST")]
    host: Option<IpAddr>,
    /// Port to listen on; 0 takes a free one [default: the file's, else 4000].
    #[arg(long, env = "WAYPOST_PORT")]
    port: Option<Port>,
    /// Threads that serve, each with connections of its own [default: one per core].
    #[arg(long, env = "WAYPOST_THREADS", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Serve without client keys on an address that others can reach.
    #[arg(long)]
    anonymous: bool,
    /// After a signal, keep accepting this long while not ready any more, so that load balancers notice [default: the file's].
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    drain_delay: Option<Duration>,
    /// Then let open requests go on at most this long [default: the file's].
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    drain_timeout: Option<Duration>,
    /// How to write logs.
    #[arg(long, value_enum, default_value_t)]
    log_format: LogFormat,
    /// No line per request.
    #[arg(long)]
    no_access_log: bool,
}

/// A port. Kubernetes sets `WAYPOST_PORT=tcp://10.0.0.1:4000` in every pod beside a Service called `waypost`; that is about
/// the Service, not about us, and counts as not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Port(Option<u16>);

impl FromStr for Port {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with("tcp://") {
            return Ok(Self(None));
        }
        text.parse()
            .map(|port| Self(Some(port)))
            .map_err(|_| "a port is a number from 0 to 65535".to_owned())
    }
}

/// `5`, `5s`, `500ms`, `2m`
fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = text.split_at(
        text.find(|c: char| c.is_ascii_alphabetic())
            .unwrap_or(text.len()),
    );
    let number: f64 = number
        .parse()
        .map_err(|_| "a number of seconds, or one with ms, s or m".to_owned())?;
    let seconds = match unit {
        "" | "s" => number,
        "ms" => number / 1000.0,
        "m" => number * 60.0,
        _ => return Err(format!("`{unit}` is no unit; use ms, s or m")),
    };
    Duration::try_from_secs_f64(seconds).map_err(|e| e.to_string())
}

/// Runs the command.
///
/// # Errors
/// If the configuration is wrong or the port can't be had.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    telemetry::init(args.log_format, "info");
    let Some(config) = args.config.load() else {
        if !args.config.path.exists() {
            anstream::eprintln!(
                "waypost: name a file with --config FILE; `waypost demo` runs without one"
            );
        }
        return Ok(ExitCode::FAILURE);
    };
    let host = args
        .host
        .or(config.settings.host)
        .unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let port = args
        .port
        .and_then(|p| p.0)
        .or(config.settings.port)
        .unwrap_or(4000);
    if !host.is_loopback()
        && config.settings.keys.is_empty()
        && !args.anonymous
        && !config.settings.anonymous
    {
        bail!(
            "{host} can be reached by others, and no client keys are configured, so anybody could spend your accounts' money.\n\
             Add keys to {file}:\n\n  waypost:\n    keys:\n      - name: my-app\n        key: ${{MY_APP_KEY}}\n\n\
             or say that it is meant: --anonymous, or `anonymous: true` under `waypost:`.",
            file = args.config.path.display()
        );
    }
    let threads = args.threads.map_or_else(cores, usize::from);
    // A single thread both accepts and serves; several are fed by this one.
    let workers = Arc::new(match threads {
        1 => Workers::here(),
        _ => Workers::threads(threads)?,
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let served = serve(args, &config, SocketAddr::new(host, port), workers);
    let code = runtime.block_on(served)?;
    // Whatever is left is a stream that outlived the drain, or a second signal's.
    runtime.shutdown_background();
    Ok(code)
}

/// Those this process may use.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

async fn serve(
    args: &Args,
    config: &Config,
    addr: SocketAddr,
    workers: Arc<Workers>,
) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::new()?;
    let mut deps = Deps::new(None);
    if !args.no_access_log {
        deps.access_log = Some(Arc::new(AccessLog::new(
            args.log_format,
            Box::new(std::io::stderr()),
        )));
    }
    let log = deps.access_log.clone();
    let app = App::build(config, deps)?;
    let listener = TcpListener::bind(addr)
        .await
        .with_context(|| format!("can't listen on {addr}"))?;
    let server = Server::start(listener, app.routes(), workers)?;
    let admin = match config.settings.admin {
        None => None,
        Some(addr) => {
            let listener = TcpListener::bind(addr)
                .await
                .with_context(|| format!("can't listen on {addr} (waypost: admin)"))?;
            let here = Arc::new(Workers::here());
            Some(Server::start(listener, app.admin_routes(), here)?)
        }
    };
    anstream::print!(
        "{}",
        banner(config, server.addr(), admin.as_ref().map(Server::addr))
    );
    let delay = args.drain_delay.unwrap_or(config.settings.drain_delay);
    let limit = args.drain_timeout.unwrap_or(config.settings.drain_timeout);
    // One and the same from the beginning to the end: what it has connected to stays connected.
    let mut beside = Box::pin(beside(&app));
    let signal = tokio::select! {
        signal = signals.next() => signal,
        () = &mut beside => return Ok(ExitCode::FAILURE), // it never ends
    };
    tracing::info!(
        "{signal}: not ready from now on; accepting {delay:?} more, then finishing within {limit:?}"
    );
    app.drain();
    let all_done = tokio::select! {
        done = drain(server, admin, delay, limit) => done,
        () = &mut beside => false,
        signal = signals.next() => {
            tracing::warn!("{signal} again: stopping at once");
            return Ok(ExitCode::FAILURE);
        }
    };
    // What it was in the midst of must not hold up the last of it.
    drop(beside);
    app.gateway().finish().await;
    if let Some(log) = &log {
        log.flush();
    }
    if all_done {
        tracing::info!("all requests are done");
    } else {
        tracing::warn!("some requests were still open after {limit:?} and are cut");
    }
    Ok(ExitCode::SUCCESS)
}

/// What goes on beside requests.
async fn beside(app: &App) {
    tokio::join!(tidy_often(app), app.gateway().background());
}

/// Writes the access lines that wait, and closes upstream connections that nobody uses, a few times a second.
async fn tidy_often(app: &App) {
    let deps = app.gateway().deps();
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    loop {
        tick.tick().await;
        deps.upstream.sweep();
        if let Some(log) = &deps.access_log {
            log.flush();
        }
    }
}

async fn drain(server: Server, admin: Option<Server>, delay: Duration, limit: Duration) -> bool {
    tokio::time::sleep(delay).await;
    let done = server.stop(limit).await;
    // Last, so that liveness and metrics can be asked while streams finish.
    if let Some(admin) = admin {
        admin.stop(Duration::from_secs(1)).await;
    }
    done
}

/// What is served, and where.
fn banner(config: &Config, addr: SocketAddr, admin: Option<SocketAddr>) -> String {
    let mut text = format!(
        "waypost {} serves {}\n",
        env!("CARGO_PKG_VERSION"),
        config.file.display()
    );
    let width = config.groups.iter().map(|g| g.id.len()).max().unwrap_or(0);
    for group in &config.groups {
        let ids: Vec<Arc<str>> = group
            .deployments
            .iter()
            .map(|d| Arc::clone(&d.target.id))
            .collect();
        let cache = if group.router.cache.is_some() {
            ", cached"
        } else {
            ""
        };
        // Writing to a String does not fail.
        let _ = writeln!(
            text,
            "  {:width$}  {}{cache}: {}",
            group.id,
            group.router.strategy.name(),
            ids.join(", ")
        );
    }
    let keys = config.settings.keys.len();
    let who = if keys == 0 {
        "any API key is accepted".to_owned()
    } else {
        format!("{keys} client key(s)")
    };
    let _ = writeln!(
        text,
        "  {who}; limits: docs/configuration.md; what is in force: waypost check"
    );
    if let Some(admin) = admin {
        let _ = writeln!(text, "metrics on http://{admin}/metrics");
    }
    let _ = writeln!(text, "listening on http://{addr}");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports() {
        assert_eq!("4000".parse(), Ok(Port(Some(4000))));
        assert_eq!("tcp://10.0.0.1:4000".parse(), Ok(Port(None)));
        assert!("70000".parse::<Port>().is_err() && "http".parse::<Port>().is_err());
    }

    #[test]
    fn durations() {
        assert_eq!(duration("5"), Ok(Duration::from_secs(5)));
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        for bad in ["", "s", "5 h", "-1"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
