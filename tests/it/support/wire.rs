//! A client that hides nothing: requests are written as bytes, answers read as bytes.

use std::io;
use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// One connection.
pub(crate) struct Wire {
    stream: TcpStream,
    unread: Vec<u8>,
}

/// An answer's head.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) version: String,
    pub(crate) status: u16,
    text: String,
}

impl Head {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.text.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn status(&self) -> u16 {
        self.head.status
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("UTF-8")
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }

    /// `error.code`
    pub(crate) fn code(&self) -> String {
        self.json()["error"]["code"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }
}

impl Wire {
    pub(crate) async fn connect(addr: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            unread: Vec::new(),
        })
    }

    /// Writes `bytes` as they are. An error is for the reader to find: a server may have answered and closed already.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _told = self.stream.write_all(bytes.as_ref()).await;
    }

    /// Writes a request with its `Content-Length`.
    pub(crate) async fn request(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) {
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: gateway\r\n");
        if method == "POST" {
            head += &format!("content-length: {}\r\n", body.len());
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += "\r\n";
        self.send([head.as_bytes(), body].concat()).await;
    }

    async fn more(&mut self) -> bool {
        self.stream.read_buf(&mut self.unread).await.unwrap_or(0) > 0
    }

    /// The next answer's head; `None` if the connection ends before.
    pub(crate) async fn head(&mut self) -> Option<Head> {
        loop {
            if let Some(end) = find(&self.unread, b"\r\n\r\n") {
                let text = String::from_utf8_lossy(&self.unread[..end]).into_owned();
                self.unread.drain(..end + 4);
                let (version, rest) = text.split_once(' ').expect("a status line");
                let status = rest[..3].parse().expect("a status");
                return Some(Head {
                    version: version.to_owned(),
                    status,
                    text,
                });
            }
            if !self.more().await {
                return None;
            }
        }
    }

    /// The next HTTP chunk of a body; `None` after the last, or if the connection ends before.
    pub(crate) async fn chunk(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(line) = find(&self.unread, b"\r\n") {
                let size = std::str::from_utf8(&self.unread[..line]).expect("a chunk size");
                let size = usize::from_str_radix(size, 16).expect("a chunk size");
                if self.unread.len() >= line + 4 + size {
                    let chunk = self.unread[line + 2..line + 2 + size].to_vec();
                    self.unread.drain(..line + 4 + size);
                    return (size > 0).then_some(chunk);
                }
            }
            if !self.more().await {
                return None;
            }
        }
    }

    /// The next answer, whole; `None` if the connection ends before its head.
    pub(crate) async fn try_reply(&mut self) -> Option<Reply> {
        let head = self.head().await?;
        let mut body = Vec::new();
        if let Some(length) = head.header("content-length") {
            let length: usize = length.parse().expect("a length");
            while self.unread.len() < length && self.more().await {}
            body = self.unread.drain(..length).collect();
        } else if head.header("transfer-encoding").is_some() {
            while let Some(chunk) = self.chunk().await {
                body.extend_from_slice(&chunk);
            }
        } else if head.status >= 200 {
            while self.more().await {}
            body = std::mem::take(&mut self.unread);
        }
        Some(Reply { head, body })
    }

    /// The next answer, whole.
    pub(crate) async fn reply(&mut self) -> Reply {
        self.try_reply().await.expect("an answer")
    }

    /// Whether the other side has nothing more to say and closes.
    pub(crate) async fn ends(&mut self) -> bool {
        self.unread.is_empty() && !self.more().await
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, wanted)
}

/// One `GET` on a connection of its own.
pub(crate) async fn get(addr: SocketAddr, path: &str) -> io::Result<Reply> {
    let mut wire = Wire::connect(addr).await?;
    wire.request("GET", path, &[], b"").await;
    wire.try_reply()
        .await
        .ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}
