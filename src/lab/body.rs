//! Steps become a body: the only place where an answer waits.

use std::io;
use std::vec;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Empty, StreamBody};
use hyper::body::Frame;
use tokio::sync::watch;

use super::play::Step;
use super::stats::InFlight;

/// The gate of a deployment as one request sees it: it opens with the first release after the request arrived.
#[derive(Clone, Debug)]
pub(super) struct Gate {
    releases: watch::Receiver<u64>,
    arrived: u64,
}

impl Gate {
    /// The gate for a request that arrives now.
    pub(super) fn new(releases: &watch::Sender<u64>) -> Self {
        let releases = releases.subscribe();
        let arrived = *releases.borrow();
        Self { releases, arrived }
    }

    /// Waits for the release.
    async fn pass(&mut self) {
        let arrived = self.arrived;
        if self
            .releases
            .wait_for(|releases| *releases > arrived)
            .await
            .is_err()
        {
            // The deployment is gone, and with it whoever could release.
            std::future::pending::<()>().await;
        }
    }
}

/// Waits as the steps before the head say.
pub(super) async fn play_before(steps: Vec<Step>, gate: &mut Gate, in_flight: &mut InFlight) {
    for step in steps {
        match step {
            Step::Wait(wait) => tokio::time::sleep(wait).await,
            Step::Hold => {
                in_flight.hold(true);
                gate.pass().await;
                in_flight.hold(false);
            }
            Step::Hang(_) => std::future::pending().await,
            // Nothing can be sent or cut before the head; `play` never says so.
            Step::Send(_) | Step::Cut => {}
        }
    }
}

/// The body that does the steps.
pub(super) fn body_of(
    steps: Vec<Step>,
    gate: Gate,
    in_flight: InFlight,
) -> UnsyncBoxBody<Bytes, io::Error> {
    if steps.is_empty() {
        in_flight.finish();
        return Empty::new().map_err(|never| match never {}).boxed_unsync();
    }
    let runner = Runner {
        steps: steps.into_iter(),
        gate,
        in_flight: Some(in_flight),
        sent: false,
        hanging: None,
    };
    StreamBody::new(stream::unfold(runner, Runner::next)).boxed_unsync()
}

struct Runner {
    steps: vec::IntoIter<Step>,
    gate: Gate,
    in_flight: Option<InFlight>,
    /// Whether something was sent that may still be in hyper's buffer.
    sent: bool,
    hanging: Option<(std::time::Duration, Bytes)>,
}

impl Runner {
    async fn next(mut self) -> Option<(Result<Frame<Bytes>, io::Error>, Self)> {
        if self.sent {
            // Being pending once makes hyper flush, so that every send is a write of its own and nothing is lost when
            // the connection is cut next.
            tokio::task::yield_now().await;
        }
        if let Some((every, comment)) = &self.hanging {
            tokio::time::sleep(*every).await;
            return Some((Ok(Frame::data(comment.clone())), self));
        }
        loop {
            match self.steps.next() {
                Some(Step::Wait(wait)) => tokio::time::sleep(wait).await,
                Some(Step::Hold) => {
                    if let Some(in_flight) = &mut self.in_flight {
                        in_flight.hold(true);
                    }
                    self.gate.pass().await;
                    if let Some(in_flight) = &mut self.in_flight {
                        in_flight.hold(false);
                    }
                }
                Some(Step::Send(bytes)) => {
                    self.sent = true;
                    if self.steps.len() == 0 {
                        self.finish();
                    }
                    return Some((Ok(Frame::data(bytes)), self));
                }
                Some(Step::Hang(None)) => std::future::pending().await,
                Some(Step::Hang(Some((every, comment)))) => {
                    tokio::time::sleep(every).await;
                    self.sent = true;
                    self.hanging = Some((every, comment.clone()));
                    return Some((Ok(Frame::data(comment)), self));
                }
                Some(Step::Cut) => {
                    self.finish();
                    return Some((Err(io::Error::other("cut as scripted")), self));
                }
                None => {
                    self.finish();
                    return None;
                }
            }
        }
    }

    fn finish(&mut self) {
        if let Some(in_flight) = self.in_flight.take() {
            in_flight.finish();
        }
    }
}
