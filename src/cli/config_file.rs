//! The configuration file, as the commands that read one take it.

use std::path::PathBuf;

use crate::config::{self, Config};

/// Which file.
#[derive(clap::Args, Debug)]
pub(super) struct ConfigFile {
    /// Configuration file: an endpoints.yml, or a config.yaml of LiteLLM
    #[arg(
        long = "config",
        short = 'c',
        env = "WAYPOST_CONFIG",
        default_value = "endpoints.yml",
        value_name = "FILE"
    )]
    pub(super) path: PathBuf,
}

impl ConfigFile {
    /// Reads it, and tells its findings on standard error; `None` if one of them is an error.
    pub(super) fn load(&self) -> Option<Config> {
        let env = |name: &str| std::env::var(name).ok();
        let (config, findings) = match config::load(&self.path, &env, false) {
            Ok((config, findings)) => (Some(config), findings),
            Err(findings) => (None, findings),
        };
        for finding in &findings {
            anstream::eprintln!("{finding}");
        }
        config
    }
}
