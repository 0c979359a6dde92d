//! What the targets of the dialects share.

#[path = "../tests/it/support/dialects.rs"]
mod dialects;

/// Tries an input.
pub(crate) fn run(name: &str, input: &[u8]) {
    let Some((n, rest)) = input.split_first() else {
        return;
    };
    let Some((cuts, answer)) = rest.split_at_checked(usize::from(n % 8) * 2) else {
        return;
    };
    let mut cuts: Vec<usize> = cuts
        .chunks_exact(2)
        .map(|b| usize::from(u16::from_le_bytes([b[0], b[1]])) % (answer.len() + 1))
        .collect();
    cuts.sort_unstable();
    dialects::try_answer(name, answer, &cuts);
}
