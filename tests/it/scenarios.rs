//! Situations in which gateways are known to go wrong, each as its users met it. `examples/litellm` plays the same sixteen
//! against LiteLLM and against Waypost; these are the tests of Waypost's side:
//!
//! | # | | test |
//! |---|---|---|
//! | 1 | two groups, usage-based | [`each_group_balances_by_its_own_usage`] |
//! | 2 | least-busy, thirty at once | `routing::least_busy_counts_requests_that_arrive_together` |
//! | 3 | least-busy, aborted streams | [`streams_that_clients_leave_are_not_in_flight_for_ever`], `in_flight::a_client_that_leaves_before_the_answer_cancels_the_call` |
//! | 4 | least-busy beside cache hits | [`answers_from_the_cache_do_not_touch_a_deployment`] |
//! | 5 | latency, one answers 500 | `routing::latency_does_not_take_failures_for_speed` |
//! | 6 | one of two dead | [`a_dead_one_of_two_fails_no_request`] |
//! | 7 | a lone primary fails at once | [`a_lone_primary_that_fails_is_not_waited_for`] |
//! | 8 | a dead Azure region | [`a_dead_azure_region_cools`] |
//! | 9 | both keys wrong | `errors::wrong_keys_are_called_so_each_time` |
//! | 10 | `rpm` of 3 beside 100 | `limits::a_deployment_at_its_rpm_leaves_the_rest_to_another` |
//! | 11 | prices: prefixed names, zero | `routing::cost_knows_models_by_their_prefixed_names_too`, `routing::cost_takes_the_lowest_price_and_zero_is_one` |
//! | 12 | equal requests to the cache | [`equal_requests_at_once_are_one_call_whatever_the_order_of_their_fields`] |
//! | 13 | the cache while all are cooling | [`the_cache_answers_while_all_are_cooling`] |
//! | 14 | a flat list of eight fallbacks | [`each_fallback_of_a_flat_list_is_counted`] |
//! | 15 | a 500 that mentions a rate limit | [`words_in_a_message_do_not_decide`] |
//! | 16 | `max_parallel_requests: 1`, two at once | `limits::max_parallel_requests_holds_and_another_deployment_helps` |

use futures_util::future::join;
use serde_json::json;
use waypost::lab::{Behaviour, Fault, Hold};

use crate::support::{Gateway, Model, Yaml, chat_body, held, lab, received, together};

const LEAST_BUSY: &str = "routing_strategy: least-busy";

#[tokio::test]
async fn each_group_balances_by_its_own_usage() {
    const USAGE: &str = "routing_strategy: usage-based-routing";
    let lab = lab(["a", "b", "c", "d"]);
    let (one, two) = lab.deployments().split_at(2);
    let yaml = Yaml::default()
        .group("one", one)
        .router(USAGE)
        .group("two", two)
        .router(USAGE);
    let (gateway, _clock) = Gateway::with_manual_clock(&yaml).await;
    for group in ["one", "two"] {
        for _ in 0..8 {
            gateway.chat(group).await.ok();
        }
    }
    assert_eq!(received(&lab), [4, 4, 4, 4]);
}

#[tokio::test]
async fn streams_that_clients_leave_are_not_in_flight_for_ever() {
    let lab = lab(["a", "b"]);
    lab.deployments()
        .iter()
        .for_each(|d| d.set(Behaviour::hold(Hold::After(2))));
    let gateway = Gateway::start(&Yaml::over(&lab).router(LEAST_BUSY)).await;
    let mut streams = Vec::new();
    for _ in 0..10 {
        let mut stream = gateway.stream("g").await;
        stream
            .chunk()
            .await
            .expect("a first chunk")
            .expect("in order");
        streams.push(stream);
    }
    assert_eq!(gateway.in_flight("g"), [5, 5]);
    drop(streams);
    for deployment in lab.deployments() {
        deployment
            .wait_for(|stats| stats.cancelled == 5 && stats.in_flight == 0)
            .await;
    }
    let app = gateway.stop().await;
    let group = app.gateway().snapshot().group("g").expect("the group");
    assert!(
        group
            .router
            .deployments()
            .iter()
            .all(|d| d.scores.in_flight() == 0)
    );
}

#[tokio::test]
async fn answers_from_the_cache_do_not_touch_a_deployment() {
    let lab = lab(["a", "b"]);
    let yaml = Yaml::over(&lab)
        .router(LEAST_BUSY)
        .router("cache_responses: true");
    let gateway = Gateway::start(&yaml).await;
    gateway.chat("g").await.ok();
    lab.deployments()
        .iter()
        .for_each(|d| d.set(Behaviour::hold(Hold::BeforeHead)));
    let mut other = chat_body("g");
    other["temperature"] = json!(0);
    let hits = async {
        held(lab.deployments(), 1).await;
        for _ in 0..3 {
            assert_eq!(
                gateway.chat("g").await.ok().header("x-waypost-cache"),
                Some("hit")
            );
        }
        let in_flight: u32 = gateway.in_flight("g").iter().sum();
        lab.deployments()
            .iter()
            .for_each(waypost::lab::Handle::release);
        in_flight
    };
    let (answer, in_flight) = join(gateway.chat_with(&other).send(), hits).await;
    assert_eq!(answer.ok().header("x-waypost-cache"), Some("miss"));
    assert_eq!(in_flight, 1);
    assert_eq!(received(&lab).iter().sum::<u64>(), 2);
}

#[tokio::test]
async fn a_dead_one_of_two_fails_no_request() {
    let lab = lab(["a", "b"]);
    lab.deployment("a").refuse(true).await;
    let (gateway, _clock) = Gateway::with_manual_clock(&Yaml::over(&lab)).await;
    let mut attempts = 0;
    for _ in 0..20 {
        attempts += gateway.chat("g").await.ok().attempts();
    }
    assert!(
        attempts <= 21,
        "the dead one was asked {} times",
        attempts - 20
    );
}

#[tokio::test]
async fn a_lone_primary_that_fails_is_not_waited_for() {
    let lab = lab(["a", "b"]);
    lab.deployment("a").set(Fault::ServerError);
    let yaml = Yaml::default()
        .group("g", [lab.deployment("a")])
        .router("num_retries: 2")
        .router("retry_after: 30")
        .group("other", [lab.deployment("b")])
        .waypost("groups: {g: {fallbacks: [other]}}");
    let (gateway, _clock) = Gateway::with_manual_clock(&yaml).await;
    let answer = gateway.chat("g").await.ok();
    assert_eq!((answer.deployment(), answer.attempts()), ("b", 2));
    assert_eq!(answer.header("x-waypost-model-group"), Some("other"));
    assert_eq!(
        received(&lab),
        [1, 1],
        "a second try of the only deployment would have been after a pause"
    );
}

#[tokio::test]
async fn each_fallback_of_a_flat_list_is_counted() {
    let names: Vec<_> = (0..=8).map(|n| format!("d{n}")).collect();
    let lab = lab(names.iter().map(String::as_str));
    let (last, failing) = lab.deployments().split_last().expect("nine");
    failing.iter().for_each(|d| d.set(Fault::ServerError));
    let groups = names.iter().zip(lab.deployments());
    let yaml = groups.fold(Yaml::default(), |yaml, (name, deployment)| {
        yaml.group(&format!("group-{name}"), [deployment])
    });
    let list: Vec<_> = (1..=8).map(|n| format!("group-d{n}")).collect();
    let yaml = yaml.waypost(&format!(
        "groups: {{group-d0: {{fallbacks: [{}]}}}}",
        list.join(", ")
    ));
    let (gateway, _clock) = Gateway::with_manual_clock(&yaml).await;
    let answer = gateway.chat("group-d0").await.ok();
    assert_eq!(answer.header("x-waypost-fallbacks"), Some("8"));
    assert_eq!(
        (answer.deployment(), answer.attempts()),
        (last.name(), 9),
        "each group once"
    );
    assert_eq!(received(&lab), [1; 9]);
}

#[tokio::test]
async fn a_dead_azure_region_cools() {
    let lab = lab(["a", "b"]);
    lab.deployment("a").refuse(true).await;
    let azure = |name| Model::azure(lab.deployment(name), "2024-10-21");
    let models = [azure("a").with("order: 1"), azure("b").with("order: 2")];
    let (gateway, _clock) = Gateway::with_manual_clock(&Yaml::default().group("g", models)).await;
    let mut attempts = Vec::new();
    for _ in 0..4 {
        attempts.push(gateway.chat("g").await.ok().attempts());
    }
    assert_eq!(attempts, [2, 1, 1, 1]);
}

#[tokio::test]
async fn equal_requests_at_once_are_one_call_whatever_the_order_of_their_fields() {
    let lab = lab(["a", "b"]);
    lab.deployments()
        .iter()
        .for_each(|d| d.set(Behaviour::hold(Hold::BeforeHead)));
    let gateway = Gateway::start(&Yaml::over(&lab).router("cache_responses: true")).await;
    let bodies = [
        r#"{"model":"g","messages":[],"seed":1}"#,
        r#"{ "seed": 1, "messages": [], "model": "g" }"#,
    ];
    let requests = (0..10).map(|i| gateway.post("/chat/completions").body(bodies[i % 2]));
    let release = async {
        held(lab.deployments(), 1).await;
        lab.deployments()
            .iter()
            .for_each(waypost::lab::Handle::release);
    };
    let (answers, ()) = join(together(requests), release).await;
    assert!(
        answers
            .iter()
            .all(|answer| answer.status == 200 && answer.body == answers[0].body)
    );
    assert_eq!(received(&lab).iter().sum::<u64>(), 1);
}

#[tokio::test]
async fn the_cache_answers_while_all_are_cooling() {
    let lab = lab(["a"]);
    let yaml = Yaml::over(&lab)
        .router("cache_responses: true")
        .router("num_retries: 0");
    let (gateway, _clock) = Gateway::with_manual_clock(&yaml).await;
    let kept = gateway.chat("g").await.ok();
    lab.deployment("a").set(Fault::rate_limit());
    let mut other = chat_body("g");
    other["seed"] = json!(2);
    assert_eq!(gateway.chat_with(&other).send().await.status, 429);
    assert_eq!(gateway.chat("g").await.ok().body, kept.body);
    assert_eq!(lab.deployment("a").stats().requests, 2);
}

#[tokio::test]
async fn words_in_a_message_do_not_decide() {
    let lab = lab(["a"]);
    let (gateway, _clock) =
        Gateway::with_manual_clock(&Yaml::over(&lab).router("num_retries: 0")).await;
    let says = |status: u16| {
        let message = "rate limit reached, quota exceeded, maximum context length, invalid api key";
        Fault::status(
            status,
            json!({"error": {"message": message, "type": "server_error", "param": null, "code": null}}),
        )
    };
    lab.deployment("a").behave_next(2, says(500));
    for _ in 0..2 {
        let answer = gateway.chat("g").await;
        assert_eq!((answer.status, answer.code().as_str()), (500, ""));
        assert_eq!(answer.json()["error"]["type"], "server_error");
    }
    gateway.chat("g").await.ok();
    assert_eq!(
        lab.deployment("a").stats().requests,
        3,
        "two failures are no reason to sit out"
    );
}
