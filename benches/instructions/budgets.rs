//! The committed counts, and how a new count stands to them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

/// Percent a count may be above its budget: calls that the compiler inlines or not as neighbouring code changes.
pub(crate) const MARGIN: u64 = 5;
/// The same for another compiler than the one the budgets were taken with, whose code is not the same.
const OTHER_COMPILER: u64 = 25;
/// Counts that are smaller may be that many instructions above whatever the percentage is.
const SLACK: u64 = 10;

/// The budgets file.
pub(crate) struct Budgets {
    compiler: String,
    counts: BTreeMap<String, u64>,
}

/// How a count stands to its budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Within the margin.
    Fits,
    /// Above it.
    Over,
    /// So far below that the budget protects nothing.
    Loose,
    /// It has none.
    Unknown,
}

fn path() -> PathBuf {
    [
        env!("CARGO_MANIFEST_DIR"),
        "benches/instructions/budgets.txt",
    ]
    .iter()
    .collect()
}

impl Budgets {
    /// The file as it is.
    pub(crate) fn read() -> Result<Self, String> {
        let path = path();
        let text =
            std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        let mut budgets = Self {
            compiler: String::new(),
            counts: BTreeMap::new(),
        };
        for line in text
            .lines()
            .filter(|l| !l.starts_with('#') && !l.is_empty())
        {
            let (name, value) = line
                .split_once(" = ")
                .ok_or_else(|| format!("{}: `{line}` is no `name = value`", path.display()))?;
            if name == "compiler" {
                budgets.compiler = value.to_owned();
            } else {
                let count = value
                    .parse()
                    .map_err(|e| format!("{}: `{line}`: {e}", path.display()))?;
                budgets.counts.insert(name.to_owned(), count);
            }
        }
        Ok(budgets)
    }

    /// Writes the file anew.
    pub(crate) fn bless<'a>(
        compiler: &str,
        counts: impl Iterator<Item = (&'a str, u64)>,
    ) -> Result<(), String> {
        let mut text = String::from(
            "# Instructions of one operation on x86-64, as `benches/instructions` counts them; `--bless` writes this file.\n",
        );
        let _ = writeln!(text, "compiler = {compiler}");
        for (name, count) in counts {
            let _ = writeln!(text, "{name} = {count}");
        }
        let path = path();
        std::fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))
    }

    /// Percent that hold for `compiler`.
    pub(crate) fn margin(&self, compiler: &str) -> u64 {
        if self.compiler == compiler {
            MARGIN
        } else {
            OTHER_COMPILER
        }
    }

    /// The compiler the budgets were taken with.
    pub(crate) fn compiler(&self) -> &str {
        &self.compiler
    }

    /// The budget of a case.
    pub(crate) fn of(&self, name: &str) -> Option<u64> {
        self.counts.get(name).copied()
    }

    /// How `count` stands to the case's budget with `margin` percent.
    pub(crate) fn verdict(&self, name: &str, count: u64, margin: u64) -> Verdict {
        let Some(budget) = self.of(name) else {
            return Verdict::Unknown;
        };
        let margin = (budget * margin / 100).max(SLACK);
        if count > budget + margin {
            Verdict::Over
        } else if count + 2 * margin < budget {
            Verdict::Loose
        } else {
            Verdict::Fits
        }
    }
}
