//! The clocks of one attempt.

use std::time::Duration;

use tokio::time::Instant;

use crate::clock::Alarm;
use crate::types::Clocks;

/// When the parts of an attempt must be done, and by which clock.
pub(super) struct Stopwatch<'a> {
    began: Instant,
    first_content: (&'static str, Instant),
    total: (&'static str, Instant),
    alarm: &'a mut Alarm,
}

/// A clock that ran out, and after which time.
#[derive(Debug, Clone, Copy)]
pub(super) struct RanOut {
    pub(super) name: &'static str,
    pub(super) limit: Duration,
}

// The work is given pinned: handed on by value, it would be copied at each step.
impl<'a> Stopwatch<'a> {
    /// For an attempt that `began` now and has `clocks`, of a request with that `deadline`, whichever is first.
    pub(super) fn new(
        clocks: &Clocks,
        began: Instant,
        deadline: Instant,
        alarm: &'a mut Alarm,
    ) -> Self {
        let limit = |name, limit| {
            if deadline < began + limit {
                ("request", deadline)
            } else {
                (name, began + limit)
            }
        };
        let total = limit("total", clocks.total);
        let first_content = if clocks.total <= clocks.first_content {
            total
        } else {
            limit("first_content", clocks.first_content)
        };
        Self {
            began,
            first_content,
            total,
            alarm,
        }
    }

    /// When the attempt began.
    pub(super) const fn began(&self) -> Instant {
        self.began
    }

    /// `work` that leads to the first content.
    pub(super) async fn first_content<T>(
        &mut self,
        work: impl Future<Output = T> + Unpin,
    ) -> Result<T, RanOut> {
        self.within(self.first_content, work).await
    }

    /// `work` that leads to the end.
    pub(super) async fn total<T>(
        &mut self,
        work: impl Future<Output = T> + Unpin,
    ) -> Result<T, RanOut> {
        self.within(self.total, work).await
    }

    async fn within<T>(
        &mut self,
        (name, until): (&'static str, Instant),
        work: impl Future<Output = T> + Unpin,
    ) -> Result<T, RanOut> {
        let limit = until - self.began;
        let out = |_| RanOut { name, limit };
        self.alarm.within(until, work).await.map_err(out)
    }
}
