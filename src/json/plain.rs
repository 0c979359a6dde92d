//! The inside of strings, many bytes at a time.
//!
//! Most strings are over within a few words. In longer ones `memchr` looks for the end with the widest registers the machine
//! has, and a fold without a branch in it, which the compiler turns into vector instructions of any target, checks what
//! lies before it.

/// The highest bits of eight bytes.
pub(super) const HIGH: u64 = 0x80 * ONES;
const ONES: u64 = 0x0101_0101_0101_0101;
/// Bytes in a word.
const WORD: usize = 8;
/// Bytes in a block of the fold; one register of every target.
const BLOCK: usize = 16;

/// How many bytes `text` begins with that have no special meaning in a string: no quote, no backslash, no control
/// character. `high` collects the highest bits of what was looked at, which may be a little more. So many `WORDS` (two or
/// more) are looked at before a longer text is expected.
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
    long(text, high)
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

/// As [`plain`], of a text whose first block is known to be plain.
#[inline(never)]
fn long(text: &[u8], high: &mut u64) -> usize {
    let found = memchr::memchr2(b'"', b'\\', &text[BLOCK..]);
    let end = found.map_or(text.len(), |found| BLOCK + found);
    let mut lanes = Lanes {
        least: [0xff; BLOCK],
        joined: [0; BLOCK],
    };
    let (blocks, _) = text[..end].as_chunks();
    let (fours, blocks) = blocks.as_chunks::<4>();
    for [a, b, c, d] in fours {
        lanes = lanes.and(a).and(b).and(c).and(d);
    }
    for block in blocks {
        lanes = lanes.and(block);
    }
    // What the last block has in common with the one before it is looked at twice, which changes nothing.
    if let Some(block) = text[..end].last_chunk() {
        lanes = lanes.and(block);
    }
    let Lanes { least, joined } = lanes;
    if joined.iter().fold(false, |any, bits| any | (*bits >= 0x80)) {
        *high |= HIGH;
    }
    if least.iter().fold(false, |any, byte| any | (*byte < 0x20)) {
        let control = text[..end].iter().position(|byte| *byte < 0x20);
        return control.unwrap_or(end);
    }
    end
}

/// What is known of the bytes at each place of the blocks so far.
#[derive(Clone, Copy)]
struct Lanes {
    least: [u8; BLOCK],
    joined: [u8; BLOCK],
}

impl Lanes {
    #[inline(always)]
    fn and(mut self, block: &[u8; BLOCK]) -> Self {
        let lanes = self.least.iter_mut().zip(&mut self.joined);
        for ((least, joined), byte) in lanes.zip(block) {
            *least = (*least).min(*byte);
            *joined |= byte;
        }
        self
    }
}
