//! One attempt, up to the commit point: send, read the head, and enough of the body to know whether it is an answer.
//!
//! A plain answer is read whole before anything is handed on (up to a bound), so that a truncated or malformed one, or an
//! error under a 200, is an ordinary failed attempt. A stream is held back until its first content. After that it is
//! committed: [`Committed`] goes to the client, and nothing is tried again.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http_body_util::BodyExt;
use tokio::time::Instant;

use super::committed::{Committed, CommittedBody, Stream, Uncommitted};
use super::error::{Cause, UpstreamAnswer};
use super::mask::Masks;
use super::plain::Plain;
use super::relay::{answer, chain, facts_status, in_stream, is_event_stream, relayed};
use super::snapshot::{Group, Link};
use super::stopwatch::{RanOut, Stopwatch};
use super::trial::Trial;
use super::watch::{Ending, Watch};
use crate::clock::{Alarm, Clock};
use crate::h1::{Fields, Head};
use crate::provider::{AdaptError, Authority, Call, Inbound, embeddings, error_facts};
use crate::router::Deployment;
use crate::types::{Clocks, Fault, Operation, Provenance, Token, TokenUsage};
use crate::upstream::{Answer, SendError};
use crate::usage::meter;

/// The largest plain answer. 2,048 embeddings of 3,072 numbers are about 75 MB as text.
pub(super) const HOLD_BODY: usize = 256 * 1024 * 1024;
/// A stream's preamble up to this size is held back.
const HOLD_PREAMBLE: usize = 256 * 1024;
/// Of an error answer no more than this is read.
const HOLD_ERROR: usize = 1024 * 1024;
/// And no longer than this.
const ERROR_TIME: Duration = Duration::from_secs(5);

/// Names the parameters that were left out.
pub(super) const DROPPED: &str = "x-waypost-dropped-params";

/// A call under way.
pub(super) struct Sent {
    pub(super) head: Head,
    pub(super) body: Answer,
    pub(super) masks: Masks,
    /// Parameters that were left out.
    pub(super) dropped: Vec<Cow<'static, str>>,
}

/// What an attempt needs to know.
pub(super) struct Exchange<'a> {
    pub(super) group: &'a Group,
    pub(super) link: &'a Link,
    /// What is answered in the deployment's place; nothing is sent then.
    pub(super) mock: Option<&'a str>,
    pub(super) deployment: &'a Arc<Deployment>,
    /// Of this attempt: the deployment's, unless the request has its own.
    pub(super) clocks: Clocks,
    pub(super) call: &'a Call,
    pub(super) deadline: Instant,
    pub(super) clock: &'a dyn Clock,
    pub(super) input_estimate: u64,
}

/// Either something went wrong on the way, or the upstream said something.
pub(super) enum Trouble {
    Fault(Fault, Cause),
    Answer(Box<UpstreamAnswer>),
    Adapt(AdaptError),
}

impl From<RanOut> for Trouble {
    fn from(RanOut { name, limit }: RanOut) -> Self {
        Self::Fault(Fault::Timeout, Cause::Clock { name, limit })
    }
}

impl From<AdaptError> for Trouble {
    fn from(error: AdaptError) -> Self {
        Self::Adapt(error)
    }
}

/// A plain answer in OpenAI's form.
pub(super) fn translated(inbound: Inbound, body: Bytes) -> Result<Bytes, AdaptError> {
    match inbound {
        Inbound::Translate(mut translator) if error_facts(&body).is_none() => {
            let mut out = BytesMut::new();
            translator.push(&body, &mut out)?;
            translator.finish(&mut out)?;
            Ok(out.freeze())
        }
        Inbound::Translate(_) | Inbound::Passthrough => Ok(body),
    }
}

pub(super) fn broken(text: impl Into<String>) -> Trouble {
    Trouble::Fault(Fault::Broken, Cause::Transport(text.into()))
}

impl Exchange<'_> {
    /// Makes the attempt.
    pub(super) async fn run(
        &self,
        mut trial: Trial,
        began: Instant,
        alarm: &mut Alarm,
    ) -> Result<Committed, Uncommitted> {
        let mut clock = Stopwatch::new(&self.clocks, began, self.deadline, alarm);
        match self.attempt(&mut trial, &mut clock).await {
            Ok((status, fields, body)) => Ok(Committed {
                status,
                fields,
                body,
                trial,
            }),
            Err(trouble) => Err(self.settle(trouble, trial)),
        }
    }

    async fn attempt(
        &self,
        trial: &mut Trial,
        clock: &mut Stopwatch<'_>,
    ) -> Result<(StatusCode, Fields, CommittedBody), Trouble> {
        if let Some(text) = self.mock {
            return self.mocked(text, trial);
        }
        if let Some(calls) = self.pieces() {
            return self.in_pieces(&calls, trial, clock).await;
        }
        let began = clock.began();
        let Sent {
            head,
            body,
            masks,
            dropped,
        } = clock
            .first_content(pin!(self.send(self.call, began)))
            .await??;
        let mut fields = relayed(head.fields, &masks);
        if !dropped.is_empty() {
            fields.add(DROPPED, &dropped.join(","));
        }
        if !head.status.is_success() {
            return Err(self.refused(head.status, &fields, body, &masks).await);
        }
        let streams = self.call.head.stream && is_event_stream(&fields);
        let inbound = self.link.adapter.inbound(self.call, &fields);
        if matches!(inbound, Inbound::Translate(_)) {
            // What the client gets is ours to describe.
            let kind = if streams {
                "text/event-stream"
            } else {
                "application/json"
            };
            fields.set("content-type", kind);
        }
        let body = if streams {
            CommittedBody::Stream(Box::new(
                self.preamble(inbound, trial, body, clock, masks).await?,
            ))
        } else {
            self.plain(inbound, trial, body, clock, &fields, &masks)
                .await?
        };
        Ok((head.status, fields, body))
    }

    /// Sends the call, once more with a fresh token if the one that was held is refused.
    pub(super) async fn send(&self, call: &Call, began: Instant) -> Result<Sent, Trouble> {
        let mut renewed = false;
        loop {
            let (token, masks) = self.token().await?;
            let authority = Authority {
                token: token.as_ref(),
                unix: self.clock.unix(),
            };
            let request = self.link.adapter.outbound(call, authority)?;
            let connect = self.clocks.connect;
            let sent = self.link.endpoint.send(&request, connect, began).await;
            let (head, body) = sent.map_err(|error| match error {
                SendError::Connect(error) => {
                    Trouble::Fault(Fault::Connect, Cause::Transport(error.to_string()))
                }
                SendError::Broken(_) => broken(chain(&error)),
            })?;
            if let (401 | 403, Some(source), Some(token), false) =
                (head.status.as_u16(), &self.link.token, &token, renewed)
                && source.refused(token)
            {
                renewed = true;
                continue;
            }
            return Ok(Sent {
                head,
                body,
                masks,
                dropped: request.dropped,
            });
        }
    }

    /// The token to send, and the masks with it.
    async fn token(&self) -> Result<(Option<Token>, Masks), Trouble> {
        let Some(source) = &self.link.token else {
            return Ok((None, self.link.masks.clone()));
        };
        match Box::pin(source.token()).await {
            Ok(token) => {
                let masks = self.link.masks.with(token.secrets());
                Ok((Some(token), masks))
            }
            Err(error) => Err(Trouble::Fault(
                Fault::Credential,
                Cause::Transport(error.to_string()),
            )),
        }
    }

    /// What an answer that is no success means.
    pub(super) async fn refused(
        &self,
        status: StatusCode,
        fields: &Fields,
        body: Answer,
        masks: &Masks,
    ) -> Trouble {
        // The status says enough; a body that does not come is not waited for long.
        let read = tokio::time::timeout(ERROR_TIME, body.collect_up_to(HOLD_ERROR)).await;
        let body = read
            .ok()
            .and_then(Result::ok)
            .map(|(body, _)| body)
            .unwrap_or_default();
        let body = masks.apply(body);
        let refusal = self.link.adapter.refusal(status, fields, &body);
        Trouble::Answer(Box::new(answer(refusal, fields, body)))
    }

    /// Reads a stream up to its first content.
    async fn preamble(
        &self,
        inbound: Inbound,
        trial: &mut Trial,
        mut body: Answer,
        clock: &mut Stopwatch<'_>,
        masks: Masks,
    ) -> Result<Stream, Trouble> {
        let translator = match inbound {
            Inbound::Passthrough => None,
            Inbound::Translate(translator) => Some(translator),
        };
        let hide_usage = self.link.adapter.adds_usage(self.call);
        let mut watch = Watch::new(translator, hide_usage, self.group.response_model.clone());
        let (mut held, mut size) = (VecDeque::new(), 0);
        loop {
            let frame = clock.first_content(body.frame()).await?;
            let (chunk, ended) = match frame {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(chunk) => (watch.push(chunk)?, None),
                    Err(_trailers) => continue,
                },
                Some(Err(error)) => return Err(broken(chain(&error))),
                None => {
                    let (rest, ending) = watch.finish()?;
                    (rest, Some(ending))
                }
            };
            size += chunk.len();
            if !chunk.is_empty() {
                held.push_back(masks.apply(chunk));
            }
            if let Some((facts, raw)) = watch.error() {
                let answer = in_stream(facts, &masks.apply(raw.clone()));
                return Err(Trouble::Answer(Box::new(answer)));
            }
            if ended == Some(Ending::Truncated) {
                return Err(broken("the stream ended before any content"));
            }
            if watch.has_content() || ended.is_some() || size > HOLD_PREAMBLE {
                trial.note_first_content();
                // Piece by piece up to here: an error behind the first content is told, and not tried again.
                let rest = ended.is_none().then(|| body.joined());
                return Ok(Stream {
                    held,
                    watch,
                    rest,
                    masks,
                    input_estimate: self.input_estimate,
                });
            }
        }
    }

    /// Reads a plain answer whole, and makes sure that it is one.
    async fn plain(
        &self,
        inbound: Inbound,
        trial: &mut Trial,
        body: Answer,
        clock: &mut Stopwatch<'_>,
        fields: &Fields,
        masks: &Masks,
    ) -> Result<CommittedBody, Trouble> {
        let collected = clock.total(pin!(body.collect_up_to(HOLD_BODY))).await?;
        let (body, complete) = collected.map_err(|error| broken(chain(&error)))?;
        if !complete {
            return Err(broken(format!(
                "the answer is larger than {HOLD_BODY} bytes"
            )));
        }
        let body = translated(inbound, masks.apply(body))?;
        self.answered(trial, body, fields)
    }

    /// Makes sure that a plain answer is one.
    pub(super) fn answered(
        &self,
        trial: &mut Trial,
        mut body: Bytes,
        fields: &Fields,
    ) -> Result<CommittedBody, Trouble> {
        let parsed = Plain::read(&body).map_err(|error| {
            broken(format!(
                "the answer is not the JSON object it should be: {error}"
            ))
        })?;
        if parsed.error
            && let Some(facts) = error_facts(&body)
        {
            let status = facts_status(&facts).unwrap_or(StatusCode::BAD_GATEWAY);
            return Err(Trouble::Answer(Box::new(UpstreamAnswer {
                status,
                headers: fields.to_map(),
                facts: Some(facts),
                body,
            })));
        }
        trial.note_first_content();
        let usage = parsed.usage.unwrap_or_else(|| self.estimated(&body));
        trial.note_usage(usage);
        if let (Some(new), Some(old)) = (&self.group.response_model, parsed.model) {
            let mut out = BytesMut::with_capacity(body.len() + new.len());
            out.extend_from_slice(&body[..old.start]);
            out.extend_from_slice(new);
            out.extend_from_slice(&body[old.end..]);
            body = out.freeze();
        }
        if self.call.operation == Operation::Embeddings {
            body = embeddings::encode(&body, self.call.head.encoding_format)?;
        }
        Ok(CommittedBody::Whole(body, usage))
    }

    fn estimated(&self, body: &Bytes) -> TokenUsage {
        let output = if self.call.operation == Operation::Embeddings {
            0
        } else {
            meter::estimate(body.len() as u64)
        };
        TokenUsage {
            input: self.input_estimate,
            output,
            provenance: Provenance::Counted,
            ..TokenUsage::default()
        }
    }
}
