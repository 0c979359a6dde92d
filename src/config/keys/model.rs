//! Keys of an entry of `models`, and the parameters of a call.

use super::policies::FAILS;
use super::price::FURTHER;
use super::{
    ANY_COUNT, CALL, COUNT_32, Key, Kind, POSITIVE, POSITIVE_32, Section, Unknown, later, none, on,
};

/// A deployment.
pub(in super::super) static MODEL: Section = Section {
    title: "Models",
    path: "model_groups[].models[]",
    doc: "Each entry is one deployment. A null value counts as not given. Any other key becomes a field of every \
          request to this deployment, unless the request has it.",
    keys: &[KEYS, FURTHER, OTHER_DIALECTS, CALL],
    unknown: Unknown::PassedOn,
};

const LIMITS: &str = "only rpm and tpm are enforced so far";

const KEYS: &[Key] = &[
    on("provider", Kind::Text, "Name of the provider, compared exactly; see the table below.").or("`azure`, if `deployment` is given"),
    on("model", Kind::Text, "The provider's name of the model. With azure: what the deployment serves, for its price."),
    on("deployment", Kind::Text, "Azure's name of the deployment; required for azure."),
    on("api_base", Kind::Text, "Base URL of the provider, `http://` or `https://`.").or("variable, or the provider's own"),
    on("api_key", Kind::Secret, "Key of the provider, as `${NAME}`.").or("the provider's variable"),
    on(
        "api_version",
        Kind::Text,
        "The API's version, a date: of azure (absent, `v1` or `preview`: the path `/openai/v1`), azure_ai and watsonx, and \
         anthropic's header `anthropic-version`.",
    )
    .or("`AZURE_API_VERSION`; `2023-06-01` for anthropic"),
    none(
        "api_type",
        Kind::Choice(&["openai", "azure"]),
        "the provider says how to speak to it",
        "An old key of Rasa; checked and ignored.",
    ),
    on("organization", Kind::Text, "`OpenAI-Organization` header; openai only.").or("`OPENAI_ORGANIZATION`, for openai"),
    on("oauth", Kind::Section(&OAUTH), "Microsoft Entra ID instead of `api_key`; azure only."),
    on(
        "use_chat_completions_endpoint",
        Kind::Flag,
        "False: chat goes to `/completions` as one prompt. In a group with a router it stands in the router.",
    )
    .or("true"),
    on("timeout", Kind::Seconds, "Limit of one attempt at this deployment.").or("`router.timeout`"),
    on("stream_timeout", Kind::Seconds, "Limit until the first content, and between events, of a stream.")
        .or("`router.stream_timeout`"),
    on("weight", Kind::Amount, "Share in `simple-shuffle`."),
    on("rpm", ANY_COUNT, "Requests per minute this deployment may be sent; else its share in `simple-shuffle`."),
    on("tpm", ANY_COUNT, "Tokens per minute this deployment may use; else its share in `simple-shuffle`."),
    on("order", COUNT_32, "Priority: only the lowest order among the eligible is used; one without comes last."),
    on("max_parallel_requests", POSITIVE_32, "Requests in flight this deployment may have.")
        .or("`router.default_max_parallel_requests`"),
    on("input_cost_per_token", Kind::Amount, "Price of an input token in dollars; 0 is a price.").or("price table"),
    on("output_cost_per_token", Kind::Amount, "Price of an output token in dollars; 0 is a price.").or("price table"),
    on("cache_read_input_token_cost", Kind::Amount, "Price of an input token read from the provider's cache.")
        .or("price table"),
    on("base_model", Kind::Text, "Name for the price table, where `model` or `deployment` is not in it."),
    on("model_info", Kind::Section(&INFO), "Facts about the deployment, as LiteLLM has them."),
    on("num_retries", COUNT_32, "Retries after a failure of this deployment.").or("`router.num_retries`"),
    none("max_retries", COUNT_32, "use num_retries", "Retries of LiteLLM's HTTP client."),
    on("cooldown_time", Kind::SecondsOrZero, "Seconds this deployment sits out after a failure; 0: never.")
        .or("`router.cooldown_time`"),
    on("allowed_fails", COUNT_32, "Failures tolerated within `cooldown_time`; one more cools.").or("`router.allowed_fails`"),
    on("allowed_fails_policy", Kind::Section(&FAILS), "Failures tolerated by class of failure; before `allowed_fails`.")
        .or("`router.allowed_fails_policy`"),
    on("extra_headers", Kind::Mapping, "Headers added to every request; their values are secrets."),
    on("extra_body", Kind::Mapping, "Fields set in every request, whatever the request says."),
    on("ssl_verify", Kind::FileOrFlag, "A PEM file with further certificate authorities; `false` is refused.").or("true"),
    on("ssl_certificate", Kind::Text, "A PEM file with the certificate and key shown to the upstream."),
    on("tags", Kind::Texts, "What requests may ask for by name, with `router.enable_tag_filtering`. `default`: for requests without tags."),
    later("tag_regex", Kind::Texts, "tags are compared as they are; patterns for the user agent are not built yet", "Patterns for the user agent."),
    on("region_name", Kind::Text, "Where it is, for requests with `allowed_model_region`.")
        .or("`aws_region_name` or `vertex_location`"),
    on("mock_response", Kind::Text, "The deployment is not called: this is its answer."),
    on(
        "drop_params",
        Kind::Flag,
        "Parameters of a request that the provider has no counterpart for are left out, and `x-waypost-dropped-params` \
         names them. Otherwise the request is refused.",
    )
    .or("false"),
    on("additional_drop_params", Kind::Texts, "Parameters of a request that are left out in any case."),
    on("allowed_openai_params", Kind::Texts, "Parameters that are sent as they are, whatever the provider knows."),
    none("configurable_clientside_auth_params", Kind::Any, "clients cannot replace credentials", "Client-side credentials."),
    later("itpm", ANY_COUNT, LIMITS, "Input tokens per minute."),
    later("otpm", ANY_COUNT, LIMITS, "Output tokens per minute."),
    later("rpd", ANY_COUNT, LIMITS, "Requests per day."),
    later("tpd", ANY_COUNT, LIMITS, "Tokens per day."),
    later("daily_reset_time", Kind::Text, LIMITS, "When a day begins."),
    later("max_budget", Kind::Amount, "budgets are not built yet; nothing limits the spend", "Budget in dollars."),
    later("budget_duration", Kind::Text, "budgets are not built yet; nothing limits the spend", "Period of the budget."),
    later("silent_model", Kind::Text, "shadow traffic is not built yet", "A group that gets a copy of the traffic."),
];

const OTHER_DIALECTS: &[Key] = &[
    on("aws_region_name", Kind::Text, "Region of bedrock and sagemaker.")
        .or("`AWS_REGION`, `AWS_DEFAULT_REGION`, or the profile's"),
    on(
        "aws_access_key_id",
        Kind::Secret,
        "Key of AWS, with `aws_secret_access_key`; bedrock and sagemaker.",
    )
    .or("profile, environment, web identity, default profile, container, instance: the first there is"),
    on("aws_secret_access_key", Kind::Secret, "The secret of `aws_access_key_id`."),
    on("aws_session_token", Kind::Secret, "The token of temporary keys of AWS."),
    on(
        "aws_profile_name",
        Kind::Text,
        "Profile of AWS's shared files, read again while running. Profiles with `credential_process` or single sign-on are \
         refused.",
    ),
    on("aws_role_name", Kind::Text, "ARN of a role that is assumed with what the other keys give.")
        .or("`AWS_ROLE_NAME`"),
    on("aws_session_name", Kind::Text, "What the role's session is called at AWS.").or("`AWS_SESSION_NAME`, or `waypost`"),
    on("aws_external_id", Kind::Secret, "What the owner of the role wants to see.").or("`AWS_EXTERNAL_ID`"),
    on(
        "aws_web_identity_token",
        Kind::Secret,
        "Identity that is exchanged for `aws_role_name`: a token, the absolute path of a file with one, or LiteLLM's \
         `oidc/file//PATH`, `oidc/env/NAME`, `oidc/env_path/NAME`. A file is read again every time.",
    ),
    on("aws_sts_endpoint", Kind::Text, "Where roles are assumed, `http://` or `https://`.")
        .or("`AWS_ENDPOINT_URL_STS`, or the region's"),
    on("aws_bedrock_runtime_endpoint", Kind::Text, "Where Bedrock is, for LiteLLM's users: `api_base` says the same.")
        .or("`AWS_BEDROCK_RUNTIME_ENDPOINT`, or the region's"),
    on(
        "model_id",
        Kind::Text,
        "bedrock: what is called in place of `model`, such as an inference profile's ARN; `model` says what is behind it. \
         sagemaker: the inference component of the endpoint.",
    ),
    on("vertex_project", Kind::Text, "Project of vertex_ai.")
        .or("`VERTEXAI_PROJECT`, the credentials', or `GOOGLE_CLOUD_PROJECT`"),
    on("vertex_location", Kind::Text, "Location of vertex_ai, or `global`.").or("`VERTEXAI_LOCATION`, or `us-central1`"),
    on(
        "vertex_credentials",
        Kind::Any,
        "A file with a service account or a user's credentials, read again every time; or its content, as text or mapping.",
    )
    .or("`GOOGLE_APPLICATION_CREDENTIALS`, gcloud's file, or the metadata server"),
    on("token", Kind::Secret, "A token of watsonx instead of `api_key`, used as it is.").or("`WATSONX_TOKEN`"),
    on("zen_api_key", Kind::Secret, "A Zen API key of watsonx instead of `api_key`.").or("`WATSONX_ZENAPIKEY`"),
    on("project_id", Kind::Text, "Project of watsonx; this or `space_id`, unless the model is `deployment/ID`.")
        .or("`WATSONX_PROJECT_ID`"),
    on("space_id", Kind::Text, "Deployment space of watsonx.").or("`WATSONX_DEPLOYMENT_SPACE_ID`"),
    on(
        "client_id",
        Kind::Secret,
        "Service principal of databricks, instead of `api_key`. Azure's stands under `oauth`.",
    )
    .or("`DATABRICKS_CLIENT_ID`"),
    on("client_secret", Kind::Secret, "Its secret.").or("`DATABRICKS_CLIENT_SECRET`"),
    none("token_url", Kind::Secret, "the provider says where tokens come from", "Where a token comes from."),
    none("secret", Kind::Secret, "no provider has such a key", "A secret."),
];

/// `oauth`
static OAUTH: Section = Section {
    title: "Azure OAuth",
    path: "model_groups[].models[].oauth",
    doc: "Tokens of Microsoft Entra ID, fetched once for all deployments with the same credential and renewed before \
          they expire. Not together with `api_key`.",
    keys: &[&[
        on(
            "type",
            Kind::Text,
            "`azure_entra_id_client_secret`, or `azure_entra_id_default` (environment, workload identity, managed \
             identity, in that order).",
        )
        .required(),
        on("scopes", Kind::Texts, "Usually `https://cognitiveservices.azure.com/.default`.").required(),
        on("tenant_id", Kind::Text, "Directory; for `azure_entra_id_client_secret`."),
        on("client_id", Kind::Secret, "Application; for `azure_entra_id_client_secret`."),
        on("client_secret", Kind::Secret, "Its secret; for `azure_entra_id_client_secret`."),
        on("authority_host", Kind::Text, "Where tokens come from, `https://`.")
            .or("`AZURE_AUTHORITY_HOST`, or `https://login.microsoftonline.com`"),
        none("disable_instance_discovery", Kind::Flag, "there is no instance discovery", "A setting of Azure's library."),
        later("certificate_path", Kind::Text, CERTIFICATE, "Certificate of the application."),
        later("certificate_password", Kind::Secret, CERTIFICATE, "Password of the certificate."),
        later("send_certificate_chain", Kind::Flag, CERTIFICATE, "Send the whole chain."),
    ]],
    unknown: Unknown::Refused,
};

const CERTIFICATE: &str = "client certificates are not supported yet";

/// `model_info`
static INFO: Section = Section {
    title: "Model info",
    path: "model_groups[].models[].model_info",
    doc: "LiteLLM's facts about a deployment. A key that also stands in the model itself is taken from there.",
    keys: &[&[
        on(
            "id",
            Kind::Text,
            "Name of the deployment in headers, logs and metrics; unique, visible ASCII.",
        )
        .or("`{group}/{model}`, with host and number where needed"),
        on("base_model", Kind::Text, "Name for the price table."),
        on(
            "input_cost_per_token",
            Kind::Amount,
            "Price of an input token in dollars.",
        ),
        on(
            "output_cost_per_token",
            Kind::Amount,
            "Price of an output token in dollars.",
        ),
        on(
            "cache_read_input_token_cost",
            Kind::Amount,
            "Price of an input token read from the provider's cache.",
        ),
        on("rpm", ANY_COUNT, "Requests per minute."),
        on("tpm", ANY_COUNT, "Tokens per minute."),
        on("order", COUNT_32, "Priority."),
        on(
            "cooldown_time",
            Kind::SecondsOrZero,
            "Seconds this deployment sits out after a failure.",
        ),
        on(
            "max_input_tokens",
            POSITIVE,
            "Context window: the longest prompt in tokens, for `router.enable_pre_call_checks`.",
        )
        .or("`max_tokens`"),
        none(
            "max_output_tokens",
            POSITIVE,
            "the request and the provider limit the answer",
            "Longest answer.",
        ),
        on("max_tokens", POSITIVE, "Context window, older name."),
        on(
            "supports_function_calling",
            Kind::Flag,
            "It calls tools; false: no requests with tools, with `router.enable_pre_call_checks`.",
        ),
        on(
            "supports_vision",
            Kind::Flag,
            "It looks at images, likewise.",
        ),
        on(
            "supports_response_schema",
            Kind::Flag,
            "It answers by a JSON schema, likewise.",
        ),
        on("allowed_fails", COUNT_32, "Failures tolerated."),
        on(
            "allowed_fails_policy",
            Kind::Section(&FAILS),
            "Failures tolerated, by class.",
        ),
        on(
            "mode",
            Kind::Text,
            "Kind of model, such as `chat` or `embedding`: groups of different kinds are no fallbacks of each other.",
        ),
        none(
            "litellm_provider",
            Kind::Text,
            "the provider stands in the model",
            "Provider.",
        ),
        later(
            "blocked",
            Kind::Flag,
            "remove the entry to take it out",
            "Take the deployment out.",
        ),
        later("access_groups", Kind::Texts, ACCESS, "Who may use it."),
        later("team_id", Kind::Text, ACCESS, "Who may use it."),
    ], FURTHER],
    unknown: Unknown::PassedOn,
};

const ACCESS: &str = "use waypost.keys to say who may use which group";
