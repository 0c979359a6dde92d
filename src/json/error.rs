//! What can be wrong with a JSON text.

/// What is wrong with a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// It ends too early.
    #[error("it ends before it is complete")]
    End,
    /// No value where one has to be.
    #[error("expected a value")]
    Value,
    /// No member name where one has to be.
    #[error("expected a member name in double quotes")]
    Name,
    /// No colon after a member name.
    #[error("expected `:`")]
    Colon,
    /// Neither a further member nor the end of the object.
    #[error("expected `,` or `}}`")]
    Object,
    /// Neither a further element nor the end of the array.
    #[error("expected `,` or `]`")]
    Array,
    /// A number with a leading zero, or without a digit where one has to be.
    #[error("invalid number")]
    Number,
    /// An unknown escape, or one of a member name that stands for no character.
    #[error("invalid escape")]
    Escape,
    /// U+0000 to U+001F in a string.
    #[error("control character in a string")]
    Control,
    /// Another kind of value where an object has to be.
    #[error("expected an object")]
    NoObject,
    /// Something follows the value.
    #[error("trailing characters")]
    Trailing,
    /// Bytes that are no UTF-8.
    #[error("invalid UTF-8")]
    Utf8,
}

/// What is wrong, and where; see [`Scanner::error`](super::Scanner::error). Says nothing of the text itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{wrong} at line {line} column {column}")]
pub struct Error {
    /// What.
    pub wrong: Wrong,
    /// The line of the offending byte, from 1.
    pub line: usize,
    /// The byte in this line, from 1.
    pub column: usize,
}
