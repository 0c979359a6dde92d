//! Where a Redis is: the section `waypost.redis`, and the `redis_*` keys of a router.
//!
//! Both are read by one function, so that the same settings make the same [`RedisTarget`] however they are written. What
//! a URL says wins over the keys beside it, and what the file says over the environment.

mod many;
mod server;
#[cfg(test)]
mod tests;
mod tls;
mod url;

use std::sync::Arc;
use std::time::Duration;

use server::{OWN, ROUTER, Server};

use super::context::Context;
use super::tree::Node;
use crate::types::{Outage, RedisTarget, RedisTls, RedisTopology, Sharing};

const PATH: &str = "waypost.redis";
const PREFIX: &str = "waypost:1";
const TIMEOUT: Duration = Duration::from_millis(100);

/// What `waypost.redis` says for every Redis.
pub(super) struct Common {
    /// The one of the groups without their own.
    pub(super) all: Option<Arc<RedisTarget>>,
    prefix: Arc<str>,
    timeout: Duration,
    /// How TLS is spoken, where it is.
    tls: RedisTls,
}

/// The section `waypost.redis`; without one, every default.
pub(super) fn common(ctx: &mut Context<'_>, node: &Node) -> Common {
    let mut common = Common {
        all: None,
        prefix: node.filled("prefix").map_or(PREFIX.into(), Arc::from),
        timeout: node.duration("timeout").unwrap_or(TIMEOUT),
        tls: tls::files(ctx, node.get("tls"), "waypost.redis.tls"),
    };
    server::secret_in_clear(ctx, node, PATH);
    common.all = if many::named(node) {
        many::read(ctx, node, &common)
    } else {
        server::read(ctx, node, PATH, &OWN).map(|server| common.target(server))
    }
    .map(Arc::new);
    common
}

/// `interval`, `lease` and `outage` of the section.
pub(super) fn sharing(ctx: &mut Context<'_>, node: &Node) -> Sharing {
    let default = Sharing::default();
    let sharing = Sharing {
        interval: node.duration("interval").unwrap_or(default.interval),
        lease: node.duration("lease").unwrap_or(default.lease),
        outage: match node.text("outage").as_deref() {
            Some("open") => Outage::Open,
            Some("closed") => Outage::Closed,
            _ => Outage::Share,
        },
    };
    if sharing.lease < sharing.interval.saturating_mul(3) {
        let key = if node.get("lease").is_some() {
            "lease"
        } else {
            "interval"
        };
        let message = format!(
            "a lease of {:?} is shorter than three intervals of {:?}, so a replica that is late once would count as gone; make lease longer or interval shorter",
            sharing.lease, sharing.interval
        );
        ctx.findings
            .error(node.place(key), &format!("{PATH}.{key}"), message);
    }
    sharing
}

/// The Redis of a group: its router's, or the one of all.
pub(super) fn of_router(
    ctx: &mut Context<'_>,
    common: &Common,
    node: Option<&Node>,
    path: &str,
) -> Option<Arc<RedisTarget>> {
    let own = node.and_then(|node| {
        if ctx.strict {
            for key in [ROUTER.username, ROUTER.tls] {
                if node.get(key).is_some() {
                    let message = "Rasa's router has no such parameter; write it into redis_url";
                    ctx.findings
                        .error(node.place(key), &format!("{path}.{key}"), message);
                }
            }
        }
        server::read(ctx, node, path, &ROUTER)
    });
    own.map(|server| Arc::new(common.target(server)))
        .or_else(|| common.all.clone())
}

impl Common {
    fn target(&self, server: Server) -> RedisTarget {
        RedisTarget {
            topology: RedisTopology::Single(server.address),
            login: server.login,
            database: server.database,
            tls: server.tls.then(|| self.tls.clone()),
            prefix: Arc::clone(&self.prefix),
            timeout: self.timeout,
        }
    }
}

/// The section says something of one Redis, not only what holds for all.
pub(super) fn says_nothing(node: &Node, common: &Common) -> bool {
    common.all.is_none()
        && !node.entries().is_empty()
        && !many::named(node)
        && !server::named(node, &OWN)
}
