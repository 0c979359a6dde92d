//! From what a request came to to what its client gets, with the facts for the headers.

use http::StatusCode;

use super::Gateway;
use super::caching::Recorder;
use super::committed::{Committed, CommittedBody, End};
use super::message::{LiteLlmFacts, Reply, ReplyBody, ReplyFacts};
use super::observe::ObservedBody;
use super::record::Record;
use crate::cache::{CacheKey, CachedResponse};
use crate::clock::Alarm;
use crate::h1::Fields;
use crate::router::Outcome;
use crate::usage::ledger::Receipt;

/// Where an answer comes from.
pub(super) enum Answered {
    /// The cache, where it is under that key.
    Stored(CacheKey, CachedResponse),
    /// A deployment; what stores it, if it may be stored; and when it must be over.
    Upstream(Box<(Committed, Option<Recorder>, End)>),
}

impl Gateway {
    /// The answer to the client, and what it waits for; a stream takes `record` and `alarm` along.
    pub(super) fn reply(
        &self,
        answered: Answered,
        mut record: Record,
        alarm: &mut Alarm,
    ) -> (Reply, Option<Receipt>) {
        let mut receipt = None;
        let reply = match answered {
            Answered::Stored(key, stored) => {
                record.outcome = "ok";
                record.status = 200;
                let mut facts = self.facts(&record);
                facts.cache_key = Some(key.to_hex().into());
                Reply {
                    status: StatusCode::OK,
                    fields: stored
                        .content_type
                        .map(|kind| Fields::one("content-type", kind))
                        .unwrap_or_default(),
                    body: ReplyBody::Whole(stored.body),
                    facts,
                }
            }
            Answered::Upstream(fresh) => {
                let (committed, mut recorder, end) = *fresh;
                let Committed {
                    status,
                    fields,
                    body,
                    mut trial,
                } = committed;
                record.status = status.as_u16();
                if let Some(recorder) = &mut recorder {
                    recorder.begin(&fields);
                }
                let mut facts = self.facts(&record);
                let key = recorder.as_ref().map(|recorder| recorder.key().to_hex());
                facts.cache_key = key.map(Into::into);
                let body = match body {
                    CommittedBody::Whole(body, usage) => {
                        trial.note_usage(usage);
                        record.note(&trial, usage);
                        if let Some(litellm) = &mut facts.litellm {
                            litellm.cost = record.cost;
                        }
                        (record.ended, receipt) = trial.settle_as_noted(Outcome::Success);
                        record.outcome = "ok";
                        if let Some(recorder) = recorder {
                            recorder.finish(std::iter::once(&body));
                        }
                        ReplyBody::Whole(body)
                    }
                    CommittedBody::Stream(stream) => {
                        ReplyBody::Stream(Box::new(ObservedBody::new(
                            *stream,
                            trial,
                            record,
                            recorder,
                            end,
                            std::mem::take(alarm),
                        )))
                    }
                };
                Reply {
                    status,
                    fields,
                    body,
                    facts,
                }
            }
        };
        (reply, receipt)
    }

    /// What an answer's headers say of how it came about.
    pub(super) fn facts(&self, record: &Record) -> ReplyFacts {
        ReplyFacts {
            group: record.group.as_ref().map(|group| group.header.clone()),
            deployment: record.deployment.as_ref().map(|(_, header)| header.clone()),
            strategy: record
                .group
                .as_ref()
                .map(|group| group.settings.strategy.name()),
            attempts: record.attempts,
            fallbacks: record.fallbacks,
            reason: record.reason(),
            tried: record.tried.clone(),
            cache: record.cache,
            cache_key: None,
            litellm: self.litellm_headers.then(|| LiteLlmFacts {
                cost: None,
                took: self.deps.clock.now() - record.began.now,
            }),
        }
    }
}
