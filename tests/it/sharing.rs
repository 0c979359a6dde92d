//! Replicas that share a Redis: they act as one router, and each by itself while there is none.

mod limits;
mod outage;
mod simulation;
mod store;
mod together;

use std::sync::Arc;
use std::time::Duration;

use waypost::clock::{Clock, SystemClock};
use waypost::config::Config;
use waypost::gateway::Deps;
use waypost::router::Deployment;
use waypost::types::Sharing;

use crate::support::redis::RedisServer;
use crate::support::{Gateway, Yaml, load};

/// Until that is so.
async fn until(mut is: impl FnMut() -> bool) {
    let mut ticks = tokio::time::interval(Duration::from_millis(1));
    while !is() {
        ticks.tick().await;
    }
}

/// Exchanges often, so that tests are short.
const OFTEN: Sharing = Sharing {
    interval: Duration::from_millis(10),
    lease: Duration::from_secs(60),
    outage: waypost::types::Outage::Share,
};

/// Exchanges when it starts and when it ends.
const SELDOM: Sharing = Sharing {
    interval: Duration::from_secs(3600),
    ..OFTEN
};

fn config(yaml: &Yaml, server: &RedisServer, sharing: Sharing) -> Config {
    let mut config = load(&yaml.to_string());
    config.settings.sharing = sharing;
    for group in &mut config.groups {
        group.router.redis = Some(Arc::new(server.target()));
    }
    config
}

/// So many gateways with that configuration and the machine's time.
async fn replicas(n: u64, config: &Config) -> Vec<Gateway> {
    replicas_at(n, config, &(Arc::new(SystemClock) as Arc<dyn Clock>)).await
}

/// The same with one clock for all, once each has heard of the others.
async fn replicas_at(n: u64, config: &Config, clock: &Arc<dyn Clock>) -> Vec<Gateway> {
    let mut all = Vec::new();
    for seed in 0..n {
        let deps = Deps::with_clock(Arc::clone(clock), Some(seed));
        all.push(Gateway::with_deps(config, deps).await);
    }
    for gateway in &all {
        let shown = format!("waypost_sharing_replicas{{group=\"g\"}} {n}\n");
        until(|| gateway.app().gateway().metrics().contains(&shown)).await;
    }
    all
}

/// A deployment of the group `g` of that gateway.
fn deployment(gateway: &Gateway, index: usize) -> Arc<Deployment> {
    Arc::clone(&gateway.deployments("g")[index])
}

async fn stop(all: Vec<Gateway>) {
    for gateway in all {
        gateway.stop().await;
    }
}
