//! The commands `check` and `schema`.

use std::process::Command;

use waypost::config::schema;

use super::{HIDDEN, VARIABLES, file, root};

/// The committed copies are what the command prints; run it and commit the result where this fails.
#[test]
fn schema_and_reference_page_are_up_to_date() {
    for (path, arguments) in [
        ("config/endpoints.schema.json", &["schema"][..]),
        ("docs/configuration.md", &["schema", "--markdown"][..]),
        ("docs/providers.md", &["schema", "--providers"][..]),
    ] {
        let output = waypost(arguments);
        assert!(output.status.success());
        let committed = std::fs::read(root().join(path)).expect("committed");
        assert!(
            committed == output.stdout,
            "{path} differs from `waypost {}`",
            arguments.join(" ")
        );
    }
}

#[test]
fn the_schema_knows_every_key_of_the_samples() {
    let schema = schema::json_schema();
    let model = &schema["properties"]["model_groups"]["items"]["properties"]["models"]["items"]["properties"];
    assert!(model["api_key"]["description"].is_string());
    let router = &schema["properties"]["model_groups"]["items"]["properties"]["router"];
    assert_eq!(router["additionalProperties"], false);
    assert_eq!(
        router["properties"]["routing_strategy"]["anyOf"][0]["enum"][1],
        "least-busy"
    );
}

fn waypost(arguments: &[&str]) -> std::process::Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_waypost"));
    command
        .args(arguments)
        .env_clear()
        .envs(VARIABLES.iter().copied());
    command.output().expect("the command runs")
}

fn check(name: &str, more: &[&str]) -> (Option<i32>, String) {
    let path = file(name).display().to_string();
    let output = waypost(&[&["check", "--config", &path], more].concat());
    let text =
        String::from_utf8(output.stdout).expect("UTF-8") + &String::from_utf8_lossy(&output.stderr);
    (output.status.code(), text)
}

#[test]
fn check_prints_what_is_in_force_and_exits_with_0() {
    let (code, text) = check("all-keys.yml", &[]);
    assert_eq!(code, Some(0), "{text}");
    for part in [
        "usage-based-routing, fewest tokens since the start (usage: minute = this minute)",
        "https://api.openai.com/v1/chat/completions",
        "$0 in, $10 out per million tokens",
        "bearer key",
        "all-keys.yml:61:7: model_groups[0].router.fallbacks: warning: ",
        "ok: 3 groups, 4 warnings",
    ] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    assert!(!text.contains(HIDDEN) && !text.contains('\u{1b}'), "{text}");
}

/// What a file says of other groups, tags and the like is printed; what it does not say is not.
#[test]
fn check_prints_routing_between_groups_where_there_is_any() {
    let (_, text) = check("all-keys.yml", &[]);
    let lines = [
        "  one request     7 attempts in all, 3 groups beyond the first\n",
        "  alias           short stands for other\n",
        "  alias           shorter stands for other, not listed\n",
        "  mock testing    requests cannot ask for failures",
        "  headers         LiteLLM's too\n",
        "  retries         2 (RateLimitError 3, others 1)\n",
        "in a minute (RateLimitError 5); at once",
        "  fallbacks       many/large, other\n",
        "  if too long     many/tiny\n",
        "  if filtered     none\n",
        "  checks          context window and abilities",
        "  tags            deployments with all of the request's tags\n",
        "  affinity        by user, prefix; for 300 s, 9 conversations at most\n",
        "  hedging         a second attempt for those slower than 90% of others, after 1 s at least, for 10% of requests",
        "    limits        weight 3, rpm 500, tpm 100000, parallel 20, order 1, cooldown 0 s, retries 1, allowed fails 4\n",
        "    mock          not called",
        "    allowed fails TimeoutError 0\n",
        "    tags          fast\n",
        "    region        eu\n",
        "    context       8000 tokens\n",
        "    abilities     tools, no images, json_schema\n",
    ];
    let (_, minimal) = check("minimal.yml", &[]);
    for line in lines {
        assert!(text.contains(line), "{line:?} is not in {text}");
        let name = line.trim_start().split("  ").next().unwrap_or_default();
        let common = ["retries", "limits"].contains(&name) || !line.starts_with(' ');
        let printed = minimal
            .lines()
            .any(|line| line.trim_start().starts_with(name));
        assert!(common || !printed, "{name:?} is in {minimal}");
    }
}

#[test]
fn check_reports_every_problem_and_exits_with_1() {
    let (code, text) = check("refused/unknown-names.yml", &[]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("refused: 18 errors, 0 warnings"), "{text}");
    assert!(text.contains("unknown-names.yml:18:7: model_groups[0].router.cooldown: unknown key; did you mean \"cooldown_time\"?"));
    let (code, text) = check("literal-secret.yml", &["--strict"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(!text.contains(HIDDEN), "{text}");
    assert_eq!(check("no-such-file.yml", &[]).0, Some(1));
}

/// What needs a Redis is printed with what holds without it, and no password.
#[test]
fn check_prints_what_is_shared_and_what_holds_without_redis() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("endpoints.yml");
    let yaml = "model_groups:
- {id: exact, models: [{provider: ollama, model: m, rpm: 9}], router: {routing_strategy: least-busy, cache_responses: true}}
- {id: own, models: [{provider: ollama, model: m, tpm: 9}], router: {routing_strategy: least-busy, redis_url: 'rediss://u:${KEY_NORTH}@own/2'}}
- {id: free, models: [{provider: ollama, model: m}], router: {routing_strategy: least-busy}}
waypost:
  groups: {exact: {limits: exact}}
  redis: {sentinel: {master: main, nodes: [s1, s2], password: '${KEY_SOUTH}'}, password: '${KEY_SOUTH}', outage: closed, prefix: p}
  ledger: {dir: led, fsync: always, when_full: refuse}
";
    std::fs::write(&path, yaml).expect("written");
    let output = waypost(&["check", "--config", &path.display().to_string()]);
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let without = "usage and cost: own numbers plus the last known totals";
    let closed = "rpm and tpm: nothing that has a limit is let through";
    for line in [
        "  replicas        what was counted is exchanged every 0.200 s; a replica not heard of for 10 s is gone\n",
        "/led, written through before the end of each answer, files of 64 MiB kept for 90 d\n",
        "    disk full     requests are refused\n",
        "    totals        in Redis, main by sentinel s1:26379, s2:26379\n",
        "    without Redis records are kept in files, and shipped later\n",
        "  redis           main by sentinel s1:26379, s2:26379, no TLS, a password, keys p:…, to the sentinels no TLS, a password\n",
        "  cache           in Redis, compressed from 4 KiB, and for 10 s in memory; for 600 s, per caller\n",
        "latencies, cooldowns, cached answers\n",
        "  rpm and tpm     exact: reserved in Redis before each attempt, which waits up to 0.100 s\n",
        &format!(
            "  without Redis   {without}; {closed}; cache: a miss, and answers are kept in memory\n"
        ),
        "  redis           own:6379, database 2, TLS, user u with a password, keys p:…\n",
        "  rpm and tpm     approximate: a replica knows of the others' with a delay of about 0.200 s\n",
        &format!("  without Redis   {without}; {closed}\n"),
        &format!("  without Redis   {without}\n"),
    ] {
        assert!(text.contains(line), "{line:?} is not in {text}");
    }
    assert!(!text.contains(HIDDEN), "{text}");
    let (_, minimal) = check("minimal.yml", &[]);
    assert!(
        !minimal.contains("edis") && !minimal.contains("ledger"),
        "{minimal}"
    );
}
