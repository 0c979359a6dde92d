//! One connection: a request is written to it and an answer read from it by the request's own task.
//!
//! No bytes are held while nothing is there to be held: ten thousand streams that wait for their next event have no
//! buffer among them.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker, ready};

use bytes::{BufMut, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::runtime::{self, Handle};
use tokio_rustls::client::TlsStream;
use tokio_util::io::poll_read_buf;

use super::BrokenError;
use crate::h1::{Head, HeadReader};
use crate::request::Outbound;

/// How much is read at once of an answer that comes in small pieces.
const SMALLEST_READ: usize = 8 * 1024;
/// And of one that comes in large ones.
const LARGEST_READ: usize = 256 * 1024;
/// The most slices written at once.
const SLICES: usize = 16;

/// What bytes go over.
pub(super) enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// How many connections there are.
#[derive(Clone, Default)]
pub(super) struct Count(Arc<AtomicUsize>);

impl Count {
    pub(super) fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// One of them.
struct Counted(Count);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

pub(super) struct Connection {
    io: Io,
    /// What was read and is not used yet.
    pub(super) unread: BytesMut,
    /// How much to read next.
    room: usize,
    /// The runtime whose driver wakes it. On another one it would be woken across threads.
    pub(super) runtime: runtime::Id,
    _counted: Counted,
}

impl Connection {
    pub(super) fn new(io: Io, count: &Count) -> Self {
        count.0.fetch_add(1, Ordering::Relaxed);
        Self {
            io,
            unread: BytesMut::new(),
            room: SMALLEST_READ,
            runtime: Handle::current().id(),
            _counted: Counted(count.clone()),
        }
    }

    /// Writes a request and reads the head of its answer.
    ///
    /// An answer that comes before all of the request is written ends the writing: the peer has made up its mind, and
    /// may never read the rest. Such a connection is not used again.
    pub(super) async fn ask(&mut self, request: &Outbound) -> Result<Head, BrokenError> {
        let mut asking = Asking::new(request);
        std::future::poll_fn(|cx| self.poll_ask(cx, &mut asking)).await
    }

    fn poll_ask(
        &mut self,
        cx: &mut Context<'_>,
        asking: &mut Asking<'_>,
    ) -> Poll<Result<Head, BrokenError>> {
        if !asking.written
            && let Poll::Ready(written) = self.poll_send(cx, asking)
        {
            // A peer that closed may have said why before: that is still there to be read.
            asking.written = true;
            asking.error = written.err();
        }
        loop {
            match ready!(self.poll_fill(cx)) {
                Ok(0) => return Poll::Ready(Err(asking.broken(None))),
                Ok(_) => asking.heard = true,
                Err(error) => return Poll::Ready(Err(asking.broken(Some(error)))),
            }
            if let Some(mut head) = asking.reader.read(&mut self.unread)? {
                head.reusable &= asking.written && asking.error.is_none();
                return Poll::Ready(Ok(head));
            }
        }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, asking: &mut Asking<'_>) -> Poll<io::Result<()>> {
        loop {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let count = asking.slices(&mut slices);
            if count == 0 {
                return self.io.poll_flush(cx);
            }
            match ready!(self.io.poll_write(cx, &slices[..count]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => asking.advance(written),
            }
        }
    }

    /// Reads what has come, once; 0 at the end.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let read = self.poll_read_more(cx);
        if read.is_pending() && self.unread.is_empty() {
            self.unread = BytesMut::new();
        }
        read
    }

    fn poll_read_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if let Io::Plain(tcp) = &self.io {
            ready!(tcp.poll_read_ready(cx))?; // so that no buffer is made to find nothing
        }
        if self.unread.capacity() - self.unread.len() < self.room / 2 {
            self.unread.reserve(self.room);
        }
        let read = ready!(self.io.poll_read(cx, &mut self.unread))?;
        self.room = (read + 1)
            .next_power_of_two()
            .clamp(SMALLEST_READ, LARGEST_READ);
        Poll::Ready(Ok(read))
    }

    /// Reads at most `limit` bytes straight into `into`; 0 at the end.
    pub(super) async fn read_into(
        &mut self,
        into: &mut BytesMut,
        limit: usize,
    ) -> io::Result<usize> {
        std::future::poll_fn(|cx| self.io.poll_read(cx, &mut into.limit(limit))).await
    }

    /// Whether an unused connection is still open. Its driver knows without being asked, so this costs no system call
    /// as long as nothing happened.
    pub(super) fn is_alive(&mut self) -> bool {
        match &mut self.io {
            Io::Plain(tcp) => matches!(
                tcp.try_read(&mut [0]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock
            ),
            // Session tickets are read here, too, and mean nothing.
            Io::Tls(tls) => Pin::new(tls)
                .poll_read(
                    &mut Context::from_waker(Waker::noop()),
                    &mut ReadBuf::new(&mut [0]),
                )
                .is_pending(),
        }
    }
}

impl Io {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut impl BufMut,
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(tcp) => poll_read_buf(Pin::new(tcp), cx, into),
            Self::Tls(tls) => poll_read_buf(Pin::new(tls), cx, into),
        }
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(tcp) => Pin::new(tcp).poll_write_vectored(cx, slices),
            Self::Tls(tls) => Pin::new(tls).poll_write_vectored(cx, slices),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(_) => Poll::Ready(Ok(())),
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }
}

/// How far a request and its answer's head have come.
struct Asking<'a> {
    request: &'a Outbound,
    /// The slice that is being written: 0 is the head, then come the payload's.
    slice: usize,
    /// How much of it has been.
    offset: usize,
    /// Nothing more is to be written,
    written: bool,
    /// because of this, or because all of it has been.
    error: Option<io::Error>,
    reader: HeadReader,
    /// Whether anything has come.
    heard: bool,
}

impl<'a> Asking<'a> {
    fn new(request: &'a Outbound) -> Self {
        Self {
            request,
            slice: 0,
            offset: 0,
            written: false,
            error: None,
            reader: HeadReader::default(),
            heard: false,
        }
    }

    fn part(&self, number: usize) -> Option<&'a [u8]> {
        match number.checked_sub(1) {
            None => Some(&self.request.head),
            Some(number) => Some(self.request.payload.parts().get(number)?),
        }
    }

    /// Fills `into` with what is still to be written, and says with how many slices.
    fn slices(&self, into: &mut [IoSlice<'a>; SLICES]) -> usize {
        let (mut count, mut offset) = (0, self.offset);
        while count < SLICES
            && let Some(part) = self.part(self.slice + count)
        {
            into[count] = IoSlice::new(&part[std::mem::take(&mut offset)..]);
            count += 1;
        }
        count
    }

    fn advance(&mut self, written: usize) {
        self.offset += written;
        while let Some(part) = self.part(self.slice).filter(|p| p.len() <= self.offset) {
            self.offset -= part.len();
            self.slice += 1;
        }
    }

    /// What it means that the connection ended, by `error` or by the peer's will.
    fn broken(&mut self, error: Option<io::Error>) -> BrokenError {
        match self.error.take().or(error) {
            _ if self.heard => BrokenError::InHead,
            Some(error) => BrokenError::Io(error),
            None => BrokenError::Closed,
        }
    }
}
