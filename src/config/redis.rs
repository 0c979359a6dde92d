//! Where a Redis is: the section `waypost.redis`, and the `redis_*` keys of a router.
//!
//! Both are read by one function, so that the same settings make the same [`RedisTarget`] however they are written. What
//! a key says wins over the environment, and what a URL says wins over the keys beside it.

mod url;

use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::Duration;

use super::check::join;
use super::context::Context;
use super::tree::Node;
use crate::types::{
    Outage, RedisAddress, RedisLogin, RedisTarget, RedisTls, RedisTopology, Secret, Sharing,
};

const PREFIX: &str = "waypost:1";
const TIMEOUT: Duration = Duration::from_millis(100);

/// How the parts of a connection are called.
struct Names {
    url: &'static str,
    host: &'static str,
    port: &'static str,
    username: &'static str,
    password: &'static str,
    db: &'static str,
    tls: &'static str,
}

/// In a router.
const ROUTER: Names = Names {
    url: "redis_url",
    host: "redis_host",
    port: "redis_port",
    username: "redis_username",
    password: "redis_password",
    db: "redis_db",
    tls: "redis_ssl",
};

/// In `waypost.redis`.
const OWN: Names = Names {
    url: "url",
    host: "host",
    port: "port",
    username: "username",
    password: "password",
    db: "db",
    tls: "tls",
};

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
        tls: RedisTls::default(),
    };
    let server = single(ctx, node, "waypost.redis", &OWN);
    common.all = server.map(|server| Arc::new(common.target(server)));
    common
}

/// `interval`, `lease` and `outage` of the section.
pub(super) fn sharing(node: &Node) -> Sharing {
    let default = Sharing::default();
    Sharing {
        interval: node.duration("interval").unwrap_or(default.interval),
        lease: node.duration("lease").unwrap_or(default.lease),
        outage: match node.text("outage").as_deref() {
            Some("open") => Outage::Open,
            Some("closed") => Outage::Closed,
            _ => Outage::Share,
        },
    }
}

/// The Redis of a group: its router's, or the one of all.
pub(super) fn of_router(
    ctx: &mut Context<'_>,
    common: &Common,
    node: Option<&Node>,
    path: &str,
) -> Option<Arc<RedisTarget>> {
    node.and_then(|node| single(ctx, node, path, &ROUTER))
        .map(|server| Arc::new(common.target(server)))
        .or_else(|| common.all.clone())
}

/// One server, as it is written.
struct Server {
    address: RedisAddress,
    login: RedisLogin,
    database: u32,
    tls: bool,
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

/// What the keys of a mapping say of one server; what is wrong is reported.
fn single(ctx: &mut Context<'_>, node: &Node, path: &str, names: &Names) -> Option<Server> {
    let (url, address) = match node.get(names.url) {
        Some(_) => (Some(by_url(ctx, node, path, names)?), None),
        None => (None, by_host(ctx, node, path, names)),
    };
    let (username, password, database, tls, address) = match (url, address) {
        (Some(url), _) => (
            url.username,
            url.password,
            url.database,
            url.tls,
            url.address,
        ),
        (None, address) => (None, None, None, false, address?),
    };
    Some(Server {
        address,
        login: login(
            username.or_else(|| node.filled(names.username)),
            password.or_else(|| node.filled(names.password)),
        ),
        database: database
            .or_else(|| node.count_32(names.db))
            .unwrap_or_default(),
        tls: tls || node.flag(names.tls) == Some(true),
    })
}

/// `default` is the user of who names none.
fn login(username: Option<String>, password: Option<String>) -> RedisLogin {
    RedisLogin {
        username: username.filter(|name| name != "default").map(Arc::from),
        password: password.map(Secret::new),
    }
}

fn by_url(ctx: &mut Context<'_>, node: &Node, path: &str, names: &Names) -> Option<url::Parsed> {
    let (at, key) = (node.place(names.url), join(path, names.url));
    let scalar = node.get(names.url)?.scalar()?;
    match url::parse(&scalar.text) {
        Ok(parsed) => {
            if node.get(names.host).is_some() {
                let message = format!("wins over {} and {}", names.host, names.port);
                ctx.findings.warning(at, &key, message);
            }
            Some(parsed)
        }
        Err(problem) => {
            let allowed = "allowed: redis://[user][:password@]host[:port][/database], or rediss:// for TLS, or unix:///path?db=0";
            let message = format!("{}; {allowed}", problem.say(scalar.variables.is_empty()));
            ctx.findings.error(at, &key, message);
            None
        }
    }
}

fn by_host(ctx: &mut Context<'_>, node: &Node, path: &str, names: &Names) -> Option<RedisAddress> {
    let Some(scalar) = node.get(names.host).and_then(Node::scalar) else {
        let others = [names.port, names.username, names.password, names.db];
        if let Some(key) = others.iter().find(|key| node.get(key).is_some()) {
            let message = format!("says nothing without {} or {}", names.host, names.url);
            ctx.findings
                .warning(node.place(key), &join(path, key), message);
        }
        return None;
    };
    let text = scalar.text.trim();
    let message = if text.is_empty() {
        "the host is empty".to_owned()
    } else if text.contains("://") {
        format!("this is a URL; write it as {}", names.url)
    } else if let Ok(host) = host(text) {
        let port = node
            .count(names.port)
            .and_then(|port| u16::try_from(port).ok());
        return Some(RedisAddress::Tcp(host, port.unwrap_or(url::PORT)));
    } else {
        format!(
            "not a host name; the port stands in {}, the password in {}",
            names.port, names.password
        )
    };
    ctx.findings
        .error(node.place(names.host), &join(path, names.host), message);
    None
}

/// The host, written in one way: names in small letters, addresses of IPv6 without brackets and as short as can be.
fn host(text: &str) -> Result<Arc<str>, ()> {
    if text.contains(':') {
        let inside = text
            .strip_prefix('[')
            .and_then(|text| text.strip_suffix(']'));
        let address: Ipv6Addr = inside.unwrap_or(text).parse().map_err(drop)?;
        return Ok(address.to_string().into());
    }
    let wrong = |c: char| {
        c.is_whitespace() || c.is_control() || matches!(c, '/' | '@' | '[' | ']' | '?' | '#')
    };
    if text.is_empty() || text.contains(wrong) {
        return Err(());
    }
    Ok(text.to_ascii_lowercase().into())
}
