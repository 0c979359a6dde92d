//! What must have been written down, and whether it was.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::Deserialize;
use waypost::metrics::OUTCOMES;

use super::client::{Answer, Seen};
use super::request::{Kind, Request, place};

/// Messages kept of things that were not as they must be.
const KEPT: usize = 20;
/// The access log must not have it.
const NEVER: u8 = 100;
/// It may have it once.
const PERHAPS: u8 = 101;
/// It must have it once, with whatever outcome. Below [`NEVER`] an entry is the index of an outcome.
const ONCE: u8 = 102;
/// It has it.
const FOUND: u8 = 103;

/// One entry for each request.
pub(super) struct Ledger {
    entries: Vec<AtomicU8>,
    /// Requests without an id, by outcome.
    unnamed: [AtomicU64; OUTCOMES.len()],
    answered: AtomicU64,
    left: AtomicU64,
    wrong: Mutex<Vec<String>>,
}

/// The sum of it all.
pub(super) struct Tally {
    answered: u64,
    left: u64,
    logged: HashMap<&'static str, u64>,
    attempts: u64,
    /// What is not as it must be.
    pub(super) wrong: Vec<String>,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let logged: u64 = self.logged.values().sum();
        write!(
            f,
            "{} answered, {} left by their clients; {logged} in the access log:",
            self.answered, self.left
        )?;
        for outcome in OUTCOMES {
            write!(f, " {outcome} {}", self.logged.get(outcome).unwrap_or(&0))?;
        }
        write!(f, "; {} attempts", self.attempts)
    }
}

impl Ledger {
    pub(super) fn new(requests: usize) -> Self {
        Self {
            entries: (0..requests).map(|_| AtomicU8::new(NEVER)).collect(),
            unnamed: Default::default(),
            answered: AtomicU64::new(0),
            left: AtomicU64::new(0),
            wrong: Mutex::default(),
        }
    }

    /// A request is over for its client.
    pub(super) fn enter(&self, request: &Request, seen: Seen) {
        let entry = match seen {
            Seen::Answer(answer) => {
                self.answered.fetch_add(1, Ordering::Relaxed);
                self.judge(request, &answer)
            }
            Seen::Broken(_) if request.kind == Kind::TooLarge => Some(NEVER), // closed with our bytes unread
            Seen::Broken(error) => {
                self.complain(request, &format!("no answer: {error}"));
                Some(PERHAPS)
            }
            Seen::Head => {
                self.left.fetch_add(1, Ordering::Relaxed);
                Some(ONCE)
            }
            Seen::Nothing => {
                self.left.fetch_add(1, Ordering::Relaxed);
                let whole = !matches!(request.ending, super::request::Ending::LeavesInBody { .. });
                Some(if whole { PERHAPS } else { NEVER })
            }
        };
        let Some(entry) = entry else { return };
        if request.named {
            self.entries[request.n].store(entry, Ordering::Relaxed);
        } else if let Some(count) = self.unnamed.get(usize::from(entry)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What a whole answer means for the log; complains of an answer the request must not get.
    fn judge(&self, request: &Request, answer: &Answer) -> Option<u8> {
        let (status, logged) = match request.kind {
            Kind::Call => {
                let entry =
                    outcome(answer).and_then(|name| OUTCOMES.iter().position(|o| *o == name));
                let entry = entry.and_then(|index| u8::try_from(index).ok());
                if entry.is_none() {
                    let body = String::from_utf8_lossy(&answer.body);
                    self.complain(request, &format!("{} {body}", answer.status));
                }
                return entry;
            }
            Kind::BadJson => (400, true),
            Kind::UnknownModel | Kind::Forbidden => (404, true),
            Kind::WrongKey => (401, false),
            Kind::TooLarge => (413, false),
            Kind::TwiceDeclared => (400, false),
            Kind::Encoded => (415, false),
            Kind::NoSuchPath => (404, false),
            Kind::Models | Kind::Alive => (200, false),
        };
        if answer.status != status {
            self.complain(request, &format!("{} instead of {status}", answer.status));
        }
        let rejected = OUTCOMES.iter().position(|o| *o == "rejected");
        Some(match rejected {
            Some(index) if logged => u8::try_from(index).unwrap_or(NEVER),
            _ => NEVER,
        })
    }

    fn complain(&self, request: &Request, what: &str) {
        let Request {
            n, kind, ending, ..
        } = request;
        self.wrong
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(format!("request {n} ({kind:?}, {ending:?}): {what}"));
    }

    /// Compares what was seen with the log and the metrics.
    pub(super) fn settle(&self, log: &Path, metrics: &Metrics) -> Tally {
        let mut wrong = self
            .wrong
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let log = match Log::read(log, self, &mut wrong) {
            Ok(log) => log,
            Err(error) => {
                wrong.push(format!("the log cannot be read: {error}"));
                Log::default()
            }
        };
        let lost = self.entries.iter().enumerate();
        let lost = lost.filter(|(_, e)| must_be_found(e.load(Ordering::Relaxed)));
        wrong.extend(lost.map(|(n, _)| format!("request {n} is not in the log")));
        for (index, outcome) in OUTCOMES.into_iter().enumerate() {
            let seen = self.unnamed[index].load(Ordering::Relaxed);
            let logged = log.unnamed.get(outcome).copied().unwrap_or(0);
            if seen != logged {
                wrong.push(format!(
                    "{seen} requests without an id were {outcome}, and {logged} are in the log"
                ));
            }
        }
        metrics.compare(&log, &mut wrong);
        let more = wrong.len().saturating_sub(KEPT);
        wrong.truncate(KEPT);
        if more > 0 {
            wrong.push(format!("... and {more} more"));
        }
        Tally {
            answered: self.answered.load(Ordering::Relaxed),
            left: self.left.load(Ordering::Relaxed),
            logged: log.outcomes,
            attempts: log.attempts,
            wrong,
        }
    }
}

const fn must_be_found(entry: u8) -> bool {
    !matches!(entry, NEVER | PERHAPS | FOUND)
}

/// The outcome a call's answer stands for; `None` if it must not be.
fn outcome(answer: &Answer) -> Option<&'static str> {
    let says = |text: &[u8]| memchr::memmem::find(&answer.body, text).is_some();
    if !answer.of_group {
        return None;
    }
    Some(match answer.status {
        200 if !answer.stream => "ok",
        200 if answer.body.trim_ascii_end().ends_with(b"data: [DONE]") => "ok",
        200 if says(br#""code":"request_timeout""#) => "failed",
        200 if says(br#"data: {"error""#) => "broken_stream",
        200 => return None,
        _ if says(br#""code":"no_deployment_available""#) => "unavailable",
        _ if answer.says_retry => "failed",
        500.. => return None,
        _ => "rejected",
    })
}

/// Whether a line is neither an error nor a panic: what the configuration is warned of is plain text, and so is a panic.
fn is_fine(line: &str) -> bool {
    if line.starts_with('{') {
        !line.contains(r#""level":"ERROR""#)
    } else {
        line.contains(": warning: ")
    }
}

/// A line of the access log.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    request: Cow<'a, str>,
    #[serde(borrow, default)]
    group: Cow<'a, str>,
    operation: &'a str,
    outcome: &'a str,
    attempts: u64,
    cache: &'a str,
}

/// What the log adds up to.
#[derive(Default)]
struct Log {
    outcomes: HashMap<&'static str, u64>,
    unnamed: HashMap<&'static str, u64>,
    /// By group, operation and outcome, where a group was found.
    series: HashMap<[String; 3], u64>,
    /// By result.
    cache: HashMap<String, u64>,
    attempts: u64,
}

impl Log {
    fn read(path: &Path, ledger: &Ledger, wrong: &mut Vec<String>) -> std::io::Result<Self> {
        let mut log = Self::default();
        for line in BufReader::new(File::open(path)?).lines() {
            let line = line?;
            if line.contains(r#""target":"access""#) {
                match serde_json::from_str(&line) {
                    Ok(access) => log.add(&access, ledger, wrong),
                    Err(error) => wrong.push(format!("{error}: {line}")),
                }
            } else if !is_fine(&line) {
                wrong.push(format!("in the log: {line}"));
            }
        }
        Ok(log)
    }

    fn add(&mut self, line: &Line<'_>, ledger: &Ledger, wrong: &mut Vec<String>) {
        let Some(index) = OUTCOMES.iter().position(|o| *o == line.outcome) else {
            return wrong.push(format!("an outcome called {}", line.outcome));
        };
        let outcome = OUTCOMES[index];
        *self.outcomes.entry(outcome).or_default() += 1;
        match place(&line.request).and_then(|n| ledger.entries.get(n)) {
            None => *self.unnamed.entry(outcome).or_default() += 1,
            Some(entry) => match entry.swap(FOUND, Ordering::Relaxed) {
                PERHAPS | ONCE => {}
                expected if usize::from(expected) == index => {}
                FOUND => wrong.push(format!("{} is in the log twice", line.request)),
                NEVER => wrong.push(format!("{} is in the log as {outcome}", line.request)),
                other => wrong.push(format!(
                    "{} is {outcome} in the log, and its client saw {}",
                    line.request,
                    OUTCOMES[usize::from(other)]
                )),
            },
        }
        if line.group.is_empty() {
            return;
        }
        let key = [&line.group, line.operation, outcome].map(str::to_owned);
        *self.series.entry(key).or_default() += 1;
        self.attempts += line.attempts;
        *self.cache.entry(line.cache.to_owned()).or_default() += 1;
    }
}

/// `/metrics`, read.
pub(super) struct Metrics {
    /// Names, with labels, and values.
    series: Vec<(String, f64)>,
    pub(super) lines: usize,
}

impl Metrics {
    pub(super) fn read(text: &str) -> Self {
        let series = text.lines().filter(|line| !line.starts_with('#'));
        let series = series.filter_map(|line| line.rsplit_once(' '));
        Self {
            series: series
                .filter_map(|(key, value)| Some((key.to_owned(), value.parse().ok()?)))
                .collect(),
            lines: text.lines().count(),
        }
    }

    /// The sum of a counter or gauge over the series that have all `labels`, written as there.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts, and not so many"
    )]
    pub(super) fn sum(&self, name: &str, labels: &[&str]) -> u64 {
        let fits = |key: &str| {
            let rest = key.strip_prefix(name);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('{'))
                && labels.iter().all(|label| key.contains(label))
        };
        self.series
            .iter()
            .filter(|(key, _)| fits(key))
            .map(|(_, value)| value)
            .sum::<f64>() as u64
    }

    fn compare(&self, log: &Log, wrong: &mut Vec<String>) {
        let mut equal = |what: String, logged: u64, counted: u64| {
            if logged != counted {
                wrong.push(format!(
                    "{what}: {logged} in the log, {counted} in /metrics"
                ));
            }
        };
        for ([group, operation, outcome], logged) in &log.series {
            let labels = [
                format!("group=\"{group}\""),
                format!("operation=\"{operation}\""),
                format!("outcome=\"{outcome}\""),
            ];
            let labels = labels.each_ref().map(String::as_str);
            let counted = self.sum("waypost_requests_total", &labels);
            equal(
                format!("requests of {group}, {operation}, {outcome}"),
                *logged,
                counted,
            );
        }
        let all = log.series.values().sum();
        equal(
            "requests".into(),
            all,
            self.sum("waypost_requests_total", &[]),
        );
        equal(
            "durations".into(),
            all,
            self.sum("waypost_request_duration_seconds_count", &[]),
        );
        equal(
            "attempts".into(),
            log.attempts,
            self.sum("waypost_attempts_total", &[]),
        );
        for result in ["hit", "miss", "bypass"] {
            let logged = log.cache.get(result).copied().unwrap_or(0);
            let label = format!("result=\"{result}\"");
            equal(
                format!("cache {result}"),
                logged,
                self.sum("waypost_cache_total", &[&label]),
            );
        }
        equal(
            "attempts in flight".into(),
            0,
            self.sum("waypost_in_flight", &[]),
        );
        if let Some((key, _)) = self.series.iter().find(|(key, _)| key.contains("made-up")) {
            wrong.push(format!("a client made up the series {key}"));
        }
    }
}
