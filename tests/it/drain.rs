//! What a signal does to `waypost serve`: not ready, still accepting for a while, then finishing what is open.

use waypost::lab::{Behaviour, Hold, Lab, Script};

use crate::support::process::Process;
use crate::support::wire::{Wire, get};

const ASK: &str = r#"{"model":"g","stream":true,"messages":[{"role":"user","content":"hello"}]}"#;

/// A lab whose deployment holds after its second token, and the command serving it.
async fn served(lab: &Lab, options: &[&str]) -> (Process, std::net::SocketAddr, tempfile::TempDir) {
    lab.deployment("a").set(Behaviour::hold(Hold::After(2)));
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("endpoints.yml");
    let url = lab.deployment("a").base_url();
    let text = format!(
        "model_groups:\n  - id: g\n    models:\n      - provider: self-hosted\n        model: m\n        api_base: {url}\n"
    );
    std::fs::write(&file, text).expect("written");
    let file = file.display().to_string();
    let arguments = [&["serve", "--config", &file, "--port", "0"], options].concat();
    let mut process = Process::start(&arguments, &[]);
    let addr = process.address().await;
    (process, addr, folder)
}

/// Opens a stream and reads up to its first content.
async fn open(addr: std::net::SocketAddr) -> Wire {
    let mut wire = Wire::connect(addr).await.expect("connected");
    wire.request("POST", "/v1/chat/completions", &[], ASK.as_bytes())
        .await;
    let head = wire.head().await.expect("a head");
    assert_eq!(head.status, 200);
    wire.chunk().await.expect("content");
    wire
}

async fn rest(wire: &mut Wire) -> String {
    let mut text = Vec::new();
    while let Some(chunk) = wire.chunk().await {
        text.extend_from_slice(&chunk);
    }
    String::from_utf8(text).expect("UTF-8")
}

#[tokio::test]
async fn while_it_delays_it_is_not_ready_but_serves_and_a_second_signal_ends_it() {
    let lab = Lab::start(&Script::healthy(["a"])).expect("a lab");
    let (mut process, addr, _folder) = served(&lab, &["--drain-delay", "1000m"]).await;
    assert_eq!(get(addr, "/readyz").await.expect("answered").status(), 200);
    let _open = open(addr).await;
    process.signal("TERM");
    process.logs("SIGTERM: not ready").await;
    while get(addr, "/readyz")
        .await
        .expect("still accepting")
        .status()
        != 503
    {}
    for path in ["/health/readiness", "/readyz"] {
        assert_eq!(get(addr, path).await.expect("answered").status(), 503);
    }
    for path in ["/livez", "/health/liveliness", "/health/liveness"] {
        assert_eq!(get(addr, path).await.expect("answered").status(), 200);
    }
    lab.deployment("a").behave_next(1, Behaviour::default());
    let mut another = open(addr).await;
    assert!(rest(&mut another).await.ends_with("data: [DONE]\n\n"));
    process.signal("INT");
    let exit = process.exit().await;
    assert_ne!(exit.code, Some(0), "an open stream was cut: {exit:?}");
    assert!(exit.stderr.contains("SIGINT again"), "{exit:?}");
}

#[tokio::test]
async fn what_is_open_finishes_and_nothing_new_is_accepted() {
    let lab = Lab::start(&Script::healthy(["a"])).expect("a lab");
    for signal in ["TERM", "INT"] {
        let (mut process, addr, _folder) = served(&lab, &["--drain-delay", "0"]).await;
        let mut stream = open(addr).await;
        let mut idle = Wire::connect(addr).await.expect("connected");
        idle.request("GET", "/livez", &[], b"").await;
        assert_eq!(idle.reply().await.status(), 200);
        process.signal(signal);
        process.logs("not ready").await;
        assert!(idle.ends().await, "an idle connection is let go");
        while get(addr, "/livez").await.is_ok() {}
        lab.deployment("a").release();
        let text = rest(&mut stream).await;
        assert!(text.ends_with("data: [DONE]\n\n"), "{signal}: {text}");
        let exit = process.exit().await;
        assert_eq!(exit.code, Some(0), "{signal}: {exit:?}");
        assert!(exit.stderr.contains("all requests are done"), "{exit:?}");
    }
}

#[tokio::test]
async fn what_takes_too_long_is_cut_and_that_is_no_failure() {
    let lab = Lab::start(&Script::healthy(["a"])).expect("a lab");
    let options = ["--drain-delay", "0", "--drain-timeout", "10ms"];
    let (process, addr, _folder) = served(&lab, &options).await;
    let mut stream = open(addr).await;
    process.signal("TERM");
    let text = rest(&mut stream).await;
    assert!(!text.contains("[DONE]"), "{text}");
    let exit = process.exit().await;
    assert_eq!(exit.code, Some(0), "{exit:?}");
    assert!(exit.stderr.contains("still open after 10ms"), "{exit:?}");
    let stats = lab.deployment("a").wait_for(|s| s.in_flight == 0).await;
    assert_eq!(stats.cancelled, 1);
}
