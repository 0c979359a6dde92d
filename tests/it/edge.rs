//! The HTTP edge: paths, lengths, encodings, headers, both versions of HTTP.

mod clients;
mod framing;
mod lane;

use serde_json::json;
use waypost::lab::Behaviour;

use crate::support::pair::{Pair, stream_body};
use crate::support::{Answer, chat_body};

#[tokio::test]
async fn every_path_there_is() {
    let pair = Pair::new().await;
    let requests = [
        ("chat/completions", chat_body("g")),
        ("completions", json!({"model": "g", "prompt": "x"})),
        ("embeddings", json!({"model": "g", "input": "x"})),
    ];
    for (path, body) in &requests {
        for base in ["", "/v1", "/openai/v1"] {
            pair.gateway
                .post(&format!("{base}/{path}"))
                .json(body)
                .send()
                .await
                .ok();
        }
        let mut elsewhere = body.clone();
        for model in [json!("g"), json!("ignored"), json!(null)] {
            elsewhere["model"] = model;
            for query in ["", "?api-version=2024-10-21"] {
                let path = format!("/openai/deployments/g/{path}{query}");
                pair.gateway.post(&path).json(&elsewhere).send().await.ok();
            }
        }
        elsewhere
            .as_object_mut()
            .expect("an object")
            .remove("model");
        let path = format!("/openai/deployments/g/{path}");
        pair.gateway.post(&path).json(&elsewhere).send().await.ok();
    }
    for request in pair.a().requests() {
        assert_eq!(request.json()["model"], "a");
    }
    for base in ["", "/v1", "/openai/v1", "/openai"] {
        let list = pair
            .gateway
            .get(&format!("{base}/models"))
            .await
            .ok()
            .json();
        assert_eq!(
            (
                &list["object"],
                &list["data"][0]["id"],
                &list["data"][0]["object"]
            ),
            (&json!("list"), &json!("g"), &json!("model"))
        );
        let one = pair
            .gateway
            .get(&format!("{base}/models/g"))
            .await
            .ok()
            .json();
        assert_eq!(one, list["data"][0]);
        let none = pair.gateway.get(&format!("{base}/models/G")).await;
        assert_eq!((none.status, none.code()), (404, "model_not_found".into()));
        assert!(
            none.message().contains("Available: g"),
            "{}",
            none.message()
        );
    }
    for path in [
        "/livez",
        "/health/liveliness",
        "/health/liveness",
        "/readyz",
        "/health/readiness",
    ] {
        pair.gateway.get(path).await.ok();
    }
    assert_eq!(pair.b().stats().requests, 0);
    pair.stop().await;
}

#[tokio::test]
async fn groups_with_odd_names() {
    let lab = crate::support::lab(["a"]);
    let name = "team a/gpt-4: \u{fc}?";
    let yaml = crate::support::Yaml::default().group(name, lab.deployments());
    let gateway = crate::support::Gateway::start(&yaml).await;
    gateway.chat(name).await.ok();
    let encoded = "team%20a%2Fgpt-4%3A%20%C3%BC%3F";
    let path = format!("/openai/deployments/{encoded}/chat/completions");
    let answer = gateway
        .post(&path)
        .json(&json!({"messages": []}))
        .send()
        .await
        .ok();
    assert!(
        answer.headers.contains_key("x-waypost-model-group"),
        "{:?}",
        answer.headers
    );
    for path in [
        format!("/v1/models/{encoded}"),
        "/v1/models/team%20a/gpt-4:%20%C3%BC%3F".to_owned(),
    ] {
        assert_eq!(gateway.get(&path).await.ok().json()["id"], name);
    }
    gateway.stop().await;
}

fn refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!(
        (answer.status, &*answer.code()),
        (status, code),
        "{}",
        answer.text()
    );
    let error = &answer.json()["error"];
    assert!(
        error["message"].is_string() && error["type"].is_string(),
        "{error}"
    );
    assert!(error.get("param").is_some(), "{error}");
    assert_eq!(answer.header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn what_is_not_there_is_refused_in_openais_shape() {
    let pair = Pair::new().await;
    for path in [
        "/",
        "/v1",
        "/v2/chat/completions",
        "/v1/chat/completions/",
        "/v1/responses",
        "/chat",
        "/openai/deployments/g/images",
        "/metrics/x",
    ] {
        refused(
            &pair.gateway.post(path).json(&chat_body("g")).send().await,
            404,
            "unknown_url",
        );
        refused(&pair.gateway.get(path).await, 404, "unknown_url");
    }
    for (method, path) in [
        (http::Method::GET, "/v1/chat/completions"),
        (http::Method::PUT, "/embeddings"),
        (
            http::Method::DELETE,
            "/openai/deployments/g/chat/completions",
        ),
        (http::Method::POST, "/v1/models"),
        (http::Method::POST, "/v1/models/g"),
        (http::Method::POST, "/livez"),
        (http::Method::POST, "/metrics"),
    ] {
        let answer = pair.gateway.request(method.clone(), path).send().await;
        refused(&answer, 405, "method_not_allowed");
        assert!(
            answer.headers.contains_key("allow"),
            "{method} {path}: {:?}",
            answer.headers
        );
    }
    for (body, param) in [
        ("", None),
        ("{", None),
        ("[]", None),
        ("{\"model\":\"g\"} x", None),
        ("{\"messages\":[]}", Some("model")),
        ("{\"model\":7}", Some("model")),
        ("{\"model\":\"g\",\"model\":\"h\"}", Some("model")),
        ("{\"model\":\"g\",\"stream\":\"yes\"}", Some("stream")),
        (
            "{\"model\":\"g\",\"stream_options\":[]}",
            Some("stream_options"),
        ),
    ] {
        let answer = pair
            .gateway
            .post("/v1/chat/completions")
            .body(body)
            .send()
            .await;
        refused(&answer, 400, "");
        assert_eq!(answer.json()["error"]["param"].as_str(), param, "{body}");
    }
    let deep = format!(
        "{{\"model\":\"g\",\"x\":{}{}}}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    let answer = pair
        .gateway
        .post("/v1/chat/completions")
        .body(deep)
        .send()
        .await;
    refused(&answer, 400, "");
    // Depth alone is no reason to refuse; it costs nothing here, and the provider has its own limit.
    assert_eq!(pair.a().stats().requests, 1);
    pair.stop().await;
}

#[tokio::test]
async fn a_request_has_an_id() {
    let pair = Pair::new().await;
    let ask = |id: Option<&str>| {
        let request = pair.gateway.chat_with(&chat_body("g"));
        id.map_or(request.clone(), |id| request.header("x-request-id", id))
    };
    let own = ask(Some("Order-66_a.b")).send().await.ok();
    assert_eq!(own.header("x-request-id"), Some("Order-66_a.b"));
    assert!(
        own.header("x-upstream-request-id")
            .is_some_and(|id| id.starts_with("req_lab"))
    );
    let long = "x".repeat(129);
    let mut seen = std::collections::HashSet::new();
    for id in [
        None,
        Some(""),
        Some("a b"),
        Some("a,b"),
        Some("\"><script>"),
        Some(&*long),
    ] {
        let answer = ask(id).send().await.ok();
        let new = answer.header("x-request-id").expect("an id").to_owned();
        assert!(new.starts_with("req_") && new.len() > 20, "{new}");
        assert!(seen.insert(new), "ids are different");
    }
    for answer in [
        pair.gateway
            .post("/v1/chat/completions")
            .body("{")
            .header("x-request-id", "mine")
            .send()
            .await,
        pair.gateway
            .chat_with(&chat_body("none"))
            .header("x-request-id", "mine")
            .send()
            .await,
        pair.streaming().header("x-request-id", "mine").send().await,
    ] {
        assert_eq!(
            answer.header("x-request-id"),
            Some("mine"),
            "{}",
            answer.status
        );
    }
    pair.stop().await;
}

#[tokio::test]
async fn what_the_upstreams_headers_say_to_the_client_goes_on_and_the_rest_stays() {
    let pair = Pair::new().await;
    let on = [
        ("x-ratelimit-limit-requests", "100"),
        ("x-ratelimit-remaining-tokens", "7"),
        ("x-ratelimit-reset-requests", "1s"),
        ("retry-after", "3"),
        ("openai-processing-ms", "12"),
        ("openai-version", "2020-10-01"),
        ("x-ms-region", "France"),
        ("x-of-a-provider", "ok"),
    ];
    let stay = [
        ("set-cookie", "a=b"),
        ("server", "lab"),
        ("via", "1.1 lab"),
        ("alt-svc", "h3"),
        ("keep-alive", "timeout=5"),
        ("proxy-authenticate", "Basic"),
        ("trailer", "x-sum"),
        ("strict-transport-security", "max-age=1"),
        ("access-control-allow-origin", "*"),
        ("x-waypost-deployment", "forged"),
        ("x-waypost-forged", "forged"),
        ("x-should-retry", "true"),
        ("x-hop", "named by connection"),
    ];
    let mut behaviour = Behaviour::default();
    for (name, value) in on.iter().chain(&stay) {
        behaviour.headers.insert((*name).into(), (*value).into());
    }
    behaviour
        .headers
        .insert("connection".into(), "x-hop".into());
    pair.a().set(behaviour);
    for body in [chat_body("g"), stream_body()] {
        let answer = pair.gateway.chat_with(&body).send().await.ok();
        for (name, value) in on {
            assert_eq!(answer.header(name), Some(value), "{name}");
        }
        for (name, value) in stay {
            assert_ne!(answer.header(name), Some(value), "{name}");
        }
        assert_eq!(answer.deployment(), "a");
    }
    pair.stop().await;
}

#[tokio::test]
async fn of_a_refusal_too() {
    let pair = Pair::with(&["num_retries: 0"], &[]).await;
    let fault = waypost::lab::Fault::rate_limit_for(std::time::Duration::from_secs(7));
    let mut behaviour = Behaviour::fault(fault);
    behaviour
        .headers
        .insert("x-ratelimit-remaining-requests".into(), "0".into());
    behaviour.headers.insert("set-cookie".into(), "a=b".into());
    pair.a().set(behaviour);
    let answer = pair.gateway.chat("g").await;
    assert_eq!(answer.status, 429);
    assert_eq!(answer.header("retry-after"), Some("7"));
    assert_eq!(answer.header("x-ratelimit-remaining-requests"), Some("0"));
    assert_eq!(
        (answer.header("set-cookie"), answer.header("x-should-retry")),
        (None, Some("false"))
    );
    pair.stop().await;
}
