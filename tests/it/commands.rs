//! The compiled command: what it says, what it refuses, and how it exits.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::process::{Process, run};
use crate::support::wire::{Wire, get};

fn write(folder: &Path, text: &str) -> String {
    let file = folder.join("endpoints.yml");
    std::fs::write(&file, text).expect("written");
    file.display().to_string()
}

fn one_group(more: &str) -> String {
    format!(
        "model_groups:\n  - id: small\n    models:\n      - provider: self-hosted\n        model: m\n        \
         api_base: http://127.0.0.1:1/v1\n{more}"
    )
}

#[tokio::test]
async fn serve_says_what_it_serves_and_where() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = one_group(
        "  - id: large-group\n    models:\n      - provider: self-hosted\n        model: n\n        api_base: \
         http://127.0.0.1:1/v1\n      - provider: self-hosted\n        model: o\n        api_base: http://127.0.0.1:1/v1\n    \
         router:\n      routing_strategy: least-busy\n      cache_responses: true\nwaypost:\n  admin: 127.0.0.1:0\n",
    );
    let file = write(folder.path(), &text);
    let mut process = Process::start(&["serve", "--config", &file, "--port", "0"], &[]);
    let addr = process.address().await;
    let said = process.said().to_owned();
    assert!(said.contains(&file), "{said}");
    for (group, strategy) in [
        ("small", "simple-shuffle"),
        ("large-group", "least-busy, cached"),
    ] {
        let line = said.lines().find(|l| l.trim_start().starts_with(group));
        let line = line.unwrap_or_else(|| panic!("{group} is not in {said}"));
        assert!(line.contains(strategy), "{line}");
    }
    let admin = said
        .lines()
        .find_map(|l| l.strip_prefix("metrics on http://"));
    let admin = admin
        .and_then(|l| l.strip_suffix("/metrics"))
        .expect("an admin listener");
    let admin = admin.parse().expect("an address");

    assert_eq!(get(addr, "/metrics").await.expect("answered").status(), 404);
    assert_eq!(
        get(admin, "/metrics").await.expect("answered").status(),
        200
    );
    assert_eq!(get(admin, "/readyz").await.expect("answered").status(), 200);
    assert_eq!(
        get(admin, "/v1/models").await.expect("answered").status(),
        404
    );
    let models = get(addr, "/v1/models").await.expect("answered").json();
    assert_eq!(models["data"][0]["id"], "small");
    assert_eq!(models["data"][1]["id"], "large-group");

    process.signal("INT");
    assert_eq!(process.exit().await.code, Some(0));
}

#[tokio::test]
async fn serve_reads_its_environment_and_flags_win() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = write(
        folder.path(),
        &one_group("waypost:\n  host: 203.0.113.1\n  port: 1\n"),
    );
    let variables = [
        ("WAYPOST_CONFIG", &*file),
        ("WAYPOST_HOST", "127.0.0.1"),
        ("WAYPOST_PORT", "0"),
    ];
    let mut process = Process::start(&["serve"], &variables);
    assert!(process.address().await.ip().is_loopback());
    drop(process);
    let variables = [
        ("WAYPOST_CONFIG", "/no/such/file"),
        ("WAYPOST_HOST", "203.0.113.1"),
        ("WAYPOST_PORT", "1"),
    ];
    let arguments = [
        "serve",
        "--config",
        &file,
        "--host",
        "127.0.0.1",
        "--port",
        "0",
    ];
    let mut process = Process::start(&arguments, &variables);
    assert!(process.address().await.ip().is_loopback());
}

#[tokio::test]
async fn others_can_be_served_only_with_keys_or_on_purpose() {
    let folder = tempfile::tempdir().expect("a folder");
    let bare = write(folder.path(), &one_group(""));
    let exit = run(
        &[
            "serve", "--config", &bare, "--host", "0.0.0.0", "--port", "0",
        ],
        &[],
    )
    .await;
    assert_eq!(exit.code, Some(1));
    for part in [
        "0.0.0.0 can be reached by others",
        "--anonymous",
        "keys:",
        &bare,
    ] {
        assert!(
            exit.stderr.contains(part),
            "{part:?} is not in {}",
            exit.stderr
        );
    }
    assert!(!exit.stdout.contains("listening"), "{}", exit.stdout);

    let everywhere = [
        "serve", "--config", &bare, "--host", "0.0.0.0", "--port", "0",
    ];
    let mut process = Process::start(&[&everywhere[..], &["--anonymous"]].concat(), &[]);
    process.address().await;
    for section in [
        "waypost:\n  anonymous: true\n",
        "waypost:\n  keys: [{name: app, key: '${APP_KEY}'}]\n",
    ] {
        let file = write(folder.path(), &one_group(section));
        let arguments = [
            "serve", "--config", &file, "--host", "0.0.0.0", "--port", "0",
        ];
        let mut process = Process::start(&arguments, &[("APP_KEY", "hidden-app-key")]);
        process.address().await;
    }
}

#[tokio::test]
async fn what_cannot_be_served_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let missing = folder.path().join("none.yml").display().to_string();
    let exit = run(&["serve", "--config", &missing], &[]).await;
    assert_eq!(exit.code, Some(1));
    for part in [&*missing, "--config FILE", "waypost demo"] {
        assert!(
            exit.stderr.contains(part),
            "{part:?} is not in {}",
            exit.stderr
        );
    }

    let wrong = write(
        folder.path(),
        &one_group("    router:\n      cooldown: 3\n      num_retries: many\n"),
    );
    let exit = run(&["serve", "--config", &wrong, "--port", "0"], &[]).await;
    assert_eq!(exit.code, Some(1));
    for part in ["cooldown_time", "num_retries", ":8:", ":9:"] {
        assert!(
            exit.stderr.contains(part),
            "{part:?} is not in {}",
            exit.stderr
        );
    }

    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let fine = write(folder.path(), &one_group(""));
    let exit = run(&["serve", "--config", &fine, "--port", &port], &[]).await;
    assert_eq!(exit.code, Some(1));
    assert!(
        exit.stderr
            .contains(&format!("can't listen on 127.0.0.1:{port}")),
        "{}",
        exit.stderr
    );

    let exit = run(&["serve", "--drain-delay", "5parsecs"], &[]).await;
    assert_eq!(exit.code, Some(2));
    assert!(exit.stderr.contains("use ms, s or m"), "{}", exit.stderr);
}

#[tokio::test]
async fn probe_answers_by_its_exit_code() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = write(folder.path(), &one_group(""));
    let mut process = Process::start(
        &[
            "serve",
            "--config",
            &file,
            "--port",
            "0",
            "--drain-delay",
            "1000m",
        ],
        &[],
    );
    let addr = process.address().await;
    let ready = format!("http://{addr}/readyz");
    let exit = run(&["probe", "--url", &ready], &[]).await;
    assert_eq!(exit.code, Some(0), "{exit:?}");
    assert_eq!(
        run(&["probe"], &[("WAYPOST_PROBE_URL", &ready)]).await.code,
        Some(0)
    );
    process.signal("TERM");
    process.logs("not ready").await;
    while get(addr, "/readyz").await.expect("answered").status() == 200 {}
    assert_eq!(run(&["probe", "--url", &ready], &[]).await.code, Some(1));
    drop(process);
    let exit = run(&["probe", "--url", &ready], &[]).await;
    assert_eq!(exit.code, Some(1));
    assert!(exit.stderr.contains("gave no answer"), "{exit:?}");
}

#[tokio::test]
async fn lab_prints_one_line_for_scripts() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("generated.yml").display().to_string();
    let mut process = Process::start(&["lab", "--json", "--write-endpoints", &file], &[]);
    let line = process.says("{").await;
    let lab: Value = serde_json::from_str(&line).expect("JSON");
    let deployments = lab["deployments"].as_array().expect("deployments");
    assert!(deployments.len() > 2, "{line}");
    for deployment in deployments {
        assert!(
            deployment["base_url"]
                .as_str()
                .is_some_and(|u| u.ends_with("/v1")),
            "{deployment}"
        );
    }
    assert_eq!(
        std::fs::read_to_string(&file).expect("written"),
        lab["endpoints"].as_str().expect("text")
    );
    let checked = run(
        &["check", "--config", &file],
        &[
            ("WAYPOST_LAB_KEY", "any"),
            (waypost::lab::KEY_VARIABLE, "any"),
        ],
    )
    .await;
    assert_eq!(checked.code, Some(0), "{checked:?}");
    process.signal("TERM");
    let exit = process.exit().await;
    assert_eq!(
        (exit.code, exit.stdout.lines().count()),
        (Some(0), 1),
        "{exit:?}"
    );
}

/// The lines of `text` from the one that begins with `first` to the one before the next blank line.
fn paragraph(text: &str, first: &str) -> String {
    let from = text
        .find(first)
        .unwrap_or_else(|| panic!("{first:?} is not in {text}"));
    let rest = &text[from..];
    rest[..rest.find("\n\n").unwrap_or(rest.len())].to_owned()
}

fn there_is(command: &str) -> bool {
    Command::new("sh")
        .args(["-c", &format!("command -v {command}")])
        .output()
        .is_ok_and(|o| o.status.success())
}

async fn shell(script: String) -> String {
    let output =
        tokio::task::spawn_blocking(move || Command::new("sh").args(["-c", &script]).output());
    let output = output.await.expect("no panic").expect("sh runs");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[tokio::test]
async fn the_demos_commands_work_as_printed() {
    let mut process = Process::start(&["demo", "--port", "0", "--quiet"], &[]);
    process.says("Ctrl-C ends it").await;
    let said = process.said().to_owned();
    if there_is("curl") {
        let answer = shell(paragraph(&said, "curl -N")).await;
        assert!(
            answer.starts_with("data: {") && answer.ends_with("data: [DONE]\n\n"),
            "{answer}"
        );
    }
    if there_is("python3") {
        let answer = shell(paragraph(&said, "python3 -")).await;
        assert!(answer.starts_with("demo/"), "{answer}");
    }
    // The words after "OpenAI SDK" are for the two SDKs' own tests; here it is enough that the base is right.
    let base = said
        .split("base_url=\"http://")
        .nth(1)
        .and_then(|s| s.split("/v1\"").next());
    let mut wire = Wire::connect(base.expect("a base URL").parse().expect("an address"))
        .await
        .expect("connected");
    let body = json!({"model": "demo", "messages": []}).to_string();
    wire.request("POST", "/v1/chat/completions", &[], body.as_bytes())
        .await;
    assert_eq!(wire.reply().await.status(), 200);
    process.signal("INT");
    assert_eq!(process.exit().await.code, Some(0));
}

#[tokio::test]
async fn the_demo_ends_by_itself_and_counts() {
    let exit = run(&["demo", "--port", "0", "--for", "1"], &[]).await;
    assert_eq!(exit.code, Some(0), "{exit:?}");
    assert!(
        exit.stdout
            .contains("requests of the demo's own, 0 of them failed"),
        "{}",
        exit.stdout
    );
}
