//! Limits of deployments, and what is refused before any of them is asked.

use std::time::Duration;

use futures_util::future::join;
use serde_json::json;
use waypost::lab::{Behaviour, Fault, Hold};

use crate::support::{Gateway, Model, Yaml, chat_body, held, lab, received, s, together};

#[tokio::test]
async fn rpm_is_exact_however_many_come_at_once() {
    let lab = lab(["a"]);
    let (gateway, clock) = Gateway::with_manual_clock(&Yaml::over(&lab).each("rpm: 5")).await;
    for minute in 1..=2 {
        let answers = together(vec![gateway.chat_with(&chat_body("g")); 20]).await;
        let (served, refused): (Vec<_>, Vec<_>) =
            answers.into_iter().partition(|a| a.status == 200);
        assert_eq!((served.len(), refused.len()), (5, 15), "minute {minute}");
        assert_eq!(received(&lab), [5 * minute]);
        for answer in refused {
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (429, "no_deployment_available")
            );
            assert!(
                answer
                    .message()
                    .contains("a had 5 of its 5 requests of this minute (rpm, back in"),
                "{}",
                answer.message()
            );
            let seconds: u64 = answer
                .header("retry-after")
                .and_then(|v| v.parse().ok())
                .expect("seconds");
            assert!((1..=60).contains(&seconds));
        }
        clock.advance(s(60));
    }
}

/// How long it is until the minute of the gateway's wall clock is over.
fn minute_is_over_in(gateway: &Gateway) -> Duration {
    let unix = gateway.app().gateway().deps().clock.unix();
    s((unix.as_secs() / 60 + 1) * 60) - unix
}

#[tokio::test]
async fn of_two_hundred_at_once_exactly_the_fifty_of_the_minute_get_through() {
    let lab = lab(["a"]);
    let (gateway, clock) = Gateway::with_manual_clock(&Yaml::over(&lab).each("rpm: 50")).await;
    // Not at a whole second: the wait is what is left, not a round number.
    clock.advance(Duration::from_millis(1250));
    for minute in 1..=2 {
        let answers = together(vec![gateway.chat_with(&chat_body("g")); 200]).await;
        let (served, refused): (Vec<_>, Vec<_>) =
            answers.into_iter().partition(|a| a.status == 200);
        assert_eq!((served.len(), refused.len()), (50, 150), "minute {minute}");
        assert_eq!(received(&lab), [50 * minute]);
        let left = minute_is_over_in(&gateway);
        for answer in refused {
            assert_eq!(answer.status, 429);
            assert_eq!(
                answer.header("retry-after-ms"),
                Some(&*left.as_millis().to_string())
            );
            let says = format!(
                "a had 50 of its 50 requests of this minute (rpm, back in {:.1} s)",
                left.as_secs_f64()
            );
            assert!(answer.message().contains(&says), "{}", answer.message());
        }
        let instant = Duration::from_millis(1);
        clock.advance(left - instant);
        assert_eq!(gateway.chat("g").await.status, 429);
        clock.advance(instant);
    }
}

#[tokio::test]
async fn retry_after_is_until_the_first_of_them_clears() {
    let lab = lab(["a", "b"]);
    let models = [
        Model::of(lab.deployment("a"))
            .with("rpm: 1")
            .with("order: 1"),
        Model::of(lab.deployment("b")).with("order: 2"),
    ];
    let yaml = Yaml::default().group("g", models).router("num_retries: 0");
    let (gateway, clock) = Gateway::with_manual_clock(&yaml).await;
    for (asked, first) in [(2, "b"), (200, "a")] {
        // From the beginning of a minute.
        clock.advance(minute_is_over_in(&gateway));
        lab.deployment("b")
            .behave_next(1, Fault::rate_limit_for(s(asked)));
        gateway.chat("g").await.ok();
        assert_eq!(gateway.chat("g").await.status, 429, "b's own");
        let answer = gateway.chat("g").await;
        let wait = if first == "a" { 60 } else { asked };
        assert_eq!((answer.status, answer.attempts()), (429, 0));
        assert_eq!(answer.header("retry-after"), Some(&*wait.to_string()));
    }
}

#[tokio::test]
async fn tokens_overshoot_by_no_more_than_the_last_completion() {
    const TPM: u64 = 2000;
    let lab = lab(["a"]);
    let yaml = Yaml::over(&lab).each(&format!("tpm: {TPM}"));
    let (gateway, clock) = Gateway::with_manual_clock(&yaml).await;
    let mut body = chat_body("g");
    body["max_tokens"] = json!(100);
    // Completions that keep to what was asked for, and such that do not.
    let mut completion = 7;
    for _ in 0..5 {
        clock.advance(minute_is_over_in(&gateway));
        let (mut used, mut last) = (0, 0);
        loop {
            completion = completion * 5 % 997;
            let usage = json!({
                "prompt_tokens": 20, "completion_tokens": completion, "total_tokens": 20 + completion,
            });
            let answer = json!({"object": "chat.completion", "choices": [], "usage": usage});
            lab.deployment("a")
                .behave_next(1, Fault::status(200, answer));
            let answer = gateway.chat_with(&body).send().await;
            if answer.status == 429 {
                let says = format!("used {used} of its {TPM} tokens of this minute (tpm");
                assert!(answer.message().contains(&says), "{}", answer.message());
                lab.deployment("a").reset();
                break;
            }
            assert!(used + 100 <= TPM, "{used} were used already");
            last = completion;
            used += 20 + last;
        }
        assert!(
            used > TPM - 200 && used <= TPM + last,
            "{used}, last {last}"
        );
    }
}

#[tokio::test]
async fn a_deployment_at_its_rpm_leaves_the_rest_to_another() {
    for strategy in [
        "least-busy",
        "usage-based-routing",
        "latency-based-routing",
        "cost-based-routing",
    ] {
        let lab = lab(["a", "b"]);
        let models = [
            Model::of(lab.deployment("a"))
                .with("rpm: 3")
                .with("order: 1"),
            Model::of(lab.deployment("b")).with("rpm: 100"),
        ];
        let yaml = Yaml::default()
            .group("g", models)
            .router(&format!("routing_strategy: {strategy}"));
        let (gateway, _clock) = Gateway::with_manual_clock(&yaml).await;
        for _ in 0..20 {
            gateway.chat("g").await.ok();
        }
        assert_eq!(received(&lab), [3, 17], "{strategy}");
    }
}

#[tokio::test]
async fn tpm_counts_what_is_under_way_and_is_corrected_by_what_was_used() {
    let lab = lab(["a"]);
    let (gateway, clock) = Gateway::with_manual_clock(&Yaml::over(&lab).each("tpm: 200")).await;
    let mut body = chat_body("g");
    body["max_tokens"] = json!(8);
    let one = gateway.chat_with(&body).send().await.ok();
    let used = one.json()["usage"]["total_tokens"]
        .as_u64()
        .expect("a number");
    let minute = waypost::router::scores::minute_of(gateway.app().gateway().deps().clock.unix());
    let tokens = || gateway.deployments("g")[0].scores.minute(minute).tokens;
    assert_eq!(tokens(), used);
    let answers = together(vec![gateway.chat_with(&body); 50]).await;
    let served = answers.iter().filter(|answer| answer.status == 200).count();
    assert!((1..50).contains(&served), "{served}");
    assert!(tokens() <= 200, "{}", tokens());
    let refused = answers
        .iter()
        .find(|answer| answer.status == 429)
        .expect("one over the limit");
    assert!(
        refused
            .message()
            .contains("of its 200 tokens of this minute (tpm"),
        "{}",
        refused.message()
    );
    clock.advance(s(60));
    gateway.chat_with(&body).send().await.ok();
}

#[tokio::test]
async fn absurd_numbers_of_tokens_are_only_numbers() {
    let lab = lab(["a"]);
    let a = lab.deployment("a");
    let gateway = Gateway::start(&Yaml::over(&lab).router("num_retries: 0")).await;
    a.set(Behaviour::hold(Hold::BeforeHead));
    let mut body = chat_body("g");
    body["max_tokens"] = json!(u64::MAX);
    let release = async {
        held(lab.deployments(), 3).await;
        a.release();
    };
    let (answers, ()) = join(together(vec![gateway.chat_with(&body); 3]), release).await;
    assert!(
        answers.iter().all(|answer| answer.status == 200),
        "{answers:?}"
    );
    let usage =
        json!({"prompt_tokens": u64::MAX, "completion_tokens": u64::MAX, "total_tokens": u64::MAX});
    a.set(Fault::status(
        200,
        json!({"object": "chat.completion", "choices": [], "usage": usage}),
    ));
    for _ in 0..3 {
        gateway.chat("g").await.ok();
    }
    assert_eq!(gateway.in_flight("g"), [0]);
}

#[tokio::test]
async fn max_parallel_requests_holds_and_another_deployment_helps() {
    let lab = lab(["a", "b"]);
    lab.deployments()
        .iter()
        .for_each(|d| d.set(Behaviour::hold(Hold::BeforeHead)));
    let yaml = Yaml::over(&lab)
        .each("max_parallel_requests: 1")
        .waypost("queue: {max_wait: 0}");
    let gateway = Gateway::start(&yaml).await;
    let third = async {
        held(lab.deployments(), 2).await;
        assert_eq!(received(&lab), [1, 1]);
        let answer = gateway.chat("g").await;
        lab.deployments()
            .iter()
            .for_each(waypost::lab::Handle::release);
        answer
    };
    let requests = vec![gateway.chat_with(&chat_body("g")); 2];
    let (answers, refused) = join(together(requests), third).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert_eq!(refused.status, 429);
    assert!(
        refused
            .message()
            .contains("a has 1 requests in flight (max_parallel_requests)"),
        "{}",
        refused.message()
    );
    assert_eq!(refused.header("retry-after"), Some("1"));
    lab.deployments()
        .iter()
        .for_each(waypost::lab::Handle::reset);
    gateway.chat("g").await.ok();
}

#[tokio::test]
async fn an_unknown_group_is_named_with_those_there_are() {
    let lab = lab(["a"]);
    let yaml = Yaml::default()
        .group("assistant", [lab.deployment("a")])
        .group("embedder", [lab.deployment("a")]);
    let gateway = Gateway::start(&yaml.each("model_info: {id: other}")).await;
    for (name, near) in [
        ("asistant", Some("assistant")),
        ("gpt-4o", None),
        ("", None),
    ] {
        let answer = gateway
            .post("/openai/deployments/x/chat/completions")
            .json(&chat_body(name))
            .send()
            .await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (404, "model_not_found"),
            "the path names it"
        );
        let answer = gateway.chat(name).await;
        if name.is_empty() {
            assert_eq!(
                (answer.status, &answer.json()["error"]["param"]),
                (400, &json!("model"))
            );
            continue;
        }
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (404, "model_not_found")
        );
        assert_eq!(answer.json()["error"]["param"], "model");
        let message = answer.message();
        assert!(
            message.contains(&format!("`{name}`"))
                && message.contains("Available: assistant, embedder.")
        );
        assert_eq!(
            message.contains("Did you mean `assistant`?"),
            near.is_some(),
            "{message}"
        );
    }
    assert_eq!(received(&lab), [0]);
}

#[tokio::test]
async fn groups_may_have_any_name() {
    for name in ["größe", "模型/一", "a b", "gpt-4o/eu", "\u{1F600}"] {
        let lab = lab(["a"]);
        let gateway = Gateway::start(&Yaml::default().group(name, [lab.deployment("a")])).await;
        let answer = gateway.chat(name).await.ok();
        assert_eq!(
            answer.headers["x-waypost-model-group"].as_bytes(),
            name.as_bytes()
        );
        let encoded: String = name.bytes().map(|b| format!("%{b:02X}")).collect();
        let path = format!("/openai/deployments/{encoded}/chat/completions?api-version=2024-10-21");
        gateway
            .post(&path)
            .json(&chat_body("whatever"))
            .send()
            .await
            .ok();
        let model = gateway.get(&format!("/v1/models/{encoded}")).await.ok();
        assert_eq!(model.json()["id"], name);
        assert_eq!(
            gateway.get("/v1/models").await.ok().json()["data"][0]["id"],
            name
        );
    }
}

#[tokio::test]
async fn what_is_no_request_is_refused_by_name() {
    let lab = lab(["a"]);
    let gateway = Gateway::start(&Yaml::over(&lab)).await;
    for (body, param) in [
        (String::new(), None),
        ("{".to_owned(), None),
        ("[]".to_owned(), None),
        ("\"g\"".to_owned(), None),
        (r#"{"model":"g"} {}"#.to_owned(), None),
        (r#"{"model":"g","messages":[],}"#.to_owned(), None),
        (r#"{"messages":[]}"#.to_owned(), Some("model")),
        (r#"{"model":7,"messages":[]}"#.to_owned(), Some("model")),
        (r#"{"model":null,"messages":[]}"#.to_owned(), Some("model")),
        (
            r#"{"model":"g","model":"h","messages":[]}"#.to_owned(),
            Some("model"),
        ),
        (
            r#"{"model":"g","messages":[],"mod\u0065l":"h"}"#.to_owned(),
            Some("model"),
        ),
        (
            r#"{"model":"g","messages":[],"stream":"yes"}"#.to_owned(),
            Some("stream"),
        ),
        (
            r#"{"model":"g","messages":[],"stream":true,"stream_options":1}"#.to_owned(),
            Some("stream_options"),
        ),
    ] {
        let shown: String = body.chars().take(80).collect();
        let answer = gateway.post("/v1/chat/completions").body(body).send().await;
        assert_eq!(answer.status, 400, "{shown}: {}", answer.text());
        let error = answer.json()["error"].clone();
        assert_eq!(error["type"], "invalid_request_error");
        assert_eq!(error["param"].as_str(), param, "{shown}: {error}");
        assert!(
            error["message"]
                .as_str()
                .is_some_and(|m| m.starts_with("Invalid request: ")),
            "{error}"
        );
    }
    let not_text = b"{\"model\":\"g\xff\"}".to_vec();
    assert_eq!(
        gateway
            .post("/v1/chat/completions")
            .body(not_text)
            .send()
            .await
            .status,
        400
    );
    assert_eq!(received(&lab), [0]);
    gateway.chat("g").await.ok();
}

#[tokio::test]
async fn depth_is_no_danger() {
    for line in ["cache_responses: true", "num_retries: 0"] {
        let lab = lab(["a"]);
        let gateway = Gateway::start(&Yaml::over(&lab).router(line)).await;
        for (open, leaf, close) in [("[", "", "]"), (r#"{"a":"#, "1", "}")] {
            let nested = format!("{}{leaf}{}", open.repeat(100_000), close.repeat(100_000));
            let body = format!(r#"{{"model":"g","messages":{nested}}}"#);
            let answer = gateway.post("/v1/chat/completions").body(body).send().await;
            assert_eq!(answer.status, 400, "{}", answer.text());
            assert_eq!(answer.json()["error"]["type"], "invalid_request_error");
        }
        gateway.chat("g").await.ok();
    }
}

#[tokio::test]
async fn successes_say_who_answered() {
    let lab = lab(["a"]);
    let gateway = Gateway::start(&Yaml::over(&lab)).await;
    let request = gateway
        .chat_with(&chat_body("g"))
        .header("x-request-id", "mine-1");
    let answer = request.send().await.ok();
    assert_eq!(answer.header("x-request-id"), Some("mine-1"));
    assert_eq!(answer.header("x-waypost-model-group"), Some("g"));
    assert_eq!(answer.header("x-waypost-deployment"), Some("a"));
    assert_eq!(answer.header("x-waypost-attempts"), Some("1"));
    assert_eq!(answer.header("x-waypost-cache"), Some("off"));
    assert_eq!(
        answer.header("x-upstream-request-id"),
        Some("req_lab000001")
    );
    let odd = gateway
        .chat_with(&chat_body("g"))
        .header("x-request-id", "a b");
    let answer = odd.send().await.ok();
    assert!(
        answer
            .header("x-request-id")
            .is_some_and(|id| id.starts_with("req_"))
    );
}
