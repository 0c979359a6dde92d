//! What other replicas count, in this one's scores.
//!
//! Picks read one number each, which is everyone's: a [`Mirror`] knows how much of it is others', and changes that part
//! when they are heard. So attempts and picks cost the same with any number of replicas. Pure, as all that decides: who
//! brings messages to a store and answers back is told what to say, and when.
//!
//! Limits of requests in flight and those that wait for a place stay this replica's own: a place that is free elsewhere
//! can't be handed over. Latency that others have learnt is learnt here as one sample, and not told on.

mod group;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

pub use crate::types::{All, Own};
pub use group::{Adopted, GroupShare};

use super::deployment::Deployment;
use super::scores::{Limits, Scores, nanos};
use crate::types::{Fault, Lasting, Samples, Totals, Until};

/// The other replicas' part of one deployment's scores.
#[derive(Debug)]
pub struct Mirror {
    scores: Arc<Scores>,
    limits: Limits,
    /// Whether it ever cools down.
    cools: bool,
    /// Others' part of what lasts, as it is in the scores.
    others: Lasting,
    /// Others' part of the minute's counts, as it is in the scores, and of which minute.
    minutes: [(u64, u64); 2],
    /// What was measured here.
    measured: [Samples; 2],
    /// The estimates as they were when they were looked at.
    marks: [(u64, u64); 2],
    /// Whether others were heard at all.
    met: bool,
    /// What this replica has counted that is not to be told under its present name.
    told_before: Lasting,
    /// Whether that is where it was told.
    trusts: bool,
    /// What it has counted, as it was told last.
    told: Lasting,
    /// Its part of a minute, as it was told last.
    told_minute: Option<(u64, Totals)>,
    /// The same, as it was heard last.
    heard: Lasting,
    /// A deadline of its own, as it was told last.
    told_cooling: Option<(Instant, Until)>,
    /// A deadline of its own, as the store calls it.
    known: Option<(Instant, u64)>,
    /// The store's deadline that was looked at last.
    seen: Option<u64>,
    /// The deadline that was another replica's.
    adopted: Option<Instant>,
}

/// Both kinds of call, as they are counted: plain, streaming.
const KINDS: [bool; 2] = [false, true];

impl Mirror {
    /// Of a deployment whose scores hold nothing but this replica's counts.
    #[must_use]
    pub fn new(deployment: &Deployment) -> Self {
        Self {
            scores: Arc::clone(&deployment.scores),
            limits: Limits {
                rpm: deployment.rpm.unwrap_or(u64::MAX),
                tpm: deployment.tpm.unwrap_or(u64::MAX),
                ..Limits::NONE
            },
            cools: !deployment.rule.cooldown_time.is_zero(),
            others: Lasting::default(),
            minutes: Default::default(),
            measured: Default::default(),
            marks: Default::default(),
            met: false,
            told_before: Lasting::default(),
            trusts: true,
            told: Lasting::default(),
            told_minute: None,
            heard: Lasting::default(),
            told_cooling: None,
            known: None,
            seen: None,
            adopted: None,
        }
    }

    /// This replica's part, of the minute of that number as far as that is counted.
    pub fn own(&mut self, minute: u64, now: Instant) -> Own {
        for kind in KINDS {
            self.measure(kind);
        }
        self.told = Lasting {
            tokens: self.scores.total_tokens().wrapping_sub(self.others.tokens),
            spent: self.scores.spent().0.wrapping_sub(self.others.spent),
            latency: self.measured,
        };
        // Before the minute: what was begun with a reservation that is seen here is seen there.
        let reserved = self.scores.reserved(minute);
        let own_minute = self.own_minute(minute).or_else(|| {
            // There are reservations, and none of them was used.
            reserved.filter(|known| known.requests > 0)?;
            Some(Totals::default())
        });
        self.told_minute = own_minute.map(|own| (minute, own));
        self.told_cooling = self.cooling(now);
        let before = if self.trusts {
            self.told_before
        } else {
            Lasting::default()
        };
        let cause = |(_, until)| Some((until, self.cause()?));
        Own {
            lasting: self.told.beyond(&before),
            minute: own_minute,
            reserved,
            in_flight: self.scores.in_flight(),
            cooling: self.told_cooling.and_then(cause),
        }
    }

    fn own_minute(&self, minute: u64) -> Option<Totals> {
        let mut own =
            self.scores
                .minutes()
                .into_iter()
                .zip(&self.minutes)
                .map(|(count, (of, others))| {
                    let others = if *of == minute { *others } else { 0 };
                    Some(count.exactly(minute)?.saturating_sub(others))
                });
        Some(Totals {
            requests: own.next()??,
            tokens: own.next()??,
        })
    }

    /// Notes what was learnt here since the last look: of several samples what the estimate has become.
    fn measure(&mut self, streaming: bool) {
        let kind = usize::from(streaming);
        let estimate = self.scores.estimate(streaming);
        let mark = estimate.mark();
        if std::mem::replace(&mut self.marks[kind], mark) != mark
            && let Some(log2) = estimate.log2()
        {
            let time = Duration::try_from_secs_f64(log2.exp2()).unwrap_or(Duration::MAX);
            let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
            let own = &mut self.measured[kind];
            own.count += 1;
            own.micros = own.micros.saturating_add(micros);
        }
    }

    /// The deadline that is in force, if this replica has decided it.
    fn cooling(&self, now: Instant) -> Option<(Instant, Until)> {
        self.scores.closed().filter(|until| *until > nanos(now))?;
        let until = self.scores.with_cooldown(|c| c.deadline())?;
        if until <= now || self.adopted == Some(until) {
            return None;
        }
        match self.known {
            Some((of, known)) if of == until => Some((until, Until::Known(known))),
            _ => Some((until, Until::Left(until - now))),
        }
    }

    fn cause(&self) -> Option<Fault> {
        self.scores
            .with_cooldown(|c| c.cooling())
            .map(|(_, cause)| cause)
    }

    /// Everyone's numbers, in answer to the last [`Mirror::own`]. If others have found that it should cool for longer: for
    /// how long, and why.
    pub fn fold(&mut self, all: &All, now: Instant) -> Option<(Duration, Fault)> {
        let others = all.lasting.beyond(&self.told);
        self.scores.amend(
            (self.others.tokens, self.others.spent),
            (others.tokens, others.spent),
        );
        let before = std::mem::replace(&mut self.others, others);
        self.heard = self.told;
        if std::mem::replace(&mut self.met, true) {
            self.learn(&others.beyond(&before).latency, now);
        }
        if let Some((minute, own)) = self.told_minute.take() {
            let requests = all.minute.requests.saturating_sub(own.requests);
            let tokens = all.minute.tokens.saturating_sub(own.tokens);
            self.presume(minute, [Some(requests), Some(tokens)]);
        }
        self.scores.set_others_in_flight(all.in_flight);
        self.cool(all.cooling?, now)
    }

    /// While others can't be heard: of each limit they count as using `of` it in that minute, unless more is known.
    pub fn suppose(&mut self, minute: u64, of: impl Fn(u64) -> u64) {
        let Limits { rpm, tpm, .. } = self.limits;
        let mut limits = [rpm, tpm].into_iter();
        let others = self.minutes.map(|(held_of, held)| {
            let held = if held_of == minute { held } else { 0 };
            let limit = limits.next().filter(|limit| *limit < u64::MAX)?;
            Some(of(limit).max(held)).filter(|others| *others > 0)
        });
        self.presume(minute, others);
    }

    /// This replica is to be known by a new name, under which it has told nothing yet: what was heard under the old one
    /// stays with that.
    pub fn rename(&mut self) {
        self.told_before = self.heard;
    }

    /// Whether the store still has what it heard under earlier names. If not, all is told under the present one.
    pub const fn trust(&mut self, has: bool) {
        self.trusts = has;
    }

    /// Sets others' part of the minute's requests and tokens, where something is said about it.
    fn presume(&mut self, minute: u64, others: [Option<u64>; 2]) {
        let counts = self.scores.minutes().into_iter().zip(&mut self.minutes);
        for ((count, (of, held)), new) in counts.zip(others) {
            let old = if *of == minute { *held } else { 0 };
            if let Some(new) = new.filter(|new| count.amend(minute, old, *new)) {
                (*of, *held) = (minute, new);
            }
        }
    }

    /// What others have measured since they were heard last is one sample.
    fn learn(&mut self, new: &[Samples; 2], now: Instant) {
        for (kind, Samples { count, micros }) in KINDS.into_iter().zip(new) {
            if *count > 0 {
                self.measure(kind);
                let mean = Duration::from_micros(micros / count);
                self.scores.sample(kind, mean, now);
                self.marks[usize::from(kind)] = self.scores.estimate(kind).mark();
            }
        }
    }

    fn cool(
        &mut self,
        (at, left, cause): (u64, Duration, Fault),
        now: Instant,
    ) -> Option<(Duration, Fault)> {
        if let Some((until, Until::Left(told))) = self.told_cooling
            && told.as_millis() == left.as_millis()
        {
            // It is ours.
            self.known = Some((until, at));
            self.seen = Some(at);
        }
        if !self.cools || self.seen.replace(at) == Some(at) {
            return None;
        }
        let until = now + left;
        let later = self.scores.with_cooldown(|c| c.extend(until, cause));
        later.then(|| {
            self.adopted = Some(until);
            (left, cause)
        })
    }
}
