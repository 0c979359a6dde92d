//! The simulated world.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::Instant;
use waypost::clock::{Clock, Moment, SystemClock};
use waypost::router::cooldown::Readiness;
use waypost::router::shared::GroupShare;
use waypost::router::strategy::{Args, build};
use waypost::router::{Ask, Attempt, Deployment, Outcome, Router};
use waypost::types::{
    Answer, Cost, ErrorClass, Fault, Lasting, Message, Outage, Price, Sharing, StrategyKind,
    TokenUsage, Totals,
};
use waypost::usage::store::model::Model;

use crate::support::load;

const DEPLOYMENTS: usize = 2;
const LEASE: Duration = Duration::from_secs(10);
/// When it all begins, by the store's clock.
const BEGAN: Duration = Duration::from_secs(1_800_000_007);

/// What happened, so that a simulation in which nothing happens is noticed.
#[derive(Debug, Default, Clone)]
pub(super) struct Seen(BTreeMap<&'static str, u64>);

impl Seen {
    fn note(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (what, n) in &other.0 {
            *self.0.entry(what).or_default() += n;
        }
    }

    pub(super) fn is_all(&self) -> bool {
        [
            "request lost",
            "reply lost",
            "request late",
            "reply late",
            "repeat void",
            "repeat applied",
            "data lost",
            "restored",
            "killed",
            "cut off",
            "long silence",
            "renamed",
            "cooled",
            "adopted",
        ]
        .iter()
        .all(|what| self.0.contains_key(what))
    }
}

/// What the store has been told, as far as it has not lost it: by name, and by name and minute.
#[derive(Debug, Clone, Default)]
struct Told {
    lasting: BTreeMap<Arc<str>, Vec<Lasting>>,
    minutes: BTreeMap<(Arc<str>, u64), Totals>,
}

struct Replica {
    share: GroupShare,
    router: Router,
    /// How far its wall clock is ahead, in milliseconds.
    skew: i64,
    attempts: Vec<(Attempt, u64, u64)>,
    counted: [(u64, u64); DEPLOYMENTS],
    /// Of the first deployment, by its own minutes.
    minutes: BTreeMap<u64, Totals>,
    decided: [Option<Instant>; DEPLOYMENTS],
    names: BTreeSet<Arc<str>>,
    cut_off: bool,
    /// Its own minute and the store's, as it said last.
    said: (u64, u64),
}

pub(super) struct World {
    dice: StdRng,
    base: Instant,
    at: Duration,
    sharing: Sharing,
    store: Model,
    told: Told,
    copies: Vec<(Model, Told)>,
    replicas: Vec<Replica>,
    born: u32,
    /// Requests and replies on their way, with the time they arrive.
    requests: Vec<(Duration, Message)>,
    replies: Vec<(Duration, Arc<str>, u64, Answer)>,
    past: Vec<Message>,
    pub(super) seen: Seen,
}

fn usage(tokens: u64) -> TokenUsage {
    TokenUsage {
        input: tokens,
        ..TokenUsage::default()
    }
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut dice = StdRng::seed_from_u64(seed);
        let outages = [Outage::Share, Outage::Open, Outage::Closed];
        let mut world = Self {
            sharing: Sharing {
                interval: Duration::from_millis(200),
                lease: LEASE,
                outage: outages[dice.random_range(0..outages.len())],
            },
            base: SystemClock.now(),
            at: Duration::ZERO,
            store: Model::default(),
            told: Told::default(),
            copies: Vec::new(),
            replicas: Vec::new(),
            born: 0,
            requests: Vec::new(),
            replies: Vec::new(),
            past: Vec::new(),
            seen: Seen::default(),
            dice,
        };
        for _ in 0..world.dice.random_range(2..5) {
            world.bear();
        }
        world
    }

    fn bear(&mut self) {
        self.born += 1;
        let deployments: Vec<_> = (0..DEPLOYMENTS).map(|i| Arc::new(deployment(i))).collect();
        let skew = [0, 0, 3, -40, 25_000, -59_000, 3_600_000, -172_801_000];
        let skew = skew[self.dice.random_range(0..skew.len())];
        let now = self.base + self.at;
        let name: Arc<str> = format!("replica-{}", self.born).into();
        let share = GroupShare::new("g".into(), name, &deployments, self.sharing, now);
        let strategy = build(StrategyKind::SimpleShuffle, Args::default());
        let rng = StdRng::seed_from_u64(self.dice.random());
        self.replicas.push(Replica {
            share,
            router: Router::new("g".into(), deployments, strategy, rng),
            skew,
            attempts: Vec::new(),
            counted: Default::default(),
            minutes: BTreeMap::new(),
            decided: Default::default(),
            names: BTreeSet::new(),
            cut_off: false,
            said: (0, 0),
        });
    }

    fn moment(&self, replica: usize) -> Moment {
        let unix = BEGAN + self.at;
        let skew = self.replicas[replica].skew;
        let by = Duration::from_millis(skew.unsigned_abs());
        Moment {
            now: self.base + self.at,
            unix: if skew < 0 { unix - by } else { unix + by },
        }
    }

    /// A while in which everything may go wrong.
    pub(super) fn trouble(&mut self) {
        for _ in 0..60 {
            self.at += Duration::from_millis(self.dice.random_range(1..150));
            self.arrive();
            let i = self.dice.random_range(0..self.replicas.len());
            match self.dice.random_range(0..100) {
                0..25 => self.begin(i),
                25..45 => self.end(i),
                45..85 => self.exchange(i, true),
                85..89 => self.repeat(),
                89..91 => self.kill(i),
                91..93 => self.lose(),
                93..95 => self.copies.push((self.store.clone(), self.told.clone())),
                95..97 => self.restore(),
                97..99 => {
                    self.seen.note("cut off");
                    self.replicas[i].cut_off ^= true;
                }
                _ => self.at += Duration::from_secs(self.dice.random_range(0..90)),
            }
        }
        if self.dice.random_bool(0.1) {
            self.long_silence();
        }
    }

    fn begin(&mut self, i: usize) {
        let moment = self.moment(i);
        let reserve = self.dice.random_range(0..100);
        let replica = &mut self.replicas[i];
        let ask = Ask {
            tried: &[],
            unfit: &[],
            now: moment.now,
            unix: moment.unix,
            tokens: usage(reserve),
            streaming: false,
            even_cooling: false,
            conversation: None,
            ticket: None,
        };
        if let Ok(attempt) = replica.router.begin(&ask) {
            let minute = moment.unix.as_secs() / 60;
            if attempt.index() == 0 {
                let counts = replica.minutes.entry(minute).or_default();
                counts.requests += 1;
                counts.tokens += reserve;
            }
            replica.attempts.push((attempt, minute, reserve));
        }
    }

    fn end(&mut self, i: usize) {
        let now = self.moment(i).now;
        let (used, how) = (
            self.dice.random_range(0..200),
            self.dice.random_range(0..10),
        );
        let retry_after = self.dice.random_bool(0.5).then(|| Duration::from_secs(how));
        let replica = &mut self.replicas[i];
        if replica.attempts.is_empty() {
            return;
        }
        let (mut attempt, minute, reserved) = replica.attempts.swap_remove(0);
        let index = attempt.index();
        attempt.note_usage(usage(used));
        let counted = &mut replica.counted[index];
        counted.0 += used;
        counted.1 += attempt.cost().unwrap_or_default().0;
        if index == 0
            && let Some(counts) = replica.minutes.get_mut(&minute)
        {
            counts.tokens = counts.tokens - reserved + used;
        }
        let outcome = match how {
            0..5 => Outcome::Success,
            5..7 => Outcome::Failed {
                fault: Fault::RateLimit,
                class: ErrorClass::RateLimit,
                retry_after,
            },
            // The client has left.
            _ => return,
        };
        if let Some(until) = attempt.settle(outcome, now) {
            self.seen.note("cooled");
            replica.decided[index] = Some(until);
        }
    }

    fn exchange(&mut self, i: usize, faults: bool) {
        let moment = self.moment(i);
        let replica = &mut self.replicas[i];
        let message = replica.share.message(moment, false);
        replica.said = (moment.unix.as_secs() / 60, message.minute);
        replica.names.insert(Arc::clone(&message.replica));
        self.past.push(message.clone());
        let later = self.at + Duration::from_millis(self.dice.random_range(1..2000));
        let fate = if faults {
            self.dice.random_range(0..20)
        } else {
            19
        };
        match fate {
            _ if faults && self.replicas[i].cut_off => {}
            0..3 => self.seen.note("request lost"),
            3..5 => {
                self.seen.note("request late");
                self.requests.push((later, message));
            }
            5..8 => {
                self.seen.note("reply lost");
                self.apply(&message);
            }
            8..10 => {
                self.seen.note("reply late");
                let answer = self.apply(&message);
                let reply = (later, message.replica, message.number, answer);
                self.replies.push(reply);
            }
            _ => {
                let answer = self.apply(&message);
                self.hear(i, message.number, &answer);
            }
        }
        // As the task does after each try.
        self.replicas[i].share.suppose(moment);
    }

    fn apply(&mut self, message: &Message) -> Answer {
        let answer = self.store.exchange(message, BEGAN + self.at);
        if let Answer::Heard(everyone) = &answer {
            let name = &message.replica;
            let own = message.deployments.iter().map(|(_, own)| own.lasting);
            self.told.lasting.insert(Arc::clone(name), own.collect());
            if let Some(minute) = message.deployments[0].1.minute {
                let key = (Arc::clone(name), message.minute);
                self.told.minutes.insert(key, minute);
            }
            assert_eq!(everyone.deployments.len(), DEPLOYMENTS);
        }
        answer
    }

    fn hear(&mut self, i: usize, number: u64, answer: &Answer) {
        let moment = self.moment(i);
        let replica = &mut self.replicas[i];
        let before = deadlines(&replica.router, moment.now);
        let adopted = replica.share.hear(number, answer, moment);
        if !adopted.is_empty() {
            self.seen.note("adopted");
        }
        if *answer == Answer::Unknown {
            self.seen.note("renamed");
        }
        let after = deadlines(&replica.router, moment.now);
        assert!(
            before.iter().zip(&after).all(|(a, b)| a <= b),
            "P3: {before:?} became {after:?}"
        );
    }

    fn arrive(&mut self) {
        let at = self.at;
        // In any order.
        for (_, message) in self
            .requests
            .extract_if(.., |r| r.0 <= at)
            .collect::<Vec<_>>()
        {
            self.apply(&message);
        }
        for (_, name, number, answer) in self
            .replies
            .extract_if(.., |r| r.0 <= at)
            .collect::<Vec<_>>()
        {
            if let Some(i) = self.replicas.iter().position(|r| r.names.contains(&name)) {
                self.hear(i, number, &answer);
            }
        }
    }

    /// A message of some time ago arrives again.
    fn repeat(&mut self) {
        if self.past.is_empty() {
            return;
        }
        let message = self.past[self.dice.random_range(0..self.past.len())].clone();
        let before = self.store.clone();
        if self.apply(&message) == Answer::Late {
            self.seen.note("repeat void");
            assert!(before == self.store, "P4: a late message changed the store");
        } else {
            self.seen.note("repeat applied");
        }
    }

    fn kill(&mut self, i: usize) {
        self.seen.note("killed");
        self.replicas.swap_remove(i);
        self.bear();
    }

    fn lose(&mut self) {
        self.seen.note("data lost");
        (self.store, self.told) = Default::default();
    }

    fn restore(&mut self) {
        if let Some((store, told)) = self.copies.pop() {
            self.seen.note("restored");
            (self.store, self.told) = (store, told);
        }
    }

    /// Nobody exchanges for long. Nothing is on its way, and no copy is so old that it is restored.
    fn long_silence(&mut self) {
        self.seen.note("long silence");
        self.quiet();
        self.requests.clear();
        self.replies.clear();
        self.past.clear();
        self.copies.clear();
        let hours = [13, 30][self.dice.random_range(0..2)];
        self.at += Duration::from_secs(hours * 3600);
        for _ in 0..4 {
            let i = self.dice.random_range(0..self.replicas.len());
            self.begin(i);
            self.end(i);
        }
        self.quiet();
    }

    /// Whoever was cut off is back, and after a lease everybody exchanges undisturbed.
    pub(super) fn quiet(&mut self) {
        self.at += LEASE + Duration::from_millis(1);
        for _ in 0..4 {
            for i in 0..self.replicas.len() {
                self.replicas[i].cut_off = false;
                self.exchange(i, false);
            }
        }
    }

    pub(super) fn check(&self) {
        let now = self.base + self.at;
        let live: BTreeSet<_> = self.replicas.iter().flat_map(|r| &r.names).collect();
        for d in 0..DEPLOYMENTS {
            let dead = self
                .told
                .lasting
                .iter()
                .filter(|(name, _)| !live.contains(name));
            let dead = dead.map(|(_, parts)| (parts[d].tokens, parts[d].spent));
            let counted = self.replicas.iter().map(|r| r.counted[d]);
            let expected = dead
                .chain(counted)
                .fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
            for (i, replica) in self.replicas.iter().enumerate() {
                let scores = &replica.router.deployments()[d].scores;
                let totals = (scores.total_tokens(), scores.spent().0);
                assert_eq!(totals, expected, "P1, P5: totals of {d} at {i}");
                let own = replica
                    .attempts
                    .iter()
                    .filter(|(a, ..)| a.index() == d)
                    .count();
                assert_eq!(
                    scores.in_flight() as usize,
                    own,
                    "P6: in flight of {d} at {i}"
                );
                let all = self.replicas.iter().flat_map(|r| &r.attempts);
                let all = all.filter(|(a, ..)| a.index() == d).count();
                let others = scores.others_in_flight() as usize;
                assert_eq!(others, all - own, "P2: in flight of {d} at others, at {i}");
            }
            let slack = Duration::from_millis(3);
            for decider in &self.replicas {
                let until = deadlines(&decider.router, now)[d];
                if until.is_none() || until != decider.decided[d] {
                    continue;
                }
                for replica in &self.replicas {
                    let heard = deadlines(&replica.router, now)[d];
                    assert!(
                        heard.is_some_and(|at| Some(at + slack) >= until)
                            || until < Some(now + slack),
                        "P3: {heard:?} instead of {until:?}"
                    );
                }
            }
        }
        self.check_minutes();
    }

    /// Whose clocks are in the same minute, they count it alike.
    fn check_minutes(&self) {
        for replica in &self.replicas {
            let (own, minute) = replica.said;
            let same = || self.replicas.iter().filter(|r| r.said.1 == minute);
            let here: BTreeSet<_> = same().flat_map(|r| &r.names).collect();
            let left = self.told.minutes.iter();
            let left = left.filter(|((name, of), _)| *of == minute && !here.contains(name));
            let counted = same().filter_map(|r| r.minutes.get(&r.said.0));
            let expected = left.map(|(_, n)| n).chain(counted);
            let expected = expected.fold(Totals::default(), |a, b| Totals {
                requests: a.requests + b.requests,
                tokens: a.tokens + b.tokens,
            });
            let scores = &replica.router.deployments()[0].scores;
            assert_eq!(scores.minute(own), expected, "P7: minute {minute}");
        }
    }
}

fn deadlines(router: &Router, now: Instant) -> [Option<Instant>; DEPLOYMENTS] {
    std::array::from_fn(|d| match router.deployments()[d].scores.readiness(now) {
        Readiness::Cooling { until, .. } => Some(until),
        _ => None,
    })
}

/// One without limits, then one with; nothing has happened to it.
fn deployment(index: usize) -> Deployment {
    static READ: OnceLock<[Deployment; DEPLOYMENTS]> = OnceLock::new();
    let all = READ.get_or_init(|| std::array::from_fn(read));
    Deployment {
        scores: Arc::default(),
        ..all[index].clone()
    }
}

fn read(index: usize) -> Deployment {
    let text = "model_groups: [{id: g, models: [{provider: self-hosted, model: m, api_base: 'http://h', model_info: {id: ID}}]}]";
    let config = load(&text.replace("ID", &format!("d{index}")));
    let read = &config.groups[0].deployments[0];
    Deployment {
        target: Arc::clone(&read.target),
        weight: None,
        rpm: (index == 1).then_some(1000),
        tpm: (index == 1).then_some(100_000),
        max_parallel_requests: None,
        order: None,
        price: Some(Price::of_tokens(Cost(1_000_003), Cost(7)).into()),
        tags: Arc::default(),
        region: None,
        max_input_tokens: None,
        abilities: read.abilities,
        rule: waypost::router::cooldown::Rule {
            cooldown_time: Duration::from_secs(40),
            allowed_fails: None,
            allowed_fails_policy: waypost::types::Policy::default(),
        },
        num_retries: None,
        clocks: read.clocks,
        scores: Arc::default(),
    }
}
