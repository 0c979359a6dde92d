//! What reaches a deployment: the client's JSON, byte for byte but for what the configuration changes, and none of the
//! client's own headers.

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use waypost::lab::Lab;

use crate::support::{Gateway, Model, Yaml, chat_body, lab};

fn sent(lab: &Lab) -> waypost::lab::Recorded {
    lab.deployment("a").last_request().expect("a request")
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e9..1e9).prop_map(|n: f64| json!(n)),
        "\\PC{0,12}".prop_map(Value::from),
        "[\"\\\\/\n\t\u{0}é😀]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("\\PC{0,8}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Members a client might send; those with a meaning for the gateway are not among them.
fn any_members() -> impl Strategy<Value = Map<String, Value>> {
    const OURS: [&str; 6] = [
        "model",
        "stream",
        "stream_options",
        "cache",
        "max_tokens",
        "max_completion_tokens",
    ];
    let name = prop_oneof![
        "\\PC{1,10}",
        Just("x \"quoted\" \\".to_owned()),
        Just("temperature".to_owned()),
        Just("metadata".to_owned()),
    ];
    prop::collection::btree_map(name, any_json(), 0..8).prop_map(|map| {
        map.into_iter()
            .filter(|(name, _)| !OURS.contains(&name.as_str()))
            .collect()
    })
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn all_members_but_the_model_arrive_as_sent(members in any_members(), spaced: bool, at: prop::sample::Index) {
        runtime().block_on(async {
            let lab = lab(["a"]);
            let gateway = Gateway::start(&Yaml::over(&lab)).await;
            // The model stands anywhere among the others.
            let text = |model: &str| {
                let colon = if spaced { " : " } else { ":" };
                let written = |(name, value): (&String, &Value)| format!("{}{colon}{value}", json!(name));
                let mut written: Vec<String> = members.iter().map(written).collect();
                written.insert(at.index(members.len() + 1), format!("\"model\"{colon}\"{model}\""));
                if !members.contains_key("messages") {
                    written.push("\"messages\":[]".to_owned());
                }
                format!("{{{}}}", written.join(if spaced { " ,\r\n\t" } else { "," }))
            };
            gateway.post("/v1/chat/completions").body(text("g")).send().await.ok();
            let sent = sent(&lab);
            let expected = text("a");
            prop_assert_eq!(std::str::from_utf8(&sent.body), Ok(expected.as_str()));
            let length = sent.header("content-length").and_then(|value| value.parse().ok());
            prop_assert_eq!(length, Some(expected.len()));
            Ok(())
        })?;
    }

    #[test]
    fn defaults_and_extra_body_change_what_they_name_and_nothing_else(members in any_members()) {
        runtime().block_on(async {
            let lab = lab(["a"]);
            let model = Model::of(lab.deployment("a"))
                .with("temperature: 0.25")
                .with("max_completion_tokens: 9")
                .with("extra_body: {guided: {a: [1]}, top_k: 3, temperature: 0.75}");
            let gateway = Gateway::start(&Yaml::default().group("g", [model])).await;
            let mut body = members.clone();
            body.insert("model".into(), "g".into());
            body.entry("messages").or_insert(json!([]));
            let text = Value::Object(body).to_string();
            gateway.post("/v1/chat/completions").body(text.clone()).send().await.ok();
            let mut expected: Map<String, Value> = serde_json::from_str(&text).expect("what was just written");
            expected.insert("model".into(), "a".into());
            expected.insert("max_completion_tokens".into(), json!(9));
            expected.insert("guided".into(), json!({"a": [1]}));
            expected.insert("top_k".into(), json!(3));
            expected.insert("temperature".into(), json!(0.75));
            let sent = sent(&lab);
            prop_assert_eq!(sent.json(), Value::Object(expected));
            let text = String::from_utf8_lossy(&sent.body).into_owned();
            if !members.values().any(|value| value.to_string().contains("temperature")) {
                prop_assert_eq!(text.matches("\"temperature\"").count(), 1, "twice in {}", text);
            }
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn defaults_give_way_to_the_request_and_fit_the_operation() {
    let lab = lab(["a"]);
    let model = Model::of(lab.deployment("a"))
        .with("temperature: 0.25")
        .with("max_completion_tokens: 9")
        .with("user: u");
    let gateway = Gateway::start(&Yaml::default().group("g", [model])).await;
    let mut body = chat_body("g");
    body["temperature"] = json!(1);
    body["max_tokens"] = json!(3);
    gateway.chat_with(&body).send().await.ok();
    let got = sent(&lab).json();
    assert_eq!(
        (&got["temperature"], &got["max_tokens"], &got["user"]),
        (&json!(1), &json!(3), &json!("u"))
    );
    assert!(
        got.get("max_completion_tokens").is_none(),
        "one limit is enough"
    );
    gateway
        .post("/v1/embeddings")
        .json(&json!({"model": "g", "input": "x"}))
        .send()
        .await
        .ok();
    assert_eq!(
        sent(&lab).json(),
        json!({"model": "a", "input": "x", "user": "u"})
    );
}

#[tokio::test]
async fn headers_of_the_client_stay_here() {
    let lab = lab(["a"]);
    let model =
        Model::provider("openai", lab.deployment("a")).with("extra_headers: {x-team: blue}");
    let gateway = Gateway::start(&Yaml::default().group("g", [model])).await;
    let request = gateway
        .chat_with(&chat_body("g"))
        .header("authorization", "Bearer of-the-client")
        .header("api-key", "of-the-client")
        .header("cookie", "a=b")
        .header("x-stainless-lang", "python")
        .header("x-stainless-retry-count", "0")
        .header("x-forwarded-for", "10.0.0.1")
        .header("proxy-authorization", "Basic x")
        .header("te", "trailers")
        .header("connection", "x-hop")
        .header("x-hop", "1")
        .header("user-agent", "client/1")
        .header("openai-beta", "assistants=v2")
        .header("x-unknown", "1");
    request.send().await.ok();
    let sent = sent(&lab);
    let mut names: Vec<&str> = sent.headers.keys().map(http::HeaderName::as_str).collect();
    names.sort_unstable();
    let expected = [
        "accept",
        "authorization",
        "content-length",
        "content-type",
        "host",
        "openai-beta",
        "user-agent",
        "x-team",
    ];
    assert_eq!(names, expected);
    assert_eq!(
        sent.header("authorization"),
        Some("Bearer sk-of-the-deployment")
    );
    assert_eq!(
        sent.header("host"),
        Some(lab.deployment("a").addr().to_string().as_str())
    );
    assert!(
        sent.header("user-agent")
            .is_some_and(|agent| agent.starts_with("waypost/"))
    );
}

#[tokio::test]
async fn hosted_providers_get_the_names_they_know() {
    for (provider, path, stream_options) in [
        ("ollama", "/v1/chat/completions", true),
        ("litellm_proxy", "/v1/chat/completions", true),
        ("mistral", "/v1/chat/completions", false),
        ("deepseek", "/v1/chat/completions", true),
    ] {
        let lab = lab(["a"]);
        let handle = lab.deployment("a");
        let root = provider == "ollama" || provider == "litellm_proxy";
        let base = if root {
            handle.root_url()
        } else {
            handle.base_url()
        };
        let model = Model::provider(provider, handle).with(&format!("api_base: {base}"));
        let gateway = Gateway::start(&Yaml::default().group("g", [model])).await;
        let mut body = chat_body("g");
        body["max_completion_tokens"] = json!(5);
        body["seed"] = json!(1);
        body["stream"] = json!(true);
        let answer = gateway.chat_with(&body).send().await.ok();
        assert!(
            answer.text().ends_with("data: [DONE]\n\n"),
            "{provider}: {}",
            answer.text()
        );
        let sent = sent(&lab);
        assert_eq!(sent.path, path, "{provider}");
        let got = sent.json();
        let limit = if provider == "litellm_proxy" {
            "max_completion_tokens"
        } else {
            "max_tokens"
        };
        assert_eq!(got[limit], 5, "{provider}: {got}");
        let seed = if provider == "mistral" {
            "random_seed"
        } else {
            "seed"
        };
        assert_eq!(got[seed], 1, "{provider}: {got}");
        assert_eq!(
            got.get("stream_options").is_some(),
            stream_options,
            "{provider}"
        );
        assert_eq!(got["model"], "a");
    }
}
