//! A client by hand: HTTP/1.1 as bytes, so that it can leave at any byte.

use std::io;
use std::net::SocketAddr;

use rand::RngExt as _;
use rand::rngs::StdRng;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::request::{Ending, Kind, Request};

/// What a client saw of a request.
pub(super) enum Seen {
    /// The whole answer.
    Answer(Answer),
    /// It left when the head of a group's answer was there.
    Head,
    /// It left before, or there was no answer to see.
    Nothing,
    /// It wanted to read, and could not.
    Broken(io::Error),
}

/// An answer, or its head.
#[derive(Default)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Whether it says which group it is of.
    pub(super) of_group: bool,
    /// Whether it says whether to try again.
    pub(super) says_retry: bool,
    /// Whether it is a stream of events.
    pub(super) stream: bool,
    pub(super) body: Vec<u8>,
    length: Option<usize>,
    last_here: bool,
}

/// One of many. Keeps its connection from request to request, or does not.
pub(super) struct Client {
    to: SocketAddr,
    kept: Option<(Connection, Kind)>,
}

impl Client {
    pub(super) fn new(to: SocketAddr) -> Self {
        Self { to, kept: None }
    }

    /// Sends `request`, and reads or leaves as that says.
    pub(super) async fn play(&mut self, request: &Request, rng: &mut StdRng) -> Seen {
        self.try_play(request, rng).await.unwrap_or_else(|error| {
            if matches!(request.ending, Ending::Reads { .. }) {
                Seen::Broken(error)
            } else {
                Seen::Nothing
            }
        })
    }

    async fn try_play(&mut self, request: &Request, rng: &mut StdRng) -> io::Result<Seen> {
        let (mut connection, carried) = match self.kept.take() {
            Some((connection, kind)) => (connection, Some(kind)),
            None => (Connection::open(self.to).await?, None),
        };
        match request.ending {
            Ending::Reads { keeps } => {
                let answer =
                    connection
                        .ask(&request.bytes)
                        .await
                        .map_err(|error| match carried {
                            Some(kind) => io::Error::other(format!(
                                "{error}, on a connection that carried {kind:?}"
                            )),
                            None => error,
                        })?;
                if keeps && !answer.last_here {
                    self.kept = Some((connection, request.kind));
                }
                Ok(Seen::Answer(answer))
            }
            Ending::LeavesInBody { at } => {
                connection.stream.write_all(&request.bytes[..at]).await?;
                dawdle(rng).await;
                Ok(Seen::Nothing)
            }
            Ending::LeavesBeforeAnswer => {
                connection.stream.write_all(&request.bytes).await?;
                dawdle(rng).await;
                Ok(Seen::Nothing)
            }
            Ending::LeavesInAnswer => {
                connection.stream.write_all(&request.bytes).await?;
                let head = connection.head().await?;
                dawdle(rng).await;
                Ok(if head.of_group {
                    Seen::Head
                } else {
                    Seen::Nothing
                })
            }
        }
    }
}

/// Lets others go first, some of the time.
async fn dawdle(rng: &mut StdRng) {
    for _ in 0..rng.random_range(0..40) {
        tokio::task::yield_now().await;
    }
}

/// A connection to the gateway.
pub(super) struct Connection {
    stream: TcpStream,
    /// Read, and not used yet.
    buffer: Vec<u8>,
}

impl Connection {
    pub(super) async fn open(to: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: Vec::with_capacity(4096),
        })
    }

    /// Sends these bytes and reads the answer.
    pub(super) async fn ask(&mut self, request: &[u8]) -> io::Result<Answer> {
        // A body that is too large is answered before it is read, and what cannot be written then does not matter.
        let written = self.stream.write_all(request).await;
        match self.head().await {
            Ok(head) => self.body(head).await,
            Err(unread) => Err(written.err().unwrap_or(unread)),
        }
    }

    async fn more(&mut self) -> io::Result<()> {
        self.buffer.reserve(4096);
        if self.stream.read_buf(&mut self.buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }

    /// Takes what stands before the first `end`, reading as much as that takes.
    async fn until(&mut self, end: &[u8]) -> io::Result<Vec<u8>> {
        loop {
            if let Some(at) = memchr::memmem::find(&self.buffer, end) {
                let taken = self.buffer[..at].to_vec();
                self.buffer.drain(..at + end.len());
                return Ok(taken);
            }
            self.more().await?;
        }
    }

    async fn exactly(&mut self, n: usize) -> io::Result<Vec<u8>> {
        while self.buffer.len() < n {
            self.more().await?;
        }
        Ok(self.buffer.drain(..n).collect())
    }

    /// Reads an answer's head.
    async fn head(&mut self) -> io::Result<Answer> {
        let bytes = self.until(b"\r\n\r\n").await?;
        let malformed = || io::Error::other("the answer's head is malformed");
        let text = std::str::from_utf8(&bytes).map_err(|_| malformed())?;
        let mut lines = text.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1));
        let mut head = Answer {
            status: status.and_then(|s| s.parse().ok()).ok_or_else(malformed)?,
            ..Answer::default()
        };
        for line in lines {
            let (name, value) = line.split_once(": ").ok_or_else(malformed)?;
            match name {
                "content-length" => head.length = Some(value.parse().map_err(|_| malformed())?),
                "content-type" => head.stream = value.starts_with("text/event-stream"),
                "connection" => head.last_here = value == "close",
                "x-waypost-model-group" => head.of_group = true,
                "x-should-retry" => head.says_retry = true,
                _ => {}
            }
        }
        Ok(head)
    }

    /// Reads what follows the head: a body of known length, or chunks.
    async fn body(&mut self, mut answer: Answer) -> io::Result<Answer> {
        if let Some(length) = answer.length {
            answer.body = self.exactly(length).await?;
            return Ok(answer);
        }
        loop {
            let size = self.until(b"\r\n").await?;
            let size = std::str::from_utf8(&size).ok();
            let size = size.and_then(|s| usize::from_str_radix(s, 16).ok());
            let size = size.ok_or_else(|| io::Error::other("a chunk without a size"))?;
            answer.body.extend(self.exactly(size).await?);
            self.until(b"\r\n").await?;
            if size == 0 {
                return Ok(answer);
            }
        }
    }
}
