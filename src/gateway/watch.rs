//! A stream as it passes: what has been said so far, seen without holding it up.
//!
//! Before the commit point each event is read, to know content from preamble and errors from both. Afterwards events
//! are only searched for the few words that matter (`usage`, `error`, `finish_reason`), and parsed when one is there.
//! Malformed events are nobody's end: they pass.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::LazyLock;

use bytes::{Buf, Bytes, BytesMut};
use memchr::memmem::Finder;

use crate::json::{Scanner, Wrong};
use crate::provider::{AdaptError, ErrorFacts, Translator, error_facts};
use crate::sse;
use crate::types::{Provenance, TokenUsage};
use crate::usage::meter;

static USAGE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"usage\""));
static ERROR: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"error\""));
static FINISH: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"finish_reason\""));

/// One stream under observation.
#[derive(Debug)]
pub(super) struct Watch {
    splitter: sse::Splitter,
    translator: Option<Box<dyn Translator>>,
    /// Take out the usage event, which only Waypost asked for.
    hide_usage: bool,
    /// JSON text to put in place of each chunk's `model`.
    model: Option<Bytes>,
    content: bool,
    finished: bool,
    done: bool,
    error: Option<(ErrorFacts, Bytes)>,
    usage: Option<TokenUsage>,
    events: u64,
    /// An event that was taken out or replaced ended in a carriage return, whose line feed may be yet to come.
    half_ended: bool,
}

/// How a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// With `[DONE]`, or at least a finish reason; or nobody can tell, since an event was too large to be read.
    Complete,
    /// In the middle.
    Truncated,
}

impl Watch {
    /// A watch over a stream that has not begun.
    #[must_use]
    pub(super) fn new(
        translator: Option<Box<dyn Translator>>,
        hide_usage: bool,
        model: Option<Bytes>,
    ) -> Self {
        Self {
            splitter: sse::Splitter::default(),
            translator,
            hide_usage,
            model,
            content: false,
            finished: false,
            done: false,
            error: None,
            usage: None,
            events: 0,
            half_ended: false,
        }
    }

    /// Takes a chunk and returns what of the stream may be handed on; an error event is kept back (see [`Watch::error`]).
    ///
    /// # Errors
    /// If a translator can't make sense of it.
    pub(super) fn push(&mut self, chunk: Bytes) -> Result<Bytes, AdaptError> {
        let chunk = match &mut self.translator {
            None => chunk,
            Some(translator) => {
                let mut out = BytesMut::new();
                translator.push(&chunk, &mut out)?;
                out.freeze()
            }
        };
        let whole = self.splitter.push(chunk);
        if self.splitter.gave_up() {
            self.content = true;
            self.events += 1; // nobody can count them any more, but it is not silent
            return Ok(whole);
        }
        Ok(self.look(whole))
    }

    /// The upstream is at its end. Returns the rest and how it ended. Of an event without its blank line there is
    /// something in the rest only if it can be read all the same.
    ///
    /// # Errors
    /// As [`Watch::push`].
    pub(super) fn finish(&mut self) -> Result<(Bytes, Ending), AdaptError> {
        let mut rest = BytesMut::new();
        if let Some(mut translator) = self.translator.take() {
            let mut out = BytesMut::new();
            translator.finish(&mut out)?;
            rest.extend_from_slice(&self.splitter.push(out.freeze()));
        }
        let last = self.splitter.finish();
        if is_readable(&last) {
            rest.extend_from_slice(&last);
        }
        let rest = self.look(rest.freeze());
        // What was too large to be looked at has ended well if HTTP says so.
        let complete =
            self.error.is_none() && (self.done || self.finished || self.splitter.gave_up());
        Ok((
            rest,
            if complete {
                Ending::Complete
            } else {
                Ending::Truncated
            },
        ))
    }

    /// Reads whole events; returns those to hand on, as one slice of what came in if all are.
    fn look(&mut self, mut whole: Bytes) -> Bytes {
        if self.half_ended && !whole.is_empty() {
            self.half_ended = false;
            if whole[0] == b'\n' {
                whole.advance(1);
            }
        }
        let mut out: Option<BytesMut> = None;
        let mut at = 0;
        for sse::Event { bytes, data } in sse::events(&whole) {
            let start = at;
            at += bytes.len();
            let Some(data) = data else {
                out.iter_mut().for_each(|out| out.extend_from_slice(bytes));
                continue;
            };
            let data = one_line(data);
            let look = self.event(&data);
            if matches!(look, Look::Pass) {
                out.iter_mut().for_each(|out| out.extend_from_slice(bytes));
                continue;
            }
            let out = out.get_or_insert_with(|| {
                let mut out = BytesMut::with_capacity(whole.len());
                out.extend_from_slice(&whole[..start]);
                out
            });
            if let (Look::Rename(old), Some(new)) = (look, &self.model) {
                for part in [
                    b"data: ",
                    &data[..old.start],
                    new,
                    &data[old.end..],
                    b"\n\n",
                ] {
                    out.extend_from_slice(part);
                }
            }
            self.half_ended = at == whole.len() && bytes.ends_with(b"\r");
            if self.error.is_some() {
                break; // nothing follows an error
            }
        }
        out.map_or(whole, BytesMut::freeze)
    }

    fn event(&mut self, data: &[u8]) -> Look {
        if data == b"[DONE]" {
            self.done = true;
            return Look::Pass;
        }
        self.events += 1;
        if ERROR.find(data).is_some()
            && let Some(facts) = error_facts(data)
        {
            self.error = Some((facts, Bytes::copy_from_slice(data)));
            return Look::Drop;
        }
        if !self.content {
            self.content = has_content(data);
        }
        if !self.finished {
            self.finished = values(&FINISH, data).any(|first| first == b'"');
        }
        // Those who report usage at the end say null before.
        if self.model.is_none() && values(&USAGE, data).all(|first| first == b'n') {
            return Look::Pass;
        }
        let Ok(chunk) = Chunk::read(data) else {
            return Look::Pass;
        };
        if chunk.usage.is_some() {
            self.usage = chunk.usage;
            if self.hide_usage && chunk.no_choices {
                return Look::Drop;
            }
        }
        match chunk.model {
            Some(model) if self.model.is_some() => Look::Rename(model),
            _ => Look::Pass,
        }
    }

    /// Whether content was seen: the commit point.
    #[must_use]
    pub(super) const fn has_content(&self) -> bool {
        self.content
    }

    /// Whether `[DONE]` was seen: whatever may come, clients read no further.
    #[must_use]
    pub(super) const fn is_done(&self) -> bool {
        self.done
    }

    /// An error the upstream put into the stream, with its JSON text.
    #[must_use]
    pub(super) const fn error(&self) -> Option<&(ErrorFacts, Bytes)> {
        self.error.as_ref()
    }

    /// Tokens: as reported, else one per event, with `input` as estimated.
    #[must_use]
    pub(super) fn usage(&self, input: u64) -> TokenUsage {
        self.usage.unwrap_or(TokenUsage {
            input,
            output: self.events,
            provenance: Provenance::Counted,
            ..TokenUsage::default()
        })
    }

    /// Data events seen.
    #[must_use]
    pub(super) const fn events(&self) -> u64 {
        self.events
    }
}

/// Whether the last event can be read although its blank line is missing.
fn is_readable(rest: &[u8]) -> bool {
    sse::data(rest).is_some_and(|data| {
        let mut scanner = Scanner::new(&data);
        &*data == b"[DONE]" || scanner.skip().and_then(|_| scanner.end()).is_ok()
    })
}

/// What becomes of an event.
enum Look {
    Pass,
    Drop,
    /// Another model's name belongs there.
    Rename(Range<usize>),
}

/// Between lines of JSON there is only white space, and it has to fit into one line when written again.
fn one_line(mut data: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    if let Cow::Owned(joined) = &mut data {
        joined
            .iter_mut()
            .filter(|b| **b == b'\n')
            .for_each(|b| *b = b' ');
    }
    data
}

/// The first bytes of the values of all members of that name, quotes included, however deep they are.
fn values(name: &Finder<'_>, data: &[u8]) -> impl Iterator<Item = u8> {
    let length = name.needle().len();
    name.find_iter(data)
        .filter_map(move |at| match data[at + length..].trim_ascii_start() {
            [b':', value @ ..] => value.trim_ascii_start().first().copied(),
            _ => None,
        })
}

/// What an event says, as far as Waypost cares.
#[derive(Default)]
struct Chunk {
    usage: Option<TokenUsage>,
    /// `choices` is an empty array.
    no_choices: bool,
    /// Where the value of `model` lies.
    model: Option<Range<usize>>,
}

impl Chunk {
    fn read(data: &[u8]) -> Result<Self, Wrong> {
        let mut scanner = Scanner::new(data);
        let mut chunk = Self::default();
        if !scanner.object() {
            return Err(Wrong::NoObject);
        }
        while let Some(name) = scanner.member()? {
            match &*name {
                b"usage" => chunk.usage = meter::reported(&mut scanner)?.or(chunk.usage),
                b"x_groq" if scanner.object() => {
                    while let Some(name) = scanner.member()? {
                        if *name == *b"usage" && chunk.usage.is_none() {
                            chunk.usage = meter::reported(&mut scanner)?;
                        } else {
                            scanner.skip()?;
                        }
                    }
                }
                b"model" => {
                    chunk.model = Some(scanner.skip()?).filter(|at| &data[at.clone()] != b"null")
                }
                b"choices" => {
                    let choices = scanner.value()?;
                    chunk.no_choices = choices.starts_with(b"[") && is_empty(choices);
                }
                _ => _ = scanner.skip()?,
            }
        }
        scanner.end()?;
        Ok(chunk)
    }
}

/// Whether a chunk carries something a user would see, or the end. A role alone, an empty delta, Azure's filter results
/// with no choices, and what can't be parsed do not; an object of another dialect does.
fn has_content(data: &[u8]) -> bool {
    content(&mut Scanner::new(data)).unwrap_or(false)
}

fn content(scanner: &mut Scanner<'_>) -> Result<bool, Wrong> {
    let mut found = None;
    if !scanner.object() {
        return Err(Wrong::NoObject);
    }
    while let Some(name) = scanner.member()? {
        if *name == *b"choices" && scanner.array() {
            let mut any = false;
            while scanner.element()? {
                any |= choice(scanner)?;
            }
            found = Some(any);
        } else {
            let value = scanner.value()?;
            if *name == *b"choices" && value != b"null" {
                return Err(Wrong::Value);
            }
        }
    }
    scanner.end()?;
    Ok(found.unwrap_or(true))
}

/// Whether a choice carries something.
fn choice(scanner: &mut Scanner<'_>) -> Result<bool, Wrong> {
    let mut any = false;
    if !scanner.object() {
        return Err(Wrong::NoObject);
    }
    while let Some(name) = scanner.member()? {
        if *name == *b"delta" && scanner.object() {
            while let Some(name) = scanner.member()? {
                any |= !is_empty(scanner.value()?) && *name != *b"role";
            }
            continue;
        }
        let value = scanner.value()?;
        match (&*name, value.first()) {
            (b"delta" | b"text" | b"finish_reason", Some(b'n')) => {}
            (b"text", Some(b'"')) => any |= !is_empty(value),
            (b"finish_reason", Some(b'"')) => any = true,
            (b"delta" | b"text" | b"finish_reason", _) => return Err(Wrong::Value),
            _ => {}
        }
    }
    Ok(any)
}

/// Whether a value is null, or an empty string, array or object.
fn is_empty(value: &[u8]) -> bool {
    match value {
        b"null" | b"\"\"" => true,
        [b'[' | b'{', inner @ .., _] => inner.iter().all(u8::is_ascii_whitespace),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
