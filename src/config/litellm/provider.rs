//! The provider in a model's name: `azure/my-deployment`, or, as LiteLLM guesses, the family of a name without one.

use url::Url;

use crate::catalog::{self, PROVIDERS};

/// Providers of LiteLLM that are not in the catalog: with an `api_base` they are taken to speak the OpenAI dialect, and
/// without one the loader refuses them by name.
const OTHERS: &[&str] = &[
    "a2a_agent",
    "ai21",
    "ai21_chat",
    "aiml",
    "aleph_alpha",
    "amazon_nova",
    "anyscale",
    "baseten",
    "bytez",
    "chutes",
    "clarifai",
    "cometapi",
    "compactifai",
    "datarobot",
    "docker_model_runner",
    "empower",
    "featherless_ai",
    "friendliai",
    "galadriel",
    "gigachat",
    "github_copilot",
    "gradient_ai",
    "heroku",
    "infinity",
    "inception",
    "lambda_ai",
    "lemonade",
    "maritalk",
    "meta_llama",
    "minimax",
    "morph",
    "nlp_cloud",
    "nscale",
    "oci",
    "oobabooga",
    "openai_compatible",
    "ovhcloud",
    "petals",
    "poe",
    "predibase",
    "publicai",
    "ragflow",
    "snowflake",
    "synthetic",
    "text-completion-codestral",
    "topaz",
    "triton",
    "v0",
    "volcengine",
    "wandb",
    "xiaomi_mimo",
    "zai",
];

/// Beginnings of names that LiteLLM knows without a provider. The longest that fits counts.
const FAMILIES: &[(&str, &str)] = &[
    ("gpt-3.5-turbo-instruct", "text-completion-openai"),
    ("davinci-002", "text-completion-openai"),
    ("babbage-002", "text-completion-openai"),
    ("gpt-", "openai"),
    ("ft:gpt-", "openai"),
    ("chatgpt-", "openai"),
    ("o1", "openai"),
    ("o3", "openai"),
    ("o4-", "openai"),
    ("text-embedding-3", "openai"),
    ("text-embedding-ada", "openai"),
    ("claude-", "anthropic"),
    ("command", "cohere_chat"),
    ("embed-", "cohere"),
    ("gemini-", "vertex_ai"),
    ("anthropic.", "bedrock"),
    ("amazon.", "bedrock"),
    ("meta.", "bedrock"),
    ("mistral.", "bedrock"),
    ("cohere.", "bedrock"),
    ("ai21.", "bedrock"),
    ("us.", "bedrock"),
    ("eu.", "bedrock"),
    ("apac.", "bedrock"),
    ("global.", "bedrock"),
    ("arn:aws", "bedrock"),
];

/// Words of LiteLLM's before the name of a deployment of Azure, which choose a translation there.
const AZURE_WORDS: [&str; 2] = ["o_series/", "gpt5_series/"];

/// Provider and model of a name as it stands in the file; `None` if nothing tells the provider.
pub(super) fn split(
    name: &str,
    given: Option<&str>,
    base: Option<&str>,
) -> Option<(String, String)> {
    let prefix = name
        .split_once('/')
        .filter(|(first, _)| catalog::find(first).is_some() || OTHERS.contains(first));
    let (provider, model) = match (given, prefix) {
        (Some(given), Some((first, rest))) if first == given => (given, rest),
        (Some(given), _) => (given, name),
        (None, Some(found)) => found,
        (None, None) => (guess(name, base)?, name),
    };
    let model = match provider {
        "azure" | "azure_text" => AZURE_WORDS
            .iter()
            .find_map(|word| model.strip_prefix(word))
            .unwrap_or(model),
        _ => model,
    };
    // The loader takes one prefix off; where the model's own name begins like it, two are needed.
    let ambiguous = [provider, "hosted_vllm"].iter().any(|prefix| {
        model
            .strip_prefix(prefix)
            .is_some_and(|rest| rest.starts_with('/'))
    });
    let model = if ambiguous {
        format!("{provider}/{model}")
    } else {
        model.to_owned()
    };
    Some((provider.to_owned(), model))
}

/// By the address, if it is a provider's own; else by the name.
fn guess(name: &str, base: Option<&str>) -> Option<&'static str> {
    let host = |text: &str| Url::parse(text).ok()?.host_str().map(str::to_owned);
    let by_base = base.and_then(host).and_then(|asked| {
        let own = |base: &str| host(base).is_some_and(|host| host == asked && host != "localhost");
        PROVIDERS
            .iter()
            .find(|provider| provider.default_base.is_some_and(own))
    });
    let by_name = || {
        FAMILIES
            .iter()
            .filter(|(start, _)| name.starts_with(start))
            .max_by_key(|(start, _)| start.len())
            .map(|(_, provider)| *provider)
    };
    by_base.map(|provider| provider.name).or_else(by_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_what_they_mean() {
        for (name, given, base, expected) in [
            ("openai/gpt-4o", None, None, Some(("openai", "gpt-4o"))),
            ("azure/o_series/mine", None, None, Some(("azure", "mine"))),
            (
                "bedrock/us-east-1/anthropic.x",
                None,
                None,
                Some(("bedrock", "us-east-1/anthropic.x")),
            ),
            (
                "hosted_vllm/meta-llama/L",
                None,
                None,
                Some(("hosted_vllm", "meta-llama/L")),
            ),
            (
                "openai/openai/gpt-oss",
                None,
                None,
                Some(("openai", "openai/openai/gpt-oss")),
            ),
            ("groq/*", None, None, Some(("groq", "*"))),
            ("snowflake/x", None, None, Some(("snowflake", "x"))),
            ("gpt-4o", None, None, Some(("openai", "gpt-4o"))),
            (
                "gpt-3.5-turbo-instruct",
                None,
                None,
                Some(("text-completion-openai", "gpt-3.5-turbo-instruct")),
            ),
            (
                "claude-sonnet-4-5",
                None,
                None,
                Some(("anthropic", "claude-sonnet-4-5")),
            ),
            (
                "us.anthropic.claude",
                None,
                None,
                Some(("bedrock", "us.anthropic.claude")),
            ),
            (
                "llama-3",
                None,
                Some("https://api.groq.com/openai/v1"),
                Some(("groq", "llama-3")),
            ),
            ("llama-3", None, Some("http://localhost:8000/v1"), None),
            ("meta-llama/L", None, None, None),
            ("*", None, None, None),
            (
                "my-model",
                Some("openai"),
                None,
                Some(("openai", "my-model")),
            ),
            ("openai/x", Some("openai"), None, Some(("openai", "x"))),
            ("openai/x", Some("groq"), None, Some(("groq", "openai/x"))),
        ] {
            let expected = expected.map(|(p, m)| (p.to_owned(), m.to_owned()));
            assert_eq!(split(name, given, base), expected, "{name}");
        }
    }

    #[test]
    fn others_are_in_no_catalog() {
        for name in OTHERS {
            assert!(catalog::find(name).is_none(), "{name}");
        }
    }
}
