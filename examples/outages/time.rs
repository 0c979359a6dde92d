//! Time that passes as fast as the work allows.
//!
//! The runtime's clock is stopped and moved on by [`STEP`] whenever nothing is left to do: every timer of the gateway and
//! of the lab keeps its true length (cooldowns, back-offs, half-lives, minutes), and a minute takes a second or two. What
//! computing takes is not counted, so latencies are waits.

use std::time::Duration;

use tokio::time::Instant;
use waypost::clock::Clock;

/// What time is moved on by, and so the resolution of all figures.
pub(super) const STEP: Duration = Duration::from_millis(1);
/// How often sockets are looked at before time moves on. A plain request has four hops: client, gateway, deployment, and
/// back; what is not done by then is done a step later.
const LOOKS: usize = 10;
/// Wall time at the start: the beginning of a minute, since limits and usage are counted by the minute.
const EPOCH: Duration = Duration::from_secs(60 * 30_000_000);

/// The runtime's time, with a wall clock that keeps to it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Virtual {
    began: Instant,
}

impl Virtual {
    /// Begins now.
    pub(super) fn begin() -> Self {
        Self {
            began: Instant::now(),
        }
    }

    /// Since the beginning.
    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Lets everything run that can.
    pub(super) async fn settle(self) {
        for _ in 0..LOOKS {
            // Each time all tasks that are ready have run, and sockets have been polled once.
            tokio::task::yield_now().await;
        }
    }

    /// Moves time on.
    pub(super) async fn step(self) {
        tokio::time::advance(STEP).await;
    }
}

impl Clock for Virtual {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn unix(&self) -> Duration {
        EPOCH + self.elapsed()
    }
}
