//! The `redis_*` keys. Nothing is connected to yet, but what would fail later is refused now, with the bad part named.

use super::context::Context;
use super::tree::Node;

/// Checks host and URL of a router.
pub(super) fn check(ctx: &mut Context<'_>, node: &Node, path: &str) {
    if let Some(host) = node.get("redis_host").and_then(Node::scalar) {
        let text = host.text.trim();
        let message = if text.is_empty() {
            Some("the host is empty")
        } else if text.contains("://") {
            Some("this is a URL; write it as redis_url")
        } else if text.contains(['/', '@', ' ']) || text.matches(':').count() == 1 {
            Some("not a host name; the port stands in redis_port, the password in redis_password")
        } else {
            None
        };
        if let Some(message) = message {
            ctx.findings.error(
                node.place("redis_host"),
                &format!("{path}.redis_host"),
                message,
            );
        }
    } else if node.get("redis_url").is_none()
        && let Some(key) = ["redis_port", "redis_password", "redis_db"]
            .iter()
            .find(|key| node.get(key).is_some())
    {
        let message = "says nothing without redis_host or redis_url";
        ctx.findings
            .warning(node.place(key), &format!("{path}.{key}"), message);
    }
    if let Some(url) = node.get("redis_url").and_then(Node::scalar) {
        let key = format!("{path}.redis_url");
        if let Err(problem) = parse(&url.text) {
            let allowed =
                "allowed: redis://[user][:password@]host[:port][/database], or rediss:// for TLS";
            ctx.findings.error(
                node.place("redis_url"),
                &key,
                format!("{}; {allowed}", problem.say(url.variables.is_empty())),
            );
        } else if node.get("redis_host").is_some() {
            ctx.findings.warning(
                node.place("redis_url"),
                &key,
                "wins over redis_host and redis_port",
            );
        }
    }
}

/// The part of a Redis URL that is wrong. The parts shown are never the password.
#[derive(Debug, PartialEq, Eq)]
enum Problem {
    Scheme,
    Host,
    /// The port, if no password can be in it.
    Port(Option<String>),
    Database,
    Password,
}

impl Problem {
    /// In words; `literal` says that the URL stands in the file, so that its harmless parts may be shown.
    fn say(&self, literal: bool) -> String {
        match self {
            Self::Scheme => "the URL does not begin with redis:// or rediss://".to_owned(),
            Self::Host => "the host of the URL is missing".to_owned(),
            Self::Port(Some(port)) if literal => format!("the port of the URL, \"{port}\", is not a number from 1 to 65535"),
            Self::Port(_) => "the port of the URL is not a number from 1 to 65535".to_owned(),
            Self::Database => "the database of the URL is not a number".to_owned(),
            Self::Password => "the password of the URL has a \"/\", \"?\" or \"#\" in it, which must be written as %2F, %3F, %23".to_owned(),
        }
    }
}

fn parse(url: &str) -> Result<(), Problem> {
    let url = url.trim();
    let rest = url
        .strip_prefix("redis://")
        .or_else(|| url.strip_prefix("rediss://"))
        .ok_or(Problem::Scheme)?;
    let (authority, path) = rest
        .find(['/', '?', '#'])
        .map_or((rest, ""), |at| rest.split_at(at));
    if path.contains('@') {
        return Err(Problem::Password);
    }
    let (secret, place) = authority
        .rsplit_once('@')
        .map_or((false, authority), |(_, place)| (true, place));
    let (host, port) = match place
        .strip_prefix('[')
        .and_then(|inside| inside.split_once(']'))
    {
        Some((host, rest)) => (host, rest.strip_prefix(':')),
        None => place
            .rsplit_once(':')
            .map_or((place, None), |(host, port)| (host, Some(port))),
    };
    if host.is_empty() {
        return Err(Problem::Host);
    }
    if let Some(port) = port
        && !port.parse::<u16>().is_ok_and(|port| port > 0)
    {
        // "user:password" without an @ would be taken for host and port, so nothing is shown unless there was one.
        return Err(Problem::Port(
            secret.then(|| port.chars().take(20).collect()),
        ));
    }
    let database = path
        .strip_prefix('/')
        .map_or("", |path| path.split(['?', '#']).next().unwrap_or(""));
    if !database.is_empty() && database.parse::<u32>().is_err() {
        return Err(Problem::Database);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_bad_part_is_named() {
        for (url, expected) in [
            ("redis://:mypassword@host:6379", Ok(())),
            ("rediss://user:password@host", Ok(())),
            ("redis://host/0", Ok(())),
            ("redis://[::1]:6379/2?x=y", Ok(())),
            ("redis://:p%40w@host:1", Ok(())),
            (
                "redis://:mypassword@host:port",
                Err(Problem::Port(Some("port".to_owned()))),
            ),
            ("redis://user:password", Err(Problem::Port(None))),
            ("redis://:pass/word@host:1", Err(Problem::Password)),
            ("redis://:x@:1", Err(Problem::Host)),
            ("redis://host:0", Err(Problem::Port(None))),
            ("redis://host/db", Err(Problem::Database)),
            ("http://host", Err(Problem::Scheme)),
            ("", Err(Problem::Scheme)),
        ] {
            assert_eq!(parse(url), expected, "{url}");
        }
    }

    proptest! {
        #[test]
        fn a_password_is_never_repeated(password in "[a-z/:@#?]{0,12}", tail in "[a-z:/0-9]{0,8}") {
            let marked = format!("XX{password}XX");
            if let Err(problem) = parse(&format!("redis://:{marked}@{tail}")) {
                prop_assert!(!problem.say(true).contains("XX"));
            }
        }
    }
}
