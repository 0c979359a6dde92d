//! How long a prompt is, without asking anybody.
//!
//! A sum over bytes, each with its share in a token by its kind. The shares were fitted, by least squares of the relative
//! error, to both of OpenAI's encodings over prose in two languages, source code, JSON with and without line breaks, and
//! Markdown. Off by, against the texts of `tests/texts` (`cargo test --features tokenizer` measures it anew):
//!
//! | Text | Bytes | `o200k_base` | Estimate | Bytes / 4 | `cl100k_base` | Estimate | Bytes / 4 |
//! |---|---|---|---|---|---|---|---|
//! | English | 1459 | 326 | +4 % | +12 % | 328 | +4 % | +11 % |
//! | German | 1642 | 400 | 0 % | +3 % | 481 | -17 % | -15 % |
//! | Chinese | 1270 | 367 | +21 % | -13 % | 539 | -18 % | -41 % |
//! | code | 1833 | 503 | -7 % | -9 % | 500 | -6 % | -8 % |
//! | JSON, indented | 2581 | 803 | -16 % | -20 % | 804 | -16 % | -20 % |
//! | JSON, compact | 1517 | 505 | +8 % | -25 % | 497 | +9 % | -24 % |
//!
//! Known bias: languages whose letters an encoding hardly knows need more tokens (Chinese in `cl100k_base`), random ids and
//! base64 too; the newest encodings of other providers are close to `o200k_base`. `router::fit` takes any estimate to be
//! off by a quarter.

use crate::request::needs::Piece;

/// Parts of a token that shares are counted in.
const WHOLE: u64 = 64;
/// A message's frame: three tokens, and its role. As OpenAI counts for all models since gpt-3.5-turbo-0613
/// (<https://developers.openai.com/cookbook/examples/how_to_count_tokens_with_tiktoken>).
const MESSAGE: u64 = 4;
/// The beginning of the answer, which is part of the prompt; from there, too.
const ANSWER: u64 = 3;
/// An image, of which only the bytes are known: a tile of Gemini's. OpenAI takes 85 for one in low detail and 765 for
/// 1024 × 1024 in high; Anthropic a 750th of its pixels.
const IMAGE: u64 = 258;

const LETTER: u8 = 17;
const DIGIT: u8 = 40;
const BLANK: u8 = 2; // goes with the word behind it
const BREAK: u8 = 56;
const MARK: u8 = 26;
const NOT_ASCII: u8 = 22;

/// Shares by byte, in text.
const TEXT: [u8; 256] = shares(MARK);
/// The same where quotes, brackets, colons and commas are the form of something else, which models are shown another way.
const STRUCTURE: [u8; 256] = {
    let mut table = shares(MARK);
    let form = *b"{}[]\":,\\";
    let mut at = 0;
    while at < form.len() {
        table[form[at] as usize] = 0;
        at += 1;
    }
    table
};

const fn shares(mark: u8) -> [u8; 256] {
    let mut table = [NOT_ASCII; 256];
    let mut byte: u8 = 0;
    while byte < 0x80 {
        table[byte as usize] = match byte {
            b'a'..=b'z' | b'A'..=b'Z' => LETTER,
            b'0'..=b'9' => DIGIT,
            b' ' => BLANK,
            b'\n' | b'\r' | b'\t' => BREAK,
            _ => mark,
        };
        byte += 1;
    }
    table
}

/// Adds up the pieces of a request to the length of its longest prompt.
#[derive(Debug)]
pub struct Length<T> {
    /// The shares of a text, given as a JSON string.
    text: T,
    answer: u64,
    longest: u64,
    shares: u64,
}

impl Length<fn(&[u8]) -> u64> {
    /// By estimate.
    #[must_use]
    pub fn estimated() -> Self {
        Self::counted(estimate)
    }
}

impl<T: Fn(&[u8]) -> u64> Length<T> {
    pub(super) const fn counted(text: T) -> Self {
        Self {
            text,
            answer: 0,
            longest: 0,
            shares: 0,
        }
    }

    /// Adds a piece.
    pub fn add(&mut self, piece: Piece<'_>) {
        self.shares += match piece {
            Piece::Message => {
                self.answer = ANSWER;
                MESSAGE * WHOLE
            }
            Piece::Next => {
                self.longest = self.longest.max(std::mem::take(&mut self.shares));
                0
            }
            Piece::Text(raw) => (self.text)(raw),
            Piece::Structure(raw) => weigh(raw, &STRUCTURE),
            Piece::Image => IMAGE * WHOLE,
            Piece::Ids(ids) => ids * WHOLE,
        };
    }

    /// Tokens of the longest prompt.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.longest.max(self.shares).div_ceil(WHOLE) + self.answer
    }
}

/// The shares of a text that is a number of tokens.
#[cfg(feature = "tokenizer")]
pub(super) const fn whole(tokens: u64) -> u64 {
    tokens * WHOLE
}

fn weigh(bytes: &[u8], table: &[u8; 256]) -> u64 {
    bytes
        .iter()
        .map(|byte| u64::from(table[usize::from(*byte)]))
        .sum()
}

/// The shares of a text, of which `raw` is the JSON: escapes count as what they stand for.
fn estimate(raw: &[u8]) -> u64 {
    let mut rest = match raw {
        [b'"', inner @ .., b'"'] => inner,
        other => other,
    };
    let mut shares = 0;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        let (escape, length) = escaped(&rest[at..]);
        shares += weigh(&rest[..at], &TEXT) + escape;
        rest = rest.get(at + length..).unwrap_or_default();
    }
    shares + weigh(rest, &TEXT)
}

/// The shares of what an escape stands for, and the escape's length.
fn escaped(text: &[u8]) -> (u64, usize) {
    let not_ascii = |bytes: u64| bytes * u64::from(NOT_ASCII);
    let shares = match text.get(1) {
        Some(b'n' | b'r' | b't') => BREAK.into(),
        Some(b'u') => {
            let digits = text
                .get(2..6)
                .and_then(|digits| std::str::from_utf8(digits).ok());
            let unit = digits.and_then(|digits| u16::from_str_radix(digits, 16).ok());
            let shares = match unit.unwrap_or_default() {
                ascii @ 0..0x80 => TEXT[usize::from(ascii)].into(),
                // Two bytes of UTF-8 each, since a pair of surrogates is four.
                0x80..0x800 | 0xD800..0xE000 => not_ascii(2),
                _ => not_ascii(3),
            };
            return (shares, 6);
        }
        _ => MARK.into(),
    };
    (shares, 2)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Kinds of text; with the tokens of `o200k_base` and of `cl100k_base`, counted by OpenAI's own tokenizer.
    pub(in crate::usage) const TEXTS: [(&str, &str, [u64; 2]); 6] = [
        (
            "English",
            include_str!("../../tests/texts/english.txt"),
            [326, 328],
        ),
        (
            "German",
            include_str!("../../tests/texts/german.txt"),
            [400, 481],
        ),
        (
            "Chinese",
            include_str!("../../tests/texts/chinese.txt"),
            [367, 539],
        ),
        (
            "code",
            include_str!("../../tests/texts/code.txt"),
            [503, 500],
        ),
        (
            "JSON",
            include_str!("../../tests/texts/json.txt"),
            [803, 804],
        ),
        (
            "compact",
            include_str!("../../tests/texts/compact.txt"),
            [505, 497],
        ),
    ];

    fn tokens(pieces: &[Piece<'_>]) -> u64 {
        let mut length = Length::estimated();
        pieces.iter().for_each(|piece| length.add(*piece));
        length.tokens()
    }

    #[test]
    #[expect(clippy::cast_precision_loss, reason = "a share of small numbers")]
    fn no_kind_of_text_is_off_by_more_than_a_quarter() {
        for (kind, text, counts) in TEXTS {
            let quoted = serde_json::to_vec(text).expect("a string");
            let estimate = tokens(&[Piece::Text(&quoted)]);
            for count in counts {
                let off = estimate as f64 / count as f64 - 1.0;
                println!(
                    "{kind}: {} bytes, {count} tokens, estimate {estimate}, {off:+.2}",
                    text.len()
                );
                assert!(off.abs() < 0.22, "{kind}: {estimate} for {count}");
            }
        }
    }

    #[test]
    fn the_longest_prompt_counts() {
        let text = |text: &'static str| Piece::Text(text.as_bytes());
        for (pieces, expected) in [
            (vec![], 0),
            (vec![Piece::Message, text(r#""hello""#)], 9),
            (
                vec![Piece::Message, Piece::Image, Piece::Image],
                2 * 258 + 7,
            ),
            (vec![Piece::Ids(1), Piece::Ids(1)], 2),
            (
                vec![Piece::Next, Piece::Ids(5), Piece::Next, Piece::Ids(3)],
                5,
            ),
            (
                vec![Piece::Next, Piece::Ids(2), Piece::Next, Piece::Ids(3)],
                3,
            ),
            // Names and values of a definition, without its form.
            (vec![Piece::Structure(br#"[{"ab": "cd"}]"#)], 2),
        ] {
            assert_eq!(tokens(&pieces), expected, "{pieces:?}");
        }
    }

    /// JSON that is all ASCII, as many clients write it.
    fn ascii(text: &str) -> String {
        text.encode_utf16()
            .map(|unit| match u8::try_from(unit) {
                Ok(byte) if byte.is_ascii_graphic() && !b"\"\\".contains(&byte) || byte == b' ' => {
                    char::from(byte).to_string()
                }
                _ => format!("\\u{unit:04X}"),
            })
            .collect()
    }

    proptest! {
        /// How the client writes a text makes no difference.
        #[test]
        fn escapes_count_as_what_they_stand_for(text in r"[a-z0-9 .äß中😀\n\t\\/]*") {
            let plain = serde_json::to_vec(&text).expect("a string");
            let escaped = format!("\"{}\"", ascii(&text));
            prop_assert_eq!(estimate(&plain), estimate(escaped.as_bytes()));
        }

        #[test]
        fn never_panics(raw in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = estimate(&raw);
        }
    }
}
