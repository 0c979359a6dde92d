//! Keys of the section `waypost`, which Rasa ignores.

use super::price::FURTHER;
use super::shared::{LEDGER, REDIS};
use super::{COUNT_32, Kind, POSITIVE_32, Section, Unknown, on};

/// Everything that is not part of Rasa's dialect.
pub(in super::super) static WAYPOST: Section = Section {
    title: "Waypost",
    path: "waypost",
    doc: "Settings of the gateway itself. Rasa ignores top-level sections it does not know, so the file still loads \
          there. File names are relative to the folder of the configuration file.",
    keys: &[&[
        on("host", Kind::Text, "Address to listen on.").or("127.0.0.1"),
        on(
            "port",
            Kind::Integer(0, 65535),
            "Port to listen on; 0 takes a free one.",
        )
        .or("4000"),
        on(
            "admin",
            Kind::Text,
            "`host:port` of a listener of its own for `/metrics`.",
        )
        .or("`/metrics` on the main one"),
        on(
            "anonymous",
            Kind::Flag,
            "Serve without `keys` on an address that is not loopback.",
        )
        .or("false"),
        on(
            "keys",
            Kind::List(&KEY),
            "Keys that clients may present. Without any, every bearer is accepted.",
        ),
        on("body_limit", Kind::Size, "Largest request body.").or("32MiB"),
        on(
            "timeouts",
            Kind::Section(&TIMEOUTS),
            "Time limits of every group, unless it has its own.",
        ),
        on(
            "drain",
            Kind::Section(&DRAIN),
            "What happens between the signal to stop and the end.",
        ),
        on(
            "response_model",
            Kind::Choice(RESPONSE_MODEL),
            "What `model` of a response says: what the upstream sent, or the group.",
        )
        .or("`upstream`"),
        on("all_cooling", Kind::Choice(ALL_COOLING), ALL_COOLING_DOC).or("`fail`"),
        on(
            "max_wait",
            Kind::DurationOrZero,
            "Longest wait for a deployment to come back; for `all_cooling: wait`.",
        )
        .or("10s"),
        on(
            "queue",
            Kind::Section(&QUEUE),
            "How requests wait for a place at deployments that are full (`max_parallel_requests`).",
        ),
        on(
            "cache",
            Kind::Section(&CACHE),
            "The response cache of all groups.",
        ),
        on(
            "redis",
            Kind::Section(&REDIS),
            "What replicas share their numbers and their cache through.",
        ),
        on("limits", Kind::Choice(LIMITS), LIMITS_DOC).or("`approximate`"),
        on(
            "ledger",
            Kind::TextOr(&LEDGER),
            "A record of every attempt with its tokens and cost: the folder it is kept in, or a mapping.",
        )
        .or("none is kept"),
        on(
            "prices",
            Kind::Named(&PRICE),
            "Prices by model, or by provider/model; before every other price table.",
        ),
        on(
            "prices_file",
            Kind::Text,
            "A YAML or JSON file of prices in LiteLLM's format; before the built-in table.",
        ),
        on(
            "aliases",
            Kind::NamedTexts(&ALIAS),
            "Other names of groups: the name, and the group or another alias.",
        ),
        on(
            "default_fallbacks",
            Kind::Texts,
            "Groups to turn to when a group without `fallbacks` fails, in this order. Groups of embeddings and others \
             are left out for each other.",
        ),
        on(
            "max_fallbacks",
            COUNT_32,
            "Other groups a request may turn to; 0: none.",
        )
        .or("10"),
        on(
            "max_attempts",
            POSITIVE_32,
            "Attempts a request may make, in all groups together.",
        )
        .or("12"),
        on(
            "mock_testing",
            Kind::Flag,
            "Requests may ask for failures and canned answers: `mock_testing_fallbacks` and its like, `mock_response`.",
        )
        .or("true"),
        on(
            "dry_runs",
            Kind::Flag,
            "Clients may ask where a request would go (`dry_run=1`): they see limits, counts and spend of the groups they may use.",
        )
        .or("true"),
        on(
            "decisions",
            Kind::Integer(0, 100_000),
            "Decisions kept for `/debug/decisions` of the listener for operators.",
        )
        .or("100"),
        on(
            "litellm_headers",
            Kind::Flag,
            "Answers also have LiteLLM's headers, such as `x-litellm-model-group`.",
        )
        .or("false"),
        on(
            "groups",
            Kind::Named(&OVERRIDES),
            "Settings of one model group, by its id.",
        ),
    ]],
    unknown: Unknown::Refused,
};

const RESPONSE_MODEL: &[&str] = &["upstream", "group"];
const ALL_COOLING: &[&str] = &["fail", "wait", "try"];
const ALL_COOLING_DOC: &str = "When every deployment of a group is cooling: `fail` at once, `wait` for the first to be \
                               back, or `try` the one that is back first.";

const LIMITS: &[&str] = &["approximate", "exact"];
const LIMITS_DOC: &str = "How `rpm` and `tpm` hold for replicas together: by what they exchange now and then \
                          (`approximate`), or by asking Redis before each attempt (`exact`).";

/// `keys[]`
static KEY: Section = Section {
    title: "Client keys",
    path: "waypost.keys[]",
    doc: "A key a client may present as bearer or `api-key`. Exactly one of `key`, `key_file` and `sha256`.",
    keys: &[&[
        on("name", Kind::Text, "Who it is, for logs; unique.").required(),
        on("key", Kind::Secret, "The key, as `${NAME}`."),
        on(
            "key_file",
            Kind::Text,
            "A file that holds the key; blanks around it are removed.",
        ),
        on(
            "sha256",
            Kind::Text,
            "SHA-256 of the key, 64 hexadecimal digits.",
        ),
        on("groups", Kind::Texts, "Model groups it may use.").or("all"),
    ]],
    unknown: Unknown::Refused,
};

/// `timeouts`
static TIMEOUTS: Section = Section {
    title: "Timeouts",
    path: "waypost.timeouts",
    doc: "Lengths of time are numbers of seconds, or text such as `500ms`, `5s`, `2m`.",
    keys: &[&[
        on("connect", Kind::Duration, "Until the connection stands.").or("5s"),
        on(
            "first_content",
            Kind::Duration,
            "Until the first content of a stream, or the head of a plain answer.",
        )
        .or("300s"),
        on("gap", Kind::Duration, "Between two events of a stream.").or("60s"),
        on("total", Kind::Duration, "One attempt, all in all.").or("600s"),
        on(
            "request",
            Kind::Duration,
            "The client's request with all its attempts and waits.",
        )
        .or("600s"),
    ]],
    unknown: Unknown::Refused,
};

/// `drain`
static DRAIN: Section = Section {
    title: "Drain",
    path: "waypost.drain",
    doc: "After SIGTERM or SIGINT.",
    keys: &[&[
        on(
            "delay",
            Kind::DurationOrZero,
            "How long readiness is already false while the listener still accepts.",
        )
        .or("1s"),
        on(
            "timeout",
            Kind::DurationOrZero,
            "How long open requests may go on after that.",
        )
        .or("300s"),
    ]],
    unknown: Unknown::Refused,
};

/// `cache`
static CACHE: Section = Section {
    title: "Response cache",
    path: "waypost.cache",
    doc: "For groups with `cache_responses: true`.",
    keys: &[&[
        on(
            "max_bytes",
            Kind::Size,
            "Memory it may use, for all groups together.",
        )
        .or("64MiB"),
        on(
            "ttl",
            Kind::Duration,
            "How long an answer is kept, unless `cache_kwargs.ttl` says otherwise.",
        )
        .or("600s"),
        on(
            "shared_between_callers",
            Kind::Flag,
            "Callers with different keys share answers.",
        )
        .or("false"),
        on(
            "redis",
            Kind::Flag,
            "Answers are also kept in the group's Redis, for all replicas.",
        )
        .or("true if the group has one"),
        on(
            "near_ttl",
            Kind::DurationOrZero,
            "How long an answer that came from Redis is believed without asking again.",
        )
        .or("10s"),
        on(
            "compress_above",
            Kind::Size,
            "Answers of at least that many bytes are compressed in Redis.",
        )
        .or("4KiB"),
    ]],
    unknown: Unknown::Refused,
};

/// `queue`
static QUEUE: Section = Section {
    title: "Queue",
    path: "waypost.queue",
    doc: "A request that finds nothing but full deployments, or full ones and such that are out, waits in line for a place, \
          first come, first served; unless another group stands behind this one, which is asked at once.",
    keys: &[&[
        on(
            "max_wait",
            Kind::DurationOrZero,
            "Longest wait for a place, before each attempt; 0: refused at once.",
        )
        .or("2s; with `all_cooling: wait` as long as that"),
        on(
            "max_size",
            Kind::Integer(0, 1_000_000),
            "Requests that may wait in a group; more are refused at once.",
        )
        .or("1000"),
    ]],
    unknown: Unknown::Refused,
};

/// A price
static PRICE: Section = Section {
    title: "Prices",
    path: "waypost.prices.<model>",
    doc: "Dollars per token, under LiteLLM's names.",
    keys: &[
        &[
            on("input_cost_per_token", Kind::Amount, "Per input token.").required(),
            on("output_cost_per_token", Kind::Amount, "Per output token.").or("0"),
            on(
                "cache_read_input_token_cost",
                Kind::Amount,
                "Per input token read from the provider's cache.",
            )
            .or("`input_cost_per_token`"),
        ],
        FURTHER,
    ],
    unknown: Unknown::Refused,
};

/// `aliases.<name>`
static ALIAS: Section = Section {
    title: "Aliases",
    path: "waypost.aliases.<name>",
    doc: "`name: group`, or a mapping.",
    keys: &[&[
        on("group", Kind::Text, "What the name stands for.").required(),
        on("hidden", Kind::Flag, "It is not in the list of models.").or("false"),
    ]],
    unknown: Unknown::Refused,
};

/// `groups.<id>.affinity`
static AFFINITY: Section = Section {
    title: "Affinity",
    path: "waypost.groups.<id>.affinity",
    doc: "Requests of one conversation go to the deployment that answered it before, unless it cools or is full. \
          `affinity: true` has every default.",
    keys: &[&[
        on(
            "by",
            Kind::Choices(&["session", "prompt_cache_key", "user", "prefix"]),
            "What makes two requests one conversation, the first that a request has: `session` (the header \
             `x-session-id` or `x-litellm-session-id`, or `litellm_session_id` in the body), `prompt_cache_key`, `user`, \
             or `prefix` (the prompt up to the end of the first user message).",
        )
        .or("`[session, prompt_cache_key, user]`"),
        on(
            "ttl",
            Kind::Duration,
            "How long a conversation without requests is remembered.",
        )
        .or("1h"),
        on(
            "max_entries",
            Kind::Integer(1, 10_000_000),
            "Conversations remembered; beyond that the one longest without a request is forgotten.",
        )
        .or("65536"),
    ]],
    unknown: Unknown::Refused,
};

/// `groups.<id>.hedging`
static HEDGING: Section = Section {
    title: "Hedging",
    path: "waypost.groups.<id>.hedging",
    doc: "A request that has waited unusually long for its first content gets a second attempt at another deployment; \
          the first content wins. `hedging: true` has every default.",
    keys: &[&[
        on(
            "quantile",
            Kind::Quantile,
            "The quantile of the times to first content after which the second attempt is made.",
        )
        .or("0.95"),
        on(
            "min_delay",
            Kind::DurationOrZero,
            "No second attempt before this.",
        )
        .or("500ms"),
        on(
            "max_share",
            Kind::Share,
            "The largest share of requests that get a second attempt.",
        )
        .or("0.05"),
    ]],
    unknown: Unknown::Refused,
};

/// `groups.<id>`
static OVERRIDES: Section = Section {
    title: "Settings of one group",
    path: "waypost.groups.<id>",
    doc: "Settings that Rasa's dialect has no key for.",
    keys: &[&[
        on(
            "cost",
            Kind::Choice(&["request", "total"]),
            "What `cost-based-routing` compares: the price of this request, or the cost so far.",
        )
        .or("`request`"),
        on(
            "usage",
            Kind::Choice(&["minute", "total"]),
            "What `usage-based-routing` compares: tokens of this minute, or since the start.",
        )
        .or("`minute`"),
        on("all_cooling", Kind::Choice(ALL_COOLING), ALL_COOLING_DOC).or("`waypost.all_cooling`"),
        on(
            "max_wait",
            Kind::DurationOrZero,
            "Longest wait for a deployment to come back.",
        )
        .or("`waypost.max_wait`"),
        on("limits", Kind::Choice(LIMITS), LIMITS_DOC).or("`waypost.limits`"),
        on(
            "queue",
            Kind::Section(&QUEUE),
            "How requests wait for a place at deployments that are full; what it leaves out is `waypost.queue`'s.",
        ),
        on(
            "response_model",
            Kind::Choice(RESPONSE_MODEL),
            "What `model` of a response says.",
        )
        .or("`waypost.response_model`"),
        on(
            "timeouts",
            Kind::Section(&TIMEOUTS),
            "Time limits of this group; a `timeout` in its models or router wins.",
        ),
        on(
            "fallbacks",
            Kind::Texts,
            "Groups to turn to when this one fails, in this order: ids, aliases, or names that a group with `*` \
             matches. An empty list: none.",
        )
        .or("`waypost.default_fallbacks`"),
        on(
            "context_window_fallbacks",
            Kind::Texts,
            "Groups to turn to when a prompt is too long for this one.",
        )
        .or("`fallbacks`"),
        on(
            "content_policy_fallbacks",
            Kind::Texts,
            "Groups to turn to when a content filter refuses.",
        )
        .or("`fallbacks`"),
        on(
            "affinity",
            Kind::FlagOr(&AFFINITY),
            "Conversations stay where they are.",
        )
        .or("false"),
        on(
            "hedging",
            Kind::FlagOr(&HEDGING),
            "Second attempts for slow requests.",
        )
        .or("false"),
        on(
            "deadline",
            Kind::Duration,
            "Limit of a whole request; wins over `timeout` of the group and `timeouts.request`.",
        ),
    ]],
    unknown: Unknown::Refused,
};
