//! Where the parts of a converted tree come from: each place of the original file with its path there, so that a
//! finding about the converted tree names the key that the user has written.

use std::collections::HashMap;

use crate::config::check::join;
use crate::config::finding::Finding;
use crate::config::tree::{Node, Pos, Value};

/// Lines of the second file begin behind this number, of the third behind twice as many: more than a file of the
/// largest size can have.
pub(super) const STRIDE: usize = 10_000_000;

/// The original's places.
#[derive(Clone, Debug, Default)]
pub(in crate::config) struct Origin {
    /// A mapping begins where its first key does, so a place may have more than one path; the outermost comes first.
    paths: HashMap<Pos, Vec<String>>,
    /// The included files, in the order of their lines.
    files: Vec<String>,
}

impl Origin {
    /// Of the trees of a file and of those it includes.
    pub(super) fn of(trees: &[Node], files: Vec<String>) -> Self {
        let mut origin = Self {
            paths: HashMap::new(),
            files,
        };
        for tree in trees {
            origin.walk(tree, "");
        }
        origin
    }

    fn walk(&mut self, node: &Node, path: &str) {
        self.add(node.at, path);
        match &node.value {
            Value::Null | Value::Scalar(_) => {}
            Value::List(items) => {
                for (i, item) in items.iter().enumerate() {
                    self.walk(item, &format!("{path}[{i}]"));
                }
            }
            Value::Map(map) => {
                for entry in &map.entries {
                    let path = join(path, &entry.key);
                    self.add(entry.at, &path);
                    self.walk(&entry.value, &path);
                }
            }
        }
    }

    fn add(&mut self, at: Pos, path: &str) {
        let paths = self.paths.entry(at).or_default();
        if !paths.iter().any(|known| known == path) {
            paths.push(path.to_owned());
        }
    }

    /// Puts the original's path and file in the place of the converted tree's.
    pub(in crate::config) fn restore(&self, finding: &mut Finding) {
        let converted =
            finding.key.starts_with("model_groups") || finding.key.starts_with("waypost");
        let at = Pos {
            line: finding.line,
            column: finding.column,
        };
        if let Some(paths) = self.paths.get(&at).filter(|_| converted) {
            let last = |path: &str| path.rsplit('.').next().map(str::to_owned);
            let same = paths.iter().find(|path| last(path) == last(&finding.key));
            // What is about a model is about its entry; what is about other groups, about the name in a list.
            let other = if finding.key.starts_with("waypost") {
                paths.last()
            } else {
                paths.first()
            };
            if let Some(path) = same.or(other) {
                finding.key.clone_from(path);
            }
        }
        if let Some(file) = finding
            .line
            .checked_div(STRIDE)
            .and_then(|n| self.files.get(n.checked_sub(1)?))
        {
            finding.file.clone_from(file);
            finding.line %= STRIDE;
        }
        if !self.files.is_empty() {
            self.name_files(&mut finding.message);
        }
    }

    /// `line 10000007` of a message is line 7 of the first included file.
    fn name_files(&self, message: &mut String) {
        let Some((before, rest)) = message.split_once("line ") else {
            return;
        };
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let line: usize = rest[..digits].parse().unwrap_or_default();
        let file = (line / STRIDE)
            .checked_sub(1)
            .and_then(|n| self.files.get(n));
        if let Some(file) = file {
            *message = format!(
                "{before}line {} of {file}{}",
                line % STRIDE,
                &rest[digits..]
            );
        }
    }
}

/// Moves everything below `node` to the lines of the `n`th included file.
pub(super) fn shift(node: &mut Node, n: usize) {
    let down = |at: &mut Pos| at.line += n * STRIDE;
    down(&mut node.at);
    match &mut node.value {
        Value::Null | Value::Scalar(_) => {}
        Value::List(items) => items.iter_mut().for_each(|item| shift(item, n)),
        Value::Map(map) => {
            for (at, _, _) in &mut map.problems {
                down(at);
            }
            for entry in &mut map.entries {
                down(&mut entry.at);
                shift(&mut entry.value, n);
            }
        }
    }
}
