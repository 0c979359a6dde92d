//! What a scalar means: text, number, boolean, length of time, size.
//!
//! The rules are those of YAML 1.2: only `true` and `false` are booleans, `0o17` is octal, `yes` and `2024-02-15` are
//! text. Beyond them, digits in quotes are taken where a number belongs, because a variable always arrives as text.
//! Every function says in its error what it found and what is allowed, without the key, which its caller knows.

use std::time::Duration;

use serde_json::{Map as JsonMap, Number, Value as Json};

use super::tree::{Node, Scalar, Value};

/// The longest time a setting can have: a year.
const LONGEST: f64 = 366.0 * 86_400.0;

/// What a plain scalar is by itself.
enum Plain {
    Flag(bool),
    Number(Number),
    /// `.inf` and `.nan`, which JSON has no word for.
    NotFinite,
    Text,
}

/// How a message may call the value: never a secret, and never what came from a variable.
pub(super) fn shown(node: &Node, secret: bool) -> String {
    match &node.value {
        Value::Null => "null".to_owned(),
        Value::List(_) => "a list".to_owned(),
        Value::Map(_) => "a mapping".to_owned(),
        Value::Scalar(_) if secret => "the value (not shown)".to_owned(),
        Value::Scalar(scalar) => shown_scalar(scalar),
    }
}

fn shown_scalar(scalar: &Scalar) -> String {
    match scalar.variables.as_slice() {
        [] if scalar.plain && !matches!(plain(&scalar.text), Plain::Text) => scalar.text.clone(),
        [] => format!("\"{}\"", short(&mask_url(&scalar.text))),
        [one] if scalar.raw.starts_with("${") && scalar.raw.ends_with('}') => {
            format!("the value of {one}")
        }
        _ => format!("\"{}\"", short(&mask_url(&scalar.raw))),
    }
}

fn short(text: &str) -> String {
    let mut chars = text.chars();
    let head: String = chars
        .by_ref()
        .take(80)
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect();
    if chars.next().is_some() {
        format!("{head}…")
    } else {
        head
    }
}

/// The text with what stands between `://` and the last `@` replaced, so that a password in a URL is not repeated.
pub(super) fn mask_url(text: &str) -> String {
    match (text.find("://"), text.rfind('@')) {
        (Some(scheme), Some(at)) if scheme + 3 <= at => {
            format!("{}://***{}", &text[..scheme], &text[at..])
        }
        _ => text.to_owned(),
    }
}

/// Text; a number counts as the text it was written as, a boolean does not.
pub(super) fn text(node: &Node) -> Result<String, String> {
    match node.scalar() {
        Some(scalar) if !(scalar.plain && scalar.variables.is_empty() && is_flag(&scalar.text)) => {
            Ok(scalar.text.clone())
        }
        _ => Err(format!("{} is not a text", shown(node, false))),
    }
}

fn is_flag(text: &str) -> bool {
    matches!(plain(text), Plain::Flag(_))
}

/// `true` or `false`, in quotes too; nothing else, because YAML 1.2 takes `yes` and `off` for text.
pub(super) fn flag(node: &Node) -> Result<bool, String> {
    match node.scalar().map(|scalar| plain(scalar.text.trim())) {
        Some(Plain::Flag(value)) => Ok(value),
        _ => Err(format!(
            "{} is not a boolean; allowed: true, false",
            shown(node, false)
        )),
    }
}

/// A finite number.
pub(super) fn number(node: &Node) -> Result<f64, String> {
    match node.scalar().map(|scalar| plain(scalar.text.trim())) {
        Some(Plain::Number(value)) => value.as_f64().filter(|v| v.is_finite()),
        _ => None,
    }
    .ok_or_else(|| format!("{} is not a number", shown(node, false)))
}

/// A number of at least zero.
pub(super) fn amount(node: &Node) -> Result<f64, String> {
    number(node)
        .ok()
        .filter(|value| *value >= 0.0)
        .ok_or_else(|| format!("{} is not a number of at least 0", shown(node, false)))
}

/// A number above 0, and below 1, or `one` at most.
pub(super) fn share(node: &Node, one: bool) -> Result<f64, String> {
    number(node)
        .ok()
        .filter(|value| *value > 0.0 && (*value < 1.0 || one && *value <= 1.0))
        .ok_or_else(|| {
            let most = if one { "at most" } else { "below" };
            format!(
                "{} is not allowed; allowed: a number above 0 and {most} 1",
                shown(node, false)
            )
        })
}

/// A whole number from `min` to `max`; `3.0` is one.
pub(super) fn integer(node: &Node, min: u64, max: u64) -> Result<u64, String> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be whole and in range"
    )]
    let whole = |v: f64| (v.fract() == 0.0 && (0.0..9e15).contains(&v)).then_some(v as u64);
    match node.scalar().map(|scalar| plain(scalar.text.trim())) {
        Some(Plain::Number(value)) => value.as_u64().or_else(|| value.as_f64().and_then(whole)),
        _ => None,
    }
    .filter(|value| (min..=max).contains(value))
    .ok_or_else(|| {
        let found = shown(node, false);
        if max >= u64::from(u32::MAX) {
            format!("{found} is not a whole number of at least {min}")
        } else {
            format!("{found} is not a whole number from {min} to {max}")
        }
    })
}

/// Seconds as a number; zero only where `zero` says so.
pub(super) fn seconds(node: &Node, zero: bool) -> Result<Duration, String> {
    number(node)
        .ok()
        .and_then(|value| to_duration(value, zero))
        .ok_or_else(|| {
            let least = if zero { "at least 0" } else { "more than 0" };
            format!(
                "{} is not a number of seconds; allowed: {least}, at most a year",
                shown(node, false)
            )
        })
}

fn to_duration(seconds: f64, zero: bool) -> Option<Duration> {
    let fits = if zero {
        (0.0..=LONGEST).contains(&seconds)
    } else {
        seconds > 0.0 && seconds <= LONGEST
    };
    fits.then(|| Duration::try_from_secs_f64(seconds).ok())
        .flatten()
}

/// Seconds as a number, or text with a unit: `500ms`, `5s`, `2m`, `1h`, `1d`.
pub(super) fn duration(node: &Node, zero: bool) -> Result<Duration, String> {
    let parsed = node.scalar().and_then(|scalar| {
        let text = scalar.text.trim();
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = match &text[digits.len()..] {
            "ms" => 0.001,
            "" | "s" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            _ => return None,
        };
        to_duration(digits.trim_end().parse::<f64>().ok()? * unit, zero)
    });
    parsed.ok_or_else(|| {
        let found = shown(node, false);
        format!(
            "{found} is not a length of time; allowed: a number of seconds, or 500ms, 5s, 2m, 1h, 1d"
        )
    })
}

/// Bytes as a number, or text with a unit: `32MiB`, `1GB`.
pub(super) fn size(node: &Node) -> Result<u64, String> {
    let parsed = node.scalar().and_then(|scalar| {
        let text = scalar.text.trim();
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit: u64 = match text[digits.len()..].to_ascii_lowercase().as_str() {
            "" | "b" => 1,
            "kb" => 1_000,
            "mb" => 1_000_000,
            "gb" => 1_000_000_000,
            "kib" | "k" => 1 << 10,
            "mib" | "m" => 1 << 20,
            "gib" | "g" => 1 << 30,
            _ => return None,
        };
        digits
            .trim_end()
            .parse::<u64>()
            .ok()?
            .checked_mul(unit)
            .filter(|bytes| *bytes <= 1 << 40)
    });
    parsed.ok_or_else(|| {
        format!(
            "{} is not a size; allowed: a number of bytes, or 512KiB, 32MiB, 1GiB",
            shown(node, false)
        )
    })
}

/// The value as JSON, as a request body would have it. Text from a variable stays text.
pub(super) fn json(node: &Node) -> Result<Json, String> {
    Ok(match &node.value {
        Value::Null => Json::Null,
        Value::Scalar(scalar) if scalar.plain && scalar.variables.is_empty() => {
            match plain(&scalar.text) {
                Plain::Flag(value) => Json::Bool(value),
                Plain::Number(value) => Json::Number(value),
                Plain::NotFinite => return Err(format!("{} has no form in JSON", scalar.text)),
                Plain::Text => Json::String(scalar.text.clone()),
            }
        }
        Value::Scalar(scalar) => Json::String(scalar.text.clone()),
        Value::List(items) => Json::Array(items.iter().map(json).collect::<Result<_, _>>()?),
        Value::Map(map) => {
            let mut object = JsonMap::new();
            for entry in &map.entries {
                object.insert(entry.key.clone(), json(&entry.value)?);
            }
            Json::Object(object)
        }
    })
}

/// A number or boolean as JSON even where it arrived as text.
pub(super) fn json_scalar(node: &Node) -> Result<Json, String> {
    match node.scalar().map(|scalar| plain(scalar.text.trim())) {
        Some(Plain::Flag(value)) => Ok(Json::Bool(value)),
        Some(Plain::Number(value)) => Ok(Json::Number(value)),
        _ => json(node),
    }
}

fn plain(text: &str) -> Plain {
    match text {
        "true" | "True" | "TRUE" => return Plain::Flag(true),
        "false" | "False" | "FALSE" => return Plain::Flag(false),
        ".nan" | ".NaN" | ".NAN" => return Plain::NotFinite,
        _ => {}
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") {
        return Plain::NotFinite;
    }
    let radix = |digits: &str, radix| u64::from_str_radix(digits, radix).ok().map(Number::from);
    if let Some(digits) = text.strip_prefix("0o") {
        return radix(digits, 8).map_or(Plain::Text, Plain::Number);
    }
    if let Some(digits) = text.strip_prefix("0x") {
        return radix(digits, 16).map_or(Plain::Text, Plain::Number);
    }
    let begins = unsigned
        .strip_prefix('.')
        .unwrap_or(unsigned)
        .starts_with(|c: char| c.is_ascii_digit());
    let allowed = unsigned
        .chars()
        .all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '-' | '+'));
    if !begins || !allowed {
        return Plain::Text;
    }
    let digits = text.strip_prefix('+').unwrap_or(text);
    if let Ok(value) = digits.parse::<u64>() {
        return Plain::Number(value.into());
    }
    if let Ok(value) = digits.parse::<i64>() {
        return Plain::Number(value.into());
    }
    match digits.parse::<f64>() {
        Ok(value) => Number::from_f64(value).map_or(Plain::NotFinite, Plain::Number),
        Err(_) => Plain::Text,
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse::parse;
    use super::*;
    use proptest::prelude::*;

    fn node(yaml: &str) -> Node {
        parse(yaml).expect("test data is YAML")
    }

    #[test]
    fn scalars_follow_yaml_1_2() {
        for (yaml, expected) in [
            ("1", "1"),
            ("-7", "-7"),
            ("0o17", "15"),
            ("0x1F", "31"),
            ("2.5e-06", "2.5e-6"),
            (".5", "0.5"),
            ("true", "true"),
            ("yes", "\"yes\""),
            ("off", "\"off\""),
            ("2024-02-15", "\"2024-02-15\""),
            ("2024-02-15-preview", "\"2024-02-15-preview\""),
            ("1.2.3", "\"1.2.3\""),
            ("'1'", "\"1\""),
            ("\"true\"", "\"true\""),
            ("~", "null"),
            ("''", "\"\""),
            ("!!str 5", "\"5\""),
            ("[1, {a: b}]", "[1,{\"a\":\"b\"}]"),
        ] {
            assert_eq!(
                json(&node(yaml)).map(|v| v.to_string()),
                Ok(expected.to_owned()),
                "{yaml}"
            );
        }
        assert!(json(&node(".inf")).is_err());
    }

    #[test]
    fn digits_in_text_are_numbers_where_one_belongs() {
        assert_eq!(integer(&node("'6379'"), 1, 65535), Ok(6379));
        assert_eq!(integer(&node("3.0"), 0, 9), Ok(3));
        assert!(integer(&node("port"), 1, 65535).is_err());
        assert!(integer(&node("-1"), 0, 9).is_err());
        assert!(integer(&node("70000"), 1, 65535).is_err());
        assert_eq!(flag(&node("'false'")), Ok(false));
        assert!(
            flag(&node("no"))
                .expect_err("text")
                .contains("allowed: true, false")
        );
        assert!(flag(&node("1")).is_err());
    }

    #[test]
    fn times_and_sizes() {
        for (yaml, expected) in [
            ("5", 5000),
            ("0.5", 500),
            ("500ms", 500),
            ("5s", 5000),
            ("2m", 120_000),
            ("1h", 3_600_000),
            ("1d", 86_400_000),
        ] {
            assert_eq!(
                duration(&node(yaml), false),
                Ok(Duration::from_millis(expected)),
                "{yaml}"
            );
        }
        for yaml in [
            "0", "-1", "5 apples", "1e300", ".nan", "nan", "inf", "", "[]",
        ] {
            assert!(duration(&node(yaml), false).is_err(), "{yaml}");
            assert!(seconds(&node(yaml), false).is_err(), "{yaml}");
        }
        assert_eq!(seconds(&node("0"), true), Ok(Duration::ZERO));
        for (yaml, expected) in [
            ("10", 10),
            ("32MiB", 32 << 20),
            ("1kb", 1000),
            ("2 GiB", 2 << 30),
        ] {
            assert_eq!(size(&node(yaml)), Ok(expected), "{yaml}");
        }
        assert!(size(&node("-1")).is_err() && size(&node("99999999GiB")).is_err());
    }

    #[test]
    fn passwords_in_urls_are_masked() {
        for (url, expected) in [
            ("redis://:secret@host:1", "redis://***@host:1"),
            ("redis://u:p@ss/w@host:port", "redis://***@host:port"),
            ("http://host/a@b", "http://***@b"),
            ("no url @ all", "no url @ all"),
        ] {
            assert_eq!(mask_url(url), expected);
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in ".*") {
            let node = Node::made_up(super::super::tree::Pos::default(), &text);
            let _ = (flag(&node), number(&node), integer(&node, 0, 9), duration(&node, true), size(&node), json(&node));
            let _ = shown(&node, false);
        }
    }
}
