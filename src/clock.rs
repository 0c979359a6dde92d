//! Time, asked for in one place.
//!
//! Whatever decides is *given* `now`; only the edge asks a [`Clock`]. Tests and a simulator hand in a [`ManualClock`].
//! Waiting itself (timeouts, back-off) is tokio's: a manual clock moves what is remembered, not sockets. An [`Alarm`] is
//! one timer that many waits share.

use std::fmt::Debug;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Mutex;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// A source of time.
pub trait Clock: Debug + Send + Sync {
    /// Monotonic time.
    fn now(&self) -> Instant;
    /// Wall time since the Unix epoch; windows of a minute are cut by it, so that replicas agree.
    fn unix(&self) -> Duration;
    /// Both.
    fn moment(&self) -> Moment {
        Moment {
            now: self.now(),
            unix: self.unix(),
        }
    }
}

/// Both times of one moment.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// Monotonic.
    pub now: Instant,
    /// Since the Unix epoch.
    pub unix: Duration,
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

/// A timer for waits that follow each other, nearly all of which end before their time.
///
/// Arming and disarming a timer for each of them costs more than many of the waits. This one stays armed: it may ring
/// early, for a wait that is long over, and is then set anew, so it is moved once in a while and not once per wait. A task
/// that was woken for nothing is all that can come of it.
#[derive(Debug, Default)]
pub struct Alarm(Option<Pin<Box<Sleep>>>);

/// A wait that took too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it took too long")]
pub struct Elapsed;

impl Alarm {
    /// Ready once `until` has passed; wakes the task then, or earlier.
    pub fn poll_until(&mut self, cx: &mut Context<'_>, until: Instant) -> Poll<()> {
        let sleep = self
            .0
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        if sleep.deadline() > until {
            sleep.as_mut().reset(until);
        }
        loop {
            ready!(sleep.as_mut().poll(cx));
            if Instant::now() >= until {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(until);
        }
    }

    /// `work`, or [`Elapsed`] if it is not done by `until`. Work that is done at once asks no clock.
    ///
    /// # Errors
    /// If `until` passes first.
    pub async fn within<T>(
        &mut self,
        until: Instant,
        work: impl Future<Output = T>,
    ) -> Result<T, Elapsed> {
        let mut work = pin!(work);
        poll_fn(|cx| {
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                return Poll::Ready(Ok(done));
            }
            self.poll_until(cx, until).map(|()| Err(Elapsed))
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_alarm_for_waits_of_any_length() {
        let mut alarm = Alarm::default();
        let began = Instant::now();
        let after = |ms| began + Duration::from_millis(ms);
        // A long wait that ends early, a shorter one that does not, a longer one past the first one's time.
        let done = alarm.within(after(500), async { 1 }).await;
        assert_eq!(done, Ok(1));
        let nap = tokio::time::sleep(Duration::from_millis(10));
        assert_eq!(alarm.within(after(500), nap).await, Ok(()));
        for (until, expected) in [(200, 200), (900, 900), (900, 900), (100, 900)] {
            let never = std::future::pending::<()>();
            assert_eq!(alarm.within(after(until), never).await, Err(Elapsed));
            // Paused time moves on to the next timer, in steps of a millisecond.
            let elapsed = began.elapsed().as_millis();
            assert!((expected..expected + 3).contains(&elapsed), "{elapsed}");
        }
        let nap = tokio::time::sleep(Duration::from_millis(5000));
        assert_eq!(alarm.within(after(9000), nap).await, Ok(()));
    }
}
