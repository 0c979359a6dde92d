//! The exchange of what replicas count, beside all requests: one task for each Redis, one round trip an interval for all
//! groups that share through it.

use std::sync::Arc;

use rand::RngExt;
use tokio::sync::{Mutex, Notify};

use super::Deps;
use super::reserve::Exact;
use super::snapshot::{Group, Snapshot};
use crate::clock::{Clock, Moment};
use crate::metrics::Metrics;
use crate::redis::Redis;
use crate::router::shared::{Adopted, GroupShare};
use crate::types::{Answer, Message, Outage, Sharing};
use crate::usage::store::UsageStore;

/// What is shared through one Redis.
#[derive(Debug)]
pub(super) struct Share {
    redis: Redis,
    sharing: Sharing,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    /// How the limits of each of the groups are reserved, if they are.
    exact: Vec<Option<Arc<Exact>>>,
    /// There is something to tell at once.
    wake: Arc<Notify>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    groups: Vec<GroupShare>,
    /// That nobody is heard was said.
    alone: bool,
    /// The last message is said.
    over: bool,
}

/// For each Redis what is shared through it.
pub(super) fn of(
    redis: &[Redis],
    snapshot: &Snapshot,
    sharing: Sharing,
    deps: &Deps,
) -> Vec<Share> {
    if redis.is_empty() {
        return Vec::new();
    }
    // Of the machine's randomness whatever the seed: two replicas that are started alike are two.
    let replica: Arc<str> = format!("{:032x}", rand::rng().random::<u128>()).into();
    let share = |redis| Share::new(redis, snapshot.groups(), sharing, &replica, deps);
    redis.iter().map(share).collect()
}

impl Share {
    /// Of those groups that name this Redis, as a replica of that name.
    pub(super) fn new(
        redis: &Redis,
        groups: &[Arc<Group>],
        sharing: Sharing,
        replica: &Arc<str>,
        Deps { clock, metrics, .. }: &Deps,
    ) -> Self {
        let here = |group: &&Arc<Group>| {
            let target = group.redis.as_ref().map(Redis::target);
            target.is_some_and(|target| target == redis.target())
        };
        let groups: Vec<_> = groups.iter().filter(here).collect();
        let exact: Vec<_> = groups.iter().map(|group| group.exact.clone()).collect();
        exact
            .iter()
            .flatten()
            .for_each(|exact| exact.rename(replica));
        let share = |group: &&Arc<Group>| {
            let deployments = group.router.deployments();
            let (id, name) = (Arc::clone(&group.id), Arc::clone(replica));
            GroupShare::new(id, name, deployments, sharing, clock.now())
        };
        let wake = Arc::default();
        for group in &groups {
            let deployments = group.router.deployments().iter();
            deployments.for_each(|d| d.scores.tell(&wake));
        }
        Self {
            redis: redis.clone(),
            sharing,
            clock: Arc::clone(clock),
            metrics: Arc::clone(metrics),
            exact,
            wake,
            state: Mutex::new(State {
                groups: groups.iter().map(share).collect(),
                alone: false,
                over: false,
            }),
        }
    }

    /// Exchanges every interval. Never ends.
    pub(super) async fn keep(&self) {
        loop {
            self.exchange(false).await;
            // A little apart from the others', so that replicas that began together don't come together.
            let wait = self
                .sharing
                .interval
                .mul_f64(rand::rng().random_range(0.9..1.0));
            let _ = tokio::time::timeout(wait, self.wake.notified()).await;
        }
    }

    /// Says a last time what was counted, and that this replica goes.
    pub(super) async fn finish(&self) {
        self.exchange(true).await;
    }

    async fn exchange(&self, last: bool) {
        let mut state = self.state.lock().await;
        let State {
            groups,
            alone,
            over,
        } = &mut *state;
        if std::mem::replace(over, *over || last) {
            return;
        }
        let moment = self.clock.moment();
        if !last {
            // At the end the answers' own threads may have ended, and with them the clocks these wait by.
            self.exact
                .iter()
                .flatten()
                .for_each(|exact| exact.give_back());
        }
        let both = groups.iter_mut().zip(&self.exact);
        let messages: Vec<Message> = both
            .map(|(group, exact)| group.message(as_counted(exact.as_deref(), moment), last))
            .collect();
        let answers = self.redis.exchange(&messages).await;
        let moment = self.clock.moment();
        match answers {
            Ok(answers) => {
                let both = groups.iter_mut().zip(&self.exact);
                for (((group, exact), message), answer) in both.zip(&messages).zip(answers) {
                    match answer {
                        Ok(answer) => {
                            if let (Some(exact), Answer::Heard(everyone)) = (exact, &answer) {
                                exact.align(everyone.unix, moment.unix);
                            }
                            let moment = as_counted(exact.as_deref(), moment);
                            hear(group, message, &answer, moment);
                            if let Some(exact) = exact {
                                exact.rename(&group.name());
                            }
                        }
                        Err(error) => {
                            tracing::debug!(group = %group.group(), "numbers were not exchanged: {error}")
                        }
                    }
                }
            }
            Err(error) => tracing::debug!("numbers were not exchanged: {error}"),
        }
        if !last {
            for (group, exact) in groups.iter_mut().zip(&self.exact) {
                group.suppose(as_counted(exact.as_deref(), moment));
                let age = group.age(moment.now).as_secs_f64();
                self.metrics.sharing(group.group(), age, group.replicas());
            }
            self.report(groups, alone, moment.now);
        }
    }

    /// Says once that nobody is heard and what holds, and once that this is over.
    fn report(&self, groups: &[GroupShare], alone: &mut bool, now: tokio::time::Instant) {
        let longest = groups.iter().max_by_key(|group| group.age(now));
        let Some(group) = longest else {
            return;
        };
        let (age, place) = (group.age(now), self.redis.target().place());
        let is_alone = group.is_alone(now) && age >= std::time::Duration::from_secs(1);
        if std::mem::replace(alone, is_alone) == is_alone {
            return;
        }
        if !is_alone {
            tracing::info!(
                "numbers are exchanged through Redis at {place} again: everyone's count"
            );
            return;
        }
        let replicas = group.replicas();
        let limits = match self.sharing.outage {
            Outage::Share => format!("rpm and tpm hold by a share of 1/{replicas}"),
            Outage::Open => "rpm and tpm hold for this replica alone".to_owned(),
            Outage::Closed => "deployments with rpm or tpm take nothing".to_owned(),
        };
        tracing::warn!(
            "numbers have not been exchanged through Redis at {place} for {:.1} s: this replica goes on with its own and what it knew last of others; {limits}",
            age.as_secs_f64()
        );
    }
}

/// The moment by the clock that cuts a group's minutes.
fn as_counted(exact: Option<&Exact>, moment: Moment) -> Moment {
    Moment {
        unix: exact.map_or(moment.unix, |exact| exact.unix(moment.unix)),
        ..moment
    }
}

fn hear(group: &mut GroupShare, message: &Message, answer: &Answer, moment: Moment) {
    for Adopted {
        deployment,
        left,
        cause,
    } in group.hear(message.number, answer, moment)
    {
        let seconds = left.as_secs_f64();
        tracing::info!(%deployment, cause = cause.name(), seconds, "deployment {deployment} is cooling down for {seconds:.1} s, as another replica found after a {} failure", cause.name());
    }
}
