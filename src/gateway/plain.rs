//! What matters of a plain answer.

use std::ops::Range;

use crate::json::{self, Scanner, Wrong};
use crate::types::TokenUsage;
use crate::usage::meter;

/// The members that are looked at.
#[derive(Default)]
pub(super) struct Plain {
    /// `error` is there, and not null.
    pub(super) error: bool,
    pub(super) usage: Option<TokenUsage>,
    /// Where the value of `model` lies.
    pub(super) model: Option<Range<usize>>,
}

impl Plain {
    /// Reads an answer, which must be a JSON object from its beginning to its end.
    pub(super) fn read(body: &[u8]) -> Result<Self, json::Error> {
        let mut scanner = Scanner::new(body);
        Self::walk(&mut scanner).map_err(|wrong| scanner.error(wrong))
    }

    fn walk(scanner: &mut Scanner<'_>) -> Result<Self, Wrong> {
        if !scanner.object() {
            return Err(Wrong::NoObject);
        }
        let mut plain = Self::default();
        while let Some(name) = scanner.member()? {
            match &*name {
                b"error" => plain.error = scanner.value()? != b"null",
                b"usage" => plain.usage = meter::reported(scanner)?,
                b"model" => plain.model = Some(scanner.skip()?),
                _ => _ = scanner.skip()?,
            }
        }
        scanner.end()?;
        Ok(plain)
    }
}
