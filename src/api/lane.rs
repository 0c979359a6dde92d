//! The straight lane: inference requests as nearly all clients send them, served by the connection's own task.
//!
//! A connection begins here. A request that is plain in every respect (`POST` of HTTP/1.1 to a path that needs no
//! parameter, its length declared once, a key that fits) is read, answered and written without a server in between.
//! Anything else is handed to hyper with every byte that was read, and hyper keeps the connection from then on: chunked
//! request bodies, `Expect`, HTTP/2, other paths, refusals before the body, malformed heads. So the rules of HTTP that
//! can be got wrong stay with hyper, and what is here is the part that can't be expressed in two ways.

mod head;
mod out;

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use http_body::Body;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_util::io::poll_read_buf;

use super::App;
use super::answer::Answer;
use super::auth::Caller;
use super::inference::{self, BODY_TIME};
use super::listen::{HEAD_TIME, Stop, UNREAD_TIME};
use crate::clock::Alarm;
use crate::gateway::Incoming;
use head::{Head, Parsed};
use out::{Out, write_head};

/// What is read at once, at least.
const READ: usize = 8 * 1024;
/// What a connection's next request is expected to be, at most; larger ones grow as they come.
const READ_MOST: usize = 1024 * 1024;
/// A head that is not complete after so many bytes is hyper's.
const HEAD_MOST: usize = 64 * 1024;
/// And after so many reads.
const HEAD_READS: u32 = 16;
/// Of requests sent before the answer to this one, no more than this is read.
const AHEAD: usize = 64 * 1024;

/// Why a connection leaves the lane.
pub(super) enum Left {
    /// It is over.
    Ended,
    /// hyper is to serve it, beginning with these bytes.
    Handed(TcpStream, BytesMut),
}

/// One client's connection.
struct Lane<'a> {
    stream: TcpStream,
    /// Read, and not used yet.
    buf: BytesMut,
    /// How much to make room for when the next request comes.
    expected: usize,
    alarm: Alarm,
    stop: &'a mut Stop,
    date: out::Date,
}

/// Serves `stream` as long as its requests are plain.
///
/// # Errors
/// If reading or writing fails.
pub(super) async fn drive(
    stream: TcpStream,
    app: Option<&Arc<App>>,
    stop: &mut Stop,
) -> io::Result<Left> {
    let mut lane = Lane {
        stream,
        buf: BytesMut::new(),
        expected: READ,
        alarm: Alarm::default(),
        stop,
        date: out::Date::default(),
    };
    loop {
        let head = match lane.head().await? {
            Next::Plain(head) => head,
            Next::Other => return Ok(Left::Handed(lane.stream, lane.buf)),
            Next::Ended => return Ok(Left::Ended),
        };
        let Some((app, caller)) = admitted(app, &head) else {
            return Ok(Left::Handed(lane.stream, lane.buf));
        };
        lane.buf.advance(head.bytes);
        let stays = !head.close;
        let id = inference::request_id(&head.headers);
        if !lane.body(head.body).await? {
            return lane
                .write(app, inference::too_slow(id), false)
                .await
                .map(|()| Left::Ended);
        }
        let incoming = Incoming {
            id,
            operation: head.operation,
            path_model: None,
            headers: head.headers,
            body: lane.buf.split_to(head.body).freeze(),
            caller: caller.name,
            allowed: caller.groups,
        };
        if lane.buf.is_empty() {
            lane.buf = BytesMut::new(); // the body goes when it is no longer needed, whoever holds the connection
        }
        let Some(answer) = lane.answer(app, incoming).await else {
            return Ok(Left::Ended);
        };
        let stays = stays && !lane.stop.is_set();
        lane.write(app, answer, stays).await?;
        if !stays {
            return Ok(Left::Ended);
        }
    }
}

/// The app and the caller, if the request may go on to its body.
fn admitted<'a>(app: Option<&'a Arc<App>>, head: &Head) -> Option<(&'a App, Caller)> {
    let app = app.filter(|app| head.body <= app.body_limit)?;
    Some((app, app.keys.caller(&head.headers).ok()?))
}

enum Next {
    Plain(Head),
    Other,
    Ended,
}

impl Lane<'_> {
    /// Waits for a request's head.
    async fn head(&mut self) -> io::Result<Next> {
        let mut reads = 0;
        let mut until = None;
        loop {
            if !self.buf.is_empty() {
                match head::read(&self.buf) {
                    Parsed::Plain(head) if head.bytes <= HEAD_MOST => return Ok(Next::Plain(head)),
                    Parsed::Partial if reads < HEAD_READS && self.buf.len() < HEAD_MOST => {}
                    Parsed::Plain(_) | Parsed::Partial | Parsed::Other => return Ok(Next::Other),
                }
            }
            reads += 1;
            let read = poll_fn(|cx| {
                if let Poll::Ready(read) = self.poll_read(cx, self.expected) {
                    return Poll::Ready(Some(read));
                }
                let until = *until.get_or_insert_with(|| Instant::now() + HEAD_TIME);
                if self.alarm.poll_until(cx, until).is_ready() {
                    return Poll::Ready(None); // hyper closes without a word, too
                }
                // A request that has begun to come is served.
                if self.buf.is_empty() {
                    self.stop.poll(cx).map(|()| None)
                } else {
                    Poll::Pending
                }
            });
            if read.await.transpose()?.is_none_or(|read| read == 0) {
                return Ok(Next::Ended);
            }
        }
    }

    /// Reads until `length` bytes are there; `false` if they don't come in time.
    async fn body(&mut self, length: usize) -> io::Result<bool> {
        self.expected = (length + READ).min(READ_MOST);
        let mut until = None;
        while self.buf.len() < length {
            // Not all of it at once: a declared length is not yet a body.
            let room = (length - self.buf.len()).min(READ_MOST.max(self.buf.len()));
            let read = poll_fn(|cx| {
                if let Poll::Ready(read) = self.poll_read(cx, room) {
                    return Poll::Ready(Some(read));
                }
                let until = *until.get_or_insert_with(|| Instant::now() + BODY_TIME);
                self.alarm.poll_until(cx, until).map(|()| None)
            });
            match read.await.transpose()? {
                None => return Ok(false),
                Some(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Some(_) => {}
            }
        }
        Ok(true)
    }

    /// Reads what is there, into room made only then: a connection that waits holds no buffer.
    fn poll_read(&mut self, cx: &mut Context<'_>, room: usize) -> Poll<io::Result<usize>> {
        ready!(self.stream.poll_read_ready(cx))?;
        self.buf.reserve(room);
        let read = poll_read_buf(Pin::new(&mut self.stream), cx, &mut self.buf);
        if read.is_pending() && self.buf.is_empty() {
            self.buf = BytesMut::new();
        }
        read
    }

    /// The answer; `None` if the client has left before it.
    async fn answer(&mut self, app: &App, incoming: Incoming) -> Option<Answer> {
        let mut alarm = std::mem::take(&mut self.alarm);
        // Boxed where it is made: moving a future of several kilobytes into place costs more than an allocation, and a
        // connection that waits does not keep it.
        let mut handler = Box::pin(inference::respond(app, incoming, &mut alarm));
        let answer = poll_fn(|cx| {
            if let Poll::Ready(answer) = handler.as_mut().poll(cx) {
                return Poll::Ready(Some(answer));
            }
            self.poll_left(cx).map(|()| None)
        })
        .await;
        drop(handler);
        self.alarm = alarm;
        answer
    }

    /// Ready if the client has closed its side.
    fn poll_left(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.buf.len() < AHEAD {
            match ready!(self.poll_read(cx, READ)) {
                Ok(0) | Err(_) => return Poll::Ready(()),
                Ok(_) => {} // its next request
            }
        }
        Poll::Pending
    }

    /// Writes an answer as it comes. A client that leaves takes the rest of it with it.
    async fn write(&mut self, app: &App, answer: Answer, stays: bool) -> io::Result<()> {
        let length = answer.body.size_hint().exact();
        let mut out = Out::new(length.is_none());
        let date = self.date.at(app.gateway.deps().clock.unix());
        write_head(out.head(), &answer, length, date, stays);
        let mut body = pin!(answer.body);
        let (mut ended, mut unread) = (false, None);
        poll_fn(|cx| {
            loop {
                while !ended && !out.is_full() {
                    match body.as_mut().poll_frame(cx) {
                        Poll::Ready(Some(Ok(frame))) => {
                            if let Ok(data) = frame.into_data() {
                                out.data(data);
                            }
                        }
                        Poll::Ready(Some(Err(error))) => {
                            return Poll::Ready(Err(io::Error::other(error)));
                        }
                        Poll::Ready(None) => {
                            out.end();
                            ended = true;
                        }
                        Poll::Pending => break,
                    }
                    ended |= length.is_some() && body.is_end_stream();
                }
                if out.is_empty() {
                    if ended {
                        return Poll::Ready(Ok(()));
                    }
                    ready!(self.poll_left(cx));
                    return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
                }
                let written = out.poll_write(Pin::new(&mut self.stream), cx)?;
                if written.is_pending() {
                    // What is written and not taken keeps a stream's clocks still, so this one runs.
                    let until = *unread.get_or_insert_with(|| Instant::now() + UNREAD_TIME);
                    ready!(self.alarm.poll_until(cx, until));
                    return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                }
                unread = None;
            }
        })
        .await
    }
}
