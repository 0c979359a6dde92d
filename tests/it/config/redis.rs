//! Redis, limits, the cache in Redis and the ledger: what is refused and with which words, and what `check` prints.

use std::time::Duration;

use waypost::config::{Config, Finding, Fsync, Severity, WhenFull, load};
use waypost::types::{Outage, RedisTopology};

use super::{HIDDEN, text};

const LIMITED: &str = "model_groups: [{id: g, models: [{provider: ollama, model: m, rpm: 9}], router: {routing_strategy: least-busy, ROUTER}}]\n";

fn of(router: &str, own: &str) -> Result<(Config, Vec<Finding>), Vec<Finding>> {
    text(&format!(
        "{}waypost: {own}\n",
        LIMITED.replace("ROUTER", router)
    ))
}

#[track_caller]
fn loads(router: &str, own: &str) -> Config {
    match of(router, own) {
        Ok((config, _)) => config,
        Err(findings) => panic!("{router} {own} is refused: {findings:#?}"),
    }
}

#[test]
fn what_can_not_be_meant_is_refused() {
    for (router, own, path, message) in [
        (
            "redis_host: 'h:1'",
            "{}",
            "router.redis_host",
            "the port stands in redis_port",
        ),
        (
            "redis_host: 'redis://h'",
            "{}",
            "router.redis_host",
            "write it as redis_url",
        ),
        (
            "redis_host: /run/r.sock",
            "{}",
            "router.redis_host",
            "redis_url: unix:///path",
        ),
        (
            "redis_host: ''",
            "{}",
            "router.redis_host",
            "the host is empty",
        ),
        (
            "redis_host: h, redis_port: 0",
            "{}",
            "router.redis_port",
            "from 1 to 65535",
        ),
        (
            "redis_url: 'redis://h', redis_ssl: true",
            "{}",
            "router.redis_ssl",
            "write rediss://",
        ),
        (
            "redis_url: 'rediss://h', redis_ssl: false",
            "{}",
            "router.redis_ssl",
            "write redis://",
        ),
        (
            "redis_url: 'unix:///r', redis_ssl: true",
            "{}",
            "router.redis_ssl",
            "no TLS on a socket",
        ),
        (
            "redis_url: 'redis://:50%@h'",
            "{}",
            "router.redis_url",
            "write %25",
        ),
        (
            "redis_hosts: h",
            "{}",
            "router.redis_hosts",
            "did you mean \"redis_host\"?",
        ),
        (
            "",
            "{redis: {url: h}}",
            "waypost.redis.url",
            "does not begin with redis://",
        ),
        (
            "",
            "{redis: {usrname: h}}",
            "waypost.redis.usrname",
            "did you mean \"username\"?",
        ),
        ("", "{redis: h}", "waypost.redis", "is not a mapping"),
        (
            "",
            "{redis: {host: h, tls: 1}}",
            "waypost.redis.tls",
            "a mapping of ca, certificate, key",
        ),
        (
            "",
            "{redis: {host: h, tls: {ca: none.pem}}}",
            "waypost.redis.tls.ca",
            "cannot be read",
        ),
        (
            "",
            "{redis: {host: h, tls: {ca: Cargo.toml}}}",
            "waypost.redis.tls.ca",
            "no certificate in it",
        ),
        (
            "",
            "{redis: {host: h, tls: {key: Cargo.toml}}}",
            "waypost.redis.tls.key",
            "no private key in it",
        ),
        (
            "",
            "{redis: {host: h, tls: {certificate: x}}}",
            "waypost.redis.tls.certificate",
            "key is missing",
        ),
        (
            "",
            "{redis: {host: h, tls: {key: x}}}",
            "waypost.redis.tls.key",
            "certificate is missing",
        ),
        (
            "",
            "{redis: {sentinel: {nodes: a}}}",
            "waypost.redis.sentinel",
            "master is required",
        ),
        (
            "",
            "{redis: {sentinel: {master: m}}}",
            "waypost.redis.sentinel",
            "nodes is required",
        ),
        (
            "",
            "{redis: {sentinel: {master: m, nodes: []}}}",
            "waypost.redis.sentinel.nodes",
            "the list is empty",
        ),
        (
            "",
            "{redis: {sentinel: {master: m, nodes: [a, 'b:x']}}}",
            "waypost.redis.sentinel.nodes[1]",
            "not a server",
        ),
        (
            "",
            "{redis: {sentinel: {master: m, nodes: a}, host: h}}",
            "waypost.redis.host",
            "host and sentinel",
        ),
        (
            "",
            "{redis: {sentinel: {master: m, nodes: a}, cluster: a}}",
            "waypost.redis.sentinel",
            "sentinel and cluster",
        ),
        (
            "",
            "{redis: {cluster: a, url: 'redis://h'}}",
            "waypost.redis.url",
            "url and cluster",
        ),
        (
            "",
            "{redis: {cluster: a, db: 1}}",
            "waypost.redis.db",
            "database 0 alone",
        ),
        (
            "",
            "{redis: {cluster: 'u:hidden-x@h:1'}}",
            "waypost.redis.cluster[0]",
            "not a server",
        ),
        (
            "",
            "{redis: {host: h, outage: opne}}",
            "waypost.redis.outage",
            "allowed: share, open, closed",
        ),
        (
            "",
            "{redis: {host: h, lease: 500ms}}",
            "waypost.redis.lease",
            "shorter than three intervals",
        ),
        (
            "",
            "{redis: {host: h, interval: 1m}}",
            "waypost.redis.interval",
            "shorter than three intervals",
        ),
        (
            "",
            "{redis: {host: h, timeout: 0}}",
            "waypost.redis.timeout",
            "not a length of time",
        ),
        (
            "",
            "{limits: exct}",
            "waypost.limits",
            "allowed: approximate, exact",
        ),
        (
            "",
            "{groups: {g: {limits: none}}}",
            "waypost.groups.g.limits",
            "allowed: approximate, exact",
        ),
        (
            "",
            "{cache: {near_tll: 1}}",
            "waypost.cache.near_tll",
            "near_ttl",
        ),
        (
            "",
            "{ledger: ''}",
            "waypost.ledger",
            "the name of the folder is empty",
        ),
        (
            "",
            "{ledger: {fsync: 1s}}",
            "waypost.ledger",
            "dir is required",
        ),
        (
            "",
            "{ledger: {dir: d, fsync: often}}",
            "waypost.ledger.fsync",
            "500ms, 5s, 2m, 1h, 1d, or never, always",
        ),
        (
            "",
            "{ledger: {dir: d, when_full: drop}}",
            "waypost.ledger.when_full",
            "allowed: go_on, refuse",
        ),
        (
            "",
            "{ledger: {dir: d, segment_bytes: 9}}",
            "waypost.ledger.segment_bytes",
            "from 64KiB",
        ),
        (
            "",
            "{ledger: {dir: d, redis: true}}",
            "waypost.ledger.redis",
            "no one Redis for all",
        ),
        (
            "",
            "{ledger: [d]}",
            "waypost.ledger",
            "a mapping of dir, fsync",
        ),
    ] {
        let Err(findings) = of(router, own) else {
            panic!("{router} {own} loads");
        };
        let fits = |f: &&Finding| {
            f.severity == Severity::Error && f.key.ends_with(path) && f.message.contains(message)
        };
        assert!(
            findings.iter().any(|f| fits(&f)),
            "{router} {own}: {findings:#?}"
        );
        assert!(!format!("{findings:?}").contains(HIDDEN), "{findings:?}");
    }
}

#[test]
fn what_is_without_effect_is_said() {
    for (router, own, message) in [
        (
            "redis_url: 'redis://u:p@h', redis_host: i",
            "{}",
            "wins over redis_host and redis_port",
        ),
        (
            "redis_url: 'redis://u:p@h', redis_password: '${KEY_NORTH}'",
            "{}",
            "redis_url has it, too, and wins",
        ),
        (
            "redis_url: 'rediss://h?ssl_cert_reqs=none'",
            "{}",
            "without effect: ssl_cert_reqs; known: db",
        ),
        ("", "{redis: {prefix: x}}", "it names no Redis"),
        (
            "",
            "{redis: {host: h, password: hidden-x}}",
            "a secret in clear text",
        ),
        (
            "",
            "{limits: exact}",
            "exact for each process alone: no group has a Redis",
        ),
        (
            "",
            "{groups: {g: {limits: exact}}}",
            "the group has no Redis",
        ),
        ("", "{cache: {redis: true}}", "no group has a Redis"),
    ] {
        let (_, findings) = of(router, own).expect("loads");
        let said = |f: &&Finding| f.message.contains(message);
        assert!(
            findings.iter().any(|f| said(&f)),
            "{router} {own}: {findings:#?}"
        );
        assert!(!format!("{findings:?}").contains(HIDDEN), "{findings:?}");
    }
    let unlimited = "model_groups: [{id: g, models: [{provider: ollama, model: m}]}]\nwaypost: {redis: {host: h}, groups: {g: {limits: exact}}}\n";
    let (_, findings) = text(unlimited).expect("loads");
    assert!(
        findings
            .iter()
            .any(|f| f.message.contains("no model of the group has rpm or tpm"))
    );
}

/// A strategy that wants a store says that each process counts alone, unless there is one.
#[test]
fn who_counts_alone_is_told() {
    for (redis, alone) in [
        ("", true),
        ("redis_host: h", false),
        ("redis_url: 'redis://h'", false),
    ] {
        let yaml = LIMITED
            .replace("least-busy", "usage-based-routing")
            .replace("ROUTER", redis);
        let (_, findings) = text(&yaml).expect("loads");
        let told = findings
            .iter()
            .any(|f| f.message.contains("each process counts alone"));
        assert_eq!(told, alone, "{redis}: {findings:#?}");
    }
}

#[test]
fn limits_and_cache_are_of_groups_with_a_redis() {
    for (router, own, exact, cached) in [
        ("", "{limits: exact}", false, false),
        ("redis_host: h", "{}", false, true),
        ("redis_host: h", "{limits: exact}", true, true),
        (
            "redis_host: h",
            "{limits: exact, groups: {g: {limits: approximate}}}",
            false,
            true,
        ),
        (
            "",
            "{redis: {host: h}, groups: {g: {limits: exact}}}",
            true,
            true,
        ),
        ("redis_host: h", "{cache: {redis: false}}", false, false),
        (
            "redis_host: h, cache_kwargs: {type: local}",
            "{}",
            false,
            false,
        ),
    ] {
        let config = loads(&format!("cache_responses: true, {router}"), own);
        let group = &config.groups[0].router;
        let in_redis = group.cache.as_ref().is_some_and(|cache| cache.in_redis);
        assert_eq!(
            (group.exact_limits, in_redis),
            (exact, cached),
            "{router} {own}"
        );
    }
    let config = loads(
        "cache_responses: true",
        "{cache: {near_ttl: 3s, compress_above: 1KiB}}",
    );
    let cache = config.groups[0].router.cache.clone().expect("a cache");
    assert_eq!(
        (cache.near_ttl, cache.compress_above),
        (Duration::from_secs(3), 1024)
    );
    let config = loads(
        "",
        "{redis: {host: h, interval: 1s, lease: 5s, outage: closed}}",
    );
    let sharing = config.settings.sharing;
    assert_eq!(
        (sharing.interval.as_secs(), sharing.lease.as_secs()),
        (1, 5)
    );
    assert_eq!(sharing.outage, Outage::Closed);
}

#[test]
fn the_ledger_is_a_folder_or_described() {
    assert_eq!(loads("", "{}").settings.ledger, None);
    let short = loads("", "{ledger: d}").settings.ledger.expect("a ledger");
    assert_eq!(
        Some(&short),
        loads("", "{ledger: {dir: d}}").settings.ledger.as_ref()
    );
    assert_eq!(
        (short.fsync, short.when_full),
        (Fsync::Every(Duration::from_secs(1)), WhenFull::GoOn)
    );
    assert_eq!(
        (short.segment_bytes, short.retain.as_secs()),
        (64 << 20, 90 * 86_400)
    );
    assert_eq!(short.redis, None);
    let long = "{ledger: {dir: d, fsync: always, when_full: refuse, segment_bytes: 1MiB, retain: forever, redis: true}, redis: {cluster: h}}";
    let long = loads("", long).settings.ledger.expect("a ledger");
    assert_eq!(
        (long.fsync, long.when_full),
        (Fsync::Always, WhenFull::Refuse)
    );
    assert_eq!((long.segment_bytes, long.retain), (1 << 20, Duration::MAX));
    assert!(matches!(
        &long.redis.expect("a Redis").topology,
        RedisTopology::Cluster(_)
    ));
    for (own, given) in [
        ("{ledger: d}", true),
        ("{ledger: {dir: d, redis: false}}", false),
    ] {
        // Of the groups, where all have the same.
        let ledger = loads("redis_host: h", own)
            .settings
            .ledger
            .expect("a ledger");
        assert_eq!(ledger.redis.is_some(), given, "{own}");
    }
    for (fsync, expected) in [
        ("never", Fsync::Never),
        ("250ms", Fsync::Every(Duration::from_millis(250))),
    ] {
        let own = format!("{{ledger: {{dir: d, fsync: {fsync}}}}}");
        assert_eq!(
            loads("", &own).settings.ledger.map(|l| l.fsync),
            Some(expected)
        );
    }
}

/// Names of files are relative to the folder of the configuration, and TLS is what they hold.
#[test]
fn files_are_relative_to_the_configuration() {
    let folder = tempfile::tempdir().expect("a folder");
    let signed = rcgen::generate_simple_self_signed(vec!["h".to_owned()]).expect("a certificate");
    let write =
        |name: &str, text: String| std::fs::write(folder.path().join(name), text).expect("written");
    write("ca.pem", signed.cert.pem());
    write("key.pem", signed.signing_key.serialize_pem());
    let own = "{ledger: led, redis: {url: 'rediss://h', tls: {ca: ca.pem, certificate: ca.pem, key: key.pem}}}";
    write(
        "endpoints.yml",
        format!(
            "{}waypost: {own}\n",
            LIMITED.replace("ROUTER", "redis_url: 'rediss://i'")
        ),
    );
    let (config, _) = load(&folder.path().join("endpoints.yml"), &|_| None, false).expect("loads");
    let path = |name: &str| folder.path().join(name);
    assert_eq!(
        config.settings.ledger.map(|ledger| ledger.dir),
        Some(path("led"))
    );
    // The files of the section also hold for TLS to the group's own.
    let redis = config.groups[0].router.redis.clone().expect("a Redis");
    let tls = redis.tls.clone().expect("TLS");
    assert_eq!(redis.place(), "i:6379");
    assert_eq!(
        (tls.ca, tls.client),
        (
            Some(path("ca.pem")),
            Some((path("ca.pem"), path("key.pem")))
        )
    );
}
