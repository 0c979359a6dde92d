//! What users of LiteLLM have in their files, over HTTP: the fixtures of `tests/data/litellm`, read as they are, with a
//! server in the clouds' place that speaks for all models of Bedrock and SageMaker.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use waypost::clock::{Clock, ManualClock};
use waypost::config;
use waypost::gateway::Deps;
use waypost::upstream::credentials::Credentials;

use crate::support::process::Process;
use crate::support::wire::Wire;
use crate::support::{Answer, Gateway, Reply, Scripted, Seen, chat_body, s, together};

const SONNET: &str = "anthropic.claude-3-5-sonnet-20240620-v1:0";
const HAIKU: &str = "anthropic.claude-3-haiku-20240307-v1:0";

fn file(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    folder.join("tests/data/litellm").join(name)
}

/// The environment of a gateway whose clouds are at `url`.
fn variables(url: &str) -> [(&'static str, String); 7] {
    [
        ("REGION", "eu-west-1"),
        ("ORG", "org"),
        ("MASTER", "sk-master"),
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "secret-of-aws"),
        ("AWS_BEDROCK_RUNTIME_ENDPOINT", url),
        ("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", url),
    ]
    .map(|(name, value)| (name, value.to_owned()))
}

/// The ways of a fixture to a gateway.
const DIALECTS: [&str; 2] = ["config.yaml", "endpoints.yml"];

/// A gateway by a fixture, read as LiteLLM's or as what `import` makes of it.
async fn gateway(
    name: &str,
    dialect: &str,
    clouds: &Scripted,
    clock: &Arc<ManualClock>,
) -> Gateway {
    let variables = variables(&clouds.url());
    let env = move |name: &str| {
        let found = variables.iter().find(|(key, _)| *key == name);
        found.map(|(_, value)| value.clone())
    };
    let read = if dialect == DIALECTS[0] {
        config::load(&file(name), &env, false)
    } else {
        let import = config::import(&file(name), &env);
        import.and_then(|import| config::load_str(dialect, &import.text, &env, false))
    };
    let (config, _) = read.unwrap_or_else(|findings| panic!("{name}: {findings:#?}"));
    let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(clock);
    let mut deps = Deps::with_clock(Arc::clone(&clock), Some(7));
    deps.credentials = Credentials::new(env, clock);
    Gateway::with_deps(&config, deps).await
}

/// The model or endpoint that a request of AWS's is for.
fn asked(seen: &Seen) -> String {
    let name = seen.uri.split('/').nth(2).unwrap_or_default();
    name.replace("%3A", ":")
}

/// As AWS answers; a model called `invalid` does not exist there.
fn aws(seen: &Seen) -> Reply {
    if seen.uri.starts_with("/endpoints/") {
        return Reply::chat();
    }
    if asked(seen) == "invalid" {
        return Reply::json(&json!({"message": "The provided model identifier is invalid."}))
            .status(400)
            .header("x-amzn-errortype", "ValidationException");
    }
    let message = json!({"role": "assistant", "content": [{"text": "hey"}]});
    Reply::json(
        &json!({"output": {"message": message}, "stopReason": "end_turn",
        "usage": {"inputTokens": 11, "outputTokens": 3, "totalTokens": 14}, "metrics": {"latencyMs": 1}}),
    )
}

/// How many requests these models had.
fn calls<const N: usize>(clouds: &Scripted, models: [&str; N]) -> [usize; N] {
    let all: Vec<String> = clouds.seen().iter().map(asked).collect();
    models.map(|model| all.iter().filter(|one| *one == model).count())
}

async fn ask(gateway: &Gateway, group: &str, more: &Value) -> Answer {
    let mut body = chat_body(group);
    for (name, value) in more.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    let request = gateway.chat_with(&body);
    request
        .header("authorization", "Bearer sk-master")
        .send()
        .await
}

#[tokio::test]
async fn two_models_of_one_name_share_the_traffic() {
    for dialect in DIALECTS {
        let clouds = Scripted::start(aws).await;
        let clock = Arc::new(ManualClock::new());
        let gateway = gateway("shuffle.yml", dialect, &clouds, &clock).await;
        for _ in 0..60 {
            let answer = ask(&gateway, "chat", &json!({})).await.ok();
            assert_eq!(answer.json()["choices"][0]["message"]["content"], "hey");
        }
        let [sonnet, haiku] = calls(&clouds, [SONNET, HAIKU]);
        assert_eq!(sonnet + haiku, 60);
        assert!(sonnet.min(haiku) >= 15, "{sonnet} : {haiku}");
        gateway.stop().await;
    }
}

#[tokio::test]
async fn a_fallback_that_is_asked_for_answers() {
    for dialect in DIALECTS {
        let clouds = Scripted::start(aws).await;
        let clock = Arc::new(ManualClock::new());
        let gateway = gateway("fallbacks.yml", dialect, &clouds, &clock).await;
        let mock = json!({"mock_testing_fallbacks": true});
        let answer = ask(&gateway, "sonnet", &mock).await.ok();
        assert_eq!(answer.header("x-waypost-model-group"), Some("haiku"));
        assert_eq!(answer.header("x-waypost-fallbacks"), Some("1"));
        assert_eq!(calls(&clouds, ["invalid", HAIKU]), [0, 1]);
        let sent = String::from_utf8_lossy(&clouds.seen()[0].body).into_owned();
        assert!(!sent.contains("mock_testing"), "{sent}");
        gateway.stop().await;
    }
}

#[tokio::test]
async fn a_model_that_its_provider_does_not_know_is_left_for_the_fallback() {
    for dialect in DIALECTS {
        let clouds = Scripted::start(aws).await;
        let clock = Arc::new(ManualClock::new());
        let gateway = gateway("fallbacks.yml", dialect, &clouds, &clock).await;
        let answer = ask(&gateway, "sonnet", &json!({"disable_fallbacks": true})).await;
        assert_eq!(
            (answer.status, &*answer.code()),
            (502, "upstream_model_not_found")
        );
        let before = calls(&clouds, ["invalid"])[0];
        for _ in 0..20 {
            let answer = ask(&gateway, "sonnet", &json!({})).await.ok();
            assert_eq!(answer.header("x-waypost-model-group"), Some("haiku"));
        }
        let [invalid, haiku] = calls(&clouds, ["invalid", HAIKU]);
        assert_eq!(haiku, 20);
        // It cools after so many failures, from then on nobody asks it.
        assert!(invalid - before <= 4, "{before} and {invalid}");
        gateway.stop().await;
    }
}

#[tokio::test]
async fn limits_hold_exactly_and_other_names_take_nothing_over() {
    for dialect in DIALECTS {
        let clouds = Scripted::start(aws).await;
        let clock = Arc::new(ManualClock::new());
        let gateway = gateway("limits.yml", dialect, &clouds, &clock).await;
        for minute in 1..=2 {
            // One after another; then at once, with little enough to say for the other limit, tpm.
            let answers = if minute == 1 {
                let mut answers = Vec::new();
                for _ in 0..15 {
                    answers.push(ask(&gateway, "sonnet", &json!({})).await);
                }
                answers
            } else {
                let mut body = chat_body("sonnet");
                body["max_tokens"] = 20.into();
                together(vec![gateway.chat_with(&body); 15]).await
            };
            let (served, refused): (Vec<_>, Vec<_>) =
                answers.into_iter().partition(|answer| answer.status == 200);
            assert_eq!((served.len(), refused.len()), (10, 5), "minute {minute}");
            assert_eq!(calls(&clouds, [SONNET, HAIKU]), [10 * minute, minute - 1]);
            for answer in refused {
                assert_eq!(answer.status, 429);
                let says = "had 10 of its 10 requests of this minute (rpm, back in";
                assert!(answer.message().contains(says), "{}", answer.message());
                assert!(answer.header("retry-after").is_some());
            }
            ask(&gateway, "haiku", &json!({})).await.ok();
            assert_eq!(ask(&gateway, "haiku", &json!({})).await.status, 429);
            clock.advance(s(60));
        }
        gateway.stop().await;
    }
}

#[tokio::test]
async fn the_faster_one_gets_the_traffic() {
    for dialect in DIALECTS {
        let clock = Arc::new(ManualClock::new());
        let passing = Arc::clone(&clock);
        let clouds = Scripted::start(move |seen: &Seen| {
            let slow = asked(seen) == SONNET;
            passing.advance(Duration::from_millis(if slow { 2000 } else { 400 }));
            aws(seen)
        })
        .await;
        let gateway = gateway("latency.yml", dialect, &clouds, &clock).await;
        for _ in 0..2 {
            ask(&gateway, "chat", &json!({})).await.ok();
        }
        assert_eq!(
            calls(&clouds, [SONNET, HAIKU]),
            [1, 1],
            "the untested first"
        );
        for _ in 0..20 {
            ask(&gateway, "chat", &json!({})).await.ok();
        }
        assert_eq!(calls(&clouds, [SONNET, HAIKU]), [1, 21]);
        gateway.stop().await;
    }
}

#[tokio::test]
async fn limits_among_the_parameters_hold_and_an_endpoint_of_ones_own_is_called_by_its_name() {
    for dialect in DIALECTS {
        let clouds = Scripted::start(aws).await;
        let clock = Arc::new(ManualClock::new());
        let gateway = gateway("mixed.yml", dialect, &clouds, &clock).await;
        // Few enough tokens for the other limit, tpm.
        let short = json!({"max_tokens": 20});
        for _ in 0..2 {
            ask(&gateway, "chat", &short).await.ok();
        }
        let answer = ask(&gateway, "chat", &short).await;
        assert_eq!(answer.status, 429);
        let says = "had 2 of its 2 requests of this minute (rpm";
        assert!(answer.message().contains(says), "{}", answer.message());
        let answer = ask(&gateway, "own", &json!({})).await.ok();
        assert_eq!(answer.json()["choices"][0]["message"]["content"], "hi");
        assert_eq!(calls(&clouds, [SONNET, "org-endpoint"]), [2, 1]);
        let seen = clouds.seen();
        assert_eq!(seen[2].uri, "/endpoints/org-endpoint/invocations");
        gateway.stop().await;
    }
}

#[tokio::test]
async fn the_command_serves_a_config_yaml_behind_its_master_key() {
    let clouds = Scripted::start(aws).await;
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("config.yaml");
    std::fs::copy(file("fallbacks.yml"), &config).expect("written");
    let config = config.display().to_string();
    let variables = variables(&clouds.url());
    let variables = variables.each_ref().map(|(name, value)| (*name, &**value));
    let arguments = ["serve", "--config", &config, "--port", "0"];
    let mut process = Process::start(&arguments, &variables);
    let address = process.address().await;
    let mut body = chat_body("sonnet");
    body["mock_testing_fallbacks"] = true.into();
    let body = body.to_string();
    for (headers, expected) in [
        (&[][..], 401),
        (&[("authorization", "Bearer sk-other")], 401),
        (&[("authorization", "Bearer sk-master")], 200),
    ] {
        let mut wire = Wire::connect(address).await.expect("connected");
        let path = "/v1/chat/completions";
        wire.request("POST", path, headers, body.as_bytes()).await;
        let reply = wire.reply().await;
        assert_eq!(reply.status(), expected, "{}", reply.text());
        if expected == 401 {
            assert_eq!(reply.code(), "invalid_api_key");
        } else {
            assert_eq!(reply.head.header("x-waypost-model-group"), Some("haiku"));
        }
    }
    assert_eq!(calls(&clouds, ["invalid", HAIKU]), [0, 1]);
    process.signal("INT");
    assert_eq!(process.exit().await.code, Some(0));
}
