//! From one group to another: when, in which order, and what the client learns of it.

mod own;

use serde_json::{Value, json};
use waypost::lab::{Behaviour, Fault, Hold, Lab};

use crate::support::{Answer, Gateway, Model, Yaml, chat_body, held, lab, received};

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
