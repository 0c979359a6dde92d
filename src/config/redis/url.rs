//! A Redis as a URL: `redis://`, `rediss://`, and `unix://` or `redis+unix://` for a socket.

use std::path::PathBuf;

use super::host;
use crate::types::RedisAddress;

/// The port of a Redis that names none.
pub(super) const PORT: u16 = 6379;

/// What a URL says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parsed {
    pub(super) address: RedisAddress,
    pub(super) tls: bool,
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
    pub(super) database: Option<u32>,
    /// Names of parameters behind the `?` that say nothing here.
    pub(super) ignored: Vec<String>,
}

/// The part of a URL that is wrong. The parts shown are never the password.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Problem {
    Scheme,
    Host,
    /// The port, if no password can be in it.
    Port(Option<String>),
    Database,
    Password,
    /// A `%` that does not stand before two hexadecimal digits of UTF-8 text.
    Percent,
    /// The path of a socket.
    Path,
}

impl Problem {
    /// In words; `literal` says that the URL stands in the file, so that its harmless parts may be shown.
    pub(super) fn say(&self, literal: bool) -> String {
        match self {
            Self::Scheme => {
                "the URL does not begin with redis://, rediss://, unix:// or redis+unix://".to_owned()
            }
            Self::Host => "the host of the URL is missing or is no host".to_owned(),
            Self::Port(Some(port)) if literal => {
                format!("the port of the URL, \"{port}\", is not a number from 1 to 65535")
            }
            Self::Port(_) => "the port of the URL is not a number from 1 to 65535".to_owned(),
            Self::Database => "the database of the URL is not a number".to_owned(),
            Self::Password => "the password of the URL has a \"/\", \"?\" or \"#\" in it, which must be written as %2F, %3F, %23".to_owned(),
            Self::Percent => "user and password of the URL are written with %XX, and there is a \"%\" that begins none; write %25 for \"%\"".to_owned(),
            Self::Path => "the path of the socket in the URL is missing or not absolute".to_owned(),
        }
    }
}

/// Reads a URL. User, password and the path of a socket are percent-decoded.
pub(super) fn parse(url: &str) -> Result<Parsed, Problem> {
    let url = url.trim();
    let (scheme, rest) = url.split_once("://").ok_or(Problem::Scheme)?;
    match scheme {
        "redis" | "rediss" => server(rest, scheme == "rediss"),
        "unix" | "redis+unix" => socket(rest),
        _ => Err(Problem::Scheme),
    }
}

fn server(rest: &str, tls: bool) -> Result<Parsed, Problem> {
    let (authority, path) = rest
        .find(['/', '?', '#'])
        .map_or((rest, ""), |at| rest.split_at(at));
    if path.contains('@') {
        return Err(Problem::Password);
    }
    let (login, place) = authority
        .rsplit_once('@')
        .map_or((None, authority), |(login, place)| (Some(login), place));
    let (name, port) = match place
        .strip_prefix('[')
        .and_then(|inside| inside.split_once(']'))
    {
        Some((host, "")) => (host, None),
        Some((host, rest)) => (host, Some(rest.strip_prefix(':').ok_or(Problem::Host)?)),
        None => place
            .rsplit_once(':')
            .map_or((place, None), |(host, port)| (host, Some(port))),
    };
    if name.is_empty() {
        return Err(Problem::Host);
    }
    // "user:password" without an @ would be taken for host and port, so nothing is shown unless there was one.
    let shown = |port: &str| Problem::Port(login.map(|_| port.chars().take(20).collect()));
    let port = match port {
        None => PORT,
        Some(text) => {
            let port = text.parse().ok().filter(|port| *port > 0);
            port.ok_or_else(|| shown(text))?
        }
    };
    let name = host(name).map_err(|_| Problem::Host)?;
    let (path, query) = query(path);
    let path = path.strip_prefix('/').unwrap_or(path);
    let (username, password) = login_of(login)?;
    let mut parsed = Parsed {
        address: RedisAddress::Tcp(name, port),
        tls,
        username,
        password,
        database: (!path.is_empty()).then(|| number(path)).transpose()?,
        ignored: Vec::new(),
    };
    for (key, value) in query {
        match key {
            "db" => parsed.database = Some(number(value)?),
            _ => parsed.ignored.push(key.to_owned()),
        }
    }
    Ok(parsed)
}

/// As redis-rs writes it (`redis+unix:///path?db=1&user=u&pass=p`) and as redis-py does (`unix://u:p@/path?db=1`).
fn socket(rest: &str) -> Result<Parsed, Problem> {
    let (path, query) = query(rest);
    let slash = path.find('/').ok_or(Problem::Path)?;
    let (login, path) = path.split_at(slash);
    let login = match login {
        "" => None,
        login => Some(login.strip_suffix('@').ok_or(Problem::Path)?),
    };
    let path = decoded(path)?;
    if path == "/" {
        return Err(Problem::Path);
    }
    let (username, password) = login_of(login)?;
    let mut parsed = Parsed {
        address: RedisAddress::Unix(PathBuf::from(path)),
        tls: false,
        username,
        password,
        database: None,
        ignored: Vec::new(),
    };
    for (key, value) in query {
        match key {
            "db" => parsed.database = Some(number(value)?),
            "user" => parsed.username = filled(value)?,
            "pass" => parsed.password = filled(value)?,
            _ => parsed.ignored.push(key.to_owned()),
        }
    }
    Ok(parsed)
}

fn number(text: &str) -> Result<u32, Problem> {
    text.parse().map_err(|_| Problem::Database)
}

/// What stands before a `?`, and the parameters behind it.
fn query(text: &str) -> (&str, impl Iterator<Item = (&str, &str)>) {
    let text = text.split('#').next().unwrap_or(text);
    let (path, query) = text.split_once('?').unwrap_or((text, ""));
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    (
        path,
        pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))),
    )
}

type Login = (Option<String>, Option<String>);

/// User and password; what is empty is not there.
fn login_of(text: Option<&str>) -> Result<Login, Problem> {
    let Some(text) = text else {
        return Ok((None, None));
    };
    let (username, password) = text.split_once(':').unwrap_or((text, ""));
    Ok((filled(username)?, filled(password)?))
}

fn filled(text: &str) -> Result<Option<String>, Problem> {
    Ok(Some(decoded(text)?).filter(|text| !text.is_empty()))
}

/// With every `%XX` replaced.
fn decoded(text: &str) -> Result<String, Problem> {
    let mut parts = text.split('%');
    let mut out = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let byte = part
            .get(..2)
            .filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
        let byte = byte.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        out.push(byte.ok_or(Problem::Percent)?);
        out.extend_from_slice(&part.as_bytes()[2..]);
    }
    String::from_utf8(out).map_err(|_| Problem::Percent)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_bad_part_is_named() {
        for (url, expected) in [
            ("redis://:mypassword@host:6379", None),
            ("rediss://user:password@host", None),
            ("redis://host/0", None),
            ("redis://[::1]:6379/2?x=y", None),
            ("redis://:p%40w@host:1", None),
            (
                "redis://:mypassword@host:port",
                Some(Problem::Port(Some("port".to_owned()))),
            ),
            ("redis://user:password", Some(Problem::Port(None))),
            ("redis://:pass/word@host:1", Some(Problem::Password)),
            ("redis://:x@:1", Some(Problem::Host)),
            ("redis://[::1", Some(Problem::Port(None))),
            ("redis://[::1]6379", Some(Problem::Host)),
            ("redis://[::g]:6379", Some(Problem::Host)),
            ("redis://host:0", Some(Problem::Port(None))),
            ("redis://host/db", Some(Problem::Database)),
            ("redis://host?db=x", Some(Problem::Database)),
            ("redis://:50%@host", Some(Problem::Percent)),
            ("redis://:%ff@host", Some(Problem::Percent)),
            ("http://host", Some(Problem::Scheme)),
            ("unix://", Some(Problem::Path)),
            ("unix:///", Some(Problem::Path)),
            ("unix://run/redis.sock", Some(Problem::Path)),
            ("", Some(Problem::Scheme)),
        ] {
            assert_eq!(parse(url).err(), expected, "{url}");
        }
    }

    #[test]
    fn every_part_is_read() {
        let tcp = |host: &str, port| RedisAddress::Tcp(Arc::from(host), port);
        let unix = |path: &str| RedisAddress::Unix(path.into());
        let some = |text: &str| Some(text.to_owned());
        for (url, address, tls, login, database) in [
            ("redis://h", tcp("h", 6379), false, (None, None), None),
            (
                "rediss://H.Example:1/",
                tcp("h.example", 1),
                true,
                (None, None),
                None,
            ),
            (
                "redis://:p%40%2Fw@h/3",
                tcp("h", 6379),
                false,
                (None, some("p@/w")),
                Some(3),
            ),
            (
                "redis://u:p@w@h",
                tcp("h", 6379),
                false,
                (some("u"), some("p@w")),
                None,
            ),
            (
                "redis://u@h?db=2",
                tcp("h", 6379),
                false,
                (some("u"), None),
                Some(2),
            ),
            (
                "redis://:@[0:0::1]",
                tcp("::1", 6379),
                false,
                (None, None),
                None,
            ),
            (
                "unix:///run/r%20s.sock",
                unix("/run/r s.sock"),
                false,
                (None, None),
                None,
            ),
            (
                "redis+unix:///r?db=1&user=u&pass=%3D",
                unix("/r"),
                false,
                (some("u"), some("=")),
                Some(1),
            ),
            (
                "unix://u:p@/r?db=4",
                unix("/r"),
                false,
                (some("u"), some("p")),
                Some(4),
            ),
        ] {
            let (username, password) = login;
            let ignored = Vec::new();
            let expected = Parsed {
                address,
                tls,
                username,
                password,
                database,
                ignored,
            };
            assert_eq!(parse(url), Ok(expected), "{url}");
        }
        let ignored = parse("rediss://h?ssl_cert_reqs=none&db=1&x").map(|parsed| parsed.ignored);
        assert_eq!(
            ignored,
            Ok(vec!["ssl_cert_reqs".to_owned(), "x".to_owned()])
        );
    }

    proptest! {
        #[test]
        fn a_password_is_never_repeated(password in "[a-z/:@#?%]{0,12}", tail in "[a-z:/0-9]{0,8}") {
            let marked = format!("QQ{password}QQ");
            for scheme in ["redis", "unix"] {
                if let Err(problem) = parse(&format!("{scheme}://:{marked}@{tail}")) {
                    prop_assert!(!problem.say(true).contains("QQ"));
                }
            }
        }

        #[test]
        fn never_panics(text in "(redis|rediss|unix)://.*") {
            let _ = parse(&text);
        }

        #[test]
        fn decoding_undoes_encoding(text in "\\PC{0,12}") {
            let encoded: String = text.bytes().map(|b| format!("%{b:02X}")).collect();
            prop_assert_eq!(decoded(&encoded), Ok(text));
        }
    }
}
