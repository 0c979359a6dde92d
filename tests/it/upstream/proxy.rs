//! The proxy variables, which a process reads when it starts: each test runs the command with its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use http::Method;
use tempfile::TempDir;

use super::{file, model};
use crate::support::process::Process;
use crate::support::{Answer, Authority, Reply, Request, Scripted, Yaml, chat_body};

/// `waypost serve` at work.
struct Served {
    addr: SocketAddr,
    _process: Process,
    _folder: TempDir,
}

fn written(yaml: &Yaml) -> (TempDir, PathBuf) {
    let folder = TempDir::new().expect("a folder");
    let config = folder.path().join("endpoints.yml");
    std::fs::write(&config, yaml.to_string()).expect("written");
    (folder, config)
}

fn serve(config: &Path, variables: &[(&str, &str)]) -> Process {
    let config = config.display().to_string();
    // One thread, so that all requests share the connections.
    let arguments = [
        "serve",
        "--threads",
        "1",
        "--port",
        "0",
        "--config",
        &config,
    ];
    Process::start(&arguments, variables)
}

impl Served {
    async fn start(yaml: &Yaml, variables: &[(&str, &str)]) -> Self {
        let (folder, config) = written(yaml);
        let mut process = serve(&config, variables);
        Self {
            addr: process.address().await,
            _process: process,
            _folder: folder,
        }
    }

    async fn chat(&self) -> Answer {
        let request = Request::new(self.addr, Method::POST, "/v1/chat/completions");
        request.json(&chat_body("g")).send().await
    }
}

/// The proxy's URL, with a user.
fn with_user(proxy: &Scripted) -> String {
    format!("http://user:pass@{}", proxy.addr())
}

/// `user:pass`
const BASIC: &str = "Basic dXNlcjpwYXNz";

#[tokio::test]
async fn plain_http_is_asked_of_the_proxy_with_the_whole_url() {
    let proxy = Scripted::start(|_| Reply::chat()).await;
    let yaml = Yaml::default().group("g", [model("http://upstream.example:8080")]);
    let served = Served::start(&yaml, &[("HTTP_PROXY", &with_user(&proxy))]).await;
    for _ in 0..2 {
        served.chat().await.ok();
    }
    for seen in proxy.seen() {
        assert_eq!(seen.uri, "http://upstream.example:8080/v1/chat/completions");
        assert_eq!(seen.header("host"), Some("upstream.example:8080"));
        assert_eq!(seen.header("proxy-authorization"), Some(BASIC));
    }
    assert_eq!((proxy.seen().len(), proxy.accepted()), (2, 1));
}

#[tokio::test]
async fn https_goes_through_a_tunnel_and_the_credentials_stay_at_its_mouth() {
    let authority = Authority::new();
    let proxy = Scripted::tunnel(authority.server("upstream.example"), |_| Reply::chat()).await;
    let trusting = model("https://upstream.example").with(&file("ssl_verify", &authority.file()));
    let yaml = Yaml::default().group("g", [trusting]);
    let served = Served::start(&yaml, &[("HTTPS_PROXY", &with_user(&proxy))]).await;
    for _ in 0..2 {
        served.chat().await.ok();
    }
    let [tunnel] = &proxy.tunnels()[..] else {
        panic!("one tunnel: {:?}", proxy.tunnels())
    };
    assert!(
        tunnel.starts_with("CONNECT upstream.example:443 HTTP/1.1\r\n"),
        "{tunnel}"
    );
    assert!(
        tunnel.contains(&format!("proxy-authorization: {BASIC}\r\n")),
        "{tunnel}"
    );
    for seen in proxy.seen() {
        assert_eq!(seen.uri, "/v1/chat/completions");
        assert_eq!(seen.header("host"), Some("upstream.example"));
        assert_eq!(seen.header("proxy-authorization"), None);
    }
    assert_eq!(proxy.seen().len(), 2);
}

#[tokio::test]
async fn a_proxy_that_refuses_the_tunnel_is_no_connection() {
    let proxy = Scripted::start(|_| Reply::chat().status(407)).await;
    let yaml = Yaml::default()
        .group("g", [model("https://upstream.example")])
        .router("num_retries: 0");
    let served = Served::start(&yaml, &[("HTTPS_PROXY", &proxy.url())]).await;
    let answer = served.chat().await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (502, "upstream_unreachable")
    );
}

#[tokio::test]
async fn hosts_of_no_proxy_are_asked_themselves() {
    let proxy = Scripted::start(|_| Reply::chat()).await;
    let direct = Scripted::start(|_| Reply::chat()).await;
    let yaml = Yaml::default().group("g", [model(&direct.url())]);
    let user = with_user(&proxy);
    let variables = [
        ("HTTP_PROXY", &*user),
        ("NO_PROXY", "other.example,127.0.0.1"),
    ];
    let served = Served::start(&yaml, &variables).await;
    served.chat().await.ok();
    let [seen] = &direct.seen()[..] else {
        panic!("one request")
    };
    assert_eq!(seen.uri, "/v1/chat/completions");
    assert_eq!(seen.header("proxy-authorization"), None);
    assert_eq!(proxy.accepted(), 0);
}

/// Speaking plain HTTP to it would hand the credentials to whoever listens on the way.
#[tokio::test]
async fn a_proxy_of_a_kind_that_is_not_spoken_is_refused_at_the_start() {
    for (url, proxy) in [
        (
            "https://upstream.example",
            "https://user:pass@proxy.example:1",
        ),
        (
            "http://upstream.example",
            "https://user:pass@proxy.example:1",
        ),
        (
            "https://upstream.example",
            "socks5://user:pass@proxy.example:1",
        ),
    ] {
        let (_folder, config) = written(&Yaml::default().group("g", [model(url)]));
        // It would listen for ever if it did not refuse.
        let exit = serve(&config, &[("ALL_PROXY", proxy)]).exit().await;
        let told = exit.stderr;
        assert!(exit.code != Some(0) && exit.stdout.is_empty(), "{told}");
        let scheme = proxy.split(':').next().expect("a scheme");
        assert!(told.contains(&format!("{scheme}://")), "{told}");
        assert!(!told.contains("pass@") && !told.contains("user:"), "{told}");
    }
}
