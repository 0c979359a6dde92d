//! Each strategy, end to end: who is asked, by counts.

use futures_util::future::join;
use waypost::lab::{Behaviour, Fault, Hold, Lab};

use crate::support::{Gateway, Model, Yaml, chat_body, held, lab, received, s, together};

const LEAST_BUSY: &str = "routing_strategy: least-busy";
const LATENCY: &str = "routing_strategy: latency-based-routing";
const COST: &str = "routing_strategy: cost-based-routing";
const USAGE: &str = "routing_strategy: usage-based-routing";

/// A deployment that says so many tokens.
fn says(tokens: usize) -> Behaviour {
    Behaviour {
        tokens,
        ..Behaviour::default()
    }
}

async fn ask(gateway: &Gateway, times: usize) {
    for _ in 0..times {
        gateway.chat("g").await.ok();
    }
}

fn priced(lab: &Lab, prices: &[Option<f64>]) -> Yaml {
    let models = lab
        .deployments()
        .iter()
        .zip(prices)
        .map(|(deployment, price)| match price {
            None => Model::of(deployment),
            Some(price) => Model::of(deployment)
                .with(&format!("input_cost_per_token: {price}"))
                .with(&format!("output_cost_per_token: {price}")),
        });
    Yaml::default().group("g", models).router(COST)
}

#[tokio::test]
async fn simple_shuffle_spreads_over_all_deployments() {
    let lab = lab(["a", "b", "c"]);
    let gateway = Gateway::start(&Yaml::over(&lab)).await;
    for _ in 0..60 {
        let answer = gateway.chat("g").await.ok();
        assert_eq!(answer.attempts(), 1);
        assert_eq!(answer.header("x-lab-deployment"), Some(answer.deployment()));
        assert_eq!(answer.header("x-waypost-model-group"), Some("g"));
    }
    let counts = received(&lab);
    assert!(counts.iter().all(|n| *n >= 10), "{counts:?}");
}

#[tokio::test]
async fn simple_shuffle_goes_by_weight_and_else_by_rpm() {
    for key in ["weight", "rpm"] {
        let lab = lab(["a", "b"]);
        let (a, b) = (lab.deployment("a"), lab.deployment("b"));
        let models = [
            Model::of(a).with(&format!("{key}: 900")),
            Model::of(b).with(&format!("{key}: 300")),
        ];
        let gateway = Gateway::start(&Yaml::default().group("g", models)).await;
        ask(&gateway, 80).await;
        let counts = received(&lab);
        assert!((50..=70).contains(&counts[0]), "by {key}: {counts:?}");
    }
}

#[tokio::test]
async fn the_lowest_order_that_is_eligible_is_used_and_none_comes_last() {
    let lab = lab(["a", "b", "c"]);
    let (a, b, c) = (
        lab.deployment("a"),
        lab.deployment("b"),
        lab.deployment("c"),
    );
    let models = [
        Model::of(c),
        Model::of(b).with("order: 2"),
        Model::of(a).with("order: 1"),
    ];
    let yaml = Yaml::default()
        .group("g", models)
        .router("cooldown_time: 60");
    let (gateway, clock) = Gateway::with_manual_clock(&yaml).await;
    ask(&gateway, 5).await;
    assert_eq!(received(&lab), [5, 0, 0]);
    a.behave_next(1, Fault::rate_limit());
    ask(&gateway, 3).await;
    assert_eq!(received(&lab), [6, 3, 0]);
    b.behave_next(1, Fault::rate_limit());
    ask(&gateway, 2).await;
    assert_eq!(received(&lab), [6, 4, 2]);
    clock.advance(s(61));
    ask(&gateway, 2).await;
    assert_eq!(received(&lab), [8, 4, 2]);
}

#[tokio::test]
async fn least_busy_counts_requests_that_arrive_together() {
    let lab = lab(["a", "b"]);
    lab.deployments()
        .iter()
        .for_each(|d| d.set(Behaviour::hold(Hold::BeforeHead)));
    let gateway = Gateway::start(&Yaml::over(&lab).router(LEAST_BUSY)).await;
    let request = gateway.chat_with(&chat_body("g"));
    let observed = async {
        held(lab.deployments(), 30).await;
        let counts = (received(&lab), gateway.in_flight("g"));
        lab.deployments()
            .iter()
            .for_each(waypost::lab::Handle::release);
        counts
    };
    let (answers, (received, in_flight)) = join(together(vec![request; 30]), observed).await;
    assert_eq!(received, [15, 15]);
    assert_eq!(in_flight, [15, 15]);
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert_eq!(gateway.in_flight("g"), [0, 0]);
}

#[tokio::test]
async fn latency_tries_the_untested_first_and_avoids_the_slow() {
    let lab = lab(["a", "b", "c"]);
    lab.deployments()
        .iter()
        .for_each(|d| d.set(Behaviour::hold(Hold::BeforeHead)));
    let (gateway, clock) = Gateway::with_manual_clock(&Yaml::over(&lab).router(LATENCY)).await;
    // One request as long as its deployment takes.
    let slowly = async || {
        let observed = async {
            held(lab.deployments(), 1).await;
            let asked = lab
                .deployments()
                .iter()
                .find(|d| d.stats().held == 1)
                .expect("one is held");
            clock.advance(if asked.name() == "b" { s(1) } else { s(30) });
            asked.release();
            asked.name().to_owned()
        };
        join(gateway.chat("g"), observed).await.1
    };
    let mut first = [slowly().await, slowly().await, slowly().await];
    first.sort();
    assert_eq!(first, ["a", "b", "c"], "the untested first");
    for _ in 0..5 {
        assert_eq!(slowly().await, "b");
    }
    // What nobody refreshes fades, so that the slow ones get another chance.
    clock.advance(s(1200));
    assert_eq!(slowly().await, "b");
    assert_ne!(slowly().await, "b");
}

#[tokio::test]
async fn latency_does_not_take_failures_for_speed() {
    let lab = lab(["a", "b"]);
    lab.deployment("a").set(Fault::ServerError);
    let yaml = Yaml::over(&lab)
        .router(LATENCY)
        .router("disable_cooldowns: true");
    let (gateway, _clock) = Gateway::with_manual_clock(&yaml).await;
    ask(&gateway, 20).await;
    assert_eq!(received(&lab), [1, 20]);
}

#[tokio::test]
async fn cost_takes_the_lowest_price_and_zero_is_one() {
    let lab = lab(["cheap", "free", "unknown"]);
    let gateway = Gateway::start(&priced(&lab, &[Some(0.000_001), Some(0.0), None])).await;
    ask(&gateway, 6).await;
    assert_eq!(received(&lab), [0, 6, 0]);
    lab.deployment("free").refuse(true).await;
    ask(&gateway, 4).await;
    assert_eq!(received(&lab), [4, 6, 0]);
    lab.deployment("cheap").refuse(true).await;
    ask(&gateway, 2).await;
    assert_eq!(received(&lab), [4, 6, 2], "unknown prices come last");
}

#[tokio::test]
async fn cost_knows_models_by_their_prefixed_names_too() {
    let lab = lab(["large", "small"]);
    let model = |name, model| {
        Model::provider("openai", lab.deployment(name)).with(&format!("model: {model}"))
    };
    let models = [
        model("large", "openai/gpt-4o"),
        model("small", "openai/gpt-4o-mini"),
    ];
    let gateway = Gateway::start(&Yaml::default().group("g", models).router(COST)).await;
    ask(&gateway, 5).await;
    assert_eq!(received(&lab), [0, 5]);
    assert_eq!(
        lab.deployment("small").last_request().expect("one").json()["model"],
        "gpt-4o-mini"
    );
}

#[tokio::test]
async fn cost_shares_by_spend_between_equal_prices_and_by_tokens_between_unknown_ones() {
    for prices in [[Some(0.000_002); 2], [None; 2]] {
        let lab = lab(["a", "b"]);
        let gateway = Gateway::start(&priced(&lab, &prices)).await;
        ask(&gateway, 8).await;
        assert_eq!(received(&lab), [4, 4], "{prices:?}");
    }
}

#[tokio::test]
async fn cost_by_total_evens_out_what_was_spent() {
    let lab = lab(["a", "b"]);
    let yaml =
        priced(&lab, &[Some(0.000_001), Some(0.000_003)]).waypost("groups: {g: {cost: total}}");
    let gateway = Gateway::start(&yaml).await;
    ask(&gateway, 12).await;
    assert_eq!(received(&lab), [9, 3]);
}

#[tokio::test]
async fn usage_by_the_minute_forgets_and_by_total_does_not() {
    for (reading, expected) in [("minute", [4, 8]), ("total", [1, 11])] {
        let lab = lab(["a", "b"]);
        lab.deployment("a").set(says(400));
        let yaml = Yaml::over(&lab).router(USAGE);
        let yaml = yaml.waypost(&format!("groups: {{g: {{usage: {reading}}}}}"));
        let (gateway, clock) = Gateway::with_manual_clock(&yaml).await;
        ask(&gateway, 6).await;
        assert_eq!(received(&lab), [1, 5]);
        lab.deployment("a").set(says(8));
        clock.advance(s(60));
        ask(&gateway, 6).await;
        assert_eq!(received(&lab), expected, "{reading}");
    }
}

#[tokio::test]
async fn two_groups_with_usage_based_routing_each_share_evenly() {
    let lab = lab(["a", "b", "c", "d"]);
    let (one, two) = lab.deployments().split_at(2);
    let yaml = Yaml::default()
        .group("one", one)
        .router(USAGE)
        .group("two", two)
        .router(USAGE);
    let gateway = Gateway::start(&yaml).await;
    for _ in 0..8 {
        gateway.chat("one").await.ok();
        gateway.chat("two").await.ok();
    }
    assert_eq!(received(&lab), [4, 4, 4, 4]);
}

#[tokio::test]
async fn a_deployment_in_two_groups_is_counted_and_cooled_in_each_by_itself() {
    let lab = lab(["a", "b"]);
    let yaml = Yaml::default()
        .group("one", lab.deployments())
        .group("two", [lab.deployment("a")]);
    let yaml = yaml.each("model_info: {id: again}");
    let (gateway, _clock) = Gateway::with_manual_clock(&yaml).await;
    lab.deployment("a").set(Fault::rate_limit());
    for _ in 0..10 {
        gateway.chat("one").await.ok();
    }
    let before = lab.deployment("a").stats().requests;
    assert!(before <= 1, "cooled in one");
    lab.deployment("a").set(Behaviour::default());
    assert_eq!(
        gateway.chat("two").await.ok().deployment(),
        "again",
        "not in two"
    );
}
