//! Keys of `router_settings`.

use super::{BUDGETS, GUARDRAILS, HEALTH, LOGS, Row, Table, Unknown, always, kept, lost, refused};

/// The section: what LiteLLM's router takes, and nothing else.
pub(in super::super) static ROUTER: Table = Table {
    path: "router_settings",
    rows: &[ROUTING, FAILURES, SHARED, WITHOUT],
    unknown: Unknown::Refused,
};

const MISPLACED: &str = "belongs under general_settings; LiteLLM does not start with it here. Move it there (Waypost makes no health checks either way)";

const ROUTING: &[Row] = &[
    kept(
        "routing_strategy",
        "`router.routing_strategy` of every group",
    ),
    kept("routing_strategy_args", "`router.routing_strategy_args`"),
    kept("enable_pre_call_checks", "`router.enable_pre_call_checks`"),
    kept(
        "enable_pre_call_check",
        "`router.enable_pre_call_checks`, with a warning: LiteLLM ignores the key by this name",
    ),
    kept(
        "optional_pre_call_checks",
        "`waypost.groups.<id>.affinity`; limits hold anyway",
    ),
    kept(
        "model_group_affinity_config",
        "`waypost.groups.<id>.affinity`",
    ),
    kept("deployment_affinity_ttl_seconds", "`affinity.ttl`"),
    kept("enable_tag_filtering", "`router.enable_tag_filtering`"),
    kept(
        "tag_filtering_match_any",
        "`router.tag_filtering_match_any`",
    ),
    kept("model_group_alias", "`waypost.aliases`"),
    kept("default_litellm_params", "`router.default_litellm_params`"),
    kept(
        "default_max_parallel_requests",
        "`router.default_max_parallel_requests`",
    ),
];

const FAILURES: &[Row] = &[
    kept("num_retries", "`router.num_retries`"),
    kept("retry_after", "`router.retry_after`"),
    kept(
        "timeout",
        "`router.timeout`, unless `litellm_settings.request_timeout` is given",
    ),
    kept("stream_timeout", "`router.stream_timeout`"),
    kept("retry_policy", "`router.retry_policy`"),
    kept(
        "model_group_retry_policy",
        "`router.retry_policy` of that group, in place of the general one",
    ),
    kept("allowed_fails", "`router.allowed_fails`"),
    kept("allowed_fails_policy", "`router.allowed_fails_policy`"),
    kept("cooldown_time", "`router.cooldown_time`"),
    kept("disable_cooldowns", "`router.disable_cooldowns`"),
    kept(
        "fallbacks",
        "`waypost.groups.<id>.fallbacks`; of `\"*\"`: `waypost.default_fallbacks`",
    ),
    kept("default_fallbacks", "`waypost.default_fallbacks`"),
    kept(
        "context_window_fallbacks",
        "`waypost.groups.<id>.context_window_fallbacks`",
    ),
    kept(
        "content_policy_fallbacks",
        "`waypost.groups.<id>.content_policy_fallbacks`",
    ),
    kept(
        "max_fallbacks",
        "`waypost.max_fallbacks`: groups beyond the first, where LiteLLM counts how deep it is nested",
    ),
    always(
        "fallback_on_unsupported_params",
        "a group that cannot meet a request's parameters turns to its fallbacks",
    ),
];

const SHARED: &[Row] = &[
    kept("redis_host", "`router.redis_host`"),
    kept("redis_port", "`router.redis_port`"),
    kept("redis_password", "`router.redis_password`"),
    kept("redis_url", "`router.redis_url`"),
    kept("redis_db", "`router.redis_db`"),
    kept("redis_username", "`router.redis_username`"),
    kept("redis_ssl", "`router.redis_ssl`"),
    kept("cache_responses", "`router.cache_responses`"),
    kept("cache_kwargs", "`router.cache_kwargs`"),
];

const WITHOUT: &[Row] = &[
    lost("caching_groups", "each group keeps its own answers"),
    lost("provider_budget_config", BUDGETS),
    lost(
        "routing_groups",
        "groups of groups are not built yet; put the deployments into one group",
    ),
    lost("enable_health_check_routing", HEALTH),
    lost("health_check_staleness_threshold", HEALTH),
    lost(
        "enable_weighted_failover",
        "a retry goes to another deployment by the strategy, which goes by the weights",
    ),
    lost(
        "enable_mid_stream_fallback_continuation",
        "a stream that breaks after its first content ends with an error; nobody goes on with half an answer",
    ),
    lost("tag_routing_prefix", "tags are compared as they are"),
    lost(
        "allow_fail_open",
        "a request whose tags match nothing is refused",
    ),
    lost("set_verbose", LOGS),
    lost("debug_level", LOGS),
    lost(
        "client_ttl",
        "connections are pooled by what they are used for",
    ),
    lost("polling_interval", "there is no queue by priority"),
    lost("default_priority", "there is no queue by priority"),
    lost(
        "assistants_config",
        "chat, completions and embeddings are served",
    ),
    lost("alerting_config", "alert on /metrics"),
    lost(
        "router_general_settings",
        "the gateway's own settings stand under waypost",
    ),
    lost("plugins", "there are no plugins"),
    lost(
        "ignore_invalid_deployments",
        "an invalid deployment is an error, so that nobody misses it",
    ),
    lost("search_tools", "there are no search tools"),
    lost("guardrail_list", GUARDRAILS),
    refused("health_check_interval", MISPLACED),
    refused("health_check_concurrency", MISPLACED),
    refused("background_health_checks", MISPLACED),
    refused("model_list", "stands at the top of the file"),
];

/// Values of `optional_pre_call_checks`: what a conversation is known by, or why the check is not there.
pub(in super::super) const CHECKS: &[(&str, Result<&str, &str>)] = &[
    ("enforce_model_rate_limits", Ok("")),
    ("session_affinity", Ok("session")),
    ("deployment_affinity", Ok("user")),
    ("prompt_caching", Ok("prefix")),
    ("router_budget_limiting", Err(BUDGETS)),
    (
        "responses_api_deployment_check",
        Err("the Responses API is not served"),
    ),
    (
        "encrypted_content_affinity",
        Err("the Responses API is not served"),
    ),
    (
        "forward_client_headers_by_model_group",
        Err("headers of clients are not forwarded; use extra_headers"),
    ),
];
