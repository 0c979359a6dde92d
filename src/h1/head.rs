//! An answer's head (RFC 9112 §4 and §6.3).

use std::mem::MaybeUninit;

use bytes::{Buf, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use httparse::{ParserConfig, Response, Status};

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
    /// All header lines. The values are slices of the buffer they came in.
    pub headers: HeaderMap,
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
    /// A number that is no status, or a header that is none.
    #[error("its {0} is not valid")]
    Invalid(&'static str),
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
            let mut lines = [Line::default(); LINES];
            // A head that trickles in is not parsed again for each byte.
            let parsed = if self.scanned == 0 || may_end(within, self.scanned) {
                parse(within, &mut lines)?
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
                return parsed.take(buf, &lines[..parsed.count]).map(Some);
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
    /// Of the lines.
    count: usize,
}

/// Where a header's name and value begin and end.
#[derive(Clone, Copy, Default)]
struct Line {
    name: (u16, u16),
    value: (u16, u16),
}

/// The head at the beginning of `buf`, which has at most [`LARGEST`] bytes.
fn parse(buf: &[u8], lines: &mut [Line; LINES]) -> Result<Option<Parsed>, HeadError> {
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
        (place(start), place(start.wrapping_add(part.len())))
    };
    for (line, header) in lines.iter_mut().zip(&*response.headers) {
        line.name = place(header.name.as_bytes());
        line.value = place(header.value);
    }
    Ok(Some(Parsed {
        length,
        current: response.version == Some(1),
        status: StatusCode::from_u16(response.code.unwrap_or_default())
            .map_err(|_| HeadError::Invalid("status"))?,
        count: response.headers.len(),
    }))
}

impl Parsed {
    fn take(&self, buf: &mut BytesMut, lines: &[Line]) -> Result<Head, HeadError> {
        let bytes = buf.split_to(self.length).freeze();
        let mut headers = HeaderMap::with_capacity(lines.len());
        for line in lines {
            let name = usize::from(line.name.0)..usize::from(line.name.1);
            let value = usize::from(line.value.0)..usize::from(line.value.1);
            headers.append(
                HeaderName::from_bytes(&bytes[name])
                    .map_err(|_| HeadError::Invalid("header name"))?,
                HeaderValue::from_maybe_shared(bytes.slice(value))
                    .map_err(|_| HeadError::Invalid("header value"))?,
            );
        }
        let framing = framing(self.status, &headers)?;
        // With both, somebody on the way may have gone by the other one.
        let both = headers.contains_key(TRANSFER_ENCODING) && headers.contains_key(CONTENT_LENGTH);
        let closes =
            tokens(&headers, &CONNECTION).any(|token| token.eq_ignore_ascii_case(b"close"));
        Ok(Head {
            status: self.status,
            reusable: self.current && !both && !closes && framing != Framing::UntilClose,
            headers,
            framing,
        })
    }
}

/// Where the body ends, by RFC 9112 §6.3.
fn framing(status: StatusCode, headers: &HeaderMap) -> Result<Framing, HeadError> {
    if matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        return Ok(Framing::None);
    }
    if let Some(last) = tokens(headers, &TRANSFER_ENCODING).last() {
        return Ok(if last.eq_ignore_ascii_case(b"chunked") {
            Framing::Chunked
        } else {
            Framing::UntilClose
        });
    }
    let mut length = None;
    for token in tokens(headers, &CONTENT_LENGTH) {
        let this = number(token).ok_or(HeadError::Length)?;
        if length.is_some_and(|other| other != this) {
            return Err(HeadError::Length);
        }
        length = Some(this);
    }
    Ok(length.map_or(Framing::UntilClose, Framing::Length))
}

/// The elements of a header that is a list, over all of its lines.
fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    let lines = headers.get_all(name).into_iter();
    lines
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
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
