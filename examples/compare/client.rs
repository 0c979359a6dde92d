//! The load's side of a connection, for loops that await and for threads that block.

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::clock;
use crate::http::{Message, broken, read};
use crate::request::Request;

/// What must stand at the end of a stream.
const DONE: &[u8] = b"[DONE]";

/// Whether a reply is what the request asked for; sees its body go by.
#[derive(Debug, Default)]
struct Check {
    bytes: usize,
    tail: Vec<u8>,
}

impl Check {
    fn see(&mut self, body: &[u8]) {
        self.bytes += body.len();
        let keep = 2 * DONE.len();
        self.tail
            .extend_from_slice(&body[body.len().saturating_sub(keep)..]);
        let excess = self.tail.len().saturating_sub(keep);
        self.tail.drain(..excess);
    }

    fn judge(&self, message: &Message, request: &Request) -> Result<()> {
        match message.status() {
            200 => {}
            status => return Err(broken(&format!("answered with status {status}"))),
        }
        if self.bytes == 0 {
            return Err(broken("answered with nothing"));
        }
        if request.stream && memchr::memmem::find(&self.tail, DONE).is_none() {
            return Err(broken("a stream without its end"));
        }
        Ok(())
    }
}

/// A connection, one request at a time.
#[derive(Debug)]
pub(crate) struct Client {
    stream: TcpStream,
    message: Message,
    check: Check,
}

impl Client {
    pub(crate) async fn connect(to: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            message: Message::default(),
            check: Check::default(),
        })
    }

    /// Sends a request and reads its answer to the end.
    ///
    /// # Errors
    /// If it is not a whole answer of status 200.
    pub(crate) async fn exchange(&mut self, request: &Request) -> Result<()> {
        self.send(request).await?;
        while !self.message.done() {
            self.read().await?;
        }
        self.check.judge(&self.message, request)
    }

    /// Sends a request and reads its answer until the first byte of its body.
    pub(crate) async fn open(&mut self, request: &Request) -> Result<()> {
        self.send(request).await?;
        while self.check.bytes == 0 && !self.message.done() {
            self.read().await?;
        }
        match self.message.status() {
            200 if self.check.bytes > 0 => Ok(()),
            status => Err(broken(&format!("a stream did not open: status {status}"))),
        }
    }

    async fn send(&mut self, request: &Request) -> Result<()> {
        self.message.reset();
        self.check.bytes = 0;
        self.check.tail.clear();
        self.stream.write_all(&request.bytes).await
    }

    async fn read(&mut self) -> Result<()> {
        let (message, check) = (&mut self.message, &mut self.check);
        read(&mut self.stream, |bytes| {
            ended(bytes)?;
            message.feed(bytes, |body| check.see(body))
        })
        .await?
    }
}

fn ended(bytes: &[u8]) -> Result<()> {
    if bytes.is_empty() {
        return Err(Error::from(ErrorKind::UnexpectedEof));
    }
    Ok(())
}

/// A connection whose thread waits in the kernel: no runtime between the answer and the clock.
#[derive(Debug)]
pub(crate) struct Blocking {
    stream: std::net::TcpStream,
    message: Message,
    buffer: Vec<u8>,
}

impl Blocking {
    pub(crate) fn connect(to: SocketAddr) -> Result<Self> {
        let stream = std::net::TcpStream::connect(to)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        Ok(Self {
            stream,
            message: Message::default(),
            buffer: vec![0; 64 * 1024],
        })
    }

    /// Sends a request and reads its answer to the end; `see` gets each read's part of the body and its time.
    ///
    /// # Errors
    /// If it is not a whole answer of status 200.
    pub(crate) fn exchange(
        &mut self,
        request: &Request,
        mut see: impl FnMut(&[u8], Duration),
    ) -> Result<()> {
        let mut check = Check::default();
        self.message.reset();
        self.stream.write_all(&request.bytes)?;
        while !self.message.done() {
            let n = self.stream.read(&mut self.buffer)?;
            let now = clock::now();
            ended(&self.buffer[..n])?;
            self.message.feed(&self.buffer[..n], |body| {
                check.see(body);
                see(body, now);
            })?;
        }
        check.judge(&self.message, request)
    }
}
