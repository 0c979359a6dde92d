//! Where a ledger is and which part of it is meant, as the commands that read one take it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use std::vec::IntoIter;

use anyhow::{Context, bail};

use super::config_file::ConfigFile;
use super::in_force::plural;
use crate::clock::{Clock, SystemClock};
use crate::types::{LedgerSettings, RedisTarget};
use crate::usage::ledger::{self, Line, Records};
use crate::usage::totals::Period;

/// Errors that are told one by one; of more only the number.
const TOLD: u64 = 10;

/// Which ledger.
#[derive(clap::Args, Debug)]
pub(super) struct LedgerFolder {
    /// The ledger's folder; several are read one after the other [default: the one the configuration file names]
    #[arg(long, value_name = "DIR")]
    ledger: Vec<PathBuf>,
    #[command(flatten)]
    config: ConfigFile,
}

impl LedgerFolder {
    /// The folders, which can be read.
    pub(super) fn find(&self) -> anyhow::Result<Vec<PathBuf>> {
        let dirs = if self.ledger.is_empty() {
            vec![self.of_config()?]
        } else {
            self.ledger.clone()
        };
        for dir in &dirs {
            std::fs::read_dir(dir).with_context(|| format!("no ledger at {}", dir.display()))?;
        }
        Ok(dirs)
    }

    /// The Redis that everyone's sums are in.
    pub(super) fn shared(&self) -> anyhow::Result<Arc<RedisTarget>> {
        let settings = self.settings()?;
        settings.redis.with_context(|| {
            format!(
                "the ledger of {} is handed over to no Redis (`waypost: redis:`)",
                self.config.path.display()
            )
        })
    }

    fn of_config(&self) -> anyhow::Result<PathBuf> {
        Ok(self.settings()?.dir)
    }

    fn settings(&self) -> anyhow::Result<LedgerSettings> {
        let file = self.config.path.display();
        let Some(config) = self.config.load() else {
            bail!("{file} can't be used; --ledger DIR names a ledger without it");
        };
        let settings = config.settings.ledger;
        settings.with_context(|| {
            format!(
                "{file} keeps no ledger (`waypost: ledger: DIR`); --ledger DIR names another one"
            )
        })
    }
}

/// Which part of it.
#[derive(clap::Args, Debug)]
pub(super) struct Span {
    /// From then on: a day or moment in UTC, or a time ago (2026-11-01, 2026-11-01T12:00:00Z, 7d, 24h)
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// Up to then; a day is meant to its end
    #[arg(long, value_name = "WHEN")]
    until: Option<String>,
}

impl Span {
    pub(super) fn period(&self) -> anyhow::Result<Period> {
        let now = SystemClock.unix();
        let moment =
            |name: &str, text: &Option<String>, of: fn(&str, Duration) -> Result<u64, String>| {
                let moment = text.as_deref().map(|text| {
                    of(text, now).map_err(|known| {
                        anyhow::anyhow!("--{name} {text}: not understood; write {known}")
                    })
                });
                moment.transpose()
            };
        Ok(Period {
            since_ms: moment("since", &self.since, Period::since)?,
            until_ms: moment("until", &self.until, Period::until)?,
        })
    }

    pub(super) const fn is_open(&self) -> bool {
        self.since.is_none() && self.until.is_none()
    }
}

/// The records of a period. What is none is told on standard error and left out.
#[derive(Debug)]
pub(super) struct Reading {
    dirs: IntoIter<PathBuf>,
    records: Option<Records>,
    period: Period,
    wrong: u64,
}

impl Reading {
    pub(super) fn of(dirs: Vec<PathBuf>, period: Period) -> Self {
        Self {
            dirs: dirs.into_iter(),
            records: None,
            period,
            wrong: 0,
        }
    }

    /// Whether all could be read; says so if not.
    pub(super) fn is_whole(&self) -> bool {
        if self.wrong > 0 {
            let n = usize::try_from(self.wrong).unwrap_or(usize::MAX);
            anstream::eprintln!(
                "{} of the ledger can't be read and {} left out here; `waypost ledger verify` tells all of them",
                plural(n, "part"),
                if n == 1 { "is" } else { "are" }
            );
        }
        self.wrong == 0
    }
}

impl Iterator for Reading {
    type Item = Line;

    fn next(&mut self) -> Option<Line> {
        loop {
            let Some(record) = self.records.as_mut().and_then(Iterator::next) else {
                self.records = Some(ledger::read(&self.dirs.next()?));
                continue;
            };
            match record {
                Ok(line) if self.period.contains(line.entry.began_ms) => return Some(line),
                Ok(_) => {}
                Err(error) => {
                    self.wrong += 1;
                    if self.wrong <= TOLD {
                        anstream::eprintln!("{error}");
                    }
                }
            }
        }
    }
}
