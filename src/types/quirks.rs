//! How a provider that nearly speaks OpenAI's dialect differs from it, as data. Values are JSON text.

/// Names of members.
pub type Names = &'static [&'static str];

/// Pairs `(ours, theirs)`, or a name with its value.
pub type Pairs = &'static [(&'static str, &'static str)];

/// What a provider wants otherwise than OpenAI. What is not mentioned passes as the client wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quirks {
    /// Parameters it refuses although they do not change the answer: never sent.
    pub ignored: Names,
    /// Parameters it cannot do that change the answer: the request is refused, unless they may be dropped.
    pub refused: Names,
    /// `(member, ours, theirs)`: values that it spells otherwise.
    pub values: &'static [(&'static str, &'static str, &'static str)],
    /// Members of a request for embeddings that it calls otherwise.
    pub embedding_renames: Pairs,
    /// Members that a request for embeddings must have.
    pub embedding_defaults: Pairs,
    /// It has no chat and no completions.
    pub embeddings_only: bool,
    /// Headers of every request.
    pub headers: Pairs,
    /// Members of a tool's `function` that it refuses.
    pub tool_fields: Names,
    /// The types and codes of its errors are not OpenAI's.
    pub own_errors: bool,
    /// What its messages may have.
    pub history: History,
    /// What its answers have.
    pub answers: Answers,
}

/// What the messages of a request may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct History {
    /// Whether it refuses members that OpenAI does not have: the reasoning of earlier turns, for one.
    pub strict: bool,
    /// The ids of calls it takes.
    pub ids: CallIds,
    /// Whether members that are null are refused in the assistant's messages.
    pub no_nulls: bool,
    /// Whether `name` is refused in messages that are no results of tools.
    pub no_names: bool,
    /// Whether the role `developer` is refused; it becomes `system`.
    pub no_developer: bool,
    /// What it calls `reasoning_content`, if not so.
    pub reasoning: Option<&'static str>,
}

/// The ids of calls of tools that a provider takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallIds {
    /// All.
    Any,
    /// No longer than this many characters.
    AtMost(usize),
    /// Nine letters and digits.
    Nine,
}

/// What in an answer is not as OpenAI has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answers {
    /// Reasons to finish, `(theirs, ours)`.
    pub finish: Pairs,
    /// Reasons to finish that are failures, with the type of the error that they are.
    pub failures: Pairs,
    /// `content` may be a list, with the reasoning in it.
    pub content_lists: bool,
    /// What it calls `reasoning_content`, if not so.
    pub reasoning: Option<&'static str>,
    /// Streams report usage beside a choice, asked for or not.
    pub usage_unasked: bool,
    /// The member of `usage` with the tokens that came from the cache.
    pub cached_tokens: Option<&'static str>,
    /// `completion_tokens` does not count the reasoning, `total_tokens` does.
    pub reasoning_apart: bool,
    /// `object` and `model` are missing, and errors are a list.
    pub bare: bool,
    /// Each chunk of a stream repeats the message so far beside its `delta`.
    pub whole_messages: bool,
}

impl Quirks {
    /// Whatever the client says: servers of the user's own, proxies, and whoever is not known.
    pub const LENIENT: Self = Self {
        ignored: &[],
        refused: &[],
        values: &[],
        embedding_renames: &[],
        embedding_defaults: &[],
        embeddings_only: false,
        headers: &[],
        tool_fields: &[],
        own_errors: false,
        history: History {
            strict: false,
            ids: CallIds::Any,
            no_nulls: false,
            no_names: false,
            no_developer: false,
            reasoning: None,
        },
        answers: Answers::AS_OPENAI,
    };
    /// OpenAI itself: members of messages that it does not know are refused.
    pub const OPENAI: Self = Self {
        history: History {
            strict: true,
            ids: CallIds::AtMost(40),
            ..Self::LENIENT.history
        },
        ..Self::LENIENT
    };
    /// As OpenAI, with ids of any length.
    pub const STRICT: Self = Self {
        history: History {
            strict: true,
            ..Self::LENIENT.history
        },
        ..Self::LENIENT
    };
}

impl Answers {
    /// Nothing to mend.
    pub const AS_OPENAI: Self = Self {
        finish: &[],
        failures: &[],
        content_lists: false,
        reasoning: None,
        usage_unasked: false,
        cached_tokens: None,
        reasoning_apart: false,
        bare: false,
        whole_messages: false,
    };
}
