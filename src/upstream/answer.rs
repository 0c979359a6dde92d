//! An answer's body, read from the connection it owns.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;

use super::BrokenError;
use super::connection::Connection;
use super::pool::Pool;
use crate::h1::{ChunkError, Decoder, Head, Step};

/// How much is set aside at once for an answer of known length.
const SET_ASIDE: usize = 1024 * 1024;

/// Pieces up to this size that come together are joined.
const SMALL: usize = 4 * 1024;

/// An answer's body. Read to its end, it gives its connection back; dropped before, it closes it, which is how a provider learns that
/// nobody listens any more.
pub struct Answer {
    decoder: Decoder,
    reusable: bool,
    /// Whether small pieces that come together are handed on together.
    joins: bool,
    /// What is wrong with what came after the data handed on last.
    broken: Option<ChunkError>,
    /// `None` once the body is over, or broken.
    connection: Option<Connection>,
    pool: Arc<Pool>,
}

impl Answer {
    pub(super) fn new(head: &Head, connection: Connection, pool: &Arc<Pool>) -> Self {
        let mut answer = Self {
            decoder: head.framing.into(),
            reusable: head.reusable,
            joins: false,
            broken: None,
            connection: Some(connection),
            pool: Arc::clone(pool),
        };
        answer.give_back_at_end();
        answer
    }

    /// From now on small pieces that come together are handed on together: fewer to look at, and fewer to write.
    #[must_use]
    pub fn joined(mut self) -> Self {
        self.joins = true;
        self
    }

    /// Reads a body, or its beginning: whether it was complete is told with it.
    ///
    /// # Errors
    /// If the connection breaks before the end.
    pub async fn collect_up_to(mut self, limit: usize) -> Result<(Bytes, bool), BrokenError> {
        if let Some(length) = self.decoder.left() {
            return self.collect_known(length, limit).await;
        }
        let mut first = Bytes::new();
        let mut all = BytesMut::new();
        while let Some(frame) = self.frame().await {
            let Ok(chunk) = frame?.into_data() else {
                continue;
            };
            if first.is_empty() && all.is_empty() {
                first = chunk; // small answers come in one piece
                continue;
            }
            all.extend_from_slice(&std::mem::take(&mut first));
            all.extend_from_slice(&chunk);
            if all.len() > limit {
                return Ok((all.freeze(), false));
            }
        }
        Ok((if all.is_empty() { first } else { all.freeze() }, true))
    }

    /// A body of known length is read to where it stays.
    async fn collect_known(
        mut self,
        length: u64,
        limit: usize,
    ) -> Result<(Bytes, bool), BrokenError> {
        let Some(connection) = &mut self.connection else {
            return Ok((Bytes::new(), true));
        };
        let wanted = usize::try_from(length).map_or(limit, |length| length.min(limit));
        let complete = wanted as u64 == length;
        let come = wanted.min(connection.unread.len());
        let mut all = connection.unread.split_to(come);
        while all.len() < wanted {
            if all.len() == all.capacity() {
                // Twice as much as is there: who promises much has to send half of it first.
                all.reserve((wanted - all.len()).min(all.len().max(SET_ASIDE)));
            }
            let left = wanted - all.len();
            if connection.read_into(&mut all, left).await? == 0 {
                let missing = length - all.len() as u64;
                return Err(BrokenError::InBody { missing });
            }
        }
        self.decoder = Decoder::Length(length - wanted as u64);
        self.give_back_at_end();
        Ok((all.freeze(), complete))
    }

    fn give_back_at_end(&mut self) {
        if self.decoder.is_end()
            && let Some(connection) = self.connection.take()
            && self.reusable
        {
            self.pool.give_back(connection);
        }
    }

    /// `first` and the small pieces that came with it, if they are to be joined.
    fn with_what_follows(&mut self, first: Bytes) -> Bytes {
        let Some(connection) = &mut self.connection else {
            return first;
        };
        if !self.joins || first.len() > SMALL || connection.unread.is_empty() {
            return first;
        }
        let (room, mut all) = (first.len() + connection.unread.len(), BytesMut::new());
        loop {
            match self.decoder.decode(&mut connection.unread) {
                Ok(Step::Data(next)) => {
                    if all.is_empty() {
                        all.reserve(room);
                        all.extend_from_slice(&first);
                    }
                    all.extend_from_slice(&next);
                }
                Ok(Step::More | Step::End) => break,
                Err(error) => {
                    self.broken = Some(error); // told when this has been handed on
                    break;
                }
            }
        }
        if all.is_empty() { first } else { all.freeze() }
    }

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BrokenError>> {
        loop {
            if let Some(error) = self.broken.take() {
                return Poll::Ready(Err(error.into()));
            }
            let Some(connection) = &mut self.connection else {
                return Poll::Ready(Ok(None));
            };
            match self.decoder.decode(&mut connection.unread)? {
                Step::Data(data) => {
                    let data = self.with_what_follows(data);
                    self.give_back_at_end();
                    return Poll::Ready(Ok(Some(data)));
                }
                Step::End => self.give_back_at_end(),
                Step::More => {
                    if ready!(connection.poll_fill(cx))? == 0 {
                        if !self.decoder.may_close() {
                            return Poll::Ready(Err(match self.decoder.left() {
                                Some(missing) => BrokenError::InBody { missing },
                                None => BrokenError::InChunks,
                            }));
                        }
                        self.connection = None;
                    }
                }
            }
        }
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("ended", &self.connection.is_none())
            .finish_non_exhaustive()
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = BrokenError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenError>>> {
        let data = ready!(self.poll_data(cx));
        if data.is_err() {
            self.connection = None;
        }
        Poll::Ready(data.transpose().map(|data| data.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.connection.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.decoder
            .left()
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
