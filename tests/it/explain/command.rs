//! `waypost explain`, from a file and from a running gateway.

use serde_json::Value;
use waypost::lab::Fault;

use crate::support::process::{Exit, run};
use crate::support::{Gateway, Model, Yaml, chat_body, lab};

struct Files(tempfile::TempDir);

impl Files {
    fn new(yaml: &str, request: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("endpoints.yml"), yaml).expect("written");
        std::fs::write(folder.path().join("request.json"), request).expect("written");
        Self(folder)
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    async fn explain(&self, more: &[&str]) -> Exit {
        let (config, request) = (self.path("endpoints.yml"), self.path("request.json"));
        let arguments = ["explain", "--config", &config, "--request", &request];
        run(&[&arguments, more].concat(), &[]).await
    }
}

/// Text as it looks, with runs of spaces as one.
fn words(text: &str) -> String {
    let line = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn from_a_cold_start() {
    let yaml = "model_groups:\n  - id: g\n    models:\n      - {provider: openai, model: gpt-4o, api_key: sk-secret, \
                model_info: {id: first}, order: 1}\n      - {provider: openai, model: gpt-4o-mini, api_key: sk-secret, \
                model_info: {id: second}}\n    router: {routing_strategy: least-busy, num_retries: 1}\n\
                waypost:\n  keys: [{name: app, key: the-key-of-the-app}]\n";
    let files = Files::new(yaml, &chat_body("g").to_string());
    let exit = files.explain(&[]).await;
    assert_eq!(exit.code, Some(0), "{exit:?}");
    let said = words(&exit.stdout);
    for line in [
        "chat for `g`: about",
        "cache: off",
        "group `g` (by name), least-busy by in_flight, 2 attempts at most",
        "→ first kept 1 0",
        "second order: lowest 1 - 0",
        "1. g first only one",
        "2. g second only one",
    ] {
        assert!(said.contains(line), "{line:?} is not in\n{}", exit.stdout);
    }
    assert!(!exit.stdout.contains("sk-secret"));

    let exit = files.explain(&["--json"]).await;
    let json: Value = serde_json::from_str(&exit.stdout).expect("JSON");
    assert_eq!(json["chosen"]["deployment"], "first");

    let exit = files.explain(&["--key", "another-key"]).await;
    assert_eq!(exit.code, Some(1));
    assert!(exit.stdout.contains("refused with 401"), "{exit:?}");
    assert!(!exit.stdout.contains("another-key"));

    let unknown = Files::new(yaml, &chat_body("other").to_string());
    let exit = unknown.explain(&[]).await;
    assert_eq!(exit.code, Some(1));
    assert!(exit.stdout.contains("refused with 404"), "{exit:?}");
    let narrow = "model_groups:\n  - id: g\n    models:\n      - {provider: ollama, model: llama3.1, num_ctx: 8192, \
                  api_base: 'http://127.0.0.1:1', model_info: {id: narrow}}\n";
    let mut body = chat_body("g");
    body["logit_bias"] = serde_json::json!({"7": -100});
    let exit = Files::new(narrow, &body.to_string()).explain(&[]).await;
    assert_eq!(exit.code, Some(1));
    for line in [
        "narrow unsupported: logit_bias",
        "narrow: `logit_bias` is not available",
        "The request is refused",
    ] {
        assert!(
            words(&exit.stdout).contains(line),
            "{line:?} is not in\n{}",
            exit.stdout
        );
    }
    let missing = files.path("none.json");
    let exit = run(&["explain", "--request", &missing], &[]).await;
    assert_eq!(exit.code, Some(1));
    assert!(exit.stderr.contains(&missing), "{exit:?}");
}

#[tokio::test]
async fn a_token_that_would_have_to_be_fetched_is_not() {
    // Whoever asked for a token would connect to this port, where nobody is, and say so.
    let yaml = "model_groups:\n  - id: g\n    models:\n      - {provider: self-hosted, model: m, \
                api_base: 'http://127.0.0.1:1/v1', model_info: {id: one}}\n";
    let files = Files::new(yaml, "{\"model\": \"g\", \"input\": \"x\"}");
    let exit = files.explain(&[]).await;
    assert_eq!(exit.code, Some(0), "{exit:?}");
    assert!(exit.stdout.starts_with("embeddings for `g`"), "{exit:?}");
    let exit = files.explain(&["--operation", "completions"]).await;
    assert!(exit.stdout.starts_with("completions for `g`"), "{exit:?}");
}

#[tokio::test]
async fn from_a_running_gateway() {
    let lab = lab(["a", "b"]);
    let models = [
        Model::of(lab.deployment("a")).with("order: 1"),
        Model::of(lab.deployment("b")),
    ];
    let yaml = Yaml::default()
        .group("g", models)
        .waypost("keys: [{name: app, key: the-key-of-the-app}]");
    let gateway = Gateway::start(&yaml).await;
    let key = ("authorization", "Bearer the-key-of-the-app");
    lab.deployment("a").set(Fault::RateLimit {
        retry_after: None,
        retry_after_ms: None,
    });
    let failed = gateway.chat_with(&chat_body("g")).header(key.0, key.1);
    assert_eq!(failed.send().await.ok().deployment(), "b");

    let files = Files::new("", &chat_body("g").to_string());
    let (url, request) = (
        format!("http://{}", gateway.addr()),
        files.path("request.json"),
    );
    let arguments = ["explain", "--request", &request, "--url", &url];
    let exit = run(&arguments, &[("WAYPOST_KEY", "the-key-of-the-app")]).await;
    assert_eq!(exit.code, Some(0), "{exit:?}");
    let said = words(&exit.stdout);
    for line in [
        "a cooling: rate_limit, back in ",
        "→ b kept",
        "1. g b only one",
    ] {
        assert!(said.contains(line), "{line:?} is not in\n{}", exit.stdout);
    }
    let exit = run(&arguments, &[]).await;
    assert_eq!(exit.code, Some(1));
    assert!(exit.stdout.contains("refused with 401"), "{exit:?}");
    gateway.stop().await;
    let exit = run(&arguments, &[]).await;
    assert_eq!(exit.code, Some(1));
    assert!(exit.stderr.contains("gave no answer"), "{exit:?}");
}
