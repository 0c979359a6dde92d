//! More than one server: Sentinel and Cluster.

use super::server::{Environment, OWN, as_login, host, login, secret_in_clear};
use super::url::PORT;
use super::{Common, PATH, tls};
use crate::config::check::texts;
use crate::config::context::Context;
use crate::config::tree::{Node, Value};
use crate::types::{RedisAddress, RedisTarget, RedisTls, RedisTopology};

/// The port of a sentinel that names none.
const SENTINEL_PORT: u16 = 26379;

/// Whether the section names more than one server.
pub(super) fn named(node: &Node) -> bool {
    node.get("sentinel").is_some() || node.get("cluster").is_some()
}

/// What the section says of several servers; what is wrong is reported.
pub(super) fn read(ctx: &mut Context<'_>, node: &Node, common: &Common) -> Option<RedisTarget> {
    let key = if node.get("cluster").is_some() {
        "cluster"
    } else {
        "sentinel"
    };
    if let Some(other) = ["sentinel", "url", "host", "port"]
        .into_iter()
        .find(|other| *other != key && node.get(other).is_some())
    {
        let message = format!("there are {other} and {key}; one of them says where Redis is");
        ctx.findings
            .error(node.place(other), &format!("{PATH}.{other}"), message);
        return None;
    }
    let wanted = node.get("tls").and_then(tls::switch) == Some(true);
    let tls = wanted.then(|| common.tls.clone());
    let topology = match key {
        "cluster" => RedisTopology::Cluster(cluster(ctx, node)?),
        _ => sentinel(ctx, node.get(key)?, tls.as_ref())?,
    };
    let database = node.count_32("db").unwrap_or_default();
    if database > 0 && key == "cluster" {
        let message = "a cluster has database 0 alone; leave db out, or use a prefix";
        ctx.findings
            .error(node.place("db"), "waypost.redis.db", message);
    }
    let mut env = Environment::default();
    let (username, password) = login(ctx, node, &OWN, &mut env);
    env.tell(ctx, node, PATH, &OWN);
    Some(RedisTarget {
        topology,
        login: as_login(username, password),
        database,
        tls,
        prefix: common.prefix.clone(),
        timeout: common.timeout,
    })
}

fn cluster(ctx: &mut Context<'_>, node: &Node) -> Option<Vec<RedisAddress>> {
    addresses(ctx, node, "cluster", PATH, PORT)
}

fn sentinel(
    ctx: &mut Context<'_>,
    node: &Node,
    servers: Option<&RedisTls>,
) -> Option<RedisTopology> {
    let path = "waypost.redis.sentinel";
    secret_in_clear(ctx, node, path);
    if node.get("master").is_some() && node.filled("master").is_none() {
        let message = "the name of the master is empty; it is what the sentinels call it";
        ctx.findings
            .error(node.place("master"), &format!("{path}.master"), message);
    }
    let tls = match node.get("tls") {
        None => servers.cloned(),
        Some(wanted) if tls::switch(wanted) == Some(true) => {
            Some(tls::files(ctx, Some(wanted), &format!("{path}.tls")))
        }
        Some(_) => None,
    };
    Some(RedisTopology::Sentinel {
        sentinels: addresses(ctx, node, "nodes", path, SENTINEL_PORT)?,
        master: node.filled("master")?.into(),
        login: as_login(node.filled("username"), node.filled("password")),
        tls,
    })
}

/// A list of `host[:port]`; `None` if there is nothing right in it.
fn addresses(
    ctx: &mut Context<'_>,
    node: &Node,
    key: &str,
    path: &str,
    port: u16,
) -> Option<Vec<RedisAddress>> {
    let list = node.get(key)?;
    let texts = texts(list).ok()?;
    if texts.is_empty() {
        let message = "the list is empty; at least one host:port is needed";
        ctx.findings
            .error(list.at, &format!("{path}.{key}"), message);
    }
    let mut all = Vec::new();
    for (i, text) in texts.iter().enumerate() {
        match address(text.trim(), port) {
            Some(address) if all.contains(&address) => {}
            Some(address) => all.push(address),
            None => {
                let at = match &list.value {
                    Value::List(items) => items.get(i).map_or(list.at, |item| item.at),
                    _ => list.at,
                };
                let message = "not a server; allowed: host, host:port, [address of IPv6]:port; user and password stand beside the list";
                ctx.findings
                    .error(at, &format!("{path}.{key}[{i}]"), message);
            }
        }
    }
    (!all.is_empty()).then_some(all)
}

fn address(text: &str, default: u16) -> Option<RedisAddress> {
    if let Ok(host) = host(text) {
        return Some(RedisAddress::Tcp(host, default));
    }
    let (name, port) = text.rsplit_once(':')?;
    let port = port.parse().ok().filter(|port| *port > 0)?;
    // An address of IPv6 with a port has brackets; without them nobody knows where it ends.
    let bare = name.contains(':') && !name.starts_with('[');
    let host = host(name).ok().filter(|_| !bare)?;
    Some(RedisAddress::Tcp(host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_a_host_with_or_without_a_port() {
        let tcp = |host: &str, port| Some(RedisAddress::Tcp(host.into(), port));
        for (text, expected) in [
            ("h", tcp("h", 1)),
            ("H:7", tcp("h", 7)),
            ("10.0.0.1:65535", tcp("10.0.0.1", 65535)),
            ("::1", tcp("::1", 1)),
            ("[::1]", tcp("::1", 1)),
            ("[::1]:7", tcp("::1", 7)),
            ("", None),
            (":7", None),
            ("h:0", None),
            ("h:x", None),
            ("h:65536", None),
            ("redis://h:7", None),
            ("u:p@h:7", None),
        ] {
            assert_eq!(address(text, 1), expected, "{text}");
        }
    }
}
