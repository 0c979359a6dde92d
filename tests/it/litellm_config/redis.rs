//! `redis_*` of the router and `cache_params`: the same targets as in Waypost's own dialect.

use std::sync::Arc;

use waypost::config::{self, Config};
use waypost::types::RedisTarget;

use super::{HIDDEN, good, of, text, with};
use waypost::config::{Finding, Severity};

/// The group of `with`, in Waypost's dialect.
#[track_caller]
fn own(redis: &str) -> RedisTarget {
    let yaml = format!(
        "model_groups: [{{id: a, models: [{{provider: ollama, model: m}}]}}]\nwaypost: {{redis: {{{redis}}}}}\n"
    );
    let (config, _) = config::load_str("own.yml", &yaml, &|_| None, false)
        .unwrap_or_else(|f| panic!("refused: {f:#?}"));
    redis_of(&config).expect("a Redis")
}

fn redis_of(config: &Config) -> Option<RedisTarget> {
    config.groups[0]
        .router
        .redis
        .clone()
        .map(Arc::unwrap_or_clone)
}

fn cached(params: &str) -> String {
    with(&format!(
        "litellm_settings: {{cache: true, cache_params: {{{params}}}}}"
    ))
}

#[test]
fn what_the_file_names_is_one_target() {
    for (yaml, expected) in [
        (
            with("router_settings: {redis_host: h, redis_port: 1}"),
            "host: h, port: 1",
        ),
        (
            with("router_settings: {redis_url: 'rediss://u:p@h/2'}"),
            "url: 'rediss://u:p@h/2'",
        ),
        (
            with(
                "router_settings: {redis_host: h, redis_username: u, redis_password: p, redis_ssl: true, redis_db: 2}",
            ),
            "url: 'rediss://u:p@h/2'",
        ),
        (
            cached("type: redis, host: h, port: 1, password: p"),
            "url: 'redis://:p@h:1'",
        ),
        (
            cached("host: h, username: u, password: p, ssl: true, db: 2"),
            "url: 'rediss://u:p@h/2'",
        ),
        (cached("type: redis, url: 'redis://h/2'"), "host: h, db: 2"),
        (
            cached(
                "type: redis, redis_startup_nodes: [{host: a, port: 1}, {host: b, port: '2'}], password: p",
            ),
            "cluster: ['a:1', 'b:2'], password: p",
        ),
        (
            cached(
                "type: redis, sentinel_nodes: [[a, 1], [b, 2]], service_name: m, sentinel_password: s, password: p",
            ),
            "sentinel: {master: m, nodes: ['a:1', 'b:2'], password: s}, password: p",
        ),
    ] {
        assert_eq!(redis_of(&good(&yaml)), Some(own(expected)), "{yaml}");
    }
}

#[test]
fn who_names_none_has_none() {
    let no_redis = |yaml: String| {
        let config = good(&yaml);
        assert_eq!(redis_of(&config), None, "{yaml}");
    };
    no_redis(cached("type: local"));
    no_redis(cached("type: s3, host: h"));
    no_redis(cached("ttl: 5"));
    // As in LiteLLM, nobody asks for a cache that is off.
    no_redis(with(
        "litellm_settings: {cache: false, cache_params: {type: redis, host: h}}",
    ));
    no_redis(with(
        "litellm_settings: {cache_params: {type: redis, host: h}}",
    ));
}

#[test]
fn the_section_waypost_comes_first() {
    let yaml = cached("type: redis, host: h") + "waypost: {redis: {url: 'redis://own'}}\n";
    assert_eq!(redis_of(&good(&yaml)), Some(own("host: own")));
}

#[track_caller]
fn warned(yaml: &str, message: &str) -> Config {
    let (config, findings) = text(yaml).unwrap_or_else(|f| panic!("refused: {f:#?}"));
    let warnings = of(&findings, Severity::Warning);
    let said = |f: &&&Finding| f.message.contains(message);
    assert!(
        warnings.iter().any(|f| said(&f)),
        "{message}: {warnings:#?}"
    );
    config
}

#[test]
fn what_is_lost_is_said() {
    for (params, message) in [
        (
            "type: redis",
            "no Redis is named, so answers are kept in memory",
        ),
        ("type: s3, s3_bucket_name: b", "no cache of the kind \"s3\""),
        (
            "type: s3, s3_bucket_name: b",
            "answers are kept in memory, or in Redis",
        ),
        (
            "type: redis, host: h, ssl_cert_reqs: none",
            "certificates are always checked",
        ),
        (
            "type: redis, host: h, socket_timeout: 3",
            "waypost.redis.timeout",
        ),
        (
            "type: redis-semantic, host: h, similarity_threshold: 0.8",
            "only equal requests",
        ),
    ] {
        let config = warned(&cached(params), message);
        assert_eq!(
            redis_of(&config).is_some(),
            params.contains("host"),
            "{params}"
        );
    }
    let two = with(
        "router_settings: {redis_host: r}\nlitellm_settings: {cache: true, cache_params: {host: h}}",
    );
    let config = warned(&two, "answers are kept in the Redis of router_settings");
    assert_eq!(redis_of(&config), Some(own("host: r")));
    let (_, same) = text(&two.replace("redis_host: r", "redis_host: h")).expect("loads");
    assert!(
        same.iter().all(|f| !f.message.contains("router_settings")),
        "{same:#?}"
    );
}

/// The most common file of all names its Redis in the environment.
#[test]
fn the_environment_names_the_redis_of_the_cache() {
    let env = |name: &str| match name {
        "REDIS_HOST" => Some("h".to_owned()),
        "REDIS_PORT" => Some("1".to_owned()),
        "REDIS_PASSWORD" => Some("hidden-pw".to_owned()),
        "KEY_NORTH" => Some("k".to_owned()),
        _ => None,
    };
    let (config, findings) = config::load_str("config.yaml", &cached("type: redis"), &env, false)
        .unwrap_or_else(|f| panic!("refused: {f:#?}"));
    assert_eq!(
        redis_of(&config),
        Some(own("host: h, port: 1, password: hidden-pw"))
    );
    assert!(
        findings
            .iter()
            .any(|f| f.message.contains("REDIS_PORT, REDIS_PASSWORD")),
        "{findings:#?}"
    );
    assert!(!format!("{findings:?} {config:?}").contains(HIDDEN));
}

/// What is imported is the same, and its secrets are variables.
#[test]
fn an_import_hides_the_passwords() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("config.yaml");
    let yaml = cached(
        "type: redis, sentinel_nodes: [[a, 1]], service_name: m, sentinel_password: hidden-s, password: hidden-p",
    );
    std::fs::write(&path, &yaml).expect("written");
    let import = config::import(&path, &super::variable).unwrap_or_else(|f| panic!("{f:#?}"));
    assert!(
        !import.text.contains("hidden-s") && !import.text.contains("hidden-p"),
        "{}",
        import.text
    );
    let env = |name: &str| match name {
        "REDIS_PASSWORD" => Some("hidden-p".to_owned()),
        "REDIS_SENTINEL_PASSWORD" => Some("hidden-s".to_owned()),
        other => super::variable(other),
    };
    let (again, _) = config::load_str("endpoints.yml", &import.text, &env, false)
        .unwrap_or_else(|f| panic!("{f:#?}\n{}", import.text));
    assert_eq!(redis_of(&again), redis_of(&good(&yaml)));
}
