//! What a configuration says about routing beyond one group and one strategy: classes of failure and the policies made of
//! them, what deployments are able to do, affinity, hedging, and the other groups to turn to.

use std::sync::Arc;
use std::time::Duration;

/// A class of failure, as LiteLLM's `retry_policy` and `allowed_fails_policy` tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// The request was refused as such: 400, 413, 415, 422 and their like.
    BadRequest,
    /// 401, 403.
    Authentication,
    /// 408, 504, or a clock of ours ran out.
    Timeout,
    /// 429, and an account without quota.
    RateLimit,
    /// A content filter refused.
    ContentPolicy,
    /// 500, and every failure that is of no other class: no connection, a broken answer.
    InternalServer,
    /// 503, 529.
    ServiceUnavailable,
    /// 502.
    BadGateway,
    /// 404.
    NotFound,
}

impl ErrorClass {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::BadRequest,
        Self::Authentication,
        Self::Timeout,
        Self::RateLimit,
        Self::ContentPolicy,
        Self::InternalServer,
        Self::ServiceUnavailable,
        Self::BadGateway,
        Self::NotFound,
    ];

    /// How LiteLLM's keys begin that name it: `TimeoutError` of `TimeoutErrorRetries`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BadRequest => "BadRequestError",
            Self::Authentication => "AuthenticationError",
            Self::Timeout => "TimeoutError",
            Self::RateLimit => "RateLimitError",
            Self::ContentPolicy => "ContentPolicyViolationError",
            Self::InternalServer => "InternalServerError",
            Self::ServiceUnavailable => "ServiceUnavailableError",
            Self::BadGateway => "BadGatewayError",
            Self::NotFound => "NotFoundError",
        }
    }
}

/// A number per class of failure: retries, or failures tolerated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    by_class: [Option<u32>; ErrorClass::ALL.len()],
    /// Of classes without a number of their own.
    pub otherwise: Option<u32>,
}

impl Policy {
    /// The number of `class`, if the policy has one.
    #[must_use]
    pub fn of(&self, class: ErrorClass) -> Option<u32> {
        self.by_class[class as usize].or(self.otherwise)
    }

    /// The number that was given for `class` itself.
    #[must_use]
    pub const fn named(&self, class: ErrorClass) -> Option<u32> {
        self.by_class[class as usize]
    }

    /// Sets the number of `class`.
    pub fn set(&mut self, class: ErrorClass, number: u32) {
        self.by_class[class as usize] = Some(number);
    }

    /// This policy, with the numbers of `base` where it has none of its own.
    #[must_use]
    pub fn over(&self, base: &Self) -> Self {
        let own =
            |class: ErrorClass| self.by_class[class as usize].or(base.by_class[class as usize]);
        Self {
            by_class: ErrorClass::ALL.map(own),
            otherwise: self.otherwise.or(base.otherwise),
        }
    }

    /// Whether it says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What a deployment is able to do; `None` where nobody knows, and then it is not held against it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Abilities {
    /// Calls tools.
    pub tools: Option<bool>,
    /// Looks at images.
    pub images: Option<bool>,
    /// Answers by a JSON schema (`response_format: {type: json_schema}`).
    pub json_schema: Option<bool>,
}

/// Who is asked when a group fails: names of groups in the order they are tried, defaults and aliases resolved at load.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fallbacks {
    /// After any failure that another group may not meet.
    pub general: Arc<[Arc<str>]>,
    /// After a prompt that is longer than the group's models take; the general ones where the file names no others.
    pub context_window: Arc<[Arc<str>]>,
    /// After a content filter's refusal; the general ones where the file names no others.
    pub content_policy: Arc<[Arc<str>]>,
}

/// Which deployments a request's tags leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TagFilter {
    /// One common tag is enough; otherwise the deployment must have all of the request's.
    pub match_any: bool,
}

/// What makes two requests one conversation, in the order in which they are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AffinityKey {
    /// The header `x-session-id` or `x-litellm-session-id`, or `litellm_session_id` in the body.
    Session,
    /// `prompt_cache_key` of the body.
    PromptCacheKey,
    /// `user` of the body.
    User,
    /// The prompt's beginning: all up to the end of the first user message.
    Prefix,
}

impl AffinityKey {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Session,
        Self::PromptCacheKey,
        Self::User,
        Self::Prefix,
    ];

    /// Its name in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::PromptCacheKey => "prompt_cache_key",
            Self::User => "user",
            Self::Prefix => "prefix",
        }
    }
}

/// Requests of one conversation go to the deployment that has answered it before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Affinity {
    /// What to go by: the first that a request has.
    pub keys: Vec<AffinityKey>,
    /// How long a conversation without requests is remembered.
    pub ttl: Duration,
    /// Conversations remembered; beyond that the one longest without a request is forgotten.
    pub max_entries: usize,
}

/// How requests wait for a place at a full deployment (`max_parallel_requests`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queueing {
    /// How long at most, before each attempt; zero: not at all.
    pub max_wait: Duration,
    /// How many at most; zero: none.
    pub max_size: usize,
}

impl Queueing {
    /// Whether nobody waits.
    #[must_use]
    pub const fn is_off(&self) -> bool {
        self.max_wait.is_zero() || self.max_size == 0
    }
}

/// A second attempt elsewhere for requests that have waited unusually long for their first content.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hedging {
    /// The quantile of times to first content after which the second attempt is made; above 0, below 1.
    pub quantile: f64,
    /// No second attempt before this, however fast the deployment is.
    pub min_delay: Duration,
    /// The largest share of requests that get a second attempt; above 0, at most 1.
    pub max_share: f64,
}
