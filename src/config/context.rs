//! What every check needs: where findings go, the environment, the folder, whether to be as strict as Rasa, and whose dialect
//! the file is in.

use std::path::{Path, PathBuf};

use super::finding::Findings;
use super::tree::Pos;

/// The circumstances of one load.
pub(super) struct Context<'a> {
    pub(super) findings: Findings,
    pub(super) env: &'a dyn Fn(&str) -> Option<String>,
    pub(super) strict: bool,
    /// The file was LiteLLM's, so what Rasa would do with it is of no interest.
    pub(super) litellm: bool,
    /// Relative file names in the configuration are relative to this.
    pub(super) folder: PathBuf,
}

impl Context<'_> {
    /// The first of `names` that is set and not empty.
    pub(super) fn first_set(&self, names: &[&str]) -> Option<String> {
        names
            .iter()
            .find_map(|name| (self.env)(name).filter(|value| !value.trim().is_empty()))
    }

    /// An error in strict mode, a warning otherwise.
    pub(super) fn stricter(&mut self, at: Pos, path: &str, strict: &str, lenient: &str) {
        if self.strict {
            self.findings.error(at, path, strict);
        } else {
            self.findings.warning(at, path, lenient);
        }
    }

    /// The file `name` means.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(Path::new(name))
    }
}
