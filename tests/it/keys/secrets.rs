//! Planted keys, and everything that is said while they are in use.

use std::fmt::Write as _;

use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use tokio::net::TcpStream;
use waypost::lab::{Behaviour, Fault, Lab, Script};

use crate::support::beside::Beside;
use crate::support::process::{Process, run};
use crate::support::wire::{Wire, get};

/// Each is somewhere in the configuration or in a request, and may be nowhere in what comes out.
const PLANTED: [&str; 8] = [
    "planted-upstream-bearer",
    "planted-azure-key",
    "planted-extra-header",
    "planted-client-variable",
    "planted-client-file",
    "planted-wrong-key",
    "planted-query-key",
    "planted-prompt",
];

fn body(group: &str, stream: bool) -> String {
    let messages = json!([{"role": "user", "content": "planted-prompt"}]);
    json!({"model": group, "messages": messages, "stream": stream}).to_string()
}

fn configuration(lab: &Lab, key_file: &std::path::Path) -> String {
    let (a, b) = (lab.deployment("a"), lab.deployment("b"));
    format!(
        "model_groups:\n  - id: g\n    models:\n      - provider: openai\n        model: a\n        api_base: {}\n        \
         api_key: ${{UPSTREAM}}\n        extra_headers: {{x-extra: '${{EXTRA}}'}}\n    router:\n      num_retries: 0\n      \
         disable_cooldowns: true\n  - id: z\n    models:\n      - provider: azure\n        deployment: b\n        api_base: {}\n        \
         api_version: '2024-10-21'\n        api_key: ${{AZURE}}\n  - id: gone\n    models:\n      - provider: openai\n        \
         model: c\n        api_base: http://127.0.0.1:1/v1\n        api_key: ${{UPSTREAM}}\nwaypost:\n  keys:\n    \
         - {{name: variable, key: '${{CLIENT}}'}}\n    - {{name: file, key_file: {}}}\n",
        a.base_url(),
        b.root_url(),
        key_file.display()
    )
}

const VARIABLES: &[(&str, &str)] = &[
    ("UPSTREAM", "planted-upstream-bearer"),
    ("AZURE", "planted-azure-key"),
    ("EXTRA", "planted-extra-header"),
    ("CLIENT", "planted-client-variable"),
    ("WAYPOST_LOG", "trace"),
];

/// Everything a client can see of an answer.
async fn ask(addr: std::net::SocketAddr, path: &str, header: &str, body: &str) -> String {
    let mut wire = Wire::connect(addr).await.expect("connected");
    let (name, value) = header.split_once(": ").expect("a header");
    wire.request("POST", path, &[(name, value)], body.as_bytes())
        .await;
    match wire.try_reply().await {
        Some(reply) => format!("{:?}\n{}", reply.head, String::from_utf8_lossy(&reply.body)),
        None => String::new(),
    }
}

/// The same over HTTP/2.
async fn ask_in_http2(addr: std::net::SocketAddr, body: &str) -> String {
    let stream = TcpStream::connect(addr).await.expect("connected");
    let handshake =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.expect("HTTP/2");
    let connection = Beside::start(connection);
    let request = http::Request::post(format!("http://{addr}/v1/chat/completions"))
        .header("authorization", "Bearer planted-client-variable")
        .header("x-api-key", "planted-wrong-key")
        .body(Full::new(bytes::Bytes::from(body.to_owned())))
        .expect("a request");
    let (head, body) = sender
        .send_request(request)
        .await
        .expect("an answer")
        .into_parts();
    let body = body.collect().await.expect("a body").to_bytes();
    drop(connection);
    format!("{head:?}\n{}", String::from_utf8_lossy(&body))
}

fn nothing_planted(place: &str, text: &str) {
    for planted in PLANTED {
        if let Some(at) = text.find(planted) {
            let line = text[..at].lines().count().saturating_sub(1);
            let line = text.lines().nth(line).unwrap_or_default();
            panic!("{planted} is in {place}: {line}");
        }
    }
}

#[tokio::test]
async fn no_key_and_no_prompt_is_in_anything_that_is_said() {
    let lab = Lab::start(&Script::healthy(["a", "b"])).expect("a lab");
    let folder = tempfile::tempdir().expect("a folder");
    let key_file = folder.path().join("key");
    std::fs::write(&key_file, "planted-client-file").expect("written");
    let file = folder.path().join("endpoints.yml");
    std::fs::write(&file, configuration(&lab, &key_file)).expect("written");
    let file = file.display().to_string();

    let checked = run(&["check", "--config", &file], VARIABLES).await;
    assert_eq!(checked.code, Some(0), "{checked:?}");
    nothing_planted("the report of check", &(checked.stdout + &checked.stderr));

    for format in ["text", "json"] {
        let arguments = [
            "serve",
            "--config",
            &file,
            "--port",
            "0",
            "--log-format",
            format,
            "--drain-delay",
            "0",
        ];
        let mut process = Process::start(&arguments, VARIABLES);
        let addr = process.address().await;
        let faults = [
            None,
            Some(Fault::EchoAuthorization),
            Some(Fault::Unauthorized),
            Some(Fault::ServerError),
            Some(Fault::Reset),
            Some(Fault::Cut { after: 1 }),
            Some(Fault::MalformedJson),
            Some(Fault::BadRequest { param: "x".into() }),
            Some(Fault::rate_limit()),
            Some(Fault::status(
                200,
                json!({"id": "planted-upstream-bearer", "x": "planted-azure-key"}),
            )),
            Some(Fault::status(
                500,
                json!("planted-upstream-bearer planted-azure-key"),
            )),
            Some(Fault::status(
                400,
                json!({"error": {"message": "planted-upstream-bearer planted-azure-key"}}),
            )),
        ];
        let mut seen = String::new();
        for fault in faults {
            for handle in lab.deployments() {
                let mut behaviour = fault
                    .clone()
                    .map_or_else(Behaviour::default, Behaviour::fault);
                let echoed = ["planted-upstream-bearer", "planted-azure-key"].join(" ");
                behaviour.headers.insert("x-echo".into(), echoed.clone());
                behaviour.text = Some(format!("your key is {echoed}"));
                handle.set(behaviour);
            }
            for (group, own, other) in [
                ("g", "planted-upstream-bearer", "planted-azure-key"),
                ("z", "planted-azure-key", "planted-upstream-bearer"),
            ] {
                for stream in [false, true] {
                    let body = body(group, stream);
                    let answer = ask(
                        addr,
                        "/v1/chat/completions",
                        "authorization: Bearer planted-client-variable",
                        &body,
                    )
                    .await;
                    // Each deployment knows its own key only, so only that can be told from text.
                    assert!(!answer.contains(own), "{answer}");
                    let _ = writeln!(seen, "{}", answer.replace(other, ""));
                }
            }
        }
        let plain = body("g", false);
        lab.deployment("a").set(Behaviour::default());
        for (path, header, body) in [
            (
                "/v1/chat/completions",
                "api-key: planted-client-file",
                &*plain,
            ),
            (
                "/v1/chat/completions",
                "x-api-key: planted-wrong-key",
                &plain,
            ),
            (
                "/v1/chat/completions",
                "authorization: Bearer planted-wrong-key",
                &plain,
            ),
            (
                "/v1/chat/completions?api-key=planted-query-key",
                "authorization: Basic planted-wrong-key",
                &plain,
            ),
            (
                "/v1/chat/completions?api-key=planted-query-key",
                "api-key: planted-client-file",
                &plain,
            ),
            (
                "/nothing/here?api-key=planted-query-key",
                "api-key: planted-client-file",
                &plain,
            ),
            (
                "/v1/chat/completions",
                "api-key: planted-client-file",
                "{\"model\":\"g\",planted-prompt",
            ),
            (
                "/v1/chat/completions",
                "api-key: planted-client-file",
                "{\"model\":\"gone\",\"messages\":[]}",
            ),
        ] {
            let _ = writeln!(seen, "{}", ask(addr, path, header, body).await);
        }
        seen += &ask_in_http2(addr, &plain).await;
        assert!(
            seen.contains("200") && seen.contains("401") && seen.contains("***"),
            "{seen}"
        );
        nothing_planted("an answer", &seen);
        let metrics = get(addr, "/metrics").await.expect("answered");
        nothing_planted("the metrics", metrics.text());
        process.signal("TERM");
        let exit = process.exit().await;
        assert_eq!(exit.code, Some(0));
        assert!(
            exit.stderr.contains("TRACE"),
            "the test is worth nothing without"
        );
        nothing_planted("standard output", &exit.stdout);
        nothing_planted("the log", &exit.stderr);
    }
    // What the lab received shows that the keys were in use.
    let received = lab.deployment("a").requests();
    assert!(
        received
            .iter()
            .any(|r| r.header("authorization") == Some("Bearer planted-upstream-bearer"))
    );
    assert!(
        received
            .iter()
            .any(|r| r.header("x-extra") == Some("planted-extra-header"))
    );
    let received = lab.deployment("b").requests();
    assert!(
        received
            .iter()
            .any(|r| r.header("api-key") == Some("planted-azure-key"))
    );
}
