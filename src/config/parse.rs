//! YAML text to a [`Node`], from the parser's events.
//!
//! The file may come from anywhere, so work is bounded: nesting, the number of values and the bytes of text, all
//! counted *after* aliases (`*name`) were replaced by what they stand for.

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, Span, Tag};

use super::tree::{Entry, Map, Node, Pos, Scalar, Value};

/// Deepest nesting of lists and mappings.
const MAX_DEPTH: usize = 64;
/// Most keys and values, aliases replaced.
const MAX_NODES: usize = 100_000;
/// Most bytes of text in all scalars, aliases replaced.
const MAX_BYTES: usize = 16 << 20;

/// Why a text is not a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) at: Pos,
    pub(super) message: String,
}

/// Reads the one document of `text`. An empty file is null.
pub(super) fn parse(text: &str) -> Result<Node, Problem> {
    let mut options =
        granit_parser::options! { flow_nesting_limit: MAX_DEPTH, block_nesting_limit: MAX_DEPTH };
    options.set_emit_comments(false);
    let mut builder = Builder::default();
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(|error| {
            let at = Pos {
                line: error.marker().line(),
                column: error.marker().col() + 1,
            };
            Problem {
                at,
                message: explain(text, at, &error.info()),
            }
        })?;
        builder.event(event, &span)?;
    }
    Ok(builder
        .root
        .unwrap_or_else(|| Node::leaf(Pos { line: 1, column: 1 }, Value::Null, 0)))
}

fn place(span: &Span) -> Pos {
    Pos {
        line: span.start.line(),
        column: span.start.col() + 1,
    }
}

/// The parser's words, and more where a common mistake is behind them.
fn explain(text: &str, at: Pos, info: &str) -> String {
    let here = text.lines().skip(at.line.saturating_sub(2)).take(2);
    let more = if here.clone().any(|line| line.trim() == "...") {
        "; \"...\" stands for lines that were left out: write them, or remove the line"
    } else if here
        .clone()
        .any(|line| line.trim_start_matches(' ').starts_with('\t'))
    {
        "; YAML is indented with spaces, not tabs"
    } else if here
        .clone()
        .any(|line| line.contains("${") && line.contains(['{', '[']))
    {
        "; between { } or [ ] a ${NAME} needs quotes"
    } else {
        ""
    };
    format!("this is not YAML: {info}{more}")
}

/// The tag as written, unless it is one of YAML's own.
fn custom(tag: Option<&Tag>) -> Option<String> {
    tag.filter(|tag| tag.is_custom())
        .map(Tag::original)
        .filter(|tag| tag != "!")
}

enum Open {
    List(Vec<Node>),
    Map {
        map: Map,
        key: Option<(String, Pos, bool)>,
    },
}

struct Frame {
    open: Open,
    at: Pos,
    tag: Option<String>,
    anchor: usize,
    height: usize,
    nodes: usize,
    bytes: usize,
}

#[derive(Default)]
struct Builder {
    stack: Vec<Frame>,
    root: Option<Node>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    bytes: usize,
    documents: usize,
}

impl Builder {
    fn event(&mut self, event: Event<'_>, span: &Span) -> Result<(), Problem> {
        let at = place(span);
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    let message =
                        "a second YAML document begins here; one file is one configuration"
                            .to_owned();
                    return Err(Problem { at, message });
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain;
                let plain = match tag.as_ref().map(|tag| tag.core_suffix().unwrap_or("")) {
                    None => plain,
                    Some("int" | "float" | "bool" | "null") => true,
                    Some(_) => false,
                };
                self.spend(at, 1, text.len())?;
                let null = plain && matches!(&*text, "" | "~" | "null" | "Null" | "NULL");
                let bytes = text.len();
                let value = if null && !self.expects_key() {
                    Value::Null
                } else {
                    let text = text.into_owned();
                    Value::Scalar(Scalar {
                        raw: text.clone(),
                        text,
                        plain,
                        variables: Vec::new(),
                    })
                };
                let node = Node {
                    tag: custom(tag.as_deref()),
                    ..Node::leaf(at, value, bytes)
                };
                self.deliver(node, anchor)?;
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.open(at, anchor, custom(tag.as_deref()), Open::List(Vec::new()));
            }
            Event::MappingStart(_, anchor, tag) => {
                let map = Open::Map {
                    map: Map::default(),
                    key: None,
                };
                self.open(at, anchor, custom(tag.as_deref()), map);
            }
            Event::SequenceEnd | Event::MappingEnd => self.close()?,
            Event::Alias(id) => {
                let Some(mut node) = self.anchors.get(&id).cloned() else {
                    return Err(Problem {
                        at,
                        message: "an alias to something it stands in itself".to_owned(),
                    });
                };
                if self.stack.len() + node.height > MAX_DEPTH {
                    return Err(Problem {
                        at,
                        message: format!("nested more than {MAX_DEPTH} deep"),
                    });
                }
                self.spend(at, node.nodes, node.bytes)?;
                node.at = at;
                self.deliver(node, 0)?;
            }
            // Stream and document ends; comments are not asked for.
            _ => {}
        }
        Ok(())
    }

    fn expects_key(&self) -> bool {
        matches!(
            self.stack.last(),
            Some(Frame {
                open: Open::Map { key: None, .. },
                ..
            })
        )
    }

    fn open(&mut self, at: Pos, anchor: usize, tag: Option<String>, open: Open) {
        self.stack.push(Frame {
            open,
            at,
            tag,
            anchor,
            height: 0,
            nodes: 0,
            bytes: 0,
        });
    }

    fn close(&mut self) -> Result<(), Problem> {
        let Some(frame) = self.stack.pop() else {
            return Ok(());
        };
        self.spend(frame.at, 1, 0)?;
        let value = match frame.open {
            Open::List(items) => Value::List(items),
            Open::Map { map, .. } => Value::Map(map.merged()),
        };
        let node = Node {
            at: frame.at,
            value,
            tag: frame.tag,
            height: frame.height + 1,
            nodes: frame.nodes + 1,
            bytes: frame.bytes,
        };
        self.deliver(node, frame.anchor)
    }

    fn deliver(&mut self, node: Node, anchor: usize) -> Result<(), Problem> {
        if anchor > 0 {
            self.spend(node.at, node.nodes, node.bytes)?;
            self.anchors.insert(anchor, node.clone());
        }
        let Some(frame) = self.stack.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        frame.height = frame.height.max(node.height);
        frame.nodes += node.nodes;
        frame.bytes += node.bytes;
        match &mut frame.open {
            Open::List(items) => items.push(node),
            Open::Map { map, key } => match key.take() {
                Some((name, at, plain)) => map.add(name, at, plain, node),
                None => match node.value {
                    Value::Scalar(scalar) => *key = Some((scalar.text, node.at, scalar.plain)),
                    Value::Null => *key = Some(("null".to_owned(), node.at, false)),
                    Value::List(_) | Value::Map(_) => {
                        let message = "a list or mapping cannot be a key".to_owned();
                        map.problems.push((node.at, "?".to_owned(), message));
                        *key = Some(("?".to_owned(), node.at, false));
                    }
                },
            },
        }
        Ok(())
    }

    fn spend(&mut self, at: Pos, nodes: usize, bytes: usize) -> Result<(), Problem> {
        self.nodes += nodes;
        self.bytes += bytes;
        let message = if self.nodes > MAX_NODES {
            format!("more than {MAX_NODES} values, aliases counted as often as they are used")
        } else if self.bytes > MAX_BYTES {
            format!(
                "more than {} MiB of text, aliases counted as often as they are used",
                MAX_BYTES >> 20
            )
        } else {
            return Ok(());
        };
        Err(Problem { at, message })
    }
}

impl Map {
    /// Adds an entry. A `<<` stays an entry under a name no file can write until [`Map::merged`].
    fn add(&mut self, key: String, at: Pos, plain: bool, value: Node) {
        if plain && key == "<<" {
            self.entries.push(Entry {
                key: MERGE.to_owned(),
                at,
                value,
            });
            return;
        }
        self.entries.push(Entry { key, at, value });
    }

    /// Takes duplicates out and merges in: a key written here wins, then the first merged mapping that has it.
    fn merged(mut self) -> Self {
        let mut first: HashMap<String, Pos> = HashMap::new();
        let mut entries = Vec::with_capacity(self.entries.len());
        let mut merges = Vec::new();
        for entry in self.entries {
            if entry.key == MERGE {
                merges.push(entry);
            } else if let Some(before) = first.get(&entry.key) {
                let message = format!("given twice; it already stands in line {}", before.line);
                self.problems.push((entry.at, entry.key, message));
            } else {
                first.insert(entry.key.clone(), entry.at);
                entries.push(entry);
            }
        }
        for merge in merges {
            let sources = match merge.value.value {
                Value::Map(map) => vec![Value::Map(map)],
                Value::List(items) => items.into_iter().map(|item| item.value).collect(),
                other => vec![other],
            };
            for source in sources {
                let Value::Map(source) = source else {
                    let message = "needs a mapping, or a list of mappings".to_owned();
                    self.problems.push((merge.at, "<<".to_owned(), message));
                    continue;
                };
                for entry in source.entries {
                    if !first.contains_key(&entry.key) {
                        first.insert(entry.key.clone(), entry.at);
                        entries.push(entry);
                    }
                }
            }
        }
        Self {
            entries,
            problems: self.problems,
        }
    }
}

/// No YAML text contains NUL.
const MERGE: &str = "\0<<";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn outline(node: &Node) -> String {
        match &node.value {
            Value::Null => "null".to_owned(),
            Value::Scalar(s) if s.plain => s.text.clone(),
            Value::Scalar(s) => format!("'{}'", s.text),
            Value::List(items) => format!(
                "[{}]",
                items.iter().map(outline).collect::<Vec<_>>().join(",")
            ),
            Value::Map(map) => {
                let entry = |e: &Entry| format!("{}:{}", e.key, outline(&e.value));
                format!(
                    "{{{}}}",
                    map.entries.iter().map(entry).collect::<Vec<_>>().join(",")
                )
            }
        }
    }

    #[test]
    fn reads_what_yaml_means() {
        for (yaml, expected) in [
            ("", "null"),
            ("# only a comment\n", "null"),
            ("a: 1\nb: '2'", "{a:1,b:'2'}"),
            ("- x\n- [y, ~]", "[x,[y,null]]"),
            (
                "base: &b {x: 1, y: 2}\nuse: {<<: *b, y: 3}",
                "{base:{x:1,y:2},use:{y:3,x:1}}",
            ),
            (
                "a: &a {x: 1}\nb: &b {x: 2, z: 3}\nc: {<<: [*a, *b]}",
                "{a:{x:1},b:{x:2,z:3},c:{x:1,z:3}}",
            ),
            ("a: &s text\nb: *s", "{a:text,b:text}"),
            ("a: |\n  x\n", "{a:'x\n'}"),
            ("? a\n: b", "{a:b}"),
            ("null: x", "{null:x}"),
        ] {
            assert_eq!(
                parse(yaml).map(|n| outline(&n)),
                Ok(expected.to_owned()),
                "{yaml}"
            );
        }
    }

    #[test]
    fn places_count_from_one() {
        let tree = parse("a:\n  - bb: cc\n").expect("YAML");
        let item = &tree.get("a").expect("a").items()[0];
        let entry = item.entry("bb").expect("bb");
        assert_eq!((entry.at.line, entry.at.column), (2, 5));
        assert_eq!((entry.value.at.line, entry.value.at.column), (2, 9));
    }

    #[test]
    fn duplicates_are_complaints_of_their_mapping() {
        let tree = parse("a: 1\nb: {x: 1, x: 2}\n").expect("YAML");
        let Value::Map(map) = &tree.get("b").expect("b").value else {
            panic!("not a mapping")
        };
        assert_eq!(map.problems.len(), 1);
        assert!(map.problems[0].2.contains("line 2"));
    }

    #[test]
    fn hostile_files_are_refused_soon() {
        let bomb = (1..40).fold("a0: &a0 [x, x]\n".to_owned(), |text, i| {
            format!("{text}a{i}: &a{i} [*a{0}, *a{0}]\n", i - 1)
        });
        let chain = (1..200).fold("a0: &a0 [x]\n".to_owned(), |text, i| {
            format!("{text}a{i}: &a{i} [*a{}]\n", i - 1)
        });
        let long = format!("a: &a {}\nb: [{}]", "x".repeat(1 << 20), "*a, ".repeat(100));
        for (name, text) in [
            ("alias bomb", bomb),
            ("alias chain", chain),
            ("long alias", long),
            ("brackets", "[".repeat(100_000)),
            ("braces", "{a: ".repeat(100_000)),
            ("dashes", "- ".repeat(100_000)),
            ("questions", "? ".repeat(100_000)),
            ("many", "- a\n".repeat(200_000)),
            ("self", "&a [*a]".to_owned()),
            ("two documents", "a: 1\n---\nb: 2\n".to_owned()),
        ] {
            assert!(parse(&text).is_err(), "{name}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "[-a:\\[\\]{}&*<!|>'\"?#%@, \n\t]{0,60}") {
            let _ = parse(&text);
        }
    }
}
