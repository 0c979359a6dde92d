//! An answer's head and body: however the bytes are cut, the same answer is read and the same bytes are left over.
//!
//! Input: one byte with the number of cuts, two bytes for each, and what the connection brings.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use waypost::h1::{ChunkError, Decoder, Framing, Head, HeadReader, Step};

/// What was read in the end. A head that is malformed may be found to be so later than at once, so that there is none is
/// all that counts.
#[derive(Debug, PartialEq)]
struct Read {
    head: (u16, Vec<(String, Vec<u8>)>, Framing, bool),
    body: Vec<u8>,
    /// Whether the body is over, or what is wrong with it.
    end: Result<bool, ChunkError>,
    /// Nothing, if the body is malformed.
    rest: Vec<u8>,
}

fn summary(head: &Head) -> (u16, Vec<(String, Vec<u8>)>, Framing, bool) {
    let lines = head.fields.iter();
    let lines = lines.map(|(name, value)| (String::from_utf8_lossy(name).into(), value.to_vec()));
    (head.status.as_u16(), lines.collect(), head.framing, head.reusable)
}

fn read(bytes: &[u8], cuts: &[usize]) -> Option<Read> {
    let (mut reader, mut decoder) = (HeadReader::default(), None);
    let (mut buf, mut from, mut read) = (BytesMut::new(), 0, None::<Read>);
    for cut in cuts.iter().copied().chain([bytes.len()]) {
        buf.extend_from_slice(&bytes[from..cut]);
        from = cut;
        if read.is_none() {
            let Some(head) = reader.read(&mut buf).ok()? else {
                continue;
            };
            assert!(!head.status.is_informational());
            decoder = Some(Decoder::from(head.framing));
            read = Some(Read {
                head: summary(&head),
                body: Vec::new(),
                end: Ok(false),
                rest: Vec::new(),
            });
        }
        let (Some(read), Some(decoder)) = (&mut read, &mut decoder) else {
            continue;
        };
        while read.end.is_ok() {
            match decoder.decode(&mut buf) {
                Ok(Step::Data(data)) => {
                    assert!(!data.is_empty(), "data without bytes");
                    read.body.extend_from_slice(&data);
                }
                Ok(Step::More) => {
                    assert!(buf.is_empty() && !decoder.is_end(), "more is wanted, and there");
                    break;
                }
                Ok(Step::End) => {
                    assert!(decoder.is_end() && decoder.may_close());
                    break;
                }
                Err(error) => read.end = Err(error),
            }
        }
        if read.end.is_ok() {
            read.end = Ok(decoder.is_end());
            read.rest = buf.to_vec();
        } else {
            read.rest.clear();
        }
    }
    read
}

fuzz_target!(|input: &[u8]| {
    let Some((n, rest)) = input.split_first() else {
        return;
    };
    let Some((cuts, bytes)) = rest.split_at_checked(usize::from(n % 8) * 2) else {
        return;
    };
    let mut cuts: Vec<usize> = cuts
        .chunks_exact(2)
        .map(|b| usize::from(u16::from_le_bytes([b[0], b[1]])) % (bytes.len() + 1))
        .collect();
    cuts.sort_unstable();
    let expected = read(bytes, &[]);
    assert_eq!(read(bytes, &cuts), expected, "cut at {cuts:?}");
    let every: Vec<usize> = (0..bytes.len().min(512)).collect();
    assert_eq!(read(bytes, &every), expected, "cut everywhere");
});
