//! The compiled commands on a LiteLLM file.

use std::path::Path;

use super::with;
use crate::support::process::{Process, run};
use crate::support::wire::get;

const KEY: (&str, &str) = ("KEY_NORTH", "hidden-north");

fn write(folder: &Path, text: &str) -> String {
    let file = folder.join("config.yaml");
    std::fs::write(&file, text).expect("written");
    file.display().to_string()
}

#[tokio::test]
async fn check_and_serve_take_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = write(folder.path(), &with("litellm_settings: {json_logs: true}"));
    let exit = run(&["check", "--config", &file], &[KEY]).await;
    assert_eq!(exit.code, Some(0), "{exit:?}");
    assert!(
        exit.stdout
            .contains("config.yaml:4:20: litellm_settings.json_logs: warning:"),
        "{}",
        exit.stdout
    );
    assert!(
        exit.stdout.contains("ok: 1 group, 1 warning"),
        "{}",
        exit.stdout
    );

    let mut process = Process::start(&["serve", "--config", &file, "--port", "0"], &[KEY]);
    let addr = process.address().await;
    let models = get(addr, "/v1/models").await.expect("answered").json();
    assert_eq!(models["data"][0]["id"], "a");
    process.signal("INT");
    assert_eq!(process.exit().await.code, Some(0));
}

#[tokio::test]
async fn check_and_serve_refuse_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = write(folder.path(), &with("router_settings: {alowed_fails: 3}"));
    for command in ["check", "serve"] {
        let exit = run(&[command, "--config", &file], &[KEY]).await;
        assert_eq!(exit.code, Some(1), "{exit:?}");
        let said = exit.stdout + &exit.stderr;
        assert!(
            said.contains("router_settings.alowed_fails"),
            "{command}: {said}"
        );
        assert!(
            said.contains("did you mean \\\"allowed_fails\\\"?")
                || said.contains("did you mean \"allowed_fails\"?"),
            "{command}: {said}"
        );
    }
}

#[tokio::test]
async fn import_writes_a_file_and_reports() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = write(
        folder.path(),
        &with("litellm_settings: {json_logs: true, allowed_fails: 2}"),
    );
    let output = folder.path().join("endpoints.yml").display().to_string();
    let arguments = ["import", &file, "--output", &output];
    let exit = run(&arguments, &[KEY]).await;
    assert_eq!((exit.code, &*exit.stdout), (Some(0), ""), "{exit:?}");
    for part in [
        "warning: ",
        "litellm_settings.json_logs",
        "differs: ",
        "litellm_settings.allowed_fails: is honoured",
        "endpoints.yml: written, 1 warning, ",
    ] {
        assert!(
            exit.stderr.contains(part),
            "{part:?} is not in {}",
            exit.stderr
        );
    }
    let text = std::fs::read_to_string(&output).expect("written");
    assert!(
        text.contains("api_key: ${KEY_NORTH}") && !text.contains("hidden"),
        "{text}"
    );
    let exit = run(&["check", "--config", &output], &[KEY]).await;
    assert_eq!(exit.code, Some(0), "{exit:?}");
    assert!(
        exit.stdout.contains("ok: 1 group, 0 warnings"),
        "{}",
        exit.stdout
    );

    // What is there is not overwritten.
    let exit = run(&arguments, &[KEY]).await;
    assert_eq!(exit.code, Some(1), "{exit:?}");
    assert_eq!(std::fs::read_to_string(&output).expect("still there"), text);

    let exit = run(&["import", &file], &[KEY]).await;
    assert_eq!(exit.stdout, text);
    let exit = run(&["import", &file], &[]).await;
    assert_eq!((exit.code, &*exit.stdout), (Some(1), ""), "{exit:?}");
    assert!(
        exit.stderr.contains("KEY_NORTH is not set") && exit.stderr.contains("nothing was written"),
        "{}",
        exit.stderr
    );
}

#[tokio::test]
async fn the_page_is_up_to_date() {
    let exit = run(&["schema", "--litellm"], &[]).await;
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/litellm.md");
    let page = std::fs::read_to_string(file).unwrap_or_default();
    assert!(
        exit.stdout == page,
        "run: waypost schema --litellm > docs/litellm.md"
    );
}
