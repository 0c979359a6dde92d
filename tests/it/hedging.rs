//! Second attempts beside slow ones.

use futures_util::future::join;
use serde_json::json;
use waypost::lab::{Behaviour, Fault, Hold, Lab};

use crate::support::{Gateway, Yaml, chat_body, first_then_second, held, lab, received};

/// Requests after which the usual time of a deployment is known.
const ENOUGH: usize = 20;

fn hedged(lab: &Lab, share: &str) -> Yaml {
    first_then_second(lab)
        .router("num_retries: 2")
        .waypost(&format!(
            "groups: {{g: {{hedging: {{min_delay: 1ms, max_share: {share}}}}}}}"
        ))
}

/// A gateway that has answered enough requests, all by the first deployment, which then holds what comes.
async fn slow(lab: &Lab, yaml: &Yaml) -> Gateway {
    let gateway = Gateway::start(yaml).await;
    for _ in 0..ENOUGH {
        assert_eq!(gateway.chat("g").await.ok().attempts(), 1);
    }
    lab.deployment("a").set(Behaviour::hold(Hold::BeforeHead));
    gateway
}

#[tokio::test]
async fn the_one_that_is_first_answers_and_the_other_is_cancelled_and_paid_for() {
    for stream in [false, true] {
        let lab = lab(["a", "b"]);
        let yaml = hedged(&lab, "1");
        let gateway = Gateway::start(&yaml).await;
        let mut body = chat_body("g");
        body["stream"] = stream.into();
        for _ in 0..ENOUGH {
            gateway.chat_with(&body).send().await.ok();
        }
        lab.deployment("a").set(Behaviour::hold(Hold::BeforeHead));
        let tokens = gateway.deployments("g")[0].scores.total_tokens();
        let answer = gateway.chat_with(&body).send().await.ok();
        assert_eq!((answer.deployment(), answer.attempts()), ("b", 2));
        assert_eq!(answer.header("x-waypost-reason"), Some("hedge"));
        lab.deployment("a")
            .wait_for(|stats| stats.cancelled == 1)
            .await;
        assert_eq!(gateway.in_flight("g"), [0, 0]);
        let after = gateway.deployments("g")[0].scores.total_tokens();
        assert!(after > tokens, "its prompt was read: {after} > {tokens}");
        let metrics = gateway.get("/metrics").await;
        for line in [
            "waypost_hedges_total{group=\"g\",result=\"made\"} 1",
            "waypost_hedges_total{group=\"g\",result=\"won\"} 1",
            "waypost_attempts_total{group=\"g\",deployment=\"a\",outcome=\"cancelled\"} 1",
        ] {
            assert!(metrics.text().contains(line), "{line}\n{}", metrics.text());
        }
    }
}

#[tokio::test]
async fn a_slow_one_that_is_first_after_all_answers() {
    let lab = lab(["a", "b"]);
    let gateway = slow(&lab, &hedged(&lab, "1")).await;
    lab.deployment("b").set(Behaviour::hold(Hold::BeforeHead));
    let both = async {
        held(lab.deployments(), 2).await;
        lab.deployment("a").release();
    };
    let (answer, ()) = join(gateway.chat("g"), both).await;
    let answer = answer.ok();
    assert_eq!((answer.deployment(), answer.attempts()), ("a", 2));
    lab.deployment("b")
        .wait_for(|stats| stats.cancelled == 1)
        .await;
}

#[tokio::test]
async fn where_one_of_two_fails_the_other_is_waited_for() {
    let lab = lab(["a", "b"]);
    let gateway = slow(&lab, &hedged(&lab, "1")).await;
    lab.deployment("b").set(Fault::ServerError);
    let release = async {
        lab.deployment("b")
            .wait_for(|stats| stats.requests == 1)
            .await;
        lab.deployment("a").release();
    };
    let (answer, ()) = join(gateway.chat("g"), release).await;
    let answer = answer.ok();
    assert_eq!((answer.deployment(), answer.attempts()), ("a", 2));
    assert_eq!(answer.header("x-waypost-tried"), Some("b=server_error 500"));
}

#[tokio::test]
async fn a_request_that_is_wrong_for_one_is_not_tried_on() {
    let lab = lab(["a", "b"]);
    let gateway = slow(&lab, &hedged(&lab, "1")).await;
    lab.deployment("b").set(Fault::BadRequest {
        param: "temperature".to_owned(),
    });
    let answer = gateway.chat("g").await;
    assert_eq!(answer.status, 400);
    lab.deployment("a")
        .wait_for(|stats| stats.cancelled == 1)
        .await;
    assert_eq!(received(&lab)[1], 1);
}

#[tokio::test]
async fn it_is_off_unless_said_and_bounded_as_a_share() {
    let lab = lab(["a", "b"]);
    let gateway = slow(&lab, &first_then_second(&lab)).await;
    let mut limited = chat_body("g");
    limited["timeout"] = json!(0.2);
    limited["num_retries"] = json!(0);
    let answer = gateway.chat_with(&limited).send().await;
    assert_eq!((answer.status, answer.attempts()), (504, 1), "off");

    // One place at the start, and a hundredth of one with each request.
    let lab = crate::support::lab(["a", "b"]);
    let gateway = slow(
        &lab,
        &hedged(&lab, "0.01").router("disable_cooldowns: true"),
    )
    .await;
    assert_eq!(
        gateway.chat_with(&limited).send().await.ok().deployment(),
        "b"
    );
    for _ in 0..3 {
        let answer = gateway.chat_with(&limited).send().await;
        assert_eq!((answer.status, answer.attempts()), (504, 1));
    }
    assert_eq!(received(&lab)[1], 1);
}

#[tokio::test]
async fn with_nobody_else_or_no_attempt_left_it_waits_like_any_other() {
    for alone in [true, false] {
        let lab = lab(["a", "b"]);
        let yaml = if alone {
            Yaml::default()
                .group("g", [lab.deployment("a")])
                .waypost("groups: {g: {hedging: {min_delay: 1ms, max_share: 1}}}")
        } else {
            hedged(&lab, "1").waypost("max_attempts: 1")
        };
        let gateway = slow(&lab, &yaml).await;
        let release = async {
            held(lab.deployments(), 1).await;
            lab.deployment("a").release();
        };
        let (answer, ()) = join(gateway.chat("g"), release).await;
        assert_eq!(answer.ok().attempts(), 1);
        assert_eq!(received(&lab)[1], 0);
    }
}
