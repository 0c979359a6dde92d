//! What a loaded file says: each key arrives where it is used.

use std::time::Duration;

use waypost::types::{
    AllCooling, Auth, CostReading, Dialect, EntraSource, StrategyKind, TokenCredential,
    UsageReading,
};

use super::loaded;

#[test]
fn urls_follow_the_dialect() {
    let urls = |name: &str| -> Vec<(String, Dialect)> {
        let groups = loaded(name).groups;
        let targets = groups
            .iter()
            .flat_map(|g| &g.deployments)
            .map(|d| &d.target);
        targets
            .map(|t| (t.base_url.clone(), t.dialect.clone()))
            .collect()
    };
    let azure = |version: &str| Dialect::Azure {
        api_version: version.to_owned(),
    };
    let openai = Dialect::OpenAi {
        completions_only: false,
    };
    assert_eq!(
        urls("minimal.yml"),
        [("https://north.example".to_owned(), azure("2024-02-15"))]
    );
    assert_eq!(
        urls("two-deployments.yml"),
        [
            ("https://north.example".to_owned(), azure("2024-10-21")),
            (
                "https://south.example".to_owned(),
                azure("2024-08-01-preview")
            ),
            ("https://new.example".to_owned(), Dialect::AzureV1),
        ]
    );
    let proxies: Vec<String> = urls("proxies.yml")
        .into_iter()
        .map(|(url, _)| url)
        .collect();
    assert_eq!(
        proxies,
        [
            "http://proxy",
            "http://localhost:4000/v1",
            "http://localhost:4000/v1",
            "http://localhost:11434/v1",
            "http://localhost:11434/v1",
            "https://api.groq.com/openai/v1",
            "https://acme.example/api",
        ]
    );
    assert!(
        urls("proxies.yml")
            .iter()
            .all(|(_, dialect)| *dialect == openai)
    );
    assert!(urls("completions.yml").iter().all(|(_, d)| *d
        == Dialect::OpenAi {
            completions_only: true
        }));
}

#[test]
fn old_azure_versions_are_spared_newer_fields() {
    let config = loaded("minimal.yml");
    let old = &config.groups[0].deployments[0].target;
    assert!(!old.stream_options && !old.encoding_format);
    assert_eq!(old.renames, [("max_completion_tokens", "max_tokens")]);
    let config = loaded("two-deployments.yml");
    let flags: Vec<(bool, bool)> = config.groups[0]
        .deployments
        .iter()
        .map(|d| (d.target.stream_options, d.target.encoding_format))
        .collect();
    assert_eq!(flags, [(true, true), (false, true), (true, true)]);
}

#[test]
fn routers_take_what_the_file_says() {
    let group = loaded("router-params.yml").groups.remove(0);
    let router = &group.router;
    assert_eq!((router.num_retries, router.allowed_fails), (3, Some(2)));
    assert_eq!(
        (router.cooldown_time, router.retry_after),
        (Duration::from_secs(10), Duration::from_secs(1))
    );
    assert_eq!(router.deadline, Duration::from_secs(45));
    let deployment = &group.deployments[0];
    assert_eq!(deployment.max_parallel_requests, Some(4));
    assert_eq!(deployment.clocks.total, Duration::from_secs(7));
    assert_eq!(deployment.clocks.first_content, Duration::from_secs(7));
    assert_eq!(deployment.clocks.request, Duration::from_secs(45));
    let defaults: Vec<String> = deployment
        .target
        .defaults
        .iter()
        .map(|(k, v)| format!("{k}={v}"))
        .collect();
    assert_eq!(defaults, ["temperature=0.5", "top_p=0.9"]);
}

#[test]
fn a_group_without_router_has_every_default() {
    let router = loaded("embeddings.yml").groups.remove(0).router;
    assert_eq!(router.strategy, StrategyKind::SimpleShuffle);
    assert_eq!(
        (
            router.num_retries,
            router.allowed_fails,
            router.disable_cooldowns
        ),
        (2, None, false)
    );
    assert_eq!(router.cooldown_time, Duration::from_secs(5));
    assert_eq!(router.deadline, Duration::from_secs(600));
    assert!(router.cache.is_none());
}

#[test]
fn ids_are_stable_and_unique() {
    let ids = |name: &str| -> Vec<String> {
        let groups = loaded(name).groups;
        groups
            .iter()
            .flat_map(|g| &g.deployments)
            .map(|d| d.target.id.to_string())
            .collect()
    };
    assert_eq!(
        ids("groups.yml"),
        [
            "large/acme/large@gpu-1:8000",
            "large/acme/large@gpu-2:8000",
            "small/acme/small@gpu-1:8001",
            "small/acme/small@gpu-1:8001#2",
        ]
    );
    assert_eq!(
        ids("all-keys.yml"),
        ["first", "second", "other/llama3.1", "many/*/*"]
    );
    assert_eq!(
        ids("two-deployments.yml"),
        ["chat/gpt-north", "chat/gpt-south", "chat/gpt-new"]
    );
}

#[test]
fn credentials_come_from_file_or_variable_and_only_where_needed() {
    let config = loaded("proxies.yml");
    let kinds: Vec<&str> = config.groups[0]
        .deployments
        .iter()
        .map(|d| match &d.target.auth {
            Auth::None => "none",
            Auth::Bearer(_) => "bearer",
            Auth::Header(name, _) => name,
            Auth::Token(_) => "token",
        })
        .collect();
    assert_eq!(
        kinds,
        ["none", "none", "none", "none", "none", "bearer", "none"]
    );
    assert_eq!(
        &*config.groups[0].deployments[5].target.model,
        "llama-3.3-70b"
    );
    let config = loaded("minimal.yml");
    let Auth::Header("api-key", key) = &config.groups[0].deployments[0].target.auth else {
        panic!("not a key")
    };
    assert_eq!(key.expose(), "hidden-north");
    let config = loaded("entra.yml");
    let entra = |group: usize| match &config.groups[group].deployments[0].target.auth {
        Auth::Token(credential) => match &**credential {
            TokenCredential::Entra(credential) => credential,
            other => panic!("not Entra: {other:?}"),
        },
        other => panic!("no token: {other:?}"),
    };
    let credential = entra(0);
    let EntraSource::ClientSecret { client_secret, .. } = &credential.source else {
        panic!("no secret")
    };
    assert_eq!(client_secret.expose(), "hidden-secret");
    assert_eq!(
        credential.authority_host,
        "https://login.microsoftonline.com"
    );
    let credential = entra(1);
    assert_eq!(
        (&credential.source, credential.scopes.len()),
        (&EntraSource::Default, 2)
    );
    assert_eq!(
        credential.authority_host,
        "https://login.microsoftonline.us"
    );
    assert_eq!(
        config.groups[1].deployments[0].target.dialect,
        Dialect::AzureV1
    );
}

#[test]
fn every_key_arrives_where_it_is_used() {
    let config = loaded("all-keys.yml");
    let [first, second] = config.groups[0].deployments.as_slice() else {
        panic!("not two")
    };
    assert_eq!((first.weight, second.weight), (Some(3.0), Some(1.0)));
    assert_eq!(
        (first.rpm, first.tpm, first.order),
        (Some(500), Some(100_000), Some(1))
    );
    assert_eq!(
        (first.max_parallel_requests, first.num_retries),
        (Some(20), Some(1))
    );
    assert_eq!(first.cooldown_time, Some(Duration::ZERO));
    let price = first.price.as_ref().expect("given in the file");
    assert_eq!(
        (price.price.rates.input.0, price.price.rates.output.0),
        (0, 10_000_000)
    );
    assert_eq!(
        (first.clocks.total, first.clocks.gap),
        (Duration::from_secs(4), Duration::from_secs(3))
    );
    assert_eq!(first.clocks.connect, Duration::from_millis(500));
    let target = &first.target;
    let defaults: Vec<String> = target
        .defaults
        .iter()
        .map(|(k, v)| format!("{k}={v}"))
        .collect();
    assert_eq!(
        defaults,
        [
            "max_completion_tokens=1024",
            "seed=42",
            "stop=[\"END\"]",
            "response_format={\"type\":\"json_object\"}",
            "parallel_tool_calls=false",
            "top_k=40",
        ]
    );
    assert_eq!(
        target.extra_body,
        [("enable_thinking".to_owned(), serde_json::Value::Bool(false))]
    );
    let headers: Vec<(&str, &str)> = target
        .extra_headers
        .iter()
        .map(|(k, v)| (k.as_str(), v.expose()))
        .collect();
    assert_eq!(
        headers,
        [("x-team", "assistant"), ("x-secret", "hidden-south")]
    );
    assert_eq!(
        (&*target.price_model, target.organization.as_deref()),
        ("gpt-4o-mini", Some("org-1"))
    );

    let router = &config.groups[0].router;
    assert_eq!(
        (router.strategy, router.usage_reading),
        (StrategyKind::Usage, UsageReading::Total)
    );
    assert_eq!(router.cost_reading, CostReading::Request);
    assert_eq!(
        (router.all_cooling, router.max_wait),
        (AllCooling::Wait, Duration::from_secs(2))
    );
    assert!(router.response_model_is_group);
    assert_eq!(router.deadline, Duration::from_secs(15));
    let other = &config.groups[1];
    assert_eq!(other.router.all_cooling, AllCooling::Try);
    assert!(!other.router.response_model_is_group);
    assert_eq!(other.router.deadline, Duration::from_secs(60));
    assert_eq!(other.deployments[0].clocks.total, Duration::from_secs(9));
    assert_eq!(
        other.deployments[0]
            .price
            .clone()
            .map(|p| p.price.rates.input.0),
        Some(100_000)
    );

    let settings = &config.settings;
    assert_eq!(
        settings.host.map(|h| h.to_string()).as_deref(),
        Some("0.0.0.0")
    );
    assert_eq!(
        (settings.port, settings.admin.map(|a| a.port())),
        (Some(8080), Some(9090))
    );
    assert!(settings.anonymous);
    assert_eq!(
        (settings.body_limit, settings.cache_max_bytes),
        (1 << 20, 8 << 20)
    );
    assert_eq!(
        (settings.drain_delay, settings.drain_timeout),
        (Duration::ZERO, Duration::from_secs(30))
    );
    assert_eq!(settings.keys.len(), 2);
    assert_eq!(
        settings.keys[0].plain.as_ref().map(|k| k.expose()),
        Some("hidden-south")
    );
    assert_eq!(settings.keys[0].groups, None);
    assert_eq!(settings.keys[1].sha256[..2], [0x9f, 0x86]);
    assert_eq!(
        settings.keys[1]
            .groups
            .as_ref()
            .map(|g| g[0].to_string())
            .as_deref(),
        Some("other")
    );
}
