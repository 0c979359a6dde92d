//! Keys of `router` that are accepted and checked, but have no effect here or not yet.

use super::{COUNT_32, Key, Kind, Section, Unknown, later, none};

const REDIS_LATER: &str = "Redis is not used yet; each process counts and caches alone";

pub(super) const REDIS: &[Key] = &[
    later(
        "redis_host",
        Kind::Text,
        REDIS_LATER,
        "Host of a Redis shared by replicas.",
    ),
    later(
        "redis_port",
        Kind::Integer(1, 65535),
        REDIS_LATER,
        "Its port.",
    )
    .or("6379"),
    later("redis_password", Kind::Secret, REDIS_LATER, "Its password."),
    later(
        "redis_url",
        Kind::Secret,
        REDIS_LATER,
        "`redis://` or `rediss://`, instead of host and port.",
    ),
    later("redis_db", COUNT_32, REDIS_LATER, "Its database."),
];

const RETRY_POLICY: &str = "num_retries holds for every class of failure";
const FAILS_POLICY: &str = "allowed_fails holds for every class of failure";

pub(super) const POLICIES: &[Key] = &[
    later(
        "retry_policy",
        Kind::Section(&RETRIES),
        RETRY_POLICY,
        "Retries by class of failure.",
    ),
    later(
        "model_group_retry_policy",
        Kind::Mapping,
        RETRY_POLICY,
        "Retries by group and class of failure.",
    ),
    later(
        "allowed_fails_policy",
        Kind::Section(&FAILS),
        FAILS_POLICY,
        "Failures tolerated, by class.",
    ),
];

/// `retry_policy`
static RETRIES: Section = Section {
    title: "Retry policy",
    path: "model_groups[].router.retry_policy",
    doc: "Accepted and checked, without effect yet.",
    keys: &[&[
        later(
            "BadRequestErrorRetries",
            COUNT_32,
            RETRY_POLICY,
            "After 400.",
        ),
        later(
            "AuthenticationErrorRetries",
            COUNT_32,
            RETRY_POLICY,
            "After 401.",
        ),
        later(
            "TimeoutErrorRetries",
            COUNT_32,
            RETRY_POLICY,
            "After a time limit.",
        ),
        later(
            "RateLimitErrorRetries",
            COUNT_32,
            RETRY_POLICY,
            "After 429.",
        ),
        later(
            "ContentPolicyViolationErrorRetries",
            COUNT_32,
            RETRY_POLICY,
            "After a content filter.",
        ),
        later(
            "InternalServerErrorRetries",
            COUNT_32,
            RETRY_POLICY,
            "After 500.",
        ),
        later(
            "ServiceUnavailableErrorRetries",
            COUNT_32,
            RETRY_POLICY,
            "After 503.",
        ),
        later("NotFoundErrorRetries", COUNT_32, RETRY_POLICY, "After 404."),
        later(
            "DefaultRetries",
            COUNT_32,
            RETRY_POLICY,
            "After anything else.",
        ),
    ]],
    unknown: Unknown::Refused,
};

/// `allowed_fails_policy`
static FAILS: Section = Section {
    title: "Allowed fails policy",
    path: "model_groups[].router.allowed_fails_policy",
    doc: "Accepted and checked, without effect yet.",
    keys: &[&[
        later(
            "BadRequestErrorAllowedFails",
            COUNT_32,
            FAILS_POLICY,
            "Of 400.",
        ),
        later(
            "AuthenticationErrorAllowedFails",
            COUNT_32,
            FAILS_POLICY,
            "Of 401.",
        ),
        later(
            "TimeoutErrorAllowedFails",
            COUNT_32,
            FAILS_POLICY,
            "Of time limits.",
        ),
        later(
            "RateLimitErrorAllowedFails",
            COUNT_32,
            FAILS_POLICY,
            "Of 429.",
        ),
        later(
            "ContentPolicyViolationErrorAllowedFails",
            COUNT_32,
            FAILS_POLICY,
            "Of content filters.",
        ),
        later(
            "InternalServerErrorAllowedFails",
            COUNT_32,
            FAILS_POLICY,
            "Of 500.",
        ),
        later(
            "ServiceUnavailableErrorAllowedFails",
            COUNT_32,
            FAILS_POLICY,
            "Of 503.",
        ),
        later(
            "BadGatewayErrorAllowedFails",
            COUNT_32,
            FAILS_POLICY,
            "Of 502.",
        ),
        later(
            "NotFoundErrorAllowedFails",
            COUNT_32,
            FAILS_POLICY,
            "Of 404.",
        ),
    ]],
    unknown: Unknown::Refused,
};

const FALLBACKS: &str =
    "fallbacks to other groups are not built yet; a failed group answers with its error";
const TAGS: &str = "tag filtering is not built yet; every deployment is eligible for every request";

pub(super) const ELSEWHERE: &[Key] = &[
    later(
        "fallbacks",
        Kind::Any,
        FALLBACKS,
        "Groups to try when this one fails.",
    ),
    later(
        "default_fallbacks",
        Kind::Any,
        FALLBACKS,
        "Groups to try when any fails.",
    ),
    later(
        "context_window_fallbacks",
        Kind::Any,
        FALLBACKS,
        "Groups to try when the request is too long.",
    ),
    later(
        "content_policy_fallbacks",
        Kind::Any,
        FALLBACKS,
        "Groups to try when a filter refuses.",
    ),
    later(
        "max_fallbacks",
        COUNT_32,
        FALLBACKS,
        "How many groups to try.",
    ),
    later(
        "model_group_alias",
        Kind::Mapping,
        "other names for a group are not built yet",
        "Other names of the group.",
    ),
    later(
        "enable_pre_call_checks",
        Kind::Flag,
        "context windows are not checked yet; rpm and tpm hold anyway",
        "Leave out deployments whose context window is too small.",
    ),
    later(
        "optional_pre_call_checks",
        Kind::Texts,
        "no such check is built yet; rpm and tpm hold anyway",
        "Further checks.",
    ),
    later(
        "enable_tag_filtering",
        Kind::Flag,
        TAGS,
        "Choose deployments by tags.",
    ),
    later(
        "tag_filtering_match_any",
        Kind::Flag,
        TAGS,
        "One tag is enough.",
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
        "every parameter is passed on",
        "Drop parameters in fallbacks.",
    ),
];

const OWN: &str = "it is plumbing of LiteLLM's own";

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
    none("model_group_affinity_config", Kind::Any, OWN, "Affinity."),
    none(
        "deployment_affinity_ttl_seconds",
        Kind::Any,
        OWN,
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
