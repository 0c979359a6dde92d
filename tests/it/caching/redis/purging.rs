//! Purging: by key, by group, and all; here, there, and by somebody without a gateway.

use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use waypost::api::Workers;
use waypost::api::listen::Server;
use waypost::gateway::purges::{Done, Purge};
use waypost::redis::{Redis, StoreError};

use super::{Replicas, chat, counted, gone, key, look, ready, state, store, target};
use crate::support::pair::Pair;
use crate::support::process::run;
use crate::support::redis::RedisServer;
use crate::support::{Answer, Gateway, Request, Yaml, chat_body, lab};

async fn admin(gateway: &Gateway) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let routes = gateway.app().admin_routes();
    Server::start(listener, routes, Arc::new(Workers::here())).expect("an address")
}

async fn purge(admin: &Server, body: &Value) -> Answer {
    let request = Request::new(admin.addr(), Method::POST, "/cache/purge");
    request.json(body).send().await
}

/// As a command does it, which has a connection of its own.
async fn from_outside(all: &Replicas, purge: &Purge) -> Done {
    let redis = Redis::new(Arc::new(target(&all.redis)));
    let purged = async {
        loop {
            match purge.at(&redis, "g").await {
                Err(StoreError::Unavailable) => tokio::task::yield_now().await,
                done => return done.expect("purged"),
            }
        }
    };
    tokio::select! {
        done = purged => done,
        () = redis.keep() => panic!("the connection ended"),
    }
}

/// Has both replicas hold copies of both answers; returns the first one's key.
async fn held(all: &Replicas) -> String {
    let mut keys = Vec::new();
    for n in [1, 2] {
        keys.push(key(&all.store(&chat(n)).await));
        for replica in [&all.one, &all.two] {
            assert_eq!(state(&look(replica, &chat(n)).await), "hit");
        }
    }
    keys.swap_remove(0)
}

#[tokio::test]
async fn one_answer_is_forgotten_by_all() {
    let all = Replicas::start().await;
    let admin = admin(&all.one).await;
    let key = held(&all).await;
    let done = purge(&admin, &json!({"key": key})).await.ok();
    assert_eq!(done.json(), json!({"purged": ["g"]}));
    assert_ne!(
        state(&look(&all.one, &chat(1)).await),
        "hit",
        "at once here"
    );
    gone(&all.two, &chat(1)).await;
    for replica in [&all.one, &all.two] {
        assert_eq!(state(&look(replica, &chat(2)).await), "hit");
    }

    all.store(&chat(1)).await;
    assert_eq!(state(&look(&all.two, &chat(1)).await), "hit");
    let key = Purge::key(&key).expect("a key");
    assert_eq!(from_outside(&all, &key).await, Done::Key(true));
    gone(&all.one, &chat(1)).await;
    gone(&all.two, &chat(1)).await;
    assert_eq!(from_outside(&all, &key).await, Done::Key(false));
    all.stop().await;
}

#[tokio::test]
async fn all_answers_are_forgotten_by_all() {
    let all = Replicas::start().await;
    let admin = admin(&all.one).await;
    for what in [json!({"group": "g"}), json!({"all": true})] {
        held(&all).await;
        purge(&admin, &what).await.ok();
        for n in [1, 2] {
            assert_ne!(
                state(&look(&all.one, &chat(n)).await),
                "hit",
                "at once here"
            );
            gone(&all.two, &chat(n)).await;
        }
    }
    held(&all).await;
    assert_eq!(from_outside(&all, &Purge::All).await, Done::All(3));
    for n in [1, 2] {
        gone(&all.one, &chat(n)).await;
        gone(&all.two, &chat(n)).await;
    }
    all.stop().await;
}

#[tokio::test]
async fn what_was_purged_stays_so_when_redis_forgets() {
    let mut all = Replicas::start().await;
    let purged = from_outside(&all, &Purge::All).await;
    assert_eq!(purged, Done::All(1));
    let generation: &[u8] = b"test:{group/g}:cache-generation";
    // Both have heard of it: whoever has is enough to tell a Redis that has not.
    ready(&all.one).await;
    loop {
        let stored = all
            .one
            .chat_with(&chat(7))
            .header("cache-control", "no-cache");
        stored.send().await.ok();
        let names: Vec<String> = all.run(&[b"KEYS", b"test:*:cache:1:*"]).await;
        if !names.is_empty() {
            break;
        }
    }
    let _: ::redis::Value = all.run(&[b"FLUSHALL"]).await;
    loop {
        let found: Option<String> = all.run(&[b"GET", generation]).await;
        match found.as_deref() {
            None => tokio::task::yield_now().await,
            Some(found) => break assert_eq!(found, "1"),
        }
    }
    all.stop().await;
}

#[tokio::test]
async fn without_redis_it_says_what_was_not_purged() {
    let mut all = Replicas::start().await;
    let admin = admin(&all.two).await;
    let key = held(&all).await;
    all.redis.kill();
    while counted(&all.two, "unavailable") == 0.0 {
        look(&all.two, &chat(3)).await;
    }
    let refused = purge(&admin, &json!({"key": key})).await;
    assert_eq!(refused.status, 503);
    assert_eq!(refused.json()["error"]["code"], "redis_unavailable");
    let message = refused.json()["error"]["message"].to_string();
    assert!(message.contains("`g` ("), "{message}");
    assert_ne!(state(&look(&all.two, &chat(1)).await), "hit", "here it was");
    all.stop().await;
}

#[tokio::test]
async fn a_cache_in_memory_is_purged_where_it_is() {
    let lab = lab(["a", "b", "c"]);
    let yaml = Yaml::default()
        .group("g", [lab.deployment("a")])
        .router("cache_responses: true")
        .group("h", [lab.deployment("b")])
        .router("cache_responses: true")
        .group("uncached", [lab.deployment("c")]);
    let gateway = Gateway::start(&yaml).await;
    let admin = admin(&gateway).await;
    let ask = async |group: &str| gateway.chat(group).await.ok();
    let h = ask("h").await;
    for (what, purged, g_is, h_is) in [
        (json!({"group": "g"}), json!(["g"]), "miss", "hit"),
        (json!({"key": key(&h)}), json!(["g", "h"]), "hit", "miss"),
        (json!({"all": true}), json!(["g", "h"]), "miss", "miss"),
    ] {
        ask("g").await;
        let done = purge(&admin, &what).await.ok();
        assert_eq!(done.json(), json!({"purged": purged}));
        assert_eq!(state(&ask("g").await), g_is, "{what}");
        assert_eq!(state(&ask("h").await), h_is, "{what}");
    }
    for (what, status, code) in [
        (json!({}), 400, "invalid_purge"),
        (json!({"all": false}), 400, "invalid_purge"),
        (json!({"all": true, "group": "g"}), 400, "invalid_purge"),
        (json!({"groups": ["g"]}), 400, "invalid_purge"),
        (json!({"key": "abc"}), 400, "invalid_purge"),
        (json!([]), 400, "invalid_purge"),
        (json!({"group": "uncached"}), 404, "no_such_cache"),
        (json!({"group": "nobody's"}), 404, "no_such_cache"),
    ] {
        let refused = purge(&admin, &what).await;
        let found = refused.json()["error"]["code"].clone();
        assert_eq!((refused.status, found), (status, json!(code)), "{what}");
    }
    // A page in somebody's browser can't send it.
    let request = Request::new(admin.addr(), Method::POST, "/cache/purge");
    assert_eq!(request.send().await.status, 400);
    // Only there.
    let public = gateway.post("/cache/purge").json(&json!({"all": true}));
    assert_eq!(public.send().await.status, 404);
    gateway.stop().await;
    lab.stop().await;
}

#[tokio::test]
async fn an_answer_says_what_it_is_stored_under() {
    let on = ["cache_responses: true", "num_retries: 0"];
    let pair = Pair::with(&on, &["litellm_headers: true"]).await;
    let ask = async |control: &str| {
        let request = pair.gateway.chat_with(&chat_body("g"));
        request.header("cache-control", control).send().await.ok()
    };
    let kept = [ask("").await, ask("").await, ask("no-cache").await];
    assert_eq!(kept.each_ref().map(state), ["miss", "hit", "miss"]);
    assert!(kept.iter().all(|answer| key(answer) == key(&kept[0])));
    let litellms = kept.each_ref().map(|a| a.header("x-litellm-cache-key"));
    assert_eq!(
        litellms,
        [None, kept[0].header("x-waypost-cache-key"), None]
    );
    let bypass = ask("no-cache, no-store").await;
    assert_eq!(bypass.header("x-waypost-cache-key"), None);
    pair.a().set(waypost::lab::Fault::ServerError);
    let failed = pair.gateway.chat_with(&chat_body("g"));
    let failed = failed.header("cache-control", "no-cache").send().await;
    assert_eq!(failed.header("x-waypost-cache-key"), None);
    pair.stop().await;

    let pair = Pair::new().await;
    let off = pair.gateway.chat("g").await.ok();
    assert_eq!(off.header("x-waypost-cache-key"), None);
    pair.stop().await;
}

#[tokio::test]
async fn the_command_says_where_a_cache_in_memory_is_purged() {
    let lab = lab(["a"]);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("endpoints.yml");
    let yaml = Yaml::over(&lab).router("cache_responses: true");
    std::fs::write(&file, yaml.to_string()).expect("written");
    let file = file.display().to_string();
    let purge = async |what: &[&str]| {
        run(
            &[&["cache", "purge", "--config", &file], what].concat(),
            &[],
        )
        .await
    };
    for (what, code, said) in [
        (&["--group", "g"][..], 1, "POST /cache/purge"),
        (&["--all"], 1, "no cache is in Redis"),
        (&["--group", "x"], 1, "there is no group `x`"),
        (&["--key", "x"], 2, "64 hex digits"),
        (&["--all", "--group", "g"], 2, "cannot be used with"),
        (&[], 2, "required"),
    ] {
        let exit = purge(what).await;
        assert_eq!(exit.code, Some(code), "{exit:?}");
        assert!(exit.stderr.contains(said), "{exit:?}");
    }
    lab.stop().await;
}

#[tokio::test]
async fn the_command_purges_what_replicas_hold() {
    let lab = lab(["a"]);
    let redis = RedisServer::start().await;
    let settings = format!(
        "redis: {{url: \"{}\", interval: 5ms, timeout: 60s}}",
        redis.url()
    );
    let yaml = Yaml::over(&lab).router("cache_responses: true");
    let yaml = yaml.waypost(&settings);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("endpoints.yml");
    std::fs::write(&file, yaml.to_string()).expect("written");
    let file = file.display().to_string();
    let gateway = Gateway::start(&yaml).await;
    ready(&gateway).await;
    let key = key(&store(&gateway, gateway.chat_with(&chat(1))).await);
    for (what, said, again) in [
        (&["--key", &*key][..], "purged\n", false),
        (&["--key", &key], "no such answer\n", false),
        (&["--group", "g"], "g: all answers purged\n", true),
        (&["--all"], "g: all answers purged\n", true),
    ] {
        if again {
            store(&gateway, gateway.chat_with(&chat(1))).await;
        }
        let arguments = [&["cache", "purge", "--config", &file], what].concat();
        let exit = run(&arguments, &[]).await;
        assert_eq!((exit.code, &*exit.stdout), (Some(0), said), "{exit:?}");
        gone(&gateway, &chat(1)).await;
    }
    gateway.stop().await;
    lab.stop().await;
}
