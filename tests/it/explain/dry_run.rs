//! A dry run changes nothing, and what it chooses is what a real request then gets.

use std::fmt::Write as _;

use http::Method;
use serde_json::{Value, json};
use waypost::lab::{Behaviour, Fault, Lab};

use crate::support::{Gateway, Model, STRATEGIES, Yaml, chat_body, lab, received};

/// All that a request leaves behind: numbers of the deployments, metrics, what upstreams have seen.
fn state(gateway: &Gateway, group: &str, lab: &Lab) -> String {
    let mut text = format!("{:?}", gateway.deployments(group));
    write!(text, "{:?}", received(lab)).expect("a string");
    text + &gateway.app().gateway().metrics()
}

/// What would become of this chat.
async fn dry(gateway: &Gateway, body: &Value) -> Value {
    let path = "/v1/chat/completions?dry_run=1";
    gateway.post(path).json(body).send().await.ok().json()
}

fn deployment(attempt: &Value) -> &str {
    attempt["deployment"].as_str().unwrap_or("none")
}

/// The deployments that are to be tried, in order.
fn foretold(answer: &Value) -> Vec<&str> {
    let next = answer["next"].as_array().expect("a list");
    let all = std::iter::once(&answer["chosen"]).chain(next);
    all.filter(|a| a.is_object()).map(deployment).collect()
}

#[tokio::test]
async fn under_every_strategy_the_next_request_gets_what_was_chosen() {
    for strategy in STRATEGIES {
        let lab = lab(["a", "b", "c"]);
        let models = lab.deployments().iter().enumerate().map(|(i, handle)| {
            Model::of(handle)
                .with(&format!("rpm: {}", 100 + i))
                .with("input_cost_per_token: 0.000001")
                .with("output_cost_per_token: 0.000001")
        });
        let yaml = Yaml::default()
            .group("g", models)
            .router(&format!("routing_strategy: {strategy}"));
        // A minute that turns between the two would make them differ for a reason.
        let (gateway, _clock) = Gateway::with_manual_clock(&yaml).await;
        let mut chosen = Vec::new();
        for round in 0..12 {
            let mut body = chat_body("g");
            body["max_tokens"] = (round + 1).into();
            let before = state(&gateway, "g", &lab);
            let first = dry(&gateway, &body).await;
            let again = gateway
                .chat_with(&body)
                .header("x-waypost-dry-run", "1")
                .send();
            let again = again.await.ok().json();
            assert_eq!(before, state(&gateway, "g", &lab), "{strategy}");
            assert_eq!(first["chosen"], again["chosen"], "{strategy}");
            assert_eq!(first["groups"][0]["strategy"], strategy);
            assert_eq!(first["outcome"], "attempt");
            let answer = gateway.chat_with(&body).send().await.ok();
            assert_eq!(
                deployment(&first["chosen"]),
                answer.deployment(),
                "{strategy}"
            );
            chosen.push(answer.deployment().to_owned());
        }
        chosen.sort();
        chosen.dedup();
        // Not because there was nothing to choose.
        let several = !matches!(strategy, "latency-based-routing" | "cost-based-routing");
        assert!(!several || chosen.len() > 1, "{strategy}: {chosen:?}");
        gateway.stop().await;
    }
}

#[tokio::test]
async fn what_fails_goes_where_it_was_foretold_to_go() {
    let lab = lab(["a", "b", "c", "d"]);
    let [a, b, c, d] = ["a", "b", "c", "d"].map(|name| lab.deployment(name));
    let yaml = Yaml::default()
        .group("g", [a, b])
        .router("num_retries: 5")
        .group("h", [c])
        .group("i", [d])
        .waypost("groups: {g: {fallbacks: [h]}, h: {fallbacks: [i]}}");
    for seed in 0..4 {
        let gateway = Gateway::start(&yaml).await;
        // Turns the dice, so that not every round is the same.
        for _ in 0..seed {
            gateway.chat("g").await.ok();
        }
        let explained = dry(&gateway, &chat_body("g")).await;
        let found: Vec<&str> = explained["groups"]
            .as_array()
            .expect("groups")
            .iter()
            .filter_map(|g| g["found_by"].as_str())
            .collect();
        assert_eq!(found, ["name", "fallback", "fallback"]);
        for handle in [a, b, c] {
            handle.set(Fault::ServerError);
        }
        let answer = gateway.chat("g").await.ok();
        let tried = answer.header("x-waypost-tried").expect("three failures");
        let mut went: Vec<&str> = tried
            .split(", ")
            .filter_map(|part| part.split('=').next())
            .collect();
        went.push(answer.deployment());
        assert_eq!(went, foretold(&explained)[..4]);
        for handle in [a, b, c] {
            handle.set(Behaviour::default());
        }
        gateway.stop().await;
    }
}

#[tokio::test]
async fn one_that_is_out_is_told_with_its_reason_and_what_would_be_waited_for() {
    let lab = lab(["a", "b"]);
    let models = [
        Model::of(lab.deployment("a")).with("rpm: 1"),
        Model::of(lab.deployment("b")).with("order: 1"),
    ];
    let yaml = Yaml::default()
        .group("g", models)
        .router("cooldown_time: 4")
        .router("num_retries: 0")
        .group(
            "wait",
            [Model::of(lab.deployment("b")).with("model_info: {id: waits}")],
        )
        .router("cooldown_time: 4")
        .router("num_retries: 0")
        .waypost("groups: {wait: {all_cooling: wait}}");
    let (gateway, _clock) = Gateway::with_manual_clock(&yaml).await;
    lab.deployment("b").set(Fault::RateLimit {
        retry_after: None,
        retry_after_ms: None,
    });
    gateway.chat("g").await;
    gateway.chat("g").await.ok();
    let explained = dry(&gateway, &chat_body("g")).await;
    assert_eq!(explained["outcome"], "refused");
    assert_eq!(explained["chosen"], Value::Null);
    let reasons = &explained["groups"][0]["deployments"];
    let over = &reasons[0]["reason"];
    assert_eq!(
        (&over["kind"], &over["limit"], &over["used"]),
        (&json!("over_rpm"), &json!(1), &json!(1))
    );
    assert_eq!(
        reasons[1]["reason"],
        json!({"kind": "cooling", "cause": "rate_limit", "back_in_seconds": 4.0})
    );
    assert_eq!(reasons[1]["order"], 1);
    let refusal = gateway.chat("g").await;
    assert_ne!(refusal.status, 200, "as foretold");

    gateway.chat("wait").await;
    let explained = dry(&gateway, &chat_body("wait")).await;
    assert_eq!(explained["outcome"], "wait");
    let wait = explained["chosen"]["wait_seconds"].as_f64();
    assert!(
        wait.is_some_and(|w| (4.0..4.1).contains(&w)),
        "{explained:#}"
    );
}

#[tokio::test]
async fn what_a_deployment_cannot_do_is_told() {
    let lab = lab(["other"]);
    // Ollama's own API has no `logit_bias`.
    let narrow = Model::lines([
        "provider: ollama",
        "model: llama3.1",
        "api_base: http://127.0.0.1:1",
        "model_info: {id: narrow}",
        "num_ctx: 8192",
        "order: 1",
    ]);
    let yaml = Yaml::default().group("g", [narrow, Model::of(lab.deployment("other"))]);
    let gateway = Gateway::start(&yaml).await;
    let explained = dry(&gateway, &chat_body("g")).await;
    assert_eq!(foretold(&explained)[0], "narrow");
    let mut body = chat_body("g");
    body["logit_bias"] = json!({"7": -100});
    let explained = dry(&gateway, &body).await;
    assert_eq!(foretold(&explained)[0], "other");
    let reason = &explained["groups"][0]["deployments"][0]["reason"];
    assert_eq!(
        (&reason["kind"], &reason["param"]),
        (&json!("unsupported"), &json!("logit_bias"))
    );
    let answer = gateway.chat_with(&body).send().await.ok();
    assert_eq!(answer.deployment(), "other");
}

#[tokio::test]
async fn failures_that_are_made_up_lead_on_and_conversations_stay() {
    let lab = lab(["a", "b", "c"]);
    let yaml = Yaml::default()
        .group("g", [lab.deployment("a"), lab.deployment("b")])
        .group("h", [lab.deployment("c")])
        .waypost("groups: {g: {fallbacks: [h], affinity: true}}");
    let gateway = Gateway::start(&yaml).await;
    let mut body = chat_body("g");
    body["mock_testing_fallbacks"] = true.into();
    let explained = dry(&gateway, &body).await;
    assert_eq!(explained["cache"], "bypass");
    assert_eq!(explained["groups"][0]["mocked"], "mock_testing_fallbacks");
    assert_eq!(foretold(&explained)[0], "c");
    assert_eq!(gateway.chat_with(&body).send().await.ok().deployment(), "c");

    let mut body = chat_body("g");
    body["user"] = "somebody".into();
    assert_eq!(dry(&gateway, &body).await["chosen"]["by"], "strategy");
    let first = gateway.chat_with(&body).send().await.ok();
    for _ in 0..8 {
        let explained = dry(&gateway, &body).await;
        assert_eq!(explained["chosen"]["by"], "affinity");
        assert_eq!(deployment(&explained["chosen"]), first.deployment());
        let answer = gateway.chat_with(&body).send().await.ok();
        assert_eq!(answer.deployment(), first.deployment());
        assert_eq!(answer.header("x-waypost-reason"), Some("affinity"));
        // Others are not theirs, and a dry run takes nobody along.
        dry(&gateway, &chat_body("g")).await;
    }
}

#[tokio::test]
async fn the_cache_is_looked_at_and_left_alone() {
    let lab = lab(["a"]);
    let yaml = Yaml::over(&lab).router("cache_responses: true");
    let gateway = Gateway::start(&yaml).await;
    for _ in 0..2 {
        let explained = dry(&gateway, &chat_body("g")).await;
        assert_eq!(explained["cache"], "miss", "the dry run fetched nothing");
    }
    let answer = gateway.chat("g").await.ok();
    assert_eq!(answer.header("x-waypost-cache"), Some("miss"));
    let explained = dry(&gateway, &chat_body("g")).await;
    assert_eq!(
        (&explained["cache"], &explained["outcome"]),
        (&json!("hit"), &json!("cached"))
    );
    assert_eq!(
        (&explained["chosen"], received(&lab)),
        (&Value::Null, vec![1])
    );
    for (control, cache) in [
        ("no-cache", "miss"),
        ("no-store", "hit"),
        ("no-cache, no-store", "bypass"),
        ("max-age=3600", "hit"),
        ("max-age=0", "miss"),
    ] {
        let explained = gateway
            .post("/v1/chat/completions?dry_run=1")
            .json(&chat_body("g"))
            .header("cache-control", control)
            .send();
        assert_eq!(explained.await.ok().json()["cache"], cache, "{control}");
    }
}

#[tokio::test]
async fn every_path_that_takes_requests_takes_dry_runs() {
    let lab = lab(["a"]);
    let gateway = Gateway::start(&Yaml::over(&lab)).await;
    for base in ["/v1", "", "/openai/v1", "/openai/deployments/g"] {
        for (path, operation, member) in [
            ("chat/completions", "chat", "messages"),
            ("completions", "completions", "prompt"),
            ("embeddings", "embeddings", "input"),
        ] {
            let body = json!({"model": "g", (member): if member == "messages" { json!([]) } else { json!("x") }});
            for query in ["?dry_run=1", "?api-version=1&dry_run=true", ""] {
                let mut request = gateway.post(&format!("{base}/{path}{query}")).json(&body);
                if query.is_empty() {
                    request = request.header("X-Waypost-Dry-Run", "true");
                }
                let explained = request.header("x-request-id", "my-1").send().await.ok();
                assert_eq!(explained.header("x-request-id"), Some("my-1"));
                let explained = explained.json();
                assert_eq!(explained["operation"], operation, "{base}/{path}{query}");
                assert_eq!(deployment(&explained["chosen"]), "a");
                assert_eq!(explained["request"], "my-1");
            }
        }
    }
    assert_eq!(received(&lab), [0]);
}

#[tokio::test]
async fn a_dry_run_is_refused_like_a_request() {
    let lab = lab(["a"]);
    let yaml = Yaml::over(&lab)
        .group(
            "h",
            [Model::of(lab.deployment("a")).with("model_info: {id: other}")],
        )
        .waypost("keys: [{name: app, key: the-key-of-the-app, groups: [g]}]");
    let gateway = Gateway::start(&yaml).await;
    let key = ("authorization", "Bearer the-key-of-the-app");
    let wrong = ("authorization", "Bearer another-key-entirely");
    for ((name, value), body, status) in [
        (key, "{\"model\": \"g\", \"messages\": []}", 200),
        (wrong, "{\"model\": \"g\", \"messages\": []}", 401),
        (key, "{\"model\": \"h\", \"messages\": []}", 404),
        (key, "{\"model\": \"nothing\", \"messages\": []}", 404),
        (key, "{\"messages\": []}", 400),
        (key, "not JSON", 400),
    ] {
        let ask = |path: &str| gateway.post(path).header(name, value).body(body.to_owned());
        let dry = ask("/v1/chat/completions?dry_run=1").send().await;
        let real = ask("/v1/chat/completions").send().await;
        assert_eq!((dry.status, real.status), (status, status), "{body}");
        if status != 200 {
            assert_eq!(dry.body, real.body);
        }
    }
    assert_eq!(received(&lab), [1], "the one real request");
    for query in ["dry_run", "dry_run=yes"] {
        let path = format!("/v1/chat/completions?{query}");
        let unclear = gateway
            .post(&path)
            .header(key.0, key.1)
            .json(&chat_body("g"));
        let unclear = unclear.send().await;
        assert_eq!((unclear.status, &*unclear.code()), (400, "invalid_dry_run"));
    }
    let real = gateway
        .request(Method::POST, "/v1/chat/completions?dry_run=0")
        .header(key.0, key.1)
        .json(&chat_body("g"));
    assert_eq!(real.send().await.ok().deployment(), "a");
}

#[tokio::test]
async fn they_can_be_switched_off() {
    let lab = lab(["a"]);
    let gateway = Gateway::start(&Yaml::over(&lab).waypost("dry_runs: false")).await;
    let refused = gateway
        .post("/v1/chat/completions?dry_run=1")
        .json(&chat_body("g"))
        .send()
        .await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (403, "dry_runs_off")
    );
    assert!(refused.message().contains("dry_runs: true"));
    assert_eq!(received(&lab), [0]);
    gateway.chat("g").await.ok();
}
