//! The script and the model are the same store: whatever is said to both, they answer alike.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use waypost::redis::{Redis, Urgency};
use waypost::types::{Answer, Everyone, Fault, Lasting, Message, Own, Samples, Totals, Until};
use waypost::usage::store::UsageStore;
use waypost::usage::store::model::Model;

use crate::support::redis::RedisServer;

const IDS: [&str; 4] = ["g/a", "b|c", "50%7C", "d"];

fn number(dice: &mut StdRng) -> u64 {
    match dice.random_range(0..8) {
        0 => 0,
        1 => u64::MAX,
        2 => 1 << 62,
        3 => dice.random_range(1 << 52..1 << 61),
        _ => dice.random_range(0..1000),
    }
}

fn own(dice: &mut StdRng, known: Option<u64>) -> Own {
    let mut samples = || Samples {
        count: dice.random_range(0..9),
        micros: number(dice),
    };
    let latency = [samples(), samples()];
    let until = match (dice.random_range(0..8), known) {
        (0, _) => Some(Until::Left(Duration::from_millis(dice.random_range(0..9)))),
        (1, _) => Some(Until::Left(Duration::from_secs(dice.random_range(0..9)))),
        (2, Some(known)) => Some(Until::Known(known + dice.random_range(0..2))),
        _ => None,
    };
    Own {
        lasting: Lasting {
            tokens: number(dice),
            spent: number(dice),
            latency,
        },
        minute: dice.random_bool(0.8).then(|| Totals {
            requests: dice.random_range(0..99),
            tokens: number(dice),
        }),
        reserved: None,
        in_flight: dice.random_range(0..3),
        cooling: until.map(|until| (until, Fault::ALL[dice.random_range(0..Fault::ALL.len())])),
    }
}

fn message(dice: &mut StdRng, numbers: &mut [u64; 3], known: Option<u64>) -> Message {
    let replica = dice.random_range(0..numbers.len());
    let late = dice.random_bool(0.15);
    if !late {
        numbers[replica] += 1;
    }
    let deployments = IDS
        .iter()
        .filter(|_| dice.random_bool(0.7))
        .collect::<Vec<_>>();
    Message {
        group: "g{1}".into(),
        replica: format!("replica-{replica}").into(),
        number: numbers[replica],
        known: dice.random_bool(0.1),
        last: dice.random_bool(0.05),
        lease: Duration::from_millis(if dice.random_bool(0.5) { 2 } else { 60_000 }),
        minute: dice.random_range(7..9),
        deployments: deployments
            .into_iter()
            .map(|id| ((*id).into(), own(dice, known)))
            .collect(),
    }
}

async fn say(redis: &Redis, message: &Message) -> Answer {
    let answers = redis.exchange(std::slice::from_ref(message)).await;
    let mut answers = answers.expect("an answer");
    answers.pop().expect("one").expect("heard")
}

#[tokio::test]
async fn redis_and_the_model_answer_alike() {
    let server = RedisServer::start().await;
    let (redis, _keeper) = &server.connected().await;
    let (mut heard, mut late, mut unknown) = (0, 0, 0);
    for seed in 0..60 {
        let dice = &mut StdRng::seed_from_u64(seed);
        let mut model = Model::default();
        flush(redis).await;
        let (mut numbers, mut known) = ([0; 3], None);
        for step in 0..40 {
            if dice.random_bool(0.03) {
                model = Model::default();
                flush(redis).await;
            }
            let message = message(dice, &mut numbers, known);
            let answer = say(redis, &message).await;
            // The model is told the time that it was.
            let unix = match &answer {
                Answer::Heard(everyone) => everyone.unix,
                Answer::Late | Answer::Unknown => Duration::ZERO,
            };
            let expected = model.exchange(&message, unix);
            assert_eq!(answer, expected, "seed {seed}, step {step}: {message:#?}");
            match answer {
                Answer::Heard(Everyone { deployments, .. }) => {
                    heard += 1;
                    known = deployments
                        .iter()
                        .find_map(|d| Some(d.cooling?.0))
                        .or(known);
                }
                Answer::Late => late += 1,
                Answer::Unknown => unknown += 1,
            }
        }
    }
    assert!(
        heard > 1000 && late > 100 && unknown > 10,
        "{heard} {late} {unknown}"
    );
}

async fn flush(redis: &Redis) {
    let flush = ::redis::cmd("FLUSHALL");
    let flushed = redis.command(Urgency::Background, &flush).await;
    flushed.expect("flushed");
}

#[tokio::test]
async fn a_replica_that_is_silent_for_a_day_leaves_its_totals() {
    let server = RedisServer::start().await;
    let (redis, _keeper) = &server.connected().await;
    let told = |replica: &str, number, tokens| Message {
        group: "g".into(),
        replica: replica.into(),
        number,
        known: false,
        last: false,
        lease: Duration::from_secs(10),
        minute: 7,
        deployments: vec![(
            "a|b".into(),
            Own {
                lasting: Lasting {
                    tokens,
                    ..Lasting::default()
                },
                in_flight: 2,
                ..Own::default()
            },
        )],
    };
    say(redis, &told("old", 1, 30)).await;
    let replicas = redis.key("group/g", "replicas");
    let totals = redis.key("group/g", "totals");
    let mut set = ::redis::cmd("HSET");
    set.arg(&replicas).arg("old").arg("1|1000|1|a%7Cb|2");
    redis.command(Urgency::Background, &set).await.expect("set");
    let mut garbage = ::redis::cmd("HSET");
    garbage.arg(&replicas).arg("odd").arg("not ours");
    redis
        .command(Urgency::Background, &garbage)
        .await
        .expect("set");

    let Answer::Heard(everyone) = say(redis, &told("new", 1, 5)).await else {
        panic!("not heard");
    };
    assert_eq!((everyone.others, everyone.deployments[0].in_flight), (0, 0));
    assert_eq!(
        everyone.deployments[0].lasting.tokens, 35,
        "what it has counted stays"
    );
    let mut fields = ::redis::cmd("HKEYS");
    fields.arg(&totals);
    let fields = redis.command(Urgency::Background, &fields).await;
    let fields: Vec<String> = ::redis::from_redis_value(fields.expect("fields")).expect("texts");
    assert!(fields.contains(&"new|a%7Cb|k".to_owned()), "{fields:?}");
    assert!(fields.iter().all(|f| !f.starts_with("old|")), "{fields:?}");
    // It must ask whether it is known, and is not.
    let asks = Message {
        known: true,
        ..told("old", 2, 31)
    };
    assert_eq!(say(redis, &asks).await, Answer::Unknown);
}
