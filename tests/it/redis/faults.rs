//! The network between fails: the state says so, requests are not held, and it heals.

use waypost::metrics::Metrics;

use super::*;
use crate::support::Logs;

/// A server behind such a network, and a connection that stands.
async fn behind() -> (RedisServer, Faults, Kept) {
    let server = RedisServer::start().await;
    let faults = Faults::before(server.addr()).await;
    assert_eq!(faults.url(), format!("redis://{}", faults.addr()));
    let redis = keep_up(single(faults.addr())).await;
    (server, faults, redis)
}

async fn heals(faults: &Faults, redis: &Redis) {
    faults.set(Mode::Pass).await;
    redis.reaches(State::Up).await;
    assert_eq!(asked(redis, Urgency::Request).await, Ok(()));
}

#[tokio::test]
async fn a_server_that_hangs_holds_three_requests_and_no_more() {
    for mode in [Mode::Hang, Mode::Mute] {
        let (_server, faults, redis) = behind().await;
        faults.set(mode).await;
        let timeout = redis.target().timeout;
        for _ in 0..3 {
            assert_eq!(redis.state(), State::Up);
            let late = asked(&redis, Urgency::Request).await;
            assert_eq!(late, Err(StoreError::Timeout(timeout)));
        }
        assert_eq!(redis.state(), State::Slow);
        let none = asked(&redis, Urgency::Request).await;
        assert_eq!(none, Err(StoreError::Unavailable));
        // Whoever asks in the background, or the keeper, finds that there is nobody at all.
        redis.reaches(State::Down).await;
        heals(&faults, &redis).await;
    }
}

#[tokio::test]
async fn a_server_that_is_slow_holds_nobody() {
    let (_server, faults, redis) = behind().await;
    faults.set(Mode::Slow(Duration::from_millis(200))).await;
    // It is asked in the background all the same.
    assert_eq!(asked(&redis, Urgency::Background).await, Ok(()));
    assert_eq!(redis.state(), State::Slow);
    for _ in 0..100 {
        let none = asked(&redis, Urgency::Request).await;
        assert_eq!(none, Err(StoreError::Unavailable));
    }
    assert_eq!(asked(&redis, Urgency::Background).await, Ok(()));
    assert_eq!(redis.state(), State::Slow);
    heals(&faults, &redis).await;
}

#[tokio::test]
async fn a_connection_that_breaks_is_made_anew() {
    for mode in [Mode::Reset, Mode::Refuse, Mode::Cut(3), Mode::Cut(0)] {
        let (_server, faults, redis) = behind().await;
        faults.set(mode).await;
        let broken = asked(&redis, Urgency::Request).await;
        assert!(matches!(broken, Err(StoreError::Broken(_))), "{broken:?}");
        assert_eq!(redis.state(), State::Down, "{mode:?}");
        let none = asked(&redis, Urgency::Background).await;
        assert_eq!(none, Err(StoreError::Unavailable));
        heals(&faults, &redis).await;
    }
}

#[tokio::test]
async fn a_break_is_found_without_being_asked() {
    let (_server, faults, redis) = behind().await;
    faults.set(Mode::Refuse).await;
    redis.reaches(State::Down).await;
    heals(&faults, &redis).await;
}

#[tokio::test]
async fn a_script_that_is_forgotten_is_sent_again() {
    let (mut server, _faults, redis) = behind().await;
    let calls = [count(&redis, "a")];
    let answers = redis.eval(Urgency::Background, &calls).await;
    assert_eq!(answers, Ok(vec![Ok(::redis::Value::Int(1))]));
    server.restart().await;
    // The old connection broke, which somebody has to notice.
    redis.reaches(State::Down).await;
    redis.reaches(State::Up).await;
    let answers = redis.eval(Urgency::Background, &calls).await;
    assert_eq!(answers, Ok(vec![Ok(::redis::Value::Int(1))]));
}

#[tokio::test]
async fn one_line_is_said_of_each_change_and_none_of_a_request() {
    for (mode, state) in [
        (Mode::Refuse, State::Down),
        (Mode::Hang, State::Down),
        (Mode::Slow(Duration::from_millis(200)), State::Slow),
    ] {
        let logs = Logs::listen();
        let (_server, faults, redis) = behind().await;
        faults.set(mode).await;
        let mut requests = JoinSet::new();
        for _ in 0..8 {
            let redis = redis.clone();
            requests.spawn(async move {
                loop {
                    let _ = asked(&redis, Urgency::Request).await;
                    let _ = redis.eval(Urgency::Request, &[count(&redis, "a")]).await;
                    tokio::task::yield_now().await;
                }
            });
        }
        redis.reaches(state).await;
        for _ in 0..1000 {
            assert!(asked(&redis, Urgency::Request).await.is_err());
        }
        requests.shutdown().await;
        heals(&faults, &redis).await;
        let text = logs.text();
        let lines: Vec<_> = text
            .lines()
            .filter(|line| line.contains("Redis at"))
            .collect();
        // There, late, lost, and there again at most.
        assert!((3..=4).contains(&lines.len()), "{mode:?}: {lines:#?}");
        assert!(lines[0].contains("INFO") && lines[0].contains("is there"));
        assert!(lines[1].contains("WARN"), "{mode:?}: {lines:#?}");
        assert!(lines[lines.len() - 1].contains("INFO"), "{lines:#?}");
    }
}

#[tokio::test]
async fn it_is_counted() {
    let server = RedisServer::start().await;
    let metrics = Metrics::new();
    let place = server.addr();
    let redis = Redis::measured(Arc::new(single(place)), &metrics);
    let _ = asked(&redis, Urgency::Request).await;
    let says = |line: String| {
        let text = metrics.encode();
        assert!(text.contains(&line), "{line}\n{text}");
    };
    says(format!("waypost_redis_up{{redis=\"{place}\"}} 0"));
    let calls = |urgency, outcome, n| {
        format!(
            "waypost_redis_calls_total{{redis=\"{place}\",urgency=\"{urgency}\",outcome=\"{outcome}\"}} {n}"
        )
    };
    says(calls("request", "unavailable", 1));
    let mut keeper = JoinSet::new();
    let kept = redis.clone();
    keeper.spawn(async move { kept.keep().await });
    redis.reaches(State::Up).await;
    says(format!("waypost_redis_up{{redis=\"{place}\"}} 1"));
    let _ = asked(&redis, Urgency::Background).await;
    let _ = redis.eval(Urgency::Background, &[count(&redis, "a")]).await;
    says(calls("background", "answered", 2));
    let unknown = redis.command(Urgency::Request, &::redis::cmd("NOPE")).await;
    assert!(
        matches!(unknown, Err(StoreError::Refused(_))),
        "{unknown:?}"
    );
    says(calls("request", "refused", 1));
}
