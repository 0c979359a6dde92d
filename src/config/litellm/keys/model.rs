//! Keys of an entry of `model_list`.

use super::{ACCESS, HEALTH, Row, Table, Unknown, kept, lost, refused};

/// An entry.
pub(in super::super) static ENTRY: Table = Table {
    path: "model_list[]",
    rows: &[&[
        kept(
            "model_name",
            "the group's `id`; entries of one name are one group",
        ),
        kept("litellm_params", "the entry of `models`"),
        kept("model_info", "`model_info`"),
        kept(
            "rpm",
            "`rpm`; before that of `litellm_params`, before that of `model_info`",
        ),
        kept("tpm", "`tpm`, the same way"),
        kept("weight", "`weight`, the same way"),
        kept("order", "`order`, the same way"),
        lost("access_groups", ACCESS),
        lost("team_id", ACCESS),
    ]],
    unknown: Unknown::Near,
};

/// `litellm_params`, as far as they are not keys of a model in Waypost's dialect, too.
pub(in super::super) static PARAMS: Table = Table {
    path: "model_list[].litellm_params",
    rows: &[CONNECTION, OTHERS],
    unknown: Unknown::HandedOn,
};

const CONNECTION: &[Row] = &[
    kept("model", "`provider` and `model`; with azure `deployment`"),
    kept("custom_llm_provider", "`provider`"),
    kept(
        "litellm_credential_name",
        "the keys of that entry of `credential_list`",
    ),
    kept("base_url", "`api_base`"),
    kept("request_timeout", "`timeout`, if there is none"),
    kept(
        "organization",
        "`organization`; a list makes a deployment of each",
    ),
    kept("vertex_ai_project", "`vertex_project`"),
    kept("vertex_ai_location", "`vertex_location`"),
    kept("vertex_ai_credentials", "`vertex_credentials`"),
    kept(
        "tenant_id",
        "`oauth`, with `client_id` and `client_secret`; azure",
    ),
    kept("azure_scope", "`oauth.scopes`; azure"),
    refused(
        "azure_ad_token",
        "a fixed token of Entra ID runs out within the hour; give tenant_id, client_id and client_secret, or api_key",
    ),
    refused(
        "azure_username",
        "sign-in by user and password is not supported; give tenant_id, client_id and client_secret, or api_key",
    ),
    refused(
        "azure_password",
        "sign-in by user and password is not supported; give tenant_id, client_id and client_secret, or api_key",
    ),
];

const OTHERS: &[Row] = &[
    lost("use_in_pass_through", "there are no pass-through endpoints"),
    lost(
        "use_litellm_proxy",
        "write provider litellm_proxy instead: model: litellm_proxy/NAME",
    ),
    lost("rust", "it chooses between LiteLLM's own cores"),
    lost(
        "merge_reasoning_content_in_choices",
        "reasoning stays a field of its own",
    ),
    lost(
        "timeout_by_service_tier",
        "timeout holds for every service tier",
    ),
    lost(
        "stream_timeout_by_service_tier",
        "stream_timeout holds for every service tier",
    ),
    lost("max_file_size_mb", "waypost.body_limit limits requests"),
    lost("mock_timeout", "waypost lab simulates slow deployments"),
    lost("mock_delay", "waypost lab simulates slow deployments"),
    lost("mock_tool_calls", "waypost lab simulates deployments"),
    lost("auto_router_config", "routing by content is not built yet"),
    lost(
        "auto_router_config_path",
        "routing by content is not built yet",
    ),
    lost(
        "auto_router_default_model",
        "routing by content is not built yet",
    ),
    lost(
        "auto_router_embedding_model",
        "routing by content is not built yet",
    ),
    lost(
        "complexity_router_config",
        "routing by content is not built yet",
    ),
    lost("vector_store_id", "there are no vector stores"),
    lost("guardrails", super::GUARDRAILS),
    lost("team_id", ACCESS),
];

/// Prices other than those of a token: by second, by image, by tier. None of them must reach a provider as a parameter.
pub(in super::super) fn is_price(key: &str) -> bool {
    key.contains("_cost_per_") || key.ends_with("_token_cost") || key.contains("_token_cost_above_")
}

/// `model_info`, as far as its keys are not those of Waypost's dialect, too. It is the user's notebook: what nobody
/// knows is let be.
pub(in super::super) static INFO: Table = Table {
    path: "model_list[].model_info",
    rows: &[&[
        kept(
            "weight",
            "`weight`, after the entry's and that of `litellm_params`",
        ),
        lost("access_groups", ACCESS),
        lost(
            "access_windows",
            "deployments are not switched by the time of day",
        ),
        lost(
            "supported_environments",
            "LITELLM_ENVIRONMENT is not read; keep a file per environment",
        ),
        lost("team_id", ACCESS),
        lost("team_public_model_name", ACCESS),
        lost(
            "enable_tag_filtering",
            "router_settings.enable_tag_filtering holds for all groups",
        ),
        lost(
            "allow_fail_open",
            "a request whose tags match nothing is refused",
        ),
        lost("health_check_model", HEALTH),
        lost("health_check_timeout", HEALTH),
        lost("health_check_voice", HEALTH),
        lost("health_check_max_tokens", HEALTH),
        lost("disable_background_health_check", HEALTH),
    ]],
    unknown: Unknown::Ignored,
};
