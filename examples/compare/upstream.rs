//! The canned upstream: reads a request to its end, looks for the wish in its first bytes, writes bytes made before.

use std::io::{Error, ErrorKind, Result};
use std::rc::Rc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::answers::{self, Wish};
use crate::clock;
use crate::http::{Message, read};

/// So much of a request's body is kept to look for the wish in.
const FRONT: usize = 4096;
/// Size of a plain answer's body.
const ANSWER: usize = 1024;

/// Serves until it is killed.
pub(crate) async fn run(port: u16) -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let upstream = Rc::new(Upstream {
        plain: answers::plain(ANSWER),
        first: [answers::STREAM_HEAD, &answers::first()].concat(),
        chunk: answers::chunk(""),
        last: answers::last(),
    });
    let tasks = TaskTracker::new();
    let accepting = async {
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                // Out of files, until a gateway that was measured before has let go of its connections.
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            };
            let upstream = Rc::clone(&upstream);
            tasks.spawn_local(async move {
                // A connection ends with its client; whatever it was in the middle of is the client's to notice.
                let _ = upstream.serve(stream).await;
            });
        }
    };
    LocalSet::new().run_until(accepting).await
}

struct Upstream {
    plain: Vec<u8>,
    /// A stream's head and first event.
    first: Vec<u8>,
    chunk: Vec<u8>,
    last: Vec<u8>,
}

impl Upstream {
    async fn serve(&self, mut stream: TcpStream) -> Result<()> {
        stream.set_nodelay(true)?;
        let mut message = Message::default();
        let mut front = Vec::new();
        loop {
            message.reset();
            front.clear();
            while !message.done() {
                read(&mut stream, |bytes| {
                    if bytes.is_empty() {
                        return Err(Error::from(ErrorKind::UnexpectedEof));
                    }
                    message.feed(bytes, |body| {
                        let room = FRONT.saturating_sub(front.len());
                        front.extend_from_slice(&body[..room.min(body.len())]);
                    })
                })
                .await??;
            }
            self.answer(&mut stream, Wish::read(&front)).await?;
        }
    }

    async fn answer(&self, stream: &mut TcpStream, wish: Wish) -> Result<()> {
        let first = self.first.as_slice();
        match wish {
            Wish::Plain => stream.write_all(&self.plain).await,
            Wish::Burst { chunks } => {
                let whole = [first, &self.chunk.repeat(chunks), &self.last].concat();
                stream.write_all(&whole).await
            }
            Wish::Paced { chunks, every } => self.paced(stream, chunks, every).await,
            Wish::Pair { after } => {
                stream.write_all(&[first, &stamped()].concat()).await?;
                tokio::time::sleep(after).await;
                stream.write_all(&stamped()).await?;
                stream.write_all(&self.last).await
            }
            Wish::Hold => {
                stream.write_all(&[first, &self.chunk].concat()).await?;
                read(stream, |_| ()).await // nothing comes but the end
            }
        }
    }

    async fn paced(&self, stream: &mut TcpStream, chunks: usize, every: Duration) -> Result<()> {
        stream.write_all(&self.first).await?;
        let mut due = Instant::now();
        for _ in 0..chunks {
            // From the start, so that pauses do not add up their own overrun.
            due += every;
            tokio::time::sleep_until(due).await;
            stream.write_all(&self.chunk).await?;
        }
        stream.write_all(&self.last).await
    }
}

/// A chunk that says when it is written.
fn stamped() -> Vec<u8> {
    answers::chunk(&clock::stamp())
}
