//! Rules that no single file shows: files beside the file, precedence, variables, strictness, hostile input.

use std::time::Duration;

use waypost::config;

use super::{HIDDEN, one_group, text, variable};

#[test]
fn files_the_configuration_names_are_read_beside_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write =
        |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("written");
    write("key.txt", "hidden-file\n");
    write("ca.pem", "");
    write(
        "prices.json",
        r#"{"acme/x": {"input_cost_per_token": 1e-06, "mode": "chat"}}"#,
    );
    write(
        "endpoints.yml",
        "model_groups: [{id: g, models: [{provider: self-hosted, model: acme/x, api_base: \"http://h\", ssl_verify: ca.pem}]}]\n\
         waypost: {prices_file: prices.json, keys: [{name: a, key_file: key.txt}]}\n",
    );
    let (config, findings) =
        config::load(&folder.path().join("endpoints.yml"), &variable, false).expect("loads");
    assert_eq!(findings, []);
    let deployment = &config.groups[0].deployments[0];
    assert_eq!(
        deployment.target.tls.ca_file,
        Some(folder.path().join("ca.pem"))
    );
    assert_eq!(
        deployment.price.as_ref().map(|p| p.price.rates.input.0),
        Some(1_000_000)
    );
    assert_eq!(
        config.settings.keys[0].plain.as_ref().map(|k| k.expose()),
        Some("hidden-file")
    );
}

#[test]
fn uneven_weights_are_pointed_out() {
    let yaml = "model_groups:\n- id: g\n  models:\n  - {provider: ollama, model: a, rpm: 5}\n  - {provider: ollama, model: b}\n  router: {routing_strategy: simple-shuffle}\n";
    let (_, findings) = text(yaml).expect("loads");
    assert_eq!(findings.len(), 1);
    assert!(
        findings[0].message.contains("goes by rpm"),
        "{}",
        findings[0]
    );
    assert_eq!(findings[0].line, 5);
}

#[test]
fn a_models_value_wins_over_the_groups() {
    let group = one_group(
        "stop: [a]\nseed: 1\nacme_option: x\nmodels: [{provider: ollama, model: m, seed: 2, stop: null}]\nrouter: {timeout: 9}",
    );
    let defaults: Vec<String> = group.deployments[0]
        .target
        .defaults
        .iter()
        .map(|(k, v)| format!("{k}={v}"))
        .collect();
    assert_eq!(defaults, ["seed=2", "stop=[\"a\"]", "acme_option=\"x\""]);
    assert_eq!(group.deployments[0].clocks.total, Duration::from_secs(9));
}

#[test]
fn a_long_attempt_stretches_the_default_deadline() {
    let group = one_group("models: [{provider: ollama, model: m, timeout: 900}]");
    assert_eq!(group.router.deadline, Duration::from_secs(900));
}

/// What only a strict load refuses.
#[test]
fn strict_refuses_what_rasa_refuses() {
    let model = |more: &str| {
        format!(
            "model_groups:\n- id: g\n  models:\n  - {{provider: ollama, model: m, {more}}}\n  router: {{num_retries: 1}}\n"
        )
    };
    let router = |more: &str| {
        format!(
            "model_groups:\n- id: g\n  models:\n  - {{provider: ollama, model: m}}\n  router: {{{more}}}\n"
        )
    };
    for (yaml, part) in [
        (model("api_key: hidden-literal"), "Rasa refuses a literal"),
        (model("api_key: \"x${KEY_NORTH}\""), "exactly ${NAME}"),
        (model("base_model: \"${REDIS_HOST}\""), "remove the quotes"),
        (
            model("base_model: \"${NOPE:-x}\""),
            "does not know ${NAME:-default}",
        ),
        (router("redis_host: \"${REDIS_HOST}\""), "remove the quotes"),
        (
            router("routing_strategy: usage-based-routing-v2"),
            "Rasa refuses usage-based-routing-v2",
        ),
    ] {
        assert!(text(&yaml).is_ok(), "{yaml}");
        let Err(findings) = config::load_str("test.yml", &yaml, &variable, true) else {
            panic!("{yaml} loads")
        };
        assert!(
            findings.iter().any(|f| f.message.contains(part)),
            "{yaml}: {findings:#?}"
        );
        assert!(!format!("{findings:?}").contains(HIDDEN));
    }
    for yaml in [
        model("api_key: \"${KEY_NORTH}\", api_base: \"http://${REDIS_HOST}\""),
        router("num_retries: 1").replace("{num_retries: 1}", "\n      redis_host: ${REDIS_HOST}"),
        router("routing_strategy: usage-based-routing, redis_port: 1, redis_host: h"),
    ] {
        assert!(
            config::load_str("test.yml", &yaml, &variable, true).is_ok(),
            "{yaml}"
        );
    }
}

/// One mistake each, too small for a file of its own.
#[test]
fn small_mistakes_are_named() {
    let model = |more: &str| {
        format!("model_groups: [{{id: g, models: [{{provider: ollama, model: m, {more}}}]}}]\n")
    };
    let azure = |more: &str| {
        format!("model_groups: [{{id: g, models: [{{provider: azure, deployment: m, {more}}}]}}]\n")
    };
    let own = |more: &str| format!("{}waypost: {{{more}}}\n", model("seed: 1"));
    for (yaml, part) in [
        (model("weight: !env W"), "the tag !env is not known"),
        (
            model("api_base: \"ftp://h\""),
            "does not begin with http://",
        ),
        (
            model("api_base: \"http://u:hidden-literal@h\""),
            "has a user or password",
        ),
        (
            model("api_base: \"http://h?key=hidden-literal\""),
            "a base URL has no",
        ),
        (model("api_base: \"http://h:port\""), "is no URL"),
        (model("api_key: [hidden-literal]"), "a list is not a text"),
        (model("n: 2"), "belongs to the request"),
        (model("ssl_verify: no-such.pem"), "not a file"),
        (
            azure("api_base: \"http://h\", api_key: k, api_version: 2024"),
            "no version of the API",
        ),
        (
            azure("api_base: \"http://h\", api_key: \"\""),
            "the key is empty",
        ),
        (azure("api_key: \"${KEY_NORTH}\""), "AZURE_API_BASE"),
        (
            azure("api_base: \"http://h\", oauth: {type: azure_entra_id_default, scopes: []}"),
            "no scope",
        ),
        (own("host: example.org"), "not an address"),
        (own("admin: \"9090\""), "not an address with a port"),
        (own("keys: [{name: a}]"), "none is given"),
        (
            own("keys: [{name: a, key: \"${KEY_NORTH}\", sha256: x}]"),
            "given: key, sha256",
        ),
        (own("keys: [{name: a, sha256: x}]"), "64 hexadecimal digits"),
        (
            own("keys: [{name: a, key: \"${KEY_NORTH}\"}, {name: b, key: \"${KEY_NORTH}\"}]"),
            "the same key",
        ),
        (own("prices_file: no-such.json"), "cannot be read"),
        (own("body_limit: lots"), "not a size"),
        (own("prices: {m: {input_cost_per_token: -1}}"), "at least 0"),
        (
            model(
                "input_cost_per_token_above_128k_tokens: 1, input_cost_per_token_above_200k_tokens: 1",
            ),
            "only one threshold is possible",
        ),
        (
            "model_groups: [{id: g, weight: 1, models: [{provider: ollama, model: m}]}]\n"
                .to_owned(),
            "a key of a model",
        ),
        (
            "model_groups:\n- id: g\n  models: [{provider: ollama, model: ${X}}]\n".to_owned(),
            "needs quotes",
        ),
        ("model_groups:\n".to_owned(), "is null"),
        ("model_groups: []\n".to_owned(), "the list is empty"),
        ("model_groups: {id: g}\n".to_owned(), "not a list"),
    ] {
        let Err(findings) = text(&yaml) else {
            panic!("{yaml} loads")
        };
        assert!(
            findings.iter().any(|f| f.message.contains(part)),
            "{yaml}: {findings:#?}"
        );
        assert!(!format!("{findings:?}").contains(HIDDEN), "{findings:?}");
    }
    for (yaml, part) in [
        (model("temperatur: 1"), "did you mean \"temperature\"?"),
        (own("host: 0.0.0.0"), "serve refuses to start"),
        (
            own("groups: {g: {cost: total}}"),
            "the group uses simple-shuffle",
        ),
        (
            model("input_cost_per_token: 1"),
            "output_cost_per_token is not given",
        ),
        (
            model("cache_read_input_token_cost: 1"),
            "its price is unknown",
        ),
        (
            own("prices: {m: {input_cost_per_token: 0.0000000000015}}"),
            "rounded to one",
        ),
        (
            "model_groups: [{id: g, route: {}, models: [{provider: ollama, model: m}]}]\n"
                .to_owned(),
            "\"router\"",
        ),
    ] {
        let (_, findings) = text(&yaml).unwrap_or_else(|findings| panic!("{yaml}: {findings:#?}"));
        assert!(
            findings.iter().any(|f| f.message.contains(part)),
            "{yaml}: {findings:#?}"
        );
    }
}

#[test]
fn sections_of_others_are_left_alone() {
    let yaml = "model_groups: [{id: g, models: [{provider: ollama, model: m}]}]\n\
                tracker_store: {a: 1, a: 2, b: !tag \"${NOPE}\", c: $NOPE}\nnlu: 1\nnlu: 2\n";
    let (_, findings) = text(yaml).expect("loads");
    assert_eq!(findings, []);
}

#[test]
fn no_number_of_warnings_hides_an_error() {
    let extra: String = (0..3000).map(|i| format!("temperatur{i}: 1, ")).collect();
    let yaml =
        format!("model_groups: [{{id: g, models: [{{provider: ollama, {extra}rpm: x}}]}}]\n");
    let Err(findings) = text(&yaml) else {
        panic!("loads")
    };
    assert!(findings.iter().any(|f| f.key.ends_with(".rpm")));
}

#[test]
fn a_bare_name_is_left_alone_and_pointed_out_where_rasa_would_expand_it() {
    let yaml = "model_groups: [{id: g, models: [{provider: ollama, model: m, user: $REDIS_HOST, stop: [$NOPE]}]}]\n";
    let (config, findings) = text(yaml).expect("loads");
    assert_eq!(findings.len(), 1);
    assert!(findings[0].message.contains("${REDIS_HOST}"));
    assert_eq!(
        config.groups[0].deployments[0].target.defaults[0].1,
        "$REDIS_HOST"
    );
}

#[test]
fn a_variable_cannot_change_the_structure() {
    let env =
        |name: &str| (name == "ANY").then(|| "a: {b: \"c\"} # ${KEY_NORTH}\nid: x".to_owned());
    let yaml =
        "model_groups: [{id: g, models: [{provider: ollama, model: m, user: \"${ANY}\"}]}]\n";
    let (config, _) = config::load_str("test.yml", yaml, &env, false).expect("loads");
    assert_eq!(
        config.groups[0].deployments[0].target.defaults[0].1,
        env("ANY").expect("set")
    );
}

#[test]
fn hostile_files_are_refused_with_one_clear_word() {
    let bomb = (1..30).fold("a0: &a0 [x, x]\n".to_owned(), |text, i| {
        format!("{text}a{i}: &a{i} [*a{0}, *a{0}]\n", i - 1)
    });
    for (yaml, part) in [
        ("#".repeat(50_000_000), "more than a configuration may have"),
        (bomb, "more than 100000 values"),
        ("[".repeat(100_000), "this is not YAML"),
        (
            format!("model_groups: {}", "{a: ".repeat(100_000)),
            "this is not YAML",
        ),
        ("a: b: c".to_owned(), "this is not YAML"),
        ("a:\n\t- b".to_owned(), "this is not YAML"),
        (String::new(), "the file is empty"),
        ("- a".to_owned(), "not a mapping"),
        ("a: 1\n---\nb: 1\n".to_owned(), "second YAML document"),
    ] {
        let Err(findings) = text(&yaml) else {
            panic!("loads: {}", &yaml[..yaml.len().min(40)])
        };
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert!(findings[0].message.contains(part), "{}", findings[0]);
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("latin1.yml");
    std::fs::write(&path, b"a: 1\nb: \xe4\n").expect("written");
    let Err(findings) = config::load(&path, &variable, false) else {
        panic!("loads")
    };
    assert_eq!((findings[0].line, findings[0].column), (2, 4));
    assert!(config::load(&folder.path().join("missing.yml"), &variable, false).is_err());
    assert!(config::load(folder.path(), &variable, false).is_err());
}
