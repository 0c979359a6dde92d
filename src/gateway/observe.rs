//! [`ObservedBody`]: a committed answer on its way to the client.
//!
//! It owns the trial and the record. At the stream's end it settles them; a stream that breaks or falls silent ends in
//! an OpenAI-shaped error event and no `[DONE]`, and counts against the deployment; dropped before its end, because the
//! client left, it cancels the upstream and blames nobody.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame};
use tokio::time::Instant;

use super::caching::Recorder;
use super::classify::{Verdict, class, classify};
use super::committed::{End, Stream};
use super::page::PATIENCE;
use super::record::Record;
use super::relay::{chain, in_stream};
use super::trial::Trial;
use super::watch::Ending;
use crate::clock::Alarm;
use crate::provider::ErrorFacts;
use crate::router::Outcome;
use crate::types::{ErrorClass, Fault};
use crate::usage::ledger::Receipt;

/// A stream under way.
#[derive(Debug)]
pub struct ObservedBody {
    stream: Stream,
    trial: Option<Trial>,
    record: Record,
    recorder: Option<Recorder>,
    end: End,
    /// When the last event came.
    last_data: Instant,
    alarm: Alarm,
    /// What is held waits until the record is written, or that time.
    receipt: Option<(Receipt, Instant)>,
}

impl ObservedBody {
    pub(super) fn new(
        stream: Stream,
        trial: Trial,
        record: Record,
        recorder: Option<Recorder>,
        end: End,
        alarm: Alarm,
    ) -> Self {
        Self {
            stream,
            trial: Some(trial),
            record,
            recorder,
            end,
            last_data: Instant::now(),
            alarm,
            receipt: None,
        }
    }

    fn hand_on(&mut self, chunk: Bytes) -> Bytes {
        if let Some(recorder) = &mut self.recorder {
            recorder.push(&chunk);
        }
        chunk
    }

    /// The stream is at its end; whatever is left to say is in `held`.
    fn complete(&mut self) {
        self.stream.rest = None;
        self.settle(Outcome::Success);
        self.record.outcome = "ok";
        if let Some(recorder) = self.recorder.take() {
            // What is still held has not been recorded yet.
            recorder.finish(self.stream.held.iter());
        }
    }

    /// The stream broke: the client is told in the stream's own way.
    fn break_off(&mut self, fault: Fault, message: &str, code: &str) {
        let class = class(Verdict::Retry(fault), None);
        let json = error_json(message, "upstream_error", None, code);
        self.break_with(fault, class, &json);
    }

    fn break_with(&mut self, fault: Fault, class: ErrorClass, json: &[u8]) {
        self.stream.rest = None;
        self.recorder = None;
        self.push_event(json);
        self.settle(Outcome::Failed {
            fault,
            class,
            retry_after: None,
        });
        self.record.broke(fault);
    }

    fn time_out(&mut self, name: &'static str, limit: Duration) {
        let what = if name == "gap" {
            "the upstream was silent for too long"
        } else {
            "the answer took too long"
        };
        let message = format!(
            "{what}: the {name} clock of {} s ran out",
            limit.as_secs_f64()
        );
        if name != "request" {
            return self.break_off(Fault::Timeout, &message, "upstream_timeout");
        }
        // The request's own limits say nothing about the deployment.
        self.stream.rest = None;
        self.recorder = None;
        self.push_event(&error_json(
            &message,
            "timeout_error",
            None,
            "request_timeout",
        ));
        if let Some(trial) = self.over() {
            let receipt = trial.leave(Fault::Timeout);
            self.wait_for(receipt);
        }
        self.record.outcome = "failed";
    }

    /// The attempt is over: what was used so far counts.
    fn over(&mut self) -> Option<Trial> {
        let mut trial = self.trial.take()?;
        let usage = self.stream.watch.usage(self.stream.input_estimate);
        trial.note_usage(usage);
        self.record.note(&trial, usage);
        Some(trial)
    }

    fn settle(&mut self, outcome: Outcome) {
        if let Some(trial) = self.over() {
            let receipt = trial.settle(outcome);
            self.wait_for(receipt);
        }
    }

    /// What is left to say is not said before the record is written.
    fn wait_for(&mut self, receipt: Option<Receipt>) {
        if let Some(receipt) = receipt {
            self.receipt = Some((receipt, Instant::now() + PATIENCE));
        }
    }

    /// The end mark is there, and clients read no further: the record comes before it, whatever the connection does then.
    fn note_end(&mut self) {
        if !self.stream.watch.is_done() {
            return;
        }
        if let Some(trial) = self.trial.as_mut().filter(|trial| trial.is_kept()) {
            trial.note_usage(self.stream.watch.usage(self.stream.input_estimate));
            let receipt = trial.note_end();
            self.wait_for(receipt);
        }
    }

    /// Ready when nothing has to be written before what is held.
    fn poll_written(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.note_end();
        if let Some((receipt, until)) = &mut self.receipt {
            if Pin::new(&mut *receipt).poll(cx).is_pending() {
                ready!(self.alarm.poll_until(cx, *until));
                receipt.give_up();
            }
            self.receipt = None;
        }
        Poll::Ready(())
    }

    fn receive(&mut self, chunk: Bytes) {
        match self.stream.watch.push(chunk) {
            Ok(chunk) if chunk.is_empty() => {}
            Ok(chunk) => self.stream.held.push_back(self.stream.masks.apply(chunk)),
            Err(error) => {
                return self.break_off(
                    Fault::Broken,
                    "the upstream's stream is malformed",
                    &broken_code(&error.to_string()),
                );
            }
        }
        self.after_receiving();
    }

    fn after_receiving(&mut self) {
        let Some((facts, raw)) = self.stream.watch.error() else {
            return;
        };
        let raw = self.stream.masks.apply(raw.clone());
        let json = in_openais_shape(facts, &raw);
        let status = in_stream(facts, &raw).status;
        let verdict = classify(status, facts);
        let class = class(verdict, Some(status));
        let fault = match verdict {
            Verdict::Retry(fault) => fault,
            // The caller's own, told late: nobody is blamed, but the stream is over all the same.
            Verdict::Reject(_) | Verdict::NotReady => {
                self.stream.rest = None;
                self.recorder = None;
                self.push_event(&json);
                self.settle(Outcome::Refused(class));
                self.record.outcome = "rejected";
                return;
            }
        };
        self.break_with(fault, class, &json);
    }

    fn push_event(&mut self, json: &[u8]) {
        let mut event = BytesMut::from(&b"data: "[..]);
        event.extend_from_slice(json);
        event.extend_from_slice(b"\n\n");
        self.stream.held.push_back(event.freeze());
    }

    fn ended(&mut self) {
        match self.stream.watch.finish() {
            Ok((rest, Ending::Complete)) => {
                if !rest.is_empty() {
                    self.stream.held.push_back(self.stream.masks.apply(rest));
                }
                self.complete();
            }
            // A half event is not handed on: nobody could read it.
            Ok((_, Ending::Truncated)) if self.stream.watch.error().is_some() => {
                self.after_receiving()
            }
            Ok((_, Ending::Truncated)) | Err(_) => {
                self.break_off(
                    Fault::Broken,
                    "the upstream's stream ended before its end",
                    "upstream_truncated",
                );
            }
        }
    }

    /// The clock that ran out, if one has; else the task is woken when one does.
    fn poll_overdue(&mut self, cx: &mut Context<'_>) -> Poll<(&'static str, Duration)> {
        let End {
            at,
            clock,
            limit,
            gap,
            gap_clock,
        } = self.end;
        let silent = self.last_data + gap;
        ready!(self.alarm.poll_until(cx, at.min(silent)));
        Poll::Ready(if at <= silent {
            (clock, limit)
        } else {
            (gap_clock, gap)
        })
    }
}

fn error_json(message: &str, kind: &str, param: Option<&str>, code: &str) -> Vec<u8> {
    serde_json::json!({"error": {"message": message, "type": kind, "param": param, "code": code}})
        .to_string()
        .into()
}

/// An upstream's error as one line: its own if that is an error as OpenAI writes it, else one that says the same.
fn in_openais_shape(facts: &ErrorFacts, raw: &Bytes) -> Vec<u8> {
    let own: serde_json::Value = serde_json::from_slice(raw).unwrap_or_default();
    let error = &own["error"];
    if error["message"].is_string() && error["type"].is_string() && error.get("code").is_some() {
        return if raw.contains(&b'\n') {
            own.to_string().into()
        } else {
            raw.to_vec()
        };
    }
    let message = facts
        .message
        .as_deref()
        .unwrap_or("the upstream reported an error in mid-stream");
    let kind = facts.kind.as_deref().unwrap_or("upstream_error");
    error_json(
        message,
        kind,
        facts.param.as_deref(),
        facts.code.as_deref().unwrap_or("upstream_error"),
    )
}

fn broken_code(detail: &str) -> String {
    tracing::debug!(detail, "a stream could not be translated");
    "upstream_malformed".to_owned()
}

impl Body for ObservedBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        loop {
            ready!(this.poll_written(cx));
            if let Some(chunk) = this.stream.held.pop_front() {
                let chunk = this.hand_on(chunk);
                return Poll::Ready(Some(Ok(Frame::data(chunk))));
            }
            let Some(rest) = &mut this.stream.rest else {
                if this.trial.is_some() {
                    this.complete(); // it was complete at the commit point
                    continue;
                }
                return Poll::Ready(None);
            };
            match Pin::new(rest).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    if let Ok(chunk) = frame.into_data() {
                        let before = this.stream.watch.events();
                        this.receive(chunk);
                        if this.stream.watch.events() != before {
                            this.last_data = Instant::now();
                        }
                    }
                }
                Poll::Ready(Some(Err(error))) => {
                    tracing::debug!(error = chain(&error), "a stream broke");
                    this.break_off(
                        Fault::Broken,
                        "the upstream's connection broke in mid-stream",
                        "upstream_broken",
                    );
                }
                Poll::Ready(None) => this.ended(),
                Poll::Pending => {
                    let (clock, limit) = ready!(this.poll_overdue(cx));
                    this.time_out(clock, limit);
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.stream.held.is_empty()
            && self.stream.rest.is_none()
            && self.trial.is_none()
            && self.receipt.is_none()
    }
}

impl Drop for ObservedBody {
    fn drop(&mut self) {
        drop(self.over()); // the client has left
    }
}
