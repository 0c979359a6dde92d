//! Keys that are honoured, by what they come to.

use std::time::Duration;

use waypost::types::{AffinityKey, Auth, ErrorClass, StrategyKind};

use super::{good, loaded, of, params, with};
use crate::support::s;
use waypost::config::{Config, Deployment, Group, Severity};

#[track_caller]
fn group<'c>(config: &'c Config, id: &str) -> &'c Group {
    let found = config.groups.iter().find(|group| &*group.id == id);
    found.unwrap_or_else(|| panic!("no group {id}"))
}

fn names(list: &[std::sync::Arc<str>]) -> Vec<&str> {
    list.iter().map(|name| &**name).collect()
}

#[test]
fn entries_of_one_name_are_one_group() {
    let (config, findings) = loaded("shuffle.yml");
    assert_eq!(findings, []);
    let [group] = &config.groups[..] else {
        panic!("{:?}", config.groups)
    };
    assert_eq!(&*group.id, "chat");
    let targets: Vec<(&str, &str)> = group
        .deployments
        .iter()
        .map(|d| (&*d.target.provider, &*d.target.base_url))
        .collect();
    let base = |region| format!("https://bedrock-runtime.{region}.amazonaws.com");
    assert_eq!(targets[0], ("bedrock", &*base("eu-west-1")));
    // The region in a model's name comes first, as it does without a LiteLLM file.
    assert_eq!(targets[1].0, "bedrock");
    // Nothing was said, so LiteLLM's defaults hold.
    assert_eq!(group.router.strategy, StrategyKind::SimpleShuffle);
    assert_eq!(group.router.num_retries, 2);
    assert_eq!(group.router.cooldown_time, s(5));
    assert_eq!(group.router.allowed_fails, None);
    assert!(config.settings.litellm_headers);
    assert!(config.settings.keys.is_empty());
}

#[test]
fn every_key_of_a_deployment_arrives() {
    let (config, findings) = loaded("every-key.yml");
    let warnings: Vec<String> = findings.iter().map(ToString::to_string).collect();
    let errors = of(&findings, Severity::Error);
    assert!(errors.is_empty(), "{errors:?}");
    assert!(warnings.iter().all(|w| w.contains(".yml:")), "{warnings:?}");
    let chat = group(&config, "chat");
    let [north, south] = &chat.deployments[..] else {
        panic!("{chat:?}")
    };
    assert_eq!(&*north.target.id, "north");
    assert_eq!(&*north.target.provider, "azure");
    assert_eq!(&*north.target.model, "chat-north");
    assert_eq!(north.target.base_url, "https://north.example");
    assert_eq!(&*north.target.price_model, "gpt-4o");
    assert!(north.price.is_some());
    // The entry's limits come before those of litellm_params.
    assert_eq!((north.rpm, north.tpm), (Some(60), Some(9000)));
    assert_eq!((north.weight, north.order), (Some(2.0), Some(1)));
    assert_eq!(north.max_parallel_requests, Some(5));
    assert_eq!(north.num_retries, Some(1));
    // LiteLLM looks for this one in model_info first.
    assert_eq!(north.cooldown_time, Some(s(15)));
    assert_eq!(north.clocks.total, s(30));
    assert_eq!(north.clocks.first_content, s(10));
    assert_eq!(north.region.as_deref(), Some("eu"));
    assert_eq!(&*north.tags, ["paid", "default"]);
    assert_eq!(north.max_input_tokens, Some(8000));
    assert_eq!(north.abilities.images, Some(false));
    assert_eq!(north.allowed_fails, Some(2));
    assert_eq!(north.allowed_fails_policy.of(ErrorClass::Timeout), Some(1));
    assert!(north.target.dropping.all);
    assert_eq!(north.target.dropping.also, ["logit_bias"]);
    assert_eq!(north.target.extra_headers.len(), 1);
    let default = |of: &Deployment, key: &str| {
        let found = of.target.defaults.iter().find(|(name, _)| name == key);
        found.map(|(_, value)| value.to_string())
    };
    assert_eq!(
        default(north, "max_completion_tokens").as_deref(),
        Some("100")
    );
    assert_eq!(default(north, "top_k").as_deref(), Some("5"));
    assert_eq!(default(north, "temperature").as_deref(), Some("0.5"));
    assert_eq!(default(north, "notes"), None);

    assert_eq!(&*south.target.provider, "openai");
    assert_eq!(&*south.target.model, "chat-south");
    assert_eq!((south.weight, south.order), (Some(3.0), Some(2)));
    assert_eq!((south.rpm, south.tpm), (Some(1), Some(7)));
    assert_eq!(south.clocks.total, s(12));
    assert_eq!(south.cooldown_time, Some(s(20)));
}

#[test]
fn providers_and_credentials_are_found() {
    let (config, _) = loaded("every-key.yml");
    let target = |id: &str| &group(&config, id).deployments[0].target;
    assert_eq!(target("entra").base_url, "https://entra.example");
    assert!(
        matches!(target("entra").auth, Auth::Token(_)),
        "{:?}",
        target("entra").auth
    );
    assert_eq!(&*target("guessed").provider, "anthropic");
    assert_eq!(&*target("vertex").provider, "vertex_ai");
    assert_eq!(&*target("doubled").model, "org/hosted_vllm/x");
    assert_eq!(&*target("vectors").provider, "openai");
    assert_eq!(&*target("groq/*").model, "*");
    let canned = &group(&config, "canned").deployments;
    let by: Vec<(&str, Option<&str>)> = canned
        .iter()
        .map(|d| (&*d.target.id, d.target.organization.as_deref()))
        .collect();
    assert_eq!(by, [("canned", Some("org-a")), ("canned-2", Some("org-b"))]);
    assert_eq!(canned[1].mock_response.as_deref(), Some("canned answer"));
}

#[test]
fn every_key_of_the_router_arrives() {
    let (config, _) = loaded("every-key.yml");
    let router = &group(&config, "chat").router;
    assert_eq!(router.strategy, StrategyKind::Latency);
    assert!((router.latency_buffer - 0.2).abs() < 1e-9);
    // router_settings before litellm_settings.
    assert_eq!(router.num_retries, 3);
    assert_eq!(router.allowed_fails, Some(4));
    assert_eq!(router.cooldown_time, s(33));
    assert_eq!(router.retry_after, s(1));
    assert_eq!(router.retry_policy.of(ErrorClass::RateLimit), Some(3));
    assert_eq!(
        router.allowed_fails_policy.of(ErrorClass::RateLimit),
        Some(5)
    );
    assert!(router.pre_call_checks && !router.disable_cooldowns);
    assert_eq!(router.tags.map(|tags| tags.match_any), Some(false));
    assert_eq!(router.cache, None);
    let affinity = router.affinity.as_ref().expect("affinity");
    assert_eq!(affinity.keys, [AffinityKey::Session, AffinityKey::Prefix]);
    assert_eq!(affinity.ttl, s(60));
    let guessed = group(&config, "guessed");
    // Named by its alias.
    assert_eq!(
        guessed.router.retry_policy.of(ErrorClass::RateLimit),
        Some(1)
    );
    assert_eq!(
        guessed.router.affinity.as_ref().expect("affinity").keys,
        [AffinityKey::User]
    );
    assert_eq!(guessed.router.max_wait, s(3));
    assert_eq!(guessed.deployments[0].max_parallel_requests, Some(100));
    assert_eq!(guessed.deployments[0].clocks.total, s(60));
    assert_eq!(guessed.deployments[0].clocks.gap, s(20));
    assert!(guessed.deployments[0].target.dropping.all);
}

#[test]
fn ways_between_groups_arrive() {
    let (config, _) = loaded("every-key.yml");
    let lists = |id: &str| {
        let of = &group(&config, id).fallbacks;
        [&of.general, &of.context_window, &of.content_policy].map(|list| names(list))
    };
    assert_eq!(
        lists("chat"),
        [
            vec!["guessed", "groq/llama"],
            vec!["guessed"],
            vec!["canned"]
        ]
    );
    // The entry "*" is everybody's general list, and holds where a group is in none of the other kinds.
    assert_eq!(lists("guessed"), [["canned"]; 3]);
    let aliases: Vec<(&str, &str, bool)> = config
        .aliases
        .iter()
        .map(|alias| (&*alias.name, &*alias.group, alias.hidden))
        .collect();
    assert_eq!(
        aliases,
        [("long-name", "guessed", false), ("unlisted", "chat", true)]
    );
    assert_eq!(config.settings.max_fallbacks, 3);
    assert_eq!(config.settings.body_limit, 3 << 20);
    assert_eq!(config.settings.port, Some(4321));
    let [key] = &config.settings.keys[..] else {
        panic!("{:?}", config.settings.keys)
    };
    assert_eq!((&*key.name, &key.groups), ("master_key", &None));
}

#[test]
fn litellm_settings_count_where_the_router_says_nothing() {
    let (config, _) = loaded("settings.yml");
    let first = group(&config, "first");
    assert_eq!(first.router.num_retries, 3);
    assert_eq!(first.router.allowed_fails, Some(3));
    assert_eq!(first.router.cooldown_time, s(30));
    assert_eq!(first.deployments[0].clocks.total, s(10));
    assert_eq!(names(&first.fallbacks.general), ["second"]);
    // No list of that kind at all: the general one.
    assert_eq!(names(&first.fallbacks.context_window), ["second"]);
    let cache = first.router.cache.as_ref().expect("a cache");
    assert_eq!(
        (cache.ttl, cache.namespace.as_deref()),
        (s(90), Some("here"))
    );
}

#[test]
fn other_files_variables_and_credentials_are_put_together() {
    let (config, findings) = loaded("include.yml");
    assert_eq!(findings, []);
    let bases: Vec<&str> = config
        .groups
        .iter()
        .flat_map(|group| &group.deployments)
        .map(|d| &*d.target.base_url)
        .collect();
    assert_eq!(
        bases,
        [
            "https://api.openai.com/v1",
            "https://here.example/v1",
            "https://mine.example/v1"
        ]
    );
    assert_eq!(config.groups.len(), 2);
    assert_eq!(config.groups[1].router.strategy, StrategyKind::LeastBusy);
}

#[test]
fn variables_are_read_in_all_their_ways() {
    for (value, model) in [
        ("sagemaker/$ORG-x", "org-x"),
        ("sagemaker/${ORG}", "org"),
        ("sagemaker/${NOPE:-there}", "there"),
        ("sagemaker/a$", "a$"),
        ("sagemaker/$5", "$5"),
        ("$PROVIDER/llama", "llama"),
    ] {
        let config = good(&params(&format!(
            "model: '{value}', aws_region_name: os.environ/REGION, api_key: k"
        )));
        assert_eq!(
            &*config.groups[0].deployments[0].target.model, model,
            "{value}"
        );
    }
    // A password keeps its dollars.
    let config = good(&params("model: openai/m, api_key: 'pa$KEY_NORTH'"));
    let Auth::Bearer(key) = &config.groups[0].deployments[0].target.auth else {
        panic!("no bearer")
    };
    assert_eq!(key.expose(), "pa$KEY_NORTH");
}

#[test]
fn the_master_key_may_be_a_variable_alone() {
    let env = |name: &str| match name {
        "LITELLM_MASTER_KEY" => Some("sk-1".to_owned()),
        other => super::variable(other),
    };
    let (config, _) =
        waypost::config::load_str("c.yaml", &with(""), &env, false).expect("it loads");
    assert_eq!(config.settings.keys.len(), 1);
    assert_eq!(&*config.settings.keys[0].name, "master_key");
}

#[test]
fn a_timeout_of_6000_is_none() {
    let config = good(&with(
        "litellm_settings: {request_timeout: 6000}\nrouter_settings: {timeout: 7}",
    ));
    assert_eq!(config.groups[0].deployments[0].clocks.total, s(7));
    let config = good(&with(
        "litellm_settings: {request_timeout: 8}\nrouter_settings: {timeout: 7}",
    ));
    assert_eq!(config.groups[0].deployments[0].clocks.total, s(8));
    let config = good(&with(""));
    assert_eq!(
        config.groups[0].deployments[0].clocks.total,
        Duration::from_secs(600)
    );
}

#[test]
fn the_singular_key_is_taken_for_what_was_meant() {
    let (config, findings) =
        super::text(&with("router_settings: {enable_pre_call_check: true}")).expect("it loads");
    assert!(config.groups[0].router.pre_call_checks);
    let [warning] = &findings[..] else {
        panic!("{findings:?}")
    };
    assert_eq!(
        (warning.line, &*warning.key),
        (4, "router_settings.enable_pre_call_check")
    );
    assert!(
        warning
            .message
            .contains("the key is enable_pre_call_checks"),
        "{warning}"
    );
}
