//! A client that hides nothing: requests are written as bytes, answers read as bytes.

use std::io;
use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::lab::{Behaviour, Deployment, Handle, Lab, Script};

/// A lab of one deployment, `d`, which behaves so.
pub(super) fn lab(behaviour: impl Into<Behaviour>) -> Lab {
    Lab::start(&Script::of([Deployment::new("d").behaving(behaviour)])).expect("loopback ports")
}

/// The deployment of [`lab`].
pub(super) fn only(lab: &Lab) -> &Handle {
    lab.deployment("d")
}

/// A chat request, streamed or not.
pub(super) fn chat(stream: bool) -> Value {
    json!({"model": "m", "messages": [{"role": "user", "content": "hello"}], "stream": stream})
}

/// One connection.
pub(super) struct Client {
    stream: TcpStream,
    unread: Vec<u8>,
}

/// An answer as far as it came.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) head: String,
    /// The body, without the framing of HTTP chunks.
    pub(super) body: Vec<u8>,
    /// The bodies of the HTTP chunks, if it was chunked.
    pub(super) chunks: Vec<Vec<u8>>,
    /// Whether the body ended as HTTP says it must.
    pub(super) complete: bool,
    /// How the connection ended, if it did.
    pub(super) error: Option<io::ErrorKind>,
}

impl Reply {
    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("UTF-8")
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    /// The payloads of a stream's events, comments left out.
    pub(super) fn events(&self) -> Vec<String> {
        self.text()
            .replace("\r\n", "\n")
            .split("\n\n")
            .filter_map(|event| event.strip_prefix("data:"))
            .map(|payload| payload.trim_start().to_owned())
            .collect()
    }

    /// The text said in choice 0 of a chat stream.
    pub(super) fn said(&self) -> String {
        self.events()
            .iter()
            .filter_map(|event| serde_json::from_str::<Value>(event).ok())
            .filter_map(|chunk| {
                chunk["choices"][0]["delta"]["content"]
                    .as_str()
                    .map(str::to_owned)
            })
            .collect()
    }
}

impl Client {
    pub(super) async fn connect(handle: &Handle) -> io::Result<Self> {
        Self::connect_to(handle.addr()).await
    }

    pub(super) async fn connect_to(addr: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            unread: Vec::new(),
        })
    }

    pub(super) async fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) {
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nhost: lab\r\ncontent-length: {}\r\n",
            body.len()
        );
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += "\r\n";
        self.stream
            .write_all(head.as_bytes())
            .await
            .expect("written");
        self.stream.write_all(body).await.expect("written");
    }

    pub(super) async fn post(&mut self, path: &str, body: &Value) {
        self.send(
            "POST",
            path,
            &[("content-type", "application/json")],
            body.to_string().as_bytes(),
        )
        .await;
    }

    /// Reads until the answer is complete or the connection ends.
    pub(super) async fn read(&mut self) -> Reply {
        self.read_until(|_| false).await
    }

    /// Reads until the answer is complete, the connection ends, or `enough` of the body is there.
    pub(super) async fn read_until(&mut self, enough: impl Fn(&Reply) -> bool) -> Reply {
        loop {
            let mut reply = parse(&self.unread);
            if reply.complete || (reply.status != 0 && enough(&reply)) {
                if reply.complete {
                    self.unread.clear();
                }
                return reply;
            }
            let mut buffer = [0; 4096];
            match self.stream.read(&mut buffer).await {
                Ok(0) => {
                    reply.error = Some(io::ErrorKind::UnexpectedEof);
                    return reply;
                }
                Ok(read) => self.unread.extend_from_slice(&buffer[..read]),
                Err(error) => {
                    reply.error = Some(error.kind());
                    return reply;
                }
            }
        }
    }
}

/// One request on a connection of its own.
pub(super) async fn post(handle: &Handle, path: &str, body: &Value) -> Reply {
    let mut client = Client::connect(handle).await.expect("connected");
    client.post(path, body).await;
    client.read().await
}

/// One chat request on a connection of its own.
pub(super) async fn ask(handle: &Handle, stream: bool) -> Reply {
    post(handle, "/v1/chat/completions", &chat(stream)).await
}

fn parse(bytes: &[u8]) -> Reply {
    let mut reply = Reply {
        status: 0,
        head: String::new(),
        body: Vec::new(),
        chunks: Vec::new(),
        complete: false,
        error: None,
    };
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
        return reply;
    };
    reply.head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    reply.status = reply.head[9..12].parse().expect("a status");
    let mut rest = &bytes[end + 4..];
    if let Some(length) = reply.header("content-length") {
        let length: usize = length.parse().expect("a length");
        reply.body = rest[..rest.len().min(length)].to_vec();
        reply.complete = reply.body.len() == length;
        return reply;
    }
    while let Some(line) = rest.windows(2).position(|window| window == b"\r\n") {
        let size = std::str::from_utf8(&rest[..line]).expect("a chunk size");
        let size = usize::from_str_radix(size, 16).expect("a chunk size");
        let Some(chunk) = rest.get(line + 2..line + 2 + size) else {
            break;
        };
        if size == 0 {
            reply.complete = true;
            break;
        }
        reply.body.extend_from_slice(chunk);
        reply.chunks.push(chunk.to_vec());
        rest = rest.get(line + 4 + size..).unwrap_or_default();
    }
    reply
}
