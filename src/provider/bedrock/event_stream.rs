//! The binary event stream of AWS (`application/vnd.amazon.eventstream`), decoded as it comes in, however it is cut.
//!
//! A frame is its length, the length of its headers, and a CRC of the two; the headers; the payload; and a CRC of all
//! before. Numbers are big-endian. <https://docs.aws.amazon.com/AmazonS3/latest/API/RESTSelectObjectAppendix.html>

use bytes::{Buf, Bytes, BytesMut};

use crate::provider::AdaptError;
use crate::provider::chat::malformed;

/// The media type.
pub(in crate::provider) const MEDIA_TYPE: &str = "application/vnd.amazon.eventstream";
/// The largest frame that is waited for, in bytes. Payloads of AWS have up to 16 MiB.
const MOST: usize = 17 * 1024 * 1024;
/// The two lengths.
const LENGTHS: usize = 8;
/// A checksum.
const CRC: usize = 4;
/// What a frame has around headers and payload.
const AROUND: usize = LENGTHS + CRC + CRC;

/// What a frame says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::provider) enum Frame {
    Event {
        kind: String,
        payload: Bytes,
    },
    /// An error that the service's model has.
    Exception {
        kind: String,
        payload: Bytes,
    },
    /// One that it has not.
    Error {
        code: String,
        message: String,
    },
}

/// Puts frames together.
#[derive(Debug, Default)]
pub(in crate::provider) struct Frames {
    held: BytesMut,
}

impl Frames {
    /// Takes the next bytes.
    pub(in crate::provider) fn push(&mut self, chunk: &[u8]) {
        self.held.extend_from_slice(chunk);
    }

    /// Whether nothing of a further frame is there.
    pub(in crate::provider) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// The next frame that is whole.
    ///
    /// # Errors
    /// If the bytes are no frame. What follows can't be read then.
    pub(in crate::provider) fn next(&mut self) -> Result<Option<Frame>, AdaptError> {
        if self.held.len() < LENGTHS + CRC {
            return Ok(None);
        }
        let mut prelude = &self.held[..LENGTHS + CRC];
        let sum = crc32fast::hash(&prelude[..LENGTHS]);
        let (length, headers) = (prelude.get_u32() as usize, prelude.get_u32() as usize);
        if prelude.get_u32() != sum {
            return Err(malformed("a frame's lengths do not fit their checksum"));
        }
        if length > MOST || headers > length.saturating_sub(AROUND) || length < AROUND {
            return Err(malformed(format!(
                "a frame of {length} bytes with {headers} bytes of headers"
            )));
        }
        if self.held.len() < length {
            return Ok(None);
        }
        let mut frame = self.held.split_to(length).freeze();
        let mut end = frame.split_off(length - CRC);
        if end.get_u32() != crc32fast::hash(&frame) {
            return Err(malformed("a frame does not fit its checksum"));
        }
        frame.advance(LENGTHS + CRC);
        let headers = frame.split_to(headers);
        read(headers, frame).map(Some)
    }
}

/// The headers that say what a frame is.
#[derive(Default)]
struct Headers {
    message_type: String,
    event_type: String,
    exception_type: String,
    error_code: String,
    error_message: String,
}

fn read(mut bytes: Bytes, payload: Bytes) -> Result<Frame, AdaptError> {
    let mut headers = Headers::default();
    while !bytes.is_empty() {
        let wrong = || malformed("a frame's headers are no headers");
        let (name, value) = header(&mut bytes).ok_or_else(wrong)?;
        let field = match &name[..] {
            b":message-type" => &mut headers.message_type,
            b":event-type" => &mut headers.event_type,
            b":exception-type" => &mut headers.exception_type,
            b":error-code" => &mut headers.error_code,
            b":error-message" => &mut headers.error_message,
            _ => continue,
        };
        *field = value.ok_or_else(wrong)?;
    }
    match headers.message_type.as_str() {
        "event" => Ok(Frame::Event {
            kind: headers.event_type,
            payload,
        }),
        "exception" => Ok(Frame::Exception {
            kind: headers.exception_type,
            payload,
        }),
        "error" => Ok(Frame::Error {
            code: headers.error_code,
            message: headers.error_message,
        }),
        other => Err(malformed(format!("a frame of type `{other}`"))),
    }
}

/// A header's name, and its value if that is a text.
fn header(bytes: &mut Bytes) -> Option<(Bytes, Option<String>)> {
    let length = bytes.try_get_u8().ok()?;
    let name = take(bytes, usize::from(length))?;
    let kind = bytes.try_get_u8().ok()?;
    let length = match kind {
        0 | 1 => 0, // true, false
        2 => 1,
        3 => 2,
        4 => 4,
        5 | 8 => 8, // a number, a time
        6 | 7 => usize::from(bytes.try_get_u16().ok()?),
        9 => 16, // a UUID
        _ => return None,
    };
    let value = take(bytes, length)?;
    let text = if kind == 7 {
        Some(String::from_utf8(value.to_vec()).ok()?)
    } else {
        None
    };
    Some((name, text))
}

fn take(bytes: &mut Bytes, length: usize) -> Option<Bytes> {
    (bytes.len() >= length).then(|| bytes.split_to(length))
}

/// A frame of these headers, all of them texts.
#[cfg(test)]
pub(in crate::provider) fn frame(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
    let mut fields = Vec::new();
    for (name, value) in headers {
        fields.push(u8::try_from(name.len()).expect("a short name"));
        fields.extend_from_slice(name.as_bytes());
        fields.push(7);
        fields.extend_from_slice(&u16::try_from(value.len()).expect("short").to_be_bytes());
        fields.extend_from_slice(value.as_bytes());
    }
    raw(&fields, payload)
}

#[cfg(test)]
fn raw(fields: &[u8], payload: &[u8]) -> Vec<u8> {
    let number = |n: usize| u32::try_from(n).expect("small").to_be_bytes();
    let mut out = number(AROUND + fields.len() + payload.len()).to_vec();
    out.extend_from_slice(&number(fields.len()));
    out.extend_from_slice(&crc32fast::hash(&out).to_be_bytes());
    out.extend_from_slice(fields);
    out.extend_from_slice(payload);
    out.extend_from_slice(&crc32fast::hash(&out).to_be_bytes());
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EVENT: &[(&str, &str)] = &[
        (":event-type", "metadata"),
        (":content-type", "application/json"),
        (":message-type", "event"),
    ];

    fn all(bytes: &[u8], cut: usize) -> Result<Vec<Frame>, AdaptError> {
        let mut frames = Frames::default();
        let mut got = Vec::new();
        for piece in bytes.chunks(cut.max(1)) {
            frames.push(piece);
            while let Some(frame) = frames.next()? {
                got.push(frame);
            }
        }
        Ok(got)
    }

    #[test]
    fn frames_are_the_same_however_they_are_cut() {
        let mut bytes = frame(EVENT, b"{}");
        bytes.extend(frame(
            &[
                (":message-type", "exception"),
                (":exception-type", "throttlingException"),
            ],
            b"{\"message\":\"slow\"}",
        ));
        bytes.extend(frame(
            &[
                (":message-type", "error"),
                (":error-code", "c"),
                (":error-message", "m"),
            ],
            b"",
        ));
        let payload = Bytes::from_static;
        let expected = [
            Frame::Event {
                kind: "metadata".to_owned(),
                payload: payload(b"{}"),
            },
            Frame::Exception {
                kind: "throttlingException".to_owned(),
                payload: payload(b"{\"message\":\"slow\"}"),
            },
            Frame::Error {
                code: "c".to_owned(),
                message: "m".to_owned(),
            },
        ];
        for cut in 1..=bytes.len() {
            assert_eq!(all(&bytes, cut).expect("frames"), expected, "{cut}");
        }
    }

    /// Of AWS's own vectors: an empty frame, and one with a header of every type (`all_headers`).
    #[test]
    fn every_type_of_header_is_stepped_over() {
        let mut fields = Vec::new();
        let sizes: [(u8, &[u8]); 10] = [
            (0, b""),
            (1, b""),
            (2, b"1"),
            (3, b"12"),
            (4, b"1234"),
            (5, b"12345678"),
            (6, b"\0\x03abc"),
            (7, b"\0\x03abc"),
            (8, b"12345678"),
            (9, b"1234567890123456"),
        ];
        for (kind, value) in sizes {
            fields.extend_from_slice(b"\x01x");
            fields.push(kind);
            fields.extend_from_slice(value);
        }
        fields.extend_from_slice(b"\x0d:message-type\x07\0\x05event");
        let got = all(&raw(&fields, b"p"), 7).expect("a frame");
        assert_eq!(got.len(), 1);
    }

    #[test]
    fn what_is_no_frame_is_an_error() {
        let good = frame(EVENT, b"{}");
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            let got = all(&bad, 5);
            assert!(
                matches!(got, Err(AdaptError::Malformed(_))),
                "{at}: {got:?}"
            );
        }
        let prelude = |length: u32, headers: u32| {
            let mut out = length.to_be_bytes().to_vec();
            out.extend_from_slice(&headers.to_be_bytes());
            out.extend_from_slice(&crc32fast::hash(&out).to_be_bytes());
            out
        };
        let bad = [
            prelude(15, 0),
            prelude(0, 0),
            prelude(16, 1),
            prelude(u32::MAX, 0),
            prelude(u32::MAX, u32::MAX),
            prelude(18 << 20, 3),
            raw(b"\x01x\x0a", b""),
            raw(b"\x01x\x07\xff\xff", b""),
            raw(b"\xffx", b""),
            raw(b"\x0d:message-type\x07\0\x01\xff", b""),
            raw(b"\x0d:message-type\x00", b""),
            frame(&[(":message-type", "other")], b""),
            frame(&[], b""),
        ];
        for bytes in bad {
            let got = all(&bytes, 3);
            assert!(matches!(got, Err(AdaptError::Malformed(_))), "{bytes:?}");
        }
        assert_eq!(all(&good[..good.len() - 1], 4).expect("half"), []);
    }

    proptest! {
        #[test]
        fn bytes_of_any_kind_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), cut in 1_usize..40) {
            let _ = all(&bytes, cut);
            let _ = all(&raw(&bytes, b"{}"), cut);
        }
    }
}
