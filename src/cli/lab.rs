//! `waypost lab`: the lab as a program, for curl, for tests in other languages, and for trying things out.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

use crate::lab::{Handle, Lab, Script, endpoints_yaml};

/// Run simulated LLM deployments on loopback, healthy or failing as scripted
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The deployments, their behaviour and what changes when (YAML); without it three chat deployments (fast, slow,
    /// flaky) and one for embeddings
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,

    /// The port for control over HTTP; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    control_port: u16,

    /// Also write an endpoints.yml that uses the deployments
    #[arg(long, value_name = "FILE")]
    write_endpoints: Option<PathBuf>,

    /// Print one line of JSON with all URLs, and nothing else
    #[arg(long)]
    json: bool,
}

/// Runs the lab until SIGINT or SIGTERM.
///
/// # Errors
/// If the script is no good, a port cannot be had, or a file cannot be written.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let script = match &args.script {
        Some(path) => Script::load(path)?,
        None => Script::default_lab(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve(args, &script))
}

async fn serve(args: &Args, script: &Script) -> anyhow::Result<ExitCode> {
    // Before anything is printed: whoever reads the output may stop us at once.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;

    let lab = Lab::start(script).context("the lab cannot start")?;
    let control = format!(
        "http://{}/lab",
        lab.control(args.control_port)
            .context("the lab cannot start")?
    );
    let endpoints = endpoints_yaml(lab.deployments());
    if let Some(path) = &args.write_endpoints {
        std::fs::write(path, &endpoints)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    let text = if args.json {
        machine_readable(lab.deployments(), &control, &endpoints).to_string() + "\n"
    } else {
        readable(lab.deployments(), &control, &endpoints)
    };
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()?;
    drop(stdout);

    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    lab.stop().await;
    Ok(ExitCode::SUCCESS)
}

fn machine_readable(handles: &[Handle], control: &str, endpoints: &str) -> Value {
    let deployments: Vec<Value> = handles
        .iter()
        .map(|handle| {
            let scripted = handle.scripted();
            json!({
                "name": scripted.name,
                "base_url": handle.base_url(),
                "root_url": handle.root_url(),
                "model": scripted.model,
                "group": scripted.group,
                "provider": scripted.provider,
            })
        })
        .collect();
    json!({"control": control, "deployments": deployments, "endpoints": endpoints})
}

fn readable(handles: &[Handle], control: &str, endpoints: &str) -> String {
    let longest = handles
        .iter()
        .map(|handle| handle.name().len())
        .max()
        .unwrap_or(0);
    let mut text = String::from("Simulated deployments:\n");
    for handle in handles {
        let (name, scripted) = (handle.name(), handle.scripted());
        text += &format!(
            "  {name:longest$}  {}  {} in group {}\n",
            handle.base_url(),
            scripted.model,
            scripted.group
        );
    }
    let first = handles.first().map_or("", Handle::name);
    text += &format!(
        "\nControl: {control}\n  curl {control}\n  curl -X PUT {control}/deployments/{first} -d '{{\"fault\": \
         {{\"rate_limit\": {{\"retry_after\": \"5s\"}}}}}}'\n  curl -X POST {control}/deployments/{first}/reset\n\n\
         An endpoints.yml for them:\n\n"
    );
    text + endpoints + "\nCtrl-C ends it.\n"
}
