//! Numbers for people: money, thousands, columns of them.

use crate::types::Cost;

/// Pico-dollars as dollars with that many decimals, at most 12; rounded half away from zero.
pub(super) fn dollars(pico: i128, decimals: u32) -> String {
    let decimals = decimals.min(12);
    let unit = 10_i128.pow(12 - decimals);
    let rounded = pico.saturating_abs().saturating_add(unit / 2) / unit;
    let per_dollar = i128::from(Cost::PER_DOLLAR) / unit;
    let sign = if pico < 0 && rounded > 0 { "-" } else { "" };
    let whole = thousands(rounded / per_dollar);
    if decimals == 0 {
        return format!("{sign}{whole}");
    }
    let part = rounded % per_dollar;
    format!("{sign}{whole}.{part:0width$}", width = decimals as usize)
}

/// Pico-dollars as dollars, exactly, for programs.
pub(super) fn exact(pico: i128) -> String {
    let text = dollars(pico, 12).replace(',', "");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    text.to_owned()
}

/// The fewest decimals, from two on, with which the smallest of `costs` that is not zero still has three digits.
pub(super) fn decimals(costs: impl IntoIterator<Item = i128>) -> u32 {
    let smallest = costs
        .into_iter()
        .map(i128::abs)
        .filter(|cost| *cost > 0)
        .min();
    let Some(smallest) = smallest else { return 2 };
    [2, 4, 6, 8, 10]
        .into_iter()
        .find(|decimals| smallest >= 100 * 10_i128.pow(12 - decimals))
        .unwrap_or(12)
}

/// `1,234,567`
pub(super) fn thousands(number: i128) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = if number < 0 { "-" } else { "" }.to_owned();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Makes the cells of the columns from `first` on end below each other.
pub(super) fn align_right(rows: &mut [Vec<String>], first: usize) {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    for column in first..columns {
        let width = |row: &Vec<String>| row.get(column).map_or(0, |cell| cell.chars().count());
        let width = rows.iter().map(width).max().unwrap_or(0);
        for cell in rows.iter_mut().filter_map(|row| row.get_mut(column)) {
            *cell = format!("{cell:>width$}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_rounded_and_exact() {
        for (pico, decimals, text) in [
            (0, 2, "0.00"),
            (1_234_567_890_000_000_000, 2, "1,234,567.89"),
            (5_000_000_000, 2, "0.01"),
            (4_999_999_999, 2, "0.00"),
            (-5_000_000_000, 2, "-0.01"),
            (-1, 2, "0.00"),
            (150_000, 8, "0.00000015"),
            (1, 12, "0.000000000001"),
            (1_500_000_000_000, 0, "2"),
        ] {
            assert_eq!(dollars(pico, decimals), text, "{pico}");
        }
        assert_eq!(exact(1_234_000_000_000_000), "1234");
        assert_eq!(exact(1_000_000_000_001), "1.000000000001");
        assert_eq!(exact(-500_000_000_000), "-0.5");
    }

    #[test]
    fn as_many_decimals_as_the_smallest_needs() {
        assert_eq!(decimals([0]), 2);
        assert_eq!(decimals([2_000_000_000_000]), 2);
        assert_eq!(decimals([2_000_000_000_000, 10_000_000_000]), 4);
        assert_eq!(decimals([150_000]), 10);
        assert_eq!(decimals([1]), 12);
    }

    #[test]
    fn thousands_are_told_apart() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(-1_000), "-1,000");
        assert_eq!(thousands(123_456), "123,456");
    }
}
