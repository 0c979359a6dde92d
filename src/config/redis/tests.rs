//! The same settings in different words make equal targets.

use std::sync::Arc;

use proptest::prelude::*;

use crate::config::{Config, Finding, load_str};
use crate::types::{RedisAddress, RedisTarget, RedisTopology};

/// A configuration of one group, `router` and `redis` being flow mappings.
fn load(
    router: &str,
    redis: &str,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<(Config, Vec<Finding>), Vec<Finding>> {
    let yaml = format!(
        "model_groups: [{{id: g, models: [{{provider: ollama, model: m}}], router: {{routing_strategy: least-busy, {router}}}}}]\nwaypost: {{redis: {{{redis}}}}}\n"
    );
    load_str("test.yml", &yaml, env, false)
}

#[track_caller]
fn target(router: &str, redis: &str) -> RedisTarget {
    match load(router, redis, &|_| None) {
        Ok((config, _)) => {
            let redis = config.groups[0].router.redis.clone();
            Arc::unwrap_or_clone(redis.expect("a Redis"))
        }
        Err(findings) => panic!("{router} / {redis} is refused: {findings:#?}"),
    }
}

#[test]
fn what_is_written_in_two_ways_is_equal() {
    for (router, redis) in [
        ("redis_host: h", "host: h"),
        ("redis_host: H.Example", "url: 'redis://h.example'"),
        (
            "redis_host: h, redis_port: 6379, redis_db: 0",
            "url: 'redis://h:6379/0'",
        ),
        ("redis_host: h, redis_port: '7'", "url: 'redis://h:7'"),
        ("redis_host: '[::1]'", "url: 'redis://[0:0:0::1]'"),
        (
            "redis_host: '::1', redis_db: 2",
            "url: 'redis://[::1]:6379?db=2'",
        ),
        (
            "redis_host: h, redis_password: 'p@/w'",
            "url: 'redis://:p%40%2Fw@h'",
        ),
        (
            "redis_host: h, redis_password: p, redis_username: default",
            "url: 'redis://:p@h'",
        ),
        (
            "redis_host: h, redis_password: p, redis_username: u",
            "url: 'redis://u:p@h'",
        ),
        (
            "redis_host: h, redis_password: p",
            "url: 'redis://h', password: p",
        ),
        ("redis_host: h, redis_db: 3", "url: 'redis://h', db: 3"),
        ("redis_host: h, redis_ssl: true", "url: 'rediss://h'"),
        ("redis_host: h, redis_ssl: true", "host: h, tls: true"),
        ("redis_host: h, redis_ssl: true", "host: h, tls: {}"),
        (
            "redis_host: h, redis_ssl: false",
            "url: 'redis://h', tls: false",
        ),
        (
            "redis_url: 'unix:///r.sock?db=1'",
            "url: 'redis+unix:///r.sock?db=1'",
        ),
        (
            "redis_url: 'unix://u:p@/r'",
            "url: 'redis+unix:///r?user=u&pass=p'",
        ),
    ] {
        // Alone, and as what wins over another one for all.
        let in_router = target(router, "");
        assert_eq!(in_router, target("", redis), "{router} / {redis}");
        assert_eq!(in_router, target(router, "host: other"), "{router}");
    }
}

/// A group's own Redis takes from the one for all what its keys can't say.
#[test]
fn the_section_is_the_default_of_the_groups_own() {
    let own = target("redis_url: 'rediss://h'", "prefix: mine, timeout: 50ms");
    assert_eq!((&*own.prefix, own.timeout.as_millis()), ("mine", 50));
    let all = target("", "url: 'rediss://h', prefix: mine, timeout: 50ms");
    assert_eq!(own, all);
    let (config, _) = load("redis_host: h", "host: all", &|_| None).expect("loads");
    let place = config.groups[0]
        .router
        .redis
        .as_ref()
        .map(|redis| redis.place());
    assert_eq!(place.as_deref(), Some("h:6379"));
}

#[test]
fn several_servers_are_read() {
    let tcp = |host: &str, port| RedisAddress::Tcp(host.into(), port);
    let cluster = target(
        "",
        "cluster: [a, 'b:7', a], username: u, password: p, tls: true",
    );
    assert_eq!(
        cluster.topology,
        RedisTopology::Cluster(vec![tcp("a", 6379), tcp("b", 7)])
    );
    assert!(cluster.tls.is_some() && cluster.login.username.as_deref() == Some("u"));
    let both = target(
        "",
        "sentinel: {master: m, nodes: [a, 'b:7'], password: s}, password: p, db: 2, tls: true",
    );
    let RedisTopology::Sentinel {
        sentinels,
        master,
        login,
        tls,
    } = &both.topology
    else {
        panic!("{both:?}");
    };
    assert_eq!(
        (&**sentinels, &**master),
        (&[tcp("a", 26379), tcp("b", 7)][..], "m")
    );
    // Each hop has its own login, and TLS of the servers is that of the sentinels unless they say otherwise.
    assert!(login.password.is_some() && login.password != both.login.password);
    assert_eq!((both.database, tls), (2, &both.tls));
    let plain = target("", "sentinel: {master: m, nodes: a, tls: false}, tls: true");
    assert!(matches!(
        plain.topology,
        RedisTopology::Sentinel { tls: None, .. }
    ));
    assert!(plain.tls.is_some() && plain.login.password.is_none());
}

#[test]
fn the_environment_says_only_what_is_left_out() {
    let env = |name: &str| {
        let value = match name {
            "REDIS_HOST" => "envhost",
            "REDIS_PORT" => "7",
            "REDIS_USERNAME" => "envuser",
            "REDIS_PASSWORD" => "hidden-pw",
            "REDIS_DB" => "5",
            "REDIS_SSL" => "True",
            _ => return None,
        };
        Some(value.to_owned())
    };
    for (router, redis, url, said) in [
        ("", "", None, None),
        // Settings of every Redis name none.
        ("", "prefix: p, timeout: 1s", None, None),
        (
            "redis_host: h",
            "",
            Some("rediss://envuser:hidden-pw@h:7/5"),
            Some("REDIS_PORT, REDIS_SSL, REDIS_USERNAME, REDIS_PASSWORD, REDIS_DB"),
        ),
        (
            "",
            "password: p",
            Some("rediss://envuser:p@envhost:7/5"),
            Some("REDIS_HOST, REDIS_PORT"),
        ),
        (
            "",
            "host: h, port: 1, username: u, password: p, db: 0, tls: false",
            Some("redis://u:p@h:1"),
            None,
        ),
        ("redis_url: 'redis://u@h/0'", "", Some("redis://u@h"), None),
        (
            "redis_url: 'redis://h/0'",
            "",
            Some("redis://envuser:hidden-pw@h"),
            Some("REDIS_USERNAME, REDIS_PASSWORD"),
        ),
    ] {
        let (config, findings) = load(router, redis, &env).expect("loads");
        let found = config.groups[0].router.redis.as_deref().cloned();
        let expected = url.map(|url| target(&format!("redis_url: '{url}'"), ""));
        let prefix =
            |target: RedisTarget| (target.topology, target.login, target.database, target.tls);
        assert_eq!(
            found.map(prefix),
            expected.map(prefix),
            "{router} / {redis}"
        );
        let told: Vec<_> = findings
            .iter()
            .filter(|f| f.message.starts_with("the environment says"))
            .collect();
        assert_eq!(told.len(), usize::from(said.is_some()), "{findings:?}");
        assert!(
            said.is_none_or(|said| told[0].message.contains(said)),
            "{told:?}"
        );
        assert!(!format!("{findings:?} {config:?}").contains("hidden-pw"));
    }
}

/// Kubernetes gives every service a variable `<NAME>_PORT` that is a URL.
#[test]
fn a_port_that_is_none_is_told_about() {
    let env = |name: &str| (name == "REDIS_PORT").then(|| "tcp://10.0.0.1:6379".to_owned());
    let (config, findings) = load("redis_host: h", "", &env).expect("loads");
    assert!(
        findings.iter().any(|f| f.message.contains("Kubernetes")),
        "{findings:?}"
    );
    let place = config.groups[0]
        .router
        .redis
        .as_ref()
        .map(|redis| redis.place());
    assert_eq!(place.as_deref(), Some("h:6379"));
}

fn encoded(text: &str) -> String {
    text.bytes().map(|b| format!("%{b:02X}")).collect()
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

proptest! {
    #[test]
    fn a_url_and_its_parts_are_equal(
        host in "[a-zA-Z0-9][a-zA-Z0-9.-]{0,20}",
        port in 1u16..,
        username in "[a-z@:/'# é]{0,6}",
        password in "[a-zA-Z@:/'# é%?]{0,12}",
        db: u32,
        tls: bool,
    ) {
        // Blank text counts as none in the file, so a URL has it neither.
        prop_assume!(username.is_empty() || !username.trim().is_empty());
        prop_assume!(password.is_empty() || !password.trim().is_empty());
        let scheme = if tls { "rediss" } else { "redis" };
        let (user, secret) = (encoded(&username), encoded(&password));
        let url = format!("'{scheme}://{user}:{secret}@{host}:{port}/{db}'");
        let (username, password) = (quoted(&username), quoted(&password));
        let parts = |prefix: &str, tls_key: &str| format!(
            "{prefix}host: {}, {prefix}port: {port}, {prefix}username: {username}, {prefix}password: {password}, {prefix}db: {db}, {tls_key}: {tls}",
            quoted(&host)
        );
        let one = target(&format!("redis_url: {url}"), "");
        prop_assert_eq!(&one, &target("", &format!("url: {url}")));
        prop_assert_eq!(&one, &target(&parts("redis_", "redis_ssl"), ""));
        prop_assert_eq!(&one, &target("", &parts("", "tls")));
    }
}
