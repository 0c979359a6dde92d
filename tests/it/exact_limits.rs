//! Limits that are reserved in Redis: replicas never exceed them together, and nobody waits for a Redis that is away.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use proptest::prelude::*;
use tokio::task::JoinSet;
use waypost::clock::{Clock, ManualClock, SystemClock};
use waypost::config::Config;
use waypost::lab::{Behaviour, Fault, Hold, Lab};
use waypost::redis::{Redis, State};
use waypost::types::{
    Answer as StoreAnswer, Message, Outage, Own, RedisAddress, RedisTarget, RedisTopology, Totals,
};
use waypost::usage::store::UsageStore;
use waypost::usage::store::reserve::{self, Wish};

use crate::support::faults::{Faults, Mode};
use crate::support::redis::RedisServer;
use crate::support::{
    Answer, Gateway, Model, Yaml, chat_body, held, lab, load, received, s, together,
};

/// As long as no exchange comes by itself.
const NEVER: Duration = s(3600);
/// The estimate of [`chat_body`] besides the tokens it allows the answer.
const MOST: u64 = 10;

/// That configuration with exact limits in every group.
fn exact(yaml: &Yaml, server: &RedisServer, interval: Duration, outage: Outage) -> Config {
    let mut config = load(&yaml.to_string());
    config.settings.sharing.interval = interval;
    config.settings.sharing.outage = outage;
    for group in &mut config.groups {
        group.router.redis = Some(Arc::new(server.target()));
        group.router.exact_limits = true;
    }
    config
}

/// Until it has its connection.
async fn up(gateway: &Gateway) {
    for redis in gateway.app().gateway().snapshot().redis() {
        redis.reaches(State::Up).await;
    }
}

/// So many replicas at work.
async fn replicas(n: usize, config: &Config) -> Vec<Gateway> {
    let mut all = Vec::new();
    for _ in 0..n {
        let gateway = Gateway::of(config, Arc::new(SystemClock)).await;
        up(&gateway).await;
        all.push(gateway);
    }
    all
}

/// A chat whose answer may have [`MOST`] tokens.
fn small(group: &str) -> serde_json::Value {
    let mut body = chat_body(group);
    body["max_tokens"] = MOST.into();
    body
}

/// What all of these come to, sent at once to one replica after the other.
async fn burst(gateways: &[Gateway], n: usize) -> Vec<Answer> {
    let requests = (0..n).map(|i| gateways[i % gateways.len()].chat_with(&small("g")));
    together(requests.collect::<Vec<_>>()).await
}

fn minute() -> u64 {
    SystemClock.unix().as_secs() / 60
}

/// Repeats what is done until all of it was in one minute.
async fn in_one_minute<T>(run: impl AsyncFn() -> T) -> T {
    for _ in 0..3 {
        let began = minute();
        let done = run().await;
        if minute() == began {
            return done;
        }
    }
    panic!("it takes longer than a minute");
}

/// Asks until it is so, or the minute is over: of that one nothing is corrected any more.
async fn until(mut is: impl AsyncFnMut() -> bool) {
    let began = minute();
    while !is().await && minute() == began {
        tokio::task::yield_now().await;
    }
}

/// Commands as a test sends them.
struct Client(::redis::aio::MultiplexedConnection);

impl Client {
    async fn of(server: &RedisServer) -> Self {
        let client = ::redis::Client::open(server.url()).expect("a URL");
        let connection = client.get_multiplexed_async_connection().await;
        Self(connection.expect("a connection"))
    }

    async fn ask<T: ::redis::FromRedisValue>(&mut self, command: &str) -> T {
        let mut words = command.split(' ');
        let mut cmd = ::redis::cmd(words.next().expect("a command"));
        words.for_each(|word| {
            cmd.arg(word);
        });
        cmd.query_async(&mut self.0).await.expect("an answer")
    }

    /// Scripts run since the server has begun.
    async fn scripts(&mut self) -> u64 {
        let info: String = self.ask("INFO commandstats").await;
        let calls = |line: &str| -> Option<u64> {
            let (name, rest) = line.split_once(":calls=")?;
            let is_script = matches!(name, "cmdstat_eval" | "cmdstat_evalsha");
            is_script.then(|| rest.split(',').next()?.parse().ok())?
        };
        info.lines().filter_map(calls).sum()
    }

    /// Places that were reserved, whatever became of them.
    async fn reserved(&mut self) -> u64 {
        let keys: Vec<String> = self.ask("KEYS *}:minute:*").await;
        let mut sum = 0;
        for key in keys {
            let all: Vec<(String, u64)> = self.ask(&format!("HGETALL {key}")).await;
            let reserved = all.iter().filter(|(field, _)| field.ends_with("|hr"));
            sum += reserved.map(|(_, n)| n).sum::<u64>();
        }
        sum
    }

    /// Sums of that field of the minutes there are.
    async fn counted(&mut self, field: &str) -> u64 {
        let keys: Vec<String> = self.ask("KEYS *}:minute:*").await;
        let mut sum = 0;
        for key in keys {
            let count: Option<u64> = self.ask(&format!("HGET {key} {field}")).await;
            sum += count.unwrap_or(0);
        }
        sum
    }
}

fn served(answers: &[Answer]) -> usize {
    answers.iter().filter(|a| a.status == 200).count()
}

#[tokio::test]
async fn of_four_hundred_at_once_to_three_replicas_exactly_the_hundred_of_the_minute_get_through() {
    let (answers, received) = in_one_minute(async || {
        let (server, lab) = (RedisServer::start().await, lab(["a"]));
        let config = exact(
            &Yaml::over(&lab).each("rpm: 100"),
            &server,
            NEVER,
            Outage::Share,
        );
        let gateways = replicas(3, &config).await;
        let answers = burst(&gateways, 400).await;
        (answers, received(&lab))
    })
    .await;
    assert_eq!((served(&answers), received), (100, vec![100]));
    for answer in answers.iter().filter(|a| a.status != 200) {
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (429, "no_deployment_available")
        );
        let says = "a had 100 of its 100 requests of this minute (rpm, back in";
        assert!(answer.message().contains(says), "{}", answer.message());
        let seconds = answer.header("retry-after").and_then(|v| v.parse().ok());
        assert!((1..=60).contains(&seconds.unwrap_or(0)), "{seconds:?}");
    }
}

#[tokio::test]
async fn tokens_are_reserved_as_estimated() {
    let (answers, reserved) = in_one_minute(async || {
        let (server, lab) = (RedisServer::start().await, lab(["a"]));
        let config = exact(
            &Yaml::over(&lab).each("tpm: 1000"),
            &server,
            NEVER,
            Outage::Share,
        );
        let gateways = replicas(3, &config).await;
        let answers = burst(&gateways, 200).await;
        let mut client = Client::of(&server).await;
        (
            answers,
            (client.counted("a|r").await, client.counted("a|t").await),
        )
    })
    .await;
    let (requests, tokens) = reserved;
    let each = tokens / requests;
    assert!(each > MOST, "{each}");
    assert_eq!(
        (served(&answers) as u64, requests),
        (1000 / each, 1000 / each)
    );
    let refused = answers.iter().filter(|a| a.status == 429);
    let says = "of its 1000 tokens of this minute (tpm, back in";
    assert!(refused.map(Answer::message).all(|text| text.contains(says)));
}

#[tokio::test]
async fn one_round_trip_for_each_attempt_and_none_without_limits() {
    let (server, lab) = (RedisServer::start().await, lab(["a", "b", "free"]));
    let models = ["a", "b"].map(|name| Model::of(lab.deployment(name)).with("rpm: 1000"));
    let yaml = Yaml::default()
        .group("g", models)
        .group("free", [Model::of(lab.deployment("free"))]);
    let config = exact(&yaml, &server, NEVER, Outage::Share);
    let gateway = replicas(1, &config).await.remove(0);
    let mut client = Client::of(&server).await;
    // The first one may have to tell the script's text.
    gateway.chat("g").await.ok();
    let before = client.scripts().await;
    for _ in 0..20 {
        gateway.chat("g").await.ok();
    }
    assert_eq!(client.scripts().await - before, 20);
    // Each retry is an attempt of its own.
    lab.deployments()[..2]
        .iter()
        .for_each(|d| d.behave_next(1, Fault::ServerError));
    let answer = gateway.chat("g").await;
    assert_eq!(
        client.scripts().await - before,
        20 + u64::from(answer.attempts())
    );
    assert_eq!(
        client.counted("a|r").await + client.counted("b|r").await,
        received(&lab).iter().sum::<u64>()
    );
    let before = client.scripts().await;
    gateway.chat("free").await.ok();
    // A dry run reserves nothing.
    let dry = gateway
        .post("/v1/chat/completions?dry_run=1")
        .json(&chat_body("g"));
    assert!(dry.send().await.ok().json()["chosen"].is_object());
    assert_eq!(client.scripts().await, before);
}

/// `a` first, `b` when that is full.
fn one_then_many(lab: &Lab) -> Yaml {
    let model = |name: &str| Model::of(lab.deployment(name));
    let models = [
        model("a").with("order: 1").with("rpm: 1"),
        model("b").with("order: 2").with("rpm: 100"),
    ];
    Yaml::default().group("g", models)
}

#[tokio::test]
async fn the_next_deployment_is_taken_in_the_same_round_trip() {
    let (deployments, trips) = in_one_minute(async || {
        let (server, lab) = (RedisServer::start().await, lab(["a", "b"]));
        let config = exact(&one_then_many(&lab), &server, NEVER, Outage::Share);
        let gateways = replicas(2, &config).await;
        let first = gateways[0].chat("g").await.ok();
        let mut client = Client::of(&server).await;
        let before = client.scripts().await;
        // The second replica does not know yet that the first one has used the place.
        let second = gateways[1].chat("g").await.ok();
        let trips = client.scripts().await - before;
        ([first, second].map(|a| a.deployment().to_owned()), trips)
    })
    .await;
    assert_eq!(deployments, ["a", "b"]);
    // EVALSHA of a script that this server knows.
    assert_eq!(trips, 1);
}

#[tokio::test]
async fn what_has_no_limit_is_taken_where_the_others_are_full() {
    let statuses = in_one_minute(async || {
        let (server, lab) = (RedisServer::start().await, lab(["a", "b"]));
        let model = |name: &str| Model::of(lab.deployment(name));
        let models = [
            model("a").with("order: 1").with("rpm: 1"),
            model("b").with("order: 2"),
        ];
        let config = exact(
            &Yaml::default().group("g", models),
            &server,
            NEVER,
            Outage::Closed,
        );
        let gateways = replicas(2, &config).await;
        let mut all = Vec::new();
        for gateway in [0, 1, 0, 1] {
            all.push(
                gateways[gateway]
                    .chat("g")
                    .await
                    .ok()
                    .deployment()
                    .to_owned(),
            );
        }
        all
    })
    .await;
    assert_eq!(statuses, ["a", "b", "b", "b"]);
}

#[tokio::test]
async fn a_request_larger_than_the_whole_limit_may_have_a_minute_to_itself() {
    let statuses = in_one_minute(async || {
        let (server, lab) = (RedisServer::start().await, lab(["a"]));
        let config = exact(
            &Yaml::over(&lab).each("tpm: 5"),
            &server,
            NEVER,
            Outage::Share,
        );
        let gateways = replicas(2, &config).await;
        [
            gateways[0].chat("g").await.status,
            gateways[1].chat("g").await.status,
        ]
    })
    .await;
    assert_eq!(statuses, [200, 429]);
}

#[tokio::test]
async fn the_minute_is_that_of_redis_whatever_the_clocks_of_replicas_say() {
    let (answers, left) = in_one_minute(async || {
        let (server, lab) = (RedisServer::start().await, lab(["a"]));
        let config = exact(
            &Yaml::over(&lab).each("rpm: 10"),
            &server,
            NEVER,
            Outage::Share,
        );
        let mut gateways = Vec::new();
        for ahead in [0, 37, 3607] {
            let clock = Arc::new(ManualClock::new());
            clock.advance(s(ahead));
            let gateway = Gateway::of(&config, clock).await;
            up(&gateway).await;
            gateways.push(gateway);
        }
        let answers = burst(&gateways, 60).await;
        (answers, 60 - SystemClock.unix().as_secs() % 60)
    })
    .await;
    assert_eq!(served(&answers), 10);
    for refused in answers.iter().filter(|a| a.status == 429) {
        let wait: u64 = refused
            .header("retry-after")
            .and_then(|v| v.parse().ok())
            .unwrap_or(0);
        // As long as the test itself takes it may have been more.
        assert!(
            (left..left + 30).contains(&wait),
            "{wait} s, and {left} s are left"
        );
    }
}

#[tokio::test]
async fn without_redis_the_setting_says_what_holds() {
    for outage in [Outage::Share, Outage::Open, Outage::Closed] {
        let (mut server, lab) = (RedisServer::start().await, lab(["a", "b"]));
        let yaml = Yaml::default()
            .group("g", [Model::of(lab.deployment("a")).with("rpm: 1000000")])
            .group("free", [Model::of(lab.deployment("b"))]);
        let gateway = replicas(1, &exact(&yaml, &server, NEVER, outage))
            .await
            .remove(0);
        gateway.chat("g").await.ok();
        server.kill();
        for _ in 0..3 {
            let answer = gateway.chat("g").await;
            if outage == Outage::Closed {
                assert_eq!(
                    (answer.status, answer.code().as_str()),
                    (503, "no_deployment_available")
                );
                let says = "a has limits that can't be counted while Redis does not answer (limits: exact, outage: closed)";
                assert!(answer.message().contains(says), "{}", answer.message());
                assert_eq!(answer.header("retry-after"), Some("1"));
            } else {
                assert_eq!(answer.status, 200, "{outage:?}");
            }
            assert_eq!(gateway.chat("free").await.status, 200);
        }
        // It counts again as soon as there is one.
        server.restart().await;
        let mut client = Client::of(&server).await;
        while client.counted("a|r").await == 0 {
            gateway.chat("g").await;
        }
    }
}

#[tokio::test]
async fn a_redis_that_hangs_is_not_waited_for() {
    for outage in [Outage::Share, Outage::Closed] {
        let (server, lab) = (RedisServer::start().await, lab(["a"]));
        let config = exact(&Yaml::over(&lab).each("rpm: 100"), &server, NEVER, outage);
        let gateway = replicas(1, &config).await.remove(0);
        let mut client = Client::of(&server).await;
        // Until the test is over: an answer that waits for it never comes.
        let _: () = client.ask("CLIENT PAUSE 3600000 ALL").await;
        let expected = if outage == Outage::Closed { 503 } else { 200 };
        for answer in burst(&[gateway], 10).await {
            assert_eq!(answer.status, expected);
        }
    }
}

/// What a replica asks or says.
#[derive(Debug, Clone)]
enum Op {
    /// A place for so many tokens at one of these deployments, each with its limits.
    Reserve(u64, Vec<(usize, Totals)>),
    /// For each deployment its part of the minute, and what it knows to have reserved of it.
    Tell(Vec<(Option<Totals>, Option<Totals>)>),
}

const DEPLOYMENTS: [&str; 4] = ["a", "b", "c|d", "e%"];

fn totals(
    requests: impl Strategy<Value = u64>,
    tokens: impl Strategy<Value = u64>,
) -> impl Strategy<Value = Totals> {
    (requests, tokens).prop_map(|(requests, tokens)| Totals { requests, tokens })
}

fn ops() -> impl Strategy<Value = Vec<(usize, Op)>> {
    let limits = totals(
        prop_oneof![0u64..8, Just(u64::MAX)],
        prop_oneof![0u64..80, Just(u64::MAX)],
    );
    let count = || prop::option::of(totals(0u64..8, 0u64..80));
    let op = prop_oneof![
        3 => (0u64..40, prop::collection::vec((0usize..4, limits), 0..8)).prop_map(|(tokens, wishes)| Op::Reserve(tokens, wishes)),
        1 => prop::collection::vec((count(), count()), 4).prop_map(Op::Tell),
    ];
    prop::collection::vec((0usize..3, op), 1..60)
}

/// A real server and its model, asked the same.
struct Both {
    redis: Redis,
    model: waypost::usage::store::model::Model,
    group: Arc<str>,
    number: u64,
}

impl Both {
    /// Whether both say the same.
    async fn ask(&mut self, replica: &Arc<str>, op: &Op) -> Result<(), TestCaseError> {
        match op {
            Op::Reserve(tokens, wishes) => self.reserve(replica, *tokens, wishes).await,
            Op::Tell(parts) => self.tell(replica, parts).await,
        }
    }

    async fn reserve(
        &mut self,
        replica: &Arc<str>,
        tokens: u64,
        wishes: &[(usize, Totals)],
    ) -> Result<(), TestCaseError> {
        let minutes = reserve::minutes_key(&self.redis, &self.group);
        let all = wishes.iter().map(|(deployment, limits)| Wish {
            deployment: DEPLOYMENTS[*deployment],
            rpm: limits.requests,
            tpm: limits.tokens,
        });
        let call = reserve::call(&minutes, replica, tokens, all);
        let answer = reserve::reserve(self.redis.clone(), call)
            .await
            .expect("an answer");
        let all: Vec<_> = wishes
            .iter()
            .map(|(deployment, limits)| (DEPLOYMENTS[*deployment].into(), *limits))
            .collect();
        let expected = self
            .model
            .reserve((&self.group, replica), tokens, &all, answer.unix);
        prop_assert_eq!((answer.taken, answer.had), expected);
        Ok(())
    }

    async fn tell(
        &mut self,
        replica: &Arc<str>,
        parts: &[(Option<Totals>, Option<Totals>)],
    ) -> Result<(), TestCaseError> {
        self.number += 1;
        let own = |(id, (minute, reserved)): (&&str, &(Option<Totals>, Option<Totals>))| {
            let own = Own {
                minute: *minute,
                reserved: *reserved,
                ..Own::default()
            };
            (Arc::from(*id), own)
        };
        let message = Message {
            group: Arc::clone(&self.group),
            replica: Arc::clone(replica),
            number: self.number,
            known: false,
            last: false,
            lease: s(60),
            minute: SystemClock.unix().as_secs() / 60,
            deployments: DEPLOYMENTS.iter().zip(parts).map(own).collect(),
        };
        let answers = self
            .redis
            .exchange(std::slice::from_ref(&message))
            .await
            .expect("answers");
        let Ok(StoreAnswer::Heard(everyone)) = &answers[0] else {
            panic!("{answers:?}");
        };
        let StoreAnswer::Heard(expected) = self.model.exchange(&message, everyone.unix) else {
            panic!("it is heard");
        };
        prop_assert_eq!(&everyone.deployments, &expected.deployments);
        Ok(())
    }
}

#[test]
fn the_scripts_do_what_their_model_does() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.expect("a runtime");
    let mut keeper = JoinSet::new();
    let (_server, redis) = runtime.block_on(async {
        let server = RedisServer::start().await;
        let mut target = server.target();
        target.timeout = s(60);
        let redis = Redis::new(Arc::new(target));
        let kept = redis.clone();
        keeper.spawn(async move { kept.keep().await });
        while redis.state() != State::Up {
            tokio::task::yield_now().await;
        }
        (server, redis)
    });
    let case = std::cell::Cell::new(0);
    proptest!(ProptestConfig::with_cases(64), |(ops in ops())| {
        runtime.block_on(in_one_minute(async || {
            case.set(case.get() + 1);
            let mut both = Both {
                redis: redis.clone(),
                model: waypost::usage::store::model::Model::default(),
                group: format!("g{}", case.get()).into(),
                number: 0,
            };
            for (replica, op) in &ops {
                both.ask(&format!("replica-{replica}").into(), op).await?;
            }
            Ok::<(), TestCaseError>(())
        }))?;
    });
}

#[tokio::test]
async fn a_second_attempt_beside_a_slow_one_reserves_its_own_place() {
    let (server, lab) = (RedisServer::start().await, lab(["a", "b"]));
    let yaml = one_then_many(&lab)
        .each("rpm: 1000")
        .waypost("groups: {g: {hedging: {min_delay: 1ms, max_share: 1}}}");
    let gateway = replicas(1, &exact(&yaml, &server, NEVER, Outage::Share))
        .await
        .remove(0);
    // The usual time is known then.
    for _ in 0..20 {
        assert_eq!(gateway.chat("g").await.ok().deployment(), "a");
    }
    lab.deployment("a").set(Behaviour::hold(Hold::BeforeHead));
    let answer = gateway.chat("g").await.ok();
    assert_eq!((answer.deployment(), answer.attempts()), ("b", 2));
    let mut client = Client::of(&server).await;
    assert_eq!(
        (client.counted("a|r").await, client.counted("b|r").await),
        (21, 1)
    );
}

/// A reservation for an answer of so many tokens at most.
fn long(most: u64) -> serde_json::Value {
    let mut body = chat_body("g");
    body["max_tokens"] = most.into();
    body
}

const SOON: Duration = Duration::from_millis(20);

#[tokio::test]
async fn tokens_that_are_not_used_are_given_back_with_the_next_exchange() {
    let (requests, tokens) = in_one_minute(async || {
        let (server, lab) = (RedisServer::start().await, lab(["a"]));
        let config = exact(
            &Yaml::over(&lab).each("tpm: 100000"),
            &server,
            SOON,
            Outage::Share,
        );
        let gateways = replicas(2, &config).await;
        let mut client = Client::of(&server).await;
        for gateway in &gateways {
            gateway.chat_with(&long(40_000)).send().await.ok();
        }
        // Without it they would stay until the minute is forgotten.
        until(async || client.counted("a|t").await < 1000).await;
        let counted = (client.counted("a|r").await, client.counted("a|t").await);
        // What this replica holds of the other one's is older by one exchange.
        until(async || gateways[0].chat_with(&long(90_000)).send().await.status == 200).await;
        counted
    })
    .await;
    assert!(requests == 2 && tokens < 1000, "{requests}, {tokens}");
}

#[tokio::test]
async fn a_place_that_is_reserved_and_not_used_is_given_back() {
    let (counted, served) = in_one_minute(async || {
        let (server, lab) = (RedisServer::start().await, lab(["a"]));
        let yaml = Yaml::over(&lab)
            .each("rpm: 1000")
            .each("max_parallel_requests: 1");
        let mut config = exact(&yaml, &server, SOON, Outage::Share);
        patient(&mut config);
        let gateway = replicas(1, &config).await.remove(0);
        let mut client = Client::of(&server).await;
        // Both ask before either is counted in, and there is one place.
        lab.deployment("a")
            .behave_next(1, Behaviour::hold(Hold::BeforeHead));
        let _: () = client.ask("CLIENT PAUSE 200 ALL").await;
        let (answers, counted) = tokio::join!(
            together([
                gateway.chat_with(&small("g")),
                gateway.chat_with(&small("g"))
            ]),
            async {
                held(lab.deployments(), 1).await;
                until(async || client.reserved().await >= 2 && client.counted("a|r").await == 1)
                    .await;
                let counted = client.counted("a|r").await;
                lab.deployment("a").release();
                counted
            }
        );
        (counted, served(&answers))
    })
    .await;
    assert!(counted == 1 && served > 0, "{counted}, {served}");
}

#[tokio::test]
async fn a_place_whose_request_went_away_before_it_was_there_is_given_back() {
    let counted = in_one_minute(async || {
        let (server, lab) = (RedisServer::start().await, lab(["a"]));
        let way = Faults::before(server.addr()).await;
        let mut config = exact(
            &Yaml::over(&lab).each("rpm: 1000"),
            &server,
            SOON,
            Outage::Share,
        );
        patient(&mut config);
        let mut target = RedisTarget::clone(config.groups[0].router.redis.as_ref().expect("one"));
        target.topology =
            RedisTopology::Single(RedisAddress::Tcp("127.0.0.1".into(), way.addr().port()));
        config.groups[0].router.redis = Some(Arc::new(target));
        let gateway = replicas(1, &config).await.remove(0);
        // The script is known from then on, so that one answer is all that is waited for.
        gateway.chat("g").await.ok();
        way.set(Mode::Slow(Duration::from_millis(300))).await;
        let mut client = Client::of(&server).await;
        let mut request = Box::pin(gateway.chat("g"));
        tokio::select! {
            _ = &mut request => panic!("it does not wait for Redis"),
            () = until(async || client.reserved().await == 2) => {}
        }
        drop(request);
        until(async || client.counted("a|r").await == 1).await;
        (
            client.reserved().await,
            client.counted("a|r").await,
            received(&lab),
        )
    })
    .await;
    assert_eq!(counted, (2, 1, vec![1]));
}

#[tokio::test]
async fn what_redis_loses_is_told_again() {
    let served = in_one_minute(async || {
        let (server, lab) = (RedisServer::start().await, lab(["a"]));
        let config = exact(
            &Yaml::over(&lab).each("rpm: 50"),
            &server,
            SOON,
            Outage::Share,
        );
        let gateways = replicas(3, &config).await;
        let before = served(&burst(&gateways, 30).await);
        let mut client = Client::of(&server).await;
        let _: () = client.ask("FLUSHALL").await;
        until(async || client.counted("a|r").await >= 30).await;
        (before, served(&burst(&gateways, 60).await))
    })
    .await;
    assert_eq!(served, (30, 20));
}

/// Requests wait for Redis as long as it takes.
fn patient(config: &mut Config) {
    for group in &mut config.groups {
        let mut target = RedisTarget::clone(group.router.redis.as_ref().expect("one"));
        target.timeout = s(60);
        group.router.redis = Some(Arc::new(target));
    }
}

#[tokio::test]
async fn keys_of_a_minute_do_not_stay() {
    let (server, lab) = (RedisServer::start().await, lab(["a"]));
    let config = exact(
        &Yaml::over(&lab).each("rpm: 100"),
        &server,
        NEVER,
        Outage::Share,
    );
    let gateways = replicas(2, &config).await;
    join_all(gateways.iter().map(|gateway| gateway.chat("g"))).await;
    let mut client = Client::of(&server).await;
    let keys: Vec<String> = client.ask("KEYS *}:minute:*").await;
    assert!(!keys.is_empty());
    for key in keys {
        let seconds: i64 = client.ask(&format!("TTL {key}")).await;
        assert!((1..=180).contains(&seconds), "{key}: {seconds}");
    }
}
