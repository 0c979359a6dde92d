//! A store in memory: what `exchange.lua` does, in Rust. It is what simulations of many replicas exchange through.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::{KEPT, MOST, UsageStore};
use crate::clock::Clock;
use crate::redis::StoreError;
use crate::types::{All, Answer, Everyone, Fault, Lasting, Message, Own, Totals, Until};

/// All that is held. A copy is what a server that is restored holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Model {
    groups: HashMap<Arc<str>, Group>,
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Group {
    lasting: Counts<{ Lasting::LEN }>,
    since: Option<u64>,
    replicas: BTreeMap<Arc<str>, Replica>,
    cooling: BTreeMap<Arc<str>, (u64, Fault)>,
    /// By number, with the time it is forgotten.
    minutes: BTreeMap<u64, (u64, Minute)>,
}

/// What is counted in a minute, and what each replica has reserved of it.
#[derive(Debug, Clone, Default, PartialEq)]
struct Minute {
    counts: Counts<2>,
    reserved: HashMap<(Arc<str>, Arc<str>), [u64; 2]>,
}

/// A total for each deployment, and each replica's part of it.
#[derive(Debug, Clone, PartialEq)]
struct Counts<const N: usize> {
    totals: HashMap<Arc<str>, [u64; N]>,
    parts: HashMap<(Arc<str>, Arc<str>), [u64; N]>,
}

impl<const N: usize> Default for Counts<N> {
    fn default() -> Self {
        Self {
            totals: HashMap::new(),
            parts: HashMap::new(),
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
struct Replica {
    number: u64,
    seen: u64,
    here: bool,
    in_flight: Vec<(Arc<str>, u32)>,
}

/// The largest integer of Redis.
const FULL: u64 = i64::MAX.unsigned_abs();
/// How long a minute's counts are kept after they last changed, in milliseconds.
const MINUTE_KEPT: u64 = 180_000;

impl<const N: usize> Counts<N> {
    fn count(&mut self, replica: &Arc<str>, id: &Arc<str>, own: Option<[u64; N]>) -> [u64; N] {
        let totals = self.totals.entry(Arc::clone(id)).or_insert([0; N]);
        if let Some(own) = own {
            let key = (Arc::clone(replica), Arc::clone(id));
            let parts = self.parts.entry(key).or_insert([0; N]);
            for ((total, part), new) in totals.iter_mut().zip(parts).zip(own) {
                let new = new.min(MOST);
                if let Some(sum) = total.checked_add(new).filter(|sum| *sum <= FULL) {
                    *total = sum - *part;
                    *part = new;
                }
            }
        }
        *totals
    }
}

impl Minute {
    fn tell(&mut self, replica: &Arc<str>, id: &Arc<str>, own: &Own) -> [u64; 2] {
        let mut said = own.minute.map(|m| [m.requests, m.tokens]);
        if let (Some(said), Some(known)) = (&mut said, own.reserved) {
            let key = (Arc::clone(replica), Arc::clone(id));
            let held = self.reserved.entry(key).or_default();
            let known = [known.requests, known.tokens];
            for ((said, held), known) in said.iter_mut().zip(held).zip(known) {
                *held = known.max(*held);
                *said += *held - known;
            }
        }
        self.counts.count(replica, id, said)
    }

    /// The totals before, and whether they leave a place for so many `tokens`: it is taken then.
    fn reserve(
        &mut self,
        replica: &Arc<str>,
        id: &Arc<str>,
        tokens: u64,
        limits: Totals,
    ) -> (Totals, bool) {
        let [requests, used] = self.counts.count(replica, id, None);
        let room = used < limits.tokens && (used == 0 || used + tokens <= limits.tokens);
        let taken = requests < limits.requests && room;
        if taken {
            let key = || (Arc::clone(replica), Arc::clone(id));
            let totals = self.counts.totals.entry(Arc::clone(id)).or_default();
            let parts = self.counts.parts.entry(key()).or_insert([0; 2]);
            let reserved = self.reserved.entry(key()).or_default();
            for count in [totals, parts, reserved] {
                count[0] += 1;
                count[1] += tokens;
            }
        }
        let before = Totals {
            requests,
            tokens: used,
        };
        (before, taken)
    }
}

impl Model {
    /// Takes a place at the first of the deployments, each with its limits, that has one for so many `tokens`: its place in
    /// the list, and what each one that was asked had before. It is what `reserve.lua` does.
    pub fn reserve(
        &mut self,
        (group, replica): (&Arc<str>, &Arc<str>),
        tokens: u64,
        wishes: &[(Arc<str>, Totals)],
        unix: Duration,
    ) -> (Option<usize>, Vec<Totals>) {
        let group = self.groups.entry(Arc::clone(group)).or_default();
        let (until, minute) = group.minutes.entry(unix.as_secs() / 60).or_default();
        *until = (*until).max(millis(unix) + MINUTE_KEPT);
        let mut had = Vec::new();
        for (place, (id, limits)) in wishes.iter().enumerate() {
            let (before, taken) = minute.reserve(replica, id, tokens, *limits);
            had.push(before);
            if taken {
                return (Some(place), had);
            }
        }
        (None, had)
    }

    /// Takes one message, at that time on the store's clock.
    pub fn exchange(&mut self, message: &Message, unix: Duration) -> Answer {
        let now = millis(unix);
        let group = self.groups.entry(Arc::clone(&message.group)).or_default();
        let known = group.replicas.get(&message.replica);
        let knew = known.is_some();
        if known.is_some_and(|known| message.number <= known.number) {
            return Answer::Late;
        }
        if message.known && !knew {
            return Answer::Unknown;
        }
        group.forget(&message.replica, now);
        let alive = group.alive(message, now);
        let (minute, mut deployments) = (message.minute, Vec::new());
        for (id, own) in &message.deployments {
            let in_flight = alive.iter().flat_map(|replica| &replica.in_flight);
            let in_flight = in_flight.filter(|(of, _)| of == id).map(|(_, n)| *n);
            let in_flight = in_flight.fold(0, u32::saturating_add);
            deployments.push((id, own, in_flight));
        }
        let others = alive.len() as u64;
        let all = deployments
            .into_iter()
            .map(|(id, own, in_flight)| {
                group.minutes.retain(|_, (until, _)| *until > now);
                let lasting = Some(own.lasting.numbers());
                let lasting = group.lasting.count(&message.replica, id, lasting);
                let (until, counts) = group.minutes.entry(minute).or_default();
                *until = now + MINUTE_KEPT;
                let [requests, tokens] = counts.tell(&message.replica, id, own);
                All {
                    lasting: Lasting::from_numbers(lasting),
                    minute: Totals { requests, tokens },
                    in_flight,
                    cooling: group.cool(id, own, now),
                }
            })
            .collect();
        let in_flight = message.deployments.iter();
        let in_flight = in_flight.map(|(id, own)| (Arc::clone(id), own.in_flight));
        let replica = Replica {
            number: message.number,
            seen: now,
            here: !message.last,
            in_flight: in_flight.filter(|(_, n)| *n > 0).collect(),
        };
        group.replicas.insert(Arc::clone(&message.replica), replica);
        Answer::Heard(Everyone {
            unix: Duration::from_millis(now),
            others,
            since: *group.since.get_or_insert(now),
            deployments: all,
        })
    }
}

impl Group {
    /// Drops the parts of replicas that have been silent for long, but for `replica`'s.
    fn forget(&mut self, replica: &Arc<str>, now: u64) {
        let kept = millis(KEPT);
        let Self {
            replicas, lasting, ..
        } = self;
        replicas.retain(|name, known| {
            let stays = name == replica || now.saturating_sub(known.seen) <= kept;
            if !stays {
                lasting.parts.retain(|(of, _), _| of != name);
            }
            stays
        });
    }

    fn alive(&self, message: &Message, now: u64) -> Vec<&Replica> {
        let lease = millis(message.lease);
        self.replicas
            .iter()
            .filter(|(name, _)| **name != message.replica)
            .map(|(_, replica)| replica)
            .filter(|replica| replica.here && now.abs_diff(replica.seen) <= lease)
            .collect()
    }

    /// The later of the deadline that is held and the one that is given.
    fn cool(&mut self, id: &Arc<str>, own: &Own, now: u64) -> Option<(u64, Duration, Fault)> {
        let mut held = self.cooling.get(id).copied();
        if let Some((until, cause)) = own.cooling {
            let until = match until {
                Until::Left(left) => now + millis(left),
                Until::Known(at) => at,
            };
            if until > held.map_or(0, |(at, _)| at) && until > now {
                held = Some((until, cause));
            }
        }
        match held.filter(|(until, _)| *until > now) {
            Some((until, cause)) => {
                self.cooling.insert(Arc::clone(id), (until, cause));
                Some((until, Duration::from_millis(until - now), cause))
            }
            None => {
                self.cooling.remove(id);
                None
            }
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// A [`Model`] behind a lock, with a clock.
#[derive(Debug)]
pub struct InMemory {
    model: Mutex<Model>,
    clock: Arc<dyn Clock>,
}

impl InMemory {
    /// Nothing is in it yet.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            model: Mutex::default(),
            clock,
        }
    }
}

impl UsageStore for InMemory {
    async fn exchange(
        &self,
        messages: &[Message],
    ) -> Result<Vec<Result<Answer, StoreError>>, StoreError> {
        let mut model = self.model.lock().unwrap_or_else(PoisonError::into_inner);
        let unix = self.clock.unix();
        let answers = messages.iter().map(|m| Ok(model.exchange(m, unix)));
        Ok(answers.collect())
    }
}
