//! Private steps of the hot path, each alone, for the programs in `benches/` that count what they cost.

use bytes::Bytes;

use super::plain::Plain;
use super::watch::Watch;
use crate::provider::Translator;

/// A stream under observation: takes chunks one by one and returns how many bytes of them may be handed on.
pub fn watch() -> impl FnMut(Bytes) -> usize {
    watch_through(None)
}

/// The same of a stream that is translated.
pub fn watch_through(translator: Option<Box<dyn Translator>>) -> impl FnMut(Bytes) -> usize {
    let mut watch = Watch::new(translator, false, None);
    move |chunk| watch.push(chunk).map_or(0, |passed| passed.len())
}

/// Reads what matters of a plain answer; whether it is one.
#[must_use]
pub fn peek(body: &[u8]) -> bool {
    Plain::read(body).is_ok()
}
