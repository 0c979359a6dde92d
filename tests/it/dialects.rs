//! Answers of every dialect, mangled: events dropped, repeated and in another order, bytes changed, cut anywhere.

use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::support::dialects::{DIALECTS, try_answer};

/// The answers in a dialect's vectors, in pieces: events, lines, or frames of about that size.
fn answers(dialect: &str) -> Vec<Vec<Vec<u8>>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let cases = folder.join(dialect).read_dir().expect("the vectors");
    let files = cases.flat_map(|case| case.expect("a case").path().read_dir().expect("a folder"));
    let files = files.map(|file| file.expect("a file").path());
    let upstream = files.filter(|file| file.file_stem().is_some_and(|stem| stem == "upstream"));
    let mut all: Vec<_> = upstream.collect();
    all.sort();
    all.into_iter()
        .map(|file| pieces(&std::fs::read(file).expect("a file")))
        .collect()
}

fn pieces(answer: &[u8]) -> Vec<Vec<u8>> {
    if answer.first() == Some(&0) {
        return frames(answer);
    }
    let lines = answer.split_inclusive(|byte| *byte == b'\n');
    let mut pieces: Vec<Vec<u8>> = vec![Vec::new()];
    for line in lines {
        pieces.last_mut().expect("one").extend_from_slice(line);
        // A blank line ends an event, and any line one of JSON.
        if line.len() == 1 || line.starts_with(b"{") {
            pieces.push(Vec::new());
        }
    }
    pieces
}

/// Amazon's frames, which begin with their length.
fn frames(mut answer: &[u8]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    while let Some(length) = answer.first_chunk() {
        let length = usize::try_from(u32::from_be_bytes(*length)).expect("small");
        let (frame, rest) = answer.split_at(length.clamp(4, answer.len()));
        frames.push(frame.to_vec());
        answer = rest;
    }
    frames.push(answer.to_vec());
    frames
}

#[derive(Debug, Clone)]
struct Mangling {
    answer: Index,
    /// Which pieces, in which order.
    order: Vec<Index>,
    /// As they were.
    in_order: bool,
    bytes: Vec<(Index, u8)>,
    cuts: Vec<Index>,
}

fn mangling() -> impl Strategy<Value = Mangling> {
    let bytes = vec((any::<Index>(), any::<u8>()), 0..4);
    let parts = (
        any::<Index>(),
        vec(any::<Index>(), 0..24),
        any::<bool>(),
        bytes,
        vec(any::<Index>(), 0..6),
    );
    parts.prop_map(|(answer, order, in_order, bytes, cuts)| Mangling {
        answer,
        order,
        in_order,
        bytes,
        cuts,
    })
}

fn mangled(answers: &[Vec<Vec<u8>>], how: &Mangling) -> (Vec<u8>, Vec<usize>) {
    let pieces = how.answer.get(answers);
    let mut answer: Vec<u8> = if how.in_order {
        pieces.concat()
    } else {
        how.order
            .iter()
            .flat_map(|at| at.get(pieces).clone())
            .collect()
    };
    for (at, byte) in &how.bytes {
        if !answer.is_empty() {
            let at = at.index(answer.len());
            answer[at] = *byte;
        }
    }
    let mut cuts: Vec<usize> = how
        .cuts
        .iter()
        .map(|at| at.index(answer.len() + 1))
        .collect();
    cuts.sort_unstable();
    (answer, cuts)
}

#[test]
fn mangled_answers_do_no_harm() {
    for (dialect, _) in DIALECTS {
        let answers = answers(dialect);
        proptest!(ProptestConfig::with_cases(256), |(how in mangling())| {
            let (answer, cuts) = mangled(&answers, &how);
            try_answer(dialect, &answer, &cuts);
        });
    }
}
