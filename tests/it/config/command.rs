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
        "all-keys.yml:40:9: model_groups[0].models[0].tags: warning: ",
        "ok: 2 groups, 9 warnings",
    ] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    assert!(!text.contains(HIDDEN) && !text.contains('\u{1b}'), "{text}");
}

#[test]
fn check_reports_every_problem_and_exits_with_1() {
    let (code, text) = check("refused/unknown-names.yml", &[]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("refused: 18 errors, 1 warning"), "{text}");
    assert!(text.contains("unknown-names.yml:18:7: model_groups[0].router.cooldown: unknown key; did you mean \"cooldown_time\"?"));
    let (code, text) = check("literal-secret.yml", &["--strict"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(!text.contains(HIDDEN), "{text}");
    assert_eq!(check("no-such-file.yml", &[]).0, Some(1));
}
