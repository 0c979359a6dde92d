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
            let (end, line, at) = last_boundary(&chunk, 0, 0);
            let whole = chunk.slice(..end);
            self.held.extend_from_slice(&chunk[end..]);
            (self.line, self.at) = (line - end, at - end);
            return self.checked(whole);
        }
        self.held.extend_from_slice(&chunk);
        let (end, line, at) = last_boundary(&self.held, self.line, self.at);
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

/// The events in a slice of whole events, terminators included.
pub fn events(whole: &Bytes) -> impl Iterator<Item = Bytes> + '_ {
    let mut rest = whole.clone();
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = first_boundary(&rest).unwrap_or(rest.len());
        Some(rest.split_to(end))
    })
}

fn first_boundary(buf: &[u8]) -> Option<usize> {
    let (mut line, mut at) = (0, 0);
    loop {
        let stop = at + memchr::memchr2(b'\n', b'\r', buf.get(at..)?)?;
        let next = stop
            + if buf[stop] == b'\r' && buf.get(stop + 1) == Some(&b'\n') {
                2
            } else {
                1
            };
        if stop == line {
            return Some(next);
        }
        (line, at) = (next, next);
    }
}

/// The `data` of an event: its `data:` lines joined by a line feed; `None` if it has none (a comment, a bare `event:`).
#[must_use]
pub fn data(event: &[u8]) -> Option<Cow<'_, [u8]>> {
    let mut data: Option<Cow<'_, [u8]>> = None;
    let event = event.strip_prefix("\u{feff}".as_bytes()).unwrap_or(event);
    for line in event.split(|b| matches!(b, b'\n' | b'\r')) {
        let Some(value) = line.strip_prefix(b"data") else {
            continue;
        };
        let value = match value.first() {
            None => value,
            Some(b':') => value[1..].strip_prefix(b" ").unwrap_or(&value[1..]),
            Some(_) => continue,
        };
        match &mut data {
            None => data = Some(Cow::Borrowed(value)),
            Some(joined) => {
                let joined = joined.to_mut();
                joined.push(b'\n');
                joined.extend_from_slice(value);
            }
        }
    }
    data
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
            found.extend(events(&whole).filter_map(|e| data(&e).map(Cow::into_owned)));
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
