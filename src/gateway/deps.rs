//! What a gateway stands on: time, randomness, outbound HTTP, tokens, series, the disk, the access log. Built once, by `main` or by a test, and
//! never by a module for itself.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::access_log::AccessLog;
use crate::clock::{Clock, SystemClock};
use crate::metrics::Metrics;
use crate::upstream::Upstream;
use crate::upstream::credentials::Credentials;
use crate::usage::ledger::{Disk, Machine};

/// What the outside world is made of; built once, by `main` or by a test.
pub struct Deps {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Outbound HTTP.
    pub upstream: Upstream,
    /// Tokens.
    pub credentials: Credentials,
    /// Series.
    pub metrics: Arc<Metrics>,
    /// What the ledger is written on.
    pub disk: Arc<dyn Disk>,
    /// One line per request, if wanted.
    pub access_log: Option<Arc<AccessLog>>,
    rng: Mutex<StdRng>,
}

impl fmt::Debug for Deps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deps")
            .field("upstream", &self.upstream)
            .finish_non_exhaustive()
    }
}

impl Deps {
    /// The machine's clock, and randomness from `seed`, or from the machine.
    #[must_use]
    pub fn new(seed: Option<u64>) -> Self {
        Self::with_clock(Arc::new(SystemClock), seed)
    }

    /// The same with another clock.
    #[must_use]
    pub fn with_clock(clock: Arc<dyn Clock>, seed: Option<u64>) -> Self {
        let rng = seed.map_or_else(|| StdRng::from_rng(&mut rand::rng()), StdRng::seed_from_u64);
        Self {
            clock,
            upstream: Upstream::new(),
            credentials: Credentials::default(),
            metrics: Arc::new(Metrics::new()),
            disk: Arc::new(Machine),
            access_log: None,
            rng: Mutex::new(rng),
        }
    }

    pub(super) fn rng(&self) -> MutexGuard<'_, StdRng> {
        self.rng.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
