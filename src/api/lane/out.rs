//! An answer as bytes: its head, and a body of known length or in chunks.

use std::collections::VecDeque;
use std::io::{self, IoSlice, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, UNIX_EPOCH};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::AsyncWrite;
use tokio::net::TcpStream;

use super::super::answer::Answer;
use crate::h1::chunk_line;

/// Pieces up to this size are copied together; larger ones are written from where they are.
const COPIED: usize = 4 * 1024;
/// With so much to write, no more is asked for.
const FULL: usize = 64 * 1024;
/// Pieces in one system call.
const SLICES: usize = 16;

/// What has yet to be written.
#[derive(Debug)]
pub(super) struct Out {
    chunked: bool,
    /// Large pieces, and what stood before each of them.
    queue: VecDeque<Bytes>,
    queued: usize,
    tail: BytesMut,
}

impl Out {
    pub(super) fn new(chunked: bool) -> Self {
        Self {
            chunked,
            queue: VecDeque::new(),
            queued: 0,
            tail: BytesMut::with_capacity(2 * 1024),
        }
    }

    /// Where the head goes.
    pub(super) const fn head(&mut self) -> &mut BytesMut {
        &mut self.tail
    }

    /// A piece of the body.
    pub(super) fn data(&mut self, data: Bytes) {
        if data.is_empty() {
            return; // an empty chunk would be the last one
        }
        if self.chunked {
            chunk_line(data.len(), &mut self.tail);
        }
        if data.len() <= COPIED {
            self.tail.extend_from_slice(&data);
        } else {
            let before = self.tail.split().freeze();
            self.queued += before.len() + data.len();
            self.queue.extend([before, data]);
        }
        if self.chunked {
            self.tail.extend_from_slice(b"\r\n");
        }
    }

    /// The body is complete.
    pub(super) fn end(&mut self) {
        if self.chunked {
            self.tail.extend_from_slice(b"0\r\n\r\n");
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queued + self.tail.len() == 0
    }

    pub(super) fn is_full(&self) -> bool {
        self.queued + self.tail.len() >= FULL
    }

    /// Writes until nothing is left or the client takes no more.
    pub(super) fn poll_write(
        &mut self,
        mut stream: Pin<&mut TcpStream>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.is_empty() {
            let written = if self.queue.is_empty() {
                ready!(stream.as_mut().poll_write(cx, &self.tail))?
            } else {
                let mut slices = [IoSlice::new(&[]); SLICES];
                let pieces = self.queue.iter().map(|b| &**b).chain([&*self.tail]);
                let mut used = 0;
                for (slice, piece) in slices.iter_mut().zip(pieces) {
                    *slice = IoSlice::new(piece);
                    used += 1;
                }
                ready!(stream.as_mut().poll_write_vectored(cx, &slices[..used]))?
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(written);
        }
        // A stream that waits for its next chunk holds no buffer.
        self.tail = BytesMut::new();
        Poll::Ready(Ok(()))
    }

    fn advance(&mut self, mut written: usize) {
        while let Some(first) = self.queue.front_mut() {
            let part = written.min(first.len());
            first.advance(part);
            self.queued -= part;
            written -= part;
            if !first.is_empty() {
                return;
            }
            self.queue.pop_front();
        }
        self.tail.advance(written);
    }
}

/// Writes an answer's head. `length` is the body's, if it is known; else it comes in chunks.
pub(super) fn write_head(
    out: &mut BytesMut,
    answer: &Answer,
    length: Option<u64>,
    date: &[u8],
    stays: bool,
) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(answer.status.as_str().as_bytes());
    out.extend_from_slice(b" ");
    out.extend_from_slice(answer.status.canonical_reason().unwrap_or("").as_bytes());
    answer.each_header(|name, value| line(out, name, value));
    line(out, b"date", date);
    if !stays {
        line(out, b"connection", b"close");
    }
    match length {
        Some(length) => line(
            out,
            b"content-length",
            itoa::Buffer::new().format(length).as_bytes(),
        ),
        None => line(out, b"transfer-encoding", b"chunked"),
    }
    out.extend_from_slice(b"\r\n\r\n");
}

/// The end of the line before, and a header.
fn line(out: &mut BytesMut, name: &[u8], value: &[u8]) {
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
}

/// The text of the last second that was asked for.
#[derive(Debug, Default)]
pub(super) struct Date(u64, Vec<u8>);

impl Date {
    /// `unix` as HTTP writes it.
    pub(super) fn at(&mut self, unix: Duration) -> &[u8] {
        if self.0 != unix.as_secs() || self.1.is_empty() {
            self.0 = unix.as_secs();
            self.1.clear();
            // Writing to a Vec does not fail.
            let _ = write!(self.1, "{}", httpdate::HttpDate::from(UNIX_EPOCH + unix));
        }
        &self.1
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::response::Response;
    use http::header::CONTENT_TYPE;
    use http::{HeaderValue, StatusCode};

    use super::*;

    #[test]
    fn heads() {
        let mut date = Date::default();
        let at = Duration::from_secs(784_111_777);
        let mut head = |status: u16, length, stays| {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::from_u16(status).expect("a status");
            let value = HeaderValue::from_static("text/plain");
            response.headers_mut().insert(CONTENT_TYPE, value);
            let answer = Answer::error(response, "an-id".into(), None);
            let mut out = BytesMut::new();
            write_head(&mut out, &answer, length, date.at(at), stays);
            String::from_utf8(out.into()).expect("text")
        };
        assert_eq!(
            head(200, Some(12), true),
            "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nx-request-id: an-id\r\n\
             date: Sun, 06 Nov 1994 08:49:37 GMT\r\ncontent-length: 12\r\n\r\n"
        );
        assert_eq!(
            head(599, None, false),
            "HTTP/1.1 599 \r\ncontent-type: text/plain\r\nx-request-id: an-id\r\n\
             date: Sun, 06 Nov 1994 08:49:37 GMT\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
        );
    }

    #[test]
    fn pieces_of_any_size_come_out_in_order_however_they_are_taken() {
        const SIZES: [usize; 5] = [1, COPIED, COPIED + 1, 0, 3 * COPIED];
        for (chunked, step) in [
            (false, 1),
            (false, 5000),
            (true, 1),
            (true, 7),
            (true, 100_000),
        ] {
            let mut out = Out::new(chunked);
            out.head().extend_from_slice(b"head");
            let mut expected = b"head".to_vec();
            for (byte, size) in (b'a'..).zip(SIZES) {
                let data = vec![byte; size];
                if chunked && size > 0 {
                    expected.extend(format!("{size:x}\r\n").bytes());
                }
                expected.extend(&data);
                if chunked && size > 0 {
                    expected.extend(b"\r\n");
                }
                out.data(data.into());
            }
            out.end();
            if chunked {
                expected.extend(b"0\r\n\r\n");
            }
            let mut taken = Vec::new();
            while !out.is_empty() {
                let rest = out.queue.iter().flatten().chain(&out.tail);
                let now: Vec<u8> = rest.copied().take(step).collect();
                out.advance(now.len());
                taken.extend(now);
            }
            assert!(taken == expected, "{chunked} {step}");
        }
    }
}
