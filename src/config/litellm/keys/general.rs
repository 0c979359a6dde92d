//! Keys of `general_settings`.

use super::{ACCESS, HEALTH, MCP, Row, Table, Unknown, always, database, kept, lost};

/// The section.
pub(in super::super) static GENERAL: Table = Table {
    path: "general_settings",
    rows: &[SERVING, DATABASE, WITHOUT],
    unknown: Unknown::Near,
};

const PER_KEY: &str = "requests in flight are limited by deployment (max_parallel_requests of litellm_params), not by key or as a whole";
const SIGN_IN: &str = "clients show a key of waypost.keys, there is no other way to sign in";
const ALERTS: &str = "alert on /metrics";

const SERVING: &[Row] = &[
    kept(
        "master_key",
        "the key `master_key` of `waypost.keys`; without it the variable `LITELLM_MASTER_KEY`",
    ),
    kept("max_request_size_mb", "`waypost.body_limit`"),
    always(
        "cancel_on_disconnect",
        "a client that goes away ends its requests upstream",
    ),
    lost("background_health_checks", HEALTH),
    lost("health_check_interval", HEALTH),
    lost("health_check_concurrency", HEALTH),
    lost("health_check_details", HEALTH),
    lost("use_shared_health_check", HEALTH),
    lost("max_parallel_requests", PER_KEY),
    lost("global_max_parallel_requests", PER_KEY),
    lost("disable_retry_on_max_parallel_request_limit_error", PER_KEY),
    lost(
        "max_response_size_mb",
        "answers pass through as they come, whatever their size",
    ),
    lost(
        "forward_client_headers_to_llm_api",
        "headers of clients are not forwarded; use extra_headers",
    ),
    lost(
        "forward_openai_org_id",
        "headers of clients are not forwarded; use organization",
    ),
    lost("infer_model_from_keys", "a request names its model"),
    lost(
        "completion_model",
        "a request names its model; a request without one is refused",
    ),
    lost("embedding_model", "a request names its model"),
    lost(
        "moderation_model",
        "chat, completions and embeddings are served",
    ),
    lost(
        "image_generation_model",
        "chat, completions and embeddings are served",
    ),
    lost(
        "litellm_key_header_name",
        "keys come as Authorization: Bearer, or api-key",
    ),
    lost("enable_drain_endpoint", "SIGTERM drains; see waypost.drain"),
    lost("drain_endpoint_token", "SIGTERM drains; see waypost.drain"),
    lost(
        "always_include_stream_usage",
        "usage comes with a stream whose request asks for it",
    ),
    lost(
        "dangerously_allow_mock_testing_request_params",
        "mock_testing_… of requests works unless waypost.mock_testing is false",
    ),
];

const DATABASE: &[Row] = &[
    database("database_url"),
    database("database_type"),
    database("database_args"),
    database("database_connection_pool_limit"),
    database("database_connection_timeout"),
    database("database_connection_pool_timeout"),
    database("database_extra_connection_params"),
    database("allow_requests_on_db_unavailable"),
    database("disable_prisma_schema_update"),
    database("store_model_in_db"),
    database("supported_db_objects"),
    database("store_prompts_in_spend_logs"),
    database("disable_spend_logs"),
    database("disable_spend_updates"),
    database("disable_error_logs"),
    database("disable_reset_budget"),
    database("disable_adding_master_key_hash_to_db"),
    database("disable_master_key_return"),
    database("maximum_spend_logs_retention_period"),
    database("maximum_spend_logs_retention_interval"),
    database("maximum_spend_logs_cleanup_cron"),
    database("use_redis_transaction_buffer"),
    database("proxy_budget_rescheduler_min_time"),
    database("proxy_budget_rescheduler_max_time"),
    database("proxy_batch_write_at"),
    database("proxy_batch_polling_interval"),
    database("spend_report_frequency"),
    database("user_api_key_cache_ttl"),
    database("custom_key_generate"),
    database("default_team_disabled"),
    database("service_account_settings"),
    database("ui_access_mode"),
];

const WITHOUT: &[Row] = &[
    lost("enable_jwt_auth", SIGN_IN),
    lost("litellm_jwtauth", SIGN_IN),
    lost("enable_oauth2_auth", SIGN_IN),
    lost("enable_oauth2_proxy_auth", SIGN_IN),
    lost("oauth2_config_mappings", SIGN_IN),
    lost("custom_auth", SIGN_IN),
    lost("custom_auth_run_common_checks", SIGN_IN),
    lost("custom_sso", SIGN_IN),
    lost("custom_ui_sso_sign_in_handler", SIGN_IN),
    lost("allow_user_auth", SIGN_IN),
    lost(
        "allow_client_side_credentials",
        "clients cannot replace credentials",
    ),
    lost("allowed_routes", ACCESS),
    lost("admin_only_routes", ACCESS),
    lost("public_routes", ACCESS),
    lost("allowed_ips", "let the network say who may connect"),
    lost("use_x_forwarded_for", "addresses of clients decide nothing"),
    lost("enforce_user_param", "a request needs no user"),
    lost(
        "enforced_params",
        "a request needs no more than its model and content",
    ),
    lost(
        "reject_clientside_metadata_tags",
        "tags of requests choose deployments, nothing else",
    ),
    lost(
        "key_management_system",
        "set variables from your secret manager",
    ),
    lost(
        "key_management_settings",
        "set variables from your secret manager",
    ),
    lost(
        "use_azure_key_vault",
        "set variables from your secret manager",
    ),
    lost("use_google_kms", "set variables from your secret manager"),
    lost("alerting", ALERTS),
    lost("alerting_threshold", ALERTS),
    lost("alerting_args", ALERTS),
    lost("alert_types", ALERTS),
    lost("alert_to_webhook_url", ALERTS),
    lost(
        "pass_through_endpoints",
        "there are no pass-through endpoints",
    ),
    lost(
        "use_client_credentials_pass_through_routes",
        "there are no pass-through endpoints",
    ),
    lost(
        "disable_responses_id_security",
        "the Responses API is not served",
    ),
    lost("user_mcp_management_mode", MCP),
    lost("mcp_internal_ip_ranges", MCP),
    lost("litellm_license", "there is no licence to show"),
    lost("token_rate_limit_type", "rpm and tpm of deployments hold"),
];
