//! The one table of providers.
//!
//! Most services speak the OpenAI dialect and differ only in where they are, which variable holds their key, and how
//! they call a few request fields. Such a service is a row here and nothing else. Rows for dialects that are not
//! translated yet exist so that the configuration can say so, rather than call the name unknown.
//!
//! A default base URL is given only where it is published; a service without one needs `api_base`.

pub mod ollama;

/// How a provider's base URL becomes the one requests are sent below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// The OpenAI dialect below the base as given.
    OpenAi,
    /// The OpenAI dialect below `{root}/v1`; a base with a path is taken as given.
    OpenAiUnderV1,
    /// As [`Family::OpenAiUnderV1`], or Ollama's own API where it is needed; see [`ollama`].
    Ollama,
    /// Azure OpenAI: deployments in the path, or the newer `/openai/v1`.
    Azure,
    /// Amazon Bedrock: signed with AWS keys, or a bearer key.
    Bedrock,
    /// Amazon's `SageMaker`: signed with AWS keys.
    SageMaker,
    /// Google's Gemini API, with a key.
    Gemini,
    /// Google's Vertex AI: Google Cloud's tokens.
    Vertex,
    /// Anthropic's Messages.
    Anthropic,
    /// Cohere's second version.
    Cohere,
    /// IBM's watsonx.ai.
    Watsonx,
    /// A dialect of its own that is not translated yet.
    Untranslated,
    /// Not a service at all: runs inside Rasa.
    InsideRasa,
}

/// Request fields a provider knows by another name, `(ours, theirs)`.
pub type Renames = &'static [(&'static str, &'static str)];

/// A provider.
#[derive(Clone, Copy, Debug)]
pub struct Provider {
    /// The name in `provider:`.
    pub name: &'static str,
    /// What it speaks.
    pub family: Family,
    /// Used where neither the file nor a variable names a base.
    pub default_base: Option<&'static str>,
    /// Variables that may hold the base, first one first.
    pub base_env: &'static [&'static str],
    /// Variables that may hold the key, first one first.
    pub key_env: &'static [&'static str],
    /// Whether a deployment without a key is an error.
    pub key_required: bool,
    /// Fields to rename.
    pub renames: Renames,
    /// Whether `stream_options` may be sent.
    pub stream_options: bool,
    /// Whether `encoding_format` may be sent on embeddings.
    pub encoding_format: bool,
}

const NONE: Renames = &[];
/// The older name of the token limit.
pub const MAX_TOKENS: Renames = &[("max_completion_tokens", "max_tokens")];
const MISTRAL: Renames = &[
    ("max_completion_tokens", "max_tokens"),
    ("seed", "random_seed"),
];

const fn row(
    name: &'static str,
    family: Family,
    default_base: Option<&'static str>,
    base_env: &'static [&'static str],
    key_env: &'static [&'static str],
) -> Provider {
    Provider {
        name,
        family,
        default_base,
        base_env,
        key_env,
        key_required: true,
        renames: NONE,
        stream_options: true,
        encoding_format: true,
    }
}

/// A hosted service with the OpenAI dialect.
const fn hosted(
    name: &'static str,
    base: Option<&'static str>,
    base_env: &'static [&'static str],
    key_env: &'static [&'static str],
) -> Provider {
    row(name, Family::OpenAi, base, base_env, key_env)
}

/// A server of the user's own: needs no key.
const fn own(
    name: &'static str,
    base_env: &'static [&'static str],
    key_env: &'static [&'static str],
) -> Provider {
    Provider {
        key_required: false,
        ..row(name, Family::OpenAi, None, base_env, key_env)
    }
}

const fn untranslated(name: &'static str) -> Provider {
    row(name, Family::Untranslated, None, &[], &[])
}

const fn renaming(provider: Provider, renames: Renames) -> Provider {
    Provider {
        renames,
        ..provider
    }
}

/// All providers, in the order of the documentation.
pub const PROVIDERS: &[Provider] = &[
    hosted(
        "openai",
        Some("https://api.openai.com/v1"),
        &["OPENAI_API_BASE", "OPENAI_BASE_URL"],
        &["OPENAI_API_KEY"],
    ),
    row(
        "azure",
        Family::Azure,
        None,
        &["AZURE_API_BASE"],
        &["AZURE_API_KEY"],
    ),
    own(
        "self-hosted",
        &["HOSTED_VLLM_API_BASE"],
        &["HOSTED_VLLM_API_KEY"],
    ),
    own(
        "hosted_vllm",
        &["HOSTED_VLLM_API_BASE"],
        &["HOSTED_VLLM_API_KEY"],
    ),
    own("vllm", &["VLLM_API_BASE"], &["VLLM_API_KEY"]),
    own("lm_studio", &["LM_STUDIO_API_BASE"], &["LM_STUDIO_API_KEY"]),
    own("llamafile", &["LLAMAFILE_API_BASE"], &["LLAMAFILE_API_KEY"]),
    own(
        "openai_like",
        &["OPENAI_LIKE_API_BASE"],
        &["OPENAI_LIKE_API_KEY"],
    ),
    own(
        "custom_openai",
        &["CUSTOM_OPENAI_API_BASE"],
        &["CUSTOM_OPENAI_API_KEY"],
    ),
    Provider {
        family: Family::Ollama,
        default_base: Some(OLLAMA),
        renames: MAX_TOKENS,
        ..own("ollama", OLLAMA_BASE, OLLAMA_KEY)
    },
    Provider {
        family: Family::Ollama,
        default_base: Some(OLLAMA),
        renames: MAX_TOKENS,
        ..own("ollama_chat", OLLAMA_BASE, OLLAMA_KEY)
    },
    Provider {
        family: Family::OpenAiUnderV1,
        ..own(
            "litellm_proxy",
            &["LITELLM_PROXY_API_BASE"],
            &["LITELLM_PROXY_API_KEY"],
        )
    },
    own("rasa", &[], &["RASA_LICENSE", "RASA_PRO_LICENSE"]),
    hosted(
        "groq",
        Some("https://api.groq.com/openai/v1"),
        &["GROQ_API_BASE"],
        &["GROQ_API_KEY"],
    ),
    Provider {
        renames: MISTRAL,
        stream_options: false,
        ..hosted(
            "mistral",
            Some("https://api.mistral.ai/v1"),
            &["MISTRAL_API_BASE"],
            &["MISTRAL_API_KEY"],
        )
    },
    renaming(
        hosted(
            "deepseek",
            Some("https://api.deepseek.com"),
            &["DEEPSEEK_API_BASE"],
            &["DEEPSEEK_API_KEY"],
        ),
        MAX_TOKENS,
    ),
    renaming(
        hosted(
            "together_ai",
            Some("https://api.together.ai/v1"),
            &["TOGETHER_AI_API_BASE"],
            &[
                "TOGETHER_API_KEY",
                "TOGETHERAI_API_KEY",
                "TOGETHER_AI_API_KEY",
            ],
        ),
        MAX_TOKENS,
    ),
    renaming(
        hosted(
            "fireworks_ai",
            Some("https://api.fireworks.ai/inference/v1"),
            &["FIREWORKS_API_BASE", "FIREWORKS_AI_API_BASE"],
            &["FIREWORKS_API_KEY", "FIREWORKS_AI_API_KEY"],
        ),
        MAX_TOKENS,
    ),
    hosted(
        "openrouter",
        Some("https://openrouter.ai/api/v1"),
        &["OPENROUTER_API_BASE"],
        &["OPENROUTER_API_KEY"],
    ),
    hosted(
        "xai",
        Some("https://api.x.ai/v1"),
        &["XAI_API_BASE"],
        &["XAI_API_KEY"],
    ),
    renaming(
        hosted(
            "perplexity",
            Some("https://api.perplexity.ai"),
            &["PERPLEXITY_API_BASE"],
            &["PERPLEXITYAI_API_KEY", "PERPLEXITY_API_KEY"],
        ),
        MAX_TOKENS,
    ),
    renaming(
        hosted(
            "huggingface",
            Some("https://router.huggingface.co/v1"),
            &["HUGGINGFACE_API_BASE"],
            &["HUGGINGFACE_API_KEY"],
        ),
        MAX_TOKENS,
    ),
    renaming(
        hosted(
            "nvidia_nim",
            Some("https://integrate.api.nvidia.com/v1"),
            &["NVIDIA_NIM_API_BASE"],
            &["NVIDIA_NIM_API_KEY"],
        ),
        MAX_TOKENS,
    ),
    hosted(
        "cerebras",
        Some("https://api.cerebras.ai/v1"),
        &["CEREBRAS_API_BASE"],
        &["CEREBRAS_API_KEY"],
    ),
    renaming(
        hosted(
            "sambanova",
            Some("https://api.sambanova.ai/v1"),
            &["SAMBANOVA_API_BASE"],
            &["SAMBANOVA_API_KEY"],
        ),
        MAX_TOKENS,
    ),
    renaming(
        hosted(
            "deepinfra",
            Some("https://api.deepinfra.com/v1/openai"),
            &["DEEPINFRA_API_BASE"],
            &["DEEPINFRA_API_KEY"],
        ),
        MAX_TOKENS,
    ),
    renaming(
        hosted(
            "moonshot",
            Some("https://api.moonshot.ai/v1"),
            &["MOONSHOT_API_BASE"],
            &["MOONSHOT_API_KEY"],
        ),
        MAX_TOKENS,
    ),
    renaming(
        hosted(
            "dashscope",
            Some("https://dashscope-intl.aliyuncs.com/compatible-mode/v1"),
            &["DASHSCOPE_API_BASE"],
            &["DASHSCOPE_API_KEY"],
        ),
        MAX_TOKENS,
    ),
    renaming(
        hosted(
            "scaleway",
            Some("https://api.scaleway.ai/v1"),
            &["SCALEWAY_API_BASE"],
            &["SCALEWAY_API_KEY"],
        ),
        MAX_TOKENS,
    ),
    renaming(
        hosted("nebius", None, &["NEBIUS_API_BASE"], &["NEBIUS_API_KEY"]),
        MAX_TOKENS,
    ),
    renaming(
        hosted("novita", None, &["NOVITA_API_BASE"], &["NOVITA_API_KEY"]),
        MAX_TOKENS,
    ),
    renaming(
        hosted(
            "hyperbolic",
            None,
            &["HYPERBOLIC_API_BASE"],
            &["HYPERBOLIC_API_KEY"],
        ),
        MAX_TOKENS,
    ),
    renaming(
        hosted(
            "databricks",
            None,
            &["DATABRICKS_API_BASE"],
            &["DATABRICKS_API_KEY"],
        ),
        MAX_TOKENS,
    ),
    hosted(
        "cloudflare",
        None,
        &["CLOUDFLARE_API_BASE"],
        &["CLOUDFLARE_API_KEY"],
    ),
    row(
        "anthropic",
        Family::Anthropic,
        Some("https://api.anthropic.com"),
        &["ANTHROPIC_API_BASE", "ANTHROPIC_BASE_URL"],
        &["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"],
    ),
    row("bedrock", Family::Bedrock, None, BEDROCK_BASE, BEDROCK_KEY),
    row(
        "bedrock_converse",
        Family::Bedrock,
        None,
        BEDROCK_BASE,
        BEDROCK_KEY,
    ),
    row("sagemaker", Family::SageMaker, None, SAGEMAKER_BASE, &[]),
    row(
        "sagemaker_chat",
        Family::SageMaker,
        None,
        SAGEMAKER_BASE,
        &[],
    ),
    untranslated("gemini"),
    untranslated("vertex_ai"),
    untranslated("vertex_ai_beta"),
    untranslated("cohere"),
    untranslated("cohere_chat"),
    untranslated("watsonx"),
    untranslated("watsonx_text"),
    untranslated("azure_ai"),
    untranslated("replicate"),
    untranslated("voyage"),
    untranslated("jina_ai"),
    row("huggingface_local", Family::InsideRasa, None, &[], &[]),
];

const BEDROCK_BASE: &[&str] = &[
    "AWS_BEDROCK_RUNTIME_ENDPOINT",
    "AWS_ENDPOINT_URL_BEDROCK_RUNTIME",
];
const BEDROCK_KEY: &[&str] = &["AWS_BEARER_TOKEN_BEDROCK"];
const SAGEMAKER_BASE: &[&str] = &["AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME"];
const OLLAMA: &str = "http://localhost:11434";
const OLLAMA_BASE: &[&str] = &["OLLAMA_API_BASE"];
const OLLAMA_KEY: &[&str] = &["OLLAMA_API_KEY"];

/// The provider of that name, compared exactly.
#[must_use]
pub fn find(name: &str) -> Option<&'static Provider> {
    PROVIDERS.iter().find(|provider| provider.name == name)
}

/// The row used for a name nobody knows but whose `api_base` is given: the OpenAI dialect, with or without a key.
pub const UNKNOWN: Provider = own("", &[], &[]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_bases_are_clean() {
        for (i, provider) in PROVIDERS.iter().enumerate() {
            assert!(
                PROVIDERS[..i]
                    .iter()
                    .all(|other| other.name != provider.name),
                "{} twice",
                provider.name
            );
            if let Some(base) = provider.default_base {
                let url = url::Url::parse(base).expect("a URL");
                assert!(
                    matches!(url.scheme(), "http" | "https") && !base.ends_with('/'),
                    "{base}"
                );
            }
        }
    }

    #[test]
    fn rows_that_need_a_key_say_where_it_comes_from() {
        for provider in PROVIDERS {
            let ours = matches!(
                provider.family,
                Family::OpenAi | Family::OpenAiUnderV1 | Family::Ollama | Family::Azure
            );
            assert!(
                !ours || !provider.key_env.is_empty() || !provider.key_required,
                "{}",
                provider.name
            );
        }
    }
}
