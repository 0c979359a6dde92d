//! The files in `tests/data/config`: each loads with the warnings, or is refused with the errors, of its table.

use std::path::Path;

use waypost::config::{self, Finding, Severity};
use waypost::types::StrategyKind;

use super::{HIDDEN, file, load, root, variable};

/// Every file that loads, with a part of each of its warnings in order.
const LOADS: &[(&str, &[&str])] = &[
    ("minimal.yml", &[]),
    ("two-deployments.yml", &[]),
    ("router-params.yml", &[]),
    (
        "groups.yml",
        &["equal in everything to the model in line 10"],
    ),
    ("embeddings.yml", &[]),
    ("completions.yml", &[]),
    (
        "proxies.yml",
        &["no provider we know", "ends in /chat/completions"],
    ),
    (
        "cache.yml",
        &["memory of each process", "requests of any length"],
    ),
    ("redis.yml", &["price of \"unheard-of\" is unknown"]),
    ("literal-secret.yml", &["a secret in clear text"]),
    ("entra.yml", &[]),
    (
        "all-keys.yml",
        &[
            "each process counts alone",
            "usage is counted in whole minutes",
            "write waypost.groups.<id>.fallbacks",
            "a router holds one group",
        ],
    ),
    (
        "aliases.yml",
        &[
            "an old name of provider",
            "an old name of model",
            "an old name of max_completion_tokens",
            "an old name of timeout",
            "an old name of api_base",
            "an old name of deployment",
            "an old name of api_version",
            "the provider says how to speak to it",
        ],
    ),
    ("defaults.yml", &[]),
];

/// An error: line, column, key, part of the message.
type Expected = (usize, usize, &'static str, &'static str);

/// Every file that is refused, with all its errors.
const REFUSED: &[(&str, &[Expected])] = &[
    (
        "azure-without-deployment.yml",
        &[(4, 9, "model_groups[0].models[0]", "deployment is required")],
    ),
    (
        "chat-endpoint-on-model.yml",
        &[(
            7,
            9,
            "model_groups[0].models[0].use_chat_completions_endpoint",
            "stands in the router",
        )],
    ),
    (
        "duplicate-id.yml",
        &[(4, 9, "model_groups[1].id", "the group in line 2")],
    ),
    (
        "duplicate-key.yml",
        &[(4, 5, "model_groups[0].id", "already stands in line 2")],
    ),
    (
        "key-and-oauth.yml",
        &[(
            8,
            9,
            "model_groups[0].models[0].oauth",
            "together with api_key",
        )],
    ),
    (
        "elided.yml",
        &[(6, 9, "", "stands for lines that were left out")],
    ),
    (
        "no-router.yml",
        &[(
            2,
            5,
            "model_groups[0].router",
            "routing_strategy: simple-shuffle",
        )],
    ),
    (
        "redis-url-port.yml",
        &[(
            6,
            18,
            "model_groups[0].router.redis_url",
            "the port of the URL, \"port\"",
        )],
    ),
    (
        "unknown-names.yml",
        &[
            (
                5,
                19,
                "model_groups[0].models[0].provider",
                "did you mean \"openai\"?",
            ),
            (
                7,
                19,
                "model_groups[0].models[1].provider",
                "speaks a dialect this version does not translate",
            ),
            (
                9,
                19,
                "model_groups[0].models[2].provider",
                "use provider self-hosted",
            ),
            (
                13,
                19,
                "model_groups[0].models[3].api_base",
                "does not begin with http://",
            ),
            (
                14,
                9,
                "model_groups[0].models[3].stream",
                "belongs to the request",
            ),
            (
                15,
                9,
                "model_groups[0].models[3].api_key_env",
                "write \"api_key: ${NAME}\"",
            ),
            (
                17,
                25,
                "model_groups[0].router.routing_strategy",
                "did you mean \"latency-based-routing\"?",
            ),
            (
                18,
                7,
                "model_groups[0].router.cooldown",
                "did you mean \"cooldown_time\"?",
            ),
            (
                19,
                20,
                "model_groups[0].router.num_retries",
                "\"many\" is not a whole number",
            ),
            (
                20,
                24,
                "model_groups[0].router.cache_responses",
                "allowed: true, false",
            ),
            (
                21,
                22,
                "model_groups[0].router.retry_policy.RateLimitRetries",
                "unknown key",
            ),
            (22, 9, "model_groups[1].id", "cannot be empty"),
            (23, 13, "model_groups[1].models", "the list is empty"),
            (24, 5, "model_groups[1].router", "the router is empty"),
            (26, 3, "waypost.prot", "did you mean \"port\"?"),
            (27, 21, "waypost.timeouts.total", "not a length of time"),
            (28, 49, "waypost.keys[0].groups", "did you mean \"chat\"?"),
            (29, 12, "waypost.groups.caht", "did you mean \"chat\"?"),
        ],
    ),
    (
        "references.yml",
        &[
            (6, 35, "model_groups[0].models[1].model", "\"a\" has 0"),
            (
                7,
                63,
                "model_groups[0].router.retry_policy.RateLimitRetries",
                "RateLimitErrorRetries",
            ),
            (
                9,
                74,
                "model_groups[2].models[0].allowed_fails_policy.DefaultAllowedFails",
                "unknown key",
            ),
            (
                15,
                11,
                "waypost.aliases.loop",
                "a cycle of aliases: loop → pool → loop",
            ),
            (18, 5, "waypost.aliases.b", "one of its own"),
            (19, 11, "waypost.aliases.lost", "did you mean \"embed\"?"),
            (20, 5, "waypost.aliases.x*", "an alias is one name"),
            (21, 12, "waypost.aliases.other", "group is required"),
            (
                21,
                13,
                "waypost.aliases.other.model",
                "allowed: group, hidden",
            ),
            (22, 11, "waypost.aliases.wide", "such as \"wild/NAME\""),
            (
                23,
                23,
                "waypost.default_fallbacks",
                "\"nobody\": no model group has this name",
            ),
            (24, 17, "waypost.max_attempts", "at least 1"),
            (25, 49, "waypost.keys[0].groups", "did you mean \"embed\"?"),
            (
                28,
                19,
                "waypost.groups.a.fallbacks",
                "\"a\" is the group itself",
            ),
            (
                28,
                29,
                "waypost.groups.a.fallbacks",
                "such as \"wild/NAME\"",
            ),
            (
                29,
                34,
                "waypost.groups.a.context_window_fallbacks",
                "did you mean \"b\"?",
            ),
            (
                30,
                27,
                "waypost.groups.a.hedging.quantile",
                "above 0 and below 1",
            ),
            (
                31,
                17,
                "waypost.groups.a.affinity",
                "neither a boolean nor a mapping",
            ),
            (33, 22, "waypost.groups.b.fallbacks", "serves embeddings"),
            (
                34,
                22,
                "waypost.groups.b.affinity.by",
                "did you mean \"user\"?",
            ),
            (35, 20, "waypost.groups.c.fallbacks", "a cycle: b → c → b"),
            (36, 5, "waypost.groups.short", "write \"a\""),
        ],
    ),
    (
        "unset-variables.yml",
        &[
            (
                6,
                18,
                "model_groups[0].models[0].api_key",
                "NOT_SET_1 is not set",
            ),
            (
                7,
                19,
                "model_groups[0].models[0].api_base",
                "NOT_SET_2 is not set",
            ),
        ],
    ),
    (
        "wrong-types.yml",
        &[
            (2, 9, "model_groups[0].id", "true is not a text"),
            (
                5,
                16,
                "model_groups[0].models[0].model",
                "a list is not a text",
            ),
            (
                6,
                14,
                "model_groups[0].models[0].rpm",
                "-1 is not a whole number of at least 0",
            ),
            (
                7,
                17,
                "model_groups[0].models[0].weight",
                "\"heavy\" is not a number",
            ),
            (8, 18, "model_groups[0].models[0].timeout", "more than 0"),
            (
                9,
                25,
                "model_groups[0].models[0].extra_headers.Authorization",
                "use api_key",
            ),
            (
                9,
                43,
                "model_groups[0].models[0].extra_headers.a b",
                "not the name of a header",
            ),
            (
                9,
                53,
                "model_groups[0].models[0].extra_headers.host",
                "set by Waypost itself",
            ),
            (
                10,
                22,
                "model_groups[0].models[0].extra_body.stream",
                "belongs to the request",
            ),
            (
                11,
                21,
                "model_groups[0].models[0].ssl_verify",
                "always checked",
            ),
            (
                12,
                9,
                "model_groups[0].models[0].oauth",
                "only provider azure",
            ),
            (13, 13, "model_groups[0].router", "not a mapping"),
        ],
    ),
    (
        "no-credentials.yml",
        &[
            (
                5,
                9,
                "model_groups[0].models[1]",
                "AZURE_API_KEY is not set",
            ),
            (6, 9, "model_groups[0].models[2]", "api_base is required"),
        ],
    ),
    (
        "near-miss.yml",
        &[(1, 1, "model_group", "no section model_groups")],
    ),
    (
        "oauth.yml",
        &[
            (
                7,
                16,
                "model_groups[0].models[0].oauth",
                "tenant_id is required",
            ),
            (
                7,
                16,
                "model_groups[0].models[0].oauth",
                "client_secret is required",
            ),
            (
                11,
                23,
                "model_groups[0].models[1].oauth.type",
                "not supported yet",
            ),
            (
                15,
                23,
                "model_groups[0].models[2].oauth.type",
                "Python module",
            ),
        ],
    ),
];

/// The names of the files in a folder.
fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder)
        .expect("the folder is there")
        .map(|entry| entry.expect("an entry"));
    let files = entries.filter(|entry| entry.path().is_file());
    let mut names: Vec<String> = files
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn every_file_is_in_a_table() {
    let mut loads: Vec<&str> = LOADS.iter().map(|(name, _)| *name).collect();
    let mut refused: Vec<&str> = REFUSED.iter().map(|(name, _)| *name).collect();
    loads.sort_unstable();
    refused.sort_unstable();
    assert_eq!(files(&file("")), loads);
    assert_eq!(files(&file("refused")), refused);
}

#[test]
fn files_load_with_the_warnings_they_deserve() {
    for (name, expected) in LOADS {
        let (config, warnings) =
            load(name).unwrap_or_else(|findings| panic!("{name}: {findings:#?}"));
        assert!(!config.groups.is_empty(), "{name}");
        let found: Vec<String> = warnings.iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), expected.len(), "{name}: {found:#?}");
        for (finding, part) in warnings.iter().zip(*expected) {
            assert!(
                finding.message.contains(part),
                "{name}: {part:?} is not in {finding}"
            );
            assert_eq!(finding.severity, Severity::Warning);
        }
    }
}

#[test]
fn files_are_refused_with_every_error_at_its_place() {
    for (name, expected) in REFUSED {
        let Err(findings) = load(&format!("refused/{name}")) else {
            panic!("{name} loads")
        };
        let errors: Vec<&Finding> = findings
            .iter()
            .filter(|f| f.severity == Severity::Error)
            .collect();
        let found: Vec<(usize, usize, &str)> = errors
            .iter()
            .map(|f| (f.line, f.column, f.key.as_str()))
            .collect();
        let places: Vec<(usize, usize, &str)> = expected.iter().map(|e| (e.0, e.1, e.2)).collect();
        assert_eq!(found, places, "{name}: {findings:#?}");
        for (finding, (_, _, _, part)) in errors.iter().zip(*expected) {
            assert!(
                finding.message.contains(part),
                "{name}: {part:?} is not in {finding}"
            );
            assert!(
                finding
                    .to_string()
                    .contains(&format!(".yml:{}:{}: ", finding.line, finding.column))
            );
        }
    }
}

#[test]
fn no_finding_and_no_debug_output_holds_a_secret() {
    for name in LOADS
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .chain(REFUSED.iter().map(|(n, _)| format!("refused/{n}")))
    {
        for strict in [false, true] {
            let shown = match config::load(&file(&name), &variable, strict) {
                Ok((config, findings)) => format!("{findings:?}{config:?}"),
                Err(findings) => format!("{findings:?}"),
            };
            assert!(!shown.contains(HIDDEN), "{name}: {shown}");
        }
    }
}

#[test]
fn the_file_with_a_deployment_of_each_kind_loads() {
    let ends = ["_KEY", "_KEY_ID", "_CLIENT_ID", "_SECRET", "_TOKEN_BEDROCK"];
    let key = |name: &str| {
        let given = ends.iter().any(|end| name.ends_with(end));
        given.then(|| "a-key".to_owned())
    };
    let (config, findings) =
        config::load(&root().join("config/providers.yml"), &key, true).expect("it loads");
    assert_eq!(findings, []);
    assert_eq!(config.groups[0].deployments.len(), 3);
    assert_eq!(config.groups.len(), 12);
}

#[test]
fn the_litellm_file_to_start_from_loads_as_it_is() {
    let (config, findings) = config::load(&root().join("config/litellm.yaml"), &|_| None, false)
        .expect("config/litellm.yaml loads");
    assert!(findings.is_empty(), "{findings:#?}");
    let ids: Vec<&str> = config.groups.iter().map(|group| &*group.id).collect();
    assert_eq!(ids, ["chat", "small", "local/*"]);
    assert_eq!(config.groups[0].fallbacks.general.len(), 1);
}

#[test]
fn the_file_to_start_from_loads_without_variables() {
    let (config, findings) = config::load(&root().join("config/endpoints.yml"), &|_| None, true)
        .expect("config/endpoints.yml loads");
    assert_eq!(findings, []);
    assert_eq!(config.groups[0].deployments.len(), 2);
    assert_eq!(config.groups[0].router.strategy, StrategyKind::LeastBusy);
}
