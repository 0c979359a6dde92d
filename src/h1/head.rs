//! An answer's head (RFC 9112 §4 and §6.3).

use std::mem::MaybeUninit;

use bytes::{Buf, BytesMut};
use http::StatusCode;
use httparse::{ParserConfig, Response, Status};

use super::Fields;
use super::fields::{Line, Text};

/// The largest head, in bytes: 64 KiB less one, so that two bytes hold a place in it.
const LARGEST: usize = u16::MAX as usize;
/// The most header lines.
const LINES: usize = 128;
/// The most interim answers (100, 103) before the one that counts.
const INTERIM: u8 = 16;

/// Where an answer's body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    None,
    /// After so many bytes.
    Length(u64),
    /// After the last chunk.
    Chunked,
    /// Where the connection does.
    UntilClose,
}

/// The head of an answer to a `POST`.
#[derive(Debug)]
pub struct Head {
    /// The status; never an interim one.
    pub status: StatusCode,
    /// All header lines.
    pub fields: Fields,
    /// Where the body ends.
    pub framing: Framing,
    /// Whether the connection is good for another request once the body is over.
    pub reusable: bool,
}

/// What is wrong with a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// Not HTTP/1.
    #[error("{0}")]
    Syntax(httparse::Error),
    /// A number that is no status.
    #[error("its status is not valid")]
    Status,
    /// More than is read.
    #[error("it is longer than {LARGEST} bytes")]
    TooLarge,
    /// Not a number, or several.
    #[error("its content-length is not one number")]
    Length,
    /// Switching protocols, which nobody asked for.
    #[error("it switches protocols unasked")]
    Switching,
    /// Interim answers without end.
    #[error("more than {INTERIM} interim answers came before it")]
    Interim,
}

/// Reads one answer's head, and the interim ones before it.
#[derive(Debug, Default)]
pub struct HeadReader {
    interim: u8,
    /// The buffer's first so many bytes hold no whole head.
    scanned: usize,
}

impl HeadReader {
    /// The head at the beginning of `buf`, which is taken from there; `None` if it has not come whole.
    ///
    /// # Errors
    /// See [`HeadError`].
    pub fn read(&mut self, buf: &mut BytesMut) -> Result<Option<Head>, HeadError> {
        while !buf.is_empty() {
            let within = &buf[..buf.len().min(LARGEST)];
            // A head that trickles in is not parsed again for each byte.
            let parsed = if self.scanned == 0 || may_end(within, self.scanned) {
                parse(within)?
            } else {
                None
            };
            let Some(parsed) = parsed else {
                self.scanned = buf.len();
                if buf.len() >= LARGEST {
                    return Err(HeadError::TooLarge);
                }
                return Ok(None);
            };
            self.scanned = 0;
            if !parsed.status.is_informational() {
                return parsed.take(buf).map(Some);
            }
            if parsed.status == StatusCode::SWITCHING_PROTOCOLS {
                return Err(HeadError::Switching);
            }
            buf.advance(parsed.length);
            self.interim += 1;
            if self.interim > INTERIM {
                return Err(HeadError::Interim);
            }
        }
        Ok(None)
    }
}

/// Whether an empty line ends after the first `from` bytes.
fn may_end(buf: &[u8], from: usize) -> bool {
    let start = from.saturating_sub(2);
    memchr::memchr_iter(b'\n', &buf[start..])
        .any(|at| matches!(&buf[start + at + 1..], [b'\n', ..] | [b'\r', b'\n', ..]))
}

/// A head as places in a buffer.
struct Parsed {
    length: usize,
    /// HTTP/1.1, not 1.0.
    current: bool,
    status: StatusCode,
    lines: Vec<Line>,
}

/// The head at the beginning of `buf`, which has at most [`LARGEST`] bytes.
fn parse(buf: &[u8]) -> Result<Option<Parsed>, HeadError> {
    let mut headers = [const { MaybeUninit::uninit() }; LINES];
    let mut response = Response::new(&mut []);
    let parsed = ParserConfig::default().parse_response_with_uninit_headers(
        &mut response,
        buf,
        &mut headers,
    );
    let Status::Complete(length) = parsed.map_err(HeadError::Syntax)? else {
        return Ok(None);
    };
    let place = |part: &[u8]| {
        let start = part.as_ptr().addr().wrapping_sub(buf.as_ptr().addr());
        let place = |at| u16::try_from(at).unwrap_or_default();
        Text::At(place(start), place(start.wrapping_add(part.len())))
    };
    let line = |header: &httparse::Header<'_>| Line {
        name: place(header.name.as_bytes()),
        value: place(header.value),
    };
    Ok(Some(Parsed {
        length,
        current: response.version == Some(1),
        status: StatusCode::from_u16(response.code.unwrap_or_default())
            .map_err(|_| HeadError::Status)?,
        lines: response.headers.iter().map(line).collect(),
    }))
}

impl Parsed {
    fn take(self, buf: &mut BytesMut) -> Result<Head, HeadError> {
        let fields = Fields::new(buf.split_to(self.length).freeze(), self.lines);
        let (framing, alone) = framing(self.status, &fields)?;
        let closes =
            tokens(&fields, "connection").any(|token| token.eq_ignore_ascii_case(b"close"));
        Ok(Head {
            status: self.status,
            reusable: self.current && alone && !closes && framing != Framing::UntilClose,
            fields,
            framing,
        })
    }
}

/// Where the body ends, by RFC 9112 §6.3, and whether that is said in one way only: with two, somebody on the way may
/// have gone by the other one.
fn framing(status: StatusCode, fields: &Fields) -> Result<(Framing, bool), HeadError> {
    if matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        return Ok((Framing::None, true));
    }
    if let Some(last) = tokens(fields, "transfer-encoding").last() {
        let framing = if last.eq_ignore_ascii_case(b"chunked") {
            Framing::Chunked
        } else {
            Framing::UntilClose
        };
        return Ok((framing, fields.get("content-length").is_none()));
    }
    let mut length = None;
    for token in tokens(fields, "content-length") {
        let this = number(token).ok_or(HeadError::Length)?;
        if length.is_some_and(|other| other != this) {
            return Err(HeadError::Length);
        }
        length = Some(this);
    }
    Ok((length.map_or(Framing::UntilClose, Framing::Length), true))
}

/// The elements of a header that is a list, over all of its lines.
fn tokens<'a>(fields: &'a Fields, name: &'static str) -> impl Iterator<Item = &'a [u8]> {
    fields
        .all(name)
        .flat_map(|line| line.split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
}

/// Decimal digits and nothing else.
fn number(text: &[u8]) -> Option<u64> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(text)
        .ok()
        .filter(|_| digits)?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests;
