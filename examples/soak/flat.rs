//! Samples of the process over the run, and the rule by which a measure counts as flat.

use std::fmt;
use std::io::{self, Write};

/// Rows of the table.
const ROWS: usize = 20;
/// Fewest samples of a quarter for a verdict.
const ENOUGH: usize = 8;
/// Requests below which memory still warms up in the second quarter.
const LONG: usize = 200_000;
/// How much more the last quarter may have than the second one, beside an absolute slack.
const MARGIN: f64 = 0.1;

/// What is compared, and how much of it may come on top of [`MARGIN`].
struct Measure {
    name: &'static str,
    of: fn(&Sample) -> usize,
    slack: usize,
}

const MEASURES: [Measure; 4] = [
    Measure {
        name: "resident memory, KiB",
        of: |sample| sample.rss_kib,
        slack: 4096,
    },
    Measure {
        name: "open files",
        of: |sample| sample.fds,
        slack: 32,
    },
    Measure {
        name: "threads",
        of: |sample| sample.threads,
        slack: 2,
    },
    Measure {
        name: "lines of /metrics",
        of: |sample| sample.lines,
        slack: 32,
    },
];

/// A look at the process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    /// Requests begun by then.
    pub(super) done: usize,
    /// Since the start of the process.
    pub(super) seconds: f64,
    /// Resident memory.
    pub(super) rss_kib: usize,
    /// Open file descriptors.
    pub(super) fds: usize,
    pub(super) threads: usize,
    /// Requests counted in `/metrics`.
    pub(super) requests: u64,
    /// Attempts under way.
    pub(super) in_flight: u64,
    /// Open connections to deployments.
    pub(super) upstream: usize,
    /// Lines of `/metrics`.
    pub(super) lines: usize,
}

impl Sample {
    pub(super) const HEADING: &str =
        "  requests  seconds  RSS MiB  files  threads  in flight  upstream  metrics lines";
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = self.rss_kib as f64 / 1024.0;
        let Self {
            done,
            seconds,
            fds,
            threads,
            in_flight,
            upstream,
            lines,
            ..
        } = self;
        write!(
            f,
            "{done:>10}  {seconds:>7.1}  {mib:>7.1}  {fds:>5}  {threads:>7}  {in_flight:>9}  {upstream:>8}  {lines:>13}"
        )
    }
}

/// The samples of a run of so many requests.
pub(super) struct Samples {
    requests: usize,
    all: Vec<Sample>,
    shown: usize,
}

impl Samples {
    pub(super) fn new(requests: usize) -> Self {
        Self {
            requests,
            all: Vec::new(),
            shown: 0,
        }
    }

    /// Keeps it, and says whether it is to be shown.
    pub(super) fn push(&mut self, sample: Sample) -> bool {
        self.all.push(sample);
        let due = sample.done * ROWS >= self.shown * self.requests;
        if due {
            self.shown = sample.done * ROWS / self.requests.max(1) + 1;
        }
        due
    }

    /// Compares the last quarter of the requests with the second one (the first one warms up): a measure is flat if its median
    /// there is at most a tenth, and a slack of its own, above. Writes the comparison to `report`, and returns what is not flat.
    pub(super) fn verdicts(&self, report: &mut (dyn Write + Send)) -> io::Result<Vec<String>> {
        let quarter = |n: usize| -> Vec<&Sample> {
            let within = |s: &&Sample| s.done * 4 / self.requests.max(1) == n;
            self.all.iter().filter(within).collect()
        };
        let (second, last) = (quarter(1), quarter(3));
        if self.requests < LONG || second.len().min(last.len()) < ENOUGH {
            writeln!(report, "too short to say whether memory and files are flat")?;
            return Ok(Vec::new());
        }
        let mut wrong = Vec::new();
        for Measure { name, of, slack } in MEASURES {
            let [before, after] = [&second, &last].map(|samples| median(samples, of));
            let bound = before as f64 * (1.0 + MARGIN) + slack as f64;
            let line = format!(
                "{name}: median {before} in the second quarter, {after} in the last, bound {bound:.0}"
            );
            writeln!(report, "{line}")?;
            if after as f64 > bound {
                wrong.push(format!("not flat: {line}"));
            }
        }
        Ok(wrong)
    }
}

fn median(samples: &[&Sample], of: fn(&Sample) -> usize) -> usize {
    let mut values: Vec<usize> = samples.iter().map(|s| of(s)).collect();
    values.sort_unstable();
    values[values.len() / 2]
}
