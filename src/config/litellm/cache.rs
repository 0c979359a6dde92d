//! `cache_params` and `cache_kwargs`: what a group's cache is, and the Redis they name.

use super::build::{Fields, list, raw};
use super::keys::CACHE;
use super::router::Sections;
use super::sift::{find, sift};
use crate::config::check::{is_off, join};
use crate::config::context::Context;
use crate::config::tree::{Entry, Node, Value};

/// What says where a Redis is, or how it is spoken to, and what it is in `waypost.redis`.
const PLACE: [(&str, &str); 6] = [
    ("url", "url"),
    ("host", "host"),
    ("port", "port"),
    ("username", "username"),
    ("password", "password"),
    ("db", "db"),
];

/// The files of TLS.
const FILES: [(&str, &str); 3] = [
    ("ssl_ca_certs", "ca"),
    ("ssl_certfile", "certificate"),
    ("ssl_keyfile", "key"),
];

const NODES: [&str; 2] = ["redis_startup_nodes", "startup_nodes"];
const SENTINELS: [&str; 3] = ["sentinel_nodes", "service_name", "sentinel_password"];

/// Whether a key is about the Redis, and not about the cache in it.
fn is_place(key: &str) -> bool {
    let pairs = PLACE.iter().chain(&FILES).map(|(name, _)| *name);
    let others = NODES.into_iter().chain(SENTINELS).chain(["ssl"]);
    pairs.chain(others).any(|name| name == key)
}

/// The mapping that describes the cache, and where it stands.
fn described<'n>(sections: &Sections<'n>) -> Option<(&'n Entry, String)> {
    let own = find(&sections.router, "cache_kwargs").map(|entry| (entry, "router_settings"));
    let params = find(&sections.settings, "cache_params").map(|entry| (entry, "litellm_settings"));
    let (entry, section) = own.or(params)?;
    Some((entry, join(section, &entry.key)))
}

/// `cache_responses` and `cache_kwargs` of the routers.
pub(super) fn kwargs(ctx: &mut Context<'_>, sections: &Sections<'_>, fields: &mut Fields) {
    if let Some(entry) = find(&sections.settings, "cache") {
        fields.offer("cache_responses", entry);
    }
    let Some((entry, path)) = described(sections) else {
        return;
    };
    let mut kwargs = Fields::new(entry.value.at);
    for param in sift(ctx, &entry.value, &CACHE, &path) {
        if param.key == "type" {
            by_kind(ctx, param, &path, &mut kwargs);
        } else if !is_place(&param.key) {
            kwargs.put(&param.key, param);
        }
    }
    if !kwargs.is_empty() {
        fields.set("cache_kwargs", entry.at, kwargs.done());
    }
}

/// What is not kept where the file wants it, or not found as it wants it.
fn by_kind(ctx: &mut Context<'_>, param: &Entry, path: &str, kwargs: &mut Fields) {
    match raw(&param.value) {
        Some(kind) if kind.ends_with("-semantic") => {
            let message = "only equal requests are answered from the cache, not similar ones";
            ctx.findings
                .warning(param.value.at, &join(path, "type"), message);
        }
        Some("redis") => {}
        _ => kwargs.put("type", param),
    }
}

/// `waypost.redis`, as the cache names it; unless the router has one, or the file's own section `waypost`.
pub(super) fn redis(
    ctx: &mut Context<'_>,
    sections: &Sections<'_>,
    own: Option<&Node>,
    waypost: &mut Fields,
) {
    // A cache that nothing describes is in the Redis of the environment, too.
    let cache = || {
        let entry = find(&sections.settings, "cache")?;
        Some((entry, join("litellm_settings", &entry.key)))
    };
    let Some((entry, path)) = described(sections).or_else(cache) else {
        return;
    };
    let params: Vec<&Entry> = entry
        .value
        .entries()
        .iter()
        .filter(|param| !matches!(param.value.value, Value::Null))
        .collect();
    let on = ["cache", "cache_responses"]
        .into_iter()
        .find_map(|key| sections.either(key))
        .is_some_and(|(entry, _)| !is_off(&entry.value));
    let kind = find(&params, "type").and_then(|kind| raw(&kind.value));
    let wanted =
        kind.is_none_or(|kind| matches!(kind, "redis" | "redis-semantic" | "valkey-semantic"));
    if !on || !wanted || own.is_some_and(|own| own.get("redis").is_some()) {
        return;
    }
    let router = ["redis_url", "redis_host"];
    let router = router.iter().find_map(|key| find(&sections.router, key));
    let place = params.iter().find(|param| is_place(&param.key));
    if let Some(router) = router {
        let same = find(&params, router.key.trim_start_matches("redis_"))
            .is_some_and(|param| raw(&param.value) == raw(&router.value));
        if let Some(place) = place.filter(|_| !same) {
            let message = "without effect: answers are kept in the Redis of router_settings";
            ctx.findings
                .warning(place.at, &join(&path, &place.key), message);
        }
        return;
    }
    let mut fields = Fields::new(entry.value.at);
    for (name, key) in PLACE {
        if let Some(param) = find(&params, name) {
            fields.put(key, param);
        }
    }
    tls(&params, &mut fields);
    many(ctx, &params, &path, &mut fields);
    from_environment(ctx, entry, kind, &path, &mut fields);
    if !fields.is_empty() {
        waypost.set("redis", entry.at, fields.done());
    }
}

fn tls(params: &[&Entry], fields: &mut Fields) {
    let switch = find(params, "ssl");
    let mut files = Fields::new(fields.at());
    for (name, key) in FILES {
        if let Some(param) = find(params, name) {
            files.put(key, param);
        }
    }
    let off = switch.is_some_and(|switch| is_off(&switch.value));
    match switch {
        Some(switch) if files.is_empty() || off => fields.put("tls", switch),
        _ if !files.is_empty() => fields.set("tls", fields.at(), files.done()),
        _ => {}
    }
}

fn many(ctx: &mut Context<'_>, params: &[&Entry], path: &str, fields: &mut Fields) {
    if let Some(nodes) = NODES.iter().find_map(|key| find(params, key)) {
        let servers = servers(ctx, nodes, path);
        fields.set("cluster", nodes.at, servers);
    }
    let Some(first) = SENTINELS.iter().find_map(|key| find(params, key)) else {
        return;
    };
    let mut sentinel = Fields::new(first.at);
    if let Some(nodes) = find(params, "sentinel_nodes") {
        let servers = servers(ctx, nodes, path);
        sentinel.set("nodes", nodes.at, servers);
    }
    if let Some(name) = find(params, "service_name") {
        sentinel.put("master", name);
    }
    if let Some(password) = find(params, "sentinel_password") {
        sentinel.put("password", password);
    }
    fields.set("sentinel", first.at, sentinel.done());
}

/// `[{host: h, port: 1}]` and `[[h, 1]]` as `[h:1]`.
fn servers(ctx: &mut Context<'_>, nodes: &Entry, path: &str) -> Node {
    let mut all = Vec::new();
    for (i, item) in nodes.value.items().iter().enumerate() {
        let (host, port) = match &item.value {
            Value::Map(_) => (item.get("host"), item.get("port")),
            Value::List(pair) => (pair.first(), pair.get(1)),
            Value::Scalar(_) | Value::Null => (Some(item), None),
        };
        let Some(host) = host.and_then(raw) else {
            let message = "has no host; a server is {host: …, port: …}, or [host, port]";
            let path = format!("{}[{i}]", join(path, &nodes.key));
            ctx.findings.error(item.at, &path, message);
            continue;
        };
        let text = match port.and_then(raw) {
            Some(port) if host.contains(':') && !host.starts_with('[') && !host.contains("${") => {
                format!("[{host}]:{port}")
            }
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        all.push(Node::made_up(item.at, &text));
    }
    list(nodes.value.at, all)
}

/// `type: redis` without a place: LiteLLM takes `REDIS_URL`, or `REDIS_HOST` and `REDIS_PORT`.
fn from_environment(
    ctx: &mut Context<'_>,
    entry: &Entry,
    kind: Option<&str>,
    path: &str,
    fields: &mut Fields,
) {
    let places = ["url", "host", "cluster", "sentinel"];
    if places.iter().any(|key| fields.has(key)) {
        return;
    }
    let found = [("url", "REDIS_URL"), ("host", "REDIS_HOST")]
        .into_iter()
        .find(|(_, name)| ctx.first_set(&[*name]).is_some());
    match found {
        Some((key, name)) => fields.say(key, entry.at, &format!("${{{name}}}")),
        None if kind.is_some() => {
            let message = "no Redis is named, so answers are kept in memory: there is no host or url here, and no REDIS_HOST or REDIS_URL in the environment";
            ctx.findings.warning(entry.at, path, message);
        }
        None => {}
    }
}
