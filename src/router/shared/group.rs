//! [`GroupShare`]: what a replica says of a group, and what follows from the answers or from none.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::super::deployment::Deployment;
use super::super::scores::minute_of;
use super::Mirror;
use crate::clock::Moment;
use crate::types::{Answer, Everyone, Fault, Message, Outage, Sharing};

/// A store may forget a replica that it has not heard for a day. After half of one it must not be assumed to know it.
const CERTAIN: Duration = Duration::from_secs(43_200);
/// The least time without an answer that is an outage.
const PATIENCE: Duration = Duration::from_secs(1);
/// Clocks that differ by less than this are taken to be in the same minute. More than half a minute, so that two which
/// differ by just that don't change their minds.
const SKEW: f64 = 45.0;

/// One group, as a replica shares it.
#[derive(Debug)]
pub struct GroupShare {
    group: Arc<str>,
    /// What no other replica is called.
    name: Arc<str>,
    /// How often it took a new name.
    renamed: u32,
    /// When the store was begun that it had spoken to under its earlier names, and when the present one was.
    renamed_in: u64,
    since: u64,
    number: u64,
    sharing: Sharing,
    mirrors: Vec<(Arc<str>, Mirror)>,
    /// Minutes that the store's clock is ahead.
    ahead: i64,
    /// When it was heard last.
    heard: Option<Instant>,
    began: Instant,
    /// Other replicas, when it was heard last.
    others: u64,
    /// The number of the message that an answer is waited for.
    asked: Option<u64>,
}

/// A cooldown that another replica has decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adopted {
    /// Which deployment.
    pub deployment: Arc<str>,
    /// How much longer.
    pub left: Duration,
    /// What cooled it.
    pub cause: Fault,
}

impl GroupShare {
    /// Of a group's deployments, each of which nobody else shares. No other replica may have that name.
    #[must_use]
    pub fn new(
        group: Arc<str>,
        name: Arc<str>,
        deployments: &[Arc<Deployment>],
        sharing: Sharing,
        now: Instant,
    ) -> Self {
        let mirror = |d: &Arc<Deployment>| (Arc::clone(&d.target.id), Mirror::new(d));
        Self {
            group,
            name,
            renamed: 0,
            renamed_in: 0,
            since: 0,
            number: 0,
            sharing,
            mirrors: deployments.iter().map(mirror).collect(),
            ahead: 0,
            heard: None,
            began: now,
            others: 0,
            asked: None,
        }
    }

    /// The group.
    #[must_use]
    pub const fn group(&self) -> &Arc<str> {
        &self.group
    }

    /// What this replica is called in it at present.
    #[must_use]
    pub fn name(&self) -> Arc<str> {
        match self.renamed {
            0 => Arc::clone(&self.name),
            n => format!("{}.{n}", self.name).into(),
        }
    }

    /// Replicas that were alive when it was heard last, this one included.
    #[must_use]
    pub const fn replicas(&self) -> u64 {
        self.others + 1
    }

    /// How long ago it was heard, or how long it has tried in vain.
    #[must_use]
    pub fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.heard.unwrap_or(self.began))
    }

    /// What to say now. The `last` message says that this replica goes.
    pub fn message(&mut self, moment: Moment, last: bool) -> Message {
        self.number += 1;
        self.asked = Some(self.number);
        let minute = minute_of(moment.unix);
        let own = |(id, mirror): &mut (Arc<str>, Mirror)| {
            let mut own = mirror.own(minute, moment.now);
            if last {
                own.in_flight = 0;
            }
            (Arc::clone(id), own)
        };
        Message {
            group: Arc::clone(&self.group),
            replica: self.name(),
            number: self.number,
            known: self.age(moment.now) > CERTAIN,
            last,
            lease: self.sharing.lease,
            minute: minute.saturating_add_signed(self.ahead),
            deployments: self.mirrors.iter_mut().map(own).collect(),
        }
    }

    /// The answer to the message of that number. One to an earlier message says nothing any more.
    pub fn hear(&mut self, number: u64, answer: &Answer, moment: Moment) -> Vec<Adopted> {
        if self.asked != Some(number) {
            return Vec::new();
        }
        self.asked = None;
        match answer {
            Answer::Late => Vec::new(),
            Answer::Unknown => {
                // What was heard under this name stays in the totals, and its parts are gone.
                self.renamed += 1;
                self.renamed_in = self.since;
                self.heard = None;
                self.began = moment.now;
                self.mirrors.iter_mut().for_each(|(_, m)| m.rename());
                Vec::new()
            }
            Answer::Heard(everyone) => self.fold(everyone, moment),
        }
    }

    fn fold(&mut self, everyone: &Everyone, moment: Moment) -> Vec<Adopted> {
        let has = self.renamed == 0 || everyone.since == self.renamed_in;
        self.mirrors.iter_mut().for_each(|(_, m)| m.trust(has));
        self.since = everyone.since;
        self.heard = Some(moment.now);
        self.others = everyone.others;
        let ahead = everyone.unix.as_secs_f64() - moment.unix.as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a few minutes")]
        if (ahead - self.ahead as f64 * 60.0).abs() > SKEW {
            #[expect(clippy::cast_possible_truncation, reason = "saturates")]
            let minutes = (ahead / 60.0).round() as i64;
            self.ahead = minutes;
        }
        let adopt = |((id, mirror), all): (&mut (Arc<str>, Mirror), _)| {
            let (left, cause) = mirror.fold(all, moment.now)?;
            Some(Adopted {
                deployment: Arc::clone(id),
                left,
                cause,
            })
        };
        let mirrors = self.mirrors.iter_mut();
        mirrors
            .zip(&everyone.deployments)
            .filter_map(adopt)
            .collect()
    }

    /// Whether it has not been heard for so long that the numbers of others can't be relied on.
    #[must_use]
    pub fn is_alone(&self, now: Instant) -> bool {
        let patience = (self.sharing.interval * 3).max(PATIENCE);
        self.heard
            .is_none_or(|at| now.saturating_duration_since(at) >= patience)
    }

    /// Nobody is heard: what holds for limits meanwhile. To be repeated every interval, since each minute begins anew.
    pub fn suppose(&mut self, moment: Moment) {
        let replicas = self.replicas();
        let of = |limit: u64| match self.sharing.outage {
            Outage::Open => 0,
            Outage::Closed => limit,
            // A limit that is less than one each would let nothing through at all.
            Outage::Share => limit.saturating_sub((limit / replicas).max(1)),
        };
        // Before a minute begins, so that there is no moment of it without.
        let minute = minute_of(moment.unix + 2 * self.sharing.interval);
        if self.is_alone(moment.now) && self.sharing.outage != Outage::Open {
            self.mirrors
                .iter_mut()
                .for_each(|(_, m)| m.suppose(minute, of));
        }
    }
}
