//! An answer as bytes: how it is written where other processes read it.
//!
//! ```text
//! "WPC1"  crc32  flags  stored  kind's length  kind  body's length  body
//!    4      4      1      8          2           …         8          …
//! ```
//!
//! Numbers are little-endian. The checksum is of the entry's key and of all that follows it, so that neither a damaged
//! value nor another key's is taken for an answer. Anything that does not add up is no answer: nothing here fails louder.

use bytes::{Buf, Bytes};

use super::{CacheKey, CachedResponse};

/// What every value of this version begins with.
const MAGIC: [u8; 4] = *b"WPC1";
/// Magic and checksum.
const HEAD: usize = 8;
/// The body is a block of LZ4.
const COMPRESSED: u8 = 1;
/// There is a content type.
const TYPED: u8 = 2;

/// Why a value is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreadable {
    /// It is not what was written under that key, or not by this version.
    Damaged,
    /// Its body is larger than asked for.
    TooLarge,
}

/// `response` as bytes to be kept under `key`; a body of at least `compress_above` bytes is compressed, if that makes it
/// smaller.
#[must_use]
pub fn encode(key: &CacheKey, response: &CachedResponse, compress_above: usize) -> Vec<u8> {
    let body = &response.body;
    let packed = (body.len() >= compress_above)
        .then(|| lz4_flex::block::compress(body))
        .filter(|packed| packed.len() < body.len());
    // No header is as long as that: one that were could not be written down.
    let kind = response
        .content_type
        .as_ref()
        .and_then(|kind| Some((u16::try_from(kind.len()).ok()?, kind)));
    let mut flags = 0;
    if packed.is_some() {
        flags |= COMPRESSED;
    }
    if kind.is_some() {
        flags |= TYPED;
    }
    let (length, kind) = kind.map_or((0, &[][..]), |(length, kind)| (length, kind));
    let stored = packed.as_deref().unwrap_or(body);
    let mut frame = Vec::with_capacity(HEAD + 19 + kind.len() + stored.len());
    frame.extend_from_slice(&MAGIC);
    frame.extend_from_slice(&[0; 4]);
    frame.push(flags);
    frame.extend_from_slice(&response.stored.to_le_bytes());
    frame.extend_from_slice(&length.to_le_bytes());
    frame.extend_from_slice(kind);
    frame.extend_from_slice(&(body.len() as u64).to_le_bytes());
    frame.extend_from_slice(stored);
    let sum = checksum(key, &frame[HEAD..]).to_le_bytes();
    frame[MAGIC.len()..HEAD].copy_from_slice(&sum);
    frame
}

/// The answer that was kept under `key` as `frame`, if its body is of at most `most` bytes.
///
/// # Errors
/// See [`Unreadable`].
pub fn decode(key: &CacheKey, frame: Bytes, most: usize) -> Result<CachedResponse, Unreadable> {
    let mut rest = frame;
    if !rest.starts_with(&MAGIC) || rest.len() < HEAD {
        return Err(Unreadable::Damaged);
    }
    rest.advance(MAGIC.len());
    if rest.get_u32_le() != checksum(key, &rest) {
        return Err(Unreadable::Damaged);
    }
    let damaged = |_| Unreadable::Damaged;
    let flags = rest.try_get_u8().map_err(damaged)?;
    let stored = rest.try_get_u64_le().map_err(damaged)?;
    let length = usize::from(rest.try_get_u16_le().map_err(damaged)?);
    // It becomes a header. What no header can hold was none.
    let sound = rest.len() >= length && !rest[..length].iter().any(u8::is_ascii_control);
    if flags & !(COMPRESSED | TYPED) != 0 || !sound {
        return Err(Unreadable::Damaged);
    }
    // A copy, since a part would keep the whole value.
    let kind = Bytes::copy_from_slice(&rest.split_to(length));
    let size = rest.try_get_u64_le().map_err(damaged)?;
    let size = usize::try_from(size)
        .ok()
        .filter(|size| *size <= most)
        .ok_or(Unreadable::TooLarge)?;
    let body = if flags & COMPRESSED == 0 {
        rest
    } else {
        let unpacked = lz4_flex::block::decompress(&rest, size);
        unpacked.map_err(|_| Unreadable::Damaged)?.into()
    };
    if body.len() != size {
        return Err(Unreadable::Damaged);
    }
    Ok(CachedResponse {
        content_type: (flags & TYPED != 0).then_some(kind),
        body,
        stored,
    })
}

fn checksum(key: &CacheKey, rest: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key.bytes());
    hasher.update(rest);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MOST: usize = 1 << 20;

    fn key(byte: u8) -> CacheKey {
        CacheKey::from_hex(&format!("{byte:02x}").repeat(32)).expect("a key")
    }

    fn response(kind: Option<&str>, body: &[u8], stored: u64) -> CachedResponse {
        CachedResponse {
            content_type: kind.map(|kind| Bytes::copy_from_slice(kind.as_bytes())),
            body: Bytes::copy_from_slice(body),
            stored,
        }
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(
            body in prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..2000),
                (any::<u8>(), 0..20_000_usize).prop_map(|(byte, n)| vec![byte; n]),
            ],
            kind in proptest::option::of("[ -~]{0,80}"),
            stored: u64,
            above in 0..3000_usize,
        ) {
            let written = response(kind.as_deref(), &body, stored);
            let frame = encode(&key(1), &written, above);
            let read = decode(&key(1), frame.into(), MOST).expect("an answer");
            prop_assert_eq!(read.body, written.body);
            prop_assert_eq!(read.content_type, written.content_type);
            prop_assert_eq!(read.stored, stored);
        }

        #[test]
        fn what_was_not_written_is_no_answer(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            prop_assert!(decode(&key(1), bytes.clone().into(), MOST).is_err());
            let framed = [&MAGIC[..], &bytes].concat();
            prop_assert!(decode(&key(1), framed.into(), MOST).is_err());
        }

        /// Even with a right checksum: it may be of a version that is not ours.
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let sum = checksum(&key(1), &bytes).to_le_bytes();
            let framed = [&MAGIC[..], &sum, &bytes].concat();
            let _ = decode(&key(1), framed.into(), MOST);
        }
    }

    #[test]
    fn one_bit_is_enough_to_make_it_a_miss() {
        for above in [0, usize::MAX] {
            let frame = encode(&key(1), &response(Some("a/b"), &[b'x'; 300], 7), above);
            assert_eq!(frame.len() < 300, above == 0, "compressed or not");
            for bit in 0..frame.len() * 8 {
                let mut other = frame.clone();
                other[bit / 8] ^= 1 << (bit % 8);
                let read = decode(&key(1), other.into(), MOST);
                assert_eq!(read.err(), Some(Unreadable::Damaged), "bit {bit}");
            }
            for length in 0..frame.len() {
                let cut = Bytes::copy_from_slice(&frame[..length]);
                assert!(decode(&key(1), cut, MOST).is_err(), "cut at {length}");
            }
            let foreign = decode(&key(2), frame.into(), MOST);
            assert_eq!(foreign.err(), Some(Unreadable::Damaged));
        }
    }

    #[test]
    fn what_is_too_large_is_not_unpacked() {
        for above in [0, usize::MAX] {
            let frame: Bytes = encode(&key(1), &response(None, &[0; 1000], 7), above).into();
            assert!(decode(&key(1), frame.clone(), 1000).is_ok());
            let read = decode(&key(1), frame, 999);
            assert_eq!(read.err(), Some(Unreadable::TooLarge));
        }
    }

    #[test]
    fn a_content_type_is_one_line() {
        let frame = encode(&key(1), &response(Some("a/b\r\nx: y"), b"", 7), 0);
        let read = decode(&key(1), frame.into(), MOST);
        assert_eq!(read.err(), Some(Unreadable::Damaged));
    }
}
