//! Tables of markdown, and numbers as they stand in them.

use crate::figures::Spread;

/// Prints a table.
pub(crate) fn print(header: &[&str], rows: &[Vec<String>]) {
    println!("| {} |", header.join(" | "));
    println!("|{}", "---|".repeat(header.len()));
    for row in rows {
        println!("| {} |", row.join(" | "));
    }
    println!();
}

/// Three digits or so: 0.85, 12.4, 132, 12,300.
pub(crate) fn number(value: f64) -> String {
    let digits = match value.abs() {
        below if below < 9.995 => 2,
        below if below < 99.95 => 1,
        _ => 0,
    };
    let text = format!("{value:.digits$}");
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let (sign, whole) = whole.split_at(usize::from(whole.starts_with('-')));
    let groups: Vec<&str> = whole
        .as_bytes()
        .rchunks(3)
        .rev()
        .filter_map(|group| std::str::from_utf8(group).ok())
        .collect();
    format!("{sign}{}{rest}", groups.join(","))
}

/// A dash where there is no number.
pub(crate) fn cell(value: Option<f64>) -> String {
    value.map_or("–".into(), number)
}

/// The median, then the lowest and highest round.
pub(crate) fn spread(value: Option<Spread>) -> [String; 2] {
    let range = |s: Spread| format!("{} – {}", number(s.lowest), number(s.highest));
    [
        cell(value.map(|s| s.median)),
        value.map_or("–".into(), range),
    ]
}

/// Bytes as 1 KB, 32 KB, 256 KB.
pub(crate) fn size(bytes: usize) -> String {
    format!("{} KB", bytes / 1024)
}
