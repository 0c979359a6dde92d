//! Keys of the top, of `litellm_settings` and of its `cache_params`.

use super::{
    ACCESS, BUDGETS, CALLBACKS, GUARDRAILS, LOGS, MCP, Row, Table, Unknown, always, database, kept,
    lost, refused,
};

/// The file.
pub(in super::super) static TOP: Table = Table {
    path: "",
    rows: &[&[
        kept("model_list", "`model_groups`"),
        kept("router_settings", "`router` of every group, and `waypost`"),
        kept("litellm_settings", "`router` of every group, and `waypost`"),
        kept("general_settings", "`waypost`"),
        kept("credential_list", "keys of the deployments that name one"),
        kept(
            "environment_variables",
            "variables of this file; they win over the environment",
        ),
        kept(
            "include",
            "the other files, relative to this one: lists are appended, the rest replaces",
        ),
        kept(
            "waypost",
            "`waypost`; what stands here wins. LiteLLM ignores the section",
        ),
        refused(
            "model_groups",
            "a file is written for LiteLLM (model_list) or for Rasa (model_groups), not for both",
        ),
        lost("guardrails", GUARDRAILS),
        lost("mcp_servers", MCP),
        lost("mcp_tools", MCP),
        lost("mcp_aliases", MCP),
        lost("mcp_semantic_tool_filter", MCP),
        lost("agent_list", MCP),
        lost("search_tools", "there are no search tools"),
        lost("sandbox_tools", "there are no tools that run here"),
        lost("vector_store_registry", "there are no vector stores"),
        lost(
            "files_settings",
            "chat, completions and embeddings are served",
        ),
        lost(
            "finetune_settings",
            "chat, completions and embeddings are served",
        ),
        lost(
            "assistant_settings",
            "chat, completions and embeddings are served",
        ),
        lost(
            "default_vertex_config",
            "there are no pass-through endpoints",
        ),
        lost("prompts", "prompts are the client's"),
        lost("policies", ACCESS),
        lost("policy_attachments", ACCESS),
        lost("callback_settings", CALLBACKS),
        lost("worker_registry", "there is no control plane"),
    ]],
    unknown: Unknown::Near,
};

/// `litellm_settings`.
pub(in super::super) static SETTINGS: Table = Table {
    path: "litellm_settings",
    rows: &[HONOURED, OBSERVED, WITHOUT],
    unknown: Unknown::Near,
};

const HONOURED: &[Row] = &[
    kept(
        "num_retries",
        "`router.num_retries`, unless `router_settings` has it",
    ),
    kept(
        "request_timeout",
        "`router.timeout`; 6000 counts as not given",
    ),
    kept(
        "stream_timeout",
        "`router.stream_timeout`, unless `router_settings` has it",
    ),
    kept(
        "allowed_fails",
        "`router.allowed_fails`, unless `router_settings` has it; LiteLLM reads it nowhere",
    ),
    kept("cooldown_time", "`router.cooldown_time`, the same way"),
    kept("fallbacks", "as in `router_settings`, unless that has it"),
    kept(
        "default_fallbacks",
        "as in `router_settings`, unless that has it",
    ),
    kept(
        "context_window_fallbacks",
        "as in `router_settings`, unless that has it",
    ),
    kept(
        "content_policy_fallbacks",
        "as in `router_settings`, unless that has it",
    ),
    kept(
        "max_fallbacks",
        "as in `router_settings`, unless that has it",
    ),
    kept(
        "model_group_alias",
        "as in `router_settings`, unless that has it",
    ),
    kept("model_alias_map", "`waypost.aliases`"),
    kept("cache", "`router.cache_responses` of every group"),
    kept(
        "cache_params",
        "`router.cache_kwargs` of every group; a Redis: `waypost.redis`",
    ),
    kept("drop_params", "`router.default_litellm_params.drop_params`"),
    kept("ssl_verify", "`ssl_verify` of deployments that have none"),
    kept(
        "ssl_certificate",
        "`ssl_certificate` of deployments that have none",
    ),
    always(
        "enable_caching_on_provider_specific_optional_params",
        "every field of a request tells answers in the cache apart",
    ),
];

const OBSERVED: &[Row] = &[
    kept(
        "callbacks",
        "`prometheus`: `/metrics`, always there; others are without effect",
    ),
    kept("success_callback", "as `callbacks`"),
    kept("failure_callback", "as `callbacks`"),
    kept("service_callback", "as `callbacks`"),
    kept("service_callbacks", "as `callbacks`"),
    lost("audit_log_callbacks", CALLBACKS),
    lost("langfuse_default_tags", CALLBACKS),
    lost("s3_callback_params", CALLBACKS),
    lost("datadog_params", CALLBACKS),
    lost("generic_logger_headers", CALLBACKS),
    lost(
        "turn_off_message_logging",
        "prompts and answers are never logged",
    ),
    lost(
        "redact_messages_in_exceptions",
        "prompts and answers are never logged",
    ),
    lost(
        "redact_user_api_key_info",
        "keys are never logged; the name of a client's key is",
    ),
    lost("store_audit_logs", CALLBACKS),
    lost("json_logs", "use --log-format json"),
    lost("set_verbose", LOGS),
    lost("suppress_debug_info", LOGS),
    lost(
        "log_raw_request_response",
        "requests and answers are never logged",
    ),
    lost("telemetry", "nothing is sent anywhere"),
    lost("prometheus_initialize_budget_metrics", BUDGETS),
    lost("prometheus_metrics_config", "/metrics has all its metrics"),
    lost(
        "custom_prometheus_metadata_labels",
        "/metrics has its own labels",
    ),
    lost("custom_prometheus_tags", "/metrics has its own labels"),
    lost(
        "require_auth_for_metrics_endpoint",
        "put /metrics on a listener of its own with waypost.admin",
    ),
    lost(
        "disable_end_user_cost_tracking",
        "costs are counted by deployment",
    ),
    lost(
        "disable_end_user_cost_tracking_prometheus_only",
        "costs are counted by deployment",
    ),
    lost(
        "enable_end_user_cost_tracking_prometheus_only",
        "costs are counted by deployment",
    ),
];

const WITHOUT: &[Row] = &[
    lost(
        "modify_params",
        "requests are translated as they are; one that a provider cannot take is refused",
    ),
    lost(
        "default_max_tokens",
        "give max_tokens to the deployments, or to router_settings.default_litellm_params",
    ),
    lost("max_budget", BUDGETS),
    lost("budget_duration", BUDGETS),
    lost("max_end_user_budget", BUDGETS),
    lost("max_user_budget", BUDGETS),
    lost("max_internal_user_budget", BUDGETS),
    lost("internal_user_budget_duration", BUDGETS),
    lost("max_ui_session_budget", BUDGETS),
    lost("tag_budget_config", BUDGETS),
    database("default_internal_user_params"),
    database("default_team_params"),
    database("default_team_settings"),
    database("default_key_generate_params"),
    database("upperbound_key_generate_params"),
    database("key_generation_settings"),
    database("enable_key_alias_format_validation"),
    lost("guardrails", GUARDRAILS),
    lost("mcp_aliases", MCP),
    lost("public_model_groups", ACCESS),
    lost("public_model_groups_links", ACCESS),
    lost("public_mcp_servers", MCP),
    lost(
        "enable_preview_features",
        "features are on or off by keys of their own",
    ),
    lost(
        "force_ipv4",
        "both families are tried, the one that answers is used",
    ),
    lost(
        "aiohttp_trust_env",
        "HTTP_PROXY, HTTPS_PROXY and NO_PROXY hold anyway",
    ),
    lost(
        "disable_hf_tokenizer_download",
        "no tokenizer is downloaded",
    ),
    lost(
        "disable_token_counter",
        "tokens are counted where a limit needs them",
    ),
    lost(
        "disable_add_transform_inline_image_block",
        "URLs of images are sent as they are",
    ),
    lost(
        "disable_copilot_system_to_assistant",
        "there is no Copilot provider",
    ),
    lost(
        "disable_stop_sequence_limit",
        "stop sequences are sent as they are",
    ),
    lost(
        "enable_json_schema_validation",
        "answers are not held against their schema",
    ),
    lost(
        "use_chat_completions_url_for_anthropic_messages",
        "chat, completions and embeddings are served",
    ),
    lost(
        "always_include_stream_usage",
        "usage comes with a stream whose request asks for it",
    ),
    lost(
        "include_cost_in_streaming_usage",
        "usage is passed on as it is",
    ),
    lost(
        "forward_traceparent_to_llm_provider",
        "headers of clients are not forwarded",
    ),
    lost(
        "add_user_information_to_llm_headers",
        "headers of clients are not forwarded",
    ),
    lost(
        "ssl_security_level",
        "TLS 1.2 and 1.3 with sound ciphers, nothing else",
    ),
    lost(
        "ssl_ecdh_curve",
        "TLS 1.2 and 1.3 with sound curves, nothing else",
    ),
    lost(
        "user_url_validation",
        "URLs in requests are passed on, not fetched",
    ),
    lost("priority_reservation", "there is no queue by priority"),
    lost(
        "priority_reservation_settings",
        "there is no queue by priority",
    ),
    lost("model_cost_map_url", "use waypost.prices_file"),
    lost("credential_list", "stands at the top of the file"),
];

/// `cache_params`, and `cache_kwargs` of the router.
pub(in super::super) static CACHE: Table = Table {
    path: "litellm_settings.cache_params",
    rows: &[&[
        kept(
            "type",
            "`redis`: the keys below name `waypost.redis`; `local`: answers are kept in memory alone",
        ),
        kept("ttl", "`ttl`"),
        kept("namespace", "`namespace`"),
        kept("mode", "`mode`"),
        kept("supported_call_types", "`supported_call_types`"),
        kept("max_messages", "`max_messages`"),
        kept("default_in_memory_ttl", "`default_in_memory_ttl`"),
        kept("default_in_redis_ttl", "`default_in_redis_ttl`"),
        kept("max_size_in_memory", "`max_size_in_memory`"),
        kept("url", "`waypost.redis.url`"),
        kept("host", "`waypost.redis.host`"),
        kept("port", "`waypost.redis.port`"),
        kept("password", "`waypost.redis.password`"),
        kept("username", "`waypost.redis.username`"),
        kept("db", "`waypost.redis.db`"),
        kept("ssl", "`waypost.redis.tls`"),
        kept("ssl_ca_certs", "`waypost.redis.tls.ca`"),
        kept("ssl_certfile", "`waypost.redis.tls.certificate`"),
        kept("ssl_keyfile", "`waypost.redis.tls.key`"),
        kept("redis_startup_nodes", "`waypost.redis.cluster`"),
        kept("startup_nodes", "`waypost.redis.cluster`"),
        kept("sentinel_nodes", "`waypost.redis.sentinel.nodes`"),
        kept("sentinel_password", "`waypost.redis.sentinel.password`"),
        kept("service_name", "`waypost.redis.sentinel.master`"),
        lost("ssl_cert_reqs", CHECKED),
        lost("ssl_check_hostname", CHECKED),
        lost("max_connections", ONE_CONNECTION),
        lost("socket_timeout", "write waypost.redis.timeout"),
        lost("redis_flush_size", ONE_CONNECTION),
        lost("dedicated_redis_client", ONE_CONNECTION),
        lost("gcp_service_account", "write user and password of Redis"),
        lost("gcp_ssl_ca_certs", "write ssl_ca_certs"),
        lost("s3_bucket_name", NO_OTHER),
        lost("s3_region_name", NO_OTHER),
        lost("s3_api_version", NO_OTHER),
        lost("s3_path", NO_OTHER),
        lost("s3_endpoint_url", NO_OTHER),
        lost("s3_use_ssl", NO_OTHER),
        lost("s3_verify", NO_OTHER),
        lost("s3_aws_access_key_id", NO_OTHER),
        lost("s3_aws_secret_access_key", NO_OTHER),
        lost("s3_aws_session_token", NO_OTHER),
        lost("gcs_bucket_name", NO_OTHER),
        lost("gcs_path", NO_OTHER),
        lost("gcs_path_service_account", NO_OTHER),
        lost("azure_account_url", NO_OTHER),
        lost("azure_blob_container", NO_OTHER),
        lost("disk_cache_dir", NO_OTHER),
        lost("similarity_threshold", BY_MEANING),
        lost("redis_semantic_cache_embedding_model", BY_MEANING),
        lost("redis_semantic_cache_index_name", BY_MEANING),
        lost("redis_semantic_cache_use_async", BY_MEANING),
        lost("valkey_semantic_cache_embedding_model", BY_MEANING),
        lost("valkey_semantic_cache_index_name", BY_MEANING),
        lost("qdrant_api_base", BY_MEANING),
        lost("qdrant_api_key", BY_MEANING),
        lost("qdrant_collection_name", BY_MEANING),
        lost("qdrant_quantization_config", BY_MEANING),
        lost("qdrant_semantic_cache_embedding_model", BY_MEANING),
        lost("qdrant_semantic_cache_vector_size", BY_MEANING),
    ]],
    unknown: Unknown::Near,
};

const NO_OTHER: &str = "answers are kept in memory, or in Redis";
const CHECKED: &str =
    "certificates are always checked, with their names; ssl_ca_certs names the authority";
const ONE_CONNECTION: &str = "each replica has one connection, which all share";
const BY_MEANING: &str = "only equal requests are answered from the cache, not similar ones";
