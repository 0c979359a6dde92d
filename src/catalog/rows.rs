//! The rows.

use super::{Family, MAX_TOKENS, Provider, Renames, quirks};
use crate::types::Quirks;

const MISTRAL: Renames = &[
    ("max_completion_tokens", "max_tokens"),
    ("seed", "random_seed"),
];

const BEDROCK_BASE: &[&str] = &[
    "AWS_BEDROCK_RUNTIME_ENDPOINT",
    "AWS_ENDPOINT_URL_BEDROCK_RUNTIME",
];
const BEDROCK_KEY: &[&str] = &["AWS_BEARER_TOKEN_BEDROCK"];
const SAGEMAKER_BASE: &[&str] = &["AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME"];

/// All providers, in the order of the documentation.
pub const PROVIDERS: &[Provider] = &[
    Provider::named("openai", Family::OpenAi)
        .at("https://api.openai.com/v1")
        .env(&["OPENAI_API_BASE", "OPENAI_BASE_URL"], &["OPENAI_API_KEY"])
        .quirks(&Quirks::OPENAI),
    Provider::named("text-completion-openai", Family::OpenAi)
        .at("https://api.openai.com/v1")
        .env(&["OPENAI_API_BASE", "OPENAI_BASE_URL"], &["OPENAI_API_KEY"])
        .quirks(&Quirks::OPENAI)
        .completes_only(),
    Provider::named("azure", Family::Azure)
        .env(&["AZURE_API_BASE"], &["AZURE_API_KEY"])
        .quirks(&Quirks::OPENAI),
    Provider::named("azure_text", Family::Azure)
        .env(&["AZURE_API_BASE"], &["AZURE_API_KEY"])
        .quirks(&Quirks::OPENAI),
    Provider::named("azure_ai", Family::AzureAi)
        .env(&["AZURE_AI_API_BASE"], &["AZURE_AI_API_KEY"])
        .quirks(&quirks::AZURE_AI),
    Provider::named("self-hosted", Family::OpenAi)
        .env(&["HOSTED_VLLM_API_BASE"], &["HOSTED_VLLM_API_KEY"])
        .own(),
    Provider::named("hosted_vllm", Family::OpenAi)
        .env(&["HOSTED_VLLM_API_BASE"], &["HOSTED_VLLM_API_KEY"])
        .own(),
    Provider::named("vllm", Family::OpenAi)
        .env(&["VLLM_API_BASE"], &["VLLM_API_KEY"])
        .own(),
    Provider::named("lm_studio", Family::OpenAi)
        .env(&["LM_STUDIO_API_BASE"], &["LM_STUDIO_API_KEY"])
        .own(),
    Provider::named("llamafile", Family::OpenAi)
        .env(&["LLAMAFILE_API_BASE"], &["LLAMAFILE_API_KEY"])
        .own(),
    Provider::named("openai_like", Family::OpenAi)
        .env(&["OPENAI_LIKE_API_BASE"], &["OPENAI_LIKE_API_KEY"])
        .own(),
    Provider::named("custom_openai", Family::OpenAi)
        .env(&["CUSTOM_OPENAI_API_BASE"], &["CUSTOM_OPENAI_API_KEY"])
        .own(),
    Provider::named("ollama", Family::Ollama)
        .at("http://localhost:11434")
        .env(&["OLLAMA_API_BASE"], &["OLLAMA_API_KEY"])
        .own()
        .under("/v1")
        .renames(MAX_TOKENS)
        .quirks(&quirks::REASONING),
    Provider::named("ollama_chat", Family::Ollama)
        .at("http://localhost:11434")
        .env(&["OLLAMA_API_BASE"], &["OLLAMA_API_KEY"])
        .own()
        .under("/v1")
        .renames(MAX_TOKENS)
        .quirks(&quirks::REASONING),
    Provider::named("litellm_proxy", Family::OpenAi)
        .env(&["LITELLM_PROXY_API_BASE"], &["LITELLM_PROXY_API_KEY"])
        .own()
        .under("/v1"),
    Provider::named("rasa", Family::OpenAi)
        .env(&[], &["RASA_LICENSE", "RASA_PRO_LICENSE"])
        .own(),
    Provider::named("groq", Family::OpenAi)
        .at("https://api.groq.com/openai/v1")
        .env(&["GROQ_API_BASE"], &["GROQ_API_KEY"])
        .quirks(&quirks::GROQ),
    Provider::named("mistral", Family::OpenAi)
        .at("https://api.mistral.ai/v1")
        .env(&["MISTRAL_API_BASE"], &["MISTRAL_API_KEY"])
        .renames(MISTRAL)
        .no_stream_options()
        .quirks(&quirks::MISTRAL),
    Provider::named("codestral", Family::OpenAi)
        .at("https://codestral.mistral.ai/v1")
        .env(&["CODESTRAL_API_BASE"], &["CODESTRAL_API_KEY"])
        .renames(MISTRAL)
        .no_stream_options()
        .quirks(&quirks::MISTRAL),
    Provider::named("deepseek", Family::OpenAi)
        .at("https://api.deepseek.com")
        .env(&["DEEPSEEK_API_BASE"], &["DEEPSEEK_API_KEY"])
        .renames(MAX_TOKENS)
        .quirks(&quirks::DEEPSEEK),
    Provider::named("together_ai", Family::OpenAi)
        .at("https://api.together.ai/v1")
        .env(
            &["TOGETHER_AI_API_BASE"],
            &[
                "TOGETHER_API_KEY",
                "TOGETHERAI_API_KEY",
                "TOGETHER_AI_API_KEY",
            ],
        )
        .renames(MAX_TOKENS)
        .quirks(&quirks::TOGETHER),
    Provider::named("fireworks_ai", Family::OpenAi)
        .at("https://api.fireworks.ai/inference/v1")
        .env(
            &["FIREWORKS_API_BASE", "FIREWORKS_AI_API_BASE"],
            &["FIREWORKS_API_KEY", "FIREWORKS_AI_API_KEY"],
        )
        .renames(MAX_TOKENS)
        .quirks(&quirks::FIREWORKS),
    Provider::named("openrouter", Family::OpenAi)
        .at("https://openrouter.ai/api/v1")
        .env(&["OPENROUTER_API_BASE"], &["OPENROUTER_API_KEY"])
        .quirks(&quirks::OPENROUTER),
    Provider::named("xai", Family::OpenAi)
        .at("https://api.x.ai/v1")
        .env(&["XAI_API_BASE"], &["XAI_API_KEY"])
        .quirks(&quirks::XAI),
    Provider::named("perplexity", Family::OpenAi)
        .at("https://api.perplexity.ai")
        .env(
            &["PERPLEXITY_API_BASE"],
            &["PERPLEXITYAI_API_KEY", "PERPLEXITY_API_KEY"],
        )
        .renames(MAX_TOKENS)
        .no_stream_options()
        .quirks(&quirks::PERPLEXITY),
    Provider::named("huggingface", Family::OpenAi)
        .at("https://router.huggingface.co/v1")
        .env(
            &["HUGGINGFACE_API_BASE"],
            &["HUGGINGFACE_API_KEY", "HF_TOKEN"],
        )
        .under("/v1")
        .renames(MAX_TOKENS)
        .quirks(&quirks::TGI),
    Provider::named("github", Family::OpenAi)
        .at("https://models.github.ai/inference")
        .env(&["GITHUB_API_BASE"], &["GITHUB_API_KEY"])
        .quirks(&Quirks::STRICT),
    Provider::named("vercel_ai_gateway", Family::OpenAi)
        .at("https://ai-gateway.vercel.sh/v1")
        .env(
            &["VERCEL_AI_GATEWAY_API_BASE"],
            &["VERCEL_AI_GATEWAY_API_KEY", "AI_GATEWAY_API_KEY"],
        ),
    Provider::named("nvidia_nim", Family::OpenAi)
        .at("https://integrate.api.nvidia.com/v1")
        .env(&["NVIDIA_NIM_API_BASE"], &["NVIDIA_NIM_API_KEY"])
        .renames(MAX_TOKENS)
        .quirks(&quirks::NVIDIA),
    Provider::named("cerebras", Family::OpenAi)
        .at("https://api.cerebras.ai/v1")
        .env(&["CEREBRAS_API_BASE"], &["CEREBRAS_API_KEY"])
        .quirks(&Quirks::STRICT),
    Provider::named("sambanova", Family::OpenAi)
        .at("https://api.sambanova.ai/v1")
        .env(&["SAMBANOVA_API_BASE"], &["SAMBANOVA_API_KEY"])
        .renames(MAX_TOKENS),
    Provider::named("deepinfra", Family::OpenAi)
        .at("https://api.deepinfra.com/v1/openai")
        .env(&["DEEPINFRA_API_BASE"], &["DEEPINFRA_API_KEY"])
        .renames(MAX_TOKENS),
    Provider::named("moonshot", Family::OpenAi)
        .at("https://api.moonshot.ai/v1")
        .env(&["MOONSHOT_API_BASE"], &["MOONSHOT_API_KEY"])
        .renames(MAX_TOKENS),
    Provider::named("dashscope", Family::OpenAi)
        .at("https://dashscope-intl.aliyuncs.com/compatible-mode/v1")
        .env(&["DASHSCOPE_API_BASE"], &["DASHSCOPE_API_KEY"])
        .renames(MAX_TOKENS),
    Provider::named("scaleway", Family::OpenAi)
        .at("https://api.scaleway.ai/v1")
        .env(&["SCALEWAY_API_BASE"], &["SCALEWAY_API_KEY"])
        .renames(MAX_TOKENS),
    Provider::named("nebius", Family::OpenAi)
        .env(&["NEBIUS_API_BASE"], &["NEBIUS_API_KEY"])
        .renames(MAX_TOKENS),
    Provider::named("novita", Family::OpenAi)
        .env(&["NOVITA_API_BASE"], &["NOVITA_API_KEY"])
        .renames(MAX_TOKENS),
    Provider::named("hyperbolic", Family::OpenAi)
        .env(&["HYPERBOLIC_API_BASE"], &["HYPERBOLIC_API_KEY"])
        .renames(MAX_TOKENS),
    Provider::named("databricks", Family::OpenAi)
        .env(
            &["DATABRICKS_API_BASE"],
            &["DATABRICKS_API_KEY", "DATABRICKS_TOKEN"],
        )
        .under("/serving-endpoints")
        .renames(MAX_TOKENS)
        .quirks(&quirks::DATABRICKS),
    Provider::named("cloudflare", Family::OpenAi)
        .at("https://api.cloudflare.com/client/v4/accounts/${CLOUDFLARE_ACCOUNT_ID}/ai/v1")
        .env(
            &["CLOUDFLARE_API_BASE"],
            &["CLOUDFLARE_API_KEY", "CLOUDFLARE_API_TOKEN"],
        )
        .quirks(&Quirks::STRICT),
    Provider::named("voyage", Family::OpenAi)
        .at("https://api.voyageai.com/v1")
        .env(&["VOYAGE_API_BASE"], &["VOYAGE_API_KEY"])
        .no_encoding_format()
        .quirks(&quirks::VOYAGE),
    Provider::named("jina_ai", Family::OpenAi)
        .at("https://api.jina.ai/v1")
        .env(&["JINA_AI_API_BASE"], &["JINA_AI_API_KEY", "JINA_API_KEY"])
        .no_encoding_format()
        .quirks(&quirks::JINA),
    Provider::named("watsonx", Family::Watsonx)
        .env(
            &["WATSONX_API_BASE", "WATSONX_URL"],
            &["WATSONX_APIKEY", "WATSONX_API_KEY"],
        )
        .no_encoding_format()
        .quirks(&quirks::WATSONX),
    Provider::named("anthropic", Family::Anthropic)
        .at("https://api.anthropic.com")
        .env(
            &["ANTHROPIC_API_BASE", "ANTHROPIC_BASE_URL"],
            &["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"],
        ),
    Provider::named("bedrock", Family::Bedrock).env(BEDROCK_BASE, BEDROCK_KEY),
    Provider::named("bedrock_converse", Family::Bedrock).env(BEDROCK_BASE, BEDROCK_KEY),
    Provider::named("sagemaker", Family::SageMaker).env(SAGEMAKER_BASE, &[]),
    Provider::named("sagemaker_chat", Family::SageMaker).env(SAGEMAKER_BASE, &[]),
    Provider::named("gemini", Family::Gemini)
        .at("https://generativelanguage.googleapis.com")
        .env(&["GEMINI_API_BASE"], &["GEMINI_API_KEY", "GOOGLE_API_KEY"]),
    Provider::named("vertex_ai", Family::Vertex),
    Provider::named("vertex_ai_beta", Family::Vertex),
    Provider::named("cohere", Family::Cohere)
        .at("https://api.cohere.com")
        .env(
            &["COHERE_API_BASE", "CO_API_URL"],
            &["COHERE_API_KEY", "CO_API_KEY"],
        )
        .renames(MAX_TOKENS),
    Provider::named("cohere_chat", Family::Cohere)
        .at("https://api.cohere.com")
        .env(
            &["COHERE_API_BASE", "CO_API_URL"],
            &["COHERE_API_KEY", "CO_API_KEY"],
        )
        .renames(MAX_TOKENS),
    Provider::named("watsonx_text", Family::Untranslated),
    Provider::named("replicate", Family::Untranslated),
    Provider::named("huggingface_local", Family::InsideRasa),
];
