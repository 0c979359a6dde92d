//! What a request says of its way itself: failures it asks for, its own fallbacks, retries and time.

use serde_json::{Value, json};
use waypost::lab::{Behaviour, Fault, Hold};

use super::{ask, groups, way};
use crate::support::{Gateway, Model, Reply, Scripted, Yaml, chat_body, lab, received};

#[tokio::test]
async fn a_request_may_ask_for_a_failure_to_see_what_follows() {
    let typed = "groups: {a: {fallbacks: [b], context_window_fallbacks: [c], content_policy_fallbacks: [d]}}";
    for (member, expected) in [
        ("mock_testing_fallbacks", "b"),
        ("mock_testing_context_fallbacks", "c"),
        ("mock_testing_content_policy_fallbacks", "d"),
    ] {
        let lab = lab(["a", "b", "c", "d"]);
        let gateway = Gateway::start(&groups(&lab, &[typed])).await;
        let answer = ask(&gateway, json!({member: true})).await.ok();
        assert_eq!(answer.deployment(), expected, "{member}");
        assert_eq!(received(&lab)[0], 0);
        let answer = ask(&gateway, json!({member: false})).await.ok();
        assert_eq!(answer.deployment(), "a", "{member}");
    }
}

#[tokio::test]
async fn a_failure_asked_for_is_the_answer_where_no_group_is_behind() {
    for (member, status, code) in [
        ("mock_testing_fallbacks", 500, "mock_error"),
        (
            "mock_testing_context_fallbacks",
            400,
            "context_length_exceeded",
        ),
        (
            "mock_testing_content_policy_fallbacks",
            400,
            "content_filter",
        ),
    ] {
        let lab = lab(["a"]);
        let gateway = Gateway::start(&groups(&lab, &[])).await;
        let answer = ask(&gateway, json!({member: true})).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code));
        assert!(answer.message().contains(member), "{}", answer.message());
        assert_eq!(received(&lab), [0]);
    }
    // The rate limit is of the first attempt only.
    let lab = lab(["a"]);
    let gateway = Gateway::start(&groups(&lab, &[])).await;
    let body = json!({"mock_testing_rate_limit_error": true});
    let answer = ask(&gateway, body).await.ok();
    assert_eq!(way(&answer), ("a", "0", 1), "the made-up one was not sent");
    let tried = answer.header("x-waypost-tried");
    assert_eq!(tried, Some("mock_testing_rate_limit_error=rate_limit 429"));
}

#[tokio::test]
async fn where_mocks_are_off_the_setting_is_named() {
    let lab = lab(["a"]);
    let gateway = Gateway::start(&groups(&lab, &["mock_testing: false"])).await;
    for body in [
        json!({"mock_testing_fallbacks": true}),
        json!({"mock_response": "x"}),
    ] {
        let answer = ask(&gateway, body).await;
        assert_eq!(answer.status, 400);
        assert!(
            answer.message().contains("mock_testing: true"),
            "{}",
            answer.message()
        );
    }
    assert_eq!(received(&lab), [0]);
}

#[tokio::test]
async fn a_request_may_bring_its_own_fallbacks() {
    let lab = lab(["a", "b", "c"]);
    lab.deployment("a").set(Fault::ServerError);
    let gateway = Gateway::start(&groups(&lab, &["groups: {a: {fallbacks: [b]}}"])).await;
    let answer = ask(&gateway, json!({"fallbacks": ["nobody", "c"]}))
        .await
        .ok();
    assert_eq!(answer.deployment(), "c");
    assert_eq!(
        answer.header("x-waypost-tried"),
        Some("a=server_error 500, nobody=unknown_model")
    );
    let answer = ask(&gateway, json!({"disable_fallbacks": true})).await;
    assert_eq!((answer.status, received(&lab)[1]), (500, 0));
}

#[tokio::test]
async fn a_requests_own_fallback_may_differ_in_more_than_the_model() {
    let upstream = Scripted::start(|seen| {
        let broken = seen.json()["model"] == "first";
        Reply::chat().status(if broken { 500 } else { 200 })
    })
    .await;
    let model = |name: &str| {
        let base = format!("api_base: {}", upstream.url());
        Model::lines(["provider: self-hosted", &format!("model: {name}"), &base])
    };
    let yaml = Yaml::default()
        .group("a", [model("first")])
        .router("num_retries: 0")
        .group("b", [model("second")]);
    let gateway = Gateway::start(&yaml).await;
    let other = json!([{"role": "user", "content": "shorter"}]);
    let body = json!({
        "fallbacks": [{"model": "b", "messages": other}], "num_retries": 0, "timeout": 60, "tags": ["x"],
        "litellm_session_id": "1", "temperature": 0.5, "metadata": {"tags": ["y"]}, "provider_field": 1,
    });
    ask(&gateway, body).await.ok();
    let seen: Vec<Value> = upstream.seen().iter().map(|seen| seen.json()).collect();
    let common = json!({"temperature": 0.5, "metadata": {"tags": ["y"]}, "provider_field": 1});
    for (seen, model, messages) in [
        (&seen[0], "first", &chat_body("a")["messages"]),
        (&seen[1], "second", &other),
    ] {
        let mut expected = common.clone();
        expected["model"] = model.into();
        expected["messages"] = messages.clone();
        assert_eq!(*seen, expected, "and nothing of the gateway's own");
    }
}

#[tokio::test]
async fn a_request_may_set_its_retries_and_its_time() {
    let lab = lab(["a"]);
    lab.deployment("a").set(Fault::ServerError);
    let yaml = groups(&lab, &[]).router("disable_cooldowns: true");
    let gateway = Gateway::start(&yaml).await;
    for (body, expected) in [(json!({"num_retries": 0}), 1), (json!({}), 2)] {
        assert_eq!(ask(&gateway, body).await.attempts(), expected);
    }
    lab.deployment("a").set(Behaviour::hold(Hold::BeforeHead));
    let answer = ask(&gateway, json!({"timeout": 0.05, "num_retries": 0})).await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (504, "upstream_timeout")
    );
    let request = gateway.chat_with(&chat_body("a"));
    let answer = request.header("x-litellm-timeout", "0.05").send().await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (504, "request_timeout")
    );
    let answer = ask(&gateway, json!({"timeout": "soon"})).await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.json()["error"]["param"], "timeout");
}

#[tokio::test]
async fn rights_bound_the_clients_own_fallbacks_but_not_the_files() {
    let lab = lab(["a", "b", "c"]);
    lab.deployment("a").set(Fault::ServerError);
    let yaml = groups(
        &lab,
        &[
            "groups: {a: {fallbacks: [b]}}",
            "keys: [{name: k, key: secret-of-a-client, groups: [a]}]",
        ],
    );
    let gateway = Gateway::start(&yaml).await;
    let send = async |body: Value| {
        let request = gateway.chat_with(&body);
        let bearer = "Bearer secret-of-a-client";
        request.header("authorization", bearer).send().await
    };
    assert_eq!(send(chat_body("a")).await.ok().deployment(), "b");
    let mut own = chat_body("a");
    own["fallbacks"] = json!(["c"]);
    let answer = send(own).await;
    assert_eq!(answer.status, 500);
    assert_eq!(received(&lab)[2], 0);
}

#[tokio::test]
async fn a_request_may_bring_its_own_answer() {
    let lab = lab(["a"]);
    let gateway = Gateway::start(&groups(&lab, &[])).await;
    let answer = ask(&gateway, json!({"mock_response": "said before"}))
        .await
        .ok();
    let said = &answer.json()["choices"][0]["message"]["content"];
    assert_eq!(said, "said before");
    let body = json!({"mock_response": "said before", "stream": true});
    let answer = ask(&gateway, body).await.ok();
    assert!(answer.text().contains("before") && answer.text().ends_with("data: [DONE]\n\n"));
    assert_eq!(received(&lab), [0]);
}

#[tokio::test]
async fn a_time_of_its_own_blames_nobody() {
    let lab = lab(["a"]);
    let gateway = Gateway::start(&groups(&lab, &[]).router("allowed_fails: 0")).await;
    for (fault, stream, own) in [
        (Fault::HangBeforeHead, false, "timeout"),
        (Fault::HangBeforeHead, true, "stream_timeout"),
        (Fault::Stall { after: 1 }, true, "stream_timeout"),
        (Fault::Stall { after: 1 }, true, "timeout"),
    ] {
        lab.deployment("a").set(fault.clone());
        let body = json!({"stream": stream, own: 0.05, "num_retries": 0});
        let answer = ask(&gateway, body).await;
        assert!(
            answer.text().contains("timeout"),
            "{fault:?} {}",
            answer.text()
        );
        lab.deployment("a").set(Behaviour::default());
        ask(&gateway, json!({})).await.ok();
    }
}
