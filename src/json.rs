//! JSON, looked at without building anything.
//!
//! A [`Scanner`] walks a text once. It checks all of it (structure, numbers, literals, escapes, no raw control characters)
//! and tells where values lie; the caller descends into the few objects and arrays it cares for, and skips the rest.
//! What `serde_json` accepts as a `RawValue` is accepted here, and nothing else is, except that text is not decoded:
//! [`Scanner::utf8`] says afterwards whether it could be. Nothing recurses, so that depth is no danger.

mod error;
mod open;
mod plain;
mod string;

use std::borrow::Cow;
use std::ops::Range;

pub use error::{Error, Wrong};
use open::Open;

/// A walk over one JSON text.
///
/// Where a value is due, it is either skipped ([`Scanner::skip`]) or entered ([`Scanner::object`], [`Scanner::array`]);
/// what was entered is walked to its end ([`Scanner::member`], [`Scanner::element`]), with a value due after each step.
#[derive(Debug)]
pub struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    /// Nothing has been read yet of the object or array the scanner is in, so that no comma is due.
    fresh: bool,
    /// All string bytes so far, joined by OR, as far as their highest bits go.
    high: u64,
}

impl<'a> Scanner<'a> {
    /// At the beginning of `text`.
    #[must_use]
    pub const fn new(text: &'a [u8]) -> Self {
        Self {
            text,
            at: 0,
            fresh: true,
            high: 0,
        }
    }

    /// The first byte of the value that is due; it tells its kind.
    #[inline]
    pub fn peek(&mut self) -> Option<u8> {
        loop {
            let byte = *self.text.get(self.at)?;
            if byte > b' ' || !matches!(byte, b' ' | b'\n' | b'\t' | b'\r') {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    /// Enters the value that is due, if it is an object. Otherwise it stays due.
    #[inline]
    pub fn object(&mut self) -> bool {
        self.enter(b'{')
    }

    /// Enters the value that is due, if it is an array. Otherwise it stays due.
    #[inline]
    pub fn array(&mut self) -> bool {
        self.enter(b'[')
    }

    #[inline]
    fn enter(&mut self, open: u8) -> bool {
        let is = self.peek() == Some(open);
        if is {
            self.at += 1;
            self.fresh = true;
        }
        is
    }

    /// The name of the next member of the object the scanner is in, unescaped; its value is due then. `None` is the end
    /// of the object.
    ///
    /// # Errors
    /// If there is neither, or the name has an escape that stands for no character.
    #[inline]
    pub fn member(&mut self) -> Result<Option<Cow<'a, [u8]>>, Wrong> {
        let Some((name, escaped)) = self.name()? else {
            return Ok(None);
        };
        if escaped {
            return self.unescaped(name).map(Some);
        }
        Ok(self.text.get(name).map(Cow::Borrowed))
    }

    /// Where the next member's name lies, without its quotes, and whether it has escapes.
    #[inline]
    fn name(&mut self) -> Result<Option<(Range<usize>, bool)>, Wrong> {
        match self.peek() {
            Some(b'}') => {
                self.at += 1;
                self.fresh = false;
                return Ok(None);
            }
            Some(b'"') if self.fresh => {}
            Some(b',') if !self.fresh => {
                self.at += 1;
                if self.peek() != Some(b'"') {
                    return Err(Wrong::Name);
                }
            }
            _ if self.fresh => return Err(Wrong::Name),
            _ => return Err(Wrong::Object),
        }
        self.at += 1;
        let start = self.at;
        let escaped = self.string()?;
        let name = start..self.at - 1;
        if self.peek() != Some(b':') {
            return Err(Wrong::Colon);
        }
        self.at += 1;
        Ok(Some((name, escaped)))
    }

    #[cold]
    fn unescaped(&mut self, name: Range<usize>) -> Result<Cow<'a, [u8]>, Wrong> {
        let quoted = self.text.get(name.start - 1..name.end + 1);
        match quoted.and_then(string) {
            Some(name) => Ok(Cow::Owned(name.into_owned().into_bytes())),
            None => {
                self.at = name.start;
                Err(Wrong::Escape)
            }
        }
    }

    /// Whether the array the scanner is in has a further element, which is due then. Otherwise it is at its end.
    ///
    /// # Errors
    /// If it is neither.
    #[inline]
    pub fn element(&mut self) -> Result<bool, Wrong> {
        match self.peek() {
            Some(b']') => {
                self.at += 1;
                self.fresh = false;
                return Ok(false);
            }
            Some(b',') if !self.fresh => self.at += 1,
            Some(_) if self.fresh => {}
            _ => return Err(Wrong::Array),
        }
        Ok(true)
    }

    /// Passes the value that is due; returns where it lies.
    ///
    /// # Errors
    /// If it is no valid value.
    #[inline]
    pub fn skip(&mut self) -> Result<Range<usize>, Wrong> {
        let first = self.peek();
        let start = self.at;
        match first {
            Some(b'{' | b'[') => self.nested()?,
            _ => self.scalar(first)?,
        }
        self.fresh = false;
        Ok(start..self.at)
    }

    /// Passes the value that is due; returns its text.
    ///
    /// # Errors
    /// As [`Scanner::skip`].
    #[inline]
    pub fn value(&mut self) -> Result<&'a [u8], Wrong> {
        let range = self.skip()?;
        Ok(self.text.get(range).unwrap_or_default())
    }

    /// Checks that nothing but white space follows.
    ///
    /// # Errors
    /// If something does.
    pub fn end(&mut self) -> Result<(), Wrong> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(Wrong::Trailing),
        }
    }

    /// Checks that the text is UTF-8. Costs nothing if it turned out to be ASCII.
    ///
    /// # Errors
    /// If it is not.
    pub fn utf8(&mut self) -> Result<(), Wrong> {
        if self.high & plain::HIGH == 0 {
            return Ok(());
        }
        std::str::from_utf8(&self.text[..self.at])
            .map(|_| ())
            .map_err(|error| {
                self.at = error.valid_up_to();
                Wrong::Utf8
            })
    }

    /// What was found wrong last, with its place.
    #[must_use]
    pub fn error(&self, wrong: Wrong) -> Error {
        let before = &self.text[..self.at];
        let line = memchr::memrchr(b'\n', before).map_or(0, |end| end + 1);
        Error {
            wrong: if self.at == self.text.len() {
                Wrong::End
            } else {
                wrong
            },
            line: 1 + memchr::memchr_iter(b'\n', before).count(),
            column: self.at - line + 1,
        }
    }

    /// An object or an array with all that is in it. The stack of what is open is one bit for each.
    fn nested(&mut self) -> Result<(), Wrong> {
        let mut open = Open::default();
        let mut first = self.peek();
        loop {
            match first {
                Some(kind @ (b'{' | b'[')) => {
                    self.at += 1;
                    self.fresh = true;
                    open.push(kind == b'{');
                }
                _ => {
                    self.scalar(first)?;
                    self.fresh = false;
                }
            }
            while !if open.is_object() {
                self.name()?.is_some()
            } else {
                self.element()?
            } {
                if open.pop() == 0 {
                    return Ok(());
                }
            }
            first = self.peek();
        }
    }

    /// A value that is neither an object nor an array.
    #[inline]
    fn scalar(&mut self, first: Option<u8>) -> Result<(), Wrong> {
        match first {
            Some(b'"') => {
                self.at += 1;
                self.string().map(|_| ())
            }
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b'n') => self.literal(b"null"),
            Some(b't') => self.literal(b"true"),
            Some(b'f') => self.literal(b"false"),
            _ => Err(Wrong::Value),
        }
    }

    #[inline]
    fn literal(&mut self, word: &[u8]) -> Result<(), Wrong> {
        if self.text[self.at..].starts_with(word) {
            self.at += word.len();
            return Ok(());
        }
        let same = self.text[self.at..]
            .iter()
            .zip(word)
            .take_while(|(a, b)| a == b);
        self.at += same.count();
        Err(Wrong::Value)
    }

    /// A number, from its sign or first digit.
    fn number(&mut self) -> Result<(), Wrong> {
        if self.text.get(self.at) == Some(&b'-') {
            self.at += 1;
        }
        if self.text.get(self.at) == Some(&b'0') {
            self.at += 1;
            if self.text.get(self.at).is_some_and(u8::is_ascii_digit) {
                return Err(Wrong::Number);
            }
        } else {
            self.digits()?;
        }
        if self.text.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.text.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = self.text.get(self.at) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    /// One digit or more.
    #[inline]
    fn digits(&mut self) -> Result<(), Wrong> {
        let start = self.at;
        while self.text.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        if self.at == start {
            return Err(Wrong::Number);
        }
        Ok(())
    }
}

/// The text of a string, of which `raw` is the JSON; `None` if it is none, or has a surrogate without its other half.
#[must_use]
pub fn string(raw: &[u8]) -> Option<Cow<'_, str>> {
    match raw {
        [b'"', inner @ .., b'"'] if memchr::memchr(b'\\', inner).is_none() => {
            std::str::from_utf8(inner).ok().map(Cow::Borrowed)
        }
        _ => serde_json::from_slice(raw).ok().map(Cow::Owned),
    }
}

/// The number of which `raw` is the JSON, if it is a whole one, written without a fraction or an exponent, from 0 to 2⁶⁴ - 1.
#[must_use]
pub fn integer(raw: &[u8]) -> Option<u64> {
    raw.iter().try_fold(0_u64, |number, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
        number.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

#[cfg(test)]
mod tests;
