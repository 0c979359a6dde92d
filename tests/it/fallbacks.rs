//! From one group to another: when, in which order, and what the client learns of it.

use serde_json::{Value, json};
use waypost::lab::{Behaviour, Fault, Hold, Lab};

use crate::support::{
    Answer, Gateway, Model, Reply, Scripted, Yaml, chat_body, held, lab, received,
};

/// Groups of one deployment each, named as they are; `lines` go into the section `waypost`.
fn groups(lab: &Lab, lines: &[&str]) -> Yaml {
    let yaml = lab.deployments().iter().fold(Yaml::default(), |yaml, d| {
        yaml.group(d.name(), [d]).router("num_retries: 1")
    });
    lines.iter().fold(yaml, |yaml, line| yaml.waypost(line))
}

/// The group that answered, the groups tried before it, and the attempts made.
fn way(answer: &Answer) -> (&str, &str, u32) {
    (
        answer.header("x-waypost-model-group").unwrap_or_default(),
        answer.header("x-waypost-fallbacks").unwrap_or("0"),
        answer.attempts(),
    )
}

async fn ask(gateway: &Gateway, extra: Value) -> Answer {
    let mut body = chat_body("a");
    for (name, value) in extra.as_object().expect("an object") {
        body[name] = value.clone();
    }
    gateway.chat_with(&body).send().await
}

#[tokio::test]
async fn the_order_is_the_one_of_nested_lists_and_no_group_is_asked_twice() {
    for (lines, broken, expected, tried) in [
        (
            &["groups: {a: {fallbacks: [b, c]}}"][..],
            "a",
            "b",
            "a=server_error 500",
        ),
        (
            &["groups: {a: {fallbacks: [b, c]}, b: {fallbacks: [d]}}"],
            "ab",
            "d",
            "a=server_error 500, b=server_error 500",
        ),
        (
            &["groups: {a: {fallbacks: [b, c]}, b: {fallbacks: [d]}}"],
            "abd",
            "c",
            "a=server_error 500, b=server_error 500, d=server_error 500",
        ),
        (
            &["default_fallbacks: [a, b, c]"],
            "ab",
            "c",
            "a=server_error 500, b=server_error 500",
        ),
        (
            &[
                "groups: {a: {fallbacks: [x]}}",
                "aliases: {x: y, y: {group: d, hidden: true}}",
            ],
            "a",
            "d",
            "a=server_error 500",
        ),
    ] {
        let lab = lab(["a", "b", "c", "d"]);
        for name in broken.chars() {
            lab.deployment(&name.to_string()).set(Fault::ServerError);
        }
        let gateway = Gateway::start(&groups(&lab, lines)).await;
        let answer = ask(&gateway, json!({})).await.ok();
        let others = broken.len().to_string();
        let attempts = u32::try_from(broken.len() + 1).expect("few");
        assert_eq!(way(&answer), (expected, &*others, attempts), "{lines:?}");
        assert_eq!(answer.header("x-waypost-tried"), Some(tried));
        assert_eq!(answer.header("x-waypost-reason"), Some("fallback"));
        assert!(received(&lab).iter().all(|n| *n <= 1));
    }
}

#[tokio::test]
async fn every_kind_of_failure_of_a_group_leads_on() {
    for fault in [
        Fault::ServerError,
        Fault::RateLimit {
            retry_after: None,
            retry_after_ms: None,
        },
        Fault::InsufficientQuota,
        Fault::Unauthorized,
        Fault::ModelNotFound,
        Fault::Refused,
        Fault::Reset,
        Fault::ErrorIn200,
        // As Bedrock says it: the deployment is wrong, not the request.
        Fault::Status {
            status: 400,
            body: json!({"error": {"message": "The provided model identifier is invalid."}}),
            headers: [].into(),
        },
    ] {
        let lab = lab(["a", "b"]);
        lab.deployment("a").set(fault.clone());
        let gateway = Gateway::start(&groups(&lab, &["groups: {a: {fallbacks: [b]}}"])).await;
        // With its only deployment cooling, too.
        for stream in [false, true, false] {
            let answer = ask(&gateway, json!({"stream": stream})).await.ok();
            assert_eq!(answer.deployment(), "b", "{fault:?}");
        }
        assert!(received(&lab)[0] <= 3 && received(&lab)[1] == 3);
    }
}

#[tokio::test]
async fn a_lone_broken_deployment_is_not_waited_for() {
    let lab = lab(["a", "b"]);
    lab.deployment("a").set(Fault::ServerError);
    let yaml = groups(&lab, &["groups: {a: {fallbacks: [b]}}"])
        .waypost("all_cooling: wait")
        .waypost("max_wait: 1h");
    let gateway = Gateway::start(&yaml).await;
    // Were it waited for, it would be asked again.
    let answer = ask(&gateway, json!({})).await.ok();
    assert_eq!(way(&answer), ("b", "1", 2));
    assert_eq!(received(&lab), [1, 1]);
}

#[tokio::test]
async fn a_request_that_is_wrong_goes_nowhere_else() {
    let lab = lab(["a", "b"]);
    lab.deployment("a").set(Fault::BadRequest {
        param: "temperature".to_owned(),
    });
    let gateway = Gateway::start(&groups(&lab, &["groups: {a: {fallbacks: [b]}}"])).await;
    let answer = ask(&gateway, json!({})).await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (400, "invalid_value")
    );
    assert_eq!(received(&lab), [1, 0]);
    assert_eq!(answer.header("x-waypost-tried"), Some("a=rejected"));
}

#[tokio::test]
async fn long_prompts_and_refused_content_have_lists_of_their_own() {
    let typed = "groups: {a: {fallbacks: [b], context_window_fallbacks: [c], content_policy_fallbacks: [d]}}";
    let general = "groups: {a: {fallbacks: [b]}}";
    for (line, fault, expected) in [
        (typed, Fault::ContextLength, "c"),
        (typed, Fault::ContentFilter, "d"),
        (typed, Fault::ServerError, "b"),
        (general, Fault::ContextLength, "b"),
        (general, Fault::ContentFilter, "b"),
    ] {
        let lab = lab(["a", "b", "c", "d"]);
        lab.deployment("a").set(fault.clone());
        let gateway = Gateway::start(&groups(&lab, &[line])).await;
        let answer = ask(&gateway, json!({})).await.ok();
        assert_eq!(answer.deployment(), expected, "{line} {fault:?}");
    }
}

#[tokio::test]
async fn where_all_fail_the_first_ones_error_is_the_answer_and_the_rest_is_listed() {
    let lab = lab(["a", "b", "c"]);
    lab.deployment("a").set(Fault::RateLimit {
        retry_after: None,
        retry_after_ms: None,
    });
    lab.deployment("b").set(Fault::Unauthorized);
    lab.deployment("c").set(Fault::ServerError);
    let gateway = Gateway::start(&groups(&lab, &["default_fallbacks: [b, c]"])).await;
    let answer = ask(&gateway, json!({})).await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (429, "rate_limit_exceeded")
    );
    assert_eq!(
        answer.header("x-waypost-tried"),
        Some("a=rate_limit 429, b=credential 401, c=server_error 500, c=server_error 500")
    );
    assert_eq!(answer.header("x-should-retry"), Some("false"));
}

#[tokio::test]
async fn groups_and_attempts_are_bounded_all_in_all() {
    let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];
    let all = "default_fallbacks: [b, c, d, e, f, g, h, i]";
    for (lines, good, expected) in [
        (&[all][..], Some("i"), [1, 1, 1, 1, 1, 1, 1, 1, 1]),
        (
            &[all, "max_fallbacks: 3"],
            None,
            [1, 1, 1, 2, 0, 0, 0, 0, 0],
        ),
        (&[all, "max_attempts: 4"], None, [1, 1, 1, 1, 0, 0, 0, 0, 0]),
        (
            &[all, "max_fallbacks: 0"],
            None,
            [2, 0, 0, 0, 0, 0, 0, 0, 0],
        ),
    ] {
        let lab = lab(names);
        for d in lab.deployments().iter().filter(|d| Some(d.name()) != good) {
            d.set(Fault::ServerError);
        }
        let gateway = Gateway::start(&groups(&lab, lines)).await;
        let answer = ask(&gateway, json!({})).await;
        assert_eq!(received(&lab), expected, "{lines:?}");
        let asked = expected.iter().filter(|n| **n > 0).count() - 1;
        let header = answer.header("x-waypost-fallbacks");
        assert_eq!(header.unwrap_or("0"), asked.to_string(), "{lines:?}");
        assert_eq!(answer.status == 200, good.is_some());
    }
}

#[tokio::test]
async fn retries_do_not_take_what_groups_behind_need() {
    let lab = lab(["p", "q", "r", "b"]);
    lab.deployments()
        .iter()
        .take(3)
        .for_each(|d| d.set(Fault::ServerError));
    let primary = lab.deployments()[..3].iter().map(Model::of);
    let yaml = Yaml::default()
        .group("a", primary)
        .router("num_retries: 9")
        .group("b", [lab.deployment("b")])
        .waypost("groups: {a: {fallbacks: [b]}}")
        .waypost("max_attempts: 3");
    let gateway = Gateway::start(&yaml).await;
    let answer = ask(&gateway, json!({})).await.ok();
    assert_eq!(way(&answer), ("b", "1", 3));
}

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
async fn what_another_group_answered_is_not_kept_for_this_one() {
    let lab = lab(["a", "b"]);
    lab.deployment("a").behave_next(1, Fault::ServerError);
    let yaml = Yaml::default()
        .group("a", [lab.deployment("a")])
        .router("num_retries: 0")
        .router("cooldown_time: 0")
        .router("cache_responses: true")
        .group("b", [lab.deployment("b")])
        .waypost("groups: {a: {fallbacks: [b]}}");
    let gateway = Gateway::start(&yaml).await;
    for (deployment, cache) in [("b", "miss"), ("a", "miss"), ("", "hit")] {
        let answer = ask(&gateway, json!({})).await.ok();
        assert_eq!(answer.header("x-waypost-cache"), Some(cache));
        if !deployment.is_empty() {
            assert_eq!(answer.deployment(), deployment);
        }
    }
    // A mocked failure neither reads nor writes.
    let answer = ask(&gateway, json!({"mock_testing_fallbacks": true}))
        .await
        .ok();
    assert_eq!(answer.header("x-waypost-cache"), Some("bypass"));
    assert_eq!(answer.deployment(), "b");
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
async fn a_client_that_leaves_during_a_fallback_leaves_nothing_behind() {
    let lab = lab(["a", "b"]);
    lab.deployment("a").set(Fault::ServerError);
    lab.deployment("b").set(Behaviour::hold(Hold::BeforeHead));
    let gateway = Gateway::start(&groups(&lab, &["groups: {a: {fallbacks: [b]}}"])).await;
    let request = ask(&gateway, json!({}));
    let left = async {
        held(lab.deployments(), 1).await;
        assert_eq!(gateway.in_flight("b"), [1]);
    };
    futures_util::future::select(Box::pin(request), Box::pin(left)).await;
    lab.deployment("b")
        .wait_for(|stats| stats.cancelled == 1)
        .await;
    gateway.stop().await;
}
