//! What becomes of a chat's parameters at Bedrock.

use crate::provider::chat::{Table, Treatment};

use Treatment::{Becomes, Ignored, Refused};

/// What else is to be known, for people.
pub(in crate::provider) const ABOUT: &str = "\
Chats go to `{base}/model/{model}/converse`, or `/converse-stream`, at `https://bedrock-runtime.{region}.amazonaws.com` unless \
`api_base` or `aws_bedrock_runtime_endpoint` says otherwise; the region is that of `aws_region_name`, of the model's name or ARN, \
or of the environment. Requests are signed with AWS's keys, or carry a Bedrock API key as `api_key`. Before a model's name \
LiteLLM's words may stand: `bedrock/`, a region, `converse/`, `invoke/` (which goes by Converse, too), `openai/` and `mantle/` \
for Bedrock's OpenAI-compatible endpoints, which get what the client sends. `model_id` is called in place of `model`, such as \
an inference profile's ARN; what a model takes is known by the names in `model_id`, `base_model` and `model`. `/completions` \
are refused.

- Images, audio, video and documents come as base64 or from `s3://` URLs; other URLs are refused, since nobody fetches them.
- Names of tools and ids of calls that Bedrock would not take are replaced, and come back as they were.
- `cache_control` and `prompt_cache_breakpoint` become `cachePoint`, where the model caches.
- What the model thought comes as `reasoning_content`, and signed in `thinking_blocks`: give these back in the assistant's \
message. They go only to the account and model that made them.
- A parameter of the file that is in no table goes to the model in `additionalModelRequestFields`. `extra_body` is set in \
Converse's body itself: `extra_body: {guardrailConfig: {…}}` is a guardrail that no request can replace.
- Embeddings: Titan's, one text a call and eight calls at a time, and Cohere's, up to 96 texts a call. `dimensions`, \
`input_type` (`search_document` where neither request nor file says it), `truncate` and `normalize` go to models that have them.";

const ONE_ANSWER: &str = "Converse gives one answer to a request";
const NOT_THERE: &str = "Converse has no counterpart";
const AS_TOOLS: &str = "functions are given as `tools` and `tool_choice`";

/// What becomes of a chat's parameters.
pub(in crate::provider) const TABLE: Table = &[
    (
        "max_completion_tokens",
        Becomes("`inferenceConfig.maxTokens`"),
    ),
    ("max_tokens", Becomes("`inferenceConfig.maxTokens`")),
    (
        "temperature",
        Becomes(
            "`inferenceConfig.temperature`, up to 1; left out for Claude models that refuse it",
        ),
    ),
    (
        "top_p",
        Becomes("`inferenceConfig.topP`; left out for Claude models that refuse it"),
    ),
    ("n", Refused(ONE_ANSWER)),
    ("stop", Becomes("`inferenceConfig.stopSequences`")),
    ("seed", Refused(NOT_THERE)),
    ("frequency_penalty", Refused(NOT_THERE)),
    ("presence_penalty", Refused(NOT_THERE)),
    ("logit_bias", Refused(NOT_THERE)),
    ("logprobs", Refused(NOT_THERE)),
    ("top_logprobs", Refused(NOT_THERE)),
    ("tools", Becomes("`toolConfig.tools`")),
    (
        "tool_choice",
        Becomes(
            "`toolConfig.toolChoice`; with `none` there are no tools, unless the conversation has calls",
        ),
    ),
    (
        "parallel_tool_calls",
        Becomes("`tool_choice.disable_parallel_tool_use` of Claude; others refuse `false`"),
    ),
    ("functions", Refused(AS_TOOLS)),
    ("function_call", Refused(AS_TOOLS)),
    (
        "response_format",
        Becomes(
            "`outputConfig.textFormat`, or a tool whose input is the answer; `json_object` is a word to the system",
        ),
    ),
    ("modalities", Refused("it answers in text")),
    ("audio", Refused("it answers in text")),
    ("prediction", Refused(NOT_THERE)),
    (
        "verbosity",
        Refused("a system message can say how long the answer is to be"),
    ),
    (
        "reasoning_effort",
        Becomes(
            "`thinking` and `output_config.effort` of Claude, `reasoning_effort` of gpt-oss; others refuse it",
        ),
    ),
    ("prompt_cache_key", Ignored),
    ("prompt_cache_options", Ignored),
    ("prompt_cache_retention", Ignored),
    ("service_tier", Becomes("`serviceTier`; `auto` is left out")),
    ("store", Ignored),
    ("user", Ignored),
    ("safety_identifier", Ignored),
    ("metadata", Becomes("`requestMetadata`: its texts")),
    (
        "moderation",
        Refused("a guardrail in `guardrailConfig` does that"),
    ),
    ("web_search_options", Refused(NOT_THERE)),
    ("encoding_format", Ignored),
    // Bedrock's own, and of its models.
    ("additionalModelRequestFields", Becomes("the same")),
    ("additionalModelResponseFieldPaths", Becomes("the same")),
    (
        "anthropic_beta",
        Becomes("the same, in `additionalModelRequestFields`"),
    ),
    ("guardrailConfig", Becomes("the same")),
    ("performanceConfig", Becomes("the same")),
    ("promptVariables", Becomes("the same")),
    ("requestMetadata", Becomes("the same")),
    ("serviceTier", Becomes("the same")),
    (
        "thinking",
        Becomes("the same, in `additionalModelRequestFields`"),
    ),
    (
        "top_k",
        Becomes("the same, in `additionalModelRequestFields`"),
    ),
];
