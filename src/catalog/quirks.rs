//! In what each provider differs from OpenAI.
//!
//! Only what a provider is known to refuse stands here; whether a model can do the rest is the provider's to say.

use crate::types::{Answers, CallIds, History, Quirks};

/// Servers of Hugging Face, with its own reasons to finish.
pub(super) const TGI: Quirks = Quirks {
    answers: Answers {
        finish: &[("eos_token", "stop"), ("stop_sequence", "stop")],
        ..Answers::AS_OPENAI
    },
    ..Quirks::LENIENT
};

pub(super) const GROQ: Quirks = Quirks {
    ignored: &["store", "metadata"],
    refused: &[
        "n",
        "logprobs",
        "top_logprobs",
        "logit_bias",
        "frequency_penalty",
        "presence_penalty",
    ],
    values: &[
        ("service_tier", r#""default""#, r#""on_demand""#),
        ("reasoning_effort", r#""minimal""#, r#""low""#),
        ("reasoning_effort", r#""xhigh""#, r#""high""#),
        ("reasoning_effort", r#""max""#, r#""high""#),
    ],
    history: History {
        no_nulls: true,
        ..Quirks::STRICT.history
    },
    answers: Answers {
        reasoning: Some("reasoning"),
        ..Answers::AS_OPENAI
    },
    ..Quirks::STRICT
};

pub(super) const MISTRAL: Quirks = Quirks {
    ignored: &[
        "user",
        "stream_options",
        "store",
        "service_tier",
        "safety_identifier",
        "prompt_cache_retention",
    ],
    refused: &["logit_bias"],
    values: &[("tool_choice", r#""required""#, r#""any""#)],
    embedding_renames: &[("dimensions", "output_dimension")],
    history: History {
        ids: CallIds::Nine,
        no_names: true,
        no_developer: true,
        ..Quirks::STRICT.history
    },
    answers: Answers {
        finish: &[("model_length", "length")],
        failures: &[("error", "server_error")],
        content_lists: true,
        usage_unasked: true,
        ..Answers::AS_OPENAI
    },
    own_errors: true,
    ..Quirks::STRICT
};

/// The reasoning of earlier turns must come back here. A `seed` does no harm, and no good.
pub(super) const DEEPSEEK: Quirks = Quirks {
    ignored: &["parallel_tool_calls"],
    refused: &["n", "logit_bias"],
    answers: Answers {
        failures: &[("insufficient_system_resource", "overloaded_error")],
        cached_tokens: Some("prompt_cache_hit_tokens"),
        ..Answers::AS_OPENAI
    },
    ..Quirks::LENIENT
};

pub(super) const TOGETHER: Quirks = Quirks {
    values: &[("logprobs", "true", "1")],
    answers: Answers {
        finish: &[("eos", "stop")],
        ..Answers::AS_OPENAI
    },
    ..Quirks::LENIENT
};

pub(super) const FIREWORKS: Quirks = Quirks {
    values: &[("tool_choice", r#""required""#, r#""any""#)],
    ..Quirks::LENIENT
};

/// Servers whose reasoning is in `reasoning`, and comes back there.
pub(super) const REASONING: Quirks = Quirks {
    history: History {
        reasoning: Some("reasoning"),
        ..Quirks::LENIENT.history
    },
    answers: Answers {
        reasoning: Some("reasoning"),
        ..Answers::AS_OPENAI
    },
    ..Quirks::LENIENT
};

/// `reasoning_details` must come back here.
pub(super) const OPENROUTER: Quirks = Quirks {
    values: &[("reasoning_effort", r#""max""#, r#""xhigh""#)],
    ..REASONING
};

pub(super) const XAI: Quirks = Quirks {
    tool_fields: &["strict"],
    answers: Answers {
        finish: &[("", "stop")],
        reasoning_apart: true,
        ..Answers::AS_OPENAI
    },
    ..Quirks::STRICT
};

pub(super) const PERPLEXITY: Quirks = Quirks {
    ignored: &[
        "user",
        "store",
        "metadata",
        "stream_options",
        "service_tier",
        "safety_identifier",
        "parallel_tool_calls",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
    ],
    refused: &[
        "tools",
        "tool_choice",
        "functions",
        "function_call",
        "n",
        "stop",
        "seed",
        "logprobs",
        "top_logprobs",
        "logit_bias",
        "modalities",
        "audio",
        "prediction",
    ],
    answers: Answers {
        whole_messages: true,
        ..Answers::AS_OPENAI
    },
    ..Quirks::STRICT
};

/// Claude answers there with its reasoning in the list of contents.
pub(super) const DATABRICKS: Quirks = Quirks {
    own_errors: true,
    answers: Answers {
        content_lists: true,
        ..Answers::AS_OPENAI
    },
    ..Quirks::STRICT
};

/// Models that embed questions and passages differently want to be told which. Who embeds passages configures
/// `input_type: passage`.
pub(super) const NVIDIA: Quirks = Quirks {
    embedding_defaults: &[("input_type", r#""query""#)],
    ..Quirks::LENIENT
};

/// Models of other vendors: what they cannot do is passed to them, and theirs to refuse.
pub(super) const AZURE_AI: Quirks = Quirks {
    headers: &[("extra-parameters", "pass-through")],
    ..Quirks::STRICT
};

/// What else it is told goes by other names.
pub(super) const WATSONX: Quirks = Quirks {
    ignored: &[
        "user",
        "store",
        "metadata",
        "service_tier",
        "safety_identifier",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
    ],
    refused: &[
        "parallel_tool_calls",
        "functions",
        "function_call",
        "modalities",
        "audio",
        "prediction",
        "web_search_options",
        "dimensions",
    ],
    answers: Answers {
        finish: &[("time_limit", "length")],
        failures: &[("error", "server_error")],
        bare: true,
        ..Answers::AS_OPENAI
    },
    ..Quirks::STRICT
};

pub(super) const VOYAGE: Quirks = Quirks {
    ignored: &["user"],
    embedding_renames: &[("dimensions", "output_dimension")],
    embeddings_only: true,
    ..Quirks::STRICT
};

pub(super) const JINA: Quirks = Quirks {
    ignored: &["user"],
    embeddings_only: true,
    ..Quirks::STRICT
};
