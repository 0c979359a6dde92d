//! Numbers by class of failure, under LiteLLM's names: `{ErrorClass::name()}Retries` and `…AllowedFails`.

use super::{COUNT_32, Section, Unknown, on};

/// `retry_policy`
pub(super) static RETRIES: Section = Section {
    title: "Retry policy",
    path: "model_groups[].router.retry_policy",
    doc: "Retries by class of the failure; they win over `num_retries`.",
    keys: &[&[
        on(
            "BadRequestErrorRetries",
            COUNT_32,
            "After 400, 413, 415 or 422.",
        ),
        on("AuthenticationErrorRetries", COUNT_32, "After 401 or 403."),
        on(
            "TimeoutErrorRetries",
            COUNT_32,
            "After a time limit of ours, 408 or 504.",
        ),
        on("RateLimitErrorRetries", COUNT_32, "After 429."),
        on(
            "ContentPolicyViolationErrorRetries",
            COUNT_32,
            "After a content filter.",
        ),
        on(
            "InternalServerErrorRetries",
            COUNT_32,
            "After 500, and what is of no other class: no connection, a broken answer.",
        ),
        on(
            "ServiceUnavailableErrorRetries",
            COUNT_32,
            "After 503 or 529.",
        ),
        on("BadGatewayErrorRetries", COUNT_32, "After 502."),
        on("NotFoundErrorRetries", COUNT_32, "After 404."),
        on(
            "DefaultRetries",
            COUNT_32,
            "After a failure of a class without a number here.",
        )
        .or("`num_retries`"),
    ]],
    unknown: Unknown::Refused,
};

/// `allowed_fails_policy`
pub(super) static FAILS: Section = Section {
    title: "Allowed fails policy",
    path: "allowed_fails_policy",
    doc: "Failures tolerated by class within `cooldown_time`, in a router, a model or its `model_info`; they win over \
          `allowed_fails`.",
    keys: &[&[
        on(
            "BadRequestErrorAllowedFails",
            COUNT_32,
            "Of 400, 413, 415 and 422.",
        ),
        on(
            "AuthenticationErrorAllowedFails",
            COUNT_32,
            "Of 401 and 403.",
        ),
        on(
            "TimeoutErrorAllowedFails",
            COUNT_32,
            "Of time limits of ours, 408 and 504.",
        ),
        on("RateLimitErrorAllowedFails", COUNT_32, "Of 429."),
        on(
            "ContentPolicyViolationErrorAllowedFails",
            COUNT_32,
            "Of content filters.",
        ),
        on(
            "InternalServerErrorAllowedFails",
            COUNT_32,
            "Of 500, and what is of no other class: no connection, a broken answer.",
        ),
        on(
            "ServiceUnavailableErrorAllowedFails",
            COUNT_32,
            "Of 503 and 529.",
        ),
        on("BadGatewayErrorAllowedFails", COUNT_32, "Of 502."),
        on("NotFoundErrorAllowedFails", COUNT_32, "Of 404."),
    ]],
    unknown: Unknown::Refused,
};
