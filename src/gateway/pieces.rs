//! A call for more embeddings than the provider makes at once, in pieces.

use std::pin::pin;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use http::StatusCode;
use tokio::time::Instant;

use super::committed::CommittedBody;
use super::exchange::{DROPPED, Exchange, HOLD_BODY, Sent, Trouble, broken, translated};
use super::plain::Plain;
use super::relay::{chain, relayed};
use super::stopwatch::Stopwatch;
use super::trial::Trial;
use crate::h1::Fields;
use crate::provider::{Call, embeddings};
use crate::types::{Operation, TokenUsage};

/// Calls that a call for many embeddings has under way at a time.
const PIECES_AT_ONCE: usize = 8;

impl Exchange<'_> {
    /// The calls that one for more embeddings than the provider makes at once is made of.
    pub(super) fn pieces(&self) -> Option<Vec<Call>> {
        if self.call.operation != Operation::Embeddings {
            return None;
        }
        embeddings::split(self.call, self.link.adapter.most_inputs()?)
    }

    /// Makes several calls, a few at a time, and joins what they answer. The first one that fails fails them all.
    pub(super) async fn in_pieces(
        &self,
        calls: &[Call],
        trial: &mut Trial,
        clock: &mut Stopwatch<'_>,
    ) -> Result<(StatusCode, Fields, CommittedBody), Trouble> {
        let began = clock.began();
        let spent = Mutex::new(TokenUsage::default());
        let pieces: Vec<_> = calls
            .iter()
            .map(|call| self.piece(call, began, &spent).boxed())
            .collect();
        let answers = stream::iter(pieces)
            .buffered(PIECES_AT_ONCE)
            .try_collect::<Vec<_>>();
        let answers = clock.total(pin!(answers)).await;
        // If one fails, the others have cost something all the same.
        trial.note_usage(*spent.lock().unwrap_or_else(PoisonError::into_inner));
        let answers = answers??;
        let (fields, bodies): (Vec<_>, Vec<_>) = answers.into_iter().unzip();
        let mut fields = fields.into_iter().next().unwrap_or_default();
        fields.set("content-type", "application/json");
        let body = self.answered(trial, embeddings::join(&bodies)?, &fields)?;
        Ok((StatusCode::OK, fields, body))
    }

    async fn piece(
        &self,
        call: &Call,
        began: Instant,
        spent: &Mutex<TokenUsage>,
    ) -> Result<(Fields, Bytes), Trouble> {
        let Sent {
            head,
            body,
            masks,
            dropped,
        } = self.send(call, began).await?;
        let mut fields = relayed(head.fields, &masks);
        if !dropped.is_empty() {
            fields.add(DROPPED, &dropped.join(","));
        }
        if !head.status.is_success() {
            return Err(self.refused(head.status, &fields, body, &masks).await);
        }
        let inbound = self.link.adapter.inbound(call, &fields);
        let collected = body.collect_up_to(HOLD_BODY).await;
        let (body, complete) = collected.map_err(|error| broken(chain(&error)))?;
        if !complete {
            return Err(broken("the answer is too large"));
        }
        let body = translated(inbound, masks.apply(body))?;
        if let Some(usage) = Plain::read(&body).ok().and_then(|plain| plain.usage) {
            let mut spent = spent.lock().unwrap_or_else(PoisonError::into_inner);
            spent.input += usage.input;
            spent.output += usage.output;
            spent.provenance = usage.provenance;
        }
        Ok((fields, body))
    }
}
