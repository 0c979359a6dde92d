//! The inside of strings, many bytes at a time.
//!
//! Most strings are over within a few words. Longer ones are read in blocks of 64 bytes, each of which becomes a word with a
//! bit for every byte that means something: how many escapes there are between the words of a prompt then hardly matters.

use wide::u8x16;

/// The highest bits of eight bytes.
pub(super) const HIGH: u64 = 0x80 * ONES;
const ONES: u64 = 0x0101_0101_0101_0101;
/// Bytes in a word.
const WORD: usize = 8;
/// Bytes in a block.
pub(super) const BLOCK: usize = 64;

/// How many bytes `text` begins with that have no special meaning in a string: no quote, no backslash, no control
/// character. No more than so many `WORDS` are looked at. `high` collects the highest bits of what was looked at, which
/// may be a little more.
#[inline]
pub(super) fn plain<const WORDS: usize>(text: &[u8], high: &mut u64) -> usize {
    for at in (0..WORDS).map(|word| word * WORD) {
        let Some(word) = text.get(at..).and_then(<[u8]>::first_chunk) else {
            return at + last(&text[at..], high);
        };
        let word = u64::from_le_bytes(*word);
        *high |= word;
        let marks = specials(word);
        if marks != 0 {
            return at + marks.trailing_zeros() as usize / 8;
        }
    }
    WORDS * WORD
}

/// A bit for each byte of `block` that is a quote, a backslash or a control character, the first byte's lowest; and one for
/// each that is not ASCII.
#[inline]
pub(super) fn marks(block: &[u8; BLOCK]) -> (u64, u64) {
    let (registers, _) = block.as_chunks::<16>();
    let (mut special, mut high) = (0, 0);
    for (place, register) in registers.iter().enumerate() {
        let bytes = u8x16::new(*register);
        let quotes = bytes.simd_eq(u8x16::splat(b'"'));
        let backslashes = bytes.simd_eq(u8x16::splat(b'\\'));
        let controls = bytes.min(u8x16::splat(0x1f)).simd_eq(bytes);
        let found = (quotes | backslashes | controls).to_bitmask();
        special |= u64::from(found) << (place * 16);
        high |= u64::from(bytes.to_bitmask()) << (place * 16);
    }
    (special, high)
}

/// The highest bit of the first special byte, and maybe of some after it. A byte is less than `n` if taking `n` from it
/// borrows; flipping U+0002 puts the quote right behind the control characters.
#[inline]
const fn specials(word: u64) -> u64 {
    let control = word ^ (2 * ONES);
    let backslash = word ^ (b'\\' as u64 * ONES);
    let control = control.wrapping_sub(0x21 * ONES) & !control;
    let backslash = backslash.wrapping_sub(ONES) & !backslash;
    (control | backslash) & HIGH
}

/// The last few bytes of a text.
#[inline(never)]
fn last(text: &[u8], high: &mut u64) -> usize {
    let special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
    let end = text.iter().position(special).unwrap_or(text.len());
    *high |= u64::from(text[..end].iter().fold(0, |bits, byte| bits | byte));
    end
}
