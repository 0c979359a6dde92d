//! Secrets of ours that come back from a provider are not handed on.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use memchr::memmem::Finder;

/// What stands in their place.
const MASK: &[u8] = b"***";
/// Shorter ones (`none`, `EMPTY`, `sk-1`) are placeholders, and masking them would maim ordinary text.
const SHORTEST: usize = 8;

/// The secrets sent to one deployment. Cloning shares them.
#[derive(Clone, Default)]
pub struct Masks(Arc<[Finder<'static>]>);

impl std::fmt::Debug for Masks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Masks({})", self.0.len())
    }
}

impl Masks {
    /// Masks for `secrets`.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let long = secrets.into_iter().filter(|s| s.len() >= SHORTEST);
        Self(
            long.map(|s| Finder::new(s.as_bytes()).into_owned())
                .collect(),
        )
    }

    /// These and more.
    #[must_use]
    pub fn with<'a>(&self, secrets: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let long = secrets.into_iter().filter(|s| s.len() >= SHORTEST);
        let new = long.map(|secret| Finder::new(secret).into_owned());
        Self(self.0.iter().cloned().chain(new).collect())
    }

    /// `bytes` without the secrets; untouched, and uncopied, if there are none in it.
    #[must_use]
    pub fn apply(&self, bytes: Bytes) -> Bytes {
        match self.masked(&bytes) {
            Cow::Borrowed(_) => bytes,
            Cow::Owned(masked) => masked.into(),
        }
    }

    /// Whether there is one in `bytes`.
    #[must_use]
    pub fn are_in(&self, bytes: &[u8]) -> bool {
        self.0.iter().any(|finder| finder.find(bytes).is_some())
    }

    fn masked<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let mut current = Cow::Borrowed(bytes);
        for finder in self.0.iter() {
            let mut found = finder.find_iter(&current).peekable();
            if found.peek().is_none() {
                continue;
            }
            let mut out = Vec::with_capacity(current.len());
            let mut cursor = 0;
            for at in found {
                out.extend_from_slice(&current[cursor..at]);
                out.extend_from_slice(MASK);
                cursor = at + finder.needle().len();
            }
            out.extend_from_slice(&current[cursor..]);
            current = Cow::Owned(out);
        }
        current
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_them_everywhere_and_nothing_else() {
        let masks = Masks::new(["sk-12345678", "short"]).with([&b"Bearer xyz"[..]]);
        let text = Bytes::from_static(b"key sk-12345678sk-12345678 short Bearer xyz.");
        assert_eq!(masks.apply(text), "key ****** short ***.");
        let clean = Bytes::from_static(b"sk-1234567");
        assert_eq!(masks.apply(clean.clone()).as_ptr(), clean.as_ptr());
    }
}
