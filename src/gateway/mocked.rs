//! An attempt that is not made: its answer is a text of the configuration or of the request.

use std::collections::VecDeque;

use bytes::Bytes;
use http::StatusCode;

use super::committed::{CommittedBody, Stream};
use super::exchange::{Exchange, Trouble};
use super::mask::Masks;
use super::relay::answer;
use super::trial::Trial;
use super::watch::Watch;
use crate::h1::Fields;
use crate::provider::mock;
use crate::types::{Operation, Provenance, TokenUsage};
use crate::usage::meter;

impl Exchange<'_> {
    /// `text` as if the deployment had answered with it. Nothing is sent; all else is as for any other answer.
    pub(super) fn mocked(
        &self,
        text: &str,
        trial: &mut Trial,
    ) -> Result<(StatusCode, Fields, CommittedBody), Trouble> {
        let usage = TokenUsage {
            input: self.input_estimate,
            output: meter::estimate(text.len() as u64),
            provenance: Provenance::Counted,
            ..TokenUsage::default()
        };
        let call = self.call;
        let body =
            mock::answer(call, &self.deployment.target.model, text, usage).map_err(|refusal| {
                let answer = answer(*refusal, &Fields::default(), Bytes::new());
                Trouble::Answer(Box::new(answer))
            })?;
        if !call.head.stream || call.operation == Operation::Embeddings {
            let fields = Fields::one("content-type", Bytes::from_static(b"application/json"));
            let body = self.answered(trial, body, &fields)?;
            return Ok((StatusCode::OK, fields, body));
        }
        let fields = Fields::one("content-type", Bytes::from_static(b"text/event-stream"));
        let hide_usage = !call.head.include_usage;
        let mut watch = Watch::new(None, hide_usage, self.group.response_model.clone());
        let mut held = VecDeque::from([watch.push(body)?]);
        held.push_back(watch.finish()?.0);
        trial.note_first_content();
        let stream = Stream {
            held,
            watch,
            rest: None,
            masks: Masks::default(),
            input_estimate: self.input_estimate,
        };
        Ok((
            StatusCode::OK,
            fields,
            CommittedBody::Stream(Box::new(stream)),
        ))
    }
}
