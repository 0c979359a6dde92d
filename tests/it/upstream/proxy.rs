//! The proxy variables, which a process reads when it starts: each test runs the command with its own.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use http::Method;
use tempfile::TempDir;

use super::{file, model};
use crate::support::{Answer, Authority, Reply, Request, Scripted, Yaml, chat_body};

/// `waypost serve` at work.
struct Served {
    child: Child,
    addr: SocketAddr,
    _folder: TempDir,
}

impl Served {
    fn start(yaml: &Yaml, environment: &[(&str, String)]) -> Self {
        let folder = TempDir::new().expect("a folder");
        let config = folder.path().join("endpoints.yml");
        std::fs::write(&config, yaml.to_string()).expect("written");
        let mut child = Command::new(env!("CARGO_BIN_EXE_waypost"))
            .args(["serve", "--port", "0", "--no-access-log", "--config"])
            .arg(config)
            .env_clear()
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it runs");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let mut lines = lines.map(|line| line.expect("UTF-8"));
        let addr = lines
            .find_map(|line| line.strip_prefix("listening on http://")?.parse().ok())
            .expect("it says where it listens");
        Self {
            child,
            addr,
            _folder: folder,
        }
    }

    async fn chat(&self) -> Answer {
        let request = Request::new(self.addr, Method::POST, "/v1/chat/completions");
        request.json(&chat_body("g")).send().await
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ended");
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
    let served = Served::start(&yaml, &[("HTTP_PROXY", with_user(&proxy))]);
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
    let served = Served::start(&yaml, &[("HTTPS_PROXY", with_user(&proxy))]);
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
    let served = Served::start(&yaml, &[("HTTPS_PROXY", proxy.url())]);
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
    let variables = [
        ("HTTP_PROXY", with_user(&proxy)),
        ("NO_PROXY", "other.example,127.0.0.1".to_owned()),
    ];
    let served = Served::start(&yaml, &variables);
    served.chat().await.ok();
    let [seen] = &direct.seen()[..] else {
        panic!("one request")
    };
    assert_eq!(seen.uri, "/v1/chat/completions");
    assert_eq!(seen.header("proxy-authorization"), None);
    assert_eq!(proxy.accepted(), 0);
}

/// Speaking plain HTTP to it would hand the credentials to whoever listens on the way.
#[test]
fn a_proxy_of_a_kind_that_is_not_spoken_is_refused_at_the_start() {
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
        let folder = TempDir::new().expect("a folder");
        let config = folder.path().join("endpoints.yml");
        let yaml = Yaml::default().group("g", [model(url)]);
        std::fs::write(&config, yaml.to_string()).expect("written");
        let mut child = Command::new(env!("CARGO_BIN_EXE_waypost"))
            .args(["serve", "--port", "0", "--config"])
            .arg(config)
            .env_clear()
            .env("ALL_PROXY", proxy)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it runs");
        let stdout = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let mut stdout = stdout.map_while(Result::ok);
        let listens = stdout.any(|line| line.starts_with("listening on"));
        if listens {
            child.kill().expect("it runs");
        }
        let output = child.wait_with_output().expect("it ended");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(!listens && !output.status.success(), "{proxy}: {told}");
        let scheme = proxy.split(':').next().expect("a scheme");
        assert!(told.contains(&format!("{scheme}://")), "{told}");
        assert!(!told.contains("pass@") && !told.contains("user:"), "{told}");
    }
}
