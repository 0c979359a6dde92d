//! Who may ask: client keys, what they may see, and that no key ever comes out.

mod secrets;

use serde_json::json;

use crate::support::pair::Pair;
use crate::support::{Answer, Gateway, Model, Request, Yaml, chat_body, lab, load};

/// SHA-256 of `key-by-hash`.
fn hashed() -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest("key-by-hash")
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

async fn scene() -> (waypost::lab::Lab, Gateway, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("key");
    std::fs::write(&file, "  key-in-a-file\n").expect("written");
    let lab = lab(["a", "b"]);
    let keys = format!(
        "keys: [{{name: all, key: key-of-all}}, {{name: few, key: key-of-few, groups: [g]}}, {{name: file, key_file: {}}}, \
         {{name: hash, sha256: {}, groups: [h, g]}}]",
        file.display(),
        hashed()
    );
    let yaml = Yaml::over(&lab)
        .group(
            "h",
            lab.deployments()
                .iter()
                .map(|d| Model::of(d).without("model_info")),
        )
        .waypost(&keys);
    let gateway = Gateway::of(
        &load(&yaml.to_string()),
        std::sync::Arc::new(waypost::clock::SystemClock),
    )
    .await;
    (lab, gateway, folder)
}

fn refused(answer: &Answer) {
    assert_eq!(answer.status, 401, "{}", answer.text());
    let error = &answer.json()["error"];
    assert_eq!(
        (&error["type"], &error["code"]),
        (&json!("authentication_error"), &json!("invalid_api_key"))
    );
    assert!(
        error["message"].is_string() && error["param"].is_null(),
        "{error}"
    );
    assert!(!answer.text().contains("key-"), "{}", answer.text());
}

#[tokio::test]
async fn keys_come_in_three_headers_and_from_three_sources() {
    let (lab, gateway, _folder) = scene().await;
    let ask = |name: &str, value: &str| gateway.chat_with(&chat_body("g")).header(name, value);
    for key in ["key-of-all", "key-of-few", "key-in-a-file", "key-by-hash"] {
        for (name, value) in [
            ("authorization", format!("Bearer {key}")),
            ("authorization", format!("bearer {key}")),
            ("api-key", key.to_owned()),
            ("x-api-key", key.to_owned()),
        ] {
            ask(name, &value).send().await.ok();
        }
    }
    let asked = lab.deployment("a").stats().requests + lab.deployment("b").stats().requests;
    let hash = hashed();
    for (name, value) in [
        ("authorization", "Bearer key-of-none"),
        ("authorization", "Bearer "),
        ("authorization", "Bearer"),
        ("authorization", "key-of-all"),
        ("authorization", "Basic key-of-all"),
        ("api-key", ""),
        ("api-key", "key-of-al"),
        ("api-key", "key-of-alll"),
        ("api-key", &hash),
        ("x-goog-api-key", "key-of-all"),
        ("cookie", "api-key=key-of-all"),
    ] {
        refused(&ask(name, value).send().await);
    }
    refused(&gateway.chat("g").await);
    refused(
        &gateway
            .post("/v1/chat/completions?api-key=key-of-all")
            .json(&chat_body("g"))
            .send()
            .await,
    );
    refused(&gateway.get("/v1/models").await);
    refused(&gateway.get("/v1/models/g").await);
    assert_eq!(
        lab.deployment("a").stats().requests + lab.deployment("b").stats().requests,
        asked
    );
    for path in ["/livez", "/readyz", "/health/liveliness", "/metrics"] {
        assert_eq!(gateway.get(path).await.status, 200, "{path}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_refusal_comes_before_the_body_is_looked_at() {
    let (_lab, gateway, _folder) = scene().await;
    refused(&gateway.post("/v1/chat/completions").body("{").send().await);
    refused(
        &gateway
            .post("/v1/chat/completions")
            .json(&chat_body("none"))
            .send()
            .await,
    );
    gateway.stop().await;
}

#[tokio::test]
async fn a_key_sees_its_groups_only() {
    let (_lab, gateway, _folder) = scene().await;
    let get = |path: &str, key: &str| {
        gateway
            .request(http::Method::GET, path)
            .header("api-key", key)
    };
    let cases = [
        ("key-of-all", vec!["g", "h"]),
        ("key-of-few", vec!["g"]),
        ("key-in-a-file", vec!["g", "h"]),
        ("key-by-hash", vec!["g", "h"]),
    ];
    for (key, groups) in cases {
        for path in [
            "/v1/models",
            "/models",
            "/openai/v1/models",
            "/openai/models",
        ] {
            let list = get(path, key).send().await.ok().json();
            let ids: Vec<_> = list["data"]
                .as_array()
                .expect("data")
                .iter()
                .map(|m| m["id"].clone())
                .collect();
            assert_eq!(
                (ids, &list["object"]),
                (groups.iter().map(|g| json!(g)).collect(), &json!("list")),
                "{path}"
            );
        }
        for group in ["g", "h"] {
            let known = groups.contains(&group);
            let one = get(&format!("/v1/models/{group}"), key).send().await;
            assert_eq!(one.status, if known { 200 } else { 404 });
            let ask = |path: &str| {
                gateway
                    .post(path)
                    .json(&chat_body(group))
                    .header("api-key", key)
            };
            for path in [
                "/v1/chat/completions".to_owned(),
                format!("/openai/deployments/{group}/chat/completions"),
            ] {
                let answer = ask(&path).send().await;
                assert_eq!(answer.status, if known { 200 } else { 404 }, "{key} {path}");
                if !known {
                    assert_eq!(answer.code(), "model_not_found");
                    let message = answer.message();
                    let named = message.split_once("Available: ").expect("the names").1;
                    assert!(!named.contains(group), "{message}");
                }
            }
        }
    }
    gateway.stop().await;
}

#[tokio::test]
async fn without_keys_any_or_none_will_do() {
    let pair = Pair::new().await;
    let ask = |request: Request| async { request.send().await.status };
    assert_eq!(ask(pair.gateway.chat_with(&chat_body("g"))).await, 200);
    assert_eq!(
        ask(pair
            .gateway
            .chat_with(&chat_body("g"))
            .header("authorization", "Bearer any"))
        .await,
        200
    );
    for request in pair.a().requests() {
        assert_eq!(
            request.header("authorization"),
            None,
            "the client's own never goes on"
        );
    }
    pair.stop().await;
}

#[tokio::test]
async fn no_header_of_the_clients_that_says_who_it_is_goes_on() {
    let pair = Pair::new().await;
    let mut request = pair.gateway.chat_with(&chat_body("g"));
    let private = [
        "authorization",
        "api-key",
        "x-api-key",
        "cookie",
        "proxy-authorization",
        "x-goog-api-key",
        "openai-organization",
        "openai-project",
        "x-forwarded-for",
        "forwarded",
    ];
    for name in private {
        request = request.header(name, "planted");
    }
    request.send().await.ok();
    let sent = pair.a().last_request().expect("a request");
    for (name, value) in &sent.headers {
        assert!(
            !value.as_bytes().windows(7).any(|w| w == b"planted"),
            "{name}"
        );
    }
    pair.stop().await;
}
