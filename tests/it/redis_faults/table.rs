//! The table of docs/redis.md.

use std::fs;
use std::path::Path;
use std::time::Duration;

/// What one fault came to.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) fault: String,
    pub(super) requests: usize,
    pub(super) failed: usize,
    pub(super) before: Duration,
    pub(super) during: Duration,
    /// The slowest request meanwhile.
    pub(super) slowest: Duration,
    pub(super) lines: usize,
    pub(super) lasted: Duration,
    /// From the fault's end until numbers are exchanged again.
    pub(super) back: Duration,
    /// Tokens that clients were served, and that the ledgers have.
    pub(super) tokens: (u64, u64),
}

const BEGIN: &str = "<!-- faults -->\n";
const END: &str = "<!-- end of faults -->";
const HEAD: &str = "| Fault | Requests | Answered | p99 before | p99 during | slowest | Log lines a second | Back after | Tokens served | In the ledgers |\n|---|---|---|---|---|---|---|---|---|---|\n";

impl Row {
    fn line(&self) -> String {
        let ms = |time: Duration| format!("{:.0} ms", time.as_secs_f64() * 1000.0);
        format!(
            "| {} | {} | {:.1} % | {} | {} | {} | {:.1} | {} | {} | {} |\n",
            self.fault,
            self.requests,
            100.0 * (self.requests - self.failed) as f64 / self.requests.max(1) as f64,
            ms(self.before),
            ms(self.during),
            ms(self.slowest),
            self.lines as f64 / self.lasted.as_secs_f64(),
            ms(self.back),
            self.tokens.0,
            self.tokens.1,
        )
    }

    /// Puts it into the table, where that is asked for.
    pub(super) fn write(&self) {
        if std::env::var_os("FAULTS").is_none_or(|value| value != "write") {
            return;
        }
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/redis.md");
        let text = fs::read_to_string(&path).expect("the page");
        let (head, rest) = text.split_once(BEGIN).expect("where the table begins");
        let (table, tail) = rest.split_once(END).expect("where it ends");
        let own = format!("| {} |", self.fault);
        let mut rows: Vec<String> = table
            .lines()
            .skip(2)
            .filter(|line| line.starts_with('|') && !line.starts_with(&own))
            .map(|line| format!("{line}\n"))
            .collect();
        rows.push(self.line());
        rows.sort();
        let text = format!("{head}{BEGIN}{HEAD}{}{END}{tail}", rows.concat());
        fs::write(&path, text).expect("written");
    }
}
