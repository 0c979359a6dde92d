//! What `model` of a request may be: groups, aliases, deployments, and names of wildcard groups.

use http::Method;
use serde_json::json;
use waypost::lab::{Fault, Handle};

use crate::support::{Answer, Gateway, Model, Yaml, chat_body, lab, received, s};

/// The group's name in the answer's headers.
fn group(answer: &Answer) -> &str {
    answer.header("x-waypost-model-group").unwrap_or_default()
}

/// The names in `/models`, as this key sees them.
async fn listed(gateway: &Gateway, key: &str) -> Vec<String> {
    let request = gateway
        .request(Method::GET, "/v1/models")
        .header("api-key", key);
    let list = request.send().await.ok().json();
    let ids = list["data"].as_array().expect("data").iter();
    ids.map(|model| model["id"].as_str().expect("an id").to_owned())
        .collect()
}

#[tokio::test]
async fn an_alias_is_its_group() {
    let lab = lab(["a", "b"]);
    let [a, b] = lab.deployments() else { panic!() };
    let yaml = Yaml::default()
        .group("ga", [a])
        .group("gb", [b])
        .waypost("aliases: {one: ga, two: {group: gb, hidden: true}, uno: one}");
    let gateway = Gateway::start(&yaml).await;
    for (name, expected) in [("one", "ga"), ("two", "gb"), ("uno", "ga")] {
        let answer = gateway.chat(name).await.ok();
        assert_eq!(group(&answer), expected, "{name}");
    }
    assert_eq!(received(&lab), [2, 1]);
    assert_eq!(listed(&gateway, "any").await, ["ga", "gb", "one", "uno"]);
    for (name, status) in [("one", 200), ("two", 200), ("three", 404)] {
        let answer = gateway.get(&format!("/v1/models/{name}")).await;
        assert_eq!(answer.status, status, "{name}");
        if status == 200 {
            assert_eq!(answer.json()["id"], name);
        }
    }
    let unknown = gateway.chat("ones").await;
    assert_eq!((unknown.status, &*unknown.code()), (404, "model_not_found"));
    let message = unknown.message();
    assert!(message.contains("Did you mean `one`?"), "{message}");
    assert!(!message.contains("two"), "hidden: {message}");
    gateway.stop().await;
}

/// A deployment that another one of the file is, too.
fn again(handle: &Handle) -> Model {
    Model::of(handle).without("model_info")
}

/// A deployment whose model is filled.
fn filled(handle: &Handle) -> Model {
    Model::of(handle).with("model: '*'")
}

/// The model a deployment was asked for last.
#[track_caller]
fn asked(handle: &Handle) -> String {
    let request = handle.last_request().expect("a request").json();
    request["model"].as_str().expect("a model").to_owned()
}

#[tokio::test]
async fn a_deployment_by_its_id_is_asked_alone_and_counted_with_its_group() {
    let lab = lab(["a", "b"]);
    let yaml = Yaml::over(&lab).each("rpm: 3").router("num_retries: 0");
    let (gateway, clock) = Gateway::with_manual_clock(&yaml).await;
    for _ in 0..3 {
        let answer = gateway.chat("b").await.ok();
        assert_eq!((answer.deployment(), group(&answer)), ("b", "g"));
    }
    let refused = gateway.chat("b").await;
    assert_eq!(refused.code(), "no_deployment_available");
    let message = refused.message();
    assert!(message.contains("b had 3 of its 3 requests"), "{message}");
    for _ in 0..3 {
        assert_eq!(gateway.chat("g").await.ok().deployment(), "a");
    }
    assert_eq!(gateway.chat("g").await.status, 429);
    clock.advance(s(60));
    // Cooldown is the deployment's, however it was asked.
    lab.deployment("b")
        .behave_next(1, Fault::rate_limit_for(s(30)));
    assert_eq!(gateway.chat("b").await.status, 429);
    for _ in 0..3 {
        assert_eq!(gateway.chat("g").await.ok().deployment(), "a");
    }
    assert_eq!(gateway.get("/v1/models/b").await.ok().json()["id"], "b");
    assert_eq!(listed(&gateway, "any").await, ["g"]);
    gateway.stop().await;
}

#[tokio::test]
async fn a_group_of_the_same_name_goes_before_an_id_the_file_has_not_given() {
    let lab = lab(["a", "b"]);
    let [a, b] = lab.deployments() else { panic!() };
    let given = Model::of(b).with("model_info: {id: named}");
    let yaml = Yaml::default()
        // Its deployment's id is `openai/a`.
        .group("openai", [Model::of(a).without("model_info")])
        .group("openai/a", [given, Model::of(b)])
        .group("named", [again(a)]);
    let gateway = Gateway::start(&yaml).await;
    for (name, deployment) in [
        ("openai/a", "b"),
        ("named", "named"),
        ("openai", "openai/a"),
    ] {
        for _ in 0..4 {
            let answer = gateway.chat(name).await.ok();
            let by = answer.deployment();
            assert!(
                by == deployment || (name == "openai/a" && by == "named"),
                "{name}: {by}"
            );
        }
    }
    gateway.stop().await;
}

#[tokio::test]
async fn the_most_specific_wildcard_fills_its_models() {
    let lab = lab(["any", "mini", "pair", "fixed", "exact"]);
    let [any, mini, pair, fixed, exact] = lab.deployments() else {
        panic!()
    };
    let yaml = Yaml::default()
        .group("*", [filled(any)])
        .group("openai/*-mini", [filled(mini).with("model: '*-small'")])
        .group("*/x-*", [filled(pair).with("model: 'vendor-*.*'")])
        .group("gpt-*", [fixed])
        .group("gpt-4o", [exact]);
    let gateway = Gateway::start(&yaml).await;
    for (name, deployment, model) in [
        ("openai/gpt-4o-mini", mini, "gpt-4o-small"),
        ("openai/gpt-4o-mini-2024", any, "openai/gpt-4o-mini-2024"),
        ("a/x-b/c", pair, "vendor-a.b/c"),
        ("gpt-5", fixed, "fixed"),
        ("gpt-4o", exact, "exact"),
        (
            "meta-llama/Llama-3.1:free",
            any,
            "meta-llama/Llama-3.1:free",
        ),
        ("claude@20240620", any, "claude@20240620"),
    ] {
        let answer = gateway.chat(name).await.ok();
        assert_eq!(
            (answer.deployment(), group(&answer)),
            (deployment.name(), name)
        );
        assert_eq!(asked(deployment), model, "{name}");
        assert_eq!(
            gateway.get(&format!("/v1/models/{name}")).await.ok().json()["id"],
            name
        );
    }
    let names = ["*", "openai/*-mini", "*/x-*", "gpt-*", "gpt-4o"];
    assert_eq!(listed(&gateway, "any").await, names);
    assert_eq!(gateway.get("/v1/models/openai/*-mini").await.status, 200);
    // Series are the file's, whatever clients ask for.
    let metrics = gateway.get("/metrics").await.ok();
    assert!(metrics.text().contains(r#"group="openai/*-mini""#));
    assert!(!metrics.text().contains("gpt-4o-mini-2024"));
    gateway.stop().await;
}

#[tokio::test]
async fn names_of_a_wildcard_share_limits_and_cooldown() {
    let lab = lab(["a"]);
    let a = lab.deployment("a");
    let yaml = Yaml::default()
        .group("p/*", [filled(a).with("rpm: 3")])
        .router("num_retries: 0");
    let (gateway, clock) = Gateway::with_manual_clock(&yaml).await;
    for name in ["p/1", "p/2", "p/3"] {
        gateway.chat(name).await.ok();
    }
    for name in ["p/1", "p/4"] {
        assert_eq!(
            gateway.chat(name).await.code(),
            "no_deployment_available",
            "{name}"
        );
    }
    clock.advance(s(60));
    a.behave_next(1, Fault::rate_limit_for(s(30)));
    assert_eq!(gateway.chat("p/1").await.status, 429);
    assert_eq!(gateway.chat("p/5").await.code(), "no_deployment_available");
    assert_eq!(received(&lab), [4]);
    gateway.stop().await;
}

#[tokio::test]
async fn a_name_cannot_lead_elsewhere() {
    let lab = lab(["a"]);
    let a = lab.deployment("a");
    let azure = Model::azure(a, "2024-06-01")
        .without("model_info")
        .with("deployment: 'v-*'");
    let yaml = Yaml::default()
        .group("p/*", [filled(a)])
        .group("azure-*", [azure]);
    let gateway = Gateway::start(&yaml).await;
    let long = "x".repeat(300);
    let unknown = async |name: String| {
        let answer = gateway.chat(&name).await;
        let found = (answer.status, &*answer.code());
        assert_eq!(found, (404, "model_not_found"), "{name}");
    };
    for model in [
        "x/../y",
        "x/./y",
        "x//y",
        "x/",
        "x/..",
        "x?api-version=1",
        "x#y",
        "x%2e",
        "x y",
        "x\ny",
        "é",
        "x\\y",
        "*",
        "{x}",
        "x;y",
        &*long,
    ] {
        unknown(format!("p/{model}")).await;
        unknown(format!("azure-{model}")).await;
    }
    for model in ["", ".", "..", "../x", "/x"] {
        unknown(format!("p/{model}")).await;
    }
    assert_eq!(gateway.get("/v1/models/p/..%2Fx").await.status, 404);
    assert_eq!(received(&lab), [0]);
    gateway.chat("azure-4.1").await;
    let path = a.last_request().expect("a request").path;
    let expected = "/openai/deployments/v-4.1/chat/completions?";
    assert!(path.contains(expected), "{path}");
    gateway.stop().await;
}

#[tokio::test]
async fn a_model_that_does_not_exist_is_the_callers_mistake_where_the_caller_named_it() {
    let lab = lab(["a"]);
    let a = lab.deployment("a");
    let yaml = Yaml::default()
        .group("p/*", [filled(a)])
        .group("g", [again(a)]);
    let gateway = Gateway::start(&yaml).await;
    a.behave_next(1, Fault::ModelNotFound);
    let unknown = gateway.chat("p/nonsense").await;
    assert_eq!((unknown.status, &*unknown.code()), (404, "model_not_found"));
    assert_eq!(received(&lab), [1], "not tried again");
    gateway.chat("p/real").await.ok();
    // Where the file names it, it is the file's.
    a.behave_next(9, Fault::ModelNotFound);
    assert_eq!(gateway.chat("g").await.code(), "upstream_model_not_found");
    gateway.stop().await;
}

#[tokio::test]
async fn keys_hold_for_every_kind_of_name() {
    let lab = lab(["a", "b", "c"]);
    let [a, b, c] = lab.deployments() else {
        panic!()
    };
    let yaml = Yaml::default()
        .group("ga", [a])
        .group("gb", [b])
        .group("p/*", [filled(c)])
        .waypost("aliases: {to-a: ga, to-b: gb, to-p: p/x, hidden-a: {group: ga, hidden: true}}")
        .waypost("keys: [{name: all, key: key-of-all}, {name: a, key: key-of-a, groups: [ga]}, {name: p, key: key-of-p, groups: ['p/*']}]");
    let gateway = Gateway::start(&yaml).await;
    let names = [
        "ga", "gb", "p/x", "to-a", "to-b", "to-p", "hidden-a", "a", "b",
    ];
    let mine_a = ["ga", "to-a", "hidden-a", "a"];
    let mine_p = ["p/x", "to-p"];
    for (key, mine, list) in [
        (
            "key-of-all",
            &names[..],
            &["ga", "gb", "p/*", "to-a", "to-b", "to-p"][..],
        ),
        ("key-of-a", &mine_a[..], &["ga", "to-a"][..]),
        ("key-of-p", &mine_p[..], &["p/*", "to-p"][..]),
    ] {
        assert_eq!(listed(&gateway, key).await, list, "{key}");
        for name in names {
            let status = if mine.contains(&name) { 200 } else { 404 };
            let asked = gateway
                .chat_with(&chat_body(name))
                .header("api-key", key)
                .send()
                .await;
            assert_eq!(asked.status, status, "{key} {name}");
            let one = gateway.request(Method::GET, &format!("/v1/models/{name}"));
            assert_eq!(
                one.header("api-key", key).send().await.status,
                status,
                "{key} {name}"
            );
            if status == 404 {
                let message = asked.message();
                let known = message.split_once("Available: ").expect("names").1;
                assert_eq!(
                    known.trim_end_matches('.').split(", ").collect::<Vec<_>>(),
                    list
                );
            }
        }
    }
    gateway.stop().await;
}

#[tokio::test]
async fn answers_of_one_name_are_not_served_to_another_from_the_cache() {
    let lab = lab(["a", "b"]);
    let [a, b] = lab.deployments() else { panic!() };
    let yaml = Yaml::default()
        .group("p/*", [filled(a)])
        .router("cache_responses: true")
        .group(
            "g",
            [again(a), Model::of(b).with("model_info: {id: only-b}")],
        )
        .router("cache_responses: true");
    let gateway = Gateway::start(&yaml).await;
    let ask = async |name: &str| {
        let path = format!("/openai/deployments/{name}/chat/completions");
        let body = json!({"messages": [{"role": "user", "content": "hello"}]});
        let answer = gateway.post(&path).json(&body).send().await.ok();
        answer.header("x-waypost-cache").expect("a word").to_owned()
    };
    for name in ["p%2F1", "p%2F2", "g", "only-b"] {
        assert_eq!(
            (&*ask(name).await, &*ask(name).await),
            ("miss", "hit"),
            "{name}"
        );
    }
    gateway.stop().await;
}

#[tokio::test]
async fn the_price_of_a_filled_model_is_looked_up() {
    let lab = lab(["a", "b"]);
    let [a, b] = lab.deployments() else { panic!() };
    let yaml = Yaml::default()
        .group("p/*", [filled(a)])
        .group(
            "given/*",
            [filled(b)
                .with("input_cost_per_token: 1")
                .with("output_cost_per_token: 1")],
        )
        .waypost("prices: {costly: {input_cost_per_token: 2, output_cost_per_token: 2}}");
    let gateway = Gateway::start(&yaml).await;
    let spent = |group: &str| gateway.deployments(group)[0].scores.spent().as_dollars();
    let tokens = |answer: Answer| {
        answer.json()["usage"]["total_tokens"]
            .as_f64()
            .expect("a number")
    };
    tokens(gateway.chat("p/unknown").await.ok());
    assert!(spent("p/*").abs() < 0.5, "unknown");
    let used = tokens(gateway.chat("p/costly").await.ok());
    assert!((spent("p/*") - 2.0 * used).abs() < 0.5);
    let used = tokens(gateway.chat("given/costly").await.ok());
    assert!((spent("given/*") - used).abs() < 0.5);
    gateway.stop().await;
}
