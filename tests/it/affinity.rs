//! Conversations stay where they are, as far as that is good for anybody.

use std::sync::Arc;

use futures_util::future::join;
use serde_json::{Value, json};
use waypost::clock::ManualClock;
use waypost::config::Config;
use waypost::lab::{Behaviour, Fault, Handle, Hold, Lab};
use waypost::types::{Affinity, AffinityKey};

use crate::support::{
    Gateway, Model, STRATEGIES, Yaml, cools, held, lab, load, received, s, together,
};

/// By everything there is; an hour long.
fn affinity() -> Affinity {
    Affinity {
        keys: vec![
            AffinityKey::Session,
            AffinityKey::PromptCacheKey,
            AffinityKey::User,
            AffinityKey::Prefix,
        ],
        ttl: s(3600),
        max_entries: 100,
    }
}

async fn gateway(yaml: &Yaml, affinity: Affinity) -> (Gateway, Arc<ManualClock>) {
    let mut config: Config = load(&yaml.to_string());
    config.groups[0].router.affinity = Some(affinity);
    let clock = Arc::new(ManualClock::new());
    let gateway = Gateway::of(&config, Arc::<ManualClock>::clone(&clock)).await;
    (gateway, clock)
}

fn of_user(user: &str) -> Value {
    json!({"model": "g", "user": user, "messages": [{"role": "user", "content": "hello"}]})
}

async fn answers(gateway: &Gateway, body: &Value) -> String {
    let answer = gateway.chat_with(body).send().await.ok();
    answer.deployment().to_owned()
}

/// The one that all requests went to.
fn answers_home(lab: &Lab) -> &str {
    let busy = |d: &&Handle| d.stats().requests > 0;
    lab.deployments().iter().find(busy).expect("one").name()
}

/// Three deployments with a price each, so that every strategy has something to go by.
fn three(lab: &Lab) -> Yaml {
    Yaml::over(lab)
        .router("num_retries: 2")
        .each("input_cost_per_token: 0.000001")
        .each("output_cost_per_token: 0.000001")
}

#[tokio::test]
async fn conversations_stay_under_every_strategy_and_are_spread_over_all() {
    for strategy in STRATEGIES {
        let lab = lab(["a", "b", "c"]);
        let yaml = three(&lab).router(&format!("routing_strategy: {strategy}"));
        let (gateway, _clock) = gateway(&yaml, affinity()).await;
        let mut seen = std::collections::BTreeSet::new();
        for user in 0..12 {
            let body = of_user(&format!("u-{user}"));
            let first = answers(&gateway, &body).await;
            for _ in 0..4 {
                assert_eq!(answers(&gateway, &body).await, first, "{strategy}");
            }
            seen.insert(first);
        }
        // By latency all may go to the fastest, which is the strategy's business.
        assert!(
            seen.len() == 3 || strategy.starts_with("latency"),
            "{strategy}: {seen:?}"
        );
    }
}

#[tokio::test]
async fn without_it_they_do_not_stay() {
    let lab = lab(["a", "b", "c"]);
    let gateway = Gateway::start(&Yaml::over(&lab)).await;
    for _ in 0..30 {
        answers(&gateway, &of_user("u")).await;
    }
    assert!(
        received(&lab).iter().all(|n| *n > 0),
        "{:?}",
        received(&lab)
    );
}

#[tokio::test]
async fn every_key_keeps_one_together() {
    let messages = |more: usize| {
        let mut all = vec![json!({"role": "system", "content": "be brief"})];
        for n in 0..=more {
            all.push(json!({"role": "user", "content": format!("question {n}")}));
            all.push(json!({"role": "assistant", "content": "answer"}));
        }
        Value::from(all)
    };
    for (headers, member) in [
        (vec![("x-session-id", "s-1")], None),
        (vec![("x-litellm-session-id", "s-1")], None),
        (vec![], Some("litellm_session_id")),
        (vec![], Some("prompt_cache_key")),
        (vec![], Some("user")),
        (vec![], None),
    ] {
        let lab = lab(["a", "b", "c"]);
        let (gateway, _clock) = gateway(&Yaml::over(&lab), affinity()).await;
        for turn in 0..12 {
            let mut body = json!({"model": "g", "messages": messages(turn)});
            if let Some(member) = member {
                body[member] = "s-1".into();
            }
            let mut request = gateway.chat_with(&body);
            for (name, value) in &headers {
                request = request.header(name, value);
            }
            request.send().await.ok();
        }
        let mut all = received(&lab);
        all.sort_unstable();
        assert_eq!(all, [0, 0, 12], "{headers:?} {member:?}");
    }
}

#[tokio::test]
async fn a_cooling_deployment_loses_them_and_they_stay_with_the_next() {
    let lab = lab(["a", "b", "c"]);
    let yaml = Yaml::over(&lab).router("num_retries: 2");
    let (gateway, clock) = gateway(&yaml, affinity()).await;
    let body = of_user("u");
    let first = answers(&gateway, &body).await;
    lab.deployment(&first)
        .behave_next(1, Fault::rate_limit_for(s(20)));
    let second = answers(&gateway, &body).await;
    assert_ne!(second, first);
    for _ in 0..5 {
        assert_eq!(answers(&gateway, &body).await, second);
    }
    clock.advance(s(21));
    assert!((0..3).all(|index| !cools(&gateway, index)));
    for _ in 0..5 {
        assert_eq!(
            answers(&gateway, &body).await,
            second,
            "the prompt is there"
        );
    }
}

#[tokio::test]
async fn limits_stand_above_it() {
    let lab = lab(["a", "b"]);
    let yaml = Yaml::over(&lab).each("rpm: 3");
    let (gateway, clock) = gateway(&yaml, affinity()).await;
    let body = of_user("u");
    let first = answers(&gateway, &body).await;
    for n in 2..=6 {
        assert_eq!(answers(&gateway, &body).await == first, n <= 3, "{n}");
    }
    assert_eq!(received(&lab), [3, 3]);
    assert_eq!(gateway.chat_with(&body).send().await.status, 429);
    clock.advance(s(60));
    assert_ne!(answers(&gateway, &body).await, first, "it has moved");
}

#[tokio::test]
async fn so_does_order() {
    let lab = lab(["a", "b"]);
    let models = (1..)
        .zip(lab.deployments())
        .map(|(n, d)| Model::of(d).with(&format!("order: {n}")));
    let yaml = Yaml::default().group("g", models).router("num_retries: 1");
    let (gateway, clock) = gateway(&yaml, affinity()).await;
    lab.deployment("a")
        .behave_next(1, Fault::rate_limit_for(s(5)));
    assert_eq!(answers(&gateway, &of_user("u")).await, "b");
    clock.advance(s(6));
    assert_eq!(answers(&gateway, &of_user("u")).await, "a");
}

#[tokio::test]
async fn an_overloaded_deployment_is_left() {
    let lab = lab(["a", "b"]);
    let yaml = Yaml::over(&lab).router("routing_strategy: least-busy");
    let (gateway, _clock) = gateway(&yaml, affinity()).await;
    let body = of_user("u");
    for name in ["a", "b"] {
        lab.deployment(name).set(Behaviour::hold(Hold::BeforeHead));
    }
    // A few at once stay together; a crowd does not, whoever it is.
    let few = vec![gateway.chat_with(&body); 4];
    let release = async {
        held(lab.deployments(), 4).await;
        let mut at = received(&lab);
        at.sort_unstable();
        assert_eq!(at, [0, 4]);
        lab.deployments().iter().for_each(|d| d.release());
    };
    join(together(few), release).await;
    let crowd = vec![gateway.chat_with(&body); 60];
    let release = async {
        held(lab.deployments(), 60).await;
        let at = gateway.in_flight("g");
        // The bound at the last request: ⌈1.25 × 60 / 2⌉ + 4.
        assert!(at.iter().all(|n| *n <= 42), "{at:?}");
        lab.deployments().iter().for_each(|d| d.release());
    };
    let (answers, ()) = join(together(crowd), release).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
}

/// The one with fewer tokens since the start gets what no conversation keeps from it.
fn by_total(lab: &Lab) -> Yaml {
    Yaml::over(lab)
        .router("routing_strategy: usage-based-routing")
        .waypost("groups: {g: {usage: total}}")
}

#[tokio::test]
async fn a_conversation_without_requests_is_forgotten_in_time() {
    let lab = lab(["a", "b"]);
    let ttl = s(60);
    let (gateway, clock) = gateway(&by_total(&lab), Affinity { ttl, ..affinity() }).await;
    let home = answers(&gateway, &of_user("u")).await;
    for _ in 0..3 {
        clock.advance(s(59));
        assert_eq!(answers(&gateway, &of_user("u")).await, home);
    }
    clock.advance(ttl);
    assert_ne!(answers(&gateway, &of_user("u")).await, home);
}

#[tokio::test]
async fn of_too_many_the_one_longest_without_a_request_is_forgotten() {
    for (max_entries, stays) in [(2, true), (1, false)] {
        let lab = lab(["a", "b"]);
        let few = Affinity {
            max_entries,
            ..affinity()
        };
        let (gateway, _clock) = gateway(&by_total(&lab), few).await;
        let home = answers(&gateway, &of_user("u")).await;
        assert_eq!(answers(&gateway, &of_user("u")).await, home);
        assert_ne!(answers(&gateway, &of_user("other")).await, home);
        assert_eq!(answers(&gateway, &of_user("u")).await == home, stays);
    }
}

#[tokio::test]
async fn the_share_of_cached_prompt_tokens_is_a_division_of_two_series() {
    let lab = lab(["a", "b"]);
    let (gateway, _clock) = gateway(&Yaml::over(&lab), affinity()).await;
    for cached in [0, 80, 90] {
        let usage = json!({
            "prompt_tokens": 100, "completion_tokens": 5, "total_tokens": 105,
            "prompt_tokens_details": {"cached_tokens": cached},
        });
        for name in ["a", "b"] {
            let answer = json!({"object": "chat.completion", "choices": [], "usage": usage});
            lab.deployment(name).set(Fault::status(200, answer));
        }
        answers(&gateway, &of_user("u")).await;
    }
    let home = answers_home(&lab);
    let metrics = gateway.get("/metrics").await.ok();
    for (kind, tokens) in [("input", 300), ("cached_input", 170)] {
        let series = format!(
            r#"waypost_tokens_total{{group="g",deployment="{home}",kind="{kind}"}} {tokens}"#
        );
        assert!(metrics.text().contains(&series), "{}", metrics.text());
    }
}

#[tokio::test]
async fn two_callers_never_share_one() {
    let lab = lab(["a", "b"]);
    let yaml = Yaml::over(&lab)
        .router("routing_strategy: usage-based-routing")
        .each("tpm: 100000")
        .waypost("keys: [{name: one, key: key-of-one}, {name: two, key: key-of-two}]");
    let (gateway, _clock) = gateway(&yaml, affinity()).await;
    let ask = async |key: &str| {
        let request = gateway.chat_with(&of_user("u"));
        let request = request.header("authorization", &format!("Bearer {key}"));
        request.send().await.ok().deployment().to_owned()
    };
    let one = ask("key-of-one").await;
    let two = ask("key-of-two").await;
    assert_ne!(one, two, "the second finds the first one's deployment used");
    assert_eq!(ask("key-of-one").await, one);
    assert_eq!(ask("key-of-one").await, one);
    assert_eq!(ask("key-of-two").await, two);
}
