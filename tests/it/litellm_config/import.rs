//! `waypost import`: the same configuration, in the other dialect.

use std::path::Path;

use waypost::config::{self, Config, Import};
use waypost::lab::{Fault, Lab};

use super::{FILES, HIDDEN, file, loaded, params, variable, with};
use crate::support::{Gateway, lab, load};

#[track_caller]
fn imported(path: &Path) -> Import {
    config::import(path, &variable).unwrap_or_else(|f| panic!("refused: {f:#?}"))
}

#[track_caller]
fn import_text(yaml: &str) -> Import {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("config.yaml");
    std::fs::write(&path, yaml).expect("written");
    imported(&path)
}

/// Everything but the file's name.
fn typed(config: &Config) -> String {
    format!(
        "{:#?}{:#?}{:#?}",
        config.groups, config.aliases, config.settings
    )
}

#[test]
fn every_file_is_the_same_configuration_in_both_dialects() {
    for name in FILES {
        let (original, _) = loaded(name);
        let import = imported(&file(name));
        // What the file itself sets is to be set from outside.
        let env = |name: &str| match name {
            "OPENAI_API_KEY" if import.text.contains("OPENAI_API_KEY") => variable("KEY_NORTH"),
            "BASE_OF_HERE" => Some("https://here.example/v1".to_owned()),
            other => variable(other),
        };
        let (again, _) = config::load_str("endpoints.yml", &import.text, &env, false)
            .unwrap_or_else(|f| panic!("{name}: {f:#?}\n{}", import.text));
        assert_eq!(typed(&again), typed(&original), "{name}:\n{}", import.text);
        assert!(!import.text.contains(HIDDEN), "{}", import.text);
    }
}

#[test]
fn all_fixtures_are_imported() {
    let entries = std::fs::read_dir(file("")).expect("the folder");
    let mut found: Vec<String> = entries
        .map(|entry| entry.expect("an entry"))
        .filter(|entry| entry.path().is_file())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    found.sort();
    let mut known: Vec<&str> = FILES.to_vec();
    known.sort_unstable();
    assert_eq!(found, known);
}

#[test]
fn variables_stay_and_secrets_become_some() {
    let yaml = "model_list:\n\
                - {model_name: my chat, litellm_params: {model: openai/a, api_key: sk-one}}\n\
                - {model_name: my chat, litellm_params: {model: openai/b, api_key: sk-two, extra_headers: {X-Key: sk-three}}}\n\
                - {model_name: my chat, litellm_params: {model: openai/c, api_key: sk-one, api_base: \"https://$REGION.example/v1\"}}\n\
                general_settings: {master_key: sk-four}\n";
    let import = import_text(yaml);
    let text = &import.text;
    assert!(!text.contains("sk-"), "{text}");
    assert!(
        text.contains("api_base: https://${REGION}.example/v1"),
        "{text}"
    );
    let env = |name: &str| {
        let value = match name {
            "MY_CHAT_API_KEY" => "sk-one",
            "MY_CHAT_API_KEY_2" => "sk-two",
            "MY_CHAT_EXTRA_HEADERS_X_KEY" => "sk-three",
            "LITELLM_MASTER_KEY" => "sk-four",
            other => return variable(other),
        };
        Some(value.to_owned())
    };
    let (again, _) = config::load_str("endpoints.yml", text, &env, false).expect("it loads");
    let original = config::load_str("config.yaml", yaml, &variable, false)
        .expect("it loads")
        .0;
    assert_eq!(typed(&again), typed(&original));
    let keys = |config: &Config| config.settings.keys[0].sha256;
    assert_eq!(keys(&again), keys(&original));
    let said: Vec<&str> = import.to_do.iter().map(|f| &*f.message).collect();
    assert_eq!(said.len(), 4, "{said:?}");
    assert!(
        said.iter()
            .all(|s| s.contains("secret in clear text") && !s.contains("sk-")),
        "{said:?}"
    );
    let reports = format!("{:?}{:?}", import.warnings, import.differences);
    assert!(!reports.contains("sk-"), "{reports}");
}

#[test]
fn what_differs_is_said_where_the_file_touches_it() {
    let none = import_text(&with(""));
    let touching = import_text(
        &(params("model: openai/m, api_key: $KEY_NORTH, rpm: 3")
            + "litellm_settings: {allowed_fails: 3}\n"),
    );
    let has = |import: &Import, key: &str, part: &str| {
        import
            .differences
            .iter()
            .any(|f| f.key == key && f.message.contains(part))
    };
    let rpm = "model_list[0].litellm_params.rpm";
    assert!(has(&touching, rpm, "under every strategy"));
    assert!(has(&touching, rpm, "derives max_parallel_requests"));
    assert!(has(
        &touching,
        "litellm_settings.allowed_fails",
        "router_settings only"
    ));
    let lists = "router_settings: {context_window_fallbacks: [{a: [b]}]}";
    let entries = ["a", "b"].map(|name| {
        format!("- {{model_name: {name}, litellm_params: {{model: openai/m, api_key: $KEY_NORTH, region_name: eu}}}}\n")
    });
    let between = import_text(&format!("model_list:\n{}{lists}\n", entries.concat()));
    let region = "model_list[0].litellm_params.region_name";
    assert!(has(&between, region, "no_deployment_in_region"));
    assert!(has(
        &between,
        "router_settings.context_window_fallbacks",
        "goes by its general fallbacks"
    ));
    assert!(
        none.differences.iter().all(|f| f.key.is_empty()),
        "{:?}",
        none.differences
    );
    assert!(has(&none, "", "404 model_not_found"));
}

#[test]
fn an_endpoints_yml_is_not_imported() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("endpoints.yml");
    let yaml = "model_groups: [{id: a, models: [{provider: openai, model: m, api_key: \"${KEY_NORTH}\"}]}]\n";
    std::fs::write(&path, yaml).expect("written");
    let findings = config::import(&path, &variable).expect_err("it is Waypost's already");
    assert!(
        findings[0].message.contains("is read as it is"),
        "{findings:?}"
    );
}

/// A LiteLLM file over a lab.
fn over(lab: &Lab, each: &[(&str, &str, &str)], settings: &str) -> String {
    let entries = each.iter().map(|(group, name, more)| {
        let base = lab.deployment(name).base_url();
        format!(
            "  - model_name: {group}\n    litellm_params: {{model: openai/{name}, api_key: k, api_base: \"{base}\"{more}}}\n    \
             model_info: {{id: {name}}}\n"
        )
    });
    format!("model_list:\n{}{settings}\n", entries.collect::<String>())
}

/// What a client sees of a decision.
async fn decisions(config: &Config, lab: &Lab) -> Vec<(u16, Option<String>, Option<String>)> {
    let (gateway, clock) = Gateway::of_with_manual_clock(config).await;
    let mut seen = Vec::new();
    for i in 0..90 {
        // Outages that both see at the same requests.
        if i % 7 == 0 {
            lab.deployment("a").behave_next(1, Fault::rate_limit());
        }
        if i % 11 == 0 {
            lab.deployment("b")
                .behave_next(2, Fault::status(500, serde_json::json!({})));
        }
        if i % 30 == 29 {
            clock.advance(crate::support::s(61));
        }
        let answer = gateway.chat(["g", "h", "alias"][i % 3]).await;
        let header = |name| answer.header(name).map(str::to_owned);
        seen.push((
            answer.status,
            header("x-waypost-deployment"),
            header("x-waypost-model-group"),
        ));
    }
    gateway.stop().await;
    seen
}

#[tokio::test]
async fn both_dialects_decide_alike_over_the_same_traffic() {
    let three = [
        ("g", "a", ", weight: 5, rpm: 20"),
        ("g", "b", ", weight: 3, rpm: 20"),
        ("g", "c", ", weight: 1, rpm: 9"),
        ("h", "d", ""),
    ];
    let ordered = [
        ("g", "a", ", order: 1"),
        ("g", "b", ", order: 1"),
        ("g", "c", ", order: 2"),
        ("h", "d", ", tpm: 500"),
    ];
    let plain = [
        ("g", "a", ""),
        ("g", "b", ""),
        ("g", "c", ""),
        ("h", "d", ""),
    ];
    let cheap = [
        (
            "g",
            "a",
            ", input_cost_per_token: 2, output_cost_per_token: 1",
        ),
        (
            "g",
            "b",
            ", input_cost_per_token: 1, output_cost_per_token: 1",
        ),
        ("g", "c", ""),
        ("h", "d", ""),
    ];
    let between =
        "model_group_alias: {alias: g}, fallbacks: [{h: [g]}], num_retries: 1, cooldown_time: 30";
    for (models, strategy) in [
        (three, "simple-shuffle"),
        (ordered, "simple-shuffle"),
        (plain, "least-busy"),
        (three, "usage-based-routing-v2"),
        (cheap, "cost-based-routing"),
    ] {
        let settings = format!("router_settings: {{routing_strategy: {strategy}, {between}}}");
        let lab = lab(["a", "b", "c", "d"]);
        let yaml = over(&lab, &models, &settings);
        let original = decisions(&load(&yaml), &lab).await;
        for deployment in lab.deployments() {
            deployment.reset();
        }
        let import = import_text(&yaml.replace("api_key: k", "api_key: $KEY_NORTH"));
        let (again, _) =
            config::load_str("endpoints.yml", &import.text, &variable, false).expect("it loads");
        let after = decisions(&again, &lab).await;
        assert_eq!(after, original, "{strategy}\n{}", import.text);
        let chosen: std::collections::HashSet<_> =
            original.iter().map(|(_, d, _)| d.clone()).collect();
        assert!(
            chosen.len() > 2,
            "{strategy}: too few to compare: {chosen:?}"
        );
    }
}
