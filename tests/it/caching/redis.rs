//! The cache in Redis: what one replica has stored, the others answer from.

mod purging;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use waypost::clock::SystemClock;
use waypost::config::{CacheSettings, Config};
use waypost::lab::{Behaviour, Lab};
use waypost::types::RedisTarget;

use super::state;
use crate::support::pair::{stream_body, sum};
use crate::support::redis::RedisServer;
use crate::support::{Answer, Gateway, Request, Yaml, chat_body, lab, load, s};

const NONE: &[&str] = &[];

/// Two replicas on one Redis, with a group `g` of one deployment.
struct Replicas {
    lab: Lab,
    redis: RedisServer,
    /// A client of our own.
    client: ::redis::aio::MultiplexedConnection,
    one: Gateway,
    two: Gateway,
}

/// Nothing is limited to less than a test could take.
fn target(redis: &RedisServer) -> RedisTarget {
    RedisTarget {
        prefix: "test".into(),
        timeout: s(3600),
        ..redis.target()
    }
}

/// The configuration with its caches in `redis`.
fn in_redis(yaml: &Yaml, redis: &RedisServer, change: impl Fn(&mut CacheSettings)) -> Config {
    let mut config = load(&yaml.to_string());
    config.settings.sharing.interval = Duration::from_millis(2);
    for group in &mut config.groups {
        group.router.redis = Some(Arc::new(target(redis)));
        if let Some(cache) = &mut group.router.cache {
            cache.in_redis = true;
            cache.near_ttl = s(3600);
            change(cache);
        }
    }
    config
}

impl Replicas {
    async fn start() -> Self {
        Self::with(NONE, |_| ()).await
    }

    /// With these lines in the section `waypost`, and other settings of the cache.
    async fn with(waypost: &[&str], change: impl Fn(&mut CacheSettings)) -> Self {
        let lab = lab(["a"]);
        let redis = RedisServer::start().await;
        let mut yaml = Yaml::over(&lab).router("cache_responses: true");
        for line in waypost {
            yaml = yaml.waypost(line);
        }
        let config = in_redis(&yaml, &redis, change);
        let all = Self {
            client: redis.connect(None).await,
            one: Gateway::of(&config, Arc::new(SystemClock)).await,
            two: Gateway::of(&config, Arc::new(SystemClock)).await,
            lab,
            redis,
        };
        ready(&all.one).await;
        ready(&all.two).await;
        all
    }

    /// Requests that reached the deployment.
    fn asked(&self) -> u64 {
        self.lab.deployment("a").stats().requests
    }

    /// Has the first replica fetch and store; returns the answer once it is in Redis.
    async fn store(&self, request: &Value) -> Answer {
        store(&self.one, self.one.chat_with(request)).await
    }

    async fn run<T: ::redis::FromRedisValue>(&mut self, command: &[&[u8]]) -> T {
        let mut cmd = ::redis::Cmd::new();
        cmd.arg(command);
        cmd.query_async(&mut self.client).await.expect("an answer")
    }

    async fn stop(self) {
        self.one.stop().await;
        self.two.stop().await;
        self.lab.stop().await;
    }
}

/// How often that has become of an answer in Redis.
fn counted(gateway: &Gateway, outcome: &str) -> f64 {
    let label = format!("outcome=\"{outcome}\"");
    let text = gateway.app().gateway().metrics();
    sum(&text, "waypost_cache_redis_total", &[&label])
}

/// Until a replica looks for answers in Redis.
async fn ready(gateway: &Gateway) {
    let before = counted(gateway, "miss");
    while counted(gateway, "miss") == before {
        let mut body = chat_body("g");
        body["messages"][0]["content"] = "nobody else asks that".into();
        body["cache"] = json!({"no-store": true});
        gateway.chat_with(&body).send().await.ok();
    }
}

async fn store(gateway: &Gateway, request: Request) -> Answer {
    let before = counted(gateway, "stored");
    let answer = request.send().await.ok();
    assert_eq!(state(&answer), "miss");
    while counted(gateway, "stored") == before {
        tokio::task::yield_now().await;
    }
    answer
}

/// A chat whose answer is not to be stored if it is not there.
async fn look(gateway: &Gateway, body: &Value) -> Answer {
    let request = gateway.chat_with(body);
    request
        .header("cache-control", "no-store")
        .send()
        .await
        .ok()
}

/// Until a replica no longer has an answer for it.
async fn gone(gateway: &Gateway, body: &Value) {
    while state(&look(gateway, body).await) == "hit" {}
}

fn chat(n: u32) -> Value {
    let mut body = chat_body("g");
    body["seed"] = n.into();
    body
}

fn key(answer: &Answer) -> String {
    let key = answer.header("x-waypost-cache-key").expect("a key");
    assert!(key.len() == 64 && key.bytes().all(|b| b.is_ascii_hexdigit()));
    key.to_owned()
}

/// What an answer is called in Redis, before the first purge.
fn name(answer: &Answer) -> String {
    format!("test:{{group/g}}:cache:0:{}", key(answer))
}

#[tokio::test]
async fn what_one_has_stored_the_other_answers() {
    let text = "word after word ".repeat(500);
    for compress_above in [1, usize::MAX] {
        let change = |cache: &mut CacheSettings| cache.compress_above = compress_above;
        let mut all = Replicas::with(NONE, change).await;
        all.lab.deployment("a").set(Behaviour::text(&text));
        for body in [chat(1), stream_body()] {
            let stored = all.store(&body).await;
            let asked = all.asked();
            let hit = all.two.chat_with(&body).send().await.ok();
            assert_eq!((state(&hit), hit.attempts()), ("hit", 0));
            assert_eq!(hit.body, stored.body);
            assert_eq!(
                hit.headers["content-type"], stored.headers["content-type"],
                "{body}"
            );
            assert_eq!(key(&hit), key(&stored));
            // From its own memory from now on.
            let found = counted(&all.two, "hit");
            assert_eq!(state(&look(&all.two, &body).await), "hit");
            assert_eq!((counted(&all.two, "hit"), all.asked()), (found, asked));
            let size: usize = all.run(&[b"STRLEN", name(&stored).as_bytes()]).await;
            let smaller = size < stored.body.len() / 2;
            assert_eq!(smaller, compress_above == 1, "{size} bytes");
        }
        assert_eq!(counted(&all.two, "hit"), 2.0);
        all.stop().await;
    }
}

#[tokio::test]
async fn without_a_near_cache_each_is_asked_of_redis() {
    let all = Replicas::with(NONE, |cache| cache.near_ttl = Duration::ZERO).await;
    all.store(&chat(1)).await;
    let asked = all.asked();
    // Equal ones that come together, too: none of them bypasses the cache for want of an entry here.
    let ten = (0..10).map(|_| all.two.chat_with(&chat(1)).send());
    for answer in join_all(ten).await {
        assert_eq!(state(&answer), "hit");
    }
    assert_eq!(state(&look(&all.one, &chat(1)).await), "hit");
    assert_eq!((counted(&all.two, "hit"), all.asked()), (10.0, asked));
    // What one fetches anew is what the others have from then on.
    let fresh = all.two.chat_with(&chat(1));
    let fresh = store(&all.two, fresh.header("cache-control", "no-cache")).await;
    assert_eq!(look(&all.one, &chat(1)).await.body, fresh.body);
    assert_eq!(all.asked(), asked + 1);
    all.stop().await;
}

#[tokio::test]
async fn ten_at_once_ask_redis_once() {
    let all = Replicas::start().await;
    all.store(&chat(1)).await;
    let (asked, missed) = (all.asked(), counted(&all.two, "miss"));
    let ten = (0..10).map(|_| all.two.chat_with(&chat(1)).send());
    for answer in join_all(ten).await {
        assert_eq!(state(&answer), "hit");
    }
    assert_eq!((counted(&all.two, "hit"), all.asked()), (1.0, asked));
    // And of ten that nobody has an answer for one goes on.
    let ten = (0..10).map(|_| all.two.chat_with(&chat(2)).send());
    let answers = join_all(ten).await;
    assert_eq!(answers.iter().filter(|a| state(a) == "miss").count(), 1);
    assert_eq!(counted(&all.two, "miss"), missed + 1.0);
    assert_eq!(all.asked(), asked + 1);
    all.stop().await;
}

#[tokio::test]
async fn callers_do_not_share_unless_they_are_to() {
    let keys = "keys: [{name: one, key: key-of-one, groups: [g]}, {name: two, key: key-of-two}]";
    for (more, shared) in [
        ("cache: {ttl: 600}", false),
        ("cache: {shared_between_callers: true}", true),
    ] {
        let lab = lab(["a"]);
        let redis = RedisServer::start().await;
        let yaml = Yaml::over(&lab).router("cache_responses: true");
        let config = in_redis(&yaml.waypost(keys).waypost(more), &redis, |_| ());
        let one = Gateway::of(&config, Arc::new(SystemClock)).await;
        let two = Gateway::of(&config, Arc::new(SystemClock)).await;
        let ask = |gateway: &Gateway, key: &str, n: u32| {
            gateway.chat_with(&chat(n)).header("api-key", key)
        };
        for gateway in [&one, &two] {
            let mut n = 1000;
            while counted(gateway, "miss") == 0.0 {
                n += 1;
                let unknown = ask(gateway, "key-of-one", n);
                let unknown = unknown.header("cache-control", "no-store");
                unknown.send().await.ok();
            }
        }
        let stored = store(&one, ask(&one, "key-of-one", 1)).await;
        let other = ask(&two, "key-of-two", 1).send().await.ok();
        assert_eq!(state(&other) == "hit", shared);
        assert_eq!(key(&other) == key(&stored), shared);
        let own = ask(&two, "key-of-one", 1).send().await.ok();
        assert_eq!((state(&own), &own.body), ("hit", &stored.body));
        one.stop().await;
        two.stop().await;
        lab.stop().await;
    }
}

#[tokio::test]
async fn lifetimes_and_ages_hold_across_replicas() {
    let mut all = Replicas::start().await;
    let mut body = chat(1);
    body["cache"] = json!({"ttl": 50});
    let stored = all.store(&body).await;
    let left: u64 = all.run(&[b"PTTL", name(&stored).as_bytes()]).await;
    assert!((1..=50_000).contains(&left), "{left}");

    let with = |value: &str| all.two.chat_with(&chat(1)).header("cache-control", value);
    let asked = all.asked();
    let too_old = with("max-age=0, no-store").send().await.ok();
    assert_eq!((state(&too_old), all.asked()), ("bypass", asked + 1));
    let young = with("s-maxage=3600").send().await.ok();
    assert_eq!((state(&young), &young.body), ("hit", &stored.body));
    // Here it ends with the entry, near_ttl or not.
    let mut short = chat(2);
    short["cache"] = json!({"ttl": 0.3});
    all.store(&short).await;
    gone(&all.two, &short).await;
    gone(&all.one, &short).await;
    all.stop().await;
}

#[tokio::test]
async fn what_is_no_answer_is_a_miss() {
    let mut all = Replicas::start().await;
    let other = name(&all.store(&chat(0)).await);
    let foreign: Vec<u8> = all.run(&[b"GET", other.as_bytes()]).await;
    let mut damaged = foreign.clone();
    *damaged.last_mut().expect("a byte") ^= 1;
    let values: [&[&[u8]]; 5] = [
        &[b"SET", b"", b"not of our making"],
        &[b"SET", b"", b""],
        &[b"SET", b"", &damaged],
        &[b"SET", b"", &foreign],
        &[b"RPUSH", b"", b"a list"],
    ];
    for (n, value) in (1..).zip(values) {
        let stored = all.store(&chat(n)).await;
        let name = name(&stored);
        let _: i64 = all.run(&[b"DEL", name.as_bytes()]).await;
        let mut command = value.to_vec();
        command[1] = name.as_bytes();
        let _: ::redis::Value = all.run(&command).await;
        let answer = store(&all.two, all.two.chat_with(&chat(n))).await;
        assert_ne!(answer.body, stored.body);
        assert_eq!(counted(&all.two, "damaged"), f64::from(n), "value {n}");
        // Now there is one again.
        let size: usize = all.run(&[b"STRLEN", name.as_bytes()]).await;
        assert!(size > 100, "value {n}");
    }
    all.stop().await;
}

#[tokio::test]
async fn without_redis_there_are_misses_and_answers() {
    let mut all = Replicas::start().await;
    all.store(&chat(1)).await;
    assert_eq!(state(&look(&all.two, &chat(1)).await), "hit");
    all.redis.kill();
    while counted(&all.two, "unavailable") == 0.0 {
        let answer = look(&all.two, &chat(2)).await;
        assert_eq!(state(&answer), "bypass");
    }
    // What is here is here.
    assert_eq!(state(&look(&all.two, &chat(1)).await), "hit");
    let dropped = counted(&all.two, "dropped");
    let miss = all.two.chat_with(&chat(3)).send().await.ok();
    assert_eq!(state(&miss), "miss");
    while counted(&all.two, "dropped") == dropped {
        tokio::task::yield_now().await;
    }
    assert_eq!(state(&look(&all.two, &chat(3)).await), "hit");

    all.redis.restart().await;
    ready(&all.one).await;
    ready(&all.two).await;
    // What may have been purged meanwhile is not believed.
    gone(&all.two, &chat(1)).await;
    all.store(&chat(4)).await;
    assert_eq!(state(&look(&all.two, &chat(4)).await), "hit");
    all.stop().await;
}

#[tokio::test]
async fn what_is_too_large_here_is_not_there() {
    let mut all = Replicas::with(&["cache: {max_bytes: 64KiB}"], |_| ()).await;
    all.lab
        .deployment("a")
        .set(Behaviour::text("word ".repeat(2000)));
    for body in [chat(1), stream_body()] {
        let answer = all.one.chat_with(&body).send().await.ok();
        assert_eq!(state(&answer), "miss");
    }
    all.lab.deployment("a").set(Behaviour::default());
    let small = all.store(&chat(2)).await;
    let names: Vec<String> = all.run(&[b"KEYS", b"test:*:cache:*"]).await;
    let all_small = names.iter().filter(|found| **found != name(&small));
    // Those that told that the replicas are ready are not stored.
    assert_eq!(all_small.count(), 0, "{names:?}");
    all.stop().await;
}
