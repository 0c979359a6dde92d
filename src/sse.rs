//! Server-sent events, as bytes.
//!
//! A [`Splitter`] is fed whatever the network delivers and hands back whole events, terminators included, as slices of
//! what came in; only an unfinished event is copied. Nothing is decoded as text before an event is whole, so a
//! character split between two network chunks is no special case. All three line endings are understood. The buffer
//! for an unfinished event is bounded: past the bound the splitter gives up looking and passes bytes on as they come.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};

/// The largest event that is looked at; larger ones pass through unread.
pub const MAX_EVENT: usize = 8 * 1024 * 1024;

/// Cuts a byte stream into events.
#[derive(Debug, Default)]
pub struct Splitter {
    /// The unfinished event.
    held: BytesMut,
    /// How far `held` was scanned: the start of its last, unfinished line.
    line: usize,
    /// How far that line was scanned.
    at: usize,
    gave_up: bool,
}

impl Splitter {
    /// Adds `chunk` and returns all events that are now whole, one after the other in one slice (maybe empty).
    pub fn push(&mut self, chunk: Bytes) -> Bytes {
        if self.gave_up {
            return chunk;
        }
        if self.held.is_empty() {
            if ends_event(&chunk) {
                (self.line, self.at) = (0, 0);
                return chunk;
            }
            let (end, line, at) = last_boundary(&chunk, 0, 0);
            let whole = chunk.slice(..end);
            self.held.extend_from_slice(&chunk[end..]);
            (self.line, self.at) = (line - end, at - end);
            return self.checked(whole);
        }
        self.held.extend_from_slice(&chunk);
        let (end, line, at) = if ends_event(&self.held) {
            (self.held.len(), self.held.len(), self.held.len())
        } else {
            last_boundary(&self.held, self.line, self.at)
        };
        let whole = self.held.split_to(end).freeze();
        (self.line, self.at) = (line - end, at - end);
        self.checked(whole)
    }

    fn checked(&mut self, whole: Bytes) -> Bytes {
        if self.held.len() <= MAX_EVENT {
            return whole;
        }
        self.gave_up = true;
        let mut all = BytesMut::from(whole);
        all.unsplit(self.held.split());
        all.freeze()
    }

    /// Whether an event is unfinished.
    #[must_use]
    pub fn is_mid_event(&self) -> bool {
        !self.held.is_empty()
    }

    /// Whether an event was too large, so that bytes are passed on unseen since.
    #[must_use]
    pub const fn gave_up(&self) -> bool {
        self.gave_up
    }

    /// What is left at the end of the stream: an event without its blank line, or nothing.
    pub fn finish(&mut self) -> Bytes {
        (self.line, self.at) = (0, 0);
        self.held.split().freeze()
    }
}

/// Whether `buf` ends in a blank line, without looking at the rest: most chunks are whole events.
fn ends_event(buf: &[u8]) -> bool {
    buf.ends_with(b"\n\n") || buf.ends_with(b"\n\r\n")
}

/// Scans `buf` from `at` in the line that starts at `line`. Returns the end of the last whole event, and the same two
/// positions for the next call.
fn last_boundary(buf: &[u8], mut line: usize, mut at: usize) -> (usize, usize, usize) {
    let mut end = 0;
    while let Some(found) = buf
        .get(at..)
        .and_then(|rest| memchr::memchr2(b'\n', b'\r', rest))
    {
        let stop = at + found;
        let blank = stop == line;
        let mut next = stop + 1;
        if buf[stop] == b'\r' {
            match buf.get(next) {
                Some(b'\n') => next += 1,
                // A line that may still get its LF: only a blank one is sure to end the event already.
                None if !blank => return (end, line, stop),
                _ => {}
            }
        }
        if blank {
            end = next;
        }
        line = next;
        at = next;
    }
    (end, line, buf.len().max(at))
}

/// One event of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event<'a> {
    /// All of it, terminators included.
    pub bytes: &'a [u8],
    /// Its `data:` lines joined by a line feed; `None` if it has none (a comment, a bare `event:`).
    pub data: Option<Cow<'a, [u8]>>,
}

/// The events in a slice of whole events.
pub fn events(whole: &[u8]) -> impl Iterator<Item = Event<'_>> {
    let mut rest = whole;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let event = first(rest);
        rest = &rest[event.bytes.len()..];
        Some(event)
    })
}

/// The `data` of an event; see [`Event::data`].
#[must_use]
pub fn data(event: &[u8]) -> Option<Cow<'_, [u8]>> {
    first(event).data
}

/// The event that `buf` begins with, up to its blank line or the end.
fn first(buf: &[u8]) -> Event<'_> {
    let mut data = None;
    let mut line = 0;
    loop {
        let rest = &buf[line..];
        let Some(found) = memchr::memchr2(b'\n', b'\r', rest) else {
            field(rest, line == 0, &mut data);
            return Event { bytes: buf, data };
        };
        let stop = line + found;
        let crlf = buf[stop] == b'\r' && buf.get(stop + 1) == Some(&b'\n');
        let next = stop + 1 + usize::from(crlf);
        if found == 0 {
            let bytes = &buf[..next];
            return Event { bytes, data };
        }
        field(&rest[..found], line == 0, &mut data);
        line = next;
    }
}

/// Adds what a line says to `data`.
fn field<'a>(line: &'a [u8], first: bool, data: &mut Option<Cow<'a, [u8]>>) {
    let line = match line.strip_prefix("\u{feff}".as_bytes()) {
        Some(rest) if first => rest,
        _ => line,
    };
    let value = match line.strip_prefix(b"data") {
        Some([]) => &[],
        Some([b':', value @ ..]) => value.strip_prefix(b" ").unwrap_or(value),
        _ => return,
    };
    match data {
        None => *data = Some(Cow::Borrowed(value)),
        Some(joined) => {
            let joined = joined.to_mut();
            joined.push(b'\n');
            joined.extend_from_slice(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(stream: &[u8], cuts: &[usize]) -> (Vec<Vec<u8>>, Vec<u8>) {
        let mut splitter = Splitter::default();
        let (mut found, mut bytes, mut from) = (Vec::new(), Vec::new(), 0);
        let mut feed = |chunk: &[u8]| {
            let whole = splitter.push(Bytes::copy_from_slice(chunk));
            bytes.extend_from_slice(&whole);
            found.extend(events(&whole).filter_map(|e| e.data.map(Cow::into_owned)));
        };
        for cut in cuts.iter().copied().chain([stream.len()]) {
            feed(&stream[from..cut]);
            from = cut;
        }
        bytes.extend_from_slice(&splitter.finish());
        (found, bytes)
    }

    const STREAMS: [&str; 4] = [
        "data: {\"a\":\"é🦀\"}\n\ndata:b\n\n: ping\n\ndata: [DONE]\n\n",
        "data: one\r\n\r\nevent: x\r\ndata: two\r\ndata:  three\r\n\r\ndata\r\n\r\n",
        "data: one\r\rdata: two\rdata: three\r\rid: 7\r\r",
        "\u{feff}data: first\n\n\n\ndatax: no\n\ndata: last\n",
    ];

    #[test]
    fn every_cut_gives_the_same_events_and_bytes() {
        for stream in STREAMS {
            let stream = stream.as_bytes();
            let (expected, _) = split(stream, &[]);
            for first in 0..=stream.len() {
                for second in first..=stream.len() {
                    let (found, bytes) = split(stream, &[first, second]);
                    assert_eq!(found, expected, "cut at {first} and {second}");
                    assert_eq!(bytes, stream);
                }
            }
        }
    }

    #[test]
    fn reads_data_as_the_standard_says() {
        let (found, _) = split(STREAMS[1].as_bytes(), &[]);
        assert_eq!(
            found,
            [b"one".to_vec(), b"two\n three".to_vec(), b"".to_vec()]
        );
        let (found, _) = split(STREAMS[2].as_bytes(), &[]);
        assert_eq!(found, [b"one".to_vec(), b"two\nthree".to_vec()]);
        let (found, _) = split(STREAMS[3].as_bytes(), &[]);
        assert_eq!(found, [b"first".to_vec()], "an unfinished event is none");
    }

    #[test]
    fn a_whole_chunk_is_not_copied() {
        let chunk = Bytes::from_static(b"data: x\n\n");
        let out = Splitter::default().push(chunk.clone());
        assert_eq!(out.as_ptr(), chunk.as_ptr());
    }

    #[test]
    fn an_endless_event_is_let_through() {
        let mut splitter = Splitter::default();
        let chunk = Bytes::from(vec![b'x'; MAX_EVENT / 2 + 1]);
        assert!(splitter.push(chunk.clone()).is_empty());
        assert_eq!(splitter.push(chunk.clone()).len(), 2 * chunk.len());
        assert!(splitter.gave_up());
        assert_eq!(splitter.push(chunk.clone()).len(), chunk.len());
    }

    proptest! {
        #[test]
        fn any_bytes_any_cuts(stream in prop::collection::vec(prop::sample::select(b"\n\r:da t\xc3\xa9".to_vec()), 0..60),
                              cut in any::<prop::sample::Index>()) {
            let at = cut.index(stream.len() + 1);
            let (_, bytes) = split(&stream, &[at]);
            prop_assert_eq!(bytes, stream);
        }
    }
}
