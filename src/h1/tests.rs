//! Whole messages, cut anywhere.

use bytes::BytesMut;
use proptest::prelude::*;

use super::*;

/// Reads `message` as it comes in pieces: the body, and what was left over.
fn read(message: &[u8], cuts: &[usize]) -> (Vec<u8>, bool, Vec<u8>) {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (message.len() + 1)).collect();
    cuts.sort_unstable();
    let (mut reader, mut decoder) = (HeadReader::default(), None::<Decoder>);
    let (mut buf, mut body, mut from) = (BytesMut::new(), Vec::new(), 0);
    for to in cuts.into_iter().chain([message.len()]) {
        buf.extend_from_slice(&message[from..to]);
        from = to;
        if decoder.is_none() {
            let head = reader.read(&mut buf).expect("a head");
            decoder = head.map(|head| head.framing.into());
        }
        let Some(decoder) = &mut decoder else {
            continue;
        };
        while let Step::Data(data) = decoder.decode(&mut buf).expect("a body") {
            assert!(!data.is_empty());
            body.extend_from_slice(&data);
        }
    }
    let decoder = decoder.expect("a whole head");
    (body, decoder.may_close(), buf.to_vec())
}

fn in_chunks(body: &[u8], sizes: &[usize]) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::new(), body);
    for size in sizes.iter().copied().chain([usize::MAX]) {
        let (chunk, after) = rest.split_at(size.min(rest.len()));
        if !chunk.is_empty() {
            chunk_line(chunk.len(), &mut out);
            out.extend_from_slice(chunk);
            out.extend_from_slice(b"\r\n");
        }
        rest = after;
    }
    out.extend_from_slice(b"0\r\n\r\n");
    out
}

proptest! {
    #[test]
    fn bodies_are_the_same_however_they_are_framed_and_cut(
        body in proptest::collection::vec(any::<u8>(), 0..300),
        sizes in proptest::collection::vec(1_usize..40, 0..12),
        cuts in proptest::collection::vec(0_usize..1000, 0..12),
        framing in 0..3,
    ) {
        let (line, framed) = match framing {
            0 => (format!("content-length: {}", body.len()), body.clone()),
            1 => ("transfer-encoding: chunked".to_owned(), in_chunks(&body, &sizes)),
            _ => ("x: y".to_owned(), body.clone()),
        };
        let mut message = format!("HTTP/1.1 200 OK\r\n{line}\r\n\r\n").into_bytes();
        message.extend_from_slice(&framed);
        prop_assert_eq!(read(&message, &cuts), (body.clone(), true, vec![]));
        if framing != 2 {
            if !body.is_empty() {
                let (_, ended, _) = read(&message[..message.len() - 1], &cuts);
                prop_assert!(!ended);
            }
            message.extend_from_slice(b"HTTP/1.1");
            prop_assert_eq!(read(&message, &cuts), (body, true, b"HTTP/1.1".to_vec()));
        }
    }
}
