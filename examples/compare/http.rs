//! Where an HTTP/1.1 message ends, and nothing else: enough for a load generator and a canned upstream, which must cost
//! less than what they measure. Both the client's and the server's side use it, blocking and not.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{Error, ErrorKind, Result};
use std::pin::Pin;
use std::task::ready;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;

/// How far a message has been read. Feed it the bytes as they come; it is reused for the next message.
#[derive(Debug, Default)]
pub(crate) struct Message {
    state: State,
    /// The beginning of a line that was cut by the end of a read.
    line: Vec<u8>,
    start_seen: bool,
    status: u16,
    length: usize,
    chunked: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Head,
    /// So many bytes of a body of known length are missing.
    Length(usize),
    /// A chunk's size comes next.
    Size,
    Chunk(usize),
    /// The line end after a chunk.
    ChunkEnd,
    Trailer,
    Done,
}

impl Message {
    /// Forgets the message; the memory stays.
    pub(crate) fn reset(&mut self) {
        let mut line = std::mem::take(&mut self.line);
        line.clear();
        *self = Self {
            line,
            ..Self::default()
        };
    }

    /// Whether the message is complete.
    pub(crate) fn done(&self) -> bool {
        self.state == State::Done
    }

    /// A reply's status, once its first line has been read; 0 for a request.
    pub(crate) fn status(&self) -> u16 {
        self.status
    }

    /// Reads on, and hands over the parts of the body as they lie in `bytes`.
    ///
    /// # Errors
    /// If the framing is broken, or something follows the message: nobody here pipelines.
    pub(crate) fn feed(&mut self, mut bytes: &[u8], mut body: impl FnMut(&[u8])) -> Result<()> {
        while !bytes.is_empty() {
            bytes = match self.state {
                State::Length(left) | State::Chunk(left) => {
                    let (now, rest) = bytes.split_at(left.min(bytes.len()));
                    body(now);
                    self.state = match (self.state, left - now.len()) {
                        (State::Length(_), 0) => State::Done,
                        (State::Length(_), left) => State::Length(left),
                        (_, 0) => State::ChunkEnd,
                        (_, left) => State::Chunk(left),
                    };
                    rest
                }
                State::Done => return Err(broken("bytes after the end of the message")),
                State::Head | State::Size | State::ChunkEnd | State::Trailer => {
                    let Some(at) = memchr::memchr(b'\n', bytes) else {
                        self.line.extend_from_slice(bytes);
                        return Ok(());
                    };
                    let (line, rest) = bytes.split_at(at + 1);
                    if self.line.is_empty() {
                        self.take(line)?;
                    } else {
                        let mut whole = std::mem::take(&mut self.line);
                        whole.extend_from_slice(line);
                        self.take(&whole)?;
                        whole.clear();
                        self.line = whole;
                    }
                    rest
                }
            };
        }
        Ok(())
    }

    fn take(&mut self, line: &[u8]) -> Result<()> {
        let line = line.trim_ascii();
        self.state = match self.state {
            State::Head if line.is_empty() => match (self.chunked, self.length) {
                (true, _) => State::Size,
                (false, 0) => State::Done,
                (false, length) => State::Length(length),
            },
            State::Head if self.start_seen => {
                self.header(line)?;
                State::Head
            }
            State::Head => {
                self.start_seen = true;
                if line.starts_with(b"HTTP/1.") {
                    self.status = number(line.get(9..12).unwrap_or_default(), 10)? as u16;
                }
                State::Head
            }
            State::Size => {
                let size = line.split(|&b| b == b';').next().unwrap_or_default();
                match number(size.trim_ascii(), 16)? {
                    0 => State::Trailer,
                    size => State::Chunk(size),
                }
            }
            State::ChunkEnd => State::Size,
            State::Trailer if line.is_empty() => State::Done,
            other => other,
        };
        Ok(())
    }

    fn header(&mut self, line: &[u8]) -> Result<()> {
        let colon = memchr::memchr(b':', line).ok_or_else(|| broken("a header without a colon"))?;
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") {
            self.length = number(value, 10)?;
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.chunked = value.eq_ignore_ascii_case(b"chunked");
        }
        Ok(())
    }
}

/// An error that says what is wrong with what the other side sent.
pub(crate) fn broken(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, what)
}

fn number(text: &[u8], radix: u32) -> Result<usize> {
    std::str::from_utf8(text)
        .ok()
        .and_then(|text| usize::from_str_radix(text, radix).ok())
        .ok_or_else(|| broken("not a number"))
}

/// One read into a buffer that all connections of the thread share, so that 10,000 of them need no 10,000 buffers.
/// Returns what `see` makes of the bytes; there are none at the end of the connection.
pub(crate) async fn read<T>(stream: &mut TcpStream, see: impl FnOnce(&[u8]) -> T) -> Result<T> {
    thread_local!(static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; 64 * 1024]));
    let mut see = Some(see);
    poll_fn(|cx| {
        BUFFER.with_borrow_mut(|buffer| {
            let mut buffer = ReadBuf::new(buffer);
            ready!(Pin::new(&mut *stream).poll_read(cx, &mut buffer))?;
            let see = see.take().expect("polled after it was ready");
            std::task::Poll::Ready(Ok(see(buffer.filled())))
        })
    })
    .await
}
