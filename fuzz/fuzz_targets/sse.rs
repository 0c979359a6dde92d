//! Events: however a stream is cut, the same bytes come out and the same events are seen.
//!
//! Input: one byte with the number of cuts, two bytes for each, and the stream.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use waypost::sse::{Splitter, data, events};

/// The data of all whole events, and all bytes that came out.
fn split(stream: &[u8], cuts: &[usize]) -> (Vec<Vec<u8>>, Vec<u8>) {
    let (mut splitter, mut found, mut out, mut from) =
        (Splitter::default(), Vec::new(), Vec::new(), 0);
    for cut in cuts.iter().copied().chain([stream.len()]) {
        let whole = splitter.push(Bytes::copy_from_slice(&stream[from..cut]));
        let mut length = 0;
        for event in events(&whole) {
            assert!(!event.bytes.is_empty());
            length += event.bytes.len();
            found.extend(event.data.map(std::borrow::Cow::into_owned));
        }
        assert_eq!(length, whole.len(), "the events of a slice are the slice");
        out.extend_from_slice(&whole);
        from = cut;
    }
    let rest = splitter.finish();
    assert!(!splitter.is_mid_event());
    out.extend_from_slice(&rest);
    let _ = data(&rest);
    (found, out)
}

fuzz_target!(|input: &[u8]| {
    let _ = data(input);
    let Some((n, rest)) = input.split_first() else {
        return;
    };
    let Some((cuts, stream)) = rest.split_at_checked(usize::from(n % 8) * 2) else {
        return;
    };
    let mut cuts: Vec<usize> = cuts
        .chunks_exact(2)
        .map(|b| usize::from(u16::from_le_bytes([b[0], b[1]])) % (stream.len() + 1))
        .collect();
    cuts.sort_unstable();
    let (expected, whole) = split(stream, &[]);
    assert_eq!(whole, stream);
    let (found, out) = split(stream, &cuts);
    assert_eq!(out, stream, "cut at {cuts:?}");
    assert_eq!(found, expected, "cut at {cuts:?}");
    let every: Vec<usize> = (0..stream.len().min(512)).collect();
    let (found, out) = split(stream, &every);
    assert_eq!(out, stream);
    assert_eq!(found, expected, "cut everywhere");
});
