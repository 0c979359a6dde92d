//! What is made of a played outage: figures, and their line of a table.

use std::collections::BTreeMap;
use std::time::Duration;

use super::client::Seen;
use super::shape::SICK;
use super::{Case, Routing};

/// What calls are counted by.
pub(super) const BUCKET: Duration = Duration::from_millis(100);
/// The regions are given this long to be called for the first time before their shares are measured.
const FIRST: Duration = Duration::from_secs(5);
/// Less than this share of the calls is to have left.
const LEFT: f64 = 0.01;

/// Attempts begun at each region, over time.
pub(super) struct Calls {
    names: Vec<String>,
    /// By region, then by [`BUCKET`].
    begun: Vec<Vec<u32>>,
    back: Option<Duration>,
    most: f64,
}

impl Calls {
    pub(super) fn new(names: impl Iterator<Item = String>) -> Self {
        let names: Vec<String> = names.collect();
        Self {
            begun: vec![Vec::new(); names.len()],
            names,
            back: None,
            most: 0.0,
        }
    }

    /// `n` more at the region of that place.
    pub(super) fn add(&mut self, place: usize, now: Duration, n: u32) {
        let begun = &mut self.begun[place];
        begun.resize(bucket(now) + 1, 0);
        begun[bucket(now)] += n;
    }

    /// Looks whether the region that was ill has been called as before the outage since one window ago; whether it has
    /// been at some time by now.
    pub(super) fn is_back(&mut self, case: &Case, now: Duration) -> bool {
        let window = case.routing.window();
        let Some(from) = now.checked_sub(window).filter(|from| *from >= case.end()) else {
            return false;
        };
        if self.back.is_none() {
            let share = self.share(from, now) / self.share(FIRST, case.before);
            self.most = self.most.max(share);
            // It begins with a call: the silence before is not part of it.
            if self.sick(from, from + BUCKET) > 0 && (share - 1.0).abs() <= case.routing.tolerance()
            {
                self.back = Some(from - case.end());
            }
        }
        self.back.is_some()
    }

    /// When it had left, from the beginning of the outage.
    fn left(&self, case: &Case) -> Option<Duration> {
        let window = case.routing.window();
        let mut at = case.before;
        while at + window <= case.end() {
            if self.share(at, at + window) < LEFT {
                return Some(at - case.before);
            }
            at += BUCKET;
        }
        None
    }

    /// The ill region's share of the calls. Nothing of nothing is nothing.
    fn share(&self, from: Duration, to: Duration) -> f64 {
        let all: u32 = (0..self.names.len()).map(|p| self.at(p, from, to)).sum();
        f64::from(self.sick(from, to)) / f64::from(all.max(1))
    }

    fn sick(&self, from: Duration, to: Duration) -> u32 {
        let place = self.names.iter().position(|name| name == SICK);
        place.map_or(0, |place| self.at(place, from, to))
    }

    fn at(&self, place: usize, from: Duration, to: Duration) -> u32 {
        let begun = &self.begun[place];
        let to = bucket(to).min(begun.len());
        begun[bucket(from).min(to)..to].iter().sum()
    }
}

fn bucket(at: Duration) -> usize {
    usize::try_from(at.as_millis() / BUCKET.as_millis()).unwrap_or(usize::MAX)
}

impl Routing {
    /// What shares are measured over. By latency the fastest gets nearly all until another one is faster, which takes turns
    /// of many seconds.
    fn window(self) -> Duration {
        match self {
            Self::Latency => Duration::from_secs(30),
            Self::SimpleShuffle | Self::LeastBusy | Self::Usage | Self::Fallback => {
                Duration::from_secs(5)
            }
        }
    }

    /// How far from its share before a deployment may be that is back.
    fn tolerance(self) -> f64 {
        match self {
            Self::Latency => 0.5,
            Self::SimpleShuffle | Self::LeastBusy | Self::Usage | Self::Fallback => 0.2,
        }
    }
}

/// The figures of one outage. Its requests are those that were under way at some moment of it.
#[derive(Debug)]
pub(crate) struct Report {
    case: Case,
    /// Requests of the outage.
    pub(crate) requests: usize,
    /// What those saw that got no whole answer, and how many.
    pub(crate) lost: BTreeMap<String, usize>,
    /// Attempts of each request of the outage, on average.
    pub(crate) calls_mean: f64,
    /// The most attempts of any request, also before and after.
    pub(crate) calls_most: u32,
    /// Attempts at the ill region in the outage.
    pub(crate) sick: u32,
    /// From the beginning until less than a hundredth of the calls went to the ill region.
    pub(crate) left: Option<Duration>,
    /// From the end until it was called as before again.
    pub(crate) back: Option<Duration>,
    /// The largest multiple of its share that it got in a window until then.
    pub(crate) most: f64,
    /// What time to first content was longer by than before: median and 99th percentile, of streams that were answered.
    pub(crate) added: [Option<Duration>; 2],
    /// Requests before and after the outage that got no whole answer.
    pub(crate) lost_outside: usize,
}

impl Report {
    pub(super) fn of(case: &Case, seen: Vec<Seen>, calls: &Calls) -> Self {
        let (mut before, mut within) = (Vec::new(), Vec::new());
        let calls_most = seen.iter().map(|seen| seen.attempts).max().unwrap_or(0);
        let mut lost_outside = 0;
        for seen in seen {
            if seen.sent < case.end() && seen.ended >= case.before {
                within.push(seen);
            } else {
                lost_outside += usize::from(seen.lost.is_some());
                if seen.sent < case.before {
                    before.push(seen);
                }
            }
        }
        let mut lost = BTreeMap::new();
        for what in within.iter().filter_map(|seen| seen.lost.clone()) {
            *lost.entry(what).or_default() += 1;
        }
        let attempts: u32 = within.iter().map(|seen| seen.attempts).sum();
        let requests = u32::try_from(within.len()).unwrap_or(u32::MAX);
        let (quick, slow) = (first_contents(&before), first_contents(&within));
        Self {
            case: *case,
            requests: within.len(),
            lost,
            calls_mean: f64::from(attempts) / f64::from(requests.max(1)),
            calls_most,
            sick: calls.sick(case.before, case.end()),
            left: calls.left(case).filter(|_| case.shape.leaves()),
            back: calls.back,
            most: calls.most,
            added: [50, 99].map(|percent| {
                Some(percentile(&slow, percent)?.saturating_sub(percentile(&quick, percent)?))
            }),
            lost_outside,
        }
    }

    /// Requests of the outage that got a whole answer.
    pub(crate) fn answered(&self) -> usize {
        self.requests - self.lost.values().sum::<usize>()
    }

    /// What stands above [`row`](Self::row).
    pub(crate) const HEADING: &str = "\
| outage | routing | answered | the others saw | calls per request: mean, most | calls to the ill one | left after, s | back after, s | on its return at most | first content later by: median, p99, s |
|---|---|---|---|---|---|---|---|---|---|";

    /// A line of a table.
    pub(crate) fn row(&self) -> String {
        let share = 100.0 * self.answered() as f64 / self.requests.max(1) as f64;
        let mut lost: Vec<String> = self
            .lost
            .iter()
            .map(|(what, n)| format!("{what} ({n})"))
            .collect();
        if self.lost_outside > 0 {
            lost.push(format!("{} more after its end", self.lost_outside));
        }
        let time = |time: Option<Duration>, none: &str| {
            time.map_or(none.to_owned(), |time| format!("{:.1}", time.as_secs_f64()))
        };
        let [median, p99] = self.added.map(|added| {
            added.map_or("–".to_owned(), |added| {
                format!("{:.2}", added.as_secs_f64())
            })
        });
        format!(
            "| {} | {} | {share:.2} % of {} | {} | {:.2}, {} | {} | {} | {} | {:.1} × | {median}, {p99} |",
            self.case.shape,
            self.case.routing,
            self.requests,
            lost.join(", "),
            self.calls_mean,
            self.calls_most,
            self.sick,
            time(
                self.left,
                if self.case.shape.leaves() {
                    "stays"
                } else {
                    "–"
                }
            ),
            time(self.back, &format!("over {}", self.case.patience.as_secs())),
            self.most,
        )
    }
}

/// Times to first content of streams, sorted.
fn first_contents(seen: &[Seen]) -> Vec<Duration> {
    let mut all: Vec<Duration> = seen
        .iter()
        .filter(|seen| seen.streams())
        .filter_map(|seen| Some(seen.first_content? - seen.sent))
        .collect();
    all.sort_unstable();
    all
}

/// By nearest rank.
fn percentile(sorted: &[Duration], percent: usize) -> Option<Duration> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied()
}
