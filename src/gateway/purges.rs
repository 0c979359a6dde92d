//! The cache in Redis beside requests: what is written there, what others purge, and what is purged here.

use std::time::Duration;

use ::redis::Value;
use futures_util::future::{join, join_all};

use super::Gateway;
use crate::cache::redis::{self, Follower, Purged, Shared};
use crate::cache::{CacheKey, Shelf};
use crate::redis::{Redis, StoreError, Urgency};

/// What is to be purged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purge {
    /// The answer under that key, whichever group's it is.
    Key(CacheKey),
    /// All of one group.
    Group(String),
    /// All.
    All,
}

impl Purge {
    /// A key as `x-waypost-cache-key` shows it.
    #[must_use]
    pub fn key(hex: &str) -> Option<Self> {
        CacheKey::from_hex(hex).map(Self::Key)
    }

    /// Whether it is about that group.
    #[must_use]
    pub fn concerns(&self, group: &str) -> bool {
        match self {
            Self::Key(_) | Self::All => true,
            Self::Group(named) => named == group,
        }
    }

    /// Purges what is in `redis` of `group`. Every replica follows within its interval.
    ///
    /// # Errors
    /// If Redis did not do it, or it is not known whether it did: it can be purged again.
    pub async fn at(&self, redis: &Redis, group: &str) -> Result<Done, StoreError> {
        match self {
            Self::Key(key) => redis::purge_key(redis, group, key).await.map(Done::Key),
            Self::Group(_) | Self::All => redis::purge_all(redis, group).await.map(Done::All),
        }
    }
}

/// What was purged in Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// One key, and whether there was an answer under it.
    Key(bool),
    /// All before that generation.
    All(u64),
}

/// What became of a purge.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The groups that were purged, in this process's memory and where theirs are in Redis there as well.
    pub groups: Vec<String>,
    /// Those of which only memory was, and why.
    pub failed: Vec<(String, StoreError)>,
}

impl Gateway {
    /// Purges answers; `None` if there is no such group, or its cache is off.
    pub async fn purge(&self, purge: &Purge) -> Option<Outcome> {
        let concerned = self.shelves.iter().filter(|(id, _)| purge.concerns(id));
        let purged =
            join_all(concerned.map(|(id, shelf)| async move {
                (id.to_string(), at_shelf(purge, id, shelf).await)
            }));
        let mut outcome = Outcome::default();
        for (group, done) in purged.await {
            match done {
                Ok(()) => outcome.groups.push(group),
                Err(error) => outcome.failed.push((group, error)),
            }
        }
        outcome.groups.sort_unstable();
        let none = outcome.groups.is_empty() && outcome.failed.is_empty();
        (!none || !matches!(purge, Purge::Group(_))).then_some(outcome)
    }

    /// Writes answers to Redis, and forgets what other replicas purge there. Ends at once if no group has its cache there.
    pub(super) async fn keep_cache(&self) {
        let shared = || self.shelves.iter().filter_map(|(_, shelf)| shelf.shared());
        let write = join_all(shared().map(Shared::write));
        let follow = join_all(self.redis.iter().map(|redis| {
            let followed = self.shelves.iter().filter_map(|(group, shelf)| {
                at(shelf, redis).then(|| Followed {
                    group,
                    shelf,
                    follower: Follower::default(),
                    refused: false,
                })
            });
            follow(redis, followed.collect(), self.interval)
        }));
        join(write, follow).await;
    }
}

/// Purges one group's answers: those in Redis, if they are there, and then the copies here.
async fn at_shelf(purge: &Purge, group: &str, shelf: &Shelf) -> Result<(), StoreError> {
    let mut done = Ok(());
    if let Some(shared) = shelf.shared() {
        match purge.at(shared.redis(), group).await {
            Ok(Done::All(generation)) => shared.advance(generation),
            Ok(Done::Key(_)) => {}
            Err(error) => done = Err(error),
        }
    }
    shelf.forget(&match purge {
        Purge::Key(key) => Purged::Keys(vec![*key]),
        Purge::Group(_) | Purge::All => Purged::All,
    });
    done
}

/// Whether the shelf's answers are in that Redis.
fn at(shelf: &Shelf, redis: &Redis) -> bool {
    let shared = shelf.shared();
    shared.is_some_and(|shared| shared.redis().target() == redis.target())
}

/// A group whose purges are followed.
struct Followed<'a> {
    group: &'a str,
    shelf: &'a Shelf,
    follower: Follower,
    /// Redis does not answer the question, and that was said.
    refused: bool,
}

/// Asks a Redis what was purged of all its groups, in one round trip each `interval`. Ends only if there is no group.
async fn follow(redis: &Redis, mut all: Vec<Followed<'_>>, interval: Duration) {
    while !all.is_empty() {
        let questions: Vec<_> = all
            .iter()
            .filter_map(|one| Some(one.follower.question(one.shelf.shared()?)))
            .collect();
        match redis.eval(Urgency::Background, &questions).await {
            Ok(answers) => {
                for (one, answer) in all.iter_mut().zip(answers) {
                    one.heard(answer);
                }
            }
            Err(error) => {
                for one in &mut all {
                    one.heard(Err(error.clone()));
                }
            }
        }
        tokio::time::sleep(interval).await;
    }
}

impl Followed<'_> {
    fn heard(&mut self, answer: Result<Value, StoreError>) {
        let Some(shared) = self.shelf.shared() else {
            return;
        };
        match answer.and_then(|answer| self.follower.heard(answer, shared)) {
            Ok(purged) => {
                self.shelf.forget(&purged);
                if std::mem::take(&mut self.refused) {
                    let group = self.group;
                    tracing::info!("the cache of group `{group}` is in Redis again");
                }
            }
            Err(error) => {
                self.follower.away(shared);
                // That Redis is away is said by whoever keeps the connection.
                if matches!(error, StoreError::Refused(_)) && !self.refused {
                    self.refused = true;
                    let group = self.group;
                    tracing::warn!(
                        "the cache of group `{group}` is in memory alone, since its purges can't be followed: {error}"
                    );
                }
            }
        }
    }
}
