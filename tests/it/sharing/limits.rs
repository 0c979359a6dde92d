//! Approximate limits over several replicas: by how much they are exceeded.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use waypost::clock::{Clock, ManualClock, SystemClock};
use waypost::types::Sharing;

use super::{OFTEN, config, deployment, replicas_at, stop, until};
use crate::support::redis::RedisServer;
use crate::support::{Gateway, Yaml, chat_body, lab, received, together};

/// Time that stands still, so that no minute ends.
fn stopped() -> Arc<dyn Clock> {
    Arc::new(ManualClock::new())
}

#[tokio::test]
async fn a_limit_is_exceeded_by_what_others_let_through_between_two_exchanges() {
    const EACH: usize = 4;
    for n in [2, 3] {
        let server = RedisServer::start().await;
        let lab = lab(["a"]);
        let clock = stopped();
        let yaml = Yaml::over(&lab).each("rpm: 100");
        let gateways = replicas_at(n, &config(&yaml, &server, OFTEN), &clock).await;
        let minute = clock.unix().as_secs() / 60;
        loop {
            let batch = gateways
                .iter()
                .flat_map(|g| vec![g.chat_with(&chat_body("g")); EACH]);
            let answers = together(batch).await;
            let sent = received(&lab)[0];
            for gateway in &gateways {
                let scores = Arc::clone(&deployment(gateway, 0).scores);
                until(|| scores.minute(minute).requests == sent).await;
            }
            if answers.iter().all(|answer| answer.status == 429) {
                break;
            }
        }
        let let_through = usize::try_from(received(&lab)[0]).expect("few");
        let most = 100 + (gateways.len() - 1) * EACH;
        assert!(
            (100..=most).contains(&let_through),
            "{let_through} of {most}"
        );
        stop(gateways).await;
    }
}

/// Paced requests at all replicas until each is refused: the limit is reached, and never exceeded by more than the others'
/// own. `OVERSHOOT=print` plays the cases of docs/redis.md and prints its table; how much is over depends on the machine.
#[tokio::test]
async fn overshoot() {
    let all = std::env::var_os("OVERSHOOT").is_some_and(|value| value == "print");
    println!(
        "| Replicas | Interval | Rate of each | Let through of 500 | Over | By the formula at most |"
    );
    println!("|---|---|---|---|---|---|");
    for (n, interval, pause) in [
        (2, 50, 5),
        (3, 50, 5),
        (3, 200, 5),
        (3, 200, 20),
        (5, 200, 20),
    ]
    .into_iter()
    .take(if all { usize::MAX } else { 1 })
    {
        let server = RedisServer::start().await;
        let lab = lab(["a"]);
        let clock = stopped();
        let sharing = Sharing {
            interval: Duration::from_millis(interval),
            ..OFTEN
        };
        let yaml = Yaml::over(&lab).each("rpm: 500");
        let gateways = replicas_at(n, &config(&yaml, &server, sharing), &clock).await;
        let began = SystemClock.now();
        let run = |gateway: &Gateway| {
            let request = gateway.chat_with(&chat_body("g"));
            async move {
                let mut ticks = tokio::time::interval(Duration::from_millis(pause));
                loop {
                    ticks.tick().await;
                    if request.clone().send().await.status != 200 {
                        break;
                    }
                }
            }
        };
        join_all(gateways.iter().map(run)).await;
        let took = began.elapsed().as_secs_f64();
        let through = received(&lab)[0];
        assert!((500..=500 * n).contains(&through), "{through}");
        #[expect(clippy::cast_precision_loss, reason = "few")]
        let rate = through as f64 / took / n as f64;
        #[expect(clippy::cast_precision_loss, reason = "few")]
        let most = (n - 1) as f64 * (2.0 * interval as f64 / 1000.0 + 0.001) * rate;
        println!(
            "| {n} | {interval} ms | {rate:.0}/s | {through} | {} | {most:.0} |",
            through - 500
        );
        stop(gateways).await;
    }
}
