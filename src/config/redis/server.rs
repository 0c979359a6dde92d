//! One server, by URL or by host and port, and what the environment adds.

use std::net::Ipv6Addr;
use std::sync::Arc;

use super::tls;
use super::url::{self, PORT, Parsed};
use crate::config::check::join;
use crate::config::context::Context;
use crate::config::tree::Node;
use crate::types::{RedisAddress, RedisLogin, Secret};

/// How the parts of a connection are called.
pub(super) struct Names {
    pub(super) url: &'static str,
    pub(super) host: &'static str,
    pub(super) port: &'static str,
    pub(super) username: &'static str,
    pub(super) password: &'static str,
    pub(super) db: &'static str,
    pub(super) tls: &'static str,
}

/// In a router.
pub(super) const ROUTER: Names = Names {
    url: "redis_url",
    host: "redis_host",
    port: "redis_port",
    username: "redis_username",
    password: "redis_password",
    db: "redis_db",
    tls: "redis_ssl",
};

/// In `waypost.redis`.
pub(super) const OWN: Names = Names {
    url: "url",
    host: "host",
    port: "port",
    username: "username",
    password: "password",
    db: "db",
    tls: "tls",
};

impl Names {
    /// Whatever names a server says one of these.
    const fn all(&self) -> [&'static str; 7] {
        [
            self.url,
            self.host,
            self.port,
            self.username,
            self.password,
            self.db,
            self.tls,
        ]
    }
}

/// Whether a mapping speaks of a server at all.
pub(super) fn named(node: &Node, names: &Names) -> bool {
    names.all().iter().any(|key| node.get(key).is_some())
}

/// One server, as it is written.
pub(super) struct Server {
    pub(super) address: RedisAddress,
    pub(super) login: RedisLogin,
    pub(super) database: u32,
    pub(super) tls: bool,
}

/// A password that stands in the file.
pub(super) fn secret_in_clear(ctx: &mut Context<'_>, node: &Node, path: &str) {
    let literal = node
        .get("password")
        .and_then(Node::scalar)
        .is_some_and(|scalar| !scalar.raw.is_empty() && !scalar.raw.contains("${"));
    if literal {
        let message =
            "a secret in clear text; put it into an environment variable and write ${NAME}";
        ctx.findings
            .warning(node.place("password"), &join(path, "password"), message);
    }
}

/// What the keys of a mapping say of one server; what is wrong is reported. `None` if they say nothing, too.
pub(super) fn read(
    ctx: &mut Context<'_>,
    node: &Node,
    path: &str,
    names: &Names,
) -> Option<Server> {
    if !named(node, names) {
        return None;
    }
    let mut env = Environment::default();
    let server = place(ctx, node, path, names, &mut env).map(|parsed| {
        // A URL with a user or a password has the whole login.
        let (username, password) = if parsed.has_login() {
            (parsed.username, parsed.password)
        } else {
            login(ctx, node, names, &mut env)
        };
        let database = match (parsed.database, node.get(names.db)) {
            (Some(database), _) => Some(database),
            (None, Some(_)) => node.count_32(names.db),
            (None, None) => env.number(ctx, "REDIS_DB"),
        };
        Server {
            address: parsed.address,
            login: as_login(username, password),
            database: database.unwrap_or_default(),
            tls: parsed.tls,
        }
    });
    env.tell(ctx, node, path, names);
    server
}

/// Where the server is, with what a URL says besides.
fn place(
    ctx: &mut Context<'_>,
    node: &Node,
    path: &str,
    names: &Names,
    env: &mut Environment,
) -> Option<Parsed> {
    let tls = node.get(names.tls).and_then(tls::switch);
    if node.get(names.url).is_some() {
        let parsed = by_url(ctx, node, path, names)?;
        return agrees(ctx, node, path, names, parsed, tls);
    }
    let host = match node.get(names.host) {
        Some(_) => by_host(ctx, node, path, names)?,
        None => {
            if let Some(url) = env.text(ctx, "REDIS_URL") {
                return match url::parse(&url) {
                    Ok(parsed) => agrees(ctx, node, path, names, parsed, tls),
                    Err(problem) => {
                        let message =
                            format!("REDIS_URL of the environment: {}", problem.say(false));
                        ctx.findings.error(node.at, path, message);
                        None
                    }
                };
            }
            let Some(text) = env.text(ctx, "REDIS_HOST") else {
                nothing(ctx, node, path, names);
                return None;
            };
            let Ok(host) = host(text.trim()) else {
                let message = "REDIS_HOST of the environment is not a host name";
                ctx.findings.error(node.at, path, message);
                return None;
            };
            host
        }
    };
    let port = node
        .count(names.port)
        .and_then(|port| u16::try_from(port).ok());
    let port = match node.get(names.port) {
        Some(_) => port,
        None => env
            .number::<u16>(ctx, "REDIS_PORT")
            .filter(|port| *port > 0),
    };
    Some(Parsed {
        address: RedisAddress::Tcp(host, port.unwrap_or(PORT)),
        tls: tls.unwrap_or_else(|| node.get(names.tls).is_none() && env.flag(ctx, "REDIS_SSL")),
        username: None,
        password: None,
        database: None,
        ignored: Vec::new(),
    })
}

/// Keys that say how to get somewhere, and none that says where.
fn nothing(ctx: &mut Context<'_>, node: &Node, path: &str, names: &Names) {
    let others = names.all();
    if let Some(key) = others.iter().find(|key| node.get(key).is_some()) {
        let message = format!(
            "says nothing without {} or {}, or REDIS_HOST or REDIS_URL in the environment",
            names.host, names.url
        );
        ctx.findings
            .warning(node.place(key), &join(path, key), message);
    }
}

/// A URL says itself whether there is TLS; what stands beside it must not say otherwise.
fn agrees(
    ctx: &mut Context<'_>,
    node: &Node,
    path: &str,
    names: &Names,
    parsed: Parsed,
    tls: Option<bool>,
) -> Option<Parsed> {
    let message = match (tls, &parsed.address) {
        (Some(true), RedisAddress::Unix(_)) => "there is no TLS on a socket in the file system",
        (Some(true), RedisAddress::Tcp(..)) if !parsed.tls => {
            "the URL begins with redis://, which is without TLS; write rediss://"
        }
        (Some(false), _) if parsed.tls => {
            "the URL begins with rediss://, which is with TLS; write redis://"
        }
        _ => return Some(parsed),
    };
    ctx.findings
        .error(node.place(names.tls), &join(path, names.tls), message);
    None
}

fn by_url(ctx: &mut Context<'_>, node: &Node, path: &str, names: &Names) -> Option<Parsed> {
    let (at, key) = (node.place(names.url), join(path, names.url));
    let scalar = node.get(names.url)?.scalar()?;
    let parsed = match url::parse(&scalar.text) {
        Ok(parsed) => parsed,
        Err(problem) => {
            let allowed = "allowed: redis://[user][:password@]host[:port][/database], or rediss:// for TLS, or unix:///path?db=0";
            let message = format!("{}; {allowed}", problem.say(scalar.variables.is_empty()));
            ctx.findings.error(at, &key, message);
            return None;
        }
    };
    if !parsed.ignored.is_empty() {
        let known = match &parsed.address {
            RedisAddress::Tcp(..) => "db",
            RedisAddress::Unix(_) => "db, user, pass",
        };
        let message = format!(
            "parameters of the URL that are without effect: {}; known: {known}",
            parsed.ignored.join(", ")
        );
        ctx.findings.warning(at, &key, message);
    }
    if node.get(names.host).is_some() {
        let message = format!("wins over {} and {}", names.host, names.port);
        ctx.findings.warning(at, &key, message);
    }
    let login = parsed.has_login();
    for (key, given) in [
        (names.username, login),
        (names.password, login),
        (names.db, parsed.database.is_some()),
    ] {
        if given && node.get(key).is_some() && !repeats(node, key, names, &parsed) {
            let message = format!("without effect: {} has it, too, and wins", names.url);
            ctx.findings
                .warning(node.place(key), &join(path, key), message);
        }
    }
    Some(parsed)
}

/// Whether a key beside a URL says the same as it.
fn repeats(node: &Node, key: &str, names: &Names, parsed: &Parsed) -> bool {
    if key == names.db {
        node.count_32(key) == parsed.database
    } else if key == names.username {
        node.filled(key) == parsed.username
    } else {
        node.filled(key) == parsed.password
    }
}

fn by_host(ctx: &mut Context<'_>, node: &Node, path: &str, names: &Names) -> Option<Arc<str>> {
    let text = node.get(names.host)?.scalar()?.text.trim();
    let message = if text.is_empty() {
        "the host is empty".to_owned()
    } else if text.contains("://") {
        format!("this is a URL; write it as {}", names.url)
    } else if text.starts_with('/') {
        format!("this is a path; write {}: unix:///path", names.url)
    } else if let Ok(host) = host(text) {
        return Some(host);
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

/// User and password, of the file or else of the environment.
pub(super) fn login(
    ctx: &Context<'_>,
    node: &Node,
    names: &Names,
    env: &mut Environment,
) -> (Option<String>, Option<String>) {
    let mut part = |key: &str, variable| match node.get(key) {
        Some(_) => node.filled(key),
        None => env.text(ctx, variable),
    };
    (
        part(names.username, "REDIS_USERNAME"),
        part(names.password, "REDIS_PASSWORD"),
    )
}

/// `default` is the user of who names none.
pub(super) fn as_login(username: Option<String>, password: Option<String>) -> RedisLogin {
    RedisLogin {
        username: username.filter(|name| name != "default").map(Arc::from),
        password: password.map(Secret::new),
    }
}

/// The host, written in one way: names in small letters, addresses of IPv6 without brackets and as short as can be.
pub(super) fn host(text: &str) -> Result<Arc<str>, ()> {
    if text.contains(':') {
        let inside = text
            .strip_prefix('[')
            .and_then(|text| text.strip_suffix(']'));
        let address: Ipv6Addr = inside.unwrap_or(text).parse().map_err(drop)?;
        return Ok(address.to_string().into());
    }
    let wrong = |c: char| c.is_whitespace() || c.is_control() || "/@[]?#".contains(c);
    if text.is_empty() || text.contains(wrong) {
        return Err(());
    }
    Ok(text.to_ascii_lowercase().into())
}

/// What is taken from `REDIS_*` variables because the file does not say it: as LiteLLM and Rasa do, but never unsaid.
#[derive(Default)]
pub(super) struct Environment {
    used: Vec<&'static str>,
    /// Variables that are set to something else.
    wrong: Vec<&'static str>,
}

impl Environment {
    fn text(&mut self, ctx: &Context<'_>, name: &'static str) -> Option<String> {
        let found = ctx.first_set(&[name])?;
        self.used.push(name);
        Some(found)
    }

    fn number<N: std::str::FromStr>(&mut self, ctx: &Context<'_>, name: &'static str) -> Option<N> {
        let number = ctx.first_set(&[name])?.trim().parse().ok();
        let list = if number.is_some() {
            &mut self.used
        } else {
            &mut self.wrong
        };
        list.push(name);
        number
    }

    fn flag(&mut self, ctx: &Context<'_>, name: &'static str) -> bool {
        let Some(text) = ctx.first_set(&[name]) else {
            return false;
        };
        match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" => {
                self.used.push(name);
                true
            }
            "false" | "0" => false,
            _ => {
                self.wrong.push(name);
                false
            }
        }
    }

    /// Says what was taken, and what was not.
    pub(super) fn tell(&self, ctx: &mut Context<'_>, node: &Node, path: &str, names: &Names) {
        let first = names.all().into_iter().find(|key| node.get(key).is_some());
        let at = first.map_or(node.at, |key| node.place(key));
        if !self.used.is_empty() {
            let message = format!(
                "the environment says what is left out here: {}",
                self.used.join(", ")
            );
            ctx.findings.warning(at, path, message);
        }
        for name in &self.wrong {
            let message = match *name {
                "REDIS_PORT" => "REDIS_PORT of the environment is no port (Kubernetes sets it to a URL where a service is called redis), so it is left aside; write the port into the file".to_owned(),
                "REDIS_SSL" => "REDIS_SSL of the environment is neither true nor false, so it is left aside".to_owned(),
                _ => format!("{name} of the environment is not a number, so it is left aside"),
            };
            ctx.findings.warning(at, path, message);
        }
    }
}
