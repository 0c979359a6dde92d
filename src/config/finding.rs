//! What the checks say: one [`Finding`] per problem, each with the place it stands at.
//!
//! Nothing here decides anything. The one rule it keeps is the order: by line and column, so that a reader can walk
//! through the file from top to bottom. Values of secrets never get here; the code that makes a message takes care of
//! that (see [`super::value::shown`]).

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use super::litellm::Origin;
use super::tree::Pos;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The file cannot be used.
    Error,
    /// The file can be used, but probably not the way its author thinks.
    Warning,
}

/// One thing to say about a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The file, as it was named on the command line.
    pub file: String,
    /// Line, from 1; 0 where the whole file is meant.
    pub line: usize,
    /// Column in characters, from 1; 0 where the whole file is meant.
    pub column: usize,
    /// Path of the key, such as `model_groups[1].router.cooldown_time`; empty where the whole file is meant.
    pub key: String,
    /// What is wrong, what is allowed, and the nearest known name.
    pub message: String,
}

impl fmt::Display for Finding {
    /// `file:line:column: key: message`, with `warning: ` before the message of a warning.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file)?;
        if self.line > 0 {
            write!(f, "{}:{}:", self.line, self.column)?;
        }
        if !self.key.is_empty() {
            write!(f, " {}:", self.key)?;
        }
        if self.severity == Severity::Warning {
            f.write_str(" warning:")?;
        }
        write!(f, " {}", self.message)
    }
}

/// Errors and warnings kept of one file, of each.
const LIMIT: usize = 1000;

/// Collects findings while a file is checked.
#[derive(Debug, Default)]
pub(super) struct Findings {
    list: Vec<Finding>,
    file: String,
    muted: HashSet<Pos>,
    /// Warnings and errors kept.
    kept: [usize; 2],
    /// Where a converted file's parts come from.
    origin: Option<Arc<Origin>>,
}

impl Findings {
    pub(super) fn new(file: &str) -> Self {
        Self {
            list: Vec::new(),
            muted: HashSet::new(),
            kept: [0; 2],
            file: file.to_owned(),
            origin: None,
        }
    }

    /// Findings are about a converted file, and are to name the original's keys.
    pub(super) fn restore_by(&mut self, origin: Origin) {
        self.origin = Some(Arc::new(origin));
    }

    /// For more to say about the same file.
    pub(super) fn like(&self) -> Self {
        Self {
            origin: self.origin.clone(),
            ..Self::new(&self.file)
        }
    }

    pub(super) fn push(
        &mut self,
        severity: Severity,
        at: Pos,
        key: &str,
        message: impl Into<String>,
    ) {
        if self.muted.contains(&at) {
            return;
        }
        let finding = Finding {
            severity,
            file: self.file.clone(),
            line: at.line,
            column: at.column,
            key: key.to_owned(),
            message: message.into(),
        };
        // A file with more mistakes than this is not a configuration; what it says further on helps nobody. Errors
        // and warnings are counted apart, so that no number of warnings hides an error.
        let kept = &mut self.kept[usize::from(severity == Severity::Error)];
        if *kept < LIMIT {
            *kept += 1;
            self.list.push(finding);
        }
    }

    /// Keeps nothing more about that place: everything that could be said follows from what was said.
    pub(super) fn mute(&mut self, at: Pos) {
        self.muted.insert(at);
    }

    /// Whether further errors would not be kept, so that looking for hints is a waste.
    pub(super) fn full(&self) -> bool {
        self.kept[1] >= LIMIT
    }

    pub(super) fn error(&mut self, at: Pos, key: &str, message: impl Into<String>) {
        self.push(Severity::Error, at, key, message);
    }

    pub(super) fn warning(&mut self, at: Pos, key: &str, message: impl Into<String>) {
        self.push(Severity::Warning, at, key, message);
    }

    /// Whether there is an error.
    pub(super) fn failed(&self) -> bool {
        self.kept[1] > 0
    }

    /// The findings by place, and whether one of them is an error.
    pub(super) fn finish(mut self) -> (Vec<Finding>, bool) {
        self.list.sort_by_key(|f| (f.line, f.column, f.severity));
        // One mistake behind an alias or a merge, or in settings of all groups, is found wherever it is used.
        let mut seen = HashSet::new();
        self.list
            .retain(|f| seen.insert((f.line, f.column, f.message.clone())));
        if let Some(origin) = &self.origin {
            self.list.iter_mut().for_each(|f| origin.restore(f));
        }
        let failed = self.list.iter().any(|f| f.severity == Severity::Error);
        (self.list, failed)
    }
}
