//! One credential, what was fetched for it last, and when to fetch again.
//!
//! Whoever asks gets the token that is there as long as it is valid. One fetch is under way at a time, in a task of the
//! source's own: it outlives the request that began it and ends with the source. A token is renewed in time, while the old
//! one goes on being used; only where there is none do requests wait, all for the same fetch. An endpoint that fails is
//! asked again once at once, then in growing intervals.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::TokenError;
use crate::types::Token;

/// Refusals lead to no more than one fetch in this time: one after another is not about the token.
const QUIET: Duration = Duration::from_secs(10);
/// The longest pause between two attempts at an endpoint that fails.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Keys that come from files and do not say how long they are good for are read again this often.
const REREAD: Duration = Duration::from_secs(60);
/// Keys of AWS are renewed at least this long before they expire, as its own tools do.
const AWS_MARGIN: Duration = Duration::from_secs(300);

/// Knows how to get a token.
pub(super) trait Fetch: Send + Sync + 'static {
    /// Gets one, or says why not, without anything secret.
    fn fetch(&self) -> BoxFuture<'_, Result<Fetched, String>>;
}

/// A token and how long it is good for, from when it was asked for.
#[derive(Debug, Clone)]
pub(super) struct Fetched {
    pub(super) token: Token,
    pub(super) life: Life,
}

/// When a token is to be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Life {
    /// Another one is fetched after this time; `None`: another fetch would give the same.
    renew: Option<Duration>,
    /// It is no good after this time.
    end: Option<Duration>,
}

impl Life {
    /// For good: nothing that runs can change it.
    pub(super) const FIXED: Self = Self {
        renew: None,
        end: None,
    };

    /// Until somebody writes another one to where it was read.
    pub(super) const FILE: Self = Self {
        renew: Some(REREAD),
        end: None,
    };

    /// A token that is good for `life`: it is renewed after four fifths.
    pub(super) fn of(life: Duration) -> Self {
        Self {
            renew: Some(life.mul_f64(0.8)),
            end: Some(life),
        }
    }

    /// Keys of AWS that are good for `life`. Where so little is left that the margin is gone already, after half of it.
    pub(super) fn of_aws(life: Duration) -> Self {
        let in_time = life.saturating_sub(AWS_MARGIN).max(life / 2);
        Self {
            renew: Some(life.mul_f64(0.8).min(in_time)),
            end: Some(life),
        }
    }
}

/// What came of a fetch.
type Outcome = Result<Token, TokenError>;

/// What there is for one who asks.
enum Now {
    Known(Outcome),
    /// Where the outcome of the fetch under way will be.
    Awaited(watch::Receiver<Option<Outcome>>),
}

const GIVEN_UP: &str = "the fetch was given up";

/// One credential and the token it yields.
pub struct TokenSource {
    what: &'static str,
    fetch: Arc<dyn Fetch>,
    state: Arc<State>,
    /// The fetch under way.
    task: Mutex<JoinSet<()>>,
}

struct State {
    held: Mutex<Held>,
    /// The outcome of the last fetch, for those who wait for one.
    outcome: watch::Sender<Option<Outcome>>,
}

struct Held {
    token: Option<Kept>,
    fetching: bool,
    /// Fetches that failed since one succeeded.
    failures: u32,
    /// No other fetch before this time.
    pause: Instant,
    /// When a refusal last took a token away.
    refused: Option<Instant>,
}

struct Kept {
    token: Token,
    asked: Instant,
    life: Life,
}

impl Kept {
    fn is_past(&self, limit: Option<Duration>, now: Instant) -> bool {
        limit.is_some_and(|limit| now >= self.asked + limit)
    }
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSource")
            .field("what", &self.what)
            .finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl TokenSource {
    pub(super) fn new(what: &'static str, fetch: Arc<dyn Fetch>) -> Self {
        let held = Held {
            token: None,
            fetching: false,
            failures: 0,
            pause: Instant::now(),
            refused: None,
        };
        Self {
            what,
            fetch,
            state: Arc::new(State {
                held: Mutex::new(held),
                outcome: watch::Sender::new(None),
            }),
            task: Mutex::default(),
        }
    }

    /// What to authenticate with now.
    ///
    /// # Errors
    /// If there is no valid token and none can be fetched.
    pub async fn token(&self) -> Result<Token, TokenError> {
        let mut last = match self.now() {
            Now::Known(outcome) => return outcome,
            Now::Awaited(last) => last,
        };
        // The sender is kept here, so the wait ends with an outcome.
        let _ = last.changed().await;
        let outcome = last.borrow().clone();
        outcome.unwrap_or_else(|| Err(self.error(GIVEN_UP)))
    }

    /// What is there, and the start of a fetch where it is time for one.
    fn now(&self) -> Now {
        let mut held = lock(&self.state.held);
        let now = Instant::now();
        let may_fetch = !held.fetching && now >= held.pause;
        let valid = held.token.as_ref().filter(|t| !t.is_past(t.life.end, now));
        if let Some(kept) = valid {
            let token = kept.token.clone();
            if may_fetch && kept.is_past(kept.life.renew, now) {
                self.start(&mut held);
            }
            return Now::Known(Ok(token));
        }
        let last = self.state.outcome.subscribe();
        if may_fetch {
            self.start(&mut held);
        } else if !held.fetching {
            let last = last.borrow().clone();
            let error = last.and_then(Result::err);
            return Now::Known(Err(error.unwrap_or_else(|| self.error(GIVEN_UP))));
        }
        Now::Awaited(last)
    }

    /// The provider refused this token. Whether there is a point in fetching another; if so, this one is not used again.
    ///
    /// There is none where the credential always yields the same, nor where the token before this one was refused just now:
    /// then it is the credential that lacks a permission.
    pub fn refused(&self, token: &Token) -> bool {
        let mut held = lock(&self.state.held);
        let Some(kept) = held.token.as_ref().filter(|kept| kept.token == *token) else {
            return true; // somebody else saw to it
        };
        let now = Instant::now();
        let just_now = held.refused.is_some_and(|at| now < at + QUIET);
        if kept.life.renew.is_none() || just_now {
            return false;
        }
        held.token = None;
        held.refused = Some(now);
        true
    }

    fn start(&self, held: &mut Held) {
        held.fetching = true;
        let fetch = Arc::clone(&self.fetch);
        let under_way = UnderWay {
            what: self.what,
            state: Arc::clone(&self.state),
            asked: Instant::now(),
            settled: false,
        };
        let mut task = lock(&self.task);
        *task = JoinSet::new(); // the last one is over
        task.spawn(async move {
            let fetched = fetch.fetch().await;
            under_way.settle(fetched);
        });
    }

    fn error(&self, why: &str) -> TokenError {
        TokenError {
            what: self.what,
            why: why.to_owned(),
        }
    }
}

/// A fetch that has begun. Those who wait are told even if its task is taken away with its runtime.
struct UnderWay {
    what: &'static str,
    state: Arc<State>,
    asked: Instant,
    settled: bool,
}

impl UnderWay {
    fn settle(mut self, fetched: Result<Fetched, String>) {
        self.settled = true;
        let what = self.what;
        let mut held = lock(&self.state.held);
        let now = Instant::now();
        let outcome = match fetched {
            Ok(Fetched { token, life }) => {
                if held.failures > 0 {
                    tracing::info!(credential = what, "fetched again after failures");
                }
                held.failures = 0;
                held.token = Some(Kept {
                    token: token.clone(),
                    asked: self.asked,
                    life,
                });
                Ok(token)
            }
            Err(why) => {
                let error = TokenError { what, why };
                if held.failures == 0 {
                    let old = held.token.as_ref();
                    let old_is_valid = old.is_some_and(|t| !t.is_past(t.life.end, now));
                    tracing::warn!(credential = what, old_is_valid, %error, "could not be fetched");
                }
                held.failures = held.failures.saturating_add(1);
                held.pause = now + pause(held.failures);
                Err(error)
            }
        };
        held.fetching = false;
        self.state.outcome.send_replace(Some(outcome));
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        let error = TokenError {
            what: self.what,
            why: GIVEN_UP.to_owned(),
        };
        lock(&self.state.held).fetching = false;
        self.state.outcome.send_replace(Some(Err(error)));
    }
}

/// How long to wait after so many failures: not at all, then one second, two, four …
fn pause(failures: u32) -> Duration {
    match failures {
        0 | 1 => Duration::ZERO,
        more => Duration::from_secs(1 << (more - 2).min(16)).min(LONGEST_PAUSE),
    }
}

#[cfg(test)]
#[path = "source_tests.rs"]
mod tests;
