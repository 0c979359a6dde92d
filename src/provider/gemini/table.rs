//! What becomes of each parameter, and what people should know beside that.

use crate::provider::chat::Table;
use crate::provider::chat::Treatment::{Becomes, Ignored, Native, Refused};

/// What people should know of it beside the table.
pub(in crate::provider) const ABOUT: &str = "Chats go to `generateContent`, streams to `streamGenerateContent`: with `gemini` \
below `{api_base}/v1beta/models` of the Gemini API (AI Studio), the key in `x-goog-api-key`; with `vertex_ai` below the project \
and location of Vertex AI (`global`, `us` and `eu` are locations, too; `vertex_ai_beta` is its version `v1beta1`), with a token \
of Google Cloud. `/completions` is refused. Models differ in how they are told how much to think; they are known by their \
names, a tuned model (`endpoints/NUMBER`) by `base_model`.

- At Vertex AI `claude-…` is spoken to as Anthropic's models are, `mistral-…`, `ministral-…` and `codestral-…` in OpenAI's \
dialect as Mistral's are, and any other `PUBLISHER/MODEL` at Google's OpenAI endpoint, as are Google's own models by \
`openapi/google/MODEL`.
- System and developer messages are joined in `systemInstruction`; neighbouring messages of one side become one. What a tool \
answered goes as it is if it is a JSON object, else as the object's member `result`.
- Images, audio and files come as base64, or by URL, which Google fetches; what a URL holds is told by its ending.
- What the model thought comes as `reasoning_content` if `reasoning_effort` asks for it. Calls of tools come with the signature \
of the thought behind them, in `extra_content.google.thought_signature` and in the call's id; Gemini 3 wants it back, and either \
is enough. Where a history has none, since another model made it, Google is told so. Signatures of texts come and go in \
`thinking_blocks`.
- A blocked prompt is an answer with `content_filter`. An answer that ends in a failure of the model, such as a malformed call, \
before anything was said counts as a failure of the deployment.
- Embeddings: up to 100 texts a call go to `batchEmbedContents`; at Vertex AI to `predict`, one text a call for \
`gemini-embedding-001`, and to `embedContent` for later ones of Gemini. `dimensions`, `task_type`, `title` and `auto_truncate` \
go along. Vectors of reduced size are not normalised, neither by Google nor here.";

/// Parameters of chats.
pub(in crate::provider) const CHAT: Table = &[
    (
        "max_completion_tokens",
        Becomes("`generationConfig.maxOutputTokens`"),
    ),
    (
        "max_tokens",
        Becomes("`generationConfig.maxOutputTokens`, if `max_completion_tokens` is not given"),
    ),
    ("temperature", Becomes("`generationConfig.temperature`")),
    ("top_p", Becomes("`generationConfig.topP`")),
    ("n", Becomes("`generationConfig.candidateCount`")),
    (
        "stop",
        Becomes("`generationConfig.stopSequences`; more than 5 are refused"),
    ),
    ("seed", Becomes("`generationConfig.seed`")),
    (
        "frequency_penalty",
        Becomes("`generationConfig.frequencyPenalty`"),
    ),
    (
        "presence_penalty",
        Becomes("`generationConfig.presencePenalty`"),
    ),
    ("logit_bias", Refused("Gemini has no counterpart")),
    ("logprobs", Becomes("`generationConfig.responseLogprobs`")),
    ("top_logprobs", Becomes("`generationConfig.logprobs`")),
    (
        "tools",
        Becomes("`tools[].functionDeclarations`, schemas as they are (`parametersJsonSchema`)"),
    ),
    ("tool_choice", Becomes("`toolConfig.functionCallingConfig`")),
    (
        "parallel_tool_calls",
        Refused("Gemini decides how many tools it calls at once"),
    ),
    (
        "functions",
        Refused("functions are only available as `tools`"),
    ),
    (
        "function_call",
        Refused("functions are only available as `tools`, and their choice as `tool_choice`"),
    ),
    (
        "response_format",
        Becomes("`generationConfig.responseMimeType` and `responseJsonSchema`"),
    ),
    (
        "modalities",
        Becomes("`generationConfig.responseModalities`; with `audio` it is audio alone"),
    ),
    (
        "audio",
        Becomes("`generationConfig.speechConfig`; only `pcm16` is available"),
    ),
    ("prediction", Ignored),
    ("verbosity", Ignored),
    (
        "reasoning_effort",
        Becomes(
            "`generationConfig.thinkingConfig`: `thinkingLevel` of Gemini 3 and later, `thinkingBudget` of 2.5; thoughts are asked for",
        ),
    ),
    ("prompt_cache_key", Ignored),
    ("prompt_cache_options", Ignored),
    ("prompt_cache_retention", Ignored),
    (
        "service_tier",
        Becomes("`serviceTier`: `default` is `standard`, `fast` is `priority`, `auto` is nothing"),
    ),
    ("store", Ignored),
    ("user", Ignored),
    ("safety_identifier", Ignored),
    (
        "metadata",
        Becomes("`labels` at Vertex AI, as far as they can be labels; elsewhere nothing"),
    ),
    (
        "moderation",
        Refused("`safetySettings` say what is blocked"),
    ),
    ("web_search_options", Becomes("the tool `googleSearch`")),
    ("encoding_format", Ignored),
    ("dimensions", Ignored),
    (
        "thinking",
        Becomes("Anthropic's form of `thinkingConfig`: the budget as `thinkingBudget`"),
    ),
    ("top_k", Becomes("`generationConfig.topK`")),
    (
        "generationConfig",
        Becomes("the ground of `generationConfig`; what else is said here stands above it"),
    ),
    (
        "thinkingConfig",
        Becomes("`generationConfig.thinkingConfig`"),
    ),
    (
        "responseModalities",
        Becomes("`generationConfig.responseModalities`"),
    ),
    ("speechConfig", Becomes("`generationConfig.speechConfig`")),
    (
        "mediaResolution",
        Becomes("`generationConfig.mediaResolution`"),
    ),
    ("imageConfig", Becomes("`generationConfig.imageConfig`")),
    ("safety_settings", Becomes("`safetySettings`")),
    ("cached_content", Becomes("`cachedContent`")),
    ("safetySettings", Native),
    ("cachedContent", Native),
    ("labels", Native),
];

/// Parameters of calls for embeddings.
pub(super) const EMBEDDINGS: Table = &[
    (
        "dimensions",
        Becomes("`outputDimensionality`; reduced vectors are not normalised by Google, nor here"),
    ),
    ("encoding_format", Becomes("the answer's form, made here")),
    ("task_type", Becomes("`taskType`")),
    ("taskType", Becomes("`taskType`")),
    ("title", Becomes("`title`")),
    ("auto_truncate", Becomes("`autoTruncate` at Vertex AI")),
    ("autoTruncate", Becomes("`autoTruncate` at Vertex AI")),
    ("user", Ignored),
];
