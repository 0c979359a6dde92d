//! Two gateways over one lab and one Redis, each with a ledger of its own.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::Instant;
use tracing::subscriber::DefaultGuard;
use waypost::lab::Lab;
use waypost::usage::ledger;

use super::LASTS;
use super::load::{Came, p99, run};
use super::table::Row;
use crate::support::{Gateway, Yaml, lab};

/// How long it goes well before and after.
const WELL: Duration = Duration::from_millis(700);

pub(super) struct Site {
    lab: Lab,
    gateways: Vec<Gateway>,
    ledgers: Vec<TempDir>,
    lines: Arc<AtomicU64>,
    _guard: DefaultGuard,
}

impl Site {
    /// Over the Redis of that URL.
    pub(super) async fn over(url: &str) -> Self {
        Self::with(&format!("url: {url:?}")).await
    }

    /// Over the Redis that these members of `waypost.redis` describe.
    pub(super) async fn with(redis: &str) -> Self {
        let (lines, guard) = count_lines();
        let lab = lab(["a", "b"]);
        let ledgers: Vec<_> = (0..2)
            .map(|_| tempfile::tempdir().expect("a folder"))
            .collect();
        let mut gateways = Vec::new();
        for dir in &ledgers {
            let yaml = Yaml::over(&lab)
                .router("routing_strategy: usage-based-routing")
                .router("cache_responses: true")
                .each("rpm: 1000000")
                .each("tpm: 1000000000")
                .waypost(&format!("redis: {{{redis}, interval: 50ms}}"))
                .waypost("limits: exact")
                .waypost(&format!("ledger: {:?}", dir.path().display().to_string()));
            gateways.push(Gateway::start(&yaml).await);
        }
        let site = Self {
            lab,
            gateways,
            ledgers,
            lines,
            _guard: guard,
        };
        site.shared().await;
        site
    }

    /// Until all of them exchange what they count.
    async fn shared(&self) {
        for gateway in &self.gateways {
            while !is_fresh(gateway) {
                tokio::task::yield_now().await;
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }
    }

    /// Requests before, during and after a fault; what must hold of them.
    pub(super) async fn play(
        self,
        fault: &str,
        begin: impl AsyncFnOnce(),
        end: impl AsyncFnOnce(),
    ) {
        let addrs: Vec<_> = self.gateways.iter().map(Gateway::addr).collect();
        let next = Arc::new(AtomicU64::new(0));
        let before = run(&addrs, &next, WELL).await;
        let lines = self.lines.load(Ordering::Relaxed);
        let began = Instant::now();
        let (during, ()) = tokio::join!(run(&addrs, &next, LASTS), begin());
        let lasted = began.elapsed();
        end().await;
        let ended = Instant::now();
        let (after, back) = tokio::join!(run(&addrs, &next, WELL), async {
            self.shared().await;
            ended.elapsed()
        });
        let lines = self.lines.load(Ordering::Relaxed) - lines;
        let Self {
            lab,
            gateways,
            ledgers,
            ..
        } = self;
        for gateway in gateways {
            gateway.stop().await;
        }
        let all: Vec<Came> = [&before[..], &during, &after].concat();
        let wrong: Vec<_> = all.iter().filter_map(|came| came.wrong.as_ref()).collect();
        let calls: u64 = lab.deployments().iter().map(|d| d.stats().completed).sum();
        let served: u64 = all
            .iter()
            .filter(|came| !came.stored)
            .map(|came| came.tokens)
            .sum();
        let (records, recorded) = ledgers
            .iter()
            .map(|dir| sum(dir.path()))
            .fold((0, 0), |(records, tokens), (more, also)| {
                (records + more, tokens + also)
            });
        let row = Row {
            fault: fault.to_owned(),
            requests: all.len(),
            failed: wrong.len(),
            before: p99(&before),
            during: p99(&during),
            slowest: during
                .iter()
                .map(|came| came.took)
                .max()
                .unwrap_or_default(),
            lines: usize::try_from(lines).unwrap_or(usize::MAX),
            lasted,
            back,
            tokens: (served, recorded),
        };
        assert!(
            wrong.is_empty(),
            "{} failed, first {:?}: {row:?}",
            wrong.len(),
            wrong[0]
        );
        assert!(during.len() > 20, "requests stood still: {row:?}");
        // Two gateways say that it is gone and that it is back, for each thing that is shared; nothing is said per request.
        assert!(row.lines <= 24, "the log is not quiet: {row:?}");
        assert_eq!(records, calls, "a record for each attempt: {row:?}");
        assert_eq!(served, recorded, "to the token: {row:?}");
        row.write();
        lab.stop().await;
    }
}

/// Whether its numbers are of now.
fn is_fresh(gateway: &Gateway) -> bool {
    let metrics = gateway.app().gateway().metrics();
    let of = |name: &str| {
        metrics
            .lines()
            .find(|line| line.starts_with(name))
            .and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
    };
    of("waypost_sharing_age_seconds").is_some_and(|age| age < 0.4)
}

/// Records and tokens of a ledger.
fn sum(dir: &Path) -> (u64, u64) {
    ledger::read(dir)
        .map(|line| line.expect("a good line").entry.tokens.total())
        .fold((0, 0), |(records, tokens), more| {
            (records + 1, tokens + more)
        })
}

/// Counts what people would read from now on: warnings and what is worth telling, of this thread.
fn count_lines() -> (Arc<AtomicU64>, DefaultGuard) {
    let lines = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&lines);
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::INFO)
        .with_writer(move || Counting(Arc::clone(&count)))
        .finish();
    (lines, tracing::subscriber::set_default(subscriber))
}

struct Counting(Arc<AtomicU64>);

impl std::io::Write for Counting {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
