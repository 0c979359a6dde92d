//! Keys of an entry of `model_groups`.

use super::{CALL, COUNT_32, Key, Kind, MODEL, ROUTER, Section, Unknown, on};

/// A model group.
pub(in super::super) static GROUP: Section = Section {
    title: "Model groups",
    path: "model_groups[]",
    doc: "A list. Each entry is a model group: what a client puts into `model`. Any other key is a parameter of every \
          call of the group, unless the request or the model has it.",
    keys: &[KEYS, CALL],
    unknown: Unknown::PassedOn,
};

const KEYS: &[Key] = &[
    on(
        "id",
        Kind::Text,
        "Name of the group; unique and not empty. With `*` it stands for every name of that pattern (the most specific \
         pattern wins), and what the `*` are takes the place of those in `model`.",
    ).required(),
    on(
        "models",
        Kind::List(&MODEL),
        "The deployments; at least one.",
    )
    .required(),
    on(
        "router",
        Kind::Section(&ROUTER),
        "How the group routes; required with two models or more, and not empty.",
    ),
    on(
        "timeout",
        Kind::Seconds,
        "Limit of a whole request with all its attempts and waits.",
    )
    .or("`waypost.timeouts.request`"),
    on(
        "stream_timeout",
        Kind::Seconds,
        "`stream_timeout` of models that have none, unless the router has one.",
    ),
    on(
        "num_retries",
        COUNT_32,
        "`num_retries` of the router, if it has none.",
    ),
    on(
        "extra_headers",
        Kind::Mapping,
        "Headers for models that have no `extra_headers`; values are secrets.",
    ),
    on(
        "extra_body",
        Kind::Mapping,
        "`extra_body` of models that have none.",
    ),
];

/// `router.default_litellm_params`
pub(in super::super) static DEFAULT_PARAMS: Section = Section {
    title: "Default parameters",
    path: "model_groups[].router.default_litellm_params",
    doc: "Parameters of every call of the group; the same key of the group or of a model wins.",
    keys: &[
        &[
            on(
                "timeout",
                Kind::Seconds,
                "`timeout` of the router, if it has none.",
            ),
            on(
                "stream_timeout",
                Kind::Seconds,
                "`stream_timeout` of the router, if it has none.",
            ),
            on(
                "num_retries",
                COUNT_32,
                "`num_retries` of the router, if it has none.",
            ),
        ],
        CALL,
    ],
    unknown: Unknown::PassedOn,
};
