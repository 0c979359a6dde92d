//! The response cache: what is equal, what is kept, and what never is.

mod merging;
mod redis;

use serde_json::{Value, json};
use waypost::lab::{Behaviour, Fault, Framing};

use crate::support::pair::{Pair, stream_body, timeless};
use crate::support::{Answer, Request, chat_body};

const ON: &[&str] = &["cache_responses: true"];

fn state(answer: &Answer) -> &str {
    answer.header("x-waypost-cache").expect("x-waypost-cache")
}

async fn chat(pair: &Pair, body: &Value) -> Answer {
    pair.gateway.chat_with(body).send().await.ok()
}

/// Whether a second request gets the first one's answer.
async fn shares(first: Request, second: Request) -> bool {
    let (first, second) = (first.send().await.ok(), second.send().await.ok());
    let shared = first.body == second.body;
    assert_eq!(state(&second) == "hit", shared);
    shared
}

#[tokio::test]
async fn the_second_time_it_comes_from_memory() {
    let pair = Pair::with(ON, &[]).await;
    let miss = chat(&pair, &chat_body("g")).await;
    assert_eq!(
        (state(&miss), miss.deployment(), miss.attempts()),
        ("miss", "a", 1)
    );
    let hit = chat(&pair, &chat_body("g")).await;
    assert_eq!(
        (state(&hit), hit.deployment(), hit.attempts()),
        ("hit", "", 0)
    );
    assert_eq!(hit.header("x-waypost-model-group"), Some("g"));
    assert_eq!(
        (hit.body, hit.headers["content-type"].clone()),
        (miss.body, miss.headers["content-type"].clone())
    );
    assert_eq!(pair.a().stats().requests, 1);
    for (result, n) in [("miss", 1.0), ("hit", 1.0)] {
        assert_eq!(
            pair.metric("waypost_cache_total", &[&format!("result=\"{result}\"")]),
            n
        );
    }
    pair.stop().await;
}

#[tokio::test]
async fn it_is_off_unless_it_is_on() {
    let pair = Pair::new().await;
    for _ in 0..2 {
        assert_eq!(state(&chat(&pair, &chat_body("g")).await), "off");
    }
    assert_eq!(pair.a().stats().requests, 2);
    pair.stop().await;
}

#[tokio::test]
async fn spelling_does_not_matter() {
    let pair = Pair::with(ON, &[]).await;
    let bodies = [
        r#"{"model":"g","temperature":0,"messages":[{"role":"user","content":"é"}],"x":1e2}"#,
        "{ \"messages\" : [ {\"content\":\"\\u00e9\",\n\"role\":\"user\"} ],\t\"x\":100, \"temperature\":0.0, \"model\":\"g\" }",
        r#"{"x":100.0,"temperature":-0.0,"messages":[{"role":"user","content":"é"}],"model":"\u0067"}"#,
    ];
    for body in bodies {
        pair.gateway
            .post("/v1/chat/completions")
            .body(body)
            .send()
            .await
            .ok();
    }
    // The group may stand in the path.
    let path = "/openai/deployments/g/chat/completions?api-version=2024-10-21";
    pair.gateway
        .post(path)
        .body(r#"{"messages":[{"role":"user","content":"é"}],"x":100,"temperature":0}"#)
        .send()
        .await
        .ok();
    assert_eq!(pair.a().stats().requests, 1);
    pair.stop().await;
}

#[tokio::test]
async fn everything_else_does() {
    let pair = Pair::with(ON, &[]).await;
    let base = json!({"model": "g", "messages": [{"role": "user", "content": "x"}]});
    let with = |name: &str, value: Value| {
        let mut body = base.clone();
        body[name] = value;
        body
    };
    let bodies = [
        base.clone(),
        with("temperature", json!(0)),
        with("temperature", json!(0.1)),
        with("temperature", json!(null)),
        with("max_tokens", json!(5)),
        with("n", json!(1)),
        with("stop", json!("x")),
        with("stop", json!(["x"])),
        with("tool_choice", json!("none")),
        with("user", json!("somebody")),
        with("x_of_a_provider", json!({"a": 1})),
        with("stream", json!(false)),
        with("stream", json!(true)),
        with("stream_options", json!({"include_usage": true})),
        with(
            "messages",
            json!([{"role": "user", "content": "x"}, {"role": "user", "content": "x"}]),
        ),
        with("messages", json!([{"role": "system", "content": "x"}])),
    ];
    for body in &bodies {
        assert_eq!(state(&chat(&pair, body).await), "miss", "{body}");
    }
    for body in &bodies {
        assert_eq!(state(&chat(&pair, body).await), "hit", "{body}");
    }
    let completion =
        json!({"model": "g", "messages": [{"role": "user", "content": "x"}], "prompt": "x"});
    let completion = pair
        .gateway
        .post("/v1/completions")
        .json(&completion)
        .send()
        .await
        .ok();
    assert_eq!(state(&completion), "miss");
    pair.stop().await;
}

#[tokio::test]
async fn streams_are_replayed_as_they_were() {
    let pair = Pair::with(ON, &[]).await;
    for options in [json!(null), json!({"include_usage": true})] {
        for framing in [Framing::Lf, Framing::Crlf] {
            let text = format!("Grüße {framing:?}");
            pair.a().set(Behaviour {
                framing,
                ..Behaviour::text(&text)
            });
            let mut body = stream_body();
            body["messages"][0]["content"] = text.into();
            body["stream_options"] = options.clone();
            let (miss, hit) = (chat(&pair, &body).await, chat(&pair, &body).await);
            assert_eq!((state(&miss), state(&hit)), ("miss", "hit"));
            assert_eq!(hit.body, miss.body);
            assert_eq!(
                hit.header("content-type"),
                Some("text/event-stream; charset=utf-8")
            );
            assert!(hit.text().trim_end().ends_with("[DONE]"));
            body["stream"] = false.into();
            let plain = chat(&pair, &body).await;
            assert_eq!(state(&plain), "miss", "a plain answer is another matter");
        }
    }
    pair.stop().await;
}

#[tokio::test]
async fn what_failed_or_broke_is_not_kept() {
    for fault in [
        Fault::Cut { after: 2 },
        Fault::EndEarly { after: 2 },
        Fault::StreamError {
            after: 2,
            kind: "server_error".into(),
        },
        Fault::StreamError {
            after: 2,
            kind: "content_filter".into(),
        },
        Fault::ServerError,
        Fault::ContextLength,
        Fault::rate_limit(),
        Fault::ErrorIn200,
        Fault::MalformedJson,
        Fault::Reset,
    ] {
        let router = [
            "cache_responses: true",
            "num_retries: 0",
            "disable_cooldowns: true",
        ];
        for body in [stream_body(), chat_body("g")] {
            // One each, since a connection that was used before and dies is replaced without a word.
            let pair = Pair::with(&router, &[]).await;
            pair.a().behave_next(1, fault.clone());
            let broken = pair.gateway.chat_with(&body).send().await;
            let fine = chat(&pair, &body).await;
            let plain_is_fine = broken.status == 200
                && body["stream"].is_null()
                && matches!(fault, Fault::EndEarly { .. });
            assert_eq!(state(&fine) == "hit", plain_is_fine, "{fault:?} {body}");
            assert!(
                !fine.text().contains("\"error\""),
                "{fault:?}: {}",
                fine.text()
            );
            assert_eq!(state(&chat(&pair, &body).await), "hit", "{fault:?}");
            pair.stop().await;
        }
    }
}

#[tokio::test]
async fn callers_do_not_see_each_others_answers() {
    let keys = "keys: [{name: one, key: key-of-one}, {name: two, key: key-of-two}, {name: uno, key: key-of-uno}]";
    let private = Pair::with(ON, &[keys]).await;
    let by = |pair: &Pair, key: &str| {
        pair.gateway
            .chat_with(&chat_body("g"))
            .header("api-key", key)
    };
    assert!(!shares(by(&private, "key-of-one"), by(&private, "key-of-two")).await);
    assert!(shares(by(&private, "key-of-one"), by(&private, "key-of-one")).await);
    assert_eq!(private.a().stats().requests, 2);
    private.stop().await;

    let shared = Pair::with(ON, &[keys, "cache: {shared_between_callers: true}"]).await;
    assert!(shares(by(&shared, "key-of-one"), by(&shared, "key-of-two")).await);
    let wrong = by(&shared, "key-of-nobody").send().await;
    assert_eq!(
        wrong.status, 401,
        "a stored answer is for those who may ask"
    );
    shared.stop().await;
}

#[tokio::test]
async fn requests_say_what_they_want_of_it() {
    let pair = Pair::with(ON, &[]).await;
    let header = |value: &str| {
        pair.gateway
            .chat_with(&chat_body("g"))
            .header("cache-control", value)
    };
    let object = |value: Value| {
        let mut body = chat_body("g");
        body["cache"] = value;
        pair.gateway.chat_with(&body)
    };
    let steps = [
        // Not stored, so the next one misses again.
        (header("no-store"), "bypass", 1),
        (object(json!({"no-store": true})), "bypass", 2),
        (object(json!({})), "miss", 3),
        (header("max-age=3600"), "hit", 3),
        (object(json!({"s-maxage": 3600})), "hit", 3),
        (object(json!({"use-cache": true, "ttl": 5})), "hit", 3),
        (header("no-store"), "hit", 3),
        // Asked anew, and kept for the others.
        (header("No-Cache"), "miss", 4),
        (object(json!({"no-cache": true})), "miss", 5),
        (header("private"), "hit", 5),
        (
            object(json!({"no-cache": true, "no-store": true})),
            "bypass",
            6,
        ),
        (header("no-cache, no-store"), "bypass", 7),
        // Nothing is young enough.
        (header("max-age=0"), "miss", 8),
        (header("s-maxage=0"), "miss", 9),
        (object(json!({"s-maxage": 0})), "miss", 10),
        (object(json!({"namespace": "mine"})), "miss", 11),
        (object(json!({"namespace": "mine"})), "hit", 11),
    ];
    for (step, (request, expected, asked)) in steps.into_iter().enumerate() {
        let answer = request.send().await.ok();
        assert_eq!(
            (state(&answer), pair.a().stats().requests),
            (expected, asked),
            "step {step}"
        );
    }
    for request in pair.a().requests() {
        assert!(
            request.json().get("cache").is_none(),
            "{:?}",
            request.json()
        );
    }
    pair.stop().await;
}

#[tokio::test]
async fn entries_end() {
    let pair = Pair::with(&["cache_responses: true"], &["cache: {ttl: 3600}"]).await;
    let mut body = chat_body("g");
    body["cache"] = json!({"ttl": 0});
    for _ in 0..2 {
        assert_eq!(state(&chat(&pair, &body).await), "miss");
    }
    body["cache"] = json!({"ttl": 0.001});
    chat(&pair, &body).await;
    while state(&chat(&pair, &body).await) == "hit" {}
    // What was stored for an hour is still there.
    body["cache"] = json!({"no-cache": true});
    chat(&pair, &body).await;
    assert_eq!(state(&chat(&pair, &chat_body("g")).await), "hit");
    pair.stop().await;
}

#[tokio::test]
async fn hits_need_no_deployment_and_touch_none() {
    let pair = Pair::with(&["cache_responses: true", "num_retries: 1"], &[]).await;
    let (plain, stream) = (chat_body("g"), stream_body());
    chat(&pair, &plain).await;
    chat(&pair, &stream).await;
    for handle in [pair.a(), pair.b()] {
        handle.set(Fault::rate_limit_for(std::time::Duration::from_secs(100)));
    }
    let mut other = chat_body("g");
    other["seed"] = json!(1);
    assert_eq!(pair.gateway.chat_with(&other).send().await.status, 429);
    assert_eq!(pair.metric("waypost_cooling", &[]), 2.0);
    let (tokens, attempts) = (pair.tokens(0), pair.metric("waypost_attempts_total", &[]));
    let counted = pair.metric("waypost_tokens_total", &[]);
    for body in [&plain, &stream] {
        assert_eq!(state(&chat(&pair, body).await), "hit");
    }
    assert_eq!(
        (pair.tokens(0), pair.metric("waypost_attempts_total", &[])),
        (tokens, attempts)
    );
    assert_eq!(
        (pair.metric("waypost_tokens_total", &[]), pair.in_flight()),
        (counted, 0)
    );
    assert_eq!(pair.a().stats().requests, 3);
    pair.stop().await;
}

#[tokio::test]
async fn embeddings_are_kept_in_the_encoding_they_were_asked_for() {
    let pair = Pair::with(ON, &[]).await;
    pair.a().set(Behaviour {
        embeddings: waypost::lab::EmbeddingEncoding::FloatsOnly,
        ..Behaviour::default()
    });
    let ask = |format: &str| {
        let body = json!({"model": "g", "input": ["x", "y"], "encoding_format": format});
        pair.gateway.post("/v1/embeddings").json(&body)
    };
    for format in ["base64", "float"] {
        let (miss, hit) = (ask(format).send().await.ok(), ask(format).send().await.ok());
        assert_eq!((state(&miss), state(&hit)), ("miss", "hit"));
        assert_eq!(hit.body, miss.body);
        assert_eq!(
            hit.json()["data"][0]["embedding"].is_string(),
            format == "base64"
        );
    }
    pair.stop().await;
}

#[tokio::test]
async fn what_is_too_large_is_not_kept() {
    let pair = Pair::with(ON, &["cache: {max_bytes: 64KiB}"]).await;
    pair.a().set(Behaviour::text("word ".repeat(2000)));
    for body in [chat_body("g"), stream_body()] {
        let (first, second) = (chat(&pair, &body).await, chat(&pair, &body).await);
        assert_eq!((state(&first), state(&second)), ("miss", "miss"));
        assert_eq!(timeless(&first.body), timeless(&second.body));
    }
    pair.stop().await;
}

#[tokio::test]
async fn a_key_may_not_reach_another_groups_entries() {
    let keys = "keys: [{name: one, key: key-of-one, groups: [g]}]";
    let pair = Pair::with(ON, &[keys]).await;
    let ask = |group: &str| {
        pair.gateway
            .chat_with(&chat_body(group))
            .header("api-key", "key-of-one")
    };
    ask("g").send().await.ok();
    assert_eq!(ask("h").send().await.status, 404);
    pair.stop().await;
}
