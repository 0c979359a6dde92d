//! Keys of `router`: what LiteLLM's constructor takes, as Rasa hands everything on to it.

use super::accepted::{ELSEWHERE, PLUMBING};
use super::policies::{FAILS, RETRIES};
use super::{
    ANY_COUNT, COUNT_32, DEFAULT_PARAMS, Key, Kind, POSITIVE, POSITIVE_32, Section, Unknown, later,
    none, on,
};

/// How a group routes.
pub(in super::super) static ROUTER: Section = Section {
    title: "Router",
    path: "model_groups[].router",
    doc: "How a group routes, retries and cools down. Only these keys are allowed. A group without a router has one \
          with every default.",
    keys: &[KEYS, REDIS, ELSEWHERE, PLUMBING],
    unknown: Unknown::Refused,
};

const STRATEGIES: &[&str] = &[
    "simple-shuffle",
    "least-busy",
    "latency-based-routing",
    "cost-based-routing",
    "usage-based-routing",
    "usage-based-routing-v2",
];

const KEYS: &[Key] = &[
    on("routing_strategy", Kind::Choice(STRATEGIES), "How a deployment is picked; `usage-based-routing-v2` is another name of `usage-based-routing`.")
        .or("`simple-shuffle`"),
    on("routing_strategy_args", Kind::Section(&STRATEGY_ARGS), "Settings of the strategy."),
    on("use_chat_completions_endpoint", Kind::Flag, "False: chat goes to `/completions` as one prompt.").or("true"),
    on("num_retries", COUNT_32, "Retries after the first attempt, on the whole group.").or("2"),
    on("retry_policy", Kind::Section(&RETRIES), "Retries by class of failure; before `num_retries`."),
    on("retry_after", Kind::SecondsOrZero, "Least wait before a retry that waits at all.").or("0"),
    on("timeout", Kind::Seconds, "Limit of one attempt.").or("`waypost.timeouts.total`"),
    on("stream_timeout", Kind::Seconds, "Limit until the first content, and between events, of a stream.")
        .or("`waypost.timeouts.first_content` and `.gap`"),
    on("cooldown_time", Kind::SecondsOrZero, "Seconds a failed deployment sits out; 0: never.").or("5"),
    on("allowed_fails", COUNT_32, "Failures tolerated within `cooldown_time`; one more cools. Absent: by failure rate."),
    on("allowed_fails_policy", Kind::Section(&FAILS), "Failures tolerated by class of failure; before `allowed_fails`."),
    on("disable_cooldowns", Kind::Flag, "No deployment ever sits out.").or("false"),
    on(
        "enable_pre_call_checks",
        Kind::Flag,
        "Leave out deployments whose context window is too small for a request, or that lack an ability it needs.",
    )
    .or("false"),
    on("enable_tag_filtering", Kind::Flag, "Only deployments with the tags of a request are eligible for it.").or("false"),
    on(
        "tag_filtering_match_any",
        Kind::Flag,
        "With `enable_tag_filtering`: one common tag is enough; false: the deployment has all tags of the request.",
    )
    .or("true"),
    on("default_max_parallel_requests", POSITIVE_32, "Requests in flight of deployments without a limit of their own."),
    on("cache_responses", Kind::Flag, "Answer repeated requests from memory.").or("false"),
    on("cache_kwargs", Kind::Section(&CACHE), "Settings of the cache."),
    on("default_litellm_params", Kind::Section(&DEFAULT_PARAMS), "Parameters of every call of the group."),
];

/// The group's own Redis.
const REDIS: &[Key] = &[
    on(
        "redis_host",
        Kind::Text,
        "Host of the Redis that replicas share the group's numbers and cache through.",
    )
    .or("that of `waypost.redis`"),
    on("redis_port", Kind::Integer(1, 65535), "Its port.").or("6379"),
    on(
        "redis_username",
        Kind::Text,
        "The user to log in as; Rasa has no such key.",
    )
    .or("`default`"),
    on("redis_password", Kind::Secret, "Its password."),
    on("redis_db", COUNT_32, "The number of its database.").or("0"),
    on("redis_ssl", Kind::Flag, "TLS; Rasa has no such key.").or("false"),
    on(
        "redis_url",
        Kind::Secret,
        "All of that in one: `redis://[user][:password@]host[:port][/database]`, `rediss://` for TLS, or `unix:///path?db=0`.",
    ),
];

/// `routing_strategy_args`
static STRATEGY_ARGS: Section = Section {
    title: "Strategy arguments",
    path: "model_groups[].router.routing_strategy_args",
    doc: "Settings of `latency-based-routing` and `usage-based-routing`.",
    keys: &[&[
        on(
            "lowest_latency_buffer",
            Kind::Amount,
            "Latency: deployments within `lowest × (1 + buffer)` count as equally fast.",
        )
        .or("0"),
        none(
            "ttl",
            Kind::Seconds,
            "latencies decay by themselves, and usage is counted in whole minutes",
            "Age of samples.",
        ),
        none(
            "max_latency_list_size",
            POSITIVE,
            "latencies are a decaying mean, not a list",
            "Samples kept.",
        ),
        none(
            "ttft_percentile",
            Kind::Amount,
            "latencies are a decaying mean, not a list",
            "Percentile of first tokens.",
        ),
    ]],
    unknown: Unknown::Refused,
};

/// `cache_kwargs`
static CACHE: Section = Section {
    title: "Cache",
    path: "model_groups[].router.cache_kwargs",
    doc: "Settings of the response cache. Memory is bounded by `waypost.cache.max_bytes`.",
    keys: &[&[
        on("ttl", Kind::Seconds, "How long an answer is kept.").or("`waypost.cache.ttl`"),
        on(
            "namespace",
            Kind::Text,
            "Key space; groups with different ones never share.",
        ),
        later("type", Kind::Text, MEMORY, "Kind of cache."),
        later("host", Kind::Text, MEMORY, "Redis host."),
        later("port", Kind::Integer(1, 65535), MEMORY, "Redis port."),
        later("password", Kind::Secret, MEMORY, "Redis password."),
        later(
            "mode",
            Kind::Text,
            "the cache is on for every request of the group",
            "Opt in or out.",
        ),
        none(
            "supported_call_types",
            Kind::Texts,
            "chat, completions and embeddings are cached",
            "What to cache.",
        ),
        none(
            "max_messages",
            POSITIVE,
            "requests of any length are cached",
            "Longest conversation to cache.",
        ),
        none(
            "default_in_memory_ttl",
            Kind::Seconds,
            "use ttl",
            "How long an answer is kept in memory.",
        ),
        none(
            "default_in_redis_ttl",
            Kind::Seconds,
            "use ttl",
            "How long an answer is kept in Redis.",
        ),
        none(
            "max_size_in_memory",
            ANY_COUNT,
            "use waypost.cache.max_bytes",
            "Entries kept in memory.",
        ),
    ]],
    unknown: Unknown::Refused,
};

const MEMORY: &str = "answers are kept in the memory of each process";
