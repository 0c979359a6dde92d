//! What becomes of each parameter.

use crate::provider::chat::{Table, Treatment};

use Treatment::{Becomes, Ignored, Native, Refused};

const NO_LOGPROBS: &str = "it gives no probabilities";
const NO_PENALTIES: &str = "it has no penalties";
const TEXT_ONLY: &str = "its answers are text";

/// What else is to be known, for the reference page.
pub(in crate::provider) const ABOUT: &str = "\
Chats go to `{api_base}/v1/messages`, of Anthropic or of any host that serves Messages: `https://RESOURCE.services.ai.azure.com/\
anthropic`, `https://WORKSPACE/serving-endpoints/anthropic` of Databricks (with its bearer token). `/completions` and \
`/embeddings` are refused. The key goes in `x-api-key`, the token of `ANTHROPIC_AUTH_TOKEN` as a bearer. `api_version` is the \
API's version, `2023-06-01` if it is not given; `extra_headers` may hold `anthropic-beta`. Models differ in what they take; \
they are known by their names, where `model` is no name of Anthropic's by `base_model`.

- System and developer messages are joined at the front; neighbouring messages of one side become one; results of tools come \
first in their message. Ids of calls that other providers made are replaced where Anthropic would not take them.
- Images come by URL or as base64, PDF and text as `file`. Audio is refused.
- What the model thought comes as `reasoning_content`, and signed in `thinking_blocks`: give these back in the assistant's \
message. They go only to the account and model that made them. With models that think up to a budget, thinking is left out of \
a request whose last assistant's message called tools and lacks its `thinking_blocks`.
- `cache_control` and `prompt_cache_breakpoint` of parts, messages and tools are kept; of more than four the last four.
- A schema in `response_format` gets `additionalProperties: false` where it says nothing about it, since Anthropic wants that.
- `usage.prompt_tokens` includes what was read from the cache or written to it.";

/// OpenAI's parameters, and Anthropic's own.
pub(in crate::provider) const TABLE: Table = &[
    (
        "max_completion_tokens",
        Becomes("`max_tokens`; without it the model's longest answer"),
    ),
    (
        "max_tokens",
        Becomes("`max_tokens`, unless `max_completion_tokens` is given"),
    ),
    (
        "temperature",
        Becomes("`temperature`, at most 1; left out for models without it"),
    ),
    (
        "top_p",
        Becomes(
            "`top_p`; left out for models without it, and beside `temperature` for those that take one of them",
        ),
    ),
    ("n", Refused("it gives one answer to a request")),
    ("stop", Becomes("`stop_sequences`")),
    ("seed", Refused("it has no seed")),
    ("frequency_penalty", Refused(NO_PENALTIES)),
    ("presence_penalty", Refused(NO_PENALTIES)),
    ("logit_bias", Refused("it has no counterpart")),
    ("logprobs", Refused(NO_LOGPROBS)),
    ("top_logprobs", Refused(NO_LOGPROBS)),
    ("tools", Becomes("`tools`")),
    (
        "tool_choice",
        Becomes(
            "`tool_choice`; where thinking forbids to force a tool, `auto`, and of the tools the one that is named",
        ),
    ),
    (
        "parallel_tool_calls",
        Becomes("`tool_choice.disable_parallel_tool_use`"),
    ),
    ("functions", Refused("`tools` takes its place")),
    ("function_call", Refused("`tool_choice` takes its place")),
    (
        "response_format",
        Becomes(
            "`output_config.format`, or a tool that is forced, or a sentence of the system's text",
        ),
    ),
    ("modalities", Refused(TEXT_ONLY)),
    ("audio", Refused(TEXT_ONLY)),
    ("prediction", Ignored),
    (
        "verbosity",
        Refused("it has no counterpart; say it in the system's text"),
    ),
    (
        "reasoning_effort",
        Becomes("`thinking` and `output_config.effort`, or a budget, as the model has it"),
    ),
    ("prompt_cache_key", Ignored),
    ("prompt_cache_options", Ignored),
    ("prompt_cache_retention", Ignored),
    (
        "service_tier",
        Becomes(
            "`service_tier`: `auto`, or `standard_only` for `default`; `fast` is `speed: fast`",
        ),
    ),
    ("store", Ignored),
    (
        "user",
        Becomes("`metadata.user_id`, unless `safety_identifier` is given"),
    ),
    ("safety_identifier", Becomes("`metadata.user_id`")),
    ("metadata", Becomes("`metadata.user_id`, if it has that")),
    ("moderation", Refused("it has no counterpart")),
    (
        "web_search_options",
        Refused("it searches by a tool of its own"),
    ),
    ("encoding_format", Ignored),
    ("top_k", Becomes("`top_k`; left out for models without it")),
    ("stop_sequences", Native),
    (
        "thinking",
        Becomes("`thinking`, instead of what `reasoning_effort` says"),
    ),
    (
        "output_config",
        Becomes("`output_config`, above what `reasoning_effort` and `response_format` say"),
    ),
    ("cache_control", Native),
    ("container", Native),
    ("context_management", Native),
    ("diagnostics", Native),
    ("inference_geo", Native),
    ("mcp_servers", Native),
    ("speed", Native),
];
