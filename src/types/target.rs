//! Where a deployment is and how it is spoken to.

use std::path::PathBuf;
use std::sync::Arc;

use super::{Auth, Quirks, Secret};

/// How a deployment's requests are addressed and shaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// `{base}/{operation}` with the model in the body.
    OpenAi {
        /// The deployment answers only `/completions`: chat requests are rendered to a prompt and answered as chat
        /// (`use_chat_completions_endpoint: false`).
        completions_only: bool,
    },
    /// `{base}/openai/deployments/{deployment}/{operation}?api-version=…`
    Azure {
        /// The dated version, as in the file.
        api_version: String,
    },
    /// Azure's newer path `{base}/openai/v1/{operation}`, with the deployment as the body's model.
    AzureV1,
    /// Azure AI's inference path `{base}/models/{operation}?api-version=…`, for models of other vendors.
    AzureModels {
        /// The dated version.
        api_version: String,
    },
    /// Cohere's API below `{base}/v2`.
    Cohere,
    /// Anthropic's Messages at `{base}/v1/messages`.
    Anthropic {
        /// The API's version, a date.
        version: String,
    },
    /// Ollama's own API below `{base}/api`, for options that its OpenAI path ignores.
    Ollama,
    /// watsonx.ai's own API below `{base}/ml/v1`.
    Watsonx {
        /// The dated version.
        api_version: String,
        /// What pays for the model. A model `deployment/{id}` has its own.
        scope: Option<WatsonxScope>,
    },
    /// Google's own API: `{base}/{model}:generateContent`.
    Gemini(GoogleHost),
    /// A partner's model at Vertex AI: `{base}/{model}:rawPredict`.
    VertexRaw(Partner),
    /// Amazon Bedrock: Converse, and InvokeModel for embeddings, below `{base}/model/{model}`.
    Bedrock {
        /// Signed for.
        region: String,
    },
    /// As [`Dialect::OpenAi`], signed where there are keys of AWS.
    AwsOpenAi {
        /// Signed for.
        region: String,
        /// The service's name in signatures.
        service: &'static str,
    },
    /// Amazon SageMaker: OpenAI bodies to `{base}/endpoints/{model}/invocations`.
    SageMaker {
        /// Signed for.
        region: String,
        /// The inference component of the endpoint.
        component: Option<String>,
    },
}

/// What a request to watsonx.ai belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatsonxScope {
    /// `project_id`
    Project(String),
    /// `space_id`
    Space(String),
}

/// Whose dialect a partner's model at Vertex AI speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Partner {
    /// Anthropic's Messages: Claude.
    Anthropic,
    /// OpenAI's: Mistral.
    OpenAi,
}

/// Who offers Google's models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GoogleHost {
    /// The Gemini API (AI Studio).
    Studio,
    /// Vertex AI.
    Vertex,
}

/// TLS settings of a deployment beyond the system's trust store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TlsOptions {
    /// A PEM file of further certificate authorities (`ssl_verify: FILE`).
    pub ca_file: Option<PathBuf>,
    /// A PEM file with certificate and key presented to the upstream (`ssl_certificate: FILE`).
    pub client_cert: Option<PathBuf>,
}

/// What happens to parameters of a request that a deployment's dialect has no counterpart for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dropping {
    /// `drop_params`: they are left out, and a header of the answer names them. Otherwise the request is refused.
    pub all: bool,
    /// `additional_drop_params`: these are left out in any case.
    pub also: Vec<String>,
    /// `allowed_openai_params`: these are sent as they are.
    pub allowed: Vec<String>,
}

/// Everything fixed about a deployment that an adapter and the upstream client need.
#[derive(Clone, Debug)]
pub struct Target {
    /// Stable and unique: group, provider, model, and a running number or host where that is not enough.
    pub id: Arc<str>,
    /// The provider's name as in the file.
    pub provider: Arc<str>,
    /// How to speak to it.
    pub dialect: Dialect,
    /// `http(s)://host[:port][/path]`, normalised for the dialect, without trailing slash.
    pub base_url: String,
    /// The model (or Azure deployment) name sent upstream.
    pub model: Arc<str>,
    /// The name prices are looked up by: `base_model`, else Azure's `model`, else `model`.
    pub price_model: Arc<str>,
    /// How to authenticate.
    pub auth: Auth,
    /// Default parameters of the call: added where the request does not have the key.
    pub defaults: Vec<(String, serde_json::Value)>,
    /// `extra_body`: set whatever the request says.
    pub extra_body: Vec<(String, serde_json::Value)>,
    /// `extra_headers`
    pub extra_headers: Vec<(String, Secret)>,
    /// Request fields this provider knows by another name, `(ours, theirs)`.
    pub renames: &'static [(&'static str, &'static str)],
    /// Whether `stream_options` may be sent; where not, usage is taken if it comes and estimated if not.
    pub stream_options: bool,
    /// Whether `encoding_format` may be sent on embeddings.
    pub encoding_format: bool,
    /// In what else it differs from OpenAI.
    pub quirks: &'static Quirks,
    /// What happens to parameters that the dialect has no counterpart for.
    pub dropping: Dropping,
    /// TLS beyond the default.
    pub tls: TlsOptions,
    /// `openai-organization` and the like that the file sets per deployment.
    pub organization: Option<String>,
}
