//! The chunked transfer coding (RFC 9112 §7.1).

use bytes::{Buf, BufMut, BytesMut};

use super::Step;

/// How many bytes of extensions and trailers a body may have in all. They are read over, and nobody needs them.
const ASIDES: usize = 16 * 1024;
/// The most digits of a chunk's size: as many as a `u64` has.
const DIGITS: u8 = 16;

/// What is wrong with a chunked body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// No hexadecimal number, or too large a one.
    #[error("a chunk's size is no hexadecimal number of at most {DIGITS} digits")]
    Size,
    /// A line that does not end in CRLF.
    #[error("a chunk does not end in CRLF")]
    LineEnd,
    /// Too much beside the data.
    #[error("its extensions and trailers are longer than {ASIDES} bytes")]
    Asides,
}

/// Takes chunks out of a buffer.
#[derive(Debug, Clone)]
pub struct Chunked {
    state: State,
    /// The size read so far, then what is left of the chunk's data.
    left: u64,
    digits: u8,
    asides: usize,
}

/// What the next byte belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Size,
    /// Between size and extension.
    Space,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// The first byte of a trailer, or of the empty line at the end.
    TrailerStart,
    Trailer,
    TrailerLf,
    EndLf,
    End,
}

impl Default for Chunked {
    fn default() -> Self {
        Self {
            state: State::Size,
            left: 0,
            digits: 0,
            asides: 0,
        }
    }
}

impl Chunked {
    /// The next data in `buf`, or that there is none yet. What comes after the last chunk stays in `buf`.
    ///
    /// # Errors
    /// If it is not chunked. What follows then means nothing.
    pub fn decode(&mut self, buf: &mut BytesMut) -> Result<Step, ChunkError> {
        loop {
            match self.state {
                State::End => return Ok(Step::End),
                _ if buf.is_empty() => return Ok(Step::More),
                State::Data => {
                    let here = usize::try_from(self.left).map_or(buf.len(), |n| n.min(buf.len()));
                    self.left -= here as u64;
                    if self.left == 0 {
                        self.state = State::DataCr;
                    }
                    return Ok(Step::Data(buf.split_to(here).freeze()));
                }
                _ => {
                    let mut used = 0;
                    for byte in buf.iter() {
                        used += 1;
                        self.state = self.after(*byte)?;
                        if matches!(self.state, State::Data | State::End) {
                            break;
                        }
                    }
                    buf.advance(used);
                }
            }
        }
    }

    /// Whether the last chunk and all after it have been read.
    #[must_use]
    pub fn is_end(&self) -> bool {
        self.state == State::End
    }

    /// The state after a byte that is no data.
    fn after(&mut self, byte: u8) -> Result<State, ChunkError> {
        let expect = |wanted: u8, next| {
            if byte == wanted {
                Ok(next)
            } else {
                Err(ChunkError::LineEnd)
            }
        };
        match (self.state, byte) {
            (State::Size, b'\r' | b' ' | b'\t' | b';') if self.digits == 0 => Err(ChunkError::Size),
            (State::Size | State::Space, b'\r') => Ok(State::SizeLf),
            (State::Size | State::Space, b';') => Ok(State::Extension),
            (State::Size | State::Space, b' ' | b'\t') => self.aside(State::Space),
            (State::Size, _) => {
                let digit = char::from(byte).to_digit(16).ok_or(ChunkError::Size)?;
                self.digits += 1;
                if self.digits > DIGITS {
                    return Err(ChunkError::Size);
                }
                self.left = self.left << 4 | u64::from(digit);
                Ok(State::Size)
            }
            (State::Space, _) => Err(ChunkError::Size),
            (State::Extension, b'\r') => Ok(State::SizeLf),
            (State::TrailerStart, b'\r') => Ok(State::EndLf),
            (State::Trailer, b'\r') => Ok(State::TrailerLf),
            // A reader that takes a bare line feed for a line's end would see another body.
            (State::Extension | State::TrailerStart | State::Trailer, b'\n') => {
                Err(ChunkError::LineEnd)
            }
            (State::Extension, _) => self.aside(State::Extension),
            (State::TrailerStart | State::Trailer, _) => self.aside(State::Trailer),
            (State::SizeLf, _) => {
                self.digits = 0;
                let last = self.left == 0;
                expect(
                    b'\n',
                    if last {
                        State::TrailerStart
                    } else {
                        State::Data
                    },
                )
            }
            (State::DataCr, _) => expect(b'\r', State::DataLf),
            (State::DataLf, _) => expect(b'\n', State::Size),
            (State::TrailerLf, _) => expect(b'\n', State::TrailerStart),
            (State::EndLf, _) => expect(b'\n', State::End),
            (State::Data | State::End, _) => Ok(self.state),
        }
    }

    fn aside(&mut self, next: State) -> Result<State, ChunkError> {
        self.asides += 1;
        if self.asides > ASIDES {
            Err(ChunkError::Asides)
        } else {
            Ok(next)
        }
    }
}

/// Writes the line before a chunk of `size` bytes. After the chunk comes CRLF; a size of zero and an empty line end a body.
pub fn chunk_line(size: usize, out: &mut impl BufMut) {
    let digits = (usize::BITS - size.leading_zeros()).div_ceil(4).max(1);
    for place in (0..digits).rev() {
        let digit = size >> (place * 4) & 0xf;
        out.put_u8(b"0123456789abcdef"[digit]);
    }
    out.put_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The data and what was left over, or what is wrong.
    fn decoded(text: &[u8], at: usize) -> Result<(Vec<u8>, bool, Vec<u8>), ChunkError> {
        let (mut chunked, mut buf, mut out) = (Chunked::default(), BytesMut::new(), Vec::new());
        for part in [&text[..at], &text[at..]] {
            buf.extend_from_slice(part);
            while let Step::Data(data) = chunked.decode(&mut buf)? {
                out.extend_from_slice(&data);
            }
        }
        Ok((out, chunked.is_end(), buf.to_vec()))
    }

    #[test]
    fn what_is_read_and_what_is_refused() {
        let long = format!("1;{}\r\nx\r\n0\r\n\r\n", "e".repeat(ASIDES + 1));
        let trailers = format!("0\r\n{}\r\n", "a: b\r\n".repeat(ASIDES / 3));
        let ok = |data: &str, end, rest: &str| Ok((data.into(), end, rest.into()));
        let cases = [
            ("2\r\nok\r\n0\r\n\r\n", ok("ok", true, "")),
            ("2\r\nok\r\n1\r\n!\r\n0\r\n\r\n", ok("ok!", true, "")),
            ("0\r\n\r\nHTTP/1.1", ok("", true, "HTTP/1.1")),
            (
                "A \t; a=\"b\"\r\n0123456789\r\n000\r\nt: v\r\n\r\n",
                ok("0123456789", true, ""),
            ),
            ("5\r\nhal", ok("hal", false, "")),
            ("2\r\nok\r\n0\r\n", ok("ok", false, "")),
            ("ffffffffffffffff\r\nx", ok("x", false, "")),
            ("10000000000000000\r\nx", Err(ChunkError::Size)),
            ("\r\n", Err(ChunkError::Size)),
            (";x\r\n", Err(ChunkError::Size)),
            (" 1\r\n", Err(ChunkError::Size)),
            ("1 1\r\n", Err(ChunkError::Size)),
            ("-1\r\n", Err(ChunkError::Size)),
            ("0x1\r\n", Err(ChunkError::Size)),
            ("1\n", Err(ChunkError::Size)),
            ("1\rx", Err(ChunkError::LineEnd)),
            ("1;a\nx", Err(ChunkError::LineEnd)),
            ("1\r\nxy", Err(ChunkError::LineEnd)),
            ("1\r\nx\n", Err(ChunkError::LineEnd)),
            ("0\r\n\n", Err(ChunkError::LineEnd)),
            ("0\r\nt: v\n\r\n", Err(ChunkError::LineEnd)),
            (&long, Err(ChunkError::Asides)),
            (&trailers, Err(ChunkError::Asides)),
        ];
        for (text, expected) in cases {
            for at in 0..=text.len().min(64) {
                assert_eq!(decoded(text.as_bytes(), at), expected, "{text:.60} at {at}");
            }
        }
    }

    #[test]
    fn lines_before_chunks() {
        for size in [0, 1, 9, 10, 15, 16, 255, 256, 0x0abc_def0, usize::MAX] {
            let mut line = Vec::new();
            chunk_line(size, &mut line);
            assert_eq!(line, format!("{size:x}\r\n").into_bytes());
        }
    }
}
