//! Azure's paths, versions and credentials.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use waypost::clock::ManualClock;
use waypost::lab::{Fault, Lab};
use waypost::types::{Auth, EntraCredential, EntraSource, Secret, TokenCredential};

use crate::support::{Gateway, Model, Yaml, chat_body, lab, load, received, together};

#[tokio::test]
async fn deployments_stand_in_the_path_with_version_and_key() {
    let lab = lab(["gpt"]);
    let gpt = lab.deployment("gpt");
    let gateway =
        Gateway::start(&Yaml::default().group("g", [Model::azure(gpt, "2024-10-21")])).await;
    for (operation, body) in [
        ("chat/completions", chat_body("g")),
        ("completions", json!({"model": "g", "prompt": "x"})),
        ("embeddings", json!({"model": "g", "input": "x"})),
    ] {
        gateway
            .post(&format!("/v1/{operation}"))
            .json(&body)
            .send()
            .await
            .ok();
        let sent = gpt.last_request().expect("a request");
        assert_eq!(
            sent.path,
            format!("/openai/deployments/gpt/{operation}?api-version=2024-10-21")
        );
        assert_eq!(sent.header("api-key"), Some("sk-of-the-deployment"));
        assert!(sent.header("authorization").is_none());
    }
}

#[tokio::test]
async fn the_newer_path_has_no_version_and_the_deployment_as_model() {
    let lab = lab(["gpt"]);
    let gpt = lab.deployment("gpt");
    let v1 = format!("api_base: {}/openai/v1/", gpt.root_url());
    for model in [
        Model::azure(gpt, "v1"),
        Model::azure(gpt, "").without("api_version").with(&v1),
    ] {
        let gateway = Gateway::start(&Yaml::default().group("g", [model])).await;
        gateway.chat("g").await.ok();
        let sent = gpt.last_request().expect("a request");
        assert_eq!(
            (sent.path.as_str(), &sent.json()["model"]),
            ("/openai/v1/chat/completions", &json!("gpt"))
        );
        assert_eq!(sent.header("api-key"), Some("sk-of-the-deployment"));
    }
}

#[tokio::test]
async fn old_versions_are_sent_nothing_they_do_not_know() {
    let lab = lab(["gpt"]);
    let gpt = lab.deployment("gpt");
    let gateway =
        Gateway::start(&Yaml::default().group("g", [Model::azure(gpt, "2023-12-01-preview")]))
            .await;
    let mut body = chat_body("g");
    body["max_completion_tokens"] = json!(4);
    body["stream"] = json!(true);
    body["stream_options"] = json!({"include_usage": true});
    let answer = gateway.chat_with(&body).send().await.ok();
    assert!(
        answer.text().ends_with("data: [DONE]\n\n"),
        "{}",
        answer.text()
    );
    let sent = gpt.last_request().expect("a request").json();
    assert_eq!(
        (&sent["max_tokens"], sent.get("stream_options")),
        (&json!(4), None)
    );
    let embedding = json!({"model": "g", "input": "x", "encoding_format": "base64"});
    let answer = gateway
        .post("/v1/embeddings")
        .json(&embedding)
        .send()
        .await
        .ok();
    assert!(
        answer.json()["data"][0]["embedding"].is_string(),
        "encoded here"
    );
    assert!(
        gpt.last_request()
            .expect("a request")
            .json()
            .get("encoding_format")
            .is_none()
    );
}

#[tokio::test]
async fn a_stream_may_begin_with_a_chunk_without_choices() {
    let lab = lab(["gpt"]);
    let gateway = Gateway::start(
        &Yaml::default().group("g", [Model::azure(lab.deployment("gpt"), "2024-10-21")]),
    )
    .await;
    let answer = gateway.stream("g").await.finish().await.ok();
    let first = answer
        .text()
        .lines()
        .next()
        .and_then(|line| line.strip_prefix("data: "))
        .expect("an event");
    let first: serde_json::Value = serde_json::from_str(first).expect("JSON");
    assert_eq!(first["choices"], json!([]));
    assert!(first["prompt_filter_results"].is_array(), "{first}");
    assert!(
        !answer.text().contains("\"usage\":{"),
        "asked for by the gateway only"
    );
}

#[tokio::test]
async fn a_missing_deployment_falls_over_and_is_the_gateways_fault_in_the_end() {
    let lab = lab(["a", "b"]);
    let azure = |name| Model::azure(lab.deployment(name), "2024-10-21");
    let models = [azure("a").with("order: 1"), azure("b").with("order: 2")];
    let (gateway, _clock) = Gateway::with_manual_clock(&Yaml::default().group("g", models)).await;
    lab.deployment("a").set(Fault::DeploymentNotFound);
    assert_eq!(gateway.chat("g").await.ok().deployment(), "b");
    lab.deployment("b").set(Fault::DeploymentNotFound);
    for _ in 0..2 {
        let answer = gateway.chat("g").await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (502, "upstream_model_not_found")
        );
    }
}

/// A token endpoint that answers when it may.
struct Authority {
    addr: SocketAddr,
    _server: JoinSet<std::io::Result<()>>,
    asked: Arc<AtomicUsize>,
    gate: Arc<Semaphore>,
}

const TOKEN: &str = "eyJ-token-of-the-directory";

impl Authority {
    async fn start(status: StatusCode) -> Self {
        let (asked, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
        let (count, wait) = (Arc::clone(&asked), Arc::clone(&gate));
        let token = move |body: String| {
            let (count, wait) = (Arc::clone(&count), Arc::clone(&wait));
            async move {
                count.fetch_add(1, Ordering::SeqCst);
                wait.acquire().await.expect("open").forget();
                assert_eq!(
                    body,
                    "grant_type=client_credentials&client_id=id&client_secret=the-secret-of-the-app&scope=scope%2F.default"
                );
                let answer = if status.is_success() {
                    json!({"access_token": TOKEN, "expires_in": 3600})
                } else {
                    json!({"error": "invalid_client", "error_description": "the-secret-of-the-app is wrong"})
                };
                (status, answer.to_string())
            }
        };
        let routes = Router::new().route("/tenant/oauth2/v2.0/token", post(token));
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a loopback port");
        let addr = listener.local_addr().expect("an address");
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, routes).await });
        Self {
            addr,
            _server: server,
            asked,
            gate,
        }
    }

    /// A gateway whose Azure deployments authenticate here.
    async fn gateway(&self, lab: &Lab, waypost: &str) -> Gateway {
        let models = lab
            .deployments()
            .iter()
            .map(|d| Model::azure(d, "2024-10-21"));
        let mut config = load(
            &Yaml::default()
                .group("g", models)
                .router("num_retries: 0")
                .waypost(waypost)
                .to_string(),
        );
        // A file may name https only.
        let credential = Arc::new(TokenCredential::Entra(EntraCredential {
            source: EntraSource::ClientSecret {
                tenant_id: "tenant".into(),
                client_id: Secret::new("id"),
                client_secret: Secret::new("the-secret-of-the-app"),
            },
            scopes: vec!["scope/.default".into()],
            authority_host: format!("http://{}", self.addr),
        }));
        for deployment in &mut config.groups[0].deployments {
            Arc::make_mut(&mut deployment.target).auth = Auth::Token(Arc::clone(&credential));
        }
        Gateway::of(&config, Arc::new(ManualClock::new())).await
    }
}

#[tokio::test]
async fn a_token_is_fetched_once_for_all_that_need_it() {
    let lab = lab(["a", "b"]);
    let authority = Authority::start(StatusCode::OK).await;
    let gateway = authority.gateway(&lab, "anonymous: false").await;
    authority.gate.add_permits(1);
    let answers = together(vec![gateway.chat_with(&chat_body("g")); 10]).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    gateway.chat("g").await.ok();
    assert_eq!(authority.asked.load(Ordering::SeqCst), 1);
    for sent in lab
        .deployments()
        .iter()
        .flat_map(waypost::lab::Handle::requests)
    {
        assert_eq!(
            sent.header("authorization"),
            Some(format!("Bearer {TOKEN}").as_str())
        );
        assert!(sent.header("api-key").is_none());
    }
    lab.deployments()
        .iter()
        .for_each(|d| d.set(Fault::EchoAuthorization));
    let answer = gateway.chat("g").await;
    assert!(!answer.text().contains(TOKEN), "{}", answer.text());
}

#[tokio::test]
async fn no_token_is_a_refused_credential() {
    let lab = lab(["a"]);
    let authority = Authority::start(StatusCode::UNAUTHORIZED).await;
    authority.gate.add_permits(10);
    let gateway = authority.gateway(&lab, "anonymous: false").await;
    for _ in 0..2 {
        let answer = gateway.chat("g").await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (502, "upstream_auth_error")
        );
        assert!(!answer.text().contains("the-secret"), "{}", answer.text());
    }
    assert_eq!(
        authority.asked.load(Ordering::SeqCst),
        1,
        "cooling meanwhile"
    );
    assert_eq!(received(&lab), [0]);
}

#[tokio::test]
async fn a_token_endpoint_that_hangs_is_under_the_clocks_too() {
    let lab = lab(["a"]);
    let authority = Authority::start(StatusCode::OK).await;
    let gateway = authority
        .gateway(&lab, "timeouts: {first_content: 50ms}")
        .await;
    let answer = gateway.chat("g").await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (504, "upstream_timeout")
    );
    assert_eq!(gateway.in_flight("g"), [0]);
    // What was given up is no obstacle to the next one.
    authority.gate.add_permits(10);
    gateway.chat("g").await.ok();
}
