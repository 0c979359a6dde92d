//! What becomes of a provider's base.

use waypost::config::{self, Config};
use waypost::types::{Auth, Dialect, WatsonxScope};

use crate::support::{Model, Yaml, load};

fn loaded(lines: &[&str]) -> Config {
    let all = ["model: m", "api_key: k"].iter().chain(lines).copied();
    load(&Yaml::default().group("g", [Model::lines(all)]).to_string())
}

#[test]
fn bases_say_which_dialect() {
    let chat = || Dialect::OpenAi {
        completions_only: false,
    };
    let models = |version: &str| Dialect::AzureModels {
        api_version: version.to_owned(),
    };
    for (provider, base, expected, dialect, header) in [
        (
            "azure_ai",
            "https://r.services.ai.azure.com",
            "https://r.services.ai.azure.com",
            models("2024-05-01-preview"),
            "api-key",
        ),
        (
            "azure_ai",
            "https://r.services.ai.azure.com/models/chat/completions?api-version=2025-01-01",
            "https://r.services.ai.azure.com",
            models("2025-01-01"),
            "api-key",
        ),
        (
            "azure_ai",
            "https://r.services.ai.azure.com/openai/v1/",
            "https://r.services.ai.azure.com",
            Dialect::AzureV1,
            "api-key",
        ),
        (
            "azure_ai",
            "https://x.models.ai.azure.com",
            "https://x.models.ai.azure.com/v1",
            chat(),
            "authorization",
        ),
        (
            "azure_ai",
            "https://x.models.ai.azure.com/v1/chat/completions",
            "https://x.models.ai.azure.com/v1",
            chat(),
            "authorization",
        ),
        (
            "databricks",
            "https://w.example",
            "https://w.example/serving-endpoints",
            chat(),
            "authorization",
        ),
        (
            "databricks",
            "https://w.example/ai-gateway/mlflow/v1",
            "https://w.example/ai-gateway/mlflow/v1",
            chat(),
            "authorization",
        ),
        (
            "huggingface",
            "https://e.example",
            "https://e.example/v1",
            chat(),
            "authorization",
        ),
    ] {
        let config = loaded(&[
            &format!("provider: {provider}"),
            &format!("api_base: {base}"),
        ]);
        let target = &config.groups[0].deployments[0].target;
        assert_eq!(
            (target.base_url.as_str(), &target.dialect),
            (expected, &dialect),
            "{base}"
        );
        let found = match &target.auth {
            Auth::Header(name, _) => name,
            _ => "authorization",
        };
        assert_eq!(found, header, "{base}");
    }
    let config = loaded(&["provider: text-completion-openai"]);
    let only = Dialect::OpenAi {
        completions_only: true,
    };
    assert_eq!(config.groups[0].deployments[0].target.dialect, only);
    let config = loaded(&[
        "provider: watsonx",
        "api_base: https://r.ml.cloud.ibm.com/ml/v1/text/chat",
        "space_id: s",
    ]);
    let target = &config.groups[0].deployments[0].target;
    let scope = Some(WatsonxScope::Space("s".to_owned()));
    let api_version = "2024-10-08".to_owned();
    assert_eq!(target.dialect, Dialect::Watsonx { api_version, scope });
    assert_eq!(target.base_url, "https://r.ml.cloud.ibm.com");
}

#[test]
fn what_a_base_lacks_is_said() {
    let account = |name: &str| (name == "CLOUDFLARE_ACCOUNT_ID").then(|| "acc".to_owned());
    let load = |lines: &[&str], env: &dyn Fn(&str) -> Option<String>| {
        let all = ["model: m", "api_key: k"].iter().chain(lines).copied();
        let yaml = Yaml::default().group("g", [Model::lines(all)]).to_string();
        match config::load_str("test.yml", &yaml, env, false) {
            Ok((config, _)) => Ok(config.groups[0].deployments[0].target.base_url.clone()),
            Err(findings) => Err(format!("{findings:?}")),
        }
    };
    assert_eq!(
        load(&["provider: cloudflare"], &account).expect("a base"),
        "https://api.cloudflare.com/client/v4/accounts/acc/ai/v1"
    );
    let watsonx = ["provider: watsonx", "api_base: https://w.example"];
    let both = [watsonx[0], watsonx[1], "project_id: p", "space_id: s"];
    let claude = [
        "provider: azure_ai",
        "api_base: https://r.services.ai.azure.com/anthropic/v1/messages",
    ];
    assert_eq!(
        load(&claude, &|_| None).expect("Claude's own API"),
        "https://r.services.ai.azure.com/anthropic"
    );
    for (lines, said) in [
        (
            &["provider: cloudflare"][..],
            "CLOUDFLARE_API_BASE or CLOUDFLARE_ACCOUNT_ID",
        ),
        (&watsonx[..], "project_id or space_id is required"),
        (&both[..], "together with space_id"),
    ] {
        let error = load(lines, &|_| None).expect_err("it lacks something");
        assert!(error.contains(said), "{lines:?}: {error}");
    }
}
