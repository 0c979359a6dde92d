//! Scripts and what they are called with.

use std::sync::OnceLock;

use ::redis::Cmd;

/// A script that runs whole or not at all.
#[derive(Debug)]
pub struct Lua {
    text: &'static str,
    sha: OnceLock<String>,
}

impl Lua {
    /// A script of that text.
    #[must_use]
    pub const fn new(text: &'static str) -> Self {
        Self {
            text,
            sha: OnceLock::new(),
        }
    }

    /// What Redis knows it by, once it has seen it.
    #[must_use]
    pub fn sha(&self) -> &str {
        self.sha
            .get_or_init(|| ::redis::Script::new(self.text).get_hash().to_owned())
    }
}

/// A script with its keys, which share one tag, and arguments.
#[derive(Debug, Clone)]
pub struct Call {
    /// The script.
    pub script: &'static Lua,
    /// `KEYS`
    pub keys: Vec<String>,
    /// `ARGV`
    pub args: Vec<Vec<u8>>,
}

impl Call {
    pub(super) fn by_text(&self) -> Cmd {
        self.command("EVAL", self.script.text)
    }

    fn command(&self, name: &str, script: &str) -> Cmd {
        let mut cmd = ::redis::cmd(name);
        cmd.arg(script).arg(self.keys.len());
        cmd.arg(&self.keys).arg(&self.args);
        cmd
    }
}
