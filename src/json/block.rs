//! The inside of strings, many bytes at a time.
//!
//! Each step is a fold over a block of fixed size without a branch in it, which the compiler turns into vector
//! instructions of any target's baseline; nothing here is bound to one.

/// The highest bits of eight bytes.
pub(super) const HIGH: u64 = 0x8080_8080_8080_8080;
/// Bytes in a step that says where; they fit one vector register.
const SMALL: usize = 16;
/// Bytes in a step that only says whether.
const LARGE: usize = 64;
/// Small steps before large ones are tried: most strings are short.
const SMALL_FIRST: usize = 4;

/// A quote, a backslash or a control character. Flipping U+0002 puts the quote right behind the control characters.
#[inline(always)]
const fn special(byte: u8) -> bool {
    (byte ^ 2 <= b' ') | (byte == b'\\')
}

/// How many bytes `text` begins with that have no special meaning in a string. `high` collects the highest bits of what
/// was looked at, which may be a little more.
#[inline]
pub(super) fn plain(text: &[u8], high: &mut u64) -> usize {
    let mut at = 0;
    loop {
        for _ in 0..SMALL_FIRST {
            let Some(block) = text.get(at..).and_then(<[u8]>::first_chunk) else {
                return at + rest(&text[at..], high);
            };
            let (marks, bits) = small(block);
            *high |= bits;
            if marks != 0 {
                return at + marks.trailing_zeros() as usize / 8;
            }
            at += SMALL;
        }
        at += large(&text[at..], high);
    }
}

/// A byte of ones for each special byte, and the joined bits of all.
#[inline(always)]
fn small(block: &[u8; SMALL]) -> (u128, u64) {
    let marks = block.map(|byte| if special(byte) { 0xff } else { 0 });
    let bits = u128::from_le_bytes(*block);
    (u128::from_le_bytes(marks), (bits | bits >> 64) as u64)
}

/// How many bytes there are in the blocks without a special byte that `text` begins with.
#[inline(never)]
fn large(text: &[u8], high: &mut u64) -> usize {
    let mut at = 0;
    let mut any = false;
    for block in text.as_chunks::<LARGE>().0 {
        if block
            .iter()
            .fold(false, |found, byte| found | special(*byte))
        {
            break;
        }
        any |= block.iter().fold(0, |bits, byte| bits | byte) >= 0x80;
        at += LARGE;
    }
    if any {
        *high |= HIGH;
    }
    at
}

/// The last few bytes of a text.
#[cold]
fn rest(text: &[u8], high: &mut u64) -> usize {
    let end = text.iter().position(|byte| special(*byte));
    let end = end.unwrap_or(text.len());
    let bits = text[..end].iter().fold(0, |bits, byte| bits | byte);
    *high |= u64::from(bits);
    end
}
