//! What is refused, by place, path and word; and what is accepted with a warning.

use waypost::config::Severity;

use super::{HIDDEN, of, params, text, with};

/// Line, column, path, part of the message.
type Expected = (usize, usize, &'static str, &'static str);

#[track_caller]
fn refused(yaml: &str, expected: &[Expected]) {
    let Err(findings) = text(yaml) else {
        panic!("it loads:\n{yaml}")
    };
    let errors = of(&findings, Severity::Error);
    let found: Vec<(usize, usize, &str)> = errors
        .iter()
        .map(|f| (f.line, f.column, f.key.as_str()))
        .collect();
    let places: Vec<(usize, usize, &str)> = expected.iter().map(|e| (e.0, e.1, e.2)).collect();
    assert_eq!(found, places, "{findings:#?}\n{yaml}");
    for (error, (.., part)) in errors.iter().zip(expected) {
        assert!(error.message.contains(part), "{part:?} is not in {error}");
        assert!(!error.message.contains(HIDDEN), "{error}");
    }
}

#[test]
fn settings_that_are_refused() {
    let cases: &[(&str, &[Expected])] = &[
        (
            "router_settings:\n  routing_strategy: latency-based-routing\"",
            &[(
                5,
                21,
                "router_settings.routing_strategy",
                "⟨latency-based-routing\"⟩",
            )],
        ),
        (
            "router_settings:\n  routing_strategy: latency-based-routing\"",
            &[(
                5,
                21,
                "router_settings.routing_strategy",
                "did you mean latency-based-routing?",
            )],
        ),
        (
            "router_settings:\n  routing_strategy: round-robin",
            &[(
                5,
                21,
                "router_settings.routing_strategy",
                "allowed: simple-shuffle",
            )],
        ),
        (
            "router_settings:\n  health_check_interval: 60",
            &[(
                5,
                3,
                "router_settings.health_check_interval",
                "general_settings",
            )],
        ),
        (
            "router_settings:\n  alowed_fails: 3",
            &[(
                5,
                3,
                "router_settings.alowed_fails",
                "did you mean \"allowed_fails\"?",
            )],
        ),
        (
            "router_settings:\n  something: 3",
            &[(
                5,
                3,
                "router_settings.something",
                "unknown key, which LiteLLM ignores",
            )],
        ),
        (
            "router_settings:\n  allowed_fails: many",
            &[(5, 18, "router_settings.allowed_fails", "not a whole number")],
        ),
        (
            "litellm_settings:\n  num_retrys: 3",
            &[(
                5,
                3,
                "litellm_settings.num_retrys",
                "did you mean \"num_retries\"?",
            )],
        ),
        (
            "general_settings:\n  master_ky: 3",
            &[(
                5,
                3,
                "general_settings.master_ky",
                "did you mean \"master_key\"?",
            )],
        ),
        (
            "router_setings:\n  num_retries: 3",
            &[(4, 1, "router_setings", "did you mean \"router_settings\"?")],
        ),
        (
            "model_groups: []",
            &[(4, 1, "model_groups", "not for both")],
        ),
        (
            "router_settings:\n  fallbacks: {a: [b]}",
            &[(5, 14, "router_settings.fallbacks", "is not a list")],
        ),
        (
            "router_settings:\n  fallbacks:\n    - a: b",
            &[(
                6,
                10,
                "router_settings.fallbacks[0].a",
                "not a list of groups",
            )],
        ),
        (
            "router_settings:\n  fallbacks:\n    - a: [nobody]",
            &[(
                6,
                11,
                "router_settings.fallbacks[0].a[0]",
                "no model group has this name",
            )],
        ),
        (
            "router_settings:\n  fallbacks:\n    - nobody: [a]",
            &[(
                6,
                7,
                "router_settings.fallbacks[0].nobody",
                "no model group has this name",
            )],
        ),
        (
            "router_settings:\n  model_group_alias: {x: {modle: a}}",
            &[(
                5,
                26,
                "router_settings.model_group_alias.x",
                "names no group",
            )],
        ),
        (
            "router_settings:\n  model_group_retry_policy: {b: {DefaultRetries: 1}}",
            &[(
                5,
                30,
                "router_settings.model_group_retry_policy.b",
                "no model_name is called so",
            )],
        ),
        (
            "router_settings:\n  retry_policy: {RateLimitRetries: 1}",
            &[(
                5,
                18,
                "router_settings.retry_policy.RateLimitRetries",
                "unknown key",
            )],
        ),
        (
            "router_settings:\n  optional_pre_call_checks: [sesion_affinity]",
            &[(
                5,
                29,
                "router_settings.optional_pre_call_checks",
                "did you mean \"session_affinity\"?",
            )],
        ),
        (
            "litellm_settings:\n  cache_params: {tll: 3}",
            &[(
                5,
                18,
                "litellm_settings.cache_params.tll",
                "did you mean \"ttl\"?",
            )],
        ),
        (
            "router_settings: []",
            &[(4, 18, "router_settings", "is not a mapping")],
        ),
        (
            "general_settings: {master_key: os.environ/NOPE}",
            &[(
                4,
                32,
                "general_settings.master_key",
                "variable NOPE is not set",
            )],
        ),
        (
            "include: [nowhere.yml]",
            &[(4, 10, "include", "nowhere.yml")],
        ),
    ];
    for (more, expected) in cases {
        refused(&with(more), expected);
    }
}

#[test]
fn deployments_that_are_refused() {
    let at = "model_list[0].litellm_params";
    let cases: &[(&str, Expected)] = &[
        (
            "model: meta-llama/x",
            (
                3,
                29,
                "model_list[0].litellm_params.model",
                "write it in front, as openai/meta-llama/x",
            ),
        ),
        (
            "model: '*'",
            (
                3,
                29,
                "model_list[0].litellm_params.model",
                "does not say its provider",
            ),
        ),
        (
            "model: $NOPE/x",
            (
                3,
                29,
                "model_list[0].litellm_params.model",
                "variable NOPE is not set",
            ),
        ),
        (
            "model: openai/$NOPE, api_key: k",
            (
                3,
                29,
                "model_list[0].litellm_params.model",
                "variable NOPE is not set",
            ),
        ),
        (
            "model: openai/m, api_key: os.environ/A-B",
            (
                3,
                48,
                "model_list[0].litellm_params.api_key",
                "not followed by the name",
            ),
        ),
        ("api_key: k", (3, 21, at, "model is required")),
        (
            "model: openai/m, api_key: k, rmp: 3",
            (
                3,
                51,
                "model_list[0].litellm_params.rmp",
                "did you mean \"rpm\"?",
            ),
        ),
        (
            "model: openai/m, api_key: k, api_base: ftp://x",
            (3, 61, "model_list[0].litellm_params.api_base", "http://"),
        ),
        (
            "model: azure/m, api_key: k, api_base: 'https://x', azure_ad_token: t",
            (
                3,
                73,
                "model_list[0].litellm_params.azure_ad_token",
                "tenant_id",
            ),
        ),
        (
            "model: openai/m, api_key: k, tenant_id: t",
            (
                3,
                51,
                "model_list[0].litellm_params.tenant_id",
                "a key of azure",
            ),
        ),
        (
            "model: openai/m, api_key: k, litellm_credential_name: x",
            (
                3,
                76,
                "model_list[0].litellm_params.litellm_credential_name",
                "no entry of credential_list",
            ),
        ),
        (
            "model: snowflake/m, api_key: k",
            (
                3,
                29,
                "model_list[0].litellm_params.model",
                "no provider we know",
            ),
        ),
    ];
    for (given, expected) in cases {
        refused(&params(given), &[*expected]);
    }
    for (yaml, expected) in [
        ("model_list: []", (1, 13, "model_list", "the list is empty")),
        ("model_list: {}", (1, 13, "model_list", "not a list")),
        ("litellm_settings: {}", (1, 1, "", "model_list is required")),
        (
            "model_list: [{model_name: a}]",
            (1, 14, "model_list[0]", "litellm_params is required"),
        ),
        (
            "model_list: [{model_name: a, litellm_param: {}}]",
            (
                1,
                30,
                "model_list[0].litellm_param",
                "did you mean \"litellm_params\"?",
            ),
        ),
    ] {
        let Err(findings) = text(yaml) else {
            panic!("it loads: {yaml}")
        };
        let found = findings.iter().any(|f| {
            (f.line, f.column, &*f.key) == (expected.0, expected.1, expected.2)
                && f.message.contains(expected.3)
        });
        assert!(found, "{yaml}: {findings:#?}");
    }
}

#[test]
fn a_name_of_a_pattern_has_no_settings_of_its_own() {
    let yaml = "model_list:\n  - model_name: groq/*\n    litellm_params: {model: groq/*, api_key: $KEY_NORTH}\n\
                router_settings: {fallbacks: [{groq/x: [groq/y]}]}\n";
    refused(
        yaml,
        &[(
            4,
            32,
            "router_settings.fallbacks[0].groq/x",
            "settings are those of a whole group",
        )],
    );
}

#[test]
fn the_mode_of_a_model_says_what_it_may_fall_back_to() {
    let yaml = "model_list:\n\
                - {model_name: a, litellm_params: {model: openai/m, api_key: k}, model_info: {mode: chat}}\n\
                - {model_name: b, litellm_params: {model: openai/m, api_key: k}, model_info: {mode: embedding}}\n\
                litellm_settings: {fallbacks: [{a: [b]}]}\n";
    refused(
        yaml,
        &[(
            4,
            37,
            "litellm_settings.fallbacks[0].a[0]",
            "\"b\" serves embeddings",
        )],
    );
}

#[test]
fn what_stands_in_an_included_file_is_named_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let main = folder.path().join("config.yaml");
    std::fs::write(&main, with("include: more.yml")).expect("written");
    std::fs::write(
        folder.path().join("more.yml"),
        "\n\nmodel_list:\n  - model_name: b\n    litellm_params: {model: openai/m, api_key: $KEY_NORTH, rpm: x}\n",
    )
    .expect("written");
    let Err(findings) = waypost::config::load(&main, &super::variable, false) else {
        panic!("it loads")
    };
    let [error] = &findings[..] else {
        panic!("{findings:#?}")
    };
    assert!(error.file.ends_with("more.yml"), "{error}");
    assert_eq!(
        (error.line, &*error.key),
        (5, "model_list[0].litellm_params.rpm")
    );
}

/// Accepted, with one warning that has these words.
#[test]
fn what_is_without_effect_is_said_once() {
    for (more, line, key, parts) in [
        (
            "general_settings: {database_url: x, store_model_in_db: true, disable_spend_logs: true}",
            4,
            "general_settings.database_url",
            &[
                "database_url, store_model_in_db, disable_spend_logs",
                "Waypost keeps no database",
            ][..],
        ),
        (
            "general_settings: {background_health_checks: true, health_check_interval: 300}",
            4,
            "general_settings.background_health_checks",
            &["health_check_interval", "no health checks"],
        ),
        (
            "litellm_settings: {callbacks: [prometheus, langfuse, otel]}",
            4,
            "litellm_settings.callbacks",
            &["langfuse, otel: without effect"],
        ),
        (
            "litellm_settings: {json_logs: true}",
            4,
            "litellm_settings.json_logs",
            &["--log-format json"],
        ),
        (
            "litellm_settings: {unheard_of_thing: 1}",
            4,
            "litellm_settings.unheard_of_thing",
            &["not a key that Waypost knows"],
        ),
        ("guardrails: [{x: y}]", 4, "guardrails", &["no guardrails"]),
        (
            "router_settings: {provider_budget_config: {openai: {}}}",
            4,
            "router_settings.provider_budget_config",
            &["budgets"],
        ),
        (
            "router_settings: {enable_weighted_failover: true}",
            4,
            "router_settings.enable_weighted_failover",
            &["weights"],
        ),
        (
            "router_settings: {fallback_on_unsupported_params: false}",
            4,
            "router_settings.fallback_on_unsupported_params",
            &["turns to its fallbacks"],
        ),
        (
            "router_settings: {optional_pre_call_checks: [router_budget_limiting]}",
            4,
            "router_settings.optional_pre_call_checks",
            &["budgets"],
        ),
    ] {
        let (_, findings) = text(&with(more)).unwrap_or_else(|e| panic!("{more}: {e:#?}"));
        let [warning] = &findings[..] else {
            panic!("{more}: {findings:#?}")
        };
        assert_eq!((warning.line, &*warning.key), (line, key), "{warning}");
        for part in parts {
            assert!(
                warning.message.contains(part),
                "{part:?} is not in {warning}"
            );
        }
    }
    // What is switched off is not missed.
    for quiet in [
        "litellm_settings: {set_verbose: False, json_logs: false}",
        "general_settings: {database_url: null, background_health_checks: false}",
        "router_settings: {fallback_on_unsupported_params: true}",
    ] {
        let (_, findings) = text(&with(quiet)).unwrap_or_else(|e| panic!("{quiet}: {e:#?}"));
        assert_eq!(findings, [], "{quiet}");
    }
}
