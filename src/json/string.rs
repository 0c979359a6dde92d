//! Strings, read over.

use super::plain::{self, BLOCK};
use super::{Scanner, Wrong};

impl Scanner<'_> {
    /// A string, from the byte after its first quote; ends after its last one. Returns whether it may have escapes.
    #[inline]
    pub(super) fn string(&mut self) -> Result<bool, Wrong> {
        // Four words hold most names and ids.
        self.at += plain::plain::<4>(&self.text[self.at..], &mut self.high);
        if self.text.get(self.at) == Some(&b'"') {
            self.at += 1;
            return Ok(false);
        }
        self.long_string().map(|()| true)
    }

    /// The rest of a string that is long, or has escapes.
    #[inline(never)]
    fn long_string(&mut self) -> Result<(), Wrong> {
        let (text, mut high) = (self.text, 0);
        'blocks: while let Some(block) = text[self.at..].first_chunk::<BLOCK>() {
            let (mut marks, not_ascii) = plain::marks(block);
            high |= not_ascii;
            while marks != 0 {
                let place = marks.trailing_zeros() as usize;
                // What nearly all are: an escape of two bytes that does not reach over the block's end.
                if block[place] == b'\\' && block.get(place + 1).is_some_and(is_short) {
                    marks &= !(0b11 << place);
                    continue;
                }
                let next = place + self.special(self.at + place)?;
                if next == place {
                    self.at += place + 1;
                    self.high |= if high == 0 { 0 } else { plain::HIGH };
                    return Ok(());
                }
                if next >= BLOCK {
                    self.at += next;
                    continue 'blocks;
                }
                marks &= u64::MAX << next;
            }
            self.at += BLOCK;
        }
        self.high |= if high == 0 { 0 } else { plain::HIGH };
        self.last_of_string()
    }

    /// The end of a long string, shorter than a block.
    fn last_of_string(&mut self) -> Result<(), Wrong> {
        loop {
            self.at += plain::plain::<{ BLOCK / 8 }>(&self.text[self.at..], &mut self.high);
            match self.special(self.at)? {
                0 => {
                    self.at += 1;
                    return Ok(());
                }
                length => self.at += length,
            }
        }
    }

    /// The length of the escape `at` that place; 0 if there is the string's last quote.
    #[inline]
    fn special(&mut self, at: usize) -> Result<usize, Wrong> {
        let (wrong, length) = match self.text.get(at) {
            Some(b'"') => return Ok(0),
            Some(b'\\') => match escape(&self.text[at..]) {
                Ok(length) => return Ok(length),
                Err(length) => (Wrong::Escape, length),
            },
            Some(_) => (Wrong::Control, 0),
            None => (Wrong::End, 0),
        };
        self.at = at + length;
        Err(wrong)
    }
}

/// Whether an escape ends with this byte after its backslash.
#[inline]
const fn is_short(byte: &u8) -> bool {
    matches!(byte, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't')
}

/// The length of the escape that `text` begins with; if it is none, of what of it could be the beginning of one. Surrogates
/// are not paired: who does not decode a string does not refuse it for them.
#[inline]
fn escape(text: &[u8]) -> Result<usize, usize> {
    match text {
        [_, second, ..] if is_short(second) => Ok(2),
        [_, b'u', rest @ ..] => {
            let digits = rest.iter().take(4).take_while(|b| b.is_ascii_hexdigit());
            match digits.count() {
                4 => Ok(6),
                fewer => Err(2 + fewer),
            }
        }
        _ => Err(1),
    }
}
