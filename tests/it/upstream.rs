//! The way to a deployment: TLS, connections and their reuse, redirects.

mod proxy;

use std::path::Path;
use std::sync::Arc;

use http::Method;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use waypost::api::App;
use waypost::gateway::Deps;
use waypost::router::cooldown::Readiness;

use crate::support::process::Process;
use crate::support::{
    Authority, Gateway, Logs, Model, Reply, Request, Scripted, Yaml, chat_body, load, s,
    server_head,
};

/// A self-hosted deployment at this URL.
fn model(url: &str) -> Model {
    Model::lines([
        "provider: self-hosted",
        "model: m",
        &format!("api_base: {url}/v1"),
        "model_info: {id: a}",
    ])
}

fn file(key: &str, file: &Path) -> String {
    format!("{key}: {:?}", file.display().to_string())
}

fn yaml(model: Model) -> Yaml {
    let yaml = Yaml::default().group("g", [model]);
    yaml.router("num_retries: 0").router("allowed_fails: 0")
}

async fn gateway(model: Model) -> Gateway {
    Gateway::start(&yaml(model)).await
}

/// Fails as a deployment that can't be reached does: 502, and it cools down. Why is for the log alone.
async fn unreachable(yaml: &Yaml, why: &str) {
    let logs = Logs::listen();
    let gateway = Gateway::logging(yaml, &logs).await;
    let answer = gateway.chat("g").await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (502, "upstream_unreachable"),
        "{}",
        answer.text()
    );
    assert_eq!(answer.attempts(), 1);
    let now = gateway.app().gateway().deps().clock.now();
    let readiness = gateway.deployments("g")[0].scores.readiness(now);
    assert!(
        matches!(readiness, Readiness::Cooling { .. }),
        "{readiness:?}"
    );
    assert!(
        !answer.text().contains("127.0.0.1") && !answer.text().contains(why),
        "{}",
        answer.text()
    );
    let app = gateway.stop().await;
    let access_log = app.gateway().deps().access_log.as_ref();
    access_log.expect("one").flush();
    assert!(logs.text().contains(why), "{}", logs.text());
}

#[tokio::test]
async fn a_private_authority_is_trusted_where_the_file_names_it() {
    let authority = Authority::new();
    let server = Scripted::tls(authority.server("localhost"), |_| Reply::chat()).await;
    let url = format!("https://localhost:{}", server.addr().port());
    let trusting = model(&url).with(&file("ssl_verify", &authority.file()));
    let gateway = gateway(trusting).await;
    gateway.chat("g").await.ok();
    let host = format!("localhost:{}", server.addr().port());
    assert_eq!(server.seen()[0].header("host"), Some(host.as_str()));
    gateway.stop().await;
}

#[tokio::test]
async fn a_private_authority_is_not_trusted_otherwise() {
    let authority = Authority::new();
    let server = Scripted::tls(authority.server("localhost"), |_| Reply::chat()).await;
    let url = format!("https://localhost:{}", server.addr().port());
    unreachable(&yaml(model(&url)), "UnknownIssuer").await;
    let other = Authority::new();
    let trusting = model(&url).with(&file("ssl_verify", &other.file()));
    unreachable(&yaml(trusting), "TLS handshake failed").await;
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_certificate_for_another_host_is_refused() {
    let authority = Authority::new();
    let server = Scripted::tls(authority.server("elsewhere.example"), |_| Reply::chat()).await;
    let ssl_verify = file("ssl_verify", &authority.file());
    for host in ["localhost", "127.0.0.1"] {
        let url = format!("https://{host}:{}", server.addr().port());
        unreachable(&yaml(model(&url).with(&ssl_verify)), "TLS handshake failed").await;
    }
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn an_address_can_be_certified() {
    let authority = Authority::new();
    let server = Scripted::tls(authority.server("127.0.0.1"), |_| Reply::chat()).await;
    let trusting =
        model(&format!("https://{}", server.addr())).with(&file("ssl_verify", &authority.file()));
    let gateway = gateway(trusting).await;
    gateway.chat("g").await.ok();
    gateway.stop().await;
}

#[tokio::test]
async fn a_client_certificate_is_shown() {
    let authority = Authority::new();
    let config = authority.server_for_known_clients("localhost");
    let server = Scripted::tls(config, |_| Reply::chat()).await;
    let url = format!("https://localhost:{}", server.addr().port());
    let trusting = model(&url).with(&file("ssl_verify", &authority.file()));
    let identity = authority.identity("client.example");
    let known = trusting
        .clone()
        .with(&file("ssl_certificate", &authority.client_file(&identity)));
    let known = gateway(known).await;
    known.chat("g").await.ok();
    known.stop().await;

    // TLS 1.3 tells the client only after the handshake: it may look like a connection that breaks.
    let unknown = gateway(trusting).await;
    let answer = unknown.chat("g").await;
    assert_eq!(answer.status, 502, "{}", answer.text());
    assert_eq!(server.seen().len(), 1);
    unknown.stop().await;
}

#[tokio::test]
async fn a_server_that_never_answers_the_handshake_meets_the_connect_clock() {
    // Nobody accepts: the kernel does, and TLS waits for ever.
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a loopback port");
    let url = format!("https://{}", listener.local_addr().expect("an address"));
    let yaml = yaml(model(&url)).waypost("timeouts: {connect: 50ms}");
    unreachable(&yaml, "no connection within 50ms").await;
}

/// Each way takes many writes and reads, and the connection serves the next request all the same.
#[tokio::test]
async fn large_bodies_go_over_tls_both_ways() {
    let authority = Authority::new();
    let server = Scripted::tls(authority.server("localhost"), |seen| {
        let text = seen.json()["messages"][0]["content"].clone();
        let choice = serde_json::json!({"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"});
        let answer = serde_json::json!({"id": "c", "object": "chat.completion", "choices": [choice]});
        let answer = answer.to_string().into_bytes();
        Reply::chunks("application/json", answer.chunks(50_000).map(<[u8]>::to_vec))
    })
    .await;
    let url = format!("https://localhost:{}", server.addr().port());
    let gateway = gateway(model(&url).with(&file("ssl_verify", &authority.file()))).await;
    let text = "abcdefghijklmnopqrstuvwxyz".repeat(60_000);
    let mut body = chat_body("g");
    body["messages"][0]["content"] = text.as_str().into();
    for _ in 0..3 {
        let answer = gateway.chat_with(&body).send().await.ok();
        assert!(answer.json()["choices"][0]["message"]["content"] == text);
    }
    assert_eq!((server.accepted(), server.seen().len()), (1, 3));
    gateway.stop().await;
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Scripted::start(|_| Reply::chat()).await;
    let to = format!("{}/v1/chat/completions", elsewhere.url());
    let server = Scripted::start(move |_| Reply::chat().status(307).header("location", &to)).await;
    let gateway = gateway(model(&server.url())).await;
    let answer = gateway.chat("g").await;
    assert_eq!(answer.status, 502, "{}", answer.text());
    assert_eq!(answer.header("location"), None);
    assert_eq!((server.seen().len(), elsewhere.accepted()), (1, 0));
    gateway.stop().await;
}

#[tokio::test]
async fn one_connection_serves_requests_one_after_the_other() {
    let chunk = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"},\"finish_reason\":\"stop\"}]}\n\n";
    let server = Scripted::start(move |seen| {
        if seen.json()["stream"] == true {
            Reply::chunks("text/event-stream", [chunk, "data: [DONE]\n\n"])
        } else {
            Reply::chat()
        }
    })
    .await;
    let gateway = gateway(model(&server.url())).await;
    for _ in 0..3 {
        gateway.chat("g").await.ok();
        gateway.stream("g").await.finish().await.ok();
    }
    assert_eq!((server.accepted(), server.seen().len()), (1, 6));
    gateway.stop().await;
}

#[tokio::test]
async fn a_connection_that_died_while_idle_costs_no_attempt() {
    // The second request arrives at a connection that is closed instead of answered.
    let server = Scripted::start(|seen| {
        if seen.connection == 0 && seen.body.windows(6).any(|w| w == b"second") {
            Reply::hang_up()
        } else {
            Reply::chat()
        }
    })
    .await;
    let gateway = gateway(model(&server.url())).await;
    gateway.chat("g").await.ok();
    let mut second = chat_body("g");
    second["user"] = "second".into();
    let answer = gateway.chat_with(&second).send().await.ok();
    assert_eq!(answer.attempts(), 1);
    let connections: Vec<usize> = server.seen().iter().map(|seen| seen.connection).collect();
    assert_eq!(connections, [0, 0, 1]);
    gateway.stop().await;
}

#[tokio::test]
async fn a_fresh_connection_that_breaks_is_a_failure() {
    let server = Scripted::start(|_| Reply::hang_up()).await;
    let gateway = gateway(model(&server.url())).await;
    let answer = gateway.chat("g").await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (502, "upstream_broken")
    );
    assert_eq!(server.seen().len(), 1);
    gateway.stop().await;
}

#[tokio::test]
async fn a_server_that_closes_after_each_answer_fails_nobody() {
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a loopback port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let mut server = JoinSet::new();
    server.spawn(async move {
        let body = r#"{"id":"c","object":"chat.completion","choices":[]}"#;
        // It says that it keeps the connection, and does not.
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: keep-alive\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        loop {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let head = server_head(&mut stream).await.expect("a request");
            let length = head
                .lines()
                .find_map(|l| l.strip_prefix("content-length: "))
                .expect("a length");
            let mut read = vec![0; length.parse().expect("a number")];
            stream.read_exact(&mut read).await.expect("a body");
            stream.write_all(answer.as_bytes()).await.expect("read");
        }
    });
    let gateway = gateway(model(&url)).await;
    for _ in 0..20 {
        assert_eq!(gateway.chat("g").await.ok().attempts(), 1);
    }
    gateway.stop().await;
}

#[tokio::test]
async fn connections_of_a_burst_are_dropped_when_fewer_are_needed() {
    let chunks = [
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"}}]}\n\n",
        "data: [DONE]\n\n",
    ];
    let gate = Arc::new(Semaphore::new(0));
    let held = Reply::chunks("text/event-stream", chunks).gate(&gate);
    let server = Scripted::start(move |seen| {
        if seen.json()["stream"] == true {
            held.clone()
        } else {
            Reply::chat()
        }
    })
    .await;
    let gateway = gateway(model(&server.url())).await;
    let streams = [
        gateway.stream("g").await,
        gateway.stream("g").await,
        gateway.stream("g").await,
    ];
    gate.add_permits(3);
    for stream in streams {
        stream.finish().await.ok();
    }
    let upstream = &gateway.app().gateway().deps().upstream;
    assert_eq!((server.accepted(), upstream.connections()), (3, 3));
    // One request every twenty seconds needs one connection, and keeps no other alive.
    for _ in 0..2 {
        tokio::time::pause();
        tokio::time::advance(s(20)).await;
        tokio::time::resume();
        gateway.chat("g").await.ok();
    }
    assert_eq!((server.accepted(), upstream.connections()), (3, 1));
    gateway.stop().await;
}

#[tokio::test]
async fn a_file_without_a_certificate_is_told_at_the_start() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "nothing").expect("written");
    for (key, what) in [
        ("ssl_verify", "holds no certificate"),
        ("ssl_certificate", "empty.pem"),
    ] {
        let yaml = Yaml::default().group(
            "g",
            [model("https://upstream.example").with(&file(key, &empty))],
        );
        let config = load(&yaml.to_string());
        let error = App::build(&config, Deps::new(Some(7))).expect_err("refused");
        let told = error.to_string();
        assert!(
            told.contains("deployment a: ") && told.contains(what),
            "{told}"
        );
    }
}

/// Without another request: who knows when the next one comes.
#[tokio::test]
async fn a_connection_that_the_provider_has_closed_is_let_go() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = listener.local_addr().expect("an address");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("endpoints.yml");
    let text = format!(
        "model_groups:\n  - id: g\n    models:\n      - {{provider: self-hosted, model: m, api_base: 'http://{addr}/v1'}}\n"
    );
    std::fs::write(&file, text).expect("written");
    let file = file.display().to_string();
    let mut process = Process::start(&["serve", "--config", &file, "--port", "0"], &[]);
    let gateway = process.address().await;
    let provider = async {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut request = Vec::new();
        while !request.ends_with(b"}") {
            stream.read_buf(&mut request).await.expect("a request");
        }
        let body = r#"{"object":"chat.completion","choices":[]}"#;
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        stream
            .write_all((head + body).as_bytes())
            .await
            .expect("an answer");
        stream.shutdown().await.expect("closed on this side");
        stream
            .read_to_end(&mut request)
            .await
            .expect("closed on the other")
    };
    let client = Request::new(gateway, Method::POST, "/v1/chat/completions");
    let (answer, more) = tokio::join!(client.json(&chat_body("g")).send(), provider);
    assert_eq!((answer.status, more), (200, 0), "{}", answer.text());
    process.signal("TERM");
    process.exit().await;
}
