//! One request's way through groups: what is left of its budget, who comes next, and what it ends in.
//!
//! The first group is tried by [`Gateway::try_group`](super::Gateway) as long as its own plan allows; when it fails for a
//! reason that another group may not meet, [`Journey::turn`] says which group is next. Everything is counted in one
//! place, so that retries of groups do not multiply.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::classify::Rejection;
use super::error::Error;
use super::fit;
use super::plan::Limits;
use super::route::{Next, Route};
use super::snapshot::Group;
use crate::provider::Call;
use crate::request::overrides::{Fallback, Mock, Overrides, metadata_tags};
use crate::router::Why;
use crate::types::{Clocks, Policy};

/// Which list of fallbacks a failure leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    General,
    ContextWindow,
    ContentPolicy,
}

/// What bounds a request, whatever group it is in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Attempts in all groups together.
    pub(super) max_attempts: u32,
    /// Groups besides the first.
    pub(super) max_fallbacks: u32,
    /// Requests may ask for failures.
    pub(super) mock_testing: bool,
}

/// One request's way.
#[derive(Debug)]
pub(super) struct Journey {
    pub(super) began: Instant,
    pub(super) deadline: Instant,
    /// Retries its client has made by itself.
    pub(super) by_sdk: u32,
    /// Attempts made, in all groups.
    pub(super) made: u32,
    max_attempts: u32,
    route: Route,
    overrides: Option<Box<Overrides>>,
    /// A failure to make up instead of asking the first group.
    mock: Option<Mock>,
    /// Who asks, if that is to be written down.
    pub(super) caller: Option<Arc<str>>,
}

impl Journey {
    pub(super) fn new(
        first: &Group,
        overrides: Option<Box<Overrides>>,
        bounds: Bounds,
        by_sdk: u32,
        began: Instant,
    ) -> Self {
        let limit = overrides
            .as_ref()
            .and_then(|o| o.deadline)
            .unwrap_or(first.settings.deadline);
        Self {
            began,
            deadline: began + limit,
            by_sdk,
            made: 0,
            max_attempts: bounds.max_attempts.saturating_sub(by_sdk).max(1),
            route: Route::new(Arc::clone(&first.id), bounds.max_fallbacks),
            mock: overrides.as_ref().and_then(|o| o.mock),
            overrides,
            caller: None,
        }
    }

    /// What the request says itself, if anything.
    pub(super) fn overrides(&self) -> Option<&Overrides> {
        self.overrides.as_deref()
    }

    /// Attempts that may still be made.
    pub(super) const fn left(&self) -> u32 {
        self.max_attempts.saturating_sub(self.made)
    }

    /// Groups tried besides the first.
    pub(super) fn fallbacks(&self) -> usize {
        self.route.fallbacks()
    }

    /// The failure to make up now, once.
    pub(super) fn take_mock(&mut self) -> Option<Mock> {
        self.mock.take()
    }

    /// The deployments of `group` that can't serve the request, with reasons.
    pub(super) fn unfit(&self, group: &Group, call: &Call) -> Vec<(usize, Why)> {
        let own = self.overrides();
        let mut tags = own.map(|own| own.tags.clone()).unwrap_or_default();
        if group.settings.tags.is_some() {
            tags.extend(metadata_tags(&call.head, &call.body));
        }
        let region = own.and_then(|own| own.region.as_deref());
        fit::unfit(group, call, &tags, region)
    }

    /// What the plan in `group` may use.
    pub(super) fn limits(&self, group: &Group) -> Limits {
        let own = self.overrides().and_then(|o| o.num_retries);
        let attempts = own.map_or(group.attempts, |retries| retries.saturating_add(1));
        let behind = self.behind(group);
        Limits {
            attempts: attempts.saturating_sub(self.by_sdk).max(1),
            // What the request says of retries stands above what the file says of classes.
            policy: if own.is_some() {
                Policy::default()
            } else {
                group.settings.retry_policy
            },
            // Each group that may still be asked keeps one attempt.
            most: self
                .left()
                .saturating_sub(u32::try_from(behind).unwrap_or(u32::MAX))
                .max(1),
            fallback: behind > 0,
            retry_after: group.settings.retry_after,
            max_wait: group.settings.max_wait,
            max_queue_wait: group.settings.queue.max_wait,
            all_cooling: group.all_cooling(),
            deadline: self.deadline,
        }
    }

    /// How many other groups could be asked if this one failed.
    fn behind(&self, group: &Group) -> usize {
        match self.own_list(Kind::General) {
            _ if self.disabled() => 0,
            Some(own) => {
                let names: Vec<Arc<str>> = own.iter().map(|f| f.model.as_str().into()).collect();
                self.route.left(&names)
            }
            // Nothing to look up, which is what most requests are.
            None if group.fallbacks.general.is_empty() && self.route.fallbacks() == 0 => 0,
            None => self.route.left(&group.fallbacks.general),
        }
    }

    /// The time limits of an attempt at a deployment with these.
    pub(super) fn clocks(&self, clocks: &Clocks) -> Clocks {
        let Some(own) = self.overrides() else {
            return *clocks;
        };
        let total = own.timeout.unwrap_or(clocks.total);
        let silent = |limit: Duration| own.stream_timeout.unwrap_or(limit).min(total);
        Clocks {
            // Not shortened: no connection within the client's own time would look like no connection at all.
            connect: clocks.connect,
            first_content: silent(clocks.first_content),
            gap: silent(clocks.gap),
            total,
            request: clocks.request,
        }
    }

    /// `group` has failed in this way: notes who is next, if the failure is one that leads to other groups.
    pub(super) fn turn(&mut self, group: &Group, error: &Error) {
        let over = matches!(error, Error::Deadline { .. }) || self.left() == 0;
        if over || self.disabled() {
            return self.route.stop();
        }
        // What the first group's provider takes for wrong is wrong; of a fallback it only says that it was none.
        let Some(kind) = kind(error) else {
            if self.route.fallbacks() == 0 {
                self.route.stop();
            }
            return;
        };
        if let Some(own) = self.own_list(kind) {
            let next = own.iter().enumerate().map(|(i, fallback)| Next {
                name: fallback.model.as_str().into(),
                own: Some(i),
            });
            let next: Vec<_> = next.collect();
            return self.route.turn(next.into_iter());
        }
        let list = match kind {
            Kind::General => &group.fallbacks.general,
            Kind::ContextWindow => &group.fallbacks.context_window,
            Kind::ContentPolicy => &group.fallbacks.content_policy,
        };
        let next = |name: &Arc<str>| Next {
            name: Arc::clone(name),
            own: None,
        };
        self.route.turn(list.iter().map(next));
    }

    /// The next group to ask.
    pub(super) fn advance(&mut self) -> Option<Next> {
        self.route.advance()
    }

    /// A name turned out to stand for this group; false if it was asked before.
    pub(super) fn arrive(&mut self, id: &Arc<str>) -> bool {
        self.route.arrive(id)
    }

    /// The request's own fallback that `next` is.
    pub(super) fn own(&self, next: &Next) -> Option<&Fallback> {
        let at = next.own?;
        // Of the three lists only one is ever used: the one of the first group's failure.
        let lists = [Kind::General, Kind::ContextWindow, Kind::ContentPolicy];
        lists
            .into_iter()
            .filter_map(|kind| self.own_list_of(kind)?.get(at))
            .find(|fallback| *fallback.model == *next.name)
    }

    /// The request's own list for a failure of that kind of the first group.
    fn own_list(&self, kind: Kind) -> Option<&[Fallback]> {
        if self.route.fallbacks() > 0 {
            return None;
        }
        self.own_list_of(kind)
            .or_else(|| self.own_list_of(Kind::General))
    }

    fn own_list_of(&self, kind: Kind) -> Option<&[Fallback]> {
        let own = self.overrides()?;
        match kind {
            Kind::General => own.fallbacks.as_deref(),
            Kind::ContextWindow => own.context_window_fallbacks.as_deref(),
            Kind::ContentPolicy => own.content_policy_fallbacks.as_deref(),
        }
    }

    fn disabled(&self) -> bool {
        self.overrides().is_some_and(|o| o.disable_fallbacks)
    }
}

/// Which fallbacks a failure leads to; none if another group would fail as well, or the time is over.
fn kind(error: &Error) -> Option<Kind> {
    match error {
        // Nobody was asked, and the answer is the same.
        Error::NoneEligible(refused) if refused.none.too_long().is_some() => {
            Some(Kind::ContextWindow)
        }
        Error::Failed(_) | Error::NoneEligible(_) | Error::Unsupported { .. } => {
            Some(Kind::General)
        }
        Error::Rejected { rejection, .. } => match rejection {
            Rejection::ContextLength => Some(Kind::ContextWindow),
            Rejection::ContentFilter => Some(Kind::ContentPolicy),
            Rejection::Invalid => None,
        },
        Error::Request(_)
        | Error::UnknownModel { .. }
        | Error::Unrecordable(_)
        | Error::Deadline { .. } => None,
    }
}
