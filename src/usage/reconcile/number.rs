//! Decimal numbers as exports write them, without a detour over floating point.

/// Parts of one: numbers are kept in 10⁻¹², which is the pico-dollar where they are money.
pub(super) const ONE: i128 = 1_000_000_000_000;

/// Digits behind the point that [`ONE`] has room for.
const PLACES: i32 = 12;

/// `1234.5`, `1,234.50`, `$0.02`, `-3`, `1.2E-05` in 10⁻¹², rounded half away from zero.
pub(super) fn parse(text: &str) -> Option<i128> {
    let text: String = text.trim().chars().filter(|c| *c != ',').collect();
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(&text)),
    };
    let text = text.strip_prefix('$').unwrap_or(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && part.is_empty() {
        return None;
    }
    let mut number: i128 = 0;
    let mut places = PLACES.checked_add(exponent)?;
    for (behind, digits) in [(false, whole), (true, part)] {
        for digit in digits.chars() {
            let digit = digit.to_digit(10)?;
            // What is far behind the point changes nothing, whatever it is.
            if behind && number > 10_i128.pow(30) {
                continue;
            }
            number = number.checked_mul(10)?.checked_add(digit.into())?;
            places = places.saturating_sub(i32::from(behind));
        }
    }
    let scale = 10_i128.checked_pow(places.unsigned_abs());
    let number = match scale {
        Some(scale) if places >= 0 => number.checked_mul(scale)?,
        Some(scale) => number.checked_add(scale / 2)? / scale,
        None if places < 0 => 0,
        None => return None,
    };
    Some(if negative { -number } else { number })
}

/// A number in 10⁻¹² times `by`, as a whole one.
pub(super) fn whole(number: i128, by: i128) -> i128 {
    let product = number.saturating_mul(by);
    let half = if product < 0 { -ONE / 2 } else { ONE / 2 };
    product.saturating_add(half) / ONE
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn as_exports_write_them() {
        for (text, number) in [
            ("0", 0),
            ("59200.0", 59_200 * ONE),
            ("0.8958740000000000", 895_874_000_000),
            ("1,234.5", 1_234 * ONE + ONE / 2),
            ("$0.02", 20_000_000_000),
            ("-3", -3 * ONE),
            ("1.2E-05", 12_000_000),
            ("2e3", 2_000 * ONE),
            ("0.0000000000005", 1),
            ("0.00000000000049999999999999999999999999999999", 0),
            (".5", ONE / 2),
            ("1e-99", 0),
            ("1.0000000000000000e-2147483648", 0),
        ] {
            assert_eq!(parse(text), Some(number), "{text}");
        }
        for wrong in [
            "",
            ".",
            "-",
            "abc",
            "1.2.3",
            "1e",
            "0x1",
            "1e99",
            "NaN",
            "1e2147483647",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
        assert_eq!(whole(77_469_256_000_000_000, 1000), 77_469_256);
        assert_eq!(whole(-ONE / 2, 1), -1);
    }

    proptest! {
        #[test]
        fn any_text_is_taken_or_refused(text in "([-+$]?[0-9]{0,40}[.]?[0-9]{0,40}(e-?[0-9]{0,10})?|.{0,40})") {
            let _any = parse(&text);
        }

        #[test]
        fn whole_numbers_are_themselves(number: i64) {
            prop_assert_eq!(parse(&number.to_string()), Some(i128::from(number) * ONE));
        }
    }
}
