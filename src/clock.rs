//! Time, asked for in one place.
//!
//! Whatever decides is *given* `now`; only the edge asks a [`Clock`]. Tests and a simulator hand in a [`ManualClock`].
//! Waiting itself (timeouts, back-off) is tokio's: a manual clock moves what is remembered, not sockets.

use std::fmt::Debug;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

/// A source of time.
pub trait Clock: Debug + Send + Sync {
    /// Monotonic time.
    fn now(&self) -> Instant;
    /// Wall time since the Unix epoch; windows of a minute are cut by it, so that replicas agree.
    fn unix(&self) -> Duration;
}

/// The machine's clocks.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::now()
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that asks the machine for wall time"
    )]
    fn unix(&self) -> Duration {
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default()
    }
}

/// A clock that moves only when told to.
#[derive(Debug)]
pub struct ManualClock(Mutex<(Instant, Duration)>);

impl ManualClock {
    /// Stands at the machine's time of this call.
    #[must_use]
    pub fn new() -> Self {
        Self(Mutex::new((SystemClock.now(), SystemClock.unix())))
    }

    /// Moves both times on by `by`.
    pub fn advance(&self, by: Duration) {
        let mut at = self.lock();
        at.0 += by;
        at.1 += by;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, (Instant, Duration)> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Instant {
        self.lock().0
    }

    fn unix(&self) -> Duration {
        self.lock().1
    }
}
