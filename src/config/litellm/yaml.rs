//! A tree as YAML text, block by block. Values are written as they stand in the file, references to variables included.

use std::fmt::Write as _;

use serde_json::Value as Json;

use crate::config::tree::{Entry, Node, Pos, Scalar, Value};
use crate::config::value;

/// The text of a converted file. `note` gives the comment above a list's item, by its place.
pub(super) fn write(root: &Node, note: &dyn Fn(Pos) -> Option<String>) -> String {
    let mut writer = Writer {
        out: String::new(),
        note,
    };
    for entry in root.entries() {
        if !writer.out.is_empty() {
            writer.out.push('\n');
        }
        writer.entry(entry, 0);
    }
    writer.out
}

/// The name of the one anchor there is.
const ROUTER: &str = "router";

struct Writer<'a> {
    out: String,
    note: &'a dyn Fn(Pos) -> Option<String>,
}

impl Writer<'_> {
    fn entry(&mut self, entry: &Entry, indent: usize) {
        let _ = write!(self.out, "{:indent$}{}:", "", word(&entry.key));
        match &entry.value.value {
            Value::List(items) if entry.key == "model_groups" => self.groups(items, indent),
            _ => self.value(&entry.value, indent),
        }
    }

    /// What stands behind a key.
    fn value(&mut self, node: &Node, indent: usize) {
        match &node.value {
            Value::Null => self.out.push_str(" null\n"),
            Value::Scalar(scalar) => {
                let _ = writeln!(self.out, " {}", text(scalar));
            }
            Value::List(items) if items.is_empty() => self.out.push_str(" []\n"),
            Value::Map(map) if map.entries.is_empty() => self.out.push_str(" {}\n"),
            Value::List(items) => {
                self.out.push('\n');
                for item in items {
                    self.item(item, indent + 2);
                }
            }
            Value::Map(map) => {
                self.out.push('\n');
                for entry in &map.entries {
                    self.entry(entry, indent + 2);
                }
            }
        }
    }

    /// `- ` and what follows it.
    fn item(&mut self, node: &Node, indent: usize) {
        let mut inner = Writer {
            out: String::new(),
            note: self.note,
        };
        match &node.value {
            Value::Map(map) if !map.entries.is_empty() => {
                for entry in &map.entries {
                    inner.entry(entry, indent + 2);
                }
            }
            Value::List(items) if !items.is_empty() => {
                for item in items {
                    inner.item(item, indent + 2);
                }
            }
            // A leaf is written behind its dash as it is behind a key.
            _ => inner.value(node, 0),
        }
        let _ = write!(
            self.out,
            "{:indent$}- {}",
            "",
            inner.out.trim_start_matches(' ')
        );
    }

    /// The groups. Most have the same router: it is written once, and the others refer to it.
    fn groups(&mut self, groups: &[Node], indent: usize) {
        self.out.push('\n');
        let mut anchored: Option<&Node> = None;
        for (i, group) in groups.iter().enumerate() {
            if let Some(note) = (self.note)(group.at) {
                let _ = writeln!(self.out, "{:1$}# {note}", "", indent + 2);
            }
            for (j, entry) in group.entries().iter().enumerate() {
                let start = self.out.len();
                let router = (entry.key == "router").then_some(&entry.value);
                let again = |other: &Node| router.is_some_and(|router| equal(router, other));
                let later = groups[i + 1..]
                    .iter()
                    .filter_map(|group| group.get("router"));
                if anchored.is_some_and(again) {
                    let _ = writeln!(self.out, "{:1$}router: *{ROUTER}", "", indent + 4);
                } else if anchored.is_none() && later.clone().any(again) {
                    let _ = write!(self.out, "{:1$}router: &{ROUTER}", "", indent + 4);
                    self.value(&entry.value, indent + 4);
                    anchored = router;
                } else {
                    self.entry(entry, indent + 4);
                }
                if j == 0 {
                    self.out
                        .replace_range(start + indent + 2..start + indent + 3, "-");
                }
            }
        }
    }
}

/// Whether both would be written alike.
fn equal(a: &Node, b: &Node) -> bool {
    match (&a.value, &b.value) {
        (Value::Null, Value::Null) => true,
        (Value::Scalar(a), Value::Scalar(b)) => text(a) == text(b),
        (Value::List(a), Value::List(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b))
        }
        (Value::Map(a), Value::Map(b)) => {
            let pair = |(a, b): (&Entry, &Entry)| a.key == b.key && equal(&a.value, &b.value);
            a.entries.len() == b.entries.len() && a.entries.iter().zip(&b.entries).all(pair)
        }
        _ => false,
    }
}

/// A scalar, quoted where it must be: to be YAML at all, or to stay the text that it was in quotes.
fn text(scalar: &Scalar) -> String {
    let raw = &scalar.raw;
    let unquoted = Node::made_up(Pos::default(), raw);
    let by_itself = matches!(value::json(&unquoted), Ok(Json::String(_)))
        && !matches!(
            &**raw,
            "~" | "null" | "Null" | "NULL" | ".inf" | "-.inf" | ".nan"
        );
    if plain(raw) && (scalar.plain || by_itself) {
        raw.clone()
    } else {
        quoted(raw)
    }
}

fn word(key: &str) -> String {
    if plain(key) {
        key.to_owned()
    } else {
        quoted(key)
    }
}

fn quoted(text: &str) -> String {
    // A JSON text is a YAML text, but for two characters that YAML takes for the end of a line.
    Json::from(text)
        .to_string()
        .replace('\u{85}', "\\u0085")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
        .replace('\u{7f}', "\\u007f")
        .replace('\u{feff}', "\\ufeff")
}

/// Whether YAML reads it as one scalar without quotes, as the value of a key.
fn plain(text: &str) -> bool {
    let mut chars = text.chars();
    let Some(first) = chars.next() else {
        return false;
    };
    let second = chars.next();
    let begins = match first {
        '-' | '?' | ':' => second.is_some_and(|c| c.is_ascii_alphanumeric() || c == '.'),
        ',' | '[' | ']' | '{' | '}' | '#' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%'
        | '@' | '`' => false,
        _ => true,
    };
    begins
        && text.trim() == text
        && !text.contains(": ")
        && !text.contains(" #")
        && !text.ends_with(':')
        && !text.starts_with("---")
        && !text.starts_with("...")
        && text != "<<"
        && text
            .chars()
            .all(|c| !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse::parse;
    use proptest::prelude::*;

    fn round_trip(yaml: &str) {
        let tree = parse(yaml).expect("YAML");
        let written = write(&tree, &|_| None);
        let again = parse(&written).unwrap_or_else(|error| panic!("{error:?}\n{written}"));
        assert!(same(&tree, &again), "{yaml}\nbecame\n{written}");
    }

    /// Equal as values: what is quoted is a text.
    fn same(a: &Node, b: &Node) -> bool {
        match (&a.value, &b.value) {
            (Value::Scalar(x), Value::Scalar(y)) => {
                x.raw == y.raw && value::json(a) == value::json(b)
            }
            (Value::List(x), Value::List(y)) => {
                x.len() == y.len() && x.iter().zip(y).all(|(x, y)| same(x, y))
            }
            (Value::Map(x), Value::Map(y)) => {
                x.entries.len() == y.entries.len()
                    && x.entries
                        .iter()
                        .zip(&y.entries)
                        .all(|(x, y)| x.key == y.key && same(&x.value, &y.value))
            }
            (Value::Null, Value::Null) => true,
            _ => false,
        }
    }

    #[test]
    fn what_is_written_reads_the_same() {
        for yaml in [
            "a: 1\nb: '1'\nc: true\nd: 'true'\ne: ~\nf: 'null'\ng: ''\n",
            "a: [x, [y, [z]], {b: c}, [], {}]\n",
            "a: {b: {c: {d: [1, 2]}}}\n",
            "a: ${NAME}\nb: '${NAME}'\nc: '*'\nd: 'a: b'\ne: 'x #y'\nf: \"line\\nline\"\n",
            "a: [~, 'x', {k: ~}]\n",
            "'a b: c': 1\n'*': 2\n'': 3\n",
            "model_groups: [{id: a, router: {x: 1}}, {id: b, router: {x: 1}}, {id: c, router: {x: '1'}}]\n",
        ] {
            round_trip(yaml);
        }
    }

    #[test]
    fn equal_routers_are_written_once() {
        let tree = parse("model_groups: [{id: a, router: {x: 1}}, {id: b, router: {x: 1}}]\n")
            .expect("YAML");
        assert_eq!(
            write(&tree, &|_| Some("here".to_owned())),
            "model_groups:\n  # here\n  - id: a\n    router: &router\n      x: 1\n  # here\n  - id: b\n    router: *router\n"
        );
    }

    proptest! {
        #[test]
        fn any_text_survives(text in "[-a1:\\[\\]{}&*<!|>'\"?#%@, ~.\n\t\u{85}\u{2028}é$]{0,12}") {
            round_trip(&format!("a: {}\n{}: [{}]\n", quoted(&text), quoted(&format!("k{text}")), quoted(&text)));
        }
    }
}
