//! Keys of `router` that are accepted and checked, but have no effect here or not yet.

use super::{COUNT_32, Key, Kind, later, none};

pub(super) const ELSEWHERE: &[Key] = &[
    none(
        "fallbacks",
        Kind::Any,
        "a router holds one group here; write waypost.groups.<id>.fallbacks",
        "Groups to try when this one fails.",
    ),
    none(
        "default_fallbacks",
        Kind::Any,
        "a router holds one group here; write waypost.default_fallbacks",
        "Groups to try when any fails.",
    ),
    none(
        "context_window_fallbacks",
        Kind::Any,
        "a router holds one group here; write waypost.groups.<id>.context_window_fallbacks",
        "Groups to try when the request is too long.",
    ),
    none(
        "content_policy_fallbacks",
        Kind::Any,
        "a router holds one group here; write waypost.groups.<id>.content_policy_fallbacks",
        "Groups to try when a filter refuses.",
    ),
    none(
        "max_fallbacks",
        COUNT_32,
        "a router holds one group here; write waypost.max_fallbacks",
        "How many groups to try.",
    ),
    none(
        "model_group_alias",
        Kind::Mapping,
        "a router holds one group here; write waypost.aliases",
        "Other names of groups.",
    ),
    none(
        "model_group_retry_policy",
        Kind::Mapping,
        "a router holds one group here; write its retry_policy",
        "Retries by group and class of failure.",
    ),
    none(
        "optional_pre_call_checks",
        Kind::Texts,
        "rpm and tpm hold anyway; for affinity write waypost.groups.<id>.affinity",
        "Further checks.",
    ),
    later(
        "provider_budget_config",
        Kind::Mapping,
        "budgets are not built yet; nothing limits the spend",
        "Budgets by provider.",
    ),
    later(
        "routing_groups",
        Kind::Any,
        "groups of groups are not built yet",
        "Groups of groups.",
    ),
    none(
        "caching_groups",
        Kind::Any,
        "a router holds one group, so there is nothing to share with",
        "Groups that share answers.",
    ),
    none(
        "fallback_on_unsupported_params",
        Kind::Flag,
        "a request whose parameters rule a group out always goes to its fallbacks",
        "Fall back for unsupported parameters.",
    ),
];

const OWN: &str = "it is plumbing of LiteLLM's own";
const AFFINITY: &str = "write waypost.groups.<id>.affinity";

pub(super) const PLUMBING: &[Key] = &[
    none("set_verbose", Kind::Flag, "use RUST_LOG", "Verbose log."),
    none(
        "debug_level",
        Kind::Text,
        "use RUST_LOG",
        "Level of the log.",
    ),
    none("client_ttl", Kind::Any, OWN, "Age of HTTP clients."),
    none(
        "polling_interval",
        Kind::Any,
        OWN,
        "Pace of the priority queue.",
    ),
    none(
        "default_priority",
        Kind::Any,
        OWN,
        "Place in the priority queue.",
    ),
    none("assistants_config", Kind::Any, OWN, "Assistants API."),
    none("alerting_config", Kind::Any, OWN, "Alerts."),
    none(
        "router_general_settings",
        Kind::Any,
        OWN,
        "Settings of the proxy.",
    ),
    none(
        "model_group_affinity_config",
        Kind::Any,
        AFFINITY,
        "Affinity.",
    ),
    none(
        "deployment_affinity_ttl_seconds",
        Kind::Any,
        AFFINITY,
        "Affinity.",
    ),
    none(
        "enable_health_check_routing",
        Kind::Any,
        OWN,
        "Health checks.",
    ),
    none(
        "enable_weighted_failover",
        Kind::Any,
        OWN,
        "Failover by weight.",
    ),
    none(
        "enable_mid_stream_fallback_continuation",
        Kind::Any,
        OWN,
        "Fallback within a stream.",
    ),
    none(
        "ignore_invalid_deployments",
        Kind::Any,
        "an invalid deployment is an error",
        "Skip invalid deployments.",
    ),
    none("search_tools", Kind::Any, OWN, "Search."),
    none("guardrail_list", Kind::Any, OWN, "Guardrails."),
    none("plugins", Kind::Any, OWN, "Plugins."),
];
