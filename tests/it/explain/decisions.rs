//! What was decided for the last requests, for whoever runs the gateway.

use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use waypost::api::Workers;
use waypost::api::listen::Server;
use waypost::lab::Fault;

use crate::support::{Gateway, Request, Yaml, chat_body, first_then_second, lab};

const ADMIN: &str = "admin: 127.0.0.1:0";

/// The listener for operators.
async fn admin(gateway: &Gateway) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let routes = gateway.app().admin_routes();
    Server::start(listener, routes, Arc::new(Workers::here())).expect("an address")
}

async fn decisions(admin: &Server, query: &str) -> Value {
    let path = format!("/debug/decisions{query}");
    let request = Request::new(admin.addr(), Method::GET, &path);
    request.send().await.ok().json()
}

#[tokio::test]
async fn each_request_is_listed_with_its_attempts() {
    let (lab, other) = (lab(["a", "b"]), lab(["c"]));
    let yaml = first_then_second(&lab)
        .router("num_retries: 1")
        .group("h", [other.deployment("c")])
        .waypost(ADMIN)
        .waypost("groups: {g: {fallbacks: [h]}}");
    let gateway = Gateway::start(&yaml).await;
    let admin = admin(&gateway).await;
    let ask = |id: &str| {
        let mut body = chat_body("g");
        body["messages"][0]["content"] = "the prompt".into();
        gateway.chat_with(&body).header("x-request-id", id)
    };
    ask("fine").send().await.ok();
    for name in ["a", "b"] {
        lab.deployment(name).set(Fault::ServerError);
    }
    ask("fell-back").send().await.ok();
    let unknown = gateway
        .chat_with(&chat_body("unknown"))
        .header("x-request-id", "unknown");
    assert_eq!(unknown.send().await.status, 404);

    let all = decisions(&admin, "").await;
    assert_eq!(all["most"], 100);
    let ids: Vec<&str> = all["decisions"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|d| d["request"].as_str())
        .collect();
    assert_eq!(ids, ["unknown", "fell-back", "fine"]);
    let text = all.to_string();
    assert!(
        !text.contains("the prompt") && !text.contains("sk-"),
        "{text}"
    );

    let one = decisions(&admin, "?request=fell-back").await;
    assert_eq!(one["decisions"].as_array().map(Vec::len), Some(1));
    let fell_back = &one["decisions"][0];
    let tried = |group: &str, deployment: &str, verdict: &str| json!({"group": group, "deployment": deployment, "verdict": verdict});
    assert_eq!(
        fell_back["attempts"],
        json!([
            tried("g", "a", "server_error 500"),
            tried("g", "b", "server_error 500"),
            tried("h", "c", "ok"),
        ])
    );
    for (member, value) in [
        ("groups", json!(["g", "h"])),
        ("model", json!("g")),
        ("deployment", json!("c")),
        ("reason", json!("fallback")),
        ("outcome", json!("ok")),
        ("status", json!(200)),
        ("operation", json!("chat")),
        ("strategy", json!("simple-shuffle")),
    ] {
        assert_eq!(fell_back[member], value, "{member}");
    }
    assert!(fell_back["input_tokens"].as_u64() > Some(0));
    assert_eq!(
        all["decisions"][2]["attempts"],
        json!([tried("g", "a", "ok")])
    );
    assert_eq!(all["decisions"][0]["model"], "unknown");
    assert_eq!(all["decisions"][0]["groups"], json!([]));
}

#[tokio::test]
async fn there_are_as_many_as_the_file_says_and_only_for_operators() {
    let lab = lab(["a"]);
    let yaml = Yaml::over(&lab).waypost(ADMIN);
    let gateway = Gateway::start(&yaml.clone().waypost("decisions: 2")).await;
    let listener = admin(&gateway).await;
    for _ in 0..3 {
        gateway.chat("g").await.ok();
    }
    // A dry run is no decision that was carried out.
    let dry = gateway
        .chat_with(&chat_body("g"))
        .header("x-waypost-dry-run", "1");
    dry.send().await.ok();
    let kept = decisions(&listener, "").await;
    assert_eq!(kept["decisions"].as_array().map(Vec::len), Some(2));
    assert!(kept["decisions"][0]["attempts"][0].is_object());
    assert_eq!(gateway.get("/debug/decisions").await.status, 404);

    let off = Gateway::start(&yaml.waypost("decisions: 0")).await;
    off.chat("g").await.ok();
    let listener = admin(&off).await;
    let answer = Request::new(listener.addr(), Method::GET, "/debug/decisions")
        .send()
        .await;
    assert_eq!((answer.status, &*answer.code()), (404, "decisions_off"));

    let without = Gateway::start(&Yaml::over(&lab)).await;
    assert!(
        without.app().gateway().decisions().is_none(),
        "nobody could ask for them"
    );
}
