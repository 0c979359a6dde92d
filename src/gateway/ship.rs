//! Hands the ledger's records over to everyone's totals in Redis, in the order of their numbers, at a pace of its own.
//!
//! Nothing waits for it. What is not handed over yet stands in the ledger's files, across outages and restarts.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use crate::redis::{Redis, State, StoreError};
use crate::types::LedgerSettings;
use crate::usage::ledger::ship::{Shipment, position, ship};
use crate::usage::ledger::{Follower, LedgerError};

/// Between two looks for new records.
const PACE: Duration = Duration::from_millis(500);
/// Looks without a new record after which Redis is asked whether it still has what it had.
const IDLE: u32 = 20;
/// Records read at once.
const RECORDS: usize = 500;
/// Sums of one shipment, each of some ten numbers: a script must not keep Redis from others for long.
const SUMS: usize = 100;

/// What hands them over.
#[derive(Debug)]
pub(super) struct Shipper {
    settings: LedgerSettings,
    redis: Redis,
    /// Where it is; `None`: Redis is to be asked.
    at: Mutex<Option<Follower>>,
}

/// Why no more could be handed over now.
enum Stop {
    /// How Redis is, its own keeper says.
    Away,
    Refused(String),
    Ledger(LedgerError),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Refused(what) => Self::Refused(what),
            StoreError::Unavailable | StoreError::Timeout(_) | StoreError::Broken(_) => Self::Away,
        }
    }
}

impl From<LedgerError> for Stop {
    fn from(error: LedgerError) -> Self {
        Self::Ledger(error)
    }
}

impl Shipper {
    pub(super) fn new(settings: LedgerSettings, redis: Redis) -> Self {
        Self {
            settings,
            redis,
            at: Mutex::default(),
        }
    }

    /// Goes on for ever.
    pub(super) async fn run(&self) {
        let (mut idle, mut troubled) = (0, false);
        loop {
            if self.redis.state() == State::Down {
                self.put(None);
                tokio::select! {
                    () = self.redis.reaches(State::Up) => {}
                    () = self.redis.reaches(State::Slow) => {}
                }
            }
            match self.hand_over().await {
                Ok(0) => idle += 1,
                Ok(_) => (idle, troubled) = (0, false),
                Err(Stop::Away) => self.put(None),
                Err(stop) => {
                    let what = match stop {
                        Stop::Ledger(error) => error.to_string(),
                        Stop::Refused(what) => format!("Redis refused: {what}"),
                        Stop::Away => String::new(),
                    };
                    if !std::mem::replace(&mut troubled, true) {
                        tracing::error!("the ledger can't be handed over to Redis: {what}");
                    }
                    self.put(None);
                }
            }
            if idle >= IDLE {
                idle = 0;
                self.put(None);
            }
            tokio::time::sleep(PACE).await;
        }
    }

    /// Hands over what is left, as far as Redis takes it.
    pub(super) async fn finish(&self) {
        if self.redis.state() != State::Down {
            while matches!(self.hand_over().await, Ok(1..)) {}
        }
    }

    /// Hands over all there is; how many records that were.
    async fn hand_over(&self) -> Result<u64, Stop> {
        let mut handed = 0;
        let mut follower = match self.take() {
            Some(follower) => follower,
            None => match self.begin().await? {
                Some(follower) => follower,
                None => return Ok(0), // there is no record yet
            },
        };
        loop {
            let mut next = follower.next();
            let (lines, back) = read(follower).await;
            follower = back;
            let lines = lines?;
            let mut rest = lines.iter().peekable();
            while let Some(line) = rest.next() {
                // What stood before it and is no record, or is not kept any more, will never come.
                let mut shipment = Shipment::of(line, line.number != next || line.number == 1);
                while shipment.len() < SUMS && rest.next_if(|line| shipment.add(line)).is_some() {}
                let last = ship(&self.redis, &shipment).await?;
                if last != shipment.to {
                    self.put(Some(Follower::new(&self.settings.dir, last + 1)));
                    return Ok(handed + 1);
                }
                handed += shipment.to - shipment.from + 1;
                next = last + 1;
            }
            if lines.is_empty() {
                self.put(Some(follower));
                return Ok(handed);
            }
        }
    }

    /// Behind what Redis has of this ledger.
    async fn begin(&self) -> Result<Option<Follower>, Stop> {
        let mut first = Follower::new(&self.settings.dir, 1);
        let Some(line) = first.read(1)?.pop() else {
            return Ok(None);
        };
        let last = position(&self.redis, &line.ledger).await?;
        Ok(Some(Follower::new(&self.settings.dir, last + 1)))
    }

    fn take(&self) -> Option<Follower> {
        self.lock().take()
    }

    fn put(&self, follower: Option<Follower>) {
        *self.lock() = follower;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Follower>> {
        self.at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads on a thread where files may be slow.
async fn read(
    mut follower: Follower,
) -> (
    Result<Vec<crate::usage::ledger::Line>, LedgerError>,
    Follower,
) {
    let place = (follower.dir().to_owned(), follower.next());
    let reading = tokio::task::spawn_blocking(move || (follower.read(RECORDS), follower));
    reading
        .await
        .unwrap_or_else(|_| (Ok(Vec::new()), Follower::new(&place.0, place.1)))
}
