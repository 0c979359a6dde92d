//! `waypost explain`: where a request would go, and why, from a file's cold start or from a running gateway.
//!
//! A running gateway answers with the same JSON as the one that is built here from the file, so that both are printed by
//! the same code.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use serde_json::Value;

use super::config_file::ConfigFile;
use super::table;
use crate::api::App;
use crate::gateway::Deps;
use crate::types::Operation;

/// Show where a request would go, and why.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    config: ConfigFile,
    /// The request's JSON body; `-` reads it from standard input
    #[arg(long, short, value_name = "FILE")]
    request: PathBuf,
    /// Ask the gateway that runs there, with all it knows by now, and not one that has just started with the file
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// One of the gateway's keys; with a file, its rights are looked at only if it is given
    #[arg(long, env = "WAYPOST_KEY", hide_env_values = true, value_name = "KEY")]
    key: Option<String>,
    /// What the request is [default: told from its members]
    #[arg(long, value_parser = operation)]
    operation: Option<Operation>,
    /// A header of the request; may be given several times
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<(String, String)>,
    /// Print the JSON
    #[arg(long)]
    json: bool,
}

fn operation(text: &str) -> Result<Operation, String> {
    let known = Operation::ALL.into_iter().find(|o| {
        [o.name(), o.path()].contains(&text.trim_start_matches('/').trim_start_matches("v1/"))
    });
    known.ok_or_else(|| "chat, completions or embeddings".to_owned())
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("NAME: VALUE")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

/// Explains; the exit code is 1 if the request would be refused.
///
/// # Errors
/// If a file can't be read or the gateway does not answer.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let body = read(&args.request)?;
    let operation = args.operation.unwrap_or_else(|| told_from(&body));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (status, text) = runtime.block_on(async {
        match &args.url {
            Some(url) => ask(args, url, operation, body).await,
            None => cold(args, operation, body).await,
        }
    })?;
    let answer: Value = serde_json::from_str(&text)
        .with_context(|| format!("the answer ({status}) is not JSON; is a Waypost there?"))?;
    let mut out = anstream::stdout().lock();
    if args.json {
        writeln!(out, "{}", text.trim_end())?;
    } else if status == 200 {
        write!(out, "{}", told(&answer)?)?;
    } else {
        let message = answer["error"]["message"].as_str().unwrap_or(&text);
        writeln!(out, "refused with {status}: {message}")?;
    }
    let goes = status == 200 && answer["outcome"] != "refused";
    Ok(if goes {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    let mut body = Vec::new();
    if file == Path::new("-") {
        std::io::stdin().read_to_end(&mut body)?;
    } else {
        body = std::fs::read(file).with_context(|| format!("can't read {}", file.display()))?;
    }
    Ok(body)
}

/// Each operation has one member that no other one has.
fn told_from(body: &[u8]) -> Operation {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    match &body {
        body if body.get("messages").is_some() => Operation::Chat,
        body if body.get("input").is_some() => Operation::Embeddings,
        body if body.get("prompt").is_some() => Operation::Completions,
        _ => Operation::Chat,
    }
}

/// As a gateway would answer that has just started. No port is opened and nobody is asked, for a token neither.
async fn cold(args: &Args, operation: Operation, body: Vec<u8>) -> anyhow::Result<(u16, String)> {
    let Some(mut config) = args.config.load() else {
        bail!("{} can't be served", args.config.path.display());
    };
    // Nothing is to be written down, and a gateway at work may have it open.
    config.settings.ledger = None;
    let app = App::build(&config, Deps::new(None))?;
    let (status, body) = app
        .explain(operation, &args.headers, args.key.as_deref(), body.into())
        .await?;
    Ok((status.as_u16(), String::from_utf8_lossy(&body).into_owned()))
}

/// As the gateway at `url` would.
async fn ask(
    args: &Args,
    url: &str,
    operation: Operation,
    body: Vec<u8>,
) -> anyhow::Result<(u16, String)> {
    let base = url.trim_end_matches('/').trim_end_matches("/v1");
    let url = format!("{base}/v1/{}?dry_run=1", operation.path());
    let mut request = reqwest::Client::builder()
        .build()?
        .post(&url)
        .header("content-type", "application/json")
        .body(body);
    for (name, value) in &args.headers {
        request = request.header(name, value);
    }
    if let Some(key) = &args.key {
        request = request.bearer_auth(key);
    }
    let answer = request
        .send()
        .await
        .with_context(|| format!("{base} gave no answer"))?;
    let status = answer.status().as_u16();
    Ok((status, answer.text().await?))
}

/// An explanation in words and tables.
fn told(answer: &Value) -> anyhow::Result<String> {
    let mut out = String::new();
    let word = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    writeln!(
        out,
        "{} for `{}`: about {} tokens in, up to {} out{}",
        word(&answer["operation"]),
        word(&answer["model"]),
        answer["tokens"]["input"],
        answer["tokens"]["output"],
        if answer["stream"] == true {
            ", as a stream"
        } else {
            ""
        }
    )?;
    writeln!(out, "cache: {}", word(&answer["cache"]))?;
    let attempts = std::iter::once(&answer["chosen"])
        .filter(|chosen| chosen.is_object())
        .chain(answer["next"].as_array().into_iter().flatten());
    for group in answer["groups"].as_array().into_iter().flatten() {
        writeln!(out)?;
        self::group(&mut out, group)?;
    }
    writeln!(out)?;
    match answer["outcome"].as_str() {
        Some("cached") => writeln!(out, "The answer comes from the cache.")?,
        Some("queue") => writeln!(
            out,
            "The request waits in line for a place, and is refused if none is free in time."
        )?,
        Some("refused") => writeln!(out, "The request is refused: no deployment can take it.")?,
        _ => {
            writeln!(out, "attempts, each one if the ones before fail")?;
            let rows = (1..).zip(attempts).map(|(n, attempt)| row(n, attempt));
            out += &table::of(&rows.collect::<Vec<_>>());
        }
    }
    Ok(out)
}

fn row(n: usize, attempt: &Value) -> Vec<String> {
    let word = |name: &str| attempt[name].as_str().unwrap_or("?").to_owned();
    let mut how = word("by").replace('_', " ");
    if attempt["again"] == true {
        how += ", again";
    }
    let wait = attempt["wait_seconds"].as_f64().unwrap_or(0.0);
    if wait > 0.0 {
        how += &format!(", after about {wait:.1} s");
    }
    vec![format!("{n}."), word("group"), word("deployment"), how]
}

/// One group: how the request comes there, and its deployments with their numbers.
fn group(out: &mut String, group: &Value) -> anyhow::Result<()> {
    let word = |name: &str| group[name].as_str().unwrap_or("?").to_owned();
    let names = |list: &Value| -> Vec<String> {
        let names = list.as_array().into_iter().flatten();
        names.filter_map(|n| Some(n.as_str()?.to_owned())).collect()
    };
    let compares = names(&group["compares"]);
    writeln!(
        out,
        "group `{}` (by {}), {} by {}, {} at most",
        word("group"),
        word("found_by").replace('_', " "),
        word("strategy"),
        compares.join(", "),
        super::in_force::plural(
            usize::try_from(group["attempts"].as_u64().unwrap_or(0))?,
            "attempt"
        ),
    )?;
    if let Some(mocked) = group["mocked"].as_str() {
        writeln!(out, "  not asked: `{mocked}` makes up its failure")?;
    }
    let line = &group["queue"];
    if let (Some(wait), Some(ahead)) = (line["max_wait_seconds"].as_f64(), line["ahead"].as_u64()) {
        writeln!(
            out,
            "  full: waits up to {wait:.1} s for a place, with {ahead} ahead"
        )?;
    }
    let deployments: Vec<&Value> = group["deployments"]
        .as_array()
        .into_iter()
        .flatten()
        .collect();
    // What was compared, and of the rest what says anything.
    let mut columns = compares;
    let told = |name: &str| {
        let says = |d: &&Value| !matches!(d["numbers"][name].as_f64(), None | Some(0.0));
        deployments.iter().any(says)
    };
    let all = deployments.first().and_then(|d| d["numbers"].as_object());
    for name in all.into_iter().flat_map(serde_json::Map::keys) {
        if !columns.contains(name) && told(name) {
            columns.push(name.clone());
        }
    }
    let ordered = deployments.iter().any(|d| !d["order"].is_null());
    let mut head = vec![String::new(), "deployment".to_owned(), String::new()];
    head.extend(ordered.then(|| "order".to_owned()));
    head.extend(columns.iter().map(|name| name.replace('_', " ")));
    let mut rows = vec![head];
    for deployment in &deployments {
        let chosen = group["chosen"]["deployment"] == deployment["deployment"];
        let mut row = vec![
            if chosen { "→" } else { "" }.to_owned(),
            deployment["deployment"].as_str().unwrap_or("?").to_owned(),
            verdict(deployment),
        ];
        row.extend(ordered.then(|| cell(&deployment["order"])));
        row.extend(
            columns
                .iter()
                .map(|name| cell(&deployment["numbers"][name])),
        );
        rows.push(row);
    }
    *out += &table::of(&rows);
    for deployment in deployments {
        if let Some(message) = deployment["reason"]["message"].as_str() {
            writeln!(out, "  {}: {message}", cell(&deployment["deployment"]))?;
        }
    }
    Ok(())
}

/// `kept`, or the reason with what belongs to it.
fn verdict(deployment: &Value) -> String {
    let reason = &deployment["reason"];
    let Some(kind) = reason["kind"].as_str() else {
        let probe = deployment["probe"] == true;
        return if probe { "kept, as a probe" } else { "kept" }.to_owned();
    };
    let mut text = kind.replace('_', " ");
    let mut between = ": ";
    for (name, value) in reason.as_object().into_iter().flatten() {
        match (name.as_str(), value.as_f64()) {
            ("kind" | "back_in_seconds" | "message", _) => continue,
            ("cause" | "param", _) => text += &format!("{between}{}", cell(value)),
            _ => text += &format!("{between}{} {}", name.replace('_', " "), cell(value)),
        }
        between = ", ";
    }
    if let Some(back_in) = reason["back_in_seconds"].as_f64() {
        text += &format!("{between}back in {back_in:.1} s");
    }
    text
}

/// A value as short as can be.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_f64() => {
            let text = format!("{:.6}", number.as_f64().unwrap_or(0.0));
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        other => other.to_string(),
    }
}
